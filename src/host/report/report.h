/* Reports: what a run, a data set, a scan or a reproduction of the paper shows, as one HTML file. */
#ifndef KTI_REPORT_REPORT_H
#define KTI_REPORT_REPORT_H

#include "report/plot.h"

typedef enum kti_report_kind {
    KTI_REPORT_RUN,         /* a folder with recipe.json */
    KTI_REPORT_DATASET,     /* a folder with id_prop.csv, or a table of crystals */
    KTI_REPORT_SCAN,        /* a table with X_mean and X_std */
    KTI_REPORT_REPRODUCTION /* a folder with tables.md of kappatune reproduce */
} kti_report_kind;

/* Errors of somebody else's folds on a data set, to stand beside a run's own. */
typedef struct kti_reference {
    char label[48];
    int size;
    const double *mape; /* [size] fractions; the giver's */
} kti_reference;

enum { KTI_MAX_REFERENCES = 16 };

typedef struct kti_report_options {
    const char *subject;       /* run folder, data set, scan or folder of a reproduction */
    const char *const *others; /* [other_count] data sets to hold a data set against */
    int other_count;
    const char *rejects; /* of a scan; NULL: beside it, as kappatune scan names them, if they are there */
    const char *out;     /* the HTML file */
    const char *folder;  /* where figures are drawn; exists */
    unsigned formats;    /* of kti_plot_format: files to keep in `folder` */
    int threads;         /* that read a data set */
    const char *version; /* of the program */
    /* What is known of a data set, by its name in metrics.json: how many are in `list`, and in *note a sentence about them for
     * the figure's caption. May be NULL. */
    int (*references)(const char *dataset, kti_reference list[KTI_MAX_REFERENCES], const char **note);
    void (*message)(void *user, const char *text); /* one line for a person; may be NULL */
    void *user;
} kti_report_options;

typedef struct kti_report_result {
    kti_report_kind kind;
    int figures;
    bool no_gnuplot; /* figures are missing */
    int rejected;    /* rows of a data set that could not be read */
} kti_report_result;

/* What `path` is. KT_BAD_ARGUMENT for what is none of them, saying what each would have. */
kt_status kti_report_find_kind(const char *path, kti_report_kind *kind, kt_error *error);

/* Writes the report. A scan may have however many rows. */
kt_status kti_report_write(const kti_report_options *options, kti_report_result *result, kt_error *error);

/* ---- the four of them: each adds its page ---- */

typedef struct kti_report {
    const kti_report_options *options;
    kti_report_result *result;
    kti_plots plots;
    kti_text html;
} kti_report;

kt_status kti_report_run(kti_report *report, kt_error *error);
kt_status kti_report_dataset(kti_report *report, kt_error *error);
kt_status kti_report_scan(kti_report *report, kt_error *error);
kt_status kti_report_reproduction(kti_report *report, kt_error *error);

#endif
