/* Trained models: an ensemble of one member a fold, or a single weights file.
 *
 * A prediction depends on the crystal alone, never on what is predicted before it or beside it.
 */
#ifndef KAPPATUNE_MODEL_H
#define KAPPATUNE_MODEL_H

#include <stdbool.h>

#include <kappatune/structure.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kt_property {
    KT_KAPPA, /* lattice thermal conductivity at 300 K, W/(m K) */
    KT_EFORM  /* formation energy, eV/atom */
} kt_property;

typedef struct kt_model_options {
    kt_property property;
    const char *device; /* "cpu" (also NULL), "cuda", "cuda-cublas" or "cuda-cudnn" */
    bool quotient;      /* exact symmetry quotient; true */
} kt_model_options;

KT_API kt_model_options kt_model_options_default(void);

typedef struct kt_model kt_model;

/* Opens `path`: a run folder (its folds/<n>/best.safetensors are the members; of several stages, the last stage's, and
 * RUN/stages/NAME is any of them), a safetensors file, or matgl's state.pt
 * or its folder (formation energies alone). Weights that lack what the property needs are refused, by name. So is a folder
 * that is no whole model, KT_BAD_ARGUMENT: a run that has not finished, or folds that are missing, of another model, or not
 * named by its metrics.json. Not to be used by two threads at a time. */
KT_API kt_status kt_model_open(const char *path, const kt_model_options *options, kt_model **model,
                               kt_error *error);
KT_API void kt_model_close(kt_model *model);

KT_API int kt_model_members(const kt_model *model);

/* Fold number of a member; 0 for a single weights file. */
KT_API int kt_model_member_fold(const kt_model *model, int member);

/* Whether every member gives log_sd: all are Gaussian processes. */
KT_API bool kt_model_has_log_sd(const kt_model *model);

/* Predicts one crystal: value[members] and, where log_sd [members] is not NULL, the standard deviation that a member
 * gives its value's natural logarithm: a Gaussian process does, a network does not, nor does the average of both (NaN).
 * KT_BAD_CRYSTAL for an element the network does not know, or no neighbour within the cutoff where a member needs the
 * network; KT_NON_FINITE if a member overflows. `file` names the crystal in errors (may be NULL). */
KT_API kt_status kt_model_predict(kt_model *model, const kt_structure *structure, const char *file,
                                  double *value, double *log_sd, kt_error *error);

/* ---- how far to trust it ---- */

enum { KT_NEAREST = 3 };

typedef struct kt_judgement {
    double low,
        high; /* of kappa, W/(m K): 9 of 10 crystals are in it, if they are like the training data; NaN: too few of those */
    double
        distance; /* of the nearest training crystal: root mean square of the features' differences, in standard deviations */
    int nearest; /* training crystals named below, the nearest first */
    const char *nearest_id[KT_NEAREST], *nearest_formula[KT_NEAREST]; /* the model's */
    double nearest_kappa[KT_NEAREST], nearest_distance[KT_NEAREST];
    /* Reasons not to believe the prediction, with ; between: "element:Xx" (no training crystal has it), "isolated" (an atom without a
     * neighbour within the cutoff), "range" (beyond the training kappa), "far" (farther than 99 of 100 training crystals are from
     * their nearest one). */
    char warnings[256];
} kt_judgement;

/* Whether the model has a calibration: calibration.csv in its folder. */
KT_API bool kt_model_can_judge(const kt_model *model);

/* Judges what kt_model_predict gave for the crystal, value and log_sd [members] (NULL: none). How the interval comes about and how often
 * it held stands in the folder's metrics.json and in docs/uncertainty.md. KT_BAD_ARGUMENT without a calibration. */
KT_API kt_status kt_model_judge(const kt_model *model, const kt_structure *structure, const char *file,
                                const double *value, const double *log_sd, kt_judgement *judgement,
                                kt_error *error);

#ifdef __cplusplus
}
#endif
#endif
