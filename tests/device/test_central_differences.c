/* The twins themselves: every backward against central differences of its forward, in float64. The kernels
 * take no part. */
#include "device/fixture.h"
#include "reference/twins.h"
#include "support.h"

enum { MAX = 4096 };

/* How many elements of `gradient` are not the derivative of loss() by x [size]. */
static int wrong(double (*loss)(void), double *x, int size, const double *gradient)
{
    const double h = 1e-5;
    int count = 0;
    for (int i = 0; i < size; i++) {
        const double held = x[i];
        x[i] = held + h;
        const double above = loss();
        x[i] = held - h;
        const double below = loss();
        x[i] = held;
        count += !is_close(gradient[i], (above - below) / (2 * h), 1e-7, 1e-8);
    }
    return count;
}

/* And the comparison can fail: one element off by a ten-thousandth, or not a number. */
static void check(double (*loss)(void), double *x, int size, double *gradient)
{
    assert_int_equal(wrong(loss, x, size, gradient), 0);
    const int i = (int)fixture_draw(0, size);
    const double held = gradient[i];
    gradient[i] = held + 1e-4 * (fabs(held) + 1e-2);
    assert_int_equal(wrong(loss, x, size, gradient), 1);
    gradient[i] = NAN;
    assert_int_equal(wrong(loss, x, size, gradient), 1);
    gradient[i] = held;
}

static void draw(double *x, int size, double low, double high)
{
    for (int i = 0; i < size; i++)
        x[i] = fixture_draw(low, high);
}

/* The losses below are sums of an output's elements, each times a number of its own. */
static double weighted(const double *x, const double *weight, int size)
{
    double sum = 0;
    for (int i = 0; i < size; i++)
        sum += x[i] * weight[i];
    return sum;
}

/* ---- embedding ---- */

enum { NODES = 13, TYPES = 5, C = 6 };
static int32_t types[NODES];
static double table[TYPES * C], embedding_weight[NODES * C];

static double embedding_loss(void)
{
    double out[NODES * C];
    twin_embedding(NODES, C, types, table, out);
    return weighted(out, embedding_weight, NODES * C);
}

static void embedding_gradient(void **state)
{
    double gradient[TYPES * C];
    (void)state;
    for (int i = 0; i < NODES; i++)
        types[i] = i % (TYPES - 1); /* the last type doesn't occur */
    draw(table, TYPES * C, -1, 1);
    draw(embedding_weight, NODES * C, -1, 1);
    twin_embedding_gradient(NODES, TYPES, C, types, embedding_weight, gradient);
    check(embedding_loss, table, TYPES * C, gradient);
}

/* ---- linear ---- */

enum { ROWS = 7, OTHERS = 3 };
static double product[ROWS * C], bias[C], others[OTHERS * C], linear_weight[ROWS * C];
static int32_t gathered[ROWS];
static twin_activation activation;

static void linear_forward(double *out)
{
    const twin_gather gather = {others, gathered};
    memcpy(out, product, sizeof product);
    twin_linear_forward(ROWS, C, bias, 1, &gather, activation, out);
}

static double linear_loss(void)
{
    double out[ROWS * C];
    linear_forward(out);
    return weighted(out, linear_weight, ROWS * C);
}

/* By the product, the bias, and the rows that are gathered, which the segment sum in the order of a CSR
 * gives. */
static void linear_backward(void **state)
{
    double out[ROWS * C], product_gradient[ROWS * C], bias_gradient[C], gathered_gradient[OTHERS * C];
    int32_t start[OTHERS + 1] = {0}, order[ROWS];
    (void)state;
    draw(product, ROWS * C, -2, 2);
    draw(bias, C, -1, 1);
    draw(others, OTHERS * C, -1, 1);
    draw(linear_weight, ROWS * C, -1, 1);
    for (int o = 0, used = 0; o < OTHERS; o++) {
        for (int r = 0; r < ROWS; r++)
            if (r * 5 % 2 == o) { /* the last one is gathered by no row */
                gathered[r] = o;
                order[used++] = r;
            }
        start[o + 1] = used;
    }
    for (activation = TWIN_LINEAR; activation <= TWIN_RELU; activation++) {
        linear_forward(out);
        twin_linear_backward(ROWS, C, out, linear_weight, activation, product_gradient, bias_gradient);
        twin_segment_sum(OTHERS, C, start, order, NULL, product_gradient, 0, gathered_gradient);
        check(linear_loss, product, ROWS * C, product_gradient);
        check(linear_loss, bias, C, bias_gradient);
        check(linear_loss, others, OTHERS * C, gathered_gradient);
    }
}

/* ---- products ---- */

enum { IN = 5 };
static double features[ROWS * IN], weights[C * IN];

