/* The results of a run of one stage: the scores of what its folds predicted. */
#ifndef KTI_EXPERIMENT_RESULTS_H
#define KTI_EXPERIMENT_RESULTS_H

#include <kappatune/train.h>

#include "train/trainer.h"

/* Scores of the predictions that a finished run holds; *result is the caller's. */
kt_status kti_results_collect(const kti_run *run, kt_train_result *result, kt_error *error);

#endif
