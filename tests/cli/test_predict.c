/* kappatune predict: equal to the reference, the same bits in any company, and bad files named. */
#include "cli/program.h"

#include <jansson.h>

#include "data/csv.h"

enum { CRYSTALS = 95 };

typedef struct energies {
    int size;
    char id[CRYSTALS][32];
    double value[CRYSTALS];
} energies;

/* Golden formation energies: columns id and eform_eV_per_atom. */
static void read_golden(energies *golden)
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    bool found;
    assert_ok(kti_csv_open(golden_path("graphs_togo15.csv"), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    assert_string_equal(csv.field[7], "eform_eV_per_atom");
    for (golden->size = 0;; golden->size++) {
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        if (!found)
            break;
        assert_in_range(golden->size, 0, CRYSTALS - 1);
        snprintf(golden->id[golden->size], sizeof golden->id[0], "%s", csv.field[0]);
        golden->value[golden->size] = strtod(csv.field[7], NULL);
    }
    kti_csv_close(&csv);
}

/* The reference for a file named <id>.cif. */
static double golden_of(const energies *golden, const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    for (int i = 0; i < golden->size; i++)
        if (strncmp(name, golden->id[i], strlen(golden->id[i])) == 0 &&
            strcmp(name + strlen(golden->id[i]), ".cif") == 0)
            return golden->value[i];
    return NAN;
}

static void assert_energy(const energies *golden, const char *file, double value)
{
    if (!is_close(value, golden_of(golden, file), 0, 2e-5))
        fail_msg("%s: %.9g instead of %.9g", file, value, golden_of(golden, file));
}

static void energies_equal_the_reference(void **state)
{
    static const char *const options[] = {"", "--no-quotient"};
    const char *folder = *state;
    outcome r = {0};
    energies golden;
    read_golden(&golden);
    assert_int_equal(golden.size, CRYSTALS);
    for (int i = 0; i < 2; i++) {
        kt_error error = KT_ERROR_NONE;
        kti_csv csv;
        bool found;
        run(&r, folder, "$KT predict " MEGNET " $T/data/togo15 --property eform --format csv %s", options[i]);
        assert_status(&r, 0);
        assert_string_equal(r.err, "");
        assert_ok(kti_csv_open(in(folder, ".out"), &csv, &error), &error);
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        assert_int_equal(csv.fields, 7);
        assert_string_equal(csv.field[3], "eform_mean");
        int rows = 0;
        for (; kti_csv_next(&csv, &found, &error) == KT_OK && found; rows++) {
            assert_int_equal(csv.fields, 7);
            assert_energy(&golden, csv.field[0], strtod(csv.field[3], NULL));
            assert_string_equal(csv.field[4], "0");
            assert_string_equal(csv.field[5], csv.field[3]);
            assert_string_equal(csv.field[6], csv.field[3]);
        }
        assert_int_equal(rows, CRYSTALS);
        kti_csv_close(&csv);
    }
    run(&r, folder, "$KT predict --format json --property eform " MEGNET "/state.pt $T/data/togo15");
    assert_status(&r, 0);
    json_t *root = json_loads(r.out, JSON_REJECT_DUPLICATES, NULL),
           *list = json_object_get(root, "predictions"), *item;
    size_t i;
    assert_int_equal(json_array_size(list), CRYSTALS);
    assert_string_equal(json_string_value(json_object_get(root, "units")), "eV/atom");
    json_array_foreach(list, i, item) assert_energy(&golden, json_string_value(json_object_get(item, "file")),
                                                    json_number_value(json_object_get(item, "eform_mean")));
    json_decref(root);
    outcome_destroy(&r);
}

static void *model_folder;

/* Three folds, three epochs, from random weights: enough of a model for everything that follows. Once for all
 * tests. */
static int train_model(void **state)
{
    outcome r = {0};
    (void)state;
    if (folder_setup(&model_folder) != 0)
        return -1;
    run(&r, model_folder, "$KT train --data datasets/togo15.csv --folds 3 --epochs 3 --quiet --out $D/run");
    const int status = r.status;
    if (status != 0)
        print_error("training ended with %d: %s\n", status, r.err);
    outcome_destroy(&r);
    return status;
}

static int remove_model(void **state)
{
    (void)state;
    return folder_teardown(&model_folder);
}

/* Puts the model's run folder into the test's folder as "run". */
static void use_model(const char *folder)
{
    outcome r = {0};
    run(&r, folder, "ln -s %s/run $D/run", (const char *)model_folder);
    assert_status(&r, 0);
    outcome_destroy(&r);
}

/* The line of standard output that begins with `begin`, as a new string. */
static char *line_of(const outcome *r, const char *begin)
{
    const char *line = strstr(r->out, begin);
    if (!line)
        fail_msg("no line %s in\n%s", begin, r->out);
    const size_t length = strcspn(line, "\n");
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, line, length);
    copy[length] = '\0';
    return copy;
}

