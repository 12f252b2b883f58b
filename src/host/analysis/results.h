/* The results of a run of one stage: collected from its folds, kept in metrics.json, read back. */
#ifndef KTI_ANALYSIS_RESULTS_H
#define KTI_ANALYSIS_RESULTS_H

#include <stdbool.h>

#include <kappatune/train.h>

#include "train/trainer.h"

/* Scores of the predictions that a finished run holds; *result is the caller's. */
kt_status kti_results_collect(const kti_run *run, kt_train_result *result, kt_error *error);

/* Writes metrics.json into the run folder. */
kt_status kti_results_write(const kti_run *run, const kt_train_result *result, kt_error *error);

/* Whether a run folder holds the finished run of these data and start weights: its metrics.json names their fingerprints, and
 * every fold's two files are there. Reads no weights. */
kt_status kti_results_are_current(const kt_train_options *options, uint64_t data_fingerprint,
                                  const kti_start *start, bool *current, kt_error *error);

/* Which data sets, each given by its fingerprint, a run was trained on: own[i] is whether set i is the run's, one of those that it
 * joined, or such a one of the earlier stages that it started from. All are false of a folder without metrics.json: nothing is
 * known. */
kt_status kti_results_find_own(const char *run, const uint64_t *fingerprint, int sets, bool *own,
                               kt_error *error);

#endif
