#include "train/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/elements.h"
#include "train/fuse.h"

_Static_assert(KTI_SET2SET_STEPS == 2, "set2set_backward and lstm_bias_gradient are written for two steps");

enum { MLP_LAYERS = 4, POOLED = 5 * KTI_FEATURES };

/* A matrix of the workspace, or a slice of its columns. */
typedef struct view {
    kt_matrix matrix;
    kt_row_kind rows;
    int columns;
} view;

typedef struct mlp {
    int layers;
    int parameter[MLP_LAYERS]; /* index of each layer's weight in the table; its bias follows */
    kt_activation activation[MLP_LAYERS];
    view in, out[MLP_LAYERS];
} mlp;

typedef struct block {
    view edge_in, node_in, state_in;         /* the block's input, 32 wide */
    mlp edge_dense, node_dense, state_dense; /* unused in block 0 */
    view edge_hidden, node_concat,
        state_concat; /* [E, 32]; [N, 64] = v, mean e'; [G, 96] = u, mean e', mean v' */
    mlp edge_update, node_update, state_update;
    view edge_out, node_out, state_out;
} block;

typedef struct set2set {
    int parameter; /* weight_ih, weight_hh, bias_ih, bias_hh in a row */
    kt_row_kind rows;
    view in, weight, out;
    kt_index start;
    view gates[KTI_SET2SET_STEPS], cell[KTI_SET2SET_STEPS], query[KTI_SET2SET_STEPS],
        attention[KTI_SET2SET_STEPS];
} set2set;

typedef struct builder {
    const kti_network_request *request;
    kti_network *network;
    size_t capacity;   /* of network->list */
    int gradient_size; /* list[0 .. gradient_size) ends with the gradient */
    int failed;
    kti_family family;
    size_t used;
    kti_pieces pieces; /* of the workspace */
    kti_batch batch;
    kt_count count[KT_ROW_KINDS];
    int row_capacity[KT_ROW_KINDS];
    /* Gradients between the layers of an MLP; two of each kind take turns, unless the device fuses. */
    view scratch[KT_ROW_KINDS][2];
    view edge_gradient, node_gradient, state_gradient; /* by the current block's output, then by its input */
    block blocks[KTI_BLOCKS];
    mlp edge_encoder, node_encoder, state_encoder, readout, head;
    set2set node_set, edge_set;
    view node_physics, crystal_physics; /* [N, 6], [G, 9]; where the network has physics inputs */
    view pooled;                        /* [G, 160] Set2Set of nodes 64, of edges 64, state 32 */
} builder;

/* ---- memory and views ---- */

static void *take(builder *b, size_t bytes)
{
    char *piece = b->request->workspace ? (char *)b->request->workspace + b->used : NULL;
    b->used += (bytes + 63) / 64 * 64;
    if (piece && b->request->fuses) {
        void *start = b->pieces.start;
        if (kti_grow(&start, b->pieces.size, &b->pieces.capacity, sizeof *b->pieces.start) != 0) {
            b->failed = 1;
            return piece;
        }
        b->pieces.start = start;
        b->pieces.start[b->pieces.size++] = piece;
        b->pieces.end = (const char *)b->request->workspace + b->used;
    }
    return piece;
}

static int64_t fold_stride(const builder *b)
{
    return (int64_t)(b->request->fold_bytes / sizeof(kt_real));
}

static view matrix(builder *b, kt_row_kind kind, int columns)
{
    const int stride = kti_round_up16(columns);
    kt_real *data = take(b, (size_t)b->row_capacity[kind] * (size_t)stride * sizeof(kt_real));
    return (view){{data, fold_stride(b), stride}, kind, columns};
}

/* One number a row, not padded. */
static view column(builder *b, kt_row_kind kind)
{
    kt_real *data = take(b, (size_t)b->row_capacity[kind] * sizeof(kt_real));
    return (view){{data, fold_stride(b), 1}, kind, 1};
}

static view slice(view whole, int first, int columns)
{
    /* In the counting pass there is no memory to point into. */
    if (whole.matrix.data)
        whole.matrix.data += first;
    whole.columns = columns;
    return whole;
}

static kt_matrix batch_column(const builder *b, const kt_real *data)
{
    return (kt_matrix){(kt_real *)data, fold_stride(b), 1};
}

static kt_index batch_index(const builder *b, const int32_t *data)
{
    return (kt_index){data, (int64_t)(b->request->fold_bytes / sizeof(int32_t))};
}

static kt_count batch_count(const builder *b, const int32_t *data, int most, kt_row_kind kind)
{
    const kt_index index = batch_index(b, data);
    return (kt_count){index.data, index.fold_stride, most, kind};
}

static const kti_layout *layout(const builder *b)
{
    return &b->request->parameters->layout;
}

/* Parameter i from its column `first` on, in an arena of all folds or of the lane's gradients. */
static kt_matrix parameter(const builder *b, int i, int first)
{
    return (kt_matrix){b->request->parameters->value + layout(b)->offset[i] + first, layout(b)->size,
                       layout(b)->stride[i]};
}

static kt_matrix parameter_gradient(const builder *b, int i, int first)
{
    kt_real *gradient = b->network->gradient;
    return (kt_matrix){gradient ? gradient + layout(b)->offset[i] + first : NULL, fold_stride(b),
                       layout(b)->stride[i]};
}

static int find(const char *prefix, const char *name)
{
    char whole[96];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return kti_spec_find(whole);
}

static int out_features(int weight)
{
    int size;
    return kti_spec(&size)[weight].rows;
}

/* ---- operations ---- */

static kti_operation *append(builder *b, kti_operation_kind kind)
{
    static kti_operation spare; /* takes the writes after a failure */
    void *list = b->network->list;
    if (b->failed || kti_grow(&list, (size_t)b->network->size, &b->capacity, sizeof(kti_operation)) != 0) {
        b->failed = 1;
        return &spare;
    }
    b->network->list = list;
    kti_operation *operation = &b->network->list[b->network->size++];
    memset(operation, 0, sizeof *operation);
    operation->kind = kind;
    operation->family = b->family;
    return operation;
}

