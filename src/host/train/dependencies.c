#include "train/dependencies.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- what an operation touches ---- */

bool kti_locate(const kti_pieces *pieces, kt_matrix m, int columns, kti_use *use)
{
    const char *data = (const char *)m.data;
    if (!data || pieces->size == 0 || data < pieces->start[0] || data >= pieces->end)
        return false;
    int low = 0, high = (int)pieces->size - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (pieces->start[middle] <= data)
            low = middle;
        else
            high = middle - 1;
    }
    const int first = (int)((data - pieces->start[low]) / (ptrdiff_t)sizeof(kt_real) % m.stride);
    *use = (kti_use){.piece = low, .first = first, .end = first + columns};
    return true;
}

static void touch(kti_entry *e, const kti_pieces *pieces, kt_matrix m, int columns, bool writes)
{
    kti_use use;
    if (!kti_locate(pieces, m, columns, &use))
        return;
    if (e->uses == KTI_MAX_USES) { /* too many to tell */
        e->opaque = true;
        return;
    }
    use.writes = writes;
    e->use[e->uses++] = use;
}

int kti_product_columns(const kt_gemm *product)
{
    return (product->n + 15) / 16 * 16;
}

static void touch_product(kti_entry *e, const kti_pieces *pieces, const kt_gemm *a)
{
    touch(e, pieces, a->a, a->product == KT_WEIGHT_GRADIENT ? a->m : a->k, false);
    if (a->product == KT_WEIGHT_GRADIENT)
        touch(e, pieces, a->b, a->n, false);
    else
        touch(e, pieces, a->c, kti_product_columns(a), true);
}

/* Of what pick_types makes for the embedding's gradient: where it begins stands for all. */
static void touch_types(kti_entry *e, const kti_pieces *pieces, const int32_t *type_start, bool writes)
{
    touch(e, pieces, (kt_matrix){(kt_real *)type_start, 0, INT32_MAX}, 1, writes);
}

void kti_find_uses(kti_entry *e, const kti_pieces *pieces)
{
    e->uses = 0;
    switch (e->operation.kind) {
#define READS(matrix, columns) touch(e, pieces, matrix, columns, false);
#define WRITES(matrix, columns) touch(e, pieces, matrix, columns, true);
#define PRODUCT(gemm) touch_product(e, pieces, &(gemm));
#define READS_TYPES(type_start) touch_types(e, pieces, type_start, false);
#define WRITES_TYPES(type_start) touch_types(e, pieces, type_start, true);
#define OPAQUE e->opaque = true;
#define OPERATION(NAME, member, type, kernels, cpu, rows, touched, cost, link, by_row)                       \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &e->operation.arguments.member;                                                      \
        (void)a;                                                                                             \
        touched break;                                                                                       \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
}

/* ---- what must keep its order ---- */

bool kti_overlap(const kti_use *a, const kti_use *b)
{
    return a->piece == b->piece && a->first < b->end && b->first < a->end;
}

bool kti_conflict(const kti_entry *a, const kti_entry *b)
{
    if (a->opaque || b->opaque)
        return true;
    for (int i = 0; i < a->uses; i++)
        for (int j = 0; j < b->uses; j++)
            if ((a->use[i].writes || b->use[j].writes) && kti_overlap(&a->use[i], &b->use[j]))
                return true;
    return false;
}

bool kti_chains_conflict(const kti_entry *list, int a, int b)
{
    for (int i = a;; i = list[i].next) {
        for (int j = b;; j = list[j].next) {
            if (kti_conflict(&list[i], &list[j]))
                return true;
            if (list[j].next == 0)
                break;
        }
        if (list[i].next == 0)
            return false;
    }
}

/* ---- who waits for whom in the new list ---- */

/* Marks in direct[j * count + i] that operation j of the new list must stay behind operation i. */
static void find_direct(const kti_entry *entries, int size, bool *direct, int count)
{
    for (int k = 0; k < size; k++)
        for (int l = 0; l < k; l++) {
            if (entries[k].gone || entries[l].gone || !kti_chains_conflict(entries, l, k))
                continue;
            const int i = entries[l].place, j = entries[k].place;
            direct[i < j ? j * count + i : i * count + j] = true;
        }
}

/* What operation j waits for: the last first, since what that is behind needs no mention. behind[i * count + k] marks that
 * operation i comes after operation k; row j is filled. */
static void find_waits(kti_operation *o, int j, const bool *direct, bool *behind, int count)
{
    bool *own = &behind[j * count];
    o->waits = 0;
    for (int i = j - 1; i >= 0; i--) {
        if (own[i] || !direct[j * count + i])
            continue;
        if (o->waits == KTI_WAITS_MAX) { /* too many to tell */
            o->waits = 0;
            break;
        }
        o->back[o->waits++] = j - i;
        own[i] = true;
        for (int k = 0; k < i; k++)
            own[k] = own[k] || behind[i * count + k];
    }
    if (o->waits == 0) /* for all */
        memset(own, true, (size_t)j * sizeof *own);
}

int kti_tell_waits(const kti_entry *entries, int size, kti_operation *list, int count)
{
    const size_t pairs = (size_t)count * (size_t)count;
    bool *direct = kti_allocate(pairs, sizeof *direct), *behind = kti_allocate(pairs, sizeof *behind);
    const int failed = !direct || !behind;
    if (!failed)
        find_direct(entries, size, direct, count);
    for (int j = 0; j < count && !failed; j++)
        find_waits(&list[j], j, direct, behind, count);
    free(direct);
    free(behind);
    return failed ? -1 : 0;
}
