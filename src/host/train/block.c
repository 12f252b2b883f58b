#include "train/block.h"

#include <stdio.h>

/* Where what an update joins begins, among the columns of its first layer's weights W: those are [W_s, W_t, W_e, W_u] of the
 * edges' update, [W_v, W_m, W_u] of the nodes'. In the comments below dx is the gradient with respect to x. */
enum {
    EDGE_SOURCE = 0,
    EDGE_TARGET = KTI_FEATURES,
    EDGE_ITSELF = 2 * KTI_FEATURES,
    EDGE_STATE = 3 * KTI_FEATURES,

    NODE_ITSELF = 0,
    NODE_MEAN_EDGE = KTI_FEATURES,
    NODE_STATE = 2 * KTI_FEATURES,

    STATE_ITSELF = 0,
    STATE_MEAN_EDGE = KTI_FEATURES,
    STATE_MEAN_NODE = 2 * KTI_FEATURES
};

/* Gradients with respect to what stands between a block's input and output. */
typedef struct inner_gradients {
    kti_view edge, node;                /* [E, 32] e', later the hidden edges; [N, 32] v' */
    kti_view node_concat, state_concat; /* what the updates join, as in kti_block */
    kti_view hidden_node, hidden_state; /* columns of these */
    /* With respect to the pre-activations of factorised first layers, summed over the edges from a node and over those to
     * it [N, 64], over a graph's edges and over its nodes [G, 64]. */
    kti_view source, target, edge_state, node_state;
} inner_gradients;

/* One of the features that are joined in a row. */
static kti_view part(kti_view joined, int first)
{
    return kti_view_slice(joined, first, KTI_FEATURES);
}

void kti_block_place(kti_builder *b, kti_block *k)
{
    k->node_concat = kti_builder_matrix(b, KT_NODES, 2 * KTI_FEATURES);
    k->state_concat = kti_builder_matrix(b, KT_GRAPHS, 3 * KTI_FEATURES);
    k->hidden.node = part(k->node_concat, NODE_ITSELF);
    k->hidden.state = part(k->state_concat, STATE_ITSELF);
}

/* ---- dense parts ---- */

static kti_mlp make_dense(kti_builder *b, int index, const char *name, kti_view in, kti_view out)
{
    char prefix[48];
    snprintf(prefix, sizeof prefix, "blocks.%d.%s.", index, name);
    return kti_mlp_make_into(b, prefix, in, out);
}

/* hidden = MLP(in), for edges, nodes and state */
static void dense_forward(kti_builder *b, kti_block *k, int index)
{
    k->hidden.edge = kti_builder_matrix(b, KT_EDGES, KTI_FEATURES);
    k->edge_dense = make_dense(b, index, "edge_func", k->in.edge, k->hidden.edge);
    k->node_dense = make_dense(b, index, "node_func", k->in.node, k->hidden.node);
    k->state_dense = make_dense(b, index, "state_func", k->in.state, k->hidden.state);
    b->family = KTI_FAMILY_EDGE;
    kti_mlp_forward(b, &k->edge_dense, 0);
    b->family = KTI_FAMILY_NODE;
    kti_mlp_forward(b, &k->node_dense, 0);
    b->family = KTI_FAMILY_STATE;
    kti_mlp_forward(b, &k->state_dense, 0);
}

/* din = dout, which `gradient` holds, + dhidden through the dense parts */
static void dense_backward(kti_builder *b, const kti_block *k, const inner_gradients *d,
                           const kti_features *gradient)
{
    b->family = KTI_FAMILY_EDGE;
    kti_mlp_backward_through(b, &k->edge_dense, d->edge, gradient->edge, 1);
    b->family = KTI_FAMILY_NODE;
    kti_mlp_backward_through(b, &k->node_dense, d->hidden_node, gradient->node, 1);
    b->family = KTI_FAMILY_STATE;
    kti_mlp_backward_through(b, &k->state_dense, d->hidden_state, gradient->state, 1);
}

