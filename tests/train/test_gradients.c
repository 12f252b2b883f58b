/* The whole network's gradients in float64: on the quotient against the full graph, and against central
 * differences. */
#include "support.h"

#include "base/memory.h"
#include "base/random.h"
#include "model/safetensors.h"
#include "train/golden.h"

enum { BATCH = 8, AFLOW = 24, PER_TENSOR = 2 };

/* Every hundredth of the reference's AFLOW crystals. */
static const char *const aflow[AFLOW] = {
    "Ag1As1Ca1_ICSD_10017", "Al1Ba1Si1_ICSD_162866",  "Al2Pb1S4_ICSD_609026",  "As2Ba1Cu2_ICSD_236307",
    "Au2Bi1_ICSD_52284",    "B2Re1_ICSD_162271",      "Ba2N2Zn1_ICSD_80377",   "Bi3Tb5_ICSD_617164",
    "C2Er1_ICSD_23689",     "Cd1Co1Dy4_ICSD_417044",  "Cl6K2Pt1_ICSD_2582",    "Cs3Hg20_ICSD_240038",
    "Dy1Mg3_ICSD_103324",   "Er4Ga12Pd1_ICSD_630569", "Ga1Pt1Zr1_ICSD_152132", "Ge2La1Ru2_ICSD_55927",
    "Hg1La1_ICSD_104305",   "In1Rh1Y1_ICSD_59517",    "La1Ni1_ICSD_641489",    "Mg3Nb6O11_ICSD_62662",
    "Na3Sb1_ICSD_26882",    "O3Sc2_ICSD_24200",       "Pd1Sr1_ICSD_648963",    "Rh4Sn13Sr3_ICSD_102359"};

typedef struct fixture {
    kti_device *device;
    kti_parameters parameters;
    kt_real *arena; /* the host's copy of the parameters: the pretrained body and a random head */
} fixture;

typedef struct crystals {
    int size;
    kti_graph *graphs; /* [size] */
    double *kappa;     /* [size] */
} crystals;

static int set_up_with(void **state, unsigned use)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors init;
    fixture *f = kti_allocate(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    assert_ok(kti_device_create("cpu", 1, &f->device, &error), &error);
    assert_ok(kti_parameters_create(f->device, 1, use, &f->parameters, &error), &error);
    assert_ok(kti_safetensors_read(golden_path("transfer_init.safetensors"), &init, &error), &error);
    f->arena = kti_allocate((size_t)f->parameters.layout.size, sizeof *f->arena);
    assert_non_null(f->arena);
    golden_load_arena(&init, &f->parameters.layout, f->arena);
    assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_VALUE, 0, f->arena, &error), &error);
    kti_tensors_destroy(&init);
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, KTI_TRAINED);
}

/* The columns of the physics inputs as if they had learned. */
static int set_up_physics(void **state)
{
    kt_error error = KT_ERROR_NONE;
    int size;
    const kti_parameter *spec = kti_spec(&size);
    kti_random random = kti_random_stream(8, 101, 0, 0);
    set_up_with(state, KTI_TRAINED | KTI_WITH_PHYSICS);
    fixture *f = *state;
    const kti_layout *layout = &f->parameters.layout;
    for (int i = size; i < layout->parameters; i++)
        for (int row = 0; row < spec[i].rows; row++)
            for (int column = 0; column < spec[i].columns; column++)
                f->arena[layout->offset[i] + (int64_t)row * layout->stride[i] + column] =
                    (kt_real)(0.2 * kti_random_normal(&random));
    assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_VALUE, 0, f->arena, &error), &error);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kti_parameters_destroy(&f->parameters);
    kti_device_destroy(f->device);
    free(f->arena);
    free(f);
    return 0;
}

static void read_crystal(const char *path, const kti_graph_options *options, kti_graph *graph)
{
    kt_error error = KT_ERROR_NONE;
    kt_structure structure;
    assert_ok(kt_structure_read(path, &structure, &error), &error);
    assert_ok(kti_graph_create(&structure, options, path, graph, &error), &error);
    kt_structure_destroy(&structure);
}

