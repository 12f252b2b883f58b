#include "report/comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "report/gnuplot.h"
#include "report/heatmap.h"
#include "report/plot.h"
#include "statistics/correlation.h"

/* Of the groups of kappa, W/(m K): below the first, between two, from the last on. */
static const double kappa_bounds[KTI_KAPPA_GROUPS - 1] = {1, 3, 10, 30, 100, 300};

/* ---- reading ---- */

typedef struct place {
    const char *id;
    size_t row;
} place;

static int by_id(const void *left, const void *right)
{
    return strcmp(((const place *)left)->id, ((const place *)right)->id);
}

/* Mean and variance of the rows of the first scan; NaN where the other one does not have it. */
static kt_status match(const kti_columns *first, const kti_columns *other, const kti_column *mean,
                       const kti_column *sd, kti_compared *c, kt_error *error)
{
    place *sorted = kti_allocate(other->rows, sizeof *sorted);
    c->mean = kti_allocate(first->rows, sizeof *c->mean);
    c->variance = kti_allocate(first->rows, sizeof *c->variance);
    if (!sorted || !c->mean || !c->variance) {
        free(sorted);
        return kti_fail_memory(error, "a comparison");
    }
    for (size_t i = 0; i < other->rows; i++)
        sorted[i] = (place){other->id[i], i};
    qsort(sorted, other->rows, sizeof *sorted, by_id);
    for (size_t i = 0; i < first->rows; i++) {
        const place wanted = {first->id[i], 0};
        const place *found = bsearch(&wanted, sorted, other->rows, sizeof *sorted, by_id);
        c->mean[i] = found ? mean->value[found->row] : NAN;
        c->variance[i] = found ? sd->value[found->row] * sd->value[found->row] : NAN;
        c->rows += isfinite(c->mean[i]) && isfinite(c->variance[i]);
    }
    free(sorted);
    return KT_OK;
}

static kt_status summarise(kti_compared *c, size_t rows, kt_error *error)
{
    static const double parts[5] = {0.05, 0.25, 0.5, 0.75, 0.95};
    double *sorted = kti_allocate(c->rows, sizeof *sorted);
    size_t size = 0;
    if (!sorted)
        return kti_fail_memory(error, "a comparison");
    c->max = -INFINITY;
    c->min = INFINITY;
    for (size_t i = 0; i < rows; i++) {
        int group = 0;
        if (!isfinite(c->mean[i]) || !isfinite(c->variance[i]))
            continue;
        sorted[size++] = c->variance[i];
        c->max = fmax(c->max, c->mean[i]);
        c->min = fmin(c->min, c->mean[i]);
        while (group < KTI_KAPPA_GROUPS - 1 && c->mean[i] >= kappa_bounds[group])
            group++;
        c->group[group]++;
    }
    gsl_sort(sorted, 1, size);
    for (int i = 0; i < 5; i++)
        c->quantile[i] = gsl_stats_quantile_from_sorted_data(sorted, 1, size, parts[i]);
    free(sorted);
    return KT_OK;
}

kt_status kti_comparison_read(const char *const *paths, const char *const *names, int size,
                              kti_comparison *comparison, kt_error *error)
{
    kt_status status = KT_OK;
    *comparison = (kti_comparison){0};
    for (int i = 0; i < size && status == KT_OK; i++) {
        kti_columns other = {0}, *columns = i == 0 ? &comparison->columns : &other;
        kti_compared *c = &comparison->scan[i];
        *c = (kti_compared){.name = names[i], .of_training = NAN};
        comparison->size++;
        status = kti_columns_read(paths[i], columns, error);
        const kti_column *mean, *sd;
        kti_prediction_header header;
        if (status == KT_OK)
            status = kti_columns_find_prediction(columns, paths[i], "kappa", &header, &mean, &sd, error);
        if (status == KT_OK)
            status = match(&comparison->columns, columns, mean, sd, c, error);
        if (status == KT_OK && columns->rows == 0)
            status = kti_fail_file(error, KT_BAD_FORMAT, paths[i], "has no row");
        if (status == KT_OK && c->rows == 0)
            status = kti_fail_file(error, KT_BAD_ARGUMENT, paths[i], "has no crystal of %s", paths[0]);
        if (status == KT_OK)
            status = summarise(c, comparison->columns.rows, error);
        kti_columns_destroy(&other);
    }
    if (status != KT_OK)
        kti_comparison_destroy(comparison);
    return status;
}

