#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zip.h>

#include "model/architecture.h"
#include "model/matgl.h"
#include "model/pickle.h"
#include "model/safetensors.h"
#include "model/spec.h"
#include "model/torch_archive.h"

enum { ENTRIES = 200 };

static const char *weights_file(const char *name)
{
    return test_path("weights/megnet-mp-2018.6.1-eform", name);
}

/* A zip's content in memory, to be changed and written again. */
typedef struct parts {
    int size;
    struct {
        char name[64];
        char *data;
        size_t size;
    } list[ENTRIES];
} parts;

static void parts_read(parts *of, const char *path)
{
    int code = 0;
    zip_t *zip = zip_open(path, ZIP_RDONLY, &code);
    assert_non_null(zip);
    of->size = (int)zip_get_num_entries(zip, 0);
    assert_in_range(of->size, 1, ENTRIES);
    for (int i = 0; i < of->size; i++) {
        zip_stat_t about;
        assert_int_equal(zip_stat_index(zip, (zip_uint64_t)i, 0, &about), 0);
        zip_file_t *file = zip_fopen_index(zip, (zip_uint64_t)i, 0);
        assert_non_null(file);
        snprintf(of->list[i].name, sizeof of->list[i].name, "%s", about.name);
        of->list[i].size = about.size;
        of->list[i].data = malloc(about.size + 1);
        assert_non_null(of->list[i].data);
        assert_int_equal(zip_fread(file, of->list[i].data, about.size), about.size);
        zip_fclose(file);
    }
    zip_discard(zip);
}

static void parts_free(parts *of)
{
    for (int i = 0; i < of->size; i++)
        free(of->list[i].data);
    of->size = 0;
}

static void parts_write(const parts *of, const char *path, int method)
{
    int code = 0;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(zip);
    for (int i = 0; i < of->size; i++) {
        zip_source_t *source = zip_source_buffer(zip, of->list[i].data, of->list[i].size, 0);
        zip_int64_t index = zip_file_add(zip, of->list[i].name, source, ZIP_FL_ENC_UTF_8);
        assert_true(index >= 0);
        assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, method, 1), 0);
    }
    if (zip_close(zip) != 0)
        fail_msg("%s: %s", path, zip_strerror(zip));
}

static int parts_find(const parts *of, const char *name)
{
    for (int i = 0; i < of->size; i++)
        if (strcmp(of->list[i].name, name) == 0)
            return i;
    fail_msg("no entry %s", name);
    return -1;
}

/* Where `text` stands in the pickle entry. */
static char *pickle_at(const parts *of, const char *text, size_t length)
{
    int i = parts_find(of, "state/data.pkl");
    for (size_t at = 0; at + length <= of->list[i].size; at++)
        if (memcmp(of->list[i].data + at, text, length) == 0)
            return of->list[i].data + at;
    fail_msg("the pickle holds no `%s`", text);
    return NULL;
}

static void copy_file(const char *from, const char *to)
{
    size_t size = 0;
    char *data = read_bytes(from, &size);
    write_bytes(to, data, size);
    free(data);
}

/* The scratch folder with the given archive and the real model.json. */
static void lay_out(const parts *of)
{
    parts_write(of, folder_path(&scratch, "state.pt"), ZIP_CM_STORE);
    copy_file(weights_file("model.json"), folder_path(&scratch, "model.json"));
}

static void expect_refused(const char *what, kt_status wanted, const char *part)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    kt_status status = kti_matgl_import(scratch.path, &tensors, &error);
    assert_null(tensors.list);
    assert_non_null(strstr(error.file, scratch.path));
    expect_error(what, status, &error, wanted, part, ANY_BYTE);
}

static void the_import_equals_the_reference(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors imported = {0}, reference = {0};
    size_t compared = 0;
    if (kti_matgl_import(megnet_weights(), &imported, &error) != KT_OK)
        fail_msg("%s: %s", error.file, error.message);
    assert_int_equal(kti_safetensors_read(golden_path("transfer_init.safetensors"), &reference, &error),
                     KT_OK);
    for (size_t t = 0; t < reference.size; t++) {
        const kti_tensor *wanted = &reference.list[t];
        if (strncmp(wanted->name, "pretrained.", 11) != 0 || strstr(wanted->name, ".rbf."))
            continue;
        const kti_tensor *found = kti_tensors_find(&imported, wanted->name + 11);
        if (!found)
            fail_msg("%s is not imported", wanted->name);
        assert_int_equal(found->dtype, KTI_F32);
        assert_int_equal(found->rank, wanted->rank);
        assert_memory_equal(found->shape, wanted->shape, sizeof found->shape);
        /* The reference holds the float32 parameters widened: every bit must agree. */
        for (size_t i = 0; i < found->elements; i++)
            if (kti_tensor_value(found, i) != kti_tensor_value(wanted, i))
                fail_msg("%s[%zu] is %.17g, the reference has %.17g", found->name, i,
                         kti_tensor_value(found, i), kti_tensor_value(wanted, i));
        compared += found->elements;
    }
    assert_int_equal(compared, KTI_BODY_PARAMETERS);
    kti_tensors_destroy(&imported);
    kti_tensors_destroy(&reference);
}

