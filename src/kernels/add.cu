/* Sum of two matrices: a block's output is its convolution plus its input, and gradients that meet.
 *
 *     out[r, c] = left[r, c] + right[r, c]
 *
 * F folds; all [R, C], '='; out may be left or right. One thread an element. Moves 12 R C bytes.
 * Its backward is the identity to both sides.
 * Launch: any block and grid.
 */
#include "kernels/rows.h"

KT_KERNEL(add, kt_add)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE)
        add_row(&a, fold, row);
}
