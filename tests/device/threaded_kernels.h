/* The kernels with one fiber a thread, as a GPU runs them. */
#ifndef KTI_TESTS_DEVICE_THREADED_KERNELS_H
#define KTI_TESTS_DEVICE_THREADED_KERNELS_H

#include "device/operation.h"
#include "device/threads.h"
#include "kernels/launch.h"

/* All of them in the order of kt_kernel_id, ended by a NULL name. */
extern const threads_twin threaded_kernels[];

/* Runs an operation for grid.z folds from first_fold on. A grid.x or a block.x of 0 stands for the kernel's launch by
 * the table (kernels/launch.h). Returns what threads_run does. */
int threaded_run(const kti_operation *operation, int first_fold, const threads_launch *launch);

/* Which blocks its kernels allow. */
kt_block_rule threaded_rule(const kti_operation *operation);

#endif
