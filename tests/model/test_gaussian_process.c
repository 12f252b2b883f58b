/* The Gaussian process against central differences, closed forms, and a dense computation of its own by GSL. */
#include "../support.h"
#include "support.h"

#include <gsl/gsl_linalg.h>

#include "model/gaussian_process.h"

enum { ROWS = 12, COLUMNS = 3 };

typedef struct case_of {
    const char *name;
    kti_gp_options options;
} case_of;

#define TERM(what, alike, from, count, size)                                                                 \
    {                                                                                                        \
        .kind = (what), .isotropic = (alike), .first = (from), .columns = (count), .variance = (size),       \
        .length = 0.9, .variance_spread = 1.5, .length_spread = 1.2                                          \
    }

/* Every kernel with a length scale each and with one for all, on all columns and on some, and their sums. */
static const case_of cases[] = {
    {"rbf", {.terms = 1, .term = {TERM(KTI_GP_RBF, false, 0, 3, 1)}}},
    {"rbf, one length", {.terms = 1, .term = {TERM(KTI_GP_RBF, true, 0, 3, 1)}}},
    {"matern", {.terms = 1, .term = {TERM(KTI_GP_MATERN52, false, 0, 3, 1)}}},
    {"matern, one length", {.terms = 1, .term = {TERM(KTI_GP_MATERN52, true, 1, 2, 0.7)}}},
    {"linear", {.terms = 1, .term = {TERM(KTI_GP_LINEAR, false, 0, 3, 1)}}},
    {"linear, one length", {.terms = 1, .term = {TERM(KTI_GP_LINEAR, true, 0, 3, 1)}}},
    {"matern + rbf",
     {.terms = 2, .term = {TERM(KTI_GP_MATERN52, false, 0, 2, 1), TERM(KTI_GP_RBF, true, 2, 1, 0.3)}}},
    {"matern + linear",
     {.terms = 2, .term = {TERM(KTI_GP_MATERN52, true, 0, 3, 1), TERM(KTI_GP_LINEAR, false, 0, 3, 0.2)}}},
    {"all, twice a kernel",
     {.terms = 4,
      .term = {TERM(KTI_GP_MATERN52, false, 0, 3, 1), TERM(KTI_GP_RBF, true, 0, 3, 0.3),
               TERM(KTI_GP_LINEAR, true, 0, 3, 0.05), TERM(KTI_GP_RBF, false, 1, 1, 0.5)}}},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static kti_gp_options options_of(const case_of *c)
{
    kti_gp_options options = c->options;
    options.noise = 0.05;
    options.noise_spread = 1;
    options.evaluations = 60;
    return options;
}

static double draw(uint64_t *state)
{
    return (double)(next_random(state) >> 11) / 9007199254740992.0;
}

/* Columns of different size and place, and a smooth function of them with some noise. */
static void make_data(double inputs[ROWS * COLUMNS], double targets[ROWS])
{
    uint64_t seed = 5;
    for (int i = 0; i < ROWS; i++) {
        double *x = inputs + (ptrdiff_t)i * COLUMNS;
        x[0] = draw(&seed);
        x[1] = 100 + 30 * draw(&seed);
        x[2] = -2 + 0.01 * draw(&seed);
        targets[i] = 3 + sin(4 * x[0]) + 0.03 * (x[1] - 100) + 40 * (x[2] + 2) + 0.1 * draw(&seed);
    }
}

static kti_gp fit(const double *inputs, const double *targets, int rows, int columns,
                  const kti_gp_options *options)
{
    kti_gp gp;
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_gp_fit(inputs, targets, rows, columns, options, &gp, &error), &error);
    return gp;
}

/* ---- an independent computation ---- */

static double kernel(kti_gp_kind kind, double product)
{
    const double r = sqrt(fabs(product));
    switch (kind) {
    case KTI_GP_RBF: return exp(-0.5 * product);
    case KTI_GP_MATERN52: return (1 + sqrt(5) * r + 5 * product / 3) * exp(-sqrt(5) * r);
    case KTI_GP_LINEAR: return product;
    }
    return NAN;
}

