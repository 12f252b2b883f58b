/* Epilogue of the product of a linear layer, element by element, forward and backward, for devices with many threads.
 *
 * The formulas stand in layer.cu.
 */
#ifndef KT_KERNELS_LAYER_H
#define KT_KERNELS_LAYER_H

#include "kernels/arguments.h"

#ifdef KT_MANY_THREADS

/* What is added to a product's element, but for what the output held. Loaded before the product is there, since each load
 * takes as long as a product does. */
typedef struct layer_addends {
    kt_real bias, gathered[KT_MAX_GATHERS];
} layer_addends;

/* Of element (row, column), which must be within the layer. */
KT_INLINE layer_addends layer_load(const kt_linear_forward *a, int fold, int row, int column)
{
    layer_addends addends = {kt_rows(a->bias, fold)[column], {0}};
    for (int g = 0; g < KT_MAX_GATHERS; g++)
        if (g < a->gathers) {
            const kt_matrix data = a->gather[g].data;
            const int other = kt_entries(a->gather[g].index, fold)[row];
            addends.gathered[g] = kt_rows(data, fold)[(int64_t)other * data.stride + column];
        }
    return addends;
}

KT_INLINE kt_real layer_value(const kt_linear_forward *a, const layer_addends *addends, kt_real product)
{
    kt_real x = product + addends->bias;
    for (int g = 0; g < KT_MAX_GATHERS; g++)
        if (g < a->gathers)
            x += addends->gathered[g];
    return kt_activate(a->activation, x);
}

/* What an element of c meets behind the product; loaded before it. */
typedef struct back_operands {
    kt_real held, out;
} back_operands;

KT_INLINE int back_follows(const kt_layer_backward *a, int column)
{
    return a->out.data != 0 && column < a->product.n;
}

KT_INLINE back_operands load_back(const kt_layer_backward *a, int fold, int row, int column)
{
    const kt_matrix c = a->product.c;
    const back_operands operands = {
        a->product.accumulate ? kt_rows(c, fold)[(int64_t)row * c.stride + column] : 0,
        back_follows(a, column) ? kt_rows(a->out, fold)[(int64_t)row * a->out.stride + column] : 0};
    return operands;
}

/* Element (row, column) of c, and of the gradient with respect to the pre-activation of the layer that it leads back to; returns the latter, where there is
 * none the former. */
KT_INLINE kt_real store_back(const kt_layer_backward *a, int fold, int row, int column,
                             back_operands operands, kt_real product)
{
    const kt_matrix c = a->product.c, to = a->product_gradient;
    const kt_real value = a->product.accumulate ? operands.held + product : product;
    const int follows = back_follows(a, column);
    if (!follows || to.data != c.data)
        kt_rows(c, fold)[(int64_t)row * c.stride + column] = value;
    if (!follows)
        return value;
    const kt_real gradient = kt_activate_back(a->activation, operands.out, value);
    kt_rows(to, fold)[(int64_t)row * to.stride + column] = gradient;
    return gradient;
}

#endif

#endif