/* gap < 0: the full graphs. */
static crystals read_set(int is_aflow, double gap)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset;
    kti_dataset_options options = kti_dataset_options_default();
    options.graph.quotient = gap >= 0;
    options.graph.distance_gap = fmax(gap, 0);
    assert_ok(kti_dataset_read(data_path("togo15"), &options, &dataset, &error), &error);
    const int size = is_aflow ? AFLOW : dataset.size;
    crystals c = {size, kti_allocate((size_t)size, sizeof *c.graphs),
                  kti_allocate((size_t)size, sizeof *c.kappa)};
    assert_non_null(c.graphs);
    assert_non_null(c.kappa);
    for (int i = 0; i < size; i++) {
        char path[256];
        if (is_aflow)
            snprintf(path, sizeof path, "%s/%s.cif", data_path("aflow_agl"), aflow[i]);
        else
            snprintf(path, sizeof path, "%s/%s.cif", data_path("togo15"), dataset.crystals[i].id);
        read_crystal(path, &options.graph, &c.graphs[i]);
        c.kappa[i] = dataset.crystals[i].kappa;
    }
    kti_dataset_destroy(&dataset);
    return c;
}

static void destroy_set(crystals *c)
{
    for (int i = 0; i < c->size; i++)
        kti_graph_destroy(&c->graphs[i]);
    free(c->graphs);
    free(c->kappa);
}

static kti_plan *make_plan(fixture *f, const crystals *c)
{
    kt_error error = KT_ERROR_NONE;
    const kti_graph *list[128];
    kti_plan *plan;
    const kt_train_options training = kt_train_options_default(KT_SOUND);
    assert_true(c->size <= 128);
    for (int i = 0; i < c->size; i++)
        list[i] = &c->graphs[i];
    assert_ok(kti_plan_create(f->device, 0, &f->parameters, kti_capacity_of(list, c->size, BATCH),
                              KTI_TARGET_KAPPA, &training, &plan, &error),
              &error);
    kti_plan_step(plan)[KT_STEP_TARGET_MEAN] = (kt_real)1.44;
    kti_plan_step(plan)[KT_STEP_TARGET_SD] = (kt_real)0.7541;
    return plan;
}

static void pack(kti_plan *plan, const crystals *c, int first, int count)
{
    const kti_graph *list[BATCH];
    for (int i = 0; i < count; i++)
        list[i] = &c->graphs[first + i];
    assert_int_equal(kti_batch_pack(kti_plan_batch(plan), list, c->kappa + first, count), 0);
}

static double loss_of(kti_plan *plan)
{
    kt_error error = KT_ERROR_NONE;
    kt_real result[KT_RESULT_VALUES];
    assert_ok(kti_plan_differentiate(plan, 0, result, &error), &error);
    assert_true(isfinite(result[KT_RESULT_LOSS]));
    return (double)result[KT_RESULT_LOSS];
}

/* Largest magnitude of a parameter's gradient. */
static double largest(const kti_layout *layout, const kt_real *gradient, const kti_parameter *spec, int i)
{
    double max = 0;
    for (int row = 0; row < spec[i].rows; row++)
        for (int column = 0; column < spec[i].columns; column++)
            max = fmax(max,
                       fabs((double)gradient[layout->offset[i] + (int64_t)row * layout->stride[i] + column]));
    return max;
}

/* ---- the quotient ---- */

/* Largest difference of the gradients, each relative to the largest of its tensor. */
static double compare_gradients(const kti_layout *layout, const kt_real *left, const kt_real *right)
{
    int size;
    double worst = 0;
    const kti_parameter *spec = kti_spec(&size);
    for (int i = 0; i < size; i++) {
        const double scale = largest(layout, left, spec, i);
        for (int row = 0; row < spec[i].rows; row++)
            for (int column = 0; column < spec[i].columns; column++) {
                const int64_t at = layout->offset[i] + (int64_t)row * layout->stride[i] + column;
                if (!isfinite(left[at]) || !isfinite(right[at]))
                    return INFINITY;
                if (left[at] != right[at])
                    worst = fmax(worst, fabs((double)(left[at] - right[at])) / scale);
            }
    }
    return worst;
}

