/* Sum of two matrices: a block's output is its convolution plus its input, and gradients that meet.
 *
 *     out[r, c] = left[r, c] + right[r, c]
 *
 * F folds; all [R, C], '='; out may be left or right. One thread an element. Moves 12 R C bytes.
 * Its backward is the identity to both sides.
 * Launch: any block and grid.
 */
#include "kernels/arguments.h"

KT_KERNEL(add, kt_add)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE) {
        const kt_real *left = kt_rows(a.left, fold) + (int64_t)row * a.left.stride;
        const kt_real *right = kt_rows(a.right, fold) + (int64_t)row * a.right.stride;
        kt_real *out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE)
            out[c] = left[c] + right[c];
    }
}
