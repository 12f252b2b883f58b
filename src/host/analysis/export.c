#include "analysis/export.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include <kappatune/model.h>

#include "analysis/calibrate.h"
#include "analysis/calibration_file.h"
#include "analysis/card.h"
#include "analysis/model.h"
#include "analysis/results.h"
#include "analysis/run.h"
#include "analysis/sources.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"
#include "train/checkpoint.h"
#include "train/recipe.h"
#include "train/stages.h"
#include "train/start.h"

enum { MEASURED = 500, MOST_STAGES = 1000 };

typedef struct job {
    const kti_export_options *options;
    const char *out;
    char *run;              /* of one stage; owned */
    json_t *recipe;         /* as the run has it; owned */
    kt_train_options train; /* the same; its strings belong to `recipe` */
    json_t *metrics;        /* owned */
    char *metrics_file;     /* owned */
    int folds, *fold;       /* that have weights; owned */
} job;

static void say(const job *j, const char *format, const char *what)
{
    char text[512];
    snprintf(text, sizeof text, format, what);
    if (j->options->message)
        j->options->message(j->options->user, text);
}

/* ---- reading the run ---- */

static kt_status read_recipe(job *j, kt_error *error)
{
    char *file = kti_path_join(j->run, "recipe.json");
    kt_status status =
        file ? kti_json_read(file, KTI_RECIPE_LIMIT, &j->recipe, error) : kti_fail_memory(error, "a path");
    j->train = kt_train_options_default(KT_SOUND);
    if (j->options) {
        j->train.find = j->options->find;
        j->train.find_user = j->options->find_user;
    }
    if (status == KT_OK)
        status = kti_recipe_parse(j->recipe, file, &j->train, error);
    free(file);
    return status;
}

static kt_status read_metrics(job *j, kt_error *error)
{
    json_t *folds = NULL, *fold;
    size_t i;
    j->metrics_file = kti_path_join(j->run, "metrics.json");
    if (!j->metrics_file)
        return kti_fail_memory(error, "a path");
    if (!kti_file_exists(j->metrics_file))
        return kti_fail_file(
            error, KT_IO, j->run,
            "is no finished run: it has no metrics.json (a run that was stopped goes on with "
            "kappatune train --resume)");
    kt_status status = kti_json_read(j->metrics_file, KTI_METRICS_LIMIT, &j->metrics, error);
    if (status == KT_OK)
        status = kti_json_array(j->metrics, j->metrics_file, "folds", &folds, error);
    if (status != KT_OK)
        return status;
    j->fold = kti_allocate(json_array_size(folds), sizeof *j->fold);
    if (!j->fold)
        return kti_fail_memory(error, "the list of folds");
    json_array_foreach(folds, i, fold)
    {
        int64_t number = 0;
        bool failed = false;
        if (status == KT_OK)
            status = kti_json_integer(fold, j->metrics_file, "fold", 1, 1000000, &number, error);
        if (status == KT_OK)
            status = kti_json_boolean(fold, j->metrics_file, "failed", &failed, error);
        if (status == KT_OK && !failed)
            j->fold[j->folds++] = (int)number;
    }
    if (status == KT_OK && j->folds == 0)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, j->run, "has no fold that was trained to its end");
    return status;
}

/* ---- the members ---- */

/* "trained by kappatune on togo15 from PATH": the path as another machine may see it. */
static kt_status clean_provenance(kti_tensors *tensors, kt_error *error)
{
    const char *text = kti_tensors_metadata(tensors, "provenance");
    const char *from = text ? strstr(text, " from ") : NULL;
    char path[512], clean[1024];
    if (!from)
        return KT_OK;
    kti_portable_path(from + strlen(" from "), path, sizeof path);
    snprintf(clean, sizeof clean, "%.*s from %s", (int)(from - text), text, path);
    return kti_tensors_set_metadata(tensors, "provenance", clean, error);
}

/* A fold's product as it is handed on. The caller destroys *tensors. */
static kt_status read_member(const job *j, int fold, kti_tensors *tensors, kt_error *error)
{
    char *file = kti_checkpoint_path(j->run, fold, "best.safetensors");
    *tensors = (kti_tensors){0};
    kt_status status = file ? kti_weights_read(file, tensors, error) : kti_fail_memory(error, "a path");
    for (size_t i = 0; i < tensors->size && status == KT_OK && j->options->half; i++) {
        kt_error own = KT_ERROR_NONE;
        if (strncmp(tensors->list[i].name, "gp.", 3) != 0 &&
            kti_tensor_to_half(&tensors->list[i], &own) != KT_OK)
            status = kti_fail_file(error, own.status, file, "%s", own.message);
    }
    if (status == KT_OK)
        status = clean_provenance(tensors, error);
    free(file);
    return status;
}