/* out (= or +=) in weight[:, first : first + in.columns]^T */
static kt_gemm forward_product(const builder *b, view in, int weight, int first, view out, int accumulate)
{
    return (kt_gemm){.product = KT_FORWARD,
                     .rows = b->count[in.rows],
                     .n = out_features(weight),
                     .k = in.columns,
                     .a = in.matrix,
                     .b = parameter(b, weight, first),
                     .c = out.matrix,
                     .accumulate = accumulate};
}

static void multiply(builder *b, view in, int weight, int first, view out, int accumulate)
{
    append(b, KTI_OP_GEMM)->arguments.gemm = forward_product(b, in, weight, first, out, accumulate);
}

/* The last product of a layer and what goes around it; the caller adds gathers. */
static kt_linear_forward *layer(builder *b, kt_gemm product, view out, int weight, kt_activation activation)
{
    kt_layer_forward *made = &append(b, KTI_OP_LAYER_FORWARD)->arguments.layer_forward;
    *made = (kt_layer_forward){.product = product,
                               .rest = {.rows = b->count[out.rows],
                                        .channels = out.columns,
                                        .out = out.matrix,
                                        .bias = parameter(b, weight + 1, 0),
                                        .activation = activation}};
    return &made->rest;
}

/* in_gradient (= or +=) gradient weight[:, first : first + in_gradient.columns] */
static void multiply_back(builder *b, view gradient, int weight, int first, view in_gradient, int accumulate)
{
    append(b, KTI_OP_GEMM)->arguments.gemm = (kt_gemm){.product = KT_INPUT_GRADIENT,
                                                       .rows = b->count[gradient.rows],
                                                       .n = in_gradient.columns,
                                                       .k = out_features(weight),
                                                       .a = gradient.matrix,
                                                       .b = parameter(b, weight, first),
                                                       .c = in_gradient.matrix,
                                                       .accumulate = accumulate};
}

/* weight_gradient[:, first : first + in.columns] = gradient^T in */
static void weight_gradient(builder *b, view gradient, view in, int weight, int first)
{
    append(b, KTI_OP_GEMM)->arguments.gemm = (kt_gemm){.product = KT_WEIGHT_GRADIENT,
                                                       .rows = b->count[in.rows],
                                                       .m = out_features(weight),
                                                       .n = in.columns,
                                                       .a = gradient.matrix,
                                                       .b = in.matrix,
                                                       .c = parameter_gradient(b, weight, first)};
}

static void activate_back(builder *b, view out, view gradient, view product_gradient, int weight,
                          kt_activation activation)
{
    append(b, KTI_OP_LINEAR_BACKWARD)->arguments.linear_backward =
        (kt_linear_backward){.rows = b->count[out.rows],
                             .channels = out.columns,
                             .out = out.matrix,
                             .gradient = gradient.matrix,
                             .product_gradient = product_gradient.matrix,
                             .bias_gradient = parameter_gradient(b, weight + 1, 0),
                             .activation = activation};
}

static void segment_sum(builder *b, view in, const kt_real *coefficient, const int32_t *start,
                        const int32_t *order, view out)
{
    append(b, KTI_OP_SEGMENT_SUM)->arguments.segment_sum =
        (kt_segment_sum){.segments = b->count[out.rows],
                         .entries = in.rows,
                         .channels = in.columns,
                         .start = batch_index(b, start),
                         .order = batch_index(b, order),
                         .coefficient = batch_column(b, coefficient),
                         .in = in.matrix,
                         .out = out.matrix};
}

static void segment_spread(builder *b, view base, const kt_real *coefficient, const int32_t *segment, view in,
                           view out)
{
    append(b, KTI_OP_SEGMENT_SPREAD)->arguments.segment_spread =
        (kt_segment_spread){.rows = b->count[out.rows],
                            .channels = out.columns,
                            .segment = batch_index(b, segment),
                            .coefficient = batch_column(b, coefficient),
                            .in = in.matrix,
                            .base = base.matrix,
                            .out = out.matrix};
}

static void add(builder *b, view left, view right, view out)
{
    append(b, KTI_OP_ADD)->arguments.add =
        (kt_add){b->count[out.rows], out.columns, left.matrix, right.matrix, out.matrix};
}

/* ---- multi-layer perceptrons ---- */

/* Layers named prefix + "layers." + i * step + ".weight". */
static mlp make_mlp(builder *b, const char *prefix, int layers, int step, kt_activation activation,
                    kt_activation last, view in)
{
    mlp m = {.layers = layers, .in = in};
    for (int i = 0; i < layers; i++) {
        char name[48];
        snprintf(name, sizeof name, "layers.%d.weight", i * step);
        m.parameter[i] = find(prefix, name);
        m.activation[i] = i + 1 < layers ? activation : last;
        m.out[i] = matrix(b, in.rows, out_features(m.parameter[i]));
    }
    return m;
}

static view mlp_out(const mlp *m)
{
    return m->out[m->layers - 1];
}

/* Layers from `first` on. */
static void mlp_forward(builder *b, const mlp *m, int first)
{
    for (int i = first; i < m->layers; i++) {
        const view in = i == 0 ? m->in : m->out[i - 1];
        layer(b, forward_product(b, in, m->parameter[i], 0, m->out[i], 0), m->out[i], m->parameter[i],
              m->activation[i]);
    }
}

/* For the gradient by the product of layer i of an MLP. What fuses has the weight gradients wait until the end, so that
 * their operands must stay. */
static view product_gradient(builder *b, const mlp *m, int i)
{
    if (b->request->fuses)
        return matrix(b, m->out[i].rows, m->out[i].columns);
    view scratch = b->scratch[m->out[i].rows][i % 2];
    scratch.columns = m->out[i].columns;
    return scratch;
}

