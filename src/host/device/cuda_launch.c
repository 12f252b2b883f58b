#include "device/cuda.h"

#include "base/fail.h"
#include "device/launch.h"

KT_KERNELS(KT_DECLARE_STUB)

#define STUB(name, arguments) (const void *)KT_STUB(name),
static const void *const stubs[KT_KERNEL_IDS] = {KT_KERNELS(STUB)};

static kt_status start(kti_cuda *cuda, kt_kernel_id kernel, const void *arguments, int first, int count,
                       kt_error *error)
{
    const kt_launch shape = kt_launch_of(kernel, arguments);
    const struct dim3 grid = {(unsigned)shape.grid_x, 1, (unsigned)count},
                      block = {(unsigned)shape.block_x, (unsigned)shape.block_y, 1};
    void *parameters[] = {(void *)arguments, &first};
    return kti_cuda_check(cudaLaunchKernel(stubs[kernel], grid, block, parameters, 0, cuda->stream),
                          "starting a kernel", error);
}

kt_status kti_cuda_launch(kti_cuda *cuda, const kti_operation *operation, int first, int count,
                          const int32_t rows[KT_ROW_KINDS], kt_error *error)
{
    if (operation->kind == KTI_OP_ALL_REDUCE)
        return kti_cuda_all_reduce(cuda, &operation->arguments.all_reduce, first, count, error);
    kti_operation sized = *operation;
    kti_operation_fit(&sized, rows);
    const kt_gemm *product = sized.kind == KTI_OP_GEMM            ? &sized.arguments.gemm
                             : sized.kind == KTI_OP_LAYER_FORWARD ? &sized.arguments.layer_forward.product
                                                                  : NULL;
    if (product && cuda->blas && kti_cuda_blas_can(product)) {
        bool done;
        const kt_status status = kti_cuda_blas_multiply(cuda, product, first, count, &done, error);
        if (status == KT_OK && done && sized.kind == KTI_OP_LAYER_FORWARD)
            return start(cuda, KT_ID_linear_forward, &sized.arguments.layer_forward.rest, first, count,
                         error);
        if (status != KT_OK || done)
            return status;
    }
    kt_kernel_id kernels[KTI_KERNELS_MOST];
    const int number = kti_operation_kernels(&sized, kernels);
    kt_status status = KT_OK;
    for (int i = 0; i < number && status == KT_OK; i++)
        status = start(cuda, kernels[i], &sized.arguments, first, count, error);
    return status;
}
