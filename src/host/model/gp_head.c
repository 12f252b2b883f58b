#include "model/gp_head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lapacke.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/architecture.h"

const char *const kti_gp_features_names[] = {"none", "plain", "physical", NULL};
const char *const kti_gp_kernel_names[] = {"matern", "rbf", "sum", NULL};

static const kti_feature plain[] = {
    KTI_LOG_MEAN_MASS,
    KTI_LOG_MASS_RATIO,
    KTI_LOG_VOLUME,
    KTI_LOG_NEAREST_DISTANCE,
    KTI_COORDINATION,
    KTI_LOG_SITES,
    KTI_ELECTRONEGATIVITY_DIFFERENCE,
    KTI_LEAST_ELECTRONEGATIVITY,
    KTI_MOST_ELECTRONEGATIVITY,
    KTI_LEAST_ROW,
    KTI_MOST_ROW,
    KTI_LEAST_GROUP,
    KTI_MOST_GROUP,
    KTI_LEAST_RADIUS,
    KTI_MOST_RADIUS,
    KTI_LEAST_LOG_MASS,
    KTI_MOST_LOG_MASS,
};

/* Without the mean mass and the nearest distance, which the two elements' masses and the volume all but give. */
static const kti_feature physical[] = {
    KTI_LOG_MASS_RATIO,
    KTI_LOG_VOLUME,
    KTI_COORDINATION,
    KTI_LOG_SITES,
    KTI_ELECTRONEGATIVITY_DIFFERENCE,
    KTI_LEAST_ELECTRONEGATIVITY,
    KTI_MOST_ELECTRONEGATIVITY,
    KTI_LEAST_ROW,
    KTI_MOST_ROW,
    KTI_LEAST_GROUP,
    KTI_MOST_GROUP,
    KTI_LEAST_RADIUS,
    KTI_MOST_RADIUS,
    KTI_LEAST_LOG_MASS,
    KTI_MOST_LOG_MASS,
    KTI_LEAST_D_ELECTRONS,
    KTI_MOST_D_ELECTRONS,
    KTI_LEAST_ELECTRON_AFFINITY,
    KTI_LOG_ANION_CHARGE,
    KTI_OUTER_ELECTRONS,
    KTI_MIDDLE_ELECTRONEGATIVITY,
    KTI_MIDDLE_ROW,
};

/* By kt_gp_features. */
static const struct {
    const kti_feature *list;
    int size;
} features[] = {
    {NULL, 0}, {plain, sizeof plain / sizeof plain[0]}, {physical, sizeof physical / sizeof physical[0]}};

enum { MOST_INPUTS = sizeof physical / sizeof physical[0] + KTI_GP_READOUT };

/* Priors: length scales of about the spread of all inputs together, so that few inputs matter unless the data say so;
 * noise of a few percent of the variance. Chosen once by the scores over splits (docs/results.md). */
static kti_gp_options gp_options(const kti_gp_head_options *o)
{
    const int columns = features[o->features].size + o->components;
    const kti_gp_term each = {.kind = o->kernel == KT_GP_KERNEL_RBF ? KTI_GP_RBF : KTI_GP_MATERN52,
                              .columns = columns,
                              .variance = 1,
                              .length = 1,
                              .variance_spread = 2,
                              .length_spread = 2};
    const kti_gp_term all = {.kind = KTI_GP_RBF,
                             .isotropic = true,
                             .columns = columns,
                             .variance = 0.3,
                             .length = 1,
                             .variance_spread = 2,
                             .length_spread = 2};
    const kti_gp_term linear = {.kind = KTI_GP_LINEAR,
                                .isotropic = true,
                                .columns = columns,
                                .variance = 0.05,
                                .length = 1,
                                .variance_spread = 2,
                                .length_spread = 2};
    kti_gp_options options = {
        .terms = 1, .term = {each}, .noise = 0.03, .noise_spread = 1, .evaluations = 150};
    if (o->kernel == KT_GP_KERNEL_SUM) {
        options.term[options.terms++] = all;
        options.term[options.terms++] = linear;
    }
    return options;
}

/* ---- inputs ---- */

