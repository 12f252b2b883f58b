/* The common subset of CUDA C and C11 in which the kernels are written.
 *
 * nvcc compiles a kernel as it stands. On the CPU the same file is compiled as
 * C with a grid of one block of one thread a fold, so that the loops over rows
 * and channels below run whole and the compiler vectorises them:
 *
 *     for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE)
 *         for (int c = threadIdx.x; c < channels; c += blockDim.x)
 *
 * A kernel's result never depends on the block's or the grid's size: every
 * output element is computed by one thread, in one fixed order, and there are
 * no float atomics.
 *
 * blockIdx.z is the fold. threadIdx.x runs over channels; threadIdx.y and
 * blockIdx.x over rows.
 */
#ifndef KT_KERNELS_KERNEL_H
#define KT_KERNELS_KERNEL_H

#include <math.h>
#include <stdint.h>

#ifdef KT_REAL_DOUBLE
typedef double kt_real; /* tests hold the kernels against the reference in float64 */
#else
typedef float kt_real;
#endif

#if defined(__CUDACC__)
#define KT_KERNEL(name, arguments) extern "C" __global__ void name(const arguments a)
#define KT_INLINE static __device__ __forceinline__
#define KT_RESTRICT __restrict__
#elif defined(KT_THREADED_KERNELS)
/* Tests run a block's threads as fibers, to show that any block size gives the same bits. */
typedef struct kt_dim3 {
    int x, y, z;
} kt_dim3;
extern kt_dim3 threadIdx, blockDim, blockIdx, gridDim;
void __syncthreads(void);
#define KT_KERNEL(name, arguments) static void name(const arguments a)
#define KT_INLINE static inline
#define KT_RESTRICT restrict
#else
typedef struct kt_dim3 {
    int x, y, z;
} kt_dim3;
static const kt_dim3 threadIdx = {0, 0, 0}, blockDim = {1, 1, 1}, gridDim = {1, 1, 1};
#define __syncthreads() ((void)0)
#define KT_KERNEL(name, arguments) static void name(const kt_dim3 blockIdx, const arguments a)
#define KT_INLINE static inline
#define KT_RESTRICT restrict
#endif

#define KT_FIRST_ROW ((int)(blockIdx.x * blockDim.y + threadIdx.y))
#define KT_ROW_STRIDE ((int)(gridDim.x * blockDim.y))
#define KT_FIRST_CHANNEL ((int)threadIdx.x)
#define KT_CHANNEL_STRIDE ((int)blockDim.x)

/* A matrix a fold: element (row, column) of fold f is data[f * fold_stride + row * stride + column]. */
typedef struct kt_matrix {
    kt_real *data;
    int64_t fold_stride;
    int32_t stride;
} kt_matrix;

/* Integers of every fold: entry i of fold f is data[f * fold_stride + i]. */
typedef struct kt_index {
    const int32_t *data;
    int64_t fold_stride;
} kt_index;

/* How many rows a fold's batch really has: *count, at most the plan's capacity. */
typedef kt_index kt_count;

KT_INLINE kt_real *kt_rows(kt_matrix m, int fold)
{
    return m.data + fold * m.fold_stride;
}

KT_INLINE const int32_t *kt_entries(kt_index i, int fold)
{
    return i.data + fold * i.fold_stride;
}

#endif
