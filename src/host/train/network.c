#include "train/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "train/block.h"
#include "train/fuse.h"
#include "train/input.h"
#include "train/optimiser.h"
#include "train/set2set.h"

/* What the read-out reads of a graph, [q of its nodes, q of its edges, u], as columns. */
enum {
    POOLED_NODES = 0,
    POOLED_EDGES = 2 * KTI_FEATURES,
    POOLED_STATE = 4 * KTI_FEATURES,
    POOLED = 5 * KTI_FEATURES
};

typedef struct parts {
    kti_input input;
    kti_block blocks[KTI_BLOCKS];
    kti_set2set node_set, edge_set;
    kti_view pooled; /* [G, 160] */
    kti_mlp readout, head;
} parts;

/* ---- MEGNet's body ---- */

static kti_view pooled_nodes(kti_view pooled)
{
    return kti_view_slice(pooled, POOLED_NODES, 2 * KTI_FEATURES);
}

static kti_view pooled_edges(kti_view pooled)
{
    return kti_view_slice(pooled, POOLED_EDGES, 2 * KTI_FEATURES);
}

static kti_view pooled_state(kti_view pooled)
{
    return kti_view_slice(pooled, POOLED_STATE, KTI_FEATURES);
}

/* Some results go straight to where they are read: encoded nodes and states to block 0, the last block's state to the
 * read-out. */
static void body_forward(kti_builder *b, parts *n)
{
    const kti_view last_state = pooled_state(n->pooled);
    const kti_features *first = &n->blocks[0].hidden;
    kti_input_forward(b, &n->input, first->node, first->state);
    kti_features now = kti_input_out(&n->input);
    for (int i = 0; i < KTI_BLOCKS; i++) {
        kti_block_forward(b, &n->blocks[i], i, now, i + 1 < KTI_BLOCKS ? NULL : &last_state);
        now = n->blocks[i].out;
    }
    b->family = KTI_FAMILY_SET2SET;
    kti_set2set_forward(b, &n->node_set, "node_s2s.", now.node, b->batch.node_weight,
                        b->batch.graph_node_start, pooled_nodes(n->pooled));
    kti_set2set_forward(b, &n->edge_set, "edge_s2s.", now.edge, b->batch.edge_weight,
                        b->batch.graph_edge_start, pooled_edges(n->pooled));
}

/* `pooled`: the gradient with respect to what the read-out reads. */
static void body_backward(kti_builder *b, const parts *n, kti_view pooled)
{
    kti_features gradient;
    gradient.edge = kti_builder_matrix(b, KT_EDGES, KTI_FEATURES);
    gradient.node = kti_builder_matrix(b, KT_NODES, KTI_FEATURES);
    gradient.state = pooled_state(pooled);
    b->family = KTI_FAMILY_SET2SET;
    kti_set2set_backward(b, &n->node_set, pooled_nodes(pooled), gradient.node);
    kti_set2set_backward(b, &n->edge_set, pooled_edges(pooled), gradient.edge);
    for (int i = KTI_BLOCKS - 1; i >= 0; i--)
        kti_block_backward(b, &n->blocks[i], &gradient);
    kti_input_backward(b, &n->input, &gradient);
}

/* ---- read-out, head and loss ---- */

/* r = phi(pooled W_1^T + b_1) W_2^T + b_2, and E = w phi(r) + b before its normaliser */
static void eform_forward(kti_builder *b, parts *n)
{
    b->family = KTI_FAMILY_READOUT;
    n->readout = kti_mlp_make(b, "output_proj.", 3, 2, KT_SOFTPLUS, KT_LINEAR, n->pooled);
    kti_mlp_forward(b, &n->readout, 0);
    b->network->views.readout = n->readout.out[1].matrix;
    b->network->views.prediction = kti_mlp_out(&n->readout).matrix;
}

/* r likewise; the head makes of it z, the standardised target. */
static void kappa_forward(kti_builder *b, parts *n)
{
    b->family = KTI_FAMILY_READOUT;
    n->readout = kti_mlp_make(b, "output_proj.", 2, 2, KT_SOFTPLUS, KT_LINEAR, n->pooled);
    kti_mlp_forward(b, &n->readout, 0);
    b->family = KTI_FAMILY_HEAD;
    n->head = kti_mlp_make(b, "head.", 4, 1, KT_RELU, KT_LINEAR, kti_mlp_out(&n->readout));
    kti_mlp_forward(b, &n->head, 0);
    b->network->views.readout = kti_mlp_out(&n->readout).matrix;
    b->network->views.prediction = kti_mlp_out(&n->head).matrix;
}

