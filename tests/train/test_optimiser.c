/* The optimiser's options, step by step on a plan: what each does to weights, moments and running mean. */
#include "support.h"

#include "base/memory.h"
#include "data/dataset.h"
#include "device/tested.h"
#include "model/initialise.h"
#include "train/plan.h"
#include "train/runs.h"

enum { BATCH = 8 };

typedef struct fixture {
    kti_dataset dataset;
    kti_device *device;
    const kti_graph *graphs[BATCH];
    double kappa[BATCH];
    kt_real *start; /* host arena: random weights */
} fixture;

/* Weights, moments and running mean of one fold, before or after steps. */
typedef struct weights {
    kti_layout layout;
    kt_real *arena[KTI_ROLES]; /* NULL for roles that there are not */
    kt_real loss, norm;
} weights;

static int set_up(void **state)
{
    kt_error error = KT_ERROR_NONE;
    fixture *f = kti_allocate(1, sizeof *f);
    const kti_dataset_options options = kti_dataset_options_default();
    const kti_layout layout = kti_layout_create(false);
    assert_non_null(f);
    *state = f;
    assert_ok(kti_dataset_read(data_path("togo15"), &options, &f->dataset, &error), &error);
    tested_start();
    assert_ok(kti_device_create(TESTED_DEVICE, 1, &f->device, &error), &error);
    for (int i = 0; i < BATCH; i++) {
        f->graphs[i] = &f->dataset.crystals[i].graph;
        f->kappa[i] = f->dataset.crystals[i].kappa;
    }
    f->start = kti_allocate((size_t)layout.size, sizeof *f->start);
    assert_non_null(f->start);
    kti_initialise(&layout, f->start, KTI_ALL_PARTS, 42, 1, 0);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kti_dataset_destroy(&f->dataset);
    kti_device_destroy(f->device);
    tested_end();
    free(f->start);
    free(f);
    return 0;
}

/* `steps` steps at rate 1e-3 from the start weights; a third of the present weights goes into the mean. */
static weights run_steps(const fixture *f, const kt_train_options *o, int steps)
{
    kt_error error = KT_ERROR_NONE;
    kti_parameters parameters;
    kti_plan *plan;
    kt_real result[KT_RESULT_VALUES];
    const unsigned use =
        KTI_TRAINED | (o->weight_average > 0 ? KTI_AVERAGED : 0) | (o->weight_decay > 0 ? KTI_DECAYED : 0);
    assert_ok(kti_parameters_create(f->device, 1, use, &parameters, &error), &error);
    weights w = {.layout = parameters.layout};
    assert_ok(kti_parameters_upload(&parameters, KTI_ROLE_VALUE, 0, f->start, &error), &error);
    if (o->weight_average > 0)
        assert_ok(kti_parameters_upload(&parameters, KTI_ROLE_AVERAGE, 0, f->start, &error), &error);
    assert_ok(kti_plan_create(f->device, 0, &parameters, kti_capacity_of(f->graphs, BATCH, BATCH),
                              KTI_TARGET_KAPPA, o, &plan, &error),
              &error);
    for (int step = 0; step < steps; step++) {
        kt_real *s = kti_plan_step(plan);
        kti_plan_set_adam(plan, 1e-3, step + 1);
        s[KT_STEP_TARGET_MEAN] = (kt_real)1.44;
        s[KT_STEP_TARGET_SD] = (kt_real)0.7541;
        s[KT_STEP_AVERAGE_SHARE] = (kt_real)(1.0 / 3);
        assert_int_equal(kti_batch_pack(kti_plan_batch(plan), f->graphs, f->kappa, BATCH), 0);
        assert_ok(kti_plan_train(plan, 0, result, &error), &error);
    }
    w.loss = result[KT_RESULT_LOSS];
    w.norm = result[KT_RESULT_GRADIENT_NORM];
    for (kti_arena_role role = 0; role < KTI_ROLES; role++) {
        if (!kti_parameters_have(&parameters, role))
            continue;
        w.arena[role] = kti_allocate((size_t)w.layout.size, sizeof *w.arena[role]);
        assert_non_null(w.arena[role]);
        assert_ok(kti_parameters_download(&parameters, role, 0, w.arena[role], &error), &error);
    }
    kti_plan_destroy(plan);
    kti_parameters_destroy(&parameters);
    return w;
}

