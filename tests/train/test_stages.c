/* Recipes of several stages: reading, checks, the run folder, reuse, joined data, the restored target transform. */
#include "support.h"

#include <jansson.h>
#include <kappatune/model.h>

#include "base/file.h"
#include "base/json.h"
#include "data/csv.h"
#include "data/split.h"
#include "train/runs.h"
#include "train/stages.h"

enum { FOLDS = 2, LARGER_SET = 30 };

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], more[PATH_SIZE], run[PATH_SIZE], file[PATH_SIZE];
    kt_recipe recipe;
    kt_error error;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    make_dataset(path_in(f->folder.path, "more", f->more), LARGER_SET, NULL);
    path_in(f->folder.path, "run", f->run);
    path_in(f->folder.path, "recipe.json", f->file);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kt_recipe_destroy(&f->recipe);
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

/* Reads a recipe in which A stands for the small data set and B for the larger one. */
static kt_status read_recipe(fixture *f, const char *text)
{
    char *written = calloc(1, 64 * 1024), *end = written;
    assert_non_null(written);
    for (; *text; text++) {
        const char *path = text[0] == '@' && text[1] == 'A'   ? f->data
                           : text[0] == '@' && text[1] == 'B' ? f->more
                                                              : NULL;
        if (path)
            end += sprintf(end, "%s", path);
        else
            *end++ = *text;
        text += path != NULL;
    }
    kt_error error = KT_ERROR_NONE;
    kt_train_options common = small_options(NULL, NULL);
    common.folds = FOLDS;
    common.epochs = 2;
    f->error = error;
    assert_ok(kti_file_write(f->file, written, strlen(written), &error), &error);
    free(written);
    kt_recipe_destroy(&f->recipe);
    return kt_recipe_read(f->file, &common, &f->recipe, &f->error);
}

static void must_read(fixture *f, const char *text)
{
    assert_ok(read_recipe(f, text), &f->error);
}

