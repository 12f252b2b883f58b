/* The training of one fold from start to end: its epochs, the checkpoints between them, and the predictions of the rows that
 * it validates. */
#ifndef KTI_TRAIN_FOLD_TRAINING_H
#define KTI_TRAIN_FOLD_TRAINING_H

#include "train/team.h"

/* Trains the fold from where it stands; after a resume that may be its end. Afterwards its files are written and, by rank 0 of
 * those who share it, the run's validation of the fold is filled. Called by the worker's thread; every one who shares the
 * fold calls it. A request to stop gives a checkpoint, sets the team's `stop` and is KT_INTERRUPTED; else errors are the
 * device's, those of the start weights, of the files and of the process. */
kt_status kti_fold_train(kti_worker *w, kti_fold *fold, kt_error *error);

#endif
