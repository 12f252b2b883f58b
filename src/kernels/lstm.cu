/* The LSTM cell of Set2Set, around its matrix products (PyTorch's form, gates in the order i, f, g, o).
 *
 *     forward   (i, f, o) = sigmoid(gates + bias_input + bias_hidden), g = tanh(same)
 *               cell = f cell_before + i g;  hidden = o tanh(cell)
 *     backward  do = dh tanh(c);  dc += dh o (1 - tanh(c)^2);  di = dc g;  dg = dc i;  df = dc cell_before
 *               dcell_before = dc f;  by the products: di i (1 - i), df f (1 - f), dg (1 - g^2), do o (1 - o)
 *     biases    both gradients are the sum over graphs and steps of the gradients by the products
 *
 * F folds; gates [G, 4C] in place; cell, hidden [G, C], '='. The first step starts from zeros: no products, no cell.
 * Deterministic: one thread an element; biases sum graphs in order. Moves 32 G C bytes forward, 44 G C backward.
 * Launch: forward and backward with any block and grid; the biases with blockDim.y 1 and gridDim.x 1, since a thread
 * owns its channels' sums over all graphs.
 */
#include "kernels/arguments.h"

KT_KERNEL(lstm_forward, kt_lstm_forward)
{
    const int fold = blockIdx.z, graphs = *kt_entries(a.graphs, fold), channels = a.channels;
    const kt_real *KT_RESTRICT bias_input = kt_rows(a.bias_input, fold);
    const kt_real *KT_RESTRICT bias_hidden = kt_rows(a.bias_hidden, fold);
    for (int graph = KT_FIRST_ROW; graph < graphs; graph += KT_ROW_STRIDE) {
        kt_real *KT_RESTRICT gates = kt_rows(a.gates, fold) + (int64_t)graph * a.gates.stride;
        kt_real *KT_RESTRICT cell = kt_rows(a.cell, fold) + (int64_t)graph * a.cell.stride;
        kt_real *KT_RESTRICT hidden = kt_rows(a.hidden, fold) + (int64_t)graph * a.hidden.stride;
        const kt_real *KT_RESTRICT before =
            a.first ? 0 : kt_rows(a.cell_before, fold) + (int64_t)graph * a.cell_before.stride;
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
            kt_real gate[4];
            for (int k = 0; k < 4; k++) {
                const int j = k * channels + c;
                gate[k] = (a.first ? 0 : gates[j]) + bias_input[j] + bias_hidden[j];
                gate[k] = k == 2 ? kt_tanh(gate[k]) : kt_sigmoid(gate[k]);
                gates[j] = gate[k];
            }
            const kt_real kept = before ? gate[1] * before[c] : 0;
            cell[c] = kept + gate[0] * gate[2];
            hidden[c] = gate[3] * kt_tanh(cell[c]);
        }
    }
}

KT_KERNEL(lstm_backward, kt_lstm_backward)
{
    const int fold = blockIdx.z, graphs = *kt_entries(a.graphs, fold), channels = a.channels;
    for (int graph = KT_FIRST_ROW; graph < graphs; graph += KT_ROW_STRIDE) {
        kt_real *KT_RESTRICT gates = kt_rows(a.gates, fold) + (int64_t)graph * a.gates.stride;
        const kt_real *KT_RESTRICT cell = kt_rows(a.cell, fold) + (int64_t)graph * a.cell.stride;
        const kt_real *KT_RESTRICT before =
            a.first ? 0 : kt_rows(a.cell_before, fold) + (int64_t)graph * a.cell_before.stride;
        const kt_real *KT_RESTRICT dh = kt_rows(a.hidden_gradient, fold) + (int64_t)graph * a.hidden_gradient.stride;
        kt_real *KT_RESTRICT dcell = kt_rows(a.cell_gradient, fold) + (int64_t)graph * a.cell_gradient.stride;
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
            const kt_real i = gates[c], f = gates[channels + c], g = gates[2 * channels + c],
                          o = gates[3 * channels + c];
            const kt_real squashed = kt_tanh(cell[c]);
            const kt_real dc = (a.last ? 0 : dcell[c]) + dh[c] * o * (1 - squashed * squashed);
            gates[c] = dc * g * i * (1 - i);
            gates[channels + c] = before ? dc * before[c] * f * (1 - f) : 0;
            gates[2 * channels + c] = dc * i * (1 - g * g);
            gates[3 * channels + c] = dh[c] * squashed * o * (1 - o);
            dcell[c] = dc * f;
        }
    }
}

KT_KERNEL(lstm_bias_gradient, kt_lstm_bias_gradient)
{
    const int fold = blockIdx.z, graphs = *kt_entries(a.graphs, fold);
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
