/* Layers and products by our own kernels, cuBLAS and cuDNN on the emulated device: the same to float32, the same bits for a
 * fold alone and for any number of rows; the choice among them, and that a call that fails is an error. */
#include <string.h>

#include "support.h"

#include "base/memory.h"
#include "cuda_emulator/emulator.h"
#include "device/device.h"
#include "device/threaded_kernels.h"

enum { FOLDS = 3, ROWS = 40, MAX = 128, LIST = 4 };

/* Two layers one after the other and the input gradient of the second, in the memory of a device. */
typedef struct network {
    kti_device *device;
    kt_real *memory; /* device */
    size_t used, size;
    int32_t *rows; /* device, [FOLDS] */
    kt_matrix in, hidden, out, gradient;
    kti_operation list[LIST];
    int operations;
} network;

typedef struct size {
    int in, hidden, out; /* channels */
    kt_activation activation;
} size;

static const size plain = {64, 32, 48, KT_SOFTPLUS};
static const int fold_rows[FOLDS] = {1, 17, ROWS};

static void start_emulator(uint64_t seed)
{
    const emulator_options options = {.seed = seed};
    emulator_start(&options);
    emulator_kernels(threaded_kernels);
}

static void assert_clean(void)
{
    char text[4096];
    if (emulator_report(text, sizeof text) != 0)
        fail_msg("%s", text);
}

static int padded(int channels)
{
    return (channels + 15) / 16 * 16;
}

/* Numbers that depend on nothing but their place; zero in the padding. */
static kt_status fill(network *n, kt_matrix m, int rows, int channels, double max, double phase,
                      kt_error *error)
{
    const size_t count = FOLDS * (size_t)m.fold_stride;
    kt_real *values = kti_allocate(count, sizeof *values);
    assert_non_null(values);
    for (int fold = 0; fold < FOLDS; fold++)
        for (int row = 0; row < rows; row++)
            for (int c = 0; c < channels; c++)
                values[fold * m.fold_stride + row * m.stride + c] =
                    (kt_real)(max * sin(phase + 1.7 * fold + 0.31 * row + 0.77 * c + 0.013 * row * c));
    const kt_status status = kti_device_upload(n->device, m.data, values, count * sizeof *values, error);
    free(values);
    return status;
}

static kt_matrix matrix(network *n, int rows, int channels)
{
    const kt_matrix m = {n->memory + n->used, (int64_t)rows * padded(channels), padded(channels)};
    n->used += FOLDS * (size_t)m.fold_stride;
    assert_true(n->used <= n->size);
    return m;
}

static kti_operation layer(network *n, kt_matrix in, int k, kt_matrix weights, kt_matrix bias, kt_matrix out,
                           int channels, kt_activation activation)
{
    const kt_count rows = {n->rows, 1, ROWS, KT_NODES};
    return (kti_operation){
        .kind = KTI_OP_LAYER_FORWARD,
        .arguments.layer_forward = {
            .product =
                {.product = KT_FORWARD, .rows = rows, .n = channels, .k = k, .a = in, .b = weights, .c = out},
            .rest = {
                .rows = rows, .channels = channels, .out = out, .bias = bias, .activation = activation}}};
}

