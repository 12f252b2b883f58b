/* A training run from data set to run folder. */
#include <kappatune/train.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/metrics.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "train/recipe.h"
#include "train/trainer.h"

typedef struct score_key {
    const char *name;
    size_t offset;
} score_key;

static const score_key score_keys[] = {
    {"mape", offsetof(kt_scores, mape)},
    {"medape", offsetof(kt_scores, medape)},
    {"mae", offsetof(kt_scores, mae)},
    {"rmse", offsetof(kt_scores, rmse)},
    {"r2", offsetof(kt_scores, r2)},
    {"r2_log", offsetof(kt_scores, r2_log)},
    {"spearman", offsetof(kt_scores, spearman)},
    {"sre", offsetof(kt_scores, sre)},
};

enum { SCORES = sizeof score_keys / sizeof score_keys[0] };

static double score(const kt_scores *scores, int i)
{
    return *(const double *)((const char *)scores + score_keys[i].offset);
}

/* ---- results ---- */

static kt_status collect(const kti_run *run, kt_train_result *result, kt_error *error)
{
    kt_status status = KT_OK;
    result->crystals = run->dataset->size;
    result->rejected = run->dataset->rejected;
    result->fold = kti_allocate((size_t)run->folds, sizeof *result->fold);
    if (!result->fold)
        return kti_fail_memory(error, "the results");
    result->folds = run->folds;
    for (int i = 0; i < run->folds && status == KT_OK; i++) {
        const kti_fold *fold = &run->fold[i];
        const int32_t *rows = kti_fold_validate(fold);
        double *truth = kti_allocate((size_t)fold->validate_rows, sizeof *truth);
        if (!truth)
            return kti_fail_memory(error, "the results");
        for (int j = 0; j < fold->validate_rows; j++)
            truth[j] = run->dataset->crystals[rows[j]].kappa;
        kt_fold_result *r = &result->fold[i];
        *r = (kt_fold_result){.fold = fold->number,
                              .train_rows = fold->train_rows,
                              .select_rows = fold->select_rows,
                              .validate_rows = fold->validate_rows,
                              .best_epoch = fold->best_epoch,
                              .skipped_steps = fold->skipped,
                              .rescues = fold->rescues};
        status = kti_scores(truth, run->validation[i].best, fold->validate_rows, &r->best, error);
        if (status == KT_OK)
            status = kti_scores(truth, run->validation[i].last, fold->validate_rows, &r->last, error);
        r->collapsed =
            fold->best_epoch > 0 &&
            kti_spread_is_flat(fold->history[(fold->best_epoch - 1) * KTI_HISTORY_COLUMNS + KTI_SPREAD]);
        r->failed = fold->best_epoch == 0 || !isfinite(r->best.mape);
        free(truth);
    }
    return status;
}

