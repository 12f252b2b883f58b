/* What a linear layer does around its matrix product.
 *
 *     forward    out[r, c] = act(out[r, c] + bias[c] + sum_i gather_i.data[gather_i.index[r], c])
 *     backward   product_gradient[r, c] = gradient[r, c] act'(out[r, c]);  bias_gradient[c] = sum_r of it
 *
 * F folds; out [R, C] in place; product_gradient [R, C], '=', may be gradient; bias, bias_gradient [1, C] a
 * fold, '='. The gathers are the parts of a factorised first layer (at most three): source node, target node,
 * state. act' is taken from the output: softplus' = 1 - exp(-(y + ln 2)), relu' = y > 0.
 * Deterministic: one thread an element, rows summed in order; where there are many threads, KT_WARPS of them
 * share a column's rows, r modulo KT_WARPS each, and their sums are added in order. Moves 8 R C bytes forward
 * and 4 R C a gather, 12 R C backward.
 * Launch: forward, and backward without bias_gradient, with any block and grid; backward with it with blocks of 32 x KT_WARPS,
 * any grid.
 */
#include "kernels/column_sum.h"
#include "kernels/rows.h"

/* `gathers` and `activation` are constants where this is called: each form is one loop without conditions. */
KT_INLINE void linear_forward_row(const int gathers, const kt_activation activation, int channels,
                                  kt_real *KT_RESTRICT out, const kt_real *KT_RESTRICT bias,
                                  const kt_real *KT_RESTRICT part0, const kt_real *KT_RESTRICT part1,
                                  const kt_real *KT_RESTRICT part2)
{
    for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
        kt_real x = out[c] + bias[c];
        if (gathers > 0)
            x += part0[c];
        if (gathers > 1)
            x += part1[c];
        if (gathers > 2)
            x += part2[c];
        out[c] = kt_activate(activation, x);
    }
}

KT_INLINE void linear_forward_gathered(const int gathers, kt_activation activation, int channels,
                                       kt_real *out, const kt_real *bias,
                                       const kt_real *const part[KT_MAX_GATHERS])
{
    if (activation == KT_SOFTPLUS)
        linear_forward_row(gathers, KT_SOFTPLUS, channels, out, bias, part[0], part[1], part[2]);
    else if (activation == KT_RELU)
        linear_forward_row(gathers, KT_RELU, channels, out, bias, part[0], part[1], part[2]);
    else
        linear_forward_row(gathers, KT_LINEAR, channels, out, bias, part[0], part[1], part[2]);
}

KT_KERNEL(linear_forward, kt_linear_forward)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), channels = a.channels;
    const kt_real *bias = kt_rows(a.bias, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE) {
        kt_real *out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        const kt_real *part[KT_MAX_GATHERS] = {0, 0, 0};
        for (int g = 0; g < KT_MAX_GATHERS; g++)
            if (g < a.gathers)
                part[g] = kt_rows(a.gather[g].data, fold) +
                          (int64_t)kt_entries(a.gather[g].index, fold)[row] * a.gather[g].data.stride;
        if (a.gathers == 0)
            linear_forward_gathered(0, a.activation, channels, out, bias, part);
        else if (a.gathers == 1)
            linear_forward_gathered(1, a.activation, channels, out, bias, part);
        else if (a.gathers == 2)
            linear_forward_gathered(2, a.activation, channels, out, bias, part);
        else
            linear_forward_gathered(3, a.activation, channels, out, bias, part);
    }
}

#ifdef KT_MANY_THREADS
KT_KERNEL(linear_backward, kt_linear_backward)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), channels = a.channels;
    if (!a.bias_gradient.data) {
        for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE)
            linear_back_row(&a, fold, row);
        return;
    }
    for (int first = blockIdx.x * KT_WARP; first < channels; first += gridDim.x * KT_WARP) {
        const int c = first + threadIdx.x;
        kt_real *to = kt_rows(a.product_gradient, fold) + c, sum = 0;
        if (c < channels)
            for (int row = threadIdx.y; row < rows; row += KT_WARPS) {
                const kt_real gradient = linear_back_value(&a, fold, row, c);
                to[(int64_t)row * a.product_gradient.stride] = gradient;
                sum += gradient;
            }
        sum = kt_column_sum(sum);
        if (threadIdx.y == 0 && c < channels)
            kt_rows(a.bias_gradient, fold)[c] = sum;
    }
}
#else
KT_INLINE void linear_backward_row(const kt_activation activation, int channels,
                                   const kt_real *KT_RESTRICT out, const kt_real *in, kt_real *to,
                                   kt_real *KT_RESTRICT sum)
{
    for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
        const kt_real gradient = kt_activate_back(activation, out[c], in[c]);
        to[c] = gradient;
        sum[c] += gradient;
    }
}

KT_KERNEL(linear_backward, kt_linear_backward)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), channels = a.channels;
    if (!a.bias_gradient.data) {
        for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE)
            linear_back_row(&a, fold, row);
        return;
    }
    kt_real *KT_RESTRICT sum = kt_rows(a.bias_gradient, fold);
    for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
        sum[c] = 0;
    for (int row = 0; row < rows; row++) {
        const kt_real *KT_RESTRICT out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        const kt_real *in = kt_rows(a.gradient, fold) + (int64_t)row * a.gradient.stride;
        kt_real *to = kt_rows(a.product_gradient, fold) + (int64_t)row * a.product_gradient.stride;
        if (a.activation == KT_SOFTPLUS)
            linear_backward_row(KT_SOFTPLUS, channels, out, in, to, sum);
        else if (a.activation == KT_RELU)
            linear_backward_row(KT_RELU, channels, out, in, to, sum);
        else
            linear_backward_row(KT_LINEAR, channels, out, in, to, sum);
    }
}
#endif
