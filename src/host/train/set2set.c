#include "train/set2set.h"

_Static_assert(KTI_SET2SET_STEPS == 2, "the gradients of W_q, W_h and the biases are written for two steps");

/* Where W_q, W_h and the biases stand, from s->parameter on. In the comments below dx is the gradient with respect to x, and k
 * counts the steps from 1. */
enum { QUERY_WEIGHT, HIDDEN_WEIGHT, QUERY_BIAS, HIDDEN_BIAS };

/* The two halves of a query [h, p], and of the gradient with respect to it. */
static kti_view hidden_of(kti_view query)
{
    return kti_view_slice(query, 0, KTI_FEATURES);
}

static kti_view read_of(kti_view query)
{
    return kti_view_slice(query, KTI_FEATURES, KTI_FEATURES);
}

static kt_matrix cell_before(const kti_set2set *s, int step)
{
    return step > 0 ? s->cell[step - 1].matrix : (kt_matrix){0};
}

static void place_step(kti_builder *b, kti_set2set *s, int step)
{
    const int last = step + 1 == KTI_SET2SET_STEPS;
    s->gates[step] = kti_builder_matrix(b, KT_GRAPHS, 4 * KTI_FEATURES);
    s->cell[step] = kti_builder_matrix(b, KT_GRAPHS, KTI_FEATURES);
    s->query[step] = last ? s->out : kti_builder_matrix(b, KT_GRAPHS, 2 * KTI_FEATURES);
    s->attention[step] = kti_builder_column(b, s->in.rows);
}

/* z = q_{k-1} W_q^T + h_{k-1} W_h^T, without a product in the first step, whose q and h are zero. The biases are the
 * cell's. */
static void gates_forward(kti_builder *b, const kti_set2set *s, int step)
{
    if (step == 0)
        return;
    const kti_view query = s->query[step - 1], gates = s->gates[step];
    kti_append_product(b, query, s->parameter + QUERY_WEIGHT, 0, gates, 0);
    kti_append_product(b, hidden_of(query), s->parameter + HIDDEN_WEIGHT, 0, gates, 1);
}

/* dW_q = dz^T q_{k-1}, dW_h = dz^T h_{k-1}; dq_{k-1} = dz W_q, to whose half for h is added dz W_h. `gradient` = dq_{k-1};
 * after the backward of the cell the gates hold dz. */
static void gates_backward(kti_builder *b, const kti_set2set *s, int step, kti_view gradient)
{
    if (step == 0)
        return;
    const kti_view query = s->query[step - 1], gates_gradient = s->gates[step];
    kti_append_weight_gradient(b, gates_gradient, query, s->parameter + QUERY_WEIGHT, 0);
    kti_append_weight_gradient(b, gates_gradient, hidden_of(query), s->parameter + HIDDEN_WEIGHT, 0);
    kti_append_input_gradient(b, gates_gradient, s->parameter + QUERY_WEIGHT, 0, gradient, 0);
    kti_append_input_gradient(b, gates_gradient, s->parameter + HIDDEN_WEIGHT, 0, hidden_of(gradient), 1);
}

/* i, f, o = sigmoid(z + b_q + b_h), g = tanh(likewise); c_k = f c_{k-1} + i g, h_k = o tanh c_k */
static void cell_forward(kti_builder *b, const kti_set2set *s, int step)
{
    kti_append(b, KTI_OP_LSTM_FORWARD)->arguments.lstm_forward =
        (kt_lstm_forward){.graphs = b->count[KT_GRAPHS],
                          .channels = KTI_FEATURES,
                          .gates = s->gates[step].matrix,
                          .first = step == 0,
                          .bias_input = kti_builder_parameter(b, s->parameter + QUERY_BIAS, 0),
                          .bias_hidden = kti_builder_parameter(b, s->parameter + HIDDEN_BIAS, 0),
                          .cell_before = cell_before(s, step),
                          .cell = s->cell[step].matrix,
                          .hidden = hidden_of(s->query[step]).matrix};
}

/* dc += dh o (1 - tanh^2 c), from which dz takes the place of the gates and dc_{k-1} = dc f that of dc. `gradient` = dq_k,
 * of which dh is a half. */
