/* The optimiser's options in whole runs: stopped and resumed, on any number of threads, frozen bodies, running means that
 * are kept and scored, noise, the schedule's end, values that are refused. */
#include "support.h"

#include "base/file.h"
#include "model/safetensors.h"
#include "model/spec.h"
#include "train/recipe.h"
#include "train/runs.h"

enum { FOLDS = 3, EPOCHS = 6, CASES = 10 };

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], start[PATH_SIZE];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    make_weights(path_in(f->folder.path, "start.safetensors", f->start), 7, NULL);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

static kt_train_options options_of(const fixture *f, const char *name, char run[PATH_SIZE])
{
    kt_train_options o = small_options(f->data, path_in(f->folder.path, name, run));
    o.epochs = EPOCHS;
    return o;
}

/* One option each, and then all at once. */
static void choose(int number, const fixture *f, kt_train_options *o)
{
    const int all = number == CASES - 1;
    if (number == 0 || all)
        o->weight_average = 0.9;
    if (number == 1 || all)
        o->weight_decay = 0.1;
    if (number == 2 || all)
        o->clip_norm = 0.5;
    if (number == 3 || all)
        o->label_noise = 0.1;
    if (number == 4 || all)
        o->loss = KT_LOSS_LOG;
    if (number == 5)
        o->loss = KT_LOSS_LOG_ABSOLUTE;
    if (number == 6 || all)
        o->body_rate = 0.3;
    if (number == 7) {
        o->freeze = KT_FREEZE_BODY;
        o->from = f->start;
    }
    if (number == 8 || all)
        o->physics_inputs = true;
    if (all)
        o->schedule_period = 0;
}

static int stop_after(void *user, const kt_train_progress *progress)
{
    return progress->epochs_done >= *(const int64_t *)user;
}

/* Each option changes the result; stopped and resumed, and with another number of threads, it is the same to the bit. */
static void test_resume(void **state)
{
    const fixture *f = *state;
    char plain[PATH_SIZE];
    print_message("Runs with other options differ; the messages that say so are meant to be there.\n");
    kt_train_options o = options_of(f, "plain", plain);
    train(&o, NULL);
    for (int number = 0; number < CASES; number++) {
        char name[32], run[PATH_SIZE], resumed[PATH_SIZE];
        int64_t limit = 0;
        int stops = 0;
        kt_status status;
        snprintf(name, sizeof name, "whole%d", number);
        o = options_of(f, name, run);
        choose(number, f, &o);
        train(&o, NULL);
        assert_true(differs(plain, run, "predictions.csv"));
        snprintf(name, sizeof name, "resumed%d", number);
        o.run.out = path_in(f->folder.path, name, resumed);
        o.run.progress = stop_after;
        o.run.user = &limit;
        do {
            kt_error error = KT_ERROR_NONE;
            kt_train_result result;
            limit = 5 * (stops + 1);
            o.run.resume = stops > 0;
            o.run.threads = 1 + stops % 2;
            status = kt_train(&o, &result, &error);
            assert_true(status == KT_OK || status == KT_INTERRUPTED);
            stops += status == KT_INTERRUPTED;
            kt_train_result_destroy(&result);
        } while (status != KT_OK);
        assert_true(stops >= 2);
        if (run_differs(run, resumed, FOLDS) != 0)
            fail_msg("option %d: a resumed run differs", number);
    }
}

/* Whether a tensor has the same numbers in both files. */
static int same_tensor(const kti_tensors *left, const char *left_name, const kti_tensors *right,
                       const char *name)
{
    const kti_tensor *a = kti_tensors_find(left, left_name), *b = kti_tensors_find(right, name);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->elements, b->elements);
    return memcmp(a->data, b->data, a->elements * kti_dtype_size(a->dtype)) == 0;
}

static void test_freeze(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    char run[PATH_SIZE];
    kti_tensors start = {0}, best = {0};
    int size, same[KTI_PART_PHYSICS + 1] = {0}, count[KTI_PART_PHYSICS + 1] = {0};
    const kti_parameter *spec = kti_spec(&size);
    kt_train_options o = options_of(f, "frozen", run);
    o.from = f->start;
    o.freeze = KT_FREEZE_BODY;
    o.weight_decay = 0.1;
    o.select = KT_SELECT_LAST;
    train(&o, NULL);
    assert_ok(kti_safetensors_read(f->start, &start, &error), &error);
    read_weights(run, 1, "best.safetensors", &best);
    for (int i = 0; i < size; i++)
        if (spec[i].part != KTI_PART_EFORM) {
            same[spec[i].part] += same_tensor(&start, spec[i].name, &best, spec[i].name);
            count[spec[i].part]++;
        }
    assert_true(count[KTI_PART_BODY] > 90 && count[KTI_PART_HEAD] == 8);
    assert_int_equal(same[KTI_PART_BODY], count[KTI_PART_BODY]);
    assert_int_equal(same[KTI_PART_HEAD], 0);
    kti_tensors_destroy(&start);
    kti_tensors_destroy(&best);
}

