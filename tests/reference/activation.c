#include <math.h>

#include "reference/twins.h"

double twin_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x))) - log(2);
}

double twin_softplus_derivative(double y)
{
    return -expm1(-(y + log(2)));
}

double twin_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
