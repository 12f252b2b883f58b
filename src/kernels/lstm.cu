/* The LSTM cell of Set2Set, around its matrix products (PyTorch's form, gates in the order i, f, g, o).
 *
 *     forward   (i, f, o) = sigmoid(gates + bias_input + bias_hidden), g = tanh(same)
 *               cell = f cell_before + i g;  hidden = o tanh(cell)
 *     backward  do = dh tanh(c);  dc += dh o (1 - tanh(c)^2);  di = dc g;  dg = dc i;  df = dc cell_before
 *               dcell_before = dc f;  by the products: di i (1 - i), df f (1 - f), dg (1 - g^2), do o (1 - o)
 *     biases    both gradients are the sum over graphs and steps of the gradients by the products
 *
 * F folds; gates [G, 4C] in place; cell, hidden [G, C], '='. The first step starts from zeros: no products,
 * no cell.
 * Deterministic: one thread an element; biases sum graphs in order, or, where there are many threads, in
 * KT_WARPS parts that are added in order. Moves 48 G C bytes forward, 60 G C backward, 32 G C for the biases.
 * Launch: forward and backward with any block and grid; the biases with blocks of 32 x KT_WARPS, any grid.
 */
#include "kernels/column_sum.h"

/* `first` is a constant where these are called, so that neither form has a condition inside its loop. */
KT_INLINE void lstm_forward_row(const int first, int channels, kt_real *KT_RESTRICT gates,
                                const kt_real *KT_RESTRICT bias_input, const kt_real *KT_RESTRICT bias_hidden,
                                const kt_real *KT_RESTRICT before, kt_real *KT_RESTRICT cell,
                                kt_real *KT_RESTRICT hidden)
{
    for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
        const int f = channels + c, g = 2 * channels + c, o = 3 * channels + c;
        kt_real input = bias_input[c] + bias_hidden[c], forget = bias_input[f] + bias_hidden[f];
        kt_real candidate = bias_input[g] + bias_hidden[g], output = bias_input[o] + bias_hidden[o];
        if (!first) {
            input += gates[c];
            forget += gates[f];
            candidate += gates[g];
            output += gates[o];
        }
        gates[c] = input = kt_sigmoid(input);
        gates[f] = forget = kt_sigmoid(forget);
        gates[g] = candidate = kt_tanh(candidate);
        gates[o] = output = kt_sigmoid(output);
        const kt_real now = first ? input * candidate : forget * before[c] + input * candidate;
        cell[c] = now;
        hidden[c] = output * kt_tanh(now);
    }
}

KT_KERNEL(lstm_forward, kt_lstm_forward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold), channels = a.channels;
    const kt_real *bias_input = kt_rows(a.bias_input, fold), *bias_hidden = kt_rows(a.bias_hidden, fold);
    for (int graph = KT_FIRST_ROW; graph < graphs; graph += KT_ROW_STRIDE) {
        kt_real *gates = kt_rows(a.gates, fold) + (int64_t)graph * a.gates.stride;
        kt_real *cell = kt_rows(a.cell, fold) + (int64_t)graph * a.cell.stride;
        kt_real *hidden = kt_rows(a.hidden, fold) + (int64_t)graph * a.hidden.stride;
        if (a.first)
            lstm_forward_row(1, channels, gates, bias_input, bias_hidden, 0, cell, hidden);
        else
            lstm_forward_row(0, channels, gates, bias_input, bias_hidden,
                             kt_rows(a.cell_before, fold) + (int64_t)graph * a.cell_before.stride, cell,
                             hidden);
    }
}

KT_INLINE void lstm_backward_row(const int first, const int last, int channels, kt_real *KT_RESTRICT gates,
                                 const kt_real *KT_RESTRICT before, const kt_real *KT_RESTRICT cell,
                                 const kt_real *KT_RESTRICT dh, kt_real *KT_RESTRICT dcell)
{
    for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
        const int f = channels + c, g = 2 * channels + c, o = 3 * channels + c;
        const kt_real input = gates[c], forget = gates[f], candidate = gates[g], output = gates[o];
        const kt_real squashed = kt_tanh(cell[c]);
        kt_real dc = dh[c] * output * (1 - squashed * squashed);
        if (!last)
            dc += dcell[c];
        gates[c] = dc * candidate * input * (1 - input);
        gates[f] = first ? 0 : dc * before[c] * forget * (1 - forget);
        gates[g] = dc * input * (1 - candidate * candidate);
        gates[o] = dh[c] * squashed * output * (1 - output);
        dcell[c] = dc * forget;
    }
}

KT_KERNEL(lstm_backward, kt_lstm_backward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold), channels = a.channels;
    for (int graph = KT_FIRST_ROW; graph < graphs; graph += KT_ROW_STRIDE) {
        kt_real *gates = kt_rows(a.gates, fold) + (int64_t)graph * a.gates.stride;
        const kt_real *cell = kt_rows(a.cell, fold) + (int64_t)graph * a.cell.stride;
        const kt_real *dh = kt_rows(a.hidden_gradient, fold) + (int64_t)graph * a.hidden_gradient.stride;
        kt_real *dcell = kt_rows(a.cell_gradient, fold) + (int64_t)graph * a.cell_gradient.stride;
        const kt_real *before =
            a.first ? 0 : kt_rows(a.cell_before, fold) + (int64_t)graph * a.cell_before.stride;
        if (a.first && a.last)
            lstm_backward_row(1, 1, channels, gates, before, cell, dh, dcell);
        else if (a.first)
            lstm_backward_row(1, 0, channels, gates, before, cell, dh, dcell);
        else if (a.last)
            lstm_backward_row(0, 1, channels, gates, before, cell, dh, dcell);
        else
            lstm_backward_row(0, 0, channels, gates, before, cell, dh, dcell);
    }
}

#ifdef KT_MANY_THREADS
KT_KERNEL(lstm_bias_gradient, kt_lstm_bias_gradient)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold), channels = a.channels;
    for (int first = blockIdx.x * KT_WARP; first < channels; first += gridDim.x * KT_WARP) {
        const int c = first + threadIdx.x;
        kt_real sum = 0;
        if (c < channels)
            for (int step = 0; step < 2; step++)
                for (int graph = threadIdx.y; graph < graphs; graph += KT_WARPS)
                    sum += kt_rows(a.step[step], fold)[(int64_t)graph * a.step[step].stride + c];
        sum = kt_column_sum(sum);
        if (threadIdx.y == 0 && c < channels) {
            kt_rows(a.bias_input_gradient, fold)[c] = sum;
            kt_rows(a.bias_hidden_gradient, fold)[c] = sum;
        }
    }
}
#else
KT_KERNEL(lstm_bias_gradient, kt_lstm_bias_gradient)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    kt_real *KT_RESTRICT sum = kt_rows(a.bias_input_gradient, fold);
    kt_real *KT_RESTRICT same = kt_rows(a.bias_hidden_gradient, fold);
    for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE)
        sum[c] = 0;
    for (int step = 0; step < 2; step++)
        for (int graph = 0; graph < graphs; graph++) {
            const kt_real *KT_RESTRICT gates =
                kt_rows(a.step[step], fold) + (int64_t)graph * a.step[step].stride;
            for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE)
                sum[c] += gates[c];
        }
    for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE)
        same[c] = sum[c];
}
#endif