/* Back from the last layer to layer `first`; returns the gradient by the product of layer `first`, whose own
 * weights and input are the caller's. */
static view mlp_backward(builder *b, const mlp *m, view gradient, int first)
{
    view product = product_gradient(b, m, m->layers - 1);
    for (int i = m->layers - 1;; i--) {
        activate_back(b, m->out[i], gradient, product, m->parameter[i], m->activation[i]);
        if (i == first)
            return product;
        const view next = product_gradient(b, m, i - 1);
        weight_gradient(b, product, m->out[i - 1], m->parameter[i], 0);
        multiply_back(b, product, m->parameter[i], 0, next, 0);
        gradient = product = next;
    }
}

/* The whole MLP; in_gradient (= or +=) the gradient by its input. */
static void mlp_backward_through(builder *b, const mlp *m, view gradient, view in_gradient, int accumulate)
{
    view product = mlp_backward(b, m, gradient, 0);
    weight_gradient(b, product, m->in, m->parameter[0], 0);
    multiply_back(b, product, m->parameter[0], 0, in_gradient, accumulate);
}

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

static void pick(builder *b, kti_operation_kind kind)
{
    const kti_kept *kept = b->request->kept;
    b->family = KTI_FAMILY_INPUT;
    append(b, kind)->arguments.pick =
        (kt_pick){.graphs = b->count[KT_GRAPHS],
                  .crystal = batch_index(b, b->batch.crystal),
                  .node_start = batch_index(b, b->batch.graph_node_start),
                  .edge_start = batch_index(b, b->batch.graph_edge_start),
                  .kept_node_start = kept->rows.graph_node_start,
                  .kept_edge_start = kept->rows.graph_edge_start,
                  .kept = rows_of(&kept->rows),
                  .batch = rows_of(&b->batch),
                  .type_start = b->batch.type_start,
                  .type_node = b->batch.type_node,
                  .types = KTI_ELEMENT_TYPES,
                  .physics = KTI_PHYSICS_STRIDE,
                  .fold_integers = (int64_t)(b->request->fold_bytes / sizeof(int32_t)),
                  .fold_reals = fold_stride(b)};
}

static void encoder(builder *b, mlp *m, const char *prefix, view in, view out)
{
    *m = make_mlp(b, prefix, 2, 2, KT_SOFTPLUS, KT_SOFTPLUS, in);
    m->out[1] = out;
}

static int has_physics(const builder *b)
{
    return kti_layout_has_physics(layout(b));
}

/* An encoder whose first layer has columns for further features: `prefix`physics.weight. */
static void encoder_forward(builder *b, const mlp *m, const char *prefix, view physics)
{
    if (!has_physics(b)) {
        mlp_forward(b, m, 0);
        return;
    }
    multiply(b, m->in, m->parameter[0], 0, m->out[0], 0);
    layer(b, forward_product(b, physics, find(prefix, "physics.weight"), 0, m->out[0], 1), m->out[0],
          m->parameter[0], m->activation[0]);
    mlp_forward(b, m, 1);
}

static void place_physics(builder *b)
{
    b->crystal_physics =
        (view){{b->batch.crystal_physics, fold_stride(b), KTI_PHYSICS_STRIDE}, KT_GRAPHS, KTI_STATE_PHYSICS};
    b->node_physics = matrix(b, KT_NODES, KTI_NODE_PHYSICS);
    append(b, KTI_OP_EMBEDDING)->arguments.embedding =
        (kt_embedding){.rows = b->count[KT_NODES],
                       .type = batch_index(b, b->batch.node_type),
                       .channels = KTI_NODE_PHYSICS,
                       .table = {b->request->parameters->elements, 0, KTI_ELEMENT_STRIDE},
                       .out = b->node_physics.matrix};
}

static void input_forward(builder *b)
{
    block *first = &b->blocks[0];
    view expansion = matrix(b, KT_EDGES, KTI_GAUSSIANS), embedding = matrix(b, KT_NODES, KTI_EMBEDDING);
    view zeros = matrix(b, KT_GRAPHS, KTI_STATE_INPUT);
    b->family = KTI_FAMILY_INPUT;
    append(b, KTI_OP_GAUSSIAN_EXPANSION)->arguments.gaussian_expansion =
        (kt_gaussian_expansion){.rows = b->count[KT_EDGES],
                                .distance = batch_column(b, b->batch.edge_distance),
                                .centres = b->request->parameters->centres,
                                .channels = KTI_GAUSSIANS,
                                .width = (kt_real)0.5,
                                .out = expansion.matrix};
    append(b, KTI_OP_EMBEDDING)->arguments.embedding =
        (kt_embedding){.rows = b->count[KT_NODES],
                       .type = batch_index(b, b->batch.node_type),
                       .channels = KTI_EMBEDDING,
                       .table = parameter(b, kti_spec_find("embedding.layer_node_embedding.weight"), 0),
                       .out = embedding.matrix};
    encoder(b, &b->edge_encoder, "edge_encoder.", expansion, matrix(b, KT_EDGES, KTI_FEATURES));
    /* Node and state go straight to where block 0's updates read them. */
    encoder(b, &b->node_encoder, "node_encoder.", embedding, slice(first->node_concat, 0, KTI_FEATURES));
    encoder(b, &b->state_encoder, "state_encoder.", zeros, slice(first->state_concat, 0, KTI_FEATURES));
    mlp_forward(b, &b->edge_encoder, 0);
    if (has_physics(b))
        place_physics(b);
    encoder_forward(b, &b->node_encoder, "node_encoder.", b->node_physics);
    encoder_forward(b, &b->state_encoder, "state_encoder.", b->crystal_physics);
}

