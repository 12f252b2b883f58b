/* Where a fold's weights start: at random, at imported weights, or at the same fold of an earlier run. */
#ifndef KTI_TRAIN_START_H
#define KTI_TRAIN_START_H

#include <kappatune/train.h>

#include "model/layout.h"
#include "model/tensors.h"
#include "kernels/kernel.h"
#include "train/transform.h"

typedef struct kti_start {
    char *run_folder;      /* owned; NULL unless the weights are those of a run, fold by fold */
    kti_tensors tensors;   /* else: of the one file */
    char *file;            /* owned; for errors */
    int random;            /* no weights */
    uint64_t *fingerprint; /* [folds + 1] of the weights that fold n starts from; owned; NULL if random */
    kti_transform *target; /* [folds + 1] the target transform that they carry; owned; NULL if random */
} kti_start;

/* 0 if the start is random, or the weights are not used. */
uint64_t kti_start_fingerprint(const kti_start *start, int fold);

/* The target transform that the weights of fold n carry beside their head; sd 0 if they carry none, have no head or are not
 * used. */
kti_transform kti_start_transform(const kti_start *start, int fold);

/* Opens options->from: a safetensors file, matgl's state.pt or its folder, or a run folder (of several stages: the
 * last one's). A file that cannot be used is refused now, also when options->load_weights is off. */
kt_status kti_start_open(const kt_train_options *options, kti_start *start, kt_error *error);
void kti_start_close(kti_start *start);

/* Fills a fold's host arena: fresh random numbers of draw `draw` first, then what the weights hold: the body
 * always, the head if it is there. */
kt_status kti_start_fill(const kti_start *start, const kt_train_options *options, const kti_layout *layout,
                         int fold, int draw, kt_real *arena, kt_error *error);

/* Reads weights of ours or of matgl, by what the path is; the caller destroys *tensors. */
kt_status kti_weights_read(const char *path, kti_tensors *tensors, kt_error *error);

#endif
