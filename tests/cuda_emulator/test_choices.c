/* Whole runs on "cuda-auto": what was chosen is stored, and a resumed run keeps it and so has the bits of one that was never
 * stopped; the benchmark shows it. */
#include <unistd.h>

#include <jansson.h>

#include "support.h"

#include "base/file.h"
#include "base/json.h"
#include "cli/bench.h"
#include "cuda_emulator/emulator.h"
#include "device/device.h"
#include "device/threaded_kernels.h"
#include "train/runs.h"

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE],
        stopped[PATH_SIZE]; /* a run of three folds that was stopped after an epoch of each */
} fixture;

static void start_emulator(uint64_t seed)
{
    const emulator_options options = {.seed = seed};
    emulator_start(&options);
    emulator_kernels(threaded_kernels);
}

static void assert_clean(void)
{
    char text[4096];
    if (emulator_report(text, sizeof text) != 0)
        fail_msg("%s", text);
}

static int stop_at_once(void *user, const kt_train_progress *progress)
{
    (void)user;
    return progress->epochs_done >= 3;
}

static kt_train_options options_for(const fixture *f, const char *out)
{
    kt_train_options options = small_options(f->data, out);
    options.run.device = "cuda-auto";
    options.epochs = 2;
    return options;
}

static int set_up(void **state)
{
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    kt_train_options options = options_for(f, path_in(f->folder.path, "stopped", f->stopped));
    options.run.checkpoint_seconds = 0;
    options.run.progress = stop_at_once;
    start_emulator(1);
    emulator_dnn_fuses(true);
    assert_int_equal(kt_train(&options, &result, &error), KT_INTERRUPTED);
    assert_clean();
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

static void copy_file(const char *from, const char *to, const char *name)
{
    kt_error error = KT_ERROR_NONE;
    char source[PATH_SIZE], target[PATH_SIZE];
    size_t size;
    char *content = read_whole(path_in(from, name, source), &size);
    assert_ok(kti_file_write(path_in(to, name, target), content, size, &error), &error);
    free(content);
}

/* The stopped run once more, with its checkpoints or without, and what it has chosen or not. */
static void copy_run(const fixture *f, const char *to, bool checkpoints, bool choices)
{
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_make_folder(to, &error), &error);
    copy_file(f->stopped, to, "recipe.json");
    if (choices)
        copy_file(f->stopped, to, "device.json");
    for (int fold = 1; fold <= 3 && checkpoints; fold++) {
        char name[64], folder[PATH_SIZE];
        snprintf(name, sizeof name, "folds/%d", fold);
        assert_ok(kti_make_folder(path_in(to, name, folder), &error), &error);
        snprintf(name, sizeof name, "folds/%d/last.safetensors", fold);
        copy_file(f->stopped, to, name);
        snprintf(name, sizeof name, "folds/%d/best.safetensors", fold);
        copy_file(f->stopped, to, name);
    }
}

static kt_status resume(const fixture *f, const char *run, uint64_t seed, kt_error *error)
{
    kt_train_result result;
    kt_train_options options = options_for(f, run);
    options.run.resume = true;
    start_emulator(seed);
    emulator_dnn_fuses(true);
    const kt_status status = kt_train(&options, &result, error);
    kt_train_result_destroy(&result);
    assert_clean();
    return status;
}

static json_t *read_json(const char *folder, const char *name)
{
    kt_error error = KT_ERROR_NONE;
    char path[PATH_SIZE];
    json_t *root;
    assert_ok(kti_json_read(path_in(folder, name, path), 1 << 20, &root, &error), &error);
    return root;
}

/* How many shapes of a run are computed in that way. */
static int count_ways(const json_t *choices, const char *way)
{
    int count = 0;
    size_t i;
    const json_t *item;
    json_array_foreach(choices, i, item) count +=
        strcmp(json_string_value(json_object_get(item, "way")), way) == 0;
    return count;
}

static void test_choices_are_stored(void **state)
{
    const fixture *f = *state;
    json_t *root = read_json(f->stopped, "device.json");
    const json_t *choices = json_object_get(root, "choices");
    const char *device = json_string_value(json_object_get(root, "device"));
    assert_non_null(strstr(device, "emulated device"));
    assert_true(json_array_size(choices) > 10);
    int ways = 0;
    for (int way = 0; way < KTI_WAYS; way++) {
        const int count = count_ways(choices, kti_way_name((kti_way)way));
        assert_true(count > 0); /* the emulator's clock is drawn */
        ways += count;
    }
    assert_int_equal(ways, json_array_size(choices));
    json_decref(root);
}

