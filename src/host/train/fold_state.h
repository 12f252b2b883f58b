/* The state of a fold's weights on its device: the start, the best epoch so far, and the ways back to either.
 *
 * Each is called by a worker's thread with that worker and a fold that it trains; of those who share a fold, by every one.
 * Errors are the device's, or those of the start weights.
 */
#ifndef KTI_TRAIN_FOLD_STATE_H
#define KTI_TRAIN_FOLD_STATE_H

#include "train/team.h"

/* Puts the start weights of the fold's present draw on the device, with moments of zero, and starts counting Adam's steps and
 * the least loss anew. */
kt_status kti_fold_begin(kti_worker *w, kti_fold *fold, kt_error *error);

/* Copies weights and moments from the device to fold->best. */
kt_status kti_fold_keep_best(kti_worker *w, kti_fold *fold, kt_error *error);

/* And back to the device. */
kt_status kti_fold_return_to_best(kti_worker *w, kti_fold *fold, kt_error *error);

/* Whether there is a best epoch, which predicts one number for all crystals. */
bool kti_fold_best_is_flat(const kti_fold *fold);

/* Keeps the present epoch as the best one if it is better than the best so far, by its `record`
 * [KTI_HISTORY_COLUMNS]. With KT_SELECT_LAST it is, unless it is flat, so that a rescue has a state to return to. */
kt_status kti_fold_update_best(kti_worker *w, kti_fold *fold, const double *record, kt_error *error);

#endif
