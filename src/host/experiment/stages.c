/* The stages of a recipe, one after another. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/memory.h"
#include "experiment/results_origin.h"
#include "experiment/run.h"
#include "ranks/communicator.h"
#include "train/members.h"
#include "train/recipe.h"
#include "train/stages.h"

/* What a run of several stages holds. */
typedef struct work {
    const kt_recipe *recipe;
    const char *out;
    bool resume;
    kti_dataset *dataset; /* [stages] */
    int *shares;          /* [stages] the earliest stage with the same data, which holds them for all */
    int64_t *rows;        /* [stages] training rows times epochs, over all folds */
    int64_t rows_total;

    int stage;            /* the present one */
    int64_t rows_before;  /* of the stages before it */
    int64_t rows_at_once; /* of the present stage, done before it was trained now; -1: not known yet */
    int64_t rows_trained; /* by this call, in the stages before */
    double started;       /* when training began; 0 before that */
} work;

/* ---- progress over all stages ---- */

static int tell_progress(void *user, const kt_train_progress *progress)
{
    work *w = user;
    const kt_stage *stage = &w->recipe->stage[w->stage];
    kt_train_progress p = *progress;
    /* The first report of a stage comes after one epoch of one fold, or after a fold without epochs. */
    if (w->rows_at_once < 0)
        w->rows_at_once = p.rows_done - p.rows_total / p.epochs_total;
    const int64_t trained = w->rows_trained + p.rows_done - w->rows_at_once;
    p.stage = stage->name;
    p.stage_number = w->stage + 1;
    p.stages = w->recipe->stages;
    p.rows_done += w->rows_before;
    p.rows_total = w->rows_total;
    p.seconds = kti_seconds() - w->started;
    p.seconds_left = p.seconds / (double)trained * (double)(p.rows_total - p.rows_done);
    return stage->options.run.progress(stage->options.run.user, &p);
}

static void tell_message(void *user, const char *text)
{
    const work *w = user;
    const kt_train_options *options = &w->recipe->stage[w->stage].options;
    options->run.message(options->run.user, text);
}

/* ---- before training ---- */

static bool same_data(const kt_train_options *left, const kt_train_options *right)
{
    for (int i = 0; i < KT_MAX_DATA_SETS; i++) {
        if (!left->data[i] || !right->data[i])
            return !left->data[i] && !right->data[i] && left->quotient == right->quotient;
        if (strcmp(left->data[i], right->data[i]) != 0)
            return false;
    }
    return left->quotient == right->quotient;
}

static const kti_dataset *data_of(const work *w, int stage)
{
    return &w->dataset[w->shares[stage]];
}

/* Reads the stage's data, unless an earlier one has, and opens its start weights, unless a stage is to make them. */
static kt_status prepare(work *w, int index, kt_error *error)
{
    const kt_train_options *options = &w->recipe->stage[index].options;
    kt_status status = KT_OK;
    kti_start start = {0};
    int train, inner, validate;
    w->shares[index] = 0;
    while (!same_data(options, &w->recipe->stage[w->shares[index]].options))
        w->shares[index]++;
    if (w->shares[index] == index)
        status = kti_run_read_data(options, &w->dataset[index], error);
    if (status == KT_OK && !options->from_stage)
        status = kti_start_open(options, &start, error);
    kti_start_close(&start);
    if (status != KT_OK)
        return status;
    kti_fold_sizes(data_of(w, index), options, &train, &inner, &validate);
    w->rows[index] = (int64_t)train * kti_fold_reports(options) * kti_fold_count(options);
    w->rows_total += w->rows[index];
    return KT_OK;
}

static kt_status store_recipe(const work *w, kti_lock *lock, kt_error *error)
{
    json_t *recipe = kti_stages_to_json(w->recipe);
    char *path = kti_path_join(w->out, "recipe.json");
    kt_status status = recipe && path ? kti_make_folder(w->out, error) : kti_fail_memory(error, "the recipe");
    if (status == KT_OK)
        status = kti_lock_take(lock, w->out, error);
    /* Again, now that nobody else can write here. */
    if (status == KT_OK)
        status = kti_stages_check_run(w->recipe, w->out, w->resume, error);
    if (status == KT_OK) {
        kti_remove_parts(w->out);
        status = kti_json_write(path, recipe, error);
    }
    json_decref(recipe);
    free(path);
    return status;
}