static void the_import_is_in_table_order_and_described(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0}, back = {0};
    double mean = 0, std = 0;
    int size = 0;
    const kti_parameter *table = kti_spec(&size);
    assert_int_equal(kti_matgl_import(weights_file("state.pt"), &tensors, &error), KT_OK);
    assert_int_equal(tensors.size, 105);
    for (size_t i = 0; i < tensors.size; i++)
        assert_string_equal(tensors.list[i].name, table[i].name);
    assert_int_equal(kti_architecture_check(&tensors, "imported", &error), KT_OK);
    assert_int_equal(kti_metadata_number(&tensors, "imported", "eform_mean", &mean, &error), KT_OK);
    assert_int_equal(kti_metadata_number(&tensors, "imported", "eform_std", &std, &error), KT_OK);
    assert_true(mean == -1.65459073);
    assert_true(std == 1.07266128);
    assert_string_equal(kti_tensors_metadata(&tensors, "provenance"),
                        "matgl megnet-mp-2018.6.1-eform/state.pt, 106 keys");
    const char *path = folder_path(&scratch, "imported.safetensors");
    assert_int_equal(kti_safetensors_write(path, &tensors, &error), KT_OK);
    assert_int_equal(kti_safetensors_read(path, &back, &error), KT_OK);
    assert_int_equal(back.size, tensors.size);
    for (size_t i = 0; i < back.size; i++)
        assert_memory_equal(back.list[i].data, tensors.list[i].data, 4 * back.list[i].elements);
    kti_tensors_destroy(&tensors);
    kti_tensors_destroy(&back);
}

static void a_compressed_archive_is_read(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    parts archive = {0};
    parts_read(&archive, weights_file("state.pt"));
    copy_file(weights_file("model.json"), folder_path(&scratch, "model.json"));
    parts_write(&archive, folder_path(&scratch, "state.pt"), ZIP_CM_DEFLATE);
    assert_int_equal(kti_matgl_import(scratch.path, &tensors, &error), KT_OK);
    assert_int_equal(tensors.size, 105);
    kti_tensors_destroy(&tensors);
    parts_free(&archive);
}

static void other_state_dicts_are_refused(void **state)
{
    (void)state;
    static const char eform[] = "model.output_proj.layers.4.bias",
                      last[] = "X\x1f\0\0\0model.output_proj.layers.4.bias";
    parts archive = {0};
    size_t size = 0;
    const float not_a_number = NAN, moved = 2.0f;

    parts_read(&archive, weights_file("state.pt"));
    pickle_at(&archive, eform, sizeof eform - 1)[sizeof eform - 2] = 'z';
    lay_out(&archive);
    expect_refused("unknown", KT_BAD_FORMAT, "key `model.output_proj.layers.4.biaz` is no parameter");
    parts_free(&archive);

    parts_read(&archive, weights_file("state.pt"));
    memcpy(pickle_at(&archive, eform, sizeof eform - 1), "magic", 5);
    lay_out(&archive);
    expect_refused("prefix", KT_BAD_FORMAT, "key `magic.output_proj.layers.4.bias` is no parameter");
    parts_free(&archive);

    /* The item before the last one is cut out of the pickle. */
    parts_read(&archive, weights_file("state.pt"));
    static const char second[] = "X!\0\0\0model.output_proj.layers.4.weight";
    int pickle = parts_find(&archive, "state/data.pkl");
    char *cut = pickle_at(&archive, second, sizeof second - 1),
         *rest = pickle_at(&archive, last, sizeof last - 1);
    size = archive.list[pickle].size - (size_t)(rest - archive.list[pickle].data);
    memmove(cut, rest, size);
    archive.list[pickle].size -= (size_t)(rest - cut);
    lay_out(&archive);
    expect_refused("missing", KT_BAD_FORMAT, "has no key `model.output_proj.layers.4.weight`");
    parts_free(&archive);

    parts_read(&archive, weights_file("state.pt"));
    memcpy(pickle_at(&archive, "K\x59K\x10\x86", 5), "K\x10K\x59\x86", 5);
    lay_out(&archive);
    expect_refused("shape", KT_BAD_FORMAT, "has shape [16, 89]; [89, 16] is expected");
    parts_free(&archive);

    parts_read(&archive, weights_file("state.pt"));
    memcpy(archive.list[parts_find(&archive, "state/data/1")].data + 8, &not_a_number, 4);
    lay_out(&archive);
    expect_refused("nan", KT_NON_FINITE, "element 2 of `model.embedding.layer_node_embedding.weight`");
    parts_free(&archive);

    parts_read(&archive, weights_file("state.pt"));
    memcpy(archive.list[parts_find(&archive, "state/data/0")].data + 4, &moved, 4);
    lay_out(&archive);
    expect_refused("centre", KT_BAD_FORMAT, "Gaussian centre 1 is 2; 0.0505050505 is expected");
    memcpy(archive.list[parts_find(&archive, "state/data/0")].data + 4, &not_a_number, 4);
    lay_out(&archive);
    expect_refused("centre", KT_NON_FINITE, "element 1 of `model.bond_expansion.rbf.centers`");
    parts_free(&archive);
}

