/* One step of a plan: a kernel or a matrix product, with its arguments.
 *
 * A device runs a list of operations for a range of folds, in order. Pointers
 * are the device's; a matrix's fold stride is zero where folds share memory
 * (a CPU lane works on one fold at a time and reuses its workspace).
 */
#ifndef KTI_DEVICE_OPERATION_H
#define KTI_DEVICE_OPERATION_H

#include <stdbool.h>

#include "kernels/arguments.h"

/* KTI_OP_GEMM, ...: the rows of kernels/operations.inc. */
typedef enum kti_operation_kind {
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) KTI_OP_##NAME,
#include "kernels/operations.inc"
    KTI_OP_KINDS
} kti_operation_kind;

/* The part of the model that an operation works for, for the benchmark's table. */
typedef enum kti_family {
    KTI_FAMILY_INPUT, /* the batch, Gaussian expansion, embedding, encoders */
    KTI_FAMILY_EDGE,  /* edge updates and their dense layers */
    KTI_FAMILY_NODE,
    KTI_FAMILY_STATE,
    KTI_FAMILY_SET2SET,
    KTI_FAMILY_READOUT,
    KTI_FAMILY_HEAD,
    KTI_FAMILY_LOSS,
    KTI_FAMILY_OPTIMISER,
    KTI_FAMILIES
} kti_family;

/* Sums a step's loss and gradient over the devices that share a fold, each of which has then the same bits. No kernel: the
 * devices must have been connected. */
typedef struct kti_all_reduce {
    int64_t size;
    kt_matrix gradient; /* [1, size] */
    kt_matrix result;   /* [1, KT_RESULT_VALUES] of which the loss is summed */
} kti_all_reduce;

enum { KTI_WAITS_MAX = 16 };

typedef struct kti_operation {
    kti_operation_kind kind;
    kti_family family;
    /* Which operations of the list it waits for, counted from itself backwards, those that these wait for left out. Nothing is
     * known of `waits` 0, which is for all before it. */
    int waits, back[KTI_WAITS_MAX];
    union {
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) type member;
#include "kernels/operations.inc"
    } arguments;
} kti_operation;

/* "edge", "node", ... for tables. */
const char *kti_family_name(kti_family family);

#endif
