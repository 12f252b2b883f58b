#include "model/gaussian_process.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <lapacke.h>
#include <nlopt.h>

#include "base/fail.h"
#include "base/memory.h"

/* Keeps the factor defined when the noise goes to nothing, in units of the targets' variance. */
static const double min_noise = 1e-6;

static void standardise(const kti_gp *gp, const double *input, double *x)
{
    for (int c = 0; c < gp->columns; c++)
        x[c] = (input[c] - gp->column_mean[c]) / gp->column_sd[c];
}

static int lengths_of(const kti_gp_term *term)
{
    return term->isotropic ? 1 : term->columns;
}

int kti_gp_parameters(const kti_gp_options *options)
{
    int count = 1;
    for (int t = 0; t < options->terms; t++)
        count += 1 + lengths_of(&options->term[t]);
    return count;
}

/* ---- the covariance ---- */

/* A term between two rows, and its derivative by r^2 in *slope (for KTI_GP_LINEAR not used). `product` is r^2, or x x'
 * of the scaled inputs for KTI_GP_LINEAR. */
static double covariance(kti_gp_kind kind, double product, double *slope)
{
    switch (kind) {
    case KTI_GP_RBF: {
        const double value = exp(-product / 2);
        *slope = -value / 2;
        return value;
    }
    case KTI_GP_MATERN52: {
        const double r = sqrt(5 * product), decay = exp(-r);
        *slope = -5.0 / 6 * (1 + r) * decay;
        return (1 + r + r * r / 3) * decay;
    }
    case KTI_GP_LINEAR: break;
    }
    *slope = 1;
    return product;
}

/* 1 / l of a term's columns; `parameter` points at its variance's logarithm. */
static void inverse_lengths(const kti_gp_term *term, const double *parameter, double *scale)
{
    for (int c = 0; c < term->columns; c++)
        scale[c] = exp(-parameter[1 + (term->isotropic ? 0 : c)]);
}

static double scaled_product(const kti_gp_term *term, const double *scale, const double *a, const double *b)
{
    double sum = 0;
    if (term->kind == KTI_GP_LINEAR)
        for (int c = 0; c < term->columns; c++)
            sum += a[c] * b[c] * scale[c] * scale[c];
    else
        for (int c = 0; c < term->columns; c++)
            sum += (a[c] - b[c]) * (a[c] - b[c]) * scale[c] * scale[c];
    return sum;
}

/* Lower triangle of the covariance of the rows, noise on the diagonal; slopes[terms][rows, rows] likewise, unless NULL. */
static void fill_covariance(const kti_gp *gp, const double *parameter, double *matrix, double *slopes)
{
    const int n = gp->rows;
    double scale[KTI_GP_MAX_COLUMNS];
    memset(matrix, 0, (size_t)n * (size_t)n * sizeof *matrix);
    const double *p = parameter;
    for (int t = 0; t < gp->options.terms; t++) {
        const kti_gp_term *term = &gp->options.term[t];
        const double variance = exp(p[0]);
        inverse_lengths(term, p, scale);
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++) {
                const size_t at = (size_t)i * (size_t)n + (size_t)j;
                double slope;
                const double product =
                    scaled_product(term, scale, gp->input + (size_t)i * (size_t)gp->columns + term->first,
                                   gp->input + (size_t)j * (size_t)gp->columns + term->first);
                matrix[at] += variance * covariance(term->kind, product, &slope);
                if (slopes)
                    slopes[(size_t)t * (size_t)n * (size_t)n + at] = variance * slope;
            }
        p += 1 + lengths_of(term);
    }
    for (int i = 0; i < n; i++)
        matrix[(size_t)i * (size_t)n + (size_t)i] += exp(p[0]) + min_noise;
}

/* OpenBLAS, where it stands for LAPACK, would sum in another order for another number of cores, and its threads would run
 * inside our workers. The setting is the process's; LAPACK itself has no such function. */
static void set_one_thread(void)
{
    void *program = dlopen(NULL, RTLD_LAZY),
         *symbol = program ? dlsym(program, "openblas_set_num_threads") : NULL;
    void (*set_threads)(int);
    memcpy(&set_threads, &symbol, sizeof symbol);
    if (symbol)
        set_threads(1);
    if (program)
        dlclose(program);
}

