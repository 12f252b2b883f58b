/* Operations are sorted by level: one more than the greatest level of what an operation waits for. So those of one level
 * don't wait for each other. What waits for what is read from the matrices: two operations that touch the same columns of
 * the same piece of the workspace, one of them to write, keep their order. Gradients by parameters are left out of
 * that: each is written once, and nothing in a list reads them; neither is anything outside the workspace ever written.
 *
 * A chain takes an operation behind the ones that it needs if everything else that it needs has a lower level than the chain's
 * first link. What a link reads of rows other than its own is of another kind of rows, which no chain of its kind makes; of graphs, it
 * is their own. */
#include "train/fuse.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/launch.h"

enum { USES_MOST = 8 };

/* Columns of a piece. */
typedef struct use {
    int piece, first, end;
    bool writes;
} use;

typedef struct node {
    kti_operation operation;
    use use[USES_MOST];
    int uses;
    bool anything;  /* touches who knows what */
    bool gone;      /* became part of another one */
    int next;       /* of its chain, 0: none */
    int head, size; /* the first one of its chain, itself where there is none; that one's number of links */
    int level;      /* from 1 */
    int place;      /* in the new list */
} node;

/* ---- what an operation touches ---- */

static void touch(node *n, const kti_pieces *pieces, kt_matrix m, int columns, bool writes)
{
    const char *data = (const char *)m.data;
    if (!data || pieces->size == 0 || data < pieces->start[0] || data >= pieces->end)
        return;
    int low = 0, high = (int)pieces->size - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (pieces->start[middle] <= data)
            low = middle;
        else
            high = middle - 1;
    }
    const int first = (int)((data - pieces->start[low]) / (ptrdiff_t)sizeof(kt_real) % m.stride);
    n->use[n->uses++] = (use){low, first, first + columns, writes};
}

static void touch_product(node *n, const kti_pieces *pieces, const kt_gemm *a)
{
    touch(n, pieces, a->a, a->product == KT_WEIGHT_GRADIENT ? a->m : a->k, false);
    if (a->product == KT_WEIGHT_GRADIENT)
        touch(n, pieces, a->b, a->n, false);
    else
        touch(n, pieces, a->c, (a->n + 15) / 16 * 16, true);
}

/* Of what pick_types makes for the gradient by the embedding: where it begins stands for all. */
static void touch_types(node *n, const kti_pieces *pieces, const int32_t *type_start, bool writes)
{
    touch(n, pieces, (kt_matrix){(kt_real *)type_start, 0, INT32_MAX}, 1, writes);
}

