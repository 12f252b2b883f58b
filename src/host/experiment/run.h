/* A training run of one stage, from data set to run folder. */
#ifndef KTI_EXPERIMENT_RUN_H
#define KTI_EXPERIMENT_RUN_H

#include <kappatune/train.h>

#include "data/dataset.h"

/* Reads options->data as the run takes them. */
kt_status kti_run_read_data(const kt_train_options *options, kti_dataset *dataset, kt_error *error);

/* kt_train with data that have been read and options that have been checked. `error` is not NULL. */
kt_status kti_run_stage(const kt_train_options *options, const kti_dataset *dataset, kt_train_result *result,
                        kt_error *error);

#endif