static void compare_sets(fixture *f, int is_aflow, double gap, double *worst_prediction,
                         double *worst_gradient)
{
    kt_error error = KT_ERROR_NONE;
    crystals full = read_set(is_aflow, -1), quotient = read_set(is_aflow, gap);
    kti_plan *full_plan = make_plan(f, &full), *quotient_plan = make_plan(f, &quotient);
    *worst_prediction = *worst_gradient = 0;
    for (int first = 0; first < full.size; first += BATCH) {
        const int count = full.size - first < BATCH ? full.size - first : BATCH;
        kt_real left[BATCH], right[BATCH];
        pack(full_plan, &full, first, count);
        pack(quotient_plan, &quotient, first, count);
        assert_ok(kti_plan_predict(full_plan, 0, left, &error), &error);
        assert_ok(kti_plan_predict(quotient_plan, 0, right, &error), &error);
        for (int i = 0; i < count; i++)
            *worst_prediction =
                is_close(right[i], left[i], 1, 1)
                    ? fmax(*worst_prediction, fabs((double)(left[i] - right[i])) / fabs((double)left[i]))
                    : INFINITY;
        loss_of(full_plan);
        loss_of(quotient_plan);
        *worst_gradient =
            fmax(*worst_gradient, compare_gradients(&f->parameters.layout, kti_plan_gradient(full_plan),
                                                    kti_plan_gradient(quotient_plan)));
    }
    print_message("%s, gap %g Å: predictions differ by %.2g, gradients by %.2g (relative)\n",
                  is_aflow ? "AFLOW" : "Togo15", gap, *worst_prediction, *worst_gradient);
    kti_plan_destroy(full_plan);
    kti_plan_destroy(quotient_plan);
    destroy_set(&full);
    destroy_set(&quotient);
}

static void test_quotient(void **state)
{
    fixture *f = *state;
    double prediction, gradient;
    /* The default gap lets distances of a file's rounding be one. */
    compare_sets(f, 0, 1e-4, &prediction, &gradient);
    assert_true(prediction <= 1e-6 && gradient <= 1e-6);
    compare_sets(f, 1, 1e-4, &prediction, &gradient);
    assert_true(prediction <= 1e-6 && gradient <= 1e-6);
    compare_sets(f, 1, 1e-5, &prediction, &gradient);
    assert_true(prediction <= 1e-9 && gradient <= 1e-8);
}

/* Distances that are no one are seen at once. */
static void test_quotient_can_fail(void **state)
{
    fixture *f = *state;
    double prediction, gradient;
    compare_sets(f, 1, 0.05, &prediction, &gradient);
    assert_true(prediction > 1e-4 && gradient > 1e-4);
}

/* ---- central differences ---- */

typedef struct check {
    int checked, wrong, large; /* large: gradients above a hundredth of their tensor's largest */
} check;

/* The loss has kinks (ReLU, absolute error); a step that crosses one gives another slope on each side. So a
 * gradient may agree at any of three steps, each with the rounding that a loss near 1 suffers there. */
static const double steps[] = {1e-5, 1e-6, 1e-7};
static const double relative = 1e-5, rounding = 1e-15;

static double central_difference(fixture *f, kti_plan *plan, int64_t at, double step)
{
    kt_error error = KT_ERROR_NONE;
    const kt_real kept = f->arena[at];
    double loss[2];
    for (int side = 0; side < 2; side++) {
        f->arena[at] = kept + (kt_real)(side ? -step : step);
        assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_VALUE, 0, f->arena, &error), &error);
        loss[side] = loss_of(plan);
    }
    f->arena[at] = kept;
    return (loss[0] - loss[1]) / (2 * step);
}

