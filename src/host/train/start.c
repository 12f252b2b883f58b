#include "train/start.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/architecture.h"
#include "model/initialise.h"
#include "model/matgl.h"
#include "model/safetensors.h"
#include "train/checkpoint.h"
#include "train/members.h"
#include "train/recipe.h"
#include "train/stages.h"

kt_status kti_weights_read(const char *path, kti_tensors *tensors, kt_error *error)
{
    *tensors = (kti_tensors){0};
    if (kti_is_folder(path) || kti_ends_with(path, ".pt"))
        return kti_matgl_import(path, tensors, error);
    kt_status status = kti_safetensors_read(path, tensors, error);
    if (status == KT_OK)
        status = kti_architecture_check(tensors, path, error);
    if (status != KT_OK)
        kti_tensors_destroy(tensors);
    return status;
}

static kt_status fold_file(const char *run, int fold, char **file, kt_error *error)
{
    *file = kti_checkpoint_path(run, fold, "best.safetensors");
    return *file ? KT_OK : kti_fail_memory(error, "a path");
}

static int has_head(const kti_tensors *tensors)
{
    return kti_tensors_find(tensors, "head.layers.0.weight") != NULL;
}

/* The published code never loads the pretrained body, but it does load its own checkpoints, which have a head. */
static int is_used(const kt_train_options *options, const kti_tensors *tensors)
{
    return options->load_weights || has_head(tensors);
}

/* Loads what a fold takes from the weights: the body always, the head if it is there and `with_head`. */
static kt_status load(const kti_layout *layout, kt_real *arena, const kti_tensors *tensors, int with_head,
                      const char *name, kt_error *error)
{
    const int head = with_head && has_head(tensors);
    return kti_arena_load_weights(layout, arena, tensors,
                                  1u << KTI_PART_BODY | (head ? 1u << KTI_PART_HEAD : 0), name, error);
}

/* A file that lacks a tensor is refused before anything is trained or written. */
static kt_status try_load(const kt_train_options *options, const kti_tensors *tensors, const char *name,
                          kt_error *error)
{
    const kti_layout layout = kti_layout_create(options->physics_inputs);
    kt_real *arena = kti_allocate((size_t)layout.size, sizeof *arena);
    kt_status status =
        arena ? load(&layout, arena, tensors, 1, name, error) : kti_fail_memory(error, "the weights");
    free(arena);
    return status;
}

/* Of the weights and of the target transform, which may be restored from them. */
static uint64_t fingerprint_of(const kti_tensors *tensors, kti_transform target)
{
    uint64_t hash = KTI_HASH_START;
    for (size_t i = 0; i < tensors->size; i++) {
        const kti_tensor *t = &tensors->list[i];
        hash = kti_hash(hash, t->name, strlen(t->name) + 1);
        hash = kti_hash(hash, t->data, t->elements * kti_dtype_size(t->dtype));
    }
    return kti_hash(hash, &target, sizeof target);
}

uint64_t kti_start_fingerprint(const kti_start *start, int fold)
{
    return start->fingerprint ? start->fingerprint[fold] : 0;
}

kti_transform kti_start_transform(const kti_start *start, int fold)
{
    return start->target ? start->target[fold] : (kti_transform){0};
}

static kt_status read_transform(const kti_tensors *tensors, const char *file, kti_transform *target,
                                kt_error *error)
{
    *target = (kti_transform){0};
    if (!has_head(tensors) || !kti_tensors_metadata(tensors, "target_sd"))
        return KT_OK;
    kt_status status = kti_metadata_number(tensors, file, "target_mean", &target->mean, error);
    if (status == KT_OK)
        status = kti_metadata_number(tensors, file, "target_sd", &target->sd, error);
    if (status == KT_OK && !(target->sd > 0))
        status = kti_fail_file(error, KT_BAD_FORMAT, file, "its `target_sd` is %g; it must be above 0",
                               target->sd);
    return status;
}