static void broken_archives_are_refused(void **state)
{
    (void)state;
    parts archive = {0};

    parts_read(&archive, weights_file("state.pt"));
    strcpy(archive.list[parts_find(&archive, "state/data/17")].name, "state/data/1700");
    lay_out(&archive);
    expect_refused("missing storage", KT_BAD_FORMAT, "the entry is missing");
    strcpy(archive.list[parts_find(&archive, "state/data/1700")].name, "state/data/17");
    archive.list[parts_find(&archive, "state/data/17")].size -= 4;
    lay_out(&archive);
    expect_refused("short storage", KT_BAD_FORMAT, "the storage has 252 bytes; the pickle says 256");
    archive.list[parts_find(&archive, "state/data/17")].size += 4;
    strcpy(archive.list[parts_find(&archive, "state/version")].name, "state/byteorder");
    lay_out(&archive);
    expect_refused("byte order", KT_BAD_FORMAT, "byte order must be little");
    strcpy(archive.list[parts_find(&archive, "state/byteorder")].name, "other/data.pkl");
    lay_out(&archive);
    expect_refused("two", KT_BAD_FORMAT, "two entries `data.pkl`");
    strcpy(archive.list[parts_find(&archive, "state/data.pkl")].name, "state/other");
    strcpy(archive.list[parts_find(&archive, "other/data.pkl")].name, "data.pkl");
    lay_out(&archive);
    expect_refused("none", KT_BAD_FORMAT, "no entry `data.pkl`");
    parts_free(&archive);

    write_bytes(folder_path(&scratch, "state.pt"), "not a zip at all", 16);
    expect_refused("zip", KT_BAD_FORMAT, "cannot be opened as a zip");
    write_bytes(folder_path(&scratch, "state.pt"), "", 0);
    expect_refused("empty", KT_BAD_FORMAT,
                   "has no entry `data.pkl`"); /* libzip takes it for a zip of nothing */
    unlink(folder_path(&scratch, "state.pt"));
    expect_refused("no file", KT_IO, "cannot be opened");
}

/* A small file that unpacks to 257 MB, and one that unpacks to more than it declares. */
static void zip_bombs_are_refused(void **state)
{
    (void)state;
    enum { HUGE = 257000000, SMALL = 100000 };
    parts archive = {.size = 2};
    size_t size = 0, patched = 0;
    strcpy(archive.list[0].name, "state/data.pkl");
    strcpy(archive.list[1].name, "state/data/0");
    archive.list[0].data = calloc(SMALL, 1);
    archive.list[0].size = SMALL;
    archive.list[1].data = calloc(HUGE, 1);
    archive.list[1].size = HUGE;
    assert_non_null(archive.list[1].data);
    char path[512];
    snprintf(path, sizeof path, "%s", folder_path(&scratch, "state.pt"));
    parts_write(&archive, path, ZIP_CM_DEFLATE);
    free(read_bytes(path, &size));
    assert_true(size < 2000000);
    expect_refused("bomb", KT_BAD_FORMAT, "unpacks to more than");

    archive.size = 1;
    parts_write(&archive, path, ZIP_CM_DEFLATE);
    char *content = read_bytes(path, &size);
    const uint32_t declared = SMALL, lie = 16;
    for (size_t at = 0; at + 4 <= size; at++) {
        if (memcmp(content + at, &declared, 4) == 0) {
            memcpy(content + at, &lie, 4);
            patched++;
        }
    }
    assert_true(patched > 0);
    write_bytes(path, content, size);
    free(content);
    expect_refused("lie", KT_BAD_FORMAT, "the entry is damaged");

    /* A pickle larger than any state dict's. */
    archive.list[0].data = realloc(archive.list[0].data, KTI_PICKLE_LIMIT + 1);
    assert_non_null(archive.list[0].data);
    memset(archive.list[0].data, 0, KTI_PICKLE_LIMIT + 1);
    archive.list[0].size = KTI_PICKLE_LIMIT + 1;
    parts_write(&archive, path, ZIP_CM_DEFLATE);
    expect_refused("pickle", KT_BAD_FORMAT, "at most 4000000 are accepted");
    archive.size = 2;
    parts_free(&archive);
}