/* ---- training ---- */

/* Trains a stage, or reads its results if it has finished. `options` are the stage's, with its folders. */
static kt_status run_stage(work *w, const kt_train_options *options, kt_train_result *result, bool *reused,
                           kt_error *error)
{
    kti_start start = {0};
    const kti_dataset *dataset = data_of(w, w->stage);
    const bool root = kti_communicator_is_root(options->run.ranks);
    kt_status status = kti_start_open(options, &start, error);
    if (status == KT_OK && root)
        status = kti_results_are_current(options, kti_dataset_fingerprint(dataset), &start, reused, error);
    kti_start_close(&start);
    status = kti_communicator_agree(options->run.ranks, status, NULL, NULL, error);
    if (status == KT_OK)
        status = kti_communicator_broadcast(options->run.ranks, reused, sizeof *reused, error);
    if (status != KT_OK)
        return status;
    if (*reused)
        return root ? kt_train_result_read(options->run.out, result, error) : KT_OK;
    if (w->started == 0)
        w->started = kti_seconds();
    status = kti_run_stage(options, dataset, result, error);
    if (w->rows_at_once >= 0)
        w->rows_trained += w->rows[w->stage] - w->rows_at_once;
    return status;
}

static kt_status place_stage(work *w, kt_train_result *result, bool *reused, kt_error *error)
{
    const kt_stage *stage = &w->recipe->stage[w->stage];
    kt_train_options options = stage->options;
    kt_error own = KT_ERROR_NONE;
    char *out = kti_stage_path(w->out, stage->name), *from = NULL;
    kt_status status = out ? KT_OK : kti_fail_memory(&own, "a path");
    if (status == KT_OK && options.from_stage) {
        from = kti_stage_path(w->out, options.from_stage);
        status = from ? KT_OK : kti_fail_memory(&own, "a path");
        options.from = from;
    }
    options.run.out = out;
    options.run.resume = w->resume;
    options.run.progress = options.run.progress ? tell_progress : NULL;
    options.run.message = options.run.message ? tell_message : NULL;
    options.run.user = w;
    w->rows_at_once = -1;
    status = kti_communicator_agree(options.run.ranks, status, NULL, NULL, &own);
    if (status == KT_OK)
        status = run_stage(w, &options, result, reused, &own);
    w->rows_before += w->rows[w->stage];
    free(out);
    free(from);
    return status == KT_OK ? KT_OK : kti_stage_fail(error, stage->name, &own);
}

/* Adds a finished stage's metrics.json, without its folds, to the list. */
static kt_status add_metrics(const work *w, int index, json_t *list, kt_error *error)
{
    json_t *metrics = NULL;
    char *folder = kti_stage_path(w->out, w->recipe->stage[index].name);
    char *path = folder ? kti_path_join(folder, "metrics.json") : NULL;
    json_t *named = json_pack("{s:s}", "name", w->recipe->stage[index].name);
    kt_status status = path && named ? KT_OK : kti_fail_memory(error, "metrics.json");
    if (status == KT_OK)
        status = kti_json_read(path, KTI_METRICS_LIMIT, &metrics, error);
    if (status == KT_OK) {
        json_object_del(metrics, "folds");
        if (json_object_update(named, metrics) != 0 || json_array_append(list, named) != 0)
            status = kti_fail_memory(error, "metrics.json");
    }
    json_decref(metrics);
    json_decref(named);
    free(folder);
    free(path);
    return status;
}

