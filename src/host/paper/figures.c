#include "paper/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/csv.h"
#include "paper/series.h"
#include "report/gnuplot.h"
#include "train/fold.h"
#include "train/recipe.h"
#include "train/stages.h"

/* Told apart by any eyes (ColorBrewer's Dark2). */
enum { PAPER, PUBLISHED, TRUE_UNIT, SOUND, KINDS };
static const char *const colours[KINDS] = {"#666666", "#d95f02", "#7570b3", "#1b9e77"};
static const char *const titles[KINDS] = {"paper", "published protocol, the paper's unit",
                                          "published protocol, W/(m K)", "sound protocol"};

typedef struct drawing {
    const kti_reproduction *reproduction;
    char *folder; /* owned */
    bool found;   /* gnuplot */
} drawing;

/* ---- scripts ---- */

static void begin(const kti_figure *figure, kti_text *script)
{
    kti_figure_begin(figure, script);
    kti_text_add(script, "set grid ytics lc rgb '#dddddd'\nset tics nomirror\nset border 3\n");
}

static const char *short_mark(const kti_reproduction *r)
{
    return kti_reproduction_is_short(r) ? " (a shortened run)" : "";
}

/* ---- box plots ---- */

typedef struct boxes {
    kti_text data, tics, plot;
    int models, count;
    bool kinds[KINDS]; /* which of them there are */
} boxes;

static void boxes_destroy(boxes *b)
{
    kti_text_destroy(&b->data);
    kti_text_destroy(&b->tics);
    kti_text_destroy(&b->plot);
}

/* `place` of four, from left to right. */
static void add_box(boxes *b, const kti_series *series, int kind, double place)
{
    const double x = b->models + 0.2 * (place - 1.5);
    if (series->size == 0)
        return;
    kti_text_add(&b->data, "$box%d << EOD\n", b->count);
    for (int i = 0; i < series->size; i++)
        if (isfinite(series->value[i]))
            kti_text_add(&b->data, "%.6g\n", series->value[i]);
    kti_text_add(&b->data, "EOD\n");
    kti_text_add(&b->plot,
                 "$box%d using (%.2f):1:(0.17) with boxplot lc rgb '%s' notitle, \\\n"
                 "  $box%d using (%.2f):1 with points pt 7 ps 0.7 lc rgb '%s' notitle, \\\n  ",
                 b->count, x, colours[kind], b->count, x, colours[kind]);
    b->kinds[kind] = true;
    b->count++;
}

static void add_model(boxes *b, const kti_reproduction *r, const kti_paper_model *model)
{
    const kt_train_result *published = kti_reproduction_find(r, KT_PUBLISHED, model->name),
                          *sound = kti_reproduction_find(r, KT_SOUND, model->name);
    if (!published && !sound)
        return;
    b->models++;
    kti_text_add(&b->tics, "%s\"%s\\nStep %d\" %d", b->models > 1 ? ", " : "", model->name, model->step,
                 b->models);
    const kti_series paper = kti_series_of_paper(model), ours = kti_series_in_paper_unit(published),
                     mape = kti_series_mape(published), mended = kti_series_mape(sound);
    const bool two_units =
        kti_series_of(published, offsetof(kt_fold_result, published_best), offsetof(kt_scores, mape)).size >
        0;
    add_box(b, &paper, PAPER, two_units ? 0 : 0.5);
    add_box(b, &ours, PUBLISHED, two_units ? 1 : 1.5);
    if (two_units)
        add_box(b, &mape, TRUE_UNIT, 2);
    add_box(b, &mended, SOUND, two_units ? 3 : 2.5);
}

static kt_status draw_boxes(drawing *d, kti_paper_set set, const char *name, kt_error *error)
{
    const kti_figure figure = {d->folder, name, 900, 560, false};
    kti_text script = {0};
    boxes b = {0};
    kt_status status = KT_OK;
    for (int i = 0; i < KTI_PAPER_MODELS; i++)
        if (kti_paper_models[i].set == set)
            add_model(&b, d->reproduction, &kti_paper_models[i]);
    if (b.count > 0) {
        begin(&figure, &script);
        kti_text_add(
            &script,
            "set title \"Models of %s: MAPE over the runs%s\"\nset ylabel 'MAPE'\n"
            "set yrange [0:*]\nset xrange [0.4:%.1f]\nset bmargin 4\n"
            "set key outside center top horizontal\nset style boxplot nooutliers\nset style fill solid 0.3\n",
            kti_paper_set_titles[set], short_mark(d->reproduction), b.models + 0.6);
        kti_text_add(&script, "set xtics (%s)\n%splot %s", b.tics.data, b.data.data, b.plot.data);
        bool first = true;
        for (int k = 0; k < KINDS; k++)
            if (b.kinds[k]) {
                kti_text_add(&script, "%skeyentry with boxes lc rgb '%s' title \"%s\"", first ? "" : ", ",
                             colours[k], titles[k]);
                first = false;
            }
        kti_text_add(&script, "\n");
        script.failed = script.failed || b.data.failed || b.tics.failed || b.plot.failed;
        status = kti_figure_finish(&figure, &script, &d->found, error);
    }
    kti_text_destroy(&script);
    boxes_destroy(&b);
    return status;
}

