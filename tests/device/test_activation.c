/* The activation functions over dense ranges against libm in double: as scalar functions, and as every
 * backend's vectorised kernels compute them. */
#include <float.h>

#include "device/runners.h"
#include "kernels/activation.h"
#include "reference/twins.h"
#include "support.h"

enum { POINTS = 1 << 17 };

static kt_real points[POINTS], values[4 * POINTS], zeros[4 * POINTS];

static void fill(double low, double high)
{
    for (int i = 0; i < POINTS; i++)
        points[i] = (kt_real)(low + (high - low) * i / (POINTS - 1));
}

/* ---- ways to compute values [POINTS] from points ---- */

enum { SCALAR = -1 }; /* in place of a runner */

static const int32_t one = 1;

static kt_matrix row(kt_real *data)
{
    return (kt_matrix){data, 0, 4 * POINTS};
}

static void run(int runner, const kti_operation *operation)
{
    runner_run(runner, operation, 1, 0, 1);
}

static void forward(int runner, kt_activation activation)
{
    memcpy(values, points, sizeof points);
    const kti_operation operation = {.kind = KTI_OP_LINEAR_FORWARD,
                                     .arguments.linear_forward = {.rows = {&one, 0, 1, KT_GRAPHS},
                                                                  .channels = POINTS,
                                                                  .out = row(values),
                                                                  .bias = row(zeros),
                                                                  .activation = activation}};
    run(runner, &operation);
}

static void softplus(int runner)
{
    if (runner == SCALAR)
        for (int i = 0; i < POINTS; i++)
            values[i] = kt_softplus(points[i]);
    else
        forward(runner, KT_SOFTPLUS);
}

/* Is part of the layer's kernel; there is no scalar function. */
static void relu(int runner)
{
    forward(runner == SCALAR ? 0 : runner, KT_RELU);
}

static void softplus_derivative(int runner)
{
    static kt_real ones[POINTS], bias[POINTS];
    if (runner == SCALAR) {
        for (int i = 0; i < POINTS; i++)
            values[i] = kt_softplus_derivative(points[i]);
        return;
    }
    for (int i = 0; i < POINTS; i++)
        ones[i] = 1;
    const kti_operation operation = {.kind = KTI_OP_LINEAR_BACKWARD,
                                     .arguments.linear_backward = {.rows = {&one, 0, 1, KT_GRAPHS},
                                                                   .channels = POINTS,
                                                                   .out = row(points),
                                                                   .gradient = row(ones),
                                                                   .product_gradient = row(values),
                                                                   .bias_gradient = row(bias),
                                                                   .activation = KT_SOFTPLUS}};
    run(runner, &operation);
}

/* Gates from zeros: each gate's activation of its bias. */
static void gate(int runner, int which)
{
    static kt_real bias[4 * POINTS], cell[POINTS], hidden[POINTS];
    memcpy(bias + which * POINTS, points, sizeof points);
    const kti_operation operation = {.kind = KTI_OP_LSTM_FORWARD,
                                     .arguments.lstm_forward = {.graphs = {&one, 0, 1, KT_GRAPHS},
                                                                .channels = POINTS,
                                                                .gates = row(values),
                                                                .first = 1,
                                                                .bias_input = row(bias),
                                                                .bias_hidden = row(zeros),
                                                                .cell = row(cell),
                                                                .hidden = row(hidden)}};
    run(runner, &operation);
    memmove(values, values + which * POINTS, sizeof points);
}

static void sigmoid(int runner)
{
    if (runner == SCALAR)
        for (int i = 0; i < POINTS; i++)
            values[i] = kt_sigmoid(points[i]);
    else
        gate(runner, 3);
}

static void hyperbolic(int runner)
{
    if (runner == SCALAR)
        for (int i = 0; i < POINTS; i++)
            values[i] = kt_tanh(points[i]);
    else
        gate(runner, 2);
}

/* exp(-x^2); the square is rounded once, in the kernel and in its reference. */
static void gaussian(int runner)
{
    static kt_real distance;
    if (runner == SCALAR) {
        for (int i = 0; i < POINTS; i++)
            values[i] = kt_exp(-points[i] * points[i]);
        return;
    }
    const kti_operation operation = {
        .kind = KTI_OP_GAUSSIAN_EXPANSION,
        .arguments.gaussian_expansion = {
            {&one, 0, 1, KT_EDGES}, {&distance, 0, 1}, points, POINTS, 1, row(values)}};
    run(runner, &operation);
}

static void exponential(int runner)
{
    (void)runner;
    for (int i = 0; i < POINTS; i++)
        values[i] = kt_exp(points[i]);
}

static void logarithm(int runner)
{
    (void)runner;
    for (int i = 0; i < POINTS; i++)
        values[i] = kt_log1p(points[i]);
}

/* ---- what they should be ---- */

static double exact_gaussian(double x)
{
    const kt_real square = (kt_real)x * (kt_real)x;
    return exp(-(double)square);
}

typedef struct range {
    const char *name;
    void (*evaluate)(int runner);
    double (*exact)(double x);
    int scalar_only;
    double low, high;
    /* Allowed error, in epsilons of the type: relative |exact| + absolute. */
    double relative, absolute;
} range;

/* Measured with gcc 12: exp 0.8, log1p 1.8, sigmoid 2.04 relative; softplus 1.2 of 1 + |exact|; softplus'
 * 0.53 and tanh 0.75 absolute. (Where the last two pass through zero, they are differences from 1.) */
