/* A table's columns of numbers, by name: the rows of a scan, and what a user knows of the same crystals besides. */
#ifndef KTI_REPORT_COLUMNS_H
#define KTI_REPORT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include <kappatune/error.h>

#include "predictor/prediction_table.h"

typedef struct kti_column {
    char *name;
    double *value;  /* [rows]; NaN where the table has no number */
    size_t numbers; /* how many are finite */
    bool features;  /* it came from the second table */
} kti_column;

typedef struct kti_columns {
    char **id; /* [rows] the first column, as text */
    size_t rows, row_capacity;
    kti_column *column; /* [size], numbers alone */
    size_t size, capacity;
} kti_columns;

/* Reads a CSV table with a header whose first column tells rows apart. Fields that are no number are NaN. KT_BAD_FORMAT, with the
 * line, for a row of another length or a repeated column. */
kt_status kti_columns_read(const char *path, kti_columns *columns, kt_error *error);

/* Adds the columns of another such table to the rows with the same id, or whose id is a path (or "path#block", "archive:path")
 * to a file of that name, its ending left out. *matched is how many rows have a partner. KT_BAD_FORMAT for an id that comes
 * twice there. */
kt_status kti_columns_join(kti_columns *columns, const char *path, size_t *matched, kt_error *error);

/* NULL if there is none. */
const kti_column *kti_columns_find(const kti_columns *columns, const char *name);

/* The mean and the spread of the predictions of header->quantity, which is `quantity` unless that is NULL. KT_BAD_FORMAT, naming `path`, where
 * there are none. */
kt_status kti_columns_find_prediction(const kti_columns *columns, const char *path, const char *quantity,
                                      kti_prediction_header *header, const kti_column **mean,
                                      const kti_column **sd, kt_error *error);

void kti_columns_destroy(kti_columns *columns);

#endif