/* The same in block 0, where hidden is in; edge_backward has added the edges'. */
static void no_dense_backward(kti_builder *b, const inner_gradients *d, const kti_features *gradient)
{
    b->family = KTI_FAMILY_NODE;
    kti_append_add(b, gradient->node, d->hidden_node, gradient->node);
    b->family = KTI_FAMILY_STATE;
    kti_append_add(b, gradient->state, d->hidden_state, gradient->state);
}

/* ---- the edge's update ---- */

/* e' = phi_e([v_s, v_t, e, u_g]) for an edge from s to t in graph g, the first layer's pre-activation being
 *     z_e = v_s W_s^T + v_t W_t^T + e W_e^T + u_g W_u^T + bias */
static void edge_forward(kti_builder *b, const kti_block *k)
{
    const kti_mlp *m = &k->edge_update;
    const int weight = m->weight[0];
    const kti_view source = kti_builder_matrix(b, KT_NODES, KTI_HIDDEN);
    const kti_view target = kti_builder_matrix(b, KT_NODES, KTI_HIDDEN);
    const kti_view state = kti_builder_matrix(b, KT_GRAPHS, KTI_HIDDEN);
    b->family = KTI_FAMILY_EDGE;
    kti_append_product(b, k->hidden.node, weight, EDGE_SOURCE, source, 0);
    kti_append_product(b, k->hidden.node, weight, EDGE_TARGET, target, 0);
    kti_append_product(b, k->hidden.state, weight, EDGE_STATE, state, 0);
    const kt_gemm product = kti_layer_product(b, k->hidden.edge, weight, EDGE_ITSELF, m->out[0], 0);
    kt_linear_forward *first = kti_append_layer(b, product, m->out[0], weight, m->activation[0]);
    first->gathers = 3;
    first->gather[0] = (kt_gather){source.matrix, kti_builder_batch_index(b, b->batch.edge_source)};
    first->gather[1] = (kt_gather){target.matrix, kti_builder_batch_index(b, b->batch.edge_target)};
    first->gather[2] = (kt_gather){state.matrix, kti_builder_batch_index(b, b->batch.edge_graph)};
    kti_mlp_forward(b, m, 1);
}

/* The means for state and node pass on their gradients: de'_e = dout_e + C_e d(mean e')_g + c_e d(mean e')_t */
static void edge_mean_backward(kti_builder *b, const inner_gradients *d, kti_view out_gradient)
{
    kti_append_segment_spread(b, out_gradient, b->batch.edge_mean_graph, b->batch.edge_graph,
                              part(d->state_concat, STATE_MEAN_EDGE), d->edge);
    kti_append_segment_spread(b, d->edge, b->batch.edge_mean_target, b->batch.edge_target,
                              part(d->node_concat, NODE_MEAN_EDGE), d->edge);
}

/* What was gathered is summed: of dz over the edges from a node, over those to it, and over a graph's, which are the edges
 * to its nodes. */
static void edge_gather_backward(kti_builder *b, const inner_gradients *d, kti_view pre_gradient)
{
    kti_append_segment_sum(b, pre_gradient, NULL, b->batch.outgoing_start, b->batch.outgoing_edge, d->source);
    kti_append_segment_sum(b, pre_gradient, NULL, b->batch.incoming_start, NULL, d->target);
    kti_append_segment_sum(b, d->target, NULL, b->batch.graph_node_start, NULL, d->edge_state);
}

/* With S, T and U these sums of dz over edges from a node, to a node, and of a graph:
 *     dW_s = S^T v, dW_t = T^T v, dW_e = dz^T e, dW_u = U^T u
 *     dv += S W_s + T W_t, du += U W_u, de = dz W_e
 * Block 0 has no dense part between e and its input, so that de is added to what the residual passes on. */