static void input_backward(builder *b)
{
    const int table = kti_spec_find("embedding.layer_node_embedding.weight");
    b->family = KTI_FAMILY_INPUT;
    view product = mlp_backward(b, &b->edge_encoder, b->edge_gradient, 0);
    weight_gradient(b, product, b->edge_encoder.in, b->edge_encoder.parameter[0], 0);
    product = mlp_backward(b, &b->state_encoder, b->state_gradient, 0);
    weight_gradient(b, product, b->state_encoder.in, b->state_encoder.parameter[0], 0);
    if (has_physics(b))
        weight_gradient(b, product, b->crystal_physics, kti_spec_find("state_encoder.physics.weight"), 0);
    view embedded = slice(b->node_gradient, 0, KTI_EMBEDDING);
    product = mlp_backward(b, &b->node_encoder, b->node_gradient, 0);
    weight_gradient(b, product, b->node_encoder.in, b->node_encoder.parameter[0], 0);
    if (has_physics(b))
        weight_gradient(b, product, b->node_physics, kti_spec_find("node_encoder.physics.weight"), 0);
    multiply_back(b, product, b->node_encoder.parameter[0], 0, embedded, 0);
    append(b, KTI_OP_EMBEDDING_GRADIENT)->arguments.embedding_gradient =
        (kt_embedding_gradient){.type_start = batch_index(b, b->batch.type_start),
                                .type_node = batch_index(b, b->batch.type_node),
                                .types = out_features(table),
                                .channels = KTI_EMBEDDING,
                                .out_gradient = embedded.matrix,
                                .table_gradient = parameter_gradient(b, table, 0)};
}

/* ---- blocks ---- */

/* A dense MLP whose result goes to `out`. */
static mlp dense(builder *b, int index, const char *name, view in, view out)
{
    char prefix[48];
    snprintf(prefix, sizeof prefix, "blocks.%d.%s.", index, name);
    mlp m = make_mlp(b, prefix, 2, 2, KT_SOFTPLUS, KT_SOFTPLUS, in);
    m.out[1] = out;
    return m;
}

static mlp update(builder *b, int index, const char *name, view in)
{
    char prefix[48];
    snprintf(prefix, sizeof prefix, "blocks.%d.conv.%s.", index, name);
    return make_mlp(b, prefix, 3, 2, KT_SOFTPLUS, KT_SOFTPLUS, in);
}

/* e' = MLP[v_src, v_dst, e, u], its first layer factorised. */
static void edge_forward(builder *b, block *k)
{
    const mlp *m = &k->edge_update;
    const int weight = m->parameter[0];
    const view node = slice(k->node_concat, 0, KTI_FEATURES), state = slice(k->state_concat, 0, KTI_FEATURES);
    const view source = matrix(b, KT_NODES, KTI_HIDDEN), target = matrix(b, KT_NODES, KTI_HIDDEN);
    const view global = matrix(b, KT_GRAPHS, KTI_HIDDEN);
    b->family = KTI_FAMILY_EDGE;
    multiply(b, node, weight, 0, source, 0);
    multiply(b, node, weight, KTI_FEATURES, target, 0);
    multiply(b, state, weight, 3 * KTI_FEATURES, global, 0);
    kt_linear_forward *first =
        layer(b, forward_product(b, k->edge_hidden, weight, 2 * KTI_FEATURES, m->out[0], 0), m->out[0],
              weight, KT_SOFTPLUS);
    first->gathers = 3;
    first->gather[0] = (kt_gather){source.matrix, batch_index(b, b->batch.edge_source)};
    first->gather[1] = (kt_gather){target.matrix, batch_index(b, b->batch.edge_target)};
    first->gather[2] = (kt_gather){global.matrix, batch_index(b, b->batch.edge_graph)};
    mlp_forward(b, m, 1);
}

/* v' = MLP[v, mean of incoming e', u] */
static void node_forward(builder *b, block *k)
{
    const mlp *m = &k->node_update;
    const int weight = m->parameter[0];
    const view global = matrix(b, KT_GRAPHS, KTI_HIDDEN);
    b->family = KTI_FAMILY_NODE;
    segment_sum(b, mlp_out(&k->edge_update), b->batch.edge_mean_target, b->batch.incoming_start, NULL,
                slice(k->node_concat, KTI_FEATURES, KTI_FEATURES));
    multiply(b, slice(k->state_concat, 0, KTI_FEATURES), weight, 2 * KTI_FEATURES, global, 0);
    kt_linear_forward *first =
        layer(b, forward_product(b, k->node_concat, weight, 0, m->out[0], 0), m->out[0], weight, KT_SOFTPLUS);
    first->gathers = 1;
    first->gather[0] = (kt_gather){global.matrix, batch_index(b, b->batch.node_graph)};
    mlp_forward(b, m, 1);
}

/* u' = MLP[u, mean e', mean v'] */
static void state_forward(builder *b, block *k)
{
    b->family = KTI_FAMILY_STATE;
    segment_sum(b, mlp_out(&k->edge_update), b->batch.edge_mean_graph, b->batch.graph_edge_start, NULL,
                slice(k->state_concat, KTI_FEATURES, KTI_FEATURES));
    segment_sum(b, mlp_out(&k->node_update), b->batch.node_mean_graph, b->batch.graph_node_start, NULL,
                slice(k->state_concat, 2 * KTI_FEATURES, KTI_FEATURES));
    mlp_forward(b, &k->state_update, 0);
}