/* ---- files ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void add_scores(json_t *object, const kt_scores *scores)
{
    for (int i = 0; i < SCORES; i++)
        json_object_set_new(object, score_keys[i].name, number(score(scores, i)));
}

static kt_status add_summary(json_t *object, const kt_train_result *result, int last, kt_error *error)
{
    kt_status status = KT_OK;
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    if (!values)
        return kti_fail_memory(error, "the results");
    for (int i = 0; i < SCORES && status == KT_OK; i++) {
        kti_summary summary;
        for (int f = 0; f < result->folds; f++)
            values[f] = score(last ? &result->fold[f].last : &result->fold[f].best, i);
        status = kti_summarise(values, result->folds, &summary, error);
        if (status == KT_OK)
            json_object_set_new(object, score_keys[i].name,
                                json_pack("{s:i, s:o, s:o, s:o}", "folds", summary.size, "mean",
                                          number(summary.mean), "std", number(summary.sd), "median",
                                          number(summary.median)));
    }
    free(values);
    return status;
}

static kt_status write_metrics(const kti_run *run, const kt_train_result *result, kt_error *error)
{
    const kt_train_options *o = run->options;
    kt_status status = KT_OK;
    json_t *root = json_object(), *folds = json_array(), *summary = json_object(),
           *last_summary = json_object();
    char *path = kti_path_join(o->out, "metrics.json");
    if (!root || !folds || !summary || !last_summary || !path) {
        status = kti_fail_memory(error, "metrics.json");
        json_decref(folds);
        json_decref(summary);
        json_decref(last_summary);
        goto done;
    }
    json_object_set_new(root, "protocol", json_string(kti_protocol_names[o->protocol]));
    json_object_set_new(root, "select", json_string(kti_select_names[o->select]));
    json_object_set_new(root, "dataset", json_string(run->dataset->name));
    json_object_set_new(root, "units", json_string("W/(m K)"));
    json_object_set_new(root, "crystals", json_integer(result->crystals));
    json_object_set_new(root, "rejected", json_integer(result->rejected));
    for (int f = 0; f < result->folds; f++) {
        const kt_fold_result *r = &result->fold[f];
        json_t *object = json_pack("{s:i, s:i, s:i, s:i}", "fold", r->fold, "n_train", r->train_rows,
                                   "n_select", r->select_rows, "n_validate", r->validate_rows);
        json_t *last = json_object();
        add_scores(object, &r->best);
        add_scores(last, &r->last);
        json_object_set_new(object, "best_epoch", json_integer(r->best_epoch));
        json_object_set_new(object, "skipped_steps", json_integer(r->skipped_steps));
        json_object_set_new(object, "rescues", json_integer(r->rescues));
        json_object_set_new(object, "collapsed", json_boolean(r->collapsed));
        json_object_set_new(object, "failed", json_boolean(r->failed));
        json_object_set_new(object, "last_epoch", last);
        json_array_append_new(folds, object);
    }
    status = add_summary(summary, result, 0, error);
    if (status == KT_OK)
        status = add_summary(last_summary, result, 1, error);
    json_object_set_new(root, "folds", folds);
    json_object_set_new(root, "summary", summary);
    json_object_set_new(root, "summary_last_epoch", last_summary);
    if (status == KT_OK)
        status = kti_json_write(path, root, error);
done:
    json_decref(root);
    free(path);
    return status;
}

static kt_status write_text(const char *run, const char *name, const kti_text *text, kt_error *error)
{
    char *path = kti_path_join(run, name);
    kt_status status = KT_OK;
    if (!path || text->failed)
        status = kti_fail_memory(error, name);
    if (status == KT_OK)
        status = kti_file_write(path, text->data, text->size, error);
    free(path);
    return status;
}

/* ",1.25", or "," where there is no finite number. */
static void add_number(kti_text *text, double value)
{
    if (isfinite(value))
        kti_text_add(text, ",%.9g", value);
    else
        kti_text_add(text, ",");
}

static kt_status write_epochs(const kti_run *run, kt_error *error)
{
    kti_text text = {0};
    kti_text_add(&text, "fold,epoch");
    for (int c = 0; c < KTI_HISTORY_COLUMNS; c++)
        kti_text_add(&text, ",%s", kti_history_names[c]);
    kti_text_add(&text, "\n");
    for (int f = 0; f < run->folds; f++)
        for (int e = 0; e < run->fold[f].epoch; e++) {
            kti_text_add(&text, "%d,%d", run->fold[f].number, e + 1);
            for (int c = 0; c < KTI_HISTORY_COLUMNS; c++) {
                const double value = run->fold[f].history[(int64_t)e * KTI_HISTORY_COLUMNS + c];
                add_number(&text, value < 0 ? NAN : value); /* -1: there is none */
            }
            kti_text_add(&text, "\n");
        }
    kt_status status = write_text(run->options->out, "epochs.csv", &text, error);
    kti_text_destroy(&text);
    return status;
}

static kt_status write_predictions(const kti_run *run, kt_error *error)
{
    kti_text text = {0};
    kti_text_add(&text, "fold,id,kappa,predicted,predicted_last_epoch\n");
    for (int f = 0; f < run->folds; f++) {
        const int32_t *rows = kti_fold_validate(&run->fold[f]);
        for (int i = 0; i < run->fold[f].validate_rows; i++) {
            const kti_crystal *crystal = &run->dataset->crystals[rows[i]];
            kti_text_add(&text, "%d,", run->fold[f].number);
            kti_text_add_csv(&text, crystal->id);
            add_number(&text, crystal->kappa);
            add_number(&text, run->validation[f].best[i]);
            add_number(&text, run->validation[f].last[i]);
            kti_text_add(&text, "\n");
        }
    }
    kt_status status = write_text(run->options->out, "predictions.csv", &text, error);
    kti_text_destroy(&text);
    return status;
}

