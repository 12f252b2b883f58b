/* Killed at any moment and resumed: the same bytes as the run that nobody disturbed. */
#include <signal.h>
#include <unistd.h>

#include "support.h"

#include "base/random.h"
#include "train/killed.h"
#include "train/runs.h"

enum { KILLS = 20, FOLDS = 3 };

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], reference[PATH_SIZE];
    double seconds; /* that an undisturbed run of the program takes, checkpoints after every epoch */
    kti_random random;
} fixture;

/* Starts `kappatune train` on the small data set with a checkpoint after every epoch. */
static pid_t start(const fixture *f, const char *run, int resume)
{
    const char *const arguments[] = {"kappatune",
                                     "train",
                                     "--data",
                                     f->data,
                                     "--out",
                                     run,
                                     "--folds",
                                     "3",
                                     "--epochs",
                                     "8",
                                     "--threads",
                                     "2",
                                     "--checkpoint-every",
                                     "0",
                                     "--quiet",
                                     resume ? "--resume" : NULL,
                                     NULL};
    return start_program(arguments);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    f->random = kti_random_stream(2024, 100, 0, 0);
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    const double started = now();
    assert_int_equal(wait_for(start(f, path_in(f->folder.path, "reference", f->reference), 0)), 0);
    f->seconds = now() - started;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

/* Kills are spread over the whole run: each attempt lives for up to an eighth of it. A run that ends before
 * it is killed is compared, and a new one begun. */
static void test_sigkill(void **state)
{
    fixture *f = *state;
    int kills = 0, runs = 0;
    while (kills < KILLS) {
        char name[32], run[PATH_SIZE];
        int status = -SIGKILL;
        snprintf(name, sizeof name, "killed%d", runs++);
        path_in(f->folder.path, name, run);
        while (status == -SIGKILL && kills < KILLS) {
            const pid_t child = start(f, run, access(run, F_OK) == 0);
            pause_for(kti_random_uniform(&f->random) * f->seconds / 3);
            kill(child, SIGKILL);
            status = wait_for(child);
            kills += status == -SIGKILL;
        }
        if (status == -SIGKILL)
            status = wait_for(start(f, run, 1));
        assert_int_equal(status, 0);
        assert_int_equal(run_differs(f->reference, run, FOLDS), 0);
    }
    print_message("%d kills in %d runs\n", kills, runs);
}

static void test_sigterm(void **state)
{
    fixture *f = *state;
    int stopped = 0;
    for (int attempt = 0; attempt < 20 && stopped < 2; attempt++) {
        char name[32], run[PATH_SIZE];
        snprintf(name, sizeof name, "stopped%d", attempt);
        path_in(f->folder.path, name, run);
        const pid_t child = start(f, run, 0);
        pause_for((0.2 + 0.6 * kti_random_uniform(&f->random)) * f->seconds);
        kill(child, SIGTERM);
        const int status = wait_for(child);
        if (status == -SIGTERM || status == 0)
            continue; /* before its handler was there, or after the end */
        assert_int_equal(status, 4);
        assert_int_equal(count_events(run, "stopped", NULL, NULL, NULL), 1);
        stopped++;
        assert_int_equal(wait_for(start(f, run, 1)), 0);
        assert_int_equal(run_differs(f->reference, run, FOLDS), 0);
        assert_int_equal(count_events(run, "resumed", NULL, NULL, NULL), 1);
        assert_int_equal(count_events(run, "finished", NULL, NULL, NULL), 1);
    }
    assert_int_equal(stopped, 2);
}

static int stop_after(void *user, const kt_train_progress *progress)
{
    return progress->epochs_done >= *(const int64_t *)user;
}

/* By the library, one stop after the other. */
static void test_stop_on_request(void **state)
{
    fixture *f = *state;
    char run[PATH_SIZE];
    kt_train_options options = small_options(f->data, path_in(f->folder.path, "request", run));
    int64_t limit;
    int stops = 0;
    kt_status status;
    options.epochs = 8;
    options.run.progress = stop_after;
    options.run.user = &limit;
    do {
        kt_error error = KT_ERROR_NONE;
        kt_train_result result;
        limit = 5 * (stops + 1);
        options.run.resume = stops > 0;
        options.run.threads = 1 + stops % 3;
        status = kt_train(&options, &result, &error);
        assert_true(status == KT_OK || status == KT_INTERRUPTED);
        stops += status == KT_INTERRUPTED;
        kt_train_result_destroy(&result);
    } while (status != KT_OK);
    assert_true(stops >= 2);
    assert_int_equal(run_differs(f->reference, run, FOLDS), 0);
}

/* A finished run resumed writes the same results once more. */
static void test_finished(void **state)
{
    fixture *f = *state;
    char run[PATH_SIZE];
    path_in(f->folder.path, "finished", run);
    assert_int_equal(wait_for(start(f, run, 0)), 0);
    assert_int_equal(wait_for(start(f, run, 1)), 0);
    assert_int_equal(run_differs(f->reference, run, FOLDS), 0);
}

/* A fold that has ended, but whose product a kill prevented: the resumed run writes it. */
static void test_lost_product(void **state)
{
    fixture *f = *state;
    char run[PATH_SIZE], product[PATH_SIZE];
    path_in(f->folder.path, "lost", run);
    assert_int_equal(wait_for(start(f, run, 0)), 0);
    assert_int_equal(remove(path_in(run, "folds/2/best.safetensors", product)), 0);
    assert_int_equal(wait_for(start(f, run, 1)), 0);
    assert_int_equal(run_differs(f->reference, run, FOLDS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigkill),         cmocka_unit_test(test_sigterm),
        cmocka_unit_test(test_stop_on_request), cmocka_unit_test(test_finished),
        cmocka_unit_test(test_lost_product),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
