/* A scan's rows in little memory, however many there are: counts of all rows, extremes, and a sample for what needs every value at
 * once.
 */
#ifndef KTI_REPORT_SCAN_SUMMARY_H
#define KTI_REPORT_SCAN_SUMMARY_H

#include "base/ranking.h"
#include "data/csv.h"
#include "predictor/prediction_table.h"
#include "report/bins.h"

enum { KTI_SCAN_SAMPLE = 50000, KTI_SCAN_EXTREMES = 20, KTI_SCAN_WARNINGS = 32 };

typedef struct kti_scan_row {
    char *id, *formula;            /* owned */
    double mean, sd, lower, upper; /* NaN: none */
} kti_scan_row;

typedef struct kti_scan_feature {
    char *name;    /* owned */
    int field;     /* of a record */
    double *value; /* [sampled] NaN where there is no number; owned */
} kti_scan_feature;

typedef struct kti_scan_summary {
    char quantity[32];     /* "kappa", "eform" */
    bool logarithmic;      /* kappa, which spans decades */
    int64_t rows, without; /* without: rows whose mean is no number */
    double sum, min, max;
    kti_axis axis;        /* of means */
    int64_t *count;       /* [axis.size] owned */
    kti_cloud spread;     /* mean and relative standard deviation */
    int64_t beyond;       /* rows whose standard deviation is more than half the mean */
    kti_ranking top, low; /* of kti_scan_row: the greatest mean first, and the least */
    bool has_interval;
    int level; /* of the interval, % */

    /* Rows drawn evenly from all, of which none is left out while they are few. */
    size_t sampled;
    double *mean, *sd;         /* [sampled] owned */
    kti_scan_feature *feature; /* [features] numbers that are no prediction; owned */
    int features;

    char *warning[KTI_SCAN_WARNINGS]; /* owned; different ones, by frequency */
    int64_t warned[KTI_SCAN_WARNINGS];
    int warnings;
    int64_t warned_rows, other_warnings; /* rows with one; warnings beyond the different ones that are kept */
    bool has_warnings;                   /* there is such a column */
} kti_scan_summary;

/* Reads the rows of kappatune scan: columns by name. KT_BAD_FORMAT, with the line, for a row of another length. */
kt_status kti_scan_summarise(const char *path, kti_scan_summary *summary, kt_error *error);
void kti_scan_summary_destroy(kti_scan_summary *summary);

/* Whether the record is the header of a scan; then where it has what. */
bool kti_scan_header(const kti_csv *csv, kti_prediction_header *header);

/* The file of rejects of a scan without a file of its own for them, FILE.rejects.csv of FILE.csv. The caller's: free(); NULL when memory is
 * short. */
char *kti_scan_rejects_beside(const char *scan);

#endif
