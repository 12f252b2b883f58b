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
 *     weight_group               the same where all are weight gradients, in fewer registers
 *
 * F folds; shapes and padding as in kernels/arguments.h. The products of a group must not wait for each other.
 * Deterministic, and but for bias_gradient, whose rows are added one after another, the bits of the kernels that they
 * stand for: a product is that of kernels/product.h, rounded once before what follows it.
 * Moves what the product does, 4 M N bytes a gather, 8 M N for product_gradient (4 M N if it is c); the two kernels would
 * move another 8 M N bytes.
 * Launch: as gemm, gemm_by_dots and gemm_by_columns; the blocks of a group count the tiles of all its products, one after
 * the other.
 */
#include "kernels/layer.h"
#include "kernels/product.h"

#ifdef KT_MANY_THREADS

/* Beyond the layer's channels is the padding's zero, which is what the product has. */
KT_INLINE void layer_tile(const kt_layer_forward *a, const tiling *t, int fold, int tile)
{
    const kt_matrix c = a->product.c;
    const int row = own_line(t, tile), column = own_column(t, tile), within = column < a->rest.channels;
    kt_real *to = kt_rows(c, fold) + (int64_t)row * c.stride + column;
    kt_real sum[OWN_LINES], held[OWN_LINES];
    layer_addends addends[OWN_LINES] = {{0, {0}}};
    row_loads loads;
    load_rows(t, tile, 0, 1, &loads);
    for (int r = 0; r < OWN_LINES; r++) {
        const int there = row + r < t->height && within;
        held[r] = there && a->product.accumulate ? to[r * c.stride] : 0;
        if (there)
            addends[r] = layer_load(&a->rest, fold, row + r, column);
    }
    multiply_rows(t, tile, 1, &loads, sum);
    for (int r = 0; r < OWN_LINES; r++)
        if (row + r < t->height && column < t->columns)
            to[r * c.stride] =
                within ? layer_value(&a->rest, &addends[r], a->product.accumulate ? held[r] + sum[r] : sum[r])
                       : sum[r];
}

KT_BUSY_KERNEL(layer_forward, kt_layer_forward, KT_THREADS, 2)
{
    const tiling t = tiling_of(&a.product, KT_FOLD);
    for (int tile = blockIdx.x; tile < t.tiles; tile += gridDim.x)
        layer_tile(&a, &t, KT_FOLD, tile);
}

KT_BUSY_KERNEL(layer_group, kt_layer_group, KT_THREADS, 2)
{
    int tile = blockIdx.x; /* from the present layer's first one on */
    for (int i = 0; i < a.size; i++) {
        const int tiles = tiles_of(&a.layer[i].product);
        if (tile < tiles) {
            const tiling t = tiling_of(&a.layer[i].product, KT_FOLD);
            for (; tile < tiles; tile += gridDim.x)
                layer_tile(&a.layer[i], &t, KT_FOLD, tile);
        }
        tile -= tiles;
    }
}

KT_KERNEL(layer_forward_by_dots, kt_layer_forward)
{
    const int fold = KT_FOLD, rows = kt_number(a.product.rows, fold);
    const int across = dots_across(&a.product),
              units = (a.product.rows.max + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, begin = unit % across * KT_GEMM_DOTS;
        const int row = first + dot_row(), column = begin + dot_column();
        const int there = row < rows, within = there && column < a.rest.channels;
        kt_real *to = kt_rows(a.product.c, fold) + (int64_t)row * a.product.c.stride + column;
        const layer_addends none = {0, {0}}, addends = within ? layer_load(&a.rest, fold, row, column) : none;
        const kt_real held = within && a.product.accumulate ? *to : 0;
        const kt_real own = multiply_dots(&a.product, fold, first, begin);
        if (there)
            *to = within ? layer_value(&a.rest, &addends, a.product.accumulate ? held + own : own) : own;
    }
}

KT_INLINE void layer_rows_back(const kt_layer_backward *a, const tiling *t, int fold, int tile,
                               const int forward)
{
    const int row = own_line(t, tile), column = own_column(t, tile);
    kt_real sum[OWN_LINES];
    back_operands operands[OWN_LINES] = {{0, 0}};
    row_loads loads;
    load_rows(t, tile, 0, forward, &loads);
    for (int r = 0; r < OWN_LINES; r++)
        if (row + r < t->height && column < t->columns)
            operands[r] = load_back(a, fold, row + r, column);
    multiply_rows(t, tile, forward, &loads, sum);
    for (int r = 0; r < OWN_LINES; r++)
        if (row + r < t->height && column < t->columns)
            store_back(a, fold, row + r, column, operands[r], sum[r]);
}

/* A weight gradient; it may have the gradient with respect to a bias with it. */
KT_INLINE void weight_tile(const kt_layer_backward *a, const tiling *t, int fold, int tile)
{
    const own_part own = multiply_tile(t, tile, 1);
    store_tile(&a->product, t, fold, &own);
    if (a->bias_gradient.data != 0 && own.column == 0)
        for (int i = 0; i < OWN_ROWS; i++)
            if (own.row + i < t->height)
                kt_rows(a->bias_gradient, fold)[own.row + i] = own.left[i];
}

KT_INLINE void layer_tile_back(const kt_layer_backward *a, const tiling *t, int fold, int tile)
{
    if (a->product.product == KT_WEIGHT_GRADIENT)
        weight_tile(a, t, fold, tile);
    else if (a->product.product == KT_FORWARD)
        layer_rows_back(a, t, fold, tile, 1);
    else
        layer_rows_back(a, t, fold, tile, 0);
}

KT_BUSY_KERNEL(layer_backward, kt_layer_backward, KT_THREADS, 3)
{
    const tiling t = tiling_of(&a.product, KT_FOLD);
    for (int tile = blockIdx.x; tile < t.tiles; tile += gridDim.x)
        layer_tile_back(&a, &t, KT_FOLD, tile);
}

/* The tiles of all parts, one part's after another's; `weights`, a constant where this is called: all are weight gradients. */
KT_INLINE void multiply_group(const kt_gemm_group *a, int fold, int tile, int blocks, const int weights)
{
    for (int i = 0; i < a->size; i++) {
        const int tiles = tiles_of(&a->part[i].product);
        if (tile < tiles) {
            const tiling t = tiling_of(&a->part[i].product, fold);
            for (; tile < tiles; tile += blocks)
                if (weights)
                    weight_tile(&a->part[i], &t, fold, tile);
                else
                    layer_tile_back(&a->part[i], &t, fold, tile);
        }
        tile -= tiles;
    }
}

KT_BUSY_KERNEL(gemm_group, kt_gemm_group, KT_THREADS, 2)
{
    multiply_group(&a, KT_FOLD, blockIdx.x, gridDim.x, 0);
}

KT_BUSY_KERNEL(weight_group, kt_gemm_group, KT_THREADS, 5)
{
    multiply_group(&a, KT_FOLD, blockIdx.x, gridDim.x, 1);
}

KT_KERNEL(layer_backward_by_columns, kt_layer_backward)
{
    const int fold = KT_FOLD, rows = kt_number(a.product.rows, fold), columns = (a.product.n + 15) / 16 * 16;
    const int across = columns / KT_GEMM_NARROW,
              units = (a.product.rows.max + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, begin = unit % across * KT_GEMM_NARROW;
        const kt_real own = multiply_columns(&a.product, fold, first, begin);
        const int row = first + narrow_row(), column = begin + narrow_column();
        if (narrow_row() < KT_GEMM_ROWS && row < rows)
            store_back(&a, fold, row, column, load_back(&a, fold, row, column), own);
    }
}

#endif
