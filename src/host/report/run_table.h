/* Finished runs beside each other: the scores of each, and where their recipes differ.
 *
 * The inner score is of rows of the training part that no weights were fitted to, so that a recipe may be chosen by it; a recipe that
 * was chosen by the score on the rows held out has no honest score left.
 */
#ifndef KTI_REPORT_RUN_TABLE_H
#define KTI_REPORT_RUN_TABLE_H

#include <jansson.h>

#include "report/plot.h"
#include "statistics/metrics.h"

typedef struct kti_run_row {
    char *run;             /* owned */
    json_t *settings;      /* the recipe's keys; of stages before the last "STAGE.key"; owned */
    int folds;             /* with finite scores */
    kti_summary inner;     /* MAPE of the chosen epoch on the inner rows; size 0: the run has no such score */
    kti_summary mape, sre; /* on the rows held out; of several stages those of the last */
} kti_run_row;

typedef struct kti_run_table {
    kti_run_row *run; /* [size]; owned */
    size_t size, capacity;
    const char **key; /* [keys] settings that are not the same in all runs; owned, the texts are the runs' */
    size_t keys;
} kti_run_table;

/* Adds a run folder. *finished is false, and nothing is added, where it has no metrics.json yet. */
kt_status kti_run_table_add(kti_run_table *table, const char *run, bool *finished, kt_error *error);

/* Finds out where the runs differ; after the last was added. */
kt_status kti_run_table_find_keys(kti_run_table *table, kt_error *error);

/* The run with the least inner score; -1 if none has one. */
int kti_run_table_best(const kti_run_table *table);

/* A setting as text; "" where the run doesn't have it. The caller's: free(); NULL when memory is short. */
char *kti_run_table_setting(const kti_run_row *run, const char *key);

/* Draws compare.svg, ...: both scores of every run with their standard deviations. */
kt_status kti_run_table_draw(const kti_run_table *table, kti_plots *plots, kt_error *error);

void kti_run_table_destroy(kti_run_table *table);

#endif
