/* kappatune evaluate: the cross-data-set matrix, against the runs' own records; refusals. */
#include "cli/program.h"

#include <math.h>
#include <stdbool.h>

#include <jansson.h>

/* Two tables of prototypes, and a run of two stages: A on the first, MIX from it on both. */
static void make_runs(outcome *r, const char *folder)
{
    write_text(
        folder, "recipe.json",
        "{\"folds\": 2, \"epochs\": 2, \"select\": \"last\", \"stages\": [{\"name\": \"A\", \"data\": "
        "\"first.csv\"},{\"name\": \"MIX\", \"data\": [\"first.csv\", \"second.csv\"], \"from\": {\"stage\": "
        "\"A\"}}]}");
    run(r, folder,
        "T=datasets/togo15.csv; grep -v '^#' $T | sed -n 1p >$D/first.csv; cp $D/first.csv $D/second.csv; "
        "grep -v '^#' $T | sed -n 2,16p >>$D/first.csv; grep -v '^#' $T | sed -n 17,26p >>$D/second.csv; "
        "cd $D && $KT train recipe.json --out run --quiet --threads 2");
    assert_status(r, 0);
}

static json_t *results_of(outcome *r)
{
    json_error_t error;
    json_t *root = json_loads(r->out, 0, &error);
    if (!root)
        fail_msg("%s in:\n%s", error.text, r->out);
    return root;
}

static json_t *read_json(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static void near(double value, double expected)
{
    if (!(isfinite(value) && fabs(value - expected) <= 1e-6 * fabs(expected)))
        fail_msg("%.12g is not %.12g", value, expected);
}

/* The entry of a list whose `key` is `name`. */
static json_t *entry(const json_t *list, const char *key, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *object = json_array_get(list, i);
        if (strcmp(json_string_value(json_object_get(object, key)), name) == 0)
            return object;
    }
    fail_msg("no %s %s", key, name);
    return NULL;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        fail_msg("no number %s", key);
    return json_number_value(value);
}

/* Of its own data set, a run's scores are those that training wrote; so are a mix's, whole and part by part. */
static void held_out_scores_are_those_of_training(void **state)
{
    static const char *const keys[] = {"mape", "medape", "sre"};
    const char *folder = *state;
    outcome r = {0};
    make_runs(&r, folder);
    run(&r, folder,
        "cd $D && $KT evaluate run --data first.csv --data second.csv --mix first,second --json --quiet");
    assert_status(&r, 0);
    json_t *root = results_of(&r), *a = read_json(in(folder, "run/stages/A/metrics.json")),
           *mix = read_json(in(folder, "run/stages/MIX/metrics.json"));
    json_t *models = json_object_get(root, "models");
    assert_int_equal(json_array_size(models), 2);
    json_t *of_a = json_object_get(entry(models, "model", "run/A"), "data_sets"),
           *of_mix = json_object_get(entry(models, "model", "run/MIX"), "data_sets");
    assert_int_equal(json_array_size(of_a), 3);
    for (int f = 0; f < 2; f++)
        for (int k = 0; k < 3; k++) {
            const size_t n = (size_t)f;
            json_t *own = json_array_get(json_object_get(a, "folds"), n);
            json_t *whole = json_array_get(json_object_get(mix, "folds"), n);
            json_t *got = json_array_get(json_object_get(entry(of_a, "dataset", "first"), "folds"), n);
            assert_int_equal(number(got, "rows"), number(own, "n_validate"));
            near(number(got, keys[k]), number(own, keys[k]));
            got = json_array_get(json_object_get(entry(of_mix, "dataset", "first+second"), "folds"), n);
            near(number(got, keys[k]), number(whole, keys[k]));
            got = json_array_get(json_object_get(entry(of_mix, "dataset", "second"), "folds"), n);
            near(number(got, keys[k]),
                 number(entry(json_object_get(whole, "data_sets"), "dataset", "second"), keys[k]));
        }
    const json_t *summary =
        json_object_get(json_object_get(entry(of_a, "dataset", "first"), "summary"), "mape");
    near(number(summary, "mean"), number(json_object_get(json_object_get(a, "summary"), "mape"), "mean"));
    near(number(summary, "std"), number(json_object_get(json_object_get(a, "summary"), "mape"), "std"));
    json_decref(root);
    json_decref(a);
    json_decref(mix);
    outcome_destroy(&r);
}

