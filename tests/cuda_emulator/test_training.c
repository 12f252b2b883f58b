/* Training on the emulated device: the CPU's numbers to float32, step by step; the same bits for a fold alone and with
 * others, whatever the order that kernels, threads and copies run in; and an error, not a crash or a hang, whichever call
 * fails. */
#include <pthread.h>
#include <unistd.h>

#include "support.h"

#include "base/memory.h"
#include "cuda_emulator/emulator.h"
#include "data/dataset.h"
#include "device/cost.h"
#include "device/threaded_kernels.h"
#include "model/initialise.h"
#include "train/plan.h"
#include "train/runs.h"

enum { FOLDS = 9, STEPS = 3, BATCH = 8 };

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

/* ---- steps, beside the CPU ---- */

/* Nine folds on one device, fold f with its own weights and its own batches of Togo15. */
typedef struct team {
    const kti_dataset *dataset;
    const kti_graph **graphs;
    kti_device *device;
    kti_parameters parameters;
    kti_kept kept;
    kti_plan *plan[FOLDS]; /* the CPU has the first alone */
    kt_real result[FOLDS][STEPS][KT_RESULT_VALUES];
} team;

typedef struct trainee {
    team *team;
    int fold;
} trainee;

static void pick(const team *t, kti_plan *plan, int fold, int step)
{
    int32_t rows[BATCH];
    const int count = step == STEPS - 1 ? BATCH - 3 : BATCH; /* a last batch is smaller */
    for (int i = 0; i < count; i++)
        rows[i] = (fold * 11 + step * BATCH + i) % t->dataset->size;
    assert_int_equal(kti_plan_pick(plan, rows, count), 0);
    for (int i = 0; i < count; i++)
        kti_plan_batch(plan)->kappa[i] = (kt_real)t->dataset->crystals[rows[i]].kappa;
    kt_real *s = kti_plan_step(plan);
    kti_plan_set_adam(plan, 1e-3, step + 1);
    s[KT_STEP_TARGET_MEAN] = (kt_real)1.44;
    s[KT_STEP_TARGET_SD] = (kt_real)0.7541;
}

static void *train_fold(void *argument)
{
    const trainee *own = argument;
    team *t = own->team;
    kti_plan *plan = t->plan[kti_device_fuses(t->device) ? own->fold : 0];
    kt_error error = KT_ERROR_NONE;
    for (int step = 0; step < STEPS; step++) {
        pick(t, plan, own->fold, step);
        assert_ok(kti_plan_train(plan, own->fold, t->result[own->fold][step], &error), &error);
    }
    kti_device_leave(t->device, own->fold);
    return NULL;
}

static void create_team(team *t, const char *device, const kti_dataset *dataset,
                        const kt_train_options *options)
{
    kt_error error = KT_ERROR_NONE;
    *t = (team){.dataset = dataset, .graphs = kti_allocate((size_t)dataset->size, sizeof *t->graphs)};
    assert_non_null(t->graphs);
    for (int i = 0; i < dataset->size; i++)
        t->graphs[i] = &dataset->crystals[i].graph;
    assert_ok(kti_device_create(device, FOLDS, &t->device, &error), &error);
    assert_ok(kti_parameters_create(t->device, FOLDS, KTI_TRAINED, &t->parameters, &error), &error);
    kt_real *arena = kti_allocate((size_t)t->parameters.layout.size, sizeof *arena);
    assert_non_null(arena);
    for (int fold = 0; fold < FOLDS; fold++) {
        kti_initialise(&t->parameters.layout, arena, KTI_ALL_PARTS, 42, fold + 1, 0);
        assert_ok(kti_parameters_upload(&t->parameters, KTI_ROLE_VALUE, fold, arena, &error), &error);
    }
    free(arena);
    assert_ok(kti_kept_create(t->device, t->graphs, dataset->size, &t->kept, &error), &error);
    assert_ok(kti_plan_create_kept(&t->kept, BATCH, 0, &t->parameters, KTI_TARGET_KAPPA, options, &t->plan[0],
                                   &error),
              &error);
    for (int fold = 1; fold < FOLDS && kti_device_fuses(t->device); fold++)
        assert_ok(kti_plan_create_sibling(t->plan[0], fold, &t->plan[fold], &error), &error);
}

/* All folds at once where the device fuses, else one after another. */
static void train_team(team *t)
{
    pthread_t thread[FOLDS];
    trainee trainees[FOLDS];
    const bool together = kti_device_fuses(t->device);
    for (int fold = 0; fold < FOLDS; fold++) {
        trainees[fold] = (trainee){t, fold};
        kti_device_enter(t->device, fold);
    }
    for (int fold = 0; fold < FOLDS; fold++)
        if (!together)
            train_fold(&trainees[fold]);
        else
            assert_int_equal(pthread_create(&thread[fold], NULL, train_fold, &trainees[fold]), 0);
    for (int fold = 0; fold < FOLDS && together; fold++)
        pthread_join(thread[fold], NULL);
}

