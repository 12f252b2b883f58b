#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors data are little-endian and are copied as they are"
#endif

enum {
    LENGTH_SIZE = 8, /* the header's length stands before the header */
    MAX_HEADER = 100000000,
    MAX_ENTRIES = 10000,    /* of tensors, and of metadata */
    MAX_SEPARATORS = 500000 /* a JSON value takes up to 250 bytes of memory for 2 of text */
};

/* What a file's header says about one tensor. */
typedef struct entry {
    const char *name; /* borrowed from the JSON */
    kti_dtype dtype;
    int rank;
    int64_t shape[KTI_TENSOR_RANK];
    size_t begin, end; /* in the data part */
} entry;

typedef struct reader {
    const char *name; /* of the file */
    const char *header;
    size_t header_size;
    const char *data;
    size_t data_size;
    kt_error *error;
} reader;

/* Byte of the file where the header's key `name` stands, for messages; the header's begin if it is written in
 * another form (escapes). */
static int64_t key_byte(const reader *in, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i + length + 2 <= in->header_size; i++) {
        const char *at = in->header + i;
        if (at[0] != '"' || memcmp(at + 1, name, length) != 0 || at[length + 1] != '"')
            continue;
        size_t after = i + length + 2;
        while (after < in->header_size && strchr(" \t\r\n", in->header[after]) && in->header[after] != '\0')
            after++;
        if (after < in->header_size && in->header[after] == ':')
            return (int64_t)i + LENGTH_SIZE;
    }
    return LENGTH_SIZE;
}

static kt_status bad_entry(const reader *in, const char *name, const char *what)
{
    return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, key_byte(in, name), "tensor `%s`: %s", name,
                         what);
}

/* Refuses a header that would take far more memory parsed than it has text. */
static kt_status check_separators(const reader *in)
{
    size_t separators = 0;
    bool quoted = false;
    for (size_t i = 0; i < in->header_size; i++) {
        char c = in->header[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == ',' || c == ':' || c == '[' || c == '{'))
            separators++;
        if (separators > MAX_SEPARATORS)
            return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, (int64_t)i + LENGTH_SIZE,
                                 "the header holds more than %d values", (int)MAX_SEPARATORS);
    }
    return KT_OK;
}

static kt_status load_header(const reader *in, json_t **header)
{
    json_error_t about;
    if (in->header_size == 0 || in->header[0] != '{')
        return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, LENGTH_SIZE,
                             "the header must begin with `{`; is this a safetensors file?");
    kt_status status = check_separators(in);
    if (status != KT_OK)
        return status;
    *header = json_loadb(in->header, in->header_size, JSON_REJECT_DUPLICATES, &about);
    if (*header)
        return KT_OK;
    if (json_error_code(&about) == json_error_out_of_memory)
        return kti_fail_file(in->error, KT_OUT_OF_MEMORY, in->name, "not enough memory for the header");
    return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, LENGTH_SIZE + (int64_t)about.position,
                         "the header is not valid JSON: %s", about.text);
}

static kt_status load_metadata(const reader *in, json_t *object, kti_tensors *tensors)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, key_byte(in, "__metadata__"),
                             "`__metadata__` must be an object");
    if (json_object_size(object) > MAX_ENTRIES)
        return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, key_byte(in, "__metadata__"),
                             "`__metadata__` has more than %d keys", (int)MAX_ENTRIES);
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, key_byte(in, key),
                                 "metadata `%s` must be a string", key);
        kt_status status = kti_tensors_set_metadata(tensors, key, json_string_value(value), in->error);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

static bool parse_dtype(const char *text, kti_dtype *dtype)
{
    static const kti_dtype known[] = {KTI_F32, KTI_F64, KTI_F16, KTI_I32, KTI_I64};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(kti_dtype_name(known[i]), text) == 0) {
            *dtype = known[i];
            return true;
        }
    }
    return false;
}

static kt_status load_shape(const reader *in, const json_t *shape, entry *out, size_t *elements)
{
    if (!json_is_array(shape) || json_array_size(shape) > KTI_TENSOR_RANK)
        return bad_entry(in, out->name, "`shape` must be an array of at most 4 sizes");
    out->rank = (int)json_array_size(shape);
    for (int d = 0; d < out->rank; d++) {
        const json_t *size = json_array_get(shape, (size_t)d);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return bad_entry(in, out->name, "a size in `shape` must be an integer >= 0");
        out->shape[d] = json_integer_value(size);
    }
    if (!kti_shape_elements(out->rank, out->shape, elements))
        return bad_entry(in, out->name, "`shape` is larger than any memory");
    return KT_OK;
}

