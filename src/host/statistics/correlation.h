/* Correlations with their p-values, and what many tests at once make of these. */
#ifndef KTI_STATISTICS_CORRELATION_H
#define KTI_STATISTICS_CORRELATION_H

#include <stddef.h>

#include <kappatune/error.h>

typedef struct kti_correlation {
    size_t size; /* pairs of finite numbers, which alone count */
    double pearson,
        pearson_p; /* two-sided, against no correlation of normal variables: Student's t with size - 2 degrees of freedom */
    double spearman, spearman_p; /* of the ranks, ties having their mean; by the same distribution */
} kti_correlation;

/* Of x and y [size]. NaN where there is nothing to say: fewer than three pairs, or a constant. */
kt_status kti_correlate(const double *x, const double *y, size_t size, kti_correlation *correlation,
                        kt_error *error);

/* p [size] adjusted for as many tests as are finite: the share of false discoveries among those that are called so at that level
 * (Benjamini & Hochberg 1995), or the chance of any false one (Holm 1979). `adjusted` may be p. */
kt_status kti_adjust_discoveries(const double *p, size_t size, double *adjusted, kt_error *error);
kt_status kti_adjust_holm(const double *p, size_t size, double *adjusted, kt_error *error);

#endif
