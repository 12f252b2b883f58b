/* Compiled by nvcc, whose host objects the tests launch, and as C, which runs. */
#include "cuda_emulator/test_kernels.h"

enum { SHARED = 128 };

/* to = 2 from */
KT_KERNEL(test_double, test_argument)
{
    (void)first_fold;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < a.size; i += gridDim.x * blockDim.x)
        a.to[i] = 2 * a.from[i];
}

/* A row of `size` a fold: to += fold */
KT_KERNEL(test_add_fold, test_argument)
{
    for (int i = threadIdx.x; i < a.size; i += blockDim.x)
        a.to[KT_FOLD * a.size + i] += (float)KT_FOLD;
}

/* One too many. */
KT_KERNEL(test_overrun, test_argument)
{
    (void)first_fold;
    for (int i = threadIdx.x; i <= a.size; i += blockDim.x)
        a.to[i] = 1;
}

/* Blocks of `size` threads, at most SHARED. */
KT_KERNEL(test_reverse, test_argument)
{
    KT_SHARED float tile[SHARED];
    (void)first_fold;
    tile[threadIdx.x] = a.from[threadIdx.x];
    __syncthreads();
    a.to[threadIdx.x] = tile[a.size - 1 - (int)threadIdx.x];
}

KT_KERNEL(test_reverse_without_barrier, test_argument)
{
    KT_SHARED float tile[SHARED];
    (void)first_fold;
    tile[threadIdx.x] = a.from[threadIdx.x];
    a.to[threadIdx.x] = tile[a.size - 1 - (int)threadIdx.x];
}

KT_KERNEL(test_unwritten_shared, test_argument)
{
    KT_SHARED float tile[SHARED];
    (void)first_fold;
    if (threadIdx.x > 0)
        tile[threadIdx.x] = a.from[threadIdx.x];
    __syncthreads();
    a.to[threadIdx.x] = tile[threadIdx.x];
}

KT_KERNEL(test_barrier_in_branch, test_argument)
{
    (void)first_fold;
    if ((int)threadIdx.x < a.size / 2)
        __syncthreads();
    a.to[threadIdx.x] = 1;
}

/* to[warp] = sum of 32 numbers */
KT_KERNEL(test_warp_sum, test_argument)
{
    (void)first_fold;
    float sum = a.from[threadIdx.x];
    for (int delta = 16; delta > 0; delta /= 2)
        sum += kt_shuffle_down(sum, delta);
    const float all = kt_shuffle_xor(sum, 0);
    if (threadIdx.x % 32 == 0)
        a.to[threadIdx.x / 32] = all;
}

KT_KERNEL(test_shuffle_in_branch, test_argument)
{
    (void)first_fold;
    if (threadIdx.x % 32 < 16)
        a.to[threadIdx.x] = kt_shuffle_xor(a.from[threadIdx.x], 1);
}

/* Every thread of a three-dimensional grid writes its own number. */
KT_KERNEL(test_coordinates, test_argument)
{
    (void)first_fold;
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    a.to[block * (int)(blockDim.x * blockDim.y * blockDim.z) + thread] = (float)(1000 * block + thread);
}

#ifdef __CUDACC__
/* A launch as nvcc writes it; the C compiler's goes through cudaLaunchKernel. */
extern "C" void launch_double(test_argument a, int blocks, int threads, cudaStream_t stream)
{
    KT_STUB(test_double)<<<blocks, threads, 0, stream>>>(a, 0);
}
#else
#include "device/threads.h"

TEST_KERNELS(THREADS_START)

const threads_twin test_twins[] = {TEST_KERNELS(THREADS_TWIN){NULL, NULL, 0}};
#endif