/* ---- the run ---- */

static void say(const kt_train_options *options, const char *format, ...) KTI_PRINTF(2, 3);

static void say(const kt_train_options *options, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    if (!options->message)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    options->message(options->user, text);
}

static kt_status report_rejects(const kt_train_options *options, const kti_dataset *dataset, kt_error *error)
{
    if (dataset->rejected == 0)
        return KT_OK;
    for (int i = 0; i < dataset->rejected; i++) {
        char text[900];
        kt_error_format(&dataset->rejects[i].error, text, sizeof text);
        say(options, "rejected: %s", text);
    }
    if (!options->out)
        return KT_OK;
    char *path = kti_path_join(options->out, "rejects.csv");
    kt_status status =
        path ? kti_dataset_write_rejects(dataset, path, error) : kti_fail_memory(error, "a path");
    free(path);
    return status;
}

static void announce(const kt_train_options *options, const kti_device *device, const kti_run *run)
{
    const int lanes = kti_device_lanes(device), threads = lanes < run->folds ? lanes : run->folds;
    int64_t done = 0;
    for (int i = 0; i < run->folds; i++)
        done += run->fold[i].epoch;
    say(options, "%d crystals of %s, %d fold%s of %d epochs, on %s with %d thread%s", run->dataset->size,
        run->dataset->name, run->folds, run->folds == 1 ? "" : "s", options->epochs,
        kti_device_description(device), threads, threads == 1 ? "" : "s");
    if (done > 0)
        say(options, "resumed: %lld of %lld epochs are done", (long long)done,
            (long long)run->folds * options->epochs);
    if (options->from && kti_start_fingerprint(&run->start, run->fold[0].number) == 0)
        say(options, "the weights %s are checked but not used: the published code never loads them",
            options->from);
}

kt_status kt_train(const kt_train_options *options, kt_train_result *result, kt_error *error)
{
    kti_dataset dataset = {0};
    kti_run run = {0};
    kti_device *device = NULL;
    kti_lock lock = KTI_LOCK_NONE;
    *result = (kt_train_result){0};
    kt_status status = kti_recipe_check(options, error);
    if (status == KT_OK && options->out)
        status = kti_recipe_check_run(options, error);
    if (status == KT_OK)
        status = kti_device_create(options->device, options->threads, &device, error);
    kti_dataset_options data_options = kti_dataset_options_default();
    data_options.graph.quotient = options->quotient;
    data_options.threads = options->threads;
    if (status == KT_OK)
        status = kti_dataset_read(options->data[0], &data_options, &dataset, error);
    if (status == KT_OK)
        status = kti_run_create(device, options, &dataset, &run, error);
    /* The folder is touched only when everything else is in order. */
    if (status == KT_OK && options->out)
        status = kti_recipe_store(options, &lock, error);
    if (status == KT_OK)
        status = report_rejects(options, &dataset, error);
    if (status == KT_OK) {
        announce(options, device, &run);
        status = kti_run_train(&run, error);
    }
    if (options->out && (status == KT_OK || status == KT_INTERRUPTED)) {
        kt_status written = write_epochs(&run, error);
        status = status == KT_OK ? written : status;
    }
    if (status == KT_OK)
        status = collect(&run, result, error);
    if (status == KT_OK && options->out)
        status = write_metrics(&run, result, error);
    if (status == KT_OK && options->out)
        status = write_predictions(&run, error);
    if (status != KT_OK)
        kt_train_result_destroy(result);
    kti_lock_release(&lock);
    kti_run_destroy(&run);
    kti_dataset_destroy(&dataset);
    kti_device_destroy(device);
    return status;
}

void kt_train_result_destroy(kt_train_result *result)
{
    free(result->fold);
    *result = (kt_train_result){0};
}