static void discard(weights *w)
{
    for (int role = 0; role < KTI_ROLES; role++)
        free(w->arena[role]);
}

static kt_train_options defaults(void)
{
    return kt_train_options_default(KT_SOUND);
}

static int same(const kt_real *left, const kt_real *right, int64_t first, int64_t end)
{
    return memcmp(left + first, right + first, (size_t)(end - first) * sizeof *left) == 0;
}

/* AdamW's first step is by hand: p (1 - lr decay) - lr sign(g), nearly, for weight matrices, and without the factor for
 * biases and the embedding. */
static void test_weight_decay(void **state)
{
    const fixture *f = *state;
    kt_train_options o = defaults();
    int size, decayed = 0, kept = 0;
    const kti_parameter *spec = kti_spec(&size);
    weights plain = run_steps(f, &o, 1);
    o.weight_decay = 5;
    weights with = run_steps(f, &o, 1);
    for (int i = 0; i < size; i++) {
        const int decays = strstr(spec[i].name, "bias") == NULL &&
                           strstr(spec[i].name, "embedding") == NULL &&
                           strcmp(spec[i].name, "output_proj.layers.4.weight") != 0;
        for (int row = 0; row < spec[i].rows; row++)
            for (int column = 0; column < spec[i].columns; column++) {
                const int64_t at = plain.layout.offset[i] + (int64_t)row * plain.layout.stride[i] + column;
                const double lost =
                    (double)plain.arena[KTI_ROLE_VALUE][at] - (double)with.arena[KTI_ROLE_VALUE][at];
                if (!is_close(lost, decays ? 1e-3 * 5 * (double)f->start[at] : 0, 0, 2e-7))
                    fail_msg("%s[%d, %d] lost %g of %g", spec[i].name, row, column, lost,
                             (double)f->start[at]);
                decayed += decays && lost != 0;
                kept += !decays;
            }
    }
    assert_true(decayed > 400000 && kept > 2000);
    /* Decay is no part of the gradient. */
    assert_true(same(plain.arena[KTI_ROLE_MOMENT1], with.arena[KTI_ROLE_MOMENT1], 0, plain.layout.size));
    discard(&plain);
    discard(&with);
}

static void test_body_rate(void **state)
{
    const fixture *f = *state;
    kt_train_options o = defaults();
    weights plain = run_steps(f, &o, 1);
    o.body_rate = 0.25;
    weights slow = run_steps(f, &o, 1);
    const int64_t body = plain.layout.body_size, head = plain.layout.head_offset, size = plain.layout.size;
    int moved = 0;
    for (int64_t i = 0; i < body; i++) {
        const double whole = (double)plain.arena[KTI_ROLE_VALUE][i] - (double)f->start[i];
        const double part = (double)slow.arena[KTI_ROLE_VALUE][i] - (double)f->start[i];
        assert_true(is_close(part, whole / 4, 0, 2e-7));
        moved += fabs(whole) > 5e-4;
    }
    assert_true(moved > 100000);
    assert_true(same(plain.arena[KTI_ROLE_VALUE], slow.arena[KTI_ROLE_VALUE], head, size));
    assert_true(same(plain.arena[KTI_ROLE_MOMENT2], slow.arena[KTI_ROLE_MOMENT2], 0, size));
    discard(&plain);
    discard(&slow);
}

