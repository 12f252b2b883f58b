/* A list is rewritten in this order: products of the backward pass take in what follows them (backward_joins.h); operations get
 * levels (levels.h); chains are made (chains.h); and what is left in a level becomes groups, here. */
#include "train/fuse.h"

#include <stdlib.h>

#include "base/memory.h"
#include "train/backward_joins.h"
#include "train/chains.h"
#include "train/levels.h"

/* How many levels of weight gradients come together. */
enum { LEVELS_TOGETHER = 20, LEVELS_TOGETHER_WITH_CHAINS = 5 };

static void add_layer(kti_operation *into, const kti_operation *layer)
{
    if (into->kind != KTI_OP_LAYER_GROUP) {
        const kt_layer_forward first = into->arguments.layer_forward;
        into->kind = KTI_OP_LAYER_GROUP;
        into->arguments.layer_group = (kt_layer_group){.size = 1, .layer = {first}};
    }
    kt_layer_group *layers = &into->arguments.layer_group;
    layers->layer[layers->size++] = layer->arguments.layer_forward;
}

static void add_product(kti_operation *into, const kti_operation *product)
{
    if (into->kind != KTI_OP_GEMM_GROUP) {
        const kt_layer_backward first = kti_backward_of(into);
        into->kind = KTI_OP_GEMM_GROUP;
        into->arguments.gemm_group = (kt_gemm_group){.size = 1, .part = {first}};
    }
    kt_gemm_group *products = &into->arguments.gemm_group;
    products->part[products->size++] = kti_backward_of(product);
}

static void write_alone(const kti_entry *list, int i, kti_operation *to)
{
    if (list[i].size > 1)
        kti_write_chain(list, i, to);
    else
        *to = list[i].operation;
}

/* The operations of a level that may be in a group of that kind, as few operations, behind the first `written` of the new list. Returns
 * how many it has then. */
static int write_groups(kti_entry *list, int size, int level, kti_group kind, kti_operation *to, int written)
{
    const int max = kind == KTI_GROUP_OF_LAYERS ? KT_LAYER_GROUP : kind == KTI_NO_GROUP ? 1 : KT_GEMM_GROUP;
    int room = 0;
    for (int i = 0; i < size; i++) {
        if (list[i].gone || list[i].level != level || kti_group_of(&list[i]) != kind)
            continue;
        if (room == 0) {
            write_alone(list, i, &to[written++]);
            room = max;
        } else if (kind == KTI_GROUP_OF_LAYERS) {
            add_layer(&to[written - 1], &list[i].operation);
        } else {
            add_product(&to[written - 1], &list[i].operation);
        }
        list[i].place = written - 1;
        room--;
    }
    return written;
}

static int write_list(kti_entry *entries, int size, int last, kti_operation *list)
{
    int written = 0;
    for (int level = 1; level <= last; level++)
        for (int kind = 0; kind < KTI_GROUPS; kind++)
            written = write_groups(entries, size, level, (kti_group)kind, list, written);
    return written;
}

/* -1 if memory is short. */
static int rewrite(kti_entry *entries, int size, kti_operation *list, const kti_pieces *pieces, bool chains)
{
    kti_join_backward(entries, size, pieces);
    int last = kti_find_levels(entries, size);
    if (chains) {
        if (kti_make_chains(entries, size, last) != 0)
            return -1;
        last = kti_find_levels(entries, size);
    }
    kti_delay_weight_gradients(entries, size, last, chains ? LEVELS_TOGETHER_WITH_CHAINS : LEVELS_TOGETHER);
    kti_find_company(entries, size, last);
    const int written = write_list(entries, size, last, list);
    return kti_tell_waits(entries, size, list, written) == 0 ? written : -1;
}

int kti_fuse(kti_operation *list, int size, const kti_pieces *pieces, bool chains)
{
    if (size == 0)
        return 0;
    kti_entry *entries = kti_allocate((size_t)size, sizeof *entries);
    if (!entries)
        return -1;
    for (int i = 0; i < size; i++) {
        entries[i].operation = list[i];
        kti_find_uses(&entries[i], pieces);
    }
    const int written = rewrite(entries, size, list, pieces, chains);
    free(entries);
    return written;
}
