/* What a step does to the weights beside Adam: decay before it, a running mean after it.
 *
 *     weight_decay:    p -= decays amount lr p            (decoupled: Loshchilov & Hutter, ICLR 2019)
 *     weight_average:  average += share (p - average)
 *
 * F folds; all [P] a fold, in place; `decays` is shared by the folds. A step whose loss or gradient norm is not
 * finite changes nothing.
 * Deterministic: one thread an element. Moves 12 P bytes each.
 * Launch: blockDim.y 1, any blockDim.x and gridDim.x.
 */
#include "kernels/arguments.h"

KT_KERNEL(weight_decay, kt_weight_decay)
{
    const int fold = KT_FOLD;
    if (!kt_step_is_finite(kt_rows(a.result, fold)))
        return;
    const kt_real *KT_RESTRICT decays = kt_rows(a.decays, fold);
    kt_real *KT_RESTRICT parameter = kt_rows(a.parameter, fold);
    const kt_real amount = a.amount * kt_rows(a.step, fold)[KT_STEP_LEARNING_RATE];
    const int64_t first = (int64_t)blockIdx.x * blockDim.x + threadIdx.x,
                  stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = first; i < a.size; i += stride)
        parameter[i] -= decays[i] * amount * parameter[i];
}

KT_KERNEL(weight_average, kt_weight_average)
{
    const int fold = KT_FOLD;
    if (!kt_step_is_finite(kt_rows(a.result, fold)))
        return;
    const kt_real *KT_RESTRICT parameter = kt_rows(a.parameter, fold);
    kt_real *KT_RESTRICT average = kt_rows(a.average, fold);
    const kt_real share = kt_rows(a.step, fold)[KT_STEP_AVERAGE_SHARE];
    const int64_t first = (int64_t)blockIdx.x * blockDim.x + threadIdx.x,
                  stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = first; i < a.size; i += stride)
        average[i] += share * (parameter[i] - average[i]);
}
