#include "train/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/architecture.h"
#include "model/safetensors.h"
#include "train/recipe.h"

static const struct {
    kti_arena_role role;
    const char *prefix, *best_prefix;
} roles[] = {{KTI_ROLE_VALUE, "", "best."},
             {KTI_ROLE_MOMENT1, "adam.m.", "best.adam.m."},
             {KTI_ROLE_MOMENT2, "adam.v.", "best.adam.v."},
             {KTI_ROLE_AVERAGE, "average.", "best.average."}};

enum { ROLES = sizeof roles / sizeof roles[0] };

static const char history_name[] = "history";

char *kti_checkpoint_path(const char *run, int fold, const char *name)
{
    char relative[64];
    snprintf(relative, sizeof relative, "folds/%d%s%s", fold, *name ? "/" : "", name);
    return kti_path_join(run, relative);
}

/* The numbers of a fold's state that are not arrays, as metadata. */
typedef struct scalar {
    const char *key;
    double *real;
    int *integer;
    int64_t *long_integer;
} scalar;

enum { SCALARS = 12 };

static void list_scalars(kti_fold *fold, scalar list[SCALARS])
{
    const scalar all[SCALARS] = {{"epoch", NULL, &fold->epoch, NULL},
                                 {"steps", NULL, NULL, &fold->steps},
                                 {"rate_scale", &fold->rate_scale, NULL, NULL},
                                 {"rescues", NULL, &fold->rescues, NULL},
                                 {"draws", NULL, &fold->draws, NULL},
                                 {"skipped", NULL, &fold->skipped, NULL},
                                 {"collapsed_epochs", NULL, &fold->collapsed_epochs, NULL},
                                 {"least_loss", &fold->min_loss, NULL, NULL},
                                 {"best_epoch", NULL, &fold->best_epoch, NULL},
                                 {"best_mape", &fold->best_mape, NULL, NULL},
                                 {"best_steps", NULL, NULL, &fold->best_steps},
                                 {"fold", NULL, &fold->number, NULL}};
    memcpy(list, all, sizeof all);
}

static kt_status set_fingerprint(kti_tensors *tensors, const char *key, uint64_t fingerprint, kt_error *error)
{
    char text[24];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint);
    return kti_tensors_set_metadata(tensors, key, text, error);
}

/* What the fold is trained on and starts from. */
static kt_status set_origin(kti_tensors *tensors, const kti_fold *fold, kt_error *error)
{
    kt_status status = set_fingerprint(tensors, "data_fingerprint", fold->data_fingerprint, error);
    if (status == KT_OK)
        status = set_fingerprint(tensors, "start_fingerprint", fold->start_fingerprint, error);
    return status;
}

static kt_status check_fingerprint(const kti_tensors *tensors, const char *file, const char *key,
                                   uint64_t fingerprint, const char *what, kt_error *error)
{
    char text[24];
    const char *stored = kti_tensors_metadata(tensors, key);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint);
    if (stored && strcmp(stored, text) == 0)
        return KT_OK;
    return kti_fail_file(error, KT_BAD_FORMAT, file, "was made with other %s: `%s` is %s, not %s", what, key,
                         stored ? stored : "missing", text);
}

