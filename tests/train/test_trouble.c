/* Training that goes wrong: steps that are not finite, losses that explode, folds that collapse. Each is
 * survived by the rule that train/rescue.h states, and told.
 */
#include <jansson.h>

#include "support.h"

#include "base/file.h"
#include "train/runs.h"

enum { FOLDS = 3 };

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], run[PATH_SIZE], other[PATH_SIZE], weights[PATH_SIZE];
    messages said;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    path_in(f->folder.path, "run", f->run);
    path_in(f->folder.path, "other", f->other);
    path_in(f->folder.path, "weights.safetensors", f->weights);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

static kt_train_options options_of(fixture *f, const char *from)
{
    kt_train_options options = small_options(f->data, f->run);
    options.from = from;
    options.run.message = collect_message;
    options.run.user = &f->said;
    return options;
}

static int stop_half_way(void *user, const kt_train_progress *progress)
{
    (void)user;
    return progress->epochs_done >= progress->epochs_total / 2;
}

/* The same run once more in `other`, stopped in its middle and resumed: the same bytes. */
static void check_repeatable(fixture *f, kt_train_options options)
{
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    options.run.out = f->other;
    options.run.message = NULL;
    options.run.progress = stop_half_way;
    options.run.threads = 2;
    assert_int_equal(kt_train(&options, &result, &error), KT_INTERRUPTED);
    options.run.progress = NULL;
    options.run.resume = true;
    train(&options, NULL);
    assert_int_equal(differs(f->run, f->other, "epochs.csv") + differs(f->run, f->other, "metrics.json") +
                         differs(f->run, f->other, "predictions.csv"),
                     0);
    for (int fold = 1; fold <= FOLDS; fold++) {
        char name[64];
        snprintf(name, sizeof name, "folds/%d/last.safetensors", fold);
        assert_int_equal(differs(f->run, f->other, name), 0);
    }
}

/* Every weight on disk is finite: the strict reader refuses others. */
static void check_weights(const fixture *f)
{
    for (int fold = 1; fold <= FOLDS; fold++) {
        kti_tensors tensors;
        read_weights(f->run, fold, "last.safetensors", &tensors);
        kti_tensors_destroy(&tensors);
    }
}

/* A kappa beyond float32 makes the loss of the one batch that holds it NaN. */
static void test_skipped_steps(void **state)
{
    fixture *f = *state;
    double kappa[SMALL_SET] = {[3] = 1e39};
    char data[PATH_SIZE], text[64];
    kt_train_result result;
    int in_csv = 0, in_result = 0, troubled = 0, fold, epoch, batch;
    make_dataset(path_in(f->folder.path, "beyond", data), SMALL_SET, kappa);
    kt_train_options options = options_of(f, NULL);
    options.data[0] = data;
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        in_result += result.fold[i].skipped_steps;
        troubled += result.fold[i].skipped_steps > 0;
        for (int e = 1; e <= options.epochs; e++)
            in_csv += (int)epoch_value(f->run, i + 1, e, "skipped");
    }
    kt_train_result_destroy(&result);
    const int logged = count_events(f->run, "skipped", &fold, &epoch, &batch);
    assert_true(logged >= options.epochs);
    assert_int_equal(in_csv, logged);
    assert_int_equal(in_result, logged);
    /* A trouble that stays is said aloud once a fold. */
    assert_int_equal(count_messages(&f->said, "the step is skipped"), troubled);
    assert_in_range(fold, 1, FOLDS);
    assert_in_range(epoch, 1, options.epochs);
    assert_in_range(batch, 1, 2); /* 16 rows, 8 a batch */
    snprintf(text, sizeof text, "fold %d, epoch 1, batch ", fold);
    assert_int_equal(count_messages(&f->said, text), 1);
    check_weights(f);
    check_repeatable(f, options);
}

