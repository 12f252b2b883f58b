/* Run folders that cannot be gone on with: named, and left as they are. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

#include "base/file.h"
#include "model/safetensors.h"
#include "train/runs.h"

enum { EPOCHS = 4 };

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], run[PATH_SIZE];
    kt_train_options options; /* of the run, which stopped after half of its epochs */
} fixture;

static int stop_half_way(void *user, const kt_train_progress *progress)
{
    (void)user;
    return progress->epochs_done >= progress->epochs_total / 2;
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
    f->options = small_options(f->data, path_in(f->folder.path, "run", f->run));
    f->options.folds = 2;
    f->options.epochs = EPOCHS;
    f->options.run.progress = stop_half_way;
    assert_int_equal(kt_train(&f->options, &result, &error), KT_INTERRUPTED);
    f->options.run.progress = NULL;
    f->options.run.resume = true;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

/* A number that changes with any name or byte of a folder's files, whatever the order of their listing
 * (FNV-1a). */
static uint64_t fingerprint(const char *path)
{
    uint64_t sum = 0;
    DIR *list = opendir(path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char inner[PATH_SIZE];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        uint64_t hash = 0xcbf29ce484222325u;
        for (const char *c = entry->d_name; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
        if (kti_is_folder(path_in(path, entry->d_name, inner))) {
            hash ^= fingerprint(inner);
        } else {
            size_t size;
            char *data = read_whole(inner, &size);
            for (size_t i = 0; i < size; i++)
                hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3u;
            free(data);
        }
        sum += hash * 0x9e3779b97f4a7c15u;
    }
    closedir(list);
    return sum;
}

/* Refused; error.message contains `says`, the run folder is as it was. */
static kt_status assert_refused(const fixture *f, kt_train_options options, const char *says, kt_error *error)
{
    kt_train_result result;
    const uint64_t before = fingerprint(f->run);
    *error = (kt_error)KT_ERROR_NONE;
    const kt_status status = kt_train(&options, &result, error);
    assert_int_not_equal(status, KT_OK);
    assert_int_equal(error->status, status);
    if (!strstr(error->message, says))
        fail_msg("\"%s\" does not say \"%s\"", error->message, says);
    assert_true(fingerprint(f->run) == before);
    return status;
}

static void test_fingerprint(void **state)
{
    const fixture *f = *state;
    char path[PATH_SIZE];
    const uint64_t before = fingerprint(f->run);
    assert_true(fingerprint(f->run) == before);
    FILE *file = fopen(path_in(f->run, "folds/1/more", path), "w");
    assert_non_null(file);
    fclose(file);
    assert_true(fingerprint(f->run) != before);
}

static void test_no_resume(void **state)
{
    const fixture *f = *state;
    kt_error error;
    kt_train_options options = f->options;
    options.run.resume = false;
    assert_int_equal(assert_refused(f, options, "--resume", &error), KT_BAD_ARGUMENT);
    assert_string_equal(error.file, f->run);
}

static void test_another_recipe(void **state)
{
    const fixture *f = *state;
    kt_error error;
    char data[PATH_SIZE];
    make_dataset(path_in(f->folder.path, "other", data), SMALL_SET, NULL);
#define CHANGED(field, value)                                                                                \
    do {                                                                                                     \
        kt_train_options o = f->options;                                                                     \
        o.field = value;                                                                                     \
        assert_int_equal(assert_refused(f, o, "`" #field "`", &error), KT_BAD_ARGUMENT);                     \
        assert_non_null(strstr(error.file, "recipe.json"));                                                  \
    } while (0)
    CHANGED(protocol, KT_PUBLISHED);
    CHANGED(select, KT_SELECT_OUTER);
    CHANGED(load_weights, false);
    CHANGED(fit_target_on_all, true);
    CHANGED(quotient, false);
    CHANGED(folds, 3);
    CHANGED(epochs, EPOCHS + 1);
    CHANGED(batch, 4);
    CHANGED(seed, 43);
    CHANGED(learning_rate, 2e-3);
    CHANGED(min_learning_rate, 0);
    CHANGED(schedule_period, 999);
    CHANGED(schedule_ticks, 1);
    CHANGED(inner_fraction, 0.25);
#undef CHANGED
    kt_train_options o = f->options;
    o.from = megnet_weights();
    assert_int_equal(assert_refused(f, o, "other start weights", &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.file, "last.safetensors"));
    /* What says nothing about the result may change: the same data at another place, too. */
    o = f->options;
    o.data[0] = data;
    o.run.threads = 2;
    o.run.checkpoint_seconds = 0;
    train(&o, NULL);
}

static void test_other_data(void **state)
{
    const fixture *f = *state;
    kt_error error;
    char path[PATH_SIZE];
    size_t size;
    /* Another kappa in every row, at the same place. */
    path_in(f->data, "id_prop.csv", path);
    char *text = read_whole(path, &size);
    for (char *c = text; (c = strchr(c, ',')) != NULL; c++)
        c[1] = c[1] == '9' ? '8' : '9';
    kt_error none = KT_ERROR_NONE;
    assert_ok(kti_file_write(path, text, size, &none), &none);
    free(text);
    assert_int_equal(assert_refused(f, f->options, "other data", &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.file, "folds/1/last.safetensors"));
}

/* Replaces a file of the run; the file's path goes to `path`. */
static void replace(const fixture *f, const char *name, const char *data, size_t size, char path[PATH_SIZE])
{
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_file_write(path_in(f->run, name, path), data, size, &error), &error);
}

static void test_truncated(void **state)
{
    const fixture *f = *state;
    static const char name[] = "folds/2/last.safetensors";
    char path[PATH_SIZE];
    size_t size;
    kt_error error;
    char *data = read_whole(path_in(f->run, name, path), &size);
    const size_t cuts[] = {0, 1, 7, 8, 9, 1000, 30000, size / 2, size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        replace(f, name, data, cuts[i], path);
        assert_int_equal(assert_refused(f, f->options, "", &error), KT_BAD_FORMAT);
        assert_string_equal(error.file, path);
        assert_true(error.byte >= 0);
    }
    replace(f, name, data, size, path);
    free(data);
    train(&f->options, NULL); /* whole again, it goes on */
}

/* Bits of the header, and a number that is none. */
static void test_flipped(void **state)
{
    const fixture *f = *state;
    static const char name[] = "folds/1/last.safetensors";
    char path[PATH_SIZE];
    size_t size;
    kt_error error;
    char *data = read_whole(path_in(f->run, name, path), &size);
    for (int i = 0; i < 24; i++) {
        const size_t at = i < 8 ? (size_t)i : 8 + (size_t)i * 997;
        /* The high bit: no JSON text has it here, and no header is so long. */
        data[at] ^= (char)0x80;
        replace(f, name, data, size, path);
        assert_int_equal(assert_refused(f, f->options, "", &error), KT_BAD_FORMAT);
        assert_string_equal(error.file, path);
        assert_true(error.byte >= 0);
        data[at] ^= (char)0x80;
    }
    const unsigned char nan[4] = {0, 0, 0xc0, 0x7f};
    char kept[4];
    uint64_t header;
    memcpy(&header, data, sizeof header);
    memcpy(kept, data + 8 + header + 400, sizeof kept);
    memcpy(data + 8 + header + 400, nan, sizeof nan);
    replace(f, name, data, size, path);
    assert_int_equal(assert_refused(f, f->options, "", &error), KT_NON_FINITE);
    assert_string_equal(error.file, path);
    assert_true(error.byte == (int64_t)(8 + header + 400));
    free(data);
}

static void test_exchanged_folds(void **state)
{
    const fixture *f = *state;
    char path[PATH_SIZE];
    size_t size;
    kt_error error;
    char *data = read_whole(path_in(f->run, "folds/1/last.safetensors", path), &size);
    replace(f, "folds/2/last.safetensors", data, size, path);
    free(data);
    assert_int_equal(assert_refused(f, f->options, "", &error), KT_BAD_FORMAT);
    assert_string_equal(error.file, path);
}

static void test_metadata(void **state)
{
    static const struct {
        const char *key, *value;
    } cases[] = {{"epoch", "-1"},
                 {"epoch", "5"},
                 {"epoch", "1.5"},
                 {"epoch", "three"},
                 {"epoch", "1e300"},
                 {"epoch", NULL},
                 {"epoch", "1"},
                 {"best_epoch", "5"},
                 {"steps", "-3"},
                 {"fold", "2"},
                 {"draws", "nan"},
                 {"rescues", ""},
                 {"cutoff", "5"},
                 {"data_fingerprint", "0"},
                 {"start_fingerprint", NULL}};
    const fixture *f = *state;
    char path[PATH_SIZE];
    size_t size;
    kt_error error = KT_ERROR_NONE;
    char *data = read_whole(path_in(f->run, "folds/1/last.safetensors", path), &size);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kti_tensors tensors;
        error = (kt_error)KT_ERROR_NONE;
        assert_ok(kti_safetensors_parse(data, size, path, &tensors, &error), &error);
        assert_non_null(kti_tensors_metadata(&tensors, cases[i].key));
        assert_ok(kti_tensors_set_metadata(&tensors, cases[i].key, cases[i].value, &error), &error);
        assert_ok(kti_safetensors_write(path, &tensors, &error), &error);
        kti_tensors_destroy(&tensors);
        assert_refused(f, f->options, "", &error);
        assert_string_equal(error.file, path);
    }
    free(data);
}

static void test_broken_recipe(void **state)
{
    const fixture *f = *state;
    char path[PATH_SIZE];
    kt_error error;
    static const char text[] = "{\n \"epochs\":\n}";
    replace(f, "recipe.json", text, sizeof text - 1, path);
    assert_int_equal(assert_refused(f, f->options, "JSON", &error), KT_BAD_FORMAT);
    assert_string_equal(error.file, path);
    assert_int_equal(error.line, 3);
}

static void test_unwritable(void **state)
{
    fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    char path[PATH_SIZE];
    kt_train_options options = f->options;
    options.run.resume = false;
    options.run.out = path_in(f->data, "id_prop.csv/run", path); /* a file is in the way */
    assert_int_equal(kt_train(&options, &result, &error), KT_IO);
    assert_null(result.fold);
}

/* A run whose recipe.json was never written (killed before it) begins afresh. */
static void test_nothing_there(void **state)
{
    fixture *f = *state;
    char fresh[PATH_SIZE], other[PATH_SIZE];
    kt_train_options options = f->options;
    options.run.out = path_in(f->folder.path, "fresh", fresh);
    train(&options, NULL);
    train(&f->options, NULL);
    assert_int_equal(run_differs(fresh, path_in(f->folder.path, "run", other), 2), 0);
}

int main(void)
{
#define REFUSAL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        REFUSAL(test_fingerprint),     REFUSAL(test_no_resume),     REFUSAL(test_another_recipe),
        REFUSAL(test_other_data),      REFUSAL(test_truncated),     REFUSAL(test_flipped),
        REFUSAL(test_exchanged_folds), REFUSAL(test_metadata),      REFUSAL(test_broken_recipe),
        REFUSAL(test_unwritable),      REFUSAL(test_nothing_there),
    };
#undef REFUSAL
    return cmocka_run_group_tests(tests, NULL, NULL);
}
