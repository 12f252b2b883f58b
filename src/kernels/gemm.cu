/* The matrix product of all folds, for devices with many threads (the CPU has its own).
 *
 *     KT_FORWARD          c[r, j] (= or +=) sum over i < k of a[r, i] b[j, i]
 *     KT_INPUT_GRADIENT   c[r, j] (= or +=) sum over i < k of a[r, i] b[i, j]
 *     KT_WEIGHT_GRADIENT  c[i, j] (= or +=) sum over rows r of a[r, i] b[r, j]
 *
 * F folds; shapes and padding as in kernels/arguments.h: strides are multiples of 16 elements and memory is aligned
 * to 64 bytes, so that four elements are one load; columns of c up to the next multiple of 16 become zeros, rows
 * beyond the batch stay as they are.
 *
 *     gemm             rows by weights: a block a tile of 8 x 32 elements of c, a thread 2 of a column, 128 terms of the
 *                      sum at a time through shared memory; weight gradients: a block a tile of 32 x 32, a thread 4 x 2, 32
 *                      terms at a time. The next terms are on their way meanwhile.
 *     gemm_by_dots     forward with large weights, which a head multiplies a few rows by: a warp 4 columns, that is
 *                      rows of b, read once for eight rows of a.
 *     gemm_by_columns  input gradient with large weights: a block 8 columns, by 16 parts of the sum.
 *
 * Deterministic: every element's terms are added in an order that depends on k alone: in four sums of every fourth four (gemm), in
 * 32 fixed parts and a tree (by dots), in KT_GEMM_PARTS fixed parts and then part by part (by columns). So a row's
 * bits depend neither on the grid nor on the other rows.
 * Moves, with M rows of c: 4 M N bytes of c (twice if accumulate); gemm 4 M K ceil(N / 32) of a and
 * 4 N K ceil(M / 8) of b (weight gradients: M / 32), all but the first reading from the second-level cache; the others 4 N K ceil(M / 8) of b.
 * 2 M N K FLOPs.
 * Launch: blocks of KT_WARP x KT_WARPS; any grid.
 */
#include "kernels/product.h"

#ifdef KT_MANY_THREADS

KT_INLINE void gemm_rows(const kt_gemm *a, const tiling *t, int fold, int tile, const int forward)
{
    row_loads loads;
    kt_real sum[OWN_LINES];
    const int row = own_line(t, tile), column = own_column(t, tile);
    load_rows(t, tile, 0, forward, &loads);
    multiply_rows(t, tile, forward, &loads, sum);
    for (int r = 0; r < OWN_LINES; r++)
        if (row + r < t->height && column < t->columns) {
            kt_real *to = kt_rows(a->c, fold) + (int64_t)(row + r) * a->c.stride + column;
            *to = a->accumulate ? *to + sum[r] : sum[r];
        }
}

KT_BUSY_KERNEL(gemm, kt_gemm, KT_THREADS, 2)
{
    const int fold = KT_FOLD;
    const tiling t = tiling_of(&a, fold);
    for (int tile = blockIdx.x; tile < t.tiles; tile += gridDim.x) {
        if (a.product == KT_WEIGHT_GRADIENT) {
            const own_part own = multiply_tile(&t, tile, 0);
            store_tile(&a, &t, fold, &own);
        } else if (a.product == KT_FORWARD)
            gemm_rows(&a, &t, fold, tile, 1);
        else
            gemm_rows(&a, &t, fold, tile, 0);
    }
}

KT_KERNEL(gemm_by_dots, kt_gemm)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), across = dots_across(&a),
              units = (a.rows.max + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, begin = unit % across * KT_GEMM_DOTS;
        const kt_real own = multiply_dots(&a, fold, first, begin);
        const int row = first + dot_row();
        if (row < rows) {
            kt_real *to = kt_rows(a.c, fold) + (int64_t)row * a.c.stride + begin + dot_column();
            *to = a.accumulate ? *to + own : own;
        }
    }
}

KT_KERNEL(gemm_by_columns, kt_gemm)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), columns = (a.n + 15) / 16 * 16;
    const int across = columns / KT_GEMM_NARROW,
              units = (a.rows.max + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, begin = unit % across * KT_GEMM_NARROW;
        const kt_real own = multiply_columns(&a, fold, first, begin);
        const int row = first + narrow_row(), column = begin + narrow_column();
        if (narrow_row() < KT_GEMM_ROWS && row < rows) {
            kt_real *to = kt_rows(a.c, fold) + (int64_t)row * a.c.stride + column;
            *to = a.accumulate ? *to + own : own;
        }
    }
}

#endif