/* Smallest and largest kappa that are numbers at all. */
static void test_extreme_kappa(void **state)
{
    fixture *f = *state;
    static const double extremes[] = {1e-300, 1e300, 5e-324, 1.7e308};
    for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
        double kappa[SMALL_SET] = {[0] = extremes[i], [7] = extremes[i]};
        char name[32], data[PATH_SIZE], run[PATH_SIZE];
        snprintf(name, sizeof name, "extreme%zu", i);
        make_dataset(path_in(f->folder.path, name, data), SMALL_SET, kappa);
        snprintf(name, sizeof name, "extremerun%zu", i);
        kt_train_options options = small_options(data, path_in(f->folder.path, name, run));
        train(&options, NULL);
        for (int fold = 1; fold <= FOLDS; fold++) {
            kti_tensors tensors;
            read_weights(run, fold, "last.safetensors", &tensors);
            kti_tensors_destroy(&tensors);
        }
    }
}

static void enlarge(kti_tensors *tensors)
{
    for (size_t i = 0; i < tensors->size; i++)
        scale_tensor(tensors, tensors->list[i].name, 1000, 0);
}

/* Start weights so large that no step is ever finite. */
static void test_hopeless_weights(void **state)
{
    fixture *f = *state;
    kt_train_result result;
    char path[PATH_SIZE];
    size_t size;
    make_weights(f->weights, 1, enlarge);
    kt_train_options options = options_of(f, f->weights);
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        assert_int_equal(result.fold[i].skipped_steps, 2 * options.epochs);
        assert_int_equal(result.fold[i].rescues, 5);
        assert_int_equal(result.fold[i].best_epoch, 0);
        assert_true(result.fold[i].failed);
        assert_false(result.fold[i].collapsed); /* not known to be */
        assert_false(isfinite(result.fold[i].best.mape));
        assert_true(isnan(epoch_value(f->run, i + 1, 1, "train_loss")));
    }
    kt_train_result_destroy(&result);
    assert_int_equal(count_events(f->run, "rescue", NULL, NULL, NULL), 5 * FOLDS);
    assert_int_equal(count_events(f->run, "trouble", NULL, NULL, NULL), FOLDS);
    check_weights(f);
    check_repeatable(f, options);
    char *metrics = read_whole(path_in(f->run, "metrics.json", path), &size);
    json_t *root = json_loadb(metrics, size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_true(
        json_is_null(json_object_get(json_object_get(json_object_get(root, "summary"), "mape"), "mean")));
    json_decref(root);
    free(metrics);
}

static void predict_low(kti_tensors *tensors)
{
    scale_tensor(tensors, "head.layers.3.weight", 20, 0); /* else random weights tell no crystals apart */
    scale_tensor(tensors, "head.layers.3.bias", 0, -4);
}

/* A schedule that goes to and fro: a rate too small to change anything in odd epochs, and in even ones a rate
 * that throws every prediction from far too small to far too large in a single step. */
static kt_train_options exploding(fixture *f)
{
    kt_train_options options = options_of(f, f->weights);
    make_weights(f->weights, 1, predict_low);
    options.learning_rate = 1e-9;
    options.min_learning_rate = 0.007;
    options.schedule_period = 1;
    options.schedule_ticks = 1;
    return options;
}

