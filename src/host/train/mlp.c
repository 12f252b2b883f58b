#include "train/mlp.h"

#include <stdio.h>

kti_mlp kti_mlp_make(kti_builder *b, const char *prefix, int layers, int step, kt_activation activation,
                     kt_activation last, kti_view in)
{
    kti_mlp m = {.layers = layers, .in = in};
    for (int i = 0; i < layers; i++) {
        char name[48];
        snprintf(name, sizeof name, "layers.%d.weight", i * step);
        m.weight[i] = kti_builder_find(prefix, name);
        m.activation[i] = i + 1 < layers ? activation : last;
        m.out[i] = kti_builder_matrix(b, in.rows, kti_builder_out_features(m.weight[i]));
    }
    return m;
}

kti_mlp kti_mlp_make_into(kti_builder *b, const char *prefix, kti_view in, kti_view out)
{
    kti_mlp m = kti_mlp_make(b, prefix, 2, 2, KT_SOFTPLUS, KT_SOFTPLUS, in);
    m.out[1] = out;
    return m;
}

kti_view kti_mlp_out(const kti_mlp *m)
{
    return m->out[m->layers - 1];
}

/* y = activation(x W^T + b), layer by layer. */
void kti_mlp_forward(kti_builder *b, const kti_mlp *m, int first)
{
    for (int i = first; i < m->layers; i++) {
        const kti_view in = i == 0 ? m->in : m->out[i - 1];
        const kt_gemm product = kti_layer_product(b, in, m->weight[i], 0, m->out[i], 0);
        kti_append_layer(b, product, m->out[i], m->weight[i], m->activation[i]);
    }
}

/* Memory for the gradient with respect to the pre-activation of layer i. A device that fuses computes weight gradients
 * later than they stand here, so what they read must stay. */
static kti_view place_pre_gradient(kti_builder *b, const kti_mlp *m, int i)
{
    if (b->request->fuses)
        return kti_builder_matrix(b, m->out[i].rows, m->out[i].columns);
    kti_view scratch = b->scratch[m->out[i].rows][i % 2];
    scratch.columns = m->out[i].columns;
    return scratch;
}

/* With z the pre-activation, y = activation(z), and dx for the gradient with respect to x, from the last layer to the first:
 *     dz = dy activation'(z), db = the sum of dz's rows, dW = dz^T x, dx = dz W, which is dy of the layer before.
 * Below the last layer dz takes the place of dy. */
kti_view kti_mlp_backward(kti_builder *b, const kti_mlp *m, kti_view gradient)
{
    const int last = m->layers - 1;
    kti_view pre_gradient = place_pre_gradient(b, m, last);
    kti_append_activation_backward(b, m->out[last], gradient, pre_gradient, m->weight[last],
                                   m->activation[last]);
    for (int i = last; i > 0; i--) {
        const kti_view before = place_pre_gradient(b, m, i - 1);
        kti_append_weight_gradient(b, pre_gradient, m->out[i - 1], m->weight[i], 0);
        kti_append_input_gradient(b, pre_gradient, m->weight[i], 0, before, 0);
        kti_append_activation_backward(b, m->out[i - 1], before, before, m->weight[i - 1],
                                       m->activation[i - 1]);
        pre_gradient = before;
    }
    return pre_gradient;
}

kti_view kti_mlp_backward_weights(kti_builder *b, const kti_mlp *m, kti_view gradient)
{
    const kti_view pre_gradient = kti_mlp_backward(b, m, gradient);
    kti_append_weight_gradient(b, pre_gradient, m->in, m->weight[0], 0);
    return pre_gradient;
}

void kti_mlp_backward_through(kti_builder *b, const kti_mlp *m, kti_view gradient, kti_view in_gradient,
                              int accumulate)
{
    const kti_view pre_gradient = kti_mlp_backward_weights(b, m, gradient);
    kti_append_input_gradient(b, pre_gradient, m->weight[0], 0, in_gradient, accumulate);
}