static void edge_backward(kti_builder *b, const kti_block *k, const inner_gradients *d,
                          const kti_features *gradient)
{
    const int weight = k->edge_update.weight[0];
    b->family = KTI_FAMILY_EDGE;
    edge_mean_backward(b, d, gradient->edge);
    const kti_view pre_gradient = kti_mlp_backward(b, &k->edge_update, d->edge);
    edge_gather_backward(b, d, pre_gradient);
    kti_append_weight_gradient(b, d->source, k->hidden.node, weight, EDGE_SOURCE);
    kti_append_weight_gradient(b, d->target, k->hidden.node, weight, EDGE_TARGET);
    kti_append_weight_gradient(b, pre_gradient, k->hidden.edge, weight, EDGE_ITSELF);
    kti_append_weight_gradient(b, d->edge_state, k->hidden.state, weight, EDGE_STATE);
    kti_append_input_gradient(b, d->source, weight, EDGE_SOURCE, d->hidden_node, 1);
    kti_append_input_gradient(b, d->target, weight, EDGE_TARGET, d->hidden_node, 1);
    kti_append_input_gradient(b, d->edge_state, weight, EDGE_STATE, d->hidden_state, 1);
    kti_append_input_gradient(b, pre_gradient, weight, EDGE_ITSELF, k->has_dense ? d->edge : gradient->edge,
                              !k->has_dense);
}

/* ---- the node's update ---- */

/* v' = phi_v([v, the sum of c_e e' over the edges to it, u_g]), the first layer's pre-activation being
 *     z_v = [v, mean e'] [W_v, W_m]^T + u_g W_u^T + bias */
static void node_forward(kti_builder *b, const kti_block *k)
{
    const kti_mlp *m = &k->node_update;
    const int weight = m->weight[0];
    const kti_view state = kti_builder_matrix(b, KT_GRAPHS, KTI_HIDDEN);
    b->family = KTI_FAMILY_NODE;
    kti_append_segment_sum(b, kti_mlp_out(&k->edge_update), b->batch.edge_mean_target,
                           b->batch.incoming_start, NULL, part(k->node_concat, NODE_MEAN_EDGE));
    kti_append_product(b, k->hidden.state, weight, NODE_STATE, state, 0);
    const kt_gemm product = kti_layer_product(b, k->node_concat, weight, NODE_ITSELF, m->out[0], 0);
    kt_linear_forward *first = kti_append_layer(b, product, m->out[0], weight, m->activation[0]);
    first->gathers = 1;
    first->gather[0] = (kt_gather){state.matrix, kti_builder_batch_index(b, b->batch.node_graph)};
    kti_mlp_forward(b, m, 1);
}

/* dv'_a = dout_a + C_a d(mean v')_g; then, with U the sum of dz over a graph's nodes,
 *     d[W_v, W_m] = dz^T [v, mean e'], d[v, mean e'] = dz [W_v, W_m]
 *     dW_u = U^T u, du += U W_u */
static void node_backward(kti_builder *b, const kti_block *k, const inner_gradients *d,
                          const kti_features *gradient)
{
    const int weight = k->node_update.weight[0];
    b->family = KTI_FAMILY_NODE;
    kti_append_segment_spread(b, gradient->node, b->batch.node_mean_graph, b->batch.node_graph,
                              part(d->state_concat, STATE_MEAN_NODE), d->node);
    const kti_view pre_gradient = kti_mlp_backward_weights(b, &k->node_update, d->node);
    kti_append_input_gradient(b, pre_gradient, weight, NODE_ITSELF, d->node_concat, 0);
    kti_append_segment_sum(b, pre_gradient, NULL, b->batch.graph_node_start, NULL, d->node_state);
    kti_append_weight_gradient(b, d->node_state, k->hidden.state, weight, NODE_STATE);
    kti_append_input_gradient(b, d->node_state, weight, NODE_STATE, d->hidden_state, 1);
}

/* ---- the state's update ---- */

/* u' = phi_u([u, the sum of C_e e' over the graph's edges, the sum of C_a v' over its nodes]) */
static void state_forward(kti_builder *b, const kti_block *k)
{
    b->family = KTI_FAMILY_STATE;
    kti_append_segment_sum(b, kti_mlp_out(&k->edge_update), b->batch.edge_mean_graph,
                           b->batch.graph_edge_start, NULL, part(k->state_concat, STATE_MEAN_EDGE));
    kti_append_segment_sum(b, kti_mlp_out(&k->node_update), b->batch.node_mean_graph,
                           b->batch.graph_node_start, NULL, part(k->state_concat, STATE_MEAN_NODE));
    kti_mlp_forward(b, &k->state_update, 0);
}

