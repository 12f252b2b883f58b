#include "train/chains.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/launch.h"
#include "train/backward_joins.h"

/* Whether the operation, as it stands in the table, can be a link. */
static bool is_link_kind(const kti_operation *o)
{
    switch (o->kind) {
#define LINK_IF(condition) return condition;
#define NO_LINK return false;
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &o->arguments.member;                                                                \
        (void)a;                                                                                             \
        link                                                                                                 \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
    return false;
}

/* A plain product as the layer's backward that it is a part of. */
static kti_operation unplain(const kti_operation *o)
{
    kti_operation made = *o;
    if (o->kind == KTI_OP_GEMM) {
        made.kind = KTI_OP_LAYER_BACKWARD;
        made.arguments.layer_backward = kti_backward_of(o);
    }
    return made;
}

/* Whether the operation can be a link, of rows of kind *rows. */
static bool is_link(const kti_operation *o, kt_count *rows)
{
    const kti_operation link = unplain(o);
    if (!is_link_kind(&link))
        return false;
    *rows = *kti_operation_rows(&link);
    return true;
}

static kt_link as_link(const kti_operation *operation)
{
    const kti_operation o = unplain(operation);
    kt_link made;
    /* What its kind has no use for too: nothing stale goes into a kernel's argument. */
    memset(&made, 0, sizeof made);
    switch (o.kind) {
#define LINK_IF(condition) KT_KEEP
#define NO_LINK KT_DROP
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    case KTI_OP_##NAME:                                                                                      \
        link(made.kind = KT_LINK_##NAME; made.of.member = o.arguments.member;) break;
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
    return made;
}

/* For each the latest level that it may have without making the list longer. */
static void find_latest(const kti_entry *list, int size, int last, int *latest)
{
    for (int i = size - 1; i >= 0; i--) {
        latest[i] = last;
        for (int k = i + 1; k < size; k++)
            if (latest[k] <= latest[i] && kti_conflict(&list[i], &list[k]))
                latest[i] = latest[k] - 1;
    }
}

/* Whether something outside the chain waits for one of its links at once, and the whole list for that: it should not wait for operation
 * `but` as well. */
static bool is_awaited(const kti_entry *list, int size, int head, int but, const int *latest)
{
    for (int i = head;; i = list[i].next) {
        for (int k = i + 1; k < size && list[k].level <= list[i].level + 1; k++)
            if (k != but && list[k].head != head && !kti_is_weight_gradient(&list[k].operation) &&
                list[k].level == list[i].level + 1 && latest[k] == list[k].level &&
                kti_conflict(&list[i], &list[k]))
                return true;
        if (list[i].next == 0)
            return false;
    }
}

/* Of which chain operation i can be the next link: one that makes something of what it needs, where all else that it needs is there
 * before that chain begins. Then the chain waits for no more than before, and no two chains for each other. -1: none. */
static int find_chain(const kti_entry *list, int size, int i, const int *latest)
{
    kt_count rows, others;
    int head = -1;
    if (!is_link(&list[i].operation, &rows))
        return -1;
    for (int k = 0; k < i; k++)
        if (kti_conflict(&list[k], &list[i]) && (head < 0 || list[list[k].head].level > list[head].level))
            head = list[k].head;
    if (head < 0 || list[head].size == KT_CHAIN_LINKS || !is_link(&list[head].operation, &others) ||
        others.kind != rows.kind)
        return -1;
    for (int k = 0; k < i; k++)
        if (list[k].head != head && list[k].level >= list[head].level && kti_conflict(&list[k], &list[i]))
            return -1;
    return is_awaited(list, size, head, i, latest) ? -1 : head;
}

static int by_level(const void *left, const void *right)
{
    const kti_entry *l = left, *r = right;
    if (l->gone != r->gone)
        return l->gone - r->gone;
    return l->level != r->level ? l->level - r->level : l->place - r->place;
}

int kti_make_chains(kti_entry *list, int size, int last)
{
    int left = 0, *latest = kti_allocate((size_t)size, sizeof *latest);
    if (!latest)
        return -1;
    for (int i = 0; i < size; i++) {
        list[i].place = i;
        left += !list[i].gone;
    }
    qsort(list, (size_t)size, sizeof *list, by_level);
    for (int i = 0; i < size; i++) {
        list[i].head = i;
        list[i].size = 1;
    }
    find_latest(list, left, last, latest);
    for (int i = 0; i < left; i++) {
        const int head = find_chain(list, left, i, latest);
        if (head < 0)
            continue;
        int end = head;
        while (list[end].next != 0)
            end = list[end].next;
        list[end].next = i;
        list[i].head = head;
        list[head].size++;
    }
    for (int i = 0; i < left; i++)
        list[i].gone = list[i].head != i;
    free(latest);
    return 0;
}

void kti_write_chain(const kti_entry *list, int head, kti_operation *to)
{
    *to = list[head].operation; /* for its family */
    to->kind = KTI_OP_CHAIN;
    kt_chain *chain = &to->arguments.chain;
    chain->size = 0;
    is_link(&list[head].operation, &chain->rows);
    for (int i = head;; i = list[i].next) {
        chain->link[chain->size++] = as_link(&list[i].operation);
        if (list[i].next == 0)
            return;
    }
}
