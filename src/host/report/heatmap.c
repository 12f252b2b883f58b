#include "report/heatmap.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "report/gnuplot.h"

enum { CELL = 62, LETTER = 9, MIN_MARGIN = 90, TITLE = 40, BAR = 110 }; /* pixels */

/* A text between single quotes. */
static void add_quoted(kti_text *script, const char *text)
{
    kti_text_add(script, "'");
    for (const char *c = text; *c; c++)
        kti_text_add(script, *c == '\'' ? "''" : (unsigned char)*c < ' ' ? "?" : "%c", *c);
    kti_text_add(script, "'");
}

static void add_tics(kti_text *script, char axis, const char *const *names, size_t size)
{
    kti_text_add(script, "set %ctics %s(", axis, axis == 'x' ? "rotate by 45 right " : "");
    for (size_t i = 0; i < size; i++) {
        kti_text_add(script, i ? ", " : "");
        add_quoted(script, names[i]);
        kti_text_add(script, " %zu", i);
    }
    kti_text_add(script, ")\n");
}

/* Numbers on the cells: white where the cell is dark. */
static void add_labels(kti_text *script, const double *r, size_t size)
{
    for (size_t i = 0; i < size * size; i++)
        if (isfinite(r[i]))
            kti_text_add(script, "set label '%.2f' at %zu,%zu center front font ',10' tc rgb '%s'\n", r[i],
                         i % size, i / size, fabs(r[i]) > 0.6 ? "white" : "black");
}

/* Room for the longest name. */
static int margin_of(const char *const *names, size_t size)
{
    size_t longest = 0;
    for (size_t i = 0; i < size; i++)
        longest = strlen(names[i]) > longest ? strlen(names[i]) : longest;
    const int wanted = LETTER * (int)(longest < 80 ? longest : 80) + 20;
    return wanted > MIN_MARGIN ? wanted : MIN_MARGIN;
}

void kti_heatmap_add(kti_text *s, const char *const *names, const double *r, size_t size, int *width,
                     int *height)
{
    const int margin = margin_of(names, size);
    *width = margin + CELL * (int)size + BAR;
    *height = TITLE + CELL * (int)size + margin;
    kti_text_add(s, "$r << EOD\n");
    for (size_t row = 0; row < size; row++)
        for (size_t column = 0; column < size; column++)
            if (isfinite(r[row * size + column]))
                kti_text_add(s, "%zu %zu %.6f\n", column, row, r[row * size + column]);
    const double w = *width, h = *height, right = margin + CELL * (double)size;
    kti_text_add(s, "EOD\nset lmargin at screen %.4f\nset rmargin at screen %.4f\n", margin / w, right / w);
    kti_text_add(s, "set bmargin at screen %.4f\nset tmargin at screen %.4f\n", margin / h, right / h);
    /* In pixels, since gnuplot's own bar grows with the map and pushes its label out of the figure. */
    kti_text_add(s, "set colorbox user origin screen %.4f, screen %.4f size screen %.4f, screen %.4f\n",
                 (right + 14) / w, margin / h, 20 / w, CELL * (double)size / h);
    kti_text_add(s, "set xrange [-0.5:%.1f]\nset yrange [%.1f:-0.5]\nset cbrange [-1:1]\n",
                 (double)size - 0.5, (double)size - 0.5);
    kti_text_add(
        s, "set cblabel \"Pearson's r\"\nset palette defined (-1 '#2166ac', -0.5 '#92c5de', 0 '#f7f7f7', 0.5 "
           "'#f4a582', 1 '#b2182b')\n");
    kti_text_add(s, "unset key\nset tics nomirror scale 0\nset border 0\n");
    add_tics(s, 'x', names, size);
    add_tics(s, 'y', names, size);
    add_labels(s, r, size);
    /* Cells as boxes, since `with image` of pngcairo blurs them. */
    kti_text_add(s,
                 "plot $r using 1:2:(0.49):(0.49):3 with boxxyerror fillstyle solid noborder lc palette\n");
}

kt_status kti_heatmap_draw(const char *folder, const char *title, const char *const *names, const double *r,
                           size_t size, bool *drawn, kt_error *error)
{
    kti_figure figure = {.folder = folder, .name = "correlation"};
    kti_text script = {0}, body = {0};
    kti_heatmap_add(&body, names, r, size, &figure.width, &figure.height);
    kti_figure_begin(&figure, &script);
    kti_text_add(&script, "set title ");
    add_quoted(&script, title);
    kti_text_add(&script, "\n%s", body.data ? body.data : "");
    script.failed = script.failed || body.failed;
    kt_status status = kti_make_folder(folder, error);
    if (status == KT_OK)
        status = kti_figure_finish(&figure, &script, drawn, error);
    kti_text_destroy(&script);
    kti_text_destroy(&body);
    return status;
}
