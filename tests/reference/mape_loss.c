#include <math.h>

#include "reference/twins.h"

double twin_mape_loss(int graphs, const int32_t *data_set, const double *mean, const double *sd,
                      const double *prediction, const double *kappa, double *gradient)
{
    double loss = 0;
    for (int g = 0; g < graphs; g++) {
        const double power = pow(10, prediction[g] * sd[data_set[g]] + mean[data_set[g]]);
        const double difference = power - 1 - kappa[g];
        const double size = fmax(fabs(kappa[g]), 1.17e-6);
        const double sign = (difference > 0) - (difference < 0);
        loss += fabs(difference) / size / graphs;
        gradient[g] = sign / size * log(10) * sd[data_set[g]] * power / graphs;
    }
    return loss;
}
