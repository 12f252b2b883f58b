/* A run of three stages, killed at random moments and resumed: every file has the bytes that it has when nobody disturbs.
 *
 *     test_stages_killed [KILLS [SEED]]      from the project's root; 12 kills by default, tests/train/kill_stages.sh
 *                                            for hundreds
 */
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include "support.h"

#include "base/file.h"
#include "base/random.h"
#include "train/killed.h"
#include "train/runs.h"

enum { LARGER_SET = 30 };

static int kills_wanted = 12;
static uint64_t seed = 2024;

typedef struct fixture {
    scratch folder;
    char recipe[PATH_SIZE], reference[PATH_SIZE];
    double seconds; /* that an undisturbed run of the program takes */
} fixture;

static pid_t start(const fixture *f, const char *run, int resume)
{
    const char *const arguments[] = {"kappatune",
                                     "train",
                                     f->recipe,
                                     "--out",
                                     run,
                                     "--threads",
                                     "2",
                                     "--quiet",
                                     "--checkpoint-every",
                                     "0",
                                     resume ? "--resume" : NULL,
                                     NULL};
    return start_program(arguments);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    char small[PATH_SIZE], larger[PATH_SIZE], text[2048];
    kt_error error = KT_ERROR_NONE;
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "small", small), SMALL_SET, NULL);
    make_dataset(path_in(f->folder.path, "larger", larger), LARGER_SET, NULL);
    const int length = snprintf(text, sizeof text,
                                "{\"folds\": 2, \"epochs\": 3, \"stages\": [{\"name\": \"base\", \"data\": "
                                "\"%s\"},{\"name\": \"fine\", \"data\": \"%s\", \"from\": {\"stage\": "
                                "\"base\"}},{\"name\": \"mix\", \"protocol\": \"published\", \"data\": "
                                "[\"%s\", \"%s\"], \"from\": {\"stage\": \"base\"}}]}",
                                larger, small, small, larger);
    assert_in_range(length, 1, sizeof text - 1);
    assert_ok(kti_file_write(path_in(f->folder.path, "recipe.json", f->recipe), text, (size_t)length, &error),
              &error);
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

/* Compares every file below left/name with its twin, and returns how many there are. The log has times in it, and the lock the
 * process that held it. */
static int compare(const char *left, const char *right, const char *name)
{
    char path[PATH_SIZE];
    int files = 0;
    DIR *list = opendir(*name ? path_in(left, name, path) : left);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char inner[PATH_SIZE];
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "log.jsonl") == 0 ||
            strcmp(entry->d_name, "lock") == 0)
            continue;
        if (*name)
            path_in(name, entry->d_name, inner);
        else
            snprintf(inner, sizeof inner, "%s", entry->d_name);
        if (kti_is_folder(path_in(left, inner, path))) {
            files += compare(left, right, inner);
            continue;
        }
        assert_int_equal(differs(left, right, inner), 0);
        files++;
    }
    closedir(list);
    return files;
}

/* Each attempt lives for up to a third of a whole run, so that the kills are spread over all stages. A run that ends before it
 * is killed is compared, and a new one begun. */
static void test_sigkill(void **state)
{
    fixture *f = *state;
    kti_random random = kti_random_stream(seed, 101, 0, 0);
    int kills = 0, runs = 0;
    /* recipe, metrics; of each stage: recipe, metrics, epochs, predictions, calibration and two weights files a fold. */
    enum { FILES = 2 + 3 * (5 + 2 * 2) };
    assert_int_equal(compare(f->reference, f->reference, ""), FILES);
    while (kills < kills_wanted) {
        char name[32], run[PATH_SIZE];
        int status = -SIGKILL;
        snprintf(name, sizeof name, "killed%d", runs++);
        path_in(f->folder.path, name, run);
        while (status == -SIGKILL && kills < kills_wanted) {
            const pid_t child = start(f, run, access(run, F_OK) == 0);
            pause_for(kti_random_uniform(&random) * f->seconds / 3);
            kill(child, SIGKILL);
            status = wait_for(child);
            kills += status == -SIGKILL;
        }
        if (status == -SIGKILL)
            status = wait_for(start(f, run, access(run, F_OK) == 0));
        assert_int_equal(status, 0);
        assert_int_equal(compare(run, f->reference, ""), FILES);
        assert_int_equal(compare(f->reference, run, ""), FILES);
    }
    print_message("%d kills in %d runs of %.2f s\n", kills, runs, f->seconds);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sigkill)};
    if (argc > 1)
        kills_wanted = atoi(argv[1]);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