static void block_forward(builder *b, int index)
{
    block *k = &b->blocks[index];
    const view node = slice(k->node_concat, 0, KTI_FEATURES), state = slice(k->state_concat, 0, KTI_FEATURES);
    if (index == 0) {
        k->edge_in = k->edge_hidden = mlp_out(&b->edge_encoder);
        k->node_in = node;
        k->state_in = state;
    } else {
        const block *before = &b->blocks[index - 1];
        k->edge_in = before->edge_out;
        k->node_in = before->node_out;
        k->state_in = before->state_out;
        k->edge_hidden = matrix(b, KT_EDGES, KTI_FEATURES);
        k->edge_dense = dense(b, index, "edge_func", k->edge_in, k->edge_hidden);
        k->node_dense = dense(b, index, "node_func", k->node_in, node);
        k->state_dense = dense(b, index, "state_func", k->state_in, state);
        b->family = KTI_FAMILY_EDGE;
        mlp_forward(b, &k->edge_dense, 0);
        b->family = KTI_FAMILY_NODE;
        mlp_forward(b, &k->node_dense, 0);
        b->family = KTI_FAMILY_STATE;
        mlp_forward(b, &k->state_dense, 0);
    }
    k->edge_update = update(b, index, "edge_func", k->edge_hidden);
    k->node_update = update(b, index, "node_func", k->node_concat);
    k->state_update = update(b, index, "state_func", k->state_concat);
    edge_forward(b, k);
    node_forward(b, k);
    state_forward(b, k);
    k->edge_out = matrix(b, KT_EDGES, KTI_FEATURES);
    k->node_out = matrix(b, KT_NODES, KTI_FEATURES);
    /* The last block's state goes straight to where the read-out reads it. */
    k->state_out = index + 1 < KTI_BLOCKS ? matrix(b, KT_GRAPHS, KTI_FEATURES)
                                          : slice(b->pooled, 4 * KTI_FEATURES, KTI_FEATURES);
    b->family = KTI_FAMILY_EDGE;
    add(b, mlp_out(&k->edge_update), k->edge_in, k->edge_out);
    b->family = KTI_FAMILY_NODE;
    add(b, mlp_out(&k->node_update), k->node_in, k->node_out);
    b->family = KTI_FAMILY_STATE;
    add(b, mlp_out(&k->state_update), k->state_in, k->state_out);
}

/* Turns the gradients by the block's output into those by its input, in place: the residual passes them on,
 * the convolution and the dense layers add to them. */
static void block_backward(builder *b, int index)
{
    const block *k = &b->blocks[index];
    const view node_before = matrix(b, KT_NODES, KTI_FEATURES),
               edge_before = matrix(b, KT_EDGES, KTI_FEATURES);
    const view node_concat = matrix(b, KT_NODES, 2 * KTI_FEATURES),
               state_concat = matrix(b, KT_GRAPHS, 3 * KTI_FEATURES);
    const view source = matrix(b, KT_NODES, KTI_HIDDEN), target = matrix(b, KT_NODES, KTI_HIDDEN);
    const view node_global = matrix(b, KT_GRAPHS, KTI_HIDDEN), edge_global = matrix(b, KT_GRAPHS, KTI_HIDDEN);
    const view node_hidden = slice(node_concat, 0, KTI_FEATURES);
    const view state_hidden = slice(state_concat, 0, KTI_FEATURES);
    const view state = slice(k->state_concat, 0, KTI_FEATURES), node = slice(k->node_concat, 0, KTI_FEATURES);

    b->family = KTI_FAMILY_STATE;
    mlp_backward_through(b, &k->state_update, b->state_gradient, state_concat, 0);

    b->family = KTI_FAMILY_NODE;
    segment_spread(b, b->node_gradient, b->batch.node_mean_graph, b->batch.node_graph,
                   slice(state_concat, 2 * KTI_FEATURES, KTI_FEATURES), node_before);
    int weight = k->node_update.parameter[0];
    view product = mlp_backward(b, &k->node_update, node_before, 0);
    weight_gradient(b, product, k->node_concat, weight, 0);
    multiply_back(b, product, weight, 0, node_concat, 0);
    segment_sum(b, product, NULL, b->batch.graph_node_start, NULL, node_global);
    weight_gradient(b, node_global, state, weight, 2 * KTI_FEATURES);
    multiply_back(b, node_global, weight, 2 * KTI_FEATURES, state_hidden, 1);

    b->family = KTI_FAMILY_EDGE;
    segment_spread(b, b->edge_gradient, b->batch.edge_mean_graph, b->batch.edge_graph,
                   slice(state_concat, KTI_FEATURES, KTI_FEATURES), edge_before);
    segment_spread(b, edge_before, b->batch.edge_mean_target, b->batch.edge_target,
                   slice(node_concat, KTI_FEATURES, KTI_FEATURES), edge_before);
    weight = k->edge_update.parameter[0];
    product = mlp_backward(b, &k->edge_update, edge_before, 0);
    segment_sum(b, product, NULL, b->batch.outgoing_start, b->batch.outgoing_edge, source);
    segment_sum(b, product, NULL, b->batch.incoming_start, NULL, target);
    /* A graph's edges are the edges into its nodes. */
    segment_sum(b, target, NULL, b->batch.graph_node_start, NULL, edge_global);
    weight_gradient(b, source, node, weight, 0);
    weight_gradient(b, target, node, weight, KTI_FEATURES);
    weight_gradient(b, product, k->edge_hidden, weight, 2 * KTI_FEATURES);
    weight_gradient(b, edge_global, state, weight, 3 * KTI_FEATURES);
    multiply_back(b, source, weight, 0, node_hidden, 1);
    multiply_back(b, target, weight, KTI_FEATURES, node_hidden, 1);
    multiply_back(b, edge_global, weight, 3 * KTI_FEATURES, state_hidden, 1);
    if (index == 0) {
        multiply_back(b, product, weight, 2 * KTI_FEATURES, b->edge_gradient, 1);
        b->family = KTI_FAMILY_NODE;
        add(b, b->node_gradient, node_hidden, b->node_gradient);
        b->family = KTI_FAMILY_STATE;
        add(b, b->state_gradient, state_hidden, b->state_gradient);
    } else {
        multiply_back(b, product, weight, 2 * KTI_FEATURES, edge_before, 0);
        mlp_backward_through(b, &k->edge_dense, edge_before, b->edge_gradient, 1);
        b->family = KTI_FAMILY_NODE;
        mlp_backward_through(b, &k->node_dense, node_hidden, b->node_gradient, 1);
        b->family = KTI_FAMILY_STATE;
        mlp_backward_through(b, &k->state_dense, state_hidden, b->state_gradient, 1);
    }
}

