#include "train/fold_state.h"

#include <string.h>

/* Copies the worker's arena to one of the fold's, for all who share the fold. */
static kt_status set_arena(kti_worker *w, const kti_fold *fold, kti_arena_role role, kt_error *error)
{
    kti_parameters *parameters = &w->place->parameters;
    kt_status status = KT_OK;
    if (fold->rank == 0)
        status = kti_parameters_upload(parameters, role, fold->index, w->arena, error);
    return status == KT_OK ? kti_parameters_broadcast(parameters, role, fold->index, error) : status;
}

static kt_status set_moments_to_zero(kti_worker *w, const kti_fold *fold, kt_error *error)
{
    memset(w->arena, 0, (size_t)w->place->parameters.layout.size * sizeof *w->arena);
    kt_status status = set_arena(w, fold, KTI_ROLE_MOMENT1, error);
    return status == KT_OK ? set_arena(w, fold, KTI_ROLE_MOMENT2, error) : status;
}

kt_status kti_fold_begin(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kti_parameters *parameters = &w->place->parameters;
    kt_status status = set_moments_to_zero(w, fold, error);
    if (status == KT_OK)
        status = kti_start_fill(&w->team->run->start, fold->options, &parameters->layout, fold->number,
                                fold->draws, w->arena, error);
    if (status == KT_OK)
        status = set_arena(w, fold, KTI_ROLE_VALUE, error);
    if (status == KT_OK && kti_parameters_have(parameters, KTI_ROLE_AVERAGE))
        status = set_arena(w, fold, KTI_ROLE_AVERAGE, error);
    fold->steps = 0;
    fold->min_loss = -1;
    return status;
}

kt_status kti_fold_keep_best(kti_worker *w, kti_fold *fold, kt_error *error)
{
    const kti_parameters *parameters = &w->place->parameters;
    kt_status status = KT_OK;
    fold->best_steps = fold->steps;
    for (kti_arena_role role = 0; role < KTI_ROLES && status == KT_OK; role++)
        if (kti_parameters_have(parameters, role))
            status = kti_parameters_download(parameters, role, fold->index, fold->best[role], error);
    return status;
}

kt_status kti_fold_return_to_best(kti_worker *w, kti_fold *fold, kt_error *error)
{
    kti_parameters *parameters = &w->place->parameters;
    kt_status status = KT_OK;
    fold->steps = fold->best_steps;
    for (kti_arena_role role = 0; role < KTI_ROLES && status == KT_OK; role++)
        if (kti_parameters_have(parameters, role))
            status = kti_parameters_upload(parameters, role, fold->index, fold->best[role], error);
    return status;
}

bool kti_fold_best_is_flat(const kti_fold *fold)
{
    return fold->best_epoch > 0 &&
           kti_spread_is_flat(
               fold->history[(int64_t)(fold->best_epoch - 1) * KTI_HISTORY_COLUMNS + KTI_SPREAD]);
}

static bool is_better(const kt_train_options *o, const kti_fold *fold, const double *record)
{
    const double mape = record[KTI_SELECT_MAPE];
    const bool sound = o->protocol == KT_SOUND, flat = sound && kti_spread_is_flat(record[KTI_SPREAD]);
    if (o->select == KT_SELECT_LAST)
        return !flat;
    if (mape < 0)
        return false;
    if (fold->best_epoch == 0 || (sound && kti_fold_best_is_flat(fold) && !flat))
        return true;
    /* One number for every crystal can have a small MAPE, but is no model. */
    return mape < fold->best_mape && (!flat || kti_fold_best_is_flat(fold));
}

kt_status kti_fold_update_best(kti_worker *w, kti_fold *fold, const double *record, kt_error *error)
{
    if (!is_better(w->team->run->options, fold, record))
        return KT_OK;
    fold->best_epoch = fold->epoch + 1;
    fold->best_mape = record[KTI_SELECT_MAPE];
    return kti_fold_keep_best(w, fold, error);
}
