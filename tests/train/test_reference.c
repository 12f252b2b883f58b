/* The network against the published stack, run in float64: activations, gradients, 60 Adam steps.
 *
 * Built three times: in float64, where the figures agree to rounding, in float32, which is what trains, and so on the
 * emulated CUDA device.
 */
#include <jansson.h>

#include "support.h"

#include "base/memory.h"
#include "device/tested.h"
#include "model/safetensors.h"
#include "train/golden.h"

static const int is_double = sizeof(kt_real) == sizeof(double);

typedef struct fixture {
    kti_device *device;
    kti_parameters parameters;
    kti_tensors init, activations, gradients;
    kti_graph graphs[GOLDEN_GRAPHS];
    int order[4096];
    json_t *trajectory;
} fixture;

static void set_target(kti_plan *plan, double mean, double sd)
{
    kti_plan_step(plan)[KT_STEP_TARGET_MEAN] = (kt_real)mean;
    kti_plan_step(plan)[KT_STEP_TARGET_SD] = (kt_real)sd;
}

static void restart(fixture *f)
{
    kt_error error = KT_ERROR_NONE;
    const kti_layout *layout = &f->parameters.layout;
    kt_real *arena = kti_allocate((size_t)layout->size, sizeof *arena);
    assert_non_null(arena);
    assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_MOMENT1, 0, arena, &error), &error);
    assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_MOMENT2, 0, arena, &error), &error);
    golden_load_arena(&f->init, layout, arena);
    assert_ok(kti_parameters_upload(&f->parameters, KTI_ROLE_VALUE, 0, arena, &error), &error);
    free(arena);
}

static int set_up(void **state)
{
    kt_error error = KT_ERROR_NONE;
    json_error_t json_error;
    fixture *f = kti_allocate(1, sizeof *f);
    *state = f;
    assert_ok(kti_safetensors_read(golden_path("transfer_init.safetensors"), &f->init, &error), &error);
    assert_ok(kti_safetensors_read(golden_path("activations.safetensors"), &f->activations, &error), &error);
    assert_ok(kti_safetensors_read(golden_path("gradients.safetensors"), &f->gradients, &error), &error);
    f->trajectory = json_load_file(golden_path("trajectory.json"), 0, &json_error);
    assert_non_null(f->trajectory);
    tested_start();
    assert_ok(kti_device_create(TESTED_DEVICE, 1, &f->device, &error), &error);
    assert_ok(kti_parameters_create(f->device, 1, 1, &f->parameters, &error), &error);
    golden_graphs(&f->activations, f->graphs, f->order);
    restart(f);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kti_tensors_destroy(&f->init);
    kti_tensors_destroy(&f->activations);
    kti_tensors_destroy(&f->gradients);
    for (int g = 0; g < GOLDEN_GRAPHS; g++)
        kti_graph_destroy(&f->graphs[g]);
    kti_parameters_destroy(&f->parameters);
    kti_device_destroy(f->device);
    tested_end();
    json_decref(f->trajectory);
    free(f);
    return 0;
}

/* The plan of the eight reference crystals, packed. */
static kti_plan *reference_plan(fixture *f)
{
    kt_error error = KT_ERROR_NONE;
    kti_plan *plan;
    const kt_train_options training = kt_train_options_default(KT_SOUND);
    const kti_graph *list[GOLDEN_GRAPHS];
    double kappa[GOLDEN_GRAPHS];
    const kti_tensor *target = kti_tensors_find(&f->activations, "target_standardised");
    const kti_tensor *transform = kti_tensors_find(&f->activations, "target_mean_std");
    assert_non_null(target);
    assert_non_null(transform);
    const double mean = kti_tensor_value(transform, 0), sd = kti_tensor_value(transform, 1);
    for (int g = 0; g < GOLDEN_GRAPHS; g++) {
        list[g] = &f->graphs[g];
        kappa[g] = pow(10, kti_tensor_value(target, (size_t)g) * sd + mean) - 1;
    }
    assert_ok(kti_plan_create(f->device, 0, &f->parameters,
                              kti_capacity_of(list, GOLDEN_GRAPHS, GOLDEN_GRAPHS), KTI_TARGET_KAPPA,
                              &training, &plan, &error),
              &error);
    set_target(plan, mean, sd);
    assert_int_equal(kti_batch_pack(kti_plan_batch(plan), list, kappa, GOLDEN_GRAPHS), 0);
    return plan;
}

