#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/heatmap.h"
#include "report/html.h"
#include "report/report.h"
#include "report/scan_summary.h"
#include "statistics/correlation.h"
#include "statistics/metrics.h"

enum { TARGETS = 2, MAX_IN_MAP = 16, MAX_REJECTS = 20 };

static const char *unit_of(const kti_scan_summary *s)
{
    return strcmp(s->quantity, "kappa") == 0 ? "W/(m K)" : strcmp(s->quantity, "eform") == 0 ? "eV/atom" : "";
}

/* ---- figures ---- */

static kt_status draw_distribution(kti_report *report, const kti_scan_summary *s, kt_error *error)
{
    kti_text script = {0};
    char caption[200];
    kti_plot_begin(&script);
    kti_bins_add_block(&script, "shares", &s->axis, s->count, s->rows - s->without);
    kti_text_add(
        &script,
        "%sset xlabel 'mean %s, %s'\n"
        "set ylabel 'share of the crystals, %%'\n"
        "set yrange [0:*]\n"
        "set grid noxtics\n"
        "unset key\n"
        "plot $shares using ($1):3:1:2:(0):3 with boxxyerror fs solid 0.35 border lw 1 lc rgb '" KTI_BLUE
        "'\n",
        s->logarithmic ? "set logscale x\n" : "", s->quantity, unit_of(s));
    snprintf(caption, sizeof caption, "Distribution of the ensemble's mean, all %lld crystals, %s.",
             (long long)(s->rows - s->without), s->logarithmic ? "ten bins a decade" : "bins of 0.1");
    return kti_plot_finish(&report->plots, "distribution", KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF,
                           caption, &script, &report->html, error);
}

static kt_status draw_spread(kti_report *report, const kti_scan_summary *s, kt_error *error)
{
    kti_text script = {0}, plot = {0};
    char caption[500];
    kti_plot_begin(&script);
    kti_cloud_draw(&s->spread, KTI_BLUE, &script, &plot);
    kti_text_add(
        &script,
        "set logscale %s\nset xlabel 'mean %s, %s'\nset ylabel '%s'\nunset key\nplot %s 1/0 notitle\n",
        s->logarithmic ? "xy" : "y", s->quantity, unit_of(s),
        s->logarithmic ? "standard deviation / mean" : "standard deviation", plot.data ? plot.data : "");
    snprintf(
        caption, sizeof caption,
        "How far the members are apart: their standard deviation%s against their mean, %lld crystals.%s%s",
        s->logarithmic ? " as a share of the mean" : "", (long long)s->spread.size,
        s->spread.size < s->rows ? " Those whose members agree to the bit have no place." : "",
        kti_cloud_remark(&s->spread));
    script.failed = script.failed || plot.failed;
    kti_text_destroy(&plot);
    return kti_plot_finish(&report->plots, "spread", KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF, caption,
                           &script, &report->html, error);
}

/* ---- tables ---- */

static void add_extremes(kti_text *html, const kti_scan_summary *s, bool low)
{
    char low_end[32], high_end[32];
    const char *const header[] = {"crystal", "formula", "mean", "std", low_end, high_end};
    const kti_ranking *list = low ? &s->low : &s->top;
    char title[96];
    snprintf(low_end, sizeof low_end, "low, %d %%", s->level);
    snprintf(high_end, sizeof high_end, "high, %d %%", s->level);
    snprintf(title, sizeof title, "%s %s, %s", low ? "Lowest" : "Highest", s->quantity, unit_of(s));
    kti_html_heading(html, 3, title);
    kti_html_table_begin(html, 2, header, s->has_interval ? 6 : 4);
    for (int i = 0; i < list->size; i++) {
        const kti_scan_row *row = list->entry[i].item;
        kti_html_row_begin(html);
        kti_html_cell(html, "%s", row->id);
        kti_html_cell(html, "%s", row->formula);
        kti_html_number(html, row->mean);
        kti_html_number(html, row->sd);
        if (s->has_interval) {
            kti_html_number(html, row->lower);
            kti_html_number(html, row->upper);
        }
        kti_html_row_end(html);
    }
    kti_html_table_end(html);
}

static kt_status add_facts(kti_text *html, const kti_scan_summary *s, kt_error *error)
{
    kti_summary sampled;
    const int64_t counted = s->rows - s->without;
    kt_status status = kti_summarise(s->mean, (int)s->sampled, &sampled, error);
    kti_html_facts_begin(html);
    kti_html_fact(html, "rows", "%lld", (long long)s->rows);
    if (s->without)
        kti_html_fact(html, "without prediction", "%lld", (long long)s->without);
    kti_html_fact(html, "ensemble's mean", "min %.4g, %smedian %.4g, mean %.4g, max %.4g %s", s->min,
                  (int64_t)s->sampled < counted ? "approximate " : "", sampled.median,
                  s->sum / (double)counted, s->max, unit_of(s));
    if (s->logarithmic)
        kti_html_fact(html, "members disagree",
                      "%lld crystals (%.1f %%) have a standard deviation above half the mean",
                      (long long)s->beyond, 100.0 * (double)s->beyond / (double)counted);
    kti_html_facts_end(html);
    return status;
}

