/* The emulated cuDNN itself: a layer that is described rightly is computed, and what is wrong is noticed. */
#include <string.h>

#include "support.h"

#include "cuda_emulator/emulator.h"
#include "device/cuda_dnn.h"

enum { FOLDS = 2, ROWS = 6, N = 16, K = 32, WORKSPACE = 1000 * FOLDS, EXACT = 4, ROUNDED = 1 };

/* All that a layer takes, of which each test spoils something. */
typedef struct scene {
    cudnnHandle_t handle;
    cudaStream_t stream;
    kt_layer_forward layer;
    kti_dnn_form form;
    kti_dnn_engine engine;
    kti_dnn_list list;
    cudnnBackendDescriptor_t plan;
    float *in, *weights, *bias, *out;
    void *workspace;
    float ln2;
    int tensors;
    int64_t name[5];
    void *memory[5];
} scene;

static void good(cudaError_t error)
{
    if (error != cudaSuccess)
        fail_msg("%s; %s", cudaGetErrorName(error), emulator_violation(0));
}

static void expect(const char *part)
{
    const int n = emulator_violations();
    for (int i = 0; i < n; i++)
        if (strstr(emulator_violation(i), part))
            return;
    fail_msg("no violation says `%s` (of %d: %s)", part, n, emulator_violation(0));
}

static float *memory(int size, double phase)
{
    void *made;
    float values[FOLDS * N * K];
    assert_true(size <= FOLDS * N * K);
    for (int i = 0; i < size; i++)
        values[i] = (float)sin(phase + 0.7 * i);
    good(cudaMalloc(&made, (size_t)size * sizeof(float)));
    good(cudaMemcpy(made, values, (size_t)size * sizeof(float), cudaMemcpyHostToDevice));
    return made;
}

static void prepare(scene *s, kti_dnn_form form)
{
    emulator_start(NULL);
    emulator_dnn_fuses(true);
    *s = (scene){.form = form, .ln2 = KT_LN2, .engine = {.index = form == KTI_DNN_FUSED ? EXACT : ROUNDED}};
    assert_int_equal(cudnnCreate(&s->handle), CUDNN_STATUS_SUCCESS);
    good(cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking));
    assert_int_equal(cudnnSetStream(s->handle, s->stream), CUDNN_STATUS_SUCCESS);
    const bool fused = form == KTI_DNN_FUSED;
    s->in = memory(FOLDS * ROWS * (fused ? K : N), 1);
    s->weights = memory(FOLDS * N * K, 2);
    s->bias = memory(FOLDS * N, 3);
    s->out = memory(FOLDS * ROWS * N, 4);
    good(cudaMalloc(&s->workspace, WORKSPACE));
    s->layer.product = (kt_gemm){.product = KT_FORWARD,
                                 .rows = {.max = ROWS},
                                 .n = N,
                                 .k = K,
                                 .a = {s->in, ROWS * K, K},
                                 .b = {s->weights, N * K, K},
                                 .c = {s->out, ROWS * N, N}};
    s->layer.rest = (kt_linear_forward){
        .channels = N, .out = s->layer.product.c, .bias = {s->bias, N, N}, .activation = KT_SOFTPLUS};
    const int64_t name[5] = {KTI_DNN_OUT, KTI_DNN_BIAS, KTI_DNN_LN2, fused ? KTI_DNN_IN : KTI_DNN_PRODUCT,
                             KTI_DNN_WEIGHTS};
    void *const place[5] = {s->out, s->bias, &s->ln2, s->in, s->weights};
    memcpy(s->name, name, sizeof name);
    memcpy(s->memory, place, sizeof place);
    s->tensors = fused ? 5 : 4;
}

static kt_status plan(scene *s)
{
    kt_error error = KT_ERROR_NONE;
    cudnnBackendDescriptor_t graph;
    size_t workspace = 0;
    kt_status status = kti_dnn_describe(s->handle, &s->layer, s->form, FOLDS, &s->list, &graph, &error);
    if (status == KT_OK)
        status = kti_dnn_plan(s->handle, graph, &s->engine, &s->list, &s->plan, &workspace, &error);
    if (status == KT_OK && s->plan)
        assert_int_equal(workspace, s->form == KTI_DNN_FUSED ? WORKSPACE : 0);
    return status;
}

