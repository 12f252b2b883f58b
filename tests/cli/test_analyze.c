/* kappatune analyze: SciPy's numbers for a small table joined with a user's columns, the figure, and what is wrong said plainly. */
#include "cli/program.h"

#include "data/csv.h"

static const char scan[] = "id,formula,atoms,kappa_mean,kappa_std,kappa_min,kappa_max,fold_1\n"
                           "a/x-1.cif,AB,2,1.0,0.1,1,1,1\n"
                           "a/x-2.cif,AC,4,2.5,0.2,1,1,1\n"
                           "z.tar:b/x-3.vasp,AD,2,4.0,0.5,1,1,1\n"
                           "many.cif#x-4,AE,8,8.5,0.7,1,1,1\n"
                           "x-5,AF,3,20.0,1.0,1,1,1\n"
                           "a/x-6.cif,AG,5,0.5,0.3,1,1,1\n";

/* By the name of a file, without folder, archive and ending; one id is the scan's own, one is of no crystal. */
static const char gaps[] = "id,band gap,note\n"
                           "x-1,0.2,a\nx-2,1.1,b\nx-3,0.9,c\nx-5,3.3,d\nx-6,0.1,e\nx-9,7,f\n";

/* The line of the target and the feature. */
static void find(const char *path, const char *target, const char *feature, double value[9])
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    bool found = true, there = false;
    assert_ok(kti_csv_open(path, &csv, &error), &error);
    while (kti_csv_next(&csv, &found, &error) == KT_OK && found)
        if (strcmp(csv.field[0], target) == 0 && strcmp(csv.field[1], feature) == 0) {
            there = true;
            assert_int_equal(csv.fields, 11);
            for (int i = 0; i < 9; i++)
                value[i] = strtod(csv.field[i + 2], NULL);
        }
    assert_ok(error.status, &error);
    if (!there)
        fail_msg("there is no line of %s and %s", target, feature);
    kti_csv_close(&csv);
}

static void assert_line(const char *path, const char *target, const char *feature, int size, double pearson,
                        double pearson_p, double spearman, double spearman_p)
{
    double value[9];
    find(path, target, feature, value);
    assert_true(is_close(value[0], size, 0, 0));
    assert_true(is_close(value[1], pearson, 1e-10, 0));
    assert_true(is_close(value[2], pearson_p, 1e-10, 0));
    assert_true(is_close(value[5], spearman, 1e-10, 0));
    assert_true(is_close(value[6], spearman_p, 1e-10, 0));
}

static void numbers_are_scipys(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    double value[9];
    write_text(folder, "scan.csv", scan);
    write_text(folder, "gaps.csv", gaps);
    run(&r, folder, "$KT analyze $D/scan.csv --features $D/gaps.csv --format csv");
    assert_status(&r, 0);
    assert_complains(&r, "has 5 of the scan's 6 crystals");
    write_text(folder, "result.csv", r.out);
    const char *result = in(folder, "result.csv");
    assert_line(result, "mean", "atoms", 6, 0.05334353958496317, 0.9200605860294148, 0.02898855178262242,
                0.9565293523898406);
    assert_line(result, "variance", "atoms", 6, 0.12221371788559021, 0.8175921270005955, 0.28988551782622424,
                0.5773517870348748);
    assert_line(result, "mean", "band gap", 5, 0.9764702507254153, 0.004317387428985983, 0.9,
                0.03738607346849874);
    assert_line(result, "variance", "band gap", 5, 0.9446406156866076, 0.015505335404689657, 0.5,
                0.3910022189557703);
    find(result, "mean", "band gap", value);
    assert_true(is_close(value[3], 2 * 0.004317387428985983, 1e-10, 0));
    assert_true(is_close(value[4], 2 * 0.004317387428985983, 1e-10, 0));
    assert_int_equal(count_lines(r.out), 1 + 2 * 2); /* texts, predictions and folds are no features */

    run(&r, folder, "$KT analyze $D/scan.csv --below 10 --format csv");
    assert_status(&r, 0);
    write_text(folder, "result.csv", r.out);
    find(in(folder, "result.csv"), "mean", "atoms", value);
    assert_true(is_close(value[0], 5, 0, 0) && is_close(value[1], 0.6624223769256645, 1e-10, 0));

    run(&r, folder, "$KT analyze $D/scan.csv --log --format csv");
    assert_status(&r, 0);
    write_text(folder, "result.csv", r.out);
    find(in(folder, "result.csv"), "mean", "atoms", value);
    assert_true(is_close(value[1], 0.135606481567884, 1e-10, 0));

    run(&r, folder, "$KT analyze $D/scan.csv --features $D/gaps.csv");
    assert_status(&r, 0);
    assert_says(&r, "6 of 6 crystals");
    assert_says(&r, "band gap");
    run(&r, folder, "$KT analyze $D/scan.csv --format json");
    assert_says(&r, "\"pearson_holm\"");
    outcome_destroy(&r);
}

