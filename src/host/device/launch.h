/* Which kernels make an operation. */
#ifndef KTI_DEVICE_LAUNCH_H
#define KTI_DEVICE_LAUNCH_H

#include "device/operation.h"
#include "kernels/launch.h"

enum { KTI_KERNELS_MOST = 2 };

/* Fills kernels in the order in which they run; returns their number. All take &operation->arguments. */
static inline int kti_operation_kernels(const kti_operation *operation,
                                        kt_kernel_id kernels[KTI_KERNELS_MOST])
{
    kernels[0] = kernels[1] = KT_KERNEL_IDS;
    switch (operation->kind) {
    case KTI_OP_GEMM: kernels[0] = kt_gemm_kernel(&operation->arguments.gemm); return 1;
    case KTI_OP_PICK: kernels[0] = KT_ID_pick; return 1;
    case KTI_OP_GAUSSIAN_EXPANSION: kernels[0] = KT_ID_gaussian_expansion; return 1;
    case KTI_OP_EMBEDDING: kernels[0] = KT_ID_embedding; return 1;
    case KTI_OP_EMBEDDING_GRADIENT: kernels[0] = KT_ID_embedding_gradient; return 1;
    case KTI_OP_LINEAR_FORWARD: kernels[0] = KT_ID_linear_forward; return 1;
    case KTI_OP_LINEAR_BACKWARD: kernels[0] = KT_ID_linear_backward; return 1;
    case KTI_OP_SEGMENT_SUM: kernels[0] = KT_ID_segment_sum; return 1;
    case KTI_OP_SEGMENT_SPREAD: kernels[0] = KT_ID_segment_spread; return 1;
    case KTI_OP_ADD: kernels[0] = KT_ID_add; return 1;
    case KTI_OP_LSTM_FORWARD: kernels[0] = KT_ID_lstm_forward; return 1;
    case KTI_OP_LSTM_BACKWARD: kernels[0] = KT_ID_lstm_backward; return 1;
    case KTI_OP_LSTM_BIAS_GRADIENT: kernels[0] = KT_ID_lstm_bias_gradient; return 1;
    case KTI_OP_ATTENTION_FORWARD: kernels[0] = KT_ID_attention_forward; return 1;
    case KTI_OP_ATTENTION_BACKWARD: kernels[0] = KT_ID_attention_backward; return 1;
    case KTI_OP_MAPE_LOSS: kernels[0] = KT_ID_mape_loss; return 1;
    case KTI_OP_LOG_LOSS: kernels[0] = KT_ID_log_loss; return 1;
    case KTI_OP_ALL_REDUCE: return 0;
    case KTI_OP_GRADIENT_NORM:
        kernels[0] = KT_ID_gradient_norm_partial;
        kernels[1] = KT_ID_gradient_norm;
        return 2;
    case KTI_OP_WEIGHT_DECAY: kernels[0] = KT_ID_weight_decay; return 1;
    case KTI_OP_ADAM: kernels[0] = KT_ID_adam; return 1;
    case KTI_OP_WEIGHT_AVERAGE: kernels[0] = KT_ID_weight_average; return 1;
    case KTI_OP_KINDS: break;
    }
    return 0;
}

/* The rows that size an operation's launch; NULL where the batch has no part in it. */
static inline kt_count *kti_operation_rows(kti_operation *operation)
{
    switch (operation->kind) {
    case KTI_OP_GEMM: return &operation->arguments.gemm.rows;
    case KTI_OP_PICK: return &operation->arguments.pick.graphs;
    case KTI_OP_GAUSSIAN_EXPANSION: return &operation->arguments.gaussian_expansion.rows;
    case KTI_OP_EMBEDDING: return &operation->arguments.embedding.rows;
    case KTI_OP_LINEAR_FORWARD: return &operation->arguments.linear_forward.rows;
    case KTI_OP_LINEAR_BACKWARD: return &operation->arguments.linear_backward.rows;
    case KTI_OP_SEGMENT_SUM: return &operation->arguments.segment_sum.segments;
    case KTI_OP_SEGMENT_SPREAD: return &operation->arguments.segment_spread.rows;
    case KTI_OP_ADD: return &operation->arguments.add.rows;
    case KTI_OP_LSTM_FORWARD: return &operation->arguments.lstm_forward.graphs;
    case KTI_OP_LSTM_BACKWARD: return &operation->arguments.lstm_backward.graphs;
    case KTI_OP_LSTM_BIAS_GRADIENT: return &operation->arguments.lstm_bias_gradient.graphs;
    case KTI_OP_ATTENTION_FORWARD: return &operation->arguments.attention_forward.graphs;
    case KTI_OP_ATTENTION_BACKWARD: return &operation->arguments.attention_backward.graphs;
    case KTI_OP_MAPE_LOSS: return &operation->arguments.mape_loss.graphs;
    case KTI_OP_LOG_LOSS: return &operation->arguments.log_loss.graphs;
    case KTI_OP_EMBEDDING_GRADIENT:
    case KTI_OP_ALL_REDUCE:
    case KTI_OP_GRADIENT_NORM:
    case KTI_OP_WEIGHT_DECAY:
    case KTI_OP_ADAM:
    case KTI_OP_WEIGHT_AVERAGE:
    case KTI_OP_KINDS: break;
    }
    return NULL;
}

#endif
