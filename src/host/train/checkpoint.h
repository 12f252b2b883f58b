/* Checkpoints of a fold.
 *
 * folds/<n>/last.safetensors holds all that a resumed run needs, in one file, so that no crash can leave
 * halves of two states: weights, Adam's moments (adam.m., adam.v.), the weights' running mean (average.) where there is one, the same of the
 * selected epoch (best.), the history; there is none of a fold without epochs. folds/<n>/best.safetensors is the product:
 * the selected weights alone, the Gaussian process, or both; with a process it is written at the fold's end.
 */
#ifndef KTI_TRAIN_CHECKPOINT_H
#define KTI_TRAIN_CHECKPOINT_H

#include "train/fold.h"
#include "train/parameters.h"

/* Path of a fold's file "best.safetensors" or "last.safetensors", or of its folder (name ""), in a run
 * folder. The caller's: free(); NULL when memory is short. */
char *kti_checkpoint_path(const char *run, int fold, const char *name);

/* Writes both files, atomically each. `run` is the run folder. */
kt_status kti_checkpoint_write(const char *run, const kti_fold *fold, const kti_parameters *parameters,
                               const kt_train_options *options, const char *dataset, kt_error *error);

/* Removes what kills left half written in the run folder and those of folds 1 .. folds. */
void kti_checkpoint_clean(const char *run, int folds);

/* How far a fold's last.safetensors is, of a run that may be going on. */
typedef struct kti_checkpoint_summary {
    bool found;
    int epoch, best_epoch; /* best_epoch 0: there is none yet */
    double best_mape;      /* on the rows of the selection; of no meaning with KT_SELECT_LAST */
} kti_checkpoint_summary;

kt_status kti_checkpoint_summarise(const char *run, int fold, kti_checkpoint_summary *summary,
                                   kt_error *error);

/* Reads last.safetensors into the fold and its arenas; *found is 0 if there is none. A file that does not fit
 * the fold (other data or start weights, more epochs than asked for) is KT_BAD_FORMAT. */
kt_status kti_checkpoint_read(const char *run, kti_fold *fold, kti_parameters *parameters,
                              const kt_train_options *options, int *found, kt_error *error);

#endif
