#include "report/report_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/ranking.h"
#include "data/csv.h"
#include "report/bins.h"
#include "report/html.h"
#include "train/fold.h"

enum { MAX_EPOCHS_DRAWN = 300, MAX_FOLDS = 1000, WORST = 10 };

kt_status kti_report_find_file(const kti_report_stage *stage, const char *name, char **path, kt_error *error)
{
    *path = kti_path_join(stage->folder, name);
    if (!*path)
        return kti_fail_memory(error, "a path");
    if (!kti_file_exists(*path)) {
        free(*path);
        *path = NULL;
    }
    return KT_OK;
}

/* "parity" or "parity-STAGE", in one of letters, digits and -. */
static void name_figure(const kti_report_stage *stage, const char *what, char name[96])
{
    snprintf(name, 96, "%s%s%.60s", what, stage->name[0] ? "-" : "", stage->name);
    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
}

/* ---- epochs ---- */

typedef struct curves {
    kti_text loss, mape;
    int fold, folds, epochs; /* of the last line; how many folds; most epochs */
    bool has_mape;           /* of a selection */
} curves;

/* A line of epochs.csv; folds are apart by two empty lines, as gnuplot's `index` has it. */
static kt_status add_epoch(curves *c, const kti_csv *csv, kt_error *error)
{
    double fold, epoch;
    if (csv->fields < 2 + KTI_HISTORY_COLUMNS || !kti_number_parse(csv->field[0], &fold) ||
        !kti_number_parse(csv->field[1], &epoch) || fold < 1 || fold > MAX_FOLDS || epoch < 1 || epoch > 1e9)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "is no line of a run's epochs");
    const double loss = kti_number_or_nan(csv->field[2 + KTI_TRAIN_LOSS]),
                 mape = kti_number_or_nan(csv->field[2 + KTI_SELECT_MAPE]);
    if ((int)fold != c->fold) {
        kti_text_add(&c->loss, c->folds ? "\n\n" : "");
        kti_text_add(&c->mape, c->folds ? "\n\n" : "");
        c->folds++;
    }
    c->fold = (int)fold;
    c->epochs = (int)epoch > c->epochs ? (int)epoch : c->epochs;
    if (isfinite(loss))
        kti_text_add(&c->loss, "%d %.5g\n", (int)epoch, loss);
    if (isfinite(mape)) {
        kti_text_add(&c->mape, "%d %.5g\n", (int)epoch, mape);
        c->has_mape = true;
    }
    return KT_OK;
}

static kt_status read_curves(const char *path, curves *c, kt_error *error)
{
    kti_csv csv;
    bool found = true;
    kt_status status = kti_csv_open_stream(path, &csv, error);
    if (status == KT_OK)
        status = kti_csv_next(&csv, &found, error); /* the header */
    while (status == KT_OK && found) {
        status = kti_csv_next(&csv, &found, error);
        if (status == KT_OK && found)
            status = add_epoch(c, &csv, error);
    }
    kti_csv_close(&csv);
    return status;
}

static kt_status draw_curves(kti_report *report, const kti_report_stage *stage, const curves *c, bool loss,
                             kt_error *error)
{
    kti_text script = {0};
    char name[96], caption[400];
    const int every = 1 + (c->epochs - 1) / MAX_EPOCHS_DRAWN;
    const kti_text *data = loss ? &c->loss : &c->mape;
    name_figure(stage, loss ? "loss" : "selection", name);
    kti_plot_begin(&script);
    kti_text_add(&script,
                 "set logscale y\n"
                 "set autoscale yfix\n"
                 "set ytics (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, "
                 "1000, 10000)\n"
                 "set xlabel 'epoch'\n"
                 "set ylabel '%s'\n"
                 "set xrange [0:*]\n"
                 "$curves << EOD\n"
                 "%sEOD\n"
                 "plot for [f=0:%d] $curves index f every %d using 1:2 with lines lw 1 lc rgb '" KTI_BLUE
                 "' notitle\n",
                 loss ? "training loss" : "MAPE, fraction", data->data ? data->data : "", c->folds - 1,
                 every);
    snprintf(caption, sizeof caption, "%s by epoch; a line for each of %d fold%s.%s",
             loss ? "Mean training loss"
                  : "MAPE (fraction, kappa in W/(m K)) on the rows that choose the epoch",
             c->folds, c->folds == 1 ? "" : "s", every > 1 ? " Not every epoch is drawn." : "");
    script.failed = script.failed || data->failed;
    return kti_plot_finish(&report->plots, name, KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF, caption,
                           &script, &report->html, error);
}

