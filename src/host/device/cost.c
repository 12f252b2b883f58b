#include "device/cost.h"

#include "device/launch.h"

enum { SOFTPLUS = 6, SOFTPLUS_BACK = 4, RELU = 1, SIGMOID = 4, TANH = 6 };

/* Numbers moved, not yet bytes. */
static kti_cost moved(double numbers, double flops)
{
    return (kti_cost){1, numbers * sizeof(kt_real), flops};
}

static double of(kt_count count, const double rows[KT_ROW_KINDS])
{
    return rows[count.kind];
}

static kti_cost gemm_cost(const kt_gemm *g, const double rows[KT_ROW_KINDS])
{
    const double r = of(g->rows, rows), n = g->n;
    if (g->product == KT_WEIGHT_GRADIENT)
        return moved(r * g->m + r * n + g->m * n * (1 + g->accumulate), 2 * r * g->m * n);
    return moved(r * g->k + n * g->k + r * n * (1 + g->accumulate), 2 * r * n * g->k);
}

static double activation_flops(kt_activation activation, int backward)
{
    switch (activation) {
    case KT_SOFTPLUS: return backward ? SOFTPLUS_BACK : SOFTPLUS;
    case KT_RELU: return RELU;
    case KT_LINEAR: break;
    }
    return 0;
}

/* `products` times the output is read before: 1 where the product is another launch's. */
static kti_cost linear_forward_cost(const kt_linear_forward *a, int products, const double rows[KT_ROW_KINDS])
{
    const double size = of(a->rows, rows) * a->channels, gathers = a->gathers;
    return moved((1 + products + gathers) * size + a->channels + gathers * of(a->rows, rows),
                 (1 + gathers + activation_flops(a->activation, 0)) * size);
}

static kti_cost plus(kti_cost left, kti_cost right)
{
    return (kti_cost){1, left.bytes + right.bytes, left.flops + right.flops};
}

static kti_cost layer_forward_cost(const kt_layer_forward *a, const double rows[KT_ROW_KINDS])
{
    kti_cost rest = linear_forward_cost(&a->rest, 0, rows);
    /* The output is written once. */
    rest.bytes -= of(a->rest.rows, rows) * a->rest.channels * sizeof(kt_real);
    return plus(gemm_cost(&a->product, rows), rest);
}

static kti_cost linear_backward_cost(const kt_linear_backward *a, const double rows[KT_ROW_KINDS])
{
    const double size = of(a->rows, rows) * a->channels;
    return moved(3 * size + a->channels, (1 + activation_flops(a->activation, 1)) * size);
}

static kti_cost layer_backward_cost(const kt_layer_backward *a, const double rows[KT_ROW_KINDS])
{
    const kt_gemm *p = &a->product;
    kti_cost cost = gemm_cost(p, rows);
    if (a->out.data) {
        const double size = of(p->rows, rows) * p->n, apart = a->product_gradient.data != p->c.data;
        cost = plus(cost, moved((1 + apart) * size, activation_flops(a->activation, 1) * size));
    }
    if (a->bias_gradient.data)
        cost = plus(cost, moved(p->m, of(p->rows, rows) * p->m));
    return cost;
}

static kti_cost layer_group_cost(const kt_layer_group *a, const double rows[KT_ROW_KINDS])
{
    kti_cost sum = {0, 0, 0};
    for (int i = 0; i < a->size; i++)
        sum = plus(sum, layer_forward_cost(&a->layer[i], rows));
    return sum;
}

static kti_cost gemm_group_cost(const kt_gemm_group *a, const double rows[KT_ROW_KINDS])
{
    kti_cost sum = {0, 0, 0};
    for (int i = 0; i < a->size; i++)
        sum = plus(sum, layer_backward_cost(&a->part[i], rows));
    return sum;
}

