/* The attention of one graph by a block of 32 x KT_CHAIN_WARPS threads; the formulas stand in attention.cu. */
#ifndef KT_KERNELS_ATTENTION_H
#define KT_KERNELS_ATTENTION_H

#include "kernels/arguments.h"

#ifdef KT_MANY_THREADS

/* Threads that share a row, four channels of every 32 each, and rows that a warp and a block go through at once. */
enum {
    ROW_THREADS = 8,
    WARP_ROWS = KT_WARP / ROW_THREADS,
    BLOCK_ROWS = WARP_ROWS * KT_CHAIN_WARPS,
};

/* The thread's row among those of the block, and its first channel. */
KT_INLINE int attention_row(void)
{
    return (int)threadIdx.y * WARP_ROWS + (int)threadIdx.x / ROW_THREADS;
}

KT_INLINE int attention_channel(void)
{
    return (int)threadIdx.x % ROW_THREADS * 4;
}

KT_INLINE kt_real4 four_of(const kt_real *row, int channel, int channels)
{
    const kt_real4 zero = {{0, 0, 0, 0}};
    return channel < channels ? *(const kt_real4 *)(row + channel) : zero;
}

/* score[r] = <in_r, vector> of all rows of the graph. */
KT_INLINE void attention_dots(kt_matrix in, const kt_real *vector, int channels, int fold, int first,
                              int last, kt_real *score, int64_t score_stride)
{
    for (int begin = first; begin < last; begin += BLOCK_ROWS) {
        const int r = begin + attention_row();
        kt_real sum = 0;
        for (int c = attention_channel(); c < channels && r < last; c += KT_WARP) {
            const kt_real4 x = four_of(kt_rows(in, fold) + (int64_t)r * in.stride, c, channels),
                           y = four_of(vector, c, channels);
            for (int e = 0; e < 4; e++)
                sum += x.v[e] * y.v[e];
        }
        for (int mask = ROW_THREADS / 2; mask > 0; mask /= 2)
            sum += kt_shuffle_xor(sum, mask);
        if (attention_channel() == 0 && r < last)
            score[r * score_stride] = sum;
    }
}

/* Of the block's threads, the same bits in all. `part` [KT_CHAIN_WARPS] is shared, and written again only after
 * another barrier; so it is below. */
KT_INLINE kt_real block_sum(kt_real value, kt_real *part)
{
    value = kt_warp_sum(value);
    if (threadIdx.x == 0)
        part[threadIdx.y] = value;
    __syncthreads(); /* all warps' sums are there */
    kt_real sum = 0;
    for (int warp = 0; warp < KT_CHAIN_WARPS; warp++)
        sum += part[warp];
    return sum;
}

KT_INLINE kt_real block_maximum(kt_real value, kt_real *part)
{
    for (int mask = KT_WARP / 2; mask > 0; mask /= 2) {
        const kt_real other = kt_shuffle_xor(value, mask);
        value = other > value ? other : value;
    }
    if (threadIdx.x == 0)
        part[threadIdx.y] = value;
    __syncthreads(); /* all warps' maxima are there */
    for (int warp = 0; warp < KT_CHAIN_WARPS; warp++)
        value = part[warp] > value ? part[warp] : value;
    return value;
}

/* Over all rows of the block, of column `threadIdx.x` of 32; complete in the first warp. `value` is of the thread's row and channels. */
KT_INLINE kt_real column_sum(kt_real4 value, kt_real part[KT_CHAIN_WARPS][KT_WARP])
{
    for (int mask = KT_WARP / 2; mask >= ROW_THREADS; mask /= 2)
        for (int e = 0; e < 4; e++)
            value.v[e] += kt_shuffle_xor(value.v[e], mask);
    if ((int)threadIdx.x < ROW_THREADS)
        for (int e = 0; e < 4; e++)
            part[threadIdx.y][attention_channel() + e] = value.v[e];
    __syncthreads(); /* all warps' parts are there */
    kt_real sum = 0;
    if (threadIdx.y == 0)
        for (int warp = 0; warp < KT_CHAIN_WARPS; warp++)
            sum += part[warp][threadIdx.x];
    return sum;
}