static void destroy_team(team *t)
{
    for (int fold = FOLDS - 1; fold >= 0; fold--)
        kti_plan_destroy(t->plan[fold]);
    kti_kept_destroy(&t->kept);
    free(t->graphs);
    kti_parameters_destroy(&t->parameters);
    kti_device_destroy(t->device);
}

/* A step moves a weight by about the learning rate whatever its gradient's size, so a gradient that is nearly zero may move
 * it either way: weights are compared by how many differ much. */
static void compare_teams(const team *cpu, const team *cuda)
{
    kt_error error = KT_ERROR_NONE;
    const int64_t size = cpu->parameters.layout.size;
    kt_real *left = kti_allocate((size_t)size, sizeof *left),
            *right = kti_allocate((size_t)size, sizeof *right);
    assert_true(left && right);
    for (int fold = 0; fold < FOLDS; fold++) {
        for (int step = 0; step < STEPS; step++)
            for (int i = 0; i < KT_RESULT_VALUES; i++)
                if (!is_close((double)cuda->result[fold][step][i], (double)cpu->result[fold][step][i],
                              step == 0 ? 1e-5 : 1e-3, 1e-6))
                    fail_msg("fold %d, step %d, %s: %.9g on the emulated device, %.9g on the CPU", fold + 1,
                             step + 1, i == KT_RESULT_LOSS ? "loss" : "gradient norm",
                             (double)cuda->result[fold][step][i], (double)cpu->result[fold][step][i]);
        assert_ok(kti_parameters_download(&cpu->parameters, KTI_ROLE_VALUE, fold, left, &error), &error);
        assert_ok(kti_parameters_download(&cuda->parameters, KTI_ROLE_VALUE, fold, right, &error), &error);
        int64_t away = 0;
        for (int64_t i = 0; i < size; i++)
            away += !is_close((double)right[i], (double)left[i], 1e-3, 1e-4);
        if (away * 1000 > size)
            fail_msg("fold %d: %lld of %lld weights differ after %d steps", fold + 1, (long long)away,
                     (long long)size, STEPS);
    }
    free(left);
    free(right);
}

#ifndef KTI_TESTS_GPU
/* What the benchmark says of a step is what runs; cuBLAS takes the place of some of the launches. */
static void check_launches(const team *t, long kernels, bool all_own)
{
    static const double rows[KT_ROW_KINDS] = {1, 1, 1};
    int size;
    const kti_operation *list = kti_plan_operations(t->plan[0], &size);
    const kti_cost cost = kti_list_cost(list, size, rows);
    print_message("%d launches a step\n", cost.launches);
    assert_true(all_own ? kernels == (long)cost.launches * STEPS : kernels < (long)cost.launches * STEPS);
    assert_true(cost.bytes > 0 && cost.flops > 0);
}
#endif

static void check_steps(const char *device, void (*prepare)(void))
{
    static team cpu, cuda;
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset;
    const kti_dataset_options read = kti_dataset_options_default();
    const kt_train_options options = kt_train_options_default(KT_SOUND);
    assert_ok(kti_dataset_read(data_path("togo15"), &read, &dataset, &error), &error);
    start_emulator(1);
    if (prepare)
        prepare();
    create_team(&cpu, "cpu", &dataset, &options);
    create_team(&cuda, device, &dataset, &options);
    train_team(&cpu);
#ifndef KTI_TESTS_GPU
    const long launches = emulator_calls_of("cudaGraphLaunch"),
               copies = emulator_calls_of("cudaMemcpy2DAsync"), kernels = emulator_kernel_runs(NULL);
    train_team(&cuda);
    /* Nine folds are one launch, between one copy in and one out. */
    assert_int_equal(emulator_calls_of("cudaGraphLaunch") - launches, STEPS);
    assert_int_equal(emulator_calls_of("cudaMemcpy2DAsync") - copies, 2 * STEPS);
    check_launches(&cuda, emulator_kernel_runs(NULL) - kernels, strcmp(device, "cuda") == 0);
#else
    train_team(&cuda);
#endif
    compare_teams(&cpu, &cuda);
    destroy_team(&cpu);
    destroy_team(&cuda);
    kti_dataset_destroy(&dataset);
    assert_clean();
}

