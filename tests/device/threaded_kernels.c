#include "device/threaded_kernels.h"

#include <stdlib.h>

#include "kernels/adam.cu"
#include "kernels/add.cu"
#include "kernels/attention.cu"
#include "kernels/embedding.cu"
#include "kernels/gaussian_expansion.cu"
#include "kernels/linear.cu"
#include "kernels/log_loss.cu"
#include "kernels/lstm.cu"
#include "kernels/mape_loss.cu"
#include "kernels/segment.cu"
#include "kernels/weights.cu"

static int starting_fold;

#define KERNEL(name, type)                                                                                   \
    static void start_##name(const void *arguments)                                                          \
    {                                                                                                        \
        name(*(const type *)arguments, starting_fold);                                                       \
    }

KERNEL(gaussian_expansion, kt_gaussian_expansion)
KERNEL(embedding, kt_embedding)
KERNEL(embedding_gradient, kt_embedding_gradient)
KERNEL(linear_forward, kt_linear_forward)
KERNEL(linear_backward, kt_linear_backward)
KERNEL(segment_sum, kt_segment_sum)
KERNEL(segment_spread, kt_segment_spread)
KERNEL(add, kt_add)
KERNEL(lstm_forward, kt_lstm_forward)
KERNEL(lstm_backward, kt_lstm_backward)
KERNEL(lstm_bias_gradient, kt_lstm_bias_gradient)
KERNEL(attention_forward, kt_attention_forward)
KERNEL(attention_backward, kt_attention_backward)
KERNEL(mape_loss, kt_mape_loss)
KERNEL(log_loss, kt_log_loss)
KERNEL(gradient_norm_partial, kt_gradient_norm)
KERNEL(gradient_norm, kt_gradient_norm)
KERNEL(weight_decay, kt_weight_decay)
KERNEL(adam, kt_adam)
KERNEL(weight_average, kt_weight_average)

launch_rule threaded_rule(kti_operation_kind kind)
{
    switch (kind) {
    case KTI_OP_LINEAR_BACKWARD:
    case KTI_OP_LSTM_BIAS_GRADIENT: return ONE_BLOCK_A_FOLD;
    case KTI_OP_ATTENTION_FORWARD:
    case KTI_OP_ATTENTION_BACKWARD:
    case KTI_OP_WEIGHT_DECAY:
    case KTI_OP_ADAM:
    case KTI_OP_WEIGHT_AVERAGE: return ONE_LINE;
    default: return ANY_SHAPE;
    }
}

int threaded_run(const kti_operation *operation, int first_fold, const threads_launch *launch)
{
    starting_fold = first_fold;
    const void *a = &operation->arguments;
    switch (operation->kind) {
    case KTI_OP_GAUSSIAN_EXPANSION: return threads_run(start_gaussian_expansion, a, launch);
    case KTI_OP_EMBEDDING: return threads_run(start_embedding, a, launch);
    case KTI_OP_EMBEDDING_GRADIENT: return threads_run(start_embedding_gradient, a, launch);
    case KTI_OP_LINEAR_FORWARD: return threads_run(start_linear_forward, a, launch);
    case KTI_OP_LINEAR_BACKWARD: return threads_run(start_linear_backward, a, launch);
    case KTI_OP_SEGMENT_SUM: return threads_run(start_segment_sum, a, launch);
    case KTI_OP_SEGMENT_SPREAD: return threads_run(start_segment_spread, a, launch);
    case KTI_OP_ADD: return threads_run(start_add, a, launch);
    case KTI_OP_LSTM_FORWARD: return threads_run(start_lstm_forward, a, launch);
    case KTI_OP_LSTM_BACKWARD: return threads_run(start_lstm_backward, a, launch);
    case KTI_OP_LSTM_BIAS_GRADIENT: return threads_run(start_lstm_bias_gradient, a, launch);
    case KTI_OP_ATTENTION_FORWARD: return threads_run(start_attention_forward, a, launch);
    case KTI_OP_ATTENTION_BACKWARD: return threads_run(start_attention_backward, a, launch);
    case KTI_OP_MAPE_LOSS: return threads_run(start_mape_loss, a, launch);
    case KTI_OP_LOG_LOSS: return threads_run(start_log_loss, a, launch);
    case KTI_OP_GRADIENT_NORM:
        if (threads_run(start_gradient_norm_partial, a, launch) != 0)
            return -1;
        return threads_run(start_gradient_norm, a, launch);
    case KTI_OP_WEIGHT_DECAY: return threads_run(start_weight_decay, a, launch);
    case KTI_OP_ADAM: return threads_run(start_adam, a, launch);
    case KTI_OP_WEIGHT_AVERAGE: return threads_run(start_weight_average, a, launch);
    case KTI_OP_GEMM:
    case KTI_OP_KINDS: break;
    }
    abort();
}
