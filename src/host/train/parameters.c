#include "train/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/elements.h"
#include "model/architecture.h"

enum { NAME_LENGTH = 96 };

/* linspace(0, 5, 100) rounded to float32, as the pretrained body has them: centre 9 is 5/11 rounded down. */
static void fill_centres(kt_real *centres)
{
    for (int k = 0; k < KTI_GAUSSIANS; k++)
        centres[k] = (kt_real)(float)(5.0 * k / (KTI_GAUSSIANS - 1));
    centres[9] = (kt_real)0.45454543829f;
}

/* Weights that features are multiplied by; not biases, and not the embedding, of which a batch uses a few rows alone:
 * decay would wipe out the elements that the data lack. */
static int weight_decays(const kti_parameter *parameter)
{
    return parameter->rank == 2 && parameter->initialiser != KTI_INIT_NORMAL &&
           parameter->part != KTI_PART_EFORM;
}

static kt_status create_elements(kti_parameters *parameters, kt_error *error)
{
    kt_real table[KTI_ELEMENT_TYPES * KTI_ELEMENT_STRIDE] = {0};
    for (int type = 0; type < KTI_ELEMENT_TYPES; type++) {
        double own[KTI_NODE_PHYSICS];
        kti_physics_of_element(type, own);
        for (int i = 0; i < KTI_NODE_PHYSICS; i++)
            table[type * KTI_ELEMENT_STRIDE + i] = (kt_real)own[i];
    }
    kt_status status = kti_device_allocate(parameters->device, sizeof table, "the elements",
                                           (void **)&parameters->elements, error);
    return status == KT_OK
               ? kti_device_upload(parameters->device, parameters->elements, table, sizeof table, error)
               : status;
}

static kt_status create_decays(kti_parameters *parameters, kt_error *error)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    const kti_layout *layout = &parameters->layout;
    const size_t bytes = (size_t)layout->size * sizeof(kt_real);
    kt_real *decays = kti_allocate((size_t)layout->size, sizeof *decays);
    if (!decays)
        return kti_fail_memory(error, "the weight decay");
    for (int i = 0; i < layout->parameters; i++)
        for (int64_t at = 0; at < (int64_t)spec[i].rows * layout->stride[i]; at++)
            decays[layout->offset[i] + at] = (kt_real)weight_decays(&spec[i]);
    kt_status status = kti_device_allocate(parameters->device, bytes, "the weight decay",
                                           (void **)&parameters->decays, error);
    if (status == KT_OK)
        status = kti_device_upload(parameters->device, parameters->decays, decays, bytes, error);
    free(decays);
    return status;
}

kt_status kti_parameters_create(kti_device *device, int folds, unsigned use, kti_parameters *parameters,
                                kt_error *error)
{
    kt_real centres[KTI_GAUSSIANS];
    *parameters = (kti_parameters){
        .device = device, .layout = kti_layout_create(use & KTI_WITH_PHYSICS), .folds = folds};
    size_t bytes = (size_t)folds * (size_t)parameters->layout.size * sizeof(kt_real);
    const struct {
        unsigned needed;
        void **arena;
    } arenas[] = {{0, (void **)&parameters->value},
                  {KTI_TRAINED, (void **)&parameters->moment1},
                  {KTI_TRAINED, (void **)&parameters->moment2},
                  {KTI_AVERAGED, (void **)&parameters->average}};
    kt_status status = KT_OK;
    for (size_t i = 0; i < sizeof arenas / sizeof arenas[0] && status == KT_OK; i++)
        if ((use & arenas[i].needed) == arenas[i].needed)
            status = kti_device_allocate(device, bytes, "the model's parameters", arenas[i].arena, error);
    if (status == KT_OK)
        status = kti_device_allocate(device, sizeof centres, "the Gaussian centres",
                                     (void **)&parameters->centres, error);
    fill_centres(centres);
    if (status == KT_OK)
        status = kti_device_upload(device, parameters->centres, centres, sizeof centres, error);
    if (status == KT_OK && use & KTI_WITH_PHYSICS)
        status = create_elements(parameters, error);
    if (status == KT_OK && use & KTI_DECAYED)
        status = create_decays(parameters, error);
    if (status != KT_OK)
        kti_parameters_destroy(parameters);
    return status;
}

void kti_parameters_destroy(kti_parameters *parameters)
{
    if (!parameters->device)
        return;
    kti_device_release(parameters->device, parameters->value);
    kti_device_release(parameters->device, parameters->moment1);
    kti_device_release(parameters->device, parameters->moment2);
    kti_device_release(parameters->device, parameters->average);
    kti_device_release(parameters->device, parameters->centres);
    kti_device_release(parameters->device, parameters->decays);
    kti_device_release(parameters->device, parameters->elements);
    *parameters = (kti_parameters){0};
}

static kt_real *arena_of(const kti_parameters *parameters, kti_arena_role role)
{
    switch (role) {
    case KTI_ROLE_VALUE: return parameters->value;
    case KTI_ROLE_MOMENT1: return parameters->moment1;
    case KTI_ROLE_MOMENT2: return parameters->moment2;
    case KTI_ROLE_AVERAGE: return parameters->average;
    case KTI_ROLES: break;
    }
    return NULL;
}

