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
    /* Rows by weights: terms of the sums that go through shared memory at once, and a line of it, a little longer so that
     * neighbouring ones begin at other banks. */
    TERMS = 64,
    LINE = TERMS + 4,
    /* Loads of a thread, of four elements each. */
    ROW_LOADS = KT_GEMM_ROWS * TERMS / 4 / KT_THREADS,
    WEIGHT_LOADS = KT_GEMM_TILE * TERMS / 4 / KT_THREADS,
    TILE_LOADS = KT_GEMM_TILE * KT_GEMM_TILE / 4 / KT_THREADS,
    /* What a thread computes: rows of one column, or a part of a weight gradient's tile. */
    OWN_LINES = KT_GEMM_ROWS * KT_WARP / KT_THREADS,
    OWN_ROWS = 4,
    OWN_COLUMNS = 2,
    /* Terms between two looks at how many are left; up to the next multiple zeros stand for what is missing. */
    ROW_STEP = 16,
    TILE_STEP = 8,
    /* Large weights: loads at once of a lane for each of a warp's columns, and of a thread, where warps share sums. */
    DOT_LOADS = 4,
    DOT_TERMS = DOT_LOADS * 4 * KT_WARP,
    DOT_COLUMNS = KT_WARP / KT_GEMM_ROWS,
    COLUMN_LOADS = 16,
    COLUMN_TERMS = COLUMN_LOADS * KT_GEMM_PARTS
};

KT_INLINE int block_thread(void)
{
    return (int)(threadIdx.y * KT_WARP + threadIdx.x);
}

KT_INLINE kt_real4 load4(const kt_real *from)
{
    return *(const kt_real4 *)from;
}

/* Four elements of row `line` of an operand; zeros beyond its lines and its columns. */
KT_INLINE kt_real4 load4_within(const kt_real *data, int64_t stride, int line, int lines, int column,
                                int columns)
{
    const kt_real4 zero = {{0, 0, 0, 0}};
    return line < lines && column < columns ? load4(data + line * stride + column) : zero;
}

/* A product as a block sees it. Where memory's rows are padded, the padding is zero. Rows beyond the batch's are
 * multiplied too, as far as the launch goes, though not stored: so nothing but a weight gradient waits for their number. */
typedef struct tiling {
    const kt_real *x, *y; /* a and b of the fold */
    int64_t x_stride, y_stride;
    int reach;                  /* rows that x has, the batch's or not */
    int height, columns, terms; /* of c, its padding included; of each sum */
    int width;                  /* columns of c without padding */
    int across, tiles;          /* a row of tiles; all */
} tiling;

KT_INLINE int tiles_across(const kt_gemm *a)
{
    return ((a->n + 15) / 16 * 16 + KT_GEMM_TILE - 1) / KT_GEMM_TILE;
}

/* Of the most rows that the launch is for. */
KT_INLINE int tiles_of(const kt_gemm *a)
{
    const int weights = a->product == KT_WEIGHT_GRADIENT, height = weights ? a->m : a->rows.max,
              tall = weights ? KT_GEMM_TILE : KT_GEMM_ROWS;
    return (height + tall - 1) / tall * tiles_across(a);
}

KT_INLINE tiling tiling_of(const kt_gemm *a, int fold)
{
    const int rows = kt_number(a->rows, fold), weights = a->product == KT_WEIGHT_GRADIENT;
    const tiling t = {kt_rows(a->a, fold),
                      kt_rows(a->b, fold),
                      a->a.stride,
                      a->b.stride,
                      weights ? rows : a->rows.max,
                      weights ? a->m : rows,
                      (a->n + 15) / 16 * 16,
                      weights ? rows : a->k,
                      a->n,
                      tiles_across(a),
                      tiles_of(a)};
    return t;
}

/* ---- rows by weights: KT_FORWARD and KT_INPUT_GRADIENT ----
 *
 * A block has a tile of KT_GEMM_ROWS rows by KT_GEMM_TILE columns of c: small, since a batch has few rows and a GPU many
 * multiprocessors. A warp is OWN_LINES rows, its threads the columns. */

/* What a thread has on the way from memory to the block's shared tiles. */
typedef struct row_loads {
    kt_real4 row[ROW_LOADS], weight[WEIGHT_LOADS];
} row_loads;

/* Where a thread's part of tile number `tile` begins. */
KT_INLINE int own_line(const tiling *t, int tile)
{
    return tile / t->across * KT_GEMM_ROWS + (int)threadIdx.y * OWN_LINES;
}

KT_INLINE int own_column(const tiling *t, int tile)
{
    return tile % t->across * KT_GEMM_TILE + (int)threadIdx.x;
}