/* With the last epoch selected the product is the last running mean, which is not the last weights; the scores are the
 * mean's: a run that stops at the same weights without it has others. */
static void test_average(void **state)
{
    const fixture *f = *state;
    char run[PATH_SIZE], plain[PATH_SIZE];
    kti_tensors last = {0}, best = {0}, other = {0};
    kt_train_options o = options_of(f, "averaged", run);
    o.select = KT_SELECT_LAST;
    o.weight_average = 0.95;
    train(&o, NULL);
    o = options_of(f, "unaveraged", plain);
    o.select = KT_SELECT_LAST;
    train(&o, NULL);
    read_weights(run, 2, "last.safetensors", &last);
    read_weights(run, 2, "best.safetensors", &best);
    read_weights(plain, 2, "last.safetensors", &other);
    assert_true(same_tensor(&last, "average.head.layers.1.weight", &best, "head.layers.1.weight"));
    assert_false(same_tensor(&last, "head.layers.1.weight", &best, "head.layers.1.weight"));
    assert_true(same_tensor(&last, "head.layers.1.weight", &other, "head.layers.1.weight"));
    assert_null(kti_tensors_find(&other, "average.head.layers.1.weight"));
    assert_true(differs(run, plain, "predictions.csv"));
    kti_tensors_destroy(&last);
    kti_tensors_destroy(&best);
    kti_tensors_destroy(&other);
}

/* The rate of the last epoch is nearly the least one when the period is the run. */
static void test_schedule(void **state)
{
    const fixture *f = *state;
    char run[PATH_SIZE];
    kt_train_options o = options_of(f, "schedule", run);
    o.schedule_period = 0;
    o.schedule_ticks = 0;
    train(&o, NULL);
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        const double expected = 1e-5 + (1e-3 - 1e-5) * (1 + cos(acos(-1) * (epoch - 1) / EPOCHS)) / 2;
        assert_true(is_close(epoch_value(run, 1, epoch, "learning_rate"), expected, 1e-9, 0));
    }
}

static void test_refusals(void **state)
{
    const fixture *f = *state;
    char run[PATH_SIZE];
    kt_error error;
    const kt_train_options good = options_of(f, "refused", run);
#define BAD(field, value)                                                                                    \
    do {                                                                                                     \
        kt_train_options o = good;                                                                           \
        error = (kt_error)KT_ERROR_NONE;                                                                     \
        o.field = (value);                                                                                   \
        assert_int_equal(kti_recipe_check(&o, &error), KT_BAD_ARGUMENT);                                     \
        assert_non_null(strstr(error.message, "`" #field "`"));                                              \
    } while (0)
    BAD(body_rate, -1);
    BAD(body_rate, NAN);
    BAD(weight_decay, -1e-9);
    BAD(weight_decay, 11);
    BAD(clip_norm, -1);
    BAD(clip_norm, INFINITY);
    BAD(weight_average, 1);
    BAD(weight_average, -0.1);
    BAD(label_noise, -1);
    BAD(label_noise, NAN);
    BAD(schedule_period, -1);
#undef BAD
}

/* Words that stand for nothing, and numbers out of range, in a recipe file: the key is named. */
static void test_recipe_refusals(void **state)
{
    static const char *const cases[][2] = {
        {"{\"loss\": \"rmse\"}", "\"mape\", \"log\", \"log_absolute\""},
        {"{\"loss\": 2}", "`loss`"},
        {"{\"freeze\": \"head\"}", "\"none\", \"body\""},
        {"{\"freeze\": true}", "`freeze`"},
        {"{\"physics_inputs\": 1}", "`physics_inputs`"},
        {"{\"weight_average\": 1}", "`weight_average`"},
        {"{\"weight_decay\": \"some\"}", "`weight_decay`"},
        {"{\"clip_norm\": -1}", "`clip_norm`"},
        {"{\"label_noise\": 11}", "`label_noise`"},
        {"{\"body_rate\": 101}", "`body_rate`"},
    };
    const fixture *f = *state;
    const kt_train_options common = kt_train_options_default(KT_SOUND);
    char path[PATH_SIZE];
    path_in(f->folder.path, "recipe.json", path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        kt_recipe recipe = {0};
        assert_ok(kti_file_write(path, cases[i][0], strlen(cases[i][0]), &error), &error);
        assert_int_equal(kt_recipe_read(path, &common, &recipe, &error), KT_BAD_FORMAT);
        if (!strstr(error.message, cases[i][1]))
            fail_msg("%s: \"%s\" does not say %s", cases[i][0], error.message, cases[i][1]);
        kt_recipe_destroy(&recipe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume),   cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_average),  cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_recipe_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
