/* Several operations on the same rows in one launch, for devices with many threads: a batch has few rows, so that each of these
 * operations takes less time than its launch (the CPU runs the kernels that they stand for one after the other).
 *
 *     graph_chain   link[0], then link[1], ... of graph g, which may also read and write the rows of g's own nodes and edges
 *     node_chain    the same of rows of nodes, of which each link reads its own row alone, or what no link of the chain makes
 *     edge_chain    the same of rows of edges
 *
 * F folds. Deterministic, with the bits of the kernels that the links stand for: the sum of a product is that of kernels/product.h. The
 * weights of the next product are on their way from memory while the present link is computed.
 * Moves what the links do, weights once for each block.
 * Launch: blocks of 32 x KT_CHAIN_WARPS, any grid.
 */
#include <assert.h>
#include <stddef.h>

#include "kernels/attention.h"
#include "kernels/layer.h"
#include "kernels/product.h"
#include "kernels/rows.h"

#ifdef KT_MANY_THREADS

enum {
    CHAIN_LANES = 2, /* threads that share an element of a product, two of its four sums each */
    CHAIN_OWN = KT_CHAIN_EDGES / 2,       /* rows of which a thread computes a share, at most, */
    CHAIN_LAST = CHAIN_OWN / CHAIN_LANES, /* and of which it does the epilogue */
    CHAIN_LOADS = TERMS * KT_CHAIN_WIDEST / 4 / KT_CHAIN_THREADS,
    CHAIN_LINE = TERMS + 8, /* of a column's terms, */
    CHAIN_PAD = 4           /* and more columns of a term, so that neighbours and lanes lie in other banks */
};

/* How a block shares its rows among its threads: CHAIN_LANES of them have `own` rows of one column out of `width`. A constant where
 * the functions below are called. */
typedef struct sharing {
    int width, own;
} sharing;

KT_INLINE int shared_rows(const sharing s)
{
    return KT_CHAIN_THREADS / CHAIN_LANES / s.width * s.own;
}

KT_INLINE int chain_lane(void)
{
    return block_thread() % CHAIN_LANES;
}

KT_INLINE int chain_column(const sharing s)
{
    return block_thread() / CHAIN_LANES % s.width;
}

/* The first of the thread's rows, counted from the block's first one. */
KT_INLINE int chain_line(const sharing s)
{
    return block_thread() / CHAIN_LANES / s.width * s.own;
}

/* Number i of the rows that a lane has to itself, every CHAIN_LANES-th one; `own` or more: there is none. */
KT_INLINE int chain_last(int i)
{
    return i * CHAIN_LANES + chain_lane();
}

/* What a thread has of a product's weights on the way from memory to the block's shared tile, TERMS terms of all columns. */
typedef struct chain_weights {
    kt_real4 load[CHAIN_LOADS];
} chain_weights;

/* Where a block is. */
typedef struct chain_place {
    const kt_chain *chain;
    int link, fold;
    int first, rows; /* its first row; how many the batch has */
    /* What the link before has made, if it was a product; its rows are in number `turn` of chain_rows too, up to `columns`. */
    const kt_real *made;
    int columns, turn;
} chain_place;

/* The block's rows as a product makes them and the next one needs them: [turn][rows][width]. */
KT_INLINE kt_real *chain_rows(int turn)
{
    KT_SHARED kt_real rows[2][KT_CHAIN_EDGES * KT_CHAIN_WIDTH] __attribute__((aligned(16)));
    return rows[turn];
}

static_assert(offsetof(kt_link, of.layer_forward.product) == offsetof(kt_link, of.layer_backward.product),
              "both kinds of link begin with their product");

KT_INLINE int link_multiplies(const kt_link *link)
{
    return link->kind == KT_LINK_LAYER_FORWARD || link->kind == KT_LINK_LAYER_BACKWARD;
}

/* The terms from `first` on. Both kinds of product in one form, so that no load waits for the one before it: b has lines of terms
 * forward, of columns else. */