/* du' = dout, and d[u, mean e', mean v'] through phi_u */
static void state_backward(kti_builder *b, const kti_block *k, const inner_gradients *d,
                           const kti_features *gradient)
{
    b->family = KTI_FAMILY_STATE;
    kti_mlp_backward_through(b, &k->state_update, gradient->state, d->state_concat, 0);
}

/* ---- the block ---- */

static kti_mlp make_update(kti_builder *b, int index, const char *name, kti_view in)
{
    char prefix[48];
    snprintf(prefix, sizeof prefix, "blocks.%d.conv.%s.", index, name);
    return kti_mlp_make(b, prefix, 3, 2, KT_SOFTPLUS, KT_SOFTPLUS, in);
}

/* out = [e' + e, v' + v, u' + u], the second ones being the block's input */
static void residual_forward(kti_builder *b, kti_block *k, const kti_view *state_out)
{
    k->out.edge = kti_builder_matrix(b, KT_EDGES, KTI_FEATURES);
    k->out.node = kti_builder_matrix(b, KT_NODES, KTI_FEATURES);
    k->out.state = state_out ? *state_out : kti_builder_matrix(b, KT_GRAPHS, KTI_FEATURES);
    b->family = KTI_FAMILY_EDGE;
    kti_append_add(b, kti_mlp_out(&k->edge_update), k->in.edge, k->out.edge);
    b->family = KTI_FAMILY_NODE;
    kti_append_add(b, kti_mlp_out(&k->node_update), k->in.node, k->out.node);
    b->family = KTI_FAMILY_STATE;
    kti_append_add(b, kti_mlp_out(&k->state_update), k->in.state, k->out.state);
}

void kti_block_forward(kti_builder *b, kti_block *k, int index, kti_features in, const kti_view *state_out)
{
    k->has_dense = index > 0;
    k->in = in;
    if (k->has_dense)
        dense_forward(b, k, index);
    else
        k->hidden.edge = in.edge;
    k->edge_update = make_update(b, index, "edge_func", k->hidden.edge);
    k->node_update = make_update(b, index, "node_func", k->node_concat);
    k->state_update = make_update(b, index, "state_func", k->state_concat);
    edge_forward(b, k);
    node_forward(b, k);
    state_forward(b, k);
    residual_forward(b, k, state_out);
}

static inner_gradients place_inner_gradients(kti_builder *b)
{
    inner_gradients d;
    d.node = kti_builder_matrix(b, KT_NODES, KTI_FEATURES);
    d.edge = kti_builder_matrix(b, KT_EDGES, KTI_FEATURES);
    d.node_concat = kti_builder_matrix(b, KT_NODES, 2 * KTI_FEATURES);
    d.state_concat = kti_builder_matrix(b, KT_GRAPHS, 3 * KTI_FEATURES);
    d.hidden_node = part(d.node_concat, NODE_ITSELF);
    d.hidden_state = part(d.state_concat, STATE_ITSELF);
    d.source = kti_builder_matrix(b, KT_NODES, KTI_HIDDEN);
    d.target = kti_builder_matrix(b, KT_NODES, KTI_HIDDEN);
    d.node_state = kti_builder_matrix(b, KT_GRAPHS, KTI_HIDDEN);
    d.edge_state = kti_builder_matrix(b, KT_GRAPHS, KTI_HIDDEN);
    return d;
}

/* In the reverse order: the state's update reads what the node's and the edge's give, the node's what the edge's gives. */
void kti_block_backward(kti_builder *b, const kti_block *k, const kti_features *gradient)
{
    const inner_gradients d = place_inner_gradients(b);
    state_backward(b, k, &d, gradient);
    node_backward(b, k, &d, gradient);
    edge_backward(b, k, &d, gradient);
    if (k->has_dense)
        dense_backward(b, k, &d, gradient);
    else
        no_dense_backward(b, &d, gradient);
}
