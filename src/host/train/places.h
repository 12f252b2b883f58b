/* The devices of a run, and which folds train on each.
 *
 * On the CPU, and on one GPU, all folds are one place. Of N GPUs for F folds, N <= F, GPU i % N has fold i, counted from 0. Where
 * there are more, N / F of them that stand side by side share each fold: each computes a slice of every batch, and they
 * sum loss and gradient, so that all have the same weights. GPUs that are left over are not used. Of several replicas of
 * the folds each counts as a fold, and none is shared.
 */
#ifndef KTI_TRAIN_PLACES_H
#define KTI_TRAIN_PLACES_H

#include <kappatune/train.h>

#include "train/parameters.h"

typedef struct kti_place {
    kti_device *device; /* owned */
    kti_parameters parameters;
    kti_parameters average; /* the same with the running mean for weights; borrowed from there */
} kti_place;

typedef struct kti_places {
    kti_place *place; /* [size]; owned */
    int size;
    int sharers; /* places a fold; 1: none is shared */
} kti_places;

/* How many GPUs share each fold of the run. */
int kti_places_sharers(const kt_train_options *options, int gpus);

/* Opens the devices and makes room for the parameters of the folds, each of them trained by so many replicas, with what the
 * options need. */
kt_status kti_places_create(const kt_train_options *options, int replicas, kti_places *places,
                            kt_error *error);
void kti_places_destroy(kti_places *places);

/* Where a run's fold `fold` (from 0) is: in which place, for each of those who share it, and which of the place's it is. */
void kti_places_find(const kti_places *places, int fold, int rank, int *place, int *index);

#endif