static void add_warnings(kti_text *html, const kti_scan_summary *s)
{
    static const char *const header[] = {"warning", "crystals", "share, %"};
    if (!s->has_warnings)
        return;
    kti_html_heading(html, 2, "Warnings");
    kti_html_paragraph(html, "", "%lld of %lld crystals have one.", (long long)s->warned_rows,
                       (long long)s->rows);
    if (s->warnings == 0)
        return;
    kti_html_table_begin(html, 1, header, 3);
    for (int i = 0; i < s->warnings; i++) {
        kti_html_row_begin(html);
        kti_html_cell(html, "%s", s->warning[i]);
        kti_html_cell(html, "%lld", (long long)s->warned[i]);
        kti_html_number(html, 100.0 * (double)s->warned[i] / (double)s->rows);
        kti_html_row_end(html);
    }
    kti_html_table_end(html);
    if (s->other_warnings)
        kti_html_paragraph(html, "note", "%lld warnings of further kinds.", (long long)s->other_warnings);
}

/* ---- correlations ---- */

/* Mean and variance of the sampled rows, as logarithms where the quantity spans decades: target[TARGETS][sampled]. */
static void fill_targets(const kti_scan_summary *s, double *target[TARGETS])
{
    for (size_t i = 0; i < s->sampled; i++) {
        const double mean = s->mean[i], variance = s->sd[i] * s->sd[i];
        target[0][i] = !s->logarithmic ? mean : mean > 0 ? log10(mean) : NAN;
        target[1][i] = !s->logarithmic ? variance : variance > 0 ? log10(variance) : NAN;
    }
}

static kt_status add_correlation_table(kti_text *html, const kti_scan_summary *s,
                                       double *const target[TARGETS], int which, kt_error *error)
{
    static const char *const header[] = {"feature", "crystals",       "Pearson's r", "p",
                                         "q",       "Spearman's rho", "p",           "q"};
    const size_t size = (size_t)s->features;
    kti_correlation *with = kti_allocate(size, sizeof *with);
    double *q = kti_allocate(2 * size, sizeof *q);
    kt_status status = with && q ? KT_OK : kti_fail_memory(error, "the report");
    for (size_t i = 0; i < size && status == KT_OK; i++) {
        status = kti_correlate(s->feature[i].value, target[which], s->sampled, &with[i], error);
        q[i] = with[i].pearson_p;
        q[size + i] = with[i].spearman_p;
    }
    if (status == KT_OK)
        status = kti_adjust_discoveries(q, size, q, error);
    if (status == KT_OK)
        status = kti_adjust_discoveries(q + size, size, q + size, error);
    if (status == KT_OK) {
        kti_html_heading(html, 3,
                         s->logarithmic ? (which ? "With log10 of the variance" : "With log10 of the mean")
                                        : (which ? "With the variance" : "With the mean"));
        kti_html_table_begin(html, 1, header, 8);
        for (size_t i = 0; i < size; i++) {
            const double numbers[] = {with[i].pearson,  with[i].pearson_p,  q[i],
                                      with[i].spearman, with[i].spearman_p, q[size + i]};
            kti_html_row_begin(html);
            kti_html_cell(html, "%s", s->feature[i].name);
            kti_html_cell(html, "%zu", with[i].size);
            for (int n = 0; n < 6; n++)
                if (n % 3 && numbers[n] == 0) /* less than a double can hold */
                    kti_html_cell(html, "< 1e-307");
                else if (isfinite(numbers[n]))
                    kti_html_cell(html, n % 3 ? "%.2g" : "%.3f", numbers[n]);
                else
                    kti_html_number(html, NAN);
            kti_html_row_end(html);
        }
        kti_html_table_end(html);
    }
    free(with);
    free(q);
    return status;
}

static kt_status draw_map(kti_report *report, const kti_scan_summary *s, double *const target[TARGETS],
                          kt_error *error)
{
    const int features = s->features < MAX_IN_MAP - TARGETS ? s->features : MAX_IN_MAP - TARGETS,
              size = features + TARGETS;
    const char *names[MAX_IN_MAP] = {s->logarithmic ? "log mean" : "mean",
                                     s->logarithmic ? "log variance" : "variance"};
    const double *values[MAX_IN_MAP] = {target[0], target[1]};
    double r[MAX_IN_MAP * MAX_IN_MAP];
    char caption[200];
    kti_text script = {0};
    int width, height;
    kt_status status = KT_OK;
    for (int i = 0; i < features; i++) {
        names[TARGETS + i] = s->feature[i].name;
        values[TARGETS + i] = s->feature[i].value;
    }
    for (int i = 0; i < size; i++)
        for (int j = 0; j <= i && status == KT_OK; j++) {
            kti_correlation c;
            status = kti_correlate(values[i], values[j], s->sampled, &c, error);
            r[i * size + j] = r[j * size + i] = c.pearson;
        }
    if (status != KT_OK)
        return status;
    kti_plot_begin(&script);
    kti_text_add(&script, "set grid noxtics noytics\nset cblabel tc rgb '" KTI_INK
                          "'\nset cbtics textcolor rgb '" KTI_INK "'\n");
    kti_heatmap_add(&script, names, r, (size_t)size, &width, &height);
    snprintf(caption, sizeof caption, "Pearson's r of all with one another.%s",
             features < s->features ? " The first features alone." : "");
    return kti_plot_finish(&report->plots, "correlation", width, height, KTI_PLOT_MAP, caption, &script,
                           &report->html, error);
}