void kti_comparison_destroy(kti_comparison *comparison)
{
    for (int i = 0; i < comparison->size; i++) {
        free(comparison->scan[i].mean);
        free(comparison->scan[i].variance);
    }
    kti_columns_destroy(&comparison->columns);
    *comparison = (kti_comparison){0};
}

/* ---- tables ---- */

/* A name as a cell of a Markdown table, or a paragraph. */
static void add_name(kti_text *text, const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        kti_text_add(text, *c < ' ' ? "?" : strchr("|`*_<>\\[]", *c) ? "\\%c" : "%c", *c);
}

static void add_variances(const kti_comparison *c, kti_text *text)
{
    kti_text_add(
        text,
        "| model | crystals | variance: 5 %% | 25 %% | median | 75 %% | 95 %% | kappa of its training data | "
        "mean: least | greatest |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < c->size; i++) {
        const kti_compared *s = &c->scan[i];
        kti_text_add(text, "| ");
        add_name(text, s->name);
        kti_text_add(text, " | %zu |", s->rows);
        for (int q = 0; q < 5; q++)
            kti_text_add(text, " %.3g |", s->quantile[q]);
        kti_text_add(text, isnan(s->of_training) ? " - |" : " %.4g |", s->of_training);
        kti_text_add(text, " %.4g | %.4g |\n", s->min, s->max);
    }
}

static void name_group(int group, char text[32])
{
    if (group == 0)
        snprintf(text, 32, "< %g", kappa_bounds[0]);
    else if (group == KTI_KAPPA_GROUPS - 1)
        snprintf(text, 32, ">= %g", kappa_bounds[group - 1]);
    else
        snprintf(text, 32, "%g to %g", kappa_bounds[group - 1], kappa_bounds[group]);
}

static double share(const kti_compared *scan, int group)
{
    return 100 * (double)scan->group[group] / (double)scan->rows;
}

static void add_groups(const kti_comparison *c, kti_text *text)
{
    char name[32];
    kti_text_add(text, "| %% of the crystals with a mean of |");
    for (int g = 0; g < KTI_KAPPA_GROUPS; g++) {
        name_group(g, name);
        kti_text_add(text, " %s |", name);
    }
    kti_text_add(text, "\n| ---");
    for (int g = 0; g < KTI_KAPPA_GROUPS; g++)
        kti_text_add(text, " | ---");
    kti_text_add(text, " |\n");
    for (int i = 0; i < c->size; i++) {
        kti_text_add(text, "| ");
        add_name(text, c->scan[i].name);
        kti_text_add(text, " |");
        for (int g = 0; g < KTI_KAPPA_GROUPS; g++)
            kti_text_add(text, " %.1f |", share(&c->scan[i], g));
        kti_text_add(text, "\n");
    }
}

typedef struct related {
    const char *name;
    kti_correlation with;
} related;

static int by_strength(const void *left, const void *right)
{
    const double l = fabs(((const related *)left)->with.pearson),
                 r = fabs(((const related *)right)->with.pearson);
    return (l < r) - (l > r);
}

/* "| volume | 0.444 | 5.3e-06 |" for each feature above the threshold, the strongest first. */
static kt_status add_related(const kti_comparison *c, const double *values, const char *what,
                             double threshold, kti_text *text, kt_error *error)
{
    const kti_columns *columns = &c->columns;
    related *found = kti_allocate(columns->size, sizeof *found);
    size_t size = 0;
    kt_status status = found ? KT_OK : kti_fail_memory(error, "a comparison");
    for (size_t i = 0; i < columns->size && status == KT_OK; i++) {
        if (kti_is_prediction(columns->column[i].name, "kappa"))
            continue;
        found[size].name = columns->column[i].name;
        status = kti_correlate(columns->column[i].value, values, columns->rows, &found[size].with, error);
        size += fabs(found[size].with.pearson) > threshold;
    }
    if (status == KT_OK)
        qsort(found, size, sizeof *found, by_strength);
    kti_text_add(text, "| %s with | r | p |\n| --- | --- | --- |\n", what);
    for (size_t i = 0; i < size && status == KT_OK; i++) {
        kti_text_add(text, "| ");
        add_name(text, found[i].name);
        kti_text_add(text, " | %.3f | %.2e |\n", found[i].with.pearson, found[i].with.pearson_p);
    }
    if (size == 0)
        kti_text_add(text, "| none above %g | | |\n", threshold);
    kti_text_add(text, "\n");
    free(found);
    return status;
}

