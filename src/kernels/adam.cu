/* Adam over a range of the parameter arena, in PyTorch's form, and the norm of the gradient before it.
 *
 *     g = gradient min(1, clip / norm);  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
 *     p -= factor lr correction1 m / (sqrt(v) correction2 + epsilon)
 *
 * F folds; all [P] a fold, in place. A step whose loss or gradient norm is not finite changes nothing.
 * The norm is summed in chunks of KT_NORM_CHUNK in 16 fixed lanes, then chunk by chunk; where there are many threads,
 * a block of KT_NORM_WARPS warps sums a chunk, and one warp the chunks, in fixed trees.
 * Deterministic: one thread an element of Adam, a fixed tree for the norm. Moves 28 P bytes (Adam), 4 P (norm).
 * Launch: adam with blockDim.y 1, any blockDim.x and gridDim.x. The norm's first kernel with blocks of
 * 32 x KT_NORM_WARPS and any grid, its second with blocks of 32, of which one a fold works.
 */
#include "kernels/arguments.h"

#ifdef KT_MANY_THREADS
KT_KERNEL(gradient_norm_partial, kt_gradient_norm)
{
    KT_SHARED kt_real part[2][KT_NORM_WARPS]; /* taken in turns, so that one barrier a chunk is enough */
    const int fold = KT_FOLD, chunks = (int)((a.size + KT_NORM_CHUNK - 1) / KT_NORM_CHUNK);
    const kt_real *gradient = kt_rows(a.gradient, fold);
    for (int chunk = blockIdx.x, turn = 0; chunk < chunks; chunk += gridDim.x, turn = 1 - turn) {
        const int64_t first = (int64_t)chunk * KT_NORM_CHUNK;
        const int64_t last = first + KT_NORM_CHUNK < a.size ? first + KT_NORM_CHUNK : a.size;
        kt_real sum = 0;
        for (int64_t i = first + threadIdx.y * KT_WARP + threadIdx.x; i < last; i += KT_NORM_WARPS * KT_WARP)
            sum += gradient[i] * gradient[i];
        sum = kt_warp_sum(sum);
        if (threadIdx.x == 0)
            part[turn][threadIdx.y] = sum;
        __syncthreads(); /* all warps' sums are there */
        if (threadIdx.x == 0 && threadIdx.y == 0) {
            kt_real total = 0;
            for (int warp = 0; warp < KT_NORM_WARPS; warp++)
                total += part[turn][warp];
            kt_rows(a.partial, fold)[chunk] = total;
        }
    }
}
#else
KT_KERNEL(gradient_norm_partial, kt_gradient_norm)
{
    const int fold = KT_FOLD;
    const int chunks = (int)((a.size + KT_NORM_CHUNK - 1) / KT_NORM_CHUNK);
    const kt_real *KT_RESTRICT gradient = kt_rows(a.gradient, fold);
    kt_real *partial = kt_rows(a.partial, fold);
    if (threadIdx.x != 0)
        return;
    for (int chunk = KT_FIRST_ROW; chunk < chunks; chunk += KT_ROW_STRIDE) {
        const int64_t first = (int64_t)chunk * KT_NORM_CHUNK;
        const int64_t last = first + KT_NORM_CHUNK < a.size ? first + KT_NORM_CHUNK : a.size;
        kt_real lane[16] = {0};
        for (int64_t i = first; i < last; i += 16)
            for (int k = 0; k < 16; k++)
                lane[k] += gradient[i + k] * gradient[i + k];
        for (int width = 8; width > 0; width /= 2)
            for (int k = 0; k < width; k++)
                lane[k] += lane[k + width];
        partial[chunk] = lane[0];
    }
}
#endif

