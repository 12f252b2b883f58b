/* A grid of blocks of threads on one host thread: every thread of a block is a fiber that runs until the
 * kernel ends or it waits at __syncthreads(). Blocks and, between two barriers, threads take turns in an
 * order drawn from a seed, so that a kernel which needs an order, or a barrier that it doesn't have, gives
 * other bits for another seed.
 */
#ifndef KTI_TESTS_DEVICE_THREADS_H
#define KTI_TESTS_DEVICE_THREADS_H

#include <stdint.h>

#include "kernels/kernel.h"

enum { THREADS_MAX = 512 }; /* of a block */

typedef struct threads_launch {
    kt_dim3 grid, block;
    uint64_t seed;
    /* For tests of the tests: of every `period` barriers that a thread meets, the one numbered `missing`
     * (from 0) lets it through, as if the kernel lacked it. period 0: none. */
    int period, missing;
} threads_launch;

typedef void threads_kernel(const void *arguments);

/* Runs the kernel once for each thread of the grid. Returns 0, or -1 as soon as some threads of a block wait
 * at a barrier while others have ended, which a GPU doesn't survive. Not re-entrant. */
int threads_run(threads_kernel *kernel, const void *arguments, const threads_launch *launch);

#endif
