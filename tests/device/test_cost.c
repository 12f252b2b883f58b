/* What the benchmark says that an operation moves and computes, against counts by hand. */
#include "device/cost.h"
#include "support.h"

static const double rows[KT_ROW_KINDS] = {[KT_EDGES] = 10, [KT_NODES] = 4, [KT_GRAPHS] = 2};

static void check(const kti_operation *operation, double numbers, double flops)
{
    const kti_cost cost = kti_operation_cost(operation, rows);
    assert_int_equal(cost.launches, 1);
    assert_true(cost.bytes == numbers * sizeof(kt_real));
    assert_true(cost.flops == flops);
}

static void test_products(void **state)
{
    (void)state;
    kti_operation o = {.kind = KTI_OP_GEMM};
    o.arguments.gemm = (kt_gemm){.product = KT_FORWARD, .rows = {.kind = KT_EDGES}, .n = 32, .k = 64};
    check(&o, 10 * 64 + 32 * 64 + 10 * 32, 2 * 10 * 32 * 64);
    o.arguments.gemm.accumulate = 1;
    check(&o, 10 * 64 + 32 * 64 + 2 * 10 * 32, 2 * 10 * 32 * 64);
    o.arguments.gemm = (kt_gemm){.product = KT_INPUT_GRADIENT, .rows = {.kind = KT_NODES}, .n = 64, .k = 32};
    check(&o, 4 * 32 + 64 * 32 + 4 * 64, 2 * 4 * 64 * 32);
    o.arguments.gemm =
        (kt_gemm){.product = KT_WEIGHT_GRADIENT, .rows = {.kind = KT_GRAPHS}, .m = 16, .n = 48};
    check(&o, 2 * 16 + 2 * 48 + 16 * 48, 2 * 2 * 16 * 48);
}

/* A layer's output is written once, whatever comes together with its product. */
static void test_layers(void **state)
{
    (void)state;
    kt_real data[2];
    const kt_gemm product = {.product = KT_FORWARD, .rows = {.kind = KT_EDGES}, .n = 32, .k = 64};
    const kt_layer_forward layer = {
        product, {.rows = {.kind = KT_EDGES}, .channels = 32, .gathers = 1, .activation = KT_RELU}};
    const double layer_numbers = 10 * 64 + 32 * 64 + 10 * 32 + 32 + 10 * 32 + 10,
                 layer_flops = 2 * 10 * 32 * 64 + 3 * 10 * 32;
    kti_operation o = {.kind = KTI_OP_LAYER_FORWARD};
    o.arguments.layer_forward = layer;
    check(&o, layer_numbers, layer_flops);
    o = (kti_operation){.kind = KTI_OP_LAYER_GROUP};
    o.arguments.layer_group = (kt_layer_group){2, {layer, layer}};
    check(&o, 2 * layer_numbers, 2 * layer_flops);

    kt_layer_backward back = {
        .product = {.product = KT_INPUT_GRADIENT, .rows = {.kind = KT_NODES}, .n = 64, .k = 32},
        .out.data = data,
        .activation = KT_RELU};
    o = (kti_operation){.kind = KTI_OP_LAYER_BACKWARD};
    o.arguments.layer_backward = back; /* in place */
    check(&o, 4 * 32 + 64 * 32 + 4 * 64 + 4 * 64, 2 * 4 * 64 * 32 + 4 * 64);
    back.product_gradient.data = data + 1;
    o = (kti_operation){.kind = KTI_OP_GEMM_GROUP};
    o.arguments.gemm_group = (kt_gemm_group){
        2,
        {back,
         {.product = {.product = KT_WEIGHT_GRADIENT, .rows = {.kind = KT_GRAPHS}, .m = 16, .n = 48},
          .bias_gradient.data = data}}};
    check(&o, 4 * 32 + 64 * 32 + 3 * 4 * 64 + 2 * 16 + 2 * 48 + 16 * 48 + 16,
          2 * 4 * 64 * 32 + 4 * 64 + 2 * 2 * 16 * 48 + 2 * 16);
}

static void test_rows(void **state)
{
    (void)state;
    kti_operation o = {.kind = KTI_OP_ADD};
    o.arguments.add = (kt_add){.rows = {.kind = KT_NODES}, .channels = 32};
    check(&o, 3 * 4 * 32, 4 * 32);
    kt_real weight;
    o = (kti_operation){.kind = KTI_OP_SEGMENT_SUM};
    o.arguments.segment_sum =
        (kt_segment_sum){.segments = {.kind = KT_GRAPHS}, .entries = KT_EDGES, .channels = 32};
    check(&o, (10 + 2) * 32 + 2, 10 * 32);
    o.arguments.segment_sum.coefficient.data = &weight;
    check(&o, (10 + 2) * 32 + 2 + 10, 2 * 10 * 32);
    o = (kti_operation){.kind = KTI_OP_ADAM};
    o.arguments.adam.size = 1600;
    check(&o, 7 * 1600, 12 * 1600);
}

static void test_list(void **state)
{
    (void)state;
    kti_operation list[3] = {{.kind = KTI_OP_ADD}, {.kind = KTI_OP_GRADIENT_NORM}, {.kind = KTI_OP_ADAM}};
    list[0].arguments.add = (kt_add){.rows = {.kind = KT_EDGES}, .channels = 64};
    list[1].arguments.gradient_norm.size = list[2].arguments.adam.size = 3200;
    const kti_cost cost = kti_list_cost(list, 3, rows);
    assert_int_equal(cost.launches, 4); /* the norm is two */
    assert_true(cost.bytes == (3 * 10 * 64 + 3200 + 7 * 3200) * (double)sizeof(kt_real));
    assert_true(cost.flops == 10 * 64 + 2 * 3200 + 12 * 3200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
