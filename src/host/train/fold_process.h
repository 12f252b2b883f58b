/* The Gaussian process that is fitted at the end of a fold, in the place of the network's head or beside it. */
#ifndef KTI_TRAIN_FOLD_PROCESS_H
#define KTI_TRAIN_FOLD_PROCESS_H

#include "train/team.h"

/* Fits fold->gp to all rows that the fold does not validate on, with the read-outs of the weights that are on the device, and
 * puts its predictions of the validated rows in the place of the network's in v->best and v->last [validate_rows], or
 * averages the two (KT_HEAD_AVERAGE). Called by the worker's thread; of those who share a fold, by rank 0. Errors are the
 * device's and the fit's. */
kt_status kti_fold_add_process(kti_worker *w, kti_fold *fold, kti_validation *v, kt_error *error);

#endif
