/* Training: nine cross-validation folds of one data set or of several joined ones, side by side; one stage
 * (kt_train), or the stages of a recipe one after another (kt_train_recipe).
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

enum { KT_MAX_DATA_SETS = 8 };

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

typedef enum kt_head {
    KT_HEAD_NETWORK, /* the network's own, trained with it */
    KT_HEAD_GP,      /* a Gaussian process of log(kappa) on physical features and the network's read-out */
    KT_HEAD_AVERAGE  /* the geometric mean of both */
} kt_head;

typedef enum kt_gp_features {
    KT_GP_FEATURES_NONE,  /* the read-out's components alone */
    KT_GP_FEATURES_PLAIN, /* 17 of the simplest: masses, volume, distance, coordination, sites, two elements */
    KT_GP_FEATURES_PHYSICAL /* 22: most of these, electron counts, the anion's charge, the element in between */
} kt_gp_features;

typedef enum kt_gp_kernel {
    KT_GP_KERNEL_MATERN, /* Matern 5/2, a length scale for each input */
    KT_GP_KERNEL_RBF,    /* squared exponential, likewise */
    KT_GP_KERNEL_SUM     /* the first, a squared exponential and a linear term of one length scale for all */
} kt_gp_kernel;

typedef struct kt_train_progress {
    const char *stage;        /* its name; "" for kt_train */
    int stage_number, stages; /* 1-based; 1 of 1 for kt_train */
    int64_t rows_done;        /* training rows times epochs, over all folds and stages, done earlier or now; a
                                 stage without epochs counts as one */
    int64_t rows_total;       /* of them */
    int folds, epochs;        /* of the stage; folds of all replicas */
    int64_t epochs_done;      /* of the stage, over all folds, earlier ones of a resumed run included; a fold
                                 without epochs counts as one */
    int64_t epochs_total;
    int replicas;        /* runs that are trained at once; 1 but for kt_train_replicas */
    uint64_t seed;       /* of the run to which the fold belongs that just ended an epoch: */
    int fold, epoch;     /* 1-based; epoch 0 of a fold without epochs */
    double train_loss;   /* mean of the epoch; NaN if no step was finite */
    double select_mape;  /* of the epoch; NaN if not finite, or with KT_SELECT_LAST */
    double seconds;      /* since this call of kt_train or kt_train_recipe began to train */
    double seconds_left; /* of all stages, at the present rate of rows */
} kt_train_progress;

typedef enum kt_named {
    KT_NAMED_DATA,   /* one of kt_train_options.data */
    KT_NAMED_WEIGHTS /* kt_train_options.from */
} kt_named;

struct kt_communicator; /* processes that share the folds: `kappatune train` under mpirun or srun makes one */

/* How a training is run. None of it decides the result, except that GPUs which share a fold sum in another order. */
typedef struct kt_run_options {
    const char *out;           /* the run folder, made if missing; NULL: nothing is written */
    bool resume;               /* go on from the run folder's checkpoints */
    bool force;                /* write into `out` although it holds something, and no run */
    int only_fold;             /* 0: all; n: fold n alone */
    double checkpoint_seconds; /* between checkpoints of a fold; 0: every epoch */
    const char
        *device; /* "cpu" (also NULL); "cuda", "cuda-cublas", "cuda-cudnn", "cuda-auto": all folds as one */
    int threads; /* workers; each takes folds */
    /* On cuda: how many GPUs; fold i is on GPU i % gpus, with the same bits for any number. Of more GPUs than folds,
     * gpus / folds share each fold: every one takes a part of every batch, and they sum gradients, to the same bits for
     * the same number of GPUs. */
    int gpus;
    double gpu_timeout; /* seconds without progress after which GPUs that share a fold give up */
    /* NULL: this process alone. Else every rank calls with the same options, and the results are rank 0's; others' are empty. */
    struct kt_communicator *ranks;
    /* Called after every epoch of every fold, or, without epochs, after every fold, from the workers, one at a time; may be
     * NULL. Non-zero return: checkpoint and stop with KT_INTERRUPTED. */
    int (*progress)(void *user, const kt_train_progress *progress);
    /* Called with one line for a person when something is worth saying (a rejected row, a skipped step, a rescued
     * fold); may be NULL. One at a time. */
    void (*message)(void *user, const char *text);
    void *user;
    /* Gives the path that a name in `data` or `from` stands for, which must outlive the training; NULL: names are paths. The run folder
     * has the names, so that it is the same wherever the data and the weights lie. `from` with `from_stage` is a path. */
    kt_status (*find)(void *find_user, kt_named kind, const char *name, const char **path, kt_error *error);
    void *find_user;
} kt_run_options;

