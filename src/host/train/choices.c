#include "train/choices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

static const char name[] = "device.json";

enum { MAX_BYTES = 1 << 22 };

static json_t *times_to_json(const kti_choice *choice)
{
    json_t *times = json_object();
    for (int way = 0; way < KTI_WAYS && times; way++)
        if (choice->microseconds[way] > 0)
            json_object_set_new(times, kti_way_name((kti_way)way), json_real(choice->microseconds[way]));
    return times;
}

json_t *kti_choices_to_json(kti_device *device)
{
    const int count = kti_device_choices(device, NULL, 0);
    kti_choice *choices = kti_allocate((size_t)count, sizeof *choices);
    json_t *list = choices ? json_array() : NULL;
    kti_device_choices(device, choices, count);
    for (int i = 0; i < count && list; i++)
        if (json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "shape", choices[i].shape, "way",
                                                  kti_way_name(choices[i].way), "microseconds",
                                                  times_to_json(&choices[i]))) != 0) {
            json_decref(list);
            list = NULL;
        }
    free(choices);
    return list;
}

kt_status kti_choices_write(const char *run, kti_device *device, int *stored, kt_error *error)
{
    const int count = kti_device_choices(device, NULL, 0);
    if (count == *stored)
        return KT_OK;
    char *path = kti_path_join(run, name);
    json_t *choices = kti_choices_to_json(device),
           *file = choices
                       ? json_pack("{s:s, s:O}", "device", kti_device_description(device), "choices", choices)
                       : NULL;
    const kt_status status =
        path && file ? kti_json_write(path, file, error) : kti_fail_memory(error, "device.json");
    if (status == KT_OK)
        *stored = (int)json_array_size(choices);
    json_decref(file);
    json_decref(choices);
    free(path);
    return status;
}

static kt_status read_choice(const json_t *item, const char *path, kti_choice *choice, kt_error *error)
{
    const char *shape, *way;
    json_t *times;
    *choice = (kti_choice){.way = KTI_WAYS};
    if (!json_is_object(item))
        return kti_fail_file(error, KT_BAD_FORMAT, path, "`choices` must hold objects");
    kt_status status = kti_json_string(item, path, "shape", &shape, error);
    if (status == KT_OK)
        status = kti_json_string(item, path, "way", &way, error);
    if (status == KT_OK)
        status = kti_json_object(item, path, "microseconds", &times, error);
    if (status != KT_OK)
        return status;
    if (strlen(shape) >= sizeof choice->shape)
        return kti_fail_file(error, KT_BAD_FORMAT, path, "a shape is too long: %.40s...", shape);
    snprintf(choice->shape, sizeof choice->shape, "%s", shape);
    for (int i = 0; i < KTI_WAYS; i++) {
        const json_t *time = json_object_get(times, kti_way_name((kti_way)i));
        if (strcmp(way, kti_way_name((kti_way)i)) == 0)
            choice->way = (kti_way)i;
        choice->microseconds[i] = json_is_number(time) ? json_number_value(time) : 0;
    }
    if (choice->way == KTI_WAYS)
        return kti_fail_file(error, KT_BAD_FORMAT, path,
                             "`%s` is to be computed by `%s`, which this build doesn't know", shape, way);
    return KT_OK;
}

static kt_status take(const char *path, const json_t *root, kti_device *device, kt_error *error)
{
    json_t *list;
    kt_status status = json_is_object(root) ? kti_json_array(root, path, "choices", &list, error)
                                            : kti_fail_file(error, KT_BAD_FORMAT, path, "no object");
    if (status != KT_OK)
        return status;
    const size_t count = json_array_size(list);
    kti_choice *choices = kti_allocate(count, sizeof *choices);
    if (!choices)
        return kti_fail_memory(error, "device.json");
    for (size_t i = 0; i < count && status == KT_OK; i++)
        status = read_choice(json_array_get(list, i), path, &choices[i], error);
    if (status == KT_OK)
        status = kti_device_choose(device, choices, (int)count, error);
    free(choices);
    return status;
}

kt_status kti_choices_read(const char *run, kti_device *device, kt_error *error)
{
    json_t *root = NULL;
    if (!kti_device_chooses(device))
        return KT_OK;
    char *path = kti_path_join(run, name);
    if (!path)
        return kti_fail_memory(error, "device.json");
    kt_status status = KT_OK;
    if (kti_file_exists(path))
        status = kti_json_read(path, MAX_BYTES, &root, error);
    if (status == KT_OK && root)
        status = take(path, root, device, error);
    json_decref(root);
    free(path);
    return status;
}
