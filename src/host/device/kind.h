/* What a kind of device implements; device.c hands every call to it. */
#ifndef KTI_DEVICE_KIND_H
#define KTI_DEVICE_KIND_H

#include "device/device.h"

typedef struct kti_device_kind {
    const char *name;
    bool fuses;
    kt_status (*create)(int lanes, kti_device **device, kt_error *error);
    void (*destroy)(kti_device *device);
    kt_status (*allocate)(kti_device *device, size_t bytes, const char *what, void **memory, kt_error *error);
    void (*release)(kti_device *device, void *memory);
    kt_status (*allocate_host)(kti_device *device, size_t bytes, const char *what, void **memory,
                               kt_error *error);
    void (*release_host)(kti_device *device, void *memory);
    kt_status (*upload)(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error);
    kt_status (*download)(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error);
    kt_status (*run)(kti_device *device, int lane, const kti_job *job, kt_error *error);
    /* NULL where there is nothing to do */
    void (*forget)(kti_device *device, const kti_operation *list);
    void (*enter)(kti_device *device, int lane);
    void (*leave)(kti_device *device, int lane);
} kti_device_kind;

/* What every kind's own device begins with. */
struct kti_device {
    const kti_device_kind *kind;
    int lanes;
    char description[128];
};

extern const kti_device_kind kti_cpu_kind;
#ifdef KTI_CUDA
extern const kti_device_kind kti_cuda_kind;
#endif

#endif
