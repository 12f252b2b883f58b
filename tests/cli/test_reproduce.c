/* kappatune reproduce on a few crystals: the tables against the runs' own predictions, resumption, refusals. */
#include "cli/program.h"

#include <math.h>
#include <sys/stat.h>

#include <jansson.h>

#define TINY "--data-root $D/data --folds 2 --epochs 3 --aflow-epochs 2 --threads 2 --quiet"

/* Three tables of twelve compounds each in the place of the data sets. */
static void make_data(outcome *r, const char *folder)
{
    run(r, folder,
        "mkdir $D/data && T=$D/rows && grep -v '^#' datasets/togo15.csv >$T && for s in togo15:2,13 "
        "hh143:40,51 aflow_agl:70,81; do   { sed -n 1p $T; sed -n ${s#*:}p $T; } >$D/data/${s%%:*}.csv; done");
    assert_status(r, 0);
}

static int exists(const char *folder, const char *name)
{
    struct stat about;
    return stat(in(folder, name), &about) == 0;
}

static json_t *read_json(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static void near(double value, double expected, double tolerance)
{
    if (!(isfinite(value) && fabs(value - expected) <= tolerance * fmax(fabs(expected), 1e-3)))
        fail_msg("%.12g is not %.12g", value, expected);
}

/* root.first.second..., which must be there. */
static json_t *at(json_t *root, const char *path)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *save = NULL, *key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save)) {
        json_t *next = json_object_get(root, key);
        if (!next)
            fail_msg("no %s in %s", key, path);
        root = next;
    }
    return root;
}

static json_t *model_of(json_t *tables, const char *name)
{
    json_t *list = at(tables, "models"), *model;
    size_t i;
    json_array_foreach(list, i, model) if (strcmp(json_string_value(json_object_get(model, "model")), name) ==
                                           0) return model;
    fail_msg("no model %s", name);
    return NULL;
}