/* ---- Set2Set ---- */

static void set2set_forward(builder *b, set2set *s, const char *prefix, view in, const kt_real *weight,
                            const int32_t *start, view out)
{
    s->parameter = find(prefix, "lstm.weight_ih_l0");
    s->rows = in.rows;
    s->in = in;
    s->weight = (view){batch_column(b, weight), in.rows, 1};
    s->out = out;
    s->start = batch_index(b, start);
    for (int step = 0; step < KTI_SET2SET_STEPS; step++) {
        const int last = step + 1 == KTI_SET2SET_STEPS;
        s->gates[step] = matrix(b, KT_GRAPHS, 4 * KTI_FEATURES);
        s->cell[step] = matrix(b, KT_GRAPHS, KTI_FEATURES);
        s->query[step] = last ? out : matrix(b, KT_GRAPHS, 2 * KTI_FEATURES); /* [hidden, read] */
        s->attention[step] = column(b, in.rows);
        const view hidden = slice(s->query[step], 0, KTI_FEATURES);
        if (step > 0) {
            multiply(b, s->query[step - 1], s->parameter, 0, s->gates[step], 0);
            multiply(b, slice(s->query[step - 1], 0, KTI_FEATURES), s->parameter + 1, 0, s->gates[step], 1);
        }
        append(b, KTI_OP_LSTM_FORWARD)->arguments.lstm_forward =
            (kt_lstm_forward){.graphs = b->count[KT_GRAPHS],
                              .channels = KTI_FEATURES,
                              .gates = s->gates[step].matrix,
                              .first = step == 0,
                              .bias_input = parameter(b, s->parameter + 2, 0),
                              .bias_hidden = parameter(b, s->parameter + 3, 0),
                              .cell_before = step ? s->cell[step - 1].matrix : (kt_matrix){0},
                              .cell = s->cell[step].matrix,
                              .hidden = hidden.matrix};
        append(b, KTI_OP_ATTENTION_FORWARD)->arguments.attention_forward =
            (kt_attention_forward){.graphs = b->count[KT_GRAPHS],
                                   .entries = in.rows,
                                   .channels = KTI_FEATURES,
                                   .start = s->start,
                                   .in = in.matrix,
                                   .weight = s->weight.matrix,
                                   .hidden = hidden.matrix,
                                   .attention = s->attention[step].matrix,
                                   .out = slice(s->query[step], KTI_FEATURES, KTI_FEATURES).matrix};
    }
}

/* `gradient` [G, 64] by the set's output (overwritten); in_gradient [rows, 32] = by its input. */
static void set2set_backward(builder *b, const set2set *s, view gradient, view in_gradient)
{
    const view cell_gradient = matrix(b, KT_GRAPHS, KTI_FEATURES), scratch = column(b, s->rows);
    for (int step = KTI_SET2SET_STEPS - 1; step >= 0; step--) {
        const int last = step + 1 == KTI_SET2SET_STEPS;
        const view hidden_gradient = slice(gradient, 0, KTI_FEATURES);
        append(b, KTI_OP_ATTENTION_BACKWARD)->arguments.attention_backward =
            (kt_attention_backward){.graphs = b->count[KT_GRAPHS],
                                    .entries = s->rows,
                                    .channels = KTI_FEATURES,
                                    .start = s->start,
                                    .in = s->in.matrix,
                                    .hidden = slice(s->query[step], 0, KTI_FEATURES).matrix,
                                    .attention = s->attention[step].matrix,
                                    .out_gradient = slice(gradient, KTI_FEATURES, KTI_FEATURES).matrix,
                                    .scratch = scratch.matrix,
                                    .in_gradient = in_gradient.matrix,
                                    .accumulate = !last,
                                    .hidden_gradient = hidden_gradient.matrix};
        append(b, KTI_OP_LSTM_BACKWARD)->arguments.lstm_backward =
            (kt_lstm_backward){.graphs = b->count[KT_GRAPHS],
                               .channels = KTI_FEATURES,
                               .first = step == 0,
                               .gates = s->gates[step].matrix,
                               .cell_before = step ? s->cell[step - 1].matrix : (kt_matrix){0},
                               .cell = s->cell[step].matrix,
                               .hidden_gradient = hidden_gradient.matrix,
                               .cell_gradient = cell_gradient.matrix,
                               .last = last};
        if (step > 0) {
            const view before = s->query[step - 1], hidden = slice(before, 0, KTI_FEATURES);
            weight_gradient(b, s->gates[step], before, s->parameter, 0);
            weight_gradient(b, s->gates[step], hidden, s->parameter + 1, 0);
            multiply_back(b, s->gates[step], s->parameter, 0, gradient, 0);
            multiply_back(b, s->gates[step], s->parameter + 1, 0, hidden_gradient, 1);
        }
    }
    append(b, KTI_OP_LSTM_BIAS_GRADIENT)->arguments.lstm_bias_gradient =
        (kt_lstm_bias_gradient){.graphs = b->count[KT_GRAPHS],
                                .channels = 4 * KTI_FEATURES,
                                .step = {s->gates[0].matrix, s->gates[1].matrix},
                                .bias_input_gradient = parameter_gradient(b, s->parameter + 2, 0),
                                .bias_hidden_gradient = parameter_gradient(b, s->parameter + 3, 0)};
}

/* ---- read-out, head, loss, optimiser ---- */

