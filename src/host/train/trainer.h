/* Trains the folds of a run: workers take folds, each fold is one sequence of steps on one lane of the
 * device.
 *
 * What happens when training goes wrong is stated and deterministic (KT_SOUND):
 *   - a step whose loss or gradient norm is not finite changes nothing (the Adam kernel sees to it);
 *   - an epoch explodes when its mean loss exceeds ten times the least so far (a squared one a hundred times; one
 * of logarithms must also be worse than that of a constant), or when none of its steps was finite;
 *   - a fold has collapsed when ten epochs in a row predict the same number for every crystal;
 *   - a fold that explodes or collapses goes back to the weights and moments after its best epoch (or, when
 * it has none that does not predict a constant, to its start with a freshly drawn head), and its learning
 * rate is halved from then on; after five such rescues it is left alone. KT_PUBLISHED only reports them,
 * since the published code knows no rescue.
 */
#ifndef KTI_TRAIN_TRAINER_H
#define KTI_TRAIN_TRAINER_H

#include "train/run.h"

/* Trains all folds to the end, or until the progress callback asks to stop (checkpointed; KT_INTERRUPTED). A
 * fold that fails ends the run after the others' current epochs, with its error; finished folds are on disk.
 */
kt_status kti_run_train(kti_run *run, kt_error *error);

#endif