/* The covariance of two inputs, not standardised, without noise. */
static double covariance(const kti_gp *gp, const double *a, const double *b)
{
    double sum = 0;
    const double *p = gp->parameter;
    for (int t = 0; t < gp->options.terms; t++) {
        const kti_gp_term *term = &gp->options.term[t];
        double product = 0;
        for (int c = 0; c < term->columns; c++) {
            const int column = term->first + c;
            const double length = exp(p[1 + (term->isotropic ? 0 : c)]), sd = gp->column_sd[column],
                         mean = gp->column_mean[column];
            const double x = (a[column] - mean) / sd / length, y = (b[column] - mean) / sd / length;
            product += term->kind == KTI_GP_LINEAR ? x * y : (x - y) * (x - y);
        }
        sum += exp(p[0]) * kernel(term->kind, product);
        p += 1 + (term->isotropic ? 1 : term->columns);
    }
    return sum;
}

static double noise_of(const kti_gp *gp)
{
    return exp(gp->parameter[gp->parameters - 1]) + 1e-6;
}

typedef struct dense {
    gsl_matrix *factors;
    gsl_permutation *permutation;
    gsl_vector *targets, *solution;
    int sign;
} dense;

/* By elimination with pivots, not by Cholesky. */
static dense dense_create(const kti_gp *gp, const double *inputs, const double *targets)
{
    const size_t n = (size_t)gp->rows;
    dense d = {gsl_matrix_alloc(n, n), gsl_permutation_alloc(n), gsl_vector_alloc(n), gsl_vector_alloc(n), 0};
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            gsl_matrix_set(
                d.factors, i, j,
                covariance(gp, inputs + i * (size_t)gp->columns, inputs + j * (size_t)gp->columns) +
                    (i == j ? noise_of(gp) : 0));
        gsl_vector_set(d.targets, i, (targets[i] - gp->target_mean) / gp->target_sd);
    }
    gsl_linalg_LU_decomp(d.factors, d.permutation, &d.sign);
    gsl_linalg_LU_solve(d.factors, d.permutation, d.targets, d.solution);
    return d;
}

static void dense_destroy(dense *d)
{
    gsl_matrix_free(d->factors);
    gsl_permutation_free(d->permutation);
    gsl_vector_free(d->targets);
    gsl_vector_free(d->solution);
}

static void dense_predict(const dense *d, const kti_gp *gp, const double *inputs, const double *input,
                          double *mean, double *variance)
{
    const size_t n = (size_t)gp->rows;
    gsl_vector *k = gsl_vector_alloc(n), *solved = gsl_vector_alloc(n);
    double sum = 0, own = covariance(gp, input, input) + noise_of(gp);
    for (size_t i = 0; i < n; i++)
        gsl_vector_set(k, i, covariance(gp, input, inputs + i * (size_t)gp->columns));
    gsl_linalg_LU_solve(d->factors, d->permutation, k, solved);
    for (size_t i = 0; i < n; i++) {
        sum += gsl_vector_get(k, i) * gsl_vector_get(d->solution, i);
        own -= gsl_vector_get(k, i) * gsl_vector_get(solved, i);
    }
    *mean = gp->target_mean + gp->target_sd * sum;
    *variance = gp->target_sd * gp->target_sd * own;
    gsl_vector_free(k);
    gsl_vector_free(solved);
}

static double penalty(double value, double median, double spread)
{
    return 0.5 * (value - log(median)) * (value - log(median)) / (spread * spread);
}

static double dense_objective(const dense *d, const kti_gp *gp)
{
    double value = 0.5 * gp->rows * log(2 * acos(-1)) + 0.5 * gsl_linalg_LU_lndet(d->factors);
    for (size_t i = 0; i < (size_t)gp->rows; i++)
        value += 0.5 * gsl_vector_get(d->targets, i) * gsl_vector_get(d->solution, i);
    const double *p = gp->parameter;
    for (int t = 0; t < gp->options.terms; t++) {
        const kti_gp_term *term = &gp->options.term[t];
        const int lengths = term->isotropic ? 1 : term->columns;
        value += penalty(*p++, term->variance, term->variance_spread);
        for (int l = 0; l < lengths; l++)
            value += penalty(*p++, term->length * sqrt(term->columns), term->length_spread);
    }
    return value + penalty(*p, gp->options.noise, gp->options.noise_spread);
}

/* ---- the tests ---- */

