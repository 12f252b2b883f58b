/* Welch's t-test against scipy.stats.ttest_ind(equal_var=False). */
#include "support.h"

#include <math.h>

#include "statistics/welch.h"

static void assert_near(double value, double expected)
{
    if (!(isfinite(value) && fabs(value - expected) <= 1e-12 * fabs(expected)))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void test_reference(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3, 4}, b[] = {2, 9, 4, 11, 30};
    const double c[] = {0.5, 0.75, 0.25, NAN}, d[] = {0.5, INFINITY, 0.625, 0.875, 1.0};
    kti_welch w = kti_welch_test(a, b, (const int[]){4, 5});
    assert_near(w.t, -1.7345734913133333);
    assert_near(w.freedom, 4.134305583124858);
    assert_near(w.p, 0.15550462643510918);
    w = kti_welch_test(b, a, (const int[]){5, 4});
    assert_near(w.t, 1.7345734913133333);
    assert_near(w.p, 0.15550462643510918);
    /* What is not finite does not count. */
    w = kti_welch_test(c, d, (const int[]){4, 5});
    assert_near(w.t, -1.3587324409735149);
    assert_near(w.freedom, 4.190082644628099);
    assert_near(w.p, 0.24277865845827634);
}

static void test_nothing_to_compare(void **state)
{
    (void)state;
    const double one[] = {1, NAN}, two[] = {1, 2}, same[] = {3, 3};
    assert_true(isnan(kti_welch_test(one, two, (const int[]){2, 2}).p));
    assert_true(isnan(kti_welch_test(two, one, (const int[]){2, 0}).p));
    assert_true(isnan(kti_welch_test(same, same, (const int[]){2, 2}).t));
    assert_true(isfinite(kti_welch_test(two, same, (const int[]){2, 2}).p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_nothing_to_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