kt_status kti_comparison_describe(const kti_comparison *c, double threshold, kti_text *text, kt_error *error)
{
    kt_status status = KT_OK;
    kti_text_add(text, "### Variance over the members, (W/(m K))^2\n\n");
    add_variances(c, text);
    kti_text_add(text, "\n### Groups\n\n");
    add_groups(c, text);
    kti_text_add(text, "\n### What mean and variance go with\n\nPearson's r and its p, |r| above %g.\n\n",
                 threshold);
    for (int i = 0; i < c->size && status == KT_OK; i++) {
        add_name(text, c->scan[i].name);
        kti_text_add(text, ":\n\n");
        status = add_related(c, c->scan[i].mean, "mean", threshold, text, error);
        if (status == KT_OK)
            status = add_related(c, c->scan[i].variance, "variance", threshold, text, error);
    }
    if (status == KT_OK && text->failed)
        status = kti_fail_memory(error, "a comparison");
    return status;
}

/* ---- figures ---- */

enum { WIDTH = 900, HEIGHT = 520 }; /* pixels */

static const double MIN_VARIANCE = 1e-6; /* that the logarithmic axis shows */

/* Names, of scans too, are not gnuplot's markup. */
static void begin(const kti_figure *figure, kti_text *script, const char *what, const char *title)
{
    char whole[300];
    snprintf(whole, sizeof whole, "%s: %s", what, title);
    kti_figure_begin(figure, script);
    kti_text_add(script, "set title ");
    kti_plot_quote(script, whole);
    kti_text_add(script, " noenhanced\nset grid ytics lc rgb '#dddddd'\nset tics nomirror\nset border 3\n");
}

static void add_names(const kti_comparison *c, kti_text *script)
{
    kti_text_add(script, "set xrange [-0.6:%.1f]\nset xtics noenhanced (", c->size - 0.4);
    for (int i = 0; i < c->size; i++) {
        kti_text_add(script, i > 0 ? ", " : "");
        kti_plot_quote(script, c->scan[i].name);
        kti_text_add(script, " %d", i);
    }
    kti_text_add(script, ")\n");
}

static double shown(double variance)
{
    return fmax(variance, MIN_VARIANCE);
}

static kt_status draw_variance(const kti_comparison *c, const char *folder, const char *title, bool *drawn,
                               kt_error *error)
{
    const kti_figure figure = {folder, "variance", WIDTH, HEIGHT, true};
    kti_text script = {0};
    bool lines = false, cut = false;
    begin(&figure, &script, "Variance over the members", title);
    add_names(c, &script);
    kti_text_add(&script,
                 "set logscale y\nset format y '10^{%%T}'\nset ylabel 'variance, (W/(m K))^2'\n"
                 "set style fill solid 0.3\nset key outside center bottom horizontal\n$boxes << EOD\n");
    for (int i = 0; i < c->size; i++) {
        const double *q = c->scan[i].quantile;
        kti_text_add(&script, "%d %.6g %.6g %.6g %.6g %.6g\n", i, shown(q[1]), shown(q[0]), shown(q[4]),
                     shown(q[3]), shown(q[2]));
        cut = cut || q[0] < MIN_VARIANCE;
    }
    kti_text_add(&script, "EOD\n$training << EOD\n");
    for (int i = 0; i < c->size; i++)
        if (c->scan[i].of_training > 0) {
            kti_text_add(&script, "%.2f %.6g\n%.2f %.6g\n\n", i - 0.4, c->scan[i].of_training, i + 0.4,
                         c->scan[i].of_training);
            lines = true;
        }
    kti_text_add(&script,
                 "EOD\n"
                 "set boxwidth 0.5\n"
                 "%splot $boxes using 1:2:3:4:5 with candlesticks whiskerbars lc rgb '" KTI_BLUE "' title "
                 "'quartiles, whiskers from 5 to 95 %%%s', $boxes using 1:6:6:6:6 with candlesticks lt -1 lw "
                 "2 notitle%s\n",
                 cut ? "set yrange [5e-7:*]\n" : "", cut ? ", at least 10^{-6}" : "",
                 lines ? ", $training using 1:2 with lines dt 2 lw 2 lc rgb '" KTI_ORANGE
                         "' title 'kappa of the training data'"
                       : "");
    const kt_status status = kti_figure_finish(&figure, &script, drawn, error);
    kti_text_destroy(&script);
    return status;
}

