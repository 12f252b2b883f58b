/* A batch picked from kept crystals is the one that the host would have packed, to the bit: on the CPU, and with the
 * threads of every launch shape in any order. */
#include <stdlib.h>

#include "support.h"

#include "base/memory.h"
#include "base/random.h"
#include "crystal/elements.h"
#include "data/dataset.h"
#include "device/threaded_kernels.h"
#include "model/initialise.h"
#include "train/plan.h"

enum { BATCH = 8 };

typedef struct fixture {
    kti_dataset dataset;
    kti_device *device;
    kti_parameters parameters;
    const kti_graph **graphs;
    kti_kept kept;
    kti_plan *plan;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    kt_error error = KT_ERROR_NONE;
    const kti_dataset_options read = kti_dataset_options_default();
    assert_non_null(f);
    *state = f;
    assert_ok(kti_dataset_read(data_path("togo15"), &read, &f->dataset, &error), &error);
    f->graphs = kti_allocate((size_t)f->dataset.size, sizeof *f->graphs);
    assert_non_null(f->graphs);
    for (int i = 0; i < f->dataset.size; i++)
        f->graphs[i] = &f->dataset.crystals[i].graph;
    assert_ok(kti_device_create("cpu", 1, &f->device, &error), &error);
    assert_ok(kti_parameters_create(f->device, 1, 0, &f->parameters, &error), &error);
    assert_ok(kti_kept_create(f->device, f->graphs, f->dataset.size, &f->kept, &error), &error);
    assert_ok(
        kti_plan_create_kept(&f->kept, BATCH, 0, &f->parameters, KTI_TARGET_KAPPA, NULL, &f->plan, &error),
        &error);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kti_plan_destroy(f->plan);
    kti_kept_destroy(&f->kept);
    kti_parameters_destroy(&f->parameters);
    kti_device_destroy(f->device);
    kti_dataset_destroy(&f->dataset);
    free(f->graphs);
    free(f);
    return 0;
}

static const kti_operation *operation(const fixture *f)
{
    int size;
    const kti_operation *list = kti_plan_operations(f->plan, &size);
    assert_int_equal(list[0].kind, KTI_OP_PICK);
    return &list[0];
}

/* Forgets what the kernel has made, or compares it with what the host has packed. */
static void each_array(const kt_pick *a, const kti_batch *with, bool forget)
{
    const size_t nodes = (size_t)*with->node_count, edges = (size_t)*with->edge_count,
                 graphs = (size_t)*with->graph_count;
    const struct {
        void *made;
        const void *packed;
        size_t bytes;
    } arrays[] = {
        {a->batch.node_type, with->node_type, 4 * nodes},
        {a->batch.node_graph, with->node_graph, 4 * nodes},
        {a->batch.incoming_start, with->incoming_start, 4 * (nodes + 1)},
        {a->batch.outgoing_start, with->outgoing_start, 4 * (nodes + 1)},
        {a->batch.edge_source, with->edge_source, 4 * edges},
        {a->batch.edge_target, with->edge_target, 4 * edges},
        {a->batch.edge_graph, with->edge_graph, 4 * edges},
        {a->batch.outgoing_edge, with->outgoing_edge, 4 * edges},
        {a->batch.node_weight, with->node_weight, sizeof(kt_real) * nodes},
        {a->batch.node_mean_graph, with->node_mean_graph, sizeof(kt_real) * nodes},
        {a->batch.edge_distance, with->edge_distance, sizeof(kt_real) * edges},
        {a->batch.edge_weight, with->edge_weight, sizeof(kt_real) * edges},
        {a->batch.edge_mean_target, with->edge_mean_target, sizeof(kt_real) * edges},
        {a->batch.edge_mean_graph, with->edge_mean_graph, sizeof(kt_real) * edges},
        {a->batch.crystal_physics, with->crystal_physics, sizeof(kt_real) * graphs * KTI_PHYSICS_STRIDE},
        {a->type_start, with->type_start, 4 * (KTI_ELEMENT_TYPES + 1)},
        {a->type_node, with->type_node, 4 * nodes},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (forget)
            memset(arrays[i].made, 0x7f, arrays[i].bytes);
        else if (memcmp(arrays[i].made, arrays[i].packed, arrays[i].bytes) != 0)
            fail_msg("array %d differs from what the host packs", (int)i);
}

/* The nodes of each type, which training alone needs, are picked by an operation of their own. */
static kti_operation types_of(const kti_operation *pick)
{
    kti_operation types = *pick;
    types.kind = KTI_OP_PICK_TYPES;
    return types;
}

static void test_picked_is_packed(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    static const kt_dim3 grids[] = {{1, 1, 1}, {3, 1, 1}, {0, 1, 1}},
                         blocks[] = {{1, 1, 1}, {33, 1, 1}, {0, 0, 0}};
    kti_random random = kti_random_stream(42, 1, 0, 0);
    const kti_operation *pick = operation(f), types = types_of(pick);
    const kti_job types_job = {.list = &types, .size = 1, .count = 1};
    const size_t bytes = kti_plan_batch(f->plan)->bytes;
    void *block = kti_allocate(bytes, 1);
    assert_non_null(block);
    for (int trial = 0; trial < 12; trial++) {
        const int count = trial < BATCH ? trial + 1 : BATCH;
        int32_t crystals[BATCH];
        const kti_graph *graphs[BATCH];
        kt_real predicted[BATCH];
        for (int i = 0; i < count; i++) {
            /* One crystal may come twice. */
            crystals[i] = (int32_t)(kti_random_uniform(&random) * f->dataset.size);
            graphs[i] = f->graphs[crystals[i]];
        }
        kti_batch packed = kti_batch_layout(kti_plan_batch(f->plan)->capacity, block);
        assert_int_equal(kti_batch_pack(&packed, graphs, NULL, count), 0);
        each_array(&pick->arguments.pick, &packed, true);
        assert_int_equal(kti_plan_pick(f->plan, crystals, count), 0);
        assert_ok(kti_plan_predict(f->plan, 0, predicted, &error), &error);
        assert_ok(kti_device_run(f->device, 0, &types_job, &error), &error);
        each_array(&pick->arguments.pick, &packed, false);
        for (int g = 0; g < 3; g++)
            for (int b = 0; b < 3; b++) {
                const threads_launch launch = {grids[g], blocks[b], 0, (uint64_t)(9 * trial + 3 * g + b),
                                               0,        0};
                each_array(&pick->arguments.pick, &packed, true);
                assert_int_equal(threaded_run(pick, 0, &launch), 0);
                assert_int_equal(threaded_run(&types, 0, &launch), 0);
                each_array(&pick->arguments.pick, &packed, false);
            }
    }
    free(block);
}

static void test_what_does_not_fit(void **state)
{
    const fixture *f = *state;
    const int32_t many[BATCH + 1] = {0};
    int32_t largest[BATCH];
    int max = 0;
    assert_int_equal(kti_plan_pick(f->plan, many, BATCH + 1), -1);
    for (int i = 1; i < f->dataset.size; i++)
        if (f->graphs[i]->edges > f->graphs[max]->edges)
            max = i;
    for (int i = 0; i < BATCH; i++)
        largest[i] = max;
    assert_int_equal(kti_plan_pick(f->plan, largest, BATCH), -1);
    assert_int_equal(kti_plan_pick(f->plan, largest, 1), 0);
    assert_int_equal(kti_plan_pick(f->plan, many, 0), 0); /* an empty batch is one */
    assert_int_equal(*kti_plan_batch(f->plan)->graph_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picked_is_packed),
        cmocka_unit_test(test_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
