#include "train/fold.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "data/split.h"

/* As many rows tell whether a fold has collapsed: two crystals may well be predicted alike, eight are not. */
enum { MIN_WATCHED = 8, WATCHED_ROWS = 24 };

const char *const kti_history_names[KTI_HISTORY_COLUMNS] = {
    "train_loss",        "select_mape", "learning_rate", "gradient_norm",
    "gradient_norm_max", "skipped",     "spread",        "rescued"};

/* Mean and population standard deviation of log10(kappa + 1) (docs/method.md, section 5) over the rows of one part, or
 * of all (-1). */
static kt_status fit_target(const kti_dataset *dataset, int part, const kti_fold *fold, int size,
                            kti_transform *target, kt_error *error)
{
    double sum = 0, squares = 0;
    int rows = 0;
    *target = (kti_transform){0};
    for (int i = 0; i < size; i++) {
        const kti_crystal *crystal = &dataset->crystals[fold->order[i]];
        if (part >= 0 && crystal->part != part)
            continue;
        sum += log10(crystal->kappa + 1);
        rows++;
    }
    target->mean = sum / rows;
    for (int i = 0; i < size; i++) {
        const kti_crystal *crystal = &dataset->crystals[fold->order[i]];
        const double away = log10(crystal->kappa + 1) - target->mean;
        if (part < 0 || crystal->part == part)
            squares += away * away;
    }
    target->sd = sqrt(squares / rows);
    if (!(target->sd > 1e-9))
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "fold %d: all %d training values of kappa%s%s are the same; there is nothing to learn",
            fold->number, rows, part < 0 ? "" : " of ", part < 0 ? "" : dataset->part[part].name);
    return KT_OK;
}

static kt_status fit_targets(const kti_dataset *dataset, const kt_train_options *options, kti_fold *fold,
                             kt_error *error)
{
    /* Rows to train on stand first, part by part, and the others behind them. */
    const int size = options->fit_target_on_all ? dataset->size : fold->train_rows;
    kt_status status = fit_target(dataset, -1, fold, size, &fold->target, error);
    for (int part = 0; part < dataset->parts && status == KT_OK; part++) {
        fold->part_target[part] = fold->target;
        if (options->target_per_data_set && dataset->parts > 1)
            status = fit_target(dataset, part, fold, size, &fold->part_target[part], error);
    }
    return status;
}

static int inner_rows(const kt_train_options *options, int outer)
{
    /* Without an epoch there is none to choose. */
    return options->select == KT_SELECT_INNER && options->epochs > 0 ? (int)(options->inner_fraction * outer)
                                                                     : 0;
}

void kti_fold_sizes(const kti_dataset *dataset, const kt_train_options *options, int *train, int *inner,
                    int *validate)
{
    *train = *inner = *validate = 0;
    for (int part = 0; part < dataset->parts; part++) {
        const int size = dataset->part[part].size, outer = kti_split_train_size(size);
        *inner += inner_rows(options, outer);
        *train += outer - inner_rows(options, outer);
        *validate += size - outer;
    }
}

/* Each part is permuted and cut on its own; its three pieces go behind those of the parts before it. */
static kt_status split(const kti_dataset *dataset, const kt_train_options *options, kti_fold *fold,
                       kt_error *error)
{
    kt_status status = KT_OK;
    int32_t *permuted = kti_allocate((size_t)dataset->size, sizeof *permuted);
    if (!permuted)
        return kti_fail_memory(error, "a fold");
    int32_t *train = fold->order, *inner = train + fold->train_rows, *validate = inner + fold->inner_rows;
    for (int p = 0; p < dataset->parts && status == KT_OK; p++) {
        const kti_dataset_part *part = &dataset->part[p];
        const int outer = kti_split_train_size(part->size), kept = outer - inner_rows(options, outer);
        status = kti_split_permutation((uint32_t)fold->number, part->size, permuted, error);
        for (int i = 0; i < part->size && status == KT_OK; i++)
            *(i < kept ? train++ : i < outer ? inner++ : validate++) = part->first + permuted[i];
    }
    free(permuted);
    return status;
}

