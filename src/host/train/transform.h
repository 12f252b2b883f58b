/* The target transform between kappa and what the network predicts (docs/method.md, section 5). */
#ifndef KTI_TRAIN_TRANSFORM_H
#define KTI_TRAIN_TRANSFORM_H

#include <math.h>

/* z = (log10(kappa + 1) - mean) / sd. An sd of 0 stands for no transform. */
typedef struct kti_transform {
    double mean, sd;
} kti_transform;

static inline double kti_standardise(kti_transform t, double kappa)
{
    return (log10(kappa + 1) - t.mean) / t.sd;
}

static inline double kti_destandardise(kti_transform t, double z)
{
    return pow(10, z * t.sd + t.mean) - 1;
}

#endif
