/* What the two protocols promise: which rows decide what, which weights a fold starts from, the schedule, the
 * order. */
#include <jansson.h>

#include "support.h"

#include "base/file.h"
#include "base/json.h"
#include "data/csv.h"
#include "data/dataset.h"
#include "data/split.h"
#include "model/spec.h"
#include "train/runs.h"

enum { TRAIN = 19, INNER = 3 }; /* of SMALL_SET: int(0.8 * 24), int(0.2 * 19) */

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE];
    double kappa[SMALL_SET]; /* of the data set */
} fixture;

static int set_up(void **state)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset;
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    const kti_dataset_options options = kti_dataset_options_default();
    assert_ok(kti_dataset_read(f->data, &options, &dataset, &error), &error);
    assert_int_equal(dataset.size, SMALL_SET);
    for (int i = 0; i < SMALL_SET; i++)
        f->kappa[i] = dataset.crystals[i].kappa;
    kti_dataset_destroy(&dataset);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

static void permutation(int fold, int size, int32_t *order)
{
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_split_permutation((uint32_t)fold, size, order, &error), &error);
}

/* ---- the target transform ---- */

/* Mean and population standard deviation of log10(kappa + 1) over the first `rows` of a fold's order. */
static void transform(const fixture *f, int fold, int rows, double *mean, double *sd)
{
    int32_t order[SMALL_SET];
    double sum = 0, squares = 0;
    permutation(fold, SMALL_SET, order);
    for (int i = 0; i < rows; i++)
        sum += log10(f->kappa[order[i]] + 1) / rows;
    for (int i = 0; i < rows; i++)
        squares += pow(log10(f->kappa[order[i]] + 1) - sum, 2) / rows;
    *mean = sum;
    *sd = sqrt(squares);
}

static void check_transform(const fixture *f, const char *run, int rows)
{
    for (int fold = 1; fold <= 3; fold++) {
        kti_tensors tensors;
        double mean, sd;
        read_weights(run, fold, "best.safetensors", &tensors);
        for (int n = TRAIN - INNER; n <= SMALL_SET; n++) {
            transform(f, fold, n, &mean, &sd);
            const int equal = is_close(metadata_number(&tensors, "target_mean"), mean, 1e-12, 0) &&
                              is_close(metadata_number(&tensors, "target_sd"), sd, 1e-12, 0);
            assert_int_equal(equal, n == rows); /* of these rows and of no others */
        }
        kti_tensors_destroy(&tensors);
    }
}

static void test_target(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *name;
        kt_protocol protocol;
        kt_select select;
        int rows;
    } cases[] = {{"inner", KT_SOUND, KT_SELECT_INNER, TRAIN - INNER},
                 {"outer", KT_SOUND, KT_SELECT_OUTER, TRAIN},
                 {"last", KT_SOUND, KT_SELECT_LAST, TRAIN},
                 {"published", KT_PUBLISHED, KT_SELECT_OUTER, SMALL_SET}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char run[PATH_SIZE];
        kt_train_options options = kt_train_options_default(cases[i].protocol);
        options.data[0] = f->data;
        options.run.out = path_in(f->folder.path, cases[i].name, run);
        options.select = cases[i].select;
        options.folds = 3;
        options.epochs = 2;
        train(&options, NULL);
        check_transform(f, run, cases[i].rows);
    }
}

/* ---- the rows ---- */

/* ids of the validation rows in predictions.csv are the tail of numpy's permutation, in its order; the scores
 * of metrics.json are theirs. */
