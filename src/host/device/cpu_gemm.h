/* Matrix products of the CPU device, compiled once per instruction set (cpu_backend.c).
 *
 * Sizes here are small and ragged: 8 to some hundreds of rows by 16 to 464
 * columns. Every element of a result is one sum in a fixed order, whatever the
 * number of rows and wherever a row stands, so that a crystal's prediction does
 * not depend on its batch; general BLAS kernels do not promise that.
 * docs/performance.md has the measured comparison with OpenBLAS and libxsmm.
 */
#ifndef KTI_DEVICE_CPU_GEMM_H
#define KTI_DEVICE_CPU_GEMM_H

#include <stdint.h>
#include <string.h>

#include "kernels/kernel.h"

/* A sum along k is kept in 16 lanes whatever the processor. A register holds VECTOR of them: wider vectors than
 * the processor has would go through memory. TILE_ROWS x TILE_VECTORS and DOT_ROWS x DOT_COLUMNS registers of
 * sums fit into its register file beside the operands. */
#if defined(__AVX512F__)
enum { VECTOR = 16, TILE_ROWS = 8, TILE_VECTORS = 2, DOT_ROWS = 8, DOT_COLUMNS = 2 };
#elif defined(__AVX2__)
enum { VECTOR = 8, TILE_ROWS = 6, TILE_VECTORS = 2, DOT_ROWS = 4, DOT_COLUMNS = 2 };
#else
enum { VECTOR = 4, TILE_ROWS = 2, TILE_VECTORS = 4, DOT_ROWS = 2, DOT_COLUMNS = 2 };
#endif

enum {
    LANES = 16,
    PARTS = LANES / VECTOR,
    /* Weights up to this size are transposed first; larger ones (the head's) are used as they lie, with dot
     * products, because their rows are few: transposing 450 x 350 costs more than the product of 8 rows. */
    PACK_LIMIT = 16384
};

typedef kt_real vector __attribute__((vector_size(VECTOR * sizeof(kt_real)), aligned(4 * VECTOR), may_alias));