/* What is trained, on what, and how: all that decides the result, and `run`. */
typedef struct kt_train_options {
    /* Data sets: each a folder with id_prop.csv, a table of crystals, or a name (see `find`); the first NULL ends the list. Several are each
     * split by the fold's number on its own, then joined part by part. */
    const char *data[KT_MAX_DATA_SETS];
    /* Weights: safetensors, matgl's state.pt, or a run folder, fold by fold; NULL: random. */
    const char *from;
    /* Name of the earlier stage of a recipe whose fold n is where fold n starts; NULL: `from` decides. kt_train_recipe
     * finds the stage's folder; for kt_train, `from` is that folder, and this is how recipe.json and the
     * checkpoints name it. */
    const char *from_stage;
    kt_protocol protocol;
    kt_select select;
    bool load_weights; /* false: `from` is checked but not used, which is the published code's fault 1 */
    /* true: the target transform sees validation rows, part of the published code's fault 3 */
    bool fit_target_on_all;
    /* true: each data set is standardised on its own, as the published code does; false: all together */
    bool target_per_data_set;
    /* true: predictions are decoded with the target transform that the start weights carry, while labels are standardised
     * with the data's own, so that loss and selection are of a compressed kappa, 10^(z sd_start + mean_start) - 1 for
     * z = (log10(kappa + 1) - mean) / sd: the published code's fault 2. Scores are given in both units. Where the start
     * weights are not used or have no head, the transform of all data sets together takes that place if
     * target_per_data_set standardises each of several on its own; else there is no effect. */
    bool restore_target;
    bool quotient; /* exact symmetry quotient */
    int folds;     /* 1..: numbers 1 .. folds, each with its split */
    int epochs;    /* of the network; 0 leaves it as it starts, for a Gaussian process */
    int batch;     /* crystals a step; the last, smaller batch is kept */
    uint64_t seed;
    double learning_rate, min_learning_rate; /* cosine from the first to the second ... */
    int schedule_period;                     /* ... over this many ticks (0: the run's length); */
    int schedule_ticks;                      /* ticks an epoch: 2, as the published code steps */
    kt_loss loss;          /* that is minimised; scores are those of kappa, whichever it is */
    kt_freeze freeze;      /* what keeps its start weights */
    double body_rate;      /* factor on the body's learning rate */
    double weight_decay;   /* decoupled (AdamW), of the weight matrices; 0: none */
    double clip_norm;      /* largest norm of a step's gradient, longer ones are scaled to it; 0: any */
    double weight_average; /* decay a step of the running mean of the weights, which is then what is scored,
                              selected and kept; 0: the weights themselves are */
    double label_noise; /* sd of the noise on log10(kappa) of training rows, drawn anew each epoch, in units
                              of the target's sd */
    /* What predicts. A Gaussian process is fitted after the network's epochs, on all rows outside the held-out 20 %, to
     * `gp_features` of the crystals and `readout_components` principal components of the network's read-out (0 .. 16),
     * with `gp_kernel`. It chooses nothing, so that it needs no inner rows. */
    kt_head head;
    kt_gp_features gp_features;
    kt_gp_kernel gp_kernel;
    int readout_components;
    bool physics_inputs;   /* physical features beside the network's state and node inputs */
    double inner_fraction; /* of the training rows, kept for the selection of KT_SELECT_INNER */
    kt_run_options run;    /* how it is run */
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
    int best_epoch;       /* 1-based; the last one with KT_SELECT_LAST; 0 if failed, or without epochs */
    kt_scores best, last; /* on the 20 %, with the selected epoch's weights and with the last epoch's */
    kt_scores set_best[KT_MAX_DATA_SETS]; /* the same of each data set apart; rows 0 where there is none */
    kt_scores set_last[KT_MAX_DATA_SETS];
    /* The same of the compressed kappa; rows 0 unless restore_target had an effect. */
    kt_scores published_best, published_last;
    int skipped_steps, rescues;
    bool collapsed; /* the selected weights predict a constant */
    bool failed;    /* no epoch gave finite predictions: there are no weights, and the scores are NaN */
} kt_fold_result;

/* The 90 % interval of kt_model_judge: the part of a split's held-out crystals that it held for, judged by the other splits; mean and
 * population standard deviation over the splits. The median interval reaches from its middle / factor to its middle * factor. All NaN
 * where there are too few splits or crystals to say. */
typedef struct kt_interval_scores {
    double coverage, coverage_std, factor;
} kt_interval_scores;

typedef struct kt_train_result {
    int crystals, rejected; /* usable rows, rejected rows */
    int data_sets;
    char *data_set[KT_MAX_DATA_SETS]; /* their names; owned */
    int folds;
    kt_fold_result *fold;        /* [folds]; owned */
    kt_interval_scores interval; /* of a run that was written to a folder, else all NaN */
} kt_train_result;

