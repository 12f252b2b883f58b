#include "experiment/together.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "ranks/communicator.h"

/* ---- progress ---- */

/* From this rank's to all ranks'. */
static void sum_up(const kti_together *t, kt_train_progress *p)
{
    const kt_train_options *o = t->asked;
    const int64_t rows = p->rows_done / p->epochs_done; /* as many an epoch in every fold */
    const int ranks = kti_communicator_size(o->run.ranks);
    p->folds = p->replicas * kti_fold_count(o);
    p->epochs_total = (int64_t)p->folds * kti_fold_reports(o);
    for (int i = 1; i < ranks; i++) {
        const kti_news news = kti_communicator_hear(o->run.ranks, i);
        if (news.piece != t->piece)
            continue;
        p->epochs_done += news.done;
        p->seconds_left = fmax(p->seconds_left, news.seconds_left); /* the last one ends the run */
    }
    p->rows_done = p->epochs_done * rows;
    p->rows_total = p->epochs_total * rows;
}

static int show(kti_together *t)
{
    kt_train_progress all = t->last;
    if (kti_communicator_is_root(t->asked->run.ranks))
        sum_up(t, &all);
    if (t->asked->run.progress && t->asked->run.progress(t->asked->run.user, &all))
        kti_communicator_stop(t->asked->run.ranks);
    return kti_communicator_stops(t->asked->run.ranks);
}

static int tell_progress(void *user, const kt_train_progress *progress)
{
    kti_together *t = user;
    t->last = *progress;
    const kti_news news = {t->piece, progress->epochs_done, progress->seconds_left};
    kti_communicator_tell(t->asked->run.ranks, &news);
    return show(t);
}

static void tell_message(void *user, const char *text)
{
    const kti_together *t = user;
    t->asked->run.message(t->asked->run.user, text);
}

static void show_idly(void *user)
{
    kti_together *t = user;
    if (t->last.epochs_total > 0)
        show(t);
}

void kti_together_prepare(kti_together *t, const kt_train_options *asked, int replicas,
                          kt_train_options *options)
{
    *t = (kti_together){.asked = asked};
    /* Each stage has its folder. */
    t->piece =
        (int64_t)(asked->run.out ? kti_hash(KTI_HASH_START, asked->run.out, strlen(asked->run.out)) : 0);
    for (int i = 0; i < replicas; i++) {
        options[i] = asked[i];
        if (!asked->run.ranks)
            continue;
        options[i].run.progress = tell_progress;
        options[i].run.message = asked->run.message ? tell_message : NULL;
        options[i].run.user = t;
    }
}

void kti_together_begin(kti_together *t, const kti_run *run)
{
    kti_news news = {.piece = t->piece};
    for (int i = 0; i < run->folds; i++)
        news.done += run->fold[i].epoch;
    kti_communicator_tell(t->asked->run.ranks, &news);
    for (int i = 0; i < kti_communicator_size(t->asked->run.ranks); i++) {
        char share[160];
        kti_together_describe_share(t->asked, i, share, sizeof share);
        kti_communicator_set_duty(t->asked->run.ranks, i, share);
    }
}

kt_status kti_together_end(kti_together *t, kt_status status, kt_error *error)
{
    /* A fold that failed ends the run after the others' present epochs, whosever they are. */
    if (status != KT_OK)
        kti_communicator_stop(t->asked->run.ranks);
    return kti_communicator_agree(t->asked->run.ranks, status, show_idly, t, error);
}

void kti_together_describe_share(const kt_train_options *options, int rank, char *text, size_t capacity)
{
    const int share = kti_fold_share(options, rank);
    size_t used = (size_t)snprintf(text, capacity, share == 0 ? "no fold" : share == 1 ? "fold" : "folds");
    for (int i = 0; i < share && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s %d", i ? "," : "",
                                 kti_run_fold_number(options, rank, i));
}

/* ---- results ---- */

/* What another rank's fold comes to; behind it the history, and, of a fold that has ended, both predictions of each row that it validates. */
typedef struct outcome {
    int32_t number, epoch, best_epoch, skipped, rescues, gp_rows, ended;
} outcome;

static size_t size_of(const outcome *o, const kti_fold *fold)
{
    return sizeof *o +
           ((size_t)o->epoch * KTI_HISTORY_COLUMNS + (o->ended ? 2 * (size_t)fold->validate_rows : 0)) *
               sizeof(double);
}

