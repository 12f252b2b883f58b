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

enum {
    LANES = 16,
    /* Weights up to this size are transposed first; larger ones (the head's) are used as they lie, with dot
     * products, because their rows are few: transposing 450 x 350 costs more than the product of 8 rows. */
    PACK_LIMIT = 16384
};

typedef kt_real lanes __attribute__((vector_size(LANES * sizeof(kt_real)), aligned(64), may_alias));

#if defined(__AVX512F__)
enum { TILE_ROWS = 8, TILE_LANES = 2 };
#else
enum { TILE_ROWS = 4, TILE_LANES = 1 };
#endif

/* One tile of c [R, V * 16] (= or +=) sum over k of a(r, k) b[k, :]. */
static inline __attribute__((always_inline)) void tile(const int R, const int V, int k_size, const kt_real *a,
                                                       int64_t a_row, int64_t a_k, const kt_real *b,
                                                       int64_t b_stride, kt_real *c, int64_t c_stride,
                                                       int accumulate)
{
    lanes sum[TILE_ROWS][TILE_LANES];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            sum[r][v] = accumulate ? *(const lanes *)(c + r * c_stride + v * LANES) : (lanes){0};
    for (int k = 0; k < k_size; k++) {
        lanes column[TILE_LANES];
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            column[v] = *(const lanes *)(b + k * b_stride + v * LANES);
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
            *(lanes *)(c + r * c_stride + v * LANES) = sum[r][v];
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
    if (r + 2 <= m) {
        tile(2, V, k, a + r * a_row, a_row, a_k, b, b_stride, c + r * c_stride, c_stride, accumulate);
        r += 2;
    }
    if (r < m)
        tile(1, V, k, a + r * a_row, a_row, a_k, b, b_stride, c + r * c_stride, c_stride, accumulate);
}

/* c [m, n] (= or +=) sum over k of a(r, k) b[k, :], with a(r, k) at a[r * a_row + k * a_k]. */
static void product(int m, int n, int k, const kt_real *a, int64_t a_row, int64_t a_k, const kt_real *b,
                    int64_t b_stride, kt_real *c, int64_t c_stride, int accumulate)
{
    int j = 0;
    for (; j + TILE_LANES * LANES <= n; j += TILE_LANES * LANES)
        tile_column(TILE_LANES, m, k, a, a_row, a_k, b + j, b_stride, c + j, c_stride, accumulate);
    for (; j < n; j += LANES)
        tile_column(1, m, k, a, a_row, a_k, b + j, b_stride, c + j, c_stride, accumulate);
}

/* Sum of the lanes, always by the same tree. */
static inline kt_real sum_lanes(const lanes *x)
{
    kt_real lane[LANES];
    memcpy(lane, x, sizeof lane);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            lane[k] += lane[k + width];
    return lane[0];
}

/* Swaps the off-diagonal d x d blocks of every 2d x 2d block of a 16 x 16 matrix held in 16 vectors. */
#define SWAP_BLOCKS(d, low, high)                                                                            \
    for (int i = 0; i < LANES; i++)                                                                          \
        if ((i & d) == 0) {                                                                                  \
            const lanes upper = row[i], lower = row[i + d];                                                  \
            row[i] = __builtin_shufflevector(upper, lower, low);                                             \
            row[i + d] = __builtin_shufflevector(upper, lower, high);                                        \
        }

#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31

/* Sums of 16 vectors at once, lane i that of vector i, each by the tree of sum_lanes: transposing and adding.
 */
static inline __attribute__((always_inline)) void sum_16_lanes(lanes *row)
{
#define FOLD_BLOCKS(d, low, high)                                                                            \
    for (int i = 0; i < d; i++)                                                                              \
        row[i] = __builtin_shufflevector(row[i], row[i + d], low) +                                          \
                 __builtin_shufflevector(row[i], row[i + d], high);
#pragma GCC unroll 16
    FOLD_BLOCKS(8, LOW8, HIGH8)
#pragma GCC unroll 16
    FOLD_BLOCKS(4, LOW4, HIGH4)
#pragma GCC unroll 16
    FOLD_BLOCKS(2, LOW2, HIGH2)
    FOLD_BLOCKS(1, LOW1, HIGH1)
#undef FOLD_BLOCKS
}

static inline __attribute__((always_inline)) void dot_tile(const int R, const int V, int k_size,
                                                           const kt_real *a, int64_t a_stride,
                                                           const kt_real *b, int64_t b_stride, kt_real *c,
                                                           int64_t c_stride, int accumulate)
{
    lanes sum[8 * 2];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            sum[2 * r + v] = (lanes){0};
    for (int k = 0; k < k_size; k += LANES) {
        lanes weight[2];
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            weight[v] = *(const lanes *)(b + v * b_stride + k);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const lanes x = *(const lanes *)(a + r * a_stride + k);
#pragma GCC unroll 8
            for (int v = 0; v < V; v++)
                sum[2 * r + v] += x * weight[v];
        }
    }
    if (R == 8 && V == 2) {
        kt_real total[LANES];
        sum_16_lanes(sum);
        memcpy(total, sum, sizeof total);
        for (int i = 0; i < LANES; i++) {
            kt_real *out = c + i / 2 * c_stride + i % 2;
            *out = (accumulate ? *out : 0) + total[i];
        }
        return;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) {
            kt_real *out = c + r * c_stride + v;
            *out = (accumulate ? *out : 0) + sum_lanes(&sum[2 * r + v]);
        }
}

