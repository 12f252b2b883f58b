#include "train/backward_joins.h"

const kt_gemm *kti_product_of(const kti_operation *operation)
{
    if (operation->kind == KTI_OP_GEMM)
        return &operation->arguments.gemm;
    return operation->kind == KTI_OP_LAYER_BACKWARD ? &operation->arguments.layer_backward.product : NULL;
}

kt_layer_backward kti_backward_of(const kti_operation *operation)
{
    if (operation->kind == KTI_OP_GEMM)
        return (kt_layer_backward){.product = operation->arguments.gemm};
    return operation->arguments.layer_backward;
}

bool kti_is_weight_gradient(const kti_operation *operation)
{
    const kt_gemm *product = kti_product_of(operation);
    return product && product->product == KT_WEIGHT_GRADIENT;
}

static bool is_plain(const kti_entry *e, kt_product product)
{
    return !e->gone && e->operation.kind == KTI_OP_GEMM && e->operation.arguments.gemm.product == product;
}

/* ---- the bias ---- */

static bool writes_into(const kti_entry *e, const kti_use *columns)
{
    for (int u = 0; u < e->uses; u++)
        if (e->use[u].writes && kti_overlap(&e->use[u], columns))
            return true;
    return false;
}

/* The weight gradient that reads what linear_backward k has written, unchanged; NULL: none. */
static kti_entry *find_weight_gradient(kti_entry *list, int size, int k, const kti_pieces *pieces)
{
    const kt_linear_backward *a = &list[k].operation.arguments.linear_backward;
    kti_use made;
    if (!kti_locate(pieces, a->product_gradient, a->channels, &made))
        return NULL;
    for (int i = k + 1; i < size; i++) {
        const kt_gemm *g = &list[i].operation.arguments.gemm;
        if (is_plain(&list[i], KT_WEIGHT_GRADIENT) && g->a.data == a->product_gradient.data &&
            g->m == a->channels)
            return &list[i];
        if (writes_into(&list[i], &made))
            return NULL;
    }
    return NULL;
}

static void give_bias(kti_entry *weights, kt_matrix bias_gradient)
{
    const kt_gemm gradient = weights->operation.arguments.gemm;
    weights->operation.kind = KTI_OP_LAYER_BACKWARD;
    weights->operation.arguments.layer_backward =
        (kt_layer_backward){.product = gradient, .bias_gradient = bias_gradient};
}

static void part_with_bias(kti_entry *list, int size, int i, const kti_pieces *pieces)
{
    kt_linear_backward *a = &list[i].operation.arguments.linear_backward;
    kti_entry *weights = find_weight_gradient(list, size, i, pieces);
    if (!weights)
        return;
    give_bias(weights, a->bias_gradient);
    a->bias_gradient.data = NULL;
}

/* ---- an input gradient and the linear_backward behind it ---- */

static bool touches(const kti_entry *e, const kti_use *columns)
{
    for (int u = 0; u < e->uses && !e->gone; u++)
        if (kti_overlap(&e->use[u], columns))
            return true;
    return e->opaque;
}

/* The first operation behind i that may touch what input gradient i makes; `size`: none. */
static int find_user(const kti_entry *list, int size, int i, const kti_pieces *pieces)
{
    const kt_gemm *product = &list[i].operation.arguments.gemm;
    kti_use made;
    if (!kti_locate(pieces, product->c, kti_product_columns(product), &made))
        return size;
    int k = i + 1;
    while (k < size && !touches(&list[k], &made))
        k++;
    return k;
}

/* Whether `e` is the linear_backward of the layer whose output's gradient the product is. */
static bool continues(const kti_entry *e, const kt_gemm *product)
{
    const kt_linear_backward *rest = &e->operation.arguments.linear_backward;
    return e->operation.kind == KTI_OP_LINEAR_BACKWARD && rest->gradient.data == product->c.data &&
           rest->channels == product->n;
}

/* Whether operation k may come right behind operation i. */
static bool can_follow(const kti_entry *list, int i, int k)
{
    for (int between = i + 1; between < k; between++)
        if (!list[between].gone && kti_conflict(&list[between], &list[k]))
            return false;
    return true;
}

static void join(kti_entry *gradient, kti_entry *next, kti_entry *weights, const kti_pieces *pieces)
{
    const kt_gemm product = gradient->operation.arguments.gemm;
    const kt_linear_backward rest = next->operation.arguments.linear_backward;
    give_bias(weights, rest.bias_gradient);
    gradient->operation.kind = KTI_OP_LAYER_BACKWARD;
    gradient->operation.arguments.layer_backward =
        (kt_layer_backward){.product = product,
                            .out = rest.out,
                            .product_gradient = rest.product_gradient,
                            .activation = rest.activation};
    kti_find_uses(gradient, pieces);
    next->gone = true;
}

static void join_with_next(kti_entry *list, int size, int i, const kti_pieces *pieces)
{
    const int k = find_user(list, size, i, pieces);
    if (k == size || !continues(&list[k], &list[i].operation.arguments.gemm) || !can_follow(list, i, k))
        return;
    kti_entry *weights = find_weight_gradient(list, size, k, pieces);
    if (weights)
        join(&list[i], &list[k], weights, pieces);
}

void kti_join_backward(kti_entry *list, int size, const kti_pieces *pieces)
{
    for (int i = 0; i < size; i++)
        if (is_plain(&list[i], KT_INPUT_GRADIENT))
            join_with_next(list, size, i, pieces);
    for (int i = 0; i < size; i++)
        if (!list[i].gone && list[i].operation.kind == KTI_OP_LINEAR_BACKWARD)
            part_with_bias(list, size, i, pieces);
}
