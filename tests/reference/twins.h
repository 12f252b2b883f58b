/* Plain-loop float64 twins of the kernels, as the equations stand in them: the oracles of tests/device.
 *
 * Each twin works on one fold. Matrices are dense, row-major and double; `rows`, `graphs`, `segments` count
 * rows, `channels` columns. Nothing is shared with src/kernels, and nothing is clever.
 */
#ifndef KTI_TESTS_REFERENCE_TWINS_H
#define KTI_TESTS_REFERENCE_TWINS_H

#include <stdint.h>

/* ---- activation.c ---- */

typedef enum twin_activation { TWIN_LINEAR, TWIN_SOFTPLUS, TWIN_RELU } twin_activation;

/* softplus(x) - ln 2 */
double twin_softplus(double x);
/* Derivative of twin_softplus from its value y = twin_softplus(x). */
double twin_softplus_derivative(double y);
double twin_sigmoid(double x);

/* ---- gaussian_expansion.c ---- */

/* distance [rows], centres [channels], out [rows, channels] */
void twin_gaussian_expansion(int rows, int channels, const double *distance, const double *centres,
                             double width, double *out);

/* ---- embedding.c ---- */

/* type [rows] row of table; out [rows, channels] */
void twin_embedding(int rows, int channels, const int32_t *type, const double *table, double *out);
/* table_gradient [types, channels] is overwritten. */
void twin_embedding_gradient(int rows, int types, int channels, const int32_t *type,
                             const double *out_gradient, double *table_gradient);

/* ---- linear.c ---- */

typedef struct twin_gather {
    const double *data;   /* [other rows, channels] */
    const int32_t *index; /* [rows] */
} twin_gather;

/* out [rows, channels] holds the product on entry, the activated sum on return. */
void twin_linear_forward(int rows, int channels, const double *bias, int gathers, const twin_gather *gather,
                         twin_activation activation, double *out);
/* out is the layer's output, gradient the one by it. Both results are overwritten. */
void twin_linear_backward(int rows, int channels, const double *out, const double *gradient,
                          twin_activation activation, double *product_gradient, double *bias_gradient);

/* ---- gemm.c: c (= or +=) ... ---- */

/* c [rows, n], a [rows, k], b [n, k] */
void twin_gemm_forward(int rows, int n, int k, const double *a, const double *b, int accumulate, double *c);
/* c [rows, n], a [rows, k], b [k, n] */
void twin_gemm_input_gradient(int rows, int n, int k, const double *a, const double *b, int accumulate,
                              double *c);
/* c [m, n], a [rows, m], b [rows, n] */
void twin_gemm_weight_gradient(int rows, int m, int n, const double *a, const double *b, int accumulate,
                               double *c);

/* ---- segment.c ---- */

/* start [segments + 1]; order [start[segments]] or NULL; coefficient [rows] or NULL; in [rows, channels] */
void twin_segment_sum(int segments, int channels, const int32_t *start, const int32_t *order,
                      const double *coefficient, const double *in, int accumulate, double *out);
/* segment, coefficient [rows]; in [segments, channels]; base, out [rows, channels] */
void twin_segment_spread(int rows, int channels, const int32_t *segment, const double *coefficient,
                         const double *in, const double *base, double *out);

/* ---- add.c ---- */

void twin_add(int rows, int channels, const double *left, const double *right, double *out);

/* ---- lstm.c ---- */

/* gates [graphs, 4 channels]: products on entry (ignored if first), activated i, f, g, o on return.
 * cell_before (NULL if first), cell, hidden [graphs, channels]. */
void twin_lstm_forward(int graphs, int channels, int first, const double *bias_input,
                       const double *bias_hidden, const double *cell_before, double *gates, double *cell,
                       double *hidden);
/* gates: activated on entry, gradients with respect to the pre-activations on return. cell_gradient: by the cell on entry
 * (ignored if last), by the cell before on return. */
void twin_lstm_backward(int graphs, int channels, int first, int last, const double *cell_before,
                        const double *cell, const double *hidden_gradient, double *gates,
                        double *cell_gradient);
/* step0, step1 [graphs, gates] gradients with respect to the pre-activations; bias_gradient [gates] of either bias. */
void twin_lstm_bias_gradient(int graphs, int gates, const double *step0, const double *step1,
                             double *bias_gradient);

/* ---- attention.c ---- */

/* start [graphs + 1]; in [rows, channels]; weight, attention [rows]; hidden, out [graphs, channels] */
void twin_attention_forward(int graphs, int channels, const int32_t *start, const double *in,
                            const double *weight, const double *hidden, double *attention, double *out);
/* in_gradient = or +=, hidden_gradient += */
void twin_attention_backward(int graphs, int channels, const int32_t *start, const double *in,
                             const double *hidden, const double *attention, const double *out_gradient,
                             int accumulate, double *in_gradient, double *hidden_gradient);

/* ---- mape_loss.c ---- */

/* data_set, prediction z and kappa in W/(m K) [graphs]; mean and sd [data sets]; gradient [graphs] by z;
 * returns the loss. */
double twin_mape_loss(int graphs, const int32_t *data_set, const double *mean, const double *sd,
                      const double *prediction, const double *kappa, double *gradient);

/* ---- log_loss.c ---- */

/* As twin_mape_loss; of the standardised log10(kappa + 1), squared or absolute. */
double twin_log_loss(int graphs, int absolute, const int32_t *data_set, const double *mean, const double *sd,
                     const double *prediction, const double *kappa, double *gradient);

/* ---- adam.c ---- */

double twin_gradient_norm(int64_t size, const double *gradient);

typedef struct twin_adam {
    double rate, beta1, beta2, epsilon;
    int step;                     /* from 1 */
    double loss, norm, clip_norm; /* clip_norm 0: no clipping */
} twin_adam;

/* PyTorch's form; a step whose loss or norm is not finite changes nothing. */
void twin_adam_step(const twin_adam *a, int64_t size, const double *gradient, double *parameter,
                    double *moment1, double *moment2);

/* ---- weights.c ---- */

/* The decay of AdamW, before the step: where decays is 1. */
void twin_weight_decay(int64_t size, double rate, double decay, const double *decays, double *parameter);
void twin_weight_average(int64_t size, double share, const double *parameter, double *average);

#endif
