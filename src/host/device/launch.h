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
    case KTI_OP_PICK_TYPES: kernels[0] = KT_ID_pick_types; return 1;
    case KTI_OP_GAUSSIAN_EXPANSION: kernels[0] = KT_ID_gaussian_expansion; return 1;
    case KTI_OP_EMBEDDING: kernels[0] = KT_ID_embedding; return 1;
    case KTI_OP_EMBEDDING_GRADIENT: kernels[0] = KT_ID_embedding_gradient; return 1;
    case KTI_OP_LINEAR_FORWARD: kernels[0] = KT_ID_linear_forward; return 1;
    case KTI_OP_LINEAR_BACKWARD: kernels[0] = KT_ID_linear_backward; return 1;
    case KTI_OP_LAYER_FORWARD: kernels[0] = kt_layer_kernel(&operation->arguments.layer_forward); return 1;
    case KTI_OP_LAYER_GROUP: kernels[0] = KT_ID_layer_group; return 1;
    case KTI_OP_LAYER_BACKWARD:
        kernels[0] = kt_layer_back_kernel(&operation->arguments.layer_backward);
        return 1;
    case KTI_OP_GEMM_GROUP: kernels[0] = kt_group_kernel(&operation->arguments.gemm_group); return 1;
    case KTI_OP_CHAIN: kernels[0] = kt_chain_kernel(&operation->arguments.chain); return 1;
    case KTI_OP_SEGMENT_SUM: kernels[0] = kt_segment_kernel(&operation->arguments.segment_sum); return 1;
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

static inline void kti_fit_rows(kt_count *rows, const int32_t limit[KT_ROW_KINDS])
{
    if (limit[rows->kind] < rows->most)
        rows->most = limit[rows->kind];
}

/* Lets the operation's launches be sized for a batch of at most so many rows. */
static inline void kti_operation_fit(kti_operation *operation, const int32_t limit[KT_ROW_KINDS])
{
    switch (operation->kind) {
    case KTI_OP_GEMM: kti_fit_rows(&operation->arguments.gemm.rows, limit); break;
    case KTI_OP_PICK:
    case KTI_OP_PICK_TYPES: kti_fit_rows(&operation->arguments.pick.graphs, limit); break;
    case KTI_OP_GAUSSIAN_EXPANSION: kti_fit_rows(&operation->arguments.gaussian_expansion.rows, limit); break;
    case KTI_OP_EMBEDDING: kti_fit_rows(&operation->arguments.embedding.rows, limit); break;
    case KTI_OP_LINEAR_FORWARD: kti_fit_rows(&operation->arguments.linear_forward.rows, limit); break;
    case KTI_OP_LINEAR_BACKWARD: kti_fit_rows(&operation->arguments.linear_backward.rows, limit); break;
    case KTI_OP_LAYER_FORWARD:
        kti_fit_rows(&operation->arguments.layer_forward.product.rows, limit);
        kti_fit_rows(&operation->arguments.layer_forward.rest.rows, limit);
        break;
    case KTI_OP_LAYER_GROUP:
        for (int i = 0; i < operation->arguments.layer_group.size; i++) {
            kti_fit_rows(&operation->arguments.layer_group.layer[i].product.rows, limit);
            kti_fit_rows(&operation->arguments.layer_group.layer[i].rest.rows, limit);
        }
        break;
    case KTI_OP_LAYER_BACKWARD: kti_fit_rows(&operation->arguments.layer_backward.product.rows, limit); break;
    case KTI_OP_GEMM_GROUP:
        for (int i = 0; i < operation->arguments.gemm_group.size; i++)
            kti_fit_rows(&operation->arguments.gemm_group.part[i].product.rows, limit);
        break;
    case KTI_OP_CHAIN: kti_fit_rows(&operation->arguments.chain.rows, limit); break;
    case KTI_OP_SEGMENT_SUM: kti_fit_rows(&operation->arguments.segment_sum.segments, limit); break;
    case KTI_OP_SEGMENT_SPREAD: kti_fit_rows(&operation->arguments.segment_spread.rows, limit); break;
    case KTI_OP_ADD: kti_fit_rows(&operation->arguments.add.rows, limit); break;
    case KTI_OP_LSTM_FORWARD: kti_fit_rows(&operation->arguments.lstm_forward.graphs, limit); break;
    case KTI_OP_LSTM_BACKWARD: kti_fit_rows(&operation->arguments.lstm_backward.graphs, limit); break;
    case KTI_OP_LSTM_BIAS_GRADIENT:
        kti_fit_rows(&operation->arguments.lstm_bias_gradient.graphs, limit);
        break;
    case KTI_OP_ATTENTION_FORWARD: kti_fit_rows(&operation->arguments.attention_forward.graphs, limit); break;
    case KTI_OP_ATTENTION_BACKWARD:
        kti_fit_rows(&operation->arguments.attention_backward.graphs, limit);
        break;
    case KTI_OP_MAPE_LOSS: kti_fit_rows(&operation->arguments.mape_loss.graphs, limit); break;
    case KTI_OP_LOG_LOSS: kti_fit_rows(&operation->arguments.log_loss.graphs, limit); break;
    case KTI_OP_EMBEDDING_GRADIENT:
    case KTI_OP_ALL_REDUCE:
    case KTI_OP_GRADIENT_NORM:
    case KTI_OP_WEIGHT_DECAY:
    case KTI_OP_ADAM:
    case KTI_OP_WEIGHT_AVERAGE:
    case KTI_OP_KINDS: break;
    }
}

#endif
