/* What happens when the training of a fold goes wrong. It is deterministic (KT_SOUND):
 *   - a step whose loss or gradient norm is not finite changes nothing (the Adam kernel sees to it);
 *   - an epoch explodes when its mean loss exceeds ten times the least so far (for a squared loss a hundred times; a loss
 *     of logarithms must also be worse than that of a constant), or when none of its steps was finite;
 *   - a fold has collapsed when ten epochs in a row predict the same number for every crystal;
 *   - a fold that explodes or collapses goes back to the weights and moments after its best epoch (or, when it has none
 *     that does not predict a constant, to its start with a freshly drawn head, of a random start with all weights drawn
 *     anew), and its learning rate is halved from then on; after five such rescues it is left alone. KT_PUBLISHED only
 *     reports the trouble, since the published code knows no rescue.
 */
#ifndef KTI_TRAIN_RESCUE_H
#define KTI_TRAIN_RESCUE_H

#include "train/team.h"

/* What is wrong with the fold after an epoch with this `record` [KTI_HISTORY_COLUMNS], as words for a message; NULL: nothing
 * is. fold->collapsed_epochs counts this epoch already, fold->min_loss does not. */
const char *kti_rescue_diagnose(const kt_train_options *options, const kti_fold *fold, const double *record);

/* Rescues the fold, or leaves it as it is where the rule says so, and reports which, with `reason`. Sets the record's
 * KTI_RESCUED. Called by a worker's thread with that worker and a fold that it trains; of those who share a fold, by every
 * one. Errors are the device's, or those of the start weights. */
kt_status kti_rescue(kti_worker *w, kti_fold *fold, const char *reason, double *record, kt_error *error);

#endif
