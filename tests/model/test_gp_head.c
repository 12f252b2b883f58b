/* The Gaussian process as a head: what it predicts, its components, and the tensors it is kept in. */
#include "../support.h"
#include "support.h"

#include <gsl/gsl_eigen.h>

#include "model/architecture.h"
#include "model/gp_head.h"
#include "model/safetensors.h"

enum { ROWS = 14 };

typedef struct crystals {
    double feature[ROWS][KTI_FEATURES_OF_CRYSTAL], kappa[ROWS];
    kti_gp_sample sample[ROWS];
} crystals;

static double draw(uint64_t *state)
{
    return (double)(next_random(state) >> 11) / 9007199254740992.0;
}

/* Features with a place and a size of their own, read-outs of which two directions matter. */
static void make_crystals(crystals *c)
{
    uint64_t seed = 3;
    for (int i = 0; i < ROWS; i++) {
        const double a = draw(&seed), b = draw(&seed);
        for (int k = 0; k < KTI_FEATURES_OF_CRYSTAL; k++)
            c->feature[i][k] = k + (k % 3 + 1) * draw(&seed);
        c->kappa[i] = exp(1 + a + 0.3 * c->feature[i][KTI_LOG_VOLUME] + 0.1 * draw(&seed));
        c->sample[i].feature = c->feature[i];
        for (int k = 0; k < KTI_GP_READOUT; k++)
            c->sample[i].readout[k] = 5 + 3 * a * sin(k) + b * cos(2 * k) + 0.01 * draw(&seed);
    }
}

static void fit(const crystals *c, kti_gp_head_options options, kti_gp_head *head)
{
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_gp_head_fit(c->sample, c->kappa, ROWS, &options, head, &error), &error);
}

static double predict(const kti_gp_head *head, const kti_gp_sample *sample, double *log_sd)
{
    double kappa;
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_gp_head_predict(head, sample, &kappa, log_sd, &error), &error);
    return kappa;
}

/* Every choice of features and kernel, with and without components. */
static int list_options(kti_gp_head_options list[32])
{
    int size = 0;
    for (int features = 0; kti_gp_features_names[features]; features++)
        for (int kernel = 0; kti_gp_kernel_names[kernel]; kernel++)
            for (int components = features == KT_GP_FEATURES_NONE ? 3 : 0; components <= 3; components += 3)
                list[size++] =
                    (kti_gp_head_options){(kt_gp_features)features, (kt_gp_kernel)kernel, components};
    return size;
}

/* The prediction is exp(m - v / 2): one over the mean of 1 / kappa where log(kappa) is normal with mean m and variance v. */
static void test_harmonic_mean(void **state)
{
    (void)state;
    crystals c;
    kti_gp_head_options list[32];
    make_crystals(&c);
    const int size = list_options(list);
    for (int o = 0; o < size; o++) {
        kti_gp_head head;
        fit(&c, list[o], &head);
        for (int i = 0; i < ROWS; i++) {
            double log_sd, sum = 0, weight = 0;
            const double kappa = predict(&head, &c.sample[i], &log_sd);
            assert_true(isfinite(log_sd) && log_sd > 0);
            assert_true(kappa == predict(&head, &c.sample[i], NULL));
            const double m = log(kappa) + log_sd * log_sd / 2;
            for (double z = -9; z <= 9; z += 0.01) { /* by quadrature */
                sum += exp(-z * z / 2) / exp(m + log_sd * z);
                weight += exp(-z * z / 2);
            }
            assert_true(is_close(kappa, weight / sum, 1e-9, 0));
            /* Of the crystal's kappa, not of another number. */
            assert_true(fabs(log(kappa / c.kappa[i])) < 1.5);
        }
        kti_gp_head_destroy(&head);
    }
}

static void test_average(void **state)
{
    (void)state;
    assert_true(is_close(kti_gp_head_average(4, 9), 6, 1e-15, 0));
    assert_true(is_close(kti_gp_head_average(-3, 9), 0.3, 1e-15, 0));
    assert_true(is_close(kti_gp_head_average(0.005, 9), 0.3, 1e-15, 0));
    assert_true(isnan(kti_gp_head_average(NAN, 9)));
    assert_true(isnan(kti_gp_head_average(9, NAN)));
    assert_true(isinf(kti_gp_head_average(INFINITY, 9)));
}

