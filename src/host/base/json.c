#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"

kt_status kti_json_read(const char *path, size_t limit, json_t **root, kt_error *error)
{
    char *text = NULL;
    size_t size = 0;
    json_error_t about;
    *root = NULL;
    kt_status status = kti_file_read(path, limit, &text, &size, error);
    if (status != KT_OK)
        return status;
    *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &about);
    if (!*root && json_error_code(&about) == json_error_out_of_memory)
        status = kti_fail_file(error, KT_OUT_OF_MEMORY, path, "not enough memory to read it");
    else if (!*root)
        status = kti_fail_line(error, KT_BAD_FORMAT, path, about.line > 0 ? about.line : 1,
                               "not valid JSON: %s", about.text);
    free(text);
    return status;
}

kt_status kti_json_write(const char *path, const json_t *root, kt_error *error)
{
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (!text)
        return kti_fail_file(error, KT_OUT_OF_MEMORY, path, "not enough memory to write it");
    size_t size = strlen(text);
    text[size] = '\n'; /* in the place of the terminator: the text is written by its size */
    kt_status status = kti_file_write(path, text, size + 1, error);
    free(text);
    return status;
}

static kt_status wrong(const char *file, const char *key, const char *wanted, kt_error *error)
{
    return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` must be %s", key, wanted);
}

kt_status kti_json_integer(const json_t *object, const char *file, const char *key, int64_t min, int64_t max,
                           int64_t *value, kt_error *error)
{
    const json_t *member = json_object_get(object, key);
    if (json_is_integer(member) && json_integer_value(member) >= min && json_integer_value(member) <= max) {
        *value = json_integer_value(member);
        return KT_OK;
    }
    if (min == INT64_MIN && max == INT64_MAX)
        return wrong(file, key, "an integer", error);
    if (max == INT64_MAX)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` must be an integer >= %lld", key,
                             (long long)min);
    if (min == INT64_MIN)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` must be an integer <= %lld", key,
                             (long long)max);
    return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` must be an integer from %lld to %lld", key,
                         (long long)min, (long long)max);
}

kt_status kti_json_number(const json_t *object, const char *file, const char *key, double min, double max,
                          double *value, kt_error *error)
{
    const json_t *member = json_object_get(object, key);
    if (json_is_number(member) && json_number_value(member) >= min && json_number_value(member) <= max) {
        *value = json_number_value(member);
        return KT_OK;
    }
    if (isinf(min) && isinf(max))
        return wrong(file, key, "a number", error);
    if (isinf(max))
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` must be a number >= %g", key, min);
    if (isinf(min))
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` must be a number <= %g", key, max);
    return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` must be a number from %g to %g", key, min, max);
}

kt_status kti_json_boolean(const json_t *object, const char *file, const char *key, bool *value,
                           kt_error *error)
{
    const json_t *member = json_object_get(object, key);
    if (!json_is_boolean(member))
        return wrong(file, key, "true or false", error);
    *value = json_is_true(member);
    return KT_OK;
}

kt_status kti_json_string(const json_t *object, const char *file, const char *key, const char **value,
                          kt_error *error)
{
    const json_t *member = json_object_get(object, key);
    if (!json_is_string(member))
        return wrong(file, key, "a string", error);
    *value = json_string_value(member);
    return KT_OK;
}

kt_status kti_json_object(const json_t *object, const char *file, const char *key, json_t **value,
                          kt_error *error)
{
    json_t *member = json_object_get(object, key);
    if (!json_is_object(member))
        return wrong(file, key, "an object", error);
    *value = member;
    return KT_OK;
}

kt_status kti_json_array(const json_t *object, const char *file, const char *key, json_t **value,
                         kt_error *error)
{
    json_t *member = json_object_get(object, key);
    if (!json_is_array(member))
        return wrong(file, key, "an array", error);
    *value = member;
    return KT_OK;
}

kt_status kti_json_known_keys(const json_t *object, const char *file, const char *const *keys, size_t size,
                              kt_error *error)
{
    /* Jansson iterates a const object but declares otherwise. */
    json_t *members = (json_t *)(uintptr_t)object;
    for (void *at = json_object_iter(members); at; at = json_object_iter_next(members, at)) {
        size_t i = 0;
        while (i < size && strcmp(keys[i], json_object_iter_key(at)) != 0)
            i++;
        if (i == size)
            return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` is not a key that is known here",
                                 json_object_iter_key(at));
    }
    return KT_OK;
}

bool kti_number_text(double value, char *text, size_t capacity)
{
    if (!isfinite(value))
        return false;
    json_t *number = json_real(value);
    bool exact = false;
    for (size_t digits = 15; number && digits <= 17 && !exact; digits++) {
        size_t size = json_dumpb(number, text, capacity, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        double back = 0;
        if (size == 0 || size >= capacity)
            break;
        text[size] = '\0';
        exact = kti_number_parse(text, &back) && back == value;
    }
    json_decref(number);
    return exact;
}

double kti_number_or_nan(const char *text)
{
    double value;
    return kti_number_parse(text, &value) ? value : NAN;
}

bool kti_number_parse(const char *text, double *value)
{
    json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
    bool good = json_is_number(number) && isfinite(json_number_value(number));
    if (good)
        *value = json_number_value(number);
    json_decref(number);
    return good;
}
