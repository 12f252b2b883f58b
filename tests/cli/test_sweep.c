/* kappatune train of a sweep, and kappatune compare. */
#include "cli/program.h"

#include <sys/stat.h>

static int exists(const char *folder, const char *name)
{
    struct stat about;
    return stat(in(folder, name), &about) == 0;
}

static void write_sweep(const char *folder)
{
    write_text(
        folder, "sweep.json",
        "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 2, \"learning_rate\": [0.001, 0.0003],"
        " \"batch\": [8, 16]}");
}

/* Every point gives the files of a run of its own recipe. */
static void every_point_is_a_run(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_sweep(folder);
    write_text(folder, "third.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 2, \"learning_rate\": 0.0003, "
               "\"batch\": 8}");
    run(&r, folder,
        "$KT train $D/sweep.json --out $D/run --quiet && $KT train $D/third.json --out $D/third --quiet");
    assert_status(&r, 0);
    assert_says(&r, "point 1 of 4\n");
    assert_says(&r, "point 4 of 4\n");
    run(&r, folder, "diff -r -x lock -x log.jsonl $D/run/points/3 $D/third && ls $D/run/points | wc -l");
    assert_status(&r, 0);
    assert_string_equal(r.out, "4\n");
    run(&r, folder, "$KT train $D/sweep.json --out $D/run --quiet --point 2");
    assert_status(&r, 1);
    assert_complains(&r, "run/points/2: already holds a run");
    run(&r, folder, "$KT train $D/sweep.json --out $D/run --quiet --point 2 --resume");
    assert_status(&r, 0);
    run(&r, folder, "$KT train $D/sweep.json --out $D/one --quiet --point 2 && ls $D/one/points");
    assert_status(&r, 0);
    assert_says(&r, "\n2\n");
    assert_false(exists(folder, "one/points/1"));
    outcome_destroy(&r);
}

static void bad_sweeps_are_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_sweep(folder);
    run(&r, folder, "$KT train $D/sweep.json --out $D/run --point 5");
    assert_status(&r, 2);
    assert_complains(&r, "the recipe has 4 points, and --point asks for the 5th");
    run(&r, folder, "$KT train --data datasets/togo15.csv --out $D/run --point 1");
    assert_status(&r, 2);
    assert_complains(&r, "--point takes a recipe in which a key lists several values");
    run(&r, folder, "$KT train $D/sweep.json --out $D/run --replicas 2");
    assert_status(&r, 2);
    assert_complains(&r, "list the seeds in the recipe");
    /* The last point is wrong: none is trained. */
    write_text(folder, "sweep.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": [2, -1]}");
    run(&r, folder, "$KT train $D/sweep.json --out $D/run --quiet");
    assert_status(&r, 1);
    assert_complains(&r, "`epochs` must be an integer");
    assert_false(exists(folder, "run"));
    outcome_destroy(&r);
}

static void a_stopped_sweep_goes_on(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "sweep.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 40, \"seed\": [1, 2]}");
    run(&r, folder,
        "$KT train $D/sweep.json --out $D/run --quiet --threads 1 & p=$!; while ! test -s "
        "$D/run/points/1/lock; do sleep 0.05; done; kill -USR1 $p; wait $p");
    assert_status(&r, 4);
    assert_false(exists(folder, "run/points/2"));
    run(&r, folder,
        "$KT train $D/sweep.json --out $D/run --quiet --resume && $KT train $D/sweep.json --out $D/whole "
        "--quiet && diff -r -x lock -x log.jsonl $D/run $D/whole");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

static void runs_are_compared(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_sweep(folder);
    run(&r, folder, "$KT train $D/sweep.json --out $D/run --quiet && $KT compare $D/run");
    assert_status(&r, 0);
    run(&r, folder, "$KT compare $D/run");
    assert_status(&r, 0);
    assert_int_equal(count_lines(r.out), 5);
    assert_says(&r, "learning_rate");
    assert_says(&r, "batch");
    assert_null(strstr(r.out, "epochs"));
    /* One of them is the best by its inner score, and it is marked. */
    assert_non_null(strstr(r.out, " *"));
    assert_null(strstr(strstr(r.out, " *") + 1, " *"));
    /* The inner score is the selection's error at the chosen epoch, from the fold's own files. */
    run(&r, folder,
        "cd $D/run/points/2 && python3 -c \"\n"
        "import csv, json\n"
        "best = {f['fold']: f['best_epoch'] for f in json.load(open('metrics.json'))['folds']}\n"
        "inner = [float(r['select_mape']) for r in csv.DictReader(open('epochs.csv')) if "
        "best[int(r['fold'])] == int(r['epoch'])]\n"
        "print('%%.6f %%.6f' %% (sum(inner) / 2, "
        "json.load(open('metrics.json'))['summary']['mape']['mean']))\n"
        "\" && $KT compare $D/run --csv | python3 -c \"\n"
        "import csv, sys\n"
        "row = list(csv.DictReader(sys.stdin))[1]\n"
        "print('%%.6f %%.6f' %% (float(row['inner_mape']), float(row['mape'])))\n"
        "assert row['learning_rate'] == '0.001' and row['batch'] == '16'\n"
        "\"");
    assert_status(&r, 0);
    const size_t half = strlen(r.out) / 2;
    assert_memory_equal(r.out, r.out + half, half);
    run(&r, folder,
        "$KT compare $D/run --json | python3 -c \"import json, sys; rows = json.load(sys.stdin); "
        "print(len(rows), sorted(rows[0]['settings']), rows[0]['folds'])\"");
    assert_status(&r, 0);
    assert_string_equal(r.out, "4 ['batch', 'learning_rate'] 2\n");
    outcome_destroy(&r);
}

static void a_comparison_is_drawn(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "command -v gnuplot");
    if (r.status != 0) {
        outcome_destroy(&r);
        skip();
    }
    run(&r, folder, "$KT compare models/togo15 models/aflow-agl --figures $D/figures --format svg,pdf");
    assert_status(&r, 0);
    assert_says(&r, "megnet-mp-2018.6.1-eform");
    assert_true(exists(folder, "figures/compare.svg"));
    assert_true(exists(folder, "figures/compare.pdf"));
    run(&r, folder, "grep -c 'rows held out' $D/figures/compare.svg");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

static void unfit_folders_are_named(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT compare $D");
    assert_status(&r, 1);
    assert_complains(&r, "is no run folder");
    run(&r, folder, "mkdir -p $D/points/1 && echo '{}' >$D/points/1/recipe.json && $KT compare $D");
    assert_status(&r, 1);
    assert_complains(&r, "points/1 has not finished: it is left out");
    assert_complains(&r, "no run has finished yet");
    run(&r, folder, "$KT compare");
    assert_status(&r, 2);
    run(&r, folder, "$KT compare models/togo15 --csv --json");
    assert_status(&r, 2);
    run(&r, folder, "$KT compare models/togo15 --format png");
    assert_status(&r, 2);
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_point_is_a_run, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(bad_sweeps_are_refused, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_stopped_sweep_goes_on, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(runs_are_compared, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_comparison_is_drawn, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(unfit_folders_are_named, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