/* After an error the fold still owns what was allocated. */
static kt_status allocate(const kt_train_options *options, int rows, int64_t arena_size, kti_fold *fold,
                          kt_error *error)
{
    fold->order = kti_allocate((size_t)rows, sizeof *fold->order);
    fold->history = kti_allocate((size_t)options->epochs * KTI_HISTORY_COLUMNS, sizeof *fold->history);
    bool complete = fold->order && fold->history;
    for (kti_arena_role role = 0; role < KTI_ROLES; role++) {
        if (role == KTI_ROLE_AVERAGE && options->weight_average == 0)
            continue;
        fold->best[role] = kti_allocate((size_t)arena_size, sizeof(kt_real));
        complete = complete && fold->best[role];
    }
    return complete ? KT_OK : kti_fail_memory(error, "a fold");
}

static void set_selected_rows(const kt_train_options *options, kti_fold *fold)
{
    switch (options->select) {
    case KT_SELECT_INNER:
        fold->select = fold->order + fold->train_rows;
        fold->select_rows = fold->inner_rows;
        break;
    case KT_SELECT_OUTER:
        fold->select = kti_fold_validate(fold);
        fold->select_rows = fold->validate_rows;
        break;
    case KT_SELECT_LAST: break;
    }
}

/* The rows of the selection, which are predicted anyway; if these are too few, training rows. */
static void set_watched_rows(kti_fold *fold)
{
    fold->watch = fold->select;
    fold->watch_rows = fold->select_rows;
    if (fold->watch_rows < MIN_WATCHED) {
        fold->watch = fold->order;
        fold->watch_rows = fold->train_rows < WATCHED_ROWS ? fold->train_rows : WATCHED_ROWS;
    }
    if (fold->watch_rows < MIN_WATCHED)
        fold->watch_rows = 0;
}

/* Enough rows to train, select and validate on, and no more than a Gaussian process can take. */
static kt_status check_rows(const kt_train_options *options, int size, const kti_fold *fold, kt_error *error)
{
    const bool selects = options->epochs > 0 && options->select != KT_SELECT_LAST;
    const int process_rows = fold->train_rows + fold->inner_rows;
    if (fold->train_rows < 1 || fold->validate_rows < 1 || (fold->select_rows < 1 && selects))
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "%d usable crystals are too few: a fold would train on %d, select on %d and validate on %d", size,
            fold->train_rows, fold->select_rows, fold->validate_rows);
    if (options->head != KT_HEAD_NETWORK && process_rows > KTI_GP_MAX_ROWS)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a fold has %d rows to fit a Gaussian process to; more than %d take too long: use "
                        "the head \"%s\"",
                        process_rows, KTI_GP_MAX_ROWS, "network");
    return KT_OK;
}

kt_status kti_fold_create(const kti_dataset *dataset, const kt_train_options *options, int number, int index,
                          int64_t arena_size, kti_fold *fold, kt_error *error)
{
    *fold = (kti_fold){.number = number, .index = index, .rate_scale = 1, .min_loss = -1};
    kti_fold_sizes(dataset, options, &fold->train_rows, &fold->inner_rows, &fold->validate_rows);
    kt_status status = allocate(options, dataset->size, arena_size, fold, error);
    if (status == KT_OK)
        status = split(dataset, options, fold, error);
    if (status == KT_OK) {
        set_selected_rows(options, fold);
        set_watched_rows(fold);
        status = check_rows(options, dataset->size, fold, error);
    }
    if (status == KT_OK)
        status = fit_targets(dataset, options, fold, error);
    if (status != KT_OK)
        kti_fold_destroy(fold);
    return status;
}

void kti_fold_destroy(kti_fold *fold)
{
    free(fold->order);
    for (kti_arena_role role = 0; role < KTI_ROLES; role++)
        free(fold->best[role]);
    free(fold->history);
    kti_gp_head_destroy(&fold->gp);
    *fold = (kti_fold){0};
}