/* The mean error over the batch's graphs, and the gradient [G, 1] with respect to the predictions. */
static void loss(kti_builder *b, const parts *n, kti_view gradient)
{
    const kt_matrix prediction = kti_mlp_out(&n->head).matrix;
    const kt_loss kind = b->request->training->loss;
    b->family = KTI_FAMILY_LOSS;
    if (kind == KT_LOSS_MAPE)
        kti_append(b, KTI_OP_MAPE_LOSS)->arguments.mape_loss =
            (kt_mape_loss){.graphs = b->count[KT_GRAPHS],
                           .data_set = kti_builder_batch_index(b, b->batch.data_set),
                           .step = kti_builder_step(b),
                           .prediction = prediction,
                           .kappa = kti_builder_batch_column(b, b->batch.kappa),
                           .gradient = gradient.matrix,
                           .result = kti_builder_result(b)};
    else
        kti_append(b, KTI_OP_LOG_LOSS)->arguments.log_loss =
            (kt_log_loss){.graphs = b->count[KT_GRAPHS],
                          .data_set = kti_builder_batch_index(b, b->batch.data_set),
                          .absolute = kind == KT_LOSS_LOG_ABSOLUTE,
                          .step = kti_builder_step(b),
                          .prediction = prediction,
                          .kappa = kti_builder_batch_column(b, b->batch.kappa),
                          .gradient = gradient.matrix,
                          .result = kti_builder_result(b)};
}

static void loss_and_backward(kti_builder *b, const parts *n)
{
    const int frozen = b->request->training->freeze == KT_FREEZE_BODY;
    const kti_view prediction = kti_builder_matrix(b, KT_GRAPHS, 1);
    const kti_view readout = kti_builder_matrix(b, KT_GRAPHS, KTI_READOUT);
    const kti_view pooled = kti_builder_matrix(b, KT_GRAPHS, POOLED);
    if (b->request->kept && !frozen)
        kti_append_pick(b, KTI_OP_PICK_TYPES);
    loss(b, n, prediction);
    b->family = KTI_FAMILY_HEAD;
    if (frozen) {
        kti_mlp_backward_weights(b, &n->head, prediction);
        return;
    }
    kti_mlp_backward_through(b, &n->head, prediction, readout, 0);
    b->family = KTI_FAMILY_READOUT;
    kti_mlp_backward_through(b, &n->readout, readout, pooled, 0);
    body_backward(b, n, pooled);
}

/* ---- the whole ---- */

static void forward(kti_builder *b, parts *n)
{
    for (int i = 0; i < KTI_BLOCKS; i++)
        kti_block_place(b, &n->blocks[i]);
    n->pooled = kti_builder_matrix(b, KT_GRAPHS, POOLED);
    if (b->request->kept)
        kti_append_pick(b, KTI_OP_PICK);
    body_forward(b, n);
    if (b->request->output == KTI_TARGET_EFORM)
        eform_forward(b, n);
    else
        kappa_forward(b, n);
}

/* Rewrites list[first .. end); returns how many operations that saves. */
static int fuse_range(kti_builder *b, int first, int end)
{
    kti_network *network = b->network;
    const int size = kti_fuse(network->list + first, end - first, &b->pieces, b->request->chains);
    if (size < 0) {
        b->failed = 1;
        return 0;
    }
    const int saved = end - first - size;
    memmove(network->list + end - saved, network->list + end,
            (size_t)(network->size - end) * sizeof *network->list);
    network->size -= saved;
    network->backward_size -= saved;
    return saved;
}

/* Forward and backward, each for itself: a prediction runs the forward part alone. The backward part ends at
 * `gradient_size`, before the norm and the optimiser. */
static void fuse(kti_builder *b, int gradient_size)
{
    const int saved = fuse_range(b, 0, b->network->forward_size);
    b->network->forward_size -= saved;
    if (!b->failed)
        fuse_range(b, b->network->forward_size, gradient_size - saved);
}

static void publish_views(const kti_builder *b, const parts *n)
{
    kti_plan_views *views = &b->network->views;
    const kti_features encoded = kti_input_out(&n->input);
    views->edge_encoder = encoded.edge.matrix;
    views->node_encoder = encoded.node.matrix;
    views->state_encoder = encoded.state.matrix;
    for (int i = 0; i < KTI_BLOCKS; i++) {
        views->edge[i] = n->blocks[i].out.edge.matrix;
        views->node[i] = n->blocks[i].out.node.matrix;
        views->state[i] = n->blocks[i].out.state.matrix;
    }
    views->set2set_node = n->node_set.out.matrix;
    views->set2set_edge = n->edge_set.out.matrix;
}

static void append_all(kti_builder *b, parts *n)
{
    kti_network *network = b->network;
    forward(b, n);
    int gradient_size = network->forward_size = network->size;
    if (b->request->training) {
        loss_and_backward(b, n);
        gradient_size = network->size;
        kti_append_gradient_norm(b);
        network->backward_size = network->size;
        kti_append_optimiser(b);
    }
    if (b->request->fuses && b->request->workspace && !b->failed)
        fuse(b, gradient_size);
}

kt_status kti_network_build(const kti_network_request *request, kti_network *network, kt_error *error)
{
    kti_builder b;
    parts n = {0};
    *network = (kti_network){0};
    if (request->training && request->output != KTI_TARGET_KAPPA)
        return kti_fail(error, KT_BAD_ARGUMENT, "only kappa can be trained");
    kti_builder_begin(&b, request, network);
    append_all(&b, &n);
    publish_views(&b, &n);
    free(b.pieces.start);
    network->workspace_bytes = b.used;
    if (b.failed) {
        kti_network_destroy(network);
        return kti_fail_memory(error, "the plan");
    }
    return KT_OK;
}

void kti_network_destroy(kti_network *network)
{
    free(network->list);
    *network = (kti_network){0};
}