kt_status kti_report_epochs(kti_report *report, const kti_report_stage *stage, kt_error *error)
{
    curves c = {0};
    char *path;
    kt_status status = kti_report_find_file(stage, "epochs.csv", &path, error);
    if (status == KT_OK && path)
        status = read_curves(path, &c, error);
    if (status == KT_OK && c.folds > 0 && c.loss.size > 0)
        status = draw_curves(report, stage, &c, true, error);
    if (status == KT_OK && c.has_mape)
        status = draw_curves(report, stage, &c, false, error);
    kti_text_destroy(&c.loss);
    kti_text_destroy(&c.mape);
    free(path);
    return status;
}

/* ---- predictions ---- */

typedef struct miss {
    char *id; /* owned */
    int fold;
    double kappa, predicted,
        decades; /* |log10 of their ratio|; infinite for a prediction that is not above 0 */
} miss;

typedef struct predictions {
    kti_cloud parity, residuals;
    int64_t rows, without; /* without: no finite prediction above 0 */
    kti_ranking worst;     /* of miss */
} predictions;

static void destroy_miss(void *item)
{
    free(((miss *)item)->id);
    free(item);
}

static kt_status keep_worst(kti_ranking *worst, const miss *m, const char *id, kt_error *error)
{
    if (!kti_ranking_takes(worst, m->decades))
        return KT_OK;
    miss *copy = kti_allocate(1, sizeof *copy);
    if (!copy)
        return kti_fail_memory(error, "the report");
    *copy = *m;
    copy->id = kti_duplicate_text(id);
    if (!copy->id) {
        free(copy);
        return kti_fail_memory(error, "the report");
    }
    kti_ranking_add(worst, m->decades, copy);
    return KT_OK;
}

static kt_status add_prediction(predictions *p, const kti_csv *csv, kt_error *error)
{
    double fold, kappa;
    if (csv->fields < 4 || !kti_number_parse(csv->field[0], &fold) ||
        !kti_number_parse(csv->field[2], &kappa) || !(kappa > 0) || fold < 1 || fold > MAX_FOLDS)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "is no line of a run's predictions");
    const double predicted = kti_number_or_nan(csv->field[3]);
    const bool good = predicted > 0;
    const double ratio = good ? log10(predicted / kappa) : NAN;
    const miss m = {NULL, (int)fold, kappa, predicted, good ? fabs(ratio) : INFINITY};
    p->rows++;
    p->without += !good;
    if (good) {
        kti_cloud_add(&p->parity, kappa, predicted);
        kti_cloud_add(&p->residuals, kappa, ratio);
    }
    return keep_worst(&p->worst, &m, csv->field[1], error);
}

static kt_status read_predictions(const char *path, predictions *p, kt_error *error)
{
    kti_csv csv;
    bool found = true;
    kt_status status = kti_csv_open_stream(path, &csv, error);
    if (status == KT_OK)
        status = kti_csv_next(&csv, &found, error);
    while (status == KT_OK && found) {
        status = kti_csv_next(&csv, &found, error);
        if (status == KT_OK && found)
            status = add_prediction(p, &csv, error);
    }
    kti_csv_close(&csv);
    return status;
}

