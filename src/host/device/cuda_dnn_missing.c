/* In the place of cuda_dnn.c where there was no cuDNN to build it with. */
#include "base/fail.h"
#include "device/cuda.h"

bool kti_cuda_dnn_is_built(void)
{
    return false;
}

kt_status kti_cuda_dnn_create(kti_cuda *cuda, kt_error *error)
{
    (void)cuda;
    return kti_fail(
        error, KT_DEVICE,
        "this build of kappatune has no cuDNN: cudnn_graph.h and libcudnn of version 9 were not found when "
        "it was built; use --device cuda");
}

void kti_cuda_dnn_destroy(kti_cuda_dnn *dnn)
{
    (void)dnn;
}

bool kti_cuda_dnn_can(const kt_layer_forward *layer)
{
    (void)layer;
    return false;
}

kt_status kti_cuda_dnn_prepare(kti_cuda *cuda, const kt_layer_forward *layer, int first, int count,
                               bool *exists, kt_error *error)
{
    (void)layer, (void)first, (void)count, (void)exists;
    return kti_cuda_dnn_create(cuda, error);
}

kt_status kti_cuda_dnn_forward(kti_cuda *cuda, const kt_layer_forward *layer, int first, int count,
                               bool *done, kt_error *error)
{
    (void)layer, (void)first, (void)count, (void)done;
    return kti_cuda_dnn_create(cuda, error);
}
