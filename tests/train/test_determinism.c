/* Same bits: from run to run, for any number of threads, for a fold alone, however often checkpoints are
 * written. */
#include <unistd.h>

#include "support.h"

#include "train/runs.h"

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], run[PATH_SIZE]; /* a finished run of one thread */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    const kt_train_options options = small_options(f->data, path_in(f->folder.path, "run", f->run));
    train(&options, NULL);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

static void test_two_runs(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    const kt_train_options options = small_options(f->data, path_in(f->folder.path, "again", other));
    train(&options, NULL);
    assert_int_equal(run_differs(f->run, other, 3), 0);
}

/* The comparison itself can fail: another seed gives other weights, scores and histories. */
static void test_another_seed(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "seed", other));
    options.seed = 43;
    train(&options, NULL);
    print_message("The differences that follow are meant to be there.\n");
    assert_int_equal(run_differs(f->run, other, 3), 9);
}

static void test_threads(void **state)
{
    const fixture *f = *state;
    for (int threads = 2; threads <= 4; threads++) {
        char name[32], other[PATH_SIZE];
        snprintf(name, sizeof name, "threads%d", threads);
        kt_train_options options = small_options(f->data, path_in(f->folder.path, name, other));
        options.run.threads = threads; /* 4 is more than there are folds */
        train(&options, NULL);
        assert_int_equal(run_differs(f->run, other, 3), 0);
    }
}

static void test_a_fold_alone(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE], path[PATH_SIZE];
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "alone", other));
    options.run.only_fold = 2;
    train(&options, NULL);
    assert_int_equal(differs(f->run, other, "folds/2/last.safetensors"), 0);
    assert_int_equal(differs(f->run, other, "folds/2/best.safetensors"), 0);
    assert_int_not_equal(access(path_in(other, "folds/1", path), F_OK), 0);
}

static void test_checkpoints(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "often", other));
    options.run.checkpoint_seconds = 0;
    train(&options, NULL);
    assert_int_equal(run_differs(f->run, other, 3), 0);
}

static void test_nothing_written(void **state)
{
    const fixture *f = *state;
    kt_train_result with, without;
    char other[PATH_SIZE];
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "with", other));
    train(&options, &with);
    options.run.out = NULL;
    train(&options, &without);
    assert_int_equal(with.folds, 3);
    assert_int_equal(without.folds, 3);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(&with.fold[i].best, &without.fold[i].best, sizeof with.fold[i].best);
        assert_memory_equal(&with.fold[i].last, &without.fold[i].last, sizeof with.fold[i].last);
    }
    kt_train_result_destroy(&with);
    kt_train_result_destroy(&without);
}

static void test_nine_folds(void **state)
{
    const fixture *f = *state;
    char one[PATH_SIZE], two[PATH_SIZE];
    kt_train_options options = small_options(data_path("togo15"), path_in(f->folder.path, "nine1", one));
    options.from = megnet_weights();
    options.folds = 9;
    options.epochs = 2;
    train(&options, NULL);
    options.run.out = path_in(f->folder.path, "nine2", two);
    options.run.threads = 2;
    train(&options, NULL);
    assert_int_equal(run_differs(one, two, 9), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_runs),    cmocka_unit_test(test_another_seed),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_a_fold_alone),
        cmocka_unit_test(test_checkpoints), cmocka_unit_test(test_nothing_written),
        cmocka_unit_test(test_nine_folds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