static void check_predictions(const char *run, const kti_dataset *dataset, int folds)
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv = {0};
    bool found;
    char path[PATH_SIZE];
    int32_t order[256];
    const int first = kti_split_train_size(dataset->size);
    json_t *metrics;
    assert_ok(kti_json_read(path_in(run, "metrics.json", path), 1 << 20, &metrics, &error), &error);
    const json_t *list = json_object_get(metrics, "folds");
    assert_int_equal(json_array_size(list), folds);
    assert_ok(kti_csv_open(path_in(run, "predictions.csv", path), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    for (int fold = 1; fold <= folds; fold++) {
        double mape = 0;
        permutation(fold, dataset->size, order);
        for (int i = first; i < dataset->size; i++) {
            double kappa = NAN, predicted = NAN;
            assert_ok(kti_csv_next(&csv, &found, &error), &error);
            assert_true(found);
            assert_int_equal(atoi(csv.field[0]), fold);
            assert_string_equal(csv.field[1], dataset->crystals[order[i]].id);
            assert_true(kti_number_parse(csv.field[2], &kappa) && kti_number_parse(csv.field[3], &predicted));
            assert_true(is_close(kappa, dataset->crystals[order[i]].kappa, 1e-8, 0));
            mape += fabs(predicted - kappa) / kappa / (dataset->size - first);
        }
        const json_t *scores = json_array_get(list, (size_t)fold - 1);
        assert_true(is_close(json_number_value(json_object_get(scores, "mape")), mape, 1e-6, 0));
        assert_int_equal(json_integer_value(json_object_get(scores, "n_validate")), dataset->size - first);
    }
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    assert_false(found);
    kti_csv_close(&csv);
    json_decref(metrics);
}

static void test_rows(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset;
    kt_train_result result;
    char run[PATH_SIZE];
    const kti_dataset_options data_options = kti_dataset_options_default();
    assert_ok(kti_dataset_read(data_path("togo15"), &data_options, &dataset, &error), &error);
    kt_train_options options = small_options(data_path("togo15"), path_in(f->folder.path, "togo15", run));
    options.epochs = 1;
    train(&options, &result);
    assert_int_equal(result.crystals, 95);
    assert_int_equal(result.fold[0].train_rows, 61);
    assert_int_equal(result.fold[0].select_rows, 15);
    assert_int_equal(result.fold[0].validate_rows, 19);
    assert_int_equal(result.fold[0].best.rows, 19);
    kt_train_result_destroy(&result);
    check_predictions(run, &dataset, 3);
    options.select = KT_SELECT_OUTER;
    options.run.out = path_in(f->folder.path, "togo15outer", run);
    train(&options, &result);
    assert_int_equal(result.fold[0].train_rows, 76);
    assert_int_equal(result.fold[0].select_rows, 19);
    assert_int_equal(result.fold[0].validate_rows, 19);
    kt_train_result_destroy(&result);
    check_predictions(run, &dataset, 3);
    kti_dataset_destroy(&dataset);
}

/* A run of fold 1 in the temporary folder `name` on a data set whose kappa differs in rows [first, last) of
 * the fold's order. */
static void train_changed(const fixture *f, const char *name, int first, int last, kt_select select,
                          kt_protocol protocol, char run[PATH_SIZE])
{
    kt_error error = KT_ERROR_NONE;
    int32_t order[SMALL_SET];
    double kappa[SMALL_SET] = {0};
    char folder[PATH_SIZE], data[PATH_SIZE];
    permutation(1, SMALL_SET, order);
    for (int i = first; i < last; i++)
        kappa[order[i]] = 3 * f->kappa[order[i]];
    assert_ok(kti_make_folder(path_in(f->folder.path, name, folder), &error), &error);
    make_dataset(path_in(folder, "data", data), SMALL_SET, kappa);
    kt_train_options options = small_options(data, path_in(folder, "run", run));
    options.select = select;
    options.protocol = protocol;
    options.fit_target_on_all = protocol == KT_PUBLISHED;
    options.run.only_fold = 1;
    options.epochs = 10;
    train(&options, NULL);
}

/* How many tensors of two last.safetensors differ, of the last epoch's weights alone. */
static int last_weights_differ(const char *left, const char *right)
{
    kti_tensors a, b;
    int different = 0;
    read_weights(left, 1, "last.safetensors", &a);
    read_weights(right, 1, "last.safetensors", &b);
    for (size_t i = 0; i < a.size; i++) {
        if (strncmp(a.list[i].name, "best.", 5) == 0 || strcmp(a.list[i].name, "history") == 0)
            continue;
        const kti_tensor *other = kti_tensors_find(&b, a.list[i].name);
        assert_non_null(other);
        different +=
            memcmp(a.list[i].data, other->data, a.list[i].elements * kti_dtype_size(other->dtype)) != 0;
    }
    kti_tensors_destroy(&a);
    kti_tensors_destroy(&b);
    return different;
}

static void test_nothing_chosen_on_the_validation_rows(void **state)
{
    const fixture *f = *state;
    char before[PATH_SIZE], after[PATH_SIZE];
    train_changed(f, "i0", 0, 0, KT_SELECT_INNER, KT_SOUND, before);
    train_changed(f, "i1", TRAIN, SMALL_SET, KT_SELECT_INNER, KT_SOUND, after);
    assert_int_equal(differs(before, after, "folds/1/best.safetensors"), 0);
    assert_int_equal(last_weights_differ(before, after), 0);
    assert_int_equal(differs(before, after, "epochs.csv"), 0);
    print_message("The differences that follow are meant to be there.\n");
    assert_int_equal(differs(before, after, "metrics.json"), 1); /* the scores alone */
    /* The inner rows choose the epoch, and do nothing else. */
    train_changed(f, "i2", TRAIN - INNER, TRAIN, KT_SELECT_INNER, KT_SOUND, after);
    assert_int_equal(differs(before, after, "epochs.csv"), 1);
    assert_int_equal(last_weights_differ(before, after), 0);
    /* The training rows do decide the weights. */
    train_changed(f, "i3", 0, 1, KT_SELECT_INNER, KT_SOUND, after);
    assert_true(last_weights_differ(before, after) > 50);
    /* Without any choice the validation rows aren't seen either. */
    train_changed(f, "l0", 0, 0, KT_SELECT_LAST, KT_SOUND, before);
    train_changed(f, "l1", TRAIN, SMALL_SET, KT_SELECT_LAST, KT_SOUND, after);
    assert_int_equal(differs(before, after, "folds/1/best.safetensors"), 0);
    assert_int_equal(differs(before, after, "epochs.csv"), 0);
}

static void test_outer_and_published(void **state)
{
    const fixture *f = *state;
    char before[PATH_SIZE], after[PATH_SIZE];
    print_message("The differences that follow are meant to be there.\n");
    train_changed(f, "o0", 0, 0, KT_SELECT_OUTER, KT_SOUND, before);
    train_changed(f, "o1", TRAIN, SMALL_SET, KT_SELECT_OUTER, KT_SOUND, after);
    assert_int_equal(differs(before, after, "epochs.csv"), 1);
    assert_int_equal(last_weights_differ(before, after), 0); /* chosen on them, never trained on them */
    /* The published protocol's transform lets the validation rows into the weights. */
    train_changed(f, "p0", 0, 0, KT_SELECT_OUTER, KT_PUBLISHED, before);
    train_changed(f, "p1", TRAIN, SMALL_SET, KT_SELECT_OUTER, KT_PUBLISHED, after);
    assert_true(last_weights_differ(before, after) > 50);
}

/* ---- start weights ---- */

static void test_published_ignores_weights(void **state)
{
    const fixture *f = *state;
    char with[PATH_SIZE], without[PATH_SIZE], sound[PATH_SIZE];
    messages *said = calloc(1, sizeof *said);
    assert_non_null(said);
    kt_train_options options = kt_train_options_default(KT_PUBLISHED);
    options.data[0] = f->data;
    options.folds = 1;
    options.epochs = 2;
    options.run.message = collect_message;
    options.run.user = said;
    options.run.out = path_in(f->folder.path, "without", without);
    train(&options, NULL);
    assert_int_equal(count_messages(said, "not used"), 0);
    options.from = megnet_weights();
    options.run.out = path_in(f->folder.path, "with", with);
    train(&options, NULL);
    assert_int_equal(count_messages(said, "not used"), 1);
    assert_int_equal(differs(with, without, "folds/1/last.safetensors"), 0);
    options.load_weights = true;
    options.run.out = path_in(f->folder.path, "loaded", sound);
    train(&options, NULL);
    print_message("The difference that follows is meant to be there.\n");
    assert_int_equal(differs(sound, without, "folds/1/last.safetensors"), 1);
    free(said);
}

static void lose_a_tensor(kti_tensors *tensors)
{
    const kti_tensor *tensor = kti_tensors_find(tensors, "blocks.1.conv.edge_func.layers.0.weight");
    assert_non_null(tensor);
    tensors->list[tensor - tensors->list].name[0] = 'x';
}

static void cut(const char *path, const char *to)
{
    kt_error error = KT_ERROR_NONE;
    size_t size;
    char *data = read_whole(path, &size);
    assert_ok(kti_file_write(to, data, size / 2, &error), &error);
    free(data);
}

/* Refused under either protocol, by the file's name, before anything is written. */
static void check_refused_start(const fixture *f, const char *from, const char *file, const char *says)
{
    for (int protocol = KT_SOUND; protocol <= KT_PUBLISHED; protocol++) {
        kt_error error = KT_ERROR_NONE;
        kt_train_result result;
        char run[PATH_SIZE];
        kt_train_options options = kt_train_options_default((kt_protocol)protocol);
        options.data[0] = f->data;
        options.run.out = path_in(f->folder.path, "never", run);
        options.from = from;
        options.folds = 3;
        options.epochs = 1;
        assert_int_not_equal(kt_train(&options, &result, &error), KT_OK);
        assert_string_equal(error.file, file);
        if (!strstr(error.message, says))
            fail_msg("\"%s\" does not say \"%s\"", error.message, says);
        assert_null(result.fold);
        assert_false(kti_is_folder(run));
    }
}

static void test_broken_start_weights(void **state)
{
    const fixture *f = *state;
    char whole[PATH_SIZE], broken[PATH_SIZE], run[PATH_SIZE], fold[PATH_SIZE];
    make_weights(path_in(f->folder.path, "whole.safetensors", whole), 3, NULL);
    cut(whole, path_in(f->folder.path, "cut.safetensors", broken));
    check_refused_start(f, broken, broken, "");
    make_weights(path_in(f->folder.path, "lost.safetensors", broken), 3, lose_a_tensor);
    check_refused_start(f, broken, broken, "blocks.1.conv.edge_func.layers.0.weight");
    check_refused_start(f, path_in(f->folder.path, "nowhere.safetensors", broken), broken, "");
    /* A run folder: the third fold's weights are broken, then gone. */
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "broken", run));
    options.epochs = 1;
    train(&options, NULL);
    cut(whole, path_in(run, "folds/3/best.safetensors", fold));
    check_refused_start(f, run, fold, "");
    assert_int_equal(remove(fold), 0);
    check_refused_start(f, run, fold, "fold 3");
    /* Fold 2 alone needs only fold 2. */
    char alone[PATH_SIZE];
    options.from = run;
    options.run.only_fold = 2;
    options.run.out = path_in(f->folder.path, "second", alone);
    train(&options, NULL);
}

