/* A Gaussian process in the place of the network's head: log(kappa) of a crystal from its physical features and,
 * if wanted, principal components of the network's read-out.
 *
 * The process gives log(kappa) a mean m and a variance v. The prediction is exp(m - v / 2), the harmonic mean of that
 * log-normal distribution, that is one over the expected thermal resistivity 1 / kappa. Against the median, exp(m), it is
 * lower where the process knows little, which is where soft crystals are overestimated many times over; v counts as at
 * most 2 there, so that a crystal like none that was seen doesn't count as soft for that alone.
 */
#ifndef KTI_MODEL_GP_HEAD_H
#define KTI_MODEL_GP_HEAD_H

#include <kappatune/train.h>

#include "crystal/features.h"
#include "model/gaussian_process.h"
#include "model/tensors.h"

enum { KTI_GP_READOUT = 16, KTI_GP_MAX_COMPONENTS = KTI_GP_READOUT };

extern const char *const kti_gp_features_names[]; /* by value, ended by NULL */
extern const char *const kti_gp_kernel_names[];

typedef struct kti_gp_head_options {
    kt_gp_features features;
    kt_gp_kernel kernel;
    int components; /* principal components of the read-out, 0 .. KTI_GP_MAX_COMPONENTS */
} kti_gp_head_options;

typedef struct kti_gp_head {
    kti_gp_head_options options;
    kti_gp gp;
    double centre[KTI_GP_READOUT];                       /* of the read-outs */
    double basis[KTI_GP_MAX_COMPONENTS][KTI_GP_READOUT]; /* [components] */
} kti_gp_head;

/* What the head sees of one crystal. */
typedef struct kti_gp_sample {
    const double *feature;          /* [KTI_FEATURES_OF_CRYSTAL] */
    double readout[KTI_GP_READOUT]; /* unused without components */
} kti_gp_sample;

/* Fits to kappa [rows], W/(m K), all above 0. *head is the caller's (kti_gp_head_destroy). */
kt_status kti_gp_head_fit(const kti_gp_sample *samples, const double *kappa, int rows,
                          const kti_gp_head_options *options, kti_gp_head *head, kt_error *error);
void kti_gp_head_destroy(kti_gp_head *head);

/* kappa, W/(m K), and the standard deviation of its natural logarithm (may be NULL). */
kt_status kti_gp_head_predict(const kti_gp_head *head, const kti_gp_sample *sample, double *kappa,
                              double *log_sd, kt_error *error);

/* The geometric mean of the network's kappa and the process's; the network's counts as at least 0.01 W/(m K), since it
 * can give 0 or less. */
double kti_gp_head_average(double network, double process);

/* As tensors "gp.*" and metadata, in float64. */
kt_status kti_gp_head_store(const kti_gp_head *head, kti_tensors *tensors, kt_error *error);

/* Whether the tensors hold such a head, or part of one. */
bool kti_gp_head_is_in(const kti_tensors *tensors);

/* `file` names them in errors. A head of other features, kernel or target, and a tensor that is missing, of another shape
 * or with values that no fit gives, is KT_BAD_FORMAT, by name. *head is the caller's only after KT_OK. */
kt_status kti_gp_head_load(const kti_tensors *tensors, const char *file, kti_gp_head *head, kt_error *error);

#endif
