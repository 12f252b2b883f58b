/* calibration.csv of a model folder. */
#ifndef KTI_PREDICTOR_CALIBRATION_FILE_H
#define KTI_PREDICTOR_CALIBRATION_FILE_H

#include "predictor/calibration.h"

#define KTI_CALIBRATION_FILE "calibration.csv"

/* Of a prepared one. */
kt_status kti_calibration_write(const kti_calibration *c, const char *path, kt_error *error);

/* Reads and prepares. KT_BAD_FORMAT with the line; *c is empty then. */
kt_status kti_calibration_read(const char *path, kti_calibration *c, kt_error *error);

#endif
