#include "train/builder.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* The head's widest layer: what scratch of graphs is wide enough for. */
enum { WIDEST = 450 };

/* ---- the beginning ---- */

static kt_count batch_count(const kti_builder *b, const int32_t *data, int max, kt_row_kind kind)
{
    const kt_index index = kti_builder_batch_index(b, data);
    return (kt_count){index.data, index.fold_stride, max, kind};
}

static void place_batch(kti_builder *b)
{
    const kti_capacity capacity = b->request->capacity;
    b->network->batch_block = kti_builder_take(b, kti_batch_layout(capacity, NULL).bytes);
    b->batch = kti_batch_layout(capacity, b->network->batch_block);
    b->count[KT_EDGES] = batch_count(b, b->batch.edge_count, capacity.edges, KT_EDGES);
    b->count[KT_NODES] = batch_count(b, b->batch.node_count, capacity.nodes, KT_NODES);
    b->count[KT_GRAPHS] = batch_count(b, b->batch.graph_count, capacity.graphs, KT_GRAPHS);
    b->row_capacity[KT_EDGES] = capacity.edges;
    b->row_capacity[KT_NODES] = capacity.nodes;
    b->row_capacity[KT_GRAPHS] = capacity.graphs;
}

static void place_scratch(kti_builder *b)
{
    for (int kind = 0; kind < KT_ROW_KINDS; kind++)
        for (int turn = 0; turn < 2; turn++)
            b->scratch[kind][turn] =
                kti_builder_matrix(b, (kt_row_kind)kind, kind == KT_GRAPHS ? WIDEST : KTI_HIDDEN);
}

void kti_builder_begin(kti_builder *b, const kti_network_request *request, kti_network *network)
{
    *b = (kti_builder){.request = request, .network = network};
    place_batch(b);
    network->step = kti_builder_take(b, KT_STEP_VALUES * sizeof(kt_real));
    network->result = kti_builder_take(b, KT_RESULT_VALUES * sizeof(kt_real));
    if (request->training)
        network->gradient = kti_builder_take(b, (size_t)kti_builder_layout(b)->size * sizeof(kt_real));
    if (!request->fuses)
        place_scratch(b);
}

/* ---- memory and views ---- */

void *kti_builder_take(kti_builder *b, size_t bytes)
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

int64_t kti_builder_fold_stride(const kti_builder *b)
{
    return (int64_t)(b->request->fold_bytes / sizeof(kt_real));
}

kti_view kti_builder_matrix(kti_builder *b, kt_row_kind kind, int columns)
{
    const int stride = kti_round_up16(columns);
    kt_real *data = kti_builder_take(b, (size_t)b->row_capacity[kind] * (size_t)stride * sizeof(kt_real));
    return (kti_view){{data, kti_builder_fold_stride(b), stride}, kind, columns};
}

kti_view kti_builder_column(kti_builder *b, kt_row_kind kind)
{
    kt_real *data = kti_builder_take(b, (size_t)b->row_capacity[kind] * sizeof(kt_real));
    return (kti_view){{data, kti_builder_fold_stride(b), 1}, kind, 1};
}

kti_view kti_view_slice(kti_view whole, int first, int columns)
{
    /* In the counting pass there is no memory to point into. */
    if (whole.matrix.data)
        whole.matrix.data += first;
    whole.columns = columns;
    return whole;
}

kt_matrix kti_builder_batch_column(const kti_builder *b, const kt_real *data)
{
    return (kt_matrix){(kt_real *)data, kti_builder_fold_stride(b), 1};
}

kt_index kti_builder_batch_index(const kti_builder *b, const int32_t *data)
{
    return (kt_index){data, (int64_t)(b->request->fold_bytes / sizeof(int32_t))};
}

kt_matrix kti_builder_step(const kti_builder *b)
{
    return (kt_matrix){b->network->step, kti_builder_fold_stride(b), KT_STEP_VALUES};
}

kt_matrix kti_builder_result(const kti_builder *b)
{
    return (kt_matrix){b->network->result, kti_builder_fold_stride(b), KT_RESULT_VALUES};
}

/* ---- parameters ---- */

const kti_layout *kti_builder_layout(const kti_builder *b)
{
    return &b->request->parameters->layout;
}

kt_matrix kti_builder_parameter(const kti_builder *b, int i, int first)
{
    const kti_layout *layout = kti_builder_layout(b);
    kt_real *value = b->request->parameters->value;
    return (kt_matrix){value + layout->offset[i] + first, layout->size, layout->stride[i]};
}

kt_matrix kti_builder_parameter_gradient(const kti_builder *b, int i, int first)
{
    const kti_layout *layout = kti_builder_layout(b);
    kt_real *gradient = b->network->gradient;
    return (kt_matrix){gradient ? gradient + layout->offset[i] + first : NULL, kti_builder_fold_stride(b),
                       layout->stride[i]};
}

