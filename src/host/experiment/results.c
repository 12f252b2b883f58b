#include "experiment/results.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "statistics/metrics.h"
#include "train/members.h"

void kt_train_result_destroy(kt_train_result *result)
{
    for (int i = 0; i < result->data_sets; i++)
        free(result->data_set[i]);
    free(result->fold);
    *result = (kt_train_result){0};
}

/* Scores over the rows of one part, or of all (-1); `scaled`: of what loss and selection are of. Work space holds two
 * numbers a row. */
static kt_status score_rows(const kti_run *run, const kti_fold *fold, const double *predicted, int part,
                            bool scaled, double *work, kt_scores *scores, kt_error *error)
{
    const int32_t *rows = kti_fold_validate(fold);
    double *truth = work, *found = work + fold->validate_rows;
    int size = 0;
    *scores = (kt_scores){0};
    for (int i = 0; i < fold->validate_rows; i++) {
        const kti_crystal *crystal = &run->dataset->crystals[rows[i]];
        if (part >= 0 && crystal->part != part)
            continue;
        truth[size] = scaled ? kti_fold_scaled(fold, crystal->part, crystal->kappa) : crystal->kappa;
        found[size] = scaled ? kti_fold_scaled(fold, crystal->part, predicted[i]) : predicted[i];
        size++;
    }
    return size > 0 ? kti_scores(truth, found, size, scores, error) : KT_OK;
}

static kt_status score_fold(const kti_run *run, int index, kt_fold_result *r, kt_error *error)
{
    const kti_fold *fold = &run->fold[index];
    const kti_validation *v = &run->validation[index];
    double *work = kti_allocate(2 * (size_t)fold->validate_rows, sizeof *work);
    if (!work)
        return kti_fail_memory(error, "the results");
    kt_status status = score_rows(run, fold, v->best, -1, false, work, &r->best, error);
    if (status == KT_OK)
        status = score_rows(run, fold, v->last, -1, false, work, &r->last, error);
    for (int part = 0; part < run->dataset->parts && status == KT_OK; part++) {
        status = score_rows(run, fold, v->best, part, false, work, &r->set_best[part], error);
        if (status == KT_OK)
            status = score_rows(run, fold, v->last, part, false, work, &r->set_last[part], error);
    }
    if (status == KT_OK && fold->restored.sd != 0)
        status = score_rows(run, fold, v->best, -1, true, work, &r->published_best, error);
    if (status == KT_OK && fold->restored.sd != 0)
        status = score_rows(run, fold, v->last, -1, true, work, &r->published_last, error);
    free(work);
    return status;
}

kt_status kti_results_collect(const kti_run *run, kt_train_result *result, kt_error *error)
{
    kt_status status = KT_OK;
    *result = (kt_train_result){
        .crystals = run->dataset->size, .rejected = run->dataset->rejected, .interval = {NAN, NAN, NAN}};
    result->fold = kti_allocate((size_t)run->folds, sizeof *result->fold);
    if (!result->fold)
        status = kti_fail_memory(error, "the results");
    for (; result->data_sets < run->dataset->parts && status == KT_OK; result->data_sets++) {
        result->data_set[result->data_sets] = kti_duplicate_text(run->dataset->part[result->data_sets].name);
        if (!result->data_set[result->data_sets])
            status = kti_fail_memory(error, "the results");
    }
    for (int i = 0; i < run->folds && status == KT_OK; i++) {
        const kti_fold *fold = &run->fold[i];
        kt_fold_result *r = &result->fold[i];
        *r = (kt_fold_result){.fold = fold->number,
                              .train_rows = fold->train_rows,
                              .select_rows = fold->select_rows,
                              .validate_rows = fold->validate_rows,
                              .best_epoch = fold->best_epoch,
                              .skipped_steps = fold->skipped,
                              .rescues = fold->rescues};
        status = score_fold(run, i, r, error);
        r->collapsed =
            fold->best_epoch > 0 &&
            kti_spread_is_flat(fold->history[(fold->best_epoch - 1) * KTI_HISTORY_COLUMNS + KTI_SPREAD]);
        r->failed = !kti_fold_has_product(fold, run->options) || !isfinite(r->best.mape);
        result->folds++;
    }
    if (status != KT_OK)
        kt_train_result_destroy(result);
    return status;
}
