#include "device/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"

kt_status kti_cuda_check(cudaError_t code, const char *what, kt_error *error)
{
    if (code == cudaSuccess)
        return KT_OK;
    cudaGetLastError(); /* else it would be reported again by a later call */
    return kti_fail(error, KT_DEVICE, "the GPU failed: %s: %s (%s)", what, cudaGetErrorString(code),
                    cudaGetErrorName(code));
}

/* What can't be freed is nobody's error, and a later call shall not report it. */
static void ignore(cudaError_t code)
{
    if (code != cudaSuccess)
        cudaGetLastError();
}

kt_status kti_cuda_bind(const kti_cuda *cuda, kt_error *error)
{
    return kti_cuda_check(cudaSetDevice(cuda->ordinal), "choosing the GPU", error);
}

kt_status kti_cuda_wait(kti_cuda *cuda, const char *what, kt_error *error)
{
    if (cuda->nccl)
        return kti_cuda_wait_for_others(cuda, what, error);
    return kti_cuda_check(cudaStreamSynchronize(cuda->stream), what, error);
}

static void destroy(kti_device *device)
{
    kti_cuda *cuda = (kti_cuda *)device;
    ignore(cudaSetDevice(cuda->ordinal));
    kti_cuda_graph_forget(cuda, NULL);
    kti_cuda_disconnect(cuda);
    kti_cuda_dnn_destroy(cuda->dnn);
    kti_cuda_blas_destroy(cuda->blas);
    if (cuda->stream)
        cudaStreamDestroy(cuda->stream);
    cudaGetLastError(); /* another device may follow */
    pthread_mutex_destroy(&cuda->lock);
    pthread_cond_destroy(&cuda->done);
    free(cuda->choice);
    free(cuda->graph);
    free(cuda->lane);
    free((void *)cuda->together);
    free(cuda);
}

static kt_status count_gpus(int *gpus, kt_error *error)
{
    *gpus = 0;
    const cudaError_t code = cudaGetDeviceCount(gpus);
    if (code == cudaErrorInsufficientDriver || code == cudaErrorNoDevice ||
        (code == cudaSuccess && *gpus == 0)) {
        cudaGetLastError();
        return kti_fail(
            error, KT_DEVICE,
            "there is no GPU that this build can use: %s; install NVIDIA's driver (nvidia-smi must list "
            "the GPU) or use --device cpu",
            code == cudaErrorInsufficientDriver ? "no driver was found, or it is older than the CUDA that "
                                                  "kappatune was built with"
                                                : "the driver lists none");
    }
    return kti_cuda_check(code, "looking for a GPU", error);
}

/* A device's name, the variant's of "cuda", and how it is spoken of. */
static const struct {
    const char *name, *description;
} variants[KTI_CUDA_VARIANTS] = {[KTI_CUDA_OWN] = {"", "cuda"},
                                 [KTI_CUDA_BLAS] = {"cublas", "cuda, cuBLAS"},
                                 [KTI_CUDA_DNN] = {"cudnn", "cuda, cuDNN"},
                                 [KTI_CUDA_TIMED] = {"auto", "cuda, timed"}};

static kt_status open_gpu(kti_cuda *cuda, kt_error *error)
{
    struct cudaDeviceProp properties;
    int gpus;
    kt_status status = count_gpus(&gpus, error);
    if (status == KT_OK && cuda->ordinal >= gpus)
        return kti_fail(error, KT_DEVICE, "there is no GPU %d: the driver lists %d", cuda->ordinal + 1, gpus);
    if (status == KT_OK)
        status = kti_cuda_bind(cuda, error);
    if (status == KT_OK)
        status = kti_cuda_check(cudaGetDeviceProperties(&properties, cuda->ordinal),
                                "asking for the GPU's properties", error);
    if (status == KT_OK)
        status = kti_cuda_check(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking),
                                "making a stream", error);
    if (status == KT_OK && cuda->variant != KTI_CUDA_OWN)
        status = kti_cuda_blas_create(cuda, error);
    if (status == KT_OK &&
        (cuda->variant == KTI_CUDA_DNN || (cuda->variant == KTI_CUDA_TIMED && kti_cuda_dnn_is_built())))
        status = kti_cuda_dnn_create(cuda, error);
    if (status == KT_OK)
        snprintf(cuda->device.description, sizeof cuda->device.description, "%s (%.90s)",
                 variants[cuda->variant].description, properties.name);
    return status;
}

static kt_status create(const char *variant, int ordinal, int lanes, kti_device **device, kt_error *error)
{
    int known = 0;
    while (known < KTI_CUDA_VARIANTS && strcmp(variant, variants[known].name) != 0)
        known++;
    if (known == KTI_CUDA_VARIANTS)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "there is no device `cuda-%s`: cuda, cuda-cublas, cuda-cudnn or cuda-auto", variant);
    kti_cuda *made = kti_allocate(1, sizeof *made);
    if (!made)
        return kti_fail_memory(error, "the device");
    *made = (kti_cuda){.device = {.kind = &kti_cuda_kind,
                                  .lanes = lanes,
                                  .chooses = known == KTI_CUDA_TIMED,
                                  .chains = known == KTI_CUDA_OWN},
                       .ordinal = ordinal,
                       .variant = (kti_cuda_variant)known};
    made->spins = sysconf(_SC_NPROCESSORS_ONLN) > lanes;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->done, NULL);
    made->lane = kti_allocate((size_t)lanes, sizeof *made->lane);
    made->together = kti_allocate((size_t)lanes, sizeof *made->together);
    kt_status status =
        made->lane && made->together ? open_gpu(made, error) : kti_fail_memory(error, "the device");
    if (status == KT_OK)
        *device = &made->device;
    else
        destroy(&made->device);
    return status;
}

