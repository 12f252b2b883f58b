#include "train/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/recipe.h"
#include "train/sweep.h"

enum { MAX_STAGES = 1000, LONGEST_NAME = 63 };

kt_status kti_stage_fail(kt_error *error, const char *stage, const kt_error *own)
{
    if (error && error->status == KT_OK) {
        char text[sizeof own->message + 2 * LONGEST_NAME];
        snprintf(text, sizeof text, "stage `%.*s`: %s", LONGEST_NAME, stage, own->message);
        *error = *own;
        if (*stage)
            snprintf(error->message, sizeof error->message, "%.*s", (int)sizeof error->message - 1, text);
    }
    return own->status;
}

/* ---- reading ---- */

/* A stage's keys over those beside `stages`; NULL when memory is short. */
static json_t *with_defaults(const json_t *root, json_t *stage)
{
    json_t *all = json_copy((json_t *)root);
    if (all && (json_object_del(all, "stages") != 0 || json_object_update(all, stage) != 0)) {
        json_decref(all);
        all = NULL;
    }
    if (all)
        json_object_del(all, "name");
    return all;
}

/* `kept` gets the objects that the options' strings point into. */
static kt_status read_stage(const json_t *root, json_t *object, const char *file,
                            const kt_train_options *common, json_t *kept, kt_stage *stage, kt_error *error)
{
    kt_error own = KT_ERROR_NONE;
    *stage = (kt_stage){.name = "", .options = *common};
    if (!json_is_object(object))
        return kti_fail_file(error, KT_BAD_FORMAT, file, "a stage in `stages` is not a JSON object");
    kt_status status = kti_json_string(object, file, "name", &stage->name, error);
    if (status != KT_OK)
        return status;
    json_t *all = with_defaults(root, object);
    if (!all || json_array_append_new(kept, all) != 0)
        return kti_fail_memory(error, "the recipe");
    if (kti_recipe_parse(all, file, &stage->options, &own) != KT_OK)
        return kti_stage_fail(error, stage->name, &own);
    return KT_OK;
}

static kt_status read_stages(const json_t *root, const char *file, const kt_train_options *common,
                             kt_recipe *recipe, kt_error *error)
{
    json_t *list, *kept = json_array();
    kt_status status = kept ? KT_OK : kti_fail_memory(error, "the recipe");
    recipe->text = kept;
    if (status == KT_OK)
        status = kti_json_array(root, file, "stages", &list, error);
    if (status != KT_OK)
        return status;
    const size_t size = json_array_size(list);
    if (size < 1 || size > MAX_STAGES)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`stages` lists %zu stages; it can be 1 to %d", size,
                             MAX_STAGES);
    if (json_object_get(root, "name"))
        return kti_fail_file(error, KT_BAD_FORMAT, file, "a `name` belongs into a stage");
    /* The names of the stages are theirs, not the copies'. */
    if (json_array_append(kept, list) != 0)
        return kti_fail_memory(error, "the recipe");
    recipe->staged = true;
    recipe->stage = kti_allocate(size, sizeof *recipe->stage);
    if (!recipe->stage)
        return kti_fail_memory(error, "the recipe");
    for (; recipe->stages < (int)size && status == KT_OK; recipe->stages++)
        status = read_stage(root, json_array_get(list, (size_t)recipe->stages), file, common, kept,
                            &recipe->stage[recipe->stages], error);
    return status;
}

static kt_status read_single(json_t *root, const char *file, const kt_train_options *common,
                             kt_recipe *recipe, kt_error *error)
{
    recipe->text = json_incref(root);
    recipe->stage = kti_allocate(1, sizeof *recipe->stage);
    if (!recipe->stage)
        return kti_fail_memory(error, "the recipe");
    recipe->stages = 1;
    recipe->stage[0] = (kt_stage){.name = "", .options = *common};
    return kti_recipe_parse(root, file, &recipe->stage[0].options, error);
}

kt_status kti_recipe_load(const char *path, json_t **root, int *points, kt_error *error)
{
    *points = 0;
    kt_status status = kti_json_read(path, KTI_RECIPE_LIMIT, root, error);
    if (status == KT_OK && !json_is_object(*root))
        status = kti_fail_file(error, KT_BAD_FORMAT, path, "is not a JSON object of settings");
    if (status == KT_OK)
        status = kti_sweep_points(*root, path, points, error);
    if (status != KT_OK) {
        json_decref(*root);
        *root = NULL;
    }
    return status;
}