static void assert_message(const fixture *f, const char *says)
{
    if (!strstr(f->error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", f->error.message, says);
}

static void run_recipe(fixture *f, const char *out, bool resume, kt_recipe_result *result)
{
    kt_error error = KT_ERROR_NONE;
    kt_recipe_result own;
    assert_ok(kt_train_recipe(&f->recipe, out, resume, result ? result : &own, &error), &error);
    if (!result)
        kt_recipe_result_destroy(&own);
}

static void assert_train_refused(fixture *f, const char *text, const char *says)
{
    kt_recipe_result result;
    must_read(f, text);
    f->error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kt_train_recipe(&f->recipe, f->run, true, &result, &f->error), KT_BAD_ARGUMENT);
    assert_null(result.stage);
    assert_message(f, says);
}

#define TREE                                                                                                 \
    "{\"folds\": 2, \"epochs\": 3, \"stages\": ["                                                            \
    "{\"name\": \"base\", \"data\": \"@B\", \"epochs\": 2},"                                                 \
    "{\"name\": \"fine\", \"data\": \"@A\", \"from\": {\"stage\": \"base\"}},"                               \
    "{\"name\": \"other\", \"protocol\": \"published\", \"data\": \"@A\", \"from\": {\"stage\": \"base\"}}"

static void test_defaults_of_stages(void **state)
{
    fixture *f = *state;
    must_read(f, "{\"protocol\": \"published\", \"epochs\": 7, \"select\": \"last\", \"stages\": "
                 "[{\"name\": \"a-1\", \"data\": \"@A\"},{\"name\": \"b_2\", \"data\": [\"@A\", \"@B\"], "
                 "\"epochs\": 9, \"protocol\": \"sound\", \"from\": {\"stage\": \"a-1\"}}]}");
    assert_int_equal(f->recipe.staged, 1);
    assert_int_equal(f->recipe.stages, 2);
    const kt_stage *a = &f->recipe.stage[0], *b = &f->recipe.stage[1];
    assert_string_equal(a->name, "a-1");
    assert_string_equal(b->name, "b_2");
    assert_int_equal(a->options.epochs, 7);
    assert_int_equal(b->options.epochs, 9);
    assert_int_equal(a->options.protocol, KT_PUBLISHED);
    assert_int_equal(b->options.protocol, KT_SOUND);
    assert_true(a->options.restore_target && a->options.target_per_data_set && !a->options.load_weights);
    assert_true(!b->options.restore_target && !b->options.target_per_data_set && b->options.load_weights);
    assert_int_equal(b->options.select, KT_SELECT_LAST); /* whichever protocol it is */
    assert_null(a->options.from_stage);
    assert_string_equal(b->options.from_stage, "a-1");
    assert_string_equal(b->options.data[0], f->data);
    assert_string_equal(b->options.data[1], f->more);
    assert_null(b->options.data[2]);

    /* Written in full and read again, it is the same recipe. */
    kt_error error = KT_ERROR_NONE;
    kt_recipe again;
    const kt_train_options defaults = kt_train_options_default(KT_SOUND);
    json_t *json = kti_stages_to_json(&f->recipe);
    assert_ok(kti_json_write(f->file, json, &error), &error);
    assert_ok(kt_recipe_read(f->file, &defaults, &again, &error), &error);
    json_t *json_again = kti_stages_to_json(&again);
    assert_int_equal(json_object_size(json), 1);
    assert_true(json_equal(json, json_again));
    json_decref(json);
    json_decref(json_again);
    kt_recipe_destroy(&again);
}

static void test_wrong_recipes(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"stages\": []}", "`stages` lists 0 stages"},
        {"{\"stages\": {}}", "`stages`"},
        {"{\"stages\": [3]}", "not a JSON object"},
        {"{\"stages\": [{\"data\": \"@A\"}]}", "`name`"},
        {"{\"stages\": [{\"name\": 3}]}", "`name`"},
        {"{\"name\": \"a\", \"stages\": [{\"name\": \"a\"}]}", "`name`"},
        {"{\"name\": \"a\", \"data\": \"@A\"}", "`name`"},
        {"{\"epoch\": 3, \"stages\": [{\"name\": \"a\"}]}", "stage `a`: `epoch`"},
        {"{\"stages\": [{\"name\": \"a\", \"stages\": []}]}", "stage `a`: `stages`"},
        {"{\"stages\": [{\"name\": \"a\"}, {\"name\": \"b\", \"batch\": 0}]}", "stage `b`: `batch`"},
    };
    static const struct {
        const char *text, *says;
    } runs[] = {
        {"{\"stages\": [{\"name\": \"a\"}]}", "stage `a`: no data set is named"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}", "two stages of this name"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"a/b\"}]}", "letters, digits"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"..\"}]}", "letters, digits"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"\"}]}", "letters, digits"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"a\", \"from\": {\"stage\": \"b\"}}, {\"name\": "
         "\"b\"}]}",
         "stage `a`: starts from stage `b`, which does not come before it"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"a\", \"from\": {\"stage\": \"a\"}}]}",
         "does not come before it"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"a\", \"from\": {\"stage\": \"c\"}}]}",
         "which the recipe does not have"},
        {"{\"data\": \"@A\", \"from\": {\"stage\": \"a\"}}", "which the recipe does not have"},
        {"{\"data\": \"@A\", \"stages\": [{\"name\": \"a\"}, {\"name\": \"b\", \"folds\": 3, \"from\": "
         "{\"stage\": \"a\"}}]}",
         "stage `b`: its fold 3 starts from that of stage `a`"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_recipe(f, cases[i].text), KT_BAD_FORMAT);
        assert_message(f, cases[i].says);
        assert_null(f->recipe.stage);
    }
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        assert_train_refused(f, runs[i].text, runs[i].says);
    assert_int_equal(kti_is_folder(f->run), 0);
}

typedef struct watched {
    int calls, stages;
    int64_t rows_done, rows_total;
    double seconds_left;
    char last[64];
} watched;

