#include "model/matgl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/architecture.h"
#include "model/spec.h"
#include "model/torch_archive.h"

enum { JSON_LIMIT = 1000000 };

static const char key_prefix[] = "model.";
static const char centres_name[] = "bond_expansion.rbf.centers";

/* MEGNet's constructor arguments for the network of the spec table. */
static json_t *expected_arguments(void)
{
    return json_pack(
        "{s:i, s:i, s:i, s:n, s:i, s:[i, i], s:[i, i, i], s:[i, i], s:i, s:i, s:s, s:b, s:b, s:n, s:n, "
        "s:n, s:n, s:f, s:f}",
        "dim_node_embedding", KTI_EMBEDDING, "dim_edge_embedding", KTI_GAUSSIANS, "dim_state_embedding",
        KTI_STATE_INPUT, "ntypes_state", "nblocks", KTI_BLOCKS, "hidden_layer_sizes_input", KTI_HIDDEN,
        KTI_FEATURES, "hidden_layer_sizes_conv", KTI_HIDDEN, KTI_HIDDEN, KTI_FEATURES,
        "hidden_layer_sizes_output", 32, KTI_READOUT, "nlayers_set2set", 1, "niters_set2set",
        KTI_SET2SET_STEPS, "activation_type", "softplus2", "is_classification", 0, "include_state", 1,
        "dropout", "graph_transformations", "element_types", "bond_expansion", "cutoff", 4.0, "gauss_width",
        0.5);
}

/* Equal values; 4 equals 4.0. */
static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* Text of a JSON value for a message, cut where it is long. */
static void value_text(const json_t *value, char *text, size_t capacity)
{
    char *all = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    snprintf(text, capacity, "%s", all ? all : "missing");
    free(all);
}