KT_INLINE void load_weights(const sharing s, const kt_gemm *a, int fold, int first, chain_weights *weights)
{
    const int forward = a->product == KT_FORWARD, loads = forward ? TERMS / 4 : s.width / 4; /* a line */
    const int line = block_thread() / loads, along = block_thread() % loads * 4,
              step = KT_CHAIN_THREADS / loads;
    const int lines = forward ? a->n : a->k - first, columns = forward ? a->k - first : a->n;
    const kt_real *from = kt_rows(a->b, fold) + (int64_t)(line + (forward ? 0 : first)) * a->b.stride +
                          (along + (forward ? first : 0));
    const int64_t stride = (int64_t)step * a->b.stride;
    const kt_real4 zero = {{0, 0, 0, 0}};
    for (int i = 0; i < TERMS * s.width / 4 / KT_CHAIN_THREADS; i++)
        weights->load[i] = along < columns && line + i * step < lines ? load4(from + i * stride) : zero;
}

/* Of the first product from link i on. Whichever kind the link is, its product lies in the same place: a pointer that were chosen between
 * two, or could be NULL, would make of each parameter that is read through it a generic load, and not one from the constant bank. */
KT_INLINE void load_next_weights(const sharing s, const kt_chain *a, int i, int fold, chain_weights *weights)
{
    while (i < a->size && !link_multiplies(&a->link[i]))
        i++;
    if (i < a->size)
        load_weights(s, &a->link[i].of.layer_forward.product, fold, 0, weights);
}

/* Where the weights lie in shared memory: [column][CHAIN_LINE] forward, else [term][width + CHAIN_PAD]. */
KT_INLINE void place_weights(const sharing s, const int forward, const chain_weights *weights, kt_real *y)
{
    const int loads = forward ? TERMS / 4 : s.width / 4, stride = forward ? CHAIN_LINE : s.width + CHAIN_PAD;
    kt_real *to = y + block_thread() / loads * stride + block_thread() % loads * 4;
    const int step = KT_CHAIN_THREADS / loads * stride;
    for (int i = 0; i < TERMS * s.width / 4 / KT_CHAIN_THREADS; i++)
        *(kt_real4 *)(to + i * step) = weights->load[i];
}

/* ROW_STEP terms of a thread's rows and its column, from x and y on, where the lane's first ones are: the lane's two fours. */
KT_INLINE void add_terms(const sharing s, const int forward, const kt_real *x, const kt_real *y,
                         kt_real sum[CHAIN_OWN][2])
{
    for (int half = 0; half < 2; half++) {
        const int u = half * 4 * CHAIN_LANES;
        kt_real4 weight;
        if (forward)
            weight = load4(y + u);
        else
            for (int e = 0; e < 4; e++)
                weight.v[e] = y[(u + e) * (s.width + CHAIN_PAD)];
        for (int r = 0; r < s.own; r++) {
            const kt_real4 feature = load4(x + r * s.width + u);
            for (int e = 0; e < 4; e++)
                sum[r][half] += feature.v[e] * weight.v[e];
        }
    }
}

/* The thread's column of a product, of the rows that it has to itself. `weights` has the first terms, and then those of the chain's
 * next product. Up to the next multiple of ROW_STEP terms zeros stand for what is missing. All threads of the block must call. */
