/* The CPU's operations, compiled once per instruction set. */
#ifndef KTI_DEVICE_CPU_BACKEND_H
#define KTI_DEVICE_CPU_BACKEND_H

#include "device/operation.h"

/* Scratch of a lane, in numbers, 64-byte aligned: room for the largest weights that are transposed. */
enum { KTI_CPU_SCRATCH = 16384 };

typedef struct kti_cpu_backend {
    const char *name;
    void (*run)(const kti_operation *operation, int fold, kt_real *scratch);
} kti_cpu_backend;

/* Each in its own object, built with other compiler flags; which ones exist is decided by CMake. */
extern const kti_cpu_backend kti_cpu_backend_plain;
extern const kti_cpu_backend kti_cpu_backend_avx2;
extern const kti_cpu_backend kti_cpu_backend_avx512;

#endif
