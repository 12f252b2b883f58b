#include "train/parameters.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

enum { NAME_LENGTH = 96 };

/* linspace(0, 5, 100) rounded to float32, as the pretrained body has them: centre 9 is 5/11 rounded down. */
static void fill_centres(kt_real *centres)
{
    for (int k = 0; k < KTI_GAUSSIANS; k++)
        centres[k] = (kt_real)(float)(5.0 * k / (KTI_GAUSSIANS - 1));
    centres[9] = (kt_real)0.45454543829f;
}

kt_status kti_parameters_create(kti_device *device, int folds, int train, kti_parameters *parameters,
                                kt_error *error)
{
    kt_real centres[KTI_GAUSSIANS];
    *parameters = (kti_parameters){.device = device, .layout = kti_layout_create(), .folds = folds};
    size_t bytes = (size_t)folds * (size_t)parameters->layout.size * sizeof(kt_real);
    void **arenas[] = {(void **)&parameters->value, (void **)&parameters->moment1,
                       (void **)&parameters->moment2};
    kt_status status = KT_OK;
    for (int i = 0; i < (train ? 3 : 1) && status == KT_OK; i++)
        status = kti_device_allocate(device, bytes, "the model's parameters", arenas[i], error);
    if (status == KT_OK)
        status = kti_device_allocate(device, sizeof centres, "the Gaussian centres",
                                     (void **)&parameters->centres, error);
    fill_centres(centres);
    if (status == KT_OK)
        status = kti_device_upload(device, parameters->centres, centres, sizeof centres, error);
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
    kti_device_release(parameters->device, parameters->centres);
    *parameters = (kti_parameters){0};
}

static kt_real *fold_arena(const kti_parameters *parameters, kti_arena_role role, int fold)
{
    kt_real *arena = role == KTI_ROLE_VALUE     ? parameters->value
                     : role == KTI_ROLE_MOMENT1 ? parameters->moment1
                                                : parameters->moment2;
    return arena + (int64_t)fold * parameters->layout.size;
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
    for (int i = 0; i < size; i++) {
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

kt_status kti_arena_store(const kti_layout *layout, const kt_real *arena, const char *prefix, unsigned parts,
                          kti_tensors *tensors, kt_error *error)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    const kti_dtype dtype = sizeof(kt_real) == sizeof(double) ? KTI_F64 : KTI_F32;
    for (int i = 0; i < size; i++) {
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