void kti_gp_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_one_thread);
}

/* Row-major lower is LAPACK's column-major upper: no copy. False if the matrix is not positive definite. Some LAPACKs
 * factorise what holds a NaN, which every later diagonal element then is. */
static bool factorise(double *matrix, int n)
{
    return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', n, matrix, n) == 0 &&
           isfinite(matrix[(size_t)n * (size_t)n - 1]);
}

static void solve(const double *factor, int n, double *vector)
{
    LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'U', n, 1, factor, n, vector, n);
}

/* ---- the objective ---- */

static double normal_penalty(double value, double median, double spread, double *gradient)
{
    const double away = (value - log(median)) / spread;
    *gradient += away / spread;
    return away * away / 2;
}

static double penalty(const kti_gp_options *options, const double *parameter, double *gradient)
{
    double sum = 0;
    const double *p = parameter;
    for (int t = 0; t < options->terms; t++) {
        const kti_gp_term *term = &options->term[t];
        const double length = term->length * sqrt(term->columns);
        sum += normal_penalty(p[0], term->variance, term->variance_spread, &gradient[p - parameter]);
        for (int l = 1; l <= lengths_of(term); l++)
            sum += normal_penalty(p[l], length, term->length_spread, &gradient[p + l - parameter]);
        p += 1 + lengths_of(term);
    }
    return sum + normal_penalty(p[0], options->noise, options->noise_spread, &gradient[p - parameter]);
}

typedef struct workspace {
    double *matrix, *slopes; /* [rows, rows], [terms][rows, rows] */
    double *weight;          /* [rows] */
} workspace;

static kt_status workspace_create(const kti_gp *gp, workspace *w, kt_error *error)
{
    const size_t square = (size_t)gp->rows * (size_t)gp->rows;
    w->matrix = kti_allocate(square, sizeof(double));
    w->slopes = kti_allocate(square * (size_t)gp->options.terms, sizeof(double));
    w->weight = kti_allocate((size_t)gp->rows, sizeof(double));
    return w->matrix && w->slopes && w->weight ? KT_OK : kti_fail_memory(error, "a Gaussian process");
}

static void workspace_destroy(workspace *w)
{
    free(w->matrix);
    free(w->slopes);
    free(w->weight);
}

/* d objective / d log of a term's variance and length scales: half the sum over pairs of (K^-1 - a a^T) dK (Rasmussen
 * and Williams, eq. 5.9). `gap` holds the lower triangle of that matrix. */
static void add_term_gradient(const kti_gp *gp, const kti_gp_term *term, const double *parameter,
                              const double *gap, const double *slope, double *gradient)
{
    const int n = gp->rows;
    double scale[KTI_GP_MAX_COLUMNS], sums[KTI_GP_MAX_COLUMNS] = {0};
    const double variance = exp(parameter[0]);
    inverse_lengths(term, parameter, scale);
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            const size_t at = (size_t)i * (size_t)n + (size_t)j;
            const double *a = gp->input + (size_t)i * (size_t)gp->columns + term->first,
                         *b = gp->input + (size_t)j * (size_t)gp->columns + term->first;
            const double weight = (i == j ? 0.5 : 1) * gap[at];
            double unused;
            gradient[0] +=
                weight * variance * covariance(term->kind, scaled_product(term, scale, a, b), &unused);
            const double pull = -2 * weight * slope[at];
            if (term->kind == KTI_GP_LINEAR)
                for (int c = 0; c < term->columns; c++)
                    sums[c] += pull * a[c] * b[c];
            else
                for (int c = 0; c < term->columns; c++)
                    sums[c] += pull * (a[c] - b[c]) * (a[c] - b[c]);
        }
    for (int c = 0; c < term->columns; c++)
        gradient[1 + (term->isotropic ? 0 : c)] += sums[c] * scale[c] * scale[c];
}