static void test_gradient(void **state)
{
    (void)state;
    double inputs[ROWS * COLUMNS], targets[ROWS];
    make_data(inputs, targets);
    for (int c = 0; c < CASES; c++) {
        const kti_gp_options options = options_of(&cases[c]);
        kti_gp gp = fit(inputs, targets, ROWS, COLUMNS, &options);
        kt_error error = KT_ERROR_NONE;
        double at[32], gradient[32], unused[32];
        uint64_t seed = 17;
        assert_int_equal(gp.parameters, kti_gp_parameters(&options));
        assert_in_range(gp.parameters, 3, 32);
        for (int place = 0; place < 3; place++) {
            /* Away from the minimum, where the gradient is something to compare. */
            for (int i = 0; i < gp.parameters; i++)
                at[i] = gp.parameter[i] + place * (2 * draw(&seed) - 1);
            const double value = kti_gp_objective(&gp, at, gradient, &error);
            assert_true(isfinite(value));
            for (int i = 0; i < gp.parameters; i++) {
                const double step = 1e-5, middle = at[i];
                at[i] = middle + step;
                const double above = kti_gp_objective(&gp, at, unused, &error);
                at[i] = middle - step;
                const double below = kti_gp_objective(&gp, at, unused, &error);
                at[i] = middle;
                if (!is_close(gradient[i], (above - below) / (2 * step), 1e-5, 1e-6))
                    fail_msg("%s, place %d, parameter %d: %.12g and %.12g", cases[c].name, place, i,
                             gradient[i], (above - below) / (2 * step));
            }
        }
        kti_gp_destroy(&gp);
    }
}

static void test_dense(void **state)
{
    (void)state;
    double inputs[ROWS * COLUMNS], targets[ROWS], work[ROWS + COLUMNS], gradient[32];
    make_data(inputs, targets);
    for (int c = 0; c < CASES; c++) {
        const kti_gp_options options = options_of(&cases[c]);
        kti_gp gp = fit(inputs, targets, ROWS, COLUMNS, &options);
        dense d = dense_create(&gp, inputs, targets);
        kt_error error = KT_ERROR_NONE;
        uint64_t seed = 23;
        const double own = kti_gp_objective(&gp, gp.parameter, gradient, &error);
        assert_true(is_close(gp.objective, own, 1e-12, 1e-12));
        if (!is_close(own, dense_objective(&d, &gp), 1e-8, 1e-8))
            fail_msg("%s: objective %.12g and %.12g", cases[c].name, own, dense_objective(&d, &gp));
        for (int i = 0; i < 40; i++) {
            double mean, variance, wanted_mean, wanted_variance, alone;
            const double x[COLUMNS] = {3 * draw(&seed) - 1, 80 + 80 * draw(&seed),
                                       -2.02 + 0.05 * draw(&seed)};
            kti_gp_predict(&gp, x, work, &mean, &variance);
            kti_gp_predict(&gp, x, work, &alone, NULL);
            dense_predict(&d, &gp, inputs, x, &wanted_mean, &wanted_variance);
            assert_true(mean == alone);
            if (!is_close(mean, wanted_mean, 1e-8, 1e-8) || !is_close(variance, wanted_variance, 1e-7, 1e-8))
                fail_msg("%s, input %d: %.12g (%.12g) instead of %.12g (%.12g)", cases[c].name, i, mean,
                         variance, wanted_mean, wanted_variance);
        }
        dense_destroy(&d);
        kti_gp_destroy(&gp);
    }
}

/* The fit is a minimum: a step in any direction is not below it, and the gradient is small. */
static void test_minimum(void **state)
{
    (void)state;
    double inputs[ROWS * COLUMNS], targets[ROWS], gradient[32], at[32], start_gradient[32];
    make_data(inputs, targets);
    for (int c = 0; c < CASES; c++) {
        kti_gp_options options = options_of(&cases[c]);
        options.evaluations = 400;
        kti_gp gp = fit(inputs, targets, ROWS, COLUMNS, &options);
        kt_error error = KT_ERROR_NONE;
        kti_gp_objective(&gp, gp.parameter, gradient, &error);
        double square = 0, start_square = 0;
        const double *p = gp.parameter;
        double *to = at;
        for (int t = 0; t < options.terms; t++) {
            const kti_gp_term *term = &options.term[t];
            *to++ = log(term->variance);
            for (int l = 0; l < (term->isotropic ? 1 : term->columns); l++)
                *to++ = log(term->length * sqrt(term->columns));
        }
        *to = log(options.noise);
        assert_true(kti_gp_objective(&gp, at, start_gradient, &error) > gp.objective);
        for (int i = 0; i < gp.parameters; i++) {
            square += gradient[i] * gradient[i];
            start_square += start_gradient[i] * start_gradient[i];
            assert_true(fabs(p[i]) <= KTI_GP_LOG_RANGE);
        }
        if (!(square < 1e-3 * start_square))
            fail_msg("%s: the gradient's norm is %g, and was %g", cases[c].name, sqrt(square),
                     sqrt(start_square));
        kti_gp_destroy(&gp);
    }
}

