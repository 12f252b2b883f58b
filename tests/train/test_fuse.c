/* The list as it is rewritten for a device that fuses computes what the plain one does: run on the CPU, bit for bit, but for
 * gradients with respect to biases, whose rows are added up in another order. */
#include "support.h"

#include "base/memory.h"
#include "data/dataset.h"
#include "device/device.h"
#include "device/launch.h"
#include "model/initialise.h"
#include "train/network.h"

enum { BATCH = 8 };

typedef struct built {
    kti_network network;
    void *workspace;
} built;

typedef struct fixture {
    kti_dataset dataset;
    kti_device *device;
    kti_parameters parameters[2]; /* without and with physics inputs */
    kti_capacity capacity;
} fixture;

static void build(const fixture *f, bool physics, const kt_train_options *options, bool fuses, bool chains,
                  built *b)
{
    kt_error error = KT_ERROR_NONE;
    kti_network_request request = {.parameters = &f->parameters[physics],
                                   .capacity = f->capacity,
                                   .output = KTI_TARGET_KAPPA,
                                   .training = options,
                                   .fuses = fuses,
                                   .chains = chains};
    assert_ok(kti_network_build(&request, &b->network, &error), &error);
    const size_t bytes = b->network.workspace_bytes;
    kti_network_destroy(&b->network);
    assert_ok(kti_device_allocate(f->device, bytes, "a test", &b->workspace, &error), &error);
    request.workspace = b->workspace;
    assert_ok(kti_network_build(&request, &b->network, &error), &error);
    assert_int_equal(b->network.workspace_bytes, bytes);
}

static void destroy(const fixture *f, built *b)
{
    kti_network_destroy(&b->network);
    kti_device_release(f->device, b->workspace);
}

static void run(const fixture *f, built *b, int first, int size)
{
    kt_error error = KT_ERROR_NONE;
    const kti_graph *graphs[BATCH];
    double kappa[BATCH];
    kti_batch batch = kti_batch_layout(f->capacity, b->network.batch_block);
    for (int i = 0; i < BATCH; i++) {
        graphs[i] = &f->dataset.crystals[first + i].graph;
        kappa[i] = f->dataset.crystals[first + i].kappa;
    }
    assert_int_equal(kti_batch_pack(&batch, graphs, kappa, BATCH), 0);
    b->network.step[KT_STEP_TARGET_MEAN] = (kt_real)1.44;
    b->network.step[KT_STEP_TARGET_SD] = (kt_real)0.7541;
    b->network.step[KT_STEP_GRAPHS] = BATCH;
    const kti_job job = {.list = b->network.list, .size = size, .count = 1};
    assert_ok(kti_device_run(f->device, 0, &job, &error), &error);
}

static int launches(const kti_network *network)
{
    int sum = 0;
    for (int i = 0; i < network->size; i++) {
        kt_kernel_id kernels[KTI_KERNELS_MAX];
        sum += kti_operation_kernels(&network->list[i], kernels);
    }
    return sum;
}

