/* The emulated device itself: what is right works in every order, and what is wrong is noticed. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "cuda_emulator/emulator.h"
#include "cuda_emulator/test_kernels.h"
#include "support.h"

#define DECLARE(name, type) void KT_STUB(name)(type, int);
TEST_KERNELS(DECLARE)
void launch_double(test_argument a, int blocks, int threads, cudaStream_t stream);
extern const threads_twin test_twins[];

enum { SIZE = 64, SEEDS = 16 };

static void start(uint64_t seed)
{
    const emulator_options options = {.seed = seed};
    emulator_kernels(test_twins);
    emulator_start(&options);
}

static void good(cudaError_t error)
{
    if (error != cudaSuccess)
        fail_msg("%s; %s", cudaGetErrorName(error), emulator_violation(0));
}

static void expect_nothing(void)
{
    char text[4096];
    if (emulator_report(text, sizeof text) != 0)
        fail_msg("%s", text);
}

/* Some violation says so. */
static void expect(const char *part)
{
    const int n = emulator_violations();
    for (int i = 0; i < n; i++)
        if (strstr(emulator_violation(i), part))
            return;
    fail_msg("no violation says `%s` (of %d: %s)", part, n, emulator_violation(0));
}

/* Likewise of leaks. */
static void expect_leak(const char *part)
{
    const int n = emulator_leaks();
    for (int i = 0; i < n; i++)
        if (strstr(emulator_leak(i), part))
            return;
    fail_msg("no leak says `%s` (of %d: %s)", part, n, emulator_leak(0));
}

static float *device_memory(int size)
{
    void *memory;
    good(cudaMalloc(&memory, (size_t)size * sizeof(float)));
    return memory;
}

static float *pinned_memory(int size)
{
    void *memory;
    good(cudaMallocHost(&memory, (size_t)size * sizeof(float)));
    return memory;
}