KT_KERNEL(gradient_norm, kt_gradient_norm)
{
    const int fold = KT_FOLD;
    const int chunks = (int)((a.size + KT_NORM_CHUNK - 1) / KT_NORM_CHUNK);
    if (blockIdx.x != 0)
        return;
    const kt_real *partial = kt_rows(a.partial, fold);
    kt_real sum = 0;
    for (int chunk = threadIdx.x; chunk < chunks; chunk += blockDim.x)
        sum += partial[chunk];
#ifdef KT_MANY_THREADS
    sum = kt_warp_sum(sum);
    if (threadIdx.x != 0)
        return;
#endif
#ifdef KT_REAL_DOUBLE
    kt_rows(a.result, fold)[KT_RESULT_GRADIENT_NORM] = sqrt(sum);
#else
    kt_rows(a.result, fold)[KT_RESULT_GRADIENT_NORM] = sqrtf(sum);
#endif
}

/* What is the same for all elements of a fold. */
typedef struct adam_step {
    kt_real scale, rate, correction;
} adam_step;

/* The new parameter; the moments in place. */
KT_INLINE kt_real adam_element(const kt_adam *a, adam_step step, kt_real gradient, kt_real *moment1,
                               kt_real *moment2, kt_real parameter)
{
    const kt_real g = step.scale * gradient;
    const kt_real m = a->beta1 * *moment1 + a->share1 * g;
    const kt_real v = a->beta2 * *moment2 + a->share2 * g * g;
    *moment1 = m;
    *moment2 = v;
#ifdef KT_REAL_DOUBLE
    return parameter - step.rate * m / (sqrt(v) * step.correction + a->epsilon);
#else
    return parameter - step.rate * m / (sqrtf(v) * step.correction + a->epsilon);
#endif
}

KT_KERNEL(adam, kt_adam)
{
    const int fold = KT_FOLD;
    const kt_real *told = kt_rows(a.step, fold), *result = kt_rows(a.result, fold);
    if (!kt_step_is_finite(result))
        return;
    const kt_real norm = result[KT_RESULT_GRADIENT_NORM];
    const adam_step step = {a.clip_norm > 0 && norm > a.clip_norm ? a.clip_norm / norm : 1,
                            a.rate_factor * told[KT_STEP_LEARNING_RATE] * told[KT_STEP_CORRECTION1],
                            told[KT_STEP_CORRECTION2]};
    const kt_real *KT_RESTRICT gradient = kt_rows(a.gradient, fold);
    kt_real *KT_RESTRICT parameter = kt_rows(a.parameter, fold);
    kt_real *KT_RESTRICT moment1 = kt_rows(a.moment1, fold);
    kt_real *KT_RESTRICT moment2 = kt_rows(a.moment2, fold);
    const int64_t first = (int64_t)blockIdx.x * blockDim.x + threadIdx.x,
                  stride = (int64_t)gridDim.x * blockDim.x;
#ifdef KT_MANY_THREADS
    /* Four elements a load; the arenas are aligned to 64 bytes. Gradients and moments make room in the cache for the parameters, which the
     * next step needs at once. */
    for (int64_t i = first; i < a.size / 4; i += stride) {
        const kt_real4 g = kt_load_evict_first((const kt_real4 *)gradient + i);
        kt_real4 p = ((const kt_real4 *)parameter)[i], m = kt_load_evict_first((const kt_real4 *)moment1 + i),
                 v = kt_load_evict_first((const kt_real4 *)moment2 + i);
        for (int e = 0; e < 4; e++)
            p.v[e] = adam_element(&a, step, g.v[e], &m.v[e], &v.v[e], p.v[e]);
        ((kt_real4 *)parameter)[i] = p;
        kt_store_evict_first((kt_real4 *)moment1 + i, m);
        kt_store_evict_first((kt_real4 *)moment2 + i, v);
    }
    for (int64_t i = a.size / 4 * 4 + first; i < a.size; i += stride)
        parameter[i] = adam_element(&a, step, gradient[i], &moment1[i], &moment2[i], parameter[i]);
#else
    for (int64_t i = first; i < a.size; i += stride)
        parameter[i] = adam_element(&a, step, gradient[i], &moment1[i], &moment2[i], parameter[i]);
#endif
}
