/* Matrix products for devices with many threads, as parts of kernels: a block's tile of one, a warp's sums.
 *
 * Every kernel that multiplies does so by these, so that a product has the same bits whichever kernel it is in: an
 * element's terms are added in an order that depends on k alone.
 */
#ifndef KT_KERNELS_PRODUCT_H
#define KT_KERNELS_PRODUCT_H

#include "kernels/arguments.h"

#ifdef KT_MANY_THREADS

enum {
    TILE_LOADS = KT_GEMM_TILE * KT_GEMM_TILE / 4 / KT_GEMM_THREADS, /* of a thread, four elements each */
    LINE_LOADS = KT_GEMM_TILE / 4,
    OWN_ROWS = 4, /* of a tile's elements, a thread's */
    OWN_COLUMNS = 2
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

/* A product as a block sees it: its operands, and the tiles of c. */
typedef struct tiling {
    operand x, y;
    int height, columns, terms; /* of c, its padding included; of each sum */
    int across, tiles;
} tiling;

KT_INLINE tiling tiling_of(const kt_gemm *a, int fold)
{
    const int rows = kt_number(a->rows, fold), weights = a->product == KT_WEIGHT_GRADIENT;
    const int height = weights ? a->m : rows, terms = weights ? rows : a->k, columns = (a->n + 15) / 16 * 16,
              across = (columns + KT_GEMM_TILE - 1) / KT_GEMM_TILE;
    const tiling t = {{kt_rows(a->a, fold), a->a.stride, !weights, height, terms},
                      {kt_rows(a->b, fold), a->b.stride, a->product == KT_FORWARD, a->n, terms},
                      height,
                      columns,
                      terms,
                      across,
                      (height + KT_GEMM_TILE - 1) / KT_GEMM_TILE * across};
    return t;
}

/* What a thread has of a block's tile: OWN_ROWS x OWN_COLUMNS elements of c from (row, column) on. */
typedef struct own_part {
    int row, column;
    kt_real sum[OWN_ROWS][OWN_COLUMNS]; /* over all terms */
    kt_real left[OWN_ROWS];             /* the rows' sums of a's elements, where it was asked for */
} own_part;

/* Number `tile` of the tiles. All threads of a block of KT_GEMM_THREADS must call. `left` is a constant where this is
 * called. */
KT_INLINE own_part multiply_tile(const tiling *t, int tile, const int left)
{
    KT_SHARED kt_real x[KT_GEMM_TILE][KT_GEMM_TILE] __attribute__((aligned(16)));
    KT_SHARED kt_real y[KT_GEMM_TILE][KT_GEMM_TILE] __attribute__((aligned(16)));
    const int thread = threadIdx.x, own_row = thread / 16 * OWN_ROWS, own_column = thread % 16 * OWN_COLUMNS;
    const int first_row = tile / t->across * KT_GEMM_TILE, first_column = tile % t->across * KT_GEMM_TILE;
    own_part own = {first_row + own_row, first_column + own_column, {{0}}, {0}};
    kt_real4 next_x[TILE_LOADS], next_y[TILE_LOADS];
    for (int i = 0; i < TILE_LOADS; i++) {
        next_x[i] = operand_load(&t->x, first_row, 0, thread + i * KT_GEMM_THREADS);
        next_y[i] = operand_load(&t->y, first_column, 0, thread + i * KT_GEMM_THREADS);
    }
    for (int term = 0; term < t->terms; term += KT_GEMM_TILE) {
        for (int i = 0; i < TILE_LOADS; i++) {
            operand_store(&t->x, thread + i * KT_GEMM_THREADS, next_x[i], x);
            operand_store(&t->y, thread + i * KT_GEMM_THREADS, next_y[i], y);
        }
        __syncthreads(); /* the tiles are complete */
        for (int i = 0; i < TILE_LOADS; i++) {
            const int load = thread + i * KT_GEMM_THREADS;
            next_x[i] = operand_load(&t->x, first_row, term + KT_GEMM_TILE, load);
            next_y[i] = operand_load(&t->y, first_column, term + KT_GEMM_TILE, load);
        }
        for (int k = 0; k < KT_GEMM_TILE; k++) {
            const kt_real4 l = *(const kt_real4 *)&x[k][place(k, own_row)];
            const kt_real2 r = *(const kt_real2 *)&y[k][place(k, own_column)];
            for (int i = 0; i < OWN_ROWS; i++) {
                for (int j = 0; j < OWN_COLUMNS; j++)
                    own.sum[i][j] += l.v[i] * r.v[j];
                if (left)
                    own.left[i] += l.v[i];
            }
        }
        __syncthreads(); /* they are used before the next ones overwrite them */
    }
    return own;
}

/* One row of eight of a forward product's column, by a warp: complete in the threads below KT_GEMM_ROWS, each that of
 * row first + threadIdx.x. All threads of the warp must call. */
KT_INLINE kt_real multiply_dots(const kt_gemm *a, int fold, int rows, int first, int column)
{
    const kt_real *x = kt_rows(a->a, fold) + (int64_t)first * a->a.stride;
    const kt_real *y = kt_rows(a->b, fold) + (int64_t)column * a->b.stride;
    kt_real sum[KT_GEMM_ROWS] = {0}, own = 0;
    if (column < a->n)
        for (int k = threadIdx.x * 4; k < a->k; k += KT_WARP * 4) {
            const kt_real4 weight = load4(y + k);
            for (int r = 0; r < KT_GEMM_ROWS; r++) {
                if (first + r >= rows)
                    continue;
                const kt_real4 feature = load4(x + (int64_t)r * a->a.stride + k);
                for (int e = 0; e < 4; e++)
                    sum[r] += weight.v[e] * feature.v[e];
            }
        }
    for (int r = 0; r < KT_GEMM_ROWS; r++) {
        const kt_real whole = kt_warp_sum(sum[r]);
        own = (int)threadIdx.x == r ? whole : own;
    }
    return own;
}

/* Eight rows of 32 columns of an input gradient, by a block of 32 x KT_GEMM_PARTS: complete in the threads whose
 * threadIdx.y is below KT_GEMM_ROWS, each that of row first + threadIdx.y. All threads of the block must call. */
KT_INLINE kt_real multiply_columns(const kt_gemm *a, int fold, int rows, int first, int column)
{
    KT_SHARED kt_real part[KT_GEMM_PARTS][KT_GEMM_ROWS][KT_WARP];
    const kt_real *x = kt_rows(a->a, fold) + (int64_t)first * a->a.stride;
    const kt_real *y = kt_rows(a->b, fold) + column;
    kt_real sum[KT_GEMM_ROWS] = {0}, whole = 0;
    if (column < a->n)
        for (int k = threadIdx.y; k < a->k; k += KT_GEMM_PARTS) {
            const kt_real weight = y[(int64_t)k * a->b.stride];
            for (int r = 0; r < KT_GEMM_ROWS; r++)
                if (first + r < rows)
                    sum[r] += weight * x[(int64_t)r * a->a.stride + k];
        }
    for (int r = 0; r < KT_GEMM_ROWS; r++)
        part[threadIdx.y][r][threadIdx.x] = sum[r];
    __syncthreads(); /* all parts are there */
    if (threadIdx.y < KT_GEMM_ROWS)
        for (int p = 0; p < KT_GEMM_PARTS; p++)
            whole += part[p][threadIdx.y][threadIdx.x];
    __syncthreads(); /* they are read before the next ones overwrite them */
    return whole;
}

#endif

#endif
