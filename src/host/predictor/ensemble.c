#include "predictor/ensemble.h"

#include <math.h>
#include <stddef.h>

static void find_interval(kti_ensemble *e, const double *value, const double *log_sd, int members)
{
    double sum = 0, squares = 0, variance = 0;
    for (int i = 0; i < members; i++) {
        const double own = log_sd[i] * log_sd[i], mean = log(value[i]) + own / 2;
        sum += mean;
        squares += mean * mean;
        variance += own;
    }
    const double mean = sum / members, apart = fmax(squares / members - mean * mean, 0);
    const double sd = sqrt(variance / members + apart);
    e->low = exp(mean - sd);
    e->high = exp(mean + sd);
}

kti_ensemble kti_ensemble_of(const double *value, const double *log_sd, int members)
{
    kti_ensemble e = {.min = value[0], .max = value[0], .low = NAN, .high = NAN};
    double sum = 0, squares = 0, logarithms = 0, log_squares = 0;
    for (int i = 0; i < members; i++) {
        sum += value[i];
        logarithms += value[i] > 0 ? log(value[i]) : NAN;
        e.min = fmin(e.min, value[i]);
        e.max = fmax(e.max, value[i]);
    }
    e.mean = sum / members;
    e.geometric = exp(logarithms / members);
    for (int i = 0; i < members; i++) {
        const double apart = value[i] > 0 ? log(value[i]) - logarithms / members : NAN;
        squares += (value[i] - e.mean) * (value[i] - e.mean);
        log_squares += apart * apart;
    }
    e.sd = sqrt(squares / members);
    e.log_sd = sqrt(log_squares / members);
    if (log_sd)
        find_interval(&e, value, log_sd, members);
    return e;
}