/* `ours` has that stride. */
static int compare_rows(const fixture *f, const char *name, const kt_real *ours, int stride, const int *order,
                        double relative)
{
    const kti_tensor *reference = kti_tensors_find(&f->activations, name);
    assert_non_null(reference);
    const int64_t columns = reference->rank > 1 ? reference->shape[1] : 1;
    int wrong = 0;
    for (int64_t row = 0; row < reference->shape[0]; row++)
        for (int64_t c = 0; c < columns; c++) {
            const int64_t theirs = order ? order[row] : row;
            const double x = ours[row * stride + c];
            const double y = kti_tensor_value(reference, (size_t)(theirs * columns + c));
            if (!is_close(x, y, relative, relative) && wrong++ < 3)
                print_error("%s[%d, %d] = %.15g, the reference has %.15g\n", name, (int)row, (int)c, x, y);
        }
    return wrong;
}

static kt_real *fetch(const fixture *f, const char *name, kt_matrix view)
{
    const kti_tensor *reference = kti_tensors_find(&f->activations, name);
    assert_non_null(reference);
    return tested_fetch(f->device, view, reference->shape[0]);
}

static int compare_view(const fixture *f, const char *name, kt_matrix view, const int *order, double relative)
{
    kt_real *ours = fetch(f, name, view);
    const int wrong = compare_rows(f, name, ours, view.stride, order, relative);
    free(ours);
    return wrong;
}

static void test_activations(void **state)
{
    fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kti_plan *plan = reference_plan(f);
    kt_real result[KT_RESULT_VALUES];
    const kti_plan_views *v = kti_plan_get_views(plan);
    const double relative = is_double ? 1e-9 : 2e-5;
    assert_ok(kti_plan_differentiate(plan, 0, result, &error), &error);
    int wrong = compare_view(f, "edge_encoder", v->edge_encoder, f->order, relative) +
                compare_view(f, "node_encoder", v->node_encoder, NULL, relative) +
                compare_view(f, "state_encoder", v->state_encoder, NULL, relative);
    for (int i = 0; i < KTI_BLOCKS; i++) {
        char name[32];
        snprintf(name, sizeof name, "block%d.edge", i);
        wrong += compare_view(f, name, v->edge[i], f->order, relative);
        snprintf(name, sizeof name, "block%d.node", i);
        wrong += compare_view(f, name, v->node[i], NULL, relative);
        snprintf(name, sizeof name, "block%d.state", i);
        wrong += compare_view(f, name, v->state[i], NULL, relative);
    }
    wrong += compare_view(f, "set2set_node", v->set2set_node, NULL, relative) +
             compare_view(f, "set2set_edge", v->set2set_edge, NULL, relative) +
             compare_view(f, "output_proj", v->readout, NULL, relative) +
             compare_view(f, "head", v->prediction, NULL, relative) +
             compare_view(f, "prediction_standardised", v->prediction, NULL, relative);
    assert_int_equal(wrong, 0);
    const double loss = kti_tensor_value(kti_tensors_find(&f->activations, "mape_loss"), 0);
    assert_true(is_close(result[KT_RESULT_LOSS], loss, relative, 0));
    /* The comparison itself can fail: one number moved by ten tolerances is seen, and so is a NaN. */
    kt_real *moved = fetch(f, "block1.edge", v->edge[1]);
    moved[5] += (kt_real)(20 * relative);
    assert_int_equal(compare_rows(f, "block1.edge", moved, v->edge[1].stride, f->order, relative), 1);
    moved[5] = (kt_real)NAN;
    assert_int_equal(compare_rows(f, "block1.edge", moved, v->edge[1].stride, f->order, relative), 1);
    free(moved);
    kti_plan_destroy(plan);
}

