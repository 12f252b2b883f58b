#include "reference/twins.h"

static double activate(double x, twin_activation activation)
{
    switch (activation) {
    case TWIN_SOFTPLUS: return twin_softplus(x);
    case TWIN_RELU: return x > 0 ? x : 0;
    case TWIN_LINEAR: break;
    }
    return x;
}

/* Of the activation, from its value y. */
static double derivative(double y, twin_activation activation)
{
    switch (activation) {
    case TWIN_SOFTPLUS: return twin_softplus_derivative(y);
    case TWIN_RELU: return y > 0 ? 1 : 0;
    case TWIN_LINEAR: break;
    }
    return 1;
}

void twin_linear_forward(int rows, int channels, const double *bias, int gathers, const twin_gather *gather,
                         twin_activation activation, double *out)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++) {
            double x = out[r * channels + c] + bias[c];
            for (int g = 0; g < gathers; g++)
                x += gather[g].data[gather[g].index[r] * channels + c];
            out[r * channels + c] = activate(x, activation);
        }
}

void twin_linear_backward(int rows, int channels, const double *out, const double *gradient,
                          twin_activation activation, double *product_gradient, double *bias_gradient)
{
    for (int c = 0; c < channels; c++) {
        bias_gradient[c] = 0;
        for (int r = 0; r < rows; r++) {
            const int i = r * channels + c;
            product_gradient[i] = gradient[i] * derivative(out[i], activation);
            bias_gradient[c] += product_gradient[i];
        }
    }
}
