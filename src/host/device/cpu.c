/* The CPU device: one lane a worker thread, kernels chosen by what the processor can do. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#ifdef KTI_X86_BACKENDS
#include <xmmintrin.h>
#endif

#include "base/fail.h"
#include "base/memory.h"
#include "device/cpu_backend.h"
#include "device/device.h"

struct kti_device {
    const kti_cpu_backend *backend;
    int lanes;
    kti_arena *scratch; /* [lanes] */
    char description[64];
};

const char *kti_family_name(kti_family family)
{
    static const char *const names[KTI_FAMILIES] = {"input",   "edge", "node", "state",    "set2set",
                                                    "readout", "head", "loss", "optimiser"};
    return names[family];
}

static const kti_cpu_backend *best_backend(void)
{
#ifdef KTI_X86_BACKENDS
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &kti_cpu_backend_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &kti_cpu_backend_avx2;
#endif
    return &kti_cpu_backend_plain;
}

kt_status kti_device_create(const char *name, int lanes, kti_device **device, kt_error *error)
{
    kt_status status = KT_OK;
    kti_device *made = NULL;
    *device = NULL;
    if (name && strcmp(name, "cuda") == 0)
        return kti_fail(error, KT_DEVICE, "this build of kappatune has no CUDA device; use --device cpu");
    if (name && strcmp(name, "cpu") != 0)
        return kti_fail(error, KT_BAD_ARGUMENT, "there is no device `%s`: cpu or cuda", name);
    if (lanes < 1)
        return kti_fail(error, KT_BAD_ARGUMENT, "a device needs at least one thread, not %d", lanes);
    made = kti_allocate(1, sizeof *made);
    if (!made)
        return kti_fail_memory(error, "the device");
    made->scratch = kti_allocate((size_t)lanes, sizeof *made->scratch);
    if (!made->scratch) {
        status = kti_fail_memory(error, "the device");
        goto fail;
    }
    made->lanes = lanes;
    made->backend = best_backend();
    snprintf(made->description, sizeof made->description, "cpu (%s)", made->backend->name);
    for (int lane = 0; lane < lanes; lane++) {
        status =
            kti_arena_create(&made->scratch[lane], KTI_CPU_SCRATCH * sizeof(kt_real), "the device", error);
        if (status != KT_OK)
            goto fail;
    }
    *device = made;
    return KT_OK;
fail:
    kti_device_destroy(made);
    return status;
}

void kti_device_destroy(kti_device *device)
{
    if (!device)
        return;
    for (int lane = 0; lane < device->lanes; lane++)
        kti_arena_destroy(&device->scratch[lane]);
    free(device->scratch);
    free(device);
}

int kti_device_lanes(const kti_device *device)
{
    return device->lanes;
}

const char *kti_device_description(const kti_device *device)
{
    return device->description;
}

kt_status kti_device_allocate(kti_device *device, size_t bytes, const char *what, void **memory,
                              kt_error *error)
{
    (void)device;
    kti_arena arena = {0};
    kt_status status = kti_arena_create(&arena, bytes, what, error);
    *memory = arena.memory; /* the arena owns nothing else */
    return status;
}

void kti_device_release(kti_device *device, void *memory)
{
    (void)device;
    free(memory);
}

kt_status kti_device_upload(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error)
{
    (void)device;
    (void)error;
    memcpy(to, from, bytes);
    return KT_OK;
}

kt_status kti_device_download(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error)
{
    return kti_device_upload(device, to, from, bytes, error);
}

/* Adam's moments decay into subnormal numbers, which some processors handle a hundred times slower: they are
 * zero here, whatever the caller's setting. */
#ifdef KTI_X86_BACKENDS
enum { FLUSH_SUBNORMALS = 0x8040 };

static unsigned flush_subnormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_SUBNORMALS);
    return before;
}

static void restore_subnormals(unsigned before)
{
    _mm_setcsr(before);
}
#else
static unsigned flush_subnormals(void)
{
    return 0;
}

static void restore_subnormals(unsigned before)
{
    (void)before;
}
#endif

kt_status kti_device_run(kti_device *device, int lane, const kti_operation *list, int size, int first,
                         int count, kt_error *error)
{
    (void)error;
    kt_real *scratch = (kt_real *)device->scratch[lane].memory;
    const unsigned before = flush_subnormals();
    for (int fold = first; fold < first + count; fold++)
        for (int i = 0; i < size; i++)
            device->backend->run(&list[i], fold, scratch);
    restore_subnormals(before);
    return KT_OK;
}
