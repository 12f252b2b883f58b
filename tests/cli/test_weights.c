/* kappatune weights: import and inspect. */
#include "cli/program.h"

#include <jansson.h>

static void import_writes_once(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT weights import " MEGNET " --out $D/w.safetensors");
    assert_status(&r, 0);
    assert_says(&r, "body   103 tensors, 189,504 values");
    assert_string_equal(r.err, "");
    size_t size, again_size;
    char *first = read_text(in(folder, "w.safetensors"), &size);

    run(&r, folder, "$KT weights import " MEGNET " --out $D/w.safetensors");
    assert_status(&r, 1);
    assert_complains(&r, "w.safetensors: exists already; --force");
    run(&r, folder, "$KT weights import " MEGNET "/state.pt -o $D/w.safetensors --force");
    assert_status(&r, 0);
    char *again = read_text(in(folder, "w.safetensors"), &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(first, again, size);
    free(first);
    free(again);

    run(&r, folder,
        "$KT predict $D/w.safetensors datasets/examples --property eform >$D/ours && $KT predict " MEGNET
        " datasets/examples --property eform >$D/theirs && cmp $D/ours $D/theirs");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

static void a_refused_import_leaves_nothing(void **state)
{
    outcome r = {0};
    run(&r, *state, "$KT weights import $D/none.pt --out $D/w.safetensors");
    assert_status(&r, 1);
    assert_complains(&r, "none.pt: ");
    run(&r, *state, "echo text >$D/state.pt; $KT weights import $D/state.pt --out $D/w.safetensors");
    assert_status(&r, 1);
    assert_complains(&r, "state.pt");
    run(&r, *state, "$KT weights import $D/state.pt --out $D");
    assert_status(&r, 1);
    assert_complains(&r, "is a folder");
    run(&r, *state, "$KT weights import $D/other.safetensors --out $D/w.safetensors");
    assert_status(&r, 1);
    assert_complains(&r, "safetensors already");
    run(&r, *state, "ls $D");
    assert_string_equal(r.out, "state.pt\n");
    outcome_destroy(&r);
}

/* Two tensors, of which one is none of ours: 1, 2, 3, 6 in float32 and -7 in int64. */
static void write_small(const char *folder)
{
    static const char header[] =
        "{\"__metadata__\":{\"note\":\"two\\u001b[31m\"},"
        "\"head.layers.3.bias\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
        "\"step\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[16,24]}}     ";
    const float values[4] = {1, 2, 3, 6};
    const int64_t step = -7;
    const uint64_t length = sizeof header - 1;
    FILE *out = fopen(in(folder, "small.safetensors"), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(&length, 8, 1, out) + fwrite(header, 1, length, out) +
                         fwrite(values, 16, 1, out) + fwrite(&step, 8, 1, out),
                     3 + length);
    assert_int_equal(fclose(out), 0);
}

static void inspect_tells_what_is_there(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_small(folder);
    run(&r, folder, "$KT weights inspect $D/small.safetensors");
    assert_status(&r, 0);
    assert_says(&r, "[2, 2]  F32   head       4    1    6     3  1.871");
    assert_says(&r, "note  two?[31m"); /* a terminal obeys no file */
    assert_says(&r, "other    1 tensor, 1 value\n");

    run(&r, folder, "$KT weights inspect --format json $D/small.safetensors");
    assert_status(&r, 0);
    json_t *root = json_loads(r.out, JSON_REJECT_DUPLICATES, NULL);
    const json_t *tensor = json_array_get(json_object_get(root, "tensors"), 0);
    assert_string_equal(json_string_value(json_object_get(tensor, "part")), "head");
    assert_int_equal(json_array_size(json_object_get(tensor, "shape")), 2);
    assert_true(is_close(json_number_value(json_object_get(tensor, "mean")), 3, 0, 0));
    assert_true(is_close(json_number_value(json_object_get(tensor, "std")), sqrt(3.5), 1e-8, 0));
    const json_t *step = json_array_get(json_object_get(root, "tensors"), 1);
    assert_string_equal(json_string_value(json_object_get(step, "part")), "other");
    assert_true(is_close(json_number_value(json_object_get(step, "max")), -7, 0, 0));
    json_decref(root);
    outcome_destroy(&r);
}

static void inspect_names_what_is_broken(void **state)
{
    outcome r = {0};
    write_small(*state);
    run(&r, *state,
        "head -c 300 $D/small.safetensors >$D/cut; $KT weights inspect $D/small.safetensors >$D/whole && "
        "head -c -5 $D/small.safetensors >$D/cut; $KT weights inspect $D/cut");
    assert_status(&r, 1);
    assert_complains(&r, "/cut: byte ");
    assert_string_equal(r.out, "");
    run(&r, *state, "head -c 5 $D/small.safetensors >$D/cut; $KT weights inspect $D/cut");
    assert_status(&r, 1);
    assert_complains(&r, "/cut: byte ");
    run(&r, *state, "$KT weights inspect $D/none");
    assert_status(&r, 1);
    assert_complains(&r, "/none: ");
    run(&r, *state, "mkdir -p $D/run/folds; $KT weights inspect $D/run");
    assert_status(&r, 1);
    assert_complains(&r, "folds/<n>/best.safetensors");
    outcome_destroy(&r);
}

static void inspect_reads_matgl(void **state)
{
    outcome r = {0};
    run(&r, *state, "$KT weights inspect " MEGNET " && $KT weights inspect " MEGNET "/state.pt");
    assert_status(&r, 0);
    assert_says(&r, "body   103 tensors, 189,504 values");
    assert_says(&r, "eform_mean");
    run(&r, *state,
        "cp " MEGNET "/model.json $D; head -c 100000 " MEGNET "/state.pt >$D/state.pt; $KT weights inspect "
        "$D");
    assert_status(&r, 1);
    assert_complains(&r, "state.pt");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(import_writes_once, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_refused_import_leaves_nothing, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(inspect_tells_what_is_there, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(inspect_names_what_is_broken, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(inspect_reads_matgl, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
