/* The results of a run of one stage: collected from its folds, kept in metrics.json, read back. */
#ifndef KTI_EXPERIMENT_RESULTS_H
#define KTI_EXPERIMENT_RESULTS_H

#include <stdbool.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "predictor/calibration.h"
#include "train/trainer.h"

/* Scores of the predictions that a finished run holds; *result is the caller's. */
kt_status kti_results_collect(const kti_run *run, kt_train_result *result, kt_error *error);

/* Writes metrics.json into the run folder, with the interval of its calibration, which the result gets too. */
kt_status kti_results_write(const kti_run *run, const kti_calibration *calibration, kt_train_result *result,
                            kt_error *error);

/* Puts {"level": 0.9, "pairs": ..., "folds": ..., "coverage": ..., "coverage_std": ..., "factor": ..., "data_sets": [...]} of a
 * calibration into metrics.json's object as "interval"; *interval is that of all data sets. */
kt_status kti_results_set_interval(json_t *metrics, const kti_calibration *calibration,
                                   kt_interval_scores *interval, kt_error *error);

/* Whether a run folder holds the finished run of these data and start weights: its metrics.json names their fingerprints, and
 * every fold's two files are there. Reads no weights. */
kt_status kti_results_are_current(const kt_train_options *options, uint64_t data_fingerprint,
                                  const kti_start *start, bool *current, kt_error *error);

/* Whether a run whose metrics.json this is was trained on these data. The earliest runs have no fingerprint: then the number of crystals
 * tells. */
bool kti_results_are_of(const json_t *metrics, const kti_dataset *dataset);

/* Which data sets, each given by its fingerprint, a run was trained on: own[i] is whether set i is the run's, one of those that it
 * joined, or such a one of the earlier stages that it started from. All are false of a folder without metrics.json: nothing is
 * known. */
kt_status kti_results_find_own(const char *run, const uint64_t *fingerprint, int sets, bool *own,
                               kt_error *error);

#endif
