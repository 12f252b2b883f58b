/* What a run of one stage trains: its folds, the devices that they are on, and their start. */
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
    int folds;
    kti_fold *fold;             /* [folds], replica by replica; then the copies of those who share them */
    int copies;                 /* all of them */
    kti_validation *validation; /* [folds]; filled for folds that have finished */
} kti_run;

/* Opens the devices and the start weights, splits, and allocates everything that training needs. */
kt_status kti_run_create(const kt_train_options *options, int replicas, const kti_dataset *dataset,
                         kti_run *run, kt_error *error);
void kti_run_destroy(kti_run *run);

#endif
