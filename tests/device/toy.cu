/* The kernel of toy.h. Any block and grid. */
#include "device/toy.h"

KT_INLINE void toy_row(const kt_toy *a, int fold, int row)
{
    const kt_real *in = kt_rows(a->in, fold) + (int64_t)row * a->in.stride;
    kt_real *out = kt_rows(a->out, fold) + (int64_t)row * a->out.stride;
    for (int c = KT_FIRST_CHANNEL; c < a->channels; c += KT_CHANNEL_STRIDE)
        out[c] = a->factor * in[c] * in[c];
}

KT_KERNEL(toy, kt_toy)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE)
        toy_row(&a, fold, row);
}
