#include "reference/twins.h"

void twin_segment_sum(int segments, int channels, const int32_t *start, const int32_t *order,
                      const double *coefficient, const double *in, int accumulate, double *out)
{
    for (int s = 0; s < segments; s++)
        for (int c = 0; c < channels; c++) {
            double sum = 0;
            for (int i = start[s]; i < start[s + 1]; i++) {
                const int row = order ? order[i] : i;
                sum += (coefficient ? coefficient[row] : 1) * in[row * channels + c];
            }
            out[s * channels + c] = (accumulate ? out[s * channels + c] : 0) + sum;
        }
}

void twin_segment_spread(int rows, int channels, const int32_t *segment, const double *coefficient,
                         const double *in, const double *base, double *out)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++)
            out[r * channels + c] = base[r * channels + c] + coefficient[r] * in[segment[r] * channels + c];
}
