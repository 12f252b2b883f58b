/* Trains the folds of a run: workers take folds, and each fold is one sequence of steps on one lane of the device. */
#ifndef KTI_TRAIN_TRAINER_H
#define KTI_TRAIN_TRAINER_H

#include "train/run.h"

/* Trains all folds to the end, or until the progress callback asks to stop (checkpointed; KT_INTERRUPTED). A
 * fold that fails ends the run after the others' current epochs, with its error; finished folds are on disk.
 * Starts the worker threads, works as one of them, and returns when all have ended.
 */
kt_status kti_run_train(kti_run *run, kt_error *error);

#endif
