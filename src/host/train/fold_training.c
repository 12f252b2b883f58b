#include "train/fold_training.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/choices.h"
#include "train/epoch.h"
#include "train/fold_process.h"
#include "train/fold_state.h"
#include "train/rescue.h"
#include "train/team_reports.h"

/* Writes the checkpoint; one of those who share a fold writes for all. */
static kt_status save(kti_worker *w, const kti_fold *fold, kt_error *error)
{
    const kti_run *run = w->team->run;
    if (!fold->options->run.out || fold->rank > 0)
        return KT_OK;
    const ptrdiff_t replica = fold->options - run->options;
    pthread_mutex_lock(&w->team->lock);
    const kt_status status =
        kti_choices_write(fold->options->run.out, w->place->device, &w->team->choices[replica], error);
    pthread_mutex_unlock(&w->team->lock);
    if (status != KT_OK)
        return status;
    return kti_checkpoint_write(fold->options->run.out, fold, &w->place->parameters, fold->options,
                                run->dataset->name, error);
}

/* Tells the other workers to stop, too. */
static kt_status interrupt(kti_worker *w, kt_error *error)
{
    atomic_store(&w->team->stop, 1);
    return kti_fail(error, KT_INTERRUPTED, "stopped on request; go on with --resume");
}

/* ---- the epochs ---- */

/* Keeps the epoch if it is the best, and rescues the fold if something went wrong in it. */
static kt_status judge_epoch(kti_worker *w, kti_fold *fold, double *record, kt_error *error)
{
    const kt_train_options *o = w->team->run->options;
    kt_status status = KT_OK;
    fold->collapsed_epochs = kti_spread_is_flat(record[KTI_SPREAD]) ? fold->collapsed_epochs + 1 : 0;
    const char *trouble = kti_rescue_diagnose(o, fold, record);
    if (record[KTI_TRAIN_LOSS] >= 0 && (fold->min_loss < 0 || record[KTI_TRAIN_LOSS] < fold->min_loss))
        fold->min_loss = record[KTI_TRAIN_LOSS];
    if (!trouble || o->protocol == KT_PUBLISHED)
        status = kti_fold_update_best(w, fold, record, error);
    if (!trouble)
        fold->in_trouble = false;
    else if (status == KT_OK)
        status = kti_rescue(w, fold, trouble, record, error);
    return status;
}

static kt_status train_epoch(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kt_train_options *o = w->team->run->options;
    double *record = fold->history + (int64_t)fold->epoch * KTI_HISTORY_COLUMNS;
    memset(record, 0, KTI_HISTORY_COLUMNS * sizeof *record);
    kt_status status = kti_epoch_train(w, fold, record, error);
    if (status == KT_OK)
        status = kti_epoch_evaluate(w, fold, record, error);
    if (status == KT_OK)
        status = judge_epoch(w, fold, record, error);
    if (status == KT_OK && o->select == KT_SELECT_LAST && fold->epoch + 1 == o->epochs) {
        fold->best_epoch = o->epochs; /* whatever it is worth */
        status = kti_fold_keep_best(w, fold, error);
    }
    if (status == KT_OK)
        fold->epoch++;
    return status;
}

/* All that are left, with a checkpoint from time to time, at the end and before a stop. */
static kt_status train_epochs(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kt_train_options *o = w->team->run->options;
    double saved = kti_seconds();
    while (fold->epoch < o->epochs) {
        kt_status status = train_epoch(w, fold, error);
        if (status != KT_OK)
            return status;
        const bool stop = kti_team_asked_to_stop(w->team, fold);
        if (stop || fold->epoch == o->epochs || kti_seconds() - saved >= o->run.checkpoint_seconds) {
            status = save(w, fold, error);
            saved = kti_seconds();
        }
        if (status != KT_OK)
            return status;
        if (stop && fold->epoch < o->epochs)
            return interrupt(w, error);
    }
    return KT_OK;
}

/* ---- the rows to validate on ---- */

static kt_status allocate_validation(const kti_fold *fold, kti_validation *v, kt_error *error)
{
    v->best = kti_allocate((size_t)fold->validate_rows, sizeof *v->best);
    v->last = kti_allocate((size_t)fold->validate_rows, sizeof *v->last);
    return v->best && v->last ? KT_OK : kti_fail_memory(error, "predictions");
}

static bool has_process(const kt_train_options *o)
{
    return o->head != KT_HEAD_NETWORK;
}

/* Whether there are selected weights. Without epochs a Gaussian process takes the start weights. */
static bool has_best(const kt_train_options *o, const kti_fold *fold)
{
    return fold->best_epoch > 0 || (has_process(o) && o->epochs == 0);
}

/* Predicts with the selected weights, and fits a Gaussian process on their read-outs. Afterwards the device has the last
 * weights again. */
static kt_status validate_best(kti_worker *w, kti_fold *fold, kti_validation *v, kt_error *error)
{
    kti_parameters *parameters = &w->place->parameters;
    const kti_arena_role role = kti_parameters_product(parameters);
    kt_status status = kti_parameters_download(parameters, role, fold->index, w->arena, error);
    if (status == KT_OK)
        status = kti_parameters_upload(parameters, role, fold->index, fold->best[role], error);
    if (status == KT_OK)
        status = kti_epoch_predict(w, fold, kti_fold_validate(fold), fold->validate_rows, v->best, error);
    if (status == KT_OK && has_process(w->team->run->options))
        status = kti_fold_add_process(w, fold, v, error);
    if (status == KT_OK)
        status = kti_parameters_upload(parameters, role, fold->index, w->arena, error);
    return status;
}

/* Predictions of the fold's 20 %, by the last and by the selected weights. A Gaussian process has no last epoch: its
 * predictions stand in both. */
static kt_status validate(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kti_run *run = w->team->run;
    kti_validation *v = &run->validation[fold->first];
    kt_status status = allocate_validation(fold, v, error);
    if (status == KT_OK)
        status = kti_epoch_predict(w, fold, kti_fold_validate(fold), fold->validate_rows, v->last, error);
    if (status == KT_OK && !has_best(run->options, fold)) {
        memcpy(v->best, v->last, (size_t)fold->validate_rows * sizeof *v->best);
        return KT_OK;
    }
    if (status == KT_OK)
        status = validate_best(w, fold, v, error);
    /* Not before the last weights are back on the device: last.safetensors takes them from there. */
    if (status == KT_OK && has_process(run->options))
        status = save(w, fold, error);
    return status;
}

/* ---- from start to end ---- */

static kt_status prepare(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kt_train_options *o = w->team->run->options;
    kt_status status = fold->epoch == 0 ? kti_fold_begin(w, fold, error) : KT_OK;
    if (status != KT_OK)
        return status;
    if (o->epochs == 0)
        return kti_fold_keep_best(w, fold, error);
    /* A kill may have come before all files of the fold's end were written. */
    return fold->epoch == o->epochs ? save(w, fold, error) : KT_OK;
}

kt_status kti_fold_train(kti_worker *w, kti_fold *fold, kt_error *error)
{
    kti_team *t = w->team;
    kt_status status = prepare(w, fold, error);
    if (status == KT_OK)
        status = train_epochs(w, fold, error);
    if (status == KT_OK && fold->rank == 0)
        status = validate(w, fold, error);
    /* Without epochs a run can stop between two folds only. */
    if (status == KT_OK && t->run->options->epochs == 0 && kti_team_count_epoch(t, fold) &&
        atomic_load(&t->next_fold) < t->run->folds)
        return interrupt(w, error);
    return status;
}
