#include "report/plot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "report/gnuplot.h"
#include "report/html.h"

enum { SVG_LIMIT = 64 << 20, PNG_SCALE = 2, PIXELS_AN_INCH = 96 };

static const struct {
    const char *colour, *name;
} colours[] = {{KTI_INK, "ink"},       {KTI_MUTED, "muted"}, {KTI_RULE, "rule"},    {KTI_BLUE, "blue"},
               {KTI_ORANGE, "orange"}, {KTI_GREEN, "green"}, {KTI_PURPLE, "purple"}};

void kti_plot_begin(kti_text *script)
{
    kti_text_add(script,
                 "set border 3 lc rgb '" KTI_INK "'\nset tics nomirror out scale 0.5 textcolor rgb '" KTI_INK
                 "'\nset grid lt 1 lw 1 lc rgb '" KTI_RULE "'\nset key textcolor rgb '" KTI_INK
                 "' samplen 1.5\nset xlabel tc rgb '" KTI_INK "'\nset ylabel tc rgb '" KTI_INK
                 "'\nset format '%%g'\nset style boxplot nooutliers\n");
}

void kti_plot_quote(kti_text *script, const char *text)
{
    kti_text_add(script, "'");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        kti_text_add(script, *c == '\'' ? "''" : *c < ' ' || *c > '~' ? "?" : "%c", *c);
    kti_text_add(script, "'");
}

/* ---- SVG to page ---- */

/* rgb(R,G,B) with blanks anywhere, as one of our names; what it takes of `at`, 0 if it is none. */
static size_t add_colour(kti_text *html, const char *at)
{
    char colour[40];
    int red, green, blue, length = 0;
    if (sscanf(at, "rgb( %d , %d , %d )%n", &red, &green, &blue, &length) != 3 || length == 0)
        return 0;
    snprintf(colour, sizeof colour, "#%02x%02x%02x", red, green, blue);
    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++)
        if (strcmp(colours[i].colour, colour) == 0) {
            kti_text_add(html, "var(--%s)", colours[i].name);
            return (size_t)length;
        }
    return 0;
}

/* What begins at `at` and is of no use on a page; 0: nothing. */
static size_t skip(const char *at)
{
    static const char *const useless[] = {" font-family=\"Sans\"", " color=\"black\"", " class=\"gridline\""};
    static const char *const blocks[][2] = {
        {"<title>", "</title>"}, {"<desc>", "</desc>"}, {"<filter", "</filter>"}};
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++)
        if (strncmp(at, useless[i], strlen(useless[i])) == 0)
            return strlen(useless[i]);
    if (strncmp(at, " id=\"gnuplot_", 13) == 0) /* all figures call theirs so */
        return 5 + strcspn(at + 5, "\"") + 1;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        const char *end =
            strncmp(at, blocks[i][0], strlen(blocks[i][0])) == 0 ? strstr(at, blocks[i][1]) : NULL;
        if (end)
            return (size_t)(end - at) + strlen(blocks[i][1]);
    }
    if (strncmp(at, "<g fill=", 8) == 0) { /* a group without content, of which gnuplot writes many */
        const char *end = strchr(at, '>');
        const char *next = end ? end + 1 + strspn(end + 1, " \t\n") : at;
        if (end && strncmp(next, "</g>", 4) == 0)
            return (size_t)(next - at) + 4;
    }
    return 0;
}

/* A name within the file, made the figure's own. */
static size_t add_own_name(kti_text *html, const char *at, const char *name)
{
    if (strncmp(at, "gpPt", 4) != 0 && strncmp(at, "gpDot", 5) != 0)
        return 0;
    kti_text_add(html, "%s-", name);
    return 2;
}

void kti_plot_inline(kti_text *html, const char *svg, const char *name, const char *label)
{
    const char *root = strstr(svg, "<svg"), *box = root ? strstr(root, "viewBox=\"") : NULL,
               *content = box ? strchr(box, '>') : NULL, *end = content ? strstr(content, "</svg>") : NULL;
    if (!end)
        return;
    const int quote = (int)strcspn(box + 9, "\"");
    kti_text_add(html, "<svg viewBox=\"%.*s\" role=\"img\" aria-label=\"", quote, box + 9);
    kti_html_text(html, label);
    kti_text_add(html, "\">\n");
    for (const char *at = content + 1; at < end && !html->failed;) {
        size_t taken = skip(at);
        if (taken == 0)
            taken = *at == 'r' ? add_colour(html, at) : *at == 'g' ? add_own_name(html, at, name) : 0;
        if (taken == 0 && strncmp(at, "xlink:", 6) == 0)
            taken = 6;
        if (taken == 0 && (*at == '\n' || *at == '\t' || *at == ' ')) { /* runs of blanks */
            taken = strspn(at, " \t\n");
            kti_text_add(html, memchr(at, '\n', taken) ? "\n" : " ");
        }
        if (taken == 0) {
            taken = 1 + strcspn(at + 1, "<rgx \t\n");
            kti_text_add(html, "%.*s", (int)taken, at);
        }
        at += taken;
    }
    kti_text_add(html, "</svg>\n");
}

