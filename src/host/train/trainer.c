#include "train/trainer.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/choices.h"
#include "train/epoch.h"
#include "train/fold_state.h"
#include "train/rescue.h"
#include "train/team_reports.h"

static kt_status one_epoch(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kt_train_options *o = w->team->run->options;
    double *record = fold->history + (int64_t)fold->epoch * KTI_HISTORY_COLUMNS;
    memset(record, 0, KTI_HISTORY_COLUMNS * sizeof *record);
    kt_status status = kti_epoch_train(w, fold, record, error);
    if (status == KT_OK)
        status = kti_epoch_evaluate(w, fold, record, error);
    if (status != KT_OK)
        return status;
    fold->collapsed_epochs = kti_spread_is_flat(record[KTI_SPREAD]) ? fold->collapsed_epochs + 1 : 0;
    const char *trouble = kti_rescue_diagnose(o, fold, record);
    if (record[KTI_TRAIN_LOSS] >= 0 && (fold->least_loss < 0 || record[KTI_TRAIN_LOSS] < fold->least_loss))
        fold->least_loss = record[KTI_TRAIN_LOSS];
    if (status == KT_OK && (!trouble || o->protocol == KT_PUBLISHED))
        status = kti_fold_update_best(w, fold, record, error);
    if (status == KT_OK && trouble)
        status = kti_rescue(w, fold, trouble, record, error);
    else
        fold->in_trouble = false;
    if (status == KT_OK && o->select == KT_SELECT_LAST && fold->epoch + 1 == o->epochs) {
        fold->best_epoch = o->epochs; /* whatever it is worth */
        status = kti_fold_keep_best(w, fold, error);
    }
    fold->epoch++;
    return status;
}

/* ---- a fold from start to end ---- */

/* One of those who share a fold writes for all. */
static kt_status save(kti_worker *w, const kti_fold *fold, kt_error *error)
{
    const kti_run *run = w->team->run;
    if (!fold->options->out || fold->rank > 0)
        return KT_OK;
    const ptrdiff_t replica = fold->options - run->options;
    pthread_mutex_lock(&w->team->lock);
    const kt_status status =
        kti_choices_write(fold->options->out, w->place->device, &w->team->choices[replica], error);
    pthread_mutex_unlock(&w->team->lock);
    if (status != KT_OK)
        return status;
    return kti_checkpoint_write(fold->options->out, fold, &w->place->parameters, fold->options,
                                run->dataset->name, error);
}

/* ---- the Gaussian process ---- */

/* What the head sees of rows [size]; with components, by the fold's present weights. */
static kt_status sample(kti_worker *w, const kti_fold *fold, const int32_t *rows, int size,
                        kti_gp_sample *samples, kt_error *error)
{
    const kti_dataset *dataset = w->team->run->dataset;
    for (int i = 0; i < size; i++)
        samples[i].feature = dataset->crystals[rows[i]].graph.feature;
    return w->team->run->options->readout_components > 0
               ? kti_epoch_read_out(w, fold, rows, size, samples, error)
               : KT_OK;
}

/* Fits to all rows but the 20 %. */
static kt_status fit_gp(kti_worker *w, kti_fold *fold, kt_error *error)
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

/* Puts the Gaussian process's predictions in the place of the network's, or averages the two. */
static kt_status apply_gp(kti_worker *w, const kti_fold *fold, kti_validation *v, kt_error *error)
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

/* Predictions of the 20 %, by the last and by the selected weights. The arenas hold the last ones again
 * afterwards. A Gaussian process is fitted on the selected weights' read-outs, and has no last epoch of its own. */
