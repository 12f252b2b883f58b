/* The device that a test runs on: the CPU, or, where KTI_TESTS_EMULATED is defined, the emulated CUDA device (with
 * emulator_real.c, a GPU). */
#ifndef KTI_TESTS_DEVICE_TESTED_H
#define KTI_TESTS_DEVICE_TESTED_H

#include "device/device.h"

#ifdef KTI_TESTS_EMULATED
#define TESTED_DEVICE "cuda"
#else
#define TESTED_DEVICE "cpu"
#endif

/* Before the device is created. */
void tested_start(void);

/* After it is destroyed: fails the test if the emulator has anything to complain of. */
void tested_end(void);

/* The first rows of a matrix of fold 0, on the host, with the stride that it has; the caller frees it. */
kt_real *tested_fetch(kti_device *device, kt_matrix matrix, int64_t rows);

#endif
