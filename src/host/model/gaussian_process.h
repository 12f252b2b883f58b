/* Exact Gaussian-process regression for small data sets (Rasmussen and Williams, Gaussian Processes for Machine
 * Learning, 2006, chapters 2, 4 and 5).
 *
 * The covariance is a sum of terms, each with its own amplitude and length scales, plus white noise. Inputs are
 * standardised per column and targets as a whole, on the rows that are fitted. The hyperparameters minimise
 *   -log p(targets | inputs, hyperparameters) - log p(hyperparameters),
 * with normal priors on their logarithms, by L-BFGS (NLopt) on the exact gradient; Cholesky factors are LAPACK's.
 */
#ifndef KTI_MODEL_GAUSSIAN_PROCESS_H
#define KTI_MODEL_GAUSSIAN_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <kappatune/error.h>

enum { KTI_GP_MAX_TERMS = 4, KTI_GP_MAX_COLUMNS = 256, KTI_GP_MAX_ROWS = 2048 };

/* Logarithms of hyperparameters stay within this of 0: beyond, a length is as good as none or infinite. */
enum { KTI_GP_LOG_RANGE = 12 };

typedef enum kti_gp_kind {
    KTI_GP_RBF,      /* exp(-r^2 / 2) */
    KTI_GP_MATERN52, /* (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r) */
    KTI_GP_LINEAR    /* sum of x x' / l^2 */
} kti_gp_kind;

/* One term: amplitude^2 * kind(r), r^2 = sum over its columns of (x - x')^2 / l^2. */
typedef struct kti_gp_term {
    kti_gp_kind kind;
    bool isotropic;          /* one length scale for all its columns, not one each */
    int first, columns;      /* the columns it sees: first .. first + columns */
    double variance, length; /* where amplitude^2 and the length scales start, and their priors' medians; a
                                length is in units of a standardised column, times sqrt(columns) */
    double variance_spread, length_spread; /* standard deviations of the priors, in natural logarithms */
} kti_gp_term;

typedef struct kti_gp_options {
    int terms;
    kti_gp_term term[KTI_GP_MAX_TERMS];
    double noise, noise_spread; /* variance of the noise, as above, in units of the targets' variance */
    int evaluations;            /* of the objective, at most */
} kti_gp_options;

/* A fitted process. All arrays are owned. */
typedef struct kti_gp {
    kti_gp_options options; /* terms as fitted */
    int rows, columns, parameters;
    double *input;                   /* [rows, columns], standardised */
    double *column_mean, *column_sd; /* [columns]; a column without spread has sd 1 */
    double target_mean, target_sd;
    double *
        parameter; /* [parameters] natural logarithms: per term its variance and length scales; last the noise */
    double *target;   /* [rows], standardised */
    double *weight;   /* [rows] (K + noise)^-1 of the standardised targets */
    double *factor;   /* [rows, rows] lower Cholesky factor of K + noise */
    double objective; /* what was minimised */
} kti_gp;

/* Fits inputs [rows, columns] to targets [rows]. Two rows at least; values that are not finite, targets without
 * spread, terms of columns that are not there and medians or spreads that are not above 0 are KT_BAD_ARGUMENT. *gp is the caller's (kti_gp_destroy). */
kt_status kti_gp_fit(const double *inputs, const double *targets, int rows, int columns,
                     const kti_gp_options *options, kti_gp *gp, kt_error *error);

/* A process of this size, which kti_gp_fit would take, whose arrays are zero, to be filled and conditioned: for reading
 * one from a file. */
kt_status kti_gp_create(int rows, int columns, const kti_gp_options *options, kti_gp *gp, kt_error *error);

/* Computes weight and factor from all else. KT_NON_FINITE if the covariance is not positive definite. */
kt_status kti_gp_condition(kti_gp *gp, kt_error *error);

void kti_gp_destroy(kti_gp *gp);

/* How many hyperparameters a process with these terms has. */
int kti_gp_parameters(const kti_gp_options *options);

/* Mean and variance, noise included, of the target at input [columns]; `work` is [rows + columns]. `variance` may be
 * NULL. */
void kti_gp_predict(const kti_gp *gp, const double *input, double *work, double *mean, double *variance);

/* The objective and its gradient [gp->parameters] (tests). NaN where the covariance is not positive definite. */
double kti_gp_objective(const kti_gp *gp, const double *parameter, double *gradient, kt_error *error);

/* Holds LAPACK to one thread; before any use of it, so that its sums have one order. kti_gp_create calls it too. */
void kti_gp_prepare(void);

#endif