static kt_status make(network *n, const char *device, const size *s, kt_error *error)
{
    *n = (network){.size = (size_t)(FOLDS * 2 * (3 * ROWS + 2 * MAX + 2) * (MAX + 16))};
    kt_status status = kti_device_create(device, FOLDS, &n->device, error);
    if (status == KT_OK)
        status = kti_device_allocate(n->device, n->size * sizeof(kt_real), "a network", (void **)&n->memory,
                                     error);
    if (status == KT_OK)
        status = kti_device_allocate(n->device, sizeof fold_rows, "rows", (void **)&n->rows, error);
    if (status == KT_OK)
        status = kti_device_upload(n->device, n->rows, fold_rows, sizeof fold_rows, error);
    if (status != KT_OK)
        return status;
    const kt_matrix weights[2] = {matrix(n, s->hidden, s->in), matrix(n, s->out, s->hidden)},
                    bias[2] = {matrix(n, 1, s->hidden), matrix(n, 1, s->out)};
    n->in = matrix(n, ROWS, s->in);
    n->hidden = matrix(n, ROWS, s->hidden);
    n->out = matrix(n, ROWS, s->out);
    n->gradient = matrix(n, ROWS, s->hidden);
    n->list[n->operations++] =
        layer(n, n->in, s->in, weights[0], bias[0], n->hidden, s->hidden, s->activation);
    n->list[n->operations++] = layer(n, n->hidden, s->hidden, weights[1], bias[1], n->out, s->out, KT_LINEAR);
    for (int accumulate = 0; accumulate < 2; accumulate++)
        n->list[n->operations++] = (kti_operation){.kind = KTI_OP_GEMM,
                                                   .arguments.gemm = {.product = KT_INPUT_GRADIENT,
                                                                      .rows = {n->rows, 1, ROWS, KT_NODES},
                                                                      .n = s->hidden,
                                                                      .k = s->out,
                                                                      .a = n->out,
                                                                      .b = weights[1],
                                                                      .c = n->gradient,
                                                                      .accumulate = accumulate}};
    status = fill(n, n->in, ROWS, s->in, 1, 0.1, error);
    if (status == KT_OK)
        status = fill(n, weights[0], s->hidden, s->in, 2.0 / s->in, 0.2, error);
    if (status == KT_OK)
        status = fill(n, weights[1], s->out, s->hidden, 2.0 / s->hidden, 0.3, error);
    if (status == KT_OK)
        status = fill(n, bias[0], 1, s->hidden, 1, 0.4, error);
    if (status == KT_OK)
        status = fill(n, bias[1], 1, s->out, 1, 0.5, error);
    return status;
}

static void destroy(network *n)
{
    if (!n->device)
        return;
    kti_device_forget(n->device, n->list);
    kti_device_release(n->device, n->memory);
    kti_device_release(n->device, n->rows);
    kti_device_destroy(n->device);
}

static kt_status run(network *n, int first, int count, int rows, kt_error *error)
{
    const kti_job job = {
        .list = n->list, .size = n->operations, .first = first, .count = count, .rows = {[KT_NODES] = rows}};
    return kti_device_run(n->device, 0, &job, error);
}

/* The rows that the batch has of the second layer's output and of the gradient: [FOLDS][ROWS][2 MAX], the rest zero. */
static kt_status results(network *n, const size *s, kt_real *to, kt_error *error)
{
    const kt_matrix from[2] = {n->out, n->gradient};
    const int channels[2] = {s->out, s->hidden};
    memset(to, 0, sizeof(kt_real) * FOLDS * ROWS * 2 * MAX);
    for (int i = 0; i < 2; i++)
        for (int fold = 0; fold < FOLDS; fold++)
            for (int row = 0; row < fold_rows[fold]; row++) {
                const kt_status status =
                    kti_device_download(n->device, to + ((fold * ROWS + row) * 2 + i) * MAX,
                                        from[i].data + fold * from[i].fold_stride + row * from[i].stride,
                                        (size_t)channels[i] * sizeof(kt_real), error);
                if (status != KT_OK)
                    return status;
            }
    return KT_OK;
}

typedef kt_real outcome[FOLDS * ROWS * 2 * MAX];

/* All folds at once, or one after another with more rows than need be. */
static void compute(const char *device, const size *s, bool fuses, bool alone, outcome to)
{
    kt_error error = KT_ERROR_NONE;
    network n;
    start_emulator(3);
    emulator_dnn_fuses(fuses);
    assert_ok(make(&n, device, s, &error), &error);
    if (!alone)
        assert_ok(run(&n, 0, FOLDS, 33, &error), &error);
    for (int fold = FOLDS - 1; fold >= 0 && alone; fold--)
        assert_ok(run(&n, fold, 1, fold_rows[fold], &error), &error);
    assert_ok(results(&n, s, to, &error), &error);
    destroy(&n);
    assert_clean();
}