static void check_one(fixture *f, kti_plan *plan, int64_t at, double gradient, double scale, check *c)
{
    int agrees = 0;
    double difference = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !agrees; i++) {
        difference = central_difference(f, plan, at, steps[i]);
        agrees = is_close(gradient, difference, relative, rounding / steps[i]);
    }
    c->checked++;
    c->large += fabs(gradient) > scale / 100;
    if (!agrees && c->wrong++ < 3)
        print_error("parameter %lld: gradient %.12g, difference %.12g\n", (long long)at, gradient,
                    difference);
}

/* Rows of the embedding that no crystal of the batch uses have no gradient to speak of. */
static int random_row(const kti_plan *plan, int is_embedding, int rows, kti_random *random)
{
    kti_batch *batch = kti_plan_batch((kti_plan *)(uintptr_t)plan);
    if (is_embedding)
        return batch->node_type[(int)(kti_random_uniform(random) * *batch->node_count)];
    return (int)(kti_random_uniform(random) * rows);
}

/* Some parameters of every `stride`-th tensor; their gradients times `factor`. */
static void check_tensors(fixture *f, kti_plan *plan, int stride, double factor, check *c)
{
    kt_error error = KT_ERROR_NONE;
    int size;
    const kti_parameter *spec = kti_spec(&size);
    const kti_layout *layout = &f->parameters.layout;
    const int embedding = kti_spec_find("embedding.layer_node_embedding.weight");
    kti_random random = kti_random_stream(7, 101, 0, 0);
    kt_real *gradient = kti_allocate((size_t)layout->size, sizeof *gradient);
    assert_non_null(gradient);
    loss_of(plan);
    memcpy(gradient, kti_plan_gradient(plan), (size_t)layout->size * sizeof *gradient);
    for (int i = 0; i < layout->parameters; i += stride) {
        if (spec[i].part == KTI_PART_EFORM)
            continue;
        const double scale = largest(layout, gradient, spec, i);
        for (int n = 0; n < (i == embedding || i >= size ? 5 * PER_TENSOR : PER_TENSOR); n++) {
            const int row = random_row(plan, i == embedding, spec[i].rows, &random);
            const int column = (int)(kti_random_uniform(&random) * spec[i].columns);
            const int64_t at = layout->offset[i] + (int64_t)row * layout->stride[i] + column;
            check_one(f, plan, at, factor * (double)gradient[at], scale, c);
        }
    }
    assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_VALUE, 0, f->arena, &error), &error);
    free(gradient);
}

static void test_central_differences(void **state)
{
    fixture *f = *state;
    crystals quotient = read_set(0, 1e-4);
    kti_plan *plan = make_plan(f, &quotient);
    pack(plan, &quotient, 16, BATCH);
    check c = {0}, off = {0};
    check_tensors(f, plan, 1, 1, &c);
    print_message("%d parameters, %d of them with a large gradient, agree with central differences to 1e-5\n",
                  c.checked - c.wrong, c.large);
    assert_true(c.checked >= 200 && c.large >= c.checked / 3);
    assert_int_equal(c.wrong, 0);
    /* A gradient that is wrong by one part in ten thousand is seen wherever it is large. */
    print_message("The differences that follow are meant to be there.\n");
    check_tensors(f, plan, 8, 1.0001, &off);
    assert_true(off.wrong >= off.checked / 2);
    kti_plan_destroy(plan);
    destroy_set(&quotient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotient),
        cmocka_unit_test(test_quotient_can_fail),
        cmocka_unit_test(test_central_differences),
    };
    const struct CMUnitTest physics_tests[] = {cmocka_unit_test(test_central_differences)};
    return cmocka_run_group_tests(tests, set_up, tear_down) +
           cmocka_run_group_tests(physics_tests, set_up_physics, tear_down);
}
