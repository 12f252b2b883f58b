#include "train/members.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "download/sha256.h"
#include "model/safetensors.h"
#include "train/checkpoint.h"
#include "train/recipe.h"

kt_status kti_members_list(const char *folder, int fold[KTI_MAX_MEMBERS], int *count, kt_error *error)
{
    *count = 0;
    if (!kti_is_folder(folder))
        return KT_OK;
    for (int number = 1; number <= KTI_MAX_MEMBERS; number++) {
        char *file = kti_checkpoint_path(folder, number, "best.safetensors");
        if (!file)
            return kti_fail_memory(error, "a path");
        if (kti_file_exists(file))
            fold[(*count)++] = number;
        free(file);
    }
    return KT_OK;
}

/* ---- runs that have not finished ---- */

/* How many folds the run's recipe asks for; 0 where it does not say. */
static int wanted_folds(const char *folder)
{
    json_t *recipe = NULL;
    kt_error unwanted = KT_ERROR_NONE;
    char *file = kti_path_join(folder, "recipe.json");
    if (file && kti_file_exists(file))
        kti_json_read(file, KTI_RECIPE_LIMIT, &recipe, &unwanted);
    const int folds = (int)json_integer_value(json_object_get(recipe, "folds"));
    json_decref(recipe);
    free(file);
    return folds;
}

static kt_status fail_unfinished(const char *folder, int present, kt_error *error)
{
    const int wanted = wanted_folds(folder);
    if (wanted == 0)
        return kti_fail_file(error, KT_BAD_ARGUMENT, folder,
                             "has folds, but no metrics.json that says which of them make the model; export "
                             "or copy it again");
    return kti_fail_file(
        error, KT_BAD_ARGUMENT, folder,
        "is a run that has not finished: %d of its %d folds have weights so far. "
        "kappatune train --resume finishes it; one fold alone is its folds/N/best.safetensors",
        present, wanted);
}

/* ---- the folds' files ---- */

static kt_status check_digest(const char *file, const char *wanted, kt_error *error)
{
    char found[KTI_SHA256_TEXT];
    kt_status status = kti_sha256_file(file, found, error);
    if (status == KT_OK && strcmp(found, wanted) != 0)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, file,
                               "is not the file that this model was exported with: its SHA-256 is another "
                               "than in metrics.json. Export or copy the model again");
    return status;
}

/* A run that went on with its data under another name has folds of both names; a model that was handed on has one. */
static bool was_trained_here(const char *folder)
{
    char *log = kti_path_join(folder, "log.jsonl");
    const bool found = log && kti_file_exists(log);
    free(log);
    return found;
}

static kt_status compare_metadata(const kti_tensors *tensors, const json_t *metrics, const char *file,
                                  const char *key, kt_error *error)
{
    const char *own = kti_tensors_metadata(tensors, key),
               *wanted = json_string_value(json_object_get(metrics, key));
    if (!own || !wanted || strcmp(own, wanted) == 0)
        return KT_OK;
    return kti_fail_file(error, KT_BAD_ARGUMENT, file,
                         "is of another model: its `%s` is %.100s, but metrics.json says %.100s. Export or "
                         "copy the model again",
                         key, own, wanted);
}

/* What the file itself says, where nobody has noted its SHA-256. */
static kt_status check_description(const char *folder, const char *file, int number, const json_t *metrics,
                                   kt_error *error)
{
    static const char *const keys[] = {"protocol", "select", "dataset"};
    const int compared = was_trained_here(folder) ? 2 : 3;
    kti_tensors tensors = {0};
    kt_status status = kti_safetensors_read(file, &tensors, error);
    const char *fold = status == KT_OK ? kti_tensors_metadata(&tensors, "fold") : NULL;
    if (fold && strtol(fold, NULL, 10) != number)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, file,
                               "is fold %ld's, not fold %d's. Export or copy the model again",
                               strtol(fold, NULL, 10), number);
    for (int i = 0; i < compared && status == KT_OK; i++)
        status = compare_metadata(&tensors, metrics, file, keys[i], error);
    kti_tensors_destroy(&tensors);
    return status;
}