/* The terms from `first` on. `forward`, a constant where this is called: b's rows are columns of c, and hold the terms. */
KT_INLINE void load_rows(const tiling *t, int tile, int first, const int forward, row_loads *loads)
{
    const int row = tile / t->across * KT_GEMM_ROWS, column = tile % t->across * KT_GEMM_TILE;
    for (int i = 0; i < ROW_LOADS; i++) {
        const int load = block_thread() + i * KT_THREADS;
        loads->row[i] = load4_within(t->x, t->x_stride, row + load / (TERMS / 4), t->reach,
                                     first + load % (TERMS / 4) * 4, t->terms);
    }
    for (int i = 0; i < WEIGHT_LOADS; i++) {
        const int load = block_thread() + i * KT_THREADS;
        loads->weight[i] = forward
                               ? load4_within(t->y, t->y_stride, column + load / (TERMS / 4), t->width,
                                              first + load % (TERMS / 4) * 4, t->terms)
                               : load4_within(t->y, t->y_stride, first + load / (KT_GEMM_TILE / 4), t->terms,
                                              column + load % (KT_GEMM_TILE / 4) * 4, t->columns);
    }
}

/* The terms of a product of rows by weights are added in four sums, of every fourth four terms each, in their order: so that an addition
 * need not wait for the one before it. */