static const range ranges[] = {
    {"exp", exponential, exp, 1, -87, 1, 1.5, 0},
    {"exp", exponential, exp, 1, -1, 1, 1.5, 0},
    {"log1p", logarithm, log1p, 1, 0, 1, 2.5, 0},
    {"log1p", logarithm, log1p, 1, 0, 1e-3, 2.5, 0},
    {"exp(-x^2)", gaussian, exact_gaussian, 0, 0, 9.3, 1.5, 0},
    {"softplus", softplus, twin_softplus, 0, -100, 100, 1, 2},
    {"softplus", softplus, twin_softplus, 0, -2, 2, 1, 2},
    {"softplus'", softplus_derivative, twin_softplus_derivative, 0, -0.6931, 100, 0, 1},
    {"softplus'", softplus_derivative, twin_softplus_derivative, 0, -0.6931, 1, 0, 1},
    {"sigmoid", sigmoid, twin_sigmoid, 0, -87, 100, 3, 0},
    {"sigmoid", sigmoid, twin_sigmoid, 0, -2, 2, 3, 0},
    {"tanh", hyperbolic, tanh, 0, -50, 50, 0, 1.5},
    {"tanh", hyperbolic, tanh, 0, -1, 1, 0, 1.5},
};

#ifdef KT_REAL_DOUBLE
static const double epsilon = DBL_EPSILON;
#else
static const double epsilon = (double)FLT_EPSILON;
#endif

static const char *name_of(int runner)
{
    return runner == SCALAR ? "scalar" : runner_name(runner);
}

static int beyond(const range *at)
{
    int count = 0;
    for (int i = 0; i < POINTS; i++)
        count += !is_close((double)values[i], at->exact((double)points[i]), at->relative * epsilon,
                           at->absolute * epsilon);
    return count;
}

static void every_function_is_within_its_error(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
        const range *at = &ranges[r];
        fill(at->low, at->high);
        for (int runner = SCALAR; runner < (at->scalar_only ? 0 : runners_count()); runner++) {
            memset(values, 0, sizeof values);
            assert_true(beyond(at) > 0);
            at->evaluate(runner);
            const int count = beyond(at);
            if (count != 0)
                fail_msg("%s over [%g, %g] (%s): %d of %d values beyond %g |exact| + %g epsilons", at->name,
                         at->low, at->high, name_of(runner), count, POINTS, at->relative, at->absolute);
            /* The comparison can fail. */
            const int i = POINTS / 3;
            const double exact = at->exact((double)points[i]);
            values[i] = (kt_real)(exact + 4 * epsilon * (at->relative * fabs(exact) + at->absolute));
            assert_int_equal(beyond(at), 1);
            values[i] = (kt_real)NAN;
            assert_int_equal(beyond(at), 1);
        }
    }
}

/* ---- infinities and NaN ---- */

typedef struct limit {
    const char *name;
    void (*evaluate)(int runner);
    double x, low, high; /* the value lies in [low, high]; NaN: is one */
} limit;

/* exp stays at exp(-87) = 1.6e-38 below -87 in float32. */
static const limit limits[] = {
    {"exp", exponential, -INFINITY, 0, 1.7e-38},
    {"exp", exponential, -1e30, 0, 1.7e-38},
    {"exp", exponential, NAN, NAN, NAN},
    {"log1p", logarithm, NAN, NAN, NAN},
    {"exp(-x^2)", gaussian, INFINITY, 0, 1.7e-38},
    {"exp(-x^2)", gaussian, NAN, NAN, NAN},
    {"softplus", softplus, INFINITY, INFINITY, INFINITY},
    {"softplus", softplus, -INFINITY, -0.6931472, -0.6931471},
    {"softplus", softplus, NAN, NAN, NAN},
    {"softplus'", softplus_derivative, INFINITY, 1, 1},
    {"softplus'", softplus_derivative, NAN, NAN, NAN},
    {"sigmoid", sigmoid, INFINITY, 1, 1},
    {"sigmoid", sigmoid, -INFINITY, 0, 1.7e-38},
    {"sigmoid", sigmoid, NAN, NAN, NAN},
    {"tanh", hyperbolic, INFINITY, 1, 1},
    {"tanh", hyperbolic, -INFINITY, -1, -1},
    {"tanh", hyperbolic, NAN, NAN, NAN},
    {"relu", relu, INFINITY, INFINITY, INFINITY},
    {"relu", relu, -INFINITY, 0, 0},
    {"relu", relu, NAN, NAN, NAN},
};

static int outside(const limit *at, double x)
{
    return isnan(at->low) ? !isnan(x) : !(x >= at->low && x <= at->high);
}

static void infinities_and_nan(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof limits / sizeof *limits; r++) {
        const limit *at = &limits[r];
        /* Every third one, so that it stands in each lane of a vector beside ordinary numbers. */
        fill(0, 1);
        for (int i = 0; i < POINTS; i += 3)
            points[i] = (kt_real)at->x;
        for (int runner = SCALAR; runner < runners_count(); runner++) {
            at->evaluate(runner);
            for (int i = 0; i < POINTS; i++) {
                const double x = (double)values[i];
                if (i % 3 == 0 ? outside(at, x) : !isfinite(x))
                    fail_msg("%s of %g (%s) is %g", at->name, (double)points[i], name_of(runner), x);
            }
        }
        assert_true(outside(at, 7));
        assert_true(isnan(at->low) || outside(at, NAN));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_function_is_within_its_error),
                                       cmocka_unit_test(infinities_and_nan)};
    return cmocka_run_group_tests(tests, runners_setup, runners_teardown);
}
