/* One cross-validation fold: its rows, its target transform, and where its training stands.
 *
 * Everything that a resumed run needs is here or in the parameter arenas.
 */
#ifndef KTI_TRAIN_FOLD_H
#define KTI_TRAIN_FOLD_H

#include <stdbool.h>

#include <kappatune/train.h>

#include "data/dataset.h"
#include "model/gp_head.h"
#include "ranks/communicator.h"
#include "train/parameters.h"
#include "train/transform.h"

/* One row of a fold's history, in this order in epochs.csv and in checkpoints. A value that is not there is
 * -1. */
typedef enum kti_history_column {
    KTI_TRAIN_LOSS,  /* mean over the epoch's rows */
    KTI_SELECT_MAPE, /* on the rows of the selection, after the epoch */
    KTI_LEARNING_RATE,
    KTI_GRADIENT_NORM, /* mean over the epoch's steps */
    KTI_GRADIENT_NORM_MAX,
    KTI_SKIPPED, /* steps that changed nothing, their loss or gradient not being finite */
    KTI_SPREAD,  /* of the predicted log10(kappa + 1), greatest less least: 0 when collapsed */
    KTI_RESCUED, /* 1 if the fold went back to earlier weights after the epoch */
    KTI_HISTORY_COLUMNS
} kti_history_column;

extern const char *const kti_history_names[KTI_HISTORY_COLUMNS];

typedef struct kti_fold {
    const kt_train_options *options; /* of its replica of the run */
    int number;                      /* 1-based: the split's seed */
    int index;                       /* of the fold's arenas in its place */
    int place;                       /* of the run, on whose device it is */
    int first; /* the run's fold that this is; where several devices share it, each has a copy, kept alike */
    int rank;  /* among them; 0 writes and reports for all */
    /* [dataset size], owned: rows to train on, inner rows, then rows to validate on; within each of the three, data set
     * by data set. */
    int32_t *order;
    int train_rows, inner_rows, validate_rows;
    const int32_t *select; /* rows that the epoch is chosen on, part of order; none with KT_SELECT_LAST */
    int select_rows;
    const int32_t *watch; /* rows that tell whether the fold has collapsed, part of order */
    int watch_rows;       /* 0 where there are too few to tell */
    /* Of all data sets together. The checkpoints carry this one, also where each data set is standardised on its own: a
     * crystal that is predicted later belongs to none of them. */
    kti_transform target;
    /* What the rows of each data set are standardised and decoded with. */
    kti_transform part_target[KT_MAX_DATA_SETS];
    /* What loss and selection decode with instead (restore_target of kt_train_options); sd 0: nothing. */
    kti_transform restored;
    uint64_t data_fingerprint, start_fingerprint; /* of what the fold is trained on and started from */

    int epoch;         /* finished ones */
    int64_t steps;     /* of Adam since its moments were zero */
    double rate_scale; /* halved by each rescue */
    int rescues, draws, skipped, collapsed_epochs;
    bool in_trouble; /* and it has been said */
    double min_loss; /* least mean loss of an epoch; -1 before there is one */
    int best_epoch;  /* 0 before there is one */
    double best_mape;
    int64_t best_steps;
    kt_real *best[KTI_ROLES]; /* [layout.size] each arena after best_epoch, host memory; owned; NULL for those
                                 that the run does not have */
    double *history;          /* [epochs, KTI_HISTORY_COLUMNS]; owned */
    kti_gp_head gp;           /* no rows before it is fitted, or where there is none */
} kti_fold;

/* How many folds a run trains, in all of its ranks. */
static inline int kti_fold_count(const kt_train_options *options)
{
    return options->run.only_fold ? 1 : options->folds;
}

/* How many rows of a data set each fold trains on, keeps for the selection and validates on. */
void kti_fold_sizes(const kti_dataset *dataset, const kt_train_options *options, int *train, int *inner,
                    int *validate);

/* How many of them are a rank's: fold i, from 0, is rank i % ranks's. */
static inline int kti_fold_share(const kt_train_options *options, int rank)
{
    const int ranks = kti_communicator_size(options->run.ranks);
    return (kti_fold_count(options) + ranks - 1 - rank) / ranks;
}

/* How often a fold reports its progress: after each epoch, or, without epochs, once. */
static inline int kti_fold_reports(const kt_train_options *options)
{
    return options->epochs > 0 ? options->epochs : 1;
}

/* Splits and fits the transforms. Folds too small to train (no row to train, to select or to validate on), too large for
 * a Gaussian process, and a target without spread are KT_BAD_ARGUMENT. */
kt_status kti_fold_create(const kti_dataset *dataset, const kt_train_options *options, int number, int index,
                          int64_t arena_size, kti_fold *fold, kt_error *error);
void kti_fold_destroy(kti_fold *fold);

/* Predictions this close together are one number: the fold has collapsed. A spread of -1 is not known. */
static inline bool kti_spread_is_flat(double spread)
{
    return spread >= 0 && spread <= 1e-4;
}

/* Whether the fold gave something that predicts: the network an epoch, or, where a Gaussian process has a part in it,
 * that. */
static inline bool kti_fold_has_product(const kti_fold *fold, const kt_train_options *options)
{
    return options->head == KT_HEAD_NETWORK ? fold->best_epoch > 0 : fold->gp.gp.rows > 0;
}

/* What loss and selection take for kappa: the compressed kappa where a transform was restored. */
static inline double kti_fold_scaled(const kti_fold *fold, int part, double kappa)
{
    if (fold->restored.sd == 0)
        return kappa;
    return kti_destandardise(fold->restored, kti_standardise(fold->part_target[part], kappa));
}

static inline const int32_t *kti_fold_validate(const kti_fold *fold)
{
    return fold->order + fold->train_rows + fold->inner_rows;
}

#endif
