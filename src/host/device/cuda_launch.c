#include "device/cuda.h"

#include <string.h>

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

/* The product of a layer or of nothing more, where cuBLAS can do it. */
static kt_status multiply(kti_cuda *cuda, const kt_gemm *product, int first, int count, bool *done,
                          kt_error *error)
{
    *done = false;
    if (!cuda->blas || !kti_cuda_blas_can(product))
        return KT_OK;
    return kti_cuda_blas_multiply(cuda, product, first, count, done, error);
}

/* Layers one by one, so that cuBLAS gets their products. */
static kt_status launch_layers(kti_cuda *cuda, const kt_layer_group *layers, int first, int count,
                               const int32_t rows[KT_ROW_KINDS], kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < layers->size && status == KT_OK; i++) {
        const kti_operation one = {.kind = KTI_OP_LAYER_FORWARD, .arguments.layer_forward = layers->layer[i]};
        status = kti_cuda_launch(cuda, &one, first, count, rows, error);
    }
    return status;
}

/* The backward of a layer with large weights, whose product is worth a launch of its own. */
static kt_status launch_backward(kti_cuda *cuda, const kt_layer_backward *layer, int first, int count,
                                 bool *done, kt_error *error)
{
    *done = false;
    if (kt_layer_back_kernel(layer) != KT_ID_layer_backward_by_columns)
        return KT_OK;
    const kt_status status = multiply(cuda, &layer->product, first, count, done, error);
    if (status != KT_OK || !*done || !layer->out.data)
        return status;
    const kt_linear_backward rest = {.rows = layer->product.rows,
                                     .channels = layer->product.n,
                                     .out = layer->out,
                                     .gradient = layer->product.c,
                                     .product_gradient = layer->product_gradient,
                                     .activation = layer->activation};
    return start(cuda, KT_ID_linear_backward, &rest, first, count, error);
}

/* Gives cuBLAS what it can do of a group; the rest stays in it. */
static kt_status take_products(kti_cuda *cuda, kt_gemm_group *group, int first, int count, kt_error *error)
{
    const int size = group->size;
    kt_status status = KT_OK;
    group->size = 0;
    for (int i = 0; i < size && status == KT_OK; i++) {
        bool done = false;
        if (!group->part[i].out.data)
            status = multiply(cuda, &group->part[i].product, first, count, &done, error);
        if (!done)
            group->part[group->size++] = group->part[i];
    }
    memset(&group->part[group->size], 0, (size_t)(size - group->size) * sizeof group->part[0]);
    return status;
}

kt_status kti_cuda_launch(kti_cuda *cuda, const kti_operation *operation, int first, int count,
                          const int32_t rows[KT_ROW_KINDS], kt_error *error)
{
    if (operation->kind == KTI_OP_ALL_REDUCE)
        return kti_cuda_all_reduce(cuda, &operation->arguments.all_reduce, first, count, error);
    kti_operation sized = *operation;
    bool done = false;
    kt_status status = KT_OK;
    kti_operation_fit(&sized, rows);
    if (sized.kind == KTI_OP_LAYER_GROUP && cuda->blas)
        return launch_layers(cuda, &sized.arguments.layer_group, first, count, rows, error);
    if (sized.kind == KTI_OP_GEMM_GROUP) {
        status = take_products(cuda, &sized.arguments.gemm_group, first, count, error);
        done = sized.arguments.gemm_group.size == 0;
    } else if (sized.kind == KTI_OP_LAYER_BACKWARD) {
        status = launch_backward(cuda, &sized.arguments.layer_backward, first, count, &done, error);
    } else if (sized.kind == KTI_OP_GEMM) {
        status = multiply(cuda, &sized.arguments.gemm, first, count, &done, error);
    } else if (sized.kind == KTI_OP_LAYER_FORWARD) {
        status = multiply(cuda, &sized.arguments.layer_forward.product, first, count, &done, error);
        if (status == KT_OK && done)
            status =
                start(cuda, KT_ID_linear_forward, &sized.arguments.layer_forward.rest, first, count, error);
    }
    if (status != KT_OK || done)
        return status;
    kt_kernel_id kernels[KTI_KERNELS_MOST];
    const int number = kti_operation_kernels(&sized, kernels);
    for (int i = 0; i < number && status == KT_OK; i++)
        status = start(cuda, kernels[i], &sized.arguments, first, count, error);
    return status;
}
