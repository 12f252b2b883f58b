/* Physics inputs: a network that has them gives, at first, the bits of one that has not; they learn; files know. */
#include "support.h"

#include <kappatune/model.h>

#include "base/memory.h"
#include "data/dataset.h"
#include "model/architecture.h"
#include "model/safetensors.h"
#include "train/plan.h"
#include "train/runs.h"
#include "train/start.h"

enum { BATCH = 8 };
static const char node_columns[] = "node_encoder.physics.weight",
                  state_columns[] = "state_encoder.physics.weight";

typedef struct fixture {
    scratch folder;
    char data[PATH_SIZE], start[PATH_SIZE], run[PATH_SIZE];
    kti_dataset dataset;
    kti_device *device;
} fixture;

static int set_up(void **state)
{
    kt_error error = KT_ERROR_NONE;
    fixture *f = calloc(1, sizeof *f);
    const kti_dataset_options options = kti_dataset_options_default();
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    make_dataset(path_in(f->folder.path, "data", f->data), SMALL_SET, NULL);
    make_weights(path_in(f->folder.path, "start.safetensors", f->start), 7, NULL);
    assert_ok(kti_dataset_read(data_path("togo15"), &options, &f->dataset, &error), &error);
    assert_ok(kti_device_create("cpu", 1, &f->device, &error), &error);
    kt_train_options o = small_options(f->data, path_in(f->folder.path, "run", f->run));
    o.from = f->start;
    o.physics_inputs = true;
    train(&o, NULL);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kti_dataset_destroy(&f->dataset);
    kti_device_destroy(f->device);
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

/* Predictions of all crystals by the weights of `path`, in a network with or without physics inputs; its columns are
 * `column` everywhere. */
static void predict(const fixture *f, const char *path, bool physics, kti_target target, double column,
                    kt_real *out)
{
    kt_error error = KT_ERROR_NONE;
    kti_parameters parameters;
    kti_tensors tensors;
    kti_plan *plan;
    const kti_graph *graphs[128];
    const int size = f->dataset.size;
    const unsigned part = target == KTI_TARGET_EFORM ? KTI_PART_EFORM : KTI_PART_HEAD;
    assert_ok(kti_parameters_create(f->device, 1, physics ? KTI_WITH_PHYSICS : 0, &parameters, &error),
              &error);
    kt_real *arena = kti_allocate((size_t)parameters.layout.size, sizeof *arena);
    assert_non_null(arena);
    assert_ok(kti_weights_read(path, &tensors, &error), &error);
    assert_ok(kti_arena_load_weights(&parameters.layout, arena, &tensors, 1u << KTI_PART_BODY | 1u << part,
                                     path, &error),
              &error);
    for (int k = 0; k < 2 && physics; k++) {
        const int i = kti_spec_find(k ? state_columns : node_columns),
                  columns = k ? KTI_STATE_PHYSICS : KTI_NODE_PHYSICS;
        for (int row = 0; row < KTI_HIDDEN; row++)
            for (int c = 0; c < columns; c++)
                arena[parameters.layout.offset[i] + (int64_t)row * parameters.layout.stride[i] + c] +=
                    (kt_real)column;
    }
    assert_ok(kti_parameters_upload(&parameters, KTI_ROLE_VALUE, 0, arena, &error), &error);
    assert_true(size <= 128);
    for (int i = 0; i < size; i++)
        graphs[i] = &f->dataset.crystals[i].graph;
    assert_ok(kti_plan_create(f->device, 0, &parameters, kti_capacity_of(graphs, size, BATCH), target, NULL,
                              &plan, &error),
              &error);
    for (int first = 0; first < size; first += BATCH) {
        const int count = size - first < BATCH ? size - first : BATCH;
        assert_int_equal(kti_batch_pack(kti_plan_batch(plan), graphs + first, NULL, count), 0);
        assert_ok(kti_plan_predict(plan, 0, out + first, &error), &error);
    }
    kti_plan_destroy(plan);
    kti_parameters_destroy(&parameters);
    kti_tensors_destroy(&tensors);
    free(arena);
}

static void test_first_bits(void **state)
{
    const fixture *f = *state;
    for (int eform = 0; eform < 2; eform++) {
        const kti_target target = eform ? KTI_TARGET_EFORM : KTI_TARGET_KAPPA;
        const char *path = eform ? megnet_weights() : f->start;
        kt_real without[128], with[128], moved[128];
        predict(f, path, false, target, 0, without);
        predict(f, path, true, target, 0, with);
        predict(f, path, true, target, 0.01, moved);
        assert_memory_equal(without, with, (size_t)f->dataset.size * sizeof *with);
        for (int i = 0; i < f->dataset.size; i++)
            assert_true(isfinite(moved[i]) && moved[i] != with[i]); /* the columns are read */
    }
}

static const kti_tensor *columns_of(const kti_tensors *tensors, const char *name, int columns)
{
    const kti_tensor *t = kti_tensors_find(tensors, name);
    assert_non_null(t);
    assert_int_equal(t->shape[0], KTI_HIDDEN);
    assert_int_equal(t->shape[1], columns);
    return t;
}

/* Training moves every column; the file says what it is; the program predicts with it what the run predicted. */
static void test_run(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors best = {0};
    read_weights(f->run, 1, "best.safetensors", &best);
    assert_true(kti_architecture_has_physics(&best));
    const kti_tensor *t = columns_of(&best, state_columns, KTI_STATE_PHYSICS);
    for (size_t i = 0; i < t->elements; i++)
        assert_true(kti_tensor_value(t, i) != 0);
    t = columns_of(&best, node_columns, KTI_NODE_PHYSICS);
    for (size_t i = 0; i < t->elements; i++)
        assert_true(kti_tensor_value(t, i) != 0);
    kti_tensors_destroy(&best);

    kt_model *model;
    const kt_model_options options = kt_model_options_default();
    assert_ok(kt_model_open(f->run, &options, &model, &error), &error);
    char path[PATH_SIZE];
    double kappa[3];
    kt_real raw[128];
    kt_structure structure;
    snprintf(path, sizeof path, "%s/%s.cif", data_path("togo15"), f->dataset.crystals[5].id);
    assert_ok(kt_structure_read(path, &structure, &error), &error);
    assert_ok(kt_model_predict(model, &structure, path, kappa, NULL, &error), &error);
    kt_structure_destroy(&structure);
    kt_model_close(model);
    path_in(f->run, "folds/1/best.safetensors", path);
    assert_ok(kti_safetensors_read(path, &best, &error), &error);
    predict(f, path, true, KTI_TARGET_KAPPA, 0, raw);
    const double scaled =
        (double)raw[5] * metadata_number(&best, "target_sd") + metadata_number(&best, "target_mean");
    assert_true(is_close(kappa[0], pow(10, scaled) - 1, 1e-6, 0));
    kti_tensors_destroy(&best);
}

static void rename_features(kti_tensors *tensors)
{
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_tensors_set_metadata(tensors, "physics_inputs", "log_mean_mass; colour", &error), &error);
}

/* Weights with the columns start a run with them only; those of other features are another network's. */
static void test_refused(void **state)
{
    const fixture *f = *state;
    char out[PATH_SIZE], path[PATH_SIZE];
    kt_train_result result;
    kt_error error = KT_ERROR_NONE;
    kt_train_options o = small_options(f->data, path_in(f->folder.path, "next", out));
    o.from = f->run;
    assert_int_equal(kt_train(&o, &result, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "physics_inputs"));
    assert_non_null(strstr(error.file, "best.safetensors"));
    kt_train_result_destroy(&result);
    o.physics_inputs = true;
    o.epochs = 1;
    train(&o, NULL);

    error = (kt_error)KT_ERROR_NONE;
    make_weights(path_in(f->folder.path, "other.safetensors", path), 7, rename_features);
    o = small_options(f->data, path_in(f->folder.path, "other", out));
    o.from = path;
    o.physics_inputs = true;
    assert_int_equal(kt_train(&o, &result, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "physics_inputs"));
    assert_non_null(strstr(error.message, "colour"));
    kt_train_result_destroy(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_bits),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
