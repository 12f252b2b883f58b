/* Several GPUs, emulated: folds that are spread over them have the bits of one; those that share a fold agree with one to
 * float32, and with each other bit for bit; a lost one ends the run in time, and the run goes on from its checkpoint. First
 * of all that the stand-in for NCCL does what it should and notices what is wrong. */
#include <math.h>
#include <time.h>

#include "support.h"

#include "base/clock.h"
#include "cuda_emulator/emulator.h"
#include "device/device.h"
#include "device/threaded_kernels.h"
#include "train/runs.h"

#include <cuda_runtime_api.h>
#ifndef KTI_TESTS_NO_NCCL
#include <nccl.h>
#endif

enum { GPUS = 6 };

static void start_emulator(uint64_t seed)
{
    const emulator_options options = {.seed = seed, .devices = GPUS};
    emulator_start(&options);
    emulator_kernels(threaded_kernels);
}

static void assert_clean(void)
{
    char text[4096];
    if (emulator_report(text, sizeof text) != 0)
        fail_msg("%s", text);
}

#ifndef KTI_TESTS_NO_NCCL

/* ---- the stand-in ---- */

enum { RANKS = 3, NUMBERS = 5 };

typedef struct clique {
    ncclComm_t communicator[RANKS];
    cudaStream_t stream[RANKS];
    float *data[RANKS]; /* number i of rank r is 10 r + i */
} clique;

static void create_clique(clique *k, uint64_t seed)
{
    start_emulator(seed);
    assert_int_equal(ncclCommInitAll(k->communicator, RANKS, NULL), ncclSuccess);
    for (int r = 0; r < RANKS; r++) {
        float numbers[NUMBERS];
        for (int i = 0; i < NUMBERS; i++)
            numbers[i] = (float)(10 * r + i);
        assert_int_equal(cudaSetDevice(r), cudaSuccess);
        assert_int_equal(cudaStreamCreateWithFlags(&k->stream[r], cudaStreamNonBlocking), cudaSuccess);
        assert_int_equal(cudaMalloc((void **)&k->data[r], sizeof numbers), cudaSuccess);
        assert_int_equal(cudaMemcpy(k->data[r], numbers, sizeof numbers, cudaMemcpyHostToDevice),
                         cudaSuccess);
    }
}

static void destroy_clique(clique *k)
{
    for (int r = 0; r < RANKS; r++) {
        cudaSetDevice(r);
        cudaStreamDestroy(k->stream[r]);
        cudaFree(k->data[r]);
        if (k->communicator[r])
            ncclCommDestroy(k->communicator[r]);
    }
}

static ncclResult_t reduce(const clique *k, int r, size_t count)
{
    return ncclAllReduce(k->data[r], k->data[r], count, ncclFloat32, ncclSum, k->communicator[r],
                         k->stream[r]);
}

static cudaError_t wait_for_all(const clique *k)
{
    cudaError_t error = cudaSuccess;
    for (int r = 0; r < RANKS && error == cudaSuccess; r++)
        error = cudaStreamSynchronize(k->stream[r]);
    return error;
}

static void assert_numbers(const clique *k, int r, float first, float step)
{
    float numbers[NUMBERS];
    assert_int_equal(cudaSetDevice(r), cudaSuccess);
    assert_int_equal(cudaMemcpy(numbers, k->data[r], sizeof numbers, cudaMemcpyDeviceToHost), cudaSuccess);
    for (int i = 0; i < NUMBERS; i++)
        assert_true(numbers[i] == first + step * (float)i);
}

static void test_sums_and_copies(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        clique k;
        create_clique(&k, seed);
        for (int r = 0; r < RANKS; r++)
            assert_int_equal(reduce(&k, r, NUMBERS), ncclSuccess);
        assert_int_equal(wait_for_all(&k), cudaSuccess);
        for (int r = 0; r < RANKS; r++)
            assert_numbers(&k, r, 30, 3);
        /* Two calls in a group are one collective: a broadcast of the first number, and a sum of the others. */
        for (int r = 0; r < RANKS; r++) {
            assert_int_equal(ncclGroupStart(), ncclSuccess);
            assert_int_equal(ncclAllReduce(k.data[r] + 1, k.data[r] + 1, NUMBERS - 1, ncclFloat32, ncclSum,
                                           k.communicator[r], k.stream[r]),
                             ncclSuccess);
            assert_int_equal(ncclBroadcast(k.data[r], k.data[r], sizeof(float), ncclChar, 2,
                                           k.communicator[r], k.stream[r]),
                             ncclSuccess);
            assert_int_equal(ncclGroupEnd(), ncclSuccess);
        }
        assert_int_equal(wait_for_all(&k), cudaSuccess);
        float numbers[NUMBERS];
        assert_int_equal(cudaSetDevice(1), cudaSuccess);
        assert_int_equal(cudaMemcpy(numbers, k.data[1], sizeof numbers, cudaMemcpyDeviceToHost), cudaSuccess);
        assert_true(numbers[0] == 30 && numbers[1] == 99 && numbers[4] == 126);
        destroy_clique(&k);
        assert_clean();
    }
}

