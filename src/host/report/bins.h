/* Counts of values in bins: what keeps a figure small however many rows it shows. */
#ifndef KTI_REPORT_BINS_H
#define KTI_REPORT_BINS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* `size` bins of `step` from `low`; of log10 of the value if `logarithmic`. What lies outside is counted in the bin at that end. */
typedef struct kti_axis {
    double low, step;
    int size;
    bool logarithmic;
} kti_axis;

/* Ten bins a decade, 1e-6 to 1e6: kappa, W/(m K), and its deviations. */
kti_axis kti_axis_of_kappa(void);

/* -1 for a value that has no place: not finite, or not above 0 on a logarithmic axis. */
int kti_axis_bin(const kti_axis *axis, double value);
/* The lower edge of a bin, in the value's unit. */
double kti_axis_edge(const kti_axis *axis, int bin);

/* Points of a plane: each as it is while they are few, and their counts. */
typedef struct kti_cloud {
    kti_axis x, y;
    int64_t size;          /* points that have a place on both axes */
    int64_t *count;        /* [x.size, y.size]; owned */
    double (*point)[2];    /* [min(size, KTI_CLOUD_POINTS)]; owned */
    double min[2], max[2]; /* of the points */
} kti_cloud;

enum { KTI_CLOUD_POINTS = 2500 };

kt_status kti_cloud_create(kti_axis x, kti_axis y, kti_cloud *cloud, kt_error *error);
void kti_cloud_destroy(kti_cloud *cloud);
void kti_cloud_add(kti_cloud *cloud, double x, double y);

/* Adds the data blocks and the elements of a plot command (a comma after each): points, or, of more than KTI_CLOUD_POINTS, cells that
 * are the darker the more points they hold. */
void kti_cloud_draw(const kti_cloud *cloud, const char *colour, kti_text *data, kti_text *plot);

/* What a caption has to say of it: "", or that cells stand for points. */
const char *kti_cloud_remark(const kti_cloud *cloud);

/* Shares, percent of `total`, of the bins that are not empty as a data block $NAME: lower edge, upper edge, share. */
void kti_bins_add_block(kti_text *data, const char *name, const kti_axis *axis, const int64_t *count,
                        int64_t total);

#endif
