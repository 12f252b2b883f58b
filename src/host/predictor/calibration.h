/* What tells how far a model's predictions of kappa can be trusted: its training crystals, and what its members predicted of those that
 * they had not seen.
 *
 * From these come the 90 % interval of a prediction, how near the crystal is to what the model knows, and warnings. Kept in a
 * model folder's calibration.csv, a row a crystal: id, dataset, formula, sites, elements (Na Cl), kappa, held_out (fold:value, or
 * fold:value:log_sd of a Gaussian process, for each fold that had not seen it), nearest (the distance of the training crystal that is
 * nearest to it), and the features (crystal/features.h).
 */
#ifndef KTI_PREDICTOR_CALIBRATION_H
#define KTI_PREDICTOR_CALIBRATION_H

#include <stddef.h>

#include <kappatune/model.h>
#include <kappatune/train.h>

#include "crystal/elements.h"
#include "crystal/graph.h"
#include "data/dataset.h"

#define KTI_INTERVAL_LEVEL 0.9 /* of kt_judgement's low and high */

typedef struct kti_known_crystal {
    char *id, *elements; /* "Na Cl"; owned */
    char formula[64];
    int set; /* of the calibration's */
    int64_t sites;
    double kappa;   /* W/(m K), > 0 */
    double nearest; /* distance of the nearest other one */
} kti_known_crystal;

/* What a fold predicts of a crystal that it was not trained on. */
typedef struct kti_held_out {
    int crystal, fold;
    double value, log_sd; /* W/(m K), finite; NaN for a member that gives no log_sd */
    double score;         /* ln kappa less the prediction's, over log_sd where there is one */
} kti_held_out;

/* The scores of a fold: held_out[first, first + size). */
typedef struct kti_fold_scores {
    int fold;
    size_t first, size;
} kti_fold_scores;

typedef struct kti_calibration {
    int sets;
    char *set[KT_MAX_DATA_SETS]; /* names; owned */
    size_t size, capacity;
    kti_known_crystal *crystal; /* [size] owned */
    double *value;              /* [size, KTI_FEATURES_OF_CRYSTAL] owned */
    bool element[KTI_ELEMENT_TYPES];
    size_t held_out_size, held_out_capacity;
    kti_held_out *held_out; /* [held_out_size] owned; once prepared by fold, and by score in a fold */

    /* Set by kti_calibration_prepare. */
    int folds;
    kti_fold_scores *fold; /* [folds] by number; owned */
    bool has_log_sd;       /* of all that is held out; else none is used */
    double min, max;       /* kappa */
    double mean[KTI_FEATURES_OF_CRYSTAL], scale[KTI_FEATURES_OF_CRYSTAL];
    float *standardised; /* [KTI_FEATURES_OF_CRYSTAL, size] owned */
    double far;          /* 99 % of the training crystals have another one that is nearer */
} kti_calibration;

/* Adds a crystal; all is copied, also its strings and its features [KTI_FEATURES_OF_CRYSTAL]. KT_BAD_FORMAT for an element that the
 * network does not know. */
kt_status kti_calibration_add(kti_calibration *c, const kti_known_crystal *crystal, const double *feature,
                              kt_error *error);
kt_status kti_calibration_add_held_out(kti_calibration *c, int crystal, int fold, double value, double log_sd,
                                       kt_error *error);

/* Once all is added: scores, their order, the range, standardised features. `distances`: also each crystal's nearest, a search over all
 * pairs; else they must be there. KT_NON_FINITE for numbers that overflow. */
kt_status kti_calibration_prepare(kti_calibration *c, bool distances, kt_error *error);

/* Zeroed ones are fine. */
void kti_calibration_destroy(kti_calibration *c);

/* Judges the members' predictions of a crystal: fold, value and log_sd [members]; log_sd may be NULL.
 *
 * The interval is CV+ (R. F. Barber et al., Ann. Statist. 49 (2021) 486) in ln kappa: each score of a fold is put to what its member says
 * of this crystal, times the member's log_sd, and the 5 % and the 95 % quantile of all of them, those of n + 1, bound it. A member's word
 * is the mean of ln kappa: of a Gaussian process ln value + log_sd^2 / 2, else ln value with a value of at least 0.01 W/(m K). Fewer
 * than 19 scores give none.
 *
 * The distance is the root mean square of the differences of features, each in standard deviations over the training crystals. */
void kti_calibration_judge(const kti_calibration *c, const kti_graph *graph, const int *fold,
                           const double *value, const double *log_sd, int members, kt_judgement *judgement);

/* How often the interval of a member holds: each fold's held-out crystals, judged by the scores that the other folds have on
 * crystals which this one was trained on. */
typedef struct kti_interval_scores {
    int folds, pairs; /* that have both; pairs: of a fold and a crystal */
    kt_interval_scores of;
} kti_interval_scores;

/* Of the crystals of one set, or of all (-1); what judges them is of all sets. */
kt_status kti_calibration_cover(const kti_calibration *c, int set, kti_interval_scores *scores,
                                kt_error *error);

#endif
