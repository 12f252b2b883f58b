/* All kernels as C, one thread a block, for one instruction set (KTI_BACKEND names it). */
#include "device/cpu_backend.h"

#include "device/cpu_gemm.h"

#define KERNEL_FILES
#include "kernels/operations.inc"

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

static void run_link(const kt_link *l, int fold, kt_real *scratch)
{
    const kt_dim3 block = {0, 0, fold};
    switch (l->kind) {
#define LINK_IF(condition) KT_KEEP
#define NO_LINK KT_DROP
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    link(case KT_LINK_##NAME                                                                                 \
         : {                                                                                                 \
             const type *a = &l->of.member;                                                                  \
             cpu;                                                                                            \
             break;                                                                                          \
         })
#include "kernels/operations.inc"
    }
}

static void run(const kti_operation *operation, int fold, kt_real *scratch)
{
    const kt_dim3 block = {0, 0, fold};
    switch (operation->kind) {
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &operation->arguments.member;                                                        \
        cpu;                                                                                                 \
        break;                                                                                               \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
}

#define BACKEND_SYMBOL(name) BACKEND_PASTE(kti_cpu_backend_, name)
#define BACKEND_PASTE(prefix, name) prefix##name
#define BACKEND_TEXT(name) BACKEND_QUOTE(name)
#define BACKEND_QUOTE(name) #name

const kti_cpu_backend BACKEND_SYMBOL(KTI_BACKEND) = {BACKEND_TEXT(KTI_BACKEND), run};
