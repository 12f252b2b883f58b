/* Small kernels, right and wrong, for tests of the emulator. */
#ifndef KTI_TESTS_CUDA_EMULATOR_TEST_KERNELS_H
#define KTI_TESTS_CUDA_EMULATOR_TEST_KERNELS_H

#include "kernels/kernel.h"

typedef struct test_argument {
    float *to;
    const float *from;
    int size;
} test_argument;

#define TEST_KERNELS(X)                                                                                      \
    X(test_double, test_argument)                                                                            \
    X(test_add_fold, test_argument)                                                                          \
    X(test_overrun, test_argument)                                                                           \
    X(test_reverse, test_argument)                                                                           \
    X(test_reverse_without_barrier, test_argument)                                                           \
    X(test_unwritten_shared, test_argument)                                                                  \
    X(test_barrier_in_branch, test_argument)                                                                 \
    X(test_warp_sum, test_argument)                                                                          \
    X(test_shuffle_in_branch, test_argument)                                                                 \
    X(test_coordinates, test_argument)

#endif