static void output_forward(builder *b)
{
    const block *last = &b->blocks[KTI_BLOCKS - 1];
    const view pooled = b->pooled;
    b->family = KTI_FAMILY_SET2SET;
    set2set_forward(b, &b->node_set, "node_s2s.", last->node_out, b->batch.node_weight,
                    b->batch.graph_node_start, slice(pooled, 0, 2 * KTI_FEATURES));
    set2set_forward(b, &b->edge_set, "edge_s2s.", last->edge_out, b->batch.edge_weight,
                    b->batch.graph_edge_start, slice(pooled, 2 * KTI_FEATURES, 2 * KTI_FEATURES));
    b->family = KTI_FAMILY_READOUT;
    if (b->request->output == KTI_TARGET_EFORM) {
        b->readout = make_mlp(b, "output_proj.", 3, 2, KT_SOFTPLUS, KT_LINEAR, pooled);
        mlp_forward(b, &b->readout, 0);
        b->network->views.prediction = b->readout.out[2].matrix;
        b->network->views.readout = b->readout.out[1].matrix;
        return;
    }
    b->readout = make_mlp(b, "output_proj.", 2, 2, KT_SOFTPLUS, KT_LINEAR, pooled);
    mlp_forward(b, &b->readout, 0);
    b->family = KTI_FAMILY_HEAD;
    b->head = make_mlp(b, "head.", 4, 1, KT_RELU, KT_LINEAR, mlp_out(&b->readout));
    mlp_forward(b, &b->head, 0);
    b->network->views.readout = mlp_out(&b->readout).matrix;
    b->network->views.prediction = mlp_out(&b->head).matrix;
}

static void loss(builder *b, view gradient)
{
    kt_matrix step = {b->network->step, fold_stride(b), KT_STEP_VALUES},
              result = {b->network->result, fold_stride(b), KT_RESULT_VALUES};
    b->family = KTI_FAMILY_LOSS;
    if (b->request->training->loss != KT_LOSS_MAPE) {
        append(b, KTI_OP_LOG_LOSS)->arguments.log_loss =
            (kt_log_loss){.graphs = b->count[KT_GRAPHS],
                          .data_set = batch_index(b, b->batch.data_set),
                          .absolute = b->request->training->loss == KT_LOSS_LOG_ABSOLUTE,
                          .step = step,
                          .prediction = mlp_out(&b->head).matrix,
                          .kappa = batch_column(b, b->batch.kappa),
                          .gradient = gradient.matrix,
                          .result = result};
        return;
    }
    append(b, KTI_OP_MAPE_LOSS)->arguments.mape_loss =
        (kt_mape_loss){.graphs = b->count[KT_GRAPHS],
                       .data_set = batch_index(b, b->batch.data_set),
                       .step = step,
                       .prediction = mlp_out(&b->head).matrix,
                       .kappa = batch_column(b, b->batch.kappa),
                       .gradient = gradient.matrix,
                       .result = result};
}

static void loss_and_backward(builder *b)
{
    const view gradient = matrix(b, KT_GRAPHS, 1), readout = matrix(b, KT_GRAPHS, KTI_READOUT);
    const view pooled = matrix(b, KT_GRAPHS, POOLED);
    if (b->request->kept && b->request->training->freeze != KT_FREEZE_BODY)
        pick(b, KTI_OP_PICK_TYPES);
    loss(b, gradient);
    b->family = KTI_FAMILY_HEAD;
    if (b->request->training->freeze == KT_FREEZE_BODY) {
        const view product = mlp_backward(b, &b->head, gradient, 0);
        weight_gradient(b, product, b->head.in, b->head.parameter[0], 0);
        return;
    }
    mlp_backward_through(b, &b->head, gradient, readout, 0);
    b->family = KTI_FAMILY_READOUT;
    mlp_backward_through(b, &b->readout, readout, pooled, 0);
    b->edge_gradient = matrix(b, KT_EDGES, KTI_FEATURES);
    b->node_gradient = matrix(b, KT_NODES, KTI_FEATURES);
    b->state_gradient = slice(pooled, 4 * KTI_FEATURES, KTI_FEATURES);
    b->family = KTI_FAMILY_SET2SET;
    set2set_backward(b, &b->node_set, slice(pooled, 0, 2 * KTI_FEATURES), b->node_gradient);
    set2set_backward(b, &b->edge_set, slice(pooled, 2 * KTI_FEATURES, 2 * KTI_FEATURES), b->edge_gradient);
    for (int i = KTI_BLOCKS - 1; i >= 0; i--)
        block_backward(b, i);
    input_backward(b);
}

/* A fold's arena from `first` on. */
static kt_matrix range(const builder *b, kt_real *arena, int64_t first)
{
    return (kt_matrix){arena + first, layout(b)->size, (int32_t)layout(b)->size};
}

/* The lane's gradient from `first` on. */
static kt_matrix gradient_from(const builder *b, int64_t first)
{
    kt_real *gradient = b->network->gradient;
    return (kt_matrix){gradient ? gradient + first : NULL, fold_stride(b), (int32_t)layout(b)->size};
}

/* One step of the parameters [first, first + size). */
static void step_range(builder *b, int64_t first, int64_t size, double rate_factor)
{
    const kti_parameters *p = b->request->parameters;
    const kt_train_options *training = b->request->training;
    const kt_matrix step = {b->network->step, fold_stride(b), KT_STEP_VALUES},
                    result = {b->network->result, fold_stride(b), KT_RESULT_VALUES};
    if (training->weight_decay > 0)
        append(b, KTI_OP_WEIGHT_DECAY)->arguments.weight_decay =
            (kt_weight_decay){.size = size,
                              .step = step,
                              .result = result,
                              .decays = {p->decays + first, 0, (int32_t)size},
                              .parameter = range(b, p->value, first),
                              .amount = (kt_real)(rate_factor * training->weight_decay)};
    append(b, KTI_OP_ADAM)->arguments.adam = (kt_adam){.size = size,
                                                       .step = step,
                                                       .result = result,
                                                       .gradient = gradient_from(b, first),
                                                       .parameter = range(b, p->value, first),
                                                       .moment1 = range(b, p->moment1, first),
                                                       .moment2 = range(b, p->moment2, first),
                                                       .beta1 = (kt_real)KTI_ADAM_BETA1,
                                                       .beta2 = (kt_real)KTI_ADAM_BETA2,
                                                       .epsilon = (kt_real)1e-8,
                                                       .share1 = (kt_real)(1 - KTI_ADAM_BETA1),
                                                       .share2 = (kt_real)(1 - KTI_ADAM_BETA2),
                                                       .rate_factor = (kt_real)rate_factor,
                                                       .clip_norm = (kt_real)training->clip_norm};
}

