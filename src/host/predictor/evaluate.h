/* Trained models judged on data sets, their own and others: the rows of the cross-data-set matrix.
 *
 * kappa in W/(m K): every member decodes with the target transform of its checkpoint, whatever the data set.
 */
#ifndef KTI_PREDICTOR_EVALUATE_H
#define KTI_PREDICTOR_EVALUATE_H

#include <kappatune/model.h>
#include <kappatune/train.h>

#include "data/dataset.h"

typedef enum kti_judged_rows {
    KTI_ROWS_HELD_OUT, /* for the member of fold n, the rows that split n of the data set keeps from training */
    KTI_ROWS_ALL
} kti_judged_rows;

/* The rows of a data set that a fold is judged on, into rows[dataset->size]. A set that is itself joined is split part by
 * part, as training does. */
kt_status kti_judged_rows_of(const kti_dataset *dataset, int fold, kti_judged_rows which, int32_t *rows,
                             int *size, kt_error *error);

/* What the members of a model say of the crystals of a data set. */
typedef struct kti_answers {
    const kti_dataset *dataset;
    double *value; /* [dataset->size, members], W/(m K); owned */
} kti_answers;

/* Asks all members for every crystal. progress(user) is called after each and stops with KT_INTERRUPTED if it returns
 * non-zero; it may be NULL. *answers is the caller's. */
kt_status kti_answers_create(kt_model *model, const kti_dataset *dataset, int (*progress)(void *user),
                             void *user, kti_answers *answers, kt_error *error);
void kti_answers_destroy(kti_answers *answers);

/* Scores of one member over several data sets joined, `sets` of them, each split on its own. KT_BAD_ARGUMENT for held-out rows of a
 * model without folds: nobody can tell which rows it has not been trained on. */
kt_status kti_answers_score(const kti_answers *const *answers, int sets, const kt_model *model, int member,
                            kti_judged_rows judged, kt_scores *scores, kt_error *error);

/* The runs of one stage that a path stands for: that of every stage, in order, of a run of several, else the path
 * alone. */
typedef struct kti_run_list {
    int size;
    char **path, **name; /* [size]; RUN/stages/NAME and "RUN/NAME" with the last part of RUN; owned */
} kti_run_list;

/* Adds the runs of `path`; a stage that has not finished is left out, and told to message(user, text), one a call. */
kt_status kti_run_list_add(kti_run_list *list, const char *path,
                           void (*message)(void *user, const char *text), void *user, kt_error *error);
void kti_run_list_destroy(kti_run_list *list);

#endif