/* Two rows: standardised inputs and targets are -1 and 1. With k = k(-1, -1), c = k(-1, 1), s the noise, the targets are an
 * eigenvector of the covariance, of k - c + s. */
static void test_two_rows(void **state)
{
    (void)state;
    const double inputs[] = {3, 7}, targets[] = {10, 2};
    for (int kind = KTI_GP_RBF; kind <= KTI_GP_LINEAR; kind++) {
        const case_of one = {"", {.terms = 1, .term = {TERM((kti_gp_kind)kind, false, 0, 1, 1)}}};
        const kti_gp_options options = options_of(&one);
        kti_gp gp = fit(inputs, targets, 2, 1, &options);
        double work[3];
        assert_true(is_close(gp.target_mean, 6, 1e-15, 0) && is_close(gp.target_sd, 4, 1e-15, 0));
        assert_true(is_close(gp.column_mean[0], 5, 1e-15, 0) && is_close(gp.column_sd[0], 2, 1e-15, 0));
        const double v = exp(gp.parameter[0]), l = exp(gp.parameter[1]), s = noise_of(&gp);
        const double k = kind == KTI_GP_LINEAR ? v / (l * l) : v, q = 4 / (l * l), r = sqrt(5 * q);
        const double c = kind == KTI_GP_RBF        ? v * exp(-q / 2)
                         : kind == KTI_GP_MATERN52 ? v * (1 + r + r * r / 3) * exp(-r)
                                                   : -k;
        double mean, variance;
        /* At a row; k* = (k, c). The inverse is [[k + s, -c], [-c, k + s]] / ((k + s)^2 - c^2). */
        kti_gp_predict(&gp, inputs, work, &mean, &variance);
        const double determinant = (k + s) * (k + s) - c * c;
        const double explained = ((k + s) * (k * k + c * c) - 2 * k * c * c) / determinant;
        assert_true(is_close(mean, 6 + 4 * (k - c) / (k - c + s), 1e-10, 0));
        assert_true(is_close(variance, 16 * (k + s - explained), 1e-8, 1e-10));
        /* In the middle both rows say the same, so that nothing is known but the mean. */
        const double between = 5;
        kti_gp_predict(&gp, &between, work, &mean, &variance);
        assert_true(is_close(mean, 6, 1e-12, 0));
        const double half = kind == KTI_GP_RBF        ? v * exp(-q / 8)
                            : kind == KTI_GP_MATERN52 ? v * (1 + r / 2 + r * r / 12) * exp(-r / 2)
                                                      : 0;
        const double rest = (kind == KTI_GP_LINEAR ? 0 : v) + s - 2 * half * half / (k + s + c);
        assert_true(is_close(variance, 16 * rest, 1e-8, 1e-10));
        kti_gp_destroy(&gp);
    }
}

/* Three rows at -a, 0, a: targets (1, -2, 1) / sqrt(2) are even, so that the middle of the sum of a row and its image does
 * not matter: the problem is one of two unknowns. */
static void test_three_rows(void **state)
{
    (void)state;
    const double inputs[] = {1, 2, 3}, targets[] = {1, -2, 1};
    const case_of one = {"", {.terms = 1, .term = {TERM(KTI_GP_RBF, true, 0, 1, 1)}}};
    const kti_gp_options options = options_of(&one);
    kti_gp gp = fit(inputs, targets, 3, 1, &options);
    double work[4], mean;
    const double v = exp(gp.parameter[0]), l = exp(gp.parameter[1]), s = noise_of(&gp), a = sqrt(1.5);
    assert_true(is_close(gp.target_sd, sqrt(2), 1e-12, 0));
    assert_true(is_close(gp.column_sd[0], 1 / a, 1e-12, 0));
    const double near = v * exp(-a * a / (2 * l * l)), far = v * exp(-4 * a * a / (2 * l * l));
    /* [v + s + far, near; 2 near, v + s] (w1, w0) = (1, -2) / sqrt(2) */
    const double y1 = 1 / sqrt(2), y0 = -2 / sqrt(2), m = v + s + far, e = v + s;
    const double determinant = m * e - 2 * near * near;
    const double w1 = (e * y1 - near * y0) / determinant, w0 = (m * y0 - 2 * near * y1) / determinant;
    for (int i = 0; i < 3; i++)
        assert_true(is_close(gp.weight[i], i == 1 ? w0 : w1, 1e-9, 1e-12));
    kti_gp_predict(&gp, &inputs[1], work, &mean, NULL);
    assert_true(is_close(mean, sqrt(2) * (2 * near * w1 + v * w0), 1e-9, 1e-12));
    kti_gp_destroy(&gp);
}