static kt_status check_arguments(const char *file, json_t *arguments, kt_error *error)
{
    kt_status status = KT_OK;
    const char *key;
    json_t *value, *expected = expected_arguments();
    if (!expected)
        return kti_fail_memory(error, "the expected arguments of MEGNet");
    json_object_foreach(expected, key, value)
    {
        if (status == KT_OK && !same_value(json_object_get(arguments, key), value)) {
            char found[120], wanted[120];
            value_text(json_object_get(arguments, key), found, sizeof found);
            value_text(value, wanted, sizeof wanted);
            status = kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` is %s, but this model has %s", key,
                                   found, wanted);
        }
    }
    json_object_foreach(arguments, key, value)
    {
        if (status == KT_OK && !json_object_get(expected, key))
            status = kti_fail_file(error, KT_BAD_FORMAT, file,
                                   "`%.100s` is an argument that this model does not have", key);
    }
    json_decref(expected);
    return status;
}

static kt_status check_class(const char *file, const json_t *object, const char *wanted, kt_error *error)
{
    const char *class = NULL;
    int64_t version = 0;
    kt_status status = kti_json_string(object, file, "@class", &class, error);
    if (status == KT_OK && strcmp(class, wanted) != 0)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`@class` is `%.100s`; `%s` is expected", class,
                             wanted);
    if (status == KT_OK)
        status = kti_json_integer(object, file, "@model_version", 1, 1, &version, error);
    return status;
}

/* "Normalizer: Mean=-1.65459073, Std: 1.07266128" */
static kt_status parse_normaliser(const char *file, const char *text, double *mean, double *std,
                                  kt_error *error)
{
    static const char first[] = "Normalizer: Mean=", second[] = ", Std: ";
    char number[64];
    const char *comma = strstr(text, second);
    if (strncmp(text, first, sizeof first - 1) == 0 && comma) {
        const char *from = text + sizeof first - 1;
        size_t length = comma > from ? (size_t)(comma - from) : 0;
        if (length > 0 && length < sizeof number) {
            memcpy(number, from, length);
            number[length] = '\0';
            if (kti_number_parse(number, mean) && kti_number_parse(comma + sizeof second - 1, std) &&
                *std > 0)
                return KT_OK;
        }
    }
    return kti_fail_file(
        error, KT_BAD_FORMAT, file,
        "`target_transformer` must be of the form `Normalizer: Mean=M, Std: S` with S > 0, not "
        "`%.100s`",
        text);
}

static kt_status check_description(const char *file, double *mean, double *std, kt_error *error)
{
    static const char *const known[] = {"model", "target_transformer"};
    json_t *root = NULL, *kwargs = NULL, *model = NULL, *arguments = NULL;
    const char *transformer = NULL;
    kt_status status = kti_json_read(file, JSON_LIMIT, &root, error);
    if (status == KT_OK)
        status = check_class(file, root, "TransformedTargetModel", error);
    if (status == KT_OK)
        status = kti_json_object(root, file, "kwargs", &kwargs, error);
    if (status == KT_OK)
        status = kti_json_known_keys(kwargs, file, known, sizeof known / sizeof known[0], error);
    if (status == KT_OK)
        status = kti_json_object(kwargs, file, "model", &model, error);
    if (status == KT_OK)
        status = check_class(file, model, "MEGNet", error);
    if (status == KT_OK)
        status = kti_json_object(model, file, "init_args", &arguments, error);
    if (status == KT_OK)
        status = check_arguments(file, arguments, error);
    if (status == KT_OK)
        status = kti_json_string(kwargs, file, "target_transformer", &transformer, error);
    if (status == KT_OK)
        status = parse_normaliser(file, transformer, mean, std, error);
    json_decref(root);
    return status;
}

static kt_status bad_shape(const char *file, const kti_tensor *found, int rank, const int64_t *wanted,
                           kt_error *error)
{
    char has[128], needs[128];
    kti_shape_text(found->rank, found->shape, has, sizeof has);
    kti_shape_text(rank, wanted, needs, sizeof needs);
    return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` has shape %s; %s is expected", found->name, has,
                         needs);
}

/* The shape of a parameter in files. */
static void file_shape(const kti_parameter *parameter, int64_t shape[2])
{
    shape[0] = parameter->rank == 1 ? parameter->columns : parameter->rows;
    shape[1] = parameter->columns;
}

/* Finds "model.<name>" and checks shape and values. */
static kt_status find_checked(const char *file, const kti_tensors *raw, const char *name, int rank,
                              const int64_t *shape, const kti_tensor **found, kt_error *error)
{
    char key[sizeof key_prefix + sizeof((kti_parameter *)0)->name];
    snprintf(key, sizeof key, "%s%s", key_prefix, name);
    *found = kti_tensors_find(raw, key);
    if (!*found)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "has no key `%s`", key);
    bool same = (*found)->rank == rank;
    for (int d = 0; same && d < rank; d++)
        same = (*found)->shape[d] == shape[d];
    if (!same)
        return bad_shape(file, *found, rank, shape, error);
    /* A float64 beyond float32's range would become infinite. */
    for (size_t i = 0; i < (*found)->elements; i++)
        if (!isfinite((float)kti_tensor_value(*found, i)))
            return kti_fail_file(error, KT_NON_FINITE, file, "element %zu of `%s` is not a finite float32", i,
                                 key);
    return KT_OK;
}

static kt_status check_centres(const char *file, const kti_tensors *raw, kt_error *error)
{
    const int64_t shape[1] = {KTI_GAUSSIANS};
    const kti_tensor *centres = NULL;
    kt_status status = find_checked(file, raw, centres_name, 1, shape, &centres, error);
    for (size_t k = 0; k < KTI_GAUSSIANS && status == KT_OK; k++) {
        double expected = 5.0 * (double)k / (KTI_GAUSSIANS - 1), found = kti_tensor_value(centres, k);
        /* One unit in the last place of a float32 below 8: linspace is rounded differently on some machines.
         */
        if (!(fabs(found - expected) <= 4.8e-7))
            status = kti_fail_file(error, KT_BAD_FORMAT, file,
                                   "Gaussian centre %zu is %.9g; %.9g is expected", k, found, expected);
    }
    return status;
}

static bool is_imported(const kti_parameter *parameter)
{
    return parameter->part != KTI_PART_HEAD;
}

