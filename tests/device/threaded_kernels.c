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

/* Every kernel, and the type of its argument. */
#define EACH_KERNEL(DO)                                                                                      \
    DO(gaussian_expansion, kt_gaussian_expansion)                                                            \
    DO(embedding, kt_embedding)                                                                              \
    DO(embedding_gradient, kt_embedding_gradient)                                                            \
    DO(linear_forward, kt_linear_forward)                                                                    \
    DO(linear_backward, kt_linear_backward)                                                                  \
    DO(segment_sum, kt_segment_sum)                                                                          \
    DO(segment_spread, kt_segment_spread)                                                                    \
    DO(add, kt_add)                                                                                          \
    DO(lstm_forward, kt_lstm_forward)                                                                        \
    DO(lstm_backward, kt_lstm_backward)                                                                      \
    DO(lstm_bias_gradient, kt_lstm_bias_gradient)                                                            \
    DO(attention_forward, kt_attention_forward)                                                              \
    DO(attention_backward, kt_attention_backward)                                                            \
    DO(mape_loss, kt_mape_loss)                                                                              \
    DO(log_loss, kt_log_loss)                                                                                \
    DO(gradient_norm_partial, kt_gradient_norm)                                                              \
    DO(gradient_norm, kt_gradient_norm)                                                                      \
    DO(weight_decay, kt_weight_decay)                                                                        \
    DO(adam, kt_adam)                                                                                        \
    DO(weight_average, kt_weight_average)

EACH_KERNEL(THREADS_START)

const threads_twin threaded_kernels[] = {EACH_KERNEL(THREADS_TWIN){NULL, NULL, 0}};

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
    threads_launch shifted = *launch;
    shifted.first_fold = first_fold;
    launch = &shifted;
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
