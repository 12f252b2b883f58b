/* All kernels as C, one thread a block, for one instruction set (KTI_BACKEND names it). */
#include "device/cpu_backend.h"

#include "device/cpu_gemm.h"

#include "kernels/adam.cu"
#include "kernels/add.cu"
#include "kernels/attention.cu"
#include "kernels/embedding.cu"
#include "kernels/gaussian_expansion.cu"
#include "kernels/linear.cu"
#include "kernels/log_loss.cu"
#include "kernels/lstm.cu"
#include "kernels/mape_loss.cu"
#include "kernels/pick.cu"
#include "kernels/segment.cu"
#include "kernels/weights.cu"

static int round_up(int columns)
{
    return (columns + LANES - 1) / LANES * LANES;
}

static void gemm(const kt_gemm *g, int fold, kt_real *scratch)
{
    const int rows = kt_number(g->rows, fold);
    const kt_real *a = kt_rows(g->a, fold), *b = kt_rows(g->b, fold);
    kt_real *c = kt_rows(g->c, fold);
    if (rows == 0 && g->product != KT_WEIGHT_GRADIENT)
        return;
    switch (g->product) {
    case KT_FORWARD:
        if (round_up(g->n) * round_up(g->k) > PACK_LIMIT) {
            product_by_dots(rows, g->n, round_up(g->k), a, g->a.stride, b, g->b.stride, c, g->c.stride,
                            g->accumulate);
        } else {
            transpose(g->n, g->k, b, g->b.stride, scratch);
            product(rows, round_up(g->n), g->k, a, g->a.stride, 1, scratch, round_up(g->n), c, g->c.stride,
                    g->accumulate);
        }
        break;
    case KT_INPUT_GRADIENT:
        product(rows, round_up(g->n), g->k, a, g->a.stride, 1, b, g->b.stride, c, g->c.stride, g->accumulate);
        break;
    case KT_WEIGHT_GRADIENT:
        product(g->m, round_up(g->n), rows, a, 1, g->a.stride, b, g->b.stride, c, g->c.stride, g->accumulate);
        break;
    }
}

static void layer(const kt_layer_forward *a, int fold, kt_real *scratch)
{
    gemm(&a->product, fold, scratch);
    linear_forward((kt_dim3){0, 0, fold}, a->rest);
}

/* What follows a product is a linear layer's backward, whose other result goes nowhere or to where it was. */
static void layer_back(const kt_layer_backward *a, int fold, kt_real *scratch)
{
    const kt_gemm *p = &a->product;
    const kt_dim3 block = {0, 0, fold};
    gemm(p, fold, scratch);
    if (a->out.data)
        linear_backward(block, (kt_linear_backward){.rows = p->rows,
                                                    .channels = p->n,
                                                    .out = a->out,
                                                    .gradient = p->c,
                                                    .product_gradient = a->product_gradient,
                                                    .bias_gradient = {scratch, 0, 0},
                                                    .activation = a->activation});
    if (a->bias_gradient.data)
        linear_backward(block, (kt_linear_backward){.rows = p->rows,
                                                    .channels = p->m,
                                                    .out = p->a,
                                                    .gradient = p->a,
                                                    .product_gradient = p->a,
                                                    .bias_gradient = a->bias_gradient,
                                                    .activation = KT_LINEAR});
}

static void link(const kt_link *l, int fold, kt_real *scratch)
{
    const kt_dim3 block = {0, 0, fold};
    switch (l->kind) {
    case KT_LINK_LAYER_FORWARD: layer(&l->of.layer_forward, fold, scratch); break;
    case KT_LINK_LAYER_BACKWARD: layer_back(&l->of.layer_backward, fold, scratch); break;
    case KT_LINK_LINEAR_BACKWARD: linear_backward(block, l->of.linear_backward); break;
    case KT_LINK_SEGMENT_SUM: segment_sum(block, l->of.segment_sum); break;
    case KT_LINK_SEGMENT_SPREAD: segment_spread(block, l->of.segment_spread); break;
    case KT_LINK_ADD: add(block, l->of.add); break;
    case KT_LINK_LSTM_FORWARD: lstm_forward(block, l->of.lstm_forward); break;
    case KT_LINK_LSTM_BACKWARD: lstm_backward(block, l->of.lstm_backward); break;
    case KT_LINK_ATTENTION_FORWARD: attention_forward(block, l->of.attention_forward); break;
    case KT_LINK_ATTENTION_BACKWARD: attention_backward(block, l->of.attention_backward); break;
    }
}

