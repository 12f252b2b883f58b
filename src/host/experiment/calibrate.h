/* Calibrations: what a trained model says of its own training crystals. */
#ifndef KTI_EXPERIMENT_CALIBRATE_H
#define KTI_EXPERIMENT_CALIBRATE_H

#include "predictor/calibration.h"

/* Opens the trained model `folder` on the CPU, asks each member for the crystals of `dataset` that its fold holds out, and writes
 * folder/calibration.csv. The data set must be the one that the model was trained on. *c is the caller's
 * (kti_calibration_destroy). A prediction that is not finite is left out. */
kt_status kti_calibrate(const char *folder, const kti_dataset *dataset, bool quotient, kti_calibration *c,
                        kt_error *error);

/* The same of a model that is there, which may be of several stages (its last one's then), with its metrics.json brought up to date.
 * KT_BAD_ARGUMENT for other data than it was trained on, by metrics.json. */
kt_status kti_calibrate_model(const char *model, const kti_dataset *dataset, kti_calibration *c,
                              kt_error *error);

#endif