kt_status kti_recipe_read(json_t *root, const char *file, const kt_train_options *common, kt_recipe *recipe,
                          kt_error *error)
{
    *recipe = (kt_recipe){0};
    const kt_status status = json_object_get(root, "stages") ? read_stages(root, file, common, recipe, error)
                                                             : read_single(root, file, common, recipe, error);
    if (status != KT_OK)
        kt_recipe_destroy(recipe);
    return status;
}

kt_status kt_recipe_read(const char *path, const kt_train_options *common, kt_recipe *recipe, kt_error *error)
{
    json_t *root = NULL;
    int points;
    *recipe = (kt_recipe){0};
    kt_status status = kti_recipe_load(path, &root, &points, error);
    if (status == KT_OK && points > 0)
        status = kti_fail_file(
            error, KT_BAD_FORMAT, path,
            "lists several values for a key, which is a sweep of %d points, not one recipe", points);
    if (status == KT_OK)
        status = kti_recipe_read(root, path, common, recipe, error);
    json_decref(root);
    return status;
}

void kt_recipe_destroy(kt_recipe *recipe)
{
    free(recipe->stage);
    json_decref(recipe->text);
    *recipe = (kt_recipe){0};
}

/* ---- writing ---- */

json_t *kti_stages_to_json(const kt_recipe *recipe)
{
    if (!recipe->staged)
        return kti_keys_to_json(&recipe->stage[0].options);
    json_t *list = json_array();
    for (int i = 0; i < recipe->stages && list; i++) {
        const kt_stage *stage = &recipe->stage[i];
        json_t *keys = kti_keys_to_json(&stage->options), *named = json_pack("{s:s}", "name", stage->name);
        const bool added =
            keys && named && json_object_update(named, keys) == 0 && json_array_append(list, named) == 0;
        json_decref(keys);
        json_decref(named);
        if (!added) {
            json_decref(list);
            list = NULL;
        }
    }
    return list ? json_pack("{s:o}", "stages", list) : NULL;
}

/* ---- checking ---- */

int kti_stage_find(const kt_recipe *recipe, const char *name)
{
    for (int i = 0; i < recipe->stages; i++)
        if (strcmp(recipe->stage[i].name, name) == 0)
            return i;
    return -1;
}

static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    return length >= 1 && length <= LONGEST_NAME &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == length;
}

static bool trains_fold(const kt_train_options *options, int fold)
{
    return options->run.only_fold ? fold == options->run.only_fold : fold <= options->folds;
}

/* That the stage which this one starts from comes before it and has its folds. */
static kt_status check_start(const kt_recipe *recipe, int index, kt_error *error)
{
    const kt_train_options *options = &recipe->stage[index].options;
    if (!options->from_stage)
        return KT_OK;
    const int from = recipe->staged ? kti_stage_find(recipe, options->from_stage) : -1;
    if (from < 0)
        return kti_fail(error, KT_BAD_ARGUMENT, "starts from stage `%s`, which the recipe does not have",
                        options->from_stage);
    if (from >= index)
        return kti_fail(error, KT_BAD_ARGUMENT, "starts from stage `%s`, which does not come before it",
                        options->from_stage);
    const kt_train_options *source = &recipe->stage[from].options;
    if (source->head == KT_HEAD_GP && source->readout_components == 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "starts from stage `%s`, which is a Gaussian process without a network",
                        options->from_stage);
    if (source->physics_inputs && !options->physics_inputs)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "starts from stage `%s`, whose network has physics inputs, but has none itself",
                        options->from_stage);
    for (int fold = 1; fold <= options->folds; fold++)
        if (trains_fold(options, fold) && !trains_fold(source, fold))
            return kti_fail(error, KT_BAD_ARGUMENT,
                            "its fold %d starts from that of stage `%s`, which does not train it", fold,
                            options->from_stage);
    return KT_OK;
}

kt_status kti_stages_check(const kt_recipe *recipe, kt_error *error)
{
    for (int i = 0; i < recipe->stages; i++) {
        kt_error own = KT_ERROR_NONE;
        const kt_stage *stage = &recipe->stage[i];
        kt_status status = KT_OK;
        if (recipe->staged && !is_name(stage->name))
            status = kti_fail(&own, KT_BAD_ARGUMENT,
                              "the name of a stage is 1 to %d letters, digits, - and _", LONGEST_NAME);
        if (status == KT_OK && kti_stage_find(recipe, stage->name) != i)
            status = kti_fail(&own, KT_BAD_ARGUMENT, "there are two stages of this name");
        if (status == KT_OK)
            status = kti_recipe_check(&stage->options, &own);
        if (status == KT_OK)
            status = check_start(recipe, i, &own);
        if (status != KT_OK)
            return kti_stage_fail(error, stage->name, &own);
    }
    return KT_OK;
}

/* ---- the run folder ---- */