static double gemm_loss(void)
{
    double out[ROWS * C];
    twin_gemm_forward(ROWS, C, IN, features, weights, 0, out);
    return weighted(out, linear_weight, ROWS * C);
}

static void products(void **state)
{
    double features_gradient[ROWS * IN], weights_gradient[C * IN];
    (void)state;
    draw(features, ROWS * IN, -1, 1);
    draw(weights, C * IN, -1, 1);
    draw(linear_weight, ROWS * C, -1, 1);
    twin_gemm_input_gradient(ROWS, IN, C, linear_weight, weights, 0, features_gradient);
    twin_gemm_weight_gradient(ROWS, C, IN, linear_weight, features, 0, weights_gradient);
    check(gemm_loss, features, ROWS * IN, features_gradient);
    check(gemm_loss, weights, C * IN, weights_gradient);
}

/* ---- segments ---- */

enum { SEGMENTS = 4 };
static const int32_t segment_start[SEGMENTS + 1] = {0, 3, 3, 4, ROWS},
                                              segment_of[ROWS] = {0, 0, 0, 2, 3, 3, 3};
static double coefficient[ROWS], segment_in[ROWS * C], segment_weight[SEGMENTS * C];

static double segment_loss(void)
{
    double out[SEGMENTS * C];
    twin_segment_sum(SEGMENTS, C, segment_start, NULL, coefficient, segment_in, 0, out);
    return weighted(out, segment_weight, SEGMENTS * C);
}

static void segment_spread(void **state)
{
    double zero[ROWS * C] = {0}, gradient[ROWS * C];
    (void)state;
    draw(coefficient, ROWS, 0, 1);
    draw(segment_in, ROWS * C, -1, 1);
    draw(segment_weight, SEGMENTS * C, -1, 1);
    twin_segment_spread(ROWS, C, segment_of, coefficient, segment_weight, zero, gradient);
    check(segment_loss, segment_in, ROWS * C, gradient);
}

/* ---- LSTM ---- */

enum { GRAPHS = 3, GATES = 4 * C };
static double bias_input[GATES], bias_hidden[GATES], second_products[GRAPHS * GATES];
static double hidden_weight[2][GRAPHS * C];

typedef struct lstm_steps {
    double gates[2][GRAPHS * GATES], cell[2][GRAPHS * C], hidden[2][GRAPHS * C];
} lstm_steps;

/* Two steps; the second one's products are given, so that it depends on the first through the cell alone. */
static void lstm_forward(lstm_steps *s)
{
    memcpy(s->gates[1], second_products, sizeof second_products);
    twin_lstm_forward(GRAPHS, C, 1, bias_input, bias_hidden, NULL, s->gates[0], s->cell[0], s->hidden[0]);
    twin_lstm_forward(GRAPHS, C, 0, bias_input, bias_hidden, s->cell[0], s->gates[1], s->cell[1],
                      s->hidden[1]);
}

static double lstm_loss(void)
{
    lstm_steps s = {0};
    lstm_forward(&s);
    return weighted(s.hidden[0], hidden_weight[0], GRAPHS * C) +
           weighted(s.hidden[1], hidden_weight[1], GRAPHS * C);
}

static void lstm_backward(void **state)
{
    lstm_steps s = {0};
    double cell_gradient[GRAPHS * C], bias_gradient[GATES];
    (void)state;
    draw(bias_input, GATES, -1, 1);
    draw(bias_hidden, GATES, -1, 1);
    draw(second_products, GRAPHS * GATES, -1, 1);
    draw(hidden_weight[0], GRAPHS * C, -1, 1);
    draw(hidden_weight[1], GRAPHS * C, -1, 1);
    lstm_forward(&s);
    twin_lstm_backward(GRAPHS, C, 0, 1, s.cell[0], s.cell[1], hidden_weight[1], s.gates[1], cell_gradient);
    twin_lstm_backward(GRAPHS, C, 1, 0, NULL, s.cell[0], hidden_weight[0], s.gates[0], cell_gradient);
    twin_lstm_bias_gradient(GRAPHS, GATES, s.gates[0], s.gates[1], bias_gradient);
    check(lstm_loss, second_products, GRAPHS * GATES, s.gates[1]);
    check(lstm_loss, bias_input, GATES, bias_gradient);
    check(lstm_loss, bias_hidden, GATES, bias_gradient);
}

/* By the cell before a step that is not the first. */
static double cell_before[GRAPHS * C];

static double cell_loss(void)
{
    double gates[GRAPHS * GATES], cell[GRAPHS * C], hidden[GRAPHS * C];
    memcpy(gates, second_products, sizeof gates);
    twin_lstm_forward(GRAPHS, C, 0, bias_input, bias_hidden, cell_before, gates, cell, hidden);
    return weighted(hidden, hidden_weight[0], GRAPHS * C) + weighted(cell, hidden_weight[1], GRAPHS * C);
}

