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
#include "kernels/product.h"

#ifdef KT_MANY_THREADS

/* What is added to a product's element, but for what the output held. Loaded before the product is there, since each load
 * takes as long as a product does. */
typedef struct layer_addends {
    kt_real bias, gathered[KT_MAX_GATHERS];
} layer_addends;

/* Of element (row, column), which must be within the layer. */
KT_INLINE layer_addends layer_load(const kt_linear_forward *a, int fold, int row, int column)
{
    layer_addends addends = {kt_rows(a->bias, fold)[column], {0}};
    for (int g = 0; g < KT_MAX_GATHERS; g++)
        if (g < a->gathers) {
            const kt_matrix data = a->gather[g].data;
            const int other = kt_entries(a->gather[g].index, fold)[row];
            addends.gathered[g] = kt_rows(data, fold)[(int64_t)other * data.stride + column];
        }
    return addends;
}

KT_INLINE kt_real layer_value(const kt_linear_forward *a, const layer_addends *addends, kt_real product)
{
    kt_real x = product + addends->bias;
    for (int g = 0; g < KT_MAX_GATHERS; g++)
        if (g < a->gathers)
            x += addends->gathered[g];
    return kt_activate(a->activation, x);
}

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

KT_BUSY_KERNEL(layer_forward, kt_layer_forward, KT_THREADS, 3)
{
    const tiling t = tiling_of(&a.product, KT_FOLD);
    for (int tile = blockIdx.x; tile < t.tiles; tile += gridDim.x)
        layer_tile(&a, &t, KT_FOLD, tile);
}

KT_BUSY_KERNEL(layer_group, kt_layer_group, KT_THREADS, 3)
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
    const int fold = KT_FOLD, rows = kt_number(a.product.rows, fold), columns = (a.product.n + 15) / 16 * 16;
    const int across = columns / KT_WARPS,
              units = (a.product.rows.most + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, column = unit % across * KT_WARPS + threadIdx.y;
        const kt_real own = multiply_dots(&a.product, fold, first, column);
        const int row = first + (int)threadIdx.x;
        if ((int)threadIdx.x < KT_GEMM_ROWS && row < rows) {
            kt_real *to = kt_rows(a.product.c, fold) + (int64_t)row * a.product.c.stride + column;
            const kt_real value = a.product.accumulate ? *to + own : own;
            if (column < a.rest.channels) {
                const layer_addends addends = layer_load(&a.rest, fold, row, column);
                *to = layer_value(&a.rest, &addends, value);
            } else {
                *to = value;
            }
        }
    }
}

/* What an element of c meets behind the product; loaded before it. */
typedef struct back_operands {
    kt_real held, out;
} back_operands;

KT_INLINE int back_follows(const kt_layer_backward *a, int column)
{
    return a->out.data != 0 && column < a->product.n;
}

KT_INLINE back_operands load_back(const kt_layer_backward *a, int fold, int row, int column)
{
    const kt_matrix c = a->product.c;
    const back_operands operands = {
        a->product.accumulate ? kt_rows(c, fold)[(int64_t)row * c.stride + column] : 0,
        back_follows(a, column) ? kt_rows(a->out, fold)[(int64_t)row * a->out.stride + column] : 0};
    return operands;
}

/* Element (row, column) of c, and of the gradient by the product of the layer that it leads back to. */
KT_INLINE void store_back(const kt_layer_backward *a, int fold, int row, int column, back_operands operands,
                          kt_real product)
{
    const kt_matrix c = a->product.c, to = a->product_gradient;
    const kt_real value = a->product.accumulate ? operands.held + product : product;
    const int follows = back_follows(a, column);
    if (!follows || to.data != c.data)
        kt_rows(c, fold)[(int64_t)row * c.stride + column] = value;
    if (follows)
        kt_rows(to, fold)[(int64_t)row * to.stride + column] =
            kt_activate_back(a->activation, operands.out, value);
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

/* A weight gradient; it may have the gradient by a bias with it. */
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

KT_BUSY_KERNEL(gemm_group, kt_gemm_group, KT_THREADS, 3)
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
              units = (a.product.rows.most + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, begin = unit % across * KT_GEMM_NARROW;
        const kt_real own = multiply_columns(&a.product, fold, first, begin);
        const int row = first + narrow_row(), column = begin + narrow_column();
        if (narrow_row() < KT_GEMM_ROWS && row < rows)
            store_back(&a, fold, row, column, load_back(&a, fold, row, column), own);
    }
}

#endif
