/* In the place of cuda_nccl.c where NCCL was not found: no group is ever made, so only kti_cuda_connect can be met. */
#include "base/fail.h"
#include "device/cuda.h"

kt_status kti_cuda_connect(kti_device *const *devices, int count, double patience, kt_error *error)
{
    (void)devices;
    (void)patience;
    return kti_fail(
        error, KT_DEVICE,
        "%d GPUs cannot share a fold: NCCL (nccl.h, libnccl) was not found when kappatune was built; "
        "ask for at most as many GPUs as there are folds",
        count);
}

void kti_cuda_disconnect(kti_cuda *cuda)
{
    (void)cuda;
}

static kt_status no_group(kt_error *error)
{
    return kti_fail(error, KT_DEVICE, "the GPU is in no group");
}

kt_status kti_cuda_broadcast(kti_device *device, void *memory, size_t bytes, kt_error *error)
{
    (void)device;
    (void)memory;
    (void)bytes;
    return no_group(error);
}

void kti_cuda_abandon(kti_device *device)
{
    (void)device;
}

kt_status kti_cuda_all_reduce(kti_cuda *cuda, const kti_all_reduce *sum, int first, int count,
                              kt_error *error)
{
    (void)cuda;
    (void)sum;
    (void)first;
    (void)count;
    return no_group(error);
}

kt_status kti_cuda_warm_up(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                           kt_error *error)
{
    (void)cuda;
    (void)list;
    (void)size;
    (void)first;
    (void)count;
    return no_group(error);
}

kt_status kti_cuda_wait_for_others(kti_cuda *cuda, const char *what, kt_error *error)
{
    (void)cuda;
    (void)what;
    return no_group(error);
}

void kti_cuda_give_up(kti_cuda *cuda, const kt_error *error)
{
    (void)cuda;
    (void)error;
}