static kt_status draw_parity(kti_report *report, const kti_report_stage *stage, const predictions *p,
                             kt_error *error)
{
    kti_text script = {0}, plot = {0};
    char name[96], caption[400];
    const double min = fmin(p->parity.min[0], p->parity.min[1]) / 1.3,
                 max = fmax(p->parity.max[0], p->parity.max[1]) * 1.3;
    name_figure(stage, "parity", name);
    kti_plot_begin(&script);
    kti_cloud_draw(&p->parity, KTI_BLUE, &script, &plot);
    kti_text_add(
        &script,
        "set logscale xy\nset xrange [%.4g:%.4g]\nset yrange [%.4g:%.4g]\nset key top left Left reverse\n"
        "set xlabel 'kappa of the data set, W/(m K)'\nset ylabel 'predicted, W/(m K)'\n"
        "plot %s x with lines lw 1.5 lc rgb '" KTI_INK
        "' title 'equal', 2*x with lines dt 2 lc rgb '" KTI_MUTED
        "' title 'factor 2', x/2 with lines dt 2 lc rgb '" KTI_MUTED "' notitle\n",
        min, max, min, max, plot.data ? plot.data : "");
    snprintf(caption, sizeof caption,
             "Parity: kappa as predicted by the fold that did not train on the row, %lld rows of all folds "
             "(a row may be held out by several).%s",
             (long long)p->parity.size, kti_cloud_remark(&p->parity));
    script.failed = script.failed || plot.failed;
    kti_text_destroy(&plot);
    return kti_plot_finish(&report->plots, name, KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF, caption,
                           &script, &report->html, error);
}

static kt_status draw_residuals(kti_report *report, const kti_report_stage *stage, const predictions *p,
                                kt_error *error)
{
    kti_text script = {0}, plot = {0};
    char name[96], caption[400];
    name_figure(stage, "residuals", name);
    kti_plot_begin(&script);
    kti_cloud_draw(&p->residuals, KTI_BLUE, &script, &plot);
    kti_text_add(&script,
                 "set logscale x\nset xlabel 'kappa of the data set, W/(m K)'\n"
                 "set ylabel 'log10(predicted / data set)'\nplot %s 0 with lines lw 1.5 lc rgb '" KTI_INK
                 "' notitle\n",
                 plot.data ? plot.data : "");
    snprintf(caption, sizeof caption,
             "Residuals of the same rows, in decades: 0.3 is a factor of two too much, -0.3 too little.%s",
             kti_cloud_remark(&p->residuals));
    script.failed = script.failed || plot.failed;
    kti_text_destroy(&plot);
    return kti_plot_finish(&report->plots, name, KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF, caption,
                           &script, &report->html, error);
}

static void add_worst(kti_text *html, const predictions *p)
{
    static const char *const header[] = {"crystal", "fold", "kappa, W/(m K)", "predicted", "decades off"};
    kti_text_add(html, "<div>");
    kti_html_heading(html, 3, "Largest residuals");
    kti_html_table_begin(html, 1, header, 5);
    for (int i = 0; i < p->worst.size; i++) {
        const miss *m = p->worst.entry[i].item;
        kti_html_row_begin(html);
        kti_html_cell(html, "%s", m->id);
        kti_html_cell(html, "%d", m->fold);
        kti_html_number(html, m->kappa);
        kti_html_number(html, m->predicted);
        kti_html_number(html, m->decades);
        kti_html_row_end(html);
    }
    kti_html_table_end(html);
    if (p->without > 0)
        kti_html_paragraph(html, "warning", "%lld of %lld predictions are not above 0, and in no figure.",
                           (long long)p->without, (long long)p->rows);
    kti_text_add(html, "</div>\n");
}

