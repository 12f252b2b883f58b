#include "statistics/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "base/fail.h"
#include "base/memory.h"

static const double min_kappa = 1e-6;    /* a logarithm needs a positive number */
static const double min_truth = 1.17e-6; /* that an error is divided by, as in the loss */

static int is_constant(const double *values, int size)
{
    for (int i = 1; i < size; i++)
        if (values[i] != values[0])
            return 0;
    return 1;
}

/* 1 - residual / total sum of squares; NaN for equal truths, whose mean may be off by a rounding. */
static double determination(const double *truth, const double *predicted, int rows)
{
    double mean = 0, residual = 0, total = 0;
    if (is_constant(truth, rows))
        return NAN;
    for (int i = 0; i < rows; i++)
        mean += truth[i] / rows;
    for (int i = 0; i < rows; i++) {
        residual += (truth[i] - predicted[i]) * (truth[i] - predicted[i]);
        total += (truth[i] - mean) * (truth[i] - mean);
    }
    return total > 0 ? 1 - residual / total : NAN;
}

static double median_of(double *values, int size)
{
    gsl_sort(values, 1, (size_t)size);
    return gsl_stats_median_from_sorted_data(values, 1, (size_t)size);
}

kt_status kti_scores(const double *truth, const double *predicted, int rows, kt_scores *scores,
                     kt_error *error)
{
    const size_t n = (size_t)rows;
    double *work = kti_allocate(4 * n, sizeof *work); /* Spearman needs two ranks; then two logarithms */
    if (!work)
        return kti_fail_memory(error, "the scores");
    double *log_truth = work + 2 * n, *log_predicted = work + 3 * n;
    *scores = (kt_scores){.rows = rows};
    for (int i = 0; i < rows; i++) {
        const double away = fabs(predicted[i] - truth[i]);
        const double size = fmax(fabs(truth[i]), min_truth);
        work[i] = away / size;
        scores->mape += away / size / rows;
        scores->mae += away / rows;
        scores->rmse += away * away / rows;
        scores->sre += 2 * away / (fabs(predicted[i]) + fabs(truth[i])) / rows;
        log_truth[i] = log10(fmax(truth[i], min_kappa));
        log_predicted[i] = log10(predicted[i] > min_kappa || isnan(predicted[i]) ? predicted[i] : min_kappa);
    }
    scores->rmse = sqrt(scores->rmse);
    /* A sort cannot place a NaN. */
    scores->medape = isfinite(scores->mape) ? median_of(work, rows) : NAN;
    scores->r2 = determination(truth, predicted, rows);
    scores->r2_log = determination(log_truth, log_predicted, rows);
    scores->spearman =
        rows < 2 || is_constant(truth, rows) || is_constant(predicted, rows) || !isfinite(scores->mape)
            ? NAN
            : gsl_stats_spearman(truth, 1, predicted, 1, n, work);
    free(work);
    return KT_OK;
}

kt_status kti_summarise(const double *values, int size, kti_summary *summary, kt_error *error)
{
    double *finite = kti_allocate((size_t)size, sizeof *finite);
    if (!finite)
        return kti_fail_memory(error, "the scores");
    *summary = (kti_summary){NAN, NAN, NAN, 0};
    for (int i = 0; i < size; i++)
        if (isfinite(values[i]))
            finite[summary->size++] = values[i];
    if (summary->size > 0) {
        const size_t n = (size_t)summary->size;
        summary->mean = gsl_stats_mean(finite, 1, n);
        summary->sd = sqrt(gsl_stats_variance_with_fixed_mean(finite, 1, n, summary->mean));
        summary->median = median_of(finite, summary->size);
    }
    free(finite);
    return KT_OK;
}