KT_INLINE void multiply_link(const sharing s, const chain_place *at, const kt_gemm *a, chain_weights *weights,
                             kt_real product[CHAIN_LAST])
{
    KT_SHARED kt_real y[KT_CHAIN_WIDEST * CHAIN_LINE] __attribute__((aligned(16)));
    const int forward = a->product == KT_FORWARD, thread = block_thread(), column = chain_column(s),
              known = a->a.data == at->made && a->k <= at->columns;
    kt_real *x = chain_rows(known ? at->turn : 1 - at->turn);
    kt_real sum[CHAIN_OWN][2] = {{0}};
    for (int first = 0; first < a->k; first += TERMS) {
        if (!known && thread < shared_rows(s) * TERMS / 4)
            *(kt_real4 *)(x + thread / (TERMS / 4) * s.width + thread % (TERMS / 4) * 4) =
                load4_within(kt_rows(a->a, at->fold), a->a.stride, at->first + thread / (TERMS / 4), at->rows,
                             first + thread % (TERMS / 4) * 4, a->k);
        place_weights(s, forward, weights, y);
        __syncthreads(); /* rows and weights are complete */
        const int left = a->k - first < TERMS ? a->k - first : TERMS;
        const kt_real *own = x + chain_line(s) * s.width + (known ? first : 0) + 4 * chain_lane();
        if (first + TERMS < a->k)
            load_weights(s, a, at->fold, first + TERMS, weights);
        else
            load_next_weights(s, at->chain, at->link + 1, at->fold, weights);
        if (forward)
            for (int u = 0; u < left; u += ROW_STEP)
                add_terms(s, 1, own + u, y + column * CHAIN_LINE + 4 * chain_lane() + u, sum);
        else
            for (int u = 0; u < left; u += ROW_STEP)
                add_terms(s, 0, own + u, y + (4 * chain_lane() + u) * (s.width + CHAIN_PAD) + column, sum);
        if (first + TERMS < a->k)
            __syncthreads(); /* they are used before the next ones overwrite them */
    }
    for (int r = 0; r < s.own; r++) { /* the same bits in both lanes, and as sum_of_four */
        const kt_real two = sum[r][0] + sum[r][1], all = two + kt_shuffle_xor(two, 1);
        if (r % CHAIN_LANES == chain_lane())
            product[r / CHAIN_LANES] = all;
    }
}

KT_INLINE int padded(int columns)
{
    return (columns + 15) / 16 * 16;
}

/* After a product, which has read the rows of one turn and leaves its own in the other. */
KT_INLINE void turn_over(chain_place *at, const kt_gemm *product, const kt_real *made)
{
    const int known = product->a.data == at->made && product->k <= at->columns;
    at->turn = known ? 1 - at->turn : at->turn;
    at->made = made;
    at->columns = product->n;
}

/* Keeps an element for the next product. Its rows are in the other turn than those that are being read. */
KT_INLINE void keep_element(const sharing s, int turn, int i, kt_real value)
{
    chain_rows(turn)[(chain_line(s) + chain_last(i)) * s.width + chain_column(s)] = value;
}

/* Beyond a layer's columns its padding is given zeros. */
KT_INLINE void chain_layer(const sharing s, chain_place *at, const kt_layer_forward *a,
                           chain_weights *weights)
{
    const kt_matrix c = a->product.c;
    const int column = chain_column(s), within = column < a->rest.channels;
    kt_real product[CHAIN_LAST] = {0}, held[CHAIN_LAST];
    layer_addends addends[CHAIN_LAST];
    for (int i = 0; i * CHAIN_LANES < s.own; i++) {
        const layer_addends none = {0, {0}};
        const int row = at->first + chain_line(s) + chain_last(i),
                  there = chain_last(i) < s.own && row < at->rows && within;
        held[i] = there && a->product.accumulate ? kt_rows(c, at->fold)[(int64_t)row * c.stride + column] : 0;
        addends[i] = there ? layer_load(&a->rest, at->fold, row, column) : none;
    }
    multiply_link(s, at, &a->product, weights, product);
    turn_over(at, &a->product, c.data);
    for (int i = 0; i * CHAIN_LANES < s.own; i++) {
        const int row = at->first + chain_line(s) + chain_last(i);
        const kt_real sum = a->product.accumulate ? held[i] + product[i] : product[i];
        if (chain_last(i) < s.own && row < at->rows && column < padded(a->product.n)) {
            const kt_real value = within ? layer_value(&a->rest, &addends[i], sum) : 0;
            kt_rows(c, at->fold)[(int64_t)row * c.stride + column] = value;
            keep_element(s, at->turn, i, value);
        }
    }
}

