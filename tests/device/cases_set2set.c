/* Cases of Set2Set: the LSTM cell and the attention. */
#include "device/cases.h"

#include "reference/twins.h"

static const case_shape shapes[] = {{0, 16}, {1, 1}, {2, 33}, {5, 31}, {7, 32}, {31, 2}, {33, 16}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void lstm_forward_case(case_visitor *visit, case_shape shape, int first)
{
    const int graphs = shape.rows, channels = shape.channels;
    fixture *f = fixture_create(RAGGED, "lstm_forward %d x %d%s", graphs, channels, first ? ", first" : "");
    const kt_lstm_forward a = {
        .graphs = fixture_rows(f, graphs),
        .channels = channels,
        .gates = fixture_matrix(f, "gates", graphs, 4 * channels, -5, 5),
        .first = first,
        .bias_input = fixture_matrix(f, "bias_input", 1, 4 * channels, -1, 1),
        .bias_hidden = fixture_matrix(f, "bias_hidden", 1, 4 * channels, -1, 1),
        .cell_before = first ? (kt_matrix){0} : fixture_matrix(f, "cell_before", graphs, channels, -2, 2),
        .cell = fixture_matrix(f, "cell", graphs, channels, 10, 20),
        .hidden = fixture_matrix(f, "hidden", graphs, channels, 10, 20)};
    fixture_append(f, KTI_OP_LSTM_FORWARD)->arguments.lstm_forward = a;
    f->nothing_to_do = graphs == 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(graphs, fold);
        double *gates = fixture_dense(f, a.gates, fold, n, 4 * channels);
        double *cell = fixture_dense(f, a.cell, fold, n, channels);
        double *hidden = fixture_dense(f, a.hidden, fold, n, channels);
        twin_lstm_forward(n, channels, first, fixture_dense(f, a.bias_input, fold, 1, 4 * channels),
                          fixture_dense(f, a.bias_hidden, fold, 1, 4 * channels),
                          first ? NULL : fixture_dense(f, a.cell_before, fold, n, channels), gates, cell,
                          hidden);
        fixture_expect(f, a.gates, fold, n, 4 * channels, gates, 8, 1);
        fixture_expect(f, a.cell, fold, n, channels, cell, 8, 2);
        fixture_expect(f, a.hidden, fold, n, channels, hidden, 8, 2);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_lstm_forward(case_visitor *visit)
{
    for (int i = 0; i < SHAPES; i++)
        for (int first = 0; first < 2; first++)
            lstm_forward_case(visit, shapes[i], first);
}

static void lstm_backward_case(case_visitor *visit, case_shape shape, int first, int last)
{
    const int graphs = shape.rows, channels = shape.channels;
    fixture *f = fixture_create(RAGGED, "lstm_backward %d x %d%s%s", graphs, channels, first ? ", first" : "",
                                last ? ", last" : "");
    const kt_lstm_backward a = {
        .graphs = fixture_rows(f, graphs),
        .channels = channels,
        .first = first,
        .gates = fixture_matrix(f, "gates", graphs, 4 * channels, 0.1, 0.9),
        .cell_before = first ? (kt_matrix){0} : fixture_matrix(f, "cell_before", graphs, channels, -2, 2),
        .cell = fixture_matrix(f, "cell", graphs, channels, -2, 2),
        .hidden_gradient = fixture_matrix(f, "hidden_gradient", graphs, channels, -1, 1),
        .cell_gradient = fixture_matrix(f, "cell_gradient", graphs, channels, 1, 3),
        .last = last};
    fixture_append(f, KTI_OP_LSTM_BACKWARD)->arguments.lstm_backward = a;
    f->nothing_to_do = graphs == 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(graphs, fold);
        double *gates = fixture_dense(f, a.gates, fold, n, 4 * channels);
        double *cell_gradient = fixture_dense(f, a.cell_gradient, fold, n, channels);
        twin_lstm_backward(n, channels, first, last,
                           first ? NULL : fixture_dense(f, a.cell_before, fold, n, channels),
                           fixture_dense(f, a.cell, fold, n, channels),
                           fixture_dense(f, a.hidden_gradient, fold, n, channels), gates, cell_gradient);
        fixture_expect(f, a.gates, fold, n, 4 * channels, gates, 8, 1);
        fixture_expect(f, a.cell_gradient, fold, n, channels, cell_gradient, 8, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_lstm_backward(case_visitor *visit)
{
    for (int i = 0; i < SHAPES; i++)
        for (int variant = 0; variant < 4; variant++)
            lstm_backward_case(visit, shapes[i], variant & 1, variant >> 1);
}

void cases_lstm_bias_gradient(case_visitor *visit)
{
    for (int i = 0; i < SHAPES; i++) {
        const int graphs = shapes[i].rows, gates = 4 * shapes[i].channels;
        fixture *f = fixture_create(RAGGED, "lstm_bias_gradient %d x %d", graphs, gates);
        const kt_lstm_bias_gradient a = {
            .graphs = fixture_rows(f, graphs),
            .channels = gates,
            .step = {fixture_matrix(f, "step 0", graphs, gates, -1, 1),
                     fixture_matrix(f, "step 1", graphs, gates, -1, 1)},
            .bias_input_gradient = fixture_matrix(f, "bias_input", 1, gates, 200, 300),
            .bias_hidden_gradient = fixture_matrix(f, "bias_hidden", 1, gates, 200, 300)};
        fixture_append(f, KTI_OP_LSTM_BIAS_GRADIENT)->arguments.lstm_bias_gradient = a;
        for (int fold = 0; fold < FOLDS; fold++) {
            const int n = fold_rows(graphs, fold);
            double *expected = fixture_dense(f, a.bias_input_gradient, fold, 1, gates);
            twin_lstm_bias_gradient(n, gates, fixture_dense(f, a.step[0], fold, n, gates),
                                    fixture_dense(f, a.step[1], fold, n, gates), expected);
            fixture_expect(f, a.bias_input_gradient, fold, 1, gates, expected, 32, 1);
            fixture_expect(f, a.bias_hidden_gradient, fold, 1, gates, expected, 32, 1);
        }
        visit(f);
        fixture_destroy(f);
    }
}

/* The dot products run in 16 lanes. */
static const case_shape attention_shapes[] = {{0, 16}, {1, 32}, {2, 16}, {7, 32}, {13, 48}, {33, 16}};
enum { ATTENTION_SHAPES = sizeof attention_shapes / sizeof *attention_shapes };

void cases_attention_forward(case_visitor *visit)
{
    for (int i = 0; i < ATTENTION_SHAPES; i++) {
        const int graphs = attention_shapes[i].rows, channels = attention_shapes[i].channels;
        int rows;
        fixture *f = fixture_create(NETWORK, "attention_forward %d graphs x %d", graphs, channels);
        const kt_index start = fixture_segments(f, graphs, &rows);
        const kt_attention_forward a = {.graphs = fixture_rows(f, graphs),
                                        .channels = channels,
                                        .start = start,
                                        .in = fixture_matrix(f, "in", rows, channels, -1, 1),
                                        .weight = fixture_matrix(f, "weight", rows, 1, 1, 8),
                                        .hidden = fixture_matrix(f, "hidden", graphs, channels, -1, 1),
                                        .attention = fixture_matrix(f, "attention", rows, 1, 20, 30),
                                        .out = fixture_matrix(f, "out", graphs, channels, 20, 30)};
        fixture_append(f, KTI_OP_ATTENTION_FORWARD)->arguments.attention_forward = a;
        f->nothing_to_do = graphs == 0;
        for (int fold = 0; fold < FOLDS; fold++) {
            const int n = fold_rows(graphs, fold), used = fixture_entries(start, fold)[n];
            double *attention = fixture_dense(f, a.attention, fold, used, 1);
            double *out = fixture_dense(f, a.out, fold, n, channels);
            twin_attention_forward(n, channels, fixture_entries(start, fold),
                                   fixture_dense(f, a.in, fold, used, channels),
                                   fixture_dense(f, a.weight, fold, used, 1),
                                   fixture_dense(f, a.hidden, fold, n, channels), attention, out);
            fixture_expect(f, a.attention, fold, used, 1, attention, 32, 1);
            fixture_expect(f, a.out, fold, n, channels, out, 32, 1);
        }
        visit(f);
        fixture_destroy(f);
    }
}

static void attention_backward_case(case_visitor *visit, case_shape shape, int accumulate)
{
    const int graphs = shape.rows, channels = shape.channels;
    int rows;
    fixture *f = fixture_create(NETWORK, "attention_backward %d graphs x %d%s", graphs, channels,
                                accumulate ? ", accumulate" : "");
    const kt_index start = fixture_segments(f, graphs, &rows);
    const kt_attention_backward a = {
        .graphs = fixture_rows(f, graphs),
        .channels = channels,
        .start = start,
        .in = fixture_matrix(f, "in", rows, channels, -1, 1),
        .hidden = fixture_matrix(f, "hidden", graphs, channels, -1, 1),
        .attention = fixture_matrix(f, "attention", rows, 1, 0.1, 1),
        .out_gradient = fixture_matrix(f, "out_gradient", graphs, channels, -1, 1),
        .scratch = fixture_matrix(f, "scratch", rows, 1, 20, 30),
        .in_gradient = fixture_matrix(f, "in_gradient", rows, channels, 2, 3),
        .accumulate = accumulate,
        .hidden_gradient = fixture_matrix(f, "hidden_gradient", graphs, channels, 2, 3)};
    fixture_append(f, KTI_OP_ATTENTION_BACKWARD)->arguments.attention_backward = a;
    f->nothing_to_do = graphs == 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(graphs, fold);
        const int32_t *at = fixture_entries(start, fold);
        const int used = at[n];
        double *attention = fixture_dense(f, a.attention, fold, used, 1);
        for (int g = 0; g < n; g++) { /* soft-max weights: their sum is 1 */
            double total = 0;
            for (int r = at[g]; r < at[g + 1]; r++)
                total += attention[r];
            for (int r = at[g]; r < at[g + 1]; r++) {
                fixture_set(f, a.attention, fold, r, 0, attention[r] / total);
                attention[r] = fixture_get(f, a.attention, fold, r, 0);
            }
        }
        double *in = fixture_dense(f, a.in, fold, used, channels);
        double *gradient = fixture_dense(f, a.out_gradient, fold, n, channels);
        double *in_gradient = fixture_dense(f, a.in_gradient, fold, used, channels);
        double *hidden_gradient = fixture_dense(f, a.hidden_gradient, fold, n, channels);
        /* What the scratch holds is ds. */
        double *scratch = fixture_dense(f, a.scratch, fold, used, 1);
        for (int g = 0; g < n; g++) {
            double mean = 0;
            for (int r = at[g]; r < at[g + 1]; r++) {
                scratch[r] = 0;
                for (int c = 0; c < channels; c++)
                    scratch[r] += in[r * channels + c] * gradient[g * channels + c];
                mean += attention[r] * scratch[r];
            }
            for (int r = at[g]; r < at[g + 1]; r++)
                scratch[r] = attention[r] * (scratch[r] - mean);
        }
        twin_attention_backward(n, channels, at, in, fixture_dense(f, a.hidden, fold, n, channels), attention,
                                gradient, accumulate, in_gradient, hidden_gradient);
        fixture_expect(f, a.scratch, fold, used, 1, scratch, 32, 1);
        fixture_expect(f, a.in_gradient, fold, used, channels, in_gradient, 32, 1);
        fixture_expect(f, a.hidden_gradient, fold, n, channels, hidden_gradient, 32, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_attention_backward(case_visitor *visit)
{
    for (int i = 0; i < ATTENTION_SHAPES; i++)
        for (int accumulate = 0; accumulate < 2; accumulate++)
            attention_backward_case(visit, attention_shapes[i], accumulate);
}
