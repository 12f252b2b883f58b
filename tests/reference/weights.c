#include "reference/twins.h"

void twin_weight_decay(int64_t size, double rate, double decay, const double *decays, double *parameter)
{
    for (int64_t i = 0; i < size; i++)
        if (decays[i] != 0)
            parameter[i] *= 1 - rate * decay;
}

void twin_weight_average(int64_t size, double share, const double *parameter, double *average)
{
    for (int64_t i = 0; i < size; i++)
        average[i] = (1 - share) * average[i] + share * parameter[i];
}
