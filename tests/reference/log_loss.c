#include <math.h>

#include "reference/twins.h"

double twin_log_loss(int graphs, int absolute, const int32_t *data_set, const double *mean, const double *sd,
                     const double *prediction, const double *kappa, double *gradient)
{
    double loss = 0;
    for (int g = 0; g < graphs; g++) {
        const double difference = prediction[g] - (log10(kappa[g] + 1) - mean[data_set[g]]) / sd[data_set[g]];
        if (absolute) {
            loss += fabs(difference) / graphs;
            gradient[g] = (double)((difference > 0) - (difference < 0)) / graphs;
        } else {
            loss += difference * difference / graphs;
            gradient[g] = 2 * difference / graphs;
        }
    }
    return loss;
}
