/* How every kernel is launched: one table for the CUDA device and for the tests that run kernels thread by thread.
 *
 * C code that starts a kernel declares its host stub, which nvcc makes, with KT_KERNELS(KT_DECLARE_STUB). The grid
 * is for one fold and for the most rows that a batch may have; grid.z is the number of folds.
 */
#ifndef KT_KERNELS_LAUNCH_H
#define KT_KERNELS_LAUNCH_H

#include "kernels/arguments.h"

/* Every kernel and its argument. */
#define KT_KERNELS(X)                                                                                        \
    X(gemm, kt_gemm)                                                                                         \
    X(gemm_by_dots, kt_gemm)                                                                                 \
    X(gemm_by_columns, kt_gemm)                                                                              \
    X(pick, kt_pick)                                                                                         \
    X(pick_types, kt_pick)                                                                                   \
    X(gaussian_expansion, kt_gaussian_expansion)                                                             \
    X(embedding, kt_embedding)                                                                               \
    X(embedding_gradient, kt_embedding_gradient)                                                             \
    X(linear_forward, kt_linear_forward)                                                                     \
    X(linear_backward, kt_linear_backward)                                                                   \
    X(layer_forward, kt_layer_forward)                                                                       \
    X(layer_forward_by_dots, kt_layer_forward)                                                               \
    X(layer_group, kt_layer_group)                                                                           \
    X(layer_backward, kt_layer_backward)                                                                     \
    X(layer_backward_by_columns, kt_layer_backward)                                                          \
    X(gemm_group, kt_gemm_group)                                                                             \
    X(weight_group, kt_gemm_group)                                                                           \
    X(graph_chain, kt_chain)                                                                                 \
    X(node_chain, kt_chain)                                                                                  \
    X(edge_chain, kt_chain)                                                                                  \
    X(segment_sum, kt_segment_sum)                                                                           \
    X(segment_sum_graphs, kt_segment_sum)                                                                    \
    X(segment_spread, kt_segment_spread)                                                                     \
    X(add, kt_add)                                                                                           \
    X(lstm_forward, kt_lstm_forward)                                                                         \
    X(lstm_backward, kt_lstm_backward)                                                                       \
    X(lstm_bias_gradient, kt_lstm_bias_gradient)                                                             \
    X(attention_forward, kt_attention_forward)                                                               \
    X(attention_backward, kt_attention_backward)                                                             \
    X(mape_loss, kt_mape_loss)                                                                               \
    X(log_loss, kt_log_loss)                                                                                 \
    X(gradient_norm_partial, kt_gradient_norm)                                                               \
    X(gradient_norm, kt_gradient_norm)                                                                       \
    X(weight_decay, kt_weight_decay)                                                                         \
    X(adam, kt_adam)                                                                                         \
    X(weight_average, kt_weight_average)

#define KT_KERNEL_ID(name, arguments) KT_ID_##name,
typedef enum kt_kernel_id { KT_KERNELS(KT_KERNEL_ID) KT_KERNEL_IDS } kt_kernel_id;
#undef KT_KERNEL_ID

#define KT_DECLARE_STUB(name, arguments) void KT_STUB(name)(arguments, int);

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

