#include "experiment/export.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include <kappatune/model.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/text.h"
#include "download/sha256.h"
#include "experiment/calibrate.h"
#include "experiment/card.h"
#include "experiment/metrics_file.h"
#include "experiment/results_origin.h"
#include "experiment/run.h"
#include "experiment/sources.h"
#include "model/safetensors.h"
#include "predictor/calibration_file.h"
#include "predictor/model.h"
#include "train/checkpoint.h"
#include "train/members.h"
#include "train/recipe.h"
#include "train/stages.h"
#include "train/start.h"

enum { MEASURED = 500, MAX_STAGES = 1000 };

typedef struct job {
    const kti_export_options *options;
    const char *place;      /* where the model is to stand, as the caller names it */
    char *target;           /* the same without links and slashes at its end; owned */
    char *work;             /* a folder beside it, in which the model is made; owned */
    char *out, *aside;      /* work/model and work/before; owned */
    kti_lock lock;          /* of `work` */
    bool keeps;             /* `work` has the earlier model, which could not be brought back */
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
        j->train.run.find = j->options->find;
        j->train.run.find_user = j->options->find_user;
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

/* By which the member is known as one of this model. */
static kt_status note_digest(const job *j, int fold, const char *file, kt_error *error)
{
    char digest[KTI_SHA256_TEXT];
    json_t *entry;
    size_t i;
    kt_status status = kti_sha256_file(file, digest, error);
    json_array_foreach(json_object_get(j->metrics, "folds"), i, entry)
    {
        if (status == KT_OK && json_integer_value(json_object_get(entry, "fold")) == fold &&
            json_object_set_new(entry, KTI_WEIGHTS_SHA256, json_string(digest)) != 0)
            status = kti_fail_memory(error, "metrics.json");
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
    if (status == KT_OK)
        status = note_digest(j, fold, file, error);
    if (status == KT_OK)
        status = kti_folder_flush(folder, error);
    kti_tensors_destroy(&tensors);
    free(folder);
    free(file);
    return status;
}

/* ---- the folder ---- */

/* A folder's files that export does not write; `name` says which. */
static kt_status find_foreign_member(const char *folds, const char *number, char *name, size_t capacity,
                                     kt_error *error)
{
    static const char *const own[] = {"best.safetensors", NULL};
    char *end, found[256];
    const long fold = strtol(number, &end, 10);
    char *folder = kti_path_join(folds, number);
    kt_status status = folder ? kti_folder_find_foreign(folder, own, found, sizeof found, error)
                              : kti_fail_memory(error, "a path");
    if (status == KT_OK && (fold < 1 || *end || !kti_is_folder(folder)))
        snprintf(name, capacity, "folds/%s", number);
    else if (status == KT_OK && *found)
        snprintf(name, capacity, "folds/%s/%s", number, found);
    free(folder);
    return status;
}

static kt_status find_foreign(const char *model, char *name, size_t capacity, kt_error *error)
{
    static const char *const own[] = {"README.md", "metrics.json",       "recipe.json",
                                      "folds",     KTI_CALIBRATION_FILE, NULL};
    char *folds = kti_path_join(model, "folds");
    kt_status status =
        folds ? kti_folder_find_foreign(model, own, name, capacity, error) : kti_fail_memory(error, "a path");
    DIR *list = status == KT_OK && !*name ? opendir(folds) : NULL;
    for (const struct dirent *entry; list && status == KT_OK && !*name && (entry = readdir(list));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = find_foreign_member(folds, entry->d_name, name, capacity, error);
    if (list)
        closedir(list);
    free(folds);
    return status;
}

/* That nothing stands there, or an exported model that may be replaced: all of its folder goes, so it must hold all that a model has,
 * and nothing else. */
static kt_status check_out(const job *j, kt_error *error)
{
    static const char *const parts[] = {"README.md", "metrics.json", "recipe.json"};
    char name[600];
    if (!kti_file_exists(j->place) && !kti_is_folder(j->place))
        return KT_OK;
    if (!j->options->force)
        return kti_fail_file(error, KT_BAD_ARGUMENT, j->place, "exists already; --force replaces a model");
    kt_status status = find_foreign(j->place, name, sizeof name, error);
    if (status == KT_OK && *name)
        return kti_fail_file(error, KT_BAD_ARGUMENT, j->place,
                             "is no exported model, so --force does not replace it: it holds %s", name);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == KT_OK; i++) {
        char *file = kti_path_join(j->place, parts[i]);
        if (!file)
            status = kti_fail_memory(error, "a path");
        else if (!kti_file_exists(file))
            status =
                kti_fail_file(error, KT_BAD_ARGUMENT, j->place,
                              "is no exported model, so --force does not replace it: it has no %s", parts[i]);
        free(file);
    }
    return status;
}

/* j->target, whose parent folder is made. */
static kt_status find_target(job *j, kt_error *error)
{
    j->target = realpath(j->place, NULL);
    if (j->target)
        return KT_OK;
    char *path = kti_duplicate_text(j->place);
    for (size_t length = path ? strlen(path) : 0; length > 1 && path[length - 1] == '/'; length--)
        path[length - 1] = '\0';
    j->target = path;
    char *slash = path ? strrchr(path, '/') : NULL;
    if (!path)
        return kti_fail_memory(error, "a path");
    if (!slash || slash == path)
        return KT_OK;
    *slash = '\0';
    kt_status status = kti_make_folder(path, error);
    *slash = '/';
    return status;
}

/* The folder in which the model is made, in nobody else's hands, and without what a killed export has left in it. */
static kt_status open_work(job *j, kt_error *error)
{
    kt_status status = find_target(j, error);
    j->work = status == KT_OK ? kti_part_path(j->target, "") : NULL;
    j->out = j->work ? kti_path_join(j->work, "model") : NULL;
    j->aside = j->work ? kti_path_join(j->work, "before") : NULL;
    if (status == KT_OK && (!j->out || !j->aside))
        status = kti_fail_memory(error, "a path");
    if (status == KT_OK)
        status = kti_make_folder(j->work, error);
    if (status == KT_OK)
        status = kti_lock_take(&j->lock, j->work, error);
    /* It was killed between two names: see kti_folder_replace. */
    if (status == KT_OK && !kti_is_folder(j->target) && kti_is_folder(j->aside)) {
        status = kti_folder_replace(j->aside, j->target, j->out, error);
        j->keeps = status != KT_OK;
    }
    if (status == KT_OK)
        status = check_out(j, error);
    if (status == KT_OK)
        status = kti_folder_remove(j->out, error);
    if (status == KT_OK)
        status = kti_folder_remove(j->aside, error);
    return status;
}

/* What is left in it is of no use, a model that failed or one that was replaced, unless it is the only one. */
static void close_work(job *j)
{
    kt_error own = KT_ERROR_NONE;
    if (j->lock.handle >= 0 && !j->keeps && kti_folder_remove(j->work, &own) != KT_OK)
        say(j, "%s is left over and can be removed", j->work);
    kti_lock_release(&j->lock);
    free(j->target);
    free(j->work);
    free(j->out);
    free(j->aside);
}

/* The model, whole and on the disk, where it is to stand. */
static kt_status put_in_place(job *j, kt_error *error)
{
    char *folds = kti_path_join(j->out, "folds"), *parent = kti_path_join(j->work, "..");
    kt_status status = folds && parent ? kti_folder_flush(folds, error) : kti_fail_memory(error, "a path");
    if (status == KT_OK)
        status = kti_folder_flush(j->out, error);
    /* Again: making it took its time, and what has come meanwhile would go with the earlier model. */
    if (status == KT_OK)
        status = check_out(j, error);
    if (status == KT_OK) {
        status = kti_folder_replace(j->out, j->target, j->aside, error);
        j->keeps = status != KT_OK && kti_is_folder(j->aside);
    }
    if (status == KT_OK)
        status = kti_folder_flush(parent, error);
    free(folds);
    free(parent);
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

/* Without the data there is no calibration; the run's own interval is of other weights where they were rounded. */
static kt_status calibrate(const job *j, const kti_dataset *dataset, kt_error *error)
{
    kti_calibration calibration = {0};
    kt_interval_scores interval;
    kt_status status = KT_OK;
    json_object_del(j->metrics, "interval");
    if (dataset->size > 0)
        status = kti_calibrate(j->out, dataset, j->train.quotient, &calibration, error);
    if (status == KT_OK && dataset->size > 0)
        status = kti_results_set_interval(j->metrics, &calibration, &interval, error);
    kti_calibration_destroy(&calibration);
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
        if (graph->sites > coverage->max_sites)
            coverage->max_sites = graph->sites;
        for (int n = 0; n < graph->nodes; n++)
            coverage->element[graph->node_type[n]] = true;
    }
    if (dataset->size > 0) {
        coverage->median = median_of(kappa, dataset->size); /* sorts */
        coverage->min = kappa[0];
        coverage->max = kappa[dataset->size - 1];
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
        rounding->max = change[rounding->crystals - 1];
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
    for (int depth = 0; status == KT_OK && depth < MAX_STAGES; depth++) {
        for (int i = 0; i < KT_MAX_DATA_SETS && at.train.data[i]; i++)
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
    kti_last_component(j->place, name, sizeof name);
    kti_portable_path(j->place, path, sizeof path);
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
        status = kti_text_write(&text, file, "a model card", error);
    kti_text_destroy(&credits);
    kti_text_destroy(&text);
    free(file);
    return status;
}

/* In j->out, all but the card. */
static kt_status write_model(const job *j, const kti_dataset *dataset, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < j->folds && status == KT_OK; i++)
        status = write_member(j, j->fold[i], error);
    if (status == KT_OK)
        status = write_recipe(j, error);
    if (status == KT_OK)
        status = calibrate(j, dataset, error);
    return status == KT_OK ? write_metrics(j, error) : status;
}

kt_status kti_export(const char *run, const char *out, const kti_export_options *options,
                     kti_exported *exported, kt_error *error)
{
    job j = {.options = options, .place = out, .lock = KTI_LOCK_NONE};
    kti_dataset dataset = {0};
    kti_coverage coverage;
    kti_rounding rounding;
    *exported = (kti_exported){0};
    kt_status status = kti_stage_last(run, &j.run, error);
    if (status == KT_OK)
        status = read_metrics(&j, error);
    if (status == KT_OK)
        status = kti_members_check(j.run, 0, error);
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
        status = open_work(&j, error);
    if (status == KT_OK)
        status = write_model(&j, &dataset, error);
    if (status == KT_OK)
        status = measure(&j, &dataset, &rounding, error);
    if (status == KT_OK)
        status = write_card(&j, &coverage, &rounding, error);
    if (status == KT_OK)
        status = put_in_place(&j, error);
    close_work(&j);
    kti_dataset_destroy(&dataset);
    json_decref(j.recipe);
    json_decref(j.metrics);
    free(j.metrics_file);
    free(j.fold);
    free(j.run);
    return status;
}