static kt_status load_entry(const reader *in, const char *name, const json_t *object, entry *out)
{
    *out = (entry){.name = name};
    if (!json_is_object(object) || json_object_size(object) != 3)
        return bad_entry(in, name, "must be an object of `dtype`, `shape` and `data_offsets`");
    const json_t *dtype = json_object_get(object, "dtype");
    const json_t *offsets = json_object_get(object, "data_offsets");
    size_t elements = 0;
    if (!json_is_string(dtype) || !parse_dtype(json_string_value(dtype), &out->dtype))
        return bad_entry(in, name, "`dtype` must be one of F16, F32, F64, I32, I64");
    kt_status status = load_shape(in, json_object_get(object, "shape"), out, &elements);
    if (status != KT_OK)
        return status;
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return bad_entry(in, name, "`data_offsets` must be two integers, 0 <= begin <= end");
    if ((uint64_t)json_integer_value(end) > in->data_size)
        return bad_entry(in, name, "its data end beyond the file");
    out->begin = (size_t)json_integer_value(begin);
    out->end = (size_t)json_integer_value(end);
    if (out->end - out->begin != elements * kti_dtype_size(out->dtype)) {
        char text[128];
        kti_shape_text(out->rank, out->shape, text, sizeof text);
        return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, key_byte(in, name),
                             "tensor `%s`: %s of shape %s takes %zu bytes, but `data_offsets` span %zu", name,
                             kti_dtype_name(out->dtype), text, elements * kti_dtype_size(out->dtype),
                             out->end - out->begin);
    }
    return KT_OK;
}

static int by_range(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

/* Every byte of the data belongs to exactly one tensor. */
static kt_status check_coverage(const reader *in, const entry *entries, size_t count)
{
    kt_status status = KT_OK;
    size_t covered = 0;
    entry *sorted = kti_allocate(count, sizeof *sorted);
    if (!sorted)
        return kti_fail_memory(in->error, "a table of tensors");
    memcpy(sorted, entries, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_range);
    int64_t first = LENGTH_SIZE + (int64_t)in->header_size;
    for (size_t i = 0; i < count && status == KT_OK; i++) {
        if (sorted[i].begin < covered)
            status = kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, first + (int64_t)sorted[i].begin,
                                   "the data of tensor `%s` overlap those of `%s`", sorted[i].name,
                                   sorted[i - 1].name);
        else if (sorted[i].begin > covered)
            status = kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, first + (int64_t)covered,
                                   "%zu bytes before tensor `%s` belong to no tensor",
                                   sorted[i].begin - covered, sorted[i].name);
        covered = sorted[i].end;
    }
    if (status == KT_OK && covered != in->data_size)
        status = kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, first + (int64_t)covered,
                               "%zu bytes at the end belong to no tensor", in->data_size - covered);
    free(sorted);
    return status;
}

static kt_status load_data(const reader *in, const entry *from, kti_tensors *tensors)
{
    kti_tensor *tensor = NULL;
    kt_status status =
        kti_tensors_add(tensors, from->name, from->dtype, from->rank, from->shape, &tensor, in->error);
    if (status != KT_OK)
        return status;
    memcpy(tensor->data, in->data + from->begin, from->end - from->begin);
    size_t bad = kti_tensor_first_non_finite(tensor);
    if (bad < tensor->elements) {
        size_t offset = from->begin + bad * kti_dtype_size(from->dtype);
        return kti_fail_byte(in->error, KT_NON_FINITE, in->name,
                             LENGTH_SIZE + (int64_t)(in->header_size + offset),
                             "element %zu of tensor `%s` is not finite", bad, from->name);
    }
    return KT_OK;
}

static kt_status load_tensors(const reader *in, json_t *header, kti_tensors *tensors)
{
    kt_status status = KT_OK;
    const char *key;
    json_t *value;
    size_t count = 0;
    if (json_object_size(header) > MAX_ENTRIES)
        return kti_fail_byte(in->error, KT_BAD_FORMAT, in->name, LENGTH_SIZE,
                             "the file has more than %d tensors", (int)MAX_ENTRIES);
    entry *entries = kti_allocate(json_object_size(header), sizeof *entries);
    if (!entries)
        return kti_fail_memory(in->error, "a table of tensors");
    json_object_foreach(header, key, value)
    {
        if (strcmp(key, "__metadata__") == 0)
            status = load_metadata(in, value, tensors);
        else
            status = load_entry(in, key, value, &entries[count++]);
        if (status != KT_OK)
            goto done;
    }
    status = check_coverage(in, entries, count);
    for (size_t i = 0; i < count && status == KT_OK; i++)
        status = load_data(in, &entries[i], tensors);
done:
    free(entries);
    return status;
}