/* Orthonormal, of falling variance, their largest entry positive, and those of GSL's eigenvectors. */
static void test_components(void **state)
{
    (void)state;
    crystals c;
    kti_gp_head head, again;
    make_crystals(&c);
    const kti_gp_head_options options = {KT_GP_FEATURES_NONE, KT_GP_KERNEL_MATERN, 3};
    fit(&c, options, &head);
    gsl_matrix *covariance = gsl_matrix_calloc(KTI_GP_READOUT, KTI_GP_READOUT),
               *vectors = gsl_matrix_alloc(KTI_GP_READOUT, KTI_GP_READOUT);
    gsl_vector *values = gsl_vector_alloc(KTI_GP_READOUT);
    gsl_eigen_symmv_workspace *work = gsl_eigen_symmv_alloc(KTI_GP_READOUT);
    for (size_t a = 0; a < KTI_GP_READOUT; a++) {
        double mean = 0;
        for (int i = 0; i < ROWS; i++)
            mean += c.sample[i].readout[a] / ROWS;
        assert_true(is_close(head.centre[a], mean, 1e-12, 0));
        for (size_t b = 0; b < KTI_GP_READOUT; b++) {
            double sum = 0;
            for (int i = 0; i < ROWS; i++)
                sum += (c.sample[i].readout[a] - head.centre[a]) * (c.sample[i].readout[b] - head.centre[b]);
            gsl_matrix_set(covariance, a, b, sum / ROWS);
        }
    }
    gsl_eigen_symmv(covariance, values, vectors, work);
    gsl_eigen_symmv_sort(values, vectors, GSL_EIGEN_SORT_VAL_DESC);
    for (int k = 0; k < 3; k++) {
        double largest = 0, same = 0;
        for (int a = 0; a < KTI_GP_READOUT; a++) {
            if (fabs(head.basis[k][a]) > fabs(largest))
                largest = head.basis[k][a];
            same += head.basis[k][a] * gsl_matrix_get(vectors, (size_t)a, (size_t)k);
        }
        assert_true(largest > 0);
        assert_true(is_close(fabs(same), 1, 1e-9, 0));
        for (int l = 0; l <= k; l++) {
            double dot = 0;
            for (int a = 0; a < KTI_GP_READOUT; a++)
                dot += head.basis[k][a] * head.basis[l][a];
            assert_true(is_close(dot, k == l, 0, 1e-12));
        }
    }
    gsl_eigen_symmv_free(work);
    gsl_vector_free(values);
    gsl_matrix_free(vectors);
    gsl_matrix_free(covariance);
    /* The other way round they have the same direction, to the sign. */
    crystals turned = c;
    for (int i = 0; i < ROWS; i++) {
        turned.sample[i].feature = turned.feature[i];
        for (int k = 0; k < KTI_GP_READOUT; k++)
            turned.sample[i].readout[k] = 10 - c.sample[i].readout[k];
    }
    fit(&turned, options, &again);
    for (int k = 0; k < 3; k++)
        for (int a = 0; a < KTI_GP_READOUT; a++)
            assert_true(is_close(again.basis[k][a], head.basis[k][a], 0, 1e-6));
    kti_gp_head_destroy(&again);
    fit(&c, options, &again);
    assert_memory_equal(again.basis, head.basis, sizeof head.basis);
    /* The features play no part. */
    crystals other = c;
    for (int i = 0; i < ROWS; i++) {
        other.sample[i].feature = other.feature[i];
        for (int k = 0; k < KTI_FEATURES_OF_CRYSTAL; k++)
            other.feature[i][k] += i;
    }
    assert_true(predict(&head, &other.sample[2], NULL) == predict(&head, &c.sample[2], NULL));
    kti_gp_head_destroy(&again);
    kti_gp_head_destroy(&head);
}

/* Read-outs are not looked at without components. */
static void test_features_alone(void **state)
{
    (void)state;
    crystals c;
    kti_gp_head head;
    make_crystals(&c);
    fit(&c, (kti_gp_head_options){KT_GP_FEATURES_PHYSICAL, KT_GP_KERNEL_SUM, 0}, &head);
    const double kappa = predict(&head, &c.sample[4], NULL);
    for (int k = 0; k < KTI_GP_READOUT; k++)
        c.sample[4].readout[k] = NAN;
    assert_true(predict(&head, &c.sample[4], NULL) == kappa);
    kti_gp_head_destroy(&head);
}