/* Far from all rows nothing is known but the mean and the variance of the prior. */
static void test_prior_is_recovered(void **state)
{
    (void)state;
    double inputs[ROWS * COLUMNS], targets[ROWS], work[ROWS + COLUMNS], mean, variance;
    make_data(inputs, targets);
    for (int c = 0; c < 3; c += 2) {
        const kti_gp_options options = options_of(&cases[c]);
        kti_gp gp = fit(inputs, targets, ROWS, COLUMNS, &options);
        const double x[COLUMNS] = {1e9, -1e9, 1e9};
        kti_gp_predict(&gp, x, work, &mean, &variance);
        assert_true(is_close(mean, gp.target_mean, 1e-12, 0));
        assert_true(is_close(variance, gp.target_sd * gp.target_sd * (exp(gp.parameter[0]) + noise_of(&gp)),
                             1e-12, 0));
        kti_gp_destroy(&gp);
    }
    /* Where the data say nothing of a length, its prior's median is the fit. */
    for (int i = 0; i < ROWS; i++)
        inputs[i * COLUMNS + 1] = 100;
    const kti_gp_options options = options_of(&cases[0]);
    kti_gp gp = fit(inputs, targets, ROWS, COLUMNS, &options);
    assert_true(is_close(gp.parameter[2], log(0.9 * sqrt(3)), 0, 1e-9));
    assert_false(is_close(gp.parameter[1], log(0.9 * sqrt(3)), 0, 1e-3));
    kti_gp_destroy(&gp);
}

static void test_constant_columns_and_duplicates(void **state)
{
    (void)state;
    double inputs[ROWS * COLUMNS], targets[ROWS], work[ROWS + COLUMNS], mean, variance;
    make_data(inputs, targets);
    for (int i = 0; i < ROWS; i++) {
        inputs[i * COLUMNS + 1] = 1e8 / 3;
        inputs[i * COLUMNS + 2] = 0;
    }
    /* The same crystal several times, once with another target. */
    for (int i = 1; i < 5; i++)
        memcpy(inputs + (ptrdiff_t)i * COLUMNS, inputs, COLUMNS * sizeof *inputs);
    targets[1] = targets[2] = targets[3] = targets[0];
    for (int c = 0; c < CASES; c++) {
        kti_gp_options options = options_of(&cases[c]);
        options.noise = 1e-9; /* as good as none: the covariance is all but singular */
        options.noise_spread = 0.1;
        kti_gp gp = fit(inputs, targets, ROWS, COLUMNS, &options);
        assert_true(gp.column_sd[1] == 1 && gp.column_sd[2] == 1);
        for (int i = 0; i < ROWS; i++) {
            kti_gp_predict(&gp, inputs + (ptrdiff_t)i * COLUMNS, work, &mean, &variance);
            assert_true(isfinite(mean) && isfinite(variance) && variance > 0);
        }
        kti_gp_destroy(&gp);
    }
}

static void test_conditioned_is_fitted(void **state)
{
    (void)state;
    double inputs[ROWS * COLUMNS], targets[ROWS], work[ROWS + COLUMNS];
    make_data(inputs, targets);
    const kti_gp_options options = options_of(&cases[CASES - 1]);
    kti_gp gp = fit(inputs, targets, ROWS, COLUMNS, &options), again, same;
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_gp_create(ROWS, COLUMNS, &options, &again, &error), &error);
    memcpy(again.input, gp.input, ROWS * COLUMNS * sizeof(double));
    memcpy(again.column_mean, gp.column_mean, COLUMNS * sizeof(double));
    memcpy(again.column_sd, gp.column_sd, COLUMNS * sizeof(double));
    memcpy(again.target, gp.target, ROWS * sizeof(double));
    memcpy(again.parameter, gp.parameter, (size_t)gp.parameters * sizeof(double));
    again.target_mean = gp.target_mean;
    again.target_sd = gp.target_sd;
    assert_ok(kti_gp_condition(&again, &error), &error);
    same = fit(inputs, targets, ROWS, COLUMNS, &options);
    assert_memory_equal(same.parameter, gp.parameter, (size_t)gp.parameters * sizeof(double));
    for (int i = 0; i < ROWS; i++) {
        double a[2], b[2], c[2];
        const double *x = inputs + (ptrdiff_t)i * COLUMNS;
        kti_gp_predict(&gp, x, work, &a[0], &a[1]);
        kti_gp_predict(&again, x, work, &b[0], &b[1]);
        kti_gp_predict(&same, x, work, &c[0], &c[1]);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_equal(a, c, sizeof a);
    }
    /* A covariance that is none is an error, not a number. */
    again.parameter[0] = NAN;
    assert_int_equal(kti_gp_condition(&again, &error), KT_NON_FINITE);
    double gradient[32];
    assert_true(isnan(kti_gp_objective(&gp, again.parameter, gradient, &error)));
    kti_gp_destroy(&gp);
    kti_gp_destroy(&again);
    kti_gp_destroy(&same);
}