kt_status kti_report_predictions(kti_report *report, const kti_report_stage *stage, kt_error *error)
{
    const kti_axis kappa = kti_axis_of_kappa(), decades = {.low = -4, .step = 0.1, .size = 80};
    predictions p = {0};
    char *path = NULL;
    kt_status status = kti_report_find_file(stage, "predictions.csv", &path, error);
    if (status != KT_OK || !path)
        return status;
    status = kti_ranking_create(WORST, destroy_miss, &p.worst, error);
    if (status == KT_OK)
        status = kti_cloud_create(kappa, kappa, &p.parity, error);
    if (status == KT_OK)
        status = kti_cloud_create(kappa, decades, &p.residuals, error);
    if (status == KT_OK)
        status = read_predictions(path, &p, error);
    if (status == KT_OK && p.parity.size > 0)
        status = draw_parity(report, stage, &p, error);
    if (status == KT_OK && p.parity.size > 0)
        status = draw_residuals(report, stage, &p, error);
    if (status == KT_OK && p.rows > 0)
        add_worst(&report->html, &p);
    kti_ranking_destroy(&p.worst);
    kti_cloud_destroy(&p.parity);
    kti_cloud_destroy(&p.residuals);
    free(path);
    return status;
}

/* ---- box plots ---- */

typedef struct boxes {
    kti_text data, tics, plot;
    int count;
} boxes;

static void add_box(boxes *b, const double *values, int size, const char *label, const char *colour)
{
    kti_text_add(&b->data, "$box%d << EOD\n", b->count);
    for (int i = 0; i < size; i++)
        if (isfinite(values[i]))
            kti_text_add(&b->data, "%.6g\n", values[i]);
    kti_text_add(&b->data, "EOD\n");
    kti_text_add(&b->tics, "%s\"%s\" %d", b->count ? ", " : "", label, b->count);
    kti_text_add(&b->plot,
                 "%s$box%d using (%d):1:(0.5) with boxplot lw 1.5 lc rgb '%s' notitle, $box%d using (%d):1 "
                 "with points pt 7 ps 0.5 lc rgb '%s' notitle",
                 b->count ? ", " : "", b->count, b->count, colour, b->count, b->count, colour);
    b->count++;
}

kt_status kti_report_boxes(kti_report *report, const kti_report_stage *stage, kt_error *error)
{
    const kt_train_result *result = stage->result;
    kti_reference references[KTI_MAX_REFERENCES];
    const char *note = "";
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    kti_text script = {0};
    boxes b = {0};
    int finite = 0;
    char name[96], caption[600];
    if (!values)
        return kti_fail_memory(error, "a figure");
    for (int f = 0; f < result->folds; f++) {
        values[f] = result->fold[f].best.mape;
        finite += isfinite(values[f]) != 0;
    }
    if (finite > 0)
        add_box(&b, values, result->folds, "this run", KTI_BLUE);
    const int known = b.count > 0 && report->options->references
                          ? report->options->references(stage->dataset, references, &note)
                          : 0;
    for (int i = 0; i < known; i++)
        add_box(&b, references[i].mape, references[i].size, references[i].label, KTI_MUTED);
    name_figure(stage, "folds", name);
    kti_plot_begin(&script);
    kti_text_add(&script,
                 "set ylabel 'MAPE, fraction'\nset yrange [0:*]\nset xrange [-0.6:%.1f]\nset grid noxtics\n"
                 "set xtics scale 0 (%s)\nset bmargin 3.5\n%splot %s\n",
                 b.count - 0.4, b.tics.data ? b.tics.data : "", b.data.data ? b.data.data : "",
                 b.plot.data ? b.plot.data : "");
    snprintf(caption, sizeof caption,
             "MAPE of %d fold%s on the rows held out (fraction, kappa in W/(m K)): median, quartiles, each "
             "fold.%s%s",
             result->folds, result->folds == 1 ? "" : "s", known > 0 ? " Grey: " : "", known > 0 ? note : "");
    script.failed = script.failed || b.data.failed || b.tics.failed || b.plot.failed;
    kt_status status = KT_OK;
    if (b.count > 0)
        status = kti_plot_finish(&report->plots, name, KTI_PLOT_WIDTH, KTI_PLOT_HEIGHT, KTI_PLOT_HALF,
                                 caption, &script, &report->html, error);
    kti_text_destroy(&script);
    kti_text_destroy(&b.data);
    kti_text_destroy(&b.tics);
    kti_text_destroy(&b.plot);
    free(values);
    return status;
}
