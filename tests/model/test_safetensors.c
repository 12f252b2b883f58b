#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

/* Content of a file: length, header text, data; every data byte zero. free() it. */
static char *compose(const char *header, size_t data_size, size_t *size)
{
    uint64_t length = strlen(header);
    *size = 8 + length + data_size;
    char *content = calloc(*size, 1);
    assert_non_null(content);
    memcpy(content, &length, 8);
    memcpy(content + 8, header, length);
    return content;
}

static void fill(kti_tensors *tensors)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensor *added = NULL;
    const int64_t matrix[] = {2, 3}, four[] = {1, 2, 1, 2}, none[] = {0, 5}, odd[] = {3};
    *tensors = (kti_tensors){0};
    assert_int_equal(kti_tensors_add(tensors, "z last by name", KTI_F64, 2, matrix, &added, &error), KT_OK);
    for (int i = 0; i < 6; i++)
        ((double *)added->data)[i] = 1.0 / (i + 1);
    ((double *)added->data)[5] = -0.0;
    assert_int_equal(kti_tensors_add(tensors, "scalar", KTI_F32, 0, NULL, &added, &error), KT_OK);
    ((float *)added->data)[0] = 0.1f;
    assert_int_equal(kti_tensors_add(tensors, "empty", KTI_F32, 2, none, &added, &error), KT_OK);
    assert_int_equal(kti_tensors_add(tensors, "half", KTI_F16, 1, odd, &added, &error), KT_OK);
    ((uint16_t *)added->data)[2] = 0x3c00;
    assert_int_equal(kti_tensors_add(tensors, "ключ \"κ\"\\\n", KTI_I32, 4, four, &added, &error), KT_OK);
    ((int32_t *)added->data)[3] = INT32_MIN;
    assert_int_equal(kti_tensors_add(tensors, "", KTI_I64, 1, odd, &added, &error), KT_OK);
    ((int64_t *)added->data)[1] = INT64_MAX;
    assert_int_equal(kti_tensors_set_metadata(tensors, "units", "W/(m K)", &error), KT_OK);
    assert_int_equal(kti_tensors_set_metadata(tensors, "Å \"q\" \\ \t", "日本 \"quoted\" \\ \n é", &error),
                     KT_OK);
    assert_int_equal(kti_tensors_set_metadata(tensors, "empty", "", &error), KT_OK);
}

static void expect_same(const kti_tensors *a, const kti_tensors *b)
{
    assert_int_equal(a->size, b->size);
    for (size_t i = 0; i < a->size; i++) {
        const kti_tensor *x = &a->list[i], *y = &b->list[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->dtype, y->dtype);
        assert_int_equal(x->rank, y->rank);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        assert_int_equal(x->elements, y->elements);
        if (x->elements > 0)
            assert_memory_equal(x->data, y->data, x->elements * kti_dtype_size(x->dtype));
    }
    assert_int_equal(a->metadata_size, b->metadata_size);
    for (size_t i = 0; i < a->metadata_size; i++) {
        assert_string_equal(a->metadata[i].key, b->metadata[i].key);
        assert_string_equal(a->metadata[i].value, b->metadata[i].value);
    }
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0}, back = {0};
    const char *path = folder_path(&scratch, "round.safetensors");
    size_t size = 0, again_size = 0;
    uint64_t header = 0;
    fill(&tensors);
    assert_int_equal(kti_safetensors_write(path, &tensors, &error), KT_OK);
    assert_int_equal(kti_safetensors_read(path, &back, &error), KT_OK);
    expect_same(&tensors, &back);
    char *content = read_bytes(path, &size);
    memcpy(&header, content, 8);
    assert_int_equal(header % 8, 0);
    assert_int_equal(kti_safetensors_write(path, &back, &error), KT_OK);
    char *again = read_bytes(path, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(content, again, size);
    free(content);
    free(again);
    kti_tensors_destroy(&tensors);
    kti_tensors_destroy(&back);

    assert_int_equal(kti_safetensors_write(path, &tensors, &error), KT_OK); /* no tensor, no metadata */
    assert_int_equal(kti_safetensors_read(path, &back, &error), KT_OK);
    assert_int_equal(back.size, 0);
}

