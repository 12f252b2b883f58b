/* A grid of blocks of threads on one host thread: every thread of a block is a fiber that runs until the
 * kernel ends or it waits at __syncthreads() or at a shuffle. Blocks and, between two waits, threads take turns in
 * an order drawn from a seed, so that a kernel which needs an order, or a barrier that it doesn't have, gives
 * other bits for another seed.
 *
 * Shared memory (KT_SHARED) is filled with NaN before each block. A shuffle is one of 32 consecutive threads, all
 * of which must come to it.
 */
#ifndef KTI_TESTS_DEVICE_THREADS_H
#define KTI_TESTS_DEVICE_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

enum { THREADS_MAX = 1024, THREADS_WARP = 32 }; /* of a block, of a warp */

typedef struct threads_launch {
    kt_dim3 grid, block;
    int first_fold;
    uint64_t seed;
    /* For tests of the tests: of every `period` barriers that a thread meets, the one numbered `missing`
     * (from 0) lets it through, as if the kernel lacked it. period 0: none. */
    int period, missing;
} threads_launch;

typedef void threads_kernel(const void *arguments);

/* The launch's first fold, for a threads_kernel to hand on. */
extern int threads_first_fold;

/* A kernel by its name on the device; `bytes` is the size of its argument. */
typedef struct threads_twin {
    const char *name;
    threads_kernel *start;
    size_t bytes;
} threads_twin;

/* Defines start_<name>, a threads_kernel, for KT_KERNEL(name, type), and its entry in a table. */
#define THREADS_START(name, type)                                                                            \
    static void start_##name(const void *arguments)                                                          \
    {                                                                                                        \
        name(*(const type *)arguments, threads_first_fold);                                                  \
    }
#define THREADS_TWIN(name, type) {#name, start_##name, sizeof(type)},

/* Runs the kernel once for each thread of the grid. Returns 0, or -1 as soon as some threads of a block wait at a
 * barrier, or of a warp at a shuffle, that others never come to, which a GPU doesn't survive. Not re-entrant. */
int threads_run(threads_kernel *kernel, const void *arguments, const threads_launch *launch);

/* What the last threads_run that returned -1 met. */
const char *threads_fault(void);

#endif
