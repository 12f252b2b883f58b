/* Gaussian expansion of distances.
 *
 *     out[e, k] = exp(-width (d[e] - centre[k])^2)
 *
 * F folds; d [E, 1]; centre [K] shared by all folds; out [E, K], '='.
 * Deterministic: one thread an element. Moves 4 E (1 + K) bytes.
 * No backward: distances are data.
 * Launch: any block and grid.
 */
#include "kernels/arguments.h"

KT_KERNEL(gaussian_expansion, kt_gaussian_expansion)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold), channels = a.channels;
    const kt_real *KT_RESTRICT distance = kt_rows(a.distance, fold);
    const kt_real *KT_RESTRICT centres = a.centres;
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE) {
        kt_real *KT_RESTRICT out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        const kt_real d = distance[(int64_t)row * a.distance.stride];
        for (int c = KT_FIRST_CHANNEL; c < channels; c += KT_CHANNEL_STRIDE) {
            kt_real away = d - centres[c];
            out[c] = kt_exp(-a.width * away * away);
        }
    }
}
