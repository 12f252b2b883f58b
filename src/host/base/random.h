/* Random numbers by counter (Philox 4x32-10; Salmon et al., SC'11): the i-th number of a stream depends on
 * its name alone, so that nothing has to be saved to resume, and threads cannot disturb each other.
 */
#ifndef KTI_BASE_RANDOM_H
#define KTI_BASE_RANDOM_H

#include <stdint.h>

typedef struct kti_random {
    uint32_t key[2];
    uint32_t counter[4]; /* [0] counts; the others name the stream */
    uint32_t block[4];
    int used; /* of block; 4 = none left */
} kti_random;

/* The stream of (seed, purpose, a, b); distinct names give independent streams. */
kti_random kti_random_stream(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b);

uint32_t kti_random_bits(kti_random *random);

/* Uniform in [0, 1), 53 bits. */
double kti_random_uniform(kti_random *random);

/* Standard normal (Box-Muller). */
double kti_random_normal(kti_random *random);

/* Shuffles in place (Fisher-Yates). */
void kti_random_shuffle(kti_random *random, int32_t *list, int size);

#endif
