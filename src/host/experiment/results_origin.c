#include "experiment/results_origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/members.h"

enum { MAX_STAGES = 1000 };

static bool is_fingerprint(const json_t *object, const char *key, uint64_t fingerprint)
{
    char text[24];
    const char *stored = json_string_value(json_object_get(object, key));
    snprintf(text, sizeof text, "%016" PRIx64, fingerprint);
    return stored && strcmp(stored, text) == 0;
}

bool kti_results_are_of(const json_t *metrics, const kti_dataset *dataset)
{
    return json_integer_value(json_object_get(metrics, "crystals")) == dataset->size &&
           (!json_object_get(metrics, "data_fingerprint") ||
            is_fingerprint(metrics, "data_fingerprint", kti_dataset_fingerprint(dataset)));
}

static kt_status has_files(const kt_train_options *options, const json_t *fold, bool *found, kt_error *error)
{
    const char *run = options->run.out;
    const int number = (int)json_integer_value(json_object_get(fold, "fold"));
    char *best = kti_checkpoint_path(run, number, "best.safetensors"),
         *last = kti_checkpoint_path(run, number, "last.safetensors");
    kt_status status = best && last ? KT_OK : kti_fail_memory(error, "a path");
    /* Without epochs there is nothing to go on from, and a fold that failed may have no product. */
    *found = status == KT_OK && (options->epochs == 0 || kti_file_exists(last)) &&
             (kti_file_exists(best) || (json_is_true(json_object_get(fold, "failed")) &&
                                        json_integer_value(json_object_get(fold, "best_epoch")) == 0));
    free(best);
    free(last);
    return status;
}

kt_status kti_results_are_current(const kt_train_options *options, uint64_t data_fingerprint,
                                  const kti_start *start, bool *current, kt_error *error)
{
    json_t *root = NULL, *fold;
    size_t i;
    kt_status status = KT_OK;
    char *path = kti_path_join(options->run.out, "metrics.json");
    *current = false;
    if (!path)
        return kti_fail_memory(error, "a path");
    if (kti_file_exists(path)) {
        status = kti_json_read(path, KTI_METRICS_LIMIT, &root, error);
        const json_t *folds = json_object_get(root, "folds");
        const size_t asked = (size_t)kti_fold_count(options);
        *current =
            is_fingerprint(root, "data_fingerprint", data_fingerprint) && json_array_size(folds) == asked;
        json_array_foreach(folds, i, fold)
        {
            const int number = options->run.only_fold ? options->run.only_fold : (int)i + 1;
            bool found = false;
            if (status != KT_OK || !*current)
                break;
            status = has_files(options, fold, &found, error);
            *current = found && json_integer_value(json_object_get(fold, "fold")) == number &&
                       is_fingerprint(fold, "start_fingerprint", kti_start_fingerprint(start, number));
        }
    }
    json_decref(root);
    free(path);
    return status;
}

static void mark_own(const json_t *metrics, const uint64_t *fingerprint, int sets, bool *own)
{
    const json_t *part;
    size_t i;
    for (int s = 0; s < sets; s++) {
        own[s] = own[s] || is_fingerprint(metrics, "data_fingerprint", fingerprint[s]);
        json_array_foreach(json_object_get(metrics, "data_sets"), i, part)
        {
            own[s] = own[s] || is_fingerprint(part, "data_fingerprint", fingerprint[s]);
        }
    }
}

/* The file of a run's folder, or NULL if it has none. */
static kt_status read_if_there(const char *run, const char *name, json_t **root, kt_error *error)
{
    char *path = kti_path_join(run, name);
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    *root = NULL;
    if (status == KT_OK && kti_file_exists(path))
        status = kti_json_read(path, KTI_METRICS_LIMIT, root, error);
    free(path);
    return status;
}

/* The folder of the stage that a stage started from, beside it; NULL if it started from none. */
static kt_status find_start(const char *run, char **start, kt_error *error)
{
    json_t *recipe = NULL;
    *start = NULL;
    kt_status status = read_if_there(run, "recipe.json", &recipe, error);
    const char *stage = json_string_value(json_object_get(json_object_get(recipe, "from"), "stage"));
    char *stages = stage ? kti_path_join(run, "..") : NULL;
    if (stages)
        *start = kti_path_join(stages, stage);
    if (status == KT_OK && stage && !*start)
        status = kti_fail_memory(error, "a path");
    free(stages);
    json_decref(recipe);
    return status;
}

kt_status kti_results_find_own(const char *run, const uint64_t *fingerprint, int sets, bool *own,
                               kt_error *error)
{
    kt_status status = KT_OK;
    char *folder = kti_duplicate_text(run);
    for (int i = 0; i < sets; i++)
        own[i] = false;
    if (!folder)
        status = kti_fail_memory(error, "a path");
    /* The limit is for recipes changed by hand: those that were trained start from an earlier stage. */
    for (int stages = 0; folder && stages < MAX_STAGES && status == KT_OK; stages++) {
        json_t *metrics = NULL;
        char *start = NULL;
        status = read_if_there(folder, "metrics.json", &metrics, error);
        mark_own(metrics, fingerprint, sets, own);
        json_decref(metrics);
        if (status == KT_OK)
            status = find_start(folder, &start, error);
        free(folder);
        folder = start;
    }
    free(folder);
    return status;
}