KT_INLINE void chain_back(const sharing s, chain_place *at, const kt_layer_backward *a,
                          chain_weights *weights)
{
    const int column = chain_column(s), within = column < padded(a->product.n);
    kt_real product[CHAIN_LAST] = {0};
    back_operands operands[CHAIN_LAST];
    for (int i = 0; i * CHAIN_LANES < s.own; i++) {
        const back_operands none = {0, 0};
        const int row = at->first + chain_line(s) + chain_last(i);
        operands[i] =
            chain_last(i) < s.own && row < at->rows && within ? load_back(a, at->fold, row, column) : none;
    }
    multiply_link(s, at, &a->product, weights, product);
    turn_over(at, &a->product, a->out.data ? a->product_gradient.data : a->product.c.data);
    for (int i = 0; i * CHAIN_LANES < s.own; i++) {
        const int row = at->first + chain_line(s) + chain_last(i);
        if (chain_last(i) < s.own && row < at->rows && within) {
            const kt_real value = store_back(a, at->fold, row, column, operands[i], product[i]);
            keep_element(s, at->turn, i, column < a->product.n ? value : 0);
        }
    }
}

/* run_link has done it. */
KT_INLINE void leave_to_block(const void *link)
{
    (void)link;
}

/* Links whose rows are a warp's each. */
KT_INLINE void run_row(const kt_link *link, int fold, int row)
{
    switch (link->kind) {
#define LINK_IF(condition) KT_KEEP
#define NO_LINK KT_DROP
#define BY_BLOCK leave_to_block(a)
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, chained, by_row)                       \
    chained(case KT_LINK_##NAME                                                                              \
            : {                                                                                              \
                const type *a = &link->of.member;                                                            \
                by_row;                                                                                      \
                break;                                                                                       \
            })
#include "kernels/operations.inc"
    }
}

/* All threads of the block must call. `graphs`, a constant: the rows are graphs. */
KT_INLINE void run_link(const sharing s, const int graphs, chain_place *at, chain_weights *weights)
{
    const kt_link *link = &at->chain->link[at->link];
    if (link->kind == KT_LINK_LAYER_FORWARD) {
        chain_layer(s, at, &link->of.layer_forward, weights);
        return;
    }
    if (link->kind == KT_LINK_LAYER_BACKWARD) {
        chain_back(s, at, &link->of.layer_backward, weights);
        return;
    }
    at->made = 0; /* it may be overwritten */
    if (graphs && link->kind == KT_LINK_ATTENTION_FORWARD)
        attention_forward_graph(&link->of.attention_forward, at->fold, at->first);
    else if (graphs && link->kind == KT_LINK_SEGMENT_SUM)
        segment_sum_graph(&link->of.segment_sum, at->fold, at->first);
    else if (graphs && link->kind == KT_LINK_ATTENTION_BACKWARD)
        attention_backward_graph(&link->of.attention_backward, at->fold, at->first);
    else
        for (int r = threadIdx.y; r < shared_rows(s) && at->first + r < at->rows; r += KT_CHAIN_WARPS)
            run_row(link, at->fold, at->first + r);
}

KT_INLINE void run_chain(const sharing s, const int graphs, const kt_chain *a, int fold)
{
    const int rows = kt_number(a->rows, fold), step = (int)gridDim.x * shared_rows(s);
    chain_place at = {a, 0, fold, (int)blockIdx.x * shared_rows(s), rows, 0, 0, 0};
    chain_weights weights;
    load_next_weights(s, a, 0, fold, &weights);
    for (; at.first < rows; at.first += step) {
        at.made = 0;
        for (at.link = 0; at.link < a->size; at.link++) {
            run_link(s, graphs, &at, &weights);
            __syncthreads(); /* what it made is there for the next one */
        }
        if (at.first + step < rows)
            load_next_weights(s, a, 0, fold, &weights);
    }
}

KT_KERNEL(graph_chain, kt_chain)
{
    const sharing s = {KT_CHAIN_WIDEST, KT_CHAIN_GRAPHS};
    run_chain(s, 1, &a, KT_FOLD);
}

KT_KERNEL(node_chain, kt_chain)
{
    const sharing s = {KT_CHAIN_WIDTH, KT_CHAIN_NODES / 2};
    run_chain(s, 0, &a, KT_FOLD);
}

KT_KERNEL(edge_chain, kt_chain)
{
    const sharing s = {KT_CHAIN_WIDTH, KT_CHAIN_EDGES / 2};
    run_chain(s, 0, &a, KT_FOLD);
}

#endif