static void what_no_reader_takes_is_not_written(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    kti_tensor *added = NULL;
    const int64_t shape[] = {4};
    char path[512];
    snprintf(path, sizeof path, "%s", folder_path(&scratch, "refused.safetensors"));
    assert_int_equal(kti_tensors_add(&tensors, "w", KTI_F32, 1, shape, &added, &error), KT_OK);
    ((float *)added->data)[2] = NAN;
    expect_error("nan", kti_safetensors_write(path, &tensors, &error), &error, KT_NON_FINITE,
                 "element 2 of tensor `w`", ANY_BYTE);
    ((float *)added->data)[2] = 0;
    assert_int_equal(kti_tensors_set_metadata(&tensors, "bad", "\xff", &error), KT_OK);
    expect_error("utf-8", kti_safetensors_write(path, &tensors, &error), &error, KT_BAD_ARGUMENT,
                 "metadata `bad`", ANY_BYTE);
    assert_int_equal(kti_tensors_set_metadata(&tensors, "bad", NULL, &error), KT_OK);
    assert_int_equal(kti_tensors_add(&tensors, "\xc0\x80", KTI_F32, 1, shape, NULL, &error), KT_OK);
    expect_error("name", kti_safetensors_write(path, &tensors, &error), &error, KT_BAD_ARGUMENT, "tensor 1",
                 ANY_BYTE);
    kti_tensors_destroy(&tensors);
    FILE *file = fopen(path, "rb");
    assert_null(file);
    expect_error("folder", kti_safetensors_write("/no/such/folder/w", &tensors, &error), &error, KT_IO,
                 "cannot", ANY_BYTE);
}

#define ONE(fields) "{\"a\":{" fields "}}"

static void every_broken_rule_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *part;
        int64_t byte;
    } rows[] = {
        {"", 8, "must begin with `{`", 8},
        {" {}", 0, "must begin with `{`", 8},
        {"[]", 0, "must begin with `{`", 8},
        {"{\"a\":", 0, "not valid JSON", 13},
        {"{} {}", 0, "not valid JSON", 12},
        {"{}", 4, "4 bytes at the end belong to no tensor", 10},
        {"{\"a\":1}", 0, "`a`: must be an object", 9},
        {"{\"a\":{}}", 0, "`a`: must be an object of", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1]"), 4, "must be an object of", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1"), 4, "must be an object of", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]"), 4, "`data_offsets` must be", 9},
        {ONE("\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]"), 2, "`dtype` must be one of", 9},
        {ONE("\"dtype\":3,\"shape\":[1],\"data_offsets\":[0,2]"), 2, "`dtype` must be one of", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]"), 4, "`shape` must be an array", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]"), 4, "at most 4 sizes", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), 4, "an integer >= 0", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]"), 4, "an integer >= 0", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1152921504606846976],\"data_offsets\":[0,4]"), 4,
         "larger than any", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]"), 4,
         "larger than any", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]"), 4, "too big", 57},
        {ONE("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"), 4, "takes 8 bytes, but", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1073741824],\"data_offsets\":[0,4]"), 4, "takes 4294967296 bytes",
         9},
        {ONE("\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "F64 of shape [1] takes 8 bytes",
         9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), 4, "0 <= begin <= end", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"), 4, "0 <= begin <= end", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]"), 4, "`data_offsets` must be two", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{\"a\":0}"), 4, "`data_offsets` must be two",
         9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.0,4.0]"), 4, "`data_offsets` must be two",
         9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 3, "end beyond the file", 9},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), 8, "4 bytes before tensor `a`",
         8 + 54},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 5, "1 bytes at the end", 8 + 54 + 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
         6, "`b` overlap those of `a`", 8 + 107 + 2},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         4, "overlap", 8 + 107},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[6,10]}}",
         10, "2 bytes before tensor `b`", 8 + 108 + 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[2,2]}}",
         4, "overlap", 8 + 107 + 2},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8, "duplicate", ANY_BYTE},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]"), 4, "duplicate",
         ANY_BYTE},
        {"{\"__metadata__\":[]}", 0, "`__metadata__` must be an object", 9},
        {"{\"__metadata__\":{\"k\":1}}", 0, "metadata `k` must be a string", 25},
        {"{\"__metadata__\":{\"k\":null}}", 0, "metadata `k` must be a string", 25},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "duplicate", ANY_BYTE},
        {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "not valid JSON",
         ANY_BYTE},
        {"{\"\xff\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
         "unable to decode byte 0xff", ANY_BYTE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        size_t size = 0;
        char *content = compose(rows[i].header, rows[i].data, &size);
        kt_status status = kti_safetensors_parse(content, size, "hostile", &tensors, &error);
        assert_string_equal(error.file, "hostile");
        expect_error(rows[i].header, status, &error, KT_BAD_FORMAT, rows[i].part, rows[i].byte);
        assert_int_equal(tensors.size + tensors.metadata_size, 0);
        assert_null(tensors.list);
        free(content);
    }
}

