#include "report/report_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "predictor/evaluate.h"
#include "report/html.h"
#include "statistics/metrics.h"
#include "train/members.h"
#include "train/recipe.h"

enum { LOG_LIMIT = 1 << 28, MAX_FOLD_ROWS = 60 };

static const struct {
    const char *name, *unit;
    size_t offset;
} scores[] = {{"MAPE", "fraction", offsetof(kt_scores, mape)},
              {"median absolute percentage error", "fraction", offsetof(kt_scores, medape)},
              {"MAE", "W/(m K)", offsetof(kt_scores, mae)},
              {"RMSE", "W/(m K)", offsetof(kt_scores, rmse)},
              {"R2", "", offsetof(kt_scores, r2)},
              {"R2 of log10 kappa", "", offsetof(kt_scores, r2_log)},
              {"Spearman's rho", "", offsetof(kt_scores, spearman)},
              {"kappa_SRE", "", offsetof(kt_scores, sre)}};

static double score_of(const kt_scores *of, size_t offset)
{
    double value;
    memcpy(&value, (const char *)of + offset, sizeof value);
    return value;
}

/* ---- tables ---- */

static kt_status add_scores(kti_text *html, const kt_train_result *result, bool has_epochs, kt_error *error)
{
    static const char *const header[] = {"score", "unit", "mean", "std", "median", "last epoch: mean", "std"};
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    kt_status status = values ? KT_OK : kti_fail_memory(error, "the report");
    kti_html_table_begin(html, 2, header, has_epochs ? 7 : 5);
    for (size_t i = 0; i < sizeof scores / sizeof scores[0] && status == KT_OK; i++) {
        kti_html_row_begin(html);
        kti_html_cell(html, "%s", scores[i].name);
        kti_html_cell(html, "%s", scores[i].unit);
        for (int last = 0; last <= has_epochs && status == KT_OK; last++) {
            kti_summary s;
            for (int f = 0; f < result->folds; f++)
                values[f] = score_of(last ? &result->fold[f].last : &result->fold[f].best, scores[i].offset);
            status = kti_summarise(values, result->folds, &s, error);
            kti_html_number(html, s.mean);
            kti_html_number(html, s.sd);
            if (!last)
                kti_html_number(html, s.median);
        }
        kti_html_row_end(html);
    }
    kti_html_table_end(html);
    free(values);
    return status;
}

static void add_folds(kti_text *html, const kt_train_result *result)
{
    static const char *const header[] = {"fold",   "train rows",   "held out", "epoch", "MAPE",
                                         "median", "MAE, W/(m K)", "R2 (log)", ""};
    kti_html_details_begin(html, "Fold by fold");
    kti_html_table_begin(html, 1, header, 9);
    for (int f = 0; f < result->folds && f < MAX_FOLD_ROWS; f++) {
        const kt_fold_result *r = &result->fold[f];
        kti_html_row_begin(html);
        kti_html_cell(html, "%d", r->fold);
        kti_html_cell(html, "%d", r->train_rows);
        kti_html_cell(html, "%d", r->validate_rows);
        kti_html_cell(html, "%d", r->best_epoch);
        kti_html_number(html, r->best.mape);
        kti_html_number(html, r->best.medape);
        kti_html_number(html, r->best.mae);
        kti_html_number(html, r->best.r2_log);
        kti_html_cell(html, "%s",
                      r->failed      ? "failed"
                      : r->collapsed ? "collapsed"
                      : r->rescues   ? "rescued"
                                     : "");
        kti_html_row_end(html);
    }
    kti_html_table_end(html);
    if (result->folds > MAX_FOLD_ROWS)
        kti_html_paragraph(html, "note", "The first %d of %d folds; metrics.json has all.", MAX_FOLD_ROWS,
                           result->folds);
    kti_html_details_end(html);
}

/* ---- recipe and environment ---- */

static void add_value(kti_text *html, const char *name, const json_t *value)
{
    char number[40];
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (json_is_string(value))
        kti_html_fact(html, name, "%s", json_string_value(value));
    else if (json_is_real(value))
        kti_html_fact(html, name, "%s",
                      kti_number_text(json_real_value(value), number, sizeof number) ? number : "?");
    else
        kti_html_fact(html, name, "%s", json_is_null(value) ? "none" : text ? text : "?");
    free(text);
}

static void add_recipe(kti_text *html, const json_t *recipe)
{
    const char *key;
    json_t *value;
    kti_html_details_begin(html, "Recipe");
    kti_html_facts_begin(html);
    json_object_foreach((json_t *)recipe, key, value)
    {
        add_value(html, key, value);
    }
    kti_html_facts_end(html);
    kti_html_details_end(html);
}

enum { STARTED, FINISHED, ENVIRONMENT, EVENTS };

