/* A linear layer at once, forward and backward, and several of them, for devices with many threads (the CPU runs the
 * kernels of gemm.cu and linear.cu one after the other).
 *
 *     layer_forward              c[r, j] = act((c[r, j] +) sum over i < k of a[r, i] b[j, i] + bias[j]
 *                                              + sum_g gather_g.data[gather_g.index[r], j])
 *     layer_forward_by_dots      the same with large weights
 *     layer_backward             c[r, j] (= or +=) sum over i < k of a[r, i] b[i, j], then
 *                                product_gradient[r, j] = c[r, j] act'(out[r, j])
 *     layer_backward_by_columns  the same with large weights
 *     layer_group                layer_forward of several layers
 *     gemm_group                 layer_backward of several layers, and products of all three kinds; after a weight
 *                                gradient bias_gradient[i] = sum over rows r of a[r, i]
 *
 * F folds; shapes and padding as in kernels/arguments.h. The products of a group must not wait for each other.
 * Deterministic, and but for bias_gradient, whose rows are added one after another, the bits of the kernels that they
 * stand for: a product is that of kernels/product.h, rounded once before what follows it.
 * Moves what the product does, 4 M N bytes a gather, 8 M N for product_gradient (4 M N if it is c); the two kernels would
 * move another 8 M N bytes.
 * Launch: as gemm, gemm_by_dots and gemm_by_columns; the blocks of a group count the tiles of all its products, one after
 * the other.
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

KT_INLINE void layer_tile(const kt_layer_forward *a, const tiling *t, int fold, int tile)
{
    const kt_matrix c = a->product.c;
    const own_part own = multiply_tile(t, tile, 0);
    for (int i = 0; i < OWN_ROWS; i++) {
        const int row = own.row + i, column = own.column;
        if (row >= t->height || column >= t->columns)
            continue;
        kt_real2 *to = (kt_real2 *)(kt_rows(c, fold) + (int64_t)row * c.stride + column), value;
        for (int j = 0; j < OWN_COLUMNS; j++)
            value.v[j] = layer_value(&a->rest, fold, row, column + j,
                                     a->product.accumulate ? to->v[j] + own.sum[i][j] : own.sum[i][j]);
        *to = value;
    }
}

KT_KERNEL(layer_forward, kt_layer_forward)
{
    const tiling t = tiling_of(&a.product, KT_FOLD);
    for (int tile = blockIdx.x; tile < t.tiles; tile += gridDim.x)
        layer_tile(&a, &t, KT_FOLD, tile);
}

KT_KERNEL(layer_group, kt_layer_group)
{
    int tile = blockIdx.x; /* from the present layer's first one on */
    for (int i = 0; i < a.size; i++) {
        const tiling t = tiling_of(&a.layer[i].product, KT_FOLD);
        for (; tile < t.tiles; tile += gridDim.x)
            layer_tile(&a.layer[i], &t, KT_FOLD, tile);
        tile -= t.tiles;
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

/* Element (row, column) of c, and of the gradient by the product of the layer that it leads back to. */
KT_INLINE void store_back(const kt_layer_backward *a, int fold, int row, int column, kt_real product)
{
    const kt_matrix c = a->product.c, to = a->product_gradient;
    kt_real *held = kt_rows(c, fold) + (int64_t)row * c.stride + column;
    const kt_real value = a->product.accumulate ? *held + product : product;
    const int follows = a->out.data != 0 && column < a->product.n;
    if (!follows || to.data != c.data)
        *held = value;
    if (follows)
        kt_rows(to, fold)[(int64_t)row * to.stride + column] = kt_activate_back(
            a->activation, kt_rows(a->out, fold)[(int64_t)row * a->out.stride + column], value);
}

KT_INLINE void layer_tile_back(const kt_layer_backward *a, const tiling *t, int fold, int tile)
{
    const int bias = a->bias_gradient.data != 0 && tile % t->across == 0;
    const own_part own = bias ? multiply_tile(t, tile, 1) : multiply_tile(t, tile, 0);
    for (int i = 0; i < OWN_ROWS; i++) {
        const int row = own.row + i, column = own.column;
        if (row >= t->height || column >= t->columns)
            continue;
        for (int j = 0; j < OWN_COLUMNS; j++)
            store_back(a, fold, row, column + j, own.sum[i][j]);
        if (bias && column == 0)
            kt_rows(a->bias_gradient, fold)[row] = own.left[i];
    }
}

KT_KERNEL(layer_backward, kt_layer_backward)
{
    const tiling t = tiling_of(&a.product, KT_FOLD);
    for (int tile = blockIdx.x; tile < t.tiles; tile += gridDim.x)
        layer_tile_back(&a, &t, KT_FOLD, tile);
}

KT_KERNEL(gemm_group, kt_gemm_group)
{
    int tile = blockIdx.x; /* from the present part's first one on */
    for (int i = 0; i < a.size; i++) {
        const tiling t = tiling_of(&a.part[i].product, KT_FOLD);
        for (; tile < t.tiles; tile += gridDim.x)
            layer_tile_back(&a.part[i], &t, KT_FOLD, tile);
        tile -= t.tiles;
    }
}

KT_KERNEL(layer_backward_by_columns, kt_layer_backward)
{
    const int fold = KT_FOLD, rows = kt_number(a.product.rows, fold), columns = (a.product.n + 15) / 16 * 16;
    const int across = (columns + KT_WARP - 1) / KT_WARP,
              units = (rows + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, column = unit % across * KT_WARP + threadIdx.x;
        const kt_real own = multiply_columns(&a.product, fold, rows, first, column);
        const int row = first + (int)threadIdx.y;
        if ((int)threadIdx.y < KT_GEMM_ROWS && row < rows && column < columns)
            store_back(&a, fold, row, column, own);
    }
}

#endif