static void find_uses(node *n, const kti_pieces *pieces)
{
    switch (n->operation.kind) {
#define READS(matrix, columns) touch(n, pieces, matrix, columns, false);
#define WRITES(matrix, columns) touch(n, pieces, matrix, columns, true);
#define PRODUCT(gemm) touch_product(n, pieces, &(gemm));
#define READS_TYPES(type_start) touch_types(n, pieces, type_start, false);
#define WRITES_TYPES(type_start) touch_types(n, pieces, type_start, true);
#define ANYTHING n->anything = true;
#define OPERATION(NAME, member, type, kernels, cpu, rows, touched, cost, link, by_row)                       \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &n->operation.arguments.member;                                                      \
        (void)a;                                                                                             \
        touched break;                                                                                       \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
}

static bool overlap(const use *a, const use *b)
{
    return a->piece == b->piece && a->first < b->end && b->first < a->end;
}

/* Whether the two, by themselves, must keep their order. */
static bool conflict(const node *a, const node *b)
{
    if (a->anything || b->anything)
        return true;
    for (int i = 0; i < a->uses; i++)
        for (int j = 0; j < b->uses; j++)
            if ((a->use[i].writes || b->use[j].writes) && overlap(&a->use[i], &b->use[j]))
                return true;
    return false;
}

/* ---- a layer's backward ---- */

static bool is_product(const node *n, kt_product product)
{
    return !n->gone && n->operation.kind == KTI_OP_GEMM && n->operation.arguments.gemm.product == product;
}

/* The weight gradient that reads what linear_backward `k` has written, unchanged; NULL: none. */
static node *find_weight_gradient(node *list, int size, int k)
{
    const kt_linear_backward *a = &list[k].operation.arguments.linear_backward;
    for (int i = k + 1; i < size; i++) {
        const kt_gemm *g = &list[i].operation.arguments.gemm;
        if (is_product(&list[i], KT_WEIGHT_GRADIENT) && g->a.data == a->product_gradient.data &&
            g->m == a->channels)
            return &list[i];
        for (int u = 0; u < list[i].uses; u++)
            if (list[i].use[u].writes && overlap(&list[i].use[u], &list[k].use[list[k].uses - 1]))
                return NULL;
    }
    return NULL;
}

static void give_bias(node *weights, kt_matrix bias_gradient)
{
    const kt_gemm gradient = weights->operation.arguments.gemm;
    weights->operation.kind = KTI_OP_LAYER_BACKWARD;
    weights->operation.arguments.layer_backward =
        (kt_layer_backward){.product = gradient, .bias_gradient = bias_gradient};
}

/* A linear_backward that became part of nothing need not sum over rows either. */
static void part_with_bias(node *list, int size, int i)
{
    kt_linear_backward *a = &list[i].operation.arguments.linear_backward;
    node *weights = find_weight_gradient(list, size, i);
    if (!weights)
        return;
    give_bias(weights, a->bias_gradient);
    a->bias_gradient.data = NULL;
}

/* Input gradient i and the linear_backward that is the next to touch it become one, if it can move up that far. */
static void join_backward(node *list, int size, int i, const kti_pieces *pieces)
{
    const kt_gemm product = list[i].operation.arguments.gemm;
    const use *c = &list[i].use[list[i].uses - 1];
    int k = i + 1;
    for (bool found = false; k < size; k++) {
        for (int u = 0; u < list[k].uses && !list[k].gone && !found; u++)
            found = overlap(&list[k].use[u], c);
        if (found || list[k].anything)
            break;
    }
    if (k == size || list[k].operation.kind != KTI_OP_LINEAR_BACKWARD)
        return;
    const kt_linear_backward rest = list[k].operation.arguments.linear_backward;
    if (rest.gradient.data != product.c.data || rest.channels != product.n)
        return;
    for (int between = i + 1; between < k; between++)
        if (!list[between].gone && conflict(&list[between], &list[k]))
            return;
    node *weights = find_weight_gradient(list, size, k);
    if (!weights)
        return;
    give_bias(weights, rest.bias_gradient);
    list[i].operation.kind = KTI_OP_LAYER_BACKWARD;
    list[i].operation.arguments.layer_backward =
        (kt_layer_backward){.product = product,
                            .out = rest.out,
                            .product_gradient = rest.product_gradient,
                            .activation = rest.activation};
    list[i].uses = 0;
    find_uses(&list[i], pieces);
    list[k].gone = true;
}

/* ---- levels ---- */

/* Groups that an operation may be part of. */
typedef enum group { GROUP_NONE, GROUP_LAYERS, GROUP_PRODUCTS, GROUPS } group;

static group group_of(const node *n)
{
    const kti_operation *o = &n->operation;
    if (n->size > 1)
        return GROUP_NONE;
    if (o->kind == KTI_OP_LAYER_FORWARD &&
        kt_layer_kernel(&o->arguments.layer_forward) == KT_ID_layer_forward)
        return GROUP_LAYERS;
    if (o->kind == KTI_OP_GEMM && kt_gemm_kernel(&o->arguments.gemm) == KT_ID_gemm)
        return GROUP_PRODUCTS;
    if (o->kind == KTI_OP_LAYER_BACKWARD &&
        kt_gemm_kernel(&o->arguments.layer_backward.product) == KT_ID_gemm)
        return GROUP_PRODUCTS;
    return GROUP_NONE;
}

static bool is_weight_gradient(const node *n)
{
    return is_product(n, KT_WEIGHT_GRADIENT) ||
           (n->operation.kind == KTI_OP_LAYER_BACKWARD &&
            n->operation.arguments.layer_backward.product.product == KT_WEIGHT_GRADIENT);
}

/* The same with all links of their chains. */
static bool chains_conflict(const node *list, int a, int b)
{
    for (int i = a;; i = list[i].next) {
        for (int j = b;; j = list[j].next) {
            if (conflict(&list[i], &list[j]))
                return true;
            if (list[j].next == 0)
                break;
        }
        if (list[i].next == 0)
            return false;
    }
}

/* How far down operation i may move. */
static int latest_level(const node *list, int size, int i, int last)
{
    int latest = last;
    for (int k = i + 1; k < size; k++)
        if (!list[k].gone && list[k].level <= latest && chains_conflict(list, i, k))
            latest = list[k].level - 1;
    return latest;
}

/* Each as early as it can be. Returns the last level. */
static int find_levels(node *list, int size)
{
    int last = 0;
    for (int i = 0; i < size; i++) {
        list[i].level = 1;
        for (int k = 0; k < i; k++)
            if (!list[i].gone && !list[k].gone && list[k].level >= list[i].level &&
                chains_conflict(list, k, i))
                list[i].level = list[k].level + 1;
        if (!list[i].gone && list[i].level > last)
            last = list[i].level;
    }
    return last;
}

/* Weight gradients later, since only the end of the list waits for them: those of some levels together, but not all at that end. */
static void delay_weight_gradients(node *list, int size, int last, int levels)
{
    for (int i = 0; i < size; i++) {
        if (list[i].gone || !is_weight_gradient(&list[i]))
            continue;
        const int latest = latest_level(list, size, i, last),
                  wanted = (list[i].level + levels - 1) / levels * levels;
        list[i].level = wanted < latest ? wanted : latest;
    }
}

static int count_at(const node *list, int size, group kind, int level)
{
    int count = 0;
    for (int i = 0; i < size; i++)
        count += !list[i].gone && list[i].level == level && group_of(&list[i]) == kind;
    return count;
}

/* What is alone of its kind in its level joins others in a later one, where it can wait that long. */
static void find_company(node *list, int size, int last)
{
    for (int i = size - 1; i >= 0; i--) {
        const group kind = group_of(&list[i]);
        if (list[i].gone || kind == GROUP_NONE || count_at(list, size, kind, list[i].level) > 1)
            continue;
        const int latest = latest_level(list, size, i, last);
        for (int level = list[i].level + 1; level <= latest; level++)
            if (count_at(list, size, kind, level) > 0) {
                list[i].level = level;
                break;
            }
    }
}

/* ---- chains ---- */

static kt_layer_backward as_part(const kti_operation *o)
{
    if (o->kind == KTI_OP_GEMM)
        return (kt_layer_backward){.product = o->arguments.gemm};
    return o->arguments.layer_backward;
}

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
        made.arguments.layer_backward = as_part(o);
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
static void find_latest(const node *list, int size, int last, int *latest)
{
    for (int i = size - 1; i >= 0; i--) {
        latest[i] = last;
        for (int k = i + 1; k < size; k++)
            if (latest[k] <= latest[i] && conflict(&list[i], &list[k]))
                latest[i] = latest[k] - 1;
    }
}

/* Whether something outside the chain waits for one of its links at once, and the whole list for that: it should not wait for operation
 * `but` as well. */
static bool is_awaited(const node *list, int size, int head, int but, const int *latest)
{
    for (int i = head;; i = list[i].next) {
        for (int k = i + 1; k < size && list[k].level <= list[i].level + 1; k++)
            if (k != but && list[k].head != head && !is_weight_gradient(&list[k]) &&
                list[k].level == list[i].level + 1 && latest[k] == list[k].level &&
                conflict(&list[i], &list[k]))
                return true;
        if (list[i].next == 0)
            return false;
    }
}

/* Of which chain operation i can be the next link: one that makes something of what it needs, where all else that it needs is there
 * before that chain begins. Then the chain waits for no more than before, and no two chains for each other. -1: none. */
static int find_chain(const node *list, int size, int i, const int *latest)
{
    kt_count rows, others;
    int head = -1;
    if (!is_link(&list[i].operation, &rows))
        return -1;
    for (int k = 0; k < i; k++)
        if (conflict(&list[k], &list[i]) && (head < 0 || list[list[k].head].level > list[head].level))
            head = list[k].head;
    if (head < 0 || list[head].size == KT_CHAIN_LINKS || !is_link(&list[head].operation, &others) ||
        others.kind != rows.kind)
        return -1;
    for (int k = 0; k < i; k++)
        if (list[k].head != head && list[k].level >= list[head].level && conflict(&list[k], &list[i]))
            return -1;
    return is_awaited(list, size, head, i, latest) ? -1 : head;
}

static int by_level(const void *left, const void *right)
{
    const node *l = left, *r = right;
    if (l->gone != r->gone)
        return l->gone - r->gone;
    return l->level != r->level ? l->level - r->level : l->place - r->place;
}

/* The list is sorted by level first, so that everything that a chain waits for stands before it, and what is gone behind all. Links but the
 * first are gone afterwards. -1 if memory is short. */
static int make_chains(node *list, int size, int last)
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

/* ---- the list again ---- */

static void write_chain(const node *list, int head, kti_operation *to)
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

/* The operations of a level that may be in a group of that kind, as few operations, behind the first `written` of the new
 * list. */
static int write_groups(node *list, int size, int level, group kind, kti_operation *to, int written)
{
    int room = 0;
    for (int i = 0; i < size; i++) {
        const kti_operation *o = &list[i].operation;
        if (list[i].gone || list[i].level != level || group_of(&list[i]) != kind)
            continue;
        if (kind == GROUP_NONE || room == 0) {
            list[i].place = written;
            if (list[i].size > 1)
                write_chain(list, i, &to[written++]);
            else
                to[written++] = *o;
            room = kind == GROUP_LAYERS ? KT_LAYER_GROUP - 1 : KT_GEMM_GROUP - 1;
            continue;
        }
        kti_operation *into = &to[written - 1];
        list[i].place = written - 1;
        room--;
        if (kind == GROUP_LAYERS) {
            if (into->kind != KTI_OP_LAYER_GROUP) {
                const kt_layer_forward first = into->arguments.layer_forward;
                into->kind = KTI_OP_LAYER_GROUP;
                into->arguments.layer_group = (kt_layer_group){.size = 1, .layer = {first}};
            }
            kt_layer_group *layers = &into->arguments.layer_group;
            layers->layer[layers->size++] = o->arguments.layer_forward;
        } else {
            if (into->kind != KTI_OP_GEMM_GROUP) {
                const kt_layer_backward first = as_part(into);
                into->kind = KTI_OP_GEMM_GROUP;
                into->arguments.gemm_group = (kt_gemm_group){.size = 1, .part = {first}};
            }
            kt_gemm_group *products = &into->arguments.gemm_group;
            products->part[products->size++] = as_part(o);
        }
    }
    return written;
}

/* ---- who waits for whom in the new list ---- */

/* Marks in direct[j * count + i] that operation j of the new list must stay behind operation i. */
static void find_direct(const node *nodes, int size, bool *direct, int count)
{
    for (int k = 0; k < size; k++)
        for (int l = 0; l < k; l++) {
            if (nodes[k].gone || nodes[l].gone || !chains_conflict(nodes, l, k))
                continue;
            const int i = nodes[l].place, j = nodes[k].place;
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
        if (o->waits == KTI_WAITS_MOST) { /* too many to tell */
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

static int tell_waits(const node *nodes, int size, kti_operation *list, int count)
{
    const size_t pairs = (size_t)count * (size_t)count;
    bool *direct = kti_allocate(pairs, sizeof *direct), *behind = kti_allocate(pairs, sizeof *behind);
    const int failed = !direct || !behind;
    if (!failed)
        find_direct(nodes, size, direct, count);
    for (int j = 0; j < count && !failed; j++)
        find_waits(&list[j], j, direct, behind, count);
    free(direct);
    free(behind);
    return failed ? -1 : 0;
}

int kti_fuse(kti_operation *list, int size, const kti_pieces *pieces, bool chains)
{
    if (size == 0)
        return 0;
    node *nodes = kti_allocate((size_t)size, sizeof *nodes);
    if (!nodes)
        return -1;
    for (int i = 0; i < size; i++) {
        nodes[i].operation = list[i];
        find_uses(&nodes[i], pieces);
    }
    for (int i = 0; i < size; i++)
        if (is_product(&nodes[i], KT_INPUT_GRADIENT))
            join_backward(nodes, size, i, pieces);
    for (int i = 0; i < size; i++)
        if (!nodes[i].gone && nodes[i].operation.kind == KTI_OP_LINEAR_BACKWARD)
            part_with_bias(nodes, size, i);
    int last = find_levels(nodes, size);
    if (chains) {
        if (make_chains(nodes, size, last) != 0) {
            free(nodes);
            return -1;
        }
        last = find_levels(nodes, size);
    }
    delay_weight_gradients(nodes, size, last, chains ? 5 : 20);
    find_company(nodes, size, last);
    int written = 0;
    for (int level = 1; level <= last; level++)
        for (int kind = 0; kind < GROUPS; kind++)
            written = write_groups(nodes, size, level, (group)kind, list, written);
    const int failed = tell_waits(nodes, size, list, written);
    free(nodes);
    return failed ? -1 : written;
}