static kt_status add_correlations(kti_report *report, const kti_scan_summary *s, kt_error *error)
{
    kti_text *html = &report->html;
    double *target[TARGETS] = {kti_allocate(s->sampled, sizeof(double)),
                               kti_allocate(s->sampled, sizeof(double))};
    kt_status status = target[0] && target[1] ? KT_OK : kti_fail_memory(error, "the report");
    kti_html_heading(html, 2, "Correlations");
    if (status == KT_OK) {
        fill_targets(s, target);
        kti_html_paragraph(
            html, "note",
            "p: the chance of a coefficient as far from zero without any correlation (two-sided, Student's "
            "t); q adjusts it for all features of the table (Benjamini and Hochberg). Crystals that resemble "
            "one another are not independent, as p supposes, and a correlation says nothing of causes.");
        if ((int64_t)s->sampled < s->rows - s->without)
            kti_html_paragraph(html, "note", "Of %zu rows that were drawn evenly from all.", s->sampled);
    }
    for (int which = 0; which < TARGETS && status == KT_OK; which++)
        status = add_correlation_table(html, s, target, which, error);
    if (status == KT_OK)
        status = draw_map(report, s, target, error);
    free(target[0]);
    free(target[1]);
    return status;
}

/* ---- rejects ---- */

static kt_status list_rejects(kti_text *html, const char *path, kt_error *error)
{
    static const char *const header[] = {"crystal", "reason"};
    kti_csv csv;
    bool found = true;
    int64_t size = -1; /* the header */
    kti_text table = {0};
    kt_status status = kti_csv_open_stream(path, &csv, error);
    kti_html_table_begin(&table, 2, header, 2);
    while (status == KT_OK && found) {
        status = kti_csv_next(&csv, &found, error);
        if (status != KT_OK || !found)
            break;
        if (csv.fields != 3)
            status = kti_fail_line(error, KT_BAD_FORMAT, path, csv.line,
                                   "is no line of a scan's rejects: id,line,reason");
        if (++size > 0 && size <= MAX_REJECTS && status == KT_OK) {
            kti_html_row_begin(&table);
            kti_html_cell(&table, "%s", csv.field[0]);
            kti_html_cell(&table, "%s", csv.field[2]);
            kti_html_row_end(&table);
        }
    }
    kti_html_table_end(&table);
    kti_csv_close(&csv);
    size = size < 0 ? 0 : size;
    if (status == KT_OK) {
        if (size == 0)
            kti_html_paragraph(html, "", "None: every crystal could be used.");
        else
            kti_html_paragraph(html, "", "%lld crystal%s could not be used%s", (long long)size,
                               size == 1 ? "" : "s", size > MAX_REJECTS ? "; the first of them:" : ":");
        if (size > 0)
            kti_text_add(html, "%s", table.data ? table.data : "");
        html->failed = html->failed || table.failed;
    }
    kti_text_destroy(&table);
    return status;
}

static kt_status add_rejects(kti_report *report, kt_error *error)
{
    const kti_report_options *o = report->options;
    char *beside = kti_scan_rejects_beside(o->subject);
    const char *path = o->rejects ? o->rejects : beside;
    kt_status status = beside ? KT_OK : kti_fail_memory(error, "a path");
    kti_html_heading(&report->html, 2, "Rejects");
    if (status == KT_OK && !o->rejects && !kti_file_exists(path))
        kti_html_paragraph(&report->html, "note", "There is no file of rejects beside the scan.");
    else if (status == KT_OK)
        status = list_rejects(&report->html, path, error);
    free(beside);
    return status;
}

kt_status kti_report_scan(kti_report *report, kt_error *error)
{
    kti_scan_summary s;
    kti_text *html = &report->html;
    kt_status status = kti_scan_summarise(report->options->subject, &s, error);
    if (status == KT_OK) {
        kti_html_begin(html, "Scan", report->options->subject);
        status = add_facts(html, &s, error);
        kti_text_add(html, "<div class=\"figures\">\n");
    }
    if (status == KT_OK)
        status = draw_distribution(report, &s, error);
    if (status == KT_OK && s.spread.size > 0)
        status = draw_spread(report, &s, error);
    if (status == KT_OK) {
        kti_text_add(html, "</div>\n");
        kti_html_heading(html, 2, "Extremes");
        add_extremes(html, &s, true);
        add_extremes(html, &s, false);
        add_warnings(html, &s);
    }
    if (status == KT_OK && s.features > 0)
        status = add_correlations(report, &s, error);
    if (status == KT_OK)
        status = add_rejects(report, error);
    kti_scan_summary_destroy(&s);
    return status;
}