static void test_resumed_run_keeps_them(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    char resumed[PATH_SIZE], whole[PATH_SIZE], other[PATH_SIZE], file[PATH_SIZE];
    size_t i;
    json_t *root, *item;
    copy_run(f, path_in(f->folder.path, "resumed", resumed), true, true);
    assert_ok(resume(f, resumed, 2, &error), &error);
    copy_run(f, path_in(f->folder.path, "whole", whole), false, true);
    assert_ok(resume(f, whole, 3, &error), &error); /* from the beginning, but not by choices of its own */
    assert_int_equal(run_differs(resumed, whole, 3), 0);
    assert_int_equal(differs(resumed, whole, "device.json"), 0);

    /* And it is the file that decides. */
    copy_run(f, path_in(f->folder.path, "other", other), true, false);
    root = read_json(f->stopped, "device.json");
    json_array_foreach(json_object_get(root, "choices"), i, item)
    {
        const bool by_cudnn = strcmp(json_string_value(json_object_get(item, "way")), "cudnn") == 0;
        if (json_object_get(json_object_get(item, "microseconds"), "cudnn"))
            json_object_set_new(item, "way", json_string(by_cudnn ? "own" : "cudnn"));
    }
    assert_ok(kti_json_write(path_in(other, "device.json", file), root, &error), &error);
    json_decref(root);
    assert_ok(resume(f, other, 3, &error), &error);
    print_message("The differences that follow are meant to be there.\n");
    assert_int_not_equal(differs(resumed, other, "device.json"), 0);
    assert_int_not_equal(run_differs(resumed, other, 3), 0); /* of folds that had an epoch to go */
}

static void write_text(const char *run, const char *text)
{
    kt_error error = KT_ERROR_NONE;
    char path[PATH_SIZE];
    assert_ok(kti_file_write(path_in(run, "device.json", path), text, strlen(text), &error), &error);
}

static void test_what_cannot_be_honoured_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "no object"},
        {"{\"choices\": 3}", "choices"},
        {"{\"choices\": [3]}", "objects"},
        {"{\"choices\": [{\"shape\": \"s\", \"way\": \"own\"}]}", "microseconds"},
        {"{\"choices\": [{\"shape\": \"s\", \"way\": \"mkl\", \"microseconds\": {}}]}", "`mkl`"},
        {"{\"choices\": [{\"shape\": "
         "\"012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678\", "
         "\"way\": \"own\", \"microseconds\": {}}]}",
         "too long"},
        {"{\"choices\"", "device.json"},
    };
    const fixture *f = *state;
    char run[PATH_SIZE];
    copy_run(f, path_in(f->folder.path, "refused", run), false, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kt_error error = KT_ERROR_NONE;
        char text[1024];
        write_text(run, cases[i].text);
        assert_int_equal(resume(f, run, 1, &error), KT_BAD_FORMAT);
        kt_error_format(&error, text, sizeof text);
        assert_non_null(strstr(text, "device.json"));
        if (!strstr(text, cases[i].says))
            fail_msg("`%s` does not say `%s`", text, cases[i].says);
    }
}

/* The first three crystals, by name. */
static void write_ids(const fixture *f, char *ids)
{
    kt_error error = KT_ERROR_NONE;
    FILE *csv = fopen(path_in(f->data, "id_prop.csv", ids), "r");
    char list[256] = "", line[128];
    assert_non_null(csv);
    for (int i = 0; i < 3 && fgets(line, sizeof line, csv); i++) {
        line[strcspn(line, ",\n")] = '\0';
        strcat(strcat(list, line), "\n");
    }
    fclose(csv);
    assert_ok(kti_file_write(path_in(f->folder.path, "ids", ids), list, strlen(list), &error), &error);
}