static double largest(const kti_tensor *tensor)
{
    double max = 0;
    for (size_t i = 0; i < tensor->elements; i++)
        max = fmax(max, fabs(kti_tensor_value(tensor, i)));
    return max;
}

/* Of the whole gradient: the fixtures, which have not all rows of the large matrices, say it. */
static double norm_of(const kti_tensors *gradients)
{
    const char *stated = kti_tensors_metadata(gradients, "norm");
    double sum = 0;
    for (size_t t = 0; t < gradients->size; t++)
        for (size_t j = 0; j < gradients->list[t].elements; j++)
            sum += kti_tensor_value(&gradients->list[t], j) * kti_tensor_value(&gradients->list[t], j);
    return stated ? atof(stated) : sqrt(sum);
}

static void test_gradients(void **state)
{
    fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kti_plan *plan = reference_plan(f);
    const kti_layout *layout = &f->parameters.layout;
    kt_real result[KT_RESULT_VALUES];
    const char *thinned = kti_tensors_metadata(&f->gradients, "row_step");
    const int64_t row_step = thinned ? atoi(thinned) : 1;
    double worst = 0;
    int size, wrong = 0;
    const kti_parameter *spec = kti_spec(&size);
    assert_ok(kti_plan_differentiate(plan, 0, result, &error), &error);
    kt_real *gradient = tested_fetch(
        f->device, (kt_matrix){(kt_real *)(uintptr_t)kti_plan_gradient(plan), 0, (int32_t)layout->size}, 1);
    for (int i = 0; i < size; i++) {
        char name[128];
        if (spec[i].part == KTI_PART_EFORM)
            continue;
        golden_name(spec[i].name, name, sizeof name);
        const kti_tensor *reference = kti_tensors_find(&f->gradients, name);
        assert_non_null(reference);
        const double scale = largest(reference);
        const size_t columns = (size_t)spec[i].columns, whole = (size_t)spec[i].rows * columns;
        const int64_t step = reference->elements == whole ? 1 : row_step;
        assert_int_equal(reference->elements,
                         ((size_t)spec[i].rows + (size_t)step - 1) / (size_t)step * columns);
        for (size_t j = 0; j < reference->elements; j++) {
            const int64_t row = (int64_t)(j / columns) * step;
            const double x = gradient[layout->offset[i] + row * layout->stride[i] + (int64_t)(j % columns)];
            const double y = kti_tensor_value(reference, j);
            worst = fmax(worst, fabs(x - y) / scale);
            if (!is_close(x, y, is_double ? 1e-7 : 1e-3, (is_double ? 1e-10 : 1e-3) * scale) && wrong++ < 5)
                print_error("gradient of %s[%d] = %.15g, the reference has %.15g\n", name, (int)j, x, y);
        }
    }
    print_message("largest error of a gradient, relative to its tensor's largest: %.2g\n", worst);
    assert_int_equal(wrong, 0);
    assert_true(
        is_close(result[KT_RESULT_GRADIENT_NORM], norm_of(&f->gradients), is_double ? 1e-9 : 1e-4, 0));
    free(gradient);
    kti_plan_destroy(plan);
}

static const kti_crystal *crystal_of(const kti_dataset *dataset, const char *id)
{
    for (int i = 0; i < dataset->size; i++)
        if (strcmp(dataset->crystals[i].id, id) == 0)
            return &dataset->crystals[i];
    fail_msg("no crystal %s", id);
    return NULL;
}

/* Loss of each of the 60 steps, and then kappa + 1 of each crystal, against the reference; returns the largest relative difference
 * of a loss. */
