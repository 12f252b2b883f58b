/* Multi-layer perceptrons: layers of y = activation(x W^T + b), forward and backward (docs/method.md, sections 3 and 4). */
#ifndef KTI_TRAIN_MLP_H
#define KTI_TRAIN_MLP_H

#include "train/builder.h"

enum { KTI_MLP_LAYERS = 4 }; /* at most */

typedef struct kti_mlp {
    int layers;
    int weight[KTI_MLP_LAYERS]; /* of each layer, in the table of parameters; its bias follows */
    kt_activation activation[KTI_MLP_LAYERS];
    kti_view in, out[KTI_MLP_LAYERS];
} kti_mlp;

/* Layers whose weights are named prefix + "layers." + i * step + ".weight", with memory for their outputs. `last` is the last
 * one's activation. */
kti_mlp kti_mlp_make(kti_builder *b, const char *prefix, int layers, int step, kt_activation activation,
                     kt_activation last, kti_view in);

/* Two layers with softplus, the second of which writes into `out`: encoders and dense parts. */
kti_mlp kti_mlp_make_into(kti_builder *b, const char *prefix, kti_view in, kti_view out);

/* The last layer's output. */
kti_view kti_mlp_out(const kti_mlp *m);

/* Layers from `first` on. */
void kti_mlp_forward(kti_builder *b, const kti_mlp *m, int first);

/* Back from `gradient`, with respect to the output, through all layers but the first one's product: returns the gradient with
 * respect to the first layer's pre-activation, and leaves that layer's weights and input to the caller. */
kti_view kti_mlp_backward(kti_builder *b, const kti_mlp *m, kti_view gradient);

/* The same, and the first layer's weights: for what needs no gradient with respect to its input, or gets it from the returned
 * one itself. */
kti_view kti_mlp_backward_weights(kti_builder *b, const kti_mlp *m, kti_view gradient);

/* The whole perceptron: in_gradient (= or +=) the gradient with respect to its input. */
void kti_mlp_backward_through(kti_builder *b, const kti_mlp *m, kti_view gradient, kti_view in_gradient,
                              int accumulate);

#endif