KT_INLINE kt_real sum_of_four(const kt_real sum[4])
{
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* The thread's part of tile number `tile`: rows from own_line on of column own_column, each the sum over all terms. `loads` has
 * the first terms. All threads of the block must call. */
KT_INLINE void multiply_rows(const tiling *t, int tile, const int forward, row_loads *loads,
                             kt_real sum[OWN_LINES])
{
    KT_SHARED kt_real x[KT_GEMM_ROWS][TERMS] __attribute__((aligned(16)));
    KT_SHARED kt_real y[KT_GEMM_TILE * LINE]
        __attribute__((aligned(16))); /* [column][LINE] forward, else [term][column] */
    const int line = (int)threadIdx.y * OWN_LINES, column = (int)threadIdx.x;
    kt_real part[OWN_LINES][4] = {{0}};
    for (int first = 0; first < t->terms; first += TERMS) {
        for (int i = 0; i < ROW_LOADS; i++) {
            const int load = block_thread() + i * KT_THREADS;
            *(kt_real4 *)&x[load / (TERMS / 4)][load % (TERMS / 4) * 4] = loads->row[i];
        }
        for (int i = 0; i < WEIGHT_LOADS; i++) {
            const int load = block_thread() + i * KT_THREADS;
            *(kt_real4 *)&y[forward ? load / (TERMS / 4) * LINE + load % (TERMS / 4) * 4 : load * 4] =
                loads->weight[i];
        }
        __syncthreads(); /* the tiles are complete */
        if (first + TERMS < t->terms)
            load_rows(t, tile, first + TERMS, forward, loads);
        const int left = t->terms - first < TERMS ? t->terms - first : TERMS;
        for (int k = 0; k < left; k += ROW_STEP)
            for (int u = k; u < k + ROW_STEP; u += 4) {
                kt_real4 weight;
                if (forward)
                    weight = load4(&y[column * LINE + u]);
                else
                    for (int e = 0; e < 4; e++)
                        weight.v[e] = y[(u + e) * KT_GEMM_TILE + column];
                for (int r = 0; r < OWN_LINES; r++) {
                    const kt_real4 feature = load4(&x[line + r][u]);
                    for (int e = 0; e < 4; e++)
                        part[r][(u - k) / 4] += feature.v[e] * weight.v[e];
                }
            }
        __syncthreads(); /* they are used before the next ones overwrite them */
    }
    for (int r = 0; r < OWN_LINES; r++)
        sum[r] = sum_of_four(part[r]);
}

/* ---- weight gradients ---- */

/* What a thread has of a block's tile of KT_GEMM_TILE x KT_GEMM_TILE: OWN_ROWS x OWN_COLUMNS elements of c from (row, column)
 * on. */
typedef struct own_part {
    int row, column;
    kt_real sum[OWN_ROWS][OWN_COLUMNS]; /* over all terms */
    kt_real left[OWN_ROWS];             /* the rows' sums of a's elements, where it was asked for */
} own_part;

KT_INLINE void load_tile(const tiling *t, int row, int column, int first, kt_real4 x[TILE_LOADS],
                         kt_real4 y[TILE_LOADS])
{
    for (int i = 0; i < TILE_LOADS; i++) {
        const int load = block_thread() + i * KT_THREADS, term = first + load / (KT_GEMM_TILE / 4),
                  along = load % (KT_GEMM_TILE / 4) * 4;
        x[i] = load4_within(t->x, t->x_stride, term, t->terms, row + along, t->height);
        y[i] = load4_within(t->y, t->y_stride, term, t->terms, column + along, t->columns);
    }
}

/* Number `tile` of the tiles. All threads of the block must call. `left` is a constant where this is
 * called. */
KT_INLINE own_part multiply_tile(const tiling *t, int tile, const int left)
{
    KT_SHARED kt_real x[KT_GEMM_TILE][KT_GEMM_TILE] __attribute__((aligned(16))); /* [term][row] */
    KT_SHARED kt_real y[KT_GEMM_TILE][KT_GEMM_TILE] __attribute__((aligned(16))); /* [term][column] */
    const int own_row = block_thread() / 16 * OWN_ROWS, own_column = block_thread() % 16 * OWN_COLUMNS;
    const int row = tile / t->across * KT_GEMM_TILE, column = tile % t->across * KT_GEMM_TILE;
    own_part own = {row + own_row, column + own_column, {{0}}, {0}};
    kt_real4 next_x[TILE_LOADS], next_y[TILE_LOADS];
    load_tile(t, row, column, 0, next_x, next_y);
    for (int first = 0; first < t->terms; first += KT_GEMM_TILE) {
        for (int i = 0; i < TILE_LOADS; i++) {
            const int load = block_thread() + i * KT_THREADS, term = load / (KT_GEMM_TILE / 4),
                      along = load % (KT_GEMM_TILE / 4) * 4;
            *(kt_real4 *)&x[term][along] = next_x[i];
            *(kt_real4 *)&y[term][along] = next_y[i];
        }
        __syncthreads(); /* the tiles are complete */
        load_tile(t, row, column, first + KT_GEMM_TILE, next_x, next_y);
        const int terms = t->terms - first < KT_GEMM_TILE ? t->terms - first : KT_GEMM_TILE;
        for (int k = 0; k < terms; k += TILE_STEP)
            for (int u = k; u < k + TILE_STEP; u++) {
                const kt_real4 l = load4(&x[u][own_row]);
                const kt_real2 r = *(const kt_real2 *)&y[u][own_column];
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

KT_INLINE void store_tile(const kt_gemm *a, const tiling *t, int fold, const own_part *own)
{
    for (int i = 0; i < OWN_ROWS; i++) {
        const int row = own->row + i;
        if (row >= t->height || own->column >= t->columns)
            continue;
        kt_real2 *to = (kt_real2 *)(kt_rows(a->c, fold) + (int64_t)row * a->c.stride + own->column), value;
        for (int j = 0; j < OWN_COLUMNS; j++)
            value.v[j] = a->accumulate ? to->v[j] + own->sum[i][j] : own->sum[i][j];
        *to = value;
    }
}

/* ---- large weights ---- */

/* Groups of columns of a block, which a forward product has for each KT_GEMM_ROWS rows. */
KT_INLINE int dots_across(const kt_gemm *a)
{
    return (a->n + KT_GEMM_DOTS - 1) / KT_GEMM_DOTS;
}

/* Each thread passes on half of its sums, `half` of them, and adds what it is passed to the other half. */
KT_INLINE void halve_sums(kt_real *sum, const int half)
{
    const int upper = ((int)threadIdx.x & half) != 0;
    for (int i = 0; i < half; i++) {
        const kt_real kept = upper ? sum[i + half] : sum[i], given = upper ? sum[i] : sum[i + half];
        sum[i] = kept + kt_shuffle_xor(given, half);
    }
}

/* Sum number `threadIdx.x` of a warp's 32 over its threads, by kt_warp_sum's tree. All threads of the warp must call. */
KT_INLINE kt_real warp_sums(kt_real sum[KT_WARP])
{
    halve_sums(sum, 16);
    halve_sums(sum, 8);
    halve_sums(sum, 4);
    halve_sums(sum, 2);
    halve_sums(sum, 1);
    return sum[0];
}

/* KT_GEMM_ROWS rows from `first` on of a forward product, of KT_GEMM_DOTS columns from `column` on, DOT_COLUMNS of each warp: the thread's is
 * that of row dot_row and column dot_column from there. All threads of the block must call. */
KT_INLINE kt_real multiply_dots(const kt_gemm *a, int fold, int first, int column)
{
    KT_SHARED kt_real x[KT_GEMM_ROWS][DOT_TERMS] __attribute__((aligned(16)));
    const kt_real *from = kt_rows(a->a, fold), *y = kt_rows(a->b, fold);
    const int own = column + (int)threadIdx.y * DOT_COLUMNS, lane = (int)threadIdx.x * 4;
    kt_real sum[KT_WARP] = {0}; /* [DOT_COLUMNS][KT_GEMM_ROWS] */
    for (int begin = 0; begin < a->k; begin += DOT_TERMS) {
        kt_real4 weight[DOT_COLUMNS][DOT_LOADS];
        for (int j = 0; j < DOT_COLUMNS; j++)
            for (int i = 0; i < DOT_LOADS; i++)
                weight[j][i] =
                    load4_within(y, a->b.stride, own + j, a->n, begin + lane + i * KT_WARP * 4, a->k);
        for (int load = block_thread(); load < KT_GEMM_ROWS * DOT_TERMS / 4; load += KT_THREADS) {
            const int r = load / (DOT_TERMS / 4), along = load % (DOT_TERMS / 4) * 4;
            *(kt_real4 *)&x[r][along] =
                load4_within(from, a->a.stride, first + r, a->rows.max, begin + along, a->k);
        }
        __syncthreads(); /* the rows are there */
        KT_UNROLLED
        for (int i = 0; i < DOT_LOADS; i++)
            for (int r = 0; r < KT_GEMM_ROWS; r++) {
                const kt_real4 feature = load4(&x[r][lane + i * KT_WARP * 4]);
                for (int j = 0; j < DOT_COLUMNS; j++)
                    for (int e = 0; e < 4; e++)
                        sum[j * KT_GEMM_ROWS + r] += weight[j][i].v[e] * feature.v[e];
            }
        __syncthreads(); /* they are used before the next ones overwrite them */
    }
    return warp_sums(sum);
}

KT_INLINE int dot_row(void)
{
    return (int)threadIdx.x % KT_GEMM_ROWS;
}

KT_INLINE int dot_column(void)
{
    return (int)threadIdx.y * DOT_COLUMNS + (int)threadIdx.x / KT_GEMM_ROWS;
}

KT_INLINE int narrow_row(void)
{
    return block_thread() / KT_GEMM_NARROW;
}

KT_INLINE int narrow_column(void)
{
    return block_thread() % KT_GEMM_NARROW;
}

/* KT_GEMM_ROWS rows from `row` on by KT_GEMM_NARROW columns from `column` on of an input gradient: complete in the first threads
 * of the block, each that of row narrow_row and column narrow_column from there. All threads must call. */
KT_INLINE kt_real multiply_columns(const kt_gemm *a, int fold, int row, int column)
{
    KT_SHARED kt_real part[KT_GEMM_PARTS][KT_GEMM_ROWS][KT_GEMM_NARROW];
    KT_SHARED kt_real x[COLUMN_TERMS][KT_GEMM_ROWS] __attribute__((aligned(16)));
    const int own = column + narrow_column(), share = narrow_row();
    const kt_real *from = kt_rows(a->a, fold), *y = kt_rows(a->b, fold) + own;
    kt_real sum[KT_GEMM_ROWS] = {0}, whole = 0;
    for (int begin = 0; begin < a->k; begin += COLUMN_TERMS) {
        kt_real weight[COLUMN_LOADS];
        for (int i = 0; i < COLUMN_LOADS; i++) {
            const int k = begin + i * KT_GEMM_PARTS + share;
            weight[i] = own < a->n && k < a->k ? y[(int64_t)k * a->b.stride] : 0;
        }
        for (int load = block_thread(); load < KT_GEMM_ROWS * COLUMN_TERMS / 4; load += KT_THREADS) {
            const int r = load % KT_GEMM_ROWS, along = load / KT_GEMM_ROWS * 4;
            const kt_real4 four = load4_within(from, a->a.stride, row + r, a->rows.max, begin + along, a->k);
            for (int e = 0; e < 4; e++)
                x[along + e][r] = four.v[e];
        }
        __syncthreads(); /* the rows are there */
        for (int i = 0; i < COLUMN_LOADS; i++)
            for (int r = 0; r < KT_GEMM_ROWS; r += 4) {
                const kt_real4 four = load4(&x[i * KT_GEMM_PARTS + share][r]);
                for (int e = 0; e < 4; e++)
                    sum[r + e] += weight[i] * four.v[e];
            }
        __syncthreads(); /* they are used before the next ones overwrite them */
    }
    for (int r = 0; r < KT_GEMM_ROWS; r++)
        part[share][r][narrow_column()] = sum[r];
    __syncthreads(); /* all parts are there */
    if (narrow_row() < KT_GEMM_ROWS)
        for (int p = 0; p < KT_GEMM_PARTS; p++)
            whole += part[p][narrow_row()][narrow_column()];
    __syncthreads(); /* they are read before the next ones overwrite them */
    return whole;
}

#endif

#endif