static void fill_inputs(const kti_gp_head *head, const kti_gp_sample *sample, double *input)
{
    const int own = features[head->options.features].size;
    for (int i = 0; i < own; i++)
        input[i] = sample->feature[features[head->options.features].list[i]];
    for (int k = 0; k < head->options.components; k++) {
        double sum = 0;
        for (int c = 0; c < KTI_GP_READOUT; c++)
            sum += head->basis[k][c] * (sample->readout[c] - head->centre[c]);
        input[own + k] = sum;
    }
}

/* Eigenvectors of the read-outs' covariance, greatest first; each with its largest entry positive, since LAPACK leaves the
 * sign open. */
static kt_status find_components(kti_gp_head *head, const kti_gp_sample *samples, int rows, kt_error *error)
{
    double covariance[KTI_GP_READOUT][KTI_GP_READOUT] = {{0}}, values[KTI_GP_READOUT];
    double work[KTI_GP_READOUT * 8];
    for (int c = 0; c < KTI_GP_READOUT; c++) {
        for (int i = 0; i < rows; i++)
            head->centre[c] += samples[i].readout[c] / rows;
    }
    for (int i = 0; i < rows; i++)
        for (int a = 0; a < KTI_GP_READOUT; a++)
            for (int b = 0; b <= a; b++)
                covariance[a][b] += (samples[i].readout[a] - head->centre[a]) *
                                    (samples[i].readout[b] - head->centre[b]) / rows;
    if (LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'U', KTI_GP_READOUT, &covariance[0][0], KTI_GP_READOUT,
                           values, work, KTI_GP_READOUT * 8) != 0)
        return kti_fail(error, KT_NON_FINITE, "the read-outs have no principal components");
    for (int k = 0; k < head->options.components; k++) {
        const double *vector =
            covariance[KTI_GP_READOUT - 1 - k]; /* eigenvectors are columns, in rising order */
        int largest = 0;
        for (int c = 0; c < KTI_GP_READOUT; c++)
            if (fabs(vector[c]) > fabs(vector[largest]))
                largest = c;
        for (int c = 0; c < KTI_GP_READOUT; c++)
            head->basis[k][c] = vector[largest] < 0 ? -vector[c] : vector[c];
    }
    return KT_OK;
}

/* ---- fitting and prediction ---- */

kt_status kti_gp_head_fit(const kti_gp_sample *samples, const double *kappa, int rows,
                          const kti_gp_head_options *options, kti_gp_head *head, kt_error *error)
{
    const int columns = features[options->features].size + options->components;
    const kti_gp_options settings = gp_options(options);
    double *inputs = NULL, *targets = NULL;
    kt_status status = KT_OK;
    *head = (kti_gp_head){.options = *options};
    if (options->components < 0 || options->components > KTI_GP_MOST_COMPONENTS || columns < 1)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a Gaussian process needs features or 1 to %d components of the read-out",
                        KTI_GP_MOST_COMPONENTS);
    if (rows < 2 || rows > KTI_GP_MOST_ROWS)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a Gaussian process is fitted to 2 to %d crystals, not to %d; use the network's head",
                        KTI_GP_MOST_ROWS, rows);
    inputs = kti_allocate((size_t)rows * (size_t)columns, sizeof *inputs);
    targets = kti_allocate((size_t)rows, sizeof *targets);
    if (!inputs || !targets) {
        status = kti_fail_memory(error, "a Gaussian process");
        goto done;
    }
    if (options->components > 0)
        status = find_components(head, samples, rows, error);
    for (int i = 0; i < rows && status == KT_OK; i++) {
        fill_inputs(head, &samples[i], inputs + (size_t)i * (size_t)columns);
        targets[i] = log(kappa[i]);
    }
    if (status == KT_OK)
        status = kti_gp_fit(inputs, targets, rows, columns, &settings, &head->gp, error);
done:
    free(inputs);
    free(targets);
    return status;
}

void kti_gp_head_destroy(kti_gp_head *head)
{
    kti_gp_destroy(&head->gp);
    *head = (kti_gp_head){0};
}