static kti_cost segment_sum_cost(const kt_segment_sum *a, const double rows[KT_ROW_KINDS])
{
    const double segments = of(a->segments, rows), entries = rows[a->entries];
    const int weighted = a->coefficient.data != NULL, ordered = a->order.data != NULL;
    return moved((entries + (1 + a->accumulate) * segments) * a->channels + segments +
                     (weighted + ordered) * entries,
                 (1 + weighted) * entries * a->channels);
}

static kti_cost lstm_forward_cost(const kt_lstm_forward *a, const double rows[KT_ROW_KINDS])
{
    /* Writes four gates, cell and hidden; reads the gates and the cell before. */
    const double size = of(a->graphs, rows) * a->channels, read = a->first ? 0 : 5;
    return moved((6 + read) * size + 8 * a->channels, (7 + 3 * SIGMOID + 2 * TANH + read + 1) * size);
}

static kti_cost lstm_backward_cost(const kt_lstm_backward *a, const double rows[KT_ROW_KINDS])
{
    const double size = of(a->graphs, rows) * a->channels;
    /* The four gates and the cell's gradient in and out, cell and hidden gradient in. */
    return moved((8 + 1 + !a->last + 2 + !a->first) * size, (23 + TANH) * size);
}

static kti_cost attention_forward_cost(const kt_attention_forward *a, const double rows[KT_ROW_KINDS])
{
    const double entries = rows[a->entries];
    return moved(entries * a->channels + 2 * entries + 2 * of(a->graphs, rows) * a->channels,
                 4 * entries * a->channels + 5 * entries);
}

static kti_cost attention_backward_cost(const kt_attention_backward *a, const double rows[KT_ROW_KINDS])
{
    const double entries = rows[a->entries];
    return moved((2 + 1 + a->accumulate) * entries * a->channels + 3 * entries +
                     4 * of(a->graphs, rows) * a->channels,
                 (8 + a->accumulate) * entries * a->channels + 5 * entries);
}

static kti_cost nothing(void)
{
    return (kti_cost){0, 0, 0};
}

static kti_cost link_cost(const kt_link *l, const double rows[KT_ROW_KINDS])
{
    switch (l->kind) {
#define LINK_IF(condition) KT_KEEP
#define NO_LINK KT_DROP
#define OF(count) of(count, rows)
#define MOVES(numbers, flops) moved(numbers, flops)
#define OPERATION(NAME, member, type, kernels, cpu, counts, uses, cost, link, by_row)                        \
    link(case KT_LINK_##NAME                                                                                 \
         : {                                                                                                 \
             const type *a = &l->of.member;                                                                  \
             return cost;                                                                                    \
         })
#include "kernels/operations.inc"
    }
    return nothing();
}

static kti_cost chain_cost(const kt_chain *a, const double rows[KT_ROW_KINDS])
{
    kti_cost sum = {0, 0, 0};
    for (int i = 0; i < a->size; i++)
        sum = plus(sum, link_cost(&a->link[i], rows));
    return sum;
}

static kti_cost cost_of(const kti_operation *operation, const double rows[KT_ROW_KINDS])
{
    switch (operation->kind) {
#define OF(count) of(count, rows)
#define MOVES(numbers, flops) moved(numbers, flops)
#define OPERATION(NAME, member, type, kernels, cpu, counts, uses, cost, link, by_row)                        \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &operation->arguments.member;                                                        \
        (void)a;                                                                                             \
        return cost;                                                                                         \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
    return nothing();
}

kti_cost kti_operation_cost(const kti_operation *operation, const double rows[KT_ROW_KINDS])
{
    kt_kernel_id kernels[KTI_KERNELS_MAX];
    kti_cost cost = cost_of(operation, rows);
    cost.launches = kti_operation_kernels(operation, kernels);
    return cost;
}

kti_cost kti_list_cost(const kti_operation *list, int size, const double rows[KT_ROW_KINDS])
{
    kti_cost sum = {0, 0, 0};
    for (int i = 0; i < size; i++) {
        const kti_cost one = kti_operation_cost(&list[i], rows);
        sum.launches += one.launches;
        sum.bytes += one.bytes;
        sum.flops += one.flops;
    }
    return sum;
}
