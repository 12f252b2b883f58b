/* A crystal's prediction is the same bits alone, in any batch, at any place in it, and whatever was predicted
 * before. */
#include <kappatune/model.h>

#include "support.h"

#include "base/memory.h"
#include "base/random.h"
#include "crystal/graph.h"
#include "device/tested.h"
#include "model/initialise.h"
#include "train/plan.h"
#include "train/runs.h"

#ifdef KTI_TESTS_EMULATED
enum { STRIDE = 23 }; /* which batches are tried: every one takes a second there */
#else
enum { STRIDE = 1 };
#endif
enum { CRYSTALS = 10, HUGE = CRYSTALS - 1, MAX = 8 };

/* The last one has 1,548 edges, 130 times those of the first. */
static const char *const files[CRYSTALS] = {
    "togo15/mp-23231.cif",
    "togo15/mp-22922.cif",
    "hh143/mp-2894.cif",
    "hh143/mp-3161.cif",
    "aflow_agl/Ac1H2_ICSD_56392.cif",
    "aflow_agl/Ag1Al1O2_ICSD_160643.cif",
    "aflow_agl/Ag1As1S1_ICSD_604740.cif",
    "aflow_agl/Ag1Au1F4_ICSD_90071.cif",
    "aflow_agl/Ag1Dy1Se2_ICSD_605083.cif",
    "aflow_agl/C60Sr6_ICSD_75356.cif",
};

typedef struct fixture {
    kti_device *device;
    kti_parameters parameters;
    kti_graph graphs[CRYSTALS];
    kt_real alone[CRYSTALS];
} fixture;

static kti_plan *make_plan(fixture *f, kti_capacity capacity)
{
    kt_error error = KT_ERROR_NONE;
    kti_plan *plan;
    assert_ok(kti_plan_create(f->device, 0, &f->parameters, capacity, KTI_TARGET_KAPPA, 0, &plan, &error),
              &error);
    return plan;
}

static void pack_and_predict(const fixture *f, kti_plan *plan, const int *list, int count, kt_real *out)
{
    kt_error error = KT_ERROR_NONE;
    const kti_graph *graphs[MAX];
    for (int i = 0; i < count; i++)
        graphs[i] = &f->graphs[list[i]];
    assert_int_equal(kti_batch_pack(kti_plan_batch(plan), graphs, NULL, count), 0);
    assert_ok(kti_plan_predict(plan, 0, out, &error), &error);
}

static int set_up(void **state)
{
    kt_error error = KT_ERROR_NONE;
    fixture *f = kti_allocate(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    const kti_graph_options full = {.cutoff = 4, .quotient = false, .distance_gap = 1e-4};
    const kti_graph_options quotient = {.cutoff = 4, .quotient = true, .distance_gap = 1e-4};
    for (int i = 0; i < CRYSTALS; i++) {
        kt_structure structure;
        assert_ok(kt_structure_read(data_path(files[i]), &structure, &error), &error);
        assert_ok(kti_graph_create(&structure, i % 2 ? &full : &quotient, files[i], &f->graphs[i], &error),
                  &error);
        kt_structure_destroy(&structure);
    }
    assert_true(f->graphs[HUGE].edges > 1500);
    tested_start();
    assert_ok(kti_device_create(TESTED_DEVICE, 1, &f->device, &error), &error);
    assert_ok(kti_parameters_create(f->device, 1, 0, &f->parameters, &error), &error);
    kt_real *arena = kti_allocate((size_t)f->parameters.layout.size, sizeof *arena);
    assert_non_null(arena);
    kti_initialise(&f->parameters.layout, arena, KTI_ALL_PARTS, 42, 1, 0);
    assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_VALUE, 0, arena, &error), &error);
    free(arena);
    for (int i = 0; i < CRYSTALS; i++) {
        kti_plan *plan = make_plan(f, (kti_capacity){1, f->graphs[i].nodes, f->graphs[i].edges});
        pack_and_predict(f, plan, &i, 1, &f->alone[i]);
        kti_plan_destroy(plan);
        assert_true(isfinite(f->alone[i]));
        for (int j = 0; j < i; j++) /* else equal bits would say little */
            assert_true(f->alone[i] != f->alone[j]);
    }
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < CRYSTALS; i++)
        kti_graph_destroy(&f->graphs[i]);
    kti_parameters_destroy(&f->parameters);
    kti_device_destroy(f->device);
    tested_end();
    free(f);
    return 0;
}