static void refuse(const double *inputs, const double *targets, int rows, int columns,
                   const kti_gp_options *options, const char *says)
{
    kti_gp gp;
    kt_error error = KT_ERROR_NONE;
    memset(&gp, 0x55, sizeof gp);
    const kt_status status = kti_gp_fit(inputs, targets, rows, columns, options, &gp, &error);
    expect_error(says, status, &error, KT_BAD_ARGUMENT, says, ANY_BYTE);
    /* Nothing is left to destroy. */
    assert_null(gp.input);
    assert_null(gp.factor);
    kti_gp_destroy(&gp);
}

static void test_refusals(void **state)
{
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    double inputs[ROWS * COLUMNS], targets[ROWS];
    const kti_gp_options good = options_of(&cases[0]);
    make_data(inputs, targets);
    for (size_t i = 0; i < 3; i++) {
        const double input = inputs[20], target = targets[7];
        inputs[20] = bad[i];
        refuse(inputs, targets, ROWS, COLUMNS, &good, "not finite");
        inputs[20] = input;
        targets[7] = bad[i];
        refuse(inputs, targets, ROWS, COLUMNS, &good, "not finite");
        targets[7] = target;
    }
    const double same[ROWS] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    refuse(inputs, same, ROWS, COLUMNS, &good, "are the same");
    refuse(inputs, targets, 1, COLUMNS, &good, "2 to 2048 rows, not to 1");
    refuse(inputs, targets, 0, COLUMNS, &good, "not to 0");
    refuse(inputs, targets, -1, COLUMNS, &good, "not to -1");
    refuse(inputs, targets, KTI_GP_MAX_ROWS + 1, COLUMNS, &good, "not to 2049");
    refuse(inputs, targets, INT32_MAX, INT32_MAX, &good, "rows");
    refuse(inputs, targets, ROWS, 0, &good, "1 to 256 inputs, not 0");
    refuse(inputs, targets, ROWS, KTI_GP_MAX_COLUMNS + 1, &good, "not 257");
    kti_gp_options o = good;
    for (int terms = -1; terms <= KTI_GP_MAX_TERMS + 1; terms += KTI_GP_MAX_TERMS + 2) {
        o.terms = terms;
        refuse(inputs, targets, ROWS, COLUMNS, &o, "1 to 4 terms");
    }
    o.terms = 0;
    refuse(inputs, targets, ROWS, COLUMNS, &o, "1 to 4 terms");
#define BAD(field, value, says)                                                                              \
    do {                                                                                                     \
        o = good;                                                                                            \
        o.field = (value);                                                                                   \
        refuse(inputs, targets, ROWS, COLUMNS, &o, says);                                                    \
    } while (0)
    BAD(term[0].first, -1, "term 1 of a Gaussian process sees inputs");
    BAD(term[0].first, 1, "sees inputs");
    BAD(term[0].first, INT32_MAX, "sees inputs");
    BAD(term[0].columns, 0, "sees inputs");
    BAD(term[0].columns, INT32_MAX, "sees inputs");
    BAD(term[0].variance, 0, "prior");
    BAD(term[0].length, NAN, "prior");
    BAD(term[0].variance_spread, 0, "prior");
    BAD(term[0].length_spread, -1, "prior");
    BAD(noise, 0, "the noise");
    BAD(noise_spread, INFINITY, "the noise");
#undef BAD
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_two_rows),
        cmocka_unit_test(test_three_rows),
        cmocka_unit_test(test_prior_is_recovered),
        cmocka_unit_test(test_constant_columns_and_duplicates),
        cmocka_unit_test(test_conditioned_is_fitted),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
