#include "statistics/welch.h"

#include <math.h>

#include <gsl/gsl_cdf.h>

typedef struct moments {
    int size;
    double mean, variance; /* of the mean */
} moments;

static moments of_finite(const double *values, int size)
{
    moments m = {0};
    for (int i = 0; i < size; i++)
        if (isfinite(values[i])) {
            m.mean += values[i];
            m.size++;
        }
    m.mean /= m.size;
    for (int i = 0; i < size; i++)
        if (isfinite(values[i]))
            m.variance += (values[i] - m.mean) * (values[i] - m.mean);
    m.variance /= (double)m.size * (m.size - 1);
    return m;
}

kti_welch kti_welch_test(const double *left, const double *right, const int sizes[2])
{
    const moments a = of_finite(left, sizes[0]), b = of_finite(right, sizes[1]);
    const double both = a.variance + b.variance;
    if (a.size < 2 || b.size < 2 || !(both > 0))
        return (kti_welch){NAN, NAN, NAN};
    kti_welch w = {.t = (a.mean - b.mean) / sqrt(both)};
    w.freedom =
        both * both / (a.variance * a.variance / (a.size - 1) + b.variance * b.variance / (b.size - 1));
    w.p = 2 * gsl_cdf_tdist_Q(fabs(w.t), w.freedom);
    return w;
}