int kti_builder_find(const char *prefix, const char *name)
{
    char whole[96];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return kti_spec_find(whole);
}

int kti_builder_out_features(int weight)
{
    int size;
    return kti_spec(&size)[weight].rows;
}

/* ---- operations ---- */

kti_operation *kti_append(kti_builder *b, kti_operation_kind kind)
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

kt_gemm kti_layer_product(const kti_builder *b, kti_view in, int weight, int first, kti_view out,
                          int accumulate)
{
    return (kt_gemm){.product = KT_FORWARD,
                     .rows = b->count[in.rows],
                     .n = kti_builder_out_features(weight),
                     .k = in.columns,
                     .a = in.matrix,
                     .b = kti_builder_parameter(b, weight, first),
                     .c = out.matrix,
                     .accumulate = accumulate};
}

void kti_append_product(kti_builder *b, kti_view in, int weight, int first, kti_view out, int accumulate)
{
    kti_append(b, KTI_OP_GEMM)->arguments.gemm = kti_layer_product(b, in, weight, first, out, accumulate);
}

kt_linear_forward *kti_append_layer(kti_builder *b, kt_gemm product, kti_view out, int weight,
                                    kt_activation activation)
{
    kt_layer_forward *made = &kti_append(b, KTI_OP_LAYER_FORWARD)->arguments.layer_forward;
    *made = (kt_layer_forward){.product = product,
                               .rest = {.rows = b->count[out.rows],
                                        .channels = out.columns,
                                        .out = out.matrix,
                                        .bias = kti_builder_parameter(b, weight + 1, 0),
                                        .activation = activation}};
    return &made->rest;
}

void kti_append_activation_backward(kti_builder *b, kti_view out, kti_view gradient, kti_view pre_gradient,
                                    int weight, kt_activation activation)
{
    kti_append(b, KTI_OP_LINEAR_BACKWARD)->arguments.linear_backward =
        (kt_linear_backward){.rows = b->count[out.rows],
                             .channels = out.columns,
                             .out = out.matrix,
                             .gradient = gradient.matrix,
                             .product_gradient = pre_gradient.matrix,
                             .bias_gradient = kti_builder_parameter_gradient(b, weight + 1, 0),
                             .activation = activation};
}

void kti_append_input_gradient(kti_builder *b, kti_view pre_gradient, int weight, int first,
                               kti_view in_gradient, int accumulate)
{
    kti_append(b, KTI_OP_GEMM)->arguments.gemm = (kt_gemm){.product = KT_INPUT_GRADIENT,
                                                           .rows = b->count[pre_gradient.rows],
                                                           .n = in_gradient.columns,
                                                           .k = kti_builder_out_features(weight),
                                                           .a = pre_gradient.matrix,
                                                           .b = kti_builder_parameter(b, weight, first),
                                                           .c = in_gradient.matrix,
                                                           .accumulate = accumulate};
}

void kti_append_weight_gradient(kti_builder *b, kti_view pre_gradient, kti_view in, int weight, int first)
{
    kti_append(b, KTI_OP_GEMM)->arguments.gemm =
        (kt_gemm){.product = KT_WEIGHT_GRADIENT,
                  .rows = b->count[in.rows],
                  .m = kti_builder_out_features(weight),
                  .n = in.columns,
                  .a = pre_gradient.matrix,
                  .b = in.matrix,
                  .c = kti_builder_parameter_gradient(b, weight, first)};
}

void kti_append_segment_sum(kti_builder *b, kti_view in, const kt_real *coefficient, const int32_t *start,
                            const int32_t *order, kti_view out)
{
    kti_append(b, KTI_OP_SEGMENT_SUM)->arguments.segment_sum =
        (kt_segment_sum){.segments = b->count[out.rows],
                         .entries = in.rows,
                         .channels = in.columns,
                         .start = kti_builder_batch_index(b, start),
                         .order = kti_builder_batch_index(b, order),
                         .coefficient = kti_builder_batch_column(b, coefficient),
                         .in = in.matrix,
                         .out = out.matrix};
}

void kti_append_segment_spread(kti_builder *b, kti_view base, const kt_real *coefficient,
                               const int32_t *segment, kti_view in, kti_view out)
{
    kti_append(b, KTI_OP_SEGMENT_SPREAD)->arguments.segment_spread =
        (kt_segment_spread){.rows = b->count[out.rows],
                            .channels = out.columns,
                            .segment = kti_builder_batch_index(b, segment),
                            .coefficient = kti_builder_batch_column(b, coefficient),
                            .in = in.matrix,
                            .base = base.matrix,
                            .out = out.matrix};
}

void kti_append_add(kti_builder *b, kti_view left, kti_view right, kti_view out)
{
    kti_append(b, KTI_OP_ADD)->arguments.add =
        (kt_add){b->count[out.rows], out.columns, left.matrix, right.matrix, out.matrix};
}
