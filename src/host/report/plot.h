/* Figures of a report: gnuplot draws each as SVG, which goes into the page, and, if asked for, as files.
 *
 * A figure's colours are these names. On a page they follow its light or dark; in a file they are as they stand here, on white.
 */
#ifndef KTI_REPORT_PLOT_H
#define KTI_REPORT_PLOT_H

#include <stdbool.h>

#include "base/text.h"

#define KTI_INK "#202124"
#define KTI_MUTED "#5f6368"
#define KTI_RULE "#dfe2e6"
#define KTI_BLUE "#2b6cb0"
#define KTI_ORANGE "#c05621"
#define KTI_GREEN "#2f855a"
#define KTI_PURPLE "#6b46c1"

typedef enum kti_plot_format { KTI_PLOT_SVG = 1, KTI_PLOT_PNG = 2, KTI_PLOT_PDF = 4 } kti_plot_format;

/* Where a report's figures are drawn. */
typedef struct kti_plots {
    const char *folder; /* exists */
    unsigned formats;   /* files to leave there, NAME.svg, ... and NAME.gp; 0: the folder is left empty */
    bool missing;       /* PATH has no gnuplot: figures are left out */
    int drawn;
} kti_plots;

enum { KTI_PLOT_WIDTH = 460, KTI_PLOT_HEIGHT = 350 }; /* what fits a phone with letters that can be read */

/* How a figure stands on the page: two in a row, or one that scrolls where the screen is narrow. */
typedef enum kti_plot_place {
    KTI_PLOT_HALF,
    KTI_PLOT_MAP,
    KTI_PLOT_PAPER /* as a map, on white also where it is dark: the figure has colours of its own */
} kti_plot_place;

/* Style that all figures share; axes, data and the plot command follow. */
void kti_plot_begin(kti_text *script);

/* A text of a user between quotes of gnuplot's. */
void kti_plot_quote(kti_text *script, const char *text);

/* Draws the script, of width x height pixels, and adds it to the page with its caption, which says what it shows. `name` is of
 * letters, digits and -, and unique within the page. Ends the script's memory in any case. KT_IO if gnuplot fails. */
kt_status kti_plot_finish(kti_plots *plots, const char *name, int width, int height, kti_plot_place place,
                          const char *caption, kti_text *script, kti_text *html, kt_error *error);

/* gnuplot's SVG of that width with its caption. `name` is of letters, digits and -, and unique within the page. */
void kti_plot_add(kti_text *html, const char *svg, const char *name, int width, kti_plot_place place,
                  const char *caption);

/* gnuplot's SVG as part of a page: colours by name, nothing that two figures would both call by the same name. */
void kti_plot_inline(kti_text *html, const char *svg, const char *name, const char *label);

#endif
