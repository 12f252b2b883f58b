/* Activation functions and their derivatives, written so that compilers vectorise them.
 *
 * In float32 on the CPU, exp and log1p are branch-free polynomials: the same
 * bits for every vector width, and some ten times faster than calls of libm.
 * In float64, and in CUDA, they are the library's.
 */
#ifndef KT_KERNELS_ACTIVATION_H
#define KT_KERNELS_ACTIVATION_H

#include <string.h>

#include "kernels/kernel.h"

typedef enum kt_activation {
    KT_LINEAR,
    KT_SOFTPLUS, /* softplus(x) - ln 2, MEGNet's "softplus2" */
    KT_RELU
} kt_activation;

#define KT_LN2 ((kt_real)0.69314718055994530942)
#define KT_LN10 ((kt_real)2.30258509299404568402)

/* exp(x) for x <= 1, which is all that is needed here; below -87 it stays at exp(-87). */
KT_INLINE kt_real kt_exp(kt_real x)
{
#if defined(KT_REAL_DOUBLE)
    return exp(x);
#elif defined(__CUDACC__)
    return expf(x);
#else
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float clamped = x < -87.0f ? -87.0f : x;
    float shifted = clamped * 1.44269504f + shift;
    float n = shifted - shift;
    float r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f; /* ln 2 in two parts */
    /* Minimax over |r| <= ln2 / 2: relative error 1.7e-8. */
    float p = 1.38368341e-3f;
    p = p * r + 8.37482233e-3f;
    p = p * r + 4.16682251e-2f;
    p = p * r + 1.66664198e-1f;
    p = p * r + 4.99999911e-1f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23; /* the low bits of `shifted` hold n */
    memcpy(&power, &bits, sizeof power);
    return p * power;
#endif
}

/* log(1 + t) for 0 <= t <= 1, by 2 artanh(t / (2 + t)). */
KT_INLINE kt_real kt_log1p(kt_real t)
{
#if defined(KT_REAL_DOUBLE)
    return log1p(t);
#elif defined(__CUDACC__)
    return log1pf(t);
#else
    float s = t / (2.0f + t);
    float q = s * s;
    float p = 2.0f / 13.0f;
    p = p * q + 2.0f / 11.0f;
    p = p * q + 2.0f / 9.0f;
    p = p * q + 2.0f / 7.0f;
    p = p * q + 2.0f / 5.0f;
    p = p * q + 2.0f / 3.0f;
    p = p * q + 2.0f;
    return s * p;
#endif
}

KT_INLINE kt_real kt_absolute(kt_real x)
{
    return x < 0 ? -x : x;
}

KT_INLINE kt_real kt_sigmoid(kt_real x)
{
    kt_real t = kt_exp(-kt_absolute(x));
    kt_real large = 1 / (1 + t);
    return x < 0 ? t * large : large;
}

KT_INLINE kt_real kt_tanh(kt_real x)
{
#if defined(KT_REAL_DOUBLE)
    return tanh(x);
#else
    kt_real t = kt_exp(-2 * kt_absolute(x));
    kt_real y = (1 - t) / (1 + t);
    return x < 0 ? -y : y;
#endif
}

/* softplus(x) - ln 2 = max(x, 0) + log(1 + exp(-|x|)) - ln 2 */
KT_INLINE kt_real kt_softplus(kt_real x)
{
    return (x > 0 ? x : 0) + (kt_log1p(kt_exp(-kt_absolute(x))) - KT_LN2);
}

/* Its derivative, the sigmoid, from its value y: 1 - exp(-(y + ln 2)). */
KT_INLINE kt_real kt_softplus_derivative(kt_real y)
{
#if defined(KT_REAL_DOUBLE)
    return -expm1(-(y + KT_LN2));
#else
    return 1 - (kt_real)0.5 * kt_exp(-y);
#endif
}

KT_INLINE kt_real kt_activate(const kt_activation activation, kt_real x)
{
    if (activation == KT_SOFTPLUS)
        return kt_softplus(x);
    if (activation == KT_RELU)
        return x < 0 ? 0 : x; /* a NaN stays one */
    return x;
}

/* The gradient with respect to what is activated, from the one by the activation's value `out`. */
KT_INLINE kt_real kt_activate_back(const kt_activation activation, kt_real out, kt_real gradient)
{
    if (activation == KT_SOFTPLUS)
        return gradient * kt_softplus_derivative(out);
    if (activation == KT_RELU)
        return out > 0 ? gradient : 0;
    return gradient;
}

#endif
