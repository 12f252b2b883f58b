#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/bins.h"
#include "report/dataset_summary.h"
#include "report/html.h"
#include "report/periodic.h"
#include "report/report.h"

enum { MAX_LISTED = 50, MAX_OVERLAYS = 4 };

static kt_status read_set(const kti_report *report, const char *path, kti_dataset *dataset, kt_error *error)
{
    kti_dataset_options options = kti_dataset_options_default();
    options.threads = report->options->threads;
    return kti_dataset_read(path, &options, dataset, error);
}

/* ---- kappa ---- */

static void count_kappa(const kti_dataset *dataset, const kti_axis *axis, int64_t *count)
{
    memset(count, 0, (size_t)axis->size * sizeof *count);
    for (int i = 0; i < dataset->size; i++)
        count[kti_axis_bin(axis, dataset->crystals[i].kappa)]++;
}

/* The distribution of each of `sets`, that of the first filled. */
static kt_status draw_kappa(kti_report *report, const kti_dataset *sets, int size, kt_error *error)
{
    static const char *const colours[] = {KTI_BLUE, KTI_ORANGE, KTI_GREEN, KTI_PURPLE, KTI_MUTED};
    const kti_axis axis = {.low = -6, .step = 0.2, .size = 60, .logarithmic = true};
    int64_t *count = kti_allocate((size_t)axis.size, sizeof *count);
    kti_text script = {0}, plot = {0};
    char name[16], caption[300];
    if (!count)
        return kti_fail_memory(error, "a figure");
    kti_plot_begin(&script);
    for (int i = 0; i < size && i <= MAX_OVERLAYS; i++) {
        count_kappa(&sets[i], &axis, count);
        snprintf(name, sizeof name, "set%d", i);
        kti_bins_add_block(&script, name, &axis, count, sets[i].size);
        kti_text_add(&plot, "%s$%s using (sqrt($1*$2)):3:1:2:(0):3 with boxxyerror %s lc rgb '%s' title ",
                     i ? ", " : "", name, i ? "fs empty border lw 1.5" : "fs solid 0.35 border lw 1",
                     colours[i]);
        kti_plot_quote(&plot, sets[i].name);
    }
    kti_text_add(
        &script,
        "set logscale x\nset xlabel 'kappa, W/(m K)'\nset ylabel 'share of the crystals, %%'\nset yrange "
        "[0:*]\nset grid noxtics\n%splot %s\n",
        size > 1 ? "set key outside center top horizontal\n" : "unset key\n", plot.data ? plot.data : "");
    snprintf(caption, sizeof caption,
             "Distribution of the thermal conductivity at 300 K, five bins a decade.%s",
             size > MAX_OVERLAYS + 1 ? " Not all data sets are drawn." : "");
    script.failed = script.failed || plot.failed;
    kti_text_destroy(&plot);
    free(count);
    return kti_plot_finish(&report->plots, "kappa", KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF, caption,
                           &script, &report->html, error);
}

static kt_status draw_sizes(kti_report *report, const kti_dataset *dataset, kt_error *error)
{
    const kti_axis sites = {.low = 0, .step = 0.05, .size = 80, .logarithmic = true};
    kti_cloud cloud = {0};
    kti_text script = {0}, plot = {0};
    char caption[300];
    kt_status status = kti_cloud_create(sites, kti_axis_of_kappa(), &cloud, error);
    for (int i = 0; i < dataset->size && status == KT_OK; i++)
        kti_cloud_add(&cloud, dataset->crystals[i].graph.sites, dataset->crystals[i].kappa);
    if (status == KT_OK) {
        kti_plot_begin(&script);
        kti_cloud_draw(&cloud, KTI_BLUE, &script, &plot);
        kti_text_add(&script,
                     "set logscale xy\nset xtics (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)\nset xrange "
                     "[0.8:%.4g]\nset yrange [%.4g:%.4g]\nunset key\n"
                     "set xlabel 'sites of the cell'\nset ylabel 'kappa, W/(m K)'\nplot %s 1/0 notitle\n",
                     cloud.max[0] * 1.3, cloud.min[1] / 1.5, cloud.max[1] * 1.5, plot.data ? plot.data : "");
        snprintf(caption, sizeof caption, "Size of the cell and kappa, %lld crystals.%s",
                 (long long)cloud.size, kti_cloud_remark(&cloud));
        script.failed = script.failed || plot.failed;
        status = kti_plot_finish(&report->plots, "sizes", KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF,
                                 caption, &script, &report->html, error);
    }
    kti_text_destroy(&plot);
    kti_text_destroy(&script);
    kti_cloud_destroy(&cloud);
    return status;
}

