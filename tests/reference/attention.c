#include <math.h>

#include "reference/twins.h"

static double dot(int channels, const double *x, const double *y)
{
    double sum = 0;
    for (int c = 0; c < channels; c++)
        sum += x[c] * y[c];
    return sum;
}

void twin_attention_forward(int graphs, int channels, const int32_t *start, const double *in,
                            const double *weight, const double *hidden, double *attention, double *out)
{
    for (int g = 0; g < graphs; g++) {
        double max = -INFINITY, total = 0;
        for (int r = start[g]; r < start[g + 1]; r++) {
            attention[r] = dot(channels, in + r * channels, hidden + g * channels);
            max = fmax(max, attention[r]);
        }
        for (int r = start[g]; r < start[g + 1]; r++) {
            attention[r] = weight[r] * exp(attention[r] - max);
            total += attention[r];
        }
        for (int c = 0; c < channels; c++)
            out[g * channels + c] = 0;
        for (int r = start[g]; r < start[g + 1]; r++) {
            attention[r] /= total;
            for (int c = 0; c < channels; c++)
                out[g * channels + c] += attention[r] * in[r * channels + c];
        }
    }
}

void twin_attention_backward(int graphs, int channels, const int32_t *start, const double *in,
                             const double *hidden, const double *attention, const double *out_gradient,
                             int accumulate, double *in_gradient, double *hidden_gradient)
{
    for (int g = 0; g < graphs; g++) {
        double mean = 0;
        for (int r = start[g]; r < start[g + 1]; r++)
            mean += attention[r] * dot(channels, out_gradient + g * channels, in + r * channels);
        for (int r = start[g]; r < start[g + 1]; r++) {
            const double ds =
                attention[r] * (dot(channels, out_gradient + g * channels, in + r * channels) - mean);
            for (int c = 0; c < channels; c++) {
                const int row = r * channels + c, graph = g * channels + c;
                in_gradient[row] = (accumulate ? in_gradient[row] : 0) + attention[r] * out_gradient[graph] +
                                   ds * hidden[graph];
                hidden_gradient[graph] += ds * in[row];
            }
        }
    }
}