kt_status kti_gp_head_predict(const kti_gp_head *head, const kti_gp_sample *sample, double *kappa,
                              double *log_sd, kt_error *error)
{
    double input[MOST_INPUTS], mean, variance;
    double *work = kti_allocate((size_t)head->gp.rows + (size_t)head->gp.columns, sizeof *work);
    if (!work)
        return kti_fail_memory(error, "a prediction");
    fill_inputs(head, sample, input);
    kti_gp_predict(&head->gp, input, work, &mean, &variance);
    free(work);
    *kappa = exp(mean - variance / 2);
    if (log_sd)
        *log_sd = sqrt(variance);
    return KT_OK;
}

double kti_gp_head_average(double network, double process)
{
    return sqrt(fmax(network, 0.01) * process);
}

/* ---- files ---- */

static kt_status add(kti_tensors *tensors, const char *name, int rank, int64_t rows, int64_t columns,
                     const double *data, kt_error *error)
{
    kti_tensor *added;
    const int64_t shape[2] = {rows, columns};
    kt_status status = kti_tensors_add(tensors, name, KTI_F64, rank, shape, &added, error);
    if (status == KT_OK)
        memcpy(added->data, data, added->elements * sizeof(double));
    return status;
}

/* "log_mean_mass log_mass_ratio ...". */
static kt_status set_feature_names(kti_tensors *tensors, kt_gp_features which, kt_error *error)
{
    kti_text text = {0};
    kti_text_add(&text, "%s", "");
    for (int i = 0; i < features[which].size; i++)
        kti_text_add(&text, "%s%s", i ? " " : "", kti_feature_name(features[which].list[i]));
    kt_status status = text.failed ? kti_fail_memory(error, "a checkpoint")
                                   : kti_tensors_set_metadata(tensors, "gp_inputs", text.data, error);
    kti_text_destroy(&text);
    return status;
}

kt_status kti_gp_head_store(const kti_gp_head *head, kti_tensors *tensors, kt_error *error)
{
    const kti_gp *gp = &head->gp;
    kt_status status = kti_tensors_set_metadata(tensors, "gp_features",
                                                kti_gp_features_names[head->options.features], error);
    if (status == KT_OK)
        status = set_feature_names(tensors, head->options.features, error);
    if (status == KT_OK)
        status =
            kti_tensors_set_metadata(tensors, "gp_kernel", kti_gp_kernel_names[head->options.kernel], error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(tensors, "gp_target", "log(kappa)", error);
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "gp_target_mean", gp->target_mean, error);
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "gp_target_sd", gp->target_sd, error);
    if (status == KT_OK)
        status = add(tensors, "gp.input", 2, gp->rows, gp->columns, gp->input, error);
    if (status == KT_OK)
        status = add(tensors, "gp.target", 1, gp->rows, 0, gp->target, error);
    if (status == KT_OK)
        status = add(tensors, "gp.column_mean", 1, gp->columns, 0, gp->column_mean, error);
    if (status == KT_OK)
        status = add(tensors, "gp.column_sd", 1, gp->columns, 0, gp->column_sd, error);
    if (status == KT_OK)
        status = add(tensors, "gp.parameter", 1, gp->parameters, 0, gp->parameter, error);
    if (status == KT_OK && head->options.components > 0)
        status = add(tensors, "gp.readout_centre", 1, KTI_GP_READOUT, 0, head->centre, error);
    if (status == KT_OK && head->options.components > 0)
        status = add(tensors, "gp.readout_basis", 2, head->options.components, KTI_GP_READOUT,
                     &head->basis[0][0], error);
    return status;
}

bool kti_gp_head_is_in(const kti_tensors *tensors)
{
    return kti_tensors_find(tensors, "gp.input") != NULL;
}

/* A copy of a tensor of this shape (columns 0: one dimension), all finite. */
static kt_status take(const kti_tensors *tensors, const char *file, const char *name, int64_t rows,
                      int64_t columns, double *to, kt_error *error)
{
    const kti_tensor *t = kti_tensors_find(tensors, name);
    if (!t || t->rank != (columns ? 2 : 1) || t->shape[0] != rows || (columns && t->shape[1] != columns))
        return kti_fail_file(error, KT_BAD_FORMAT, file,
                             "the Gaussian process's tensor `%s` is missing or of another shape", name);
    if (kti_tensor_first_non_finite(t) != t->elements)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "tensor `%s` has a value that is not finite", name);
    for (size_t i = 0; i < t->elements; i++)
        to[i] = kti_tensor_value(t, i);
    return KT_OK;
}