static void add_facts(kti_text *html, const kti_dataset *dataset, const kti_statistics *s)
{
    int covered = 0;
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++)
        covered += s->crystals_with[number] > 0;
    kti_html_facts_begin(html);
    kti_html_fact(html, "crystals", "%d usable, %d rejected", dataset->size, dataset->rejected);
    kti_html_fact(html, "kappa, W/(m K)", "min %.4g, median %.4g, mean %.4g, max %.4g", s->min, s->median,
                  s->mean, s->max);
    kti_html_fact(html, "sites per cell", "mean %.1f, max %lld; of the symmetry quotient mean %.1f, max %lld",
                  s->sites.mean, (long long)s->sites.max, s->quotient_nodes.mean,
                  (long long)s->quotient_nodes.max);
    kti_html_fact(html, "neighbours per cell", "mean %.1f, max %lld; of the quotient mean %.1f, max %lld",
                  s->edges.mean, (long long)s->edges.max, s->quotient_edges.mean,
                  (long long)s->quotient_edges.max);
    kti_html_fact(html, "elements", "%d of the %d that the network knows", covered, KTI_ELEMENT_TYPES);
    kti_html_facts_end(html);
}

/* ---- duplicates, overlap, rejects ---- */

static void add_duplicates(kti_text *html, const kti_dataset *dataset, const kti_statistics *s)
{
    static const char *const header[] = {"formula", "crystal", "same as", "kappa, W/(m K)", "kappa of that"};
    kti_html_heading(html, 2, "Duplicates");
    if (s->pairs_size == 0) {
        kti_html_paragraph(html, "", "No two crystals look the same to the network.");
        return;
    }
    kti_html_paragraph(html, "",
                       "%zu crystal%s to the network like an earlier one: their quotient graphs are equal.",
                       s->pairs_size, s->pairs_size == 1 ? " looks" : "s look");
    kti_html_table_begin(html, 3, header, 5);
    for (size_t i = 0; i < s->pairs_size && i < MAX_LISTED; i++) {
        const kti_crystal *first = &dataset->crystals[s->pairs[i].first],
                          *second = &dataset->crystals[s->pairs[i].second];
        kti_html_row_begin(html);
        kti_html_cell(html, "%s", second->formula);
        kti_html_cell(html, "%s", second->id);
        kti_html_cell(html, "%s", first->id);
        kti_html_number(html, second->kappa);
        kti_html_number(html, first->kappa);
        kti_html_row_end(html);
    }
    kti_html_table_end(html);
    if (s->pairs_size > MAX_LISTED)
        kti_html_paragraph(html, "note", "The first %d; kappatune data stats lists all.", MAX_LISTED);
}

static int root_of(int *leader, int i)
{
    while (leader[i] != i)
        i = leader[i] = leader[leader[i]];
    return i;
}

/* How many crystals of each of two sets have a partner in the other. */
static kt_status count_overlap(const kti_dataset *first, const kti_dataset *second, int shared[2],
                               kt_error *error)
{
    kti_duplicate *pairs = NULL;
    size_t size = 0;
    const int all = first->size + second->size;
    /* Both sets' crystals, borrowed. */
    const kti_dataset both = {.size = all, .crystals = kti_allocate((size_t)all, sizeof *both.crystals)};
    int *leader = kti_allocate((size_t)all, sizeof *leader); /* of groups of equal crystals */
    bool(*has)[2] =
        kti_allocate((size_t)all, sizeof *has); /* which sets a group has crystals of, at its root */
    kt_status status = both.crystals && leader && has ? KT_OK : kti_fail_memory(error, "the report");
    shared[0] = shared[1] = 0;
    if (status == KT_OK) {
        memcpy(both.crystals, first->crystals, (size_t)first->size * sizeof *both.crystals);
        memcpy(both.crystals + first->size, second->crystals, (size_t)second->size * sizeof *both.crystals);
        status = kti_find_duplicates(&both, &pairs, &size, error);
    }
    for (int i = 0; i < all && status == KT_OK; i++)
        leader[i] = i;
    for (size_t i = 0; i < size; i++)
        leader[root_of(leader, pairs[i].second)] = root_of(leader, pairs[i].first);
    for (int i = 0; i < all && status == KT_OK; i++)
        has[root_of(leader, i)][i >= first->size] = true;
    for (int i = 0; i < all && status == KT_OK; i++) {
        const int root = root_of(leader, i);
        shared[i >= first->size] += has[root][0] && has[root][1];
    }
    free(both.crystals);
    free(pairs);
    free(leader);
    free(has);
    return status;
}

