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
    KTI_MIN_ELECTRONEGATIVITY,
    KTI_MAX_ELECTRONEGATIVITY,
    KTI_MIN_ROW,
    KTI_MAX_ROW,
    KTI_MIN_GROUP,
    KTI_MAX_GROUP,
    KTI_MIN_RADIUS,
    KTI_MAX_RADIUS,
    KTI_MIN_LOG_MASS,
    KTI_MAX_LOG_MASS,
};

/* Without the mean mass and the nearest distance, which the two elements' masses and the volume all but give. */
static const kti_feature physical[] = {
    KTI_LOG_MASS_RATIO,
    KTI_LOG_VOLUME,
    KTI_COORDINATION,
    KTI_LOG_SITES,
    KTI_ELECTRONEGATIVITY_DIFFERENCE,
    KTI_MIN_ELECTRONEGATIVITY,
    KTI_MAX_ELECTRONEGATIVITY,
    KTI_MIN_ROW,
    KTI_MAX_ROW,
    KTI_MIN_GROUP,
    KTI_MAX_GROUP,
    KTI_MIN_RADIUS,
    KTI_MAX_RADIUS,
    KTI_MIN_LOG_MASS,
    KTI_MAX_LOG_MASS,
    KTI_MIN_D_ELECTRONS,
    KTI_MAX_D_ELECTRONS,
    KTI_MIN_ELECTRON_AFFINITY,
    KTI_LOG_ANION_CHARGE,
    KTI_OUTER_ELECTRONS,
    KTI_MIDDLE_ELECTRONEGATIVITY,
    KTI_MIDDLE_ROW,
};

/* Of log(kappa), that lowers a prediction: beyond it ignorance alone would make a crystal soft. */
static const double max_variance = 2;

/* By kt_gp_features. */
static const struct {
    const kti_feature *list;
    int size;
} features[] = {
    {NULL, 0}, {plain, sizeof plain / sizeof plain[0]}, {physical, sizeof physical / sizeof physical[0]}};

enum { MAX_INPUTS = sizeof physical / sizeof physical[0] + KTI_GP_READOUT };

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
    kti_gp_term all = each, linear;
    all.kind = KTI_GP_RBF;
    all.isotropic = true;
    all.variance = 0.3;
    linear = all;
    linear.kind = KTI_GP_LINEAR;
    linear.variance = 0.05;
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
    kti_gp_prepare();
    for (int c = 0; c < KTI_GP_READOUT; c++)
        for (int i = 0; i < rows; i++)
            head->centre[c] += samples[i].readout[c] / rows;
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
    if (options->components < 0 || options->components > KTI_GP_MAX_COMPONENTS || columns < 1)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a Gaussian process needs features or 1 to %d components of the read-out",
                        KTI_GP_MAX_COMPONENTS);
    if (rows < 2 || rows > KTI_GP_MAX_ROWS)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a Gaussian process is fitted to 2 to %d crystals, not to %d; use the network's head",
                        KTI_GP_MAX_ROWS, rows);
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
    double input[MAX_INPUTS], mean, variance;
    double *work = kti_allocate((size_t)head->gp.rows + (size_t)head->gp.columns, sizeof *work);
    if (!work)
        return kti_fail_memory(error, "a prediction");
    fill_inputs(head, sample, input);
    kti_gp_predict(&head->gp, input, work, &mean, &variance);
    free(work);
    *kappa = exp(mean - fmin(variance, max_variance) / 2);
    if (log_sd)
        *log_sd = sqrt(variance);
    return KT_OK;
}

double kti_gp_head_average(double network, double process)
{
    /* Not fmax, which would pass over a NaN. */
    return sqrt((network < 0.01 ? 0.01 : network) * process);
}

/* ---- files ---- */

static const char target_name[] = "log(kappa)";

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
        status = kti_tensors_set_metadata(tensors, "gp_target", target_name, error);
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
    return kti_tensors_metadata(tensors, "gp_features") || kti_tensors_find(tensors, "gp.input");
}

/* One tensor of a stored process. */
typedef struct part {
    const char *name;
    int rank;
    int64_t shape[2];
    double min, max; /* bounds of its values, themselves excluded */
} part;

enum { INPUT, TARGET, COLUMN_MEAN, COLUMN_SD, PARAMETER, CENTRE, BASIS, PARTS };

static kt_status check_part(const kti_tensors *tensors, const char *file, const part *p, kt_error *error)
{
    const kti_tensor *t = kti_tensors_find(tensors, p->name);
    if (!t)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "has no tensor `%s`", p->name);
    if (t->rank != p->rank || t->shape[0] != p->shape[0] || (p->rank == 2 && t->shape[1] != p->shape[1])) {
        char found[64], wanted[64];
        kti_shape_text(t->rank, t->shape, found, sizeof found);
        kti_shape_text(p->rank, p->shape, wanted, sizeof wanted);
        return kti_fail_file(error, KT_BAD_FORMAT, file, "tensor `%s` is %s, not %s", p->name, found, wanted);
    }
    if (kti_tensor_first_non_finite(t) != t->elements)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "tensor `%s` has a value that is not finite",
                             p->name);
    for (size_t i = 0; i < t->elements; i++)
        if (!(kti_tensor_value(t, i) > p->min && kti_tensor_value(t, i) < p->max))
            return kti_fail_file(error, KT_BAD_FORMAT, file, "tensor `%s` holds %g, which it cannot", p->name,
                                 kti_tensor_value(t, i));
    return KT_OK;
}

