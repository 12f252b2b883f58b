#include "paper/series.h"

#include <string.h>

kti_series kti_series_of(const kt_train_result *result, size_t scores, size_t score)
{
    kti_series series = {0};
    for (int f = 0; result && f < result->folds && series.size < KTI_PAPER_RUNS; f++) {
        kt_scores of_fold;
        memcpy(&of_fold, (const char *)&result->fold[f] + scores, sizeof of_fold);
        if (of_fold.rows > 0)
            memcpy(&series.value[series.size++], (const char *)&of_fold + score, sizeof(double));
    }
    return series;
}

kti_series kti_series_mape(const kt_train_result *result)
{
    return kti_series_of(result, offsetof(kt_fold_result, best), offsetof(kt_scores, mape));
}

kti_series kti_series_in_paper_unit(const kt_train_result *result)
{
    const kti_series compressed =
        kti_series_of(result, offsetof(kt_fold_result, published_best), offsetof(kt_scores, mape));
    return compressed.size > 0 ? compressed : kti_series_mape(result);
}

kti_series kti_series_of_paper(const kti_paper_model *model)
{
    kti_series series = {.size = model->has_published ? KTI_PAPER_RUNS : 0};
    memcpy(series.value, model->published, sizeof series.value);
    return series;
}

kti_series kti_series_difference(const kti_series *left, const kti_series *right)
{
    kti_series series = {.size = left->size < right->size ? left->size : right->size};
    for (int i = 0; i < series.size; i++)
        series.value[i] = left->value[i] - right->value[i];
    return series;
}

kt_status kti_series_summarise(const kti_series *series, kti_summary *summary, kt_error *error)
{
    return kti_summarise(series->value, series->size, summary, error);
}
