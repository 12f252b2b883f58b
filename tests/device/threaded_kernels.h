/* The kernels with one fiber a thread, as a GPU runs them. */
#ifndef KTI_TESTS_DEVICE_THREADED_KERNELS_H
#define KTI_TESTS_DEVICE_THREADED_KERNELS_H

#include "device/operation.h"
#include "device/threads.h"

/* Which launch shapes a kernel's file comment allows. */
typedef enum launch_rule {
    ANY_SHAPE,
    ONE_LINE,        /* blockDim.y 1 */
    ONE_BLOCK_A_FOLD /* blockDim.y 1, gridDim.x 1 */
} launch_rule;

/* All of them, ended by a NULL name. */
extern const threads_twin threaded_kernels[];

launch_rule threaded_rule(kti_operation_kind kind);

/* Runs an operation (not a matrix product) for grid.z folds from first_fold on. Returns what threads_run does. */
int threaded_run(const kti_operation *operation, int first_fold, const threads_launch *launch);

#endif
