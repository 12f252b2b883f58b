/* Replicas: each is the run that its seed gives alone, to the bit, trained at once, stopped and resumed at once. */
#include <kappatune/train.h>

#include "support.h"

#include "device/tested.h"
#include "train/runs.h"

#ifdef KTI_TESTS_EMULATED
#include "cuda_emulator/emulator.h"
enum { REPLICAS = 2, EPOCHS = 1 };
#ifndef KTI_TESTS_GPU
#define KTI_TESTS_LAUNCHES
static long launches_alone;
#endif
#else
enum { REPLICAS = 3, EPOCHS = 2 };
#endif

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], alone[REPLICAS][PATH_SIZE]; /* finished runs of one seed each */
} fixture;

static kt_train_options options_of(const fixture *f, const char *name, char path[PATH_SIZE])
{
    kt_train_options options = small_options(f->data, path_in(f->folder.path, name, path));
    options.run.device = TESTED_DEVICE;
    options.epochs = EPOCHS;
    options.seed = 7;
    return options;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    tested_start();
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    for (int i = 0; i < REPLICAS; i++) {
        char name[32];
        snprintf(name, sizeof name, "alone%d", i);
        kt_train_options options = options_of(f, name, f->alone[i]);
        options.seed += (uint64_t)i;
        train(&options, NULL);
#ifdef KTI_TESTS_LAUNCHES
        launches_alone = emulator_calls_of("cudaGraphLaunch") / (i + 1);
#endif
    }
    tested_end();
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

static void assert_same(const fixture *f, const char *out)
{
    for (int i = 0; i < REPLICAS; i++) {
        char name[32], path[PATH_SIZE];
        snprintf(name, sizeof name, "seed-%d", 7 + i);
        assert_int_equal(run_differs(f->alone[i], path_in(out, name, path), 3), 0);
        assert_int_equal(differs(f->alone[i], path, "metrics.json"), 0);
        assert_int_equal(differs(f->alone[i], path, "recipe.json"), 0);
        assert_int_equal(differs(f->alone[i], path, "epochs.csv"), 0);
        assert_int_equal(differs(f->alone[i], path, "predictions.csv"), 0);
    }
}

static void destroy(kt_train_result *results)
{
    for (int i = 0; i < REPLICAS; i++)
        kt_train_result_destroy(&results[i]);
}

static void test_replicas(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kt_train_result results[REPLICAS];
    char out[PATH_SIZE];
    tested_start();
    const kt_train_options options = options_of(f, "together", out);
#ifdef KTI_TESTS_LAUNCHES
    const long before = emulator_calls_of("cudaGraphLaunch");
#endif
    assert_ok(kt_train_replicas(&options, REPLICAS, results, &error), &error);
#ifdef KTI_TESTS_LAUNCHES
    assert_int_equal(emulator_calls_of("cudaGraphLaunch") - before, launches_alone); /* one a step for all */
#endif
    for (int i = 0; i < REPLICAS; i++) {
        kt_train_result alone;
        assert_ok(kt_train_result_read(f->alone[i], &alone, &error), &error);
        assert_int_equal(results[i].folds, alone.folds);
        for (int n = 0; n < alone.folds; n++)
            assert_true(results[i].fold[n].best.mape == alone.fold[n].best.mape);
        kt_train_result_destroy(&alone);
    }
    /* The seeds do differ. */
    assert_true(results[0].fold[0].best.mape != results[1].fold[0].best.mape);
    destroy(results);
    assert_same(f, out);
    tested_end();
}

#ifndef KTI_TESTS_EMULATED
static int stop_early(void *user, const kt_train_progress *progress)
{
    int *seeds = user;
    assert_int_equal(progress->replicas, REPLICAS);
    assert_in_range(progress->seed, 7, 7 + REPLICAS - 1);
    seeds[progress->seed - 7]++;
    return progress->epochs_done >= 5;
}

static void test_resume(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kt_train_result results[REPLICAS];
    char out[PATH_SIZE];
    int seeds[REPLICAS] = {0};
    tested_start();
    kt_train_options options = options_of(f, "stopped", out);
    options.run.progress = stop_early;
    options.run.user = seeds;
    assert_int_equal(kt_train_replicas(&options, REPLICAS, results, &error), KT_INTERRUPTED);
    error = (kt_error)KT_ERROR_NONE;
    options.run.progress = NULL;
    assert_int_equal(kt_train_replicas(&options, REPLICAS, results, &error), KT_BAD_ARGUMENT);
    assert_non_null(strstr(error.message, "--resume"));
    error = (kt_error)KT_ERROR_NONE;
    options.run.resume = true;
    assert_ok(kt_train_replicas(&options, REPLICAS, results, &error), &error);
    destroy(results);
    assert_same(f, out);
    tested_end();
}

#endif

static void test_refusals(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kt_train_result results[REPLICAS];
    char out[PATH_SIZE];
    kt_train_options options = options_of(f, "alone0", out);
    assert_int_equal(kt_train_replicas(&options, REPLICAS, results, &error), KT_BAD_ARGUMENT);
    assert_non_null(strstr(error.message, "a run of one seed"));
    options.run.out = NULL;
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kt_train_replicas(&options, 0, results, &error), KT_BAD_ARGUMENT);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kt_train_replicas(&options, KT_MAX_REPLICAS + 1, results, &error), KT_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replicas),
#ifndef KTI_TESTS_EMULATED /* half a minute there, for what the trainer does on any device */
        cmocka_unit_test(test_resume),
#endif
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