/* One tile of c [R, V vectors] (= or +=) sum over k of a(r, k) b[k, :]. */
static inline __attribute__((always_inline)) void tile(const int R, const int V, int k_size, const kt_real *a,
                                                       int64_t a_row, int64_t a_k, const kt_real *b,
                                                       int64_t b_stride, kt_real *c, int64_t c_stride,
                                                       int accumulate)
{
    vector sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            sum[r][v] = accumulate ? *(const vector *)(c + r * c_stride + v * VECTOR) : (vector){0};
    for (int k = 0; k < k_size; k++) {
        vector column[TILE_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            column[v] = *(const vector *)(b + k * b_stride + v * VECTOR);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const kt_real x = a[r * a_row + k * a_k];
#pragma GCC unroll 8
            for (int v = 0; v < V; v++)
                sum[r][v] += x * column[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            *(vector *)(c + r * c_stride + v * VECTOR) = sum[r][v];
}

static inline __attribute__((always_inline)) void tile_column(const int V, int m, int k, const kt_real *a,
                                                              int64_t a_row, int64_t a_k, const kt_real *b,
                                                              int64_t b_stride, kt_real *c, int64_t c_stride,
                                                              int accumulate)
{
    int r = 0;
    for (; r + TILE_ROWS <= m; r += TILE_ROWS)
        tile(TILE_ROWS, V, k, a + r * a_row, a_row, a_k, b, b_stride, c + r * c_stride, c_stride, accumulate);
    if (TILE_ROWS > 4 && r + 4 <= m) {
        tile(4, V, k, a + r * a_row, a_row, a_k, b, b_stride, c + r * c_stride, c_stride, accumulate);
        r += 4;
    }
    if (TILE_ROWS > 2 && r + 2 <= m) {
        tile(2, V, k, a + r * a_row, a_row, a_k, b, b_stride, c + r * c_stride, c_stride, accumulate);
        r += 2;
    }
    if (r < m)
        tile(1, V, k, a + r * a_row, a_row, a_k, b, b_stride, c + r * c_stride, c_stride, accumulate);
}

/* c [m, n] (= or +=) sum over k of a(r, k) b[k, :], with a(r, k) at a[r * a_row + k * a_k]; n counts whole lanes. */
static void product(int m, int n, int k, const kt_real *a, int64_t a_row, int64_t a_k, const kt_real *b,
                    int64_t b_stride, kt_real *c, int64_t c_stride, int accumulate)
{
    int j = 0;
    for (; j + TILE_VECTORS * VECTOR <= n; j += TILE_VECTORS * VECTOR)
        tile_column(TILE_VECTORS, m, k, a, a_row, a_k, b + j, b_stride, c + j, c_stride, accumulate);
    for (; j < n; j += LANES)
        tile_column(PARTS, m, k, a, a_row, a_k, b + j, b_stride, c + j, c_stride, accumulate);
}

/* Swaps the off-diagonal d x d blocks of every 2d x 2d block of a matrix of VECTOR rows, a vector each. */
#define SWAP_BLOCKS(d, low, high)                                                                            \
    _Pragma("GCC unroll 16") for (int i = 0; i < VECTOR; i++) if ((i & d) == 0)                              \
    {                                                                                                        \
        const vector upper = row[i], lower = row[i + d];                                                     \
        row[i] = __builtin_shufflevector(upper, lower, low);                                                 \
        row[i + d] = __builtin_shufflevector(upper, lower, high);                                            \
    }

#if defined(__AVX512F__)
#define EACH_BLOCK(DO) DO(8, LOW8, HIGH8) DO(4, LOW4, HIGH4) DO(2, LOW2, HIGH2) DO(1, LOW1, HIGH1)
#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#elif defined(__AVX2__)
#define EACH_BLOCK(DO) DO(4, LOW4, HIGH4) DO(2, LOW2, HIGH2) DO(1, LOW1, HIGH1)
#define LOW4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH4 4, 5, 6, 7, 12, 13, 14, 15
#define LOW2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW1 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH1 1, 9, 3, 11, 5, 13, 7, 15
#else
#define EACH_BLOCK(DO) DO(2, LOW2, HIGH2) DO(1, LOW1, HIGH1)
#define LOW2 0, 1, 4, 5
#define HIGH2 2, 3, 6, 7
#define LOW1 0, 4, 2, 6
#define HIGH1 1, 5, 3, 7
#endif

/* Sums of VECTOR vectors at once into the first, lane i that of vector i, each by a tree: transposing and adding. */
static inline __attribute__((always_inline)) void sum_lanes(vector *row)
{
#define FOLD_BLOCKS(d, low, high)                                                                            \
    _Pragma("GCC unroll 16") for (int i = 0; i < d; i++) row[i] =                                            \
        __builtin_shufflevector(row[i], row[i + d], low) +                                                   \
        __builtin_shufflevector(row[i], row[i + d], high);
    EACH_BLOCK(FOLD_BLOCKS)
#undef FOLD_BLOCKS
}

/* R x V dot products along k. A dot product is 16 sums, of every 16th term each, and their sum by the tree that
 * adds the upper half of them to the lower, whatever R, V and VECTOR. */
static inline __attribute__((always_inline)) void dot_tile(const int R, const int V, int k_size,
                                                           const kt_real *a, int64_t a_stride,
                                                           const kt_real *b, int64_t b_stride, kt_real *c,
                                                           int64_t c_stride, int accumulate)
{
    vector sum[PARTS][VECTOR];
    for (int part = 0; part < PARTS; part++) {
        vector *s = sum[part];
        vector running[DOT_ROWS * DOT_COLUMNS];
#pragma GCC unroll 16
        for (int i = 0; i < R * V; i++)
            running[i] = (vector){0};
        for (int k = part * VECTOR; k < k_size; k += LANES) {
            vector weight[DOT_COLUMNS];
#pragma GCC unroll 8
            for (int v = 0; v < V; v++)
                weight[v] = *(const vector *)(b + v * b_stride + k);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const vector x = *(const vector *)(a + r * a_stride + k);
#pragma GCC unroll 8
                for (int v = 0; v < V; v++)
                    running[r * V + v] += x * weight[v];
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < VECTOR; i++)
            s[i] = i < R * V ? running[i] : (vector){0};
    }
    for (int half = PARTS / 2; half > 0; half /= 2)
        for (int part = 0; part < half; part++)
            for (int i = 0; i < R * V; i++)
                sum[part][i] += sum[part + half][i];
    sum_lanes(sum[0]);
#pragma GCC unroll 16
    for (int i = 0; i < R * V; i++) {
        kt_real *out = c + i / V * c_stride + i % V;
        *out = (accumulate ? *out : 0) + sum[0][0][i];
    }
}

static inline __attribute__((always_inline)) void dot_column(const int V, int m, int k, const kt_real *a,
                                                             int64_t a_stride, const kt_real *b,
                                                             int64_t b_stride, kt_real *c, int64_t c_stride,
                                                             int accumulate)
{
    int r = 0;
    for (; r + DOT_ROWS <= m; r += DOT_ROWS)
        dot_tile(DOT_ROWS, V, k, a + r * a_stride, a_stride, b, b_stride, c + r * c_stride, c_stride,
                 accumulate);
    if (DOT_ROWS > 4 && r + 4 <= m) {
        dot_tile(4, V, k, a + r * a_stride, a_stride, b, b_stride, c + r * c_stride, c_stride, accumulate);
        r += 4;
    }
    for (; r < m; r++)
        dot_tile(1, V, k, a + r * a_stride, a_stride, b, b_stride, c + r * c_stride, c_stride, accumulate);
}

/* c [m, n] (= or +=) a [m, k] b[n, k]^T by dot products along k, which counts whole lanes. */
static void product_by_dots(int m, int n, int k, const kt_real *a, int64_t a_stride, const kt_real *b,
                            int64_t b_stride, kt_real *c, int64_t c_stride, int accumulate)
{
    int j = 0;
    for (; j + DOT_COLUMNS <= n; j += DOT_COLUMNS)
        dot_column(DOT_COLUMNS, m, k, a, a_stride, b + j * b_stride, b_stride, c + j, c_stride, accumulate);
    for (; j < n; j++)
        dot_column(1, m, k, a, a_stride, b + j * b_stride, b_stride, c + j, c_stride, accumulate);
}

/* packed [k, n rounded up to 16] = b[n, k]^T, zeros beyond n. */
static void transpose(int n, int k, const kt_real *b, int64_t b_stride, kt_real *packed)
{
    const int64_t packed_stride = (n + LANES - 1) / LANES * LANES;
    for (int j = 0; j < packed_stride; j += VECTOR)
        for (int l = 0; l < k; l += VECTOR) {
            vector row[VECTOR];
#pragma GCC unroll 16
            for (int i = 0; i < VECTOR; i++)
                row[i] = j + i < n ? *(const vector *)(b + (j + i) * b_stride + l) : (vector){0};
            EACH_BLOCK(SWAP_BLOCKS)
#pragma GCC unroll 16
            for (int i = 0; i < VECTOR; i++)
                *(vector *)(packed + (l + i) * packed_stride + j) = row[i];
        }
}

#endif
