#include "train/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "crystal/elements.h"
#include "train/block.h"
#include "train/fuse.h"
#include "train/mlp.h"
#include "train/optimiser.h"
#include "train/set2set.h"

enum { POOLED = 5 * KTI_FEATURES };

/* The network's parts. */
typedef struct parts {
    int gradient_size;     /* list[0 .. gradient_size) ends with the gradient */
    kti_features gradient; /* with respect to the output of the current block, then to its input */
    kti_block blocks[KTI_BLOCKS];
    kti_mlp edge_encoder, node_encoder, state_encoder, readout, head;
    kti_set2set node_set, edge_set;
    kti_view node_physics, crystal_physics; /* [N, 6], [G, 9]; where the network has physics inputs */
    kti_view pooled;                        /* [G, 160] Set2Set of nodes 64, of edges 64, state 32 */
} parts;

/* ---- input ---- */

static kt_batch_rows rows_of(const kti_batch *batch)
{
    return (kt_batch_rows){.node_type = batch->node_type,
                           .node_graph = batch->node_graph,
                           .incoming_start = batch->incoming_start,
                           .outgoing_start = batch->outgoing_start,
                           .edge_source = batch->edge_source,
                           .edge_target = batch->edge_target,
                           .edge_graph = batch->edge_graph,
                           .outgoing_edge = batch->outgoing_edge,
                           .node_weight = batch->node_weight,
                           .node_mean_graph = batch->node_mean_graph,
                           .edge_distance = batch->edge_distance,
                           .edge_weight = batch->edge_weight,
                           .edge_mean_target = batch->edge_mean_target,
                           .edge_mean_graph = batch->edge_mean_graph,
                           .crystal_physics = batch->crystal_physics};
}

static void pick(kti_builder *b, kti_operation_kind kind)
{
    const kti_kept *kept = b->request->kept;
    b->family = KTI_FAMILY_INPUT;
    kti_append(b, kind)->arguments.pick =
        (kt_pick){.graphs = b->count[KT_GRAPHS],
                  .crystal = kti_builder_batch_index(b, b->batch.crystal),
                  .node_start = kti_builder_batch_index(b, b->batch.graph_node_start),
                  .edge_start = kti_builder_batch_index(b, b->batch.graph_edge_start),
                  .kept_node_start = kept->rows.graph_node_start,
                  .kept_edge_start = kept->rows.graph_edge_start,
                  .kept = rows_of(&kept->rows),
                  .batch = rows_of(&b->batch),
                  .type_start = b->batch.type_start,
                  .type_node = b->batch.type_node,
                  .types = KTI_ELEMENT_TYPES,
                  .physics = KTI_PHYSICS_STRIDE,
                  .fold_integers = (int64_t)(b->request->fold_bytes / sizeof(int32_t)),
                  .fold_reals = kti_builder_fold_stride(b)};
}

static int has_physics(const kti_builder *b)
{
    return kti_layout_has_physics(kti_builder_layout(b));
}

/* An encoder whose first layer has columns for further features: `prefix`physics.weight. */
static void encoder_forward(kti_builder *b, const kti_mlp *m, const char *prefix, kti_view physics)
{
    if (!has_physics(b)) {
        kti_mlp_forward(b, m, 0);
        return;
    }
    kti_append_product(b, m->in, m->weight[0], 0, m->out[0], 0);
    kti_append_layer(
        b, kti_layer_product(b, physics, kti_builder_find(prefix, "physics.weight"), 0, m->out[0], 1),
        m->out[0], m->weight[0], m->activation[0]);
    kti_mlp_forward(b, m, 1);
}