static void optimise(builder *b)
{
    const kti_parameters *p = b->request->parameters;
    const kt_train_options *training = b->request->training;
    const int frozen = training->freeze == KT_FREEZE_BODY;
    const int64_t head = layout(b)->head_offset, first = frozen ? head : 0, size = layout(b)->size - first;
    const int64_t chunks = (size + KT_NORM_CHUNK - 1) / KT_NORM_CHUNK;
    const kt_matrix result = {b->network->result, fold_stride(b), KT_RESULT_VALUES};
    b->family = KTI_FAMILY_OPTIMISER;
    if (kti_device_ranks(p->device) > 1)
        append(b, KTI_OP_ALL_REDUCE)->arguments.all_reduce =
            (kti_all_reduce){.size = size, .gradient = gradient_from(b, first), .result = result};
    append(b, KTI_OP_GRADIENT_NORM)->arguments.gradient_norm = (kt_gradient_norm){
        .size = size,
        .gradient = gradient_from(b, first),
        .partial = {take(b, (size_t)chunks * sizeof(kt_real)), fold_stride(b), (int32_t)chunks},
        .result = result};
    b->network->backward_size = b->network->size;
    if (frozen || training->body_rate == 1) {
        step_range(b, first, size, 1);
    } else {
        step_range(b, 0, layout(b)->body_size, training->body_rate);
        step_range(b, head, layout(b)->size - head, 1);
    }
    if (training->weight_average > 0)
        append(b, KTI_OP_WEIGHT_AVERAGE)->arguments.weight_average =
            (kt_weight_average){.size = layout(b)->size,
                                .step = {b->network->step, fold_stride(b), KT_STEP_VALUES},
                                .result = result,
                                .parameter = range(b, p->value, 0),
                                .average = range(b, p->average, 0)};
}

/* ---- the whole ---- */

static void place_inputs(builder *b)
{
    const kti_capacity capacity = b->request->capacity;
    kti_network *network = b->network;
    network->batch_block = take(b, kti_batch_layout(capacity, NULL).bytes);
    b->batch = kti_batch_layout(capacity, network->batch_block);
    network->step = take(b, KT_STEP_VALUES * sizeof(kt_real));
    network->result = take(b, KT_RESULT_VALUES * sizeof(kt_real));
    if (b->request->training)
        network->gradient = take(b, (size_t)layout(b)->size * sizeof(kt_real));
    b->count[KT_EDGES] = batch_count(b, b->batch.edge_count, capacity.edges, KT_EDGES);
    b->count[KT_NODES] = batch_count(b, b->batch.node_count, capacity.nodes, KT_NODES);
    b->count[KT_GRAPHS] = batch_count(b, b->batch.graph_count, capacity.graphs, KT_GRAPHS);
    b->row_capacity[KT_EDGES] = capacity.edges;
    b->row_capacity[KT_NODES] = capacity.nodes;
    b->row_capacity[KT_GRAPHS] = capacity.graphs;
    for (int kind = 0; kind < KT_ROW_KINDS && !b->request->fuses; kind++)
        for (int turn = 0; turn < 2; turn++)
            b->scratch[kind][turn] = matrix(b, (kt_row_kind)kind, kind == KT_GRAPHS ? 450 : KTI_HIDDEN);
}

/* Forward and backward, each for itself: a prediction runs the forward part alone. */
static void fuse(builder *b)
{
    kti_network *network = b->network;
    const int forward = network->forward_size, backward = b->gradient_size - forward,
              rest = network->size - b->gradient_size;
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

static void publish_views(builder *b)
{
    kti_plan_views *views = &b->network->views;
    views->edge_encoder = mlp_out(&b->edge_encoder).matrix;
    views->node_encoder = mlp_out(&b->node_encoder).matrix;
    views->state_encoder = mlp_out(&b->state_encoder).matrix;
    for (int i = 0; i < KTI_BLOCKS; i++) {
        views->edge[i] = b->blocks[i].edge_out.matrix;
        views->node[i] = b->blocks[i].node_out.matrix;
        views->state[i] = b->blocks[i].state_out.matrix;
    }
    views->set2set_node = b->node_set.out.matrix;
    views->set2set_edge = b->edge_set.out.matrix;
}

kt_status kti_network_build(const kti_network_request *request, kti_network *network, kt_error *error)
{
    builder b = {.request = request, .network = network};
    *network = (kti_network){0};
    if (request->training && request->output != KTI_TARGET_KAPPA)
        return kti_fail(error, KT_BAD_ARGUMENT, "only kappa can be trained");
    place_inputs(&b);
    for (int i = 0; i < KTI_BLOCKS; i++) {
        b.blocks[i].node_concat = matrix(&b, KT_NODES, 2 * KTI_FEATURES);
        b.blocks[i].state_concat = matrix(&b, KT_GRAPHS, 3 * KTI_FEATURES);
    }
    b.pooled = matrix(&b, KT_GRAPHS, POOLED);
    if (request->kept)
        pick(&b, KTI_OP_PICK);
    input_forward(&b);
    for (int i = 0; i < KTI_BLOCKS; i++)
        block_forward(&b, i);
    output_forward(&b);
    network->forward_size = b.gradient_size = network->size;
    if (request->training) {
        loss_and_backward(&b);
        b.gradient_size = network->size;
        optimise(&b);
    }
    if (request->fuses && request->workspace && !b.failed)
        fuse(&b);
    free(b.pieces.start);
    publish_views(&b);
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