static inline kt_launch kt_launch_gemm(kt_kernel_id kernel, const kt_gemm *a)
{
    const int rows = a->rows.most, columns = kt_ceil_divide(a->n, 16) * 16;
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
#define KT_LAUNCH_ROWS(type, count)                                                                          \
    kt_launch_rows(((const type *)arguments)->count, ((const type *)arguments)->channels)
#define KT_LAUNCH_CHAIN(rows_a_block)                                                                        \
    kt_launch_fixed(KT_WARP, KT_CHAIN_WARPS,                                                                 \
                    kt_ceil_divide(((const kt_chain *)arguments)->rows.most, rows_a_block))
    switch (kernel) {
    case KT_ID_gemm:
    case KT_ID_gemm_by_dots:
    case KT_ID_gemm_by_columns: return kt_launch_gemm(kernel, (const kt_gemm *)arguments);
    case KT_ID_pick:
    case KT_ID_pick_types:
        return (kt_launch){128, 1, kt_ceil_divide(((const kt_pick *)arguments)->graphs.most, 1), KT_ANY_LINE};
    case KT_ID_layer_forward:
        return kt_launch_gemm(KT_ID_gemm, &((const kt_layer_forward *)arguments)->product);
    case KT_ID_layer_forward_by_dots:
        return kt_launch_gemm(KT_ID_gemm_by_dots, &((const kt_layer_forward *)arguments)->product);
    case KT_ID_layer_group: return kt_launch_layer_group((const kt_layer_group *)arguments);
    case KT_ID_layer_backward:
        return kt_launch_gemm(KT_ID_gemm, &((const kt_layer_backward *)arguments)->product);
    case KT_ID_layer_backward_by_columns:
        return kt_launch_gemm(KT_ID_gemm_by_columns, &((const kt_layer_backward *)arguments)->product);
    case KT_ID_gemm_group:
    case KT_ID_weight_group: return kt_launch_gemm_group((const kt_gemm_group *)arguments);
    case KT_ID_graph_chain: return KT_LAUNCH_CHAIN(KT_CHAIN_GRAPHS);
    case KT_ID_node_chain: return KT_LAUNCH_CHAIN(KT_CHAIN_NODES);
    case KT_ID_edge_chain: return KT_LAUNCH_CHAIN(KT_CHAIN_EDGES);
    case KT_ID_gaussian_expansion: return KT_LAUNCH_ROWS(kt_gaussian_expansion, rows.most);
    case KT_ID_embedding: return KT_LAUNCH_ROWS(kt_embedding, rows.most);
    case KT_ID_embedding_gradient: return KT_LAUNCH_ROWS(kt_embedding_gradient, types);
    case KT_ID_linear_forward: return KT_LAUNCH_ROWS(kt_linear_forward, rows.most);
    case KT_ID_linear_backward:
        if (((const kt_linear_backward *)arguments)->bias_gradient.data)
            return kt_launch_block(
                kt_ceil_divide(((const kt_linear_backward *)arguments)->channels, KT_WARP));
        return KT_LAUNCH_ROWS(kt_linear_backward, rows.most);
    case KT_ID_segment_sum: return KT_LAUNCH_ROWS(kt_segment_sum, segments.most);
    case KT_ID_segment_sum_graphs:
        return kt_launch_fixed(KT_WARP, KT_CHAIN_WARPS,
                               kt_ceil_divide(((const kt_segment_sum *)arguments)->segments.most, 1));
    case KT_ID_segment_spread: return KT_LAUNCH_ROWS(kt_segment_spread, rows.most);
    case KT_ID_add: return KT_LAUNCH_ROWS(kt_add, rows.most);
    case KT_ID_lstm_forward: return KT_LAUNCH_ROWS(kt_lstm_forward, graphs.most);
    case KT_ID_lstm_backward: return KT_LAUNCH_ROWS(kt_lstm_backward, graphs.most);
    case KT_ID_lstm_bias_gradient:
        return kt_launch_block(kt_ceil_divide(((const kt_lstm_bias_gradient *)arguments)->channels, KT_WARP));
    case KT_ID_attention_forward:
        return kt_launch_fixed(KT_WARP, KT_CHAIN_WARPS,
                               kt_ceil_divide(((const kt_attention_forward *)arguments)->graphs.most, 1));
    case KT_ID_attention_backward:
        return kt_launch_fixed(KT_WARP, KT_CHAIN_WARPS,
                               kt_ceil_divide(((const kt_attention_backward *)arguments)->graphs.most, 1));
    case KT_ID_mape_loss:
    case KT_ID_log_loss:
    case KT_ID_gradient_norm: return kt_launch_fixed(32, 1, 1);
    case KT_ID_gradient_norm_partial:
        return kt_launch_fixed(32, KT_NORM_WARPS,
                               kt_ceil_divide(((const kt_gradient_norm *)arguments)->size, KT_NORM_CHUNK));
    case KT_ID_weight_decay: return kt_launch_line(((const kt_weight_decay *)arguments)->size);
    case KT_ID_adam: return kt_launch_line((((const kt_adam *)arguments)->size + 3) / 4);
    case KT_ID_weight_average: return kt_launch_line(((const kt_weight_average *)arguments)->size);
    case KT_KERNEL_IDS: break;
    }
#undef KT_LAUNCH_ROWS
#undef KT_LAUNCH_CHAIN
    return (kt_launch){0, 0, 0, KT_FIXED_BLOCK};
}

#endif