static size_t size_of(const kti_tensors *tensors)
{
    size_t bytes = 0;
    for (size_t i = 0; i < tensors->size; i++)
        bytes += tensors->list[i].elements * kti_dtype_size(tensors->list[i].dtype);
    return bytes;
}

static kt_status check_members(const job *j, kti_exported *exported, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < j->folds && status == KT_OK; i++) {
        kti_tensors tensors;
        status = read_member(j, j->fold[i], &tensors, error);
        exported->members++;
        exported->bytes += size_of(&tensors);
        kti_tensors_destroy(&tensors);
    }
    return status;
}

static kt_status write_member(const job *j, int fold, kt_error *error)
{
    kti_tensors tensors;
    char *folder = kti_checkpoint_path(j->out, fold, ""),
         *file = kti_checkpoint_path(j->out, fold, "best.safetensors");
    kt_status status = read_member(j, fold, &tensors, error);
    if (status == KT_OK)
        status = folder && file ? kti_make_folder(folder, error) : kti_fail_memory(error, "a path");
    if (status == KT_OK)
        status = kti_safetensors_write(file, &tensors, error);
    kti_tensors_destroy(&tensors);
    free(folder);
    free(file);
    return status;
}

/* ---- the folder ---- */

static bool holds(const char *folder, const char *name)
{
    char *path = kti_path_join(folder, name);
    const bool found = path && kti_file_exists(path);
    free(path);
    return found;
}

/* Of an exported model, which nothing else has: a run keeps a log, and no card. */
static kt_status check_out(const job *j, kt_error *error)
{
    if (!kti_file_exists(j->out) && !kti_is_folder(j->out))
        return KT_OK;
    if (!j->options->force)
        return kti_fail_file(error, KT_BAD_ARGUMENT, j->out, "exists already; --force replaces a model");
    if (!holds(j->out, "README.md") || !holds(j->out, "metrics.json") || holds(j->out, "log.jsonl"))
        return kti_fail_file(error, KT_BAD_ARGUMENT, j->out,
                             "is no exported model, so --force does not replace it");
    return KT_OK;
}

static bool is_member(const job *j, const char *name)
{
    for (int i = 0; i < j->folds; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", j->fold[i]);
        if (strcmp(number, name) == 0)
            return true;
    }
    return false;
}

/* Members of a model in the way that this one does not have. */
static kt_status remove_stale(const job *j, kt_error *error)
{
    kt_status status = KT_OK;
    char *folds = kti_path_join(j->out, "folds");
    DIR *folder = folds ? opendir(folds) : NULL;
    for (const struct dirent *entry; folder && status == KT_OK && (entry = readdir(folder));) {
        char *end, *file;
        const long number = strtol(entry->d_name, &end, 10);
        if (number < 1 || number > 1000000 || *end || is_member(j, entry->d_name))
            continue;
        file = kti_checkpoint_path(j->out, (int)number, "best.safetensors");
        if (!file)
            status = kti_fail_memory(error, "a path");
        else if (remove(file) != 0 && errno != ENOENT)
            status = kti_fail_file(error, KT_IO, file, "cannot be removed: %s", strerror(errno));
        free(file);
        file = kti_checkpoint_path(j->out, (int)number, "");
        if (file)
            rmdir(file); /* not if something else is in it */
        free(file);
    }
    if (folder)
        closedir(folder);
    free(folds);
    return status;
}

static json_t *portable(const json_t *value)
{
    char path[4096];
    if (!json_is_string(value))
        return json_deep_copy(value);
    kti_portable_path(json_string_value(value), path, sizeof path);
    return json_string(path);
}

static kt_status write_recipe(const job *j, kt_error *error)
{
    static const char *const keys[] = {"data", "from"};
    json_t *copy = json_deep_copy(j->recipe);
    char *file = kti_path_join(j->out, "recipe.json");
    kt_status status = copy && file ? KT_OK : kti_fail_memory(error, "the recipe");
    for (size_t k = 0; k < sizeof keys / sizeof keys[0] && status == KT_OK; k++) {
        json_t *value = json_object_get(copy, keys[k]), *item;
        size_t i;
        int lost = 0;
        json_array_foreach(value, i, item) lost |= json_array_set_new(value, i, portable(item));
        if (json_is_string(value))
            lost = json_object_set_new(copy, keys[k], portable(value));
        if (lost)
            status = kti_fail_memory(error, "the recipe");
    }
    if (status == KT_OK)
        status = kti_json_write(file, copy, error);
    json_decref(copy);
    free(file);
    return status;
}

/* With the interval of the weights as they are handed on. */
static kt_status write_metrics(const job *j, kt_error *error)
{
    char *file = kti_path_join(j->out, "metrics.json");
    kt_status status = file ? kti_json_write(file, j->metrics, error) : kti_fail_memory(error, "a path");
    free(file);
    return status;
}