/* The block that calls has the graph. */
KT_INLINE void attention_forward_graph(const kt_attention_forward *a, int fold, int graph)
{
    KT_SHARED kt_real maximum[KT_CHAIN_WARPS], part[KT_CHAIN_WARPS],
        column[2][KT_CHAIN_WARPS][KT_WARP]; /* two tiles take turns */
    const int channels = a->channels;
    const int thread = threadIdx.y * KT_WARP + threadIdx.x;
    const int32_t *start = kt_entries(a->start, fold);
    const kt_real *in = kt_rows(a->in, fold), *weight = kt_rows(a->weight, fold);
    kt_real *score = kt_rows(a->attention, fold);
    const int64_t in_stride = a->in.stride, weight_stride = a->weight.stride,
                  score_stride = a->attention.stride;
    const kt_real *hidden = kt_rows(a->hidden, fold) + (int64_t)graph * a->hidden.stride;
    kt_real *out = kt_rows(a->out, fold) + (int64_t)graph * a->out.stride;
    const int first = start[graph], last = start[graph + 1];
    attention_dots(a->in, hidden, channels, fold, first, last, score, score_stride);
    __syncthreads(); /* all scores of the graph are there */
    kt_real max = -INFINITY;
    for (int r = first + thread; r < last; r += KT_CHAIN_THREADS)
        max = score[r * score_stride] > max ? score[r * score_stride] : max;
    max = block_maximum(max, maximum);
    kt_real total = 0;
    for (int r = first + thread; r < last; r += KT_CHAIN_THREADS) {
        const kt_real power = weight[r * weight_stride] * kt_exp(score[r * score_stride] - max);
        score[r * score_stride] = power;
        total += power;
    }
    const kt_real scale = 1 / block_sum(total, part);
    for (int r = first + thread; r < last; r += KT_CHAIN_THREADS)
        score[r * score_stride] *= scale;
    __syncthreads(); /* attention is complete */
    for (int tile = 0; tile < channels; tile += KT_WARP) {
        const int own = tile + attention_channel(), c = tile + (int)threadIdx.x;
        kt_real4 part_sum = {{0, 0, 0, 0}};
        for (int r = first + attention_row(); r < last; r += BLOCK_ROWS) {
            const kt_real4 x = four_of(in + r * in_stride, own, channels);
            const kt_real factor = score[r * score_stride];
            for (int e = 0; e < 4; e++)
                part_sum.v[e] += factor * x.v[e];
        }
        const kt_real sum = column_sum(part_sum, column[tile / KT_WARP % 2]);
        if (threadIdx.y == 0 && c < channels)
            out[c] = sum;
    }
}

KT_INLINE void attention_backward_graph(const kt_attention_backward *a, int fold, int graph)
{
    KT_SHARED kt_real part[KT_CHAIN_WARPS], column[2][KT_CHAIN_WARPS][KT_WARP]; /* two tiles take turns */
    const int channels = a->channels;
    const int thread = threadIdx.y * KT_WARP + threadIdx.x;
    const int32_t *start = kt_entries(a->start, fold);
    const kt_real *in = kt_rows(a->in, fold), *attention = kt_rows(a->attention, fold);
    kt_real *score = kt_rows(a->scratch, fold), *in_gradient = kt_rows(a->in_gradient, fold);
    const int64_t in_stride = a->in.stride, attention_stride = a->attention.stride,
                  score_stride = a->scratch.stride;
    const kt_real *hidden = kt_rows(a->hidden, fold) + (int64_t)graph * a->hidden.stride;
    const kt_real *gradient = kt_rows(a->out_gradient, fold) + (int64_t)graph * a->out_gradient.stride;
    kt_real *hidden_gradient = kt_rows(a->hidden_gradient, fold) + (int64_t)graph * a->hidden_gradient.stride;
    const int first = start[graph], last = start[graph + 1];
    attention_dots(a->in, gradient, channels, fold, first, last, score, score_stride);
    __syncthreads(); /* all b_r are there */
    kt_real mean = 0;
    for (int r = first + thread; r < last; r += KT_CHAIN_THREADS)
        mean += attention[r * attention_stride] * score[r * score_stride];
    mean = block_sum(mean, part);
    for (int r = first + thread; r < last; r += KT_CHAIN_THREADS)
        score[r * score_stride] = attention[r * attention_stride] * (score[r * score_stride] - mean);
    __syncthreads(); /* ds_r is complete */
    for (int tile = 0; tile < channels; tile += KT_WARP) {
        const int own = tile + attention_channel(), c = tile + (int)threadIdx.x;
        const kt_real4 by_out = four_of(gradient, own, channels), by_dot = four_of(hidden, own, channels);
        kt_real4 part_sum = {{0, 0, 0, 0}};
        for (int r = first + attention_row(); r < last && own < channels; r += BLOCK_ROWS) {
            kt_real4 *to = (kt_real4 *)(in_gradient + (int64_t)r * a->in_gradient.stride + own);
            const kt_real4 x = four_of(in + r * in_stride, own, channels), zero = {{0, 0, 0, 0}},
                           held = a->accumulate ? *to : zero;
            const kt_real ds = score[r * score_stride], weight = attention[r * attention_stride];
            kt_real4 value;
            for (int e = 0; e < 4; e++) {
                const kt_real both = weight * by_out.v[e] + ds * by_dot.v[e];
                value.v[e] = a->accumulate ? held.v[e] + both : both;
                part_sum.v[e] += ds * x.v[e];
            }
            *to = value;
        }
        const kt_real sum = column_sum(part_sum, column[tile / KT_WARP % 2]);
        if (threadIdx.y == 0 && c < channels)
            hidden_gradient[c] += sum;
    }
}

#endif

#endif
