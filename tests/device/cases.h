/* The cases of every operation: ragged shapes, each with the float64 twin's answer.
 *
 * cases_<operation> builds one fixture after another and hands it to `visit`, which may run it as often as it
 * likes.
 */
#ifndef KTI_TESTS_DEVICE_CASES_H
#define KTI_TESTS_DEVICE_CASES_H

#include "device/fixture.h"

typedef void case_visitor(fixture *f);

void cases_gaussian_expansion(case_visitor *visit);
void cases_embedding(case_visitor *visit);
void cases_embedding_gradient(case_visitor *visit);
void cases_linear_forward(case_visitor *visit);
void cases_linear_backward(case_visitor *visit);
void cases_layer_forward(case_visitor *visit);
void cases_layer_group(case_visitor *visit);
void cases_layer_backward(case_visitor *visit);
void cases_gemm_group(case_visitor *visit);
void cases_chain(case_visitor *visit);
void cases_segment_sum(case_visitor *visit);
void cases_segment_spread(case_visitor *visit);
void cases_add(case_visitor *visit);
void cases_lstm_forward(case_visitor *visit);
void cases_lstm_backward(case_visitor *visit);
void cases_lstm_bias_gradient(case_visitor *visit);
void cases_attention_forward(case_visitor *visit);
void cases_attention_backward(case_visitor *visit);
void cases_mape_loss(case_visitor *visit);
void cases_log_loss(case_visitor *visit);
void cases_gradient_norm(case_visitor *visit);
void cases_weight_decay(case_visitor *visit);
void cases_adam(case_visitor *visit);
void cases_weight_average(case_visitor *visit);
void cases_gemm(case_visitor *visit);

/* rows and channels of the row-wise kernels */
typedef struct case_shape {
    int rows, channels;
} case_shape;

enum { CASE_SHAPES = 10 };
extern const case_shape case_shapes[CASE_SHAPES];

#endif