static int watch(void *user, const kt_train_progress *p)
{
    watched *w = user;
    if (p->rows_done <= w->rows_done || p->rows_total < p->rows_done || p->stage_number < 1 ||
        p->stage_number > p->stages || !(p->seconds_left >= 0) || !isfinite(p->seconds_left))
        return 1;
    w->calls++;
    w->rows_done = p->rows_done;
    w->rows_total = p->rows_total;
    w->stages = p->stages;
    w->seconds_left = p->seconds_left;
    snprintf(w->last, sizeof w->last, "%s", p->stage);
    return 0;
}

/* A tree of stages: its files, its progress; each stage equals kt_train by hand. */
static void test_tree(void **state)
{
    fixture *f = *state;
    char path[PATH_SIZE], hand[PATH_SIZE], from[PATH_SIZE];
    watched seen = {0};
    kt_recipe_result result;
    must_read(f, TREE "]}");
    for (int i = 0; i < f->recipe.stages; i++) {
        f->recipe.stage[i].options.run.progress = watch;
        f->recipe.stage[i].options.run.user = &seen;
    }
    run_recipe(f, f->run, false, &result);
    assert_int_equal(result.stages, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(result.reused[i], 0);
    /* 30 crystals: 24 outer rows less 4 inner ones; 24: 19 less 3, and 19 where nothing is kept. */
    const int64_t rows = FOLDS * (2 * 20 + 3 * 16 + 3 * 19);
    assert_int_equal(seen.calls, FOLDS * (2 + 3 + 3));
    assert_int_equal(seen.stages, 3);
    assert_string_equal(seen.last, "other");
    assert_int_equal(seen.rows_done, rows);
    assert_int_equal(seen.rows_total, rows);
    assert_true(seen.seconds_left == 0);

    /* By hand. */
    kt_train_options options = f->recipe.stage[1].options;
    kt_train_result by_hand;
    options.run.progress = NULL;
    options.from_stage = NULL;
    options.from = path_in(f->run, "stages/base", from);
    options.run.out = path_in(f->folder.path, "hand", hand);
    train(&options, &by_hand);
    path_in(f->run, "stages/fine", path);
    assert_int_equal(differs(path, hand, "metrics.json") + differs(path, hand, "predictions.csv"), 0);
    assert_true(by_hand.fold[1].best.sre == result.stage[1].fold[1].best.sre);
    kt_train_result_destroy(&by_hand);

    /* The results come back from the disk. */
    kt_error error = KT_ERROR_NONE;
    kt_train_result read;
    assert_ok(kt_train_result_read(path, &read, &error), &error);
    assert_int_equal(read.folds, FOLDS);
    assert_int_equal(read.crystals, SMALL_SET);
    assert_string_equal(read.data_set[0], "data");
    assert_memory_equal(read.fold, result.stage[1].fold, FOLDS * sizeof *read.fold);
    kt_train_result_destroy(&read);
    kt_recipe_result_destroy(&result);

    /* The metrics of all, in order. */
    json_t *metrics;
    assert_ok(kti_json_read(path_in(f->run, "metrics.json", path), 1 << 20, &metrics, &error), &error);
    const json_t *stages = json_object_get(metrics, "stages");
    static const char *const names[] = {"base", "fine", "other"};
    assert_int_equal(json_array_size(stages), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *stage = json_array_get(stages, i);
        assert_string_equal(json_string_value(json_object_get(stage, "name")), names[i]);
        assert_true(json_is_object(json_object_get(json_object_get(stage, "summary"), "mape")));
        assert_null(json_object_get(stage, "folds"));
    }
    json_decref(metrics);

    /* The last stage is the model; the others by their folders. */
    kt_model_options model_options = kt_model_options_default();
    kt_model *whole, *last;
    assert_ok(kt_model_open(f->run, &model_options, &whole, &error), &error);
    assert_ok(kt_model_open(path_in(f->run, "stages/other", path), &model_options, &last, &error), &error);
    assert_int_equal(kt_model_members(whole), FOLDS);
    kt_structure silicon = {0};
    double left[FOLDS], right[FOLDS];
    assert_ok(kt_structure_read("datasets/examples/silicon.cif", &silicon, &error), &error);
    assert_ok(kt_model_predict(whole, &silicon, NULL, left, NULL, &error), &error);
    assert_ok(kt_model_predict(last, &silicon, NULL, right, NULL, &error), &error);
    assert_memory_equal(left, right, sizeof left);
    kt_structure_destroy(&silicon);
    kt_model_close(whole);
    kt_model_close(last);
}

static void test_reuse(void **state)
{
    fixture *f = *state;
    char path[PATH_SIZE], whole[PATH_SIZE], stage[PATH_SIZE];
    kt_recipe_result result;
    must_read(f, TREE "]}");
    run_recipe(f, f->run, false, NULL);
    run_recipe(f, f->run, true, &result);
    for (int i = 0; i < 3; i++)
        assert_int_equal(result.reused[i], 1);
    kt_recipe_result_destroy(&result);

    /* Stages that were added are trained, the others are not, and all is as if they had been there at once. */
    static const char longer[] =
        TREE ", {\"name\": \"new\", \"data\": \"@A\", \"from\": {\"stage\": \"fine\"}}]}";
    must_read(f, longer);
    run_recipe(f, f->run, true, &result);
    for (int i = 0; i < 4; i++)
        assert_int_equal(result.reused[i], i < 3);
    kt_recipe_result_destroy(&result);
    run_recipe(f, path_in(f->folder.path, "whole", whole), false, NULL);
    assert_int_equal(differs(f->run, whole, "recipe.json") + differs(f->run, whole, "metrics.json"), 0);
    assert_int_equal(
        run_differs(path_in(f->run, "stages/new", path), path_in(whole, "stages/new", stage), FOLDS), 0);

    /* A lost product is made again. */
    assert_int_equal(remove(path_in(f->run, "stages/fine/folds/2/best.safetensors", path)), 0);
    run_recipe(f, f->run, true, &result);
    for (int i = 0; i < 4; i++)
        assert_int_equal(result.reused[i], i != 1);
    kt_recipe_result_destroy(&result);
    assert_int_equal(
        run_differs(path_in(f->run, "stages/fine", path), path_in(whole, "stages/fine", stage), FOLDS), 0);

    /* What was begun can be neither changed nor dropped. */
    assert_train_refused(f, TREE "]}", "stage `new` was begun in this run");
    assert_train_refused(f,
                         TREE ", {\"name\": \"new\", \"epochs\": 4, \"data\": \"@A\", \"from\": {\"stage\": "
                              "\"fine\"}}]}",
                         "stage `new`: this run has `epochs` 3, but 4 is asked for");
    assert_train_refused(f, TREE ", {\"name\": \"new\", \"data\": \"@A\", \"from\": {\"stage\": \"base\"}}]}",
                         "stage `new`: this run has `from`");
    assert_train_refused(f, "{\"data\": \"@A\"}", "holds a run of several stages");

    /* Other data under the same name are noticed. */
    must_read(f, longer);
    const double kappa[SMALL_SET] = {1.5};
    char before[PATH_SIZE];
    assert_int_equal(rename(f->data, path_in(f->folder.path, "before", before)), 0);
    make_dataset(f->data, SMALL_SET, kappa);
    f->error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kt_train_recipe(&f->recipe, f->run, true, &result, &f->error), KT_BAD_FORMAT);
    assert_message(f, "stage `fine`: was made with other data");
}

