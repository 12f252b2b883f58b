/* Node embedding.
 *
 *     out[n, c] = table[type[n], c]
 *     table_gradient[t, c] = sum over the nodes n of type t of out_gradient[n, c]
 *
 * F folds; type [N]; table [T, C] a fold; out [N, C], '='; table_gradient [T, C], '=' (zero for types that do
 * not occur).
 * Deterministic: the nodes of a type are listed in order (type_start, type_node), one thread sums them.
 * Moves 8 N C bytes forward, 4 (N + T) C backward.
 * Launch: any block and grid.
 */
#include "kernels/arguments.h"

KT_KERNEL(embedding, kt_embedding)
{
    const int fold = KT_FOLD, rows = kt_number(a.rows, fold);
    const int32_t *type = kt_entries(a.type, fold);
    for (int row = KT_FIRST_ROW; row < rows; row += KT_ROW_STRIDE) {
        const kt_real *KT_RESTRICT in = kt_rows(a.table, fold) + (int64_t)type[row] * a.table.stride;
        kt_real *KT_RESTRICT out = kt_rows(a.out, fold) + (int64_t)row * a.out.stride;
        for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE)
            out[c] = in[c];
    }
}

KT_KERNEL(embedding_gradient, kt_embedding_gradient)
{
    const int fold = KT_FOLD;
    const int32_t *start = kt_entries(a.type_start, fold), *node = kt_entries(a.type_node, fold);
    for (int type = KT_FIRST_ROW; type < a.types; type += KT_ROW_STRIDE) {
        kt_real *KT_RESTRICT sum = kt_rows(a.table_gradient, fold) + (int64_t)type * a.table_gradient.stride;
#ifdef KT_MANY_THREADS
        const kt_real *in = kt_rows(a.out_gradient, fold);
        for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE) {
            kt_real total = 0; /* in a register, not in memory */
            for (int i = start[type]; i < start[type + 1]; i++)
                total += in[(int64_t)node[i] * a.out_gradient.stride + c];
            sum[c] = total;
        }
#else
        for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE)
            sum[c] = 0;
        for (int i = start[type]; i < start[type + 1]; i++) {
            const kt_real *KT_RESTRICT in =
                kt_rows(a.out_gradient, fold) + (int64_t)node[i] * a.out_gradient.stride;
            for (int c = KT_FIRST_CHANNEL; c < a.channels; c += KT_CHANNEL_STRIDE)
                sum[c] += in[c];
        }
#endif
    }
}
