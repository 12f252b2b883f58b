/* metrics.json, in which a run folder keeps its results. metrics_write.c writes it; metrics_read.c reads it back
 * (kt_train_result_read, which the public header declares). */
#ifndef KTI_EXPERIMENT_METRICS_FILE_H
#define KTI_EXPERIMENT_METRICS_FILE_H

#include <stddef.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "predictor/calibration.h"
#include "train/trainer.h"

enum { KTI_SCORES = 8 };

/* A number of kt_scores, by the name that the file gives it. */
typedef struct kti_score_key {
    const char *name;
    size_t offset;
} kti_score_key;

extern const kti_score_key kti_score_keys[KTI_SCORES];

/* The number of `scores` that kti_score_keys[i] names. */
double *kti_score(kt_scores *scores, int i);

/* Writes metrics.json into the run folder, with the interval of its calibration, which the result gets too. */
kt_status kti_results_write(const kti_run *run, const kti_calibration *calibration, kt_train_result *result,
                            kt_error *error);

/* Puts {"level": 0.9, "pairs": ..., "folds": ..., "coverage": ..., "coverage_std": ..., "factor": ..., "data_sets": [...]} of a
 * calibration into metrics.json's object as "interval"; *interval is that of all data sets. */
kt_status kti_results_set_interval(json_t *metrics, const kti_calibration *calibration,
                                   kt_interval_scores *interval, kt_error *error);

#endif
