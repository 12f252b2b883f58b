/* Scans of the same crystals by several models, beside one another: how far the members of each are apart, what they predict at
 * most, what their means and variances go with. The paper's Figs. 7 to 9 and Tables 1 to 4.
 */
#ifndef KTI_REPORT_COMPARISON_H
#define KTI_REPORT_COMPARISON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "report/columns.h"

enum { KTI_COMPARED_SCANS = 16, KTI_KAPPA_GROUPS = 7 };

typedef struct kti_compared {
    const char *name;        /* the caller's */
    double of_training;      /* variance of kappa in the model's training data; NaN: nobody said */
    double *mean, *variance; /* [rows] of the members, W/(m K) and its square; owned */
    size_t rows;             /* of the first scan's that this one has too */
    double quantile[5];      /* of the variance: 5, 25, 50, 75 and 95 % */
    double max;              /* mean */
    double min;
    size_t group[KTI_KAPPA_GROUPS]; /* crystals by their mean */
} kti_compared;

typedef struct kti_comparison {
    kti_columns columns; /* of the first scan, whose crystals count */
    int size;
    kti_compared scan[KTI_COMPARED_SCANS];
} kti_comparison;

/* Reads the scans paths[size], rows matched by id; names[size] must outlive the comparison. KT_BAD_FORMAT for what is no scan of kappa;
 * KT_BAD_ARGUMENT where a scan has no crystal of the first one. */
kt_status kti_comparison_read(const char *const *paths, const char *const *names, int size,
                              kti_comparison *comparison, kt_error *error);
void kti_comparison_destroy(kti_comparison *comparison);

/* As Markdown: variances, groups, and each model's correlations with the features whose |r| is above `threshold`. */
kt_status kti_comparison_describe(const kti_comparison *comparison, double threshold, kti_text *text,
                                  kt_error *error);

/* Draws variance, groups and correlation, as PNG, SVG and gnuplot's script, into `folder`, which is made. Cells of the map with |r| below
 * `threshold` are left blank. `title` says what the crystals are. *drawn becomes false where there is no gnuplot: the scripts are there all the
 * same. */
kt_status kti_comparison_draw(const kti_comparison *comparison, const char *folder, const char *title,
                              double threshold, bool *drawn, kt_error *error);

#endif