static void cell_backward(kti_builder *b, const kti_set2set *s, int step, kti_view gradient,
                          kti_view cell_gradient)
{
    kti_append(b, KTI_OP_LSTM_BACKWARD)->arguments.lstm_backward =
        (kt_lstm_backward){.graphs = b->count[KT_GRAPHS],
                           .channels = KTI_FEATURES,
                           .first = step == 0,
                           .gates = s->gates[step].matrix,
                           .cell_before = cell_before(s, step),
                           .cell = s->cell[step].matrix,
                           .hidden_gradient = hidden_of(gradient).matrix,
                           .cell_gradient = cell_gradient.matrix,
                           .last = step + 1 == KTI_SET2SET_STEPS};
}

/* db_q = db_h = the sum of dz over graphs and both steps */
static void bias_backward(kti_builder *b, const kti_set2set *s)
{
    kti_append(b, KTI_OP_LSTM_BIAS_GRADIENT)->arguments.lstm_bias_gradient = (kt_lstm_bias_gradient){
        .graphs = b->count[KT_GRAPHS],
        .channels = 4 * KTI_FEATURES,
        .step = {s->gates[0].matrix, s->gates[1].matrix},
        .bias_input_gradient = kti_builder_parameter_gradient(b, s->parameter + QUERY_BIAS, 0),
        .bias_hidden_gradient = kti_builder_parameter_gradient(b, s->parameter + HIDDEN_BIAS, 0)};
}

/* s_r = <x_r, h_k>, a_r = m_r exp(s_r) / the sum of m exp(s) over the graph's rows; p_k = the sum of a_r x_r */
static void attention_forward(kti_builder *b, const kti_set2set *s, int step)
{
    kti_append(b, KTI_OP_ATTENTION_FORWARD)->arguments.attention_forward =
        (kt_attention_forward){.graphs = b->count[KT_GRAPHS],
                               .entries = s->in.rows,
                               .channels = KTI_FEATURES,
                               .start = s->start,
                               .in = s->in.matrix,
                               .weight = s->weight,
                               .hidden = hidden_of(s->query[step]).matrix,
                               .attention = s->attention[step].matrix,
                               .out = read_of(s->query[step]).matrix};
}

/* beta_r = <dp, x_r>, ds_r = a_r (beta_r - the sum of a beta); dx_r = a_r dp + ds_r h, added up over the steps, and
 * dh += the sum of ds_r x_r. `gradient` = dq_k = [dh, dp]; `scratch` [rows, 1]. */
static void attention_backward(kti_builder *b, const kti_set2set *s, int step, kti_view gradient,
                               kti_view scratch, kti_view in_gradient)
{
    kti_append(b, KTI_OP_ATTENTION_BACKWARD)->arguments.attention_backward =
        (kt_attention_backward){.graphs = b->count[KT_GRAPHS],
                                .entries = s->in.rows,
                                .channels = KTI_FEATURES,
                                .start = s->start,
                                .in = s->in.matrix,
                                .hidden = hidden_of(s->query[step]).matrix,
                                .attention = s->attention[step].matrix,
                                .out_gradient = read_of(gradient).matrix,
                                .scratch = scratch.matrix,
                                .in_gradient = in_gradient.matrix,
                                .accumulate = step + 1 < KTI_SET2SET_STEPS,
                                .hidden_gradient = hidden_of(gradient).matrix};
}

void kti_set2set_forward(kti_builder *b, kti_set2set *s, const char *prefix, kti_view in,
                         const kt_real *weight, const int32_t *start, kti_view out)
{
    s->parameter = kti_builder_find(prefix, "lstm.weight_ih_l0");
    s->in = in;
    s->out = out;
    s->weight = kti_builder_batch_column(b, weight);
    s->start = kti_builder_batch_index(b, start);
    for (int step = 0; step < KTI_SET2SET_STEPS; step++) {
        place_step(b, s, step);
        gates_forward(b, s, step);
        cell_forward(b, s, step);
        attention_forward(b, s, step);
    }
}

void kti_set2set_backward(kti_builder *b, const kti_set2set *s, kti_view gradient, kti_view in_gradient)
{
    const kti_view cell_gradient = kti_builder_matrix(b, KT_GRAPHS, KTI_FEATURES);
    const kti_view scratch = kti_builder_column(b, s->in.rows);
    for (int step = KTI_SET2SET_STEPS - 1; step >= 0; step--) {
        attention_backward(b, s, step, gradient, scratch, in_gradient);
        cell_backward(b, s, step, gradient, cell_gradient);
        gates_backward(b, s, step, gradient);
    }
    bias_backward(b, s);
}