static void a_scan_is_analysed_and_drawn(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "$KT scan models/togo15-hh143 datasets/examples --features --out $D/rows.csv --quiet && "
        "cut -d, -f1,26- $D/rows.csv");
    assert_status(&r, 0);
    assert_says(&r, "density,atomic_density,mean_mass,elements,space_group,debye_temperature,kappa_slack");
    assert_says(&r, "silicon.cif,2.32"); /* g/cm^3 */
    assert_says(&r, ",28.085,1,227,714.2,45.21");
    assert_says(&r, ",2,225");
    assert_says(&r, ",3,221");
    run(&r, folder, "$KT analyze $D/rows.csv --figure $D/a/map");
    assert_status(&r, 0);
    char *script = read_text(in(folder, "a/map/correlation.gp"), NULL);
    assert_non_null(strstr(script, "'space_group' 8"));
    free(script);
    if (system("command -v gnuplot >/dev/null") == 0) {
        size_t size;
        char *picture = read_text(in(folder, "a/map/correlation.png"), &size);
        assert_true(size > 5000 && memcmp(picture, "\x89PNG", 4) == 0);
        free(picture);
        picture = read_text(in(folder, "a/map/correlation.svg"), &size);
        assert_non_null(strstr(picture, "atomic_density"));
        free(picture);
    }
    /* Longer, where SciPy is at hand: all of a scan's coefficients and p equal its. */
    if (system("python3 -c 'import scipy' 2>/dev/null") == 0) {
        run(&r, folder,
            "$KT scan models/togo15 $T/data/togo15 --features --out $D/togo15.csv --quiet && "
            "python3 tests/cli/compare_scipy.py $KT $D/togo15.csv");
        assert_status(&r, 0);
    }
    outcome_destroy(&r);
}

/* Three models and six crystals, of which the last model lacks one and knows another: variances 0.25 i^2, means in known groups. */
static void several_scans_are_compared(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "one.csv",
               "id,formula,atoms,kappa_mean,kappa_std,kappa_low_90,distance,warnings,fold_1,volume\n"
               "a,A,2,0.5,0.5,1,2,far,1,10\nb,B,2,2,1,1,2,,1,20\nc,C,4,5,1.5,1,2,,1,31\n"
               "d,D,4,20,2,1,2,,1,39\ne,E,6,50,2.5,1,2,,1,52\nf,F,6,400,3,1,2,,1,58\n");
    write_text(folder, "two.csv", "id,kappa_mean,kappa_std\nf,3,1\ne,3,1\nd,3,1\nc,3,1\nb,3,1\na,2.9999,1\n");
    run(&r, folder,
        "mkdir -p $D/x && grep -v ^c $D/two.csv >$D/x/three.csv && echo z,900,5 >>$D/x/three.csv && "
        "$KT analyze $D/one.csv $D/two.csv $D/x/three.csv --figure $D/figures");
    assert_status(&r, 0);
    /* Quantiles as GSL interpolates them: of 0.25 1 2.25 4 6.25 9. */
    assert_says(&r, "| one | 6 | 0.438 | 1.31 | 3.12 | 5.69 | 8.31 | - | 0.5 | 400 |\n");
    assert_says(&r, "| two | 6 | 1 | 1 | 1 | 1 | 1 | - | 3 | 3 |\n");
    assert_says(&r, "| three | 5 | 1 | 1 | 1 | 1 | 1 | - | 3 | 3 |\n");
    assert_says(&r, "| one | 16.7 | 16.7 | 16.7 | 16.7 | 16.7 | 0.0 | 16.7 |\n");
    assert_says(&r, "| two | 0.0 | 16.7 | 83.3 | 0.0 | 0.0 | 0.0 | 0.0 |\n");
    assert_says(&r, "| three | 0.0 | 20.0 | 80.0 | 0.0 | 0.0 | 0.0 | 0.0 |\n");
    /* The same coefficients as of one scan; predictions are no features. */
    outcome alone = {0};
    run(&alone, folder, "$KT analyze $D/one.csv --format csv | grep variance,volume | cut -d, -f4");
    char wanted[64];
    snprintf(wanted, sizeof wanted, "| volume | %.3f | ", strtod(alone.out, NULL));
    assert_says(&r, wanted);
    assert_null(strstr(r.out, "distance"));
    assert_null(strstr(r.out, "kappa_low_90"));
    run(&r, folder, "$KT analyze $D/one.csv $D/two.csv --threshold 0.99");
    assert_says(&r, "variance with | r | p |\n| --- | --- | --- |\n| none above 0.99 | | |\n");
    if (system("command -v gnuplot >/dev/null") == 0)
        for (int i = 0; i < 3; i++) {
            static const char *const figures[] = {"figures/variance.png", "figures/groups.png",
                                                  "figures/correlation.png"};
            size_t size;
            char *picture = read_text(in(folder, figures[i]), &size);
            assert_true(size > 5000 && memcmp(picture, "\x89PNG", 4) == 0);
            free(picture);
        }
    /* Names are nobody's commands or markup, those in other folders are told apart, and models of one member have no spread. */
    run(&r, folder,
        "cd $D && mkdir -p y && sed 's/,1$/,0/' two.csv >'x/`touch PWNED`|\".csv' && cp two.csv 'y/`touch "
        "PWNED`|\".csv' && $KT analyze x/*PWNED* y/*PWNED* --figure plain && ! find . -name PWNED | grep .");
    assert_status(&r, 0);
    assert_says(&r, "| x/\\`touch PWNED\\`\\|\" | 6 | 0 |");
    assert_says(&r, "| y/\\`touch PWNED\\`\\|\" | 6 | 1 |");
    run(&r, folder,
        "sed 's/,1$/,0/' $D/two.csv >$D/none.csv && $KT analyze $D/none.csv $D/none.csv --figure $D/none");
    assert_status(&r, 0);
    write_text(folder, "other.csv", "id,kappa_mean,kappa_std\n");
    run(&r, folder, "$KT analyze $D/other.csv $D/two.csv");
    assert_status(&r, 1);
    assert_complains(&r, "other.csv: has no row");
    write_text(folder, "other.csv", "id,kappa_mean,kappa_std\ny,1,1\n");
    run(&r, folder, "$KT analyze $D/one.csv $D/other.csv");
    assert_status(&r, 1);
    assert_complains(&r, "other.csv: has no crystal of ");
    write_text(folder, "other.csv", "id,eform_mean,eform_std\na,1,1\n");
    run(&r, folder, "$KT analyze $D/one.csv $D/other.csv");
    assert_status(&r, 1);
    assert_complains(&r, "is no scan of kappa");
    run(&r, folder, "$KT analyze $D/one.csv $D/two.csv --log");
    assert_status(&r, 2);
    run(&r, folder, "$KT analyze $D/one.csv --threshold 0.2");
    assert_status(&r, 2);
    outcome_destroy(&alone);
    outcome_destroy(&r);
}

