#include "device/threaded_kernels.h"

#include <stdlib.h>

#include "device/launch.h"
#define KERNEL_FILES
#include "kernels/operations.inc"

#define NONE
#define KERNEL(name, type, launch) THREADS_START(name, type)
#define CHOICE(id, alternatives) alternatives
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) kernels
#include "kernels/operations.inc"

const threads_twin threaded_kernels[] = {
#define NONE
#define KERNEL(name, type, launch) THREADS_TWIN(name, type)
#define CHOICE(id, alternatives) alternatives
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) kernels
#include "kernels/operations.inc"
    {NULL, NULL, 0}};

int threaded_run(const kti_operation *operation, int first_fold, const threads_launch *launch)
{
    kt_kernel_id kernels[KTI_KERNELS_MAX];
    const int count = kti_operation_kernels(operation, kernels);
    if (count == 0)
        abort();
    for (int i = 0; i < count; i++) {
        const kt_launch by_table = kt_launch_of(kernels[i], &operation->arguments);
        threads_launch now = *launch;
        now.first_fold = first_fold;
        if (launch->block.x == 0)
            now.block = (kt_dim3){by_table.block_x, by_table.block_y, 1};
        if (launch->grid.x == 0)
            now.grid.x = by_table.grid_x;
        if (threads_run(threaded_kernels[kernels[i]].start, &operation->arguments, &now) != 0)
            return -1;
    }
    return 0;
}

kt_block_rule threaded_rule(const kti_operation *operation)
{
    kt_kernel_id kernels[KTI_KERNELS_MAX];
    kti_operation_kernels(operation, kernels);
    return kt_launch_of(kernels[0], &operation->arguments).rule;
}