static kt_status send_fold(kt_communicator *ranks, const kti_fold *fold, const kti_validation *v,
                           kt_error *error)
{
    const outcome o = {fold->number,  fold->epoch,      fold->best_epoch,          fold->skipped,
                       fold->rescues, fold->gp.gp.rows, v->best && v->last ? 1 : 0};
    const size_t size = size_of(&o, fold),
                 history = (size_t)fold->epoch * KTI_HISTORY_COLUMNS * sizeof(double),
                 rows = (size_t)fold->validate_rows * sizeof(double);
    char *message = kti_allocate(size, 1);
    if (!message)
        return kti_fail_memory(error, "the results");
    char *at = message;
    memcpy(at, &o, sizeof o);
    memcpy(at += sizeof o, fold->history, history);
    if (o.ended) {
        memcpy(at += history, v->best, rows);
        memcpy(at + rows, v->last, rows);
    }
    kt_status status = kti_communicator_send(ranks, 0, message, size, error);
    free(message);
    return status;
}

static kt_status unpack(const char *message, size_t size, kti_fold *fold, kti_validation *v, kt_error *error)
{
    const size_t rows = (size_t)fold->validate_rows * sizeof(double);
    outcome o = {0};
    if (size >= sizeof o)
        memcpy(&o, message, sizeof o);
    if (o.number != fold->number || o.epoch < 0 || o.epoch > fold->options->epochs ||
        size != size_of(&o, fold))
        return kti_fail(error, KT_IO, "another rank's fold %d came back as something else", fold->number);
    const size_t history = (size_t)o.epoch * KTI_HISTORY_COLUMNS * sizeof(double);
    fold->epoch = o.epoch;
    fold->best_epoch = o.best_epoch;
    fold->skipped = o.skipped;
    fold->rescues = o.rescues;
    fold->gp.gp.rows = o.gp_rows; /* whether there is one; itself it is in the fold's file */
    memcpy(fold->history, message + sizeof o, history);
    if (!o.ended)
        return KT_OK;
    v->best = kti_allocate(rows, 1);
    v->last = kti_allocate(rows, 1);
    if (!v->best || !v->last)
        return kti_fail_memory(error, "predictions");
    memcpy(v->best, message + sizeof o + history, rows);
    memcpy(v->last, message + sizeof o + history + rows, rows);
    return KT_OK;
}

static kt_status receive_fold(kt_communicator *ranks, int from, kti_fold *fold, kti_validation *v,
                              kt_error *error)
{
    void *message;
    size_t size;
    kt_status status = kti_communicator_receive(ranks, from, NULL, NULL, &message, &size, error);
    if (status == KT_OK)
        status = unpack(message, size, fold, v, error);
    free(message);
    return status;
}

kt_status kti_together_collect(kti_run *run, kti_run *whole, kt_error *error)
{
    const kt_train_options *o = run->options;
    kt_communicator *ranks = o->run.ranks;
    const int own = kti_communicator_rank(ranks), size = kti_communicator_size(ranks),
              count = kti_fold_count(o);
    kt_status status = KT_OK;
    *whole = *run;
    whole->fold = NULL;
    whole->validation = NULL;
    for (int i = 0; own > 0 && i < run->folds && status == KT_OK; i++)
        status = send_fold(ranks, &run->fold[i], &run->validation[i], error);
    if (own > 0)
        return status;
    whole->folds = run->all;
    whole->fold = kti_allocate((size_t)run->all, sizeof *whole->fold);
    whole->validation = kti_allocate((size_t)run->all, sizeof *whole->validation);
    if (!whole->fold || !whole->validation)
        return kti_fail_memory(error, "the results");
    int at = 0; /* where the fold is in run->fold */
    for (int rank = 0; rank < size; rank++)
        for (int i = 0; i < run->replicas; i++)
            for (int k = 0; k < kti_fold_share(o, rank) && status == KT_OK; k++, at++) {
                if (rank > 0)
                    status = receive_fold(ranks, rank, &run->fold[at], &run->validation[at], error);
                whole->fold[i * count + k * size + rank] = run->fold[at];
                whole->validation[i * count + k * size + rank] = run->validation[at];
            }
    return status;
}

void kti_together_release(kti_run *whole)
{
    free(whole->fold);
    free(whole->validation);
    *whole = (kti_run){0};
}