static kt_status validate(kti_worker *w, kti_fold *fold, kt_error *error)
{
    kti_run *run = w->team->run;
    kti_parameters *parameters = &w->place->parameters;
    kti_validation *v = &run->validation[fold->first];
    const int32_t *rows = kti_fold_validate(fold);
    const kti_arena_role role = kti_parameters_product(parameters);
    v->best = kti_allocate((size_t)fold->validate_rows, sizeof *v->best);
    v->last = kti_allocate((size_t)fold->validate_rows, sizeof *v->last);
    if (!v->best || !v->last)
        return kti_fail_memory(error, "predictions");
    const bool gp = run->options->head != KT_HEAD_NETWORK;
    kt_status status = kti_epoch_predict(w, fold, rows, fold->validate_rows, v->last, error);
    if (status == KT_OK && fold->best_epoch == 0 && !(gp && run->options->epochs == 0)) {
        memcpy(v->best, v->last, (size_t)fold->validate_rows * sizeof *v->best);
        return KT_OK;
    }
    if (status == KT_OK)
        status = kti_parameters_download(parameters, role, fold->index, w->arena, error);
    if (status == KT_OK)
        status = kti_parameters_upload(parameters, role, fold->index, fold->best[role], error);
    if (status == KT_OK)
        status = kti_epoch_predict(w, fold, rows, fold->validate_rows, v->best, error);
    if (status == KT_OK && gp)
        status = fit_gp(w, fold, error);
    if (status == KT_OK && gp)
        status = apply_gp(w, fold, v, error);
    if (status == KT_OK)
        status = kti_parameters_upload(parameters, role, fold->index, w->arena, error);
    /* Only now: last.safetensors takes its weights from the arenas. */
    if (status == KT_OK && gp)
        status = save(w, fold, error);
    return status;
}

static kt_status train_fold(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kt_train_options *o = w->team->run->options;
    kt_status status = fold->epoch == 0 ? kti_fold_begin(w, fold, error) : KT_OK;
    if (status == KT_OK && o->epochs == 0)
        status = kti_fold_keep_best(w, fold, error);
    /* A kill may have come before the files of a fold's end were there. */
    else if (status == KT_OK && fold->epoch == o->epochs)
        status = save(w, fold, error);
    double saved = kti_seconds();
    while (status == KT_OK && fold->epoch < o->epochs) {
        status = one_epoch(w, fold, error);
        if (status != KT_OK)
            break;
        const bool stop = kti_team_asked_to_stop(w->team, fold);
        if (stop || fold->epoch == o->epochs || kti_seconds() - saved >= o->checkpoint_seconds) {
            status = save(w, fold, error);
            saved = kti_seconds();
        }
        if (status == KT_OK && stop && fold->epoch < o->epochs) {
            atomic_store(&w->team->stop, 1);
            return kti_fail(error, KT_INTERRUPTED, "stopped on request; go on with --resume");
        }
    }
    if (status == KT_OK && fold->rank == 0)
        status = validate(w, fold, error);
    /* Without epochs the end of a fold is where one can stop. */
    if (status == KT_OK && o->epochs == 0 && kti_team_count_epoch(w->team, fold) &&
        atomic_load(&w->team->next_fold) < w->team->run->folds) {
        atomic_store(&w->team->stop, 1);
        return kti_fail(error, KT_INTERRUPTED, "stopped on request; go on with --resume");
    }
    return status;
}

/* ---- threads ---- */

/* The fold to train next; NULL: none is left. */
static kti_fold *take_fold(kti_worker *w)
{
    kti_team *t = w->team;
    kti_fold *own = w->own;
    if (kti_device_fuses(w->place->device) && !own)
        return NULL;
    w->own = NULL;
    if (own && own->rank > 0)
        return own;
    const int next = atomic_fetch_add(&t->next_fold, 1);
    return own ? own : next < t->run->folds ? &t->run->fold[next] : NULL;
}

/* Of several GPUs the one that failed, and what can be done. */
static void say_where(const kti_worker *w, const kti_fold *fold, kt_error *error)
{
    const kti_run *run = w->team->run;
    char text[sizeof error->message];
    if (run->places.size == 1)
        return;
    snprintf(text, sizeof text, "fold %d on GPU %d: %.380s%s", fold->number, fold->place + 1, error->message,
             run->options->out ? "; --resume goes on from the last checkpoint" : "");
    memcpy(error->message, text, sizeof text);
}