static void place_physics(kti_builder *b, parts *n)
{
    n->crystal_physics =
        (kti_view){{b->batch.crystal_physics, kti_builder_fold_stride(b), KTI_PHYSICS_STRIDE},
                   KT_GRAPHS,
                   KTI_STATE_PHYSICS};
    n->node_physics = kti_builder_matrix(b, KT_NODES, KTI_NODE_PHYSICS);
    kti_append(b, KTI_OP_EMBEDDING)->arguments.embedding =
        (kt_embedding){.rows = b->count[KT_NODES],
                       .type = kti_builder_batch_index(b, b->batch.node_type),
                       .channels = KTI_NODE_PHYSICS,
                       .table = {b->request->parameters->elements, 0, KTI_ELEMENT_STRIDE},
                       .out = n->node_physics.matrix};
}

static void input_forward(kti_builder *b, parts *n)
{
    const kti_features *first = &n->blocks[0].hidden;
    kti_view expansion = kti_builder_matrix(b, KT_EDGES, KTI_GAUSSIANS),
             embedding = kti_builder_matrix(b, KT_NODES, KTI_EMBEDDING);
    kti_view zeros = kti_builder_matrix(b, KT_GRAPHS, KTI_STATE_INPUT);
    b->family = KTI_FAMILY_INPUT;
    kti_append(b, KTI_OP_GAUSSIAN_EXPANSION)->arguments.gaussian_expansion =
        (kt_gaussian_expansion){.rows = b->count[KT_EDGES],
                                .distance = kti_builder_batch_column(b, b->batch.edge_distance),
                                .centres = b->request->parameters->centres,
                                .channels = KTI_GAUSSIANS,
                                .width = (kt_real)0.5,
                                .out = expansion.matrix};
    kti_append(b, KTI_OP_EMBEDDING)->arguments.embedding = (kt_embedding){
        .rows = b->count[KT_NODES],
        .type = kti_builder_batch_index(b, b->batch.node_type),
        .channels = KTI_EMBEDDING,
        .table = kti_builder_parameter(b, kti_spec_find("embedding.layer_node_embedding.weight"), 0),
        .out = embedding.matrix};
    n->edge_encoder =
        kti_mlp_make_into(b, "edge_encoder.", expansion, kti_builder_matrix(b, KT_EDGES, KTI_FEATURES));
    /* Node and state go straight to where block 0's updates read them. */
    n->node_encoder = kti_mlp_make_into(b, "node_encoder.", embedding, first->node);
    n->state_encoder = kti_mlp_make_into(b, "state_encoder.", zeros, first->state);
    kti_mlp_forward(b, &n->edge_encoder, 0);
    if (has_physics(b))
        place_physics(b, n);
    encoder_forward(b, &n->node_encoder, "node_encoder.", n->node_physics);
    encoder_forward(b, &n->state_encoder, "state_encoder.", n->crystal_physics);
}

static void input_backward(kti_builder *b, parts *n)
{
    const int table = kti_spec_find("embedding.layer_node_embedding.weight");
    b->family = KTI_FAMILY_INPUT;
    kti_view product = kti_mlp_backward(b, &n->edge_encoder, n->gradient.edge);
    kti_append_weight_gradient(b, product, n->edge_encoder.in, n->edge_encoder.weight[0], 0);
    product = kti_mlp_backward(b, &n->state_encoder, n->gradient.state);
    kti_append_weight_gradient(b, product, n->state_encoder.in, n->state_encoder.weight[0], 0);
    if (has_physics(b))
        kti_append_weight_gradient(b, product, n->crystal_physics,
                                   kti_spec_find("state_encoder.physics.weight"), 0);
    kti_view embedded = kti_view_slice(n->gradient.node, 0, KTI_EMBEDDING);
    product = kti_mlp_backward(b, &n->node_encoder, n->gradient.node);
    kti_append_weight_gradient(b, product, n->node_encoder.in, n->node_encoder.weight[0], 0);
    if (has_physics(b))
        kti_append_weight_gradient(b, product, n->node_physics, kti_spec_find("node_encoder.physics.weight"),
                                   0);
    kti_append_input_gradient(b, product, n->node_encoder.weight[0], 0, embedded, 0);
    kti_append(b, KTI_OP_EMBEDDING_GRADIENT)->arguments.embedding_gradient =
        (kt_embedding_gradient){.type_start = kti_builder_batch_index(b, b->batch.type_start),
                                .type_node = kti_builder_batch_index(b, b->batch.type_node),
                                .types = kti_builder_out_features(table),
                                .channels = KTI_EMBEDDING,
                                .out_gradient = embedded.matrix,
                                .table_gradient = kti_builder_parameter_gradient(b, table, 0)};
}

