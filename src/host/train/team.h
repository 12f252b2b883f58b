/* The team that trains a run: what its workers share, and what each worker has of its own.
 *
 * A worker is a host thread with a lane of a device. On the CPU a worker takes one fold after another; on a device that
 * fuses each fold has a worker, or several if devices share it. `lock` guards what workers write to the team.
 */
#ifndef KTI_TRAIN_TEAM_H
#define KTI_TRAIN_TEAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "train/journal.h"
#include "train/kept.h"
#include "train/plan.h"
#include "train/run.h"

/* Whether those who share a fold stop after an epoch: the first of them decides for all. */
typedef struct kti_verdict {
    int epoch; /* after which it was given; INT_MAX: it is the last one */
    bool stop;
} kti_verdict;

typedef struct kti_team {
    kti_run *run;             /* borrowed */
    double started;           /* kti_seconds() */
    int64_t epochs_before;    /* done by earlier runs */
    const kti_graph **graphs; /* [data set's size]; owned, the graphs are not */
    kti_kept *kept;           /* [places] the same on each device; owned */
    atomic_int next_fold;     /* that nobody has taken yet */
    atomic_int stop;          /* 1: a worker failed or the caller asked */

    pthread_mutex_t lock;   /* for what follows, and for calling the caller's callbacks */
    kti_journal *journal;   /* [replicas]; owned */
    int *choices;           /* [replicas] of the device, already written to the run folder; owned */
    int64_t epochs_done;    /* with those of earlier runs */
    kti_verdict *verdict;   /* [folds]; owned */
    pthread_cond_t decided; /* a verdict was given */
    kt_status status;       /* of the first worker that failed */
    kt_error error;
} kti_team;

typedef struct kti_worker {
    kti_team *team;   /* borrowed */
    kti_place *place; /* borrowed */
    int lane;         /* of the place's device */
    kti_fold *own;    /* the fold of the lane on a device that fuses; NULL: the worker takes folds */
    kti_plan *plan;   /* of a step; owned */
    /* Of a prediction, if that uses the running mean of the weights or larger batches; NULL: `plan` does. Owned. */
    kti_plan *predict_plan;
    int predicted_batch;   /* crystals of a prediction */
    int32_t *order;        /* [data set's size]; owned, as all that follow */
    double *noise;         /* [data set's size] factors on kappa */
    double *predicted;     /* [data set's size] */
    kt_real *standardised; /* [predicted_batch] */
    kt_real *arena;        /* [layout.size] */
} kti_worker;

/* Opens the run's journals and sets the team up, without crystals or workers. Destroy it in any case. */
kt_status kti_team_create(kti_run *run, kti_team *team, kt_error *error);

/* After its workers. */
void kti_team_destroy(kti_team *team);

/* How many workers can be busy at once. */
int kti_team_size(const kti_run *run);

/* Puts the crystals on each device, then makes the workers [size], which were zero. Destroy those in any case. */
kt_status kti_team_create_workers(kti_team *team, kti_worker *workers, int size, kt_error *error);
void kti_team_destroy_workers(kti_worker *workers, int size);

#endif