static void lstm_cell_gradient(void **state)
{
    double gates[GRAPHS * GATES], cell[GRAPHS * C], hidden[GRAPHS * C], gradient[GRAPHS * C];
    (void)state;
    draw(cell_before, GRAPHS * C, -1, 1);
    memcpy(gates, second_products, sizeof gates);
    twin_lstm_forward(GRAPHS, C, 0, bias_input, bias_hidden, cell_before, gates, cell, hidden);
    memcpy(gradient, hidden_weight[1], sizeof gradient); /* what comes from later through the cell */
    twin_lstm_backward(GRAPHS, C, 0, 0, cell_before, cell, hidden_weight[0], gates, gradient);
    check(cell_loss, cell_before, GRAPHS * C, gradient);
    check(cell_loss, second_products, GRAPHS * GATES, gates);
}

/* ---- attention ---- */

enum { SETS = 4 };
static const int32_t set_start[SETS + 1] = {0, 3, 3, 4, ROWS};
static double set_in[ROWS * C], multiplicity[ROWS], set_hidden[SETS * C], set_weight[SETS * C];

static double attention_loss(void)
{
    double attention[ROWS], out[SETS * C];
    twin_attention_forward(SETS, C, set_start, set_in, multiplicity, set_hidden, attention, out);
    return weighted(out, set_weight, SETS * C);
}

static void attention_backward(void **state)
{
    double attention[ROWS], out[SETS * C], in_gradient[ROWS * C], hidden_gradient[SETS * C] = {0};
    (void)state;
    draw(set_in, ROWS * C, -1, 1);
    draw(multiplicity, ROWS, 1, 6);
    draw(set_hidden, SETS * C, -1, 1);
    draw(set_weight, SETS * C, -1, 1);
    twin_attention_forward(SETS, C, set_start, set_in, multiplicity, set_hidden, attention, out);
    twin_attention_backward(SETS, C, set_start, set_in, set_hidden, attention, set_weight, 0, in_gradient,
                            hidden_gradient);
    check(attention_loss, set_in, ROWS * C, in_gradient);
    check(attention_loss, set_hidden, SETS * C, hidden_gradient);
}

/* ---- loss ---- */

enum { CRYSTALS = 9 };
static double prediction[CRYSTALS], kappa[CRYSTALS];
static const int32_t loss_set[CRYSTALS] = {0, 0, 1, 0, 1, 1, 1, 0, 1};
static const double loss_mean[] = {1.44, 0.7322}, loss_sd[] = {0.7541, 0.3762};

static double mape_loss(void)
{
    double gradient[CRYSTALS];
    return twin_mape_loss(CRYSTALS, loss_set, loss_mean, loss_sd, prediction, kappa, gradient);
}

static void mape_loss_gradient(void **state)
{
    double gradient[CRYSTALS];
    (void)state;
    draw(prediction, CRYSTALS, -1, 1);
    for (int i = 0; i < CRYSTALS; i++) /* on both sides of the truth, away from it */
        kappa[i] = (pow(10, prediction[i] * loss_sd[loss_set[i]] + loss_mean[loss_set[i]]) - 1) *
                   (i % 2 ? 0.6 : 1.7);
    twin_mape_loss(CRYSTALS, loss_set, loss_mean, loss_sd, prediction, kappa, gradient);
    check(mape_loss, prediction, CRYSTALS, gradient);
}

static int log_absolute;

static double log_loss(void)
{
    double gradient[CRYSTALS];
    return twin_log_loss(CRYSTALS, log_absolute, loss_set, loss_mean, loss_sd, prediction, kappa, gradient);
}

static void log_loss_gradient(void **state)
{
    double gradient[CRYSTALS];
    (void)state;
    draw(prediction, CRYSTALS, -1, 1);
    for (int i = 0; i < CRYSTALS; i++)
        kappa[i] =
            pow(10, (prediction[i] + (i % 2 ? 0.4 : -0.7)) * loss_sd[loss_set[i]] + loss_mean[loss_set[i]]) -
            1;
    for (log_absolute = 0; log_absolute < 2; log_absolute++) {
        twin_log_loss(CRYSTALS, log_absolute, loss_set, loss_mean, loss_sd, prediction, kappa, gradient);
        check(log_loss, prediction, CRYSTALS, gradient);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedding_gradient), cmocka_unit_test(linear_backward),
        cmocka_unit_test(products),           cmocka_unit_test(segment_spread),
        cmocka_unit_test(lstm_backward),      cmocka_unit_test(lstm_cell_gradient),
        cmocka_unit_test(attention_backward), cmocka_unit_test(mape_loss_gradient),
        cmocka_unit_test(log_loss_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
