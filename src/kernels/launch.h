/* How every kernel is launched: one table for the CUDA device and for the tests that run kernels thread by thread.
 *
 * A kernel's launch stands in its operation's row (kernels/operations.inc), in terms of the rules below. The grid is for one fold and
 * for the most rows that a batch may have; grid.z is the number of folds.
 */
#ifndef KT_KERNELS_LAUNCH_H
#define KT_KERNELS_LAUNCH_H

#include "kernels/arguments.h"

/* KT_ID_gemm, ...: every kernel of every operation. */
typedef enum kt_kernel_id {
#define NONE
#define KERNEL(name, type, launch) KT_ID_##name,
#define CHOICE(id, alternatives) alternatives
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) kernels
#include "kernels/operations.inc"
    KT_KERNEL_IDS
} kt_kernel_id;

/* Which block shapes give the same bits. */
typedef enum kt_block_rule {
    KT_ANY_BLOCK,
    KT_ANY_LINE,   /* blockDim.y 1 */
    KT_FIXED_BLOCK /* the launch's */
} kt_block_rule;

/* Threads a block and blocks a fold. Any number of blocks gives the same result. */
typedef struct kt_launch {
    int block_x, block_y, grid_x;
    kt_block_rule rule;
} kt_launch;

/* At least one, since a grid has a block. */
static inline int kt_ceil_divide(int64_t size, int by)
{
    if (size < 1)
        return 1;
    return (int)((size + by - 1) / by);
}

/* A thread an element: blocks of 128 threads, as wide as the rows. */
static inline kt_launch kt_launch_rows(int rows, int channels)
{
    const int width = channels <= 32 ? 32 : channels <= 64 ? 64 : 128, height = 128 / width;
    return (kt_launch){width, height, kt_ceil_divide(rows, height), KT_ANY_BLOCK};
}

static inline kt_launch kt_launch_line(int64_t size)
{
    return (kt_launch){256, 1, kt_ceil_divide(size, 256), KT_ANY_LINE};
}

static inline kt_launch kt_launch_fixed(int width, int height, int blocks)
{
    return (kt_launch){width, height, blocks, KT_FIXED_BLOCK};
}

static inline kt_launch kt_launch_block(int blocks)
{
    return kt_launch_fixed(KT_WARP, KT_WARPS, blocks);
}

/* A row, a graph or a few of them a block of KT_CHAIN_WARPS warps. */
static inline kt_launch kt_launch_warps(int blocks)
{
    return kt_launch_fixed(KT_WARP, KT_CHAIN_WARPS, blocks);
}

static inline kt_launch kt_launch_picking(const kt_pick *a)
{
    return (kt_launch){128, 1, kt_ceil_divide(a->graphs.max, 1), KT_ANY_LINE};
}

/* Threads share a column where they add it up. */
static inline kt_launch kt_launch_linear_backward(const kt_linear_backward *a)
{
    return a->bias_gradient.data ? kt_launch_block(kt_ceil_divide(a->channels, KT_WARP))
                                 : kt_launch_rows(a->rows.max, a->channels);
}

/* Large weights are read in other ways, whatever the number of rows, so that a row's bits don't depend on it. */
static inline kt_kernel_id kt_gemm_kernel(const kt_gemm *a)
{
    const int thin = a->product == KT_FORWARD && a->n <= KT_GEMM_FEW && a->k > 4 * KT_WARP;
    if (a->product == KT_WEIGHT_GRADIENT || ((int64_t)a->n * a->k <= KT_GEMM_LARGE && !thin))
        return KT_ID_gemm;
    return a->product == KT_FORWARD ? KT_ID_gemm_by_dots : KT_ID_gemm_by_columns;
}

static inline kt_kernel_id kt_layer_kernel(const kt_layer_forward *a)
{
    return kt_gemm_kernel(&a->product) == KT_ID_gemm ? KT_ID_layer_forward : KT_ID_layer_forward_by_dots;
}

static inline kt_kernel_id kt_layer_back_kernel(const kt_layer_backward *a)
{
    return kt_gemm_kernel(&a->product) == KT_ID_gemm ? KT_ID_layer_backward : KT_ID_layer_backward_by_columns;
}

static inline kt_kernel_id kt_group_kernel(const kt_gemm_group *a)
{
    for (int i = 0; i < a->size; i++)
        if (a->part[i].product.product != KT_WEIGHT_GRADIENT)
            return KT_ID_gemm_group;
    return KT_ID_weight_group;
}

static inline kt_kernel_id kt_chain_kernel(const kt_chain *a)
{
    return a->rows.kind == KT_GRAPHS  ? KT_ID_graph_chain
           : a->rows.kind == KT_NODES ? KT_ID_node_chain
                                      : KT_ID_edge_chain;
}

/* Graphs have many rows each, and are few. */
static inline kt_kernel_id kt_segment_kernel(const kt_segment_sum *a)
{
    return a->segments.kind == KT_GRAPHS ? KT_ID_segment_sum_graphs : KT_ID_segment_sum;
}

/* Whether a chain has room for the product. */
static inline int kt_is_chain_product(const kt_gemm *a)
{
    return a->product != KT_WEIGHT_GRADIENT && kt_gemm_kernel(a) == KT_ID_gemm &&
           a->n <= (a->rows.kind == KT_GRAPHS ? KT_CHAIN_WIDEST : KT_CHAIN_WIDTH);
}

static inline kt_launch kt_launch_gemm(kt_kernel_id kernel, const kt_gemm *a)
{
    const int rows = a->rows.max, columns = kt_ceil_divide(a->n, 16) * 16;
    if (kernel == KT_ID_gemm_by_dots)
        return kt_launch_block(kt_ceil_divide(rows, KT_GEMM_ROWS) * (columns / KT_GEMM_DOTS));
    if (kernel == KT_ID_gemm_by_columns)
        return kt_launch_block(kt_ceil_divide(rows, KT_GEMM_ROWS) * (columns / KT_GEMM_NARROW));
    const int down = a->product == KT_WEIGHT_GRADIENT ? kt_ceil_divide(a->m, KT_GEMM_TILE)
                                                      : kt_ceil_divide(rows, KT_GEMM_ROWS);
    return kt_launch_block(down * kt_ceil_divide(columns, KT_GEMM_TILE));
}

static inline kt_launch kt_launch_layer_group(const kt_layer_group *a)
{
    kt_launch all = kt_launch_block(0);
    for (int i = 0; i < a->size; i++)
        all.grid_x += kt_launch_gemm(KT_ID_gemm, &a->layer[i].product).grid_x;
    return all;
}

static inline kt_launch kt_launch_gemm_group(const kt_gemm_group *a)
{
    kt_launch all = kt_launch_block(0);
    for (int i = 0; i < a->size; i++)
        all.grid_x += kt_launch_gemm(KT_ID_gemm, &a->part[i].product).grid_x;
    return all;
}

/* `arguments` points to the kernel's argument. */
static inline kt_launch kt_launch_of(kt_kernel_id kernel, const void *arguments)
{
    switch (kernel) {
#define NONE
#define KERNEL(name, type, launch)                                                                           \
    case KT_ID_##name: {                                                                                     \
        const type *a = (const type *)arguments;                                                             \
        (void)a;                                                                                             \
        return launch;                                                                                       \
    }
#define CHOICE(id, alternatives) alternatives
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) kernels
#include "kernels/operations.inc"
    case KT_KERNEL_IDS: break;
    }
    return (kt_launch){0, 0, 0, KT_FIXED_BLOCK};
}

#endif
