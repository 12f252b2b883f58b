#include "report/periodic.h"

#include <math.h>
#include <stdbool.h>

#include "report/html.h"

enum { CELL = 24, ROWS = 10, COLUMNS = 18, LANTHANUM = 57, LUTETIUM = 71, ACTINIUM = 89, LAWRENCIUM = 103 };

/* Column and row from 0; lanthanides and actinides in two rows of their own below, after a gap. */
static void place(int number, double *column, double *row)
{
    const bool lanthanide = number >= LANTHANUM && number <= LUTETIUM,
               actinide = number >= ACTINIUM && number <= LAWRENCIUM;
    *column = lanthanide ? 2 + number - LANTHANUM
              : actinide ? 2 + number - ACTINIUM
                         : kti_element_group(number) - 1;
    *row = lanthanide ? 7.4 : actinide ? 8.4 : kti_element_row(number) - 1;
}

static void add_cell(kti_text *html, int number, int count, int max)
{
    double column, row;
    place(number, &column, &row);
    const double x = column * CELL + 1, y = row * CELL + 1, middle = x + (CELL - 2) / 2.0,
                 share = count > 0 ? max > 1 ? log((double)count) / log((double)max) : 1 : 0;
    /* Letters stand out from any tint up to this one, in light and in dark. */
    const double opacity = count > 0 ? 0.12 + 0.43 * share : 0;
    const bool known = kti_element_type(number) >= 0;
    kti_text_add(html,
                 "<g><title>%s: %d</title><rect x=\"%.0f\" y=\"%.1f\" width=\"%d\" height=\"%d\" rx=\"2\" "
                 "fill=\"var(--blue)\" fill-opacity=\"%.2f\" stroke=\"var(--rule)\"%s/>",
                 kti_element_symbol(number), count, x, y, CELL - 2, CELL - 2, opacity,
                 known ? "" : " stroke-dasharray=\"2 2\"");
    kti_text_add(
        html,
        "<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" text-anchor=\"middle\" fill=\"var(--%s)\">%s</text>",
        middle, y + 11.5, count > 0 ? "ink" : "muted", kti_element_symbol(number));
    if (count > 0)
        kti_text_add(html,
                     "<text class=\"count\" x=\"%.1f\" y=\"%.1f\" font-size=\"6.5\" text-anchor=\"middle\" "
                     "fill=\"var(--ink)\">%d</text>",
                     middle, y + 19.5, count);
    kti_text_add(html, "</g>\n");
}

void kti_periodic_add(kti_text *html, const int count[KTI_ATOMIC_NUMBERS + 1], const char *caption)
{
    int max = 0;
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++)
        max = count[number] > max ? count[number] : max;
    kti_text_add(
        html,
        "<figure class=\"wide\" id=\"elements\">\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
        CELL * COLUMNS, CELL * ROWS - CELL / 2);
    kti_html_text(html, caption);
    kti_text_add(html, "\">\n");
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++)
        add_cell(html, number, count[number], max);
    kti_text_add(html, "</svg>\n<figcaption>");
    kti_html_text(html, caption);
    kti_text_add(html, "</figcaption>\n</figure>\n");
}