static void unusual_but_valid_files_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data, tensors;
    } rows[] = {
        {"{}", 0, 0},
        {"{}      ", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        {ONE("\"data_offsets\":[0,4],\"shape\":[],\"dtype\":\"F32\""), 4, 1},
        {ONE("\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]"), 0, 1},
        /* the header's order is not the data's, and empty tensors lie between */
        {"{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"c\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]},"
         "\"d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]}}",
         8, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        size_t size = 0;
        char *content = compose(rows[i].header, rows[i].data, &size);
        if (kti_safetensors_parse(content, size, "valid", &tensors, &error) != KT_OK)
            fail_msg("%s: %s", rows[i].header, error.message);
        assert_int_equal(tensors.size, rows[i].tensors);
        kti_tensors_destroy(&tensors);
        free(content);
    }
}

static void lengths_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *part;
        int64_t byte;
    } rows[] = {{3, "ends within its header of 3 bytes", 10},
                {UINT64_MAX, "more than the 100000000", 0},
                {UINT64_MAX - 7, "more than the 100000000", 0},
                {100000001, "more than the 100000000", 0},
                {100000000, "ends within its header", 10}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        char content[10] = "12345678{}";
        memcpy(content, &rows[i].length, 8);
        expect_error("length", kti_safetensors_parse(content, 10, "short", &tensors, &error), &error,
                     KT_BAD_FORMAT, rows[i].part, rows[i].byte);
    }
    for (size_t size = 0; size < 8; size++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        expect_error("length", kti_safetensors_parse("\2\0\0\0\0\0\0\0", size, "short", &tensors, &error),
                     &error, KT_BAD_FORMAT, "within the header's length", (int64_t)size);
    }
}

static void non_finite_values_are_named(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[16,32]},"
                                 "\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[32,36]}}";
    const double wide[] = {NAN, INFINITY, -INFINITY};
    const int64_t first = 8 + (int64_t)sizeof header - 1;
    for (int i = 0; i < 3; i++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        size_t size = 0;
        const float narrow = (float)wide[i];
        const uint16_t half = 0x7c00;
        char *content = compose(header, 36, &size);
        memcpy(content + first + 34, &half, 2);
        expect_error("half", kti_safetensors_parse(content, size, "n", &tensors, &error), &error,
                     KT_NON_FINITE, "element 1 of tensor `h` is not finite", first + 34);
        memcpy(content + first + 28, &narrow, 4);
        expect_error("narrow", kti_safetensors_parse(content, size, "n", &tensors, &error), &error,
                     KT_NON_FINITE, "element 3 of tensor `b` is not finite", first + 28);
        memcpy(content + first + 8, &wide[i], 8);
        expect_error("wide", kti_safetensors_parse(content, size, "n", &tensors, &error), &error,
                     KT_NON_FINITE, "element 1 of tensor `a` is not finite", first + 8);
        assert_null(tensors.list);
        free(content);
    }
}