/* MAPE of both folds from a stage's predictions.csv. */
static void mape_of_predictions(const char *folder, const char *protocol, const char *stage, double mape[2])
{
    char path[256], line[512];
    int rows[2] = {0, 0};
    snprintf(path, sizeof path, "out/%s/stages/%s/predictions.csv", protocol, stage);
    FILE *file = fopen(in(folder, path), "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    mape[0] = mape[1] = 0;
    while (fgets(line, sizeof line, file)) {
        int fold;
        double kappa, predicted;
        assert_int_equal(sscanf(line, "%d,%*[^,],%lf,%lf,", &fold, &kappa, &predicted), 3);
        assert_in_range(fold, 1, 2);
        mape[fold - 1] += fabs(predicted - kappa) / kappa;
        rows[fold - 1]++;
    }
    fclose(file);
    for (int f = 0; f < 2; f++) {
        assert_true(rows[f] >= 3);
        mape[f] /= rows[f];
    }
}

/* A series of tables.json: folds, mean and population standard deviation. */
static void check_series(json_t *series, const double value[2])
{
    for (size_t f = 0; f < 2; f++)
        near(json_number_value(json_array_get(at(series, "folds"), f)), value[f], 1e-6);
    near(json_number_value(at(series, "mean")), (value[0] + value[1]) / 2, 1e-6);
    near(json_number_value(at(series, "std")), fabs(value[0] - value[1]) / 2, 1e-6);
}

static void check_models(const char *folder, json_t *tables)
{
    static const char *const names[] = {"RWAF",     "FEAF",      "RWTG15", "FETG15", "RWAFTG15",
                                        "FEAFTG15", "FEAFHH143", "RWMIX",  "FEAFMIX"};
    static const char *const protocols[] = {"published", "sound"};
    assert_int_equal(json_array_size(at(tables, "models")), 14);
    for (size_t m = 0; m < sizeof names / sizeof names[0]; m++)
        for (int p = 0; p < 2; p++) {
            double mape[2];
            mape_of_predictions(folder, protocols[p], names[m], mape);
            check_series(at(at(model_of(tables, names[m]), protocols[p]), "mape"), mape);
        }
}

/* The statistic in plain formulas, over the unit that the paper reports. */
static void check_welch(json_t *tables, const char *name, const char *unit)
{
    json_t *model = model_of(tables, name), *lists[] = {at(at(model, "published"), unit), at(model, "paper")};
    double mean[2], variance[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        json_t *folds = at(lists[k], "folds");
        const size_t size = json_array_size(folds);
        assert_int_equal(size, k ? 9 : 2);
        mean[k] = json_number_value(at(lists[k], "mean"));
        for (size_t f = 0; f < size; f++)
            variance[k] += pow(json_number_value(json_array_get(folds, f)) - mean[k], 2);
        variance[k] /= (double)(size * (size - 1));
    }
    near(json_number_value(at(model, "welch.t")), (mean[0] - mean[1]) / sqrt(variance[0] + variance[1]),
         1e-6);
    const double p = json_number_value(at(model, "welch.p"));
    assert_true(p > 0 && p < 1);
    assert_int_equal(json_is_true(at(model, "welch.within_spread")), p >= 0.05);
}

static void check_ablation(const char *folder, json_t *tables)
{
    json_t *list = at(tables, "ablation"), *line;
    size_t i;
    assert_int_equal(json_array_size(list), 14);
    json_array_foreach(list, i, line)
    {
        double base[2], changed[2], difference[2];
        const char *protocol = json_string_value(at(line, "protocol"));
        mape_of_predictions(folder, protocol, json_string_value(at(line, "base")), base);
        mape_of_predictions(folder, protocol, json_string_value(at(line, "stage")), changed);
        check_series(at(line, "scores.mape"), changed);
        for (int f = 0; f < 2; f++)
            difference[f] = changed[f] - base[f];
        for (size_t f = 0; f < 2; f++)
            if (!(fabs(json_number_value(json_array_get(at(line, "mape_difference.folds"), f)) -
                       difference[f]) <= 1e-5))
                fail_msg("%s: %g", json_string_value(at(line, "stage")), difference[f]);
    }
}

/* What one switch changes in a stage's recipe, beside its name. */
static void one_switch_apart(const char *folder, const char *protocol, const char *base, const char *stage,
                             const char *key)
{
    char path[256];
    json_t *recipes[2];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "out/%s/stages/%s/recipe.json", protocol, i ? stage : base);
        recipes[i] = read_json(in(folder, path));
    }
    assert_false(json_equal(at(recipes[0], key), at(recipes[1], key)));
    json_object_del(recipes[0], key);
    json_object_del(recipes[1], key);
    if (!json_equal(recipes[0], recipes[1]))
        fail_msg("%s and %s differ in more than %s", base, stage, key);
    json_decref(recipes[0]);
    json_decref(recipes[1]);
}

