#include "device/device.h"

#include <dlfcn.h>
#include <string.h>

#include "base/fail.h"
#include "base/module.h"
#include "device/kind.h"

const char *kti_family_name(kti_family family)
{
    static const char *const names[KTI_FAMILIES] = {"input",   "edge", "node", "state",    "set2set",
                                                    "readout", "head", "loss", "optimiser"};
    return names[family];
}

static const char cuda_name[] = "cuda";

/* Whether `name` is "cuda" or "cuda-" and a variant. */
static bool is_cuda(const char *name)
{
    const size_t length = sizeof cuda_name - 1;
    return name && strncmp(name, cuda_name, length) == 0 && (name[length] == '\0' || name[length] == '-');
}

/* The module stays loaded: what it has registered with CUDA cannot be taken back. */
static kt_status load_cuda(const kti_device_kind **kind, kt_error *error)
{
    *kind = NULL;
    if (&kti_cuda_kind) {
        *kind = &kti_cuda_kind;
        return KT_OK;
    }
    if (KTI_CUDA_MODULE[0] == '\0')
        return kti_fail(error, KT_DEVICE,
                        "this build of kappatune has no CUDA device: no CUDA compiler was found when it was "
                        "built; use --device cpu");
    const char *why;
    void *module = kti_module_open(KTI_CUDA_MODULE, RTLD_NOW | RTLD_LOCAL, &why);
    const kti_device_kind *found = module ? dlsym(module, "kti_cuda_kind") : NULL;
    if (!found)
        return kti_fail(error, KT_DEVICE, "the CUDA device cannot be loaded: %s; use --device cpu", why);
    if (found->version != KTI_KIND_VERSION)
        return kti_fail(error, KT_DEVICE,
                        "%s is of another build of kappatune; install both anew, or use --device cpu",
                        KTI_CUDA_MODULE);
    *kind = found;
    return KT_OK;
}

/* The kind that a name begins with. */
static kt_status find_kind(const char *name, const kti_device_kind **kind, kt_error *error)
{
    *kind = &kti_cpu_kind;
    if (is_cuda(name))
        return load_cuda(kind, error);
    if (name && strcmp(name, kti_cpu_kind.name) != 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "there is no device `%s`: cpu, cuda, cuda-cublas, cuda-cudnn or cuda-auto", name);
    return KT_OK;
}

/* Set before the first device is opened. */
static int preferred;

void kti_device_prefer(int ordinal)
{
    preferred = ordinal;
}

kt_status kti_device_create_at(const char *name, int ordinal, int lanes, kti_device **device, kt_error *error)
{
    const kti_device_kind *kind;
    *device = NULL;
    if (lanes < 1)
        return kti_fail(error, KT_BAD_ARGUMENT, "a device needs at least one thread, not %d", lanes);
    int count = 1;
    kt_status status = find_kind(name, &kind, error);
    if (status == KT_OK && preferred > 0 && kind->count)
        status = kind->count(&count, error);
    if (status != KT_OK)
        return status;
    ordinal = preferred > 0 && count > 0 ? (ordinal + preferred) % count : ordinal;
    const char *variant = is_cuda(name) ? name + sizeof cuda_name - 1 : "";
    return kind->create(variant[0] == '-' ? variant + 1 : variant, ordinal, lanes, device, error);
}

kt_status kti_device_create(const char *name, int lanes, kti_device **device, kt_error *error)
{
    return kti_device_create_at(name, 0, lanes, device, error);
}

kt_status kti_device_count(const char *name, int *count, kt_error *error)
{
    const kti_device_kind *kind;
    *count = 1;
    kt_status status = find_kind(name, &kind, error);
    return status == KT_OK && kind->count ? kind->count(count, error) : status;
}

void kti_device_destroy(kti_device *device)
{
    if (device)
        device->kind->destroy(device);
}

bool kti_device_name_fuses(const char *name)
{
    return is_cuda(name);
}

bool kti_device_fuses(const kti_device *device)
{
    return device->kind->fuses;
}

bool kti_device_chains(const kti_device *device)
{
    return device->chains;
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

kt_status kti_device_peak(kti_device *device, size_t bytes, int size, kti_peak *peak, kt_error *error)
{
    *peak = (kti_peak){0, 0};
    return device->kind->peak ? device->kind->peak(device, bytes, size, peak, error) : KT_OK;
}

int kti_device_variations(const kti_device *device)
{
    return device->kind->variations(device);
}

void kti_device_vary(kti_device *device, int i, kti_variation *variation)
{
    *variation = (kti_variation){"", false};
    device->kind->vary(device, i, variation);
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

kt_status kti_device_connect(kti_device *const *devices, int count, double patience, kt_error *error)
{
    const kti_device_kind *kind = devices[0]->kind;
    return kind->connect ? kind->connect(devices, count, patience, error)
                         : kti_fail(error, KT_BAD_ARGUMENT, "the device %s cannot share a fold", kind->name);
}

int kti_device_rank(const kti_device *device)
{
    return device->rank;
}

int kti_device_ranks(const kti_device *device)
{
    return device->ranks > 1 ? device->ranks : 1;
}

kt_status kti_device_broadcast(kti_device *device, void *memory, size_t bytes, kt_error *error)
{
    return device->ranks > 1 ? device->kind->broadcast(device, memory, bytes, error) : KT_OK;
}

void kti_device_abandon(kti_device *device)
{
    if (device->ranks > 1)
        device->kind->abandon(device);
}

const char *kti_way_name(kti_way way)
{
    static const char *const names[KTI_WAYS] = {"own", "cublas", "cudnn"};
    return names[way];
}

bool kti_device_chooses(const kti_device *device)
{
    return device->chooses;
}

int kti_device_choices(kti_device *device, kti_choice *choices, int room)
{
    return device->chooses ? device->kind->choices(device, choices, room) : 0;
}

kt_status kti_device_choose(kti_device *device, const kti_choice *choices, int count, kt_error *error)
{
    if (!device->chooses)
        return kti_fail(error, KT_BAD_ARGUMENT, "%s chooses nothing", device->description);
    return device->kind->choose(device, choices, count, error);
}
