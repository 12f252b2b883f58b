/* device.json in a run folder: what a device that chooses has chosen, for a resumed run to have the same bits. */
#ifndef KTI_TRAIN_CHOICES_H
#define KTI_TRAIN_CHOICES_H

#include <jansson.h>

#include "device/device.h"

/* The choices so far as an array, NULL when memory is short. */
json_t *kti_choices_to_json(kti_device *device);

/* Writes the file unless it holds all choices, *stored of them; nothing on a device that doesn't choose. To be called
 * before what was computed by them is written. One caller at a time. */
kt_status kti_choices_write(const char *run, kti_device *device, int *stored, kt_error *error);

/* Lets the device take what the file says, if there is one and the device chooses; before its first job. */
kt_status kti_choices_read(const char *run, kti_device *device, kt_error *error);

#endif
