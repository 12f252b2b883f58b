/* Scores of predictions against the truth, kappa in W/(m K). */
#ifndef KTI_STATISTICS_METRICS_H
#define KTI_STATISTICS_METRICS_H

#include <kappatune/train.h>

/* truth and predicted are [rows], rows >= 1. A truth is above 0, but for that of a compressed kappa, where errors are divided
 * by its size, and that is taken as at least 1.17e-6. Predictions that are not finite make the scores they
 * enter not finite. R2 and Spearman need two different truths, else they are NaN; r2_log takes a prediction
 * <= 0 as 1e-6. KT_OUT_OF_MEMORY alone. */
kt_status kti_scores(const double *truth, const double *predicted, int rows, kt_scores *scores,
                     kt_error *error);

/* Mean, population standard deviation and median of the finite values; all NaN if there is none. */
typedef struct kti_summary {
    double mean, sd, median;
    int size;
} kti_summary;

kt_status kti_summarise(const double *values, int size, kti_summary *summary, kt_error *error);

#endif