/* ---- blocks ---- */

/* The last block's state goes straight to where the read-out reads it. */
static void blocks_forward(kti_builder *b, parts *n)
{
    const kti_view pooled_state = kti_view_slice(n->pooled, 4 * KTI_FEATURES, KTI_FEATURES);
    kti_features in = {kti_mlp_out(&n->edge_encoder), kti_mlp_out(&n->node_encoder),
                       kti_mlp_out(&n->state_encoder)};
    for (int i = 0; i < KTI_BLOCKS; i++) {
        kti_block_forward(b, &n->blocks[i], i, in, i + 1 < KTI_BLOCKS ? NULL : &pooled_state);
        in = n->blocks[i].out;
    }
}

/* ---- read-out, head, loss, optimiser ---- */

static void output_forward(kti_builder *b, parts *n)
{
    const kti_block *last = &n->blocks[KTI_BLOCKS - 1];
    const kti_view pooled = n->pooled;
    b->family = KTI_FAMILY_SET2SET;
    kti_set2set_forward(b, &n->node_set, "node_s2s.", last->out.node, b->batch.node_weight,
                        b->batch.graph_node_start, kti_view_slice(pooled, 0, 2 * KTI_FEATURES));
    kti_set2set_forward(b, &n->edge_set, "edge_s2s.", last->out.edge, b->batch.edge_weight,
                        b->batch.graph_edge_start,
                        kti_view_slice(pooled, 2 * KTI_FEATURES, 2 * KTI_FEATURES));
    b->family = KTI_FAMILY_READOUT;
    if (b->request->output == KTI_TARGET_EFORM) {
        n->readout = kti_mlp_make(b, "output_proj.", 3, 2, KT_SOFTPLUS, KT_LINEAR, pooled);
        kti_mlp_forward(b, &n->readout, 0);
        b->network->views.prediction = n->readout.out[2].matrix;
        b->network->views.readout = n->readout.out[1].matrix;
        return;
    }
    n->readout = kti_mlp_make(b, "output_proj.", 2, 2, KT_SOFTPLUS, KT_LINEAR, pooled);
    kti_mlp_forward(b, &n->readout, 0);
    b->family = KTI_FAMILY_HEAD;
    n->head = kti_mlp_make(b, "head.", 4, 1, KT_RELU, KT_LINEAR, kti_mlp_out(&n->readout));
    kti_mlp_forward(b, &n->head, 0);
    b->network->views.readout = kti_mlp_out(&n->readout).matrix;
    b->network->views.prediction = kti_mlp_out(&n->head).matrix;
}

/* The mean error over the batch's graphs, and the gradient [G, 1] with respect to the predictions. */
static void loss(kti_builder *b, parts *n, kti_view gradient)
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

