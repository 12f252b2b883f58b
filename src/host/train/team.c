#include "train/team.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"

/* Crystals of a prediction on a device where a step takes the same time for few crystals and for many. */
enum { PREDICTED_TOGETHER = 32 };

/* ---- what is shared ---- */

static kt_status open_journals(kti_team *t, kt_error *error)
{
    const kti_run *run = t->run;
    kt_status status = KT_OK;
    for (int i = 0; i < run->replicas && status == KT_OK; i++)
        status = kti_journal_open(&t->journal[i], run->options[i].run.out,
                                  kti_communicator_rank(run->options->run.ranks), run->options[i].run.resume,
                                  error);
    return status;
}

kt_status kti_team_create(kti_run *run, kti_team *team, kt_error *error)
{
    *team = (kti_team){.run = run, .started = kti_seconds()};
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->decided, NULL);
    team->verdict = kti_allocate((size_t)run->folds, sizeof *team->verdict);
    team->kept = kti_allocate((size_t)run->places.size, sizeof *team->kept);
    team->journal = kti_allocate((size_t)run->replicas, sizeof *team->journal);
    team->choices = kti_allocate((size_t)run->replicas, sizeof *team->choices);
    if (!team->verdict || !team->kept || !team->journal || !team->choices)
        return kti_fail_memory(error, "the workers");
    for (int i = 0; i < run->folds; i++)
        team->epochs_before += run->fold[i].epoch;
    team->epochs_done = team->epochs_before;
    return open_journals(team, error);
}

void kti_team_destroy(kti_team *team)
{
    for (int i = 0; i < team->run->places.size && team->kept; i++)
        kti_kept_destroy(&team->kept[i]);
    for (int i = 0; i < team->run->replicas && team->journal; i++)
        kti_journal_close(&team->journal[i]);
    free(team->graphs);
    free(team->kept);
    free(team->journal);
    free(team->choices);
    free(team->verdict);
    pthread_cond_destroy(&team->decided);
    pthread_mutex_destroy(&team->lock);
    *team = (kti_team){0};
}

static kt_status keep_crystals(kti_team *t, kt_error *error)
{
    const kti_dataset *dataset = t->run->dataset;
    t->graphs = kti_allocate((size_t)dataset->size, sizeof *t->graphs);
    if (!t->graphs)
        return kti_fail_memory(error, "the crystals");
    for (int i = 0; i < dataset->size; i++)
        t->graphs[i] = &dataset->crystals[i].graph;
    kt_status status = KT_OK;
    for (int i = 0; i < t->run->places.size && status == KT_OK; i++)
        status =
            kti_kept_create(t->run->places.place[i].device, t->graphs, dataset->size, &t->kept[i], error);
    return status;
}

/* ---- a worker ---- */

static kt_status create_plans(kti_worker *w, kt_error *error)
{
    kti_place *place = w->place;
    const kti_team *t = w->team;
    const kti_kept *kept = &t->kept[place - t->run->places.place];
    const kt_train_options *o = t->run->options;
    kt_status status = kti_plan_create_kept(kept, o->batch, w->lane, &place->parameters, KTI_TARGET_KAPPA, o,
                                            &w->plan, error);
    const bool averages = kti_parameters_have(&place->parameters, KTI_ROLE_AVERAGE);
    if (status == KT_OK && (averages || w->predicted_batch != o->batch))
        status = kti_plan_create_kept(kept, w->predicted_batch, w->lane,
                                      averages ? &place->average : &place->parameters, KTI_TARGET_KAPPA, NULL,
                                      &w->predict_plan, error);
    return status;
}

static kt_status create_sibling_plans(kti_worker *w, const kti_worker *first, kt_error *error)
{
    kt_status status = kti_plan_create_sibling(first->plan, w->lane, &w->plan, error);
    if (status == KT_OK && first->predict_plan)
        status = kti_plan_create_sibling(first->predict_plan, w->lane, &w->predict_plan, error);
    return status;
}

static kt_status allocate_buffers(kti_worker *w, kt_error *error)
{
    const size_t rows = (size_t)w->team->run->dataset->size;
    w->standardised = kti_allocate((size_t)w->predicted_batch, sizeof *w->standardised);
    w->order = kti_allocate(rows, sizeof *w->order);
    w->noise = kti_allocate(rows, sizeof *w->noise);
    w->predicted = kti_allocate(rows, sizeof *w->predicted);
    w->arena = kti_allocate((size_t)w->place->parameters.layout.size, sizeof *w->arena);
    return w->standardised && w->order && w->noise && w->predicted && w->arena
               ? KT_OK
               : kti_fail_memory(error, "a worker");
}

/* `first` is another worker of the place, or NULL. */
static kt_status create_worker(kti_worker *w, const kti_worker *first, kt_error *error)
{
    w->predicted_batch = w->team->run->options->batch;
    if (kti_device_fuses(w->place->device) && w->predicted_batch < PREDICTED_TOGETHER)
        w->predicted_batch = PREDICTED_TOGETHER;
    kt_status status = first ? create_sibling_plans(w, first, error) : create_plans(w, error);
    return status == KT_OK ? allocate_buffers(w, error) : status;
}

static void destroy_worker(kti_worker *w)
{
    kti_plan_destroy(w->plan);
    kti_plan_destroy(w->predict_plan);
    free(w->standardised);
    free(w->order);
    free(w->noise);
    free(w->predicted);
    free(w->arena);
}

/* ---- all workers ---- */

int kti_team_size(const kti_run *run)
{
    const kti_device *device = run->places.place[0].device;
    if (kti_device_fuses(device))
        return run->folds * run->places.sharers;
    return kti_device_lanes(device) < run->folds ? kti_device_lanes(device) : run->folds;
}

/* Worker `number` with its place, and its fold on a device that fuses; still without plans. */
static kti_worker place_worker(kti_team *t, int number)
{
    kti_run *run = t->run;
    kti_worker w = {.team = t, .place = &run->places.place[0], .lane = number};
    if (kti_device_fuses(w.place->device)) {
        w.own = &run->fold[number];
        w.place = &run->places.place[w.own->place];
        w.lane = w.own->index;
    }
    return w;
}

/* The first of `size` workers that is in the place; NULL: none is. */
static const kti_worker *find_worker(const kti_worker *workers, int size, const kti_place *place)
{
    for (int i = 0; i < size; i++)
        if (workers[i].place == place)
            return &workers[i];
    return NULL;
}

kt_status kti_team_create_workers(kti_team *team, kti_worker *workers, int size, kt_error *error)
{
    kt_status status = keep_crystals(team, error);
    for (int i = 0; i < size && status == KT_OK; i++) {
        workers[i] = place_worker(team, i);
        status = create_worker(&workers[i], find_worker(workers, i, workers[i].place), error);
    }
    return status;
}

/* Backwards: a plan goes before the one that it is a sibling of. */
void kti_team_destroy_workers(kti_worker *workers, int size)
{
    for (int i = size - 1; i >= 0; i--)
        destroy_worker(&workers[i]);
}
