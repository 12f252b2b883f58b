#include "statistics/correlation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "base/fail.h"
#include "base/memory.h"

/* The chance of a coefficient at least that far from zero: t^2 = n r^2 / (1 - r^2) makes it an incomplete beta function of 1 - r^2. */
static double p_of(double r, size_t size)
{
    if (!isfinite(r) || size < 3)
        return NAN;
    return gsl_cdf_beta_P(fmax((1 - r) * (1 + r), 0), (double)(size - 2) / 2, 0.5);
}

static int is_constant(const double *x, size_t size)
{
    for (size_t i = 1; i < size; i++)
        if (x[i] != x[0])
            return 0;
    return 1;
}

kt_status kti_correlate(const double *x, const double *y, size_t size, kti_correlation *c, kt_error *error)
{
    *c = (kti_correlation){0, NAN, NAN, NAN, NAN};
    double *pairs = kti_allocate(4 * size, sizeof *pairs), *left = pairs, *right = pairs + size,
           *work = pairs + 2 * size;
    if (!pairs)
        return kti_fail_memory(error, "a correlation");
    for (size_t i = 0; i < size; i++)
        if (isfinite(x[i]) && isfinite(y[i])) {
            left[c->size] = x[i];
            right[c->size++] = y[i];
        }
    if (c->size >= 3 && !is_constant(left, c->size) && !is_constant(right, c->size)) {
        c->pearson = gsl_stats_correlation(left, 1, right, 1, c->size);
        c->spearman = gsl_stats_spearman(left, 1, right, 1, c->size, work);
        c->pearson_p = p_of(c->pearson, c->size);
        c->spearman_p = p_of(c->spearman, c->size);
    }
    free(pairs);
    return KT_OK;
}

/* The places of the finite ones, the least first. */
static kt_status sort_finite(const double *p, size_t size, size_t **order, size_t *finite, kt_error *error)
{
    double *values = kti_allocate(size, sizeof *values);
    size_t *places = kti_allocate(2 * size, sizeof *places), *sorted = places + size;
    *finite = 0;
    *order = NULL;
    if (!values || !places) {
        free(values);
        free(places);
        return kti_fail_memory(error, "p-values");
    }
    for (size_t i = 0; i < size; i++)
        if (isfinite(p[i])) {
            values[*finite] = p[i];
            places[(*finite)++] = i;
        }
    gsl_sort_index(sorted, values, 1, *finite);
    for (size_t i = 0; i < *finite; i++)
        sorted[i] = places[sorted[i]];
    memmove(places, sorted, *finite * sizeof *places);
    free(values);
    *order = places;
    return KT_OK;
}

kt_status kti_adjust_discoveries(const double *p, size_t size, double *adjusted, kt_error *error)
{
    size_t *order, finite;
    double min = 1;
    kt_status status = sort_finite(p, size, &order, &finite, error);
    if (status != KT_OK)
        return status;
    memmove(adjusted, p, size * sizeof *adjusted);
    for (size_t i = finite; i-- > 0;) {
        min = fmin(min, adjusted[order[i]] * (double)finite / (double)(i + 1));
        adjusted[order[i]] = min;
    }
    free(order);
    return KT_OK;
}

kt_status kti_adjust_holm(const double *p, size_t size, double *adjusted, kt_error *error)
{
    size_t *order, finite;
    double max = 0;
    kt_status status = sort_finite(p, size, &order, &finite, error);
    if (status != KT_OK)
        return status;
    memmove(adjusted, p, size * sizeof *adjusted);
    for (size_t i = 0; i < finite; i++) {
        max = fmin(1, fmax(max, adjusted[order[i]] * (double)(finite - i)));
        adjusted[order[i]] = max;
    }
    free(order);
    return KT_OK;
}