/* model.json with one text replaced. */
static void other_descriptions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *part;
    } rows[] = {
        {"\"TransformedTargetModel\"", "\"M3GNet\"", "`@class` is `M3GNet`"},
        {"\"MEGNet\"", "\"CHGNet\"", "`@class` is `CHGNet`; `MEGNet` is expected"},
        {"\"@model_version\": 1", "\"@model_version\": 2", "`@model_version` must be an integer from 1 to 1"},
        {"\"nblocks\": 3", "\"nblocks\": 4", "`nblocks` is 4, but this model has 3"},
        {"\"nblocks\": 3,", "", "`nblocks` is missing, but this model has 3"},
        {"\"nblocks\": 3,", "\"nblocks\": 3, \"extra\": 1,", "`extra` is an argument that"},
        {"\"dim_node_embedding\": 16", "\"dim_node_embedding\": \"16\"", "`dim_node_embedding` is \"16\""},
        {"\"dim_state_embedding\": 2", "\"dim_state_embedding\": 3", "`dim_state_embedding` is 3"},
        {"\"dim_edge_embedding\": 100", "\"dim_edge_embedding\": 80", "`dim_edge_embedding` is 80"},
        {"32,\n                    16", "32,\n                    17",
         "`hidden_layer_sizes_output` is [32, 17]"},
        {"\"niters_set2set\": 2", "\"niters_set2set\": 3", "`niters_set2set` is 3"},
        {"\"nlayers_set2set\": 1", "\"nlayers_set2set\": 2", "`nlayers_set2set` is 2"},
        {"softplus2", "swish", "`activation_type` is \"swish\""},
        {"\"is_classification\": false", "\"is_classification\": true", "`is_classification` is true"},
        {"\"include_state\": true", "\"include_state\": false", "`include_state` is false"},
        {"\"cutoff\": 4.0", "\"cutoff\": 5.0", "`cutoff` is 5.0, but this model has 4.0"},
        {"\"gauss_width\": 0.5", "\"gauss_width\": 0.4", "`gauss_width` is 0.4"},
        {"\"element_types\": null", "\"element_types\": [\"H\"]", "`element_types` is [\"H\"]"},
        {"\"dropout\": null", "\"dropout\": 0.1", "`dropout` is 0.1"},
        {"\"kwargs\"", "\"arguments\"", "`kwargs` must be an object"},
        {"\"init_args\"", "\"arguments\"", "`init_args` must be an object"},
        {"\"target_transformer\"", "\"transformer\"", "`transformer` is not a key"},
        {"\"Normalizer: Mean=-1.65459073, Std: 1.07266128\"", "null",
         "`target_transformer` must be a string"},
        {"Normalizer: Mean", "LogTransformer", "`target_transformer` must be of the form"},
        {"Mean=-1.65459073", "Mean=nan", "`target_transformer` must be of the form"},
        {"Mean=-1.65459073", "Mean=", "`target_transformer` must be of the form"},
        {"Std: 1.07266128", "Std: 0.0", "`target_transformer` must be of the form"},
        {"Std: 1.07266128", "Std: -1", "`target_transformer` must be of the form"},
        {"Std: 1.07266128", "Std: 1.07266128 eV", "`target_transformer` must be of the form"},
        {"\"metadata\": null,", "\"metadata\": null", "not valid JSON"},
    };
    size_t size = 0;
    char *original = read_bytes(weights_file("model.json"), &size);
    copy_file(weights_file("state.pt"), folder_path(&scratch, "state.pt"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *at = strstr(original, rows[i].from), *changed = malloc(size + 100);
        assert_non_null(at);
        assert_non_null(changed);
        int length = snprintf(changed, size + 100, "%.*s%s%s", (int)(at - original), original, rows[i].to,
                              at + strlen(rows[i].from));
        write_bytes(folder_path(&scratch, "model.json"), changed, (size_t)length);
        expect_refused(rows[i].to, KT_BAD_FORMAT, rows[i].part);
        free(changed);
    }
    unlink(folder_path(&scratch, "model.json"));
    expect_refused("none", KT_IO, "cannot be opened");

    /* An integer cutoff and another normaliser are no other network. */
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    char *at = strstr(original, "Mean=-1.65459073");
    memcpy(at, "Mean=-2.50000000", 16);
    at = strstr(original, "\"cutoff\": 4.0");
    memcpy(at, "\"cutoff\": 4  ", 13);
    write_bytes(folder_path(&scratch, "model.json"), original, size);
    if (kti_matgl_import(scratch.path, &tensors, &error) != KT_OK)
        fail_msg("%s", error.message);
    assert_string_equal(kti_tensors_metadata(&tensors, "eform_mean"), "-2.5");
    kti_tensors_destroy(&tensors);
    free(original);
}

