#include "device/threaded_kernels.h"

#include <stdlib.h>

#include "device/launch.h"
#include "kernels/adam.cu"
#include "kernels/add.cu"
#include "kernels/attention.cu"
#include "kernels/chain.cu"
#include "kernels/embedding.cu"
#include "kernels/gaussian_expansion.cu"
#include "kernels/gemm.cu"
#include "kernels/layer.cu"
#include "kernels/linear.cu"
#include "kernels/log_loss.cu"
#include "kernels/lstm.cu"
#include "kernels/mape_loss.cu"
#include "kernels/pick.cu"
#include "kernels/segment.cu"
#include "kernels/weights.cu"

KT_KERNELS(THREADS_START)

const threads_twin threaded_kernels[] = {KT_KERNELS(THREADS_TWIN){NULL, NULL, 0}};

int threaded_run(const kti_operation *operation, int first_fold, const threads_launch *launch)
{
    kt_kernel_id kernels[KTI_KERNELS_MOST];
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
    kt_kernel_id kernels[KTI_KERNELS_MOST];
    kti_operation_kernels(operation, kernels);
    return kt_launch_of(kernels[0], &operation->arguments).rule;
}