/* With a learning rate of zero a fold ends where it starts. */
static void test_start_from_a_run(void **state)
{
    const fixture *f = *state;
    char first[PATH_SIZE], second[PATH_SIZE];
    int size;
    const kti_parameter *spec = kti_spec(&size);
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "first", first));
    train(&options, NULL);
    options.from = first;
    options.epochs = 1;
    options.learning_rate = options.min_learning_rate = 0;
    options.seed = 5;
    options.run.out = path_in(f->folder.path, "second-stage", second);
    train(&options, NULL);
    kti_tensors own, theirs[3];
    for (int fold = 1; fold <= 3; fold++)
        read_weights(first, fold, "best.safetensors", &theirs[fold - 1]);
    for (int fold = 1; fold <= 3; fold++) {
        read_weights(second, fold, "last.safetensors", &own);
        for (int other = 1; other <= 3; other++) {
            int equal = 0, compared = 0;
            for (int i = 0; i < size; i++) {
                const kti_tensor *a = kti_tensors_find(&own, spec[i].name);
                const kti_tensor *b = kti_tensors_find(&theirs[other - 1], spec[i].name);
                if (spec[i].part == KTI_PART_EFORM)
                    continue;
                assert_non_null(a);
                assert_non_null(b);
                equal += memcmp(a->data, b->data, a->elements * sizeof(float)) == 0;
                compared++;
            }
            assert_int_equal(equal == compared, other == fold);
        }
        kti_tensors_destroy(&own);
    }
    for (int i = 0; i < 3; i++)
        kti_tensors_destroy(&theirs[i]);
}

