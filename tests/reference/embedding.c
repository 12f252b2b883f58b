#include "reference/twins.h"

void twin_embedding(int rows, int channels, const int32_t *type, const double *table, double *out)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++)
            out[r * channels + c] = table[type[r] * channels + c];
}

void twin_embedding_gradient(int rows, int types, int channels, const int32_t *type,
                             const double *out_gradient, double *table_gradient)
{
    for (int i = 0; i < types * channels; i++)
        table_gradient[i] = 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++)
            table_gradient[type[r] * channels + c] += out_gradient[r * channels + c];
}
