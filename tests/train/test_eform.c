/* Formation energies by the pretrained body, from the structure file to eV/atom, against the published stack:
 * every crystal of every reference set, on the full graph and on its quotient.
 */
#include <kappatune/model.h>

#include "support.h"

#include "base/json.h"
#include "data/csv.h"

static const double tolerance = 2e-5; /* eV/atom */

/* Predictions are moved by `shift` before they are compared. Returns the number of crystals that are further
 * off than the tolerance. */
static int compare_set(const char *set, int quotient, double shift, int *crystals, int *edgeless,
                       double *worst)
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv = {0};
    kt_model *model;
    kt_model_options options = kt_model_options_default();
    char path[256];
    bool found;
    int wrong = 0;
    options.property = KT_EFORM;
    options.quotient = quotient;
    *crystals = *edgeless = 0;
    *worst = 0;
    assert_ok(kt_model_open(megnet_weights(), &options, &model, &error), &error);
    assert_int_equal(kt_model_members(model), 1);
    snprintf(path, sizeof path, "%s/graphs_%s.csv", golden_path(""), set);
    assert_ok(kti_csv_open(path, &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    assert_string_equal(csv.field[7], "eform_eV_per_atom");
    for (;;) {
        kt_structure structure;
        double value, reference;
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        if (!found)
            break;
        snprintf(path, sizeof path, "%s/%s.cif", data_path(set), csv.field[0]);
        assert_ok(kt_structure_read(path, &structure, &error), &error);
        const kt_status status = kt_model_predict(model, &structure, path, &value, NULL, &error);
        kt_structure_destroy(&structure);
        if (strcmp(csv.field[2], "0") == 0) { /* no edge: the reference gives NaN, we refuse */
            assert_int_equal(status, KT_BAD_CRYSTAL);
            assert_string_equal(error.file, path);
            error = (kt_error)KT_ERROR_NONE;
            (*edgeless)++;
            continue;
        }
        assert_ok(status, &error);
        assert_true(kti_number_parse(csv.field[7], &reference));
        (*crystals)++;
        *worst = fmax(*worst, fabs(value - reference));
        if (!is_close(value + shift, reference, 0, tolerance) && wrong++ < 3 && shift == 0)
            print_error("%s: %.7f eV/atom, the reference has %.7f\n", csv.field[0], value, reference);
    }
    kti_csv_close(&csv);
    kt_model_close(model);
    return wrong;
}

static void check_set(const char *set, int expected, int expected_edgeless)
{
    for (int quotient = 0; quotient <= 1; quotient++) {
        int crystals, edgeless;
        double worst;
        assert_int_equal(compare_set(set, quotient, 0, &crystals, &edgeless, &worst), 0);
        assert_int_equal(crystals, expected);
        assert_int_equal(edgeless, expected_edgeless);
        print_message("%s, %d crystals, %s: largest error %.2g eV/atom\n", set, crystals,
                      quotient ? "quotients" : "full graphs", worst);
    }
}

static void test_togo15(void **state)
{
    (void)state;
    check_set("togo15", TOGO15_CRYSTALS, 0);
}

static void test_hh143(void **state)
{
    (void)state;
    check_set("hh143", hh143_crystals(), 0);
}

static void test_aflow(void **state)
{
    (void)state;
    check_set("aflow_agl", aflow_golden() - AFLOW_GOLDEN_EDGELESS, AFLOW_GOLDEN_EDGELESS);
}

/* Energies moved by two tolerances, or gone, are seen in every crystal. */
static void test_can_fail(void **state)
{
    (void)state;
    int crystals, edgeless;
    double worst;
    assert_int_equal(compare_set("togo15", 1, 2 * tolerance, &crystals, &edgeless, &worst), 95);
    assert_int_equal(compare_set("togo15", 1, NAN, &crystals, &edgeless, &worst), 95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_togo15),
        cmocka_unit_test(test_hh143),
        cmocka_unit_test(test_aflow),
        cmocka_unit_test(test_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
