/* What a device is: memory, and something that runs lists of operations.
 *
 * Only this folder knows which device it is. A device has lanes that may run at
 * the same time from different host threads: the CPU one a worker thread.
 */
#ifndef KTI_DEVICE_DEVICE_H
#define KTI_DEVICE_DEVICE_H

#include <stddef.h>

#include <kappatune/error.h>

#include "device/operation.h"

typedef struct kti_device kti_device;

/* `name` is "cpu" (or NULL), or "cuda", which this build refuses with KT_DEVICE, saying so. `lanes` >= 1. */
kt_status kti_device_create(const char *name, int lanes, kti_device **device, kt_error *error);
void kti_device_destroy(kti_device *device);

int kti_device_lanes(const kti_device *device);

/* What runs: "cpu (avx512)". */
const char *kti_device_description(const kti_device *device);

/* Zeroed device memory, 64-byte aligned. `what` names it in errors. */
kt_status kti_device_allocate(kti_device *device, size_t bytes, const char *what, void **memory,
                              kt_error *error);
void kti_device_release(kti_device *device, void *memory);

/* Copies between host and device memory; complete on return. */
kt_status kti_device_upload(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error);
kt_status kti_device_download(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error);

/* Runs the operations in order for folds [first, first + count) on a lane; complete on return. */
kt_status kti_device_run(kti_device *device, int lane, const kti_operation *list, int size, int first,
                         int count, kt_error *error);

#endif