static cudaStream_t make_stream(void)
{
    cudaStream_t stream;
    good(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static cudaError_t run(void (*kernel)(test_argument, int), test_argument a, int threads, cudaStream_t stream)
{
    int first_fold = 0;
    void *arguments[] = {&a, &first_fold};
    return cudaLaunchKernel((const void *)kernel, (dim3){1, 1, 1}, (dim3){(unsigned)threads, 1, 1}, arguments,
                            0, stream);
}

static void upload(float *to, const float *from, int size)
{
    good(cudaMemcpy(to, from, (size_t)size * sizeof(float), cudaMemcpyHostToDevice));
}

static void download(float *to, const float *from, int size)
{
    good(cudaMemcpy(to, from, (size_t)size * sizeof(float), cudaMemcpyDeviceToHost));
}

static void numbers(float *to, int size)
{
    for (int i = 0; i < size; i++)
        to[i] = (float)(i + 1);
}

/* ---- launches ---- */

static void launches_from_nvcc_and_from_c_run(void **state)
{
    (void)state;
    float host[SIZE], back[SIZE];
    start(1);
    float *from = device_memory(SIZE), *to = device_memory(SIZE);
    numbers(host, SIZE);
    upload(from, host, SIZE);
    for (int way = 0; way < 2; way++) {
        good(cudaMemset(to, 0, sizeof back));
        if (way == 0) {
            launch_double((test_argument){to, from, SIZE}, 3, 7, NULL);
            good(cudaGetLastError());
        } else {
            good(run(KT_STUB(test_double), (test_argument){to, from, SIZE}, 32, NULL));
        }
        download(back, to, SIZE);
        for (int i = 0; i < SIZE; i++)
            assert_true(back[i] == 2 * host[i]);
    }
    assert_int_equal(emulator_kernel_runs("test_double"), 2);
    assert_int_equal(emulator_calls_of("cudaLaunchKernel"), 2);
    good(cudaFree(from));
    good(cudaFree(to));
    expect_nothing();
}

static void grids_have_three_dimensions_and_folds_a_first(void **state)
{
    (void)state;
    enum { BLOCKS = 2 * 3 * 4, THREADS = 8 * 4 * 32 };
    static float back[BLOCKS * THREADS];
    start(2);
    float *to = device_memory(BLOCKS * THREADS);
    test_argument a = {to, NULL, SIZE};
    int first_fold = 0;
    void *arguments[] = {&a, &first_fold};
    good(cudaLaunchKernel((const void *)KT_STUB(test_coordinates), (dim3){2, 3, 4}, (dim3){8, 4, 32},
                          arguments, 0, NULL));
    download(back, to, BLOCKS * THREADS);
    for (int i = 0; i < BLOCKS * THREADS; i++)
        assert_true(back[i] == (float)(1000 * (i / THREADS) + i % THREADS));

    good(cudaMemset(to, 0, sizeof back));
    first_fold = 3;
    good(cudaLaunchKernel((const void *)KT_STUB(test_add_fold), (dim3){1, 1, 2}, (dim3){5, 1, 1}, arguments,
                          0, NULL));
    download(back, to, 6 * SIZE);
    for (int i = 0; i < 6 * SIZE; i++)
        assert_true(back[i] == (i / SIZE == 3 || i / SIZE == 4 ? (float)(i / SIZE) : 0));
    good(cudaFree(to));
    expect_nothing();
}

static void shuffles_and_shared_memory_work(void **state)
{
    (void)state;
    float host[SIZE], back[SIZE];
    numbers(host, SIZE);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        start(seed);
        float *from = device_memory(SIZE), *to = device_memory(SIZE);
        const test_argument a = {to, from, SIZE};
        upload(from, host, SIZE);
        good(run(KT_STUB(test_warp_sum), a, SIZE, NULL));
        download(back, to, 2);
        assert_true(back[0] == 32 * 33 / 2 && back[1] == 32 * 33 / 2 + 32 * 32);
        good(run(KT_STUB(test_reverse), a, SIZE, NULL));
        download(back, to, SIZE);
        for (int i = 0; i < SIZE; i++)
            assert_true(back[i] == host[SIZE - 1 - i]);
        good(run(KT_STUB(test_unwritten_shared), a, SIZE, NULL));
        download(back, to, SIZE);
        assert_true(isnan(back[0]) && back[1] == host[1]);
        good(cudaFree(from));
        good(cudaFree(to));
        expect_nothing();
    }
}

static void wrong_launches_are_refused(void **state)
{
    (void)state;
    test_argument a = {0};
    int first_fold = 0;
    void *arguments[] = {&a, &first_fold};
    const dim3 one = {1, 1, 1};
    const struct {
        dim3 grid, block;
    } wrong[] = {{{0, 1, 1}, one}, {{1, 65536, 1}, one}, {{1, 1, 65536}, one}, {{0x80000000u, 1, 1}, one},
                 {one, {0, 1, 1}}, {one, {1025, 1, 1}},  {one, {32, 33, 1}},   {one, {1, 1, 65}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        start(0);
        assert_int_equal(cudaLaunchKernel((const void *)KT_STUB(test_double), wrong[i].grid, wrong[i].block,
                                          arguments, 0, NULL),
                         cudaErrorInvalidConfiguration);
        expect("test_double: grid");
        assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
        assert_int_equal(cudaGetLastError(), cudaSuccess);
    }
    start(0);
    assert_int_equal(cudaLaunchKernel((const void *)start, one, one, arguments, 0, NULL),
                     cudaErrorInvalidDeviceFunction);
    expect("no kernel of this program");
    start(0);
    assert_int_equal(
        cudaLaunchKernel((const void *)KT_STUB(test_double), one, one, arguments, 0, (cudaStream_t)&a),
        cudaErrorInvalidResourceHandle);
    expect("not a live stream");
}

/* ---- memory ---- */

static void a_write_out_of_bounds_is_seen(void **state)
{
    (void)state;
    start(0);
    float *to = device_memory(SIZE);
    good(run(KT_STUB(test_overrun), (test_argument){to, NULL, SIZE - 1}, 8, NULL));
    good(cudaDeviceSynchronize());
    assert_int_equal(emulator_violations(), 0);
    good(run(KT_STUB(test_overrun), (test_argument){to, NULL, SIZE}, 8, NULL));
    good(cudaDeviceSynchronize());
    expect("test_overrun wrote out of bounds: byte 256 of the 256");
    start(0);
    float *pinned = pinned_memory(SIZE);
    pinned[SIZE] = 1;
    expect("out of bounds: byte 256 of the 256 of pinned");
}

static void unwritten_memory_is_nan(void **state)
{
    (void)state;
    float back[SIZE], host[SIZE];
    start(0);
    float *from = device_memory(SIZE), *to = device_memory(SIZE);
    numbers(host, SIZE);
    upload(from, host, SIZE / 2);
    good(run(KT_STUB(test_double), (test_argument){to, from, SIZE}, 8, NULL));
    download(back, to, SIZE);
    for (int i = 0; i < SIZE; i++)
        assert_true(i < SIZE / 2 ? back[i] == 2 * host[i] : isnan(back[i]));
    assert_true(isnan(pinned_memory(1)[0]));
}

static void freed_memory_is_seen(void **state)
{
    (void)state;
    float host[SIZE] = {0};
    start(0);
    float *to = device_memory(SIZE);
    good(cudaFree(to));
    good(run(KT_STUB(test_overrun), (test_argument){to, NULL, SIZE - 1}, 8, NULL));
    expect("kernel test_overrun has a pointer to freed device memory");
    assert_int_equal(cudaMemcpy(to, host, sizeof host, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    expect("that was freed");
    (void)cudaGetLastError();
    assert_int_equal(cudaFree(to), cudaErrorInvalidValue);
    expect("freed twice");
    start(0);
    float *here = device_memory(SIZE);
    assert_int_equal(cudaFree(here + 1), cudaErrorInvalidValue);
    expect("no address that cudaMalloc gave");
}

static void a_host_that_touches_device_memory_dies(void **state)
{
    (void)state;
    start(0);
    volatile float *memory = device_memory(SIZE);
    for (int touch = 0; touch < 2; touch++) {
        int status;
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (freopen("/dev/null", "w", stderr) == NULL)
                _exit(1);
            if (touch)
                memory[3] = 1;
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(touch ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV
                          : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void copies_are_checked(void **state)
{
    (void)state;
    float host[2 * SIZE] = {0};
    start(0);
    float *to = device_memory(SIZE);
    assert_int_equal(cudaMemcpy(to, host, sizeof host, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    expect("a copy's destination leaves its allocation: 512 bytes at 0 of 256");
    start(0);
    to = device_memory(SIZE);
    assert_int_equal(cudaMemcpy(host, to, sizeof(float), cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    expect("not where the kind of copy");
    start(0);
    to = device_memory(SIZE);
    assert_int_equal(cudaMemsetAsync(to + 1, 0, SIZE * sizeof(float), NULL), cudaErrorInvalidValue);
    expect("what is filled leaves its allocation");
}

static void memory_runs_out(void **state)
{
    (void)state;
    const emulator_options options = {.memory = 1 << 20};
    void *first, *second;
    size_t left, total;
    emulator_start(&options);
    good(cudaMalloc(&first, 600 << 10));
    assert_int_equal(cudaMalloc(&second, 600 << 10), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_null(second);
    good(cudaMemGetInfo(&left, &total));
    assert_int_equal(left, 424 << 10);
    good(cudaFree(first));
    good(cudaMalloc(&second, 600 << 10));
    good(cudaFree(second));
    expect_nothing();
}

/* A source that is pageable is read by the call; one that is pinned when the copy runs. */
static void a_pinned_buffer_reused_too_early_is_seen(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        float pageable[SIZE], back[SIZE];
        start(0);
        cudaStream_t stream = make_stream();
        float *pinned = pinned_memory(SIZE), *to = device_memory(2 * SIZE);
        numbers(pinned, SIZE);
        numbers(pageable, SIZE);
        good(cudaMemcpyAsync(to, pinned, sizeof back, cudaMemcpyHostToDevice, stream));
        good(cudaMemcpyAsync(to + SIZE, pageable, sizeof back, cudaMemcpyHostToDevice, stream));
        if (waits)
            good(cudaStreamSynchronize(stream));
        memset(pinned, 0, sizeof back);
        memset(pageable, 0, sizeof pageable);
        good(cudaStreamSynchronize(stream));
        download(back, to, SIZE);
        assert_true(back[5] == (waits ? 6 : 0));
        download(back, to + SIZE, SIZE);
        assert_true(back[5] == 6);

        good(cudaMemcpyAsync(pinned, to, sizeof back, cudaMemcpyDeviceToHost, stream));
        assert_true(pinned[5] == 0); /* not yet */
        if (waits)
            good(cudaStreamSynchronize(stream));
        good(cudaFreeHost(pinned));
        if (!waits)
            expect("a copy that hasn't run yet uses this pinned memory");
        good(cudaStreamDestroy(stream));
        good(cudaFree(to));
        if (waits)
            expect_nothing();
    }
}

/* ---- order ---- */

/* Doubles twice, in one stream and then another. Returns to[0] / from[0]. */
static float double_twice(uint64_t seed, int waits, int graph)
{
    float host[SIZE], back[SIZE];
    cudaEvent_t forked, joined;
    cudaGraph_t captured = NULL;
    cudaGraphExec_t exec = NULL;
    start(seed);
    cudaStream_t first = make_stream(), second = make_stream();
    float *a = device_memory(SIZE), *b = device_memory(SIZE), *c = device_memory(SIZE);
    good(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming));
    good(cudaEventCreateWithFlags(&joined, cudaEventDisableTiming));
    numbers(host, SIZE);
    upload(a, host, SIZE);
    good(cudaMemset(b, 0, sizeof back));
    good(cudaDeviceSynchronize());
    if (graph) {
        good(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal));
        good(cudaEventRecord(forked, first));
        good(cudaStreamWaitEvent(second, forked, 0));
    }
    good(run(KT_STUB(test_double), (test_argument){b, a, SIZE}, 32, first));
    good(cudaEventRecord(forked, first));
    if (waits)
        good(cudaStreamWaitEvent(second, forked, 0));
    good(run(KT_STUB(test_double), (test_argument){c, b, SIZE}, 32, second));
    good(cudaEventRecord(joined, second));
    good(cudaStreamWaitEvent(first, joined, 0));
    if (graph) {
        size_t nodes;
        good(cudaStreamEndCapture(first, &captured));
        good(cudaGraphGetNodes(captured, NULL, &nodes));
        assert_int_equal(nodes, 2);
        good(cudaGraphInstantiate(&exec, captured, 0));
        good(cudaGraphDestroy(captured));
        good(cudaGraphLaunch(exec, first));
        good(cudaGraphLaunch(exec, first));
        good(cudaGraphExecDestroy(exec));
    }
    good(cudaStreamSynchronize(first));
    download(back, c, SIZE);
    assert_int_equal(emulator_kernel_runs("test_double"), graph ? 4 : 2);
    good(cudaEventDestroy(forked));
    good(cudaEventDestroy(joined));
    good(cudaStreamDestroy(first));
    good(cudaStreamDestroy(second));
    good(cudaFree(a));
    good(cudaFree(b));
    good(cudaFree(c));
    expect_nothing();
    return back[0];
}

static void a_missing_event_wait_shows_in_some_order(void **state)
{
    (void)state;
    int right = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_true(double_twice(seed, 1, 0) == 4);
        assert_true(double_twice(seed, 1, 1) == 4);
        right += double_twice(seed, 0, 0) == 4;
    }
    assert_true(right > 0 && right < SEEDS);
}

static void the_default_stream_waits_for_blocking_streams_only(void **state)
{
    (void)state;
    for (int blocking = 0; blocking < 2; blocking++) {
        int right = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            float back[SIZE], ones[SIZE];
            cudaStream_t stream;
            start(seed);
            good(cudaStreamCreateWithFlags(&stream, blocking ? cudaStreamDefault : cudaStreamNonBlocking));
            float *a = device_memory(SIZE), *b = device_memory(SIZE);
            numbers(ones, SIZE);
            upload(a, ones, SIZE);
            good(cudaMemset(b, 0, sizeof back));
            good(cudaDeviceSynchronize());
            good(run(KT_STUB(test_double), (test_argument){b, a, SIZE}, 32, stream));
            download(back, b, SIZE);
            right += back[0] == 2;
        }
        assert_true(blocking ? right == SEEDS : right < SEEDS);
    }
}

static void wrong_captures_are_refused(void **state)
{
    (void)state;
    cudaGraph_t graph;
    cudaEvent_t event;
    void *memory;
    float pageable[SIZE] = {0};
    start(0);
    cudaStream_t first = make_stream(), second = make_stream();
    float *a = device_memory(SIZE);
    good(cudaEventCreate(&event));
    assert_int_equal(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureUnmatched);
    (void)cudaGetLastError();

    good(cudaStreamBeginCapture(first, cudaStreamCaptureModeGlobal));
    assert_int_equal(cudaMalloc(&memory, 1), cudaErrorStreamCaptureUnsupported);
    (void)cudaGetLastError();
    assert_int_equal(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureInvalidated);
    (void)cudaGetLastError();

    good(cudaStreamBeginCapture(first, cudaStreamCaptureModeRelaxed));
    assert_int_equal(cudaStreamSynchronize(first), cudaErrorStreamCaptureUnsupported);
    (void)cudaGetLastError();
    assert_int_equal(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureInvalidated);
    (void)cudaGetLastError();

    good(cudaStreamBeginCapture(first, cudaStreamCaptureModeRelaxed));
    assert_int_equal(cudaMemcpyAsync(a, pageable, sizeof pageable, cudaMemcpyHostToDevice, first),
                     cudaErrorStreamCaptureUnsupported);
    (void)cudaGetLastError();
    assert_int_equal(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureInvalidated);
    (void)cudaGetLastError();
    expect("pageable memory in a capture");

    good(cudaStreamBeginCapture(first, cudaStreamCaptureModeRelaxed));
    good(cudaEventRecord(event, first));
    good(cudaStreamWaitEvent(second, event, 0));
    good(cudaMemsetAsync(a, 0, sizeof pageable, second));
    assert_int_equal(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureUnjoined);
    expect("hasn't waited for all that was captured");
}

static void a_freed_buffer_in_a_graph_is_seen(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        cudaGraph_t graph;
        cudaGraphExec_t exec;
        start(0);
        cudaStream_t stream = make_stream();
        float *a = device_memory(SIZE), *b = device_memory(SIZE);
        good(cudaMemset(a, 0, SIZE * sizeof(float)));
        good(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        if (kind == 0)
            good(run(KT_STUB(test_double), (test_argument){b, a, SIZE}, 32, stream));
        else
            good(cudaMemcpyAsync(b, a, SIZE * sizeof(float), cudaMemcpyDeviceToDevice, stream));
        good(cudaStreamEndCapture(stream, &graph));
        good(cudaGraphInstantiate(&exec, graph, 0));
        good(cudaGraphLaunch(exec, stream));
        good(cudaStreamSynchronize(stream));
        assert_int_equal(emulator_violations(), 0);
        good(cudaFree(a));
        good(cudaGraphLaunch(exec, stream));
        good(cudaStreamSynchronize(stream));
        expect(kind == 0 ? "kernel test_double has a pointer to freed device memory"
                         : "a copy's source is device memory that was freed");
    }
}

static void the_clock_runs(void **state)
{
    (void)state;
    cudaEvent_t before, after;
    float time = 0;
    start(3);
    float *a = device_memory(SIZE);
    good(cudaEventCreate(&before));
    good(cudaEventCreate(&after));
    good(cudaEventRecord(before, NULL));
    good(cudaMemsetAsync(a, 0, 4, NULL));
    good(cudaEventRecord(after, NULL));
    assert_int_equal(cudaEventElapsedTime(&time, before, after), cudaErrorNotReady);
    good(cudaEventSynchronize(after));
    good(cudaEventElapsedTime(&time, before, after));
    assert_true(time >= 0.001f && time <= 0.008f);
    good(cudaEventDestroy(before));
    good(cudaEventDestroy(after));
    good(cudaFree(a));
    expect_nothing();
}

/* ---- barriers ---- */

static void a_missing_barrier_shows_in_some_order(void **state)
{
    (void)state;
    int right[3] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (int kind = 0; kind < 3; kind++) {
            float host[SIZE], back[SIZE];
            int same = 1;
            start(seed);
            if (kind == 2)
                emulator_skip_barrier(1, 0);
            float *from = device_memory(SIZE), *to = device_memory(SIZE);
            numbers(host, SIZE);
            upload(from, host, SIZE);
            good(run(kind == 1 ? KT_STUB(test_reverse_without_barrier) : KT_STUB(test_reverse),
                     (test_argument){to, from, SIZE}, SIZE, NULL));
            download(back, to, SIZE);
            for (int i = 0; i < SIZE; i++)
                same = same && back[i] == host[SIZE - 1 - i];
            right[kind] += same;
        }
    assert_int_equal(right[0], SEEDS);
    assert_int_equal(right[1], 0);
    assert_int_equal(right[2], 0);
}

static void threads_that_part_are_seen(void **state)
{
    (void)state;
    start(0);
    float *a = device_memory(SIZE), *b = device_memory(SIZE);
    good(cudaMemset(a, 0, SIZE * sizeof(float)));
    good(run(KT_STUB(test_barrier_in_branch), (test_argument){b, a, SIZE}, SIZE, NULL));
    assert_int_equal(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    expect("kernel test_barrier_in_branch: threads of a block part at a barrier");
    assert_int_equal(cudaMemset(a, 0, 4), cudaErrorLaunchFailure); /* the device is lost */
    start(0);
    a = device_memory(SIZE);
    b = device_memory(SIZE);
    good(run(KT_STUB(test_shuffle_in_branch), (test_argument){b, a, SIZE}, SIZE, NULL));
    assert_int_equal(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    expect("kernel test_shuffle_in_branch: threads of a warp part at a shuffle");
}

/* ---- errors and leaks ---- */

/* Doubles SIZE numbers as a careful program does. */
static cudaError_t careful(float *numbers_in_and_out)
{
    const size_t bytes = SIZE * sizeof(float);
    cudaError_t error;
    cudaStream_t stream = NULL;
    cudaEvent_t event = NULL;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    void *a = NULL, *b = NULL, *pinned = NULL;
    int capturing = 0;
#define TRY(call)                                                                                            \
    if ((error = (call)) != cudaSuccess)                                                                     \
    goto end
    TRY(cudaSetDevice(0));
    TRY(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    TRY(cudaEventCreate(&event));
    TRY(cudaMalloc(&a, bytes));
    TRY(cudaMalloc(&b, bytes));
    TRY(cudaMallocHost(&pinned, bytes));
    memcpy(pinned, numbers_in_and_out, bytes);
    TRY(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    capturing = 1;
    TRY(cudaMemcpyAsync(a, pinned, bytes, cudaMemcpyHostToDevice, stream));
    TRY(run(KT_STUB(test_double), (test_argument){b, a, SIZE}, 32, stream));
    TRY(cudaMemcpyAsync(pinned, b, bytes, cudaMemcpyDeviceToHost, stream));
    capturing = 0;
    TRY(cudaStreamEndCapture(stream, &graph));
    TRY(cudaGraphInstantiate(&exec, graph, 0));
    TRY(cudaGraphLaunch(exec, stream));
    TRY(cudaEventRecord(event, stream));
    TRY(cudaEventSynchronize(event));
    memcpy(numbers_in_and_out, pinned, bytes);
end:;
#undef TRY
#define CLEAN(call)                                                                                          \
    do {                                                                                                     \
        const cudaError_t late = (call);                                                                     \
        error = error ? error : late;                                                                        \
    } while (0)
    if (capturing)
        CLEAN(cudaStreamEndCapture(stream, &graph));
    if (stream) /* a copy may still be under way */
        CLEAN(cudaStreamSynchronize(stream));
    if (exec)
        CLEAN(cudaGraphExecDestroy(exec));
    if (graph)
        CLEAN(cudaGraphDestroy(graph));
    CLEAN(cudaFreeHost(pinned));
    CLEAN(cudaFree(a));
    CLEAN(cudaFree(b));
    if (event)
        CLEAN(cudaEventDestroy(event));
    if (stream)
        CLEAN(cudaStreamDestroy(stream));
#undef CLEAN
    return error;
}

static void every_call_can_fail_in_turn(void **state)
{
    (void)state;
    float host[SIZE];
    start(0);
    numbers(host, SIZE);
    good(careful(host));
    assert_true(host[3] == 8);
    expect_nothing();
    const long calls = emulator_calls();
    assert_true(calls > 20);
    for (long n = 1; n <= calls; n++) {
        start((uint64_t)n);
        emulator_fail_call(n);
        if (careful(host) == cudaSuccess)
            fail_msg("call %ld, %s, failed and nothing shows it", n, emulator_failed_call());
        assert_non_null(emulator_failed_call());
        expect_nothing();
    }
}

static void an_unchecked_error_is_seen(void **state)
{
    (void)state;
    start(0);
    float *a = device_memory(SIZE);
    emulator_fail_call(1);
    (void)cudaMemsetAsync(a, 0, 4, NULL);
    (void)cudaMemsetAsync(a, 0, 4, NULL);
    expect("unchecked error: cudaMemsetAsync failed, and cudaMemsetAsync followed");

    start(0);
    a = device_memory(SIZE);
    emulator_fail_call(1);
    launch_double((test_argument){a, a, SIZE}, 1, 1, NULL);
    (void)cudaMemsetAsync(a, 0, 4, NULL);
    expect("unchecked error: cudaLaunchKernel failed");

    start(0); /* asked for: nothing to complain of */
    a = device_memory(SIZE);
    emulator_fail_call(1);
    launch_double((test_argument){a, a, SIZE}, 1, 1, NULL);
    assert_int_not_equal(cudaGetLastError(), cudaSuccess);
    good(cudaMemsetAsync(a, 0, 4, NULL));
    assert_int_equal(emulator_violations(), 0);
}

static void leaks_are_listed(void **state)
{
    (void)state;
    cudaEvent_t event;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cublasLtHandle_t blas;
    start(0);
    (void)device_memory(SIZE);
    (void)pinned_memory(SIZE);
    cudaStream_t stream = make_stream();
    good(cudaEventCreate(&event));
    good(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    good(cudaStreamEndCapture(stream, &graph));
    good(cudaGraphInstantiate(&exec, graph, 0));
    assert_int_equal(cublasLtCreate(&blas), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(emulator_leaks(), 7);
    expect_leak("256 bytes of device memory");
    expect_leak("256 bytes of pinned memory");
    expect_leak("stream");
    expect_leak("event");
    expect_leak("graph (");
    expect_leak("executable graph");
    expect_leak("cuBLASLt handle");
    assert_int_equal(emulator_violations(), 0);
}

static void several_devices_are_told_apart(void **state)
{
    (void)state;
    const emulator_options two = {.devices = 2}, none = {.devices = -1};
    int count;
    emulator_kernels(test_twins);
    emulator_start(&two);
    good(cudaGetDeviceCount(&count));
    assert_int_equal(count, 2);
    assert_int_equal(cudaSetDevice(2), cudaErrorInvalidDevice);
    (void)cudaGetLastError();
    float *there = device_memory(SIZE);
    good(cudaSetDevice(1));
    float *here = device_memory(SIZE);
    good(run(KT_STUB(test_double), (test_argument){here, there, SIZE}, 1, NULL));
    expect("kernel test_double has a pointer to memory of device 0, not 1");
    cudaStream_t stream = make_stream();
    good(cudaSetDevice(0));
    assert_int_equal(run(KT_STUB(test_double), (test_argument){there, there, SIZE}, 1, stream),
                     cudaErrorInvalidResourceHandle);
    expect("the stream is device 1's");
    emulator_start(&none);
    assert_int_equal(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    assert_int_equal(count, 0);
}

/* ---- cuBLASLt ---- */

/* d [m, n] = alpha a [m, k] b [n, k]^T + beta d, row-major, as cuBLASLt is asked for it. */
typedef struct blas_case {
    int m, n, k, batches, a_stride, b_stride, d_stride;
    cublasOperation_t transpose_b;
    int batch_stride_d; /* 0: m * d_stride */
    size_t workspace;
    int algorithm; /* of those that the heuristic offers */
} blas_case;

static cublasLtMatrixLayout_t row_layout(int rows, int columns, int stride, int batches, int64_t batch_stride)
{
    cublasLtMatrixLayout_t l;
    const int32_t order = CUBLASLT_ORDER_ROW, count = batches;
    assert_int_equal(cublasLtMatrixLayoutCreate(&l, CUDA_R_32F, (uint64_t)rows, (uint64_t)columns, stride),
                     0);
    assert_int_equal(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order),
                     0);
    assert_int_equal(
        cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), 0);
    assert_int_equal(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                      &batch_stride, sizeof batch_stride),
                     0);
    return l;
}

static cublasStatus_t blas(const blas_case *x, const float *a, const float *b, float *d, void *workspace)
{
    const int64_t batch_d = x->batch_stride_d ? x->batch_stride_d : x->m * x->d_stride;
    const float alpha = 1, beta = 0;
    const int32_t transpose = (int32_t)x->transpose_b;
    const uint64_t limit = 65536;
    const int b_rows = transpose == CUBLAS_OP_T ? x->n : x->k,
              b_columns = transpose == CUBLAS_OP_T ? x->k : x->n;
    cublasLtHandle_t h;
    cublasLtMatmulDesc_t o;
    cublasLtMatmulPreference_t p;
    cublasLtMatmulHeuristicResult_t results[3];
    int count;
    assert_int_equal(cublasLtCreate(&h), 0);
    assert_int_equal(cublasLtMatmulDescCreate(&o, CUBLAS_COMPUTE_32F, CUDA_R_32F), 0);
    assert_int_equal(
        cublasLtMatmulDescSetAttribute(o, CUBLASLT_MATMUL_DESC_TRANSB, &transpose, sizeof transpose), 0);
    assert_int_equal(cublasLtMatmulPreferenceCreate(&p), 0);
    assert_int_equal(cublasLtMatmulPreferenceSetAttribute(p, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit,
                                                          sizeof limit),
                     0);
    cublasLtMatrixLayout_t al = row_layout(x->m, x->k, x->a_stride, x->batches, x->m * x->a_stride),
                           bl = row_layout(b_rows, b_columns, x->b_stride, x->batches, b_rows * x->b_stride),
                           dl = row_layout(x->m, x->n, x->d_stride, x->batches, batch_d);
    cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(h, o, al, bl, dl, dl, p, 3, results, &count);
    if (status == CUBLAS_STATUS_SUCCESS) {
        assert_int_equal(count, 3);
        status = cublasLtMatmul(h, o, &alpha, a, al, b, bl, &beta, d, dl, d, dl, &results[x->algorithm].algo,
                                workspace, x->workspace, NULL);
    }
    assert_int_equal(cublasLtMatrixLayoutDestroy(al), 0);
    assert_int_equal(cublasLtMatrixLayoutDestroy(bl), 0);
    assert_int_equal(cublasLtMatrixLayoutDestroy(dl), 0);
    assert_int_equal(cublasLtMatmulPreferenceDestroy(p), 0);
    assert_int_equal(cublasLtMatmulDescDestroy(o), 0);
    assert_int_equal(cublasLtDestroy(h), 0);
    return status;
}

enum {
    M = 5,
    N = 7,
    K = 9,
    BATCHES = 3,
    A_SIZE = BATCHES * M * K,
    B_SIZE = BATCHES * N * K,
    D_SIZE = BATCHES * M * N
};
static const blas_case right_product = {M, N, K, BATCHES, K, K, N, CUBLAS_OP_T, 0, 65536, 0};

/* Runs the case; returns its status. `result` [D_SIZE]. */
static cublasStatus_t run_blas(const blas_case *x, float *result)
{
    float a[A_SIZE], b[B_SIZE];
    void *workspace;
    start(0);
    for (int i = 0; i < A_SIZE; i++)
        a[i] = (float)sin(i);
    for (int i = 0; i < B_SIZE; i++)
        b[i] = (float)cos(3 * i);
    float *da = device_memory(A_SIZE), *db = device_memory(B_SIZE), *dd = device_memory(D_SIZE);
    good(cudaMalloc(&workspace, 65536));
    upload(da, a, A_SIZE);
    upload(db, b, B_SIZE);
    const cublasStatus_t status = blas(x, da, db, dd, workspace);
    if (status == CUBLAS_STATUS_SUCCESS)
        download(result, dd, D_SIZE);
    good(cudaFree(da));
    good(cudaFree(db));
    good(cudaFree(dd));
    good(cudaFree(workspace));
    return status;
}

static float expected_product(int batch, int r, int c)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += (double)(float)sin(batch * M * K + r * K + k) *
               (double)(float)cos(3 * (batch * N * K + c * K + k));
    return (float)sum;
}

static int products_wrong(const float *result)
{
    int wrong = 0;
    for (int i = 0; i < D_SIZE; i++)
        wrong += !is_close(result[i], expected_product(i / (M * N), i / N % M, i % N), 1e-5, 1e-5);
    return wrong;
}

static void products_are_right(void **state)
{
    (void)state;
    float first[D_SIZE], other[D_SIZE];
    blas_case x = right_product;
    assert_int_equal(run_blas(&x, first), CUBLAS_STATUS_SUCCESS);
    expect_nothing();
    assert_int_equal(products_wrong(first), 0);
    for (x.algorithm = 1; x.algorithm < 3; x.algorithm++) {
        assert_int_equal(run_blas(&x, other), CUBLAS_STATUS_SUCCESS);
        expect_nothing();
        assert_int_equal(products_wrong(other), 0);
        assert_memory_not_equal(other, first, sizeof first); /* another order of sums */
    }
}

static void wrong_products_are_seen(void **state)
{
    (void)state;
    float result[D_SIZE];
    blas_case x = right_product;
    x.a_stride = K - 1;
    assert_int_equal(run_blas(&x, result), CUBLAS_STATUS_INVALID_VALUE);
    expect("a has a leading dimension that is too small");
    x = right_product;
    x.b_stride = K + 1;
    assert_int_equal(run_blas(&x, result), CUBLAS_STATUS_INVALID_VALUE);
    expect("b leaves its allocation");
    x = right_product;
    x.batch_stride_d = M * N - 1;
    assert_int_equal(run_blas(&x, result), CUBLAS_STATUS_INVALID_VALUE);
    expect("the results of two batches overlap");
    x = right_product;
    x.workspace = 0;
    x.algorithm = 1;
    assert_int_equal(run_blas(&x, result), CUBLAS_STATUS_INVALID_VALUE);
    expect("the workspace is too small");
    /* A transpose flag swapped: b read as [k, n] has the same extent and gives other numbers ... */
    x = right_product;
    x.transpose_b = CUBLAS_OP_N;
    x.b_stride = N;
    assert_int_equal(run_blas(&x, result), CUBLAS_STATUS_SUCCESS);
    assert_true(products_wrong(result) > D_SIZE / 2);
    /* ... and with the stride of the other leaves its allocation. */
    x.b_stride = K;
    assert_int_equal(run_blas(&x, result), CUBLAS_STATUS_INVALID_VALUE);
    expect("b leaves its allocation");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(launches_from_nvcc_and_from_c_run),
        cmocka_unit_test(grids_have_three_dimensions_and_folds_a_first),
        cmocka_unit_test(shuffles_and_shared_memory_work),
        cmocka_unit_test(wrong_launches_are_refused),
        cmocka_unit_test(a_write_out_of_bounds_is_seen),
        cmocka_unit_test(unwritten_memory_is_nan),
        cmocka_unit_test(freed_memory_is_seen),
        cmocka_unit_test(a_host_that_touches_device_memory_dies),
        cmocka_unit_test(copies_are_checked),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(a_pinned_buffer_reused_too_early_is_seen),
        cmocka_unit_test(a_missing_event_wait_shows_in_some_order),
        cmocka_unit_test(the_default_stream_waits_for_blocking_streams_only),
        cmocka_unit_test(wrong_captures_are_refused),
        cmocka_unit_test(a_freed_buffer_in_a_graph_is_seen),
        cmocka_unit_test(the_clock_runs),
        cmocka_unit_test(a_missing_barrier_shows_in_some_order),
        cmocka_unit_test(threads_that_part_are_seen),
        cmocka_unit_test(every_call_can_fail_in_turn),
        cmocka_unit_test(an_unchecked_error_is_seen),
        cmocka_unit_test(leaks_are_listed),
        cmocka_unit_test(several_devices_are_told_apart),
        cmocka_unit_test(products_are_right),
        cmocka_unit_test(wrong_products_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