static void give_up(kti_worker *w, const kti_fold *fold, kt_status status, kt_error *error)
{
    kti_team *t = w->team;
    if (status != KT_INTERRUPTED)
        say_where(w, fold, error);
    atomic_store(&t->stop, 1);
    pthread_mutex_lock(&t->lock);
    /* A request to stop reaches every worker; a real failure says more. */
    if (t->status == KT_OK || t->status == KT_INTERRUPTED) {
        t->status = status;
        t->error = *error;
    }
    pthread_mutex_unlock(&t->lock);
    /* Only now: what the others fail with is not the cause. */
    if (status != KT_INTERRUPTED)
        kti_device_abandon(w->place->device);
    if (fold->rank == 0)
        kti_team_decide(t, fold, INT_MAX, true);
}

static void *work(void *argument)
{
    kti_worker *w = argument;
    kti_team *t = w->team;
    const bool shares = t->run->places.sharers > 1;
    kt_error error = KT_ERROR_NONE;
    kt_status status = KT_OK;
    /* One who shares a fold stops when all do. */
    while (status == KT_OK && (shares || !atomic_load(&t->stop))) {
        kti_fold *fold = take_fold(w);
        if (!fold)
            break;
        status = train_fold(w, fold, &error);
        if (status != KT_OK)
            give_up(w, fold, status, &error);
    }
    kti_device_leave(w->place->device, w->lane);
    return NULL;
}

/* One thread a worker; all enter before one runs, so that none goes ahead of the others. */
static void run_workers(kti_team *t, kti_worker *workers, pthread_t *handles, int threads)
{
    const bool fuses = kti_device_fuses(workers[0].place->device);
    int started = 0;
    for (int i = 0; i < threads; i++)
        kti_device_enter(workers[i].place->device, workers[i].lane);
    for (; started < threads - 1; started++)
        if (pthread_create(&handles[started], NULL, work, &workers[started]) != 0)
            break;
    if (started < threads - 1 && fuses) {
        /* A fold has its lane, so none can take over. */
        atomic_store(&t->stop, 1);
        pthread_mutex_lock(&t->lock);
        t->status =
            kti_fail(&t->error, KT_OUT_OF_MEMORY,
                     "the system gives no more than %d threads, and each fold needs one", started + 1);
        pthread_mutex_unlock(&t->lock);
        for (int i = started; i < threads; i++) {
            kti_device_abandon(workers[i].place->device);
            if (workers[i].own && workers[i].own->rank == 0)
                kti_team_decide(t, workers[i].own, INT_MAX, true);
            kti_device_leave(workers[i].place->device, workers[i].lane);
        }
    } else {
        work(&workers[threads - 1]); /* fewer workers than asked for: slower, not different */
    }
    for (int i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
}

/* Makes the workers and lets them train. */
static kt_status train_together(kti_team *t, kt_error *error)
{
    const int size = kti_team_size(t->run);
    kti_worker *workers = kti_allocate((size_t)size, sizeof *workers);
    pthread_t *handles = kti_allocate((size_t)size, sizeof *handles);
    if (!workers || !handles) {
        t->status = kti_fail_memory(&t->error, "the workers");
    } else {
        kti_team_report_start(t, size);
        t->status = kti_team_create_workers(t, workers, size, &t->error);
        if (t->status == KT_OK)
            run_workers(t, workers, handles, size);
        kti_team_destroy_workers(workers, size);
        kti_team_report_end(t);
    }
    if (t->status != KT_OK && error && error->status == KT_OK)
        *error = t->error;
    free(workers);
    free(handles);
    return t->status;
}

kt_status kti_run_train(kti_run *run, kt_error *error)
{
    kti_team team;
    kt_status status = kti_team_create(run, &team, error);
    if (status == KT_OK)
        status = train_together(&team, error);
    kti_team_destroy(&team);
    return status;
}