static void the_tables_hold_what_the_runs_hold(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_data(&r, folder);
    run(&r, folder, "$KT reproduce --out $D/out --scan datasets/examples --weights " MEGNET " " TINY);
    assert_status(&r, 0);
    assert_says(&r, "A shortened run");
    assert_says(&r, "| FEAFTG15 | 3 | 0.288 (0.120) |");
    json_t *tables = read_json(in(folder, "out/tables.json"));
    assert_true(json_is_true(at(tables, "shortened")));
    check_models(folder, tables);
    check_ablation(folder, tables);
    check_welch(tables, "RWTG15", "mape");
    check_welch(tables, "FEAFTG15", "mape_published_unit");
    check_welch(tables, "RWMIX", "mape_published_unit");
    assert_true(json_is_null(at(model_of(tables, "RWTG15"), "published.mape_published_unit")));
    assert_true(json_is_null(at(model_of(tables, "FEAFTG15"), "sound.mape_published_unit")));
    assert_true(json_is_null(at(model_of(tables, "RWAFTG15"), "welch")));
    json_decref(tables);

    one_switch_apart(folder, "sound", "FETG15", "FETG15-selected-outer", "select");
    one_switch_apart(folder, "sound", "FEAFTG15", "FEAFTG15-target-restored", "restore_target");
    one_switch_apart(folder, "sound", "FEAFTG15", "FEAFTG15-transform-of-all", "fit_target_on_all");
    one_switch_apart(folder, "sound", "FEAFTG15", "RWAFTG15", "from");
    one_switch_apart(folder, "published", "FETG15", "FETG15-weights-loaded", "load_weights");
    one_switch_apart(folder, "published", "FEAFTG15", "FEAFTG15-weights-loaded", "from");
    one_switch_apart(folder, "published", "FEAF", "FEAF-weights-loaded", "load_weights");

    char *text = read_text(in(folder, "out/tables.md"), NULL);
    assert_non_null(strstr(text, "**A shortened run**"));
    assert_non_null(strstr(text, "| RWTG15 | paper | 0.767 | 0.268 |"));
    assert_non_null(strstr(text, "| FEAFTG15 | `published`, W/(m K) |"));
    assert_non_null(strstr(text, "| 3 | `published`, own target transform kept |"));
    free(text);
    /* What the models say of other crystals. */
    text = read_text(in(folder, "out/scans.md"), NULL);
    assert_non_null(strstr(text, "**A shortened run**"));
    assert_non_null(strstr(text, "## scanned, protocol published: 3 crystals"));
    assert_non_null(strstr(text, "\n| RWAFTG15 | 3 | "));
    assert_non_null(strstr(text, "\nFEAF:\n\n| mean with | r | p |\n"));
    free(text);
    char wanted[128];
    run(&r, folder, "cut -d, -f4 $D/out/scans/sound-scanned/FETG15.csv | sed 1d | sort -g | tail -n 1");
    const double max = strtod(r.out, NULL);
    snprintf(wanted, sizeof wanted, " | %.4g |\n| FEAFTG15 |", max);
    text = read_text(in(folder, "out/scans.md"), NULL);
    assert_non_null(strstr(strstr(text, "protocol sound"), wanted));
    free(text);
    run(&r, folder, "command -v gnuplot");
    if (r.status == 0)
        assert_int_equal(exists(folder, "out/figures/scan-sound-scanned/groups.png"), 1);
    if (r.status == 0)
        for (int svg = 0; svg < 2; svg++) {
            assert_int_equal(exists(folder, svg ? "out/figures/fig5a.svg" : "out/figures/fig5a.png"), 1);
            assert_int_equal(exists(folder, svg ? "out/figures/fig6-sound.svg" : "out/figures/fig5b.png"), 1);
            assert_int_equal(
                exists(folder, svg ? "out/figures/ablation-step2.svg" : "out/figures/ablation-step3.png"), 1);
        }
    outcome_destroy(&r);
}

