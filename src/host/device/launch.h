/* Which kernels make an operation. */
#ifndef KTI_DEVICE_LAUNCH_H
#define KTI_DEVICE_LAUNCH_H

#include "device/operation.h"
#include "kernels/launch.h"

enum { KTI_KERNELS_MAX = 2 };

/* Fills kernels in the order in which they run; returns their number. All take &operation->arguments. */
static inline int kti_operation_kernels(const kti_operation *operation, kt_kernel_id kernels[KTI_KERNELS_MAX])
{
    kernels[0] = kernels[1] = KT_KERNEL_IDS;
    int count = 0;
    switch (operation->kind) {
#define NONE
#define KERNEL(name, type, launch) kernels[count++] = KT_ID_##name;
#define CHOICE(id, alternatives) kernels[count++] = id;
#define OPERATION(NAME, member, type, of_kind, cpu, rows, uses, cost, link, by_row)                          \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &operation->arguments.member;                                                        \
        (void)a;                                                                                             \
        of_kind break;                                                                                       \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
    return count;
}

/* What the operation has rows of; NULL: of parameters. */
static inline const kt_count *kti_operation_rows(const kti_operation *operation)
{
    switch (operation->kind) {
#define NONE
#define ROWS(count) return &(count);
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &operation->arguments.member;                                                        \
        (void)a;                                                                                             \
        rows break;                                                                                          \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
    return NULL;
}

static inline void kti_fit_rows(kt_count *rows, const int32_t limit[KT_ROW_KINDS])
{
    if (limit[rows->kind] < rows->max)
        rows->max = limit[rows->kind];
}

/* Lets the operation's launches be sized for a batch of at most so many rows. */
static inline void kti_operation_fit(kti_operation *operation, const int32_t limit[KT_ROW_KINDS])
{
    switch (operation->kind) {
#define NONE
#define ROWS(count) kti_fit_rows(&(count), limit);
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    case KTI_OP_##NAME: {                                                                                    \
        type *a = &operation->arguments.member;                                                              \
        (void)a;                                                                                             \
        rows break;                                                                                          \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
}

#endif