static void take(const kti_tensors *tensors, const char *name, double *to)
{
    const kti_tensor *t = kti_tensors_find(tensors, name);
    for (size_t i = 0; i < t->elements; i++)
        to[i] = kti_tensor_value(t, i);
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

/* What the metadata say: features, kernel, and, by the basis, components. */
static kt_status read_options(const kti_tensors *tensors, const char *file, kti_gp_head_options *options,
                              kt_error *error)
{
    int which = 0, kernel = 0;
    const kti_tensor *basis = kti_tensors_find(tensors, "gp.readout_basis");
    const char *target = kti_tensors_metadata(tensors, "gp_target");
    kt_status status = read_choice(tensors, file, "gp_features", kti_gp_features_names, &which, error);
    if (status == KT_OK)
        status = read_choice(tensors, file, "gp_kernel", kti_gp_kernel_names, &kernel, error);
    if (status == KT_OK)
        status = check_inputs(tensors, file, (kt_gp_features)which, error);
    if (status == KT_OK && (!target || strcmp(target, target_name) != 0))
        status = kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `gp_target` is %s, not %s",
                               target ? target : "missing", target_name);
    if (status == KT_OK && basis &&
        (basis->rank != 2 || basis->shape[0] < 1 || basis->shape[0] > KTI_GP_MAX_COMPONENTS))
        status = kti_fail_file(error, KT_BAD_FORMAT, file,
                               "tensor `gp.readout_basis` does not hold 1 to %d components",
                               KTI_GP_MAX_COMPONENTS);
    if (status == KT_OK && which == KT_GP_FEATURES_NONE && !basis)
        status = kti_fail_file(error, KT_BAD_FORMAT, file,
                               "its Gaussian process has no features, and `gp.readout_basis` is missing");
    if (status == KT_OK)
        *options = (kti_gp_head_options){(kt_gp_features)which, (kt_gp_kernel)kernel,
                                         basis ? (int)basis->shape[0] : 0};
    return status;
}

/* Every tensor by its shape and values, so that nothing is allocated which the file does not hold. */
static kt_status check_parts(const kti_tensors *tensors, const char *file, const kti_gp_options *options,
                             int components, int *rows, kt_error *error)
{
    const kti_tensor *input = kti_tensors_find(tensors, "gp.input");
    if (!input)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "has no tensor `gp.input`");
    if (input->rank != 2 || input->shape[0] < 2 || input->shape[0] > KTI_GP_MAX_ROWS)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "tensor `gp.input` does not hold 2 to %d crystals",
                             KTI_GP_MAX_ROWS);
    const int n = (int)input->shape[0], columns = options->term[0].columns;
    const double range = KTI_GP_LOG_RANGE * (1 + 1e-9);
    const part parts[PARTS] = {
        [INPUT] = {"gp.input", 2, {n, columns}, -INFINITY, INFINITY},
        [TARGET] = {"gp.target", 1, {n}, -INFINITY, INFINITY},
        [COLUMN_MEAN] = {"gp.column_mean", 1, {columns}, -INFINITY, INFINITY},
        [COLUMN_SD] = {"gp.column_sd", 1, {columns}, 0, INFINITY},
        [PARAMETER] = {"gp.parameter", 1, {kti_gp_parameters(options)}, -range, range},
        [CENTRE] = {"gp.readout_centre", 1, {KTI_GP_READOUT}, -INFINITY, INFINITY},
        [BASIS] = {"gp.readout_basis", 2, {components, KTI_GP_READOUT}, -INFINITY, INFINITY},
    };
    kt_status status = KT_OK;
    for (int i = 0; i < (components > 0 ? PARTS : CENTRE) && status == KT_OK; i++)
        status = check_part(tensors, file, &parts[i], error);
    *rows = n;
    return status;
}

kt_status kti_gp_head_load(const kti_tensors *tensors, const char *file, kti_gp_head *head, kt_error *error)
{
    kti_gp *gp = &head->gp;
    double mean = 0, sd = 1;
    int rows = 0;
    *head = (kti_gp_head){0};
    kt_status status = read_options(tensors, file, &head->options, error);
    const kti_gp_options options = gp_options(&head->options);
    if (status == KT_OK)
        status = check_parts(tensors, file, &options, head->options.components, &rows, error);
    if (status == KT_OK)
        status = kti_metadata_number(tensors, file, "gp_target_mean", &mean, error);
    if (status == KT_OK)
        status = kti_metadata_number(tensors, file, "gp_target_sd", &sd, error);
    if (status == KT_OK && !(sd > 0))
        status = kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `gp_target_sd` is %g, not above 0", sd);
    if (status == KT_OK)
        status = kti_gp_create(rows, options.term[0].columns, &options, gp, error);
    if (status != KT_OK)
        return status;
    gp->target_mean = mean;
    gp->target_sd = sd;
    take(tensors, "gp.input", gp->input);
    take(tensors, "gp.target", gp->target);
    take(tensors, "gp.column_mean", gp->column_mean);
    take(tensors, "gp.column_sd", gp->column_sd);
    take(tensors, "gp.parameter", gp->parameter);
    if (head->options.components > 0) {
        take(tensors, "gp.readout_centre", head->centre);
        take(tensors, "gp.readout_basis", &head->basis[0][0]);
    }
    if (kti_gp_condition(gp, NULL) != KT_OK) {
        kti_gp_head_destroy(head);
        return kti_fail_file(error, KT_BAD_FORMAT, file,
                             "the covariance of its Gaussian process is not positive definite");
    }
    return KT_OK;
}
