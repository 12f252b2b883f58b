/* What a kernel does for one row, for the kernels of one operation and for the chains.
 *
 * The formulas stand in segment.cu, add.cu, linear.cu and lstm.cu. Threads of one threadIdx.y share the row's channels; those of
 * another have rows of their own.
 */
#ifndef KT_KERNELS_ROWS_H
#define KT_KERNELS_ROWS_H

#include "kernels/arguments.h"

#ifdef KT_MANY_THREADS
enum { SEGMENT_LOADS = 8 }; /* on their way together */

/* Every `step`-th row of the segment from number `first` on, of column c. */
KT_INLINE kt_real segment_part(const kt_segment_sum *a, int fold, int s, int c, int first, const int step)
{
    const int32_t *start = kt_entries(a->start, fold);
    const int32_t *order = a->order.data ? kt_entries(a->order, fold) : 0;
    const kt_real *coefficient = a->coefficient.data ? kt_rows(a->coefficient, fold) : 0;
    const kt_real *in = kt_rows(a->in, fold) + c;
    const int end = start[s + 1];
    kt_real sum = 0;
    for (int begin = start[s] + first; begin < end; begin += SEGMENT_LOADS * step) {
        kt_real value[SEGMENT_LOADS], factor[SEGMENT_LOADS];
        for (int i = 0; i < SEGMENT_LOADS; i++) {
            const int entry = begin + i * step, there = entry < end,
                      row = there && order ? order[entry] : entry;
            factor[i] = there && coefficient ? coefficient[(int64_t)row * a->coefficient.stride] : 1;
            value[i] = there ? in[(int64_t)row * a->in.stride] : 0;
        }
        for (int i = 0; i < SEGMENT_LOADS; i++)
            if (begin + i * step < end)
                sum += factor[i] * value[i];
    }
    return sum;
}

KT_INLINE void segment_sum_row(const kt_segment_sum *a, int fold, int s)
{
    kt_real *out = kt_rows(a->out, fold) + (int64_t)s * a->out.stride;
    for (int c = KT_FIRST_CHANNEL; c < a->channels; c += KT_CHANNEL_STRIDE) {
        const kt_real sum = segment_part(a, fold, s, c, 0, 1);
        out[c] = a->accumulate ? out[c] + sum : sum;
    }
}

/* A graph's, which may have many rows, by a block of 32 x KT_CHAIN_WARPS threads: a warp every KT_CHAIN_WARPS-th one, then warp
 * after warp. All threads of the block must call. */
KT_INLINE void segment_sum_graph(const kt_segment_sum *a, int fold, int graph)
{
    KT_SHARED kt_real part[2][KT_CHAIN_WARPS][KT_WARP]; /* two tiles of columns take turns */
    kt_real *out = kt_rows(a->out, fold) + (int64_t)graph * a->out.stride;
    for (int tile = 0; tile < a->channels; tile += KT_WARP) {
        const int c = tile + (int)threadIdx.x, turn = tile / KT_WARP % 2;
        if (c < a->channels)
            part[turn][threadIdx.y][threadIdx.x] =
                segment_part(a, fold, graph, c, (int)threadIdx.y, KT_CHAIN_WARPS);
        __syncthreads(); /* all warps' parts are there */
        if (threadIdx.y == 0 && c < a->channels) {
            kt_real sum = 0;
            for (int warp = 0; warp < KT_CHAIN_WARPS; warp++)
                sum += part[turn][warp][threadIdx.x];
            out[c] = a->accumulate ? out[c] + sum : sum;
        }
    }
}
#else
KT_INLINE void segment_sum_row(const kt_segment_sum *a, int fold, int s)
{
    const int channels = a->channels;
    const int32_t *start = kt_entries(a->start, fold);
    const int32_t *order = a->order.data ? kt_entries(a->order, fold) : 0;
    const kt_real *coefficient = a->coefficient.data ? kt_rows(a->coefficient, fold) : 0;
    kt_real *KT_RESTRICT out = kt_rows(a->out, fold) + (int64_t)s * a->out.stride;
    if (!a->accumulate)
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
            out[c] = 0;
    for (int i = start[s]; i < start[s + 1]; i++) {
        const int row = order ? order[i] : i;
        const kt_real *KT_RESTRICT in = kt_rows(a->in, fold) + (int64_t)row * a->in.stride;
        const kt_real factor = coefficient ? coefficient[(int64_t)row * a->coefficient.stride] : 1;
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
            out[c] += factor * in[c];
    }
}
#endif