static const size sizes[] = {{64, 32, 48, KT_SOFTPLUS},
                             {100, 64, 16, KT_SOFTPLUS},
                             {16, 128, 64, KT_LINEAR},
                             {7, 16, 96, KT_SOFTPLUS}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void compare_with_own(const char *device, bool fuses, const char *call, long min, bool other_order)
{
    static outcome own, other, alone;
    for (int i = 0; i < SIZES; i++) {
        double away = 0;
        compute("cuda", &sizes[i], false, false, own);
        compute(device, &sizes[i], fuses, false, other);
        assert_true(emulator_calls_of(call) >= min);
        for (size_t j = 0; j < sizeof own / sizeof *own; j++)
            away = fmax(away, fabs((double)own[j] - (double)other[j]) / (1 + fabs((double)own[j])));
        if (!(away < 3e-6))
            fail_msg("%s, %d: away by %g", device, i, away);
        if (other_order && sizes[i].activation == KT_SOFTPLUS)
            assert_memory_not_equal(own, other, sizeof own);
        compute(device, &sizes[i], fuses, true, alone);
        assert_memory_equal(other, alone, sizeof other);
    }
}

static void cublas_equals_own_kernels(void **state)
{
    (void)state;
    compare_with_own("cuda-cublas", false, "cublasLtMatmul", 4, false);
}

static void cudnn_equals_own_kernels(void **state)
{
    (void)state;
    compare_with_own("cuda-cudnn", false, "cudnnBackendExecute", 2, true);
}

static void fused_cudnn_equals_own_kernels(void **state)
{
    (void)state;
    compare_with_own("cuda-cudnn", true, "cudnnBackendExecute", 2, true);
}

/* What cuDNN can't do is our own kernels', to the bit. */
static void what_cudnn_cannot_do_stays(void **state)
{
    (void)state;
    static outcome own, other;
    const size odd = {64, 30, 50, KT_SOFTPLUS}, relu = {64, 32, 7, KT_RELU};
    compute("cuda", &odd, false, false, own);
    compute("cuda-cudnn", &odd, true, false, other);
    assert_int_equal(emulator_calls_of("cudnnBackendExecute"), 0);
    assert_memory_equal(own, other, sizeof own);
    compute("cuda", &relu, false, false, own);
    compute("cuda-cudnn", &relu, true, false, other);
    assert_int_equal(emulator_calls_of("cudnnBackendExecute"), 0);
    assert_memory_equal(own, other, sizeof own);
}

/* ---- the choice ---- */

static int choose(uint64_t seed, kti_choice choices[LIST])
{
    kt_error error = KT_ERROR_NONE;
    network n;
    start_emulator(seed);
    emulator_dnn_fuses(true);
    assert_ok(make(&n, "cuda-auto", &plain, &error), &error);
    assert_true(kti_device_chooses(n.device));
    assert_int_equal(kti_device_choices(n.device, NULL, 0), 0);
    assert_ok(run(&n, 0, FOLDS, ROWS, &error), &error);
    const int count = kti_device_choices(n.device, choices, LIST);
    /* Once for all. */
    const long before = emulator_calls_of("cudaEventRecord");
    assert_ok(run(&n, 1, 1, 3, &error), &error);
    assert_int_equal(kti_device_choices(n.device, NULL, 0), count);
    assert_int_equal(emulator_calls_of("cudaEventRecord"), before);
    destroy(&n);
    assert_clean();
    return count;
}

static void the_fastest_is_chosen(void **state)
{
    (void)state;
    kti_choice choices[LIST];
    bool seen[KTI_WAYS] = {false};
    for (uint64_t seed = 1; seed <= 8; seed++) {
        assert_int_equal(choose(seed, choices), LIST);
        for (int i = 0; i < LIST; i++) {
            const kti_choice *c = &choices[i];
            seen[c->way] = true;
            for (int way = 0; way < KTI_WAYS; way++)
                assert_true(c->microseconds[way] == 0 || c->microseconds[way] >= c->microseconds[c->way]);
            assert_true(c->microseconds[KTI_WAY_OWN] > 0 && c->microseconds[KTI_WAY_CUBLAS] > 0);
            assert_true((c->microseconds[KTI_WAY_CUDNN] > 0) == (strncmp(c->shape, "layer", 5) == 0));
        }
    }
    assert_string_equal(choices[0].shape, "layer 32 x 64 softplus, 0 gathers, strides 64 64 32");
    assert_string_equal(choices[1].shape, "layer 48 x 32 linear, 0 gathers, strides 32 32 48");
    assert_string_equal(choices[2].shape, "input gradient 32 x 48, strides 48 32 32");
    assert_string_equal(choices[3].shape, "input gradient 32 x 48, added, strides 48 32 32");
    for (int way = 0; way < KTI_WAYS; way++)
        assert_true(seen[way]); /* in some order of the clock each is the fastest */
}

static void compute_chosen(const kti_choice *choices, int count, uint64_t seed, outcome to)
{
    kt_error error = KT_ERROR_NONE;
    network n;
    start_emulator(seed);
    emulator_dnn_fuses(true);
    assert_ok(make(&n, "cuda-auto", &plain, &error), &error);
    assert_ok(kti_device_choose(n.device, choices, count, &error), &error);
    assert_ok(run(&n, 0, FOLDS, ROWS, &error), &error);
    assert_int_equal(emulator_calls_of("cudaEventRecord"), 0);
    assert_ok(results(&n, &plain, to, &error), &error);
    destroy(&n);
    assert_clean();
}

static void a_choice_is_kept(void **state)
{
    (void)state;
    static outcome first, second;
    kti_choice choices[LIST];
    const int count = choose(1, choices);
    for (int i = 0; i < count; i++)
        choices[i].way = i < 2 ? KTI_WAY_CUDNN : KTI_WAY_CUBLAS;
    compute_chosen(choices, count, 2, first);
    compute_chosen(choices, count, 3, second);
    assert_memory_equal(first, second, sizeof first);
    choices[0].way = KTI_WAY_OWN;
    compute_chosen(choices, count, 3, second);
    assert_memory_not_equal(first, second, sizeof first);
}

static void a_choice_that_cannot_be_honoured_is_refused(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_choice choices[LIST];
    network n;
    const int count = choose(1, choices);
    choices[0].way = KTI_WAY_CUDNN;
    choices[2].way = KTI_WAY_CUDNN; /* a product alone */
    start_emulator(2);
    assert_ok(make(&n, "cuda-auto", &plain, &error), &error);
    assert_ok(kti_device_choose(n.device, choices, count, &error), &error);
    assert_int_equal(run(&n, 0, FOLDS, ROWS, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, choices[2].shape));
    assert_non_null(strstr(error.message, "cuDNN"));
    destroy(&n);
    error = (kt_error)KT_ERROR_NONE;
    assert_ok(make(&n, "cuda", &plain, &error), &error);
    assert_false(kti_device_chooses(n.device));
    assert_int_equal(kti_device_choose(n.device, choices, count, &error), KT_BAD_ARGUMENT);
    destroy(&n);
    assert_clean();
}

/* ---- failures ---- */

static kt_status whole_life(const char *device, kt_error *error)
{
    static outcome to;
    network n;
    kt_status status = make(&n, device, &plain, error);
    if (status == KT_OK)
        status = run(&n, 0, FOLDS, ROWS, error);
    if (status == KT_OK)
        status = results(&n, &plain, to, error);
    destroy(&n);
    return status;
}

static void let_every_call_fail(const char *device, bool fuses, int step)
{
    kt_error error = KT_ERROR_NONE;
    start_emulator(1);
    emulator_dnn_fuses(fuses);
    assert_ok(whole_life(device, &error), &error);
    const long calls = emulator_calls();
    int failed = 0;
    assert_clean();
    for (long n = 1; n <= calls; n += step) {
        error = (kt_error)KT_ERROR_NONE;
        start_emulator(1);
        emulator_dnn_fuses(fuses);
        emulator_fail_call(n);
        const kt_status status = whole_life(device, &error);
        const char *call = emulator_failed_call();
        if (status == KT_OK && call && !strstr(call, "Free") && !strstr(call, "Destroy") &&
            strcmp(call, "cudaSetDevice") != 0)
            fail_msg("%s: call %ld, %s, failed unnoticed", device, n, call);
        if (status != KT_OK) {
            failed++;
            assert_true(status == KT_DEVICE || status == KT_OUT_OF_MEMORY);
            assert_true(strlen(error.message) > 10);
        }
        char text[2048];
        if (emulator_report(text, sizeof text) != 0)
            fail_msg("%s: after call %ld, %s, failed: %s", device, n, call ? call : "?", text);
    }
    assert_true(failed * 4 * step > calls);
    print_message("%s: %d of %ld calls were let fail\n", device, failed, calls);
}

static void every_call_may_fail(void **state)
{
    (void)state;
    let_every_call_fail("cuda-cudnn", false, 5);
    let_every_call_fail("cuda-cudnn", true, 7);
    let_every_call_fail("cuda-auto", false, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cublas_equals_own_kernels),
        cmocka_unit_test(cudnn_equals_own_kernels),
        cmocka_unit_test(fused_cudnn_equals_own_kernels),
        cmocka_unit_test(what_cudnn_cannot_do_stays),
        cmocka_unit_test(the_fastest_is_chosen),
        cmocka_unit_test(a_choice_is_kept),
        cmocka_unit_test(a_choice_that_cannot_be_honoured_is_refused),
        cmocka_unit_test(every_call_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
