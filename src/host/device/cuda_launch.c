#include "device/cuda.h"

#include <stdio.h>

#include "base/fail.h"
#include "device/launch.h"

enum { ARGUMENT_BYTES = 4096 - 8 }; /* that a kernel may have on every architecture, besides the first fold */

_Static_assert(sizeof(kt_gemm_group) <= ARGUMENT_BYTES, "a group of products is a kernel's argument");
_Static_assert(sizeof(kt_chain) <= ARGUMENT_BYTES, "a chain is a kernel's argument");

/* The kernels' host stubs, which nvcc makes. */
#define NONE
#define KERNEL(name, type, launch) void KT_STUB(name)(type, int);
#define CHOICE(id, alternatives) alternatives
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) kernels
#include "kernels/operations.inc"

static const void *const stubs[KT_KERNEL_IDS] = {
#define NONE
#define KERNEL(name, type, launch) (const void *)KT_STUB(name),
#define CHOICE(id, alternatives) alternatives
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) kernels
#include "kernels/operations.inc"
};

/* Shapes that a launch may have besides its own; grid 0: its own. */
static const int widths[] = {32, 33, 128}, heights[] = {1, 2, 4}, grids[] = {0, 1, 3};
enum { WIDTHS = 3, HEIGHTS = 3, GRIDS = 3 };

static kt_launch shape_of(const kti_cuda *cuda, kt_kernel_id kernel, const void *arguments)
{
    kt_launch shape = kt_launch_of(kernel, arguments);
    const int i = cuda->variation - 1, grid = i < 0 ? 0 : grids[i / WIDTHS / HEIGHTS];
    if (i >= 0 && shape.rule != KT_FIXED_BLOCK) {
        shape.block_x = widths[i % WIDTHS];
        shape.block_y = shape.rule == KT_ANY_BLOCK ? heights[i / WIDTHS % HEIGHTS] : 1;
    }
    shape.grid_x = grid > 0 ? grid : shape.grid_x;
    return shape;
}

int kti_cuda_variations(const kti_device *device)
{
    (void)device;
    return WIDTHS * HEIGHTS * GRIDS;
}

void kti_cuda_vary(kti_device *device, int i, kti_variation *variation)
{
    kti_cuda *cuda = (kti_cuda *)device;
    const int grid = i < 0 ? 0 : grids[i / WIDTHS / HEIGHTS];
    char blocks[32] = "as many as usual";
    cuda->variation = i + 1;
    if (i < 0)
        return;
    if (grid > 0)
        snprintf(blocks, sizeof blocks, "%d a fold", grid);
    snprintf(variation->name, sizeof variation->name, "blocks of %d x %d, %s", widths[i % WIDTHS],
             heights[i / WIDTHS % HEIGHTS], blocks);
    variation->same_bits = true;
}

static kt_status start(kti_cuda *cuda, kt_kernel_id kernel, const void *arguments, int first, int count,
                       kt_error *error)
{
    const kt_launch shape = shape_of(cuda, kernel, arguments);
    const struct dim3 grid = {(unsigned)shape.grid_x, 1, (unsigned)count},
                      block = {(unsigned)shape.block_x, (unsigned)shape.block_y, 1};
    void *parameters[] = {(void *)arguments, &first};
    return kti_cuda_check(cudaLaunchKernel(stubs[kernel], grid, block, parameters, 0, cuda->stream),
                          "starting a kernel", error);
}

static kt_status launch_own(kti_cuda *cuda, const kti_operation *operation, int first, int count,
                            kt_error *error)
{
    kt_kernel_id kernels[KTI_KERNELS_MAX];
    const int number = kti_operation_kernels(operation, kernels);
    kt_status status = KT_OK;
    for (int i = 0; i < number && status == KT_OK; i++)
        status = start(cuda, kernels[i], &operation->arguments, first, count, error);
    return status;
}

