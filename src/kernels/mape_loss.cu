/* Loss in W/(m K), differentiated through the target transform (docs/method.md, section 5).
 *
 *     k_hat = 10^(z sd + mean) - 1;  loss = mean over graphs of |k - k_hat| / max(|k|, 1.17e-6)
 *     dloss/dz = sign(k_hat - k) / max(|k|, 1.17e-6) * ln(10) sd 10^(z sd + mean) / G
 *
 * mean and sd are those of the graph's data set. G is the whole batch's (KT_STEP_GRAPHS): where devices share a batch,
 * the parts' losses and gradients add up to it, and a part may have no graph.
 * F folds; data_set [G]; prediction z, kappa k, gradient [G, 1], '='; result[KT_RESULT_LOSS], '='. An overflow gives an
 * infinite loss, which Adam takes as the sign to skip the step.
 * Deterministic: one thread a fold, graphs in order; where there are many threads, a warp a fold, which adds its
 * threads' sums in a fixed tree. Moves 16 G bytes.
 * Launch: blocks of 32 threads, any grid; one block a fold works.
 */
#include "kernels/arguments.h"

KT_KERNEL(mape_loss, kt_mape_loss)
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
        const kt_real truth = kappa[(int64_t)g * a.kappa.stride];
        const kt_real size = kt_absolute(truth);
        const kt_real scale = 1 / (size > (kt_real)1.17e-6 ? size : (kt_real)1.17e-6);
        const kt_real exponent = KT_LN10 * (z[(int64_t)g * a.prediction.stride] * sd + mean);
#ifdef KT_REAL_DOUBLE
        const kt_real power = exp(exponent);
#else
        const kt_real power = expf(exponent);
#endif
        const kt_real difference = power - 1 - truth;
        sum += (difference < 0 ? -difference : difference) * scale;
        const kt_real sign = difference > 0 ? 1 : difference < 0 ? -1 : 0;
        gradient[(int64_t)g * a.gradient.stride] = sign * scale * KT_LN10 * sd * power / whole;
    }
#ifdef KT_MANY_THREADS
    sum = kt_warp_sum(sum);
    if (threadIdx.x == 0)
#endif
        kt_rows(a.result, fold)[KT_RESULT_LOSS] = sum / whole;
}