kt_status kti_safetensors_parse(const void *data, size_t size, const char *name, kti_tensors *tensors,
                                kt_error *error)
{
    *tensors = (kti_tensors){0};
    uint64_t header_size = 0;
    if (size < LENGTH_SIZE)
        return kti_fail_byte(error, KT_BAD_FORMAT, name, (int64_t)size,
                             "the file ends within the header's length; is this a safetensors file?");
    memcpy(&header_size, data, sizeof header_size);
    if (header_size > MAX_HEADER)
        return kti_fail_byte(
            error, KT_BAD_FORMAT, name, 0,
            "a header of %llu bytes is more than the %d that are accepted; is this a safetensors "
            "file?",
            (unsigned long long)header_size, (int)MAX_HEADER);
    if (header_size > size - LENGTH_SIZE)
        return kti_fail_byte(error, KT_BAD_FORMAT, name, (int64_t)size,
                             "the file ends within its header of %llu bytes",
                             (unsigned long long)header_size);
    reader in = {.name = name, .header_size = (size_t)header_size, .error = error};
    in.header = (const char *)data + LENGTH_SIZE;
    in.data = in.header + in.header_size;
    in.data_size = size - LENGTH_SIZE - in.header_size;
    json_t *header = NULL;
    kt_status status = load_header(&in, &header);
    if (status == KT_OK)
        status = load_tensors(&in, header, tensors);
    json_decref(header);
    if (status != KT_OK)
        kti_tensors_destroy(tensors);
    return status;
}

kt_status kti_safetensors_read(const char *path, kti_tensors *tensors, kt_error *error)
{
    char *data = NULL;
    size_t size = 0;
    *tensors = (kti_tensors){0};
    kt_status status = kti_file_read(path, KTI_SAFETENSORS_LIMIT, &data, &size, error);
    if (status == KT_OK)
        status = kti_safetensors_parse(data, size, path, tensors, error);
    free(data);
    return status;
}

/* Adds text under a key; false when memory is short or one of the two is not UTF-8. */
static bool put_text(json_t *object, const char *key, const char *value)
{
    json_t *text = json_string(value);
    return text && json_object_set_new(object, key, text) == 0;
}

static kt_status describe(const char *path, const kti_tensors *tensors, json_t *header, kt_error *error)
{
    if (tensors->metadata_size > 0) {
        json_t *metadata = json_object();
        if (!metadata || json_object_set_new(header, "__metadata__", metadata) != 0)
            return kti_fail_memory(error, "a safetensors header");
        for (size_t i = 0; i < tensors->metadata_size; i++)
            if (!put_text(metadata, tensors->metadata[i].key, tensors->metadata[i].value))
                return kti_fail_file(error, KT_BAD_ARGUMENT, path, "metadata `%s` is not UTF-8 text",
                                     tensors->metadata[i].key);
    }
    size_t offset = 0;
    for (size_t i = 0; i < tensors->size; i++) {
        const kti_tensor *tensor = &tensors->list[i];
        size_t bytes = tensor->elements * kti_dtype_size(tensor->dtype);
        size_t bad = kti_tensor_first_non_finite(tensor);
        if (bad < tensor->elements)
            return kti_fail_file(error, KT_NON_FINITE, path,
                                 "not written: element %zu of tensor `%s` is not finite", bad, tensor->name);
        json_t *shape = json_array();
        for (int d = 0; shape && d < tensor->rank; d++)
            json_array_append_new(shape, json_integer(tensor->shape[d]));
        json_t *about =
            json_pack("{s:s, s:o, s:[I, I]}", "dtype", kti_dtype_name(tensor->dtype), "shape", shape,
                      "data_offsets", (json_int_t)offset, (json_int_t)offset + (json_int_t)bytes);
        if (!about)
            return kti_fail_memory(error, "a safetensors header");
        if (json_object_set_new(header, tensor->name, about) != 0)
            return kti_fail_file(error, KT_BAD_ARGUMENT, path, "the name of tensor %zu is not UTF-8 text", i);
        offset += bytes;
    }
    return KT_OK;
}

kt_status kti_safetensors_write(const char *path, const kti_tensors *tensors, kt_error *error)
{
    kt_status status = KT_OK;
    json_t *header = json_object();
    char *text = NULL, *file = NULL;
    if (!header) {
        status = kti_fail_memory(error, "a safetensors header");
        goto done;
    }
    status = describe(path, tensors, header, error);
    if (status != KT_OK)
        goto done;
    text = json_dumps(header, JSON_COMPACT);
    if (!text) {
        status = kti_fail_memory(error, "a safetensors header");
        goto done;
    }
    size_t length = strlen(text), padded = (length + 7) / 8 * 8, data_size = 0;
    for (size_t i = 0; i < tensors->size; i++)
        data_size += tensors->list[i].elements * kti_dtype_size(tensors->list[i].dtype);
    file = malloc(LENGTH_SIZE + padded + data_size);
    if (!file) {
        status = kti_fail_memory(error, "the content of a safetensors file");
        goto done;
    }
    uint64_t header_size = padded;
    memcpy(file, &header_size, sizeof header_size);
    memcpy(file + LENGTH_SIZE, text, length);
    memset(file + LENGTH_SIZE + length, ' ', padded - length);
    char *at = file + LENGTH_SIZE + padded;
    for (size_t i = 0; i < tensors->size; i++) {
        size_t bytes = tensors->list[i].elements * kti_dtype_size(tensors->list[i].dtype);
        memcpy(at, tensors->list[i].data, bytes);
        at += bytes;
    }
    status = kti_file_write(path, file, LENGTH_SIZE + padded + data_size, error);
done:
    free(file);
    free(text);
    json_decref(header);
    return status;
}
