/* Training: nine cross-validation folds of one data set, side by side.
 *
 * Units: kappa in W/(m K) at 300 K. Errors (MAPE, ...) are fractions.
 */
#ifndef KAPPATUNE_TRAIN_H
#define KAPPATUNE_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <kappatune/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kt_protocol {
    KT_SOUND, /* strict loading of weights, target transform of the training rows, nothing chosen on the 20 % */
    KT_PUBLISHED /* as the published code runs: weights never loaded, transform of all rows, epoch chosen on the 20 % */
} kt_protocol;

typedef enum kt_select {
    KT_SELECT_INNER, /* the epoch with the least MAPE on an inner part of the training rows */
    KT_SELECT_OUTER, /* ... on the very rows that are reported, as the paper did */
    KT_SELECT_LAST   /* no choice: the last epoch */
} kt_select;

typedef enum kt_freeze {
    KT_FREEZE_NONE,
    KT_FREEZE_BODY /* the body's weights stay as loaded; the head alone is trained */
} kt_freeze;

typedef enum kt_loss {
    KT_LOSS_MAPE,        /* mean absolute percentage error of kappa, in W/(m K) */
    KT_LOSS_LOG,         /* mean squared error of the standardised log10(kappa + 1) */
    KT_LOSS_LOG_ABSOLUTE /* its mean absolute error */
} kt_loss;

typedef struct kt_train_progress {
    int folds, epochs;   /* of the run */
    int64_t epochs_done; /* over all folds, earlier ones of a resumed run included */
    int64_t epochs_total;
    int fold, epoch;    /* the one that just ended; 1-based */
    double train_loss;  /* mean of the epoch; NaN if no step was finite */
    double select_mape; /* of the epoch; NaN if not finite, or with KT_SELECT_LAST */
    double seconds, seconds_left;
} kt_train_progress;

typedef struct kt_train_options {
    const char *data;   /* a data set: folder with id_prop.csv, or prototype table */
    const char *from;   /* weights: safetensors, matgl's state.pt, or a run folder; NULL: random */
    const char *out;    /* the run folder, made if missing; NULL: nothing is written */
    const char *device; /* "cpu"; NULL is "cpu" */
    kt_protocol protocol;
    kt_select select;
    bool load_weights; /* false: `from` is checked but not used, which is the published code's fault 1 */
    bool
        fit_target_on_all; /* true: the target transform sees validation rows, part of the published code's fault 3 */
    bool quotient;         /* exact symmetry quotient */
    bool resume;           /* go on from the run folder's checkpoints */
    int folds;             /* 1..: numbers 1 .. folds, each with its split */
    int only_fold;         /* 0: all; n: fold n alone */
    int epochs;            /* >= 1 */
    int batch;             /* crystals a step; the last, smaller batch is kept */
    int threads;           /* workers; each takes folds */
    uint64_t seed;
    double learning_rate, least_learning_rate; /* cosine from the first to the second ... */
    int schedule_period;                       /* ... over this many ticks (0: the run's length); */
    int schedule_ticks;                        /* ticks an epoch: 2, as the published code steps */
    kt_loss loss;          /* that is minimised; scores are those of kappa, whichever it is */
    kt_freeze freeze;      /* what keeps its start weights */
    double body_rate;      /* factor on the body's learning rate */
    double weight_decay;   /* decoupled (AdamW), of the weight matrices; 0: none */
    double clip_norm;      /* largest norm of a step's gradient, longer ones are scaled to it; 0: any */
    double weight_average; /* decay a step of the running mean of the weights, which is then what is scored,
                              selected and kept; 0: the weights themselves are */
    double label_noise;  /* sd of the noise on log10(kappa) of training rows, drawn anew each epoch, in units
                              of the target's sd */
    bool physics_inputs; /* physical features beside the network's state and node inputs */
    double inner_fraction;     /* of the training rows, kept for the selection of KT_SELECT_INNER */
    double checkpoint_seconds; /* between checkpoints of a fold; 0: every epoch */
    /* Called after every epoch of every fold, from the workers, one at a time; may be NULL. Non-zero return:
     * checkpoint and stop with KT_INTERRUPTED. */
    int (*progress)(void *user, const kt_train_progress *progress);
    /* Called with one line for a person when something is worth saying (a rejected row, a skipped step, a rescued
     * fold); may be NULL. One at a time. */
    void (*message)(void *user, const char *text);
    void *user;
} kt_train_options;

/* The defaults of a protocol: 9 folds, 300 epochs, batch 8, Adam at 1e-3, seed 42, one thread. */
KT_API kt_train_options kt_train_options_default(kt_protocol protocol);

typedef struct kt_scores {
    int rows;
    double mape, medape, mae, rmse; /* mape and medape are fractions; mae and rmse W/(m K) */
    double r2, r2_log, spearman;    /* r2_log of log10(kappa) */
    double sre;                     /* mean of 2 |a - b| / (a + b) */
} kt_scores;

typedef struct kt_fold_result {
    int fold, train_rows, select_rows, validate_rows;
    int best_epoch;       /* 1-based; the last one with KT_SELECT_LAST; 0 if failed */
    kt_scores best, last; /* on the 20 %, with the selected epoch's weights and with the last epoch's */
    int skipped_steps, rescues;
    bool collapsed; /* the selected weights predict a constant */
    bool failed;    /* no epoch gave finite predictions: there are no weights, and the scores are NaN */
} kt_fold_result;

typedef struct kt_train_result {
    int crystals, rejected; /* usable rows, rejected rows */
    int folds;
    kt_fold_result *fold; /* [folds]; owned */
} kt_train_result;

/* Trains. *result is the caller's (kt_train_result_destroy). With rejected rows the run goes on; they stand in
 * out/rejects.csv. Writes into `out`: recipe.json, metrics.json, predictions.csv, epochs.csv, log.jsonl and
 * folds/<n>/{best,last}.safetensors. Same options and data, same bits on the same kind of processor, for any number
 * of threads, and after a kill and a resume. */
KT_API kt_status kt_train(const kt_train_options *options, kt_train_result *result, kt_error *error);
KT_API void kt_train_result_destroy(kt_train_result *result);

#ifdef __cplusplus
}
#endif
#endif