static void run(const kti_operation *operation, int fold, kt_real *scratch)
{
    const kt_dim3 block = {0, 0, fold};
    switch (operation->kind) {
    case KTI_OP_GEMM: gemm(&operation->arguments.gemm, fold, scratch); break;
    case KTI_OP_PICK: pick(block, operation->arguments.pick); break;
    case KTI_OP_PICK_TYPES: pick_types(block, operation->arguments.pick); break;
    case KTI_OP_GAUSSIAN_EXPANSION: gaussian_expansion(block, operation->arguments.gaussian_expansion); break;
    case KTI_OP_EMBEDDING: embedding(block, operation->arguments.embedding); break;
    case KTI_OP_EMBEDDING_GRADIENT: embedding_gradient(block, operation->arguments.embedding_gradient); break;
    case KTI_OP_LINEAR_FORWARD: linear_forward(block, operation->arguments.linear_forward); break;
    case KTI_OP_LINEAR_BACKWARD: linear_backward(block, operation->arguments.linear_backward); break;
    case KTI_OP_LAYER_FORWARD: layer(&operation->arguments.layer_forward, fold, scratch); break;
    case KTI_OP_LAYER_GROUP:
        for (int i = 0; i < operation->arguments.layer_group.size; i++)
            layer(&operation->arguments.layer_group.layer[i], fold, scratch);
        break;
    case KTI_OP_LAYER_BACKWARD: layer_back(&operation->arguments.layer_backward, fold, scratch); break;
    case KTI_OP_GEMM_GROUP:
        for (int i = 0; i < operation->arguments.gemm_group.size; i++)
            layer_back(&operation->arguments.gemm_group.part[i], fold, scratch);
        break;
    case KTI_OP_CHAIN:
        for (int i = 0; i < operation->arguments.chain.size; i++)
            link(&operation->arguments.chain.link[i], fold, scratch);
        break;
    case KTI_OP_SEGMENT_SUM: segment_sum(block, operation->arguments.segment_sum); break;
    case KTI_OP_SEGMENT_SPREAD: segment_spread(block, operation->arguments.segment_spread); break;
    case KTI_OP_ADD: add(block, operation->arguments.add); break;
    case KTI_OP_LSTM_FORWARD: lstm_forward(block, operation->arguments.lstm_forward); break;
    case KTI_OP_LSTM_BACKWARD: lstm_backward(block, operation->arguments.lstm_backward); break;
    case KTI_OP_LSTM_BIAS_GRADIENT: lstm_bias_gradient(block, operation->arguments.lstm_bias_gradient); break;
    case KTI_OP_ATTENTION_FORWARD: attention_forward(block, operation->arguments.attention_forward); break;
    case KTI_OP_ATTENTION_BACKWARD: attention_backward(block, operation->arguments.attention_backward); break;
    case KTI_OP_MAPE_LOSS: mape_loss(block, operation->arguments.mape_loss); break;
    case KTI_OP_LOG_LOSS: log_loss(block, operation->arguments.log_loss); break;
    case KTI_OP_ALL_REDUCE: break; /* the CPU is one device */
    case KTI_OP_GRADIENT_NORM:
        gradient_norm_partial(block, operation->arguments.gradient_norm);
        gradient_norm(block, operation->arguments.gradient_norm);
        break;
    case KTI_OP_WEIGHT_DECAY: weight_decay(block, operation->arguments.weight_decay); break;
    case KTI_OP_ADAM: adam(block, operation->arguments.adam); break;
    case KTI_OP_WEIGHT_AVERAGE: weight_average(block, operation->arguments.weight_average); break;
    case KTI_OP_KINDS: break;
    }
}

#define BACKEND_SYMBOL(name) BACKEND_PASTE(kti_cpu_backend_, name)
#define BACKEND_PASTE(prefix, name) prefix##name
#define BACKEND_TEXT(name) BACKEND_QUOTE(name)
#define BACKEND_QUOTE(name) #name

const kti_cpu_backend BACKEND_SYMBOL(KTI_BACKEND) = {BACKEND_TEXT(KTI_BACKEND), run};