char *kti_stage_path(const char *run, const char *name)
{
    char relative[LONGEST_NAME + 16];
    snprintf(relative, sizeof relative, "stages/%s", name);
    return kti_path_join(run, relative);
}

static kt_status is_begun(const char *run, const char *name, bool *begun, kt_error *error)
{
    char *folder = kti_stage_path(run, name);
    char *recipe = folder ? kti_path_join(folder, "recipe.json") : NULL;
    kt_status status = recipe ? KT_OK : kti_fail_memory(error, "a path");
    *begun = status == KT_OK && kti_file_exists(recipe);
    free(folder);
    free(recipe);
    return status;
}

/* That every stage which the stored recipe names and the run has begun is still in the recipe. */
static kt_status check_dropped(const json_t *stored, const char *file, const kt_recipe *recipe,
                               const char *out, kt_error *error)
{
    json_t *list, *stage;
    size_t i;
    kt_status status = kti_json_array(stored, file, "stages", &list, error);
    if (status != KT_OK)
        return status;
    json_array_foreach(list, i, stage)
    {
        const char *name;
        bool begun = false;
        status = kti_json_string(stage, file, "name", &name, error);
        if (status == KT_OK && is_name(name) && kti_stage_find(recipe, name) < 0)
            status = is_begun(out, name, &begun, error);
        if (status == KT_OK && begun)
            status = kti_fail_file(error, KT_BAD_ARGUMENT, file,
                                   "stage `%s` was begun in this run, but the recipe does not have it", name);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

static kt_status check_stage(const kt_stage *stage, const char *out, kt_error *error)
{
    kt_error own = KT_ERROR_NONE;
    kt_train_options options = stage->options;
    char *folder = kti_stage_path(out, stage->name);
    options.run.out = folder;
    options.run.resume = true;
    kt_status status = folder ? kti_recipe_check_run(&options, &own) : kti_fail_memory(&own, "a path");
    free(folder);
    return status == KT_OK ? KT_OK : kti_stage_fail(error, stage->name, &own);
}

kt_status kti_stages_check_run(const kt_recipe *recipe, const char *out, bool resume, kt_error *error)
{
    json_t *stored = NULL;
    char *file = kti_path_join(out, "recipe.json"), *stages = kti_path_join(out, "stages"),
         *folds = kti_path_join(out, "folds");
    kt_status status = file && stages && folds ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && !kti_file_exists(file)) {
        if (kti_is_folder(stages) || kti_is_folder(folds))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, out,
                                   "holds trained folds but no recipe.json; use another --out");
        else
            status = kti_recipe_check_stranger(out, recipe->stage[0].options.run.force, error);
        goto done;
    }
    if (status == KT_OK && !resume)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, out,
                               "already holds a run; use --resume to go on with it, or another --out");
    if (status == KT_OK)
        status = kti_json_read(file, KTI_RECIPE_LIMIT, &stored, error);
    if (status == KT_OK && !json_object_get(stored, "stages"))
        status = kti_fail_file(error, KT_BAD_ARGUMENT, out,
                               "holds a run of one stage, and the recipe has several; use another --out");
    if (status == KT_OK)
        status = check_dropped(stored, file, recipe, out, error);
    for (int i = 0; i < recipe->stages && status == KT_OK; i++)
        status = check_stage(&recipe->stage[i], out, error);
done:
    json_decref(stored);
    free(file);
    free(stages);
    free(folds);
    return status;
}

kt_status kti_stage_last(const char *run, char **folder, kt_error *error)
{
    json_t *stored = NULL, *list = NULL;
    const char *name = NULL;
    char *file = kti_path_join(run, "recipe.json"), *stages = kti_path_join(run, "stages");
    kt_status status = file && stages ? KT_OK : kti_fail_memory(error, "a path");
    *folder = NULL;
    if (status == KT_OK && kti_is_folder(stages) && kti_file_exists(file)) {
        status = kti_json_read(file, KTI_RECIPE_LIMIT, &stored, error);
        if (status == KT_OK)
            status = kti_json_array(stored, file, "stages", &list, error);
        if (status == KT_OK)
            status =
                kti_json_string(json_array_get(list, json_array_size(list) - 1), file, "name", &name, error);
        if (status == KT_OK && !is_name(name))
            status = kti_fail_file(error, KT_BAD_FORMAT, file, "the last stage's name cannot be a folder's");
    }
    if (status == KT_OK) {
        *folder = name ? kti_stage_path(run, name) : kti_duplicate_text(run);
        status = *folder ? KT_OK : kti_fail_memory(error, "a path");
    }
    json_decref(stored);
    free(file);
    free(stages);
    return status;
}