static void the_table_and_the_csv_say_what_was_judged(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_runs(&r, folder);
    run(&r, folder, "cd $D && $KT evaluate run --data second.csv --quiet");
    assert_status(&r, 0);
    assert_says(&r, "split n of a data set holds out");
    assert_says(&r, "run/MIX");
    run(&r, folder, "cd $D && $KT evaluate run --data second.csv --csv --quiet --rows all");
    assert_status(&r, 0);
    assert_says(&r, "model,dataset,judged_on,fold,rows,mape,medape,sre,own\nrun/A,second,all,1,10,");
    assert_int_equal(count_lines(r.out), 1 + 2 * 2);
    run(&r, folder, "cd $D && $KT evaluate run --data second.csv --quiet --rows all");
    assert_says(&r, "include the rows that it was");
    assert_null(strstr(r.out, "*"));
    outcome_destroy(&r);
}

static bool is_own(const json_t *models, const char *model, const char *set)
{
    const json_t *own = json_object_get(
        entry(json_object_get(entry(models, "model", model), "data_sets"), "dataset", set), "own");
    if (!json_is_boolean(own))
        fail_msg("no own of %s on %s", model, set);
    return json_is_true(own);
}

/* In another order a split holds out other rows, among them some that the run was trained on. */
static void a_reversed_copy_is_not_the_runs_own(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_runs(&r, folder);
    run(&r, folder,
        "cd $D && { sed -n 1p first.csv; sed 1d first.csv | tac; } >reversed.csv && head -12 first.csv "
        ">some.csv && $KT train --data second.csv --folds 2 --epochs 2 --out alone --quiet >log && $KT "
        "evaluate run alone --data first.csv --data second.csv --data reversed.csv --data some.csv --mix "
        "first,second --mix reversed,second --json --quiet");
    assert_status(&r, 0);
    json_t *root = results_of(&r), *models = json_object_get(root, "models");
    static const struct {
        const char *model, *set;
        bool own;
    } expected[] = {
        {"run/A", "first", true},          {"run/A", "second", false},
        {"run/A", "reversed", false},      {"run/A", "some", false},
        {"run/A", "first+second", false},  {"run/MIX", "first", true},
        {"run/MIX", "second", true},       {"run/MIX", "reversed", false},
        {"run/MIX", "first+second", true}, {"run/MIX", "reversed+second", false},
        {"alone", "first", false},         {"alone", "second", true},
        {"alone", "first+second", false},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (is_own(models, expected[i].model, expected[i].set) != expected[i].own)
            fail_msg("%s on %s: own should be %d", expected[i].model, expected[i].set, expected[i].own);
    json_decref(root);
    run(&r, folder, "cd $D && $KT evaluate run --data first.csv --quiet");
    assert_status(&r, 0);
    assert_null(strstr(r.out, "*"));
    run(&r, folder, "cd $D && $KT evaluate run --data first.csv --data reversed.csv --quiet");
    assert_status(&r, 0);
    assert_says(&r, ")*\n");
    assert_says(&r, "\n* another set than the run's own: crystals that are in both are not looked for\n");
    run(&r, folder, "cd $D && $KT evaluate run/stages/A --data first.csv --data reversed.csv --csv --quiet");
    assert_status(&r, 0);
    assert_says(&r, ",true\nA,reversed,");
    assert_says(&r, ",false\n");
    outcome_destroy(&r);
}

/* What a stage started from is known by the recipe beside it. */
static void the_data_of_earlier_stages_are_own(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_runs(&r, folder);
    write_text(folder, "next.json",
               "{\"folds\": 2, \"epochs\": 2, \"select\": \"last\", \"stages\": [{\"name\": \"A\", "
               "\"data\": \"first.csv\"}, {\"name\": \"APART\", \"data\": \"first.csv\"},{\"name\": \"B\", "
               "\"data\": \"second.csv\", \"from\": {\"stage\": \"A\"}}]}");
    run(&r, folder,
        "cd $D && $KT train next.json --out next --quiet >log && $KT evaluate next --data first.csv --data "
        "second.csv --json --quiet");
    assert_status(&r, 0);
    json_t *root = results_of(&r), *models = json_object_get(root, "models");
    assert_true(is_own(models, "next/B", "first"));
    assert_true(is_own(models, "next/B", "second"));
    assert_false(is_own(models, "next/A", "second"));
    assert_false(is_own(models, "next/APART", "second"));
    json_decref(root);
    outcome_destroy(&r);
}

static void wrong_usage_is_refused(void **state)
{
    static const struct {
        const char *arguments, *says;
    } cases[] = {
        {"run --data first.csv --csv --json", "either --csv or --json"},
        {"run --data first.csv --mix first", "names of several data sets, a,b, not `first`"},
        {"run --data first.csv --data second.csv --mix first,second,", "not `first,second,`"},
        {"run --data first.csv --data second.csv --mix first,,second", "not `first,,second`"},
        {"run --data first.csv --mix ,first", "not `,first`"},
        {"run ./run/ --data first.csv", "./run/stages/A is named twice"},
        {"run run/stages/A --data first.csv", "run/stages/A is named twice"},
    };
    const char *folder = *state;
    outcome r = {0};
    make_runs(&r, folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(&r, folder, "cd $D && $KT evaluate %s --quiet", cases[i].arguments);
        assert_status(&r, 2);
        assert_complains(&r, cases[i].says);
    }
    run(&r, folder, "cd $D && mkdir empty && $KT evaluate empty --data first.csv");
    assert_status(&r, 1);
    assert_complains(&r, "empty: is neither a run");
    outcome_destroy(&r);
}

static void what_cannot_be_judged_is_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT evaluate");
    assert_status(&r, 2);
    assert_complains(&r, "name at least one run");
    run(&r, folder, "$KT evaluate $D");
    assert_status(&r, 2);
    assert_complains(&r, "--data");
    make_runs(&r, folder);
    run(&r, folder, "cd $D && $KT evaluate run --data none");
    assert_status(&r, 1);
    assert_complains(&r, "none");
    run(&r, folder, "cd $D && $KT evaluate run --data first.csv --mix first,third");
    assert_status(&r, 1);
    assert_complains(&r, "--mix names `third`");
    run(&r, folder,
        "cd $D && mkdir other && cp first.csv other/ && $KT evaluate run --data first.csv --data "
        "other/first.csv");
    assert_status(&r, 1);
    assert_complains(&r, "two data sets are named `first`");
    run(&r, folder, "cd $D && W=run/stages/A/folds/1/best.safetensors && $KT evaluate $W --data first.csv");
    assert_status(&r, 1);
    assert_complains(&r, "--rows all");
    run(&r, folder,
        "cd $D && W=run/stages/A/folds/1/best.safetensors && $KT evaluate $W --data first.csv --rows all");
    assert_status(&r, 0);
    run(&r, folder, "cd $D && rm run/stages/MIX/metrics.json && $KT evaluate run --data first.csv --quiet");
    assert_status(&r, 0);
    assert_complains(&r, "stage MIX of run has not finished");
    assert_null(strstr(r.out, "run/MIX"));
    run(&r, folder,
        "cd $D && echo 'NaCl,rocksalt,-5.64,,,7.1,negative' >>first.csv && $KT evaluate run --data "
        "first.csv");
    assert_status(&r, 3);
    assert_complains(&r, "first.csv:17");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(held_out_scores_are_those_of_training, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_table_and_the_csv_say_what_was_judged, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(a_reversed_copy_is_not_the_runs_own, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_data_of_earlier_stages_are_own, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(wrong_usage_is_refused, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_judged_is_refused, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