/* Trains one stage. *result is the caller's (kt_train_result_destroy). With rejected rows the run goes on; they stand in
 * out/rejects.csv. Writes into `out`: recipe.json, metrics.json (last of all: where it is, the run has finished),
 * predictions.csv, epochs.csv, log.jsonl and folds/<n>/{best,last}.safetensors. Same options and data, same bits on the
 * same kind of processor, for any number of threads, and after a kill and a resume. A folder that holds a run is taken with
 * `resume`, one that holds anything else with `force`; else KT_BAD_ARGUMENT, and nothing in it is touched.
 *
 * metrics.json: protocol, select, dataset (several: a+b), units, crystals, rejected, data_fingerprint; folds[]: fold, n_train,
 * n_select, n_validate, the scores by their names in kt_scores, last_epoch {the scores}, best_epoch, skipped_steps, rescues,
 * collapsed, failed, start_fingerprint; summary and summary_last_epoch: each score's folds, mean, std (population), median;
 * interval {level, folds, pairs, coverage, coverage_std, factor}: of the 90 % interval, whose scores stand in calibration.csv.
 * Of several data sets also data_sets[]: dataset, crystals, the two summaries; in each fold dataset, n_validate, scores.
 * Where restore_target had an effect also summary_published_unit and summary_last_epoch_published_unit, and in each
 * fold published_unit {the scores}. What is not finite is null.
 * predictions.csv: fold, id, kappa, predicted, predicted_last_epoch, dataset; kappa in W/(m K). */
KT_API kt_status kt_train(const kt_train_options *options, kt_train_result *result, kt_error *error);

enum { KT_MAX_REPLICAS = 1000 };

/* Trains the folds `replicas` times, all side by side: with options->seed, and with the seeds that follow. Each is a run of its
 * own, with the bits that kt_train gives for its seed, in out/seed-<seed> (nothing is written where `out` is NULL).
 * results [replicas] are the caller's. On a GPU a step of all of them is one launch, as far as its memory goes. */
KT_API kt_status kt_train_replicas(const kt_train_options *options, int replicas, kt_train_result *results,
                                   kt_error *error);

/* The results of a finished run of one stage (RUN, or RUN/stages/NAME), from its metrics.json. KT_IO where it has none
 * yet, KT_BAD_FORMAT for what is no such file. */
KT_API kt_status kt_train_result_read(const char *run, kt_train_result *result, kt_error *error);
KT_API void kt_train_result_destroy(kt_train_result *result);

/* ---- recipes ----
 *
 * A recipe file is a JSON object. Of one stage, it has the keys that a run folder's recipe.json has, each of them
 * optional: "data" (a path, or a list of up to eight), "from" (a path or "random"), "protocol", "select", "epochs", ...
 *
 *     {"data": "datasets/togo15.csv", "from": "weights/megnet-eform.safetensors", "epochs": 300}
 *
 * Of several stages, it has "stages" instead, and beside it keys that are the defaults of every stage. A stage
 * has a "name" (letters, digits, - and _; its own) and the keys of one stage; its "from" may be {"stage": NAME}, an earlier
 * stage: fold n starts from that stage's fold n. Stages need not be a chain.
 *
 *     {"protocol": "sound", "folds": 9, "stages": [
 *         {"name": "FEAF", "data": "data/aflow_agl", "from": "weights/megnet-eform.safetensors", "epochs": 80},
 *         {"name": "FEAFTG15", "data": "data/togo15", "from": {"stage": "FEAF"}},
 *         {"name": "RWTG15", "data": "data/togo15"}]}
 *
 * Unknown keys are refused, and so is a list of values where one is meant: `kappatune train` alone makes such a sweep into recipes,
 * one for each combination. Relative paths are relative to the working directory; what is no path can be a name for
 * kt_train_options.find, which the program sets (docs/install.md).
 */

typedef struct kt_stage {
    const char *name;         /* "" in a recipe of one stage */
    kt_train_options options; /* its `out` and `resume` are not used */
} kt_stage;

typedef struct kt_recipe {
    bool staged; /* it has "stages", if only one; else there is one stage */
    int stages;
    kt_stage *stage; /* [stages]; what it holds may be altered before training */
    void *text;      /* keeps the strings that the stages point into */
} kt_recipe;

/* Reads a recipe over `common`: what the file does not say stays as it is there; a "protocol" key resets all that decides
 * a result to that protocol's defaults first. Its strings must outlive the recipe. After an error *recipe is
 * empty. */
KT_API kt_status kt_recipe_read(const char *path, const kt_train_options *common, kt_recipe *recipe,
                                kt_error *error);
KT_API void kt_recipe_destroy(kt_recipe *recipe);

typedef struct kt_recipe_result {
    int stages;
    kt_train_result *stage; /* [stages] in the recipe's order; owned */
    bool *reused;           /* [stages] the stage had finished before and was not trained again; owned */
} kt_recipe_result;

/* Trains the stages of a recipe in order. Of a recipe of one stage, `out` is a run folder as kt_train writes it, or NULL.
 * Of several, `out` holds recipe.json (every stage in full), metrics.json (the finished stages in order, each with its
 * name and all of its metrics.json but the folds) and stages/<name>/, a run folder each.
 *
 * With `resume`, a finished stage whose data and start weights are what they were is not trained again, and a stage that
 * was begun goes on, to the same bits. A stage that was begun must still be in the recipe, unchanged, else KT_BAD_ARGUMENT
 * with its name; others may be added, altered or dropped. All data are read, and all stages checked, before anything is
 * trained. */
KT_API kt_status kt_train_recipe(const kt_recipe *recipe, const char *out, bool resume,
                                 kt_recipe_result *result, kt_error *error);
KT_API void kt_recipe_result_destroy(kt_recipe_result *result);

#ifdef __cplusplus
}
#endif
#endif
