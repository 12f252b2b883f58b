/* MEGNet and the head, forward and backward, written as operations (docs/method.md, sections 3 to 5).
 *
 * The gradient of every layer is hand-derived: the kernels' files have the formulas, section 4 has them together. This file
 * puts the parts in their order; each of them stands in its own file, its backward beside its forward: input (the batch and the
 * encoders), block, set2set, optimiser, and mlp, of which most are made; builder has the memory and the operations.
 */
#ifndef KTI_TRAIN_NETWORK_H
#define KTI_TRAIN_NETWORK_H

#include <kappatune/train.h>

#include "data/batch.h"
#include "device/operation.h"
#include "train/kept.h"
#include "train/parameters.h"

typedef enum kti_target {
    KTI_TARGET_KAPPA, /* standardised log10(kappa + 1), by the head */
    KTI_TARGET_EFORM  /* formation energy before its normaliser, by the body's own last layer */
} kti_target;

/* Intermediate results, for tests and read-outs: device memory, valid after a run. */
typedef struct kti_plan_views {
    kt_matrix edge_encoder, node_encoder, state_encoder;             /* [rows, 32] */
    kt_matrix edge[KTI_BLOCKS], node[KTI_BLOCKS], state[KTI_BLOCKS]; /* block outputs [rows, 32] */
    kt_matrix set2set_node, set2set_edge;                            /* [G, 64] */
    kt_matrix readout;                                               /* [G, 16] */
    kt_matrix prediction;                                            /* [G, 1] */
} kti_plan_views;

/* Adam's decay rates; the host needs them for the bias corrections. */
#define KTI_ADAM_BETA1 0.9
#define KTI_ADAM_BETA2 0.999

typedef struct kti_network_request {
    const kti_parameters *parameters;
    kti_capacity capacity;
    const kti_kept *kept; /* not NULL: the list begins by picking the batch from them */
    kti_target output;
    /* Not NULL: add loss, backward, gradient norm and the optimiser (KTI_TARGET_KAPPA only), as `loss`, `freeze`,
     * `body_rate`, `weight_decay`, `clip_norm` and `weight_average` say; the parameters must have what they need. */
    const kt_train_options *training;
    bool fuses;      /* the device fuses: few operations are worth more memory */
    bool chains;     /* fuses, and operations on the same rows are one */
    void *workspace; /* device memory of workspace_bytes, zeroed; NULL to learn how many */
    /* Bytes from one fold's workspace to the next one's; 0: folds take turns in one. */
    size_t fold_bytes;
} kti_network_request;

typedef struct kti_network {
    kti_operation *list; /* owned */
    int size;
    int forward_size;  /* list[0 .. forward_size) gives the prediction */
    int backward_size; /* list[0 .. backward_size) gives loss, gradient and its norm; the optimiser follows */
    size_t workspace_bytes; /* of one fold */
    kti_plan_views views;
    /* The first fold's: the packed batch, laid out by kti_batch_layout, and right behind it the step, so that one copy brings
     * both, or the batch's end and the step. */
    void *batch_block;
    kt_real *step, *result; /* [KT_STEP_VALUES], [KT_RESULT_VALUES] */
    kt_real *gradient;      /* [layout.size]; NULL unless training */
} kti_network;

kt_status kti_network_build(const kti_network_request *request, kti_network *network, kt_error *error);
void kti_network_destroy(kti_network *network);

#endif