static void flipped_bits_of_the_archive_do_no_harm(void **state)
{
    (void)state;
    size_t size = 0, refused = 0;
    uint64_t random = 11;
    char *content = read_bytes(weights_file("state.pt"), &size);
    for (int trial = 0; trial < 3000; trial++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        /* Every second flip among the directory at the end, where the sizes stand. */
        size_t window = trial % 2 ? 10000 : size;
        size_t bit = 8 * (size - window) + next_random(&random) % (8 * window);
        content[bit / 8] ^= (char)(1 << bit % 8);
        kt_status status = kti_torch_parse(content, size, "damaged", &tensors, &error);
        expect_consistent(status, &error);
        refused += status != KT_OK;
        kti_tensors_destroy(&tensors);
        content[bit / 8] ^= (char)(1 << bit % 8);
    }
    /* Dates, attributes and padding may pass. */
    assert_in_range(refused, 1000, 2999);
    free(content);
}

static kt_status give_zeros(void *context, const char *key, size_t bytes, void **data, kt_error *error)
{
    (void)context;
    (void)key;
    (void)error;
    *data = calloc(bytes ? bytes : 1, 1);
    assert_non_null(*data);
    return KT_OK;
}

/* Checksums guard the pickle in its zip; here they don't. */
static void flipped_bits_and_cuts_of_the_pickle_do_no_harm(void **state)
{
    (void)state;
    parts archive = {0};
    size_t refused = 0;
    uint64_t random = 12;
    kti_storage_source zeros = {give_zeros, NULL};
    parts_read(&archive, weights_file("state.pt"));
    int entry = parts_find(&archive, "state/data.pkl");
    char *pickle = archive.list[entry].data;
    size_t size = archive.list[entry].size;
    for (int trial = 0; trial < 3000; trial++) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        /* The first half names tensors, the second the versions of modules. */
        size_t bit = next_random(&random) % (8 * (trial % 4 ? size / 2 : size));
        pickle[bit / 8] ^= (char)(1 << bit % 8);
        kt_status status = kti_pickle_parse(pickle, size, "damaged", &zeros, &tensors, &error);
        expect_consistent(status, &error);
        refused += status != KT_OK;
        kti_tensors_destroy(&tensors);
        pickle[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_in_range(refused, 500, 2999);
    for (size_t cut = 0; cut < size; cut += 7) {
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        char *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, pickle, cut);
        assert_int_equal(kti_pickle_parse(copy, cut, "cut", &zeros, &tensors, &error), KT_BAD_FORMAT);
        free(copy);
    }
    parts_free(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_import_equals_the_reference),
        cmocka_unit_test(the_import_is_in_table_order_and_described),
        cmocka_unit_test(a_compressed_archive_is_read),
        cmocka_unit_test(other_state_dicts_are_refused),
        cmocka_unit_test(broken_archives_are_refused),
        cmocka_unit_test(zip_bombs_are_refused),
        cmocka_unit_test(other_descriptions_are_refused),
        cmocka_unit_test(flipped_bits_of_the_archive_do_no_harm),
        cmocka_unit_test(flipped_bits_and_cuts_of_the_pickle_do_no_harm),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
