/* gnuplot, as a process of its own. */
#ifndef KTI_REPORT_GNUPLOT_H
#define KTI_REPORT_GNUPLOT_H

#include <stdbool.h>

#include "base/text.h"

/* A figure in files: FOLDER/NAME.gp, which draws NAME.png and NAME.svg from it. */
typedef struct kti_figure {
    const char *folder, *name; /* the folder is there when it is finished */
    int width, height;         /* pixels */
    bool enhanced;             /* gnuplot's markup, x^2 and the like, in what does not say noenhanced */
} kti_figure;

/* How the script begins; title, axes, data and the plot command follow. */
void kti_figure_begin(const kti_figure *figure, kti_text *script);

/* Ends the script, writes it, and draws it unless *drawn is false already; *drawn becomes false where there is no gnuplot. The caller
 * destroys the script. */
kt_status kti_figure_finish(const kti_figure *figure, kti_text *script, bool *drawn, kt_error *error);

/* Runs `gnuplot script` in `folder`, which holds it, and waits. *found is false, and that is no error, where PATH has no gnuplot.
 * KT_IO if it fails, with the command that shows its message. */
kt_status kti_gnuplot(const char *folder, const char *script, bool *found, kt_error *error);

#endif
