/* One epoch of a fold: its batches, the training steps, and the predictions that judge it.
 *
 * Each is called by a worker's thread with that worker and a fold that it trains. `record` is the epoch's row of the fold's
 * history, [KTI_HISTORY_COLUMNS]. Errors are the device's.
 */
#ifndef KTI_TRAIN_EPOCH_H
#define KTI_TRAIN_EPOCH_H

#include "train/team.h"

/* Trains on every training row once, in shuffled order; fills the record's loss, rate, gradient norms and skipped steps. A
 * step that is not finite is skipped and reported. */
kt_status kti_epoch_train(kti_worker *w, kti_fold *fold, double *record, kt_error *error);

/* Fills the record's MAPE on the rows of the selection and spread of the predictions. */
kt_status kti_epoch_evaluate(kti_worker *w, const kti_fold *fold, double *record, kt_error *error);

/* kappa [size], W/(m K), of the data set's rows [size], from the weights on the device, or their running mean where there is
 * one. */
kt_status kti_epoch_predict(kti_worker *w, const kti_fold *fold, const int32_t *rows, int size, double *kappa,
                            kt_error *error);

/* The same for the read-outs: those of the rows [size] go to samples[i].readout. */
kt_status kti_epoch_read_out(kti_worker *w, const kti_fold *fold, const int32_t *rows, int size,
                             kti_gp_sample *samples, kt_error *error);

#endif
