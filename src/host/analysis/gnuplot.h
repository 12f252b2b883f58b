/* gnuplot, as a process of its own. */
#ifndef KTI_ANALYSIS_GNUPLOT_H
#define KTI_ANALYSIS_GNUPLOT_H

#include <stdbool.h>

#include <kappatune/error.h>

/* Runs `gnuplot script` in `folder`, which holds it, and waits. *found is false, and that is no error, where PATH has no gnuplot.
 * KT_IO if it fails, with the command that shows its message. */
kt_status kti_gnuplot(const char *folder, const char *script, bool *found, kt_error *error);

#endif
