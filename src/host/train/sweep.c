#include "train/sweep.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"

static bool is_list_of_values(const char *key, const json_t *value)
{
    const json_t *element;
    size_t i;
    if (!json_is_array(value) || strcmp(key, "stages") == 0)
        return false;
    if (strcmp(key, "data") != 0)
        return true;
    json_array_foreach(value, i, element) if (json_is_array(element)) return true;
    return false;
}

/* ---- counting ---- */

static kt_status count(const json_t *object, const char *file, int *points, kt_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!is_list_of_values(key, value))
            continue;
        const size_t size = json_array_size(value);
        if (size == 0)
            return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` lists no value", key);
        if (size > (size_t)(KTI_MAX_POINTS / (*points ? *points : 1)))
            return kti_fail_file(error, KT_BAD_FORMAT, file,
                                 "`%s` lists %zu values: the sweep would have more than %d points", key, size,
                                 KTI_MAX_POINTS);
        *points = (*points ? *points : 1) * (int)size;
    }
    return KT_OK;
}

kt_status kti_sweep_points(const json_t *recipe, const char *file, int *points, kt_error *error)
{
    const json_t *stage;
    size_t i;
    *points = 0;
    kt_status status = count(recipe, file, points, error);
    json_array_foreach(json_object_get(recipe, "stages"), i, stage)
    {
        if (status == KT_OK)
            status = count(stage, file, points, error);
    }
    return status;
}

/* ---- choosing ---- */

/* Puts the point's value in each list's place; `rest` is how many points share the values that were chosen before. */
static void choose(json_t *object, int point, int *rest)
{
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        json_t *value = json_object_iter_value(at);
        if (!is_list_of_values(json_object_iter_key(at), value))
            continue;
        const int size = (int)json_array_size(value);
        *rest /= size;
        json_t *chosen = json_incref(json_array_get(value, (size_t)((point - 1) / *rest % size)));
        json_object_iter_set_new(object, at, chosen);
    }
}

json_t *kti_sweep_point(const json_t *recipe, int points, int point)
{
    json_t *copy = json_deep_copy(recipe), *stage;
    size_t i;
    choose(copy, point, &points);
    json_array_foreach(json_object_get(copy, "stages"), i, stage) choose(stage, point, &points);
    return copy;
}

char *kti_sweep_path(const char *run, int point)
{
    char relative[32];
    snprintf(relative, sizeof relative, "points/%d", point);
    return kti_path_join(run, relative);
}