static void test_refused_fits(void **state)
{
    (void)state;
    crystals c;
    make_crystals(&c);
    const kti_gp_head_options good = {KT_GP_FEATURES_PLAIN, KT_GP_KERNEL_MATERN, 2};
    const struct {
        kti_gp_head_options options;
        int rows;
        const char *says;
    } cases[] = {
        {{KT_GP_FEATURES_NONE, KT_GP_KERNEL_MATERN, 0}, ROWS, "components"},
        {{KT_GP_FEATURES_PLAIN, KT_GP_KERNEL_MATERN, -1}, ROWS, "components"},
        {{KT_GP_FEATURES_PLAIN, KT_GP_KERNEL_MATERN, 17}, ROWS, "1 to 16 components"},
        {good, 1, "not to 1"},
        {good, -1, "not to -1"},
        {good, KTI_GP_MAX_ROWS + 1, "not to 2049"},
        {good, INT32_MAX, "2 to 2048 crystals"},
    };
    kt_error error = KT_ERROR_NONE;
    kti_gp_head head;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const kt_status status =
            kti_gp_head_fit(c.sample, c.kappa, cases[i].rows, &cases[i].options, &head, &error);
        expect_error("fit", status, &error, KT_BAD_ARGUMENT, cases[i].says, ANY_BYTE);
        kti_gp_head_destroy(&head);
    }
    /* A kappa of 0, a feature and a read-out that are not finite. */
    for (int what = 0; what < 3; what++) {
        double *broken = what == 0   ? &c.kappa[5]
                         : what == 1 ? &c.feature[5][KTI_LOG_VOLUME]
                                     : &c.sample[5].readout[7];
        const double was = *broken;
        *broken = what == 0 ? 0 : NAN;
        assert_int_not_equal(kti_gp_head_fit(c.sample, c.kappa, ROWS, &good, &head, &error), KT_OK);
        assert_true(strstr(error.message, "not finite") || strstr(error.message, "components"));
        error = (kt_error)KT_ERROR_NONE;
        kti_gp_head_destroy(&head);
        *broken = was;
    }
}

/* ---- files ---- */

static void store(const kti_gp_head *head, kti_tensors *tensors)
{
    kt_error error = KT_ERROR_NONE;
    *tensors = (kti_tensors){0};
    assert_ok(kti_gp_head_store(head, tensors, &error), &error);
}

/* Through a file and back, every bit of every prediction. */
static void test_store_and_load(void **state)
{
    (void)state;
    crystals c;
    kti_gp_head_options list[32];
    make_crystals(&c);
    const int size = list_options(list);
    for (int o = 0; o < size; o++) {
        kti_gp_head head, again;
        kti_tensors tensors, read = {0};
        kt_error error = KT_ERROR_NONE;
        fit(&c, list[o], &head);
        store(&head, &tensors);
        assert_true(kti_gp_head_is_in(&tensors));
        const char *path = folder_path(&scratch, "head.safetensors");
        assert_ok(kti_safetensors_write(path, &tensors, &error), &error);
        assert_ok(kti_safetensors_read(path, &read, &error), &error);
        assert_ok(kti_gp_head_load(&read, "it", &again, &error), &error);
        assert_memory_equal(&again.options, &head.options, sizeof head.options);
        for (int i = 0; i < ROWS; i++) {
            double left[2], right[2];
            left[0] = predict(&head, &c.sample[i], &left[1]);
            right[0] = predict(&again, &c.sample[i], &right[1]);
            assert_memory_equal(left, right, sizeof left);
        }
        kti_gp_head_destroy(&again);
        kti_gp_head_destroy(&head);
        kti_tensors_destroy(&tensors);
        kti_tensors_destroy(&read);
    }
    kti_tensors none = {0};
    assert_false(kti_gp_head_is_in(&none));
}

static void refuse(const kti_tensors *tensors, const char *what, const char *says)
{
    kti_gp_head head;
    kt_error error = KT_ERROR_NONE;
    memset(&head, 0x55, sizeof head);
    const kt_status status = kti_gp_head_load(tensors, "it.safetensors", &head, &error);
    assert_string_equal(error.file, "it.safetensors");
    expect_error(what, status, &error, KT_BAD_FORMAT, says, ANY_BYTE);
    assert_null(head.gp.input);
    assert_null(head.gp.factor);
}

