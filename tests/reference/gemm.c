#include "reference/twins.h"

void twin_gemm_forward(int rows, int n, int k, const double *a, const double *b, int accumulate, double *c)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int i = 0; i < k; i++)
                sum += a[r * k + i] * b[j * k + i];
            c[r * n + j] = (accumulate ? c[r * n + j] : 0) + sum;
        }
}

void twin_gemm_input_gradient(int rows, int n, int k, const double *a, const double *b, int accumulate,
                              double *c)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int i = 0; i < k; i++)
                sum += a[r * k + i] * b[i * n + j];
            c[r * n + j] = (accumulate ? c[r * n + j] : 0) + sum;
        }
}

void twin_gemm_weight_gradient(int rows, int m, int n, const double *a, const double *b, int accumulate,
                               double *c)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int r = 0; r < rows; r++)
                sum += a[r * m + i] * b[r * n + j];
            c[i * n + j] = (accumulate ? c[i * n + j] : 0) + sum;
        }
}
