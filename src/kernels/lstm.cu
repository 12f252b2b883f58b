/* The LSTM cell of Set2Set, around its matrix products (PyTorch's form, gates in the order i, f, g, o).
 *
 *     forward   (i, f, o) = sigmoid(gates + bias_input + bias_hidden), g = tanh(same)
 *               cell = f cell_before + i g;  hidden = o tanh(cell)
 *     backward  do = dh tanh(c);  dc += dh o (1 - tanh(c)^2);  di = dc g;  dg = dc i;  df = dc cell_before
 *               dcell_before = dc f;  by the products: di i (1 - i), df f (1 - f), dg (1 - g^2), do o (1 - o)
 *     biases    both gradients are the sum over graphs and steps of the gradients with respect to the pre-activations
 *
 * F folds; gates [G, 4C] in place; cell, hidden [G, C], '='. The first step starts from zeros: no products,
 * no cell.
 * Deterministic: one thread an element; biases sum graphs in order, or, where there are many threads, in
 * KT_WARPS parts that are added in order. Moves 48 G C bytes forward, 60 G C backward, 32 G C for the biases.
 * Launch: forward and backward with any block and grid; the biases with blocks of 32 x KT_WARPS, any grid.
 */
#include "kernels/column_sum.h"
#include "kernels/rows.h"

KT_KERNEL(lstm_forward, kt_lstm_forward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    for (int graph = KT_FIRST_ROW; graph < graphs; graph += KT_ROW_STRIDE)
        lstm_forward_graph(&a, fold, graph);
}

KT_KERNEL(lstm_backward, kt_lstm_backward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    for (int graph = KT_FIRST_ROW; graph < graphs; graph += KT_ROW_STRIDE)
        lstm_backward_graph(&a, fold, graph);
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
