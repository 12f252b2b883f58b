/* Scores against figures worked out by hand. */
#include "support.h"

#include "statistics/metrics.h"

static kt_scores scores_of(const double *truth, const double *predicted, int rows)
{
    kt_error error = KT_ERROR_NONE;
    kt_scores scores;
    assert_ok(kti_scores(truth, predicted, rows, &scores, &error), &error);
    assert_int_equal(scores.rows, rows);
    return scores;
}

static void assert_near(double x, double expected)
{
    if (!is_close(x, expected, 1e-12, 1e-14))
        fail_msg("%.17g is not %.17g", x, expected);
}

static void test_by_hand(void **state)
{
    (void)state;
    const double truth[] = {1, 2, 4}, predicted[] = {2, 2, 1};
    const kt_scores s = scores_of(truth, predicted, 3);
    assert_near(s.mape, (1 + 0 + 0.75) / 3);
    assert_near(s.medape, 0.75);
    assert_near(s.mae, 4.0 / 3);
    assert_near(s.rmse, sqrt(10.0 / 3));
    assert_near(s.r2, 1 - 10 / (14.0 / 3));
    assert_near(s.r2_log, -1.5);
    assert_near(s.spearman, -sqrt(3) / 2); /* ranks 1 2 3 and 2.5 2.5 1 */
    assert_near(s.sre, (2.0 / 3 + 0 + 6.0 / 5) / 3);
}

static void test_perfect(void **state)
{
    (void)state;
    const double truth[] = {0.3, 20, 5, 1000};
    const kt_scores s = scores_of(truth, truth, 4);
    assert_true(s.mape == 0 && s.medape == 0 && s.mae == 0 && s.rmse == 0 && s.sre == 0);
    assert_true(s.r2 == 1 && s.r2_log == 1);
    assert_near(s.spearman, 1);
}

/* The sign of a mistake matters to none of these but the ranks; a factor of two either way is the same for
 * the SRE. */
static void test_symmetry(void **state)
{
    (void)state;
    const double truth[] = {10, 10, 20, 40}, twice[] = {20, 20, 40, 80}, half[] = {5, 5, 10, 20};
    assert_near(scores_of(truth, twice, 4).sre, 2.0 / 3);
    assert_near(scores_of(truth, half, 4).sre, 2.0 / 3);
    assert_near(scores_of(truth, twice, 4).mape, 1);
    assert_near(scores_of(truth, half, 4).mape, 0.5);
    assert_near(scores_of(truth, half, 4).spearman, 1);
    assert_near(scores_of(truth, half, 4).r2_log, scores_of(truth, twice, 4).r2_log);
}

static void test_ties(void **state)
{
    (void)state;
    const double truth[] = {1, 2, 2, 3}, predicted[] = {1, 2, 3, 4};
    assert_near(scores_of(truth, predicted, 4).spearman, 4.5 / sqrt(4.5 * 5));
    /* In any order of the rows. */
    const double truth2[] = {2, 3, 1, 2}, predicted2[] = {3, 4, 1, 2};
    assert_near(scores_of(truth2, predicted2, 4).spearman, 4.5 / sqrt(4.5 * 5));
}

static void test_medians(void **state)
{
    (void)state;
    const double truth[] = {1, 1, 1, 1}, predicted[] = {1.5, 1.125, 3, 1.25};
    const kt_scores s = scores_of(truth, predicted, 4);
    assert_near(s.medape, 0.375);
    assert_true(isnan(s.r2) && isnan(s.r2_log) && isnan(s.spearman)); /* equal truths */
}

/* Also where the mean of equal numbers isn't the number. */
static void test_equal_truths(void **state)
{
    (void)state;
    double truth[19], predicted[19];
    for (int n = 2; n <= 19; n++)
        for (int k = 1; k < 40; k++) {
            for (int i = 0; i < n; i++) {
                truth[i] = 0.1 * k;
                predicted[i] = 1 + i;
            }
            const kt_scores s = scores_of(truth, predicted, n);
            assert_true(isnan(s.r2) && isnan(s.r2_log) && isnan(s.spearman));
            assert_true(isfinite(s.mape) && isfinite(s.rmse));
        }
}