static kt_status execute(scene *s)
{
    kt_error error = KT_ERROR_NONE;
    return kti_dnn_execute(s->handle, s->plan, s->tensors, s->name, s->memory, s->workspace, &error);
}

static void finish(scene *s)
{
    kti_dnn_destroy_list(&s->list);
    assert_int_equal(cudnnDestroy(s->handle), CUDNN_STATUS_SUCCESS);
    good(cudaStreamDestroy(s->stream));
    good(cudaFree(s->in));
    good(cudaFree(s->weights));
    good(cudaFree(s->bias));
    good(cudaFree(s->out));
    if (s->workspace)
        good(cudaFree(s->workspace));
}

static double expected(kti_dnn_form form, int fold, int row, int column)
{
    double x = sin(3 + 0.7 * (fold * N + column));
    for (int k = 0; k < K && form == KTI_DNN_FUSED; k++)
        x += sin(1 + 0.7 * ((fold * ROWS + row) * K + k)) * sin(2 + 0.7 * ((fold * N + column) * K + k));
    if (form == KTI_DNN_EPILOGUE)
        x += sin(1 + 0.7 * ((fold * ROWS + row) * N + column));
    return log1p(exp(x)) - log(2);
}

static void layers_are_right(void **state)
{
    (void)state;
    for (int form = 0; form < KTI_DNN_FORMS; form++) {
        scene s;
        float result[FOLDS * ROWS * N];
        prepare(&s, (kti_dnn_form)form);
        assert_int_equal(plan(&s), KT_OK);
        assert_non_null(s.plan);
        assert_int_equal(execute(&s), KT_OK);
        good(cudaStreamSynchronize(s.stream));
        good(cudaMemcpy(result, s.out, sizeof result, cudaMemcpyDeviceToHost));
        for (int i = 0; i < FOLDS * ROWS * N; i++)
            assert_true(
                is_close(result[i], expected(s.form, i / (ROWS * N), i / N % ROWS, i % N), 1e-5, 1e-5));
        finish(&s);
        assert_int_equal(emulator_violations(), 0);
        assert_int_equal(emulator_leaks(), 0);
    }
}

static void wrong_descriptions_are_seen(void **state)
{
    (void)state;
    scene s;
    prepare(&s, KTI_DNN_FUSED);
    s.layer.product.c.stride = N - 1;
    assert_int_equal(plan(&s), KT_DEVICE);
    expect("rows overlap");
    finish(&s);

    prepare(&s, KTI_DNN_FUSED);
    s.layer.product.a.fold_stride = ROWS * K + 16;
    assert_int_equal(plan(&s), KT_OK);
    assert_int_equal(execute(&s), KT_DEVICE);
    expect("tensor 1 leaves its allocation");
    finish(&s);

    prepare(&s, KTI_DNN_FUSED);
    s.engine =
        (kti_dnn_engine){.index = EXACT, .knobs = 1, .knob = {CUDNN_KNOB_TYPE_KERNEL_CFG}, .value = {99}};
    assert_int_equal(plan(&s), KT_OK); /* not wrong, but there is no such thing */
    assert_null(s.plan);
    finish(&s);
    assert_int_equal(emulator_violations(), 0);
}

static void what_isnt_finalised_is_seen(void **state)
{
    (void)state;
    scene s;
    const int64_t size[3] = {FOLDS, ROWS, N};
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t tensor, operation;
    prepare(&s, KTI_DNN_FUSED);
    assert_int_equal(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &tensor), 0);
    assert_int_equal(cudnnBackendCreateDescriptor(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, &operation), 0);
    assert_int_equal(
        cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3, size), 0);
    assert_int_not_equal(cudnnBackendSetAttribute(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC,
                                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensor),
                         0);
    cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM);
    expect("a descriptor that isn't finalised");
    assert_int_not_equal(
        cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_INT64, 1, &type), 0);
    cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM);
    expect("an attribute of the wrong type");
    assert_int_not_equal(
        cudnnBackendSetAttribute(tensor, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type), 0);
    cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM);
    expect("no such attribute");
    assert_int_not_equal(cudnnBackendFinalize(tensor), 0);
    cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM);
    expect("a tensor's type is missing");
    assert_int_equal(emulator_leaks(), 2 + 2 + 5); /* handle and stream, descriptors, memory */
    assert_int_equal(cudnnBackendDestroyDescriptor(tensor), 0);
    assert_int_equal(cudnnBackendDestroyDescriptor(operation), 0);
    assert_int_not_equal(cudnnBackendFinalize(tensor), 0);
    cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM);
    expect("not a live cuDNN descriptor");
    finish(&s);
}

