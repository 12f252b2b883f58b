#include "predictor/evaluate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/split.h"
#include "predictor/model.h"
#include "statistics/metrics.h"
#include "train/recipe.h"
#include "train/stages.h"

/* ---- asking ---- */

kt_status kti_answers_create(kt_model *model, const kti_dataset *dataset, int (*progress)(void *user),
                             void *user, kti_answers *answers, kt_error *error)
{
    const size_t members = (size_t)kt_model_members(model);
    kt_status status = KT_OK;
    *answers = (kti_answers){dataset, kti_allocate((size_t)dataset->size * members, sizeof(double))};
    if (!answers->value)
        return kti_fail_memory(error, "the predictions");
    for (int i = 0; i < dataset->size && status == KT_OK; i++) {
        const kti_crystal *crystal = &dataset->crystals[i];
        status = kti_model_predict_graph(model, &crystal->graph, crystal->id,
                                         answers->value + (size_t)i * members, NULL, error);
        if (status == KT_OK && progress && progress(user) != 0)
            status = kti_fail(error, KT_INTERRUPTED, "stopped");
    }
    if (status != KT_OK)
        kti_answers_destroy(answers);
    return status;
}

void kti_answers_destroy(kti_answers *answers)
{
    free(answers->value);
    *answers = (kti_answers){0};
}

/* ---- scoring ---- */

kt_status kti_judged_rows_of(const kti_dataset *dataset, int fold, kti_judged_rows which, int32_t *rows,
                             int *size, kt_error *error)
{
    kt_status status = KT_OK;
    *size = 0;
    for (int i = 0; i < dataset->size && which == KTI_ROWS_ALL; i++)
        rows[(*size)++] = i;
    if (which == KTI_ROWS_ALL)
        return KT_OK;
    int32_t *order = kti_allocate((size_t)dataset->size, sizeof *order);
    if (!order)
        return kti_fail_memory(error, "a split");
    for (int p = 0; p < dataset->parts && status == KT_OK; p++) {
        const kti_dataset_part *part = &dataset->part[p];
        status = kti_split_permutation((uint32_t)fold, part->size, order, error);
        for (int i = kti_split_train_size(part->size); i < part->size && status == KT_OK; i++)
            rows[(*size)++] = part->first + order[i];
    }
    free(order);
    return status;
}

kt_status kti_answers_score(const kti_answers *const *answers, int sets, const kt_model *model, int member,
                            kti_judged_rows judged, kt_scores *scores, kt_error *error)
{
    const int fold = kt_model_member_fold(model, member), members = kt_model_members(model);
    int total = 0, used = 0;
    kt_status status = KT_OK;
    *scores = (kt_scores){0};
    if (fold == 0 && judged == KTI_ROWS_HELD_OUT)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a single weights file belongs to no fold, so nobody can tell which rows it was not "
                        "trained on; judge it on all rows");
    for (int s = 0; s < sets; s++)
        total += answers[s]->dataset->size;
    int32_t *rows = kti_allocate((size_t)total, sizeof *rows);
    double *truth = kti_allocate((size_t)total, sizeof *truth),
           *found = kti_allocate((size_t)total, sizeof *found);
    if (!rows || !truth || !found)
        status = kti_fail_memory(error, "the scores");
    for (int s = 0; s < sets && status == KT_OK; s++) {
        int size;
        status = kti_judged_rows_of(answers[s]->dataset, fold, judged, rows, &size, error);
        for (int i = 0; i < size && status == KT_OK; i++, used++) {
            truth[used] = answers[s]->dataset->crystals[rows[i]].kappa;
            found[used] = answers[s]->value[(size_t)rows[i] * (size_t)members + (size_t)member];
        }
    }
    if (status == KT_OK && used == 0)
        status = kti_fail(error, KT_BAD_ARGUMENT, "no row is held out: the data set has too few crystals");
    if (status == KT_OK)
        status = kti_scores(truth, found, used, scores, error);
    free(rows);
    free(truth);
    free(found);
    return status;
}

/* ---- which runs ---- */

/* Takes both strings, also on failure. */
static kt_status add_run(kti_run_list *list, char *path, char *name, kt_error *error)
{
    const size_t size = (size_t)list->size + 1;
    char **paths = path ? realloc(list->path, size * sizeof *paths) : NULL;
    if (paths)
        list->path = paths;
    char **names = name ? realloc(list->name, size * sizeof *names) : NULL;
    if (names)
        list->name = names;
    if (!paths || !names) {
        free(path);
        free(name);
        return kti_fail_memory(error, "the list of runs");
    }
    list->path[list->size] = path;
    list->name[list->size++] = name;
    return KT_OK;
}

static kt_status has_finished(const char *folder, bool *finished, kt_error *error)
{
    char *metrics = kti_path_join(folder, "metrics.json");
    *finished = metrics && kti_file_exists(metrics);
    kt_status status = metrics ? KT_OK : kti_fail_memory(error, "a path");
    free(metrics);
    return status;
}

static kt_status add_stage(kti_run_list *list, const char *run, const char *stage,
                           void (*message)(void *user, const char *text), void *user, kt_error *error)
{
    char last[256], name[512];
    bool finished = false;
    char *folder = kti_stage_path(run, stage);
    kt_status status = folder ? has_finished(folder, &finished, error) : kti_fail_memory(error, "a path");
    kti_last_component(run, last, sizeof last);
    if (status == KT_OK && finished) {
        snprintf(name, sizeof name, "%s/%s", last, stage);
        return add_run(list, folder, kti_duplicate_text(name), error);
    }
    if (status == KT_OK && message) {
        snprintf(name, sizeof name, "stage %.100s of %.300s has not finished: it is left out", stage, run);
        message(user, name);
    }
    free(folder);
    return status;
}

kt_status kti_run_list_add(kti_run_list *list, const char *path,
                           void (*message)(void *user, const char *text), void *user, kt_error *error)
{
    json_t *recipe = NULL;
    const json_t *stage;
    size_t i;
    const int before = list->size;
    kt_status status = KT_OK;
    char *file = kti_path_join(path, "recipe.json");
    if (!file)
        return kti_fail_memory(error, "a path");
    if (kti_file_exists(file))
        status = kti_json_read(file, KTI_RECIPE_LIMIT, &recipe, error);
    const json_t *stages = json_object_get(recipe, "stages");
    json_array_foreach(stages, i, stage)
    {
        const char *name;
        if (status == KT_OK)
            status = kti_json_string(stage, file, "name", &name, error);
        if (status == KT_OK)
            status = add_stage(list, path, name, message, user, error);
    }
    if (status == KT_OK && stages && list->size == before)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, path, "no stage of this run has finished yet");
    if (status == KT_OK && !stages) {
        char last[256];
        kti_last_component(path, last, sizeof last);
        status = add_run(list, kti_duplicate_text(path), kti_duplicate_text(last), error);
    }
    json_decref(recipe);
    free(file);
    return status;
}

void kti_run_list_destroy(kti_run_list *list)
{
    for (int i = 0; i < list->size; i++) {
        free(list->path[i]);
        free(list->name[i]);
    }
    free(list->path);
    free(list->name);
    *list = (kti_run_list){0};
}