static void test_bench_shows_them(void **state)
{
    const fixture *f = *state;
    char ids[PATH_SIZE], file[PATH_SIZE];
    write_ids(f, ids);
    path_in(f->folder.path, "bench.json", file);
    const char *const arguments[] = {"bench",    "--data",    f->data,     "--ids", ids,
                                     "--device", "cuda-auto", "--threads", "2",     "--seconds",
                                     "0",        "--json",    file,        NULL};
    start_emulator(1);
    assert_int_equal(
        kti_bench_command.run((int)(sizeof arguments / sizeof *arguments) - 1, (char **)arguments), 0);
    assert_clean();
    json_t *root = read_json(f->folder.path, "bench.json");
    const json_t *choices = json_object_get(root, "choices"), *first = json_array_get(choices, 0);
    assert_true(json_array_size(choices) > 10);
    assert_true(json_is_string(json_object_get(first, "shape")));
    assert_true(json_number_value(json_object_get(json_object_get(first, "microseconds"), "own")) > 0);
    assert_true(json_number_value(json_object_get(json_object_get(first, "microseconds"), "cublas")) > 0);
    json_decref(root);
}

/* The plan as a GPU runs it: chains, of operations that are named, and what each operation waits for. */
static void test_bench_shows_the_plan(void **state)
{
    const fixture *f = *state;
    char ids[PATH_SIZE], file[PATH_SIZE];
    int chains = 0;
    size_t i, w;
    const json_t *one, *before;
    write_ids(f, ids);
    path_in(f->folder.path, "plan.json", file);
    const char *const arguments[] = {"bench", "--data", f->data,  "--ids", ids, "--device",
                                     "cuda",  "--plan", "--json", file,    NULL};
    start_emulator(1);
    assert_int_equal(
        kti_bench_command.run((int)(sizeof arguments / sizeof *arguments) - 1, (char **)arguments), 0);
    assert_clean();
    json_t *plan = read_json(f->folder.path, "plan.json");
    json_array_foreach(plan, i, one)
    {
        const json_t *parts = json_object_get(one, "stands_for");
        const bool chain = strcmp(json_string_value(json_object_get(one, "operation")), "chain") == 0;
        chains += chain;
        assert_true(!chain || json_array_size(parts) > 1);
        assert_true(!chain || json_is_string(json_object_get(json_array_get(parts, 0), "operation")));
        json_array_foreach(json_object_get(one, "waits"), w, before)
        {
            assert_true(json_integer_value(before) < (json_int_t)i);
        }
    }
    assert_true(chains > 5);
    json_decref(plan);
}

static int bench_kernels(const fixture *f, const char *file)
{
    char ids[PATH_SIZE];
    write_ids(f, ids);
    const char *const arguments[] = {"bench",     "--data", f->data,     "--ids", ids,
                                     "--device",  "cuda",   "--threads", "1",     "--kernels",
                                     "--seconds", "0",      "--json",    file,    NULL};
    return kti_bench_command.run((int)(sizeof arguments / sizeof *arguments) - 1, (char **)arguments);
}

/* Every kernel has the same bits in every shape of its launch; one that lacks a barrier has not, and is not timed. */
static void test_bench_checks_kernels(void **state)
{
    const fixture *f = *state;
    char file[PATH_SIZE];
    size_t i;
    const json_t *one;
    path_in(f->folder.path, "kernels.json", file);
    start_emulator(1);
    assert_int_equal(bench_kernels(f, file), 0);
    assert_clean();
    json_t *kernels = read_json(f->folder.path, "kernels.json");
    assert_true(json_array_size(kernels) > 20);
    json_array_foreach(kernels, i, one)
    {
        assert_int_equal(json_integer_value(json_object_get(one, "variations")), 27);
        assert_true(json_number_value(json_object_get(one, "microseconds")) > 0);
    }
    json_decref(kernels);
    start_emulator(2);
    emulator_skip_barrier(2, 0);
    assert_int_not_equal(bench_kernels(f, path_in(f->folder.path, "faulty.json", file)), 0);
    emulator_skip_barrier(0, 0);
    assert_int_not_equal(access(file, F_OK), 0);
    assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices_are_stored),
        cmocka_unit_test(test_resumed_run_keeps_them),
        cmocka_unit_test(test_what_cannot_be_honoured_is_refused),
        cmocka_unit_test(test_bench_checks_kernels),
        cmocka_unit_test(test_bench_shows_the_plan),
        cmocka_unit_test(test_bench_shows_them),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