static kt_status describe(kti_tensors *tensors, const kti_fold *fold, const kt_train_options *options,
                          const char *dataset, kt_error *error)
{
    kt_status status = kti_architecture_describe(tensors, options->physics_inputs, error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(tensors, "target", "log10(kappa + 1)", error);
    if (status == KT_OK) {
        char text[512];
        /* A stage by its name: a run's files are the same wherever it lies. */
        if (options->head == KT_HEAD_GP && options->readout_components == 0)
            snprintf(text, sizeof text, "fitted by kappatune to %s", dataset);
        else
            snprintf(text, sizeof text, "trained by kappatune on %s from %s%s", dataset,
                     fold->start_fingerprint && options->from_stage ? "stage " : "",
                     !fold->start_fingerprint ? "random weights"
                     : options->from_stage    ? options->from_stage
                                              : options->from);
        status = kti_tensors_set_metadata(tensors, "provenance", text, error);
    }
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "target_mean", fold->target.mean, error);
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "target_sd", fold->target.sd, error);
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "fold", fold->number, error);
    if (status == KT_OK)
        status = kti_metadata_set_number(tensors, "best_epoch", fold->best_epoch, error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(tensors, "dataset", dataset, error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(tensors, "protocol", kti_protocol_names[options->protocol], error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(tensors, "select", kti_select_names[options->select], error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(tensors, "head", kti_head_names[options->head], error);
    return status;
}

static kt_status store_state(kti_tensors *tensors, const kti_fold *fold, const kti_parameters *parameters,
                             kt_error *error)
{
    kt_status status = KT_OK;
    kti_tensor *history;
    scalar list[SCALARS];
    kti_fold copy = *fold;
    kt_real *arena = kti_allocate((size_t)parameters->layout.size, sizeof *arena);
    if (!arena)
        return kti_fail_memory(error, "a checkpoint");
    for (int i = 0; i < ROLES && status == KT_OK; i++) {
        if (!kti_parameters_have(parameters, roles[i].role))
            continue;
        status = kti_parameters_download(parameters, roles[i].role, fold->index, arena, error);
        if (status == KT_OK)
            status =
                kti_arena_store(&parameters->layout, arena, roles[i].prefix, KTI_ALL_PARTS, tensors, error);
        if (status == KT_OK && fold->best_epoch > 0)
            status = kti_arena_store(&parameters->layout, fold->best[roles[i].role], roles[i].best_prefix,
                                     KTI_ALL_PARTS, tensors, error);
    }
    free(arena);
    const int64_t shape[2] = {fold->epoch, KTI_HISTORY_COLUMNS};
    if (status == KT_OK)
        status = kti_tensors_add(tensors, history_name, KTI_F64, 2, shape, &history, error);
    if (status == KT_OK)
        memcpy(history->data, fold->history, (size_t)fold->epoch * KTI_HISTORY_COLUMNS * sizeof(double));
    if (status == KT_OK)
        status = set_origin(tensors, fold, error);
    list_scalars(&copy, list);
    for (int i = 0; i < SCALARS && status == KT_OK; i++)
        status = kti_metadata_set_number(tensors, list[i].key,
                                         list[i].real      ? *list[i].real
                                         : list[i].integer ? *list[i].integer
                                                           : (double)*list[i].long_integer,
                                         error);
    return status;
}

kt_status kti_checkpoint_write(const char *run, const kti_fold *fold, const kti_parameters *parameters,
                               const kt_train_options *options, const char *dataset, kt_error *error)
{
    kti_tensors state = {0}, product = {0};
    char *folder = kti_checkpoint_path(run, fold->number, "");
    char *last = kti_checkpoint_path(run, fold->number, "last.safetensors");
    char *best = kti_checkpoint_path(run, fold->number, "best.safetensors");
    kt_status status =
        folder && last && best ? kti_make_folder(folder, error) : kti_fail_memory(error, "a path");
    /* The product first: whatever moment a kill chooses, last.safetensors is never ahead of it. */
    if (status == KT_OK && kti_fold_has_product(fold, options)) {
        status = describe(&product, fold, options, dataset, error);
        /* Else last.safetensors has it. */
        if (status == KT_OK && options->epochs == 0)
            status = set_origin(&product, fold, error);
        if (status == KT_OK && options->head != KT_HEAD_NETWORK)
            status = kti_gp_head_store(&fold->gp, &product, error);
        /* A Gaussian process that sees no read-out needs no network. */
        if (status == KT_OK && (options->head != KT_HEAD_GP || options->readout_components > 0))
            status = kti_arena_store(&parameters->layout, fold->best[kti_parameters_product(parameters)], "",
                                     1u << KTI_PART_BODY | 1u << KTI_PART_PHYSICS | 1u << KTI_PART_HEAD,
                                     &product, error);
        if (status == KT_OK)
            status = kti_safetensors_write(best, &product, error);
    }
    /* Without an epoch there is nothing to go on from. */
    if (status == KT_OK && options->epochs > 0) {
        status = describe(&state, fold, options, dataset, error);
        if (status == KT_OK)
            status = store_state(&state, fold, parameters, error);
        if (status == KT_OK)
            status = kti_safetensors_write(last, &state, error);
    }
    kti_tensors_destroy(&state);
    kti_tensors_destroy(&product);
    free(folder);
    free(last);
    free(best);
    return status;
}

static kt_status load_scalars(const kti_tensors *state, const char *file, kti_fold *fold, kt_error *error)
{
    scalar list[SCALARS];
    const int number = fold->number;
    list_scalars(fold, list);
    for (int i = 0; i < SCALARS; i++) {
        double value;
        kt_status status = kti_metadata_number(state, file, list[i].key, &value, error);
        if (status != KT_OK)
            return status;
        if (list[i].real)
            *list[i].real = value;
        else if (value != floor(value) || fabs(value) > 2e9)
            return kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `%s` is not a count", list[i].key);
        else if (list[i].integer)
            *list[i].integer = (int)value;
        else
            *list[i].long_integer = (int64_t)value;
    }
    if (fold->number != number) {
        const int found = fold->number;
        fold->number = number;
        return kti_fail_file(error, KT_BAD_FORMAT, file, "belongs to fold %d, not %d", found, number);
    }
    return KT_OK;
}

static kt_status check_origin(const kti_tensors *tensors, const char *file, const kti_fold *fold,
                              kt_error *error)
{
    kt_status status =
        check_fingerprint(tensors, file, "data_fingerprint", fold->data_fingerprint, "data", error);
    if (status == KT_OK)
        status = check_fingerprint(tensors, file, "start_fingerprint", fold->start_fingerprint,
                                   "start weights", error);
    return status;
}

static kt_status load_state(const kti_tensors *state, const char *file, kti_fold *fold,
                            kti_parameters *parameters, const kt_train_options *options, kt_error *error)
{
    kt_status status = check_origin(state, file, fold, error);
    if (status == KT_OK)
        status = load_scalars(state, file, fold, error);
    if (status != KT_OK)
        return status;
    if (fold->epoch < 0 || fold->epoch > options->epochs || fold->best_epoch > fold->epoch ||
        fold->best_epoch < 0 || fold->steps < 0)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "stands at epoch %d (best %d); this run has %d",
                             fold->epoch, fold->best_epoch, options->epochs);
    const kti_tensor *history = kti_tensors_find(state, history_name);
    if (!history || history->dtype != KTI_F64 || history->rank != 2 || history->shape[0] != fold->epoch ||
        history->shape[1] != KTI_HISTORY_COLUMNS)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "has no history of %d epochs", fold->epoch);
    memcpy(fold->history, history->data, history->elements * sizeof(double));
    kt_real *arena = kti_allocate((size_t)parameters->layout.size, sizeof *arena);
    if (!arena)
        return kti_fail_memory(error, "a checkpoint");
    for (int i = 0; i < ROLES && status == KT_OK; i++) {
        if (!kti_parameters_have(parameters, roles[i].role))
            continue;
        status =
            kti_arena_load(&parameters->layout, arena, state, roles[i].prefix, KTI_ALL_PARTS, file, error);
        if (status == KT_OK)
            status = kti_parameters_upload(parameters, roles[i].role, fold->index, arena, error);
        if (status == KT_OK && fold->best_epoch > 0)
            status = kti_arena_load(&parameters->layout, fold->best[roles[i].role], state,
                                    roles[i].best_prefix, KTI_ALL_PARTS, file, error);
    }
    free(arena);
    return status;
}

kt_status kti_checkpoint_read(const char *run, kti_fold *fold, kti_parameters *parameters,
                              const kt_train_options *options, int *found, kt_error *error)
{
    kti_tensors state = {0};
    /* Without epochs there is no state, but what has been fitted must be of the same data. */
    const int fitted_only = options->epochs == 0;
    char *file =
        kti_checkpoint_path(run, fold->number, fitted_only ? "best.safetensors" : "last.safetensors");
    *found = 0;
    if (!file)
        return kti_fail_memory(error, "a path");
    kt_status status = KT_OK;
    if (kti_file_exists(file)) {
        *found = 1;
        status = kti_safetensors_read(file, &state, error);
        if (status == KT_OK)
            status = kti_architecture_check(&state, file, error);
        if (status == KT_OK)
            status = fitted_only ? check_origin(&state, file, fold, error)
                                 : load_state(&state, file, fold, parameters, options, error);
    }
    kti_tensors_destroy(&state);
    free(file);
    return status;
}

kt_status kti_checkpoint_summarise(const char *run, int fold, kti_checkpoint_summary *summary,
                                   kt_error *error)
{
    kti_tensors state = {0};
    double epoch = 0, best = 0;
    char *file = kti_checkpoint_path(run, fold, "last.safetensors");
    kt_status status = file ? KT_OK : kti_fail_memory(error, "a path");
    *summary = (kti_checkpoint_summary){.found = file && kti_file_exists(file)};
    if (summary->found) {
        status = kti_safetensors_read(file, &state, error);
        if (status == KT_OK)
            status = kti_metadata_number(&state, file, "epoch", &epoch, error);
        if (status == KT_OK)
            status = kti_metadata_number(&state, file, "best_epoch", &best, error);
        if (status == KT_OK)
            status = kti_metadata_number(&state, file, "best_mape", &summary->best_mape, error);
        summary->epoch = (int)epoch;
        summary->best_epoch = (int)best;
    }
    kti_tensors_destroy(&state);
    free(file);
    return status;
}

void kti_checkpoint_clean(const char *run, int folds)
{
    kti_remove_parts(run);
    for (int fold = 1; fold <= folds; fold++) {
        char *folder = kti_checkpoint_path(run, fold, "");
        if (folder)
            kti_remove_parts(folder);
        free(folder);
    }
}