static kt_status draw_groups(const kti_comparison *c, const char *folder, const char *title, bool *drawn,
                             kt_error *error)
{
    /* From blue, soft, to red, stiff. */
    static const char *const colours[KTI_KAPPA_GROUPS] = {"#08519c", "#4292c6", "#9ecae1", "#d9d9d9",
                                                          "#fdae6b", "#e6550d", "#99000d"};
    const kti_figure figure = {folder, "groups", WIDTH, HEIGHT, false};
    kti_text script = {0};
    char name[32];
    begin(&figure, &script, "Groups of the mean prediction, W/(m K)", title);
    add_names(c, &script);
    kti_text_add(&script,
                 "set yrange [0:100]\nset ylabel '%% of the crystals'\nset key outside right center invert\n"
                 "set style data histograms\nset style histogram rowstacked\nset style fill solid 0.9\n"
                 "set boxwidth 0.6\n$groups << EOD\n");
    for (int i = 0; i < c->size; i++) {
        for (int g = 0; g < KTI_KAPPA_GROUPS; g++)
            kti_text_add(&script, "%s%.4f", g > 0 ? " " : "", share(&c->scan[i], g));
        kti_text_add(&script, "\n");
    }
    kti_text_add(&script, "EOD\nplot ");
    for (int g = 0; g < KTI_KAPPA_GROUPS; g++) {
        name_group(g, name);
        kti_text_add(&script, "%s$groups using %d lc rgb '%s' title \"%s\"", g > 0 ? ", " : "", g + 1,
                     colours[g], name);
    }
    kti_text_add(&script, "\n");
    const kt_status status = kti_figure_finish(&figure, &script, drawn, error);
    kti_text_destroy(&script);
    return status;
}

/* Means and variances of all scans, then the features, with one another. */
static kt_status draw_map(const kti_comparison *c, const char *folder, const char *title, double threshold,
                          bool *drawn, kt_error *error)
{
    const size_t max = 2 * (size_t)c->size + c->columns.size;
    const double **values = kti_allocate(max, sizeof(*values));
    const char **names = kti_allocate(max, sizeof(*names));
    char(*shown)[64] = kti_allocate(max, sizeof *shown);
    double *r = kti_allocate(max * max, sizeof *r);
    size_t size = 0;
    kt_status status = values && names && shown && r ? KT_OK : kti_fail_memory(error, "a figure");
    for (int part = 0; part < 2 && status == KT_OK; part++)
        for (int i = 0; i < c->size; i++, size++) {
            snprintf(shown[size], sizeof *shown, "%s %.50s", part ? "variance" : "mean", c->scan[i].name);
            names[size] = shown[size];
            values[size] = part ? c->scan[i].variance : c->scan[i].mean;
        }
    for (size_t i = 0; i < c->columns.size && status == KT_OK; i++)
        if (!kti_is_prediction(c->columns.column[i].name, "kappa")) {
            names[size] = c->columns.column[i].name;
            values[size++] = c->columns.column[i].value;
        }
    for (size_t i = 0; i < size * size && status == KT_OK; i++) {
        const size_t row = i / size, column = i % size;
        kti_correlation with;
        if (column < row) {
            r[i] = r[column * size + row];
            continue;
        }
        status = kti_correlate(values[row], values[column], c->columns.rows, &with, error);
        r[i] = fabs(with.pearson) >= threshold ? with.pearson : NAN;
    }
    if (status == KT_OK)
        status = kti_heatmap_draw(folder, title, names, r, size, drawn, error);
    free((void *)values);
    free((void *)names);
    free(shown);
    free(r);
    return status;
}

kt_status kti_comparison_draw(const kti_comparison *c, const char *folder, const char *title,
                              double threshold, bool *drawn, kt_error *error)
{
    kt_status status = kti_make_folder(folder, error);
    if (status == KT_OK)
        status = draw_variance(c, folder, title, drawn, error);
    if (status == KT_OK)
        status = draw_groups(c, folder, title, drawn, error);
    return status == KT_OK ? draw_map(c, folder, title, threshold, drawn, error) : status;
}