static kti_tensor *find(kti_tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->size; i++)
        if (strcmp(tensors->list[i].name, name) == 0)
            return &tensors->list[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void test_tensors_are_checked(void **state)
{
    (void)state;
    static const char *const names[] = {"gp.input",        "gp.target",    "gp.column_mean",
                                        "gp.column_sd",    "gp.parameter", "gp.readout_centre",
                                        "gp.readout_basis"};
    enum { NAMES = sizeof names / sizeof names[0] };
    crystals c;
    kti_gp_head head;
    kti_tensors tensors;
    make_crystals(&c);
    fit(&c, (kti_gp_head_options){KT_GP_FEATURES_NONE, KT_GP_KERNEL_SUM, 4}, &head);
    store(&head, &tensors);
    assert_int_equal(tensors.size, NAMES);
    for (int i = 0; i < NAMES; i++) {
        char says[80], *name;
        kti_tensor *t = find(&tensors, names[i]);
        snprintf(says, sizeof says, "`%s`", names[i]);
        name = t->name;
        t->name = "elsewhere";
        refuse(&tensors, "missing", says);
        t->name = name;
        /* Sizes that no memory holds, and those whose lower half looks well. */
        static const int64_t sizes[] = {0,
                                        1,
                                        15,
                                        17,
                                        5000,
                                        INT32_MAX,
                                        INT64_MAX,
                                        (INT64_C(1) << 32) + ROWS,
                                        INT64_C(1) << 31,
                                        (INT64_C(1) << 32) + 4,
                                        -1};
        for (int d = 0; d < t->rank; d++)
            for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
                const int64_t was = t->shape[d];
                const size_t elements = t->elements;
                t->shape[d] = sizes[s];
                t->elements = 0;
                refuse(&tensors, names[i], "gp.");
                t->shape[d] = was;
                t->elements = elements;
            }
        const int rank = t->rank;
        for (t->rank = 0; t->rank <= 3; t->rank++)
            if (t->rank != rank)
                refuse(&tensors, names[i], says);
        t->rank = rank;
        double *values = t->data, was = values[t->elements - 1];
        static const double bad[] = {NAN, INFINITY, -INFINITY};
        for (int b = 0; b < 3; b++) {
            values[t->elements - 1] = bad[b];
            refuse(&tensors, names[i], says);
        }
        values[t->elements - 1] = was;
    }
    /* What no fit gives. */
    double *parameter = find(&tensors, "gp.parameter")->data, *sd = find(&tensors, "gp.column_sd")->data;
    parameter[1] = 300;
    refuse(&tensors, "a length", "`gp.parameter` holds 300");
    parameter[1] = -300;
    refuse(&tensors, "a length", "`gp.parameter` holds -300");
    parameter[1] = 0;
    sd[0] = 0;
    refuse(&tensors, "a spread", "`gp.column_sd` holds 0");
    sd[0] = -1;
    refuse(&tensors, "a spread", "`gp.column_sd` holds -1");
    sd[0] = 1;
    kti_gp_head again;
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_gp_head_load(&tensors, "it", &again, &error), &error);
    kti_gp_head_destroy(&again);
    kti_gp_head_destroy(&head);
    kti_tensors_destroy(&tensors);
}

static void test_metadata_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
    } cases[] = {
        {"gp_features", NULL},     {"gp_features", "none"},  {"gp_features", "plain"},
        {"gp_features", "all"},    {"gp_inputs", NULL},      {"gp_inputs", "log_mass"},
        {"gp_inputs", ""},         {"gp_kernel", NULL},      {"gp_kernel", "linear"},
        {"gp_target", NULL},       {"gp_target", "kappa"},   {"gp_target_mean", NULL},
        {"gp_target_mean", "inf"}, {"gp_target_mean", "x"},  {"gp_target_sd", NULL},
        {"gp_target_sd", "0"},     {"gp_target_sd", "-1.5"}, {"gp_target_sd", "nan"},
    };
    crystals c;
    kti_gp_head head;
    kti_tensors tensors;
    make_crystals(&c);
    fit(&c, (kti_gp_head_options){KT_GP_FEATURES_PHYSICAL, KT_GP_KERNEL_MATERN, 0}, &head);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        store(&head, &tensors);
        assert_ok(kti_tensors_set_metadata(&tensors, cases[i].key, cases[i].value, &error), &error);
        /* Other features are noticed by the inputs' names. */
        const bool inputs =
            strstr(cases[i].key, "gp_inputs") ||
            (cases[i].value && (strcmp(cases[i].value, "none") == 0 || strcmp(cases[i].value, "plain") == 0));
        assert_true(kti_gp_head_is_in(&tensors));
        refuse(&tensors, cases[i].key, inputs ? "other inputs" : cases[i].key);
        kti_tensors_destroy(&tensors);
    }
    /* A kernel of more terms has more hyperparameters than the file. */
    kt_error error = KT_ERROR_NONE;
    store(&head, &tensors);
    assert_ok(kti_tensors_set_metadata(&tensors, "gp_kernel", "sum", &error), &error);
    refuse(&tensors, "kernel", "`gp.parameter` is [24], not [28]");
    kti_tensors_destroy(&tensors);
    kti_gp_head_destroy(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_harmonic_mean),       cmocka_unit_test(test_average),
        cmocka_unit_test(test_components),          cmocka_unit_test(test_features_alone),
        cmocka_unit_test(test_refused_fits),        cmocka_unit_test(test_store_and_load),
        cmocka_unit_test(test_tensors_are_checked), cmocka_unit_test(test_metadata_are_checked),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
