/* A linear layer at once, for devices with many threads (the CPU runs its two kernels one after the other).
 *
 *     layer_forward          c[r, j] = act((c[r, j] +) sum over i < k of a[r, i] b[j, i] + bias[j]
 *                                          + sum_g gather_g.data[gather_g.index[r], j])
 *     layer_forward_by_dots  the same with large weights
 *
 * F folds; shapes and padding as in kernels/arguments.h; c is '=', or is added to where the product says accumulate.
 * Deterministic, and the bits of the product (kernels/product.h) and linear_forward one after the other: the sum of the
 * product is rounded once, then bias and gathers are added in order.
 * Moves what the product does, and 4 M N bytes a gather; the two kernels would move another 8 M N bytes.
 * Launch: as gemm and gemm_by_dots.
 */
#include "kernels/product.h"

#ifdef KT_MANY_THREADS

/* Element (row, column) of the layer's output; beyond its channels the padding's zero, which is what the product has. */
KT_INLINE kt_real layer_value(const kt_linear_forward *a, int fold, int row, int column, kt_real product)
{
    if (column >= a->channels)
        return product;
    kt_real x = product + kt_rows(a->bias, fold)[column];
    for (int g = 0; g < KT_MAX_GATHERS; g++)
        if (g < a->gathers) {
            const kt_matrix data = a->gather[g].data;
            const int other = kt_entries(a->gather[g].index, fold)[row];
            x += kt_rows(data, fold)[(int64_t)other * data.stride + column];
        }
    return kt_activate(a->activation, x);
}

KT_KERNEL(layer_forward, kt_layer_forward)
{
    const int fold = KT_FOLD;
    const kt_matrix c = a.product.c;
    const tiling t = tiling_of(&a.product, fold);
    for (int tile = blockIdx.x; tile < t.tiles; tile += gridDim.x) {
        const own_part own = multiply_tile(&t, tile, 0);
        for (int i = 0; i < OWN_ROWS; i++) {
            const int row = own.row + i, column = own.column;
            if (row >= t.height || column >= t.columns)
                continue;
            kt_real2 *to = (kt_real2 *)(kt_rows(c, fold) + (int64_t)row * c.stride + column), value;
            for (int j = 0; j < OWN_COLUMNS; j++)
                value.v[j] = layer_value(&a.rest, fold, row, column + j,
                                         a.product.accumulate ? to->v[j] + own.sum[i][j] : own.sum[i][j]);
            *to = value;
        }
    }
}

KT_KERNEL(layer_forward_by_dots, kt_layer_forward)
{
    const int fold = KT_FOLD, rows = kt_number(a.product.rows, fold), columns = (a.product.n + 15) / 16 * 16;
    const int across = columns / KT_GEMM_DOTS, units = (rows + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, column = unit % across * KT_GEMM_DOTS + threadIdx.y;
        const kt_real own = multiply_dots(&a.product, fold, rows, first, column);
        const int row = first + (int)threadIdx.x;
        if ((int)threadIdx.x < KT_GEMM_ROWS && row < rows) {
            kt_real *to = kt_rows(a.product.c, fold) + (int64_t)row * a.product.c.stride + column;
            *to = layer_value(&a.rest, fold, row, column, a.product.accumulate ? *to + own : own);
        }
    }
}

#endif
