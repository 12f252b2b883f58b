/* The parameters of F folds on a device, with what their training needs: Adam's moments, running means.
 *
 * Arenas [F, layout.size]; each fold's part follows the layout.
 */
#ifndef KTI_TRAIN_PARAMETERS_H
#define KTI_TRAIN_PARAMETERS_H

#include <stdbool.h>

#include "device/device.h"
#include "model/layout.h"
#include "model/tensors.h"

enum { KTI_ELEMENT_STRIDE = 16 }; /* between rows of the elements' physics inputs */

typedef struct kti_parameters {
    kti_device *device; /* borrowed */
    kti_layout layout;
    int folds;
    kt_real *value, *moment1, *moment2; /* device memory; the moments are NULL for prediction alone */
    kt_real *average;                   /* device memory; NULL unless KTI_AVERAGED */
    kt_real *centres;                   /* [KTI_GAUSSIANS] device memory, shared by all folds */
    kt_real *decays; /* [layout.size] the same, 1 where weights decay; NULL unless KTI_DECAYED */
    kt_real *
        elements; /* [KTI_ELEMENT_TYPES, KTI_ELEMENT_STRIDE] the same, physics inputs of a node; NULL unless KTI_WITH_PHYSICS */
} kti_parameters;

/* What parameters are for, beside prediction. */
enum {
    KTI_TRAINED = 1,     /* there are moments */
    KTI_AVERAGED = 2,    /* and a running mean */
    KTI_DECAYED = 4,     /* and it is known which weights decay */
    KTI_WITH_PHYSICS = 8 /* the network has physics inputs */
};

/* `use`: the bits above, 0 for prediction alone. */
kt_status kti_parameters_create(kti_device *device, int folds, unsigned use, kti_parameters *parameters,
                                kt_error *error);
void kti_parameters_destroy(kti_parameters *parameters);

typedef enum kti_arena_role {
    KTI_ROLE_VALUE,
    KTI_ROLE_MOMENT1,
    KTI_ROLE_MOMENT2,
    KTI_ROLE_AVERAGE,
    KTI_ROLES
} kti_arena_role;

/* Whether these parameters have an arena of the role. */
bool kti_parameters_have(const kti_parameters *parameters, kti_arena_role role);

/* The role whose weights are scored, selected and kept: the running mean where there is one. */
kti_arena_role kti_parameters_product(const kti_parameters *parameters);

/* Copies a fold's arena to host memory [layout.size] or back. */
kt_status kti_parameters_download(const kti_parameters *parameters, kti_arena_role role, int fold,
                                  kt_real *host, kt_error *error);
kt_status kti_parameters_upload(kti_parameters *parameters, kti_arena_role role, int fold,
                                const kt_real *host, kt_error *error);

/* Gives the fold's arena to those who share it, from the first of them; each calls it. */
kt_status kti_parameters_broadcast(kti_parameters *parameters, kti_arena_role role, int fold,
                                   kt_error *error);

/* Between a host arena in the layout and tensors named `prefix` + spec name. Load takes the parameters of the
 * named parts (bit mask 1 << kti_part) and fails, by name, for one that is missing or has another shape; the
 * rest of the arena is left alone. Store adds float32 tensors (float64 in the float64 build). Parts that the layout lacks are passed over. */
kt_status kti_arena_load(const kti_layout *layout, kt_real *arena, const kti_tensors *tensors,
                         const char *prefix, unsigned parts, const char *file, kt_error *error);
kt_status kti_arena_store(const kti_layout *layout, const kt_real *arena, const char *prefix, unsigned parts,
                          kti_tensors *tensors, kt_error *error);

/* Weights to start from or to predict with: the named parts, and the physics columns with them. A body that was
 * trained without those goes into a network with them, where they are zero and change nothing; the reverse is
 * KT_BAD_FORMAT. */
kt_status kti_arena_load_weights(const kti_layout *layout, kt_real *arena, const kti_tensors *tensors,
                                 unsigned parts, const char *file, kt_error *error);

enum {
    KTI_ALL_PARTS = 1u << KTI_PART_BODY | 1u << KTI_PART_EFORM | 1u << KTI_PART_HEAD | 1u << KTI_PART_PHYSICS
};

#endif
