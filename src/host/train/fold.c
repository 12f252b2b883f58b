#include "train/fold.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "data/split.h"

/* As many rows tell whether a fold has collapsed: two crystals may well be predicted alike, eight are not. */
enum { LEAST_WATCHED = 8, WATCHED_ROWS = 24 };

const char *const kti_history_names[KTI_HISTORY_COLUMNS] = {
    "train_loss",        "select_mape", "learning_rate", "gradient_norm",
    "gradient_norm_max", "skipped",     "spread",        "rescued"};

/* Mean and population standard deviation of log10(kappa + 1) (spec, section 4). */
static kt_status fit_target(const kti_dataset *dataset, const int32_t *rows, int size, kti_fold *fold,
                            kt_error *error)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < size; i++)
        sum += log10(dataset->crystals[rows[i]].kappa + 1);
    fold->target_mean = sum / size;
    for (int i = 0; i < size; i++) {
        const double away = log10(dataset->crystals[rows[i]].kappa + 1) - fold->target_mean;
        squares += away * away;
    }
    fold->target_sd = sqrt(squares / size);
    if (!(fold->target_sd > 1e-9))
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "fold %d: all %d training values of kappa are the same; there is nothing to learn",
                        fold->number, size);
    return KT_OK;
}

kt_status kti_fold_create(const kti_dataset *dataset, const kt_train_options *options, int number, int index,
                          int64_t arena_size, kti_fold *fold, kt_error *error)
{
    kt_status status = KT_OK;
    *fold = (kti_fold){.number = number, .index = index, .rate_scale = 1, .least_loss = -1};
    const int size = dataset->size, outer = kti_split_train_size(size);
    fold->order = kti_allocate((size_t)size, sizeof *fold->order);
    bool has_best = true;
    for (kti_arena_role role = 0; role < KTI_ROLES; role++) {
        if (role == KTI_ROLE_AVERAGE && options->weight_average == 0)
            continue;
        fold->best[role] = kti_allocate((size_t)arena_size, sizeof(kt_real));
        has_best = has_best && fold->best[role];
    }
    fold->history = kti_allocate((size_t)options->epochs * KTI_HISTORY_COLUMNS, sizeof *fold->history);
    if (!fold->order || !has_best || !fold->history) {
        status = kti_fail_memory(error, "a fold");
        goto fail;
    }
    status = kti_split_permutation((uint32_t)number, size, fold->order, error);
    if (status != KT_OK)
        goto fail;
    fold->inner_rows = options->select == KT_SELECT_INNER ? (int)(options->inner_fraction * outer) : 0;
    fold->train_rows = outer - fold->inner_rows;
    fold->validate_rows = size - outer;
    switch (options->select) {
    case KT_SELECT_INNER:
        fold->select = fold->order + fold->train_rows;
        fold->select_rows = fold->inner_rows;
        break;
    case KT_SELECT_OUTER:
        fold->select = fold->order + outer;
        fold->select_rows = fold->validate_rows;
        break;
    case KT_SELECT_LAST: break;
    }
    fold->watch = fold->select;
    fold->watch_rows = fold->select_rows;
    if (fold->watch_rows < LEAST_WATCHED) {
        fold->watch = fold->order;
        fold->watch_rows = fold->train_rows < WATCHED_ROWS ? fold->train_rows : WATCHED_ROWS;
    }
    if (fold->watch_rows < LEAST_WATCHED)
        fold->watch_rows = 0;
    if (fold->train_rows < 1 || fold->validate_rows < 1 ||
        (fold->select_rows < 1 && options->select != KT_SELECT_LAST)) {
        status = kti_fail(
            error, KT_BAD_ARGUMENT,
            "%d usable crystals are too few: a fold would train on %d, select on %d and validate on %d", size,
            fold->train_rows, fold->select_rows, fold->validate_rows);
        goto fail;
    }
    status =
        fit_target(dataset, fold->order, options->fit_target_on_all ? size : fold->train_rows, fold, error);
    if (status == KT_OK)
        return KT_OK;
fail:
    kti_fold_destroy(fold);
    return status;
}

void kti_fold_destroy(kti_fold *fold)
{
    free(fold->order);
    for (kti_arena_role role = 0; role < KTI_ROLES; role++)
        free(fold->best[role]);
    free(fold->history);
    *fold = (kti_fold){0};
}