static void test_steps_equal_the_cpu(void **state)
{
    (void)state;
    check_steps("cuda", NULL);
#ifndef KTI_TESTS_GPU
    assert_int_equal(emulator_calls_of("cublasLtMatmul"), 0);
#endif
}

static void test_steps_with_cublas_equal_the_cpu(void **state)
{
    (void)state;
    check_steps("cuda-cublas", NULL);
#ifndef KTI_TESTS_GPU
    assert_true(emulator_calls_of("cublasLtMatmul") > 50);
#endif
}

static void test_peak(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    static const char *const devices[] = {"cuda", "cuda-cublas"};
    for (int i = 0; i < 2; i++) {
        kti_device *device;
        kti_peak peak = {0, 0};
        start_emulator(9);
        assert_ok(kti_device_create(devices[i], 1, &device, &error), &error);
        assert_ok(kti_device_peak(device, 1 << 12, 32, &peak, &error), &error);
        assert_true(peak.bytes_per_second > 0 && isfinite(peak.bytes_per_second));
        assert_true(peak.flops_per_second > 0 && isfinite(peak.flops_per_second));
        kti_device_destroy(device);
        assert_clean();
    }
}

#ifdef KTI_TESTS_CUDNN
static void test_steps_with_cudnn_equal_the_cpu(void **state)
{
    (void)state;
    check_steps("cuda-cudnn", NULL);
#ifndef KTI_TESTS_GPU
    assert_true(emulator_calls_of("cudnnBackendExecute") > 20);
#endif
}

#ifndef KTI_TESTS_GPU
static void let_cudnn_fuse(void)
{
    emulator_dnn_fuses(true);
}

/* With an engine that cuDNN hasn't got yet: the product too. */
static void test_steps_with_fused_cudnn_equal_the_cpu(void **state)
{
    (void)state;
    check_steps("cuda-cudnn", let_cudnn_fuse);
    assert_true(emulator_calls_of("cudnnBackendExecute") > 20);
}
#endif
#endif

/* ---- whole runs ---- */

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], run[PATH_SIZE]; /* a finished run of three folds */
} fixture;

