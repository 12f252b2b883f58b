/* The parameters of F folds on a device, with their Adam moments.
 *
 * Three arenas [F, layout.size]; each fold's part follows the layout.
 */
#ifndef KTI_TRAIN_PARAMETERS_H
#define KTI_TRAIN_PARAMETERS_H

#include "device/device.h"
#include "model/layout.h"
#include "model/tensors.h"

typedef struct kti_parameters {
    kti_device *device; /* borrowed */
    kti_layout layout;
    int folds;
    kt_real *value, *moment1, *moment2; /* device memory; the moments are NULL for prediction alone */
    kt_real *centres;                   /* [KTI_GAUSSIANS] device memory, shared by all folds */
} kti_parameters;

kt_status kti_parameters_create(kti_device *device, int folds, int train, kti_parameters *parameters,
                                kt_error *error);
void kti_parameters_destroy(kti_parameters *parameters);

typedef enum kti_arena_role { KTI_ROLE_VALUE, KTI_ROLE_MOMENT1, KTI_ROLE_MOMENT2 } kti_arena_role;

/* Copies a fold's arena to host memory [layout.size] or back. */
kt_status kti_parameters_download(const kti_parameters *parameters, kti_arena_role role, int fold,
                                  kt_real *host, kt_error *error);
kt_status kti_parameters_upload(kti_parameters *parameters, kti_arena_role role, int fold,
                                const kt_real *host, kt_error *error);

/* Between a host arena in the layout and tensors named `prefix` + spec name. Load takes the parameters of the
 * named parts (bit mask 1 << kti_part) and fails, by name, for one that is missing or has another shape; the
 * rest of the arena is left alone. Store adds float32 tensors (float64 in the float64 build). */
kt_status kti_arena_load(const kti_layout *layout, kt_real *arena, const kti_tensors *tensors,
                         const char *prefix, unsigned parts, const char *file, kt_error *error);
kt_status kti_arena_store(const kti_layout *layout, const kt_real *arena, const char *prefix, unsigned parts,
                          kti_tensors *tensors, kt_error *error);

enum { KTI_ALL_PARTS = 1u << KTI_PART_BODY | 1u << KTI_PART_EFORM | 1u << KTI_PART_HEAD };

#endif
