#include <math.h>

#include "reference/twins.h"

double twin_gradient_norm(int64_t size, const double *gradient)
{
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += gradient[i] * gradient[i];
    return sqrt(sum);
}

void twin_adam_step(const twin_adam *a, int64_t size, const double *gradient, double *parameter,
                    double *moment1, double *moment2)
{
    if (!isfinite(a->loss) || !isfinite(a->norm))
        return;
    for (int64_t i = 0; i < size; i++) {
        const double g =
            a->clip_norm > 0 && a->norm > a->clip_norm ? gradient[i] / a->norm * a->clip_norm : gradient[i];
        moment1[i] = a->beta1 * moment1[i] + (1 - a->beta1) * g;
        moment2[i] = a->beta2 * moment2[i] + (1 - a->beta2) * g * g;
        const double m = moment1[i] / (1 - pow(a->beta1, a->step));
        const double v = moment2[i] / (1 - pow(a->beta2, a->step));
        parameter[i] -= a->rate * m / (sqrt(v) + a->epsilon);
    }
}