static void test_freeze(void **state)
{
    const fixture *f = *state;
    kt_train_options o = defaults();
    weights free_body = run_steps(f, &o, 1);
    o.freeze = KT_FREEZE_BODY;
    o.weight_decay = 0.1;
    o.weight_average = 0.5;
    weights frozen = run_steps(f, &o, 3);
    const int64_t head = frozen.layout.head_offset, size = frozen.layout.size;
    assert_true(same(frozen.arena[KTI_ROLE_VALUE], f->start, 0, head));
    assert_true(same(frozen.arena[KTI_ROLE_AVERAGE], f->start, 0, head));
    assert_false(same(frozen.arena[KTI_ROLE_VALUE], f->start, head, size));
    discard(&frozen);
    /* The head's own gradient is what it is with a free body; the norm is the head's. */
    o.weight_decay = o.weight_average = 0;
    frozen = run_steps(f, &o, 1);
    assert_true(same(frozen.arena[KTI_ROLE_VALUE], free_body.arena[KTI_ROLE_VALUE], head, size));
    assert_true(frozen.norm > 0 && frozen.norm < free_body.norm);
    assert_true(frozen.loss == free_body.loss);
    discard(&frozen);
    discard(&free_body);
}

static void test_clip(void **state)
{
    const fixture *f = *state;
    kt_train_options o = defaults();
    weights plain = run_steps(f, &o, 1);
    assert_true(plain.norm > 0.02);
    o.clip_norm = 0.01;
    weights clipped = run_steps(f, &o, 1);
    assert_true(clipped.norm == plain.norm); /* what is told is the gradient's */
    double squares = 0;
    for (int64_t i = 0; i < plain.layout.size; i++) {
        const double gradient = (double)clipped.arena[KTI_ROLE_MOMENT1][i] / (1 - KTI_ADAM_BETA1);
        squares += gradient * gradient;
        assert_true(is_close((double)clipped.arena[KTI_ROLE_MOMENT1][i],
                             (double)plain.arena[KTI_ROLE_MOMENT1][i] * 0.01 / (double)plain.norm, 1e-5,
                             1e-12));
    }
    assert_true(is_close(sqrt(squares), 0.01, 1e-4, 0));
    discard(&clipped);
    o.clip_norm = 2 * (double)plain.norm;
    clipped = run_steps(f, &o, 1);
    assert_true(same(plain.arena[KTI_ROLE_VALUE], clipped.arena[KTI_ROLE_VALUE], 0, plain.layout.size));
    discard(&clipped);
    discard(&plain);
}

/* average_t = (2 average_{t-1} + p_t) / 3, from the start weights. */
static void test_average(void **state)
{
    enum { STEPS = 3 };
    const fixture *f = *state;
    kt_train_options o = defaults();
    weights steps[STEPS];
    for (int t = 0; t < STEPS; t++)
        steps[t] = run_steps(f, &o, t + 1);
    o.weight_average = 0.5; /* the step says how much */
    weights averaged = run_steps(f, &o, STEPS);
    const int64_t size = averaged.layout.size;
    assert_true(same(steps[STEPS - 1].arena[KTI_ROLE_VALUE], averaged.arena[KTI_ROLE_VALUE], 0, size));
    for (int64_t i = 0; i < size; i++) {
        double expected = (double)f->start[i];
        for (int t = 0; t < STEPS; t++)
            expected += ((double)steps[t].arena[KTI_ROLE_VALUE][i] - expected) / 3;
        assert_true(is_close((double)averaged.arena[KTI_ROLE_AVERAGE][i], expected, 1e-6, 1e-7));
    }
    assert_false(same(averaged.arena[KTI_ROLE_AVERAGE], averaged.arena[KTI_ROLE_VALUE], 0, size));
    for (int t = 0; t < STEPS; t++)
        discard(&steps[t]);
    discard(&averaged);
}

/* The losses of the logarithm are of the right size and go down. */
static void test_log_losses(void **state)
{
    const fixture *f = *state;
    kt_train_options o = defaults();
    for (int absolute = 0; absolute < 2; absolute++) {
        o.loss = absolute ? KT_LOSS_LOG_ABSOLUTE : KT_LOSS_LOG;
        weights first = run_steps(f, &o, 1), later = run_steps(f, &o, 40);
        assert_true(first.loss > (kt_real)0.1 && first.loss < 10);
        assert_true(later.loss < (kt_real)0.7 * first.loss);
        discard(&first);
        discard(&later);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_decay), cmocka_unit_test(test_body_rate),
        cmocka_unit_test(test_freeze),       cmocka_unit_test(test_clip),
        cmocka_unit_test(test_average),      cmocka_unit_test(test_log_losses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
