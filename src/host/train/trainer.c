#include "train/trainer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "train/fold_training.h"
#include "train/team_reports.h"

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

/* Adds to the error which of several GPUs failed, and what can be done. */
static void say_where(const kti_worker *w, const kti_fold *fold, kt_error *error)
{
    const kti_run *run = w->team->run;
    char text[sizeof error->message];
    if (run->places.size == 1)
        return;
    snprintf(text, sizeof text, "fold %d on GPU %d: %.380s%s", fold->number, fold->place + 1, error->message,
             run->options->run.out ? "; --resume goes on from the last checkpoint" : "");
    memcpy(error->message, text, sizeof text);
}

/* Stops the team because of a fold that failed or was interrupted. */
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
    /* Not earlier: the errors that this gives the others are not the cause. */
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
    /* Those who share a fold stop together, by its verdict. */
    while (status == KT_OK && (shares || !atomic_load(&t->stop))) {
        kti_fold *fold = take_fold(w);
        if (!fold)
            break;
        status = kti_fold_train(w, fold, &error);
        if (status != KT_OK)
            give_up(w, fold, status, &error);
    }
    kti_device_leave(w->place->device, w->lane);
    return NULL;
}

/* Ends the run because only `started` worker threads could be started, on a device where every fold needs its own. Speaks for
 * the workers [size] that have none. */
static void give_up_threads(kti_team *t, kti_worker *workers, int started, int size)
{
    atomic_store(&t->stop, 1);
    pthread_mutex_lock(&t->lock);
    t->status = kti_fail(&t->error, KT_OUT_OF_MEMORY,
                         "the system gives no more than %d threads, and each fold needs one", started + 1);
    pthread_mutex_unlock(&t->lock);
    for (int i = started; i < size; i++) {
        kti_device_abandon(workers[i].place->device);
        if (workers[i].own && workers[i].own->rank == 0)
            kti_team_decide(t, workers[i].own, INT_MAX, true);
        kti_device_leave(workers[i].place->device, workers[i].lane);
    }
}

/* One thread a worker, the last one in this thread. All enter their lanes before one runs, so that none goes ahead of the
 * others. */
static void run_workers(kti_team *t, kti_worker *workers, pthread_t *handles, int size)
{
    const bool fuses = kti_device_fuses(workers[0].place->device);
    int started = 0;
    for (int i = 0; i < size; i++)
        kti_device_enter(workers[i].place->device, workers[i].lane);
    while (started < size - 1 && pthread_create(&handles[started], NULL, work, &workers[started]) == 0)
        started++;
    if (started < size - 1 && fuses)
        give_up_threads(t, workers, started, size);
    else
        work(&workers[size - 1]); /* with fewer workers than asked for: slower, with the same results */
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