static int count_wrong(const fixture *f, const int *list, int count, const kt_real *out)
{
    int wrong = 0;
    for (int i = 0; i < count; i++)
        wrong += memcmp(&out[i], &f->alone[list[i]], sizeof *out) != 0;
    return wrong;
}

static void test_batches(void **state)
{
    fixture *f = *state;
    kti_random random = kti_random_stream(5, 99, 0, 0);
    const kti_graph *huge = &f->graphs[HUGE];
    kti_plan *plan = make_plan(f, (kti_capacity){MAX, MAX * huge->nodes, MAX * huge->edges});
    int tried = 0;
    for (int count = 1; count <= MAX; count++)
        for (int crystal = 0; crystal < CRYSTALS; crystal++)
            for (int place = 0; place < count; place++) {
                int list[MAX];
                kt_real out[MAX];
                if (tried++ % STRIDE != 0)
                    continue;
                for (int i = 0; i < count; i++) /* repetitions are fine */
                    list[i] = i == place ? crystal : (int)(kti_random_uniform(&random) * HUGE);
                if (count > 1) /* the huge one beside it */
                    list[(place + 1) % count] = HUGE;
                pack_and_predict(f, plan, list, count, out);
                assert_int_equal(count_wrong(f, list, count, out), 0);
            }
    kti_plan_destroy(plan);
}

/* The count of wrong bits is not always zero. */
static void test_can_fail(void **state)
{
    fixture *f = *state;
    const int list[2] = {3, 4};
    kt_real out[2] = {f->alone[3], f->alone[4]};
    assert_int_equal(count_wrong(f, list, 2, out), 0);
    out[1] = -out[1];
    assert_int_equal(count_wrong(f, list, 2, out), 1);
}

/* Three members and every crystal, by a fresh model each and by one model, there and back. */
static void test_models(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    scratch folder;
    char data[PATH_SIZE], run[PATH_SIZE];
    double first[CRYSTALS][3], value[3];
    kt_structure structures[CRYSTALS];
    kt_model *model;
    kt_model_options options = kt_model_options_default();
    options.device = TESTED_DEVICE;
    scratch_create(&folder);
    make_dataset(path_in(folder.path, "data", data), SMALL_SET, NULL);
    kt_train_options o = small_options(data, path_in(folder.path, "run", run));
    o.epochs = 2;
    train(&o, NULL);
    for (int i = 0; i < CRYSTALS; i++) {
        assert_ok(kt_structure_read(data_path(files[i]), &structures[i], &error), &error);
        assert_ok(kt_model_open(run, &options, &model, &error), &error);
        assert_int_equal(kt_model_members(model), 3);
        for (int m = 0; m < 3; m++)
            assert_int_equal(kt_model_member_fold(model, m), m + 1);
        assert_ok(kt_model_predict(model, &structures[i], NULL, first[i], NULL, &error), &error);
        kt_model_close(model);
    }
    assert_ok(kt_model_open(run, &options, &model, &error), &error);
    for (int i = 0; i < 2 * CRYSTALS; i++) {
        const int crystal = i < CRYSTALS ? i : 2 * CRYSTALS - 1 - i;
        assert_ok(kt_model_predict(model, &structures[crystal], NULL, value, NULL, &error), &error);
        assert_memory_equal(value, first[crystal], sizeof value);
    }
    kt_model_close(model);
    for (int i = 0; i < CRYSTALS; i++)
        kt_structure_destroy(&structures[i]);
    scratch_destroy(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_can_fail),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