/* ---- joined data ---- */

/* Which fold-1 rows of a set of `size` validate, as the published splits have it. */
static void mark_validation(int size, int *validates)
{
    kt_error error = KT_ERROR_NONE;
    int32_t order[LARGER_SET];
    assert_ok(kti_split_permutation(1, size, order, &error), &error);
    for (int i = 0; i < size; i++)
        validates[order[i]] = i >= kti_split_train_size(size);
}

static double log_kappa(const char *folder, int row)
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv = {0};
    bool found;
    double value;
    char path[PATH_SIZE];
    assert_ok(kti_csv_open(path_in(folder, "id_prop.csv", path), &csv, &error), &error);
    for (int i = 0; i <= row; i++) {
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        assert_true(found);
    }
    assert_true(kti_number_parse(csv.field[1], &value));
    kti_csv_close(&csv);
    return log10(value + 1);
}

/* Mean and population standard deviation of log10(kappa + 1) over fold 1's rows: those to train on, or all. */
static void expected_target(const fixture *f, bool small, bool larger, bool all, double *mean, double *sd)
{
    double values[SMALL_SET + LARGER_SET], squares = 0;
    int size = 0, validates[LARGER_SET];
    *mean = 0;
    for (int set = 0; set < 2; set++) {
        const int rows = set ? LARGER_SET : SMALL_SET;
        mark_validation(rows, validates);
        for (int i = 0; i < rows && (set ? larger : small); i++)
            if (all || !validates[i])
                values[size++] = log_kappa(set ? f->more : f->data, i);
    }
    for (int i = 0; i < size; i++)
        *mean += values[i] / size;
    for (int i = 0; i < size; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *sd = sqrt(squares / size);
}

static void test_joined(void **state)
{
    fixture *f = *state;
    kt_train_options options = small_options(f->data, f->run);
    kt_train_result result;
    kti_tensors weights = {0};
    double mean, sd;
    options.data[1] = f->more;
    options.select = KT_SELECT_LAST;
    options.folds = 1;
    train(&options, &result);
    assert_int_equal(result.crystals, SMALL_SET + LARGER_SET);
    assert_int_equal(result.data_sets, 2);
    assert_string_equal(result.data_set[0], "data");
    assert_string_equal(result.data_set[1], "more");
    const kt_fold_result *fold = &result.fold[0];
    assert_int_equal(fold->train_rows, 19 + 24);
    assert_int_equal(fold->validate_rows, 5 + 6);
    assert_int_equal(fold->set_best[0].rows, 5);
    assert_int_equal(fold->set_best[1].rows, 6);
    assert_int_equal(fold->published_best.rows, 0);
    assert_true(
        is_close((5 * fold->set_best[0].mape + 6 * fold->set_best[1].mape) / 11, fold->best.mape, 1e-12, 0));
    assert_true(
        is_close((5 * fold->set_last[0].sre + 6 * fold->set_last[1].sre) / 11, fold->last.sre, 1e-12, 0));

    /* One transform, of the rows of both that are trained on. */
    expected_target(f, true, true, false, &mean, &sd);
    read_weights(f->run, 1, "best.safetensors", &weights);
    assert_true(is_close(metadata_number(&weights, "target_mean"), mean, 1e-12, 0));
    assert_true(is_close(metadata_number(&weights, "target_sd"), sd, 1e-12, 0));
    kti_tensors_destroy(&weights);

    /* Which rows validate is decided in each set by itself. */
    kt_error error = KT_ERROR_NONE;
    char path[PATH_SIZE];
    kti_csv csv = {0};
    bool found;
    int rows = 0, validates[LARGER_SET];
    assert_ok(kti_csv_open(path_in(f->run, "predictions.csv", path), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    for (;;) {
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        if (!found)
            break;
        const int set = strcmp(csv.field[5], "more") == 0, size = set ? LARGER_SET : SMALL_SET;
        double kappa;
        int matches = 0;
        assert_int_equal(set, rows >= 5);
        assert_true(kti_number_parse(csv.field[2], &kappa));
        mark_validation(size, validates);
        for (int i = 0; i < size; i++)
            matches += validates[i] && fabs(log_kappa(set ? f->more : f->data, i) - log10(kappa + 1)) < 1e-7;
        assert_true(matches > 0);
        rows++;
    }
    assert_int_equal(rows, 11);
    kti_csv_close(&csv);

    kt_train_result read;
    assert_ok(kt_train_result_read(f->run, &read, &error), &error);
    assert_int_equal(read.data_sets, 2);
    assert_memory_equal(read.fold, result.fold, sizeof *read.fold);
    kt_train_result_destroy(&read);
    kt_train_result_destroy(&result);

    /* The same sets in one file each or joined, one alone is what it was. */
    options.data[1] = NULL;
    options.run.out = path_in(f->folder.path, "alone", path);
    train(&options, &result);
    assert_int_equal(result.fold[0].set_best[0].rows, 5);
    assert_true(result.fold[0].set_best[0].mape == result.fold[0].best.mape);
    kt_train_result_destroy(&result);
}

/* Each standardised on its own: another run than together; the checkpoint has the transform of all. */
static void test_joined_apart(void **state)
{
    fixture *f = *state;
    char path[PATH_SIZE];
    double kappa[LARGER_SET], mean, sd, loss[2];
    kti_tensors weights = {0};
    /* A set of soft crystals, far from the other's kappa. */
    for (int i = 0; i < LARGER_SET; i++)
        kappa[i] = 0.2 + 0.01 * i;
    make_dataset(path_in(f->folder.path, "soft", f->more), LARGER_SET, kappa);
    kt_train_options options = small_options(f->data, NULL);
    options.data[1] = f->more;
    options.folds = 1;
    options.epochs = 1;
    options.select = KT_SELECT_LAST;
    options.fit_target_on_all = true;
    for (int apart = 0; apart < 2; apart++) {
        options.target_per_data_set = apart;
        options.run.out = path_in(f->folder.path, apart ? "apart" : "together", path);
        train(&options, NULL);
        loss[apart] = epoch_value(path, 1, 1, "train_loss");
        expected_target(f, true, true, true, &mean, &sd);
        read_weights(path, 1, "best.safetensors", &weights);
        assert_true(is_close(metadata_number(&weights, "target_mean"), mean, 1e-12, 0));
        assert_true(is_close(metadata_number(&weights, "target_sd"), sd, 1e-12, 0));
        kti_tensors_destroy(&weights);
    }
    /* A network that predicts about 0 says about the mean: of all kappa that is far off for each set. */
    assert_true(isfinite(loss[0]) && isfinite(loss[1]) && loss[1] < 0.7 * loss[0]);
}

/* ... as in the published code, whose one decoder makes it a compressed kappa. */
static void test_joined_apart_published(void **state)
{
    fixture *f = *state;
    double kappa[LARGER_SET];
    kt_train_result result;
    for (int i = 0; i < LARGER_SET; i++)
        kappa[i] = 0.2 + 0.01 * i;
    make_dataset(path_in(f->folder.path, "soft", f->more), LARGER_SET, kappa);
    kt_train_options options = kt_train_options_default(KT_PUBLISHED);
    options.data[0] = f->data;
    options.folds = 1;
    options.epochs = 1;
    train(&options, &result);
    assert_int_equal(result.fold[0].published_best.rows, 0); /* one set: nothing to decode by but its own */
    kt_train_result_destroy(&result);
    options.data[1] = f->more;
    train(&options, &result);
    assert_int_equal(result.fold[0].published_best.rows, result.fold[0].best.rows);
    assert_true(fabs(result.fold[0].published_best.mape - result.fold[0].best.mape) > 0.01);
    kt_train_result_destroy(&result);
}

/* ---- the restored transform ---- */

static void test_restored(void **state)
{
    fixture *f = *state;
    char base[PATH_SIZE], path[PATH_SIZE];
    const double kappa[SMALL_SET] = {900, 0.5, 700, 0.3};
    kti_tensors weights = {0};
    kt_train_result result;
    double start_mean, start_sd, mean, sd;
    /* Weights with a head and another transform. */
    make_dataset(path_in(f->folder.path, "wide", f->more), SMALL_SET, kappa);
    kt_train_options options = small_options(f->more, path_in(f->folder.path, "base", base));
    options.folds = 1;
    train(&options, NULL);
    read_weights(base, 1, "best.safetensors", &weights);
    start_mean = metadata_number(&weights, "target_mean");
    start_sd = metadata_number(&weights, "target_sd");
    kti_tensors_destroy(&weights);

    options = small_options(f->data, f->run);
    options.folds = 1;
    options.select = KT_SELECT_OUTER;
    options.from = base;
    options.restore_target = true;
    train(&options, &result);
    expected_target(f, true, false, false, &mean, &sd);
    assert_true(fabs(start_sd - sd) > 0.05);
    /* The checkpoint is one that predicts W/(m K). */
    read_weights(f->run, 1, "best.safetensors", &weights);
    assert_true(is_close(metadata_number(&weights, "target_mean"), mean, 1e-12, 0));
    assert_true(is_close(metadata_number(&weights, "target_sd"), sd, 1e-12, 0));
    kti_tensors_destroy(&weights);

    /* The score in the published unit, from the predictions in W/(m K); it is what the epoch was chosen by. */
    kt_error error = KT_ERROR_NONE;
    kti_csv csv = {0};
    bool found;
    double published = 0, own = 0;
    assert_ok(kti_csv_open(path_in(f->run, "predictions.csv", path), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    for (int i = 0; i < 5; i++) {
        double pair[2], scaled[2];
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        assert_true(found);
        for (int k = 0; k < 2; k++) {
            assert_true(kti_number_parse(csv.field[2 + k], &pair[k]));
            scaled[k] = pow(10, (log10(pair[k] + 1) - mean) / sd * start_sd + start_mean) - 1;
        }
        own += fabs(pair[1] - pair[0]) / pair[0] / 5;
        published += fabs(scaled[1] - scaled[0]) / fabs(scaled[0]) / 5;
    }
    kti_csv_close(&csv);
    const kt_fold_result *fold = &result.fold[0];
    assert_int_equal(fold->published_best.rows, 5);
    assert_true(is_close(fold->best.mape, own, 1e-6, 0));
    assert_true(is_close(fold->published_best.mape, published, 1e-6, 0));
    assert_true(is_close(epoch_value(f->run, 1, fold->best_epoch, "select_mape"), published, 1e-6, 0));
    assert_true(fabs(own - published) > 1e-3);
    kt_train_result read;
    assert_ok(kt_train_result_read(f->run, &read, &error), &error);
    assert_memory_equal(read.fold, result.fold, sizeof *read.fold);
    kt_train_result_destroy(&read);
    kt_train_result_destroy(&result);

    /* Both summaries are there. */
    json_t *metrics;
    assert_ok(kti_json_read(path_in(f->run, "metrics.json", path), 1 << 20, &metrics, &error), &error);
    assert_true(json_is_object(json_object_get(metrics, "summary")));
    assert_true(json_is_object(json_object_get(metrics, "summary_published_unit")));
    json_decref(metrics);

    /* Without a head there is nothing to restore: the same run with the switch and without. */
    char without[PATH_SIZE], with[PATH_SIZE];
    options.from = NULL;
    options.run.out = path_in(f->folder.path, "with", with);
    train(&options, &result);
    assert_int_equal(result.fold[0].published_best.rows, 0);
    kt_train_result_destroy(&result);
    options.restore_target = false;
    options.run.out = path_in(f->folder.path, "without", without);
    train(&options, NULL);
    assert_int_equal(run_differs(with, without, 1), 0);
}

int main(void)
{
#define STAGES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STAGES(test_defaults_of_stages),
        STAGES(test_wrong_recipes),
        STAGES(test_tree),
        STAGES(test_reuse),
        STAGES(test_joined),
        STAGES(test_joined_apart),
        STAGES(test_joined_apart_published),
        STAGES(test_restored),
    };
#undef STAGES
    return cmocka_run_group_tests(tests, NULL, NULL);
}
