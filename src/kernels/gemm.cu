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
 *     gemm             a block a tile of 32 x 32 elements of c, a thread 4 x 2 of them; 32 terms of the sum at a time
 *                      go through shared memory while the next are on their way. Any product.
 *     gemm_by_dots     forward with large weights, which a head multiplies a few rows by: a warp a column, that is a
 *                      row of b, read once for eight rows of a.
 *     gemm_by_columns  input gradient with large weights: a block 32 columns, its warps parts of the sum.
 *
 * Deterministic: every element's terms are added in an order that depends on k alone: one after another (gemm), in
 * 128 fixed parts and a tree (by dots), in KT_GEMM_PARTS fixed parts and then part by part (by columns). So a row's
 * bits depend neither on the grid nor on the other rows.
 * Moves, with M rows of c: 4 M N bytes of c (twice if accumulate); gemm 4 M K ceil(N / 32) of a and
 * 4 N K ceil(M / 32) of b, all but the first reading from the second-level cache; the others 4 N K ceil(M / 8) of b.
 * 2 M N K FLOPs.
 * Launch: gemm blocks of KT_GEMM_THREADS, by dots 32 x KT_GEMM_DOTS, by columns 32 x KT_GEMM_PARTS; any grid.
 */
#include "kernels/arguments.h"

#ifdef KT_MANY_THREADS

enum {
    TILE_LOADS = KT_GEMM_TILE * KT_GEMM_TILE / 4 / KT_GEMM_THREADS, /* of a thread, four elements each */
    LINE_LOADS = KT_GEMM_TILE / 4
};

KT_INLINE kt_real4 load4(const kt_real *from)
{
    return *(const kt_real4 *)from;
}

/* One operand of a block's tile: KT_GEMM_TILE lines of c (its rows or columns) by KT_GEMM_TILE terms of the sum. In
 * memory a row of it either holds the terms of a line (`by_line`) or all lines of a term. */
typedef struct operand {
    const kt_real *data;
    int64_t stride;
    int by_line, lines, terms; /* how many there are */
} operand;

/* Number `load` of the tile's loads; zeros beyond the operand. Where the memory's rows are padded, the padding is
 * zero. */
KT_INLINE kt_real4 operand_load(const operand *o, int line, int term, int load)
{
    const int across = load / LINE_LOADS, along = load % LINE_LOADS * 4;
    const kt_real4 zero = {{0, 0, 0, 0}};
    if (o->by_line) {
        line += across;
        term += along;
        return line < o->lines && term < o->terms ? load4(o->data + line * o->stride + term) : zero;
    }
    line += along;
    term += across;
    return line < o->lines && term < o->terms ? load4(o->data + term * o->stride + line) : zero;
}

/* tile[term][line], with lines swapped in groups of four by the term, so that neither order of storing meets the same
 * bank of shared memory twice. */
KT_INLINE int place(int term, int line)
{
    return line ^ (term & (KT_GEMM_TILE - 4));
}

KT_INLINE void operand_store(const operand *o, int load, kt_real4 value,
                             kt_real tile[KT_GEMM_TILE][KT_GEMM_TILE])
{
    const int across = load / LINE_LOADS, along = load % LINE_LOADS * 4;
    if (o->by_line)
        for (int e = 0; e < 4; e++)
            tile[along + e][place(along, across)] = value.v[e];
    else
        *(kt_real4 *)&tile[across][place(across, along)] = value;
}

