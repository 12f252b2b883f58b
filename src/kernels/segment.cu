/* Weighted sums over segments of rows, and their transpose: every mean of the network.
 *
 *     sum      out[s, c] (= or +=) sum over i in [start[s], start[s+1]) of coefficient[j] in[j, c],
 *              j = order[i] (or i)
 *     spread   out[r, c] = base[r, c] + coefficient[r] in[segment[r], c]
 *
 * F folds; in [R, C]; out [S, C] (sum), [R, C] (spread). With coefficient = weight / (sum of the segment's
 * weights) the sum is the mean; the spread is its backward. Without a coefficient the sum is the backward of
 * a gather.
 * Deterministic: CSR order, one thread an element, no atomics. Moves 4 (R + S) C bytes.
 * Launch: any block and grid.
 */
#include "kernels/arguments.h"

KT_KERNEL(segment_sum, kt_segment_sum)
{
    const int fold = KT_FOLD, segments = kt_number(a.segments, fold), channels = a.channels;
    const int32_t *start = kt_entries(a.start, fold);
    const int32_t *order = a.order.data ? kt_entries(a.order, fold) : 0;
    const kt_real *coefficient = a.coefficient.data ? kt_rows(a.coefficient, fold) : 0;
    for (int s = KT_FIRST_ROW; s < segments; s += KT_ROW_STRIDE) {
        kt_real *KT_RESTRICT out = kt_rows(a.out, fold) + (int64_t)s * a.out.stride;
#ifdef KT_MANY_THREADS
        const kt_real *in = kt_rows(a.in, fold);
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
            kt_real sum = a.accumulate ? out[c] : 0; /* in a register, not in memory */
            for (int i = start[s]; i < start[s + 1]; i++) {
                const int row = order ? order[i] : i;
                const kt_real factor = coefficient ? coefficient[(int64_t)row * a.coefficient.stride] : 1;
                sum += factor * in[(int64_t)row * a.in.stride + c];
            }
            out[c] = sum;
        }
#else
        if (!a.accumulate)
            for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
                out[c] = 0;
        for (int i = start[s]; i < start[s + 1]; i++) {
            const int row = order ? order[i] : i;
            const kt_real *KT_RESTRICT in = kt_rows(a.in, fold) + (int64_t)row * a.in.stride;
            const kt_real factor = coefficient ? coefficient[(int64_t)row * a.coefficient.stride] : 1;
            for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
                out[c] += factor * in[c];
        }
#endif
    }
}

KT_KERNEL(segment_spread, kt_segment_spread)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), channels = a.channels;
    const int32_t *segment = kt_entries(a.segment, fold);
    const kt_real *coefficient = kt_rows(a.coefficient, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE) {
        const kt_real *in = kt_rows(a.in, fold) + (int64_t)segment[row] * a.in.stride;
        const kt_real *base = kt_rows(a.base, fold) + (int64_t)row * a.base.stride;
        kt_real *out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        const kt_real factor = coefficient[(int64_t)row * a.coefficient.stride];
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE)
            out[c] = base[c] + factor * in[c];
    }
}
