/* What a GPU can do at most, for the benchmark to compare a step with: a large copy, and a large matrix product of cuBLAS. */
#include "base/fail.h"
#include "device/cuda.h"

enum { REPEATS = 5 };

typedef struct stopwatch {
    cudaEvent_t start, end;
} stopwatch;

static kt_status stopwatch_create(stopwatch *w, kt_error *error)
{
    *w = (stopwatch){0};
    kt_status status = kti_cuda_check(cudaEventCreate(&w->start), "preparing to measure", error);
    if (status == KT_OK)
        status = kti_cuda_check(cudaEventCreate(&w->end), "preparing to measure", error);
    return status;
}

static void stopwatch_destroy(stopwatch *w)
{
    if (w->start)
        cudaEventDestroy(w->start);
    if (w->end)
        cudaEventDestroy(w->end);
}

typedef struct work {
    kti_cuda *cuda;
    char *memory; /* two pieces of `bytes`, or three square matrices */
    size_t bytes;
    int size;
} work;

static kt_status copy(const work *w, kt_error *error)
{
    return kti_cuda_check(
        cudaMemcpyAsync(w->memory + w->bytes, w->memory, w->bytes, cudaMemcpyDeviceToDevice, w->cuda->stream),
        "copying", error);
}

static kt_status multiply(const work *w, kt_error *error)
{
    bool done = false;
    const size_t numbers = (size_t)w->size * (size_t)w->size;
    kt_real *memory = (kt_real *)w->memory;
    const kt_gemm gemm = {.product = KT_FORWARD,
                          .rows = {.max = w->size},
                          .n = w->size,
                          .k = w->size,
                          .a = {memory, 0, w->size},
                          .b = {memory + numbers, 0, w->size},
                          .c = {memory + 2 * numbers, 0, w->size}};
    kt_status status = kti_cuda_blas_multiply(w->cuda, &gemm, 0, 1, &done, error);
    if (status == KT_OK && !done)
        status = kti_fail(error, KT_DEVICE, "cuBLAS has no product of %d x %d matrices", w->size, w->size);
    return status;
}

/* The least of some repeats after one to warm up. */
static kt_status seconds_of(kt_status (*run)(const work *, kt_error *), const work *w, double *seconds,
                            kt_error *error)
{
    stopwatch watch;
    kt_status status = stopwatch_create(&watch, error);
    *seconds = 0;
    for (int i = 0; i <= REPEATS && status == KT_OK; i++) {
        float milliseconds = 0;
        status = kti_cuda_check(cudaEventRecord(watch.start, w->cuda->stream), "measuring", error);
        if (status == KT_OK)
            status = run(w, error);
        if (status == KT_OK)
            status = kti_cuda_check(cudaEventRecord(watch.end, w->cuda->stream), "measuring", error);
        const cudaError_t ended = cudaStreamSynchronize(w->cuda->stream); /* also after a failure */
        if (status == KT_OK)
            status = kti_cuda_check(ended, "measuring", error);
        if (status == KT_OK)
            status = kti_cuda_check(cudaEventElapsedTime(&milliseconds, watch.start, watch.end), "measuring",
                                    error);
        if (i > 0 && (i == 1 || milliseconds / 1e3 < *seconds))
            *seconds = (double)milliseconds / 1e3;
    }
    stopwatch_destroy(&watch);
    return status;
}

kt_status kti_cuda_peak(kti_device *device, size_t bytes, int size, kti_peak *peak, kt_error *error)
{
    kti_cuda *cuda = (kti_cuda *)device;
    const size_t product = 3 * (size_t)size * (size_t)size * sizeof(kt_real);
    work w = {.cuda = cuda, .bytes = bytes, .size = size};
    void *memory = NULL;
    double copying = 0, multiplying = 0;
    kt_status status = device->kind->allocate(device, 2 * bytes > product ? 2 * bytes : product,
                                              "a measurement of the GPU", &memory, error);
    if (status != KT_OK)
        return status;
    w.memory = memory;
    pthread_mutex_lock(&cuda->lock);
    const bool own = !cuda->blas;
    status = kti_cuda_bind(cuda, error);
    if (status == KT_OK && own)
        status = kti_cuda_blas_create(cuda, error);
    if (status == KT_OK)
        status = seconds_of(copy, &w, &copying, error);
    if (status == KT_OK)
        status = seconds_of(multiply, &w, &multiplying, error);
    if (own) {
        kti_cuda_blas_destroy(cuda->blas);
        cuda->blas = NULL;
    }
    pthread_mutex_unlock(&cuda->lock);
    device->kind->release(device, memory);
    if (status == KT_OK)
        *peak = (kti_peak){2 * (double)bytes / copying, 2.0 * size * size * size / multiplying};
    return status;
}