static void capture_reduce(const clique *k, int r, cudaGraphExec_t *executable)
{
    cudaGraph_t graph;
    assert_int_equal(cudaSetDevice(r), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(k->stream[r], cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(reduce(k, r, NUMBERS), ncclSuccess);
    assert_int_equal(cudaStreamEndCapture(k->stream[r], &graph), cudaSuccess);
    assert_int_equal(cudaGraphInstantiate(executable, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
}

static void test_captured(void **state)
{
    (void)state;
    clique k;
    cudaGraphExec_t executable[RANKS];
    create_clique(&k, 5);
    for (int r = 0; r < RANKS; r++)
        capture_reduce(&k, r, &executable[r]);
    for (int times = 0; times < 2; times++)
        for (int r = 0; r < RANKS; r++)
            assert_int_equal(cudaGraphLaunch(executable[r], k.stream[r]), cudaSuccess);
    assert_int_equal(wait_for_all(&k), cudaSuccess);
    for (int r = 0; r < RANKS; r++) {
        assert_numbers(&k, r, 90, 9);
        assert_int_equal(cudaGraphExecDestroy(executable[r]), cudaSuccess);
    }
    destroy_clique(&k);
    assert_clean();
}

static void assert_violation(const char *part)
{
    assert_true(emulator_violations() > 0);
    for (int i = 0; i < emulator_violations(); i++)
        if (strstr(emulator_violation(i), part))
            return;
    fail_msg("no violation says `%s`, but: %s", part, emulator_violation(0));
}

static void test_ranks_that_do_not_agree(void **state)
{
    (void)state;
    clique k;
    create_clique(&k, 6);
    for (int r = 0; r < RANKS; r++)
        reduce(&k, r, r == 1 ? NUMBERS - 1 : NUMBERS);
    assert_int_equal(wait_for_all(&k), cudaSuccess);
    assert_violation("ranks don't agree");
    destroy_clique(&k);
}

static void test_a_rank_that_never_comes(void **state)
{
    (void)state;
    clique k;
    create_clique(&k, 7);
    emulator_timeout(0.2);
    reduce(&k, 0, NUMBERS);
    reduce(&k, 2, NUMBERS);
    assert_int_not_equal(wait_for_all(&k), cudaSuccess);
    cudaGetLastError();
    assert_violation("never comes");
}

static void test_an_abort_ends_the_wait(void **state)
{
    (void)state;
    clique k;
    create_clique(&k, 8);
    emulator_lose_rank(1, 1, 0);
    for (int r = 0; r < RANKS; r++)
        assert_int_equal(reduce(&k, r, NUMBERS), ncclSuccess);
    for (int i = 0; i < 50; i++)
        assert_int_equal(cudaStreamQuery(k.stream[0]), cudaErrorNotReady);
    for (int r = 0; r < RANKS; r++) {
        assert_int_equal(ncclCommAbort(k.communicator[r]), ncclSuccess);
        k.communicator[r] = NULL;
    }
    assert_int_equal(wait_for_all(&k), cudaSuccess);
    destroy_clique(&k);
    assert_clean();
}

static void test_seeded_faults(void **state)
{
    (void)state;
    clique k;
    cudaGraphExec_t executable;
    ncclComm_t second;
    ncclUniqueId id;
    /* Too many numbers, and those of another device. */
    create_clique(&k, 9);
    assert_int_not_equal(reduce(&k, 0, NUMBERS + 1), ncclSuccess);
    assert_violation("leaves its allocation");
    create_clique(&k, 10);
    assert_int_not_equal(
        ncclAllReduce(k.data[1], k.data[1], NUMBERS, ncclFloat32, ncclSum, k.communicator[0], k.stream[0]),
        ncclSuccess);
    assert_violation("memory of device 1");
    create_clique(&k, 11);
    assert_int_not_equal(
        ncclAllReduce(k.data[0], k.data[0], NUMBERS, ncclFloat32, ncclSum, k.communicator[0], k.stream[1]),
        ncclSuccess);
    assert_violation("different devices");
    /* A buffer that was freed and is still in a graph. */
    create_clique(&k, 12);
    capture_reduce(&k, 2, &executable);
    cudaFree(k.data[2]);
    cudaGraphLaunch(executable, k.stream[2]);
    for (int r = 0; r < 2; r++)
        reduce(&k, r, NUMBERS);
    wait_for_all(&k);
    assert_violation("was freed");
    /* Real NCCL waits for ever here. */
    create_clique(&k, 13);
    capture_reduce(&k, 0, &executable);
    ncclCommAbort(k.communicator[0]);
    assert_violation("for a graph");
    create_clique(&k, 14);
    assert_int_equal(ncclGetUniqueId(&id), ncclSuccess);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    cudaSetDevice(0);
    assert_int_equal(ncclCommInitRankConfig(&second, 2, id, 0, &config), ncclInProgress);
    assert_int_not_equal(
        ncclAllReduce(k.data[0], k.data[0], NUMBERS, ncclFloat32, ncclSum, second, k.stream[0]), ncclSuccess);
    assert_violation("in progress");
    start_emulator(15);
}

#endif

/* ---- whole runs ---- */

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], run[PATH_SIZE],
        pair[PATH_SIZE]; /* finished: three folds on one GPU; two folds on four */
} fixture;

static kt_train_options gpu_options(const fixture *f, const char *name, char run[PATH_SIZE])
{
    kt_train_options options = small_options(f->data, path_in(f->folder.path, name, run));
    options.run.device = "cuda";
    options.epochs = 2;
    options.batch = 16; /* a step an epoch: most of the emulator's time goes into the optimiser */
    return options;
}

#ifndef KTI_TESTS_NO_NCCL
static kt_train_options pair_options(const fixture *f, const char *name, char run[PATH_SIZE])
{
    kt_train_options options = gpu_options(f, name, run);
    options.folds = 2;
    options.run.gpus = 4;
    return options;
}
#endif

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    start_emulator(1);
    kt_train_options options = gpu_options(f, "run", f->run);
    train(&options, NULL);
    assert_clean();
#ifndef KTI_TESTS_NO_NCCL
    start_emulator(2);
    options = pair_options(f, "pair", f->pair);
    train(&options, NULL);
    assert_true(emulator_calls_of("ncclAllReduce") > 0 && emulator_calls_of("ncclBroadcast") > 0);
    assert_clean();
#endif
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

/* Three of four, an arrangement of folds that the device never sees on one. */
static void test_folds_over_gpus(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    static messages list;
    start_emulator(4);
    kt_train_options options = gpu_options(f, "spread", other);
    options.run.gpus = 4;
    options.run.message = collect_message;
    options.run.user = &list;
    train(&options, NULL);
    assert_int_equal(run_differs(f->run, other, 3), 0);
    assert_int_equal(emulator_calls_of("ncclAllReduce"), 0);
    assert_int_equal(count_messages(&list, "1 of the 4 GPUs is not used"), 1);
    assert_clean();
}

/* A run of one GPU may go on with two, one of which has two folds. */
static int stop_at_three(void *user, const kt_train_progress *progress)
{
    (void)user;
    return progress->epochs_done >= 3;
}

static void test_resume_on_others(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    char other[PATH_SIZE];
    start_emulator(5);
    kt_train_options options = gpu_options(f, "resumed", other);
    options.run.progress = stop_at_three;
    assert_int_equal(kt_train(&options, &result, &error), KT_INTERRUPTED);
    options.run.progress = NULL;
    options.run.resume = true;
    options.run.gpus = 2;
    train(&options, NULL);
    assert_int_equal(run_differs(f->run, other, 3), 0);
    assert_clean();
}

static void assert_refused(kt_train_options *options, kt_status expected, const char *part)
{
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    assert_int_equal(kt_train(options, &result, &error), expected);
    if (!strstr(error.message, part))
        fail_msg("`%s` doesn't say `%s`", error.message, part);
}

static void test_refusals(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    start_emulator(6);
    kt_train_options options = gpu_options(f, "refused", other);
    options.run.gpus = GPUS + 1;
    assert_refused(&options, KT_BAD_ARGUMENT, "there are 6");
    options.run.gpus = 0;
    assert_refused(&options, KT_BAD_ARGUMENT, "`gpus`");
    options.run.gpus = 2;
    options.run.device = "cpu";
    assert_refused(&options, KT_BAD_ARGUMENT, "the device is `cpu`");
#ifdef KTI_TESTS_NO_NCCL
    options.device = "cuda";
    options.gpus = 6;
    assert_refused(&options, KT_DEVICE, "NCCL");
#else
    options = pair_options(f, "pair", other); /* whose folds are shared by two each */
    options.run.resume = true;
    options.run.gpus = 2;
    assert_refused(&options, KT_BAD_ARGUMENT, "`gpus`");
#endif
    assert_clean();
}

/* Ranks of a host, more than there are GPUs: each counts from its own GPU on, and around. */
static void test_ranks_have_a_gpu_each(void **state)
{
    (void)state;
    for (int rank = 0; rank < GPUS + 2; rank++) {
        kt_error error = KT_ERROR_NONE;
        kti_device *device;
        int current = -1;
        start_emulator(7);
        kti_device_prefer(rank);
        assert_ok(kti_device_create("cuda", 1, &device, &error), &error);
        assert_int_equal(cudaGetDevice(&current), cudaSuccess);
        assert_int_equal(current, rank % GPUS);
        kti_device_destroy(device);
        assert_ok(kti_device_create_at("cuda", 3, 1, &device, &error), &error);
        assert_int_equal(cudaGetDevice(&current), cudaSuccess);
        assert_int_equal(current, (rank + 3) % GPUS);
        kti_device_destroy(device);
        assert_clean();
    }
    kti_device_prefer(0);
}

#ifndef KTI_TESTS_NO_NCCL

/* ---- folds that are shared ---- */

static void assert_same_course(const char *left, const char *right, int folds, int epochs)
{
    static const char *const columns[] = {"train_loss", "select_mape", "gradient_norm"};
    for (int fold = 1; fold <= folds; fold++)
        for (int epoch = 1; epoch <= epochs; epoch++)
            for (int i = 0; i < 3; i++)
                assert_true(is_close(epoch_value(left, fold, epoch, columns[i]),
                                     epoch_value(right, fold, epoch, columns[i]), 1e-5, 0));
}

static void test_shared_folds(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    static messages list;
    assert_same_course(f->run, f->pair, 2, 2); /* a fold doesn't depend on how many there are */
    /* One GPU left over, another order: the same bits. */
    start_emulator(8);
    kt_train_options options = pair_options(f, "again", other);
    options.run.gpus = 5;
    options.run.message = collect_message;
    options.run.user = &list;
    train(&options, NULL);
    assert_int_equal(run_differs(f->pair, other, 2), 0);
    assert_int_equal(count_messages(&list, "1 of the 5 GPUs is not used"), 1);
    assert_clean();
}

/* Batches of 7 on three GPUs; the last one has fewer crystals than GPUs, so that one of them has none. All options of the
 * optimiser are on, and cuBLAS multiplies. */
static void test_empty_parts(void **state)
{
    const fixture *f = *state;
    char one[PATH_SIZE], other[PATH_SIZE];
    start_emulator(9);
    kt_train_options options = gpu_options(f, "one for three", one);
    options.folds = 1;
    options.epochs = 1;
    options.batch = 7;
    options.weight_average = 0.9;
    options.weight_decay = 0.01;
    options.clip_norm = 1;
    options.label_noise = 0.1;
    kt_train_result result;
    kt_error error = KT_ERROR_NONE;
    assert_ok(kt_train(&options, &result, &error), &error);
    const int last = result.fold[0].train_rows % options.batch;
    kt_train_result_destroy(&result);
    assert_true(last == 1 || last == 2);
    start_emulator(10);
    options.run.out = path_in(f->folder.path, "three", other);
    options.run.gpus = 3;
    train(&options, NULL);
    assert_same_course(one, other, 1, 1);
    assert_clean();
    start_emulator(11);
    options.run.out = path_in(f->folder.path, "three by cuBLAS", other);
    options.run.device = "cuda-cublas";
    options.freeze = KT_FREEZE_BODY;
    train(&options, NULL);
    assert_clean();
}

static int stop_at_two(void *user, const kt_train_progress *progress)
{
    (void)user;
    return progress->epochs_done >= 2;
}

/* All who share a fold stop after the same epoch. */
static void test_stop_and_resume(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    char other[PATH_SIZE];
    start_emulator(12);
    kt_train_options options = pair_options(f, "stopped", other);
    options.run.progress = stop_at_two;
    assert_int_equal(kt_train(&options, &result, &error), KT_INTERRUPTED);
    assert_clean();
    options.run.progress = NULL;
    options.run.resume = true;
    train(&options, NULL);
    assert_int_equal(run_differs(f->pair, other, 2), 0);
    assert_clean();
}

/* A GPU is lost in the second epoch: an error in time that says where, then the bits of a run that lost nothing. */
static void lose_a_gpu(const fixture *f, const char *name, int reports)
{
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    char other[PATH_SIZE];
    start_emulator(13);
    kt_train_options options = pair_options(f, name, other);
    options.folds = 1;
    options.run.gpus = 2;
    options.run.checkpoint_seconds = 0;
    options.run.gpu_timeout = reports ? 1e6 : 3;
    emulator_lose_rank(1, 6, reports); /* after 3 broadcasts, the sum that connects, and a step */
    const double begun = kti_seconds();
    assert_int_equal(kt_train(&options, &result, &error), KT_DEVICE);
    print_message("%s (%.1f s)\n", error.message, kti_seconds() - begun);
    assert_true(kti_seconds() - begun < 60);
    assert_non_null(strstr(error.message, "fold "));
    assert_non_null(strstr(error.message, "GPU "));
    assert_non_null(strstr(error.message, reports ? "remote" : "no progress for 3 seconds"));
    assert_non_null(strstr(error.message, "--resume"));
    assert_true(emulator_calls_of("ncclCommAbort") > 0);
    assert_clean();
    start_emulator(14);
    options.run.resume = true;
    options.run.gpu_timeout = 300;
    train(&options, NULL);
    assert_int_equal(differs(f->pair, other, "folds/1/last.safetensors"), 0);
    assert_int_equal(differs(f->pair, other, "folds/1/best.safetensors"), 0);
    assert_clean();
}

static void test_a_lost_gpu(void **state)
{
    lose_a_gpu(*state, "lost", 0);
}

static void test_a_gpu_that_reports_an_error(void **state)
{
    lose_a_gpu(*state, "reported", 1);
}

/* Calls at points spread over a run fail: an error in time, nothing left behind. */
static void test_any_call_may_fail(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    start_emulator(15);
    kt_train_options options = pair_options(f, "counted", other);
    options.folds = 1;
    options.run.gpus = 2;
    options.epochs = 1;
    options.run.gpu_timeout = 30;
    train(&options, NULL);
    const long calls = emulator_calls();
    int failed = 0;
    for (long n = 1; n < calls; n += 4 + n / 3) {
        kt_error error = KT_ERROR_NONE;
        kt_train_result result;
        char name[32];
        snprintf(name, sizeof name, "failed%ld", n);
        start_emulator((uint64_t)n);
        options.run.out = path_in(f->folder.path, name, other);
        emulator_fail_call(n);
        const kt_status status = kt_train(&options, &result, &error);
        const char *call = emulator_failed_call();
        if (status == KT_OK) {
            kt_train_result_destroy(&result);
            if (!emulator_failure_may_pass())
                fail_msg("call %ld, %s, failed unnoticed", n, call);
        } else {
            failed++;
            assert_true(status == KT_DEVICE || status == KT_OUT_OF_MEMORY);
        }
        if (emulator_leaks() > 0)
            fail_msg("after call %ld, %s, failed: %s is left", n, call ? call : "?", emulator_leak(0));
        if (emulator_violations() > 0)
            fail_msg("after call %ld, %s, failed: %s", n, call ? call : "?", emulator_violation(0));
    }
    assert_true(failed > 10);
    print_message("%d of %ld calls of a run were let fail\n", failed, calls);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifndef KTI_TESTS_NO_NCCL
        cmocka_unit_test(test_sums_and_copies),
        cmocka_unit_test(test_captured),
        cmocka_unit_test(test_ranks_that_do_not_agree),
        cmocka_unit_test(test_a_rank_that_never_comes),
        cmocka_unit_test(test_an_abort_ends_the_wait),
        cmocka_unit_test(test_seeded_faults),
#endif
        cmocka_unit_test(test_folds_over_gpus),
        cmocka_unit_test(test_resume_on_others),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_ranks_have_a_gpu_each),
#ifndef KTI_TESTS_NO_NCCL
        cmocka_unit_test(test_shared_folds),
        cmocka_unit_test(test_empty_parts),
        cmocka_unit_test(test_stop_and_resume),
        cmocka_unit_test(test_a_lost_gpu),
        cmocka_unit_test(test_a_gpu_that_reports_an_error),
        cmocka_unit_test(test_any_call_may_fail),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
