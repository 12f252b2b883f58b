/* The lines of a scan's two CSV files: a row for a crystal that was predicted, a reject for one that could not be used. */
#ifndef KTI_SCAN_ROWS_H
#define KTI_SCAN_ROWS_H

#include <stdbool.h>

#include "base/text.h"
#include "predictor/prediction_table.h"
#include "scan/scan.h"
#include "scan/source.h"

/* The columns of a scan's rows. The model outlives them. */
kti_prediction_table kti_rows_table(const kti_scan_options *options, const kt_model *model);

/* Describes a prediction and adds its row, unless its mean is not below the options' limit; returns whether it did. Short memory shows in rows->failed. */
bool kti_rows_add(const kti_scan_options *options, const kti_prediction_table *table,
                  kti_prediction *prediction, kti_text *rows);

/* Adds a reject. The line of `reason` counts from where the item's text begins, that of the reject from the beginning of its file. */
void kti_rejects_add(const kti_item *item, const kt_error *reason, kti_text *rejects);

#endif