static void company_changes_nothing(void **state)
{
    static const char silicon[] = "datasets/examples/silicon.cif";
    const char *folder = *state;
    outcome r = {0};
    use_model(folder);
    run(&r, folder, "$KT predict $D/run --format csv %s", silicon);
    assert_status(&r, 0);
    assert_int_equal(count_lines(r.out), 2);
    char *alone = line_of(&r, silicon);
    static const char *const company[] = {
        "datasets/examples/calcium_fluoride.cif datasets/examples/silicon.cif",
        "datasets/examples/silicon.cif datasets/examples/calcium_fluoride.cif",
        "datasets/examples/",
        "datasets/examples/ README.md datasets/examples/silicon.cif",
    };
    for (size_t i = 0; i < sizeof company / sizeof company[0]; i++) {
        run(&r, folder, "$KT predict $D/run --format csv %s", company[i]);
        char *among = line_of(&r, silicon);
        assert_string_equal(among, alone);
        free(among);
    }
    free(alone);
    outcome_destroy(&r);
}

static void an_ensemble_is_summarised(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    bool found;
    use_model(folder);
    run(&r, folder, "$KT predict $D/run datasets/examples/silicon.cif --format csv");
    assert_status(&r, 0);
    assert_says(&r, "file,formula,atoms,kappa_mean,kappa_std,kappa_min,kappa_max,kappa_low_90,kappa_high_90,"
                    "distance,warnings,nearest_id,nearest_formula,nearest_kappa,fold_1,fold_2,fold_3\n");
    assert_ok(kti_csv_open(in(folder, ".out"), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    assert_int_equal(csv.fields, 17);
    assert_string_equal(csv.field[1], "Si");
    assert_string_equal(csv.field[2], "8");
    double value[14];
    for (int i = 0; i < 14; i++)
        value[i] = strtod(csv.field[3 + i], NULL);
    const double *fold = value + 11, mean = (fold[0] + fold[1] + fold[2]) / 3;
    double squares = 0;
    for (int i = 0; i < 3; i++)
        squares += (fold[i] - mean) * (fold[i] - mean);
    assert_true(is_close(value[0], mean, 1e-7, 0));
    assert_true(is_close(value[1], sqrt(squares / 3), 1e-5, 1e-7));
    assert_true(is_close(value[2], fmin(fold[0], fmin(fold[1], fold[2])), 0, 0));
    assert_true(is_close(value[3], fmax(fold[0], fmax(fold[1], fold[2])), 0, 0));
    assert_true(value[1] > 0);
    kti_csv_close(&csv);

    run(&r, folder, "$KT predict $D/run datasets/examples/silicon.cif");
    assert_says(&r, "kappa, W/(m K)");
    assert_null(strstr(r.out, "fold 2"));
    run(&r, folder, "$KT predict $D/run datasets/examples/silicon.cif --members");
    assert_says(&r, "fold 2");
    run(&r, folder,
        "$KT predict $D/run/folds/2/best.safetensors datasets/examples/silicon.cif --format json");
    assert_status(&r, 0);
    json_t *root = json_loads(r.out, 0, NULL);
    const json_t *only = json_array_get(json_object_get(root, "predictions"), 0);
    assert_true(is_close(json_number_value(json_object_get(only, "kappa_mean")), fold[1], 1e-8, 0));
    json_decref(root);
    outcome_destroy(&r);
}

/* One row of a csv of one crystal: the numbers from the fourth field on. */
static int read_row(const char *folder, const char *header, double *value)
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    bool found;
    char names[512] = "";
    assert_ok(kti_csv_open(in(folder, ".out"), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    for (int i = 3; i < csv.fields; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i > 3 ? "," : "", csv.field[i]);
    assert_string_equal(names, header);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    const int size = csv.fields - 3;
    for (int i = 0; i < size; i++)
        value[i] = strtod(csv.field[3 + i], NULL);
    kti_csv_close(&csv);
    return size;
}

#define HEADER                                                                                               \
    "kappa_mean,kappa_std,kappa_min,kappa_max,kappa_low,kappa_high,kappa_low_90,kappa_high_90,distance,"     \
    "warnings,nearest_id,nearest_formula,nearest_kappa,fold_1,fold_2,fold_3"

/* kappa_low and kappa_high: ln of the bounds is mean -+ sd, and a member's value is exp(mean - sd^2 / 2). */
static void a_gaussian_process_gives_an_interval(void **state)
{
    static const char silicon[] = "datasets/examples/silicon.cif";
    const char *folder = *state;
    outcome r = {0};
    double one[3][6], all[16];
    run(&r, folder, "$KT train --data datasets/togo15.csv --head gp --folds 3 --quiet --out $D/gp");
    assert_status(&r, 0);
    double mean = 0, squares = 0, variance = 0;
    for (int fold = 0; fold < 3; fold++) {
        run(&r, folder, "$KT predict $D/gp/folds/%d/best.safetensors %s --format csv", fold + 1, silicon);
        assert_status(&r, 0);
        const char *header = "kappa_mean,kappa_std,kappa_min,kappa_max,kappa_low,kappa_high";
        assert_int_equal(read_row(folder, header, one[fold]), 6);
        const double m = (log(one[fold][4]) + log(one[fold][5])) / 2;
        const double sd = (log(one[fold][5]) - log(one[fold][4])) / 2;
        assert_true(sd > 0.01 && sd < 2);
        assert_true(is_close(log(one[fold][0]), m - sd * sd / 2, 1e-6, 0));
        mean += m / 3;
        squares += m * m / 3;
        variance += sd * sd / 3;
    }
    run(&r, folder, "$KT predict $D/gp %s --format csv", silicon);
    assert_status(&r, 0);
    assert_int_equal(read_row(folder, HEADER, all), 16);
    const double sd = sqrt(variance + squares - mean * mean);
    assert_true(is_close(all[4], exp(mean - sd), 1e-5, 0));
    assert_true(is_close(all[5], exp(mean + sd), 1e-5, 0));
    assert_true(squares - mean * mean > 1e-6);
    for (int fold = 0; fold < 3; fold++)
        assert_true(is_close(all[13 + fold], one[fold][0], 1e-8, 0));
    assert_true(all[6] > 0 && all[6] < all[0] && all[7] > all[0] && all[7] / all[6] > all[5] / all[4]);

    run(&r, folder, "$KT predict $D/gp %s --format json", silicon);
    json_t *root = json_loads(r.out, JSON_REJECT_DUPLICATES, NULL);
    const json_t *only = json_array_get(json_object_get(root, "predictions"), 0);
    assert_true(is_close(json_number_value(json_object_get(only, "kappa_low")), all[4], 1e-8, 0));
    assert_true(is_close(json_number_value(json_object_get(only, "kappa_high")), all[5], 1e-8, 0));
    json_decref(root);
    run(&r, folder, "$KT predict $D/gp %s --members", silicon);
    assert_says(&r, "low (90 %)  high (90 %)  nearest known  distance  fold 1");
    run(&r, folder, "$KT predict $D/gp/folds/1/best.safetensors %s", silicon);
    assert_says(&r, "kappa, W/(m K)  low (68 %)  high (68 %)\n");

    /* It needs no neighbour within 4 angstrom, and knows little of such a crystal. */
    write_text(folder, "far.vasp", "far apart\n1\n9 0 0\n0 9 0\n0 0 9\nSi\n1\nDirect\n0 0 0\n");
    run(&r, folder, "$KT predict $D/gp $D/far.vasp --format csv");
    assert_status(&r, 0);
    assert_says(&r, ",isolated;far,");
    double far[16];
    read_row(folder, HEADER, far);
    assert_true(far[8] > 1 && far[7] / far[6] > all[7] / all[6]);
    assert_true(isfinite(far[4]) && far[4] > 0 && far[5] / far[4] > 3 * all[5] / all[4]);

    /* A network gives none, nor does the average with one. */
    run(&r, folder,
        "$KT train --data datasets/togo15.csv --head average --folds 1 --epochs 1 --quiet --out $D/both && "
        "$KT predict $D/both %s --format csv",
        silicon);
    assert_status(&r, 0);
    assert_says(&r, "kappa_max,kappa_low_90,kappa_high_90,distance,warnings,nearest_id,nearest_formula,"
                    "nearest_kappa,fold_1\n");
    use_model(folder);
    run(&r, folder, "$KT predict $D/run %s", silicon);
    assert_status(&r, 0);
    assert_null(strstr(r.out, "68 %"));
    outcome_destroy(&r);
}

/* What a model knows: its training crystals, whose nearest and whose warnings predict shows, with or
 * without a calibration. */
static void a_prediction_explains_itself(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    use_model(folder);
    run(&r, folder, "mkdir $D/set");
    write_text(folder, "set/europium.vasp", "one\n1\n3 0 0\n0 3 0\n0 0 3\nEu\n1\nDirect\n0 0 0\n");
    run(&r, folder, "$KT predict $D/run datasets/examples/silicon.cif $D/set/*.vasp --format json");
    assert_status(&r, 0);
    json_t *root = json_loads(r.out, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(root, "predictions"), *silicon = json_array_get(list, 0),
                 *nearest = json_object_get(silicon, "nearest");
    assert_int_equal(json_array_size(json_object_get(silicon, "warnings")), 0);
    assert_int_equal(json_array_size(nearest), 3);
    double before = json_number_value(json_object_get(silicon, "distance"));
    for (size_t i = 0; i < 3; i++) {
        const json_t *known = json_array_get(nearest, i);
        const double distance = json_number_value(json_object_get(known, "distance"));
        assert_true(distance >= before && distance > 0);
        assert_true(json_number_value(json_object_get(known, "kappa")) > 0);
        assert_true(json_string_length(json_object_get(known, "id")) > 0);
        before = distance;
    }
    const json_t *warnings = json_object_get(json_array_get(list, 1), "warnings");
    const size_t last = json_array_size(warnings) - 1;
    assert_string_equal(json_string_value(json_array_get(warnings, last)), "element:Eu");
    json_decref(root);
    run(&r, folder, "$KT predict $D/run $D/set/*.vasp");
    assert_says(&r, "no training crystal has Eu\n");

    /* A training crystal is its own nearest. */
    run(&r, folder, "grep ',NaCl,' $D/run/calibration.csv | cut -d, -f1,6");
    char known[64];
    snprintf(known, sizeof known, "%s", r.out);
    write_text(folder, "set/salt.vasp",
               "salt\n5.588\n0 .5 .5\n.5 0 .5\n.5 .5 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n");
    run(&r, folder, "grep NaCl datasets/togo15.csv; $KT predict $D/run $D/set/salt.vasp --format csv");
    *strchr(known, ',') = '\0';
    assert_says(&r, known);
    assert_says(&r, ",NaCl,");

    /* Without the calibration there is a prediction all the same, with a broken one there is none. */
    run(&r, folder,
        "cp -rL $D/run $D/bare && rm $D/bare/calibration.csv && $KT predict $D/bare "
        "datasets/examples/silicon.cif --format csv");
    assert_status(&r, 0);
    assert_says(&r, "kappa_max,fold_1,fold_2,fold_3\n");
    run(&r, folder,
        "sed '5s/,[0-9]*:/,x:/' $D/run/calibration.csv >$D/bare/calibration.csv && $KT predict $D/bare "
        "datasets/examples/silicon.cif");
    assert_status(&r, 1);
    assert_complains(&r, "bare/calibration.csv:5: held_out: 'x:");
    run(&r, folder, "$KT calibrate $D/bare --data datasets/togo15.csv");
    assert_status(&r, 0);
    assert_says(&r, "togo15");
    run(&r, folder, "for f in calibration.csv metrics.json; do cmp $D/run/$f $D/bare/$f || exit; done");
    assert_status(&r, 0);
    run(&r, folder,
        "grep -v AgBr datasets/togo15.csv >$D/other.csv && $KT calibrate $D/bare --data $D/other.csv");
    assert_status(&r, 1);
    assert_complains(&r, "was trained on other data than other");
    run(&r, folder, "$KT calibrate $D/bare");
    assert_status(&r, 2);
    run(&r, folder, "$KT calibrate $D/set --data datasets/togo15.csv");
    assert_status(&r, 1);
    assert_complains(&r, "it has no metrics.json");
    outcome_destroy(&r);
}

static void bad_files_are_named(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    use_model(folder);
    run(&r, folder,
        "mkdir $D/set && cp datasets/examples/silicon.cif \"$D/set/b, \\\"2\\\".cif\" && cp "
        "datasets/examples/silicon.cif $D/set/.hidden.cif && head -c 200 datasets/examples/silicon.cif "
        ">$D/set/a.cif && touch $D/set/notes.txt && mkdir $D/empty");
    assert_status(&r, 0);
    write_text(folder, "set/c.vasp", "polonium\n1\n3.35 0 0\n0 3.35 0\n0 0 3.35\nPo\n1\nDirect\n0 0 0\n");
    write_text(folder, "set/d.vasp", "far apart\n1\n9 0 0\n0 9 0\n0 0 9\nSi\n1\nDirect\n0 0 0\n");

    run(&r, folder, "cd $D && $KT predict run none.cif set empty --format csv");
    assert_status(&r, 3);
    assert_complains(&r, "kappatune: none.cif: ");
    assert_complains(&r, "kappatune: set/a.cif");
    assert_complains(&r, "kappatune: set/c.vasp");
    assert_complains(&r, "Po");
    assert_complains(&r, "kappatune: set/d.vasp: ");
    assert_complains(&r, "kappatune: empty: ");
    assert_null(strstr(r.err, "notes.txt"));
    assert_null(strstr(r.err, "hidden"));
    assert_int_equal(count_lines(r.out), 2);
    assert_says(&r, "\n\"set/b, \"\"2\"\".cif\",Si,8,");

    run(&r, folder, "cd $D && $KT predict run set --format json");
    assert_status(&r, 3);
    json_t *root = json_loads(r.out, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json_object_get(root, "predictions")), 1);
    assert_int_equal(json_array_size(json_object_get(root, "rejected")), 3);
    json_decref(root);

    run(&r, folder, "cd $D && $KT predict run none.cif");
    assert_status(&r, 3);
    assert_string_equal(r.out, "");
    outcome_destroy(&r);
}

static void bad_models_are_named(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT predict $D/none datasets/examples/silicon.cif");
    assert_status(&r, 1);
    assert_complains(&r, "/none: ");
    run(&r, folder,
        "echo nothing >$D/bad.safetensors; $KT predict $D/bad.safetensors datasets/examples/silicon.cif");
    assert_status(&r, 1);
    assert_complains(&r, "bad.safetensors: byte 0");
    run(&r, folder, "$KT predict " MEGNET " datasets/examples/silicon.cif");
    assert_status(&r, 1);
    assert_complains(&r, "--property eform");
    assert_string_equal(r.out, "");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(energies_equal_the_reference, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(company_changes_nothing, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(an_ensemble_is_summarised, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_gaussian_process_gives_an_interval, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_prediction_explains_itself, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(bad_files_are_named, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(bad_models_are_named, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, train_model, remove_model);
}