/* What a user knows of the crystals is a feature whatever its name; what predict says of a prediction is none. */
static void columns_are_told_apart(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(
        folder, "own.csv",
        "file,formula,atoms,kappa_mean,kappa_std,kappa_high_90,distance,nearest_kappa,fold_1,kappa_slack\n"
        "a,A,2,0.5,0.5,1,2,3,1,10\nb,B,2,2,1,1,2,5,1,20\nc,C,4,5,1.5,1,2,4,1,31\n");
    run(&r, folder, "$KT analyze $D/own.csv --format csv | cut -d, -f1-2");
    assert_status(&r, 0);
    assert_string_equal(r.out, "target,feature\nmean,atoms\nmean,kappa_slack\nvariance,atoms\n"
                               "variance,kappa_slack\n");
    run(&r, folder, "$KT report $D/own.csv --out $D/own.html");
    assert_status(&r, 0);
    run(&r, folder, "grep -oE '<td>[a-z_]{2,}</td>' $D/own.html | sort | uniq -c | tr -s ' '");
    assert_string_equal(r.out, " 2 <td>atoms</td>\n 2 <td>kappa_slack</td>\n");
    outcome_destroy(&r);
}

static void wrong_tables_are_explained(void **state)
{
    static const struct {
        const char *scan, *features, *says;
    } cases[] = {
        {"id,formula,kappa\nx,A,1\n", NULL, "is no scan"},
        {"id\nx\n", NULL, "no header with at least two columns"},
        {"", NULL, "no header"},
        {"id,atoms,kappa_mean,kappa_std\nx,1,2\n", NULL, "table.csv:2: has 3 fields, the header 4"},
        {"id,atoms,atoms,kappa_mean,kappa_std\n", NULL, "the column 'atoms' is there twice"},
        {"id,kappa_mean,kappa_std\nx,1,2\n", NULL, "has nothing to correlate with"},
        {"id,atoms,kappa_mean,kappa_std\nx,1,1,2\n", "id,gap\nx,1\nx,2\n",
         "features.csv:3: the id 'x' is there twice"},
        {"id,atoms,kappa_mean,kappa_std\nx,1,1,2\n", "id,atoms\nx,1\n", "the column 'atoms' is there twice"},
    };
    const char *folder = *state;
    outcome r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(folder, "table.csv", cases[i].scan);
        write_text(folder, "features.csv", cases[i].features ? cases[i].features : "");
        run(&r, folder, "$KT analyze $D/table.csv %s", cases[i].features ? "--features $D/features.csv" : "");
        assert_status(&r, 1);
        assert_complains(&r, cases[i].says);
    }
    write_text(folder, "table.csv", "id,atoms,kappa_mean,kappa_std\nx,1,1,2\n");
    run(&r, folder, "$KT analyze $D/table.csv --above 5");
    assert_status(&r, 1);
    assert_complains(&r, "has no row that counts");
    run(&r, folder, "$KT analyze $D/missing.csv");
    assert_status(&r, 1);
    run(&r, folder, "$KT analyze");
    assert_status(&r, 2);
    outcome_destroy(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_scipys),     TEST(a_scan_is_analysed_and_drawn), TEST(several_scans_are_compared),
        TEST(columns_are_told_apart), TEST(wrong_tables_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
