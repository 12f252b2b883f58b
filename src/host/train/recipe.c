#include "train/recipe.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "train/checkpoint.h"
#include "train/keys.h"
#include "train/places.h"

kt_status kti_recipe_parse(const json_t *object, const char *file, kt_train_options *options, kt_error *error)
{
    const kt_status status = kti_keys_read(object, file, options, error);
    /* A Gaussian process that sees nothing of the network has no epochs, whatever the default is. */
    if (status == KT_OK && options->head == KT_HEAD_GP && options->readout_components == 0 &&
        !json_object_get(object, "epochs"))
        options->epochs = 0;
    return status;
}

kt_status kti_recipe_find(const kt_train_options *options, kt_named named, const char *name,
                          const char **path, kt_error *error)
{
    *path = name;
    return options->run.find ? options->run.find(options->run.find_user, named, name, path, error) : KT_OK;
}

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

/* What a head needs, and what would have no effect. */
static kt_status check_head(const kt_train_options *o, kt_error *error)
{
    if (o->head != KT_HEAD_GP && o->epochs < 1)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "`epochs` is 0, but the head \"%s\" needs a network that is trained",
                        kti_head_names[o->head]);
    if (o->head == KT_HEAD_NETWORK && o->readout_components > 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "`readout_components` is %d, but the head \"%s\" has no Gaussian process to see them",
                        o->readout_components, kti_head_names[o->head]);
    if (o->head == KT_HEAD_NETWORK)
        return KT_OK;
    if (o->gp_features == KT_GP_FEATURES_NONE && o->readout_components == 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a Gaussian process needs `gp_features`, or `readout_components` above 0");
    if (o->head == KT_HEAD_GP && o->readout_components == 0 && o->epochs > 0)
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "`epochs` is %d, but with `readout_components` 0 the Gaussian process sees nothing of the "
            "network: set epochs to 0, or components above 0",
            o->epochs);
    if (o->head == KT_HEAD_GP && o->readout_components == 0 && (o->from || o->from_stage))
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "start weights are named, but with `readout_components` 0 the Gaussian process sees nothing "
            "of the network");
    return KT_OK;
}

kt_status kti_recipe_check(const kt_train_options *options, kt_error *error)
{
    kt_status status = kti_keys_check(options, error);
    if (status != KT_OK)
        return status;
    if (!options->data[0])
        return kti_fail(error, KT_BAD_ARGUMENT, "no data set is named");
    if (options->run.out && *options->run.out == '\0')
        return kti_fail(error, KT_BAD_ARGUMENT, "the name of the run folder is empty");
    for (int i = 0; i < KT_MAX_DATA_SETS && options->data[i]; i++)
        if (!is_utf8(options->data[i]))
            return kti_fail(error, KT_BAD_ARGUMENT, "the path of the data is not UTF-8");
    if (options->from && !is_utf8(options->from))
        return kti_fail(error, KT_BAD_ARGUMENT, "the path of the weights is not UTF-8");
    if (options->run.only_fold < 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "`only_fold` is %d; it must be 0 (all folds) or a fold's number",
                        options->run.only_fold);
    if (options->select == KT_SELECT_INNER && !(options->inner_fraction > 0))
        return kti_fail(error, KT_BAD_ARGUMENT, "an inner selection needs an `inner_fraction` above 0");
    status = check_head(options, error);
    if (status != KT_OK)
        return status;
    if (options->run.only_fold > options->folds)
        return kti_fail(error, KT_BAD_ARGUMENT, "fold %d is asked for, but there are %d folds",
                        options->run.only_fold, options->folds);
    if (options->seed > INT64_MAX)
        return kti_fail(error, KT_BAD_ARGUMENT, "`seed` must be below 2^63");
    if (options->run.threads < 1 || options->run.threads > 1024)
        return kti_fail(error, KT_BAD_ARGUMENT, "%d threads were asked for; 1 to 1024 are possible",
                        options->run.threads);
    if (options->run.gpus > 1 && !kti_device_name_fuses(options->run.device))
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "%d GPUs were asked for, but the device is `%s`: use --device cuda, or one GPU",
                        options->run.gpus, options->run.device ? options->run.device : "cpu");
    if (!(options->run.gpu_timeout > 0))
        return kti_fail(error, KT_BAD_ARGUMENT, "the GPUs' timeout must be more than 0 seconds");
    if (!(options->run.checkpoint_seconds >= 0))
        return kti_fail(error, KT_BAD_ARGUMENT, "the time between checkpoints must be 0 or more seconds");
    return KT_OK;
}

