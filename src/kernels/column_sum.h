/* The sum of a column over a block's threads, where many threads share its rows. */
#ifndef KT_KERNELS_COLUMN_SUM_H
#define KT_KERNELS_COLUMN_SUM_H

#include "kernels/arguments.h"

#ifdef KT_MANY_THREADS
/* Of `value` over threadIdx.y, in order, for every threadIdx.x of a block of 32 x KT_WARPS threads: complete
 * where threadIdx.y is 0. All threads must call. */
KT_INLINE kt_real kt_column_sum(kt_real value)
{
    KT_SHARED kt_real part[KT_WARPS][KT_WARP];
    part[threadIdx.y][threadIdx.x] = value;
    __syncthreads(); /* all parts are there */
    kt_real sum = 0;
    if (threadIdx.y == 0)
        for (int line = 0; line < KT_WARPS; line++)
            sum += part[line][threadIdx.x];
    __syncthreads(); /* they are read before the next column's overwrite them */
    return sum;
}
#endif

#endif
