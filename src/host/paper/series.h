/* One score, fold by fold. */
#ifndef KTI_PAPER_SERIES_H
#define KTI_PAPER_SERIES_H

#include <stddef.h>

#include "paper/paper.h"
#include "statistics/metrics.h"

typedef struct kti_series {
    int size;                     /* 0: there is none */
    double value[KTI_PAPER_RUNS]; /* [size] of fold 1, 2, ...; NaN where a fold failed */
} kti_series;

/* The score at `score` of kt_scores in the kt_scores at `scores` of kt_fold_result; none without a result, or without such scores.
 * The result is of KTI_PAPER_RUNS folds at most. */
kti_series kti_series_of(const kt_train_result *result, size_t scores, size_t score);

/* MAPE in the unit that the paper reports: of the compressed kappa where a target transform was restored, else in W/(m K). */
kti_series kti_series_in_paper_unit(const kt_train_result *result);

/* MAPE in W/(m K). */
kti_series kti_series_mape(const kt_train_result *result);

/* The paper's; none if it has none. */
kti_series kti_series_of_paper(const kti_paper_model *model);

/* Each value of `left` less that of the same fold in `right`. */
kti_series kti_series_difference(const kti_series *left, const kti_series *right);

kt_status kti_series_summarise(const kti_series *series, kti_summary *summary, kt_error *error);

#endif
