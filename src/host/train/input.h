/* What stands before MEGNet's blocks: the batch, distances and elements as numbers, and the encoders (docs/method.md, sections 3
 * and 4). */
#ifndef KTI_TRAIN_INPUT_H
#define KTI_TRAIN_INPUT_H

#include "train/mlp.h"

typedef struct kti_input {
    kti_mlp edge_encoder, node_encoder, state_encoder;
    kti_view node_physics, crystal_physics; /* [N, 6], [G, 9]; where the network has physics inputs */
} kti_input;

/* Copies the batch from the crystals that are kept on the device: KTI_OP_PICK what the forward pass reads, KTI_OP_PICK_TYPES the
 * nodes by type, which the embedding's gradient reads. */
void kti_append_pick(kti_builder *b, kti_operation_kind kind);

/* Encoded nodes go to node_out [N, 32] and states to state_out [G, 32]. */
void kti_input_forward(kti_builder *b, kti_input *input, kti_view node_out, kti_view state_out);

/* What the encoders give. */
kti_features kti_input_out(const kti_input *input);

/* The gradients of encoders and embedding, of which `gradient` is with respect to their output; it is overwritten. */
void kti_input_backward(kti_builder *b, const kti_input *input, const kti_features *gradient);

#endif