static kt_status read_choice(const kti_tensors *tensors, const char *file, const char *key,
                             const char *const *names, int *choice, kt_error *error)
{
    const char *text = kti_tensors_metadata(tensors, key);
    for (*choice = 0; text && names[*choice]; ++*choice)
        if (strcmp(names[*choice], text) == 0)
            return KT_OK;
    return kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `%s` is %s; this program does not know it",
                         key, text ? text : "missing");
}

static kt_status check_inputs(const kti_tensors *tensors, const char *file, kt_gp_features which,
                              kt_error *error)
{
    kti_tensors own = {0};
    kt_status status = set_feature_names(&own, which, error);
    const char *stored = kti_tensors_metadata(tensors, "gp_inputs");
    if (status == KT_OK && (!stored || strcmp(stored, kti_tensors_metadata(&own, "gp_inputs")) != 0))
        status = kti_fail_file(error, KT_BAD_FORMAT, file,
                               "the Gaussian process has other inputs than this program knows: %s",
                               stored ? stored : "(missing)");
    kti_tensors_destroy(&own);
    return status;
}

kt_status kti_gp_head_load(const kti_tensors *tensors, const char *file, kti_gp_head *head, kt_error *error)
{
    int which = 0, kernel = 0;
    kti_gp *gp = &head->gp;
    *head = (kti_gp_head){0};
    kt_status status = read_choice(tensors, file, "gp_features", kti_gp_features_names, &which, error);
    if (status == KT_OK)
        status = read_choice(tensors, file, "gp_kernel", kti_gp_kernel_names, &kernel, error);
    if (status == KT_OK)
        status = check_inputs(tensors, file, (kt_gp_features)which, error);
    if (status != KT_OK)
        return status;
    const kti_tensor *basis = kti_tensors_find(tensors, "gp.readout_basis"),
                     *input = kti_tensors_find(tensors, "gp.input");
    head->options =
        (kti_gp_head_options){(kt_gp_features)which, (kt_gp_kernel)kernel, basis ? (int)basis->shape[0] : 0};
    if (!input || input->rank != 2 || input->shape[0] < 2 || input->shape[0] > KTI_GP_MOST_ROWS ||
        head->options.components > KTI_GP_MOST_COMPONENTS)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "the Gaussian process is of an impossible size");
    const kti_gp_options options = gp_options(&head->options);
    status = kti_gp_create((int)input->shape[0], options.term[0].columns, &options, gp, error);
    if (status == KT_OK)
        status = kti_metadata_number(tensors, file, "gp_target_mean", &gp->target_mean, error);
    if (status == KT_OK)
        status = kti_metadata_number(tensors, file, "gp_target_sd", &gp->target_sd, error);
    if (status == KT_OK)
        status = take(tensors, file, "gp.input", gp->rows, gp->columns, gp->input, error);
    if (status == KT_OK)
        status = take(tensors, file, "gp.target", gp->rows, 0, gp->target, error);
    if (status == KT_OK)
        status = take(tensors, file, "gp.column_mean", gp->columns, 0, gp->column_mean, error);
    if (status == KT_OK)
        status = take(tensors, file, "gp.column_sd", gp->columns, 0, gp->column_sd, error);
    if (status == KT_OK)
        status = take(tensors, file, "gp.parameter", gp->parameters, 0, gp->parameter, error);
    if (status == KT_OK && basis)
        status = take(tensors, file, "gp.readout_centre", KTI_GP_READOUT, 0, head->centre, error);
    if (status == KT_OK && basis)
        status = take(tensors, file, "gp.readout_basis", head->options.components, KTI_GP_READOUT,
                      &head->basis[0][0], error);
    if (status == KT_OK)
        status = kti_gp_condition(gp, error);
    if (status != KT_OK)
        kti_gp_head_destroy(head);
    return status;
}