static void a_run_is_resumed_and_grows(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_data(&r, folder);
    run(&r, folder, "$KT reproduce --out $D/out --steps 1 --sets togo15 --dry-run " TINY);
    assert_status(&r, 0);
    assert_says(&r, "out/sound/stages/RWTG15: 2 folds of 3 epochs, from random weights");
    assert_int_equal(exists(folder, "out"), 0);
    run(&r, folder, "$KT reproduce --out $D/out --steps 1 --sets togo15 " TINY);
    assert_status(&r, 0);
    char *before = read_text(in(folder, "out/tables.json"), NULL);
    run(&r, folder, "$KT reproduce --out $D/out --steps 1 --sets togo15 " TINY);
    assert_status(&r, 1);
    assert_complains(&r, "already holds a run");
    run(&r, folder, "$KT reproduce --out $D/out --steps 1 --sets togo15 --resume --seed 7 " TINY);
    assert_status(&r, 1);
    assert_complains(&r, "`seed`");
    assert_int_equal(exists(folder, "out/scans.md"), 0); /* the data are tables, no folders */
    run(&r, folder, "$KT reproduce --out $D/out --steps 1 --sets togo15 --resume " TINY);
    assert_status(&r, 0);
    char *after = read_text(in(folder, "out/tables.json"), NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
    /* Without gnuplot. */
    run(&r, folder, "PATH=/nowhere; $KT reproduce --out $D/out --steps 1 --sets togo15,mix --resume " TINY);
    assert_status(&r, 0);
    assert_complains(&r, "gnuplot-nox");
    assert_says(&r, "| RWMIX | 1 | 0.738 (0.098) |");
    /* One that fails. */
    run(&r, folder,
        "mkdir $D/bin && printf '#!/bin/sh\\nexit 3\\n' >$D/bin/gnuplot && chmod +x $D/bin/gnuplot && "
        "PATH=$D/bin:$PATH $KT reproduce --out $D/out --steps 1 --sets togo15,mix --resume " TINY);
    assert_status(&r, 1);
    assert_complains(&r, "gnuplot could not draw fig5a.gp");
    run(&r, folder, "$KT reproduce --out $D/one --steps 1 --sets togo15 --protocol sound " TINY);
    assert_status(&r, 0);
    assert_int_equal(exists(folder, "one/published"), 0);
    assert_says(&r, "| RWTG15 | 1 | 0.539 (0.212) | - | - | - | - |");
    outcome_destroy(&r);
}

static void a_signal_stops_it_cleanly(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_data(&r, folder);
    run(&r, folder,
        "$KT reproduce --out $D/out --steps 1 --sets togo15 " TINY " --epochs 100000 & while ! [ -e "
        "$D/out/published/stages/RWTG15/recipe.json ]; do sleep 0.05; done; kill -TERM $!; wait $!");
    assert_status(&r, 4);
    assert_complains(&r, "--resume");
    assert_int_equal(exists(folder, "out/tables.md"), 0);
    outcome_destroy(&r);
}

static void what_cannot_be_done_is_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_data(&r, folder);
    run(&r, folder, "$KT reproduce " TINY);
    assert_status(&r, 2);
    assert_complains(&r, "--out");
    run(&r, folder, "$KT reproduce --out $D/out --steps 1,4");
    assert_status(&r, 2);
    assert_complains(&r, "--steps takes 1, 2 or 3, not '4'");
    run(&r, folder, "$KT reproduce --out $D/out --scan datasets/examples --no-scan");
    assert_status(&r, 2);
    run(&r, folder, "$KT reproduce --out $D/out --sets togo");
    assert_status(&r, 2);
    assert_complains(&r, "--sets");
    run(&r, folder, "$KT reproduce --out $D/out --folds 10");
    assert_status(&r, 2);
    run(&r, folder, "$KT reproduce --out $D/out --sets aflow --steps 3 " TINY);
    assert_status(&r, 1);
    assert_complains(&r, "no model");
    run(&r, folder, "$KT reproduce --out $D/out " TINY);
    assert_status(&r, 1);
    assert_complains(&r, "--weights");
    run(&r, folder, "$KT reproduce --out $D/out --weights $D/none " TINY);
    assert_status(&r, 1);
    assert_complains(&r, "none: there are no weights");
    static const char *const taken[] = {"recipe.json", "metrics.json"};
    for (int i = 0; i < 2; i++) {
        run(&r, folder,
            "mkdir $D/taken && echo '{}' >$D/taken/%s && $KT reproduce --out $D/taken --sets togo15 --steps "
            "1 --resume " TINY "; s=$?; ls $D/taken; rm "
            "-r $D/taken; exit $s",
            taken[i]);
        assert_status(&r, 1);
        assert_complains(&r, "taken: holds another run (");
        assert_complains(&r, taken[i]);
        assert_int_equal(count_lines(r.out), 1);
    }
    run(&r, folder,
        "mkdir $D/taken && echo mine >$D/taken/tables.md && $KT reproduce --out $D/taken --sets togo15 "
        "--steps 1 " TINY "; s=$?; ls $D/taken; cat "
        "$D/taken/tables.md; rm -r $D/taken; exit $s");
    assert_status(&r, 1);
    assert_complains(&r, "taken: holds tables.md, and no reproduction: name a folder that is new or empty");
    assert_string_equal(r.out, "tables.md\nmine\n");
    /* A folder of the name that one of its runs has is somebody's, too. */
    run(&r, folder,
        "mkdir -p $D/taken/sound && echo mine >$D/taken/sound/notes && O=\"--out $D/taken --sets togo15 "
        "--steps 1 --protocol sound " TINY "\"; $KT reproduce $O; "
        "test $? = 1 && $KT reproduce $O --force && cat $D/taken/sound/notes; s=$?; rm -r $D/taken; exit $s");
    assert_status(&r, 0);
    assert_complains(&r, "sound: is no run folder, and holds notes");
    assert_says(&r, "\nmine\n");
    run(&r, folder, "rm $D/data/hh143.csv; $KT reproduce --out $D/out --steps 1 " TINY);
    assert_status(&r, 1);
    assert_complains(&r, "data/hh143: is missing");
    assert_complains(&r, "--data-root");
    assert_int_equal(exists(folder, "out"), 0);
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_tables_hold_what_the_runs_hold, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_run_is_resumed_and_grows, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_signal_stops_it_cleanly, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_done_is_refused, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
