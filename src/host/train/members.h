/* The folds that a model consists of: which ones a finished run or an exported model has, and whether all of them are there. */
#ifndef KTI_TRAIN_MEMBERS_H
#define KTI_TRAIN_MEMBERS_H

#include <kappatune/error.h>

enum { KTI_MAX_MEMBERS = 1000, KTI_METRICS_LIMIT = 1 << 26 /* bytes of a metrics.json */ };

/* In a fold of an exported model's metrics.json: the SHA-256 of its weights' file. */
#define KTI_WEIGHTS_SHA256 "weights_sha256"

/* The folds of a folder that have weights, folds/<n>/best.safetensors, in order; none if it is no folder. */
kt_status kti_members_list(const char *folder, int fold[KTI_MAX_MEMBERS], int *count, kt_error *error);

/* That the folder, a run of one stage or an exported model, is whole: it has the folds that its metrics.json names, and no others, and
 * their files are those that metrics.json knows by their SHA-256, or, where it knows none, what their metadata say. Else
 * KT_BAD_ARGUMENT, with what is missing or does not belong there, and what to do. `only_fold`: 0, or the one that is wanted, and judged,
 * of a run that has finished. */
kt_status kti_members_check(const char *folder, int only_fold, kt_error *error);

#endif