/* Without the data there is no calibration: an older one, of other weights, would mislead. */
static kt_status calibrate(const job *j, const kti_dataset *dataset, kt_error *error)
{
    kti_calibration calibration = {0};
    kt_interval_scores interval;
    char *file = kti_path_join(j->out, KTI_CALIBRATION_FILE);
    kt_status status = file ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && remove(file) != 0 && errno != ENOENT)
        status = kti_fail_file(error, KT_IO, file, "cannot be removed: %s", strerror(errno));
    json_object_del(j->metrics, "interval");
    if (status == KT_OK && dataset->size > 0)
        status = kti_calibrate(j->out, dataset, j->train.quotient, &calibration, error);
    if (status == KT_OK && dataset->size > 0)
        status = kti_results_set_interval(j->metrics, &calibration, &interval, error);
    kti_calibration_destroy(&calibration);
    free(file);
    return status;
}

/* ---- the card ---- */

static double median_of(double *values, int size)
{
    gsl_sort(values, 1, (size_t)size);
    return gsl_stats_median_from_sorted_data(values, 1, (size_t)size);
}

/* The run's data set, or an empty one with a message; without it there is a card too. */
static kt_status read_data(const job *j, kti_dataset *dataset, kt_error *error)
{
    kt_error own = KT_ERROR_NONE;
    *dataset = (kti_dataset){0};
    if (!j->train.data[0])
        return kti_fail_file(error, KT_BAD_FORMAT, j->run, "its recipe names no data set");
    if (kti_run_read_data(&j->train, dataset, &own) != KT_OK) {
        if (own.status == KT_OUT_OF_MEMORY)
            return kti_fail(error, own.status, "%s", own.message);
        say(j, "%s is not at hand: the card cannot say what range it covers, and there is no interval",
            j->train.data[0]);
    } else if (!kti_results_are_of(j->metrics, dataset)) {
        say(j,
            "%s is not what it was at the training: the card cannot say what range it covered, and there is "
            "no interval",
            j->train.data[0]);
        kti_dataset_destroy(dataset);
    }
    return KT_OK;
}

static kt_status cover(const kti_dataset *dataset, kti_coverage *coverage, kt_error *error)
{
    *coverage = (kti_coverage){.known = dataset->size > 0, .crystals = dataset->size};
    double *kappa = kti_allocate((size_t)dataset->size, sizeof *kappa);
    if (!kappa)
        return kti_fail_memory(error, "the range of a data set");
    for (int i = 0; i < dataset->size; i++) {
        const kti_graph *graph = &dataset->crystals[i].graph;
        kappa[i] = dataset->crystals[i].kappa;
        if (graph->sites > coverage->most_sites)
            coverage->most_sites = graph->sites;
        for (int n = 0; n < graph->nodes; n++)
            coverage->element[graph->node_type[n]] = true;
    }
    if (dataset->size > 0) {
        coverage->median = median_of(kappa, dataset->size); /* sorts */
        coverage->least = kappa[0];
        coverage->greatest = kappa[dataset->size - 1];
    }
    free(kappa);
    return KT_OK;
}

static kt_status predict_mean(kt_model *model, const kti_crystal *crystal, double *values, double *mean,
                              kt_error *error)
{
    const int members = kt_model_members(model);
    kt_status status = kti_model_predict_graph(model, &crystal->graph, crystal->id, values, NULL, error);
    *mean = 0;
    for (int m = 0; m < members; m++)
        *mean += values[m] / members;
    return status;
}

/* Opens what was written, which shows that it can be, and compares it with the run on crystals spread over the data. */
static kt_status measure(const job *j, const kti_dataset *dataset, kti_rounding *rounding, kt_error *error)
{
    kt_model_options options = kt_model_options_default();
    kt_model *run = NULL, *out = NULL;
    double *change = NULL, *values = NULL;
    options.quotient = j->train.quotient;
    *rounding = (kti_rounding){0};
    kt_status status = kt_model_open(j->out, &options, &out, error);
    if (status != KT_OK || !j->options->half || dataset->size == 0)
        goto done;
    status = kti_model_open(j->run, &options, 0, &run, error);
    change = kti_allocate(MEASURED, sizeof *change);
    values = kti_allocate((size_t)j->folds, sizeof *values);
    if (status == KT_OK && (!change || !values))
        status = kti_fail_memory(error, "predictions");
    const int step = (dataset->size + MEASURED - 1) / MEASURED;
    for (int i = 0; i < dataset->size && status == KT_OK; i += step) {
        double before, after;
        status = predict_mean(run, &dataset->crystals[i], values, &before, error);
        if (status == KT_OK)
            status = predict_mean(out, &dataset->crystals[i], values, &after, error);
        if (status == KT_OK && !(isfinite(before) && isfinite(after)))
            status = kti_fail_file(error, KT_NON_FINITE, dataset->crystals[i].id,
                                   "a member gives no finite number, as trained or in half precision");
        if (status == KT_OK)
            change[rounding->crystals++] = fabs(after - before) / fmax(fabs(before), 1e-3);
    }
    if (status == KT_OK) {
        rounding->median = median_of(change, rounding->crystals); /* sorts */
        rounding->greatest = change[rounding->crystals - 1];
    }
done:
    free(change);
    free(values);
    kt_model_close(run);
    kt_model_close(out);
    return status;
}