static kt_status write_metrics(const work *w, int stages, kt_error *error)
{
    json_t *list = json_array(), *root = NULL;
    char *path = kti_path_join(w->out, "metrics.json");
    kt_status status = list && path ? KT_OK : kti_fail_memory(error, "metrics.json");
    for (int i = 0; i < stages && status == KT_OK; i++)
        status = add_metrics(w, i, list, error);
    if (status == KT_OK) {
        root = json_pack("{s:s, s:O}", "units", "W/(m K)", "stages", list);
        status = root ? kti_json_write(path, root, error) : kti_fail_memory(error, "metrics.json");
    }
    json_decref(root);
    json_decref(list);
    free(path);
    return status;
}

static kt_status train_stages(work *w, kt_recipe_result *result, kt_error *error)
{
    kti_lock lock = KTI_LOCK_NONE;
    const int stages = w->recipe->stages;
    kt_communicator *ranks = w->recipe->stage[0].options.run.ranks;
    const bool root = kti_communicator_is_root(ranks);
    kt_status status = root ? kti_stages_check_run(w->recipe, w->out, w->resume, error) : KT_OK;
    for (int i = 0; i < stages && status == KT_OK; i++) {
        kt_error own = KT_ERROR_NONE;
        status = prepare(w, i, &own);
        if (status != KT_OK)
            kti_stage_fail(error, w->recipe->stage[i].name, &own);
    }
    status = kti_communicator_agree(ranks, status, NULL, NULL, error);
    if (status == KT_OK && root)
        status = store_recipe(w, &lock, error);
    status = kti_communicator_agree(ranks, status, NULL, NULL, error);
    for (; w->stage < stages && status == KT_OK; w->stage++) {
        status = place_stage(w, &result->stage[w->stage], &result->reused[w->stage], error);
        if (status == KT_OK && root)
            status = write_metrics(w, w->stage + 1, error);
        status = kti_communicator_agree(ranks, status, NULL, NULL, error);
    }
    kti_lock_release(&lock);
    return status;
}

static kt_status train_several(const kt_recipe *recipe, const char *out, bool resume,
                               kt_recipe_result *result, kt_error *error)
{
    const size_t stages = (size_t)recipe->stages;
    work w = {.recipe = recipe,
              .out = out,
              .resume = resume,
              .dataset = kti_allocate(stages, sizeof *w.dataset),
              .shares = kti_allocate(stages, sizeof *w.shares),
              .rows = kti_allocate(stages, sizeof *w.rows)};
    kt_status status = w.dataset && w.shares && w.rows ? train_stages(&w, result, error)
                                                       : kti_fail_memory(error, "the stages");
    for (size_t i = 0; w.dataset && i < stages; i++)
        kti_dataset_destroy(&w.dataset[i]);
    free(w.dataset);
    free(w.shares);
    free(w.rows);
    return status;
}

kt_status kt_train_recipe(const kt_recipe *recipe, const char *out, bool resume, kt_recipe_result *result,
                          kt_error *error)
{
    kt_error unwanted = KT_ERROR_NONE;
    error = error ? error : &unwanted;
    *result = (kt_recipe_result){.stages = recipe->stages};
    result->stage = kti_allocate((size_t)recipe->stages, sizeof *result->stage);
    result->reused = kti_allocate((size_t)recipe->stages, sizeof *result->reused);
    kt_status status = result->stage && result->reused ? KT_OK : kti_fail_memory(error, "the results");
    if (status == KT_OK)
        status = kti_stages_check(recipe, error);
    if (status == KT_OK && recipe->staged && (!out || *out == '\0'))
        status = kti_fail(error, KT_BAD_ARGUMENT, "a recipe of several stages needs a run folder");
    if (status == KT_OK && recipe->staged) {
        status = train_several(recipe, out, resume, result, error);
    } else if (status == KT_OK) {
        kt_train_options options = recipe->stage[0].options;
        options.run.out = out;
        options.run.resume = resume;
        status = kt_train(&options, &result->stage[0], error);
    }
    if (status != KT_OK)
        kt_recipe_result_destroy(result);
    return status;
}

void kt_recipe_result_destroy(kt_recipe_result *result)
{
    for (int i = 0; i < result->stages && result->stage; i++)
        kt_train_result_destroy(&result->stage[i]);
    free(result->stage);
    free(result->reused);
    *result = (kt_recipe_result){0};
}