/* ---- validation curves ---- */

typedef struct curve {
    int epochs;
    double *sum; /* [epochs]; owned */
    int *count;  /* [epochs] folds with a finite error; owned */
} curve;

static void curve_destroy(curve *c)
{
    free(c->sum);
    free(c->count);
    *c = (curve){0};
}

/* Adds one line of epochs.csv, "fold,epoch,train_loss,select_mape,...". */
static kt_status add_epoch(curve *c, const kti_csv *csv, kt_error *error)
{
    double epoch, mape;
    if (csv->fields < 2 + KTI_HISTORY_COLUMNS || !kti_number_parse(csv->field[1], &epoch) || epoch < 1 ||
        epoch > c->epochs)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "is no line of a run's epochs");
    if (kti_number_parse(csv->field[2 + KTI_SELECT_MAPE], &mape)) {
        c->sum[(int)epoch - 1] += mape;
        c->count[(int)epoch - 1]++;
    }
    return KT_OK;
}

static kt_status read_curve(const kti_reproduction *r, kt_protocol protocol, const char *stage, int epochs,
                            curve *c, kt_error *error)
{
    kti_csv csv = {0};
    char *run = kti_reproduction_folder(r, protocol), *folder = run ? kti_stage_path(run, stage) : NULL,
         *path = folder ? kti_path_join(folder, "epochs.csv") : NULL;
    *c = (curve){epochs, kti_allocate((size_t)epochs, sizeof *c->sum),
                 kti_allocate((size_t)epochs, sizeof *c->count)};
    kt_status status = path && c->sum && c->count ? KT_OK : kti_fail_memory(error, "a curve");
    if (status == KT_OK)
        status = kti_csv_open(path, &csv, error);
    for (bool found = true, header = true; status == KT_OK && found; header = false) {
        status = kti_csv_next(&csv, &found, error);
        if (status == KT_OK && found && !header)
            status = add_epoch(c, &csv, error);
    }
    kti_csv_close(&csv);
    free(run);
    free(folder);
    free(path);
    if (status != KT_OK)
        curve_destroy(c);
    return status;
}

/* Of the models of Togo15, one colour a start. */
static kt_status add_curves(const kti_reproduction *r, kt_protocol protocol, kti_text *data, kti_text *plot,
                            int *lines, kt_error *error)
{
    static const char *const line_colours[] = {"#666666", "#7570b3", "#d95f02", "#1b9e77"};
    kt_status status = KT_OK;
    for (int i = 0; i < KTI_PAPER_MODELS && status == KT_OK; i++) {
        const kti_paper_model *model = &kti_paper_models[i];
        curve c;
        if (model->set != KTI_PAPER_TOGO15 || !kti_reproduction_find(r, protocol, model->name))
            continue;
        status = read_curve(r, protocol, model->name, r->options.epochs, &c, error);
        if (status != KT_OK)
            break;
        kti_text_add(data, "$curve%d << EOD\n", *lines);
        for (int e = 0; e < c.epochs; e++)
            if (c.count[e] > 0)
                kti_text_add(data, "%d %.6g\n", e + 1, c.sum[e] / c.count[e]);
        kti_text_add(data, "EOD\n");
        kti_text_add(plot, "%s$curve%d using 1:2 with lines lw 1.5 lc rgb '%s' title \"%s (Step %d)\"",
                     *lines > 0 ? ", \\\n  " : "", *lines, line_colours[*lines % 4], model->name,
                     model->step);
        (*lines)++;
        curve_destroy(&c);
    }
    return status;
}

static kt_status draw_curves(drawing *d, kt_protocol protocol, const char *name, kt_error *error)
{
    const kti_figure figure = {d->folder, name, 900, 560, false};
    static const char *const rows[] = {
        "on the inner rows, which choose the epoch",
        "on the reported rows, which choose the epoch (Step 3: of the compressed kappa)"};
    kti_text script = {0}, data = {0}, plot = {0};
    int lines = 0;
    kt_status status = add_curves(d->reproduction, protocol, &data, &plot, &lines, error);
    if (status == KT_OK && lines > 0) {
        begin(&figure, &script);
        kti_text_add(
            &script,
            "set title \"Togo15, %s protocol: mean over %d folds%s\\n%s\"\n"
            "set xlabel 'epoch'\nset ylabel 'MAPE'\nset logscale y\nset autoscale fix\n"
            "set ytics (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000)\n"
            "set key outside center top horizontal\n%splot %s\n",
            kti_protocol_names[protocol], d->reproduction->options.folds, short_mark(d->reproduction),
            rows[protocol == KT_PUBLISHED], data.data, plot.data);
        script.failed = script.failed || data.failed || plot.failed;
        status = kti_figure_finish(&figure, &script, &d->found, error);
    }
    kti_text_destroy(&script);
    kti_text_destroy(&data);
    kti_text_destroy(&plot);
    return status;
}

/* ---- the ablation ---- */

