/* The lines of a scan's two CSV files: a row for a crystal that was predicted, a reject for one that could not be used. */
#ifndef KTI_SCAN_ROWS_H
#define KTI_SCAN_ROWS_H

#include <stdbool.h>

#include "base/text.h"
#include "crystal/graph.h"
#include "predictor/model.h"
#include "scan/scan.h"
#include "scan/source.h"

/* What is known of a crystal once it is predicted; everything is the caller's. */
typedef struct kti_prediction {
    const char *id;
    const kt_structure *structure;
    const kti_graph *graph;
    const double *value, *log_sd; /* [members of the model]; log_sd is only read if kt_model_has_log_sd */
} kti_prediction;

/* "kappa" or "eform": the property that a scan predicts, as the columns name it. */
const char *kti_scan_quantity(const kti_scan_options *options);

/* Adds the header of the rows, without a line's end, to `header`. */
kt_status kti_rows_add_header(const kti_scan_options *options, const kt_model *model, kti_text *header,
                              kt_error *error);

/* Adds a crystal's row, unless its mean is not below the options' limit; returns whether it did. Short memory shows in rows->failed. */
bool kti_rows_add(const kti_scan_options *options, const kt_model *model, const kti_prediction *prediction,
                  kti_text *rows);

/* Adds a reject. The line of `reason` counts from where the item's text begins, that of the reject from the beginning of its file. */
void kti_rejects_add(const kti_item *item, const kt_error *reason, kti_text *rejects);

#endif
