/* A run whose folds several ranks train: what they do together, around the training that each does alone. With one rank there is nothing
 * to do. */
#ifndef KTI_EXPERIMENT_TOGETHER_H
#define KTI_EXPERIMENT_TOGETHER_H

#include "train/run.h"

typedef struct kti_together {
    const kt_train_options *asked; /* the caller's */
    int64_t piece;                 /* which run the ranks' news are of */
    kt_train_progress last;        /* of this rank; epochs_total 0 before there is one */
} kti_together;

/* Puts into `options` [replicas], a copy of what was asked, callbacks that pass on how far this rank is and that show, in rank 0, how far
 * all are. `together` outlives the run. */
void kti_together_prepare(kti_together *together, const kt_train_options *asked, int replicas,
                          kt_train_options *options);

/* To be called by all when the folds have been made: what each rank has to do, and has done. */
void kti_together_begin(kti_together *together, const kti_run *run);

/* Waits until all have trained; the status that they agree upon. Rank 0 shows the others' progress meanwhile. */
kt_status kti_together_end(kti_together *together, kt_status status, kt_error *error);

/* The folds that rank has, "fold 2", "folds 2, 4". */
void kti_together_describe_share(const kt_train_options *options, int rank, char *text, size_t capacity);

/* Called by all: *whole, in rank 0, is the run with all ranks' folds in their order, what their training gave included. It borrows from
 * `run`, and has no weights; of other ranks it has nothing. */
kt_status kti_together_collect(kti_run *run, kti_run *whole, kt_error *error);
void kti_together_release(kti_run *whole);

#endif
