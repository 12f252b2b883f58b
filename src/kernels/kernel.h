/* The common subset of CUDA C and C11 in which the kernels are written.
 *
 * nvcc compiles a kernel as it stands. On the CPU the same file is compiled as
 * C with a grid of one block of one thread a fold, so that the loops over rows
 * and channels below run whole and the compiler vectorises them:
 *
 *     for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE)
 *         for (int c = threadIdx.x; c < channels; c += blockDim.x)
 *
 * A kernel's result never depends on the grid's size, and on the block's only
 * where its launch rule fixes the block: every output element is computed in
 * one fixed order, and there are no float atomics. Where one thread would have
 * to go through all rows, which starves a GPU, a kernel has a second body under
 * KT_MANY_THREADS; the plain one keeps the CPU's bits.
 *
 * KT_FOLD is the fold: blockIdx.z, and the first fold of the launch, so that a
 * launch serves any range of folds. threadIdx.x runs over channels;
 * threadIdx.y and blockIdx.x over rows.
 *
 * KT_SHARED declares memory of the block, inside KT_MANY_THREADS alone.
 * kt_shuffle_xor and kt_shuffle_down pass a value between the 32 threads of a
 * warp, all of which must take part.
 *
 * KT_LINK_RESTRICT is KT_RESTRICT for the const operands of what runs as a link of a chain. From restrict nvcc concludes
 * that nothing in the whole launch writes such an operand, and reads it by ld.global.nc, past the caches that see writes;
 * but an earlier link of the launch may have written it. So nvcc is told nothing (tests/project/check_chain_loads.sh).
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

/* A kernel's name on the device and that of its host stub, which the library's other names must not meet. */
#define KT_STUB(name) kt_kernel_##name

#if defined(__CUDACC__)
#define KT_MANY_THREADS
#define KT_KERNEL(name, arguments)                                                                           \
    extern "C" __global__ void KT_STUB(name)(const __grid_constant__ arguments a, const int first_fold)
#define KT_BUSY_KERNEL(name, arguments, threads, blocks)                                                     \
    extern "C" __global__ void __launch_bounds__(threads, blocks)                                            \
        KT_STUB(name)(const __grid_constant__ arguments a, const int first_fold)
#define KT_FOLD ((int)blockIdx.z + first_fold)
#define KT_SHARED __shared__
#define KT_INLINE static __device__ __forceinline__
#define KT_RESTRICT __restrict__
#define KT_LINK_RESTRICT
#define KT_UNROLLED _Pragma("unroll") /* before a loop whose arrays must be registers */
#elif defined(KT_THREADED_KERNELS)
/* Tests run a block's threads as fibers, to show that any order of threads gives the same bits. One block runs
 * at a time; its shared memory is filled with NaN before. */
#define KT_MANY_THREADS
typedef struct kt_dim3 {
    int x, y, z;
} kt_dim3;
extern kt_dim3 threadIdx, blockDim, blockIdx, gridDim;
void __syncthreads(void);
kt_real kt_shuffle_xor(kt_real value, int lane_mask);
kt_real kt_shuffle_down(kt_real value, int delta);
#define KT_UNROLLED
#define KT_KERNEL(name, arguments) static void name(const arguments a, const int first_fold)
#define KT_FOLD (blockIdx.z + first_fold)
#define KT_SHARED static __attribute__((section("kt_shared")))
#define KT_INLINE static inline
#define KT_RESTRICT restrict
#define KT_LINK_RESTRICT restrict
#else
typedef struct kt_dim3 {
    int x, y, z;
} kt_dim3;
static const kt_dim3 threadIdx = {0, 0, 0}, blockDim = {1, 1, 1}, gridDim = {1, 1, 1};
#define __syncthreads() ((void)0)
#define KT_KERNEL(name, arguments) static void name(const kt_dim3 blockIdx, const arguments a)
#define KT_FOLD (blockIdx.z)
#define KT_SHARED static
#define KT_INLINE static inline
#define KT_RESTRICT restrict
#define KT_LINK_RESTRICT restrict
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

/* What a batch has rows for. */
typedef enum kt_row_kind { KT_EDGES, KT_NODES, KT_GRAPHS, KT_ROW_KINDS } kt_row_kind;

/* How many rows the batch of fold f really has: data[f * fold_stride], at most `most`, the plan's capacity, which
 * a launch is sized for. */
typedef struct kt_count {
    const int32_t *data;
    int64_t fold_stride;
    int32_t max;
    kt_row_kind kind;
} kt_count;

KT_INLINE kt_real *kt_rows(kt_matrix m, int fold)
{
    return m.data + fold * m.fold_stride;
}

KT_INLINE const int32_t *kt_entries(kt_index i, int fold)
{
    return i.data + fold * i.fold_stride;
}

KT_INLINE int kt_number(kt_count count, int fold)
{
    return count.data[fold * count.fold_stride];
}

#if defined(KT_MANY_THREADS)
/* What one load or store moves, where memory is aligned to it. */
typedef struct __attribute__((aligned(4 * sizeof(kt_real)))) kt_real4 {
    kt_real v[4];
} kt_real4;
typedef struct __attribute__((aligned(2 * sizeof(kt_real)))) kt_real2 {
    kt_real v[2];
} kt_real2;
#endif

#ifndef KT_BUSY_KERNEL
/* A kernel of blocks of `threads`, whose registers must leave room for `blocks` of them on a multiprocessor. */
#define KT_BUSY_KERNEL(name, arguments, threads, blocks) KT_KERNEL(name, arguments)
#endif

#if defined(__CUDACC__)
KT_INLINE kt_real kt_shuffle_xor(kt_real value, int lane_mask)
{
    return __shfl_xor_sync(0xffffffffu, value, lane_mask);
}

KT_INLINE kt_real kt_shuffle_down(kt_real value, int delta)
{
    return __shfl_down_sync(0xffffffffu, value, (unsigned)delta);
}
#endif

#if defined(KT_MANY_THREADS)
/* Of memory that nobody else will need before much other memory has been used: it should leave the cache to that. */
KT_INLINE kt_real4 kt_load_evict_first(const kt_real4 *from)
{
#if defined(__CUDACC__)
    const float4 four = __ldcs((const float4 *)from);
    const kt_real4 value = {{four.x, four.y, four.z, four.w}};
    return value;
#else
    return *from;
#endif
}

KT_INLINE void kt_store_evict_first(kt_real4 *to, kt_real4 value)
{
#if defined(__CUDACC__)
    __stcs((float4 *)to, make_float4(value.v[0], value.v[1], value.v[2], value.v[3]));
#else
    *to = value;
#endif
}

/* The sum over a warp, the same bits in all its threads. */
KT_INLINE kt_real kt_warp_sum(kt_real value)
{
    for (int mask = 16; mask > 0; mask /= 2)
        value += kt_shuffle_xor(value, mask);
    return value;
}
#endif

#endif
