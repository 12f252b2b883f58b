/* Weighted sums over segments of rows, and their transpose: every mean of the network.
 *
 *     sum      out[s, c] (= or +=) sum over i in [start[s], start[s+1]) of coefficient[j] in[j, c],
 *              j = order[i] (or i)
 *     spread   out[r, c] = base[r, c] + coefficient[r] in[segment[r], c]
 *
 * F folds; in [R, C]; out [S, C] (sum), [R, C] (spread). With coefficient = weight / (sum of the segment's
 * weights) the sum is the mean; the spread is its backward. Without a coefficient the sum is the backward of
 * a gather.
 * Deterministic: CSR order, one thread an element, no atomics; where there are many threads, sums over graphs (segment_sum_graphs) in
 * KT_CHAIN_WARPS parts of every KT_CHAIN_WARPS-th row, which are added in order. Moves 4 (R + S) C bytes.
 * Launch: any block and grid; segment_sum_graphs blocks of 32 x KT_CHAIN_WARPS.
 */
#include "kernels/rows.h"

KT_KERNEL(segment_sum, kt_segment_sum)
{
    const int fold = KT_FOLD, segments = kt_number(a.segments, fold);
    for (int s = KT_FIRST_ROW; s < segments; s += KT_ROW_STRIDE)
        segment_sum_row(&a, fold, s);
}

#ifdef KT_MANY_THREADS
KT_KERNEL(segment_sum_graphs, kt_segment_sum)
{
    const int fold = KT_FOLD, graphs = kt_number(a.segments, fold);
    for (int graph = blockIdx.x; graph < graphs; graph += gridDim.x) {
        segment_sum_graph(&a, fold, graph);
        __syncthreads(); /* the parts are read before the next graph's overwrite them */
    }
}
#endif

KT_KERNEL(segment_spread, kt_segment_spread)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE)
        segment_spread_row(&a, fold, row);
}