static void loss_and_backward(kti_builder *b, parts *n)
{
    const kti_view gradient = kti_builder_matrix(b, KT_GRAPHS, 1),
                   readout = kti_builder_matrix(b, KT_GRAPHS, KTI_READOUT);
    const kti_view pooled = kti_builder_matrix(b, KT_GRAPHS, POOLED);
    if (b->request->kept && b->request->training->freeze != KT_FREEZE_BODY)
        pick(b, KTI_OP_PICK_TYPES);
    loss(b, n, gradient);
    b->family = KTI_FAMILY_HEAD;
    if (b->request->training->freeze == KT_FREEZE_BODY) {
        const kti_view product = kti_mlp_backward(b, &n->head, gradient);
        kti_append_weight_gradient(b, product, n->head.in, n->head.weight[0], 0);
        return;
    }
    kti_mlp_backward_through(b, &n->head, gradient, readout, 0);
    b->family = KTI_FAMILY_READOUT;
    kti_mlp_backward_through(b, &n->readout, readout, pooled, 0);
    n->gradient.edge = kti_builder_matrix(b, KT_EDGES, KTI_FEATURES);
    n->gradient.node = kti_builder_matrix(b, KT_NODES, KTI_FEATURES);
    n->gradient.state = kti_view_slice(pooled, 4 * KTI_FEATURES, KTI_FEATURES);
    b->family = KTI_FAMILY_SET2SET;
    kti_set2set_backward(b, &n->node_set, kti_view_slice(pooled, 0, 2 * KTI_FEATURES), n->gradient.node);
    kti_set2set_backward(b, &n->edge_set, kti_view_slice(pooled, 2 * KTI_FEATURES, 2 * KTI_FEATURES),
                         n->gradient.edge);
    for (int i = KTI_BLOCKS - 1; i >= 0; i--)
        kti_block_backward(b, &n->blocks[i], &n->gradient);
    input_backward(b, n);
}

/* ---- the whole ---- */

/* Forward and backward, each for itself: a prediction runs the forward part alone. */
static void fuse(kti_builder *b, parts *n)
{
    kti_network *network = b->network;
    const int forward = network->forward_size, backward = n->gradient_size - forward,
              rest = network->size - n->gradient_size;
    int size = kti_fuse(network->list, forward, &b->pieces, b->request->chains);
    if (size < 0) {
        b->failed = 1;
        return;
    }
    memmove(network->list + size, network->list + forward, (size_t)(backward + rest) * sizeof *network->list);
    network->forward_size = size;
    size = kti_fuse(network->list + size, backward, &b->pieces, b->request->chains);
    if (size < 0) {
        b->failed = 1;
        return;
    }
    memmove(network->list + network->forward_size + size, network->list + network->forward_size + backward,
            (size_t)rest * sizeof *network->list);
    const int saved = network->size - (network->forward_size + size + rest);
    network->size -= saved;
    network->backward_size -= saved;
}

static void publish_views(kti_builder *b, parts *n)
{
    kti_plan_views *views = &b->network->views;
    views->edge_encoder = kti_mlp_out(&n->edge_encoder).matrix;
    views->node_encoder = kti_mlp_out(&n->node_encoder).matrix;
    views->state_encoder = kti_mlp_out(&n->state_encoder).matrix;
    for (int i = 0; i < KTI_BLOCKS; i++) {
        views->edge[i] = n->blocks[i].out.edge.matrix;
        views->node[i] = n->blocks[i].out.node.matrix;
        views->state[i] = n->blocks[i].out.state.matrix;
    }
    views->set2set_node = n->node_set.out.matrix;
    views->set2set_edge = n->edge_set.out.matrix;
}

kt_status kti_network_build(const kti_network_request *request, kti_network *network, kt_error *error)
{
    kti_builder builder, *b = &builder;
    parts made = {0}, *n = &made;
    *network = (kti_network){0};
    if (request->training && request->output != KTI_TARGET_KAPPA)
        return kti_fail(error, KT_BAD_ARGUMENT, "only kappa can be trained");
    kti_builder_begin(b, request, network);
    for (int i = 0; i < KTI_BLOCKS; i++)
        kti_block_place(b, &n->blocks[i]);
    n->pooled = kti_builder_matrix(b, KT_GRAPHS, POOLED);
    if (request->kept)
        pick(b, KTI_OP_PICK);
    input_forward(b, n);
    blocks_forward(b, n);
    output_forward(b, n);
    network->forward_size = n->gradient_size = network->size;
    if (request->training) {
        loss_and_backward(b, n);
        n->gradient_size = network->size;
        kti_append_gradient_norm(b);
        network->backward_size = network->size;
        kti_append_optimiser(b);
    }
    if (request->fuses && request->workspace && !b->failed)
        fuse(b, n);
    free(b->pieces.start);
    publish_views(b, n);
    network->workspace_bytes = b->used;
    if (b->failed) {
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