/* The last event of each of these names in the log, NULL where there is none; a line that is no JSON is passed over. */
static void find_events(const char *log, json_t *last[EVENTS])
{
    static const char *const names[EVENTS] = {"started", "finished", "environment"};
    for (const char *line = log; *line;) {
        const size_t length = strcspn(line, "\n");
        json_t *object = json_loadb(line, length, 0, NULL);
        const char *is = json_string_value(json_object_get(object, "event"));
        for (int i = 0; is && i < EVENTS; i++)
            if (strcmp(is, names[i]) == 0) {
                json_decref(last[i]);
                last[i] = json_incref(object);
            }
        json_decref(object);
        line += length + (line[length] == '\n');
    }
}

static void add_event(kti_text *html, const char *name, const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    if (text)
        kti_html_fact(html, name, "%s", text);
}

static kt_status add_environment(kti_report *report, const kti_report_stage *stage, kt_error *error)
{
    char *path = NULL, *log = NULL;
    size_t size;
    json_t *last[EVENTS] = {NULL};
    kti_text *html = &report->html;
    kt_status status = kti_report_find_file(stage, "log.jsonl", &path, error);
    if (status == KT_OK && path)
        status = kti_file_read(path, LOG_LIMIT, &log, &size, error);
    if (log)
        find_events(log, last);
    kti_html_facts_begin(html);
    add_event(html, "begun", last[STARTED], "time");
    add_event(html, "finished", last[FINISHED], "time");
    if (last[ENVIRONMENT])
        add_event(html, "ran on", last[ENVIRONMENT], "text");
    else
        kti_html_fact(html, "ran on", "not recorded in this folder");
    kti_html_facts_end(html);
    for (int i = 0; i < EVENTS; i++)
        json_decref(last[i]);
    free(log);
    free(path);
    return status;
}

/* ---- a stage ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *selection_text(const char *select)
{
    return strcmp(select, "inner") == 0   ? "inner: the epoch is chosen on a part of the training rows"
           : strcmp(select, "outer") == 0 ? "outer: the epoch is chosen on the very rows that are reported"
                                          : "last: no epoch is chosen";
}

static kt_status add_finished(kti_report *report, kti_report_stage *stage, const json_t *metrics,
                              kt_error *error)
{
    kti_text *html = &report->html;
    kt_train_result result = {0};
    char *predictions = NULL, *epochs = NULL;
    kt_status status = kt_train_result_read(stage->folder, &result, error);
    if (status != KT_OK)
        return status;
    stage->result = &result;
    stage->dataset = text_of(metrics, "dataset");
    bool has_epochs = false;
    for (int f = 0; f < result.folds; f++)
        has_epochs = has_epochs || result.fold[f].best_epoch > 0;
    kti_html_facts_begin(html);
    kti_html_fact(html, "data set", "%s, %d crystals", stage->dataset, result.crystals);
    if (result.rejected)
        kti_html_fact(html, "rejected", "%d, named in rejects.csv of the run", result.rejected);
    kti_html_fact(html, "protocol", "%s", text_of(metrics, "protocol"));
    kti_html_fact(html, "selection", "%s", selection_text(text_of(metrics, "select")));
    kti_html_fact(html, "folds", "%d; scores are of the rows that a fold does not train on", result.folds);
    kti_html_facts_end(html);
    status = add_scores(html, &result, has_epochs, error);
    kti_html_paragraph(
        html, "note",
        "Mean, population standard deviation and median over folds%s. kappa in W/(m K) at 300 K.",
        has_epochs ? ", with the weights of the chosen epoch, and with those of the last" : "");
    add_folds(html, &result);
    kti_text_add(html, "<div class=\"figures\">\n");
    if (status == KT_OK)
        status = kti_report_boxes(report, stage, error);
    if (status == KT_OK)
        status = kti_report_predictions(report, stage, error);
    if (status == KT_OK)
        status = kti_report_epochs(report, stage, error);
    kti_text_add(html, "</div>\n");
    if (status == KT_OK)
        status = kti_report_find_file(stage, "predictions.csv", &predictions, error);
    if (status == KT_OK)
        status = kti_report_find_file(stage, "epochs.csv", &epochs, error);
    if (status == KT_OK && (!predictions || !epochs))
        kti_html_paragraph(
            html, "note",
            "This folder has no %s%s%s, as models that were exported: what these show is left out.",
            predictions ? "" : "predictions.csv", predictions || epochs ? "" : " and no ",
            epochs ? "" : "epochs.csv");
    free(predictions);
    free(epochs);
    kt_train_result_destroy(&result);
    stage->result = NULL;
    return status;
}

static kt_status read_json(const kti_report_stage *stage, const char *name, size_t limit, json_t **root,
                           kt_error *error)
{
    char *path;
    *root = NULL;
    kt_status status = kti_report_find_file(stage, name, &path, error);
    if (status == KT_OK && path)
        status = kti_json_read(path, limit, root, error);
    free(path);
    return status;
}

static kt_status add_stage(kti_report *report, kti_report_stage *stage, kt_error *error)
{
    json_t *metrics = NULL, *recipe = NULL;
    kti_text *html = &report->html;
    kt_status status = read_json(stage, "metrics.json", KTI_METRICS_LIMIT, &metrics, error);
    if (status == KT_OK)
        status = read_json(stage, "recipe.json", KTI_RECIPE_LIMIT, &recipe, error);
    if (stage->name[0])
        kti_html_heading(html, 2, stage->name);
    if (status == KT_OK && metrics) {
        status = add_finished(report, stage, metrics, error);
    } else if (status == KT_OK) {
        kti_html_paragraph(html, "warning", "This run has not finished: it has no scores yet.");
        kti_text_add(html, "<div class=\"figures\">\n");
        status = kti_report_epochs(report, stage, error);
        kti_text_add(html, "</div>\n");
    }
    if (status == KT_OK && recipe)
        add_recipe(html, recipe);
    if (status == KT_OK)
        status = add_environment(report, stage, error);
    json_decref(metrics);
    json_decref(recipe);
    return status;
}

/* ---- the run ---- */