/* ---- all of them ---- */

typedef struct folds {
    const char *folder;
    const json_t *metrics;
    size_t named; /* folds in metrics.json */
    int only;     /* the one that is wanted; 0: all */
    bool present[KTI_MAX_MEMBERS + 1], known[KTI_MAX_MEMBERS + 1];
} folds;

static kt_status check_fold(folds *f, const json_t *fold, const char *metrics_file, kt_error *error)
{
    const char *digest = json_string_value(json_object_get(fold, KTI_WEIGHTS_SHA256));
    int64_t number = 0;
    bool failed = false;
    kt_status status = kti_json_integer(fold, metrics_file, "fold", 1, KTI_MAX_MEMBERS, &number, error);
    if (status == KT_OK)
        status = kti_json_boolean(fold, metrics_file, "failed", &failed, error);
    if (status != KT_OK)
        return status;
    f->known[number] = true;
    if ((f->only && f->only != number) || (!f->present[number] && failed))
        return KT_OK;
    char *file = kti_checkpoint_path(f->folder, (int)number, "best.safetensors");
    if (!file)
        status = kti_fail_memory(error, "a path");
    else if (!f->present[number])
        status = kti_fail_file(error, KT_BAD_ARGUMENT, file,
                               "is missing: fold %d of the model's %zu. Export or copy the model again; of a "
                               "run, kappatune train --resume",
                               (int)number, f->named);
    else
        status = digest ? check_digest(file, digest, error)
                        : check_description(f->folder, file, (int)number, f->metrics, error);
    free(file);
    return status;
}

static kt_status check_strangers(const folds *f, kt_error *error)
{
    kt_status status = KT_OK;
    for (int number = 1; number <= KTI_MAX_MEMBERS && status == KT_OK; number++) {
        if (!f->present[number] || f->known[number] || (f->only && f->only != number))
            continue;
        char *file = kti_checkpoint_path(f->folder, number, "best.safetensors");
        status = file ? kti_fail_file(error, KT_BAD_ARGUMENT, file,
                                      "does not belong to the model, whose metrics.json names %zu other "
                                      "fold%s. Export or copy the model again; of a run, kappatune train "
                                      "--resume without --fold",
                                      f->named, f->named == 1 ? "" : "s")
                      : kti_fail_memory(error, "a path");
        free(file);
    }
    return status;
}

static kt_status check_folds(const char *folder, const json_t *metrics, const char *metrics_file,
                             const int *present, int count, int only_fold, kt_error *error)
{
    json_t *list = NULL, *fold;
    size_t i;
    folds f = {.folder = folder, .metrics = metrics, .only = only_fold};
    for (int k = 0; k < count; k++)
        f.present[present[k]] = true;
    kt_status status = kti_json_array(metrics, metrics_file, "folds", &list, error);
    f.named = json_array_size(list);
    json_array_foreach(list, i, fold)
    {
        if (status == KT_OK)
            status = check_fold(&f, fold, metrics_file, error);
    }
    return status == KT_OK ? check_strangers(&f, error) : status;
}

kt_status kti_members_check(const char *folder, int only_fold, kt_error *error)
{
    int present[KTI_MAX_MEMBERS], count = 0;
    json_t *metrics = NULL;
    char *file = kti_path_join(folder, "metrics.json");
    kt_status status =
        file ? kti_members_list(folder, present, &count, error) : kti_fail_memory(error, "a path");
    if (status == KT_OK && !kti_file_exists(file))
        status = fail_unfinished(folder, count, error);
    if (status == KT_OK)
        status = kti_json_read(file, KTI_METRICS_LIMIT, &metrics, error);
    if (status == KT_OK)
        status = check_folds(folder, metrics, file, present, count, only_fold, error);
    json_decref(metrics);
    free(file);
    return status;
}
