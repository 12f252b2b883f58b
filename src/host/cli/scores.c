#include "cli/scores.h"

#include <stdbool.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "statistics/metrics.h"
#include "train/recipe.h"

/* The scores at `offset` of a fold's results. */
static const kt_scores *scores_of(const kt_fold_result *fold, size_t offset)
{
    return (const kt_scores *)((const char *)fold + offset);
}

/* Mean and standard deviation over the folds with a finite score; nothing where no fold has such scores. */
static kt_status print_summary(const kt_train_result *result, const char *name, size_t set, kt_error *error)
{
    static const struct {
        const char *name;
        size_t field;
    } columns[] = {{"MAPE", offsetof(kt_scores, mape)},
                   {"median error", offsetof(kt_scores, medape)},
                   {"kappa_SRE", offsetof(kt_scores, sre)},
                   {"R2(log)", offsetof(kt_scores, r2_log)}};
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    kt_status status = values ? KT_OK : kti_fail_memory(error, "the table");
    const kt_scores *scores = NULL;
    for (int f = 0; f < result->folds && !(scores && scores->rows > 0); f++)
        scores = scores_of(&result->fold[f], set);
    if (status != KT_OK || !scores || scores->rows == 0) {
        free(values);
        return status;
    }
    printf("%s:", name);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0] && status == KT_OK; i++) {
        kti_summary summary;
        int size = 0;
        for (int f = 0; f < result->folds; f++) {
            scores = scores_of(&result->fold[f], set);
            if (scores->rows > 0)
                values[size++] = *(const double *)((const char *)scores + columns[i].field);
        }
        status = kti_summarise(values, size, &summary, error);
        if (status != KT_OK)
            break;
        printf("%s %s %.3f (%.3f)", i ? "," : "", columns[i].name, summary.mean, summary.sd);
        if (summary.size < result->folds)
            printf(" (of %d of %d folds)", summary.size, result->folds);
    }
    if (status == KT_OK)
        putchar('\n');
    free(values);
    return status;
}

kt_status kti_print_summaries(const kt_train_options *o, const kt_train_result *result, kt_error *error)
{
    /* A Gaussian process alone has no epochs, and one score. */
    const bool epochs = o->epochs > 0;
    kt_status status = print_summary(result, epochs ? "mean (std), chosen epoch" : "mean (std)",
                                     offsetof(kt_fold_result, best), error);
    if (status == KT_OK && epochs && o->select != KT_SELECT_LAST)
        status = print_summary(result, "mean (std), last epoch  ", offsetof(kt_fold_result, last), error);
    if (status == KT_OK)
        status = print_summary(result, "mean (std), chosen epoch, in the published code's unit",
                               offsetof(kt_fold_result, published_best), error);
    for (int i = 0; i < result->data_sets && result->data_sets > 1 && status == KT_OK; i++) {
        char name[128];
        snprintf(name, sizeof name, "mean (std)%s, %.80s alone", epochs ? ", chosen epoch" : "",
                 result->data_set[i]);
        status = print_summary(result, name,
                               offsetof(kt_fold_result, set_best) + (size_t)i * sizeof(kt_scores), error);
    }
    const kt_interval_scores *i = &result->interval;
    if (status == KT_OK && isfinite(i->coverage))
        printf("90 %% interval: held for %.1f %% (%.1f) of the crystals that a split keeps; its ends lie a "
               "factor of %.2f from its middle%s\n",
               100 * i->coverage, 100 * i->coverage_std, i->factor,
               epochs && o->select == KT_SELECT_OUTER ? "; the epoch was chosen on them, so it is too narrow"
                                                      : "");
    return status;
}

kt_status kti_print_table(const kt_train_options *o, const kt_train_result *result, kt_error *error)
{
    static const char *const choices[] = {"an inner part of the training rows",
                                          "the reported rows themselves", "nothing: the last epoch"};
    static const char *const heads[] = {"", "; a Gaussian process predicts",
                                        "; the network and a Gaussian process are averaged"};
    printf("\nkappa in W/(m K) on the 20 %% that a fold does not train on; protocol %s%s",
           kti_protocol_names[o->protocol], heads[o->head]);
    if (o->epochs > 0)
        printf("; the epoch is chosen on %s", choices[o->select]);
    printf(".\n\nfold  %s MAPE  median     MAE    RMSE      R2  R2(log)  Spearman  kappa_SRE\n",
           o->epochs > 0 ? "epoch  " : "");
    for (int i = 0; i < result->folds; i++) {
        const kt_fold_result *f = &result->fold[i];
        const kt_scores *s = &f->best;
        if (f->failed) {
            printf("%4d  failed: no epoch gave finite predictions\n", f->fold);
            continue;
        }
        printf("%4d", f->fold);
        if (o->epochs > 0)
            printf(" %6d", f->best_epoch);
        printf(" %6.3f %7.3f %7.2f %7.2f %7.3f %8.3f %9.3f %10.3f%s\n", s->mape, s->medape, s->mae, s->rmse,
               s->r2, s->r2_log, s->spearman, s->sre, f->collapsed ? "  collapsed: predicts a constant" : "");
    }
    putchar('\n');
    return kti_print_summaries(o, result, error);
}

/* ---- over seeds ---- */

/* The mean over the folds that have a finite one. */
static kt_status mean_mape(const kt_train_result *result, double *mean, kt_error *error)
{
    kti_summary summary = {0};
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    kt_status status = values ? KT_OK : kti_fail_memory(error, "the table");
    for (int f = 0; f < result->folds && status == KT_OK; f++)
        values[f] = result->fold[f].best.mape;
    if (status == KT_OK)
        status = kti_summarise(values, result->folds, &summary, error);
    *mean = summary.mean;
    free(values);
    return status;
}

kt_status kti_print_replicas(const kt_train_options *o, const kt_train_result *results, int replicas,
                             kt_error *error)
{
    kti_summary summary;
    double *means = kti_allocate((size_t)replicas, sizeof *means);
    kt_status status = means ? KT_OK : kti_fail_memory(error, "the table");
    printf("\nkappa in W/(m K) on the 20 %% that a fold does not train on; protocol %s; over %d fold%s:\n\n",
           kti_protocol_names[o->protocol], results[0].folds, results[0].folds == 1 ? "" : "s");
    for (int i = 0; i < replicas && status == KT_OK; i++) {
        char name[64];
        snprintf(name, sizeof name, "seed %llu, mean (std)", (unsigned long long)o->seed + (unsigned)i);
        status = print_summary(&results[i], name, offsetof(kt_fold_result, best), error);
        if (status == KT_OK)
            status = mean_mape(&results[i], &means[i], error);
    }
    if (status == KT_OK)
        status = kti_summarise(means, replicas, &summary, error);
    if (status == KT_OK)
        printf("\nmean MAPE over %d seeds: %.3f, from seed to seed (std) %.3f\n", summary.size, summary.mean,
               summary.sd);
    free(means);
    return status;
}
