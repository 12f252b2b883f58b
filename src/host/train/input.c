#include "train/input.h"

#include "crystal/elements.h"

static const char embedding_table[] = "embedding.layer_node_embedding.weight";

/* ---- the batch ---- */

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

void kti_append_pick(kti_builder *b, kti_operation_kind kind)
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

/* ---- encoders ---- */

static int has_physics(const kti_builder *b)
{
    return kti_layout_has_physics(kti_builder_layout(b));
}

/* Where there are physics inputs p, the first layer is x W^T + p P^T + bias, P being the parameter prefix + "physics.weight". */
static void encoder_forward(kti_builder *b, const kti_mlp *m, const char *prefix, kti_view physics)
{
    if (!has_physics(b)) {
        kti_mlp_forward(b, m, 0);
        return;
    }
    const int further = kti_builder_find(prefix, "physics.weight");
    kti_append_product(b, m->in, m->weight[0], 0, m->out[0], 0);
    kti_append_layer(b, kti_layer_product(b, physics, further, 0, m->out[0], 1), m->out[0], m->weight[0],
                     m->activation[0]);
    kti_mlp_forward(b, m, 1);
}

/* dW = dz^T x, dP = dz^T p; returns dz, with respect to the first layer's pre-activation. */
static kti_view encoder_backward(kti_builder *b, const kti_mlp *m, const char *prefix, kti_view physics,
                                 kti_view gradient)
{
    const kti_view pre_gradient = kti_mlp_backward_weights(b, m, gradient);
    if (has_physics(b))
        kti_append_weight_gradient(b, pre_gradient, physics, kti_builder_find(prefix, "physics.weight"), 0);
    return pre_gradient;
}

/* ---- what they read ---- */

/* exp(-width (d - centre)^2) for every centre */
static void expansion_forward(kti_builder *b, kti_view expansion)
{
    kti_append(b, KTI_OP_GAUSSIAN_EXPANSION)->arguments.gaussian_expansion =
        (kt_gaussian_expansion){.rows = b->count[KT_EDGES],
                                .distance = kti_builder_batch_column(b, b->batch.edge_distance),
                                .centres = b->request->parameters->centres,
                                .channels = KTI_GAUSSIANS,
                                .width = (kt_real)0.5,
                                .out = expansion.matrix};
}

/* out_n = T_t, the row of the table for the node's element t */
static void embedding_forward(kti_builder *b, kt_matrix table, kti_view out)
{
    kti_append(b, KTI_OP_EMBEDDING)->arguments.embedding =
        (kt_embedding){.rows = b->count[KT_NODES],
                       .type = kti_builder_batch_index(b, b->batch.node_type),
                       .channels = out.columns,
                       .table = table,
                       .out = out.matrix};
}

/* dT_t = the sum of dout_n over the nodes of element t */
static void embedding_backward(kti_builder *b, kti_view out_gradient)
{
    const int table = kti_spec_find(embedding_table);
    kti_append(b, KTI_OP_EMBEDDING_GRADIENT)->arguments.embedding_gradient =
        (kt_embedding_gradient){.type_start = kti_builder_batch_index(b, b->batch.type_start),
                                .type_node = kti_builder_batch_index(b, b->batch.type_node),
                                .types = kti_builder_out_features(table),
                                .channels = KTI_EMBEDDING,
                                .out_gradient = out_gradient.matrix,
                                .table_gradient = kti_builder_parameter_gradient(b, table, 0)};
}

/* A node's physics inputs are its element's, those of a graph come with the batch. */
static void physics_forward(kti_builder *b, kti_input *input)
{
    const kt_matrix elements = {b->request->parameters->elements, 0, KTI_ELEMENT_STRIDE};
    const kt_matrix crystals = {b->batch.crystal_physics, kti_builder_fold_stride(b), KTI_PHYSICS_STRIDE};
    input->crystal_physics = (kti_view){crystals, KT_GRAPHS, KTI_STATE_PHYSICS};
    input->node_physics = kti_builder_matrix(b, KT_NODES, KTI_NODE_PHYSICS);
    embedding_forward(b, elements, input->node_physics);
}

/* ---- the input ---- */

void kti_input_forward(kti_builder *b, kti_input *input, kti_view node_out, kti_view state_out)
{
    const kti_view expansion = kti_builder_matrix(b, KT_EDGES, KTI_GAUSSIANS);
    const kti_view embedding = kti_builder_matrix(b, KT_NODES, KTI_EMBEDDING);
    const kti_view zeros = kti_builder_matrix(b, KT_GRAPHS, KTI_STATE_INPUT);
    b->family = KTI_FAMILY_INPUT;
    expansion_forward(b, expansion);
    embedding_forward(b, kti_builder_parameter(b, kti_spec_find(embedding_table), 0), embedding);
    const kti_view edge_out = kti_builder_matrix(b, KT_EDGES, KTI_FEATURES);
    input->edge_encoder = kti_mlp_make_into(b, "edge_encoder.", expansion, edge_out);
    input->node_encoder = kti_mlp_make_into(b, "node_encoder.", embedding, node_out);
    input->state_encoder = kti_mlp_make_into(b, "state_encoder.", zeros, state_out);
    kti_mlp_forward(b, &input->edge_encoder, 0);
    if (has_physics(b))
        physics_forward(b, input);
    encoder_forward(b, &input->node_encoder, "node_encoder.", input->node_physics);
    encoder_forward(b, &input->state_encoder, "state_encoder.", input->crystal_physics);
}

kti_features kti_input_out(const kti_input *input)
{
    return (kti_features){kti_mlp_out(&input->edge_encoder), kti_mlp_out(&input->node_encoder),
                          kti_mlp_out(&input->state_encoder)};
}

/* Distances and the state's zeros need no gradient, the embedding does: dx = dz W, in the place of the nodes' own. */
void kti_input_backward(kti_builder *b, const kti_input *input, const kti_features *gradient)
{
    const kti_view embedding_gradient = kti_view_slice(gradient->node, 0, KTI_EMBEDDING);
    b->family = KTI_FAMILY_INPUT;
    kti_mlp_backward_weights(b, &input->edge_encoder, gradient->edge);
    encoder_backward(b, &input->state_encoder, "state_encoder.", input->crystal_physics, gradient->state);
    const kti_view pre_gradient =
        encoder_backward(b, &input->node_encoder, "node_encoder.", input->node_physics, gradient->node);
    kti_append_input_gradient(b, pre_gradient, input->node_encoder.weight[0], 0, embedding_gradient, 0);
    embedding_backward(b, embedding_gradient);
}