static void test_explosion(void **state)
{
    fixture *f = *state;
    kt_train_result result;
    int epoch;
    const kt_train_options options = exploding(f);
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        const double loss = epoch_value(f->run, i + 1, 2, "train_loss");
        assert_true(isfinite(loss) && loss > 10 * epoch_value(f->run, i + 1, 1, "train_loss"));
        assert_true(epoch_value(f->run, i + 1, 1, "rescued") == 0);
        assert_true(epoch_value(f->run, i + 1, 2, "rescued") == 1);
        /* Halved, and back where it stood: the next small step gives the first epoch's loss again. */
        assert_true(is_close(epoch_value(f->run, i + 1, 3, "learning_rate"), 0.5e-9, 1e-6, 0));
        assert_true(is_close(epoch_value(f->run, i + 1, 3, "select_mape"),
                             epoch_value(f->run, i + 1, 1, "select_mape"), 1e-4, 0));
        assert_true(
            is_close(epoch_value(f->run, i + 1, 4, "learning_rate"), options.min_learning_rate / 2, 1e-6, 0));
        assert_true(result.fold[i].rescues >= 1);
        assert_true(isfinite(result.fold[i].best.mape));
    }
    kt_train_result_destroy(&result);
    assert_true(count_events(f->run, "rescue", NULL, &epoch, NULL) >= FOLDS);
    assert_true(count_messages(&f->said,
                               "epoch 2: the loss exploded; it goes back to where it stood after epoch 1") ==
                FOLDS);
    check_weights(f);
    check_repeatable(f, options);
}

/* Nobody would train what a rescue after the last epoch leaves behind. */
static void test_explosion_at_the_end(void **state)
{
    fixture *f = *state;
    kt_train_result result;
    kt_train_options options = exploding(f);
    options.epochs = 2;
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        assert_true(epoch_value(f->run, i + 1, 2, "train_loss") >
                    10 * epoch_value(f->run, i + 1, 1, "train_loss"));
        assert_true(epoch_value(f->run, i + 1, 2, "rescued") == 0);
        assert_int_equal(result.fold[i].rescues, 0);
        assert_int_equal(result.fold[i].best_epoch, 1);
    }
    kt_train_result_destroy(&result);
    assert_int_equal(count_events(f->run, "rescue", NULL, NULL, NULL), 0);
    assert_int_equal(count_events(f->run, "trouble", NULL, NULL, NULL), FOLDS);
}

/* With KT_SELECT_LAST the product is the last epoch's, whatever happened in it. */
static void test_last_means_last(void **state)
{
    fixture *f = *state;
    kt_train_result result;
    kt_train_options options = exploding(f);
    options.epochs = 2;
    options.select = KT_SELECT_LAST;
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        kti_tensors last, best;
        assert_int_equal(result.fold[i].best_epoch, 2);
        assert_int_equal(result.fold[i].select_rows, 0);
        assert_true(result.fold[i].best.mape == result.fold[i].last.mape);
        read_weights(f->run, i + 1, "last.safetensors", &last);
        read_weights(f->run, i + 1, "best.safetensors", &best);
        for (size_t j = 0; j < best.size; j++) {
            const kti_tensor *other = kti_tensors_find(&last, best.list[j].name);
            assert_non_null(other);
            assert_memory_equal(best.list[j].data, other->data, best.list[j].elements * sizeof(float));
        }
        kti_tensors_destroy(&last);
        kti_tensors_destroy(&best);
    }
    kt_train_result_destroy(&result);
}

/* One row to choose the epoch on has no spread, which is no collapse. */
static void test_few_rows(void **state)
{
    fixture *f = *state;
    kt_train_result result;
    char data[PATH_SIZE];
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_make_folder(path_in(f->folder.path, "few", data), &error), &error);
    make_dataset(data, 8, NULL);
    kt_train_options options = options_of(f, NULL);
    options.data[0] = data;
    options.epochs = 12;
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        assert_int_equal(result.fold[i].select_rows, 1);
        assert_int_equal(result.fold[i].rescues, 0);
        assert_false(result.fold[i].collapsed);
        assert_false(result.fold[i].failed);
    }
    kt_train_result_destroy(&result);
}

