/* What a run of one stage trains: its folds, the devices that they are on, and their start. Of several ranks each has its own folds;
 * rank 0 has the others' too, without training them, to put their results in. */
#ifndef KTI_TRAIN_RUN_H
#define KTI_TRAIN_RUN_H

#include "train/fold.h"
#include "train/places.h"
#include "train/start.h"

/* Predicted kappa of the rows that a fold validates, in their order. */
typedef struct kti_validation {
    double *best, *last; /* [validate_rows]; owned */
} kti_validation;

typedef struct kti_run {
    const kt_train_options *options; /* [replicas], which differ in `seed` and `out` alone */
    int replicas;
    const kti_dataset *dataset;
    kti_places places;
    kti_start start;
    int folds; /* of this rank */
    kti_fold
        *fold;  /* [folds], replica by replica; then the copies of those who share them, or other ranks' */
    int copies; /* all of them */
    int all;    /* folds of all ranks */
    kti_validation *validation; /* [all], in the order of `fold`; filled for folds that have finished */
} kti_run;

/* The number, from 1, of a rank's fold, from 0. */
int kti_run_fold_number(const kt_train_options *options, int rank, int share);

/* Opens the devices and the start weights, splits, and allocates everything that training needs. */
kt_status kti_run_create(const kt_train_options *options, int replicas, const kti_dataset *dataset,
                         kti_run *run, kt_error *error);
void kti_run_destroy(kti_run *run);

#endif
