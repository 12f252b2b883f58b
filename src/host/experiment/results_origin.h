/* Which data and start weights the results of a run are of, by the fingerprints in its metrics.json. */
#ifndef KTI_EXPERIMENT_RESULTS_ORIGIN_H
#define KTI_EXPERIMENT_RESULTS_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "train/trainer.h"

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
