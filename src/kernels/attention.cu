/* The weighted soft-max attention of Set2Set.
 *
 *     forward   s_r = <in_r, hidden_g>;  a_r = w_r exp(s_r - max s) / sum_q w_q exp(s_q - max s)
 *               out_g = sum_r a_r in_r
 *     backward  b_r = <out_gradient_g, in_r>;  ds_r = a_r (b_r - sum_q a_q b_q)
 *               in_gradient_r (= or +=) a_r out_gradient_g + ds_r hidden_g
 *               hidden_gradient_g += sum_r ds_r in_r
 *
 * F folds; in [R, C] with C a multiple of 16; weight w, attention a [R, 1]; hidden, out [G, C]; sums run over
 * the rows of graph g. The weights are the multiplicities of the symmetry quotient (docs/method.md, section 2).
 * Deterministic: dot products in 16 fixed lanes, rows in order. Where there are many threads, a block of
 * KT_CHAIN_WARPS warps takes a graph: a warp a dot product, rows r modulo the number of warps or threads each,
 * sums in fixed trees. Moves 4 R (2C + 5) bytes forward, 4 R (3C + 7) backward, and 4 C R more where in_gradient is
 * added to.
 * Launch: blocks of 32 x KT_CHAIN_WARPS, any grid. A graph without rows gives zeros.
 */
#include "kernels/attention.h"

#ifdef KT_MANY_THREADS
KT_KERNEL(attention_forward, kt_attention_forward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    for (int graph = blockIdx.x; graph < graphs; graph += gridDim.x)
        attention_forward_graph(&a, fold, graph);
}

KT_KERNEL(attention_backward, kt_attention_backward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    for (int graph = blockIdx.x; graph < graphs; graph += gridDim.x)
        attention_backward_graph(&a, fold, graph);
}
#else
KT_INLINE kt_real dot(const kt_real *x, const kt_real *y, int channels)
{
    kt_real lane[16];
    for (int k = 0; k < 16; k++)
        lane[k] = x[k] * y[k];
    for (int c = 16; c < channels; c += 16)
        for (int k = 0; k < 16; k++)
            lane[k] += x[c + k] * y[c + k];
    for (int width = 8; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            lane[k] += lane[k + width];
    return lane[0];
}

KT_KERNEL(attention_forward, kt_attention_forward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold), channels = a.channels;
    const int32_t *start = kt_entries(a.start, fold);
    const kt_real *in = kt_rows(a.in, fold), *weight = kt_rows(a.weight, fold);
    kt_real *score = kt_rows(a.attention, fold);
    const int in_stride = a.in.stride, weight_stride = a.weight.stride, score_stride = a.attention.stride;
    for (int graph = blockIdx.x; graph < graphs; graph += gridDim.x) {
        const kt_real *hidden = kt_rows(a.hidden, fold) + (int64_t)graph * a.hidden.stride;
        kt_real *KT_RESTRICT out = kt_rows(a.out, fold) + (int64_t)graph * a.out.stride;
        const int first = start[graph], last = start[graph + 1];
        for (int r = first + threadIdx.x; r < last; r += blockDim.x)
            score[(int64_t)r * score_stride] = dot(in + (int64_t)r * in_stride, hidden, channels);
        __syncthreads(); /* all scores of the graph are there */
        kt_real max = first < last ? score[(int64_t)first * score_stride] : 0;
        for (int r = first + 1; r < last; r++)
            max = score[(int64_t)r * score_stride] > max ? score[(int64_t)r * score_stride] : max;
        __syncthreads(); /* every thread has the maximum before scores are overwritten */
        for (int r = first + threadIdx.x; r < last; r += blockDim.x)
            score[(int64_t)r * score_stride] =
                weight[(int64_t)r * weight_stride] * kt_exp(score[(int64_t)r * score_stride] - max);
        __syncthreads(); /* every thread sums the same exponentials */
        kt_real total = 0;
        for (int r = first; r < last; r++)
            total += score[(int64_t)r * score_stride];
        __syncthreads(); /* the sum is taken before they are scaled */
        const kt_real scale = 1 / total;
        for (int r = first + threadIdx.x; r < last; r += blockDim.x)
            score[(int64_t)r * score_stride] *= scale;
        __syncthreads(); /* attention is complete */
        for (int c = threadIdx.x; c < channels; c += blockDim.x)
            out[c] = 0;
        for (int r = first; r < last; r++) {
            const kt_real attention = score[(int64_t)r * score_stride];
            for (int c = threadIdx.x; c < channels; c += blockDim.x)
                out[c] += attention * in[(int64_t)r * in_stride + c];
        }
    }
}

KT_KERNEL(attention_backward, kt_attention_backward)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold), channels = a.channels;
    const int32_t *start = kt_entries(a.start, fold);
    const kt_real *in = kt_rows(a.in, fold), *attention = kt_rows(a.attention, fold);
    kt_real *score = kt_rows(a.scratch, fold), *in_gradient = kt_rows(a.in_gradient, fold);
    const int in_stride = a.in.stride, attention_stride = a.attention.stride, score_stride = a.scratch.stride;
    for (int graph = blockIdx.x; graph < graphs; graph += gridDim.x) {
        const kt_real *hidden = kt_rows(a.hidden, fold) + (int64_t)graph * a.hidden.stride;
        const kt_real *gradient = kt_rows(a.out_gradient, fold) + (int64_t)graph * a.out_gradient.stride;
        kt_real *KT_RESTRICT hidden_gradient =
            kt_rows(a.hidden_gradient, fold) + (int64_t)graph * a.hidden_gradient.stride;
        const int first = start[graph], last = start[graph + 1];
        for (int r = first + threadIdx.x; r < last; r += blockDim.x)
            score[(int64_t)r * score_stride] = dot(in + (int64_t)r * in_stride, gradient, channels);
        __syncthreads(); /* all b_r are there */
        kt_real mean = 0;
        for (int r = first; r < last; r++)
            mean += attention[(int64_t)r * attention_stride] * score[(int64_t)r * score_stride];
        __syncthreads(); /* every thread has the mean before the scores become ds_r */
        for (int r = first + threadIdx.x; r < last; r += blockDim.x)
            score[(int64_t)r * score_stride] =
                attention[(int64_t)r * attention_stride] * (score[(int64_t)r * score_stride] - mean);
        __syncthreads(); /* ds_r is complete */
        for (int r = first; r < last; r++) {
            const kt_real ds = score[(int64_t)r * score_stride],
                          weight = attention[(int64_t)r * attention_stride];
            const kt_real *KT_RESTRICT row = in + (int64_t)r * in_stride;
            kt_real *KT_RESTRICT out = in_gradient + (int64_t)r * a.in_gradient.stride;
            for (int c = threadIdx.x; c < channels; c += blockDim.x) {
                const kt_real sum = weight * gradient[c] + ds * hidden[c];
                out[c] = a.accumulate ? out[c] + sum : sum;
                hidden_gradient[c] += ds * row[c];
            }
        }
    }
}
#endif
