/* Loss of the standardised logarithm, where every crystal counts alike, soft or stiff.
 *
 *     d = z - (log10(k + 1) - mean) / sd
 *     squared:   loss = mean over graphs of d^2;  dloss/dz = 2 d / G
 *     absolute:  loss = mean over graphs of |d|;  dloss/dz = sign(d) / G
 *
 * mean and sd are those of the graph's data set. G is the whole batch's (KT_STEP_GRAPHS): where devices share a batch,
 * the parts' losses and gradients add up to it, and a part may have no graph.
 * F folds; data_set [G]; prediction z, kappa k, gradient [G, 1], '='; result[KT_RESULT_LOSS], '='.
 * Deterministic: one thread a fold, graphs in order; where there are many threads, a warp a fold, which adds its
 * threads' sums in a fixed tree. Moves 16 G bytes.
 * Launch: blocks of 32 threads, any grid; one block a fold works.
 */
#include "kernels/arguments.h"

KT_KERNEL(log_loss, kt_log_loss)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    if (blockIdx.x != 0)
        return;
    const kt_real *step = kt_rows(a.step, fold), *z = kt_rows(a.prediction, fold),
                  *kappa = kt_rows(a.kappa, fold);
    const kt_real whole = step[KT_STEP_GRAPHS];
    kt_real *gradient = kt_rows(a.gradient, fold), sum = 0;
    const int32_t *data_set = kt_entries(a.data_set, fold);
    for (int g = threadIdx.x; g < graphs; g += blockDim.x) {
        const kt_real mean = step[KT_STEP_TARGET_MEAN + data_set[g]],
                      sd = step[KT_STEP_TARGET_SD + data_set[g]];
#ifdef KT_REAL_DOUBLE
        const kt_real logarithm = log1p(kappa[(int64_t)g * a.kappa.stride]) / KT_LN10;
#else
        const kt_real logarithm = log1pf(kappa[(int64_t)g * a.kappa.stride]) / KT_LN10;
#endif
        const kt_real d = z[(int64_t)g * a.prediction.stride] - (logarithm - mean) / sd;
        const kt_real sign = d > 0 ? 1 : d < 0 ? -1 : 0;
        sum += a.absolute ? sign * d : d * d;
        gradient[(int64_t)g * a.gradient.stride] = (a.absolute ? sign : 2 * d) / whole;
    }
#ifdef KT_MANY_THREADS
    sum = kt_warp_sum(sum);
    if (threadIdx.x == 0)
#endif
        kt_rows(a.result, fold)[KT_RESULT_LOSS] = sum / whole;
}
