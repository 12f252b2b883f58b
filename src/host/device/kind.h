/* What a kind of device implements; device.c hands every call to it. */
#ifndef KTI_DEVICE_KIND_H
#define KTI_DEVICE_KIND_H

#include "device/device.h"

/* Changes with this file or whatever of the plan a module sees: one of another build is refused. */
#define KTI_KIND_VERSION (1000 * (int)sizeof(kti_operation) + (int)sizeof(kti_device_kind))

typedef struct kti_device_kind {
    int version; /* KTI_KIND_VERSION */
    const char *name;
    bool fuses;
    /* `variant`: what the device's name has behind the kind's; "" for none. */
    kt_status (*create)(const char *variant, int ordinal, int lanes, kti_device **device, kt_error *error);
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
    kt_status (*peak)(kti_device *device, size_t bytes, int size, kti_peak *peak, kt_error *error);
    int (*variations)(const kti_device *device);
    void (*vary)(kti_device *device, int i, kti_variation *variation);
    /* NULL where there is one device */
    kt_status (*count)(int *count, kt_error *error);
    kt_status (*connect)(kti_device *const *devices, int count, double patience, kt_error *error);
    kt_status (*broadcast)(kti_device *device, void *memory, size_t bytes, kt_error *error);
    void (*abandon)(kti_device *device);
    int (*choices)(kti_device *device, kti_choice *choices, int room);
    kt_status (*choose)(kti_device *device, const kti_choice *choices, int count, kt_error *error);
} kti_device_kind;

/* What every kind's own device begins with. */
struct kti_device {
    const kti_device_kind *kind;
    int lanes;
    int rank, ranks; /* in the group; ranks 0: in none */
    bool chooses;
    bool chains;
    char description[128];
};

extern const kti_device_kind kti_cpu_kind;

/* In a module that is loaded when it is asked for; linked in by tests alone. */
extern __attribute__((weak, visibility("default"))) const kti_device_kind kti_cuda_kind;

#endif