static kt_train_options cuda_options(const fixture *f, const char *name, char run[PATH_SIZE])
{
    kt_train_options options = small_options(f->data, path_in(f->folder.path, name, run));
    options.run.device = "cuda";
    options.epochs = 2;
    return options;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    start_emulator(1);
    const kt_train_options options = cuda_options(f, "run", f->run);
    train(&options, NULL);
    assert_clean();
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

static void test_any_order(void **state)
{
    const fixture *f = *state;
    for (uint64_t seed = 2; seed <= 3; seed++) {
        char name[32], other[PATH_SIZE];
        snprintf(name, sizeof name, "seed%d", (int)seed);
        start_emulator(seed);
        const kt_train_options options = cuda_options(f, name, other);
        train(&options, NULL);
        assert_int_equal(run_differs(f->run, other, 3), 0);
        assert_clean();
    }
}

static void test_a_fold_alone(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    start_emulator(4);
    kt_train_options options = cuda_options(f, "alone", other);
    options.run.only_fold = 2;
    train(&options, NULL);
    assert_int_equal(differs(f->run, other, "folds/2/last.safetensors"), 0);
    assert_int_equal(differs(f->run, other, "folds/2/best.safetensors"), 0);
    assert_clean();
}

/* cuBLAS sums in another order, but always in the same one. */
static void test_a_fold_alone_with_cublas(void **state)
{
    const fixture *f = *state;
    char all[PATH_SIZE], other[PATH_SIZE];
    start_emulator(7);
    kt_train_options options = cuda_options(f, "cublas", all);
    options.run.device = "cuda-cublas";
    train(&options, NULL);
    start_emulator(8);
    options.run.out = path_in(f->folder.path, "cublas alone", other);
    options.run.only_fold = 2;
    train(&options, NULL);
    assert_int_equal(differs(all, other, "folds/2/last.safetensors"), 0);
    print_message("The difference that follows is meant to be there.\n");
    assert_int_not_equal(differs(all, f->run, "folds/2/last.safetensors"), 0);
    assert_clean();
}

/* The same course as on the CPU: losses and scores of every epoch. */
static void test_epochs_equal_the_cpu(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    kt_train_options options = cuda_options(f, "cpu", other);
    options.run.device = "cpu";
    train(&options, NULL);
    for (int fold = 1; fold <= 3; fold++)
        for (int epoch = 1; epoch <= 2; epoch++) {
            static const char *const columns[] = {"train_loss", "select_mape", "gradient_norm"};
            for (int i = 0; i < 3; i++)
                assert_true(is_close(epoch_value(f->run, fold, epoch, columns[i]),
                                     epoch_value(other, fold, epoch, columns[i]), 1e-2, 0));
        }
}

static void predict_low(kti_tensors *tensors)
{
    scale_tensor(tensors, "head.layers.3.weight", 20, 0); /* else random weights tell no crystals apart */
    scale_tensor(tensors, "head.layers.3.bias", 0, -4);
}

/* A fold whose loss explodes goes back to where it stood, on the device as on the CPU (tests/train/test_trouble.c): a rate that is too
 * small to change anything in odd epochs throws every prediction far away in even ones. */
static void test_a_rescued_fold_is_where_it_stood(void **state)
{
    const fixture *f = *state;
    char run[PATH_SIZE], weights[PATH_SIZE];
    kt_train_options options = cuda_options(f, "rescued", run);
    make_weights(path_in(f->folder.path, "low.safetensors", weights), 1, predict_low);
    options.from = weights;
    options.epochs = 4;
    options.learning_rate = 1e-9;
    options.min_learning_rate = 0.007;
    options.schedule_period = 1;
    options.schedule_ticks = 1;
    start_emulator(3);
    train(&options, NULL);
    assert_clean();
    for (int fold = 1; fold <= 3; fold++) {
        static const char *const columns[] = {"select_mape", "train_loss"};
        assert_true(epoch_value(run, fold, 2, "train_loss") > 10 * epoch_value(run, fold, 1, "train_loss"));
        assert_true(epoch_value(run, fold, 2, "rescued") == 1);
        for (int i = 0; i < 2; i++)
            assert_true(is_close(epoch_value(run, fold, 3, columns[i]), epoch_value(run, fold, 1, columns[i]),
                                 1e-4, 0));
    }
}

static int stop_at_once(void *user, const kt_train_progress *progress)
{
    (void)user;
    return progress->epochs_done >= 3;
}

static void test_resume(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    char other[PATH_SIZE];
    kt_train_result result;
    start_emulator(5);
    kt_train_options options = cuda_options(f, "resumed", other);
    options.run.checkpoint_seconds = 0;
    options.run.progress = stop_at_once;
    assert_int_equal(kt_train(&options, &result, &error), KT_INTERRUPTED);
    assert_clean();
    options.run.progress = NULL;
    options.run.resume = true;
    train(&options, NULL);
    assert_int_equal(run_differs(f->run, other, 3), 0);
    assert_clean();
}

#ifndef KTI_TESTS_GPU
/* Each call fails in turn, at points spread over a run: an error that says so, nothing left behind. */
static void test_any_call_may_fail(void **state)
{
    const fixture *f = *state;
    char other[PATH_SIZE];
    start_emulator(6);
    kt_train_options options = cuda_options(f, "counted", other);
    options.epochs = 1;
    const long before = emulator_calls();
    train(&options, NULL);
    const long calls = emulator_calls() - before;
    assert_true(calls > 50);
    int failed = 0;
    for (long n = 1; n <= calls; n = n < 40 ? n + 1 : n * 3 / 2) {
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
            assert_true(strlen(error.message) > 10);
        }
        if (emulator_leaks() > 0)
            fail_msg("after call %ld, %s, failed: %s is left", n, call ? call : "?", emulator_leak(0));
        if (emulator_violations() > 0)
            fail_msg("after call %ld, %s, failed: %s", n, call ? call : "?", emulator_violation(0));
    }
    assert_true(failed > 25);
    print_message("%d of %ld calls of a run were let fail\n", failed, calls);
}

static void test_no_gpu(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_device *device;
    const emulator_options none = {.devices = -1};
    emulator_start(&none);
    assert_int_equal(kti_device_create("cuda", 1, &device, &error), KT_DEVICE);
    assert_null(device);
    assert_non_null(strstr(error.message, "driver"));
    assert_non_null(strstr(error.message, "--device cpu"));
    assert_clean();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_equal_the_cpu),
        cmocka_unit_test(test_steps_with_cublas_equal_the_cpu),
        cmocka_unit_test(test_peak),
#ifdef KTI_TESTS_CUDNN
        cmocka_unit_test(test_steps_with_cudnn_equal_the_cpu),
#ifndef KTI_TESTS_GPU
        cmocka_unit_test(test_steps_with_fused_cudnn_equal_the_cpu),
#endif
#endif
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_a_fold_alone),
        cmocka_unit_test(test_a_fold_alone_with_cublas),
        cmocka_unit_test(test_epochs_equal_the_cpu),
        cmocka_unit_test(test_a_rescued_fold_is_where_it_stood),
        cmocka_unit_test(test_resume),
#ifndef KTI_TESTS_GPU
        cmocka_unit_test(test_no_gpu),
        cmocka_unit_test(test_any_call_may_fail),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