/* ---- schedule and order ---- */

static void test_learning_rate(void **state)
{
    const fixture *f = *state;
    char run[PATH_SIZE];
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "rate", run));
    options.run.only_fold = 1;
    options.epochs = 12;
    train(&options, NULL);
    for (int e = 0; e < 12; e++) {
        const double expected = 1e-5 + 0.5 * (1e-3 - 1e-5) * (1 + cos(acos(-1) * 2 * e / 1000));
        assert_true(is_close(epoch_value(run, 1, e + 1, "learning_rate"), expected, 1e-8, 0));
    }
    options.schedule_period = 8; /* down to the least rate after four epochs of two ticks */
    options.run.out = path_in(f->folder.path, "short", run);
    train(&options, NULL);
    assert_true(is_close(epoch_value(run, 1, 1, "learning_rate"), 1e-3, 1e-8, 0));
    assert_true(is_close(epoch_value(run, 1, 3, "learning_rate"), (1e-3 + 1e-5) / 2, 1e-8, 0));
    assert_true(is_close(epoch_value(run, 1, 5, "learning_rate"), 1e-5, 1e-8, 0));
}

/* At a learning rate of zero the mean loss of an epoch is the same whatever the batches, and the mean norm of
 * the batches' gradients is not. */
static void test_reshuffled(void **state)
{
    const fixture *f = *state;
    char run[PATH_SIZE];
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "order", run));
    options.run.only_fold = 1;
    options.from = megnet_weights();
    options.learning_rate = options.min_learning_rate = 0;
    train(&options, NULL);
    for (int e = 2; e <= options.epochs; e++) {
        assert_true(
            is_close(epoch_value(run, 1, e, "train_loss"), epoch_value(run, 1, 1, "train_loss"), 1e-5, 0));
        for (int other = 1; other < e; other++)
            assert_false(is_close(epoch_value(run, 1, e, "gradient_norm"),
                                  epoch_value(run, 1, other, "gradient_norm"), 1e-5, 0));
    }
}

int main(void)
{
#define PROTOCOL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PROTOCOL(test_target),
        PROTOCOL(test_rows),
        PROTOCOL(test_nothing_chosen_on_the_validation_rows),
        PROTOCOL(test_outer_and_published),
        PROTOCOL(test_published_ignores_weights),
        PROTOCOL(test_broken_start_weights),
        PROTOCOL(test_start_from_a_run),
        PROTOCOL(test_learning_rate),
        PROTOCOL(test_reshuffled),
    };
#undef PROTOCOL
    return cmocka_run_group_tests(tests, NULL, NULL);
}