KT_INLINE void segment_spread_row(const kt_segment_spread *a, int fold, int row)
{
    const int segment = kt_entries(a->segment, fold)[row];
    const kt_real *in = kt_rows(a->in, fold) + (int64_t)segment * a->in.stride;
    const kt_real *base = kt_rows(a->base, fold) + (int64_t)row * a->base.stride;
    kt_real *out = kt_rows(a->out, fold) + (int64_t)row * a->out.stride;
    const kt_real factor = kt_rows(a->coefficient, fold)[(int64_t)row * a->coefficient.stride];
    for (int c = KT_FIRST_CHANNEL; c < a->channels; c += KT_CHANNEL_STRIDE)
        out[c] = base[c] + factor * in[c];
}

KT_INLINE void add_row(const kt_add *a, int fold, int row)
{
    const kt_real *left = kt_rows(a->left, fold) + (int64_t)row * a->left.stride;
    const kt_real *right = kt_rows(a->right, fold) + (int64_t)row * a->right.stride;
    kt_real *out = kt_rows(a->out, fold) + (int64_t)row * a->out.stride;
    for (int c = KT_FIRST_CHANNEL; c < a->channels; c += KT_CHANNEL_STRIDE)
        out[c] = left[c] + right[c];
}

/* ---- linear_backward ---- */

KT_INLINE kt_real linear_back_value(const kt_linear_backward *a, int fold, int row, int c)
{
    return kt_activate_back(a->activation, kt_rows(a->out, fold)[(int64_t)row * a->out.stride + c],
                            kt_rows(a->gradient, fold)[(int64_t)row * a->gradient.stride + c]);
}

/* Without the gradient with respect to the bias, for which a row would wait for the others. */
KT_INLINE void linear_back_row(const kt_linear_backward *a, int fold, int row)
{
    for (int c = KT_FIRST_CHANNEL; c < a->channels; c += KT_CHANNEL_STRIDE)
        kt_rows(a->product_gradient, fold)[(int64_t)row * a->product_gradient.stride + c] =
            linear_back_value(a, fold, row, c);
}

/* ---- the LSTM cell ---- */

/* `first` is a constant where these are called, so that neither form has a condition inside its loop. */
KT_INLINE void lstm_forward_row(const int first, int channels, kt_real *KT_RESTRICT gates,
                                const kt_real *KT_LINK_RESTRICT bias_input,
                                const kt_real *KT_LINK_RESTRICT bias_hidden,
                                const kt_real *KT_LINK_RESTRICT before, kt_real *KT_RESTRICT cell,
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

KT_INLINE void lstm_forward_graph(const kt_lstm_forward *a, int fold, int graph)
{
    const kt_real *bias_input = kt_rows(a->bias_input, fold), *bias_hidden = kt_rows(a->bias_hidden, fold);
    kt_real *gates = kt_rows(a->gates, fold) + (int64_t)graph * a->gates.stride;
    kt_real *cell = kt_rows(a->cell, fold) + (int64_t)graph * a->cell.stride;
    kt_real *hidden = kt_rows(a->hidden, fold) + (int64_t)graph * a->hidden.stride;
    if (a->first)
        lstm_forward_row(1, a->channels, gates, bias_input, bias_hidden, 0, cell, hidden);
    else
        lstm_forward_row(0, a->channels, gates, bias_input, bias_hidden,
                         kt_rows(a->cell_before, fold) + (int64_t)graph * a->cell_before.stride, cell,
                         hidden);
}

KT_INLINE void lstm_backward_row(const int first, const int last, int channels, kt_real *KT_RESTRICT gates,
                                 const kt_real *KT_LINK_RESTRICT before, const kt_real *KT_LINK_RESTRICT cell,
                                 const kt_real *KT_LINK_RESTRICT dh, kt_real *KT_RESTRICT dcell)
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

KT_INLINE void lstm_backward_graph(const kt_lstm_backward *a, int fold, int graph)
{
    kt_real *gates = kt_rows(a->gates, fold) + (int64_t)graph * a->gates.stride;
    const kt_real *cell = kt_rows(a->cell, fold) + (int64_t)graph * a->cell.stride;
    const kt_real *dh = kt_rows(a->hidden_gradient, fold) + (int64_t)graph * a->hidden_gradient.stride;
    kt_real *dcell = kt_rows(a->cell_gradient, fold) + (int64_t)graph * a->cell_gradient.stride;
    const kt_real *before =
        a->first ? 0 : kt_rows(a->cell_before, fold) + (int64_t)graph * a->cell_before.stride;
    if (a->first && a->last)
        lstm_backward_row(1, 1, a->channels, gates, before, cell, dh, dcell);
    else if (a->first)
        lstm_backward_row(1, 0, a->channels, gates, before, cell, dh, dcell);
    else if (a->last)
        lstm_backward_row(0, 1, a->channels, gates, before, cell, dh, dcell);
    else
        lstm_backward_row(0, 0, a->channels, gates, before, cell, dh, dcell);
}

#endif
