/* The crystals of a data set, packed once and kept on the device, from which steps pick their batches. */
#ifndef KTI_TRAIN_KEPT_H
#define KTI_TRAIN_KEPT_H

#include "data/batch.h"
#include "device/device.h"

typedef struct kti_kept {
    kti_device *device;            /* borrowed */
    const kti_graph *const *graph; /* [size] borrowed */
    int size;
    void *memory;   /* device */
    kti_batch rows; /* in it: all crystals as one batch */
} kti_kept;

/* `graphs` live as long as what is made. Zero `kept` before; destroy it in any case, after the plans that pick from it. */
kt_status kti_kept_create(kti_device *device, const kti_graph *const *graphs, int size, kti_kept *kept,
                          kt_error *error);
void kti_kept_destroy(kti_kept *kept);

#endif
