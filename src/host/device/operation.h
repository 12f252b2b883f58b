/* One step of a plan: a kernel or a matrix product, with its arguments.
 *
 * A device runs a list of operations for a range of folds, in order. Pointers
 * are the device's; a matrix's fold stride is zero where folds share memory
 * (a CPU lane works on one fold at a time and reuses its workspace).
 */
#ifndef KTI_DEVICE_OPERATION_H
#define KTI_DEVICE_OPERATION_H

#include <stdbool.h>

#include "kernels/arguments.h"

typedef enum kti_operation_kind {
    KTI_OP_GEMM,
    KTI_OP_PICK,
    KTI_OP_PICK_TYPES, /* of the same arguments */
    KTI_OP_GAUSSIAN_EXPANSION,
    KTI_OP_EMBEDDING,
    KTI_OP_EMBEDDING_GRADIENT,
    KTI_OP_LINEAR_FORWARD,
    KTI_OP_LINEAR_BACKWARD,
    KTI_OP_LAYER_FORWARD,
    KTI_OP_LAYER_GROUP,
    KTI_OP_LAYER_BACKWARD,
    KTI_OP_GEMM_GROUP,
    KTI_OP_CHAIN,
    KTI_OP_SEGMENT_SUM,
    KTI_OP_SEGMENT_SPREAD,
    KTI_OP_ADD,
    KTI_OP_LSTM_FORWARD,
    KTI_OP_LSTM_BACKWARD,
    KTI_OP_LSTM_BIAS_GRADIENT,
    KTI_OP_ATTENTION_FORWARD,
    KTI_OP_ATTENTION_BACKWARD,
    KTI_OP_MAPE_LOSS,
    KTI_OP_LOG_LOSS,
    KTI_OP_ALL_REDUCE,
    KTI_OP_GRADIENT_NORM,
    KTI_OP_WEIGHT_DECAY,
    KTI_OP_ADAM,
    KTI_OP_WEIGHT_AVERAGE,
    KTI_OP_KINDS
} kti_operation_kind;

/* The part of the model that an operation works for, for the benchmark's table. */
typedef enum kti_family {
    KTI_FAMILY_INPUT, /* the batch, Gaussian expansion, embedding, encoders */
    KTI_FAMILY_EDGE,  /* edge updates and their dense layers */
    KTI_FAMILY_NODE,
    KTI_FAMILY_STATE,
    KTI_FAMILY_SET2SET,
    KTI_FAMILY_READOUT,
    KTI_FAMILY_HEAD,
    KTI_FAMILY_LOSS,
    KTI_FAMILY_OPTIMISER,
    KTI_FAMILIES
} kti_family;

/* Sums a step's loss and gradient over the devices that share a fold, each of which has then the same bits. No kernel: the
 * devices must have been connected. */
typedef struct kti_all_reduce {
    int64_t size;
    kt_matrix gradient; /* [1, size] */
    kt_matrix result;   /* [1, KT_RESULT_VALUES] of which the loss is summed */
} kti_all_reduce;

enum { KTI_WAITS_MOST = 16 };

typedef struct kti_operation {
    kti_operation_kind kind;
    kti_family family;
    /* Which operations of the list it waits for, counted from itself backwards, those that these wait for left out. Nothing is
     * known of `waits` 0, which is for all before it. */
    int waits, back[KTI_WAITS_MOST];
    union {
        kt_gemm gemm;
        kt_pick pick;
        kt_gaussian_expansion gaussian_expansion;
        kt_embedding embedding;
        kt_embedding_gradient embedding_gradient;
        kt_linear_forward linear_forward;
        kt_linear_backward linear_backward;
        kt_layer_forward layer_forward;
        kt_layer_group layer_group;
        kt_layer_backward layer_backward;
        kt_gemm_group gemm_group;
        kt_chain chain;
        kt_segment_sum segment_sum;
        kt_segment_spread segment_spread;
        kt_add add;
        kt_lstm_forward lstm_forward;
        kt_lstm_backward lstm_backward;
        kt_lstm_bias_gradient lstm_bias_gradient;
        kt_attention_forward attention_forward;
        kt_attention_backward attention_backward;
        kt_mape_loss mape_loss;
        kt_log_loss log_loss;
        kti_all_reduce all_reduce;
        kt_gradient_norm gradient_norm;
        kt_weight_decay weight_decay;
        kt_adam adam;
        kt_weight_average weight_average;
    } arguments;
} kti_operation;

/* "edge", "node", ... for tables. */
const char *kti_family_name(kti_family family);

#endif