/* Headers that would take far more memory than they have text. */
static void bombs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *repeated;
        size_t times;
        const char *part;
    } rows[] = {{"{\"a\":", "[", 400000, "depth"},
                {"{\"a\":[", "{},", 600000, "more than 500000 values"},
                {"{\"a\":[", "0,", 600000, "more than 500000 values"},
                {"{\"\\\"[[\":\"{{{{\",\"a\":[", "[],", 300000, "more than 500000 values"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        size_t size = 0, step = strlen(rows[i].repeated), used = strlen(rows[i].begin);
        char *header = malloc(used + step * rows[i].times + 1);
        assert_non_null(header);
        strcpy(header, rows[i].begin);
        for (size_t t = 0; t < rows[i].times; t++, used += step)
            memcpy(header + used, rows[i].repeated, step + 1);
        char *content = compose(header, 0, &size);
        expect_error(rows[i].part, kti_safetensors_parse(content, size, "bomb", &tensors, &error), &error,
                     KT_BAD_FORMAT, rows[i].part, ANY_BYTE);
        free(header);
        free(content);
    }
    /* Too many tensors and too many metadata, each of them valid. */
    for (int metadata = 0; metadata < 2; metadata++) {
        enum { MANY = 10002, ROOM = 80 };
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        size_t size = 0, used = 0;
        char *header = malloc(MANY * ROOM + 100);
        assert_non_null(header);
        used += (size_t)sprintf(header, metadata ? "{\"__metadata__\":{" : "{");
        for (int i = 0; i < MANY; i++)
            used += (size_t)sprintf(header + used,
                                    metadata
                                        ? "%s\"%d\":\"\""
                                        : "%s\"%d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                                    i ? "," : "", i);
        strcpy(header + used, metadata ? "}}" : "}");
        char *content = compose(header, 0, &size);
        expect_error("many", kti_safetensors_parse(content, size, "bomb", &tensors, &error), &error,
                     KT_BAD_FORMAT, "more than 10000", ANY_BYTE);
        free(header);
        free(content);
    }
}

/* Parses an exact-size copy, so that a sanitizer sees a read beyond the end. */
static kt_status parse_copy(const char *content, size_t size, kt_error *error)
{
    kti_tensors tensors = {0};
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, content, size);
    kt_status status = kti_safetensors_parse(copy, size, "damaged", &tensors, error);
    expect_consistent(status, error);
    if (status != KT_OK)
        assert_null(tensors.list);
    kti_tensors_destroy(&tensors);
    free(copy);
    return status;
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t size = 0, cuts = 0;
    uint64_t header = 0;
    char *content = read_bytes(golden_path("transfer_init.safetensors"), &size);
    memcpy(&header, content, 8);
    for (size_t cut = 0; cut < size; cut += cut < 8 + header ? 64 : 2048, cuts++) {
        kt_error error = KT_ERROR_NONE;
        if (parse_copy(content, cut, &error) != KT_BAD_FORMAT)
            fail_msg("cut at byte %zu: %s", cut, error.message);
    }
    assert_true(cuts > 1000);
    free(content);
}

static void flipped_bits_do_no_harm(void **state)
{
    (void)state;
    kti_tensors tensors = {0};
    kt_error none = KT_ERROR_NONE;
    const char *path = folder_path(&scratch, "flip.safetensors");
    size_t size = 0, refused = 0;
    uint64_t random = 20260101;
    fill(&tensors);
    assert_int_equal(kti_safetensors_write(path, &tensors, &none), KT_OK);
    kti_tensors_destroy(&tensors);
    char *content = read_bytes(path, &size);
    for (int trial = 0; trial < 3000; trial++) {
        kt_error error = KT_ERROR_NONE;
        size_t bits[3];
        int count = 1 + trial % 3;
        for (int i = 0; i < count; i++) {
            bits[i] = next_random(&random) % (8 * size);
            content[bits[i] / 8] ^= (char)(1 << bits[i] % 8);
        }
        refused += parse_copy(content, size, &error) != KT_OK;
        for (int i = 0; i < count; i++)
            content[bits[i] / 8] ^= (char)(1 << bits[i] % 8);
    }
    /* Most of this file is header; a flip among the data or within a name may pass. */
    assert_in_range(refused, 1000, 2999);
    kt_error error = KT_ERROR_NONE;
    assert_int_equal(parse_copy(content, size, &error), KT_OK);
    free(content);
}

static void flipped_bits_of_the_reference_do_no_harm(void **state)
{
    (void)state;
    size_t size = 0, refused = 0;
    uint64_t random = 7, header = 0;
    char *content = read_bytes(golden_path("transfer_init.safetensors"), &size);
    memcpy(&header, content, 8);
    for (int trial = 0; trial < 300; trial++) {
        kt_error error = KT_ERROR_NONE;
        size_t bit = next_random(&random) % (trial % 2 ? 8 * size : 8 * (8 + header));
        content[bit / 8] ^= (char)(1 << bit % 8);
        refused += parse_copy(content, size, &error) != KT_OK;
        content[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_in_range(refused, 50, 299);
    free(content);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    expect_error("missing", kti_safetensors_read(folder_path(&scratch, "none"), &tensors, &error), &error,
                 KT_IO, "cannot be opened", ANY_BYTE);
    expect_error("folder", kti_safetensors_read(scratch.path, &tensors, &error), &error, KT_IO,
                 "not a regular", ANY_BYTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(what_no_reader_takes_is_not_written),
        cmocka_unit_test(every_broken_rule_is_named),
        cmocka_unit_test(unusual_but_valid_files_are_read),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(non_finite_values_are_named),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(flipped_bits_of_the_reference_do_no_harm),
        cmocka_unit_test(what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
