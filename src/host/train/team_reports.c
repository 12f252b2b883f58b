#include "train/team_reports.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"

/* ---- events ---- */

void kti_team_report(kti_team *team, const kti_fold *fold, const char *event, int batch, bool aloud,
                     const char *text)
{
    if (fold->rank > 0)
        return;
    const kti_run *run = team->run;
    char whole[400];
    if (run->replicas > 1)
        snprintf(whole, sizeof whole, "seed %llu, %s", (unsigned long long)fold->options->seed, text);
    pthread_mutex_lock(&team->lock);
    if (aloud && run->options->run.message)
        run->options->run.message(run->options->run.user, run->replicas > 1 ? whole : text);
    kti_journal_event(&team->journal[fold->options - run->options], event, fold->number, fold->epoch + 1,
                      batch, text);
    pthread_mutex_unlock(&team->lock);
}

static void tell_journals(kti_team *t, const char *event, const char *text)
{
    for (int i = 0; i < t->run->replicas; i++)
        kti_journal_event(&t->journal[i], event, 0, 0, 0, text);
}

/* With the epochs that all folds had done together, so that a reader can tell the rate. */
static void tell_begin(kti_team *t)
{
    const kti_run *run = t->run;
    for (int i = 0; i < run->replicas; i++) {
        int done = 0;
        for (int f = 0; f < run->folds; f++)
            done += run->fold[f].options == &run->options[i] ? run->fold[f].epoch : 0;
        kti_journal_event(&t->journal[i], t->epochs_before ? "resumed" : "started", 0, done, 0,
                          run->dataset->name);
    }
}

/* What a later reader cannot find in the other files; none of it changes a result. */
static void tell_environment(kti_team *t, int threads)
{
    char text[512], rank[256] = "";
    const kti_places *places = &t->run->places;
    const kt_communicator *ranks = t->run->options->run.ranks;
    if (kti_communicator_size(ranks) > 1) {
        char name[200];
        kti_communicator_describe(ranks, kti_communicator_rank(ranks), name, sizeof name);
        snprintf(rank, sizeof rank, "; %s of %d", name, kti_communicator_size(ranks));
    }
    snprintf(text, sizeof text, "kappatune %s; %s; %d device%s; %d worker thread%s%s", KAPPATUNE_VERSION,
             kti_device_description(places->place[0].device), places->size, places->size == 1 ? "" : "s",
             threads, threads == 1 ? "" : "s", rank);
    tell_journals(t, "environment", text);
}

void kti_team_report_start(kti_team *team, int threads)
{
    pthread_mutex_lock(&team->lock);
    tell_begin(team);
    tell_environment(team, threads);
    pthread_mutex_unlock(&team->lock);
}

void kti_team_report_end(kti_team *team)
{
    pthread_mutex_lock(&team->lock);
    if (team->status == KT_OK)
        tell_journals(team, "finished", "all folds");
    else
        tell_journals(team, "stopped", team->error.message);
    pthread_mutex_unlock(&team->lock);
}

/* ---- progress ---- */

static kt_train_progress make_progress(const kti_team *t, const kti_fold *fold)
{
    static const double no_epoch[KTI_HISTORY_COLUMNS] = {[KTI_TRAIN_LOSS] = -1, [KTI_SELECT_MAPE] = -1};
    const kt_train_options *o = t->run->options;
    const double *record =
        fold->epoch > 0 ? fold->history + (int64_t)(fold->epoch - 1) * KTI_HISTORY_COLUMNS : no_epoch;
    const int64_t done = t->epochs_done, total = (int64_t)t->run->folds * kti_fold_reports(o);
    const double passed = kti_seconds() - t->started;
    return (kt_train_progress){.stage = "",
                               .stage_number = 1,
                               .stages = 1,
                               .rows_done = done * fold->train_rows, /* as many in every fold */
                               .rows_total = total * fold->train_rows,
                               .folds = t->run->folds,
                               .epochs = o->epochs,
                               .epochs_done = done,
                               .epochs_total = total,
                               .replicas = t->run->replicas,
                               .seed = fold->options->seed,
                               .fold = fold->number,
                               .epoch = fold->epoch,
                               .train_loss = record[KTI_TRAIN_LOSS] < 0 ? NAN : record[KTI_TRAIN_LOSS],
                               .select_mape = record[KTI_SELECT_MAPE] < 0 ? NAN : record[KTI_SELECT_MAPE],
                               .seconds = passed,
                               .seconds_left =
                                   passed / (double)(done - t->epochs_before) * (double)(total - done)};
}

bool kti_team_count_epoch(kti_team *team, const kti_fold *fold)
{
    const kt_train_options *o = team->run->options;
    bool stop = false;
    pthread_mutex_lock(&team->lock);
    team->epochs_done++;
    if (o->run.progress) {
        const kt_train_progress progress = make_progress(team, fold);
        stop = o->run.progress(o->run.user, &progress) != 0;
    }
    pthread_mutex_unlock(&team->lock);
    return stop;
}

/* ---- the decision to stop ---- */

void kti_team_decide(kti_team *team, const kti_fold *fold, int epoch, bool stop)
{
    pthread_mutex_lock(&team->lock);
    team->verdict[fold->first] = (kti_verdict){epoch, stop};
    pthread_cond_broadcast(&team->decided);
    pthread_mutex_unlock(&team->lock);
}

static bool await_verdict(kti_team *t, const kti_fold *fold)
{
    const kti_verdict *v = &t->verdict[fold->first];
    pthread_mutex_lock(&t->lock);
    while (v->epoch < fold->epoch)
        pthread_cond_wait(&t->decided, &t->lock);
    const bool stop = v->stop;
    pthread_mutex_unlock(&t->lock);
    return stop;
}

bool kti_team_asked_to_stop(kti_team *team, const kti_fold *fold)
{
    if (fold->rank > 0)
        return await_verdict(team, fold);
    const bool stop = kti_team_count_epoch(team, fold) || atomic_load(&team->stop);
    kti_team_decide(team, fold, fold->epoch, stop);
    return stop;
}
