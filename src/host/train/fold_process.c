#include "train/fold_process.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "train/epoch.h"

/* What the process sees of rows [size]; with components, by the weights on the device. */
static kt_status sample(kti_worker *w, const kti_fold *fold, const int32_t *rows, int size,
                        kti_gp_sample *samples, kt_error *error)
{
    const kti_run *run = w->team->run;
    for (int i = 0; i < size; i++)
        samples[i].feature = run->dataset->crystals[rows[i]].graph.feature;
    return run->options->readout_components > 0 ? kti_epoch_read_out(w, fold, rows, size, samples, error)
                                                : KT_OK;
}

/* The rows to fit to stand before those to validate on. */
static kt_status fit(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kt_train_options *o = w->team->run->options;
    const kti_gp_head_options options = {o->gp_features, o->gp_kernel, o->readout_components};
    const int rows = fold->train_rows + fold->inner_rows;
    kti_gp_sample *samples = kti_allocate((size_t)rows, sizeof *samples);
    double *kappa = kti_allocate((size_t)rows, sizeof *kappa);
    kt_status status = samples && kappa ? sample(w, fold, fold->order, rows, samples, error)
                                        : kti_fail_memory(error, "a Gaussian process");
    for (int i = 0; i < rows && status == KT_OK; i++)
        kappa[i] = w->team->run->dataset->crystals[fold->order[i]].kappa;
    kti_gp_head_destroy(&fold->gp);
    if (status == KT_OK)
        status = kti_gp_head_fit(samples, kappa, rows, &options, &fold->gp, error);
    free(samples);
    free(kappa);
    return status;
}

/* Replaces the network's predictions by the process's, or averages the two. */
static kt_status predict(kti_worker *w, const kti_fold *fold, kti_validation *v, kt_error *error)
{
    const bool average = w->team->run->options->head == KT_HEAD_AVERAGE;
    const int size = fold->validate_rows;
    kti_gp_sample *samples = kti_allocate((size_t)size, sizeof *samples);
    kt_status status = samples ? sample(w, fold, kti_fold_validate(fold), size, samples, error)
                               : kti_fail_memory(error, "predictions");
    for (int i = 0; i < size && status == KT_OK; i++) {
        double own;
        status = kti_gp_head_predict(&fold->gp, &samples[i], &own, NULL, error);
        if (status != KT_OK)
            break;
        v->best[i] = average ? kti_gp_head_average(v->best[i], own) : own;
        v->last[i] = average ? kti_gp_head_average(v->last[i], own) : own;
    }
    free(samples);
    return status;
}

kt_status kti_fold_add_process(kti_worker *w, kti_fold *fold, kti_validation *v, kt_error *error)
{
    kt_status status = fit(w, fold, error);
    return status == KT_OK ? predict(w, fold, v, error) : status;
}
