/* What the members of an ensemble say together of one crystal. */
#ifndef KTI_PREDICTOR_ENSEMBLE_H
#define KTI_PREDICTOR_ENSEMBLE_H

typedef struct kti_ensemble {
    double mean, sd, min, max; /* of the values; sd is the population's */
    double geometric,
        log_sd; /* exp of the mean logarithm, its population standard deviation; NaN unless all values are positive */
    double low, high; /* of the 68 %; NaN where no log_sd is given */
} kti_ensemble;

/* value[members], members >= 1; log_sd [members], or NULL, is the standard deviation that each member gives the logarithm of its
 * value, which is then exp(mean - variance / 2), as a Gaussian process's. The 68 % are those of the members' distributions of
 * the logarithm taken as one: their mean variance, and how far they are apart. */
kti_ensemble kti_ensemble_of(const double *value, const double *log_sd, int members);

#endif
