/* Whether two samples can have one mean. */
#ifndef KTI_STATISTICS_WELCH_H
#define KTI_STATISTICS_WELCH_H

typedef struct kti_welch {
    double t, freedom; /* the statistic, its degrees of freedom (Welch-Satterthwaite) */
    double p;          /* two-sided */
} kti_welch;

/* Welch's t-test (B. L. Welch, Biometrika 34 (1947) 28), which does not take the variances for equal, over the finite values of
 * left[sizes[0]] and right[sizes[1]]. All NaN unless each has two of them and they are not all the same. */
kti_welch kti_welch_test(const double *left, const double *right, const int sizes[2]);

#endif