static void compare_one(const fixture *f, bool physics, const kt_train_options *options, bool chains,
                        int max_launches)
{
    built plain, fused;
    int tables, biases = 0; /* physics inputs stand behind the table */
    const kti_parameter *spec = kti_spec(&tables);
    const kti_layout *layout = &f->parameters[physics].layout;
    build(f, physics, options, false, false, &plain);
    build(f, physics, options, true, chains, &fused);
    assert_true(launches(&fused.network) <= max_launches);
    assert_true(launches(&plain.network) > launches(&fused.network));
    for (int first = 0; first < 24; first += BATCH) {
        /* The forward part alone, from memory in which nothing but the batch is known. */
        run(f, &plain, first, plain.network.forward_size);
        run(f, &fused, first, fused.network.forward_size);
        const kt_matrix left = plain.network.views.prediction, right = fused.network.views.prediction;
        for (int g = 0; g < BATCH; g++)
            assert_true(left.data[g * left.stride] == right.data[g * right.stride]);
        run(f, &plain, first, plain.network.backward_size);
        run(f, &fused, first, fused.network.backward_size);
        assert_true(plain.network.result[KT_RESULT_LOSS] == fused.network.result[KT_RESULT_LOSS]);
        assert_true(is_close((double)fused.network.result[KT_RESULT_GRADIENT_NORM],
                             (double)plain.network.result[KT_RESULT_GRADIENT_NORM], 1e-6, 0));
        for (int i = 0; i < layout->parameters; i++) {
            const size_t name = strlen(spec[i].name);
            const bool bias = name > 5 && strcmp(spec[i].name + name - 5, ".bias") == 0;
            if (layout->offset[i] < 0)
                continue;
            biases += bias;
            for (int r = 0; r < spec[i].rows; r++)
                for (int c = 0; c < spec[i].columns; c++) {
                    const int64_t at = layout->offset[i] + (int64_t)r * layout->stride[i] + c;
                    const double x = (double)plain.network.gradient[at],
                                 y = (double)fused.network.gradient[at];
                    if (bias ? !is_close(y, x, 1e-4, 1e-6) : !(x == y))
                        fail_msg("%s [%d, %d]: %.9g by the plain list, %.9g by the other", spec[i].name, r, c,
                                 x, y);
                }
        }
    }
    assert_true(biases > 0);
    destroy(f, &plain);
    destroy(f, &fused);
}

/* Without and with chains. */
static void compare(const fixture *f, bool physics, const kt_train_options *options, int max_launches,
                    int max_with_chains)
{
    compare_one(f, physics, options, false, max_launches);
    compare_one(f, physics, options, true, max_with_chains);
}

static void test_whole(void **state)
{
    const kt_train_options options = kt_train_options_default(KT_SOUND);
    compare(*state, false, &options, 177, 85);
}

static void test_physics(void **state)
{
    const kt_train_options options = kt_train_options_default(KT_SOUND);
    compare(*state, true, &options, 180, 86);
}

static void test_head_alone(void **state)
{
    kt_train_options options = kt_train_options_default(KT_SOUND);
    options.freeze = KT_FREEZE_BODY;
    compare(*state, false, &options, 87, 44);
}

static void test_log_loss(void **state)
{
    kt_train_options options = kt_train_options_default(KT_SOUND);
    options.loss = KT_LOSS_LOG;
    compare(*state, false, &options, 177, 85);
}

static int set_up(void **state)
{
    kt_error error = KT_ERROR_NONE;
    fixture *f = kti_allocate(1, sizeof *f);
    const kti_graph *graphs[256];
    const kti_dataset_options read = kti_dataset_options_default();
    assert_non_null(f);
    *state = f;
    assert_ok(kti_dataset_read(data_path("togo15"), &read, &f->dataset, &error), &error);
    assert_true(f->dataset.size <= 256);
    for (int i = 0; i < f->dataset.size; i++)
        graphs[i] = &f->dataset.crystals[i].graph;
    f->capacity = kti_capacity_of(graphs, f->dataset.size, BATCH);
    assert_ok(kti_device_create("cpu", 1, &f->device, &error), &error);
    for (int physics = 0; physics < 2; physics++) {
        kti_parameters *p = &f->parameters[physics];
        const unsigned use = KTI_TRAINED | (physics ? (unsigned)KTI_WITH_PHYSICS : 0);
        assert_ok(kti_parameters_create(f->device, 1, use, p, &error), &error);
        kt_real *arena = kti_allocate((size_t)p->layout.size, sizeof *arena);
        assert_non_null(arena);
        kti_initialise(&p->layout, arena, KTI_ALL_PARTS, 42, 1, 0);
        assert_ok(kti_parameters_upload(p, KTI_ROLE_VALUE, 0, arena, &error), &error);
        free(arena);
    }
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    for (int physics = 0; physics < 2; physics++)
        kti_parameters_destroy(&f->parameters[physics]);
    kti_device_destroy(f->device);
    kti_dataset_destroy(&f->dataset);
    free(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_physics),
        cmocka_unit_test(test_head_alone),
        cmocka_unit_test(test_log_loss),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
