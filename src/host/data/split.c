#include "data/split.h"

#include <stdlib.h>

#include <gsl/gsl_rng.h>

#include "base/fail.h"
#include "base/memory.h"

/* Uniform on 0..most: 32-bit outputs masked to the next power of two, rejected above `most`, as numpy draws
 * them. */
static uint32_t draw(const gsl_rng_type *generator, void *state, uint32_t max)
{
    uint32_t mask = max, value;
    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        value = (uint32_t)generator->get(state) & mask;
    while (value > max);
    return value;
}

kt_status kti_split_permutation(uint32_t seed, int size, int32_t *order, kt_error *error)
{
    if (seed == 0)
        return kti_fail(error, KT_BAD_ARGUMENT, "a split's seed must be 1 or more");
    if (size < 1)
        return kti_fail(error, KT_BAD_ARGUMENT, "a data set of %d rows cannot be split", size);
    /* The state is ours, because gsl_rng_alloc aborts the program when memory is short. */
    const gsl_rng_type *generator = gsl_rng_mt19937;
    void *state = kti_allocate(1, generator->size);
    if (!state)
        return kti_fail_memory(error, "a random number generator");
    generator->set(state, seed);
    for (int i = 0; i < size; i++)
        order[i] = i;
    for (int i = size - 1; i > 0; i--) {
        uint32_t j = draw(generator, state, (uint32_t)i);
        int32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    free(state);
    return KT_OK;
}

int kti_split_train_size(int size)
{
    return (int)(0.8 * size);
}