bool kti_parameters_have(const kti_parameters *parameters, kti_arena_role role)
{
    return arena_of(parameters, role) != NULL;
}

kti_arena_role kti_parameters_product(const kti_parameters *parameters)
{
    return parameters->average ? KTI_ROLE_AVERAGE : KTI_ROLE_VALUE;
}

static kt_real *fold_arena(const kti_parameters *parameters, kti_arena_role role, int fold)
{
    return arena_of(parameters, role) + (int64_t)fold * parameters->layout.size;
}

kt_status kti_parameters_download(const kti_parameters *parameters, kti_arena_role role, int fold,
                                  kt_real *host, kt_error *error)
{
    return kti_device_download(parameters->device, host, fold_arena(parameters, role, fold),
                               (size_t)parameters->layout.size * sizeof(kt_real), error);
}

kt_status kti_parameters_upload(kti_parameters *parameters, kti_arena_role role, int fold,
                                const kt_real *host, kt_error *error)
{
    return kti_device_upload(parameters->device, fold_arena(parameters, role, fold), host,
                             (size_t)parameters->layout.size * sizeof(kt_real), error);
}

kt_status kti_parameters_broadcast(kti_parameters *parameters, kti_arena_role role, int fold, kt_error *error)
{
    return kti_device_broadcast(parameters->device, fold_arena(parameters, role, fold),
                                (size_t)parameters->layout.size * sizeof(kt_real), error);
}

static int shape_matches(const kti_parameter *parameter, const kti_tensor *tensor)
{
    if (tensor->rank != parameter->rank)
        return 0;
    if (tensor->rank == 1)
        return tensor->shape[0] == parameter->columns;
    return tensor->shape[0] == parameter->rows && tensor->shape[1] == parameter->columns;
}

kt_status kti_arena_load(const kti_layout *layout, kt_real *arena, const kti_tensors *tensors,
                         const char *prefix, unsigned parts, const char *file, kt_error *error)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    for (int i = 0; i < layout->parameters; i++) {
        char name[NAME_LENGTH];
        if (!(parts & 1u << spec[i].part))
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, spec[i].name);
        const kti_tensor *tensor = kti_tensors_find(tensors, name);
        if (!tensor)
            return kti_fail_file(error, KT_BAD_FORMAT, file, "has no tensor `%s`", name);
        if (!shape_matches(&spec[i], tensor) || tensor->dtype == KTI_I32 || tensor->dtype == KTI_I64)
            return kti_fail_file(error, KT_BAD_FORMAT, file, "tensor `%s` is not [%d, %d] of floats", name,
                                 spec[i].rows, spec[i].columns);
        for (int row = 0; row < spec[i].rows; row++)
            for (int column = 0; column < spec[i].columns; column++)
                arena[layout->offset[i] + (int64_t)row * layout->stride[i] + column] =
                    (kt_real)kti_tensor_value(tensor, (size_t)row * (size_t)spec[i].columns + (size_t)column);
    }
    return KT_OK;
}

kt_status kti_arena_load_weights(const kti_layout *layout, kt_real *arena, const kti_tensors *tensors,
                                 unsigned parts, const char *file, kt_error *error)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    const bool physics = kti_architecture_has_physics(tensors);
    if (physics && !kti_layout_has_physics(layout))
        return kti_fail_file(error, KT_BAD_FORMAT, file,
                             "has physics inputs (`%s`), which this network lacks: set `physics_inputs`",
                             spec[size].name);
    for (int i = size; i < layout->parameters; i++)
        memset(arena + layout->offset[i], 0,
               (size_t)spec[i].rows * (size_t)layout->stride[i] * sizeof *arena);
    return kti_arena_load(layout, arena, tensors, "", parts | (physics ? 1u << KTI_PART_PHYSICS : 0), file,
                          error);
}

kt_status kti_arena_store(const kti_layout *layout, const kt_real *arena, const char *prefix, unsigned parts,
                          kti_tensors *tensors, kt_error *error)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    const kti_dtype dtype = sizeof(kt_real) == sizeof(double) ? KTI_F64 : KTI_F32;
    for (int i = 0; i < layout->parameters; i++) {
        char name[NAME_LENGTH];
        kti_tensor *tensor;
        if (!(parts & 1u << spec[i].part))
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, spec[i].name);
        int64_t shape[2] = {spec[i].rows, spec[i].columns};
        kt_status status = kti_tensors_add(tensors, name, dtype, spec[i].rank,
                                           spec[i].rank == 1 ? shape + 1 : shape, &tensor, error);
        if (status != KT_OK)
            return status;
        for (int row = 0; row < spec[i].rows; row++)
            memcpy((kt_real *)tensor->data + (int64_t)row * spec[i].columns,
                   arena + layout->offset[i] + (int64_t)row * layout->stride[i],
                   (size_t)spec[i].columns * sizeof(kt_real));
    }
    return KT_OK;
}
