#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "crystal/elements.h"
#include "model/spec.h"

/* The grid of Gaussians and the cutoff are text here and numbers in the graph and the kernels; all stand in
 * the specification (section 2). */
static const struct {
    const char *key, *value;
} fixed[] = {
    {"format", "kappatune"},     {"format_version", "1"},     {"architecture", "megnet"},
    {"activation", "softplus2"}, {"cutoff", "4.0"},           {"gaussians_first", "0.0"},
    {"gaussians_last", "5.0"},   {"gaussians_factor", "0.5"},
};

static const struct {
    const char *key;
    int value;
} counts[] = {
    {"blocks", KTI_BLOCKS}, {"gaussians_count", KTI_GAUSSIANS}, {"set2set_steps", KTI_SET2SET_STEPS}};

enum {
    FIXED = sizeof fixed / sizeof fixed[0],
    COUNTS = sizeof counts / sizeof counts[0],
    KEYS = FIXED + COUNTS + 1,
    TEXT = 512
};

static void list_elements(char *text, size_t capacity)
{
    const char *symbols[KTI_ELEMENT_TYPES] = {0};
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++)
        if (kti_element_type(number) >= 0)
            symbols[kti_element_type(number)] = kti_element_symbol(number);
    size_t used = 0;
    for (int type = 0; type < KTI_ELEMENT_TYPES && used < capacity; type++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", type ? " " : "", symbols[type]);
}

/* Key and value number i of the description; the value is written into `text`. */
static const char *item(int i, char text[TEXT])
{
    if (i < FIXED) {
        snprintf(text, TEXT, "%s", fixed[i].value);
        return fixed[i].key;
    }
    if (i < FIXED + COUNTS) {
        snprintf(text, TEXT, "%d", counts[i - FIXED].value);
        return counts[i - FIXED].key;
    }
    list_elements(text, TEXT);
    return "elements";
}

static const char physics_key[] = "physics_inputs";

bool kti_architecture_has_physics(const kti_tensors *tensors)
{
    return kti_tensors_metadata(tensors, physics_key) != NULL;
}

kt_status kti_architecture_describe(kti_tensors *tensors, bool physics, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < KEYS && status == KT_OK; i++) {
        char value[TEXT];
        const char *key = item(i, value);
        status = kti_tensors_set_metadata(tensors, key, value, error);
    }
    if (status == KT_OK && physics)
        status = kti_tensors_set_metadata(tensors, physics_key, kti_physics_names(), error);
    return status;
}

/* Where two texts are to be shown from, so that their first difference is seen; the element list is long. */
static size_t difference(const char *a, const char *b)
{
    size_t same = 0;
    while (a[same] != '\0' && a[same] == b[same])
        same++;
    return same > 60 ? same - 20 : 0;
}

static kt_status check_value(const kti_tensors *tensors, const char *file, const char *key, const char *value,
                             kt_error *error)
{
    const char *found = kti_tensors_metadata(tensors, key);
    if (!found)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `%s` is missing; this model has `%.160s`",
                             key, value);
    if (strcmp(found, value) == 0)
        return KT_OK;
    size_t from = difference(found, value);
    const char *dots = from > 0 ? "..." : "";
    return kti_fail_file(error, KT_BAD_FORMAT, file,
                         "metadata `%s` is `%s%.120s`, but this model has `%s%.120s`: the weights belong to "
                         "another network",
                         key, dots, found + from, dots, value + from);
}

kt_status kti_architecture_check(const kti_tensors *tensors, const char *file, kt_error *error)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    kt_status status = KT_OK;
    for (int i = 0; i < KEYS && status == KT_OK; i++) {
        char value[TEXT];
        const char *key = item(i, value);
        status = check_value(tensors, file, key, value, error);
    }
    /* Columns without their names could be any features'. */
    if (status == KT_OK &&
        (kti_architecture_has_physics(tensors) || kti_tensors_find(tensors, spec[size].name)))
        status = check_value(tensors, file, physics_key, kti_physics_names(), error);
    return status;
}

kt_status kti_metadata_set_number(kti_tensors *tensors, const char *key, double value, kt_error *error)
{
    char text[64];
    if (!kti_number_text(value, text, sizeof text))
        return kti_fail(error, KT_NON_FINITE, "metadata `%s` is not a finite number", key);
    return kti_tensors_set_metadata(tensors, key, text, error);
}

kt_status kti_metadata_number(const kti_tensors *tensors, const char *file, const char *key, double *value,
                              kt_error *error)
{
    const char *text = kti_tensors_metadata(tensors, key);
    if (!text)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `%s` is missing", key);
    if (!kti_number_parse(text, value))
        return kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `%s` must be a number, not `%.160s`", key,
                             text);
    return KT_OK;
}