static void add_reproduction(kti_text *html, const char *run)
{
    kti_text command = {0};
    kti_html_heading(html, 2, "How to reproduce it");
    kti_text_add(&command, "kappatune train '%s/recipe.json' --out RUN", run);
    if (command.failed)
        html->failed = true;
    else
        kti_html_code(html, command.data);
    kti_html_paragraph(html, "note",
                       "Relative paths of the recipe are relative to the working directory. With the same "
                       "data and start weights the result has the same bits on a processor with the same "
                       "instruction set, for any number of threads.");
    kti_text_destroy(&command);
}

/* The name of a stage behind "RUN/". */
static const char *stage_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static kt_status add_summary(kti_text *html, const kti_run_list *list, kt_error *error)
{
    static const char *const header[] = {"stage", "data set", "crystals", "MAPE mean",
                                         "std",   "median",   "kappa_SRE"};
    kt_status status = KT_OK;
    kti_html_table_begin(html, 2, header, 7);
    for (int i = 0; i < list->size && status == KT_OK; i++) {
        kt_train_result r;
        kti_summary mape, sre;
        status = kt_train_result_read(list->path[i], &r, error);
        double *values = status == KT_OK ? kti_allocate(2 * (size_t)r.folds, sizeof *values) : NULL;
        if (status == KT_OK && !values)
            status = kti_fail_memory(error, "the report");
        for (int f = 0; f < r.folds && values; f++) {
            values[f] = r.fold[f].best.mape;
            values[r.folds + f] = r.fold[f].best.sre;
        }
        if (status == KT_OK)
            status = kti_summarise(values, r.folds, &mape, error);
        if (status == KT_OK)
            status = kti_summarise(values + r.folds, r.folds, &sre, error);
        if (status == KT_OK) {
            kti_html_row_begin(html);
            kti_html_cell(html, "%s", stage_name(list->path[i]));
            kti_html_cell(html, "%s%s", r.data_set[0], r.data_sets > 1 ? " and others" : "");
            kti_html_cell(html, "%d", r.crystals);
            kti_html_number(html, mape.mean);
            kti_html_number(html, mape.sd);
            kti_html_number(html, mape.median);
            kti_html_number(html, sre.mean);
            kti_html_row_end(html);
        }
        kt_train_result_destroy(&r);
        free(values);
    }
    kti_html_table_end(html);
    kti_html_paragraph(html, "note",
                       "MAPE as a fraction, over folds, on the rows held out, kappa in W/(m K).");
    return status;
}

static void note_stage(void *user, const char *text)
{
    const kti_report *report = user;
    if (report->options->message)
        report->options->message(report->options->user, text);
}

kt_status kti_report_run(kti_report *report, kt_error *error)
{
    kti_run_list list = {0};
    kt_status status = kti_run_list_add(&list, report->options->subject, note_stage, report, error);
    kti_html_begin(&report->html, "Training run", report->options->subject);
    /* A run of one stage stands for itself. */
    const bool staged =
        status == KT_OK && (list.size > 1 || strcmp(list.path[0], report->options->subject) != 0);
    if (staged)
        status = add_summary(&report->html, &list, error);
    for (int i = 0; i < list.size && status == KT_OK; i++) {
        kti_report_stage stage = {.folder = list.path[i], .name = staged ? stage_name(list.path[i]) : ""};
        status = add_stage(report, &stage, error);
    }
    add_reproduction(&report->html, report->options->subject);
    kti_run_list_destroy(&list);
    return status;
}
