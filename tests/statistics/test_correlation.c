/* Correlations, their p-values and adjusted ones equal SciPy's (1.17.1: pearsonr, spearmanr, false_discovery_control). */
#include "support.h"

#include "statistics/correlation.h"

enum { MAX = 1000, KINDS = 4 };

typedef struct reference {
    int size, kind;
    double pearson, pearson_p, spearman, spearman_p;
} reference;

static const reference references[] = {
    {3, 0, 0.95345905307400214, 0.19498969527864496, 1, 0},
    {3, 1, 0.83862786937753486, 0.36671657332092283, 1, 0},
    {3, 2, 0.88424259082624423, 0.30935046770193747, 1, 0},
    {10, 0, 0.93913333049310144, 5.5772058321894712e-05, 0.95151515151515142, 2.279854920641689e-05},
    {10, 1, 0.4622501635210241, 0.17859915183527331, 0.50169962025157389, 0.13955011371469109},
    {10, 2, 0.14381934507627489, 0.69182210961213253, 0.19999999999999998, 0.57958400000000021},
    {10, 3, -0.99999999999994194, 0, -1, 0},
    {50, 0, 0.93744703462757784, 1.2285324999564853e-23, 0.94448979591836735, 7.5700581363093139e-25},
    {50, 1, 0.4630987993693032, 0.00070773382428158385, 0.44624216828460933, 0.0011615977468457455},
    {50, 2, 0.11182539850845344, 0.43943071127756855, 0.096470588235294127, 0.50512120286349282},
    {1000, 0, 0.9301376593659948, 0, 0.93706417306417311, 0},
    {1000, 1, 0.40758779551538887, 2.6214215414262996e-41, 0.38823177150992721, 2.5477775657163397e-37},
    {1000, 2, 0.0049619825843335245, 0.87546837800377031, 0.0049258249258249259, 0.87636851876714306},
    {1000, 3, -0.99999999999994416, 0, -1, 0},
};

/* Curved, tied, unrelated, and all but a line. */
static void make(int size, int kind, double *x, double *y)
{
    for (int i = 0; i < size; i++) {
        const double a = fmod(i * 0.754877666, 1), b = fmod(i * 0.569840291, 1);
        x[i] = kind == 1 ? floor(10 * a) : a;
        y[i] = kind == 0   ? a * a + 0.3 * b
               : kind == 1 ? floor(6 * b) + floor(3 * a)
               : kind == 2 ? b
                           : -3 * a + 1e-6 * b;
    }
}

static void assert_close(const reference *r, const char *what, double value, double expected)
{
    if (!is_close(value, expected, 1e-10, 1e-300))
        fail_msg("%d pairs of kind %d: %s is %.17g, SciPy's %.17g", r->size, r->kind, what, value, expected);
}

static void correlations_are_scipys(void **state)
{
    static double x[MAX], y[MAX];
    (void)state;
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        const reference *r = &references[i];
        kti_correlation c;
        kt_error error = KT_ERROR_NONE;
        make(r->size, r->kind, x, y);
        assert_ok(kti_correlate(x, y, (size_t)r->size, &c, &error), &error);
        assert_int_equal(c.size, r->size);
        assert_close(r, "r", c.pearson, r->pearson);
        assert_close(r, "rho", c.spearman, r->spearman);
        if (r->kind == 3) { /* so near to a line that p is what rounding makes of it */
            assert_true(c.pearson_p < 1e-50 && c.spearman_p < 1e-50);
            continue;
        }
        assert_close(r, "p of r", c.pearson_p, r->pearson_p);
        if (fabs(r->spearman) < 1)
            assert_close(r, "p of rho", c.spearman_p, r->spearman_p);
        else
            assert_true(c.spearman_p < 1e-7);
    }
}

static void what_is_not_finite_does_not_count(void **state)
{
    static double x[MAX], y[MAX];
    kti_correlation whole, holes;
    kt_error error = KT_ERROR_NONE;
    (void)state;
    make(50, 1, x, y);
    assert_ok(kti_correlate(x, y, 50, &whole, &error), &error);
    make(53, 1, x, y);
    x[50] = NAN;
    y[51] = INFINITY;
    y[52] = NAN;
    assert_ok(kti_correlate(x, y, 53, &holes, &error), &error);
    assert_int_equal(holes.size, 50);
    assert_true(holes.pearson == whole.pearson && holes.spearman_p == whole.spearman_p);
}

static void nothing_is_said_of_a_constant(void **state)
{
    const double x[] = {1, 2, 3, 4}, y[] = {2, 2, 2, 2};
    kti_correlation c;
    kt_error error = KT_ERROR_NONE;
    (void)state;
    assert_ok(kti_correlate(x, y, 4, &c, &error), &error);
    assert_true(isnan(c.pearson) && isnan(c.pearson_p) && isnan(c.spearman) && isnan(c.spearman_p));
    assert_ok(kti_correlate(x, x, 2, &c, &error), &error);
    assert_true(isnan(c.pearson) && c.size == 2);
    assert_ok(kti_correlate(x, x, 0, &c, &error), &error);
    assert_int_equal(c.size, 0);
}

static void many_tests_are_adjusted(void **state)
{
    const double p[] = {0.01, 0.04, 0.03, 0.005, 0.5, 1.0, 0.02, 0.9, 0.0001};
    const double discoveries[] = {0.03, 0.06, 0.054, 0.0225, 0.6428571428571429, 1.0, 0.045, 1.0, 0.0009};
    /* By hand: the i-th least times 9 - i + 1, never falling. */
    const double holm[] = {0.07, 0.16, 0.15, 0.04, 1, 1, 0.12, 1, 0.0009};
    double adjusted[10], with_nan[10];
    kt_error error = KT_ERROR_NONE;
    (void)state;
    assert_ok(kti_adjust_discoveries(p, 9, adjusted, &error), &error);
    for (int i = 0; i < 9; i++)
        assert_true(is_close(adjusted[i], discoveries[i], 1e-12, 0));
    assert_ok(kti_adjust_holm(p, 9, adjusted, &error), &error);
    for (int i = 0; i < 9; i++)
        assert_true(is_close(adjusted[i], holm[i], 1e-12, 0));
    /* A test that could not be made is none. */
    memcpy(with_nan, p, sizeof p);
    with_nan[9] = NAN;
    assert_ok(kti_adjust_discoveries(with_nan, 10, with_nan, &error), &error);
    assert_true(is_close(with_nan[3], discoveries[3], 1e-12, 0) && isnan(with_nan[9]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(correlations_are_scipys),
        cmocka_unit_test(what_is_not_finite_does_not_count),
        cmocka_unit_test(nothing_is_said_of_a_constant),
        cmocka_unit_test(many_tests_are_adjusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
