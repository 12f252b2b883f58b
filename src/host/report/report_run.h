/* The figures of one stage of a run. */
#ifndef KTI_REPORT_REPORT_RUN_H
#define KTI_REPORT_REPORT_RUN_H

#include "report/report.h"

#include <kappatune/train.h>

typedef struct kti_report_stage {
    const char *folder, *name; /* name "" of a run of one stage; a figure's name begins with it */
    const char *dataset;       /* as metrics.json names it */
    const kt_train_result *result;
} kti_report_stage;

/* The file of the stage, NULL in *path if it is not there; the caller's: free(). */
kt_status kti_report_find_file(const kti_report_stage *stage, const char *name, char **path, kt_error *error);

/* Loss and error by epoch; nothing where there were no epochs or the folder has no epochs.csv. */
kt_status kti_report_epochs(kti_report *report, const kti_report_stage *stage, kt_error *error);
/* Parity and residuals of the rows held out, and a table of the largest; nothing without predictions.csv. */
kt_status kti_report_predictions(kti_report *report, const kti_report_stage *stage, kt_error *error);
/* The folds' errors, beside those that were published for the same data set. */
kt_status kti_report_boxes(kti_report *report, const kti_report_stage *stage, kt_error *error);

#endif