static double run_trajectory(fixture *f, int quotient, double *worst_prediction)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset;
    kti_dataset_options options = kti_dataset_options_default();
    kti_plan *plan;
    const kt_train_options training = kt_train_options_default(KT_SOUND);
    double worst = 0;
    options.graph.quotient = quotient;
    assert_ok(kti_dataset_read(data_path("togo15"), &options, &dataset, &error), &error);
    const kti_graph **graphs = kti_allocate((size_t)dataset.size, sizeof *graphs);
    for (int i = 0; i < dataset.size; i++)
        graphs[i] = &dataset.crystals[i].graph;
    restart(f);
    assert_ok(kti_plan_create(f->device, 0, &f->parameters, kti_capacity_of(graphs, dataset.size, 8),
                              KTI_TARGET_KAPPA, &training, &plan, &error),
              &error);
    const kt_real *step = kti_plan_step(plan);
    set_target(plan, json_real_value(json_object_get(f->trajectory, "target_mean")),
               json_real_value(json_object_get(f->trajectory, "target_std")));
    const json_t *steps = json_object_get(f->trajectory, "steps");
    assert_int_equal(json_array_size(steps), 60);
    for (size_t t = 0; t < json_array_size(steps); t++) {
        const json_t *ids = json_object_get(json_array_get(steps, t), "ids");
        const double loss = json_real_value(json_object_get(json_array_get(steps, t), "loss"));
        const kti_graph *batch[8];
        double kappa[8];
        kt_real result[KT_RESULT_VALUES];
        const int count = (int)json_array_size(ids);
        for (int g = 0; g < count; g++) {
            const kti_crystal *crystal =
                crystal_of(&dataset, json_string_value(json_array_get(ids, (size_t)g)));
            batch[g] = &crystal->graph;
            kappa[g] = crystal->kappa;
        }
        assert_int_equal(kti_batch_pack(kti_plan_batch(plan), batch, kappa, count), 0);
        kti_plan_set_adam(plan, 1e-3, (int64_t)t + 1);
        assert_ok(kti_plan_train(plan, 0, result, &error), &error);
        assert_true(isfinite(result[KT_RESULT_LOSS]));
        worst = fmax(worst, fabs(result[KT_RESULT_LOSS] - loss) / fabs(loss));
    }
    *worst_prediction = 0;
    for (int i = 0; i < dataset.size; i++) {
        kt_real z;
        const kti_graph *one = &dataset.crystals[i].graph;
        const double reference = json_real_value(
            json_object_get(json_object_get(f->trajectory, "predictions_after"), dataset.crystals[i].id));
        assert_int_equal(kti_batch_pack(kti_plan_batch(plan), &one, NULL, 1), 0);
        assert_ok(kti_plan_predict(plan, 0, &z, &error), &error);
        const double kappa =
            pow(10, (double)z * (double)step[KT_STEP_TARGET_SD] + (double)step[KT_STEP_TARGET_MEAN]) - 1;
        assert_true(isfinite(kappa) && reference != 0);
        *worst_prediction = fmax(*worst_prediction, fabs(kappa - reference) / (reference + 1));
    }
    kti_plan_destroy(plan);
    free(graphs);
    kti_dataset_destroy(&dataset);
    return worst;
}

static void check_trajectory(fixture *f, int quotient, double max)
{
    double prediction;
    const double loss = run_trajectory(f, quotient, &prediction);
    print_message("60 steps on the %s: largest relative difference of a loss %.2g, of kappa + 1 %.2g\n",
                  quotient ? "quotients" : "full graphs", loss, prediction);
    assert_true(loss <= max && prediction <= 10 * max);
}

static void test_trajectory(void **state)
{
#ifndef KTI_TESTS_EMULATED /* a minute there */
    check_trajectory(*state, 0, is_double ? 1e-6 : 1e-3);
#endif
    check_trajectory(*state, 1, 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_trajectory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
