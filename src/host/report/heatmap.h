/* The correlations of many columns with one another as a picture, by gnuplot. */
#ifndef KTI_REPORT_HEATMAP_H
#define KTI_REPORT_HEATMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Writes FOLDER/correlation.gp, with its numbers, and draws correlation.png and .svg from it: r [size, size], NaN where there is none,
 * under names[size]. The folder is made if missing; *drawn as for
 * kti_figure_finish. */
kt_status kti_heatmap_draw(const char *folder, const char *title, const char *const *names, const double *r,
                           size_t size, bool *drawn, kt_error *error);

/* Adds data, axes and plot command of the same picture, whose size in pixels it says, to a script that has its terminal. */
void kti_heatmap_add(kti_text *script, const char *const *names, const double *r, size_t size, int *width,
                     int *height);

#endif