static kt_status add_overlap(kti_report *report, const kti_dataset *sets, kt_error *error)
{
    static const char *const header[] = {"data set", "crystals", "rejected", "here that are there",
                                         "there that are here"};
    const kti_report_options *o = report->options;
    kti_text *html = &report->html;
    kt_status status = KT_OK;
    kti_html_heading(html, 2, "Overlap with other data sets");
    kti_html_table_begin(html, 1, header, 5);
    for (int i = 0; i < o->other_count && status == KT_OK; i++) {
        int shared[2];
        if (sets[i + 1].size > INT32_MAX - sets[0].size)
            status = kti_fail(error, KT_BAD_ARGUMENT, "the data sets are too large together");
        else if (kti_dataset_fingerprint(&sets[i + 1]) == kti_dataset_fingerprint(&sets[0]))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, o->others[i], "holds the same crystals as %s",
                                   o->subject);
        else
            status = count_overlap(&sets[0], &sets[i + 1], shared, error);
        if (status == KT_OK) {
            kti_html_row_begin(html);
            kti_html_cell(html, "%s", o->others[i]);
            kti_html_cell(html, "%d", sets[i + 1].size);
            kti_html_cell(html, "%d", sets[i + 1].rejected);
            kti_html_cell(html, "%d", shared[0]);
            kti_html_cell(html, "%d", shared[1]);
            kti_html_row_end(html);
        }
    }
    kti_html_table_end(html);
    kti_html_paragraph(
        html, "note",
        "Crystals with equal quotient graphs, distances to 1e-4 \xC3\x85, whatever their kappa.");
    return status;
}

static void add_rejects(kti_text *html, const kti_dataset *dataset)
{
    static const char *const header[] = {"crystal", "file", "line", "reason"};
    kti_html_heading(html, 2, "Rejected rows");
    if (dataset->rejected == 0) {
        kti_html_paragraph(html, "", "None: every row can be used.");
        return;
    }
    kti_html_table_begin(html, 4, header, 4);
    for (int i = 0; i < dataset->rejected && i < MAX_LISTED; i++) {
        const kti_reject *reject = &dataset->rejects[i];
        kti_html_row_begin(html);
        kti_html_cell(html, "%s", reject->id);
        kti_html_cell(html, "%s", reject->error.file);
        if (reject->error.line > 0)
            kti_html_cell(html, "%lld", (long long)reject->error.line);
        else
            kti_html_cell(html, " ");
        kti_html_cell(html, "%s", reject->error.message);
        kti_html_row_end(html);
    }
    kti_html_table_end(html);
    if (dataset->rejected > MAX_LISTED)
        kti_html_paragraph(html, "note", "The first %d of %d; kappatune data check --rejects writes all.",
                           MAX_LISTED, dataset->rejected);
}

static kt_status add_page(kti_report *report, const kti_dataset *sets, kt_error *error)
{
    const int others = report->options->other_count;
    kti_statistics s = {0};
    kti_text *html = &report->html;
    kt_status status = kti_describe_dataset(&sets[0], &s, error);
    if (status == KT_OK)
        add_facts(html, &sets[0], &s);
    kti_html_heading(html, 2, "Thermal conductivity");
    kti_text_add(html, "<div class=\"figures\">\n");
    if (status == KT_OK)
        status = draw_kappa(report, sets, others + 1, error);
    if (status == KT_OK)
        status = draw_sizes(report, &sets[0], error);
    kti_text_add(html, "</div>\n");
    kti_html_heading(html, 2, "Chemical coverage");
    if (status == KT_OK) {
        kti_periodic_add(
            html, s.crystals_with,
            "How many crystals hold the element: the stronger the tint, the more, on a logarithmic scale. A "
            "dashed edge: the network does not know the element.");
        add_duplicates(html, &sets[0], &s);
    }
    if (status == KT_OK && others > 0)
        status = add_overlap(report, sets, error);
    if (status == KT_OK)
        add_rejects(html, &sets[0]);
    kti_statistics_destroy(&s);
    return status;
}

kt_status kti_report_dataset(kti_report *report, kt_error *error)
{
    const kti_report_options *o = report->options;
    kti_dataset *sets = kti_allocate((size_t)o->other_count + 1, sizeof *sets);
    kt_status status =
        sets ? read_set(report, o->subject, &sets[0], error) : kti_fail_memory(error, "the report");
    for (int i = 0; i < o->other_count && status == KT_OK; i++)
        status = read_set(report, o->others[i], &sets[i + 1], error);
    if (status == KT_OK) {
        report->result->rejected = sets[0].rejected;
        kti_html_begin(&report->html, "Data set", o->subject);
        status = add_page(report, sets, error);
    }
    for (int i = 0; sets && i <= o->other_count; i++)
        kti_dataset_destroy(&sets[i]);
    free(sets);
    return status;
}
