/* A trained run as a model to hand on: its weights without the optimiser's state, and a model card. */
#ifndef KTI_EXPERIMENT_EXPORT_H
#define KTI_EXPERIMENT_EXPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <kappatune/train.h>

typedef struct kti_export_options {
    bool half;           /* the network's tensors as F16; a Gaussian process stays as it is */
    bool force;          /* an exported model in the way is replaced */
    const char *licence; /* of the weights, for the card; NULL: nobody said */
    /* As in kt_train_options: what the names in the run's recipe stand for. */
    kt_status (*find)(void *find_user, kt_named kind, const char *name, const char **path, kt_error *error);
    void *find_user;
    /* Called with a line for a person; may be NULL. */
    void (*message)(void *user, const char *text);
    void *user;
} kti_export_options;

typedef struct kti_exported {
    int members;
    size_t bytes; /* of all weights */
} kti_exported;

/* Writes the finished run `run` (of several stages: the last one's; RUN/stages/NAME is any of them) as a model folder `out`:
 * folds/<n>/best.safetensors of every fold that did not fail, recipe.json, metrics.json, calibration.csv and README.md, the model card.
 * kt_model_open and `from` take it as they take a run. No path of this machine goes into it.
 *
 * The data set that the recipe names is read for the card, and for measuring what half precision changes and how wide the interval is; where it is not
 * at hand or is another by now, there is no calibration.csv, the card says so, and a message too.
 *
 * KT_BAD_ARGUMENT for a folder `out` that exists, unless `force` is set and it is an exported model and nothing else, for a run
 * without a member, and for a weight that half precision cannot hold, by name; KT_IO for a run that has not finished. Weights are all
 * read and checked before anything is written.
 *
 * The model is made in a folder beside `out` (kti_part_path) and put in its place whole: after a kill or a failure the earlier model
 * stands there, or the new one (kti_folder_replace), and the next export removes what a killed one has left. */
kt_status kti_export(const char *run, const char *out, const kti_export_options *options,
                     kti_exported *exported, kt_error *error);

#endif
