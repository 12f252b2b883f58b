/* Builds a network's list of operations: its memory, views of it, and one function for each operation to append.
 *
 * A network is built twice, by the same code: without a workspace, when all data pointers are NULL and the pieces are
 * only added up, and with one. Views are passed by value and own nothing; the workspace is the caller's. Running out of
 * memory is remembered in `failed`, so that only the end of a build has to look.
 */
#ifndef KTI_TRAIN_BUILDER_H
#define KTI_TRAIN_BUILDER_H

#include "data/batch.h"
#include "train/fuse.h"
#include "train/network.h"

/* A matrix of the workspace with a row for each edge, node or graph, or a slice of its columns. */
typedef struct kti_view {
    kt_matrix matrix;
    kt_row_kind rows;
    int columns;
} kti_view;

/* What the network knows of edges [E, 32], nodes [N, 32] and graphs [G, 32], or the gradients with respect to it. */
typedef struct kti_features {
    kti_view edge, node, state;
} kti_features;

typedef struct kti_builder {
    const kti_network_request *request;
    kti_network *network;
    size_t capacity; /* of network->list */
    int failed;
    kti_family family; /* of the operations that are appended next */
    size_t used;       /* bytes of the workspace */
    kti_pieces pieces; /* of the workspace */
    kti_batch batch;
    kt_count count[KT_ROW_KINDS];
    int row_capacity[KT_ROW_KINDS];
    /* Gradients between the layers of a perceptron; two of each kind take turns, unless the device fuses. */
    kti_view scratch[KT_ROW_KINDS][2];
} kti_builder;

/* Begins the list of a zeroed network: places the batch, the step's numbers, its result and, to train, the gradient in the workspace. */
void kti_builder_begin(kti_builder *b, const kti_network_request *request, kti_network *network);

/* ---- memory and views ---- */

/* The next `bytes` of the workspace; NULL while they are only counted. */
void *kti_builder_take(kti_builder *b, size_t bytes);

/* A new matrix [rows of the kind, columns], its rows padded. */
kti_view kti_builder_matrix(kti_builder *b, kt_row_kind kind, int columns);

/* A new column [rows of the kind], one number a row, not padded. */
kti_view kti_builder_column(kti_builder *b, kt_row_kind kind);

/* Columns first .. first + columns of a view. */
kti_view kti_view_slice(kti_view whole, int first, int columns);

/* In numbers, from one fold's workspace to the next one's. */
int64_t kti_builder_fold_stride(const kti_builder *b);

/* Arrays of the batch, as kernels take them. */
kt_matrix kti_builder_batch_column(const kti_builder *b, const kt_real *data);
kt_index kti_builder_batch_index(const kti_builder *b, const int32_t *data);

/* The step's numbers [1, KT_STEP_VALUES] and its result [1, KT_RESULT_VALUES]. */
kt_matrix kti_builder_step(const kti_builder *b);
kt_matrix kti_builder_result(const kti_builder *b);

/* ---- parameters, by their index in the table of kti_spec ---- */

const kti_layout *kti_builder_layout(const kti_builder *b);

/* The parameter named prefix + name. */
int kti_builder_find(const char *prefix, const char *name);

/* Rows of a weight matrix. */
int kti_builder_out_features(int weight);

/* Parameter i from its column `first` on, of all folds. */
kt_matrix kti_builder_parameter(const kti_builder *b, int i, int first);

/* Where the gradient with respect to it goes. */
kt_matrix kti_builder_parameter_gradient(const kti_builder *b, int i, int first);

/* ---- operations ----
 *
 * `weight` is the index of a weight matrix W; its bias is the parameter after it. A layer may use the columns of W from
 * `first` on, as many as its input has. `accumulate`: the result is added to what is there. */

/* A new operation at the list's end, zero but for its kind and family; never NULL. */
kti_operation *kti_append(kti_builder *b, kti_operation_kind kind);

/* The product out (= or +=) in W[:, first ..]^T, not appended: what kti_append_layer takes. */
kt_gemm kti_layer_product(const kti_builder *b, kti_view in, int weight, int first, kti_view out,
                          int accumulate);

/* The same, appended. */
void kti_append_product(kti_builder *b, kti_view in, int weight, int first, kti_view out, int accumulate);

/* out = activation(product + bias); the caller may add up to KT_MAX_GATHERS gathers to the result. */
kt_linear_forward *kti_append_layer(kti_builder *b, kt_gemm product, kti_view out, int weight,
                                    kt_activation activation);

/* From the gradient with respect to a layer's output `out` to `pre_gradient`, that with respect to its pre-activation, and
 * the bias's. */
void kti_append_activation_backward(kti_builder *b, kti_view out, kti_view gradient, kti_view pre_gradient,
                                    int weight, kt_activation activation);

/* in_gradient (= or +=) pre_gradient W[:, first ..] */
void kti_append_input_gradient(kti_builder *b, kti_view pre_gradient, int weight, int first,
                               kti_view in_gradient, int accumulate);

/* The gradient with respect to W[:, first ..] = pre_gradient^T in */
void kti_append_weight_gradient(kti_builder *b, kti_view pre_gradient, kti_view in, int weight, int first);

/* out_s = the sum of coefficient_r in_r over the rows r of segment s; without `coefficient`, the plain sum. start: where
 * segments begin among the rows, or, where `order` is not NULL, in it, which lists the rows. */
void kti_append_segment_sum(kti_builder *b, kti_view in, const kt_real *coefficient, const int32_t *start,
                            const int32_t *order, kti_view out);

/* Its backward: out_r = base_r + coefficient_r in_s, s = segment[r]. */
void kti_append_segment_spread(kti_builder *b, kti_view base, const kt_real *coefficient,
                               const int32_t *segment, kti_view in, kti_view out);

/* out = left + right */
void kti_append_add(kti_builder *b, kti_view left, kti_view right, kti_view out);

#endif