/* ---- memory ---- */

static kt_status fail_allocation(cudaError_t code, size_t bytes, const char *what, kt_error *error)
{
    size_t free_bytes = 0, total = 0;
    const double mb = 1024.0 * 1024.0;
    if (code != cudaErrorMemoryAllocation)
        return kti_cuda_check(code, what, error);
    cudaGetLastError();
    if (cudaMemGetInfo(&free_bytes, &total) != cudaSuccess)
        cudaGetLastError();
    return kti_fail(
        error, KT_OUT_OF_MEMORY,
        "%s needs %.1f MB of the GPU's memory; %.1f of %.1f MB are free: use a smaller batch or fewer folds",
        what, (double)bytes / mb, (double)free_bytes / mb, (double)total / mb);
}

static kt_status allocate(kti_device *device, size_t bytes, const char *what, void **memory, kt_error *error)
{
    kti_cuda *cuda = (kti_cuda *)device;
    kt_status status = kti_cuda_bind(cuda, error);
    if (status != KT_OK)
        return status;
    cudaError_t code = cudaMalloc(memory, bytes);
    if (code != cudaSuccess)
        return fail_allocation(code, bytes, what, error);
    pthread_mutex_lock(&cuda->lock);
    status = kti_cuda_check(cudaMemsetAsync(*memory, 0, bytes, cuda->stream), "clearing memory", error);
    if (status == KT_OK)
        status = kti_cuda_wait(cuda, "clearing memory", error);
    pthread_mutex_unlock(&cuda->lock);
    if (status != KT_OK) {
        cudaFree(*memory);
        *memory = NULL;
    }
    return status;
}

static void release(kti_device *device, void *memory)
{
    ignore(cudaSetDevice(((kti_cuda *)device)->ordinal));
    ignore(cudaFree(memory));
}

static kt_status allocate_host(kti_device *device, size_t bytes, const char *what, void **memory,
                               kt_error *error)
{
    kt_status status = kti_cuda_bind((kti_cuda *)device, error);
    if (status != KT_OK)
        return status;
    const cudaError_t code = cudaMallocHost(memory, bytes);
    if (code == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return kti_fail_memory(error, what);
    }
    status = kti_cuda_check(code, what, error);
    if (status == KT_OK)
        memset(*memory, 0, bytes);
    return status;
}

static void release_host(kti_device *device, void *memory)
{
    ignore(cudaSetDevice(((kti_cuda *)device)->ordinal));
    ignore(cudaFreeHost(memory));
}

static kt_status copy(kti_device *device, void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                      const char *what, kt_error *error)
{
    kti_cuda *cuda = (kti_cuda *)device;
    kt_status status = kti_cuda_bind(cuda, error);
    if (status != KT_OK)
        return status;
    pthread_mutex_lock(&cuda->lock);
    status = kti_cuda_check(cudaMemcpyAsync(to, from, bytes, kind, cuda->stream), what, error);
    if (status == KT_OK)
        status = kti_cuda_wait(cuda, what, error);
    pthread_mutex_unlock(&cuda->lock);
    return status;
}

static kt_status upload(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error)
{
    return copy(device, to, from, bytes, cudaMemcpyHostToDevice, "copying to the GPU", error);
}

static kt_status download(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error)
{
    return copy(device, to, from, bytes, cudaMemcpyDeviceToHost, "copying from the GPU", error);
}

static void forget(kti_device *device, const kti_operation *list)
{
    kti_cuda *cuda = (kti_cuda *)device;
    pthread_mutex_lock(&cuda->lock);
    ignore(cudaSetDevice(cuda->ordinal));
    kti_cuda_graph_forget(cuda, list);
    cudaGetLastError();
    pthread_mutex_unlock(&cuda->lock);
}

const kti_device_kind kti_cuda_kind = {.version = KTI_KIND_VERSION,
                                       .name = "cuda",
                                       .fuses = true,
                                       .create = create,
                                       .destroy = destroy,
                                       .allocate = allocate,
                                       .release = release,
                                       .allocate_host = allocate_host,
                                       .release_host = release_host,
                                       .upload = upload,
                                       .download = download,
                                       .run = kti_cuda_run,
                                       .forget = forget,
                                       .enter = kti_cuda_enter,
                                       .leave = kti_cuda_leave,
                                       .variations = kti_cuda_variations,
                                       .vary = kti_cuda_vary,
                                       .peak = kti_cuda_peak,
                                       .count = count_gpus,
                                       .connect = kti_cuda_connect,
                                       .broadcast = kti_cuda_broadcast,
                                       .abandon = kti_cuda_abandon,
                                       .choices = kti_cuda_choices,
                                       .choose = kti_cuda_choose};