typedef struct bars {
    kti_text data, tics;
    int count;
} bars;

/* One bar: MAPE in W/(m K) with its deviation, and as the run reports it. */
static kt_status add_bar(bars *b, const kt_train_result *result, kt_protocol protocol, const char *text,
                         kt_error *error)
{
    const kti_series mape = kti_series_mape(result), reported = kti_series_in_paper_unit(result);
    kti_summary ours, theirs;
    kt_status status = kti_series_summarise(&mape, &ours, error);
    if (status == KT_OK)
        status = kti_series_summarise(&reported, &theirs, error);
    if (status != KT_OK || ours.size == 0)
        return status;
    kti_text_add(&b->tics, "%s\"%s%s\" %d", b->count > 0 ? ", " : "",
                 text ? "" : kti_protocol_names[protocol], text ? text : " protocol", b->count);
    /* The compressed value only where it is another. */
    kti_text_add(&b->data, "%d %.6g %.6g %s", b->count, ours.mean, ours.sd,
                 protocol == KT_SOUND ? "0x1b9e77" : "0xd95f02");
    if (theirs.mean == ours.mean)
        kti_text_add(&b->data, " NaN\n");
    else
        kti_text_add(&b->data, " %.6g\n", theirs.mean);
    b->count++;
    return KT_OK;
}

static kt_status add_bars(const kti_reproduction *r, int step, bars *b, kt_error *error)
{
    kt_status status = KT_OK;
    bool based[2] = {false, false};
    for (int i = 0; i < KTI_PAPER_ABLATIONS && status == KT_OK; i++) {
        const kti_paper_ablation *a = &kti_paper_ablations[i];
        const kt_train_result *base = kti_reproduction_find(r, a->protocol, a->base),
                              *changed = kti_reproduction_find(r, a->protocol, a->stage);
        if (a->step != step || !base || !changed)
            continue;
        if (!based[a->protocol])
            status = add_bar(b, base, a->protocol, NULL, error);
        based[a->protocol] = true;
        if (status == KT_OK)
            status = add_bar(b, changed, a->protocol, kti_paper_fault_text(a->fault, a->protocol), error);
    }
    return status;
}

static kt_status draw_bars(drawing *d, int step, const char *name, kt_error *error)
{
    const kti_figure figure = {d->folder, name, 900, 480, false};
    kti_text script = {0};
    bars b = {0};
    kt_status status = add_bars(d->reproduction, step, &b, error);
    if (status == KT_OK && b.count > 0) {
        begin(&figure, &script);
        kti_text_add(&script,
                     "set title \"Togo15, Step %d%s\\none fault added to the sound protocol, or mended in "
                     "the published one\"\n"
                     "set xlabel 'MAPE, mean and standard deviation over folds'\n"
                     "unset grid\n"
                     "set grid xtics lc rgb '#dddddd'\n"
                     "set xrange [0:*]\n"
                     "set yrange [%d.5:-0.5]\n"
                     "set style fill solid 0.5\n"
                     "set key outside center top horizontal\n"
                     "set ytics (%s)\n"
                     "$bars << EOD\n"
                     "%sEOD\n",
                     step, short_mark(d->reproduction), b.count - 1, b.tics.data, b.data.data);
        kti_text_add(&script,
                     "plot $bars using ($2/2):1:($2/2):(0.36):4 with boxxyerror lc rgb variable title "
                     "'W/(m K)', \\\n  $bars using 2:1:3 with xerrorbars pt 0 lc rgb 'black' notitle");
        if (step == 3) /* only its start weights carry a transform */
            kti_text_add(&script, ", \\\n  $bars using 5:1 with points pt 9 ps 1.6 lc rgb 'black' title "
                                  "'as that run reports it: of the compressed kappa'");
        kti_text_add(&script, "\n");
        script.failed = script.failed || b.data.failed || b.tics.failed;
        status = kti_figure_finish(&figure, &script, &d->found, error);
    }
    kti_text_destroy(&script);
    kti_text_destroy(&b.data);
    kti_text_destroy(&b.tics);
    return status;
}

kt_status kti_figures_draw(const kti_reproduction *r, bool *drawn, kt_error *error)
{
    static const char *const box_names[KTI_PAPER_SETS] = {"fig5a", "mape-hh143", "mape-mix", "fig5b"};
    drawing d = {r, kti_path_join(r->options.out, "figures"), true};
    kt_status status = d.folder ? kti_make_folder(d.folder, error) : kti_fail_memory(error, "a path");
    for (int set = 0; set < KTI_PAPER_SETS && status == KT_OK; set++)
        status = draw_boxes(&d, (kti_paper_set)set, box_names[set], error);
    if (status == KT_OK)
        status = draw_curves(&d, KT_PUBLISHED, "fig6-published", error);
    if (status == KT_OK)
        status = draw_curves(&d, KT_SOUND, "fig6-sound", error);
    if (status == KT_OK)
        status = draw_bars(&d, 2, "ablation-step2", error);
    if (status == KT_OK)
        status = draw_bars(&d, 3, "ablation-step3", error);
    *drawn = d.found;
    free(d.folder);
    return status;
}