/* Epilogue of the product of a layer that a library has multiplied. */
static kt_status launch_rest(kti_cuda *cuda, const kti_operation *operation, int first, int count,
                             kt_error *error)
{
    const kt_layer_backward *back = &operation->arguments.layer_backward;
    if (operation->kind == KTI_OP_LAYER_FORWARD)
        return start(cuda, KT_ID_linear_forward, &operation->arguments.layer_forward.rest, first, count,
                     error);
    if (operation->kind != KTI_OP_LAYER_BACKWARD || !back->out.data)
        return KT_OK;
    const kt_linear_backward rest = {.rows = back->product.rows,
                                     .channels = back->product.n,
                                     .out = back->out,
                                     .gradient = back->product.c,
                                     .product_gradient = back->product_gradient,
                                     .activation = back->activation};
    return start(cuda, KT_ID_linear_backward, &rest, first, count, error);
}

kt_status kti_cuda_multiply(kti_cuda *cuda, const kt_gemm *gemm, int first, int count, kt_error *error)
{
    bool done = false;
    kt_status status = KT_OK;
    if (cuda->blas && kti_cuda_blas_can(gemm))
        status = kti_cuda_blas_multiply(cuda, gemm, first, count, &done, error);
    return status != KT_OK || done ? status : start(cuda, kt_gemm_kernel(gemm), gemm, first, count, error);
}

kt_status kti_cuda_launch_way(kti_cuda *cuda, const kti_operation *operation, kti_way way, int first,
                              int count, bool *done, kt_error *error)
{
    *done = true;
    if (way == KTI_WAY_CUDNN)
        return kti_cuda_dnn_forward(cuda, &operation->arguments.layer_forward, first, count, done, error);
    if (way == KTI_WAY_OWN)
        return launch_own(cuda, operation, first, count, error);
    const kt_status status =
        kti_cuda_blas_multiply(cuda, kti_cuda_product(operation), first, count, done, error);
    return status == KT_OK && *done ? launch_rest(cuda, operation, first, count, error) : status;
}

/* Gives the libraries what of a group is theirs, one by one; the rest stays in it. */
static kt_status launch_parts(kti_cuda *cuda, kti_operation *group, int first, int count, kt_error *error)
{
    kt_layer_group *layers = &group->arguments.layer_group;
    kt_gemm_group *products = &group->arguments.gemm_group;
    const bool of_layers = group->kind == KTI_OP_LAYER_GROUP;
    kt_status status = KT_OK;
    kti_operation part;
    int kept = 0;
    for (int i = 0; kti_cuda_part(group, i, &part) && status == KT_OK; i++) {
        const kti_way way = kti_cuda_way(cuda, &part);
        bool done = false;
        if (way != KTI_WAY_OWN)
            status = kti_cuda_launch_way(cuda, &part, way, first, count, &done, error);
        if (done)
            continue;
        if (of_layers)
            layers->layer[kept++] = layers->layer[i];
        else
            products->part[kept++] = products->part[i];
    }
    if (of_layers)
        layers->size = kept;
    else
        products->size = kept;
    return status == KT_OK && kept > 0 ? launch_own(cuda, group, first, count, error) : status;
}

kt_status kti_cuda_launch(kti_cuda *cuda, const kti_operation *operation, int first, int count,
                          const int32_t rows[KT_ROW_KINDS], kt_error *error)
{
    if (operation->kind == KTI_OP_ALL_REDUCE)
        return kti_cuda_all_reduce(cuda, &operation->arguments.all_reduce, first, count, error);
    bool done;
    kti_operation sized = *operation;
    kti_operation_fit(&sized, rows);
    if (sized.kind == KTI_OP_LAYER_GROUP || sized.kind == KTI_OP_GEMM_GROUP)
        return launch_parts(cuda, &sized, first, count, error);
    const kt_status status =
        kti_cuda_launch_way(cuda, &sized, kti_cuda_way(cuda, &sized), first, count, &done, error);
    return status == KT_OK && !done ? launch_own(cuda, &sized, first, count, error) : status;
}