static double objective(const kti_gp *gp, const double *parameter, double *gradient, workspace *w)
{
    const int n = gp->rows;
    double value = 0.5 * n * log(2 * 3.14159265358979323846);
    memset(gradient, 0, (size_t)gp->parameters * sizeof *gradient);
    fill_covariance(gp, parameter, w->matrix, w->slopes);
    if (!factorise(w->matrix, n))
        return NAN;
    memcpy(w->weight, gp->target, (size_t)n * sizeof *w->weight);
    solve(w->matrix, n, w->weight);
    for (int i = 0; i < n; i++)
        value += 0.5 * gp->target[i] * w->weight[i] + log(w->matrix[(size_t)i * (size_t)n + (size_t)i]);
    value += penalty(&gp->options, parameter, gradient);
    LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'U', n, w->matrix, n);
    double trace = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++)
            w->matrix[(size_t)i * (size_t)n + (size_t)j] -= w->weight[i] * w->weight[j];
        trace += w->matrix[(size_t)i * (size_t)n + (size_t)i];
    }
    const double *p = parameter;
    for (int t = 0; t < gp->options.terms; t++) {
        add_term_gradient(gp, &gp->options.term[t], p, w->matrix,
                          w->slopes + (size_t)t * (size_t)n * (size_t)n, gradient + (p - parameter));
        p += 1 + lengths_of(&gp->options.term[t]);
    }
    gradient[p - parameter] += 0.5 * trace * exp(p[0]);
    return value;
}

/* ---- the search ---- */

typedef struct search {
    const kti_gp *gp;
    double *gradient; /* [parameters], where the optimiser wants none */
    double *best;     /* [parameters], where the objective was least */
    double min;
    workspace w;
} search;

static double evaluate(unsigned size, const double *parameter, double *gradient, void *data)
{
    search *s = data;
    const double value = objective(s->gp, parameter, gradient ? gradient : s->gradient, &s->w);
    if (value < s->min) {
        s->min = value;
        memcpy(s->best, parameter, size * sizeof *s->best);
    }
    return isfinite(value) ? value : HUGE_VAL;
}

static double within_range(double value)
{
    return fmin(fmax(value, -KTI_GP_LOG_RANGE), KTI_GP_LOG_RANGE);
}

static void start(const kti_gp_options *options, double *parameter)
{
    double *p = parameter;
    for (int t = 0; t < options->terms; t++) {
        const kti_gp_term *term = &options->term[t];
        *p++ = within_range(log(term->variance));
        for (int l = 0; l < lengths_of(term); l++)
            *p++ = within_range(log(term->length * sqrt(term->columns)));
    }
    *p = within_range(log(options->noise));
}

static kt_status minimise(kti_gp *gp, kt_error *error)
{
    search s = {.gp = gp, .min = INFINITY};
    s.gradient = kti_allocate((size_t)gp->parameters, sizeof *s.gradient);
    s.best = kti_allocate((size_t)gp->parameters, sizeof *s.best);
    nlopt_opt optimiser = nlopt_create(NLOPT_LD_LBFGS, (unsigned)gp->parameters);
    kt_status status = s.gradient && s.best && optimiser ? workspace_create(gp, &s.w, error)
                                                         : kti_fail_memory(error, "a Gaussian process");
    start(&gp->options, gp->parameter);
    if (status == KT_OK) {
        nlopt_set_min_objective(optimiser, evaluate, &s);
        nlopt_set_lower_bounds1(optimiser, -KTI_GP_LOG_RANGE);
        nlopt_set_upper_bounds1(optimiser, KTI_GP_LOG_RANGE);
        nlopt_set_ftol_rel(optimiser, 1e-7);
        nlopt_set_maxeval(optimiser, gp->options.evaluations);
        /* However the search ends, also where it cannot get on, the least that it has seen is the fit. */
        const nlopt_result ended = nlopt_optimize(optimiser, gp->parameter, &gp->objective);
        memcpy(gp->parameter, s.best, (size_t)gp->parameters * sizeof *gp->parameter);
        gp->objective = s.min;
        if (ended == NLOPT_OUT_OF_MEMORY)
            status = kti_fail_memory(error, "a Gaussian process");
        else if (!isfinite(gp->objective))
            status = kti_fail(error, KT_NON_FINITE,
                              "the covariance of a Gaussian process is not positive definite");
    }
    nlopt_destroy(optimiser);
    workspace_destroy(&s.w);
    free(s.gradient);
    free(s.best);
    return status;
}