/* The published code knows no rescue: it is told, and goes on. */
static void test_explosion_published(void **state)
{
    fixture *f = *state;
    kt_train_result result;
    kt_train_options options = exploding(f);
    options.protocol = KT_PUBLISHED;
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        assert_int_equal(result.fold[i].rescues, 0);
        assert_true(epoch_value(f->run, i + 1, 2, "rescued") == 0);
        assert_true(is_close(epoch_value(f->run, i + 1, 3, "learning_rate"), 1e-9, 1e-6, 0));
    }
    kt_train_result_destroy(&result);
    assert_int_equal(count_events(f->run, "rescue", NULL, NULL, NULL), 0);
    assert_int_equal(count_messages(&f->said, "epoch 2: the loss exploded; it goes on as it is"), FOLDS);
    check_repeatable(f, options);
}

/* No unit of the last hidden layer ever fires: the prediction is the last bias, and no gradient passes. */
static void kill_head(kti_tensors *tensors)
{
    scale_tensor(tensors, "head.layers.2.bias", 0, -1000);
}

/* And that bias is so low that every kappa is -1. */
static void kill_head_at_minus_one(kti_tensors *tensors)
{
    kill_head(tensors);
    scale_tensor(tensors, "head.layers.3.bias", 0, -1000);
}

static void collapse(fixture *f, void (*change)(kti_tensors *))
{
    kt_train_result result;
    make_weights(f->weights, 1, change);
    kt_train_options options = options_of(f, f->weights);
    options.epochs = 30;
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        for (int e = 1; e <= 10; e++) {
            assert_true(epoch_value(f->run, i + 1, e, "spread") == 0);
            assert_true(epoch_value(f->run, i + 1, e, "rescued") == (e == 10));
        }
        assert_true(epoch_value(f->run, i + 1, 11, "spread") > 1e-4);
        assert_true(epoch_value(f->run, i + 1, 30, "spread") > 1e-4);
        assert_int_equal(result.fold[i].rescues, 1);
        assert_int_equal(result.fold[i].collapsed, result.fold[i].best_epoch <= 10);
    }
    assert_false(result.fold[0].collapsed && result.fold[1].collapsed && result.fold[2].collapsed);
    kt_train_result_destroy(&result);
    assert_int_equal(count_events(f->run, "rescue", NULL, NULL, NULL), FOLDS);
    assert_int_equal(
        count_messages(&f->said, "epoch 10: the predictions collapsed to one number; it starts again"),
        FOLDS);
    check_weights(f);
    check_repeatable(f, options);
}

static void test_collapse(void **state)
{
    collapse(*state, kill_head);
}

static void test_collapse_to_minus_one(void **state)
{
    collapse(*state, kill_head_at_minus_one);
}

static void test_collapse_published(void **state)
{
    fixture *f = *state;
    kt_train_result result;
    make_weights(f->weights, 1, kill_head);
    kt_train_options options = options_of(f, f->weights);
    options.protocol = KT_PUBLISHED;
    options.epochs = 14;
    train(&options, &result);
    for (int i = 0; i < FOLDS; i++) {
        assert_true(result.fold[i].collapsed);
        assert_int_equal(result.fold[i].rescues, 0);
        assert_true(epoch_value(f->run, i + 1, 14, "spread") == 0);
        assert_false(isfinite(result.fold[i].best.spearman)); /* no order among equal numbers */
        assert_true(isfinite(result.fold[i].best.mape));
    }
    kt_train_result_destroy(&result);
    assert_int_equal(count_events(f->run, "rescue", NULL, NULL, NULL), 0);
    assert_int_equal(count_events(f->run, "trouble", NULL, NULL, NULL), FOLDS);
    check_repeatable(f, options);
}

int main(void)
{
#define TROUBLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TROUBLE(test_skipped_steps),
        TROUBLE(test_extreme_kappa),
        TROUBLE(test_hopeless_weights),
        TROUBLE(test_explosion),
        TROUBLE(test_explosion_published),
        TROUBLE(test_collapse),
        TROUBLE(test_collapse_to_minus_one),
        TROUBLE(test_collapse_published),
        TROUBLE(test_explosion_at_the_end),
        TROUBLE(test_last_means_last),
        TROUBLE(test_few_rows),
    };
#undef TROUBLE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