static void add_credit(kti_text *credits, const char *path)
{
    char name[256];
    const char *credit = kti_source_credit(path);
    kti_last_component(path, name, sizeof name);
    if (credit && strstr(credits->data, credit))
        return; /* stages share their data */
    if (credit)
        kti_text_add(credits, "- %s\n", credit);
    else
        kti_text_add(credits,
                     "- %s: not known to kappatune; its licence and origin are those of its source.\n", name);
}

/* The data and start weights of the run and of the stages before it. */
static kt_status add_credits(const job *j, kti_text *credits, kt_error *error)
{
    kt_status status = KT_OK;
    job at = {.train = j->train};
    for (int depth = 0; status == KT_OK && depth < MOST_STAGES; depth++) {
        for (int i = 0; i < KT_MOST_DATA_SETS && at.train.data[i]; i++)
            add_credit(credits, at.train.data[i]);
        if (at.train.from)
            add_credit(credits, at.train.from);
        if (!at.train.from_stage)
            break;
        char relative[512];
        snprintf(relative, sizeof relative, "../%s", at.train.from_stage);
        char *before = kti_path_join(at.run ? at.run : j->run, relative);
        json_decref(at.recipe);
        free(at.run);
        at = (job){.run = before};
        status = before ? read_recipe(&at, error) : kti_fail_memory(error, "a path");
    }
    json_decref(at.recipe);
    free(at.run);
    return status;
}

static kt_status write_card(const job *j, const kti_coverage *coverage, const kti_rounding *rounding,
                            kt_error *error)
{
    char name[256], path[1024];
    kti_text credits = {0}, text = {0};
    char *file = kti_path_join(j->out, "README.md");
    kti_last_component(j->out, name, sizeof name);
    kti_portable_path(j->out, path, sizeof path);
    kti_text_add(&credits, "%s", "");
    kt_status status = file ? add_credits(j, &credits, error) : kti_fail_memory(error, "a path");
    if (status == KT_OK && credits.failed)
        status = kti_fail_memory(error, "a model card");
    const kti_card card = {.name = name,
                           .path = path,
                           .members = j->folds,
                           .half = j->options->half,
                           .options = &j->train,
                           .metrics = j->metrics,
                           .metrics_file = j->metrics_file,
                           .coverage = coverage,
                           .rounding = rounding,
                           .credits = credits.data,
                           .licence = j->options->licence};
    if (status == KT_OK)
        status = kti_card_write(&card, &text, error);
    if (status == KT_OK)
        status = kti_file_write(file, text.data, text.size, error);
    kti_text_destroy(&credits);
    kti_text_destroy(&text);
    free(file);
    return status;
}

kt_status kti_export(const char *run, const char *out, const kti_export_options *options,
                     kti_exported *exported, kt_error *error)
{
    job j = {.options = options, .out = out};
    kti_dataset dataset = {0};
    kti_coverage coverage;
    kti_rounding rounding;
    *exported = (kti_exported){0};
    kt_status status = kti_stage_last(run, &j.run, error);
    if (status == KT_OK)
        status = read_metrics(&j, error);
    if (status == KT_OK)
        status = read_recipe(&j, error);
    if (status == KT_OK)
        status = check_out(&j, error);
    if (status == KT_OK)
        status = check_members(&j, exported, error);
    if (status == KT_OK)
        status = read_data(&j, &dataset, error);
    if (status == KT_OK)
        status = cover(&dataset, &coverage, error);
    if (status == KT_OK)
        status = remove_stale(&j, error);
    for (int i = 0; i < j.folds && status == KT_OK; i++)
        status = write_member(&j, j.fold[i], error);
    if (status == KT_OK)
        status = write_recipe(&j, error);
    if (status == KT_OK)
        status = calibrate(&j, &dataset, error);
    if (status == KT_OK)
        status = write_metrics(&j, error);
    if (status == KT_OK)
        status = measure(&j, &dataset, &rounding, error);
    if (status == KT_OK)
        status = write_card(&j, &coverage, &rounding, error);
    kti_dataset_destroy(&dataset);
    json_decref(j.recipe);
    json_decref(j.metrics);
    free(j.metrics_file);
    free(j.fold);
    free(j.run);
    return status;
}
