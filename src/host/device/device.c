#include "device/device.h"

#include <string.h>

#include "base/fail.h"
#include "device/kind.h"

const char *kti_family_name(kti_family family)
{
    static const char *const names[KTI_FAMILIES] = {"input",   "edge", "node", "state",    "set2set",
                                                    "readout", "head", "loss", "optimiser"};
    return names[family];
}

static const kti_device_kind *find_kind(const char *name)
{
    if (!name || strcmp(name, kti_cpu_kind.name) == 0)
        return &kti_cpu_kind;
#ifdef KTI_CUDA
    if (strcmp(name, kti_cuda_kind.name) == 0)
        return &kti_cuda_kind;
#endif
    return NULL;
}

kt_status kti_device_create(const char *name, int lanes, kti_device **device, kt_error *error)
{
    const kti_device_kind *kind = find_kind(name);
    *device = NULL;
    if (!kind && strcmp(name, "cuda") == 0)
        return kti_fail(error, KT_DEVICE,
                        "this build of kappatune has no CUDA device: no CUDA compiler was found when it was "
                        "built; use --device cpu");
    if (!kind)
        return kti_fail(error, KT_BAD_ARGUMENT, "there is no device `%s`: cpu or cuda", name);
    if (lanes < 1)
        return kti_fail(error, KT_BAD_ARGUMENT, "a device needs at least one thread, not %d", lanes);
    return kind->create(lanes, device, error);
}

void kti_device_destroy(kti_device *device)
{
    if (device)
        device->kind->destroy(device);
}

bool kti_device_name_fuses(const char *name)
{
    const kti_device_kind *kind = find_kind(name);
    return kind && kind->fuses;
}

bool kti_device_fuses(const kti_device *device)
{
    return device->kind->fuses;
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
    *memory = NULL;
    return device->kind->allocate(device, bytes, what, memory, error);
}

void kti_device_release(kti_device *device, void *memory)
{
    if (memory)
        device->kind->release(device, memory);
}

kt_status kti_device_allocate_host(kti_device *device, size_t bytes, const char *what, void **memory,
                                   kt_error *error)
{
    *memory = NULL;
    return device->kind->allocate_host(device, bytes, what, memory, error);
}

void kti_device_release_host(kti_device *device, void *memory)
{
    if (memory)
        device->kind->release_host(device, memory);
}

kt_status kti_device_upload(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error)
{
    return device->kind->upload(device, to, from, bytes, error);
}

kt_status kti_device_download(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error)
{
    return device->kind->download(device, to, from, bytes, error);
}

kt_status kti_device_run(kti_device *device, int lane, const kti_job *job, kt_error *error)
{
    return device->kind->run(device, lane, job, error);
}

void kti_device_forget(kti_device *device, const kti_operation *list)
{
    if (device->kind->forget)
        device->kind->forget(device, list);
}

void kti_device_enter(kti_device *device, int lane)
{
    if (device->kind->enter)
        device->kind->enter(device, lane);
}

void kti_device_leave(kti_device *device, int lane)
{
    if (device->kind->leave)
        device->kind->leave(device, lane);
}