static void wrong_memory_is_seen(void **state)
{
    (void)state;
    scene s;
    prepare(&s, KTI_DNN_FUSED);
    assert_int_equal(plan(&s), KT_OK);
    s.tensors--;
    assert_int_equal(execute(&s), KT_DEVICE);
    expect("tensor 2 has no memory");
    s.tensors++;
    s.memory[1] = s.bias + 1;
    assert_int_equal(execute(&s), KT_DEVICE);
    expect("tensor 3 isn't aligned");
    s.memory[1] = s.bias;
    s.name[1] = s.name[0];
    assert_int_equal(execute(&s), KT_DEVICE);
    expect("comes twice");
    s.name[1] = KTI_DNN_BIAS;
    s.memory[0] = s.weights;
    assert_int_equal(execute(&s), KT_DEVICE);
    expect("the result overlaps");
    finish(&s);
}

static void a_freed_workspace_is_seen(void **state)
{
    (void)state;
    scene s;
    prepare(&s, KTI_DNN_FUSED);
    assert_int_equal(plan(&s), KT_OK);
    void *kept = s.workspace;
    good(cudaFree(s.workspace));
    assert_int_equal(execute(&s), KT_DEVICE);
    expect("the workspace");
    s.workspace = NULL;
    finish(&s);

    /* Freed when a graph has it. */
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    prepare(&s, KTI_DNN_FUSED);
    assert_int_equal(plan(&s), KT_OK);
    good(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal));
    assert_int_equal(execute(&s), KT_OK);
    good(cudaStreamEndCapture(s.stream, &graph));
    good(cudaGraphInstantiate(&executable, graph, 0));
    kept = s.workspace;
    good(cudaGraphLaunch(executable, s.stream));
    good(cudaStreamSynchronize(s.stream));
    assert_int_equal(emulator_violations(), 0);
    good(cudaFree(kept));
    good(cudaGraphLaunch(executable, s.stream));
    good(cudaStreamSynchronize(s.stream));
    expect("the workspace");
    good(cudaGraphExecDestroy(executable));
    good(cudaGraphDestroy(graph));
    s.workspace = NULL;
    finish(&s);
}

static void a_plan_inside_a_capture_is_seen(void **state)
{
    (void)state;
    scene s;
    cudaGraph_t graph;
    prepare(&s, KTI_DNN_EPILOGUE);
    good(cudaStreamBeginCapture(s.stream, cudaStreamCaptureModeThreadLocal));
    assert_int_equal(plan(&s), KT_DEVICE);
    expect("not allowed while a stream is captured");
    (void)cudaStreamEndCapture(s.stream, &graph);
    (void)cudaGetLastError();
    finish(&s);
}

/* Of the engines that are offered none is taken that rounds, converts or adds in any order. */
static bool take(void *context, const kti_dnn_engine *engine)
{
    (void)engine;
    ++*(int *)context;
    return false;
}

static void engines_are_refused(void **state)
{
    (void)state;
    for (int exact = 0; exact < 2; exact++)
        for (int form = 0; form < KTI_DNN_FORMS; form++) {
            scene s;
            kt_error error = KT_ERROR_NONE;
            cudnnBackendDescriptor_t graph;
            bool found;
            int offered = 0;
            prepare(&s, (kti_dnn_form)form);
            emulator_dnn_fuses(exact);
            assert_ok(kti_dnn_describe(s.handle, &s.layer, s.form, FOLDS, &s.list, &graph, &error), &error);
            assert_ok(kti_dnn_find_engine(graph, s.form, take, &offered, &s.engine, &found, &error), &error);
            assert_false(found);
            /* With a product that of cuBLAS, and the exact one if there is one; else the one that doesn't convert. */
            assert_int_equal(offered, form == KTI_DNN_FUSED ? 1 + exact : 1);
            finish(&s);
            assert_int_equal(emulator_violations(), 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_right),
        cmocka_unit_test(wrong_descriptions_are_seen),
        cmocka_unit_test(what_isnt_finalised_is_seen),
        cmocka_unit_test(wrong_memory_is_seen),
        cmocka_unit_test(a_freed_workspace_is_seen),
        cmocka_unit_test(a_plan_inside_a_capture_is_seen),
        cmocka_unit_test(engines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