/* c [m, n] (= or +=) a [m, k] b[n, k]^T by dot products along k. */
static void product_by_dots(int m, int n, int k, const kt_real *a, int64_t a_stride, const kt_real *b,
                            int64_t b_stride, kt_real *c, int64_t c_stride, int accumulate)
{
    for (int r = 0; r < m;) {
        const int rows = m - r >= 8 ? 8 : m - r >= 4 ? 4 : 1;
        const kt_real *x = a + r * a_stride;
        kt_real *y = c + r * c_stride;
        int j = 0;
        for (; j + 2 <= n; j += 2) {
            const kt_real *w = b + j * b_stride;
            if (rows == 8)
                dot_tile(8, 2, k, x, a_stride, w, b_stride, y + j, c_stride, accumulate);
            else if (rows == 4)
                dot_tile(4, 2, k, x, a_stride, w, b_stride, y + j, c_stride, accumulate);
            else
                dot_tile(1, 2, k, x, a_stride, w, b_stride, y + j, c_stride, accumulate);
        }
        if (j < n) {
            const kt_real *w = b + j * b_stride;
            for (int i = 0; i < rows; i++)
                dot_tile(1, 1, k, x + i * a_stride, a_stride, w, b_stride, y + j + i * c_stride, c_stride,
                         accumulate);
        }
        r += rows;
    }
}

/* packed [k, n rounded up to 16] = b[n, k]^T, zeros beyond n. */
static void transpose(int n, int k, const kt_real *b, int64_t b_stride, kt_real *packed)
{
    const int64_t packed_stride = (n + LANES - 1) / LANES * LANES;
    for (int j = 0; j < n; j += LANES)
        for (int l = 0; l < k; l += LANES) {
            lanes row[LANES];
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++)
                row[i] = j + i < n ? *(const lanes *)(b + (j + i) * b_stride + l) : (lanes){0};
#pragma GCC unroll 16
            SWAP_BLOCKS(8, LOW8, HIGH8)
#pragma GCC unroll 16
            SWAP_BLOCKS(4, LOW4, HIGH4)
#pragma GCC unroll 16
            SWAP_BLOCKS(2, LOW2, HIGH2)
#pragma GCC unroll 16
            SWAP_BLOCKS(1, LOW1, HIGH1)
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++)
                *(lanes *)(packed + (l + i) * packed_stride + j) = row[i];
        }
}

#endif
