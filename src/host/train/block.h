/* A block of MEGNet: dense parts, the updates of edges, nodes and state, and the residual (docs/method.md, sections 3 and 4).
 *
 * The first layer of the edge's and of the node's update is factorised: its product with a node's or a graph's features is
 * computed once for each of them and gathered, not once for each edge.
 */
#ifndef KTI_TRAIN_BLOCK_H
#define KTI_TRAIN_BLOCK_H

#include "train/mlp.h"

typedef struct kti_block {
    int has_dense;         /* block 0 has no dense parts: `hidden` is its input */
    kti_features in, out;  /* the block's */
    kti_features hidden;   /* what the updates read */
    kti_view node_concat;  /* [N, 64] = [hidden node, mean of the e' that reach it] */
    kti_view state_concat; /* [G, 96] = [hidden state, mean e', mean v'] */
    kti_mlp edge_dense, node_dense, state_dense;
    kti_mlp edge_update, node_update, state_update; /* phi_e, phi_v, phi_u */
} kti_block;

/* Memory for the joined rows, before the forward pass of any block: what stands before a block writes its nodes and state
 * there. */
void kti_block_place(kti_builder *b, kti_block *k);

/* Appends block `index` behind `in`. Where state_out is not NULL the state goes there. */
void kti_block_forward(kti_builder *b, kti_block *k, int index, kti_features in, const kti_view *state_out);

/* Turns the gradients with respect to the block's output into those with respect to its input, in place: the residual passes
 * them on, updates and dense parts add to them. */
void kti_block_backward(kti_builder *b, const kti_block *k, const kti_features *gradient);

#endif