/* ---- drawing ---- */

static void add_files(kti_text *whole, const kti_plots *plots, const char *name, int width, int height)
{
    if (plots->formats & KTI_PLOT_SVG)
        kti_text_add(whole,
                     "set terminal svg noenhanced size %d,%d font 'Sans,14' background 'white'\n"
                     "set output '%s.svg'\nreplot\n",
                     width, height, name);
    if (plots->formats & KTI_PLOT_PNG)
        kti_text_add(whole,
                     "set terminal pngcairo noenhanced size %d,%d font 'Sans,%d' linewidth %d pointscale %d\n"
                     "set output '%s.png'\nreplot\n",
                     PNG_SCALE * width, PNG_SCALE * height, 11 * PNG_SCALE, PNG_SCALE, PNG_SCALE, name);
    if (plots->formats & KTI_PLOT_PDF)
        kti_text_add(whole,
                     "set terminal pdfcairo noenhanced size %.2fin,%.2fin font 'Sans,11'\n"
                     "set output '%s.pdf'\nreplot\n",
                     (double)width / PIXELS_AN_INCH, (double)height / PIXELS_AN_INCH, name);
    kti_text_add(whole, "unset output\n");
}

static kt_status draw(kti_plots *plots, const char *script_name, const char *svg_path, kti_text *svg,
                      kt_error *error)
{
    bool found = true;
    kt_status status = kti_gnuplot(plots->folder, script_name, &found, error);
    plots->missing = !found;
    if (status == KT_OK && found)
        status = kti_file_read(svg_path, SVG_LIMIT, &svg->data, &svg->size, error);
    return status;
}

void kti_plot_add(kti_text *html, const char *svg, const char *name, int width, kti_plot_place place,
                  const char *caption)
{
    static const char *const classes[] = {"", "wide map", "wide map paper"};
    kti_text_add(html, "<figure class=\"%s\" id=\"%s\">\n", classes[place], name);
    if (place != KTI_PLOT_HALF) /* scrolls rather than have numbers that nobody can read */
        kti_text_add(html, "<div style=\"min-width:%dpx\">\n", (int)(0.85 * width));
    kti_plot_inline(html, svg, name, caption);
    kti_text_add(html, place != KTI_PLOT_HALF ? "</div>\n" : "");
    kti_text_add(html, "<figcaption>");
    kti_html_text(html, caption);
    kti_text_add(html, "</figcaption>\n</figure>\n");
}

kt_status kti_plot_finish(kti_plots *plots, const char *name, int width, int height, kti_plot_place place,
                          const char *caption, kti_text *script, kti_text *html, kt_error *error)
{
    kti_text whole = {0}, svg = {0};
    char file[128], inline_file[128];
    snprintf(file, sizeof file, "%s.gp", name);
    snprintf(inline_file, sizeof inline_file, "%s.page.svg", name);
    char *path = kti_path_join(plots->folder, file), *svg_path = kti_path_join(plots->folder, inline_file);
    kti_text_add(&whole,
                 "# Drawn by kappatune; draw it again: gnuplot on this file, in its folder.\n"
                 "set terminal svg noenhanced size %d,%d dynamic font 'Sans,14'\nset output '%s'\n%s",
                 width, height, inline_file, script->data ? script->data : "");
    add_files(&whole, plots, name, width, height);
    kt_status status =
        path && svg_path && !whole.failed && !script->failed ? KT_OK : kti_fail_memory(error, "a figure");
    if (status == KT_OK && !plots->missing) {
        status = kti_file_write(path, whole.data, whole.size, error);
        if (status == KT_OK)
            status = draw(plots, file, svg_path, &svg, error);
        unlink(svg_path);
        if (status == KT_OK && plots->formats == 0)
            unlink(path);
    }
    if (status == KT_OK && svg.data) {
        kti_plot_add(html, svg.data, name, width, place, caption);
        plots->drawn++;
    }
    kti_text_destroy(&whole);
    kti_text_destroy(&svg);
    kti_text_destroy(script);
    free(path);
    free(svg_path);
    return status;
}