static void test_constant_predictions(void **state)
{
    (void)state;
    const double truth[] = {1, 2, 6}, predicted[] = {3, 3, 3};
    const kt_scores s = scores_of(truth, predicted, 3);
    assert_true(isnan(s.spearman));
    assert_near(s.r2, 0);
    assert_near(s.mae, 2);
}

static void test_one_row(void **state)
{
    (void)state;
    const double truth[] = {4}, predicted[] = {5};
    const kt_scores s = scores_of(truth, predicted, 1);
    assert_near(s.mape, 0.25);
    assert_near(s.medape, 0.25);
    assert_near(s.mae, 1);
    assert_near(s.rmse, 1);
    assert_near(s.sre, 2.0 / 9);
    assert_true(isnan(s.r2) && isnan(s.r2_log) && isnan(s.spearman));
}

/* Below zero a prediction has no logarithm; it counts as 1e-6 there and as itself everywhere else. */
static void test_negative_predictions(void **state)
{
    (void)state;
    const double truth[] = {1, 100}, predicted[] = {-1, 100}, zero[] = {0, 100}, min[] = {1e-6, 100};
    const kt_scores s = scores_of(truth, predicted, 2);
    assert_near(s.mape, 1);
    assert_near(s.sre, 1); /* 2 * 2 / 2 of the one, over two rows */
    assert_near(s.r2_log, scores_of(truth, min, 2).r2_log);
    assert_near(scores_of(truth, zero, 2).r2_log, 1 - 36 / 2.0);
}

static void test_not_finite(void **state)
{
    (void)state;
    const double truth[] = {1, 2, 3}, with_nan[] = {1, NAN, 3}, with_inf[] = {1, INFINITY, 3};
    const kt_scores nan = scores_of(truth, with_nan, 3), inf = scores_of(truth, with_inf, 3);
    assert_true(isnan(nan.mape) && isnan(nan.medape) && isnan(nan.mae) && isnan(nan.rmse) && isnan(nan.r2));
    assert_true(isnan(nan.r2_log) && isnan(nan.spearman) && isnan(nan.sre));
    assert_false(isfinite(inf.mape) || isfinite(inf.medape) || isfinite(inf.mae) || isfinite(inf.rmse));
    assert_false(isfinite(inf.r2) || isfinite(inf.r2_log) || isfinite(inf.spearman) || isfinite(inf.sre));
}

static kti_summary summary_of(const double *values, int size)
{
    kt_error error = KT_ERROR_NONE;
    kti_summary summary;
    assert_ok(kti_summarise(values, size, &summary, &error), &error);
    return summary;
}

static void test_summary(void **state)
{
    (void)state;
    const double odd[] = {3, NAN, 1, INFINITY, 2}, even[] = {4, 1, 2, 10}, one[] = {7},
                 none[] = {NAN, -INFINITY};
    kti_summary s = summary_of(odd, 5);
    assert_int_equal(s.size, 3);
    assert_near(s.mean, 2);
    assert_near(s.sd, sqrt(2.0 / 3)); /* of the population */
    assert_near(s.median, 2);
    s = summary_of(even, 4);
    assert_near(s.mean, 4.25);
    assert_near(s.median, 3);
    assert_near(s.sd, sqrt((0.0625 + 10.5625 + 5.0625 + 33.0625) / 4));
    s = summary_of(one, 1);
    assert_true(s.mean == 7 && s.sd == 0 && s.median == 7);
    s = summary_of(none, 2);
    assert_int_equal(s.size, 0);
    assert_true(isnan(s.mean) && isnan(s.sd) && isnan(s.median));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_perfect),
        cmocka_unit_test(test_symmetry),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_medians),
        cmocka_unit_test(test_equal_truths),
        cmocka_unit_test(test_constant_predictions),
        cmocka_unit_test(test_one_row),
        cmocka_unit_test(test_negative_predictions),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