/* ---- the run folder ---- */

static kt_status compare(const json_t *stored, const json_t *asked, const kt_train_options *options,
                         const char *file, kt_error *error)
{
    for (const kti_option *key = kti_keys; key->kind != KTI_OPTION_END; key++) {
        const json_t *left = json_object_get(stored, key->key), *right = json_object_get(asked, key->key);
        /* Without GPUs that share a fold their number changes no bit. */
        if (key->offset == offsetof(kt_train_options, run.gpus)) {
            const int was = left ? (int)json_integer_value(left) : 1;
            if (kti_places_sharers(options, was) == kti_places_sharers(options, options->run.gpus))
                continue;
        }
        /* One data set has many paths; a changed one is noticed by its fingerprint in the checkpoints. */
        if (key->kind == KTI_OPTION_DATA || (left && json_equal(left, right)) ||
            (key->kind == KTI_OPTION_WEIGHTS && !json_is_object(left) && !json_is_object(right)))
            continue;
        char *was = left ? json_dumps(left, JSON_ENCODE_ANY) : NULL, *is = json_dumps(right, JSON_ENCODE_ANY);
        kt_status status =
            kti_fail_file(error, KT_BAD_ARGUMENT, file,
                          "this run has `%s` %s, but %s is asked for; --resume goes on with the same recipe",
                          key->key, was ? was : "(missing)", is ? is : "another");
        free(was);
        free(is);
        return status;
    }
    return KT_OK;
}

kt_status kti_recipe_check_stranger(const char *out, bool force, kt_error *error)
{
    /* A run that was killed before it had a recipe, or whose jobs have not begun; folds that were trained apart. */
    static const char *const own[] = {"lock", "submit", "parts", NULL};
    char name[256] = "";
    kt_status status = force ? KT_OK : kti_folder_find_foreign(out, own, name, sizeof name, error);
    if (status == KT_OK && *name)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, out,
                               "is no run folder, and holds %s: name a folder that is new or empty by --out, "
                               "or write into it all the same with train --force",
                               name);
    return status;
}

kt_status kti_recipe_check_run(const kt_train_options *options, kt_error *error)
{
    json_t *stored = NULL, *asked = kti_keys_to_json(options);
    char *path = kti_path_join(options->run.out, "recipe.json"),
         *folds = kti_path_join(options->run.out, "folds");
    kt_status status = asked && path && folds ? KT_OK : kti_fail_memory(error, "the recipe");
    if (status == KT_OK && !kti_file_exists(path)) {
        if (kti_is_folder(folds))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, options->run.out,
                                   "holds trained folds but no recipe.json; use another --out");
        else
            status = kti_recipe_check_stranger(options->run.out, options->run.force, error);
    } else if (status == KT_OK) {
        if (!options->run.resume)
            status = kti_fail_file(error, KT_BAD_ARGUMENT, options->run.out,
                                   "already holds a run; use --resume to go on with it, or another --out");
        if (status == KT_OK)
            status = kti_json_read(path, KTI_RECIPE_LIMIT, &stored, error);
        if (status == KT_OK && json_object_get(stored, "stages"))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, options->run.out,
                                   "holds a run of several stages, not of this one; use another --out");
        if (status == KT_OK)
            status = compare(stored, asked, options, path, error);
    }
    free(path);
    free(folds);
    json_decref(stored);
    json_decref(asked);
    return status;
}

kt_status kti_recipe_store(const kt_train_options *options, kti_lock *lock, kt_error *error)
{
    json_t *recipe = kti_keys_to_json(options);
    char *path = kti_path_join(options->run.out, "recipe.json");
    kt_status status =
        recipe && path ? kti_make_folder(options->run.out, error) : kti_fail_memory(error, "the recipe");
    if (status == KT_OK)
        status = kti_lock_take(lock, options->run.out, error);
    /* Again, now that nobody else can write here. */
    if (status == KT_OK)
        status = kti_recipe_check_run(options, error);
    if (status == KT_OK)
        kti_checkpoint_clean(options->run.out, options->folds);
    if (status == KT_OK && !kti_file_exists(path))
        status = kti_json_write(path, recipe, error);
    if (status != KT_OK)
        kti_lock_release(lock);
    free(path);
    json_decref(recipe);
    return status;
}