KT_KERNEL(gemm, kt_gemm)
{
    KT_SHARED kt_real left[KT_GEMM_TILE][KT_GEMM_TILE] __attribute__((aligned(16)));
    KT_SHARED kt_real right[KT_GEMM_TILE][KT_GEMM_TILE] __attribute__((aligned(16)));
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), thread = threadIdx.x;
    const int weights = a.product == KT_WEIGHT_GRADIENT, columns = (a.n + 15) / 16 * 16;
    const int height = weights ? a.m : rows, terms = weights ? rows : a.k;
    const operand x = {kt_rows(a.a, fold), a.a.stride, !weights, height, terms};
    const operand y = {kt_rows(a.b, fold), a.b.stride, a.product == KT_FORWARD, a.n, terms};
    const int across = (columns + KT_GEMM_TILE - 1) / KT_GEMM_TILE,
              tiles = (height + KT_GEMM_TILE - 1) / KT_GEMM_TILE * across;
    const int own_row = thread / 16 * 4, own_column = thread % 16 * 2;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int first_row = tile / across * KT_GEMM_TILE, first_column = tile % across * KT_GEMM_TILE;
        kt_real sum[4][2] = {{0}};
        kt_real4 next_x[TILE_LOADS], next_y[TILE_LOADS];
        for (int i = 0; i < TILE_LOADS; i++) {
            next_x[i] = operand_load(&x, first_row, 0, thread + i * KT_GEMM_THREADS);
            next_y[i] = operand_load(&y, first_column, 0, thread + i * KT_GEMM_THREADS);
        }
        for (int term = 0; term < terms; term += KT_GEMM_TILE) {
            for (int i = 0; i < TILE_LOADS; i++) {
                operand_store(&x, thread + i * KT_GEMM_THREADS, next_x[i], left);
                operand_store(&y, thread + i * KT_GEMM_THREADS, next_y[i], right);
            }
            __syncthreads(); /* the tiles are complete */
            for (int i = 0; i < TILE_LOADS; i++) {
                const int load = thread + i * KT_GEMM_THREADS;
                next_x[i] = operand_load(&x, first_row, term + KT_GEMM_TILE, load);
                next_y[i] = operand_load(&y, first_column, term + KT_GEMM_TILE, load);
            }
            for (int k = 0; k < KT_GEMM_TILE; k++) {
                const kt_real4 l = *(const kt_real4 *)&left[k][place(k, own_row)];
                const kt_real2 r = *(const kt_real2 *)&right[k][place(k, own_column)];
                for (int i = 0; i < 4; i++)
                    for (int j = 0; j < 2; j++)
                        sum[i][j] += l.v[i] * r.v[j];
            }
            __syncthreads(); /* they are used before the next ones overwrite them */
        }
        for (int i = 0; i < 4; i++) {
            const int row = first_row + own_row + i, column = first_column + own_column;
            if (row >= height || column >= columns)
                continue;
            kt_real2 *to = (kt_real2 *)(kt_rows(a.c, fold) + (int64_t)row * a.c.stride + column), value;
            for (int j = 0; j < 2; j++)
                value.v[j] = a.accumulate ? to->v[j] + sum[i][j] : sum[i][j];
            *to = value;
        }
    }
}

KT_KERNEL(gemm_by_dots, kt_gemm)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), columns = (a.n + 15) / 16 * 16;
    const int across = columns / KT_GEMM_DOTS, units = (rows + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, column = unit % across * KT_GEMM_DOTS + threadIdx.y;
        const kt_real *x = kt_rows(a.a, fold) + (int64_t)first * a.a.stride;
        const kt_real *y = kt_rows(a.b, fold) + (int64_t)column * a.b.stride;
        kt_real sum[KT_GEMM_ROWS] = {0}, own = 0;
        if (column < a.n)
            for (int k = threadIdx.x * 4; k < a.k; k += KT_WARP * 4) {
                const kt_real4 weight = load4(y + k);
                for (int r = 0; r < KT_GEMM_ROWS; r++) {
                    if (first + r >= rows)
                        continue;
                    const kt_real4 feature = load4(x + (int64_t)r * a.a.stride + k);
                    for (int e = 0; e < 4; e++)
                        sum[r] += weight.v[e] * feature.v[e];
                }
            }
        for (int r = 0; r < KT_GEMM_ROWS; r++) {
            const kt_real whole = kt_warp_sum(sum[r]);
            own = (int)threadIdx.x == r ? whole : own;
        }
        if ((int)threadIdx.x < KT_GEMM_ROWS && first + (int)threadIdx.x < rows) {
            kt_real *to = kt_rows(a.c, fold) + (int64_t)(first + (int)threadIdx.x) * a.c.stride + column;
            *to = a.accumulate ? *to + own : own;
        }
    }
}

KT_KERNEL(gemm_by_columns, kt_gemm)
{
    KT_SHARED kt_real part[KT_GEMM_PARTS][KT_GEMM_ROWS][KT_WARP];
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), columns = (a.n + 15) / 16 * 16;
    const int across = (columns + KT_WARP - 1) / KT_WARP,
              units = (rows + KT_GEMM_ROWS - 1) / KT_GEMM_ROWS * across;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int first = unit / across * KT_GEMM_ROWS, column = unit % across * KT_WARP + threadIdx.x;
        const kt_real *x = kt_rows(a.a, fold) + (int64_t)first * a.a.stride;
        const kt_real *y = kt_rows(a.b, fold) + column;
        kt_real sum[KT_GEMM_ROWS] = {0};
        if (column < a.n)
            for (int k = threadIdx.y; k < a.k; k += KT_GEMM_PARTS) {
                const kt_real weight = y[(int64_t)k * a.b.stride];
                for (int r = 0; r < KT_GEMM_ROWS; r++)
                    if (first + r < rows)
                        sum[r] += weight * x[(int64_t)r * a.a.stride + k];
            }
        for (int r = 0; r < KT_GEMM_ROWS; r++)
            part[threadIdx.y][r][threadIdx.x] = sum[r];
        __syncthreads(); /* all parts are there */
        const int row = threadIdx.y;
        if (row < KT_GEMM_ROWS && first + row < rows && column < columns) {
            kt_real whole = 0;
            for (int p = 0; p < KT_GEMM_PARTS; p++)
                whole += part[p][row][threadIdx.x];
            kt_real *to = kt_rows(a.c, fold) + (int64_t)(first + row) * a.c.stride + column;
            *to = a.accumulate ? *to + whole : whole;
        }
        __syncthreads(); /* they are read before the next ones overwrite them */
    }
}

#endif
