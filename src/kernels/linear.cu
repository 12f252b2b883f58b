/* What a linear layer does around its matrix product.
 *
 *     forward    out[r, c] = act(out[r, c] + bias[c] + sum_i gather_i.data[gather_i.index[r], c])
 *     backward   product_gradient[r, c] = gradient[r, c] act'(out[r, c]);  bias_gradient[c] = sum_r of it
 *
 * F folds; out [R, C] in place; product_gradient [R, C], '=', may be gradient; bias, bias_gradient [1, C] a fold, '='. The gathers are the parts of a
 * factorised first layer (at most three): source node, target node, state.
 * act' is taken from the output: softplus' = 1 - exp(-(y + ln 2)), relu' = y > 0.
 * Deterministic: one thread an element, rows summed in order. Moves 8 R C bytes, and 4 R C a gather.
 * Launch: forward with any block and grid; backward with blockDim.y 1 and gridDim.x 1, since a thread owns its
 * channels' sums over all rows.
 */
#include "kernels/arguments.h"

KT_INLINE void activate(kt_real *KT_RESTRICT out, int channels, kt_activation activation)
{
    if (activation == KT_SOFTPLUS)
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
            out[c] = kt_softplus(out[c]);
    else if (activation == KT_RELU)
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
            out[c] = out[c] < 0 ? 0 : out[c]; /* a NaN stays one */
}

KT_KERNEL(linear_forward, kt_linear_forward)
{
    const int fold = blockIdx.z, rows = *kt_entries(a.rows, fold), channels = a.channels;
    const kt_real *KT_RESTRICT bias = kt_rows(a.bias, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE) {
        kt_real *KT_RESTRICT out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
            out[c] += bias[c];
        for (int g = 0; g < a.gathers; g++) {
            const int other = kt_entries(a.gather[g].index, fold)[row];
            const kt_real *KT_RESTRICT part =
                kt_rows(a.gather[g].data, fold) + (int64_t)other * a.gather[g].data.stride;
            for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
                out[c] += part[c];
        }
        activate(out, channels, a.activation);
    }
}

KT_KERNEL(linear_backward, kt_linear_backward)
{
    const int fold = blockIdx.z, rows = *kt_entries(a.rows, fold), channels = a.channels;
    kt_real *KT_RESTRICT sum = kt_rows(a.bias_gradient, fold);
    for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
        sum[c] = 0;
    for (int row = 0; row < rows; row++) {
        const kt_real *KT_RESTRICT out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        const kt_real *in = kt_rows(a.gradient, fold) + (int64_t)row * a.gradient.stride;
        kt_real *to = kt_rows(a.product_gradient, fold) + (int64_t)row * a.product_gradient.stride;
        if (a.activation == KT_SOFTPLUS)
            for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
                sum[c] += to[c] = in[c] * kt_softplus_derivative(out[c]);
        else if (a.activation == KT_RELU)
            for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
                sum[c] += to[c] = out[c] > 0 ? in[c] : 0;
        else
            for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
                sum[c] += to[c] = in[c];
    }
}