/* ---- fitting ---- */

static void mean_and_sd(const double *values, int size, int stride, double *mean, double *sd)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < size; i++)
        sum += values[(ptrdiff_t)i * stride];
    *mean = sum / size;
    for (int i = 0; i < size; i++) {
        const double away = values[(ptrdiff_t)i * stride] - *mean;
        squares += away * away;
    }
    *sd = sqrt(squares / size);
}

static bool all_finite(const double *values, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

static bool is_positive(double value)
{
    return isfinite(value) && value > 0;
}

static kt_status check(const double *inputs, const double *targets, int rows, int columns,
                       const kti_gp_options *options, kt_error *error)
{
    if (rows < 2 || rows > KTI_GP_MAX_ROWS)
        return kti_fail(error, KT_BAD_ARGUMENT, "a Gaussian process is fitted to 2 to %d rows, not to %d",
                        KTI_GP_MAX_ROWS, rows);
    if (columns < 1 || columns > KTI_GP_MAX_COLUMNS)
        return kti_fail(error, KT_BAD_ARGUMENT, "a Gaussian process has 1 to %d inputs, not %d",
                        KTI_GP_MAX_COLUMNS, columns);
    if (options->terms < 1 || options->terms > KTI_GP_MAX_TERMS)
        return kti_fail(error, KT_BAD_ARGUMENT, "a Gaussian process has 1 to %d terms, not %d",
                        KTI_GP_MAX_TERMS, options->terms);
    for (int t = 0; t < options->terms; t++) {
        const kti_gp_term *term = &options->term[t];
        if (term->first < 0 || term->columns < 1 || term->columns > columns - term->first)
            return kti_fail(error, KT_BAD_ARGUMENT,
                            "term %d of a Gaussian process sees inputs that are not there", t + 1);
        if (!is_positive(term->variance) || !is_positive(term->length) ||
            !is_positive(term->variance_spread) || !is_positive(term->length_spread))
            return kti_fail(error, KT_BAD_ARGUMENT, "term %d of a Gaussian process has no proper prior",
                            t + 1);
    }
    if (!is_positive(options->noise) || !is_positive(options->noise_spread))
        return kti_fail(error, KT_BAD_ARGUMENT, "the noise of a Gaussian process has no proper prior");
    if (!all_finite(inputs, (size_t)rows * (size_t)columns) || !all_finite(targets, (size_t)rows))
        return kti_fail(error, KT_BAD_ARGUMENT, "a Gaussian process is fitted to a value that is not finite");
    return KT_OK;
}

kt_status kti_gp_condition(kti_gp *gp, kt_error *error)
{
    const size_t n = (size_t)gp->rows;
    fill_covariance(gp, gp->parameter, gp->factor, NULL);
    if (!factorise(gp->factor, gp->rows))
        return kti_fail(error, KT_NON_FINITE,
                        "the covariance of a Gaussian process is not positive definite");
    memcpy(gp->weight, gp->target, n * sizeof *gp->weight);
    solve(gp->factor, gp->rows, gp->weight);
    return KT_OK;
}

kt_status kti_gp_create(int rows, int columns, const kti_gp_options *options, kti_gp *gp, kt_error *error)
{
    kti_gp_prepare();
    const size_t n = (size_t)rows, d = (size_t)columns;
    *gp = (kti_gp){
        .options = *options, .rows = rows, .columns = columns, .parameters = kti_gp_parameters(options)};
    gp->input = kti_allocate(n * d, sizeof(double));
    gp->column_mean = kti_allocate(d, sizeof(double));
    gp->column_sd = kti_allocate(d, sizeof(double));
    gp->parameter = kti_allocate((size_t)gp->parameters, sizeof(double));
    gp->target = kti_allocate(n, sizeof(double));
    gp->weight = kti_allocate(n, sizeof(double));
    gp->factor = kti_allocate(n * n, sizeof(double));
    if (gp->input && gp->column_mean && gp->column_sd && gp->parameter && gp->target && gp->weight &&
        gp->factor)
        return KT_OK;
    kti_gp_destroy(gp);
    return kti_fail_memory(error, "a Gaussian process");
}

kt_status kti_gp_fit(const double *inputs, const double *targets, int rows, int columns,
                     const kti_gp_options *options, kti_gp *gp, kt_error *error)
{
    *gp = (kti_gp){0};
    kt_status status = check(inputs, targets, rows, columns, options, error);
    if (status == KT_OK)
        status = kti_gp_create(rows, columns, options, gp, error);
    if (status != KT_OK)
        return status;
    mean_and_sd(targets, rows, 1, &gp->target_mean, &gp->target_sd);
    if (!(gp->target_sd > 1e-9)) {
        status =
            kti_fail(error, KT_BAD_ARGUMENT, "all values that a Gaussian process is fitted to are the same");
        goto fail;
    }
    for (int c = 0; c < columns; c++) {
        mean_and_sd(inputs + c, rows, columns, &gp->column_mean[c], &gp->column_sd[c]);
        if (!(gp->column_sd[c] > 1e-9 * (1 + fabs(gp->column_mean[c]))))
            gp->column_sd[c] = 1;
    }
    for (int i = 0; i < rows; i++)
        standardise(gp, inputs + (size_t)i * (size_t)columns, gp->input + (size_t)i * (size_t)columns);
    for (int i = 0; i < rows; i++)
        gp->target[i] = (targets[i] - gp->target_mean) / gp->target_sd;
    status = minimise(gp, error);
    if (status == KT_OK)
        status = kti_gp_condition(gp, error);
    if (status == KT_OK)
        return KT_OK;
fail:
    kti_gp_destroy(gp);
    return status;
}

void kti_gp_destroy(kti_gp *gp)
{
    free(gp->input);
    free(gp->column_mean);
    free(gp->column_sd);
    free(gp->parameter);
    free(gp->target);
    free(gp->weight);
    free(gp->factor);
    *gp = (kti_gp){0};
}

/* ---- prediction ---- */

void kti_gp_predict(const kti_gp *gp, const double *input, double *work, double *mean, double *variance)
{
    const int n = gp->rows;
    double *k = work, *x = work + n, own = 0, sum = 0;
    double scale[KTI_GP_MAX_COLUMNS], slope;
    standardise(gp, input, x);
    memset(k, 0, (size_t)n * sizeof *k);
    const double *p = gp->parameter;
    for (int t = 0; t < gp->options.terms; t++) {
        const kti_gp_term *term = &gp->options.term[t];
        inverse_lengths(term, p, scale);
        for (int i = 0; i < n; i++)
            k[i] += exp(p[0]) *
                    covariance(term->kind,
                               scaled_product(term, scale, x + term->first,
                                              gp->input + (size_t)i * (size_t)gp->columns + term->first),
                               &slope);
        own += exp(p[0]) *
               covariance(term->kind, scaled_product(term, scale, x + term->first, x + term->first), &slope);
        p += 1 + lengths_of(term);
    }
    for (int i = 0; i < n; i++)
        sum += k[i] * gp->weight[i];
    *mean = gp->target_mean + gp->target_sd * sum;
    if (!variance)
        return;
    LAPACKE_dtrtrs_work(LAPACK_COL_MAJOR, 'U', 'T', 'N', n, 1, gp->factor, n, k, n);
    sum = 0;
    for (int i = 0; i < n; i++)
        sum += k[i] * k[i];
    *variance = gp->target_sd * gp->target_sd * (fmax(own - sum, 0) + exp(p[0]) + min_noise);
}

double kti_gp_objective(const kti_gp *gp, const double *parameter, double *gradient, kt_error *error)
{
    workspace w = {0};
    double value = NAN;
    if (workspace_create(gp, &w, error) == KT_OK)
        value = objective(gp, parameter, gradient, &w);
    workspace_destroy(&w);
    return value;
}