/* Checks the weights that folds first .. last start from and notes what is known of them. */
static kt_status examine(kti_start *start, const kt_train_options *options, const kti_tensors *tensors,
                         const char *file, int first, int last, kt_error *error)
{
    kti_transform target;
    kt_status status = try_load(options, tensors, file, error);
    if (status == KT_OK)
        status = read_transform(tensors, file, &target, error);
    if (status != KT_OK || !is_used(options, tensors))
        return status;
    const uint64_t fingerprint = fingerprint_of(tensors, target);
    for (int fold = first; fold <= last; fold++) {
        start->fingerprint[fold] = fingerprint;
        start->target[fold] = target;
    }
    return KT_OK;
}

static kt_status examine_fold(kti_start *start, const kt_train_options *options, int fold, kt_error *error)
{
    kti_tensors tensors = {0};
    char *file;
    kt_status status = fold_file(start->run_folder, fold, &file, error);
    if (status == KT_OK && !kti_file_exists(file))
        status =
            kti_fail_file(error, KT_IO, file, "is missing: fold %d of this run would start from it", fold);
    if (status == KT_OK)
        status = kti_weights_read(file, &tensors, error);
    if (status == KT_OK)
        status = examine(start, options, &tensors, file, fold, fold, error);
    kti_tensors_destroy(&tensors);
    free(file);
    return status;
}

kt_status kti_start_open(const kt_train_options *options, kti_start *start, kt_error *error)
{
    kt_status status = KT_OK;
    *start = (kti_start){.random = options->from == NULL};
    if (start->random && options->from_stage)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "this is a stage that starts from stage `%s`: train it with its whole recipe",
                        options->from_stage);
    if (start->random)
        return KT_OK;
    char *folder = NULL, *folds = NULL;
    const char *path = options->from;
    if (!options->from_stage)
        status = kti_recipe_find(options, KT_NAMED_WEIGHTS, options->from, &path, error);
    if (status == KT_OK)
        status = kti_stage_last(path, &folder, error);
    if (status != KT_OK)
        return status;
    folds = kti_path_join(folder, "folds");
    start->fingerprint = kti_allocate((size_t)options->folds + 1, sizeof *start->fingerprint);
    start->target = kti_allocate((size_t)options->folds + 1, sizeof *start->target);
    if (!folds || !start->fingerprint || !start->target) {
        free(folder);
        status = kti_fail_memory(error, "the start weights");
        goto done;
    }
    if (kti_is_folder(folds)) {
        start->run_folder = folder;
        status = kti_members_check(folder, options->run.only_fold, error);
        const int first = options->run.only_fold ? options->run.only_fold : 1;
        const int last = options->run.only_fold ? options->run.only_fold : options->folds;
        for (int fold = first; fold <= last && status == KT_OK; fold++)
            status = examine_fold(start, options, fold, error);
    } else {
        start->file = folder;
        status = kti_weights_read(start->file, &start->tensors, error);
        if (status == KT_OK)
            status = examine(start, options, &start->tensors, start->file, 1, options->folds, error);
    }
done:
    free(folds);
    if (status != KT_OK)
        kti_start_close(start);
    return status;
}

void kti_start_close(kti_start *start)
{
    free(start->run_folder);
    free(start->file);
    free(start->fingerprint);
    free(start->target);
    kti_tensors_destroy(&start->tensors);
    *start = (kti_start){0};
}

kt_status kti_start_fill(const kti_start *start, const kt_train_options *options, const kti_layout *layout,
                         int fold, int draw, kt_real *arena, kt_error *error)
{
    kti_tensors own = {0};
    const kti_tensors *tensors = &start->tensors;
    char *file = NULL;
    const char *name = start->file;
    kt_status status = KT_OK;
    kti_initialise(layout, arena, KTI_ALL_PARTS, options->seed, fold, draw);
    if (start->random)
        return KT_OK;
    if (start->run_folder) {
        status = fold_file(start->run_folder, fold, &file, error);
        if (status == KT_OK)
            status = kti_weights_read(file, &own, error);
        tensors = &own;
        name = file;
    }
    /* A fresh draw replaces a head that led nowhere; the body is the pretrained one again. */
    if (status == KT_OK && is_used(options, tensors))
        status = load(layout, arena, tensors, draw == 0, name, error);
    kti_tensors_destroy(&own);
    free(file);
    return status;
}