static kt_status refuse_unknown(const char *file, const kti_tensors *raw, kt_error *error)
{
    int size = 0;
    const kti_parameter *table = kti_spec(&size);
    for (size_t i = 0; i < raw->size; i++) {
        const char *key = raw->list[i].name;
        const char *name = key + sizeof key_prefix - 1;
        bool known = strncmp(key, key_prefix, sizeof key_prefix - 1) == 0;
        if (known && strcmp(name, centres_name) != 0) {
            int index = kti_spec_find(name);
            known = index >= 0 && is_imported(&table[index]);
        }
        if (!known)
            return kti_fail_file(error, KT_BAD_FORMAT, file, "key `%s` is no parameter of this model", key);
    }
    return KT_OK;
}

static kt_status convert(const char *file, const kti_tensors *raw, kti_tensors *tensors, kt_error *error)
{
    int size = 0;
    const kti_parameter *table = kti_spec(&size);
    kt_status status = refuse_unknown(file, raw, error);
    if (status == KT_OK)
        status = check_centres(file, raw, error);
    for (int p = 0; p < size && status == KT_OK; p++) {
        int64_t shape[2];
        const kti_tensor *from = NULL;
        kti_tensor *to = NULL;
        if (!is_imported(&table[p]))
            continue;
        file_shape(&table[p], shape);
        status = find_checked(file, raw, table[p].name, table[p].rank, shape, &from, error);
        if (status == KT_OK)
            status = kti_tensors_add(tensors, table[p].name, KTI_F32, table[p].rank, shape, &to, error);
        for (size_t i = 0; status == KT_OK && i < from->elements; i++)
            ((float *)to->data)[i] = (float)kti_tensor_value(from, i);
    }
    return status;
}

/* "matgl megnet-mp-2018.6.1-eform/state.pt, 106 keys": the last folder's name tells matgl's models apart. */
static kt_status set_provenance(const char *file, size_t keys, kti_tensors *tensors, kt_error *error)
{
    char text[256];
    const char *begin = file + strlen(file);
    for (int slashes = 0; begin > file; begin--) {
        slashes += begin[-1] == '/';
        if (slashes == 2)
            break;
    }
    snprintf(text, sizeof text, "matgl %.200s, %zu keys", begin, keys);
    /* Paths are bytes, metadata are UTF-8. */
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    return kti_tensors_set_metadata(tensors, "provenance", text, error);
}

/* The paths of state.pt and of model.json, new strings. */
static kt_status find_files(const char *path, char **state, char **description, kt_error *error)
{
    char *folder = NULL;
    if (kti_is_folder(path)) {
        folder = kti_duplicate_text(path);
        *state = kti_path_join(path, "state.pt");
    } else {
        const char *slash = strrchr(path, '/');
        folder = kti_duplicate_text(slash ? path : ".");
        if (folder && slash)
            folder[slash == path ? 1 : slash - path] = '\0';
        *state = kti_duplicate_text(path);
    }
    *description = folder ? kti_path_join(folder, "model.json") : NULL;
    free(folder);
    return *state && *description ? KT_OK : kti_fail_memory(error, "a file name");
}

kt_status kti_matgl_import(const char *path, kti_tensors *tensors, kt_error *error)
{
    kti_tensors raw = {0};
    char *state = NULL, *description = NULL;
    double mean = 0, std = 0;
    *tensors = (kti_tensors){0};
    kt_status status = find_files(path, &state, &description, error);
    if (status == KT_OK)
        status = kti_torch_read(state, &raw, error);
    if (status == KT_OK)
        status = check_description(description, &mean, &std, error);
    if (status == KT_OK)
        status = convert(state, &raw, tensors, error);
    if (status == KT_OK)
        status = kti_architecture_describe(tensors, false, error);
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "eform_mean", mean, error);
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "eform_std", std, error);
    if (status == KT_OK)
        status = set_provenance(state, raw.size, tensors, error);
    if (status != KT_OK)
        kti_tensors_destroy(tensors);
    kti_tensors_destroy(&raw);
    free(state);
    free(description);
    return status;
}
