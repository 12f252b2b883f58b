#include <math.h>

#include "reference/twins.h"

void twin_gaussian_expansion(int rows, int channels, const double *distance, const double *centres,
                             double width, double *out)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++)
            out[r * channels + c] = exp(-width * (distance[r] - centres[c]) * (distance[r] - centres[c]));
}
