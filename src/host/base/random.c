#include "base/random.h"

#include <math.h>

static void philox_round(uint32_t counter[4], const uint32_t key[2])
{
    const uint64_t product0 = (uint64_t)0xD2511F53u * counter[0];
    const uint64_t product1 = (uint64_t)0xCD9E8D57u * counter[2];
    const uint32_t next[4] = {(uint32_t)(product1 >> 32) ^ counter[1] ^ key[0], (uint32_t)product1,
                              (uint32_t)(product0 >> 32) ^ counter[3] ^ key[1], (uint32_t)product0};
    for (int i = 0; i < 4; i++)
        counter[i] = next[i];
}

static void next_block(kti_random *random)
{
    uint32_t key[2] = {random->key[0], random->key[1]};
    for (int i = 0; i < 4; i++)
        random->block[i] = random->counter[i];
    for (int round = 0; round < 10; round++) {
        philox_round(random->block, key);
        key[0] += 0x9E3779B9u; /* golden ratio and sqrt(3) - 1: the generator's Weyl steps */
        key[1] += 0xBB67AE85u;
    }
    random->counter[0]++;
    random->used = 0;
}

kti_random kti_random_stream(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b)
{
    return (kti_random){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .counter = {0, purpose, a, b}, .used = 4};
}

uint32_t kti_random_bits(kti_random *random)
{
    if (random->used == 4)
        next_block(random);
    return random->block[random->used++];
}

double kti_random_uniform(kti_random *random)
{
    const uint64_t high = kti_random_bits(random) >> 5, low = kti_random_bits(random) >> 6;
    return (double)(high << 26 | low) / 9007199254740992.0;
}

double kti_random_normal(kti_random *random)
{
    const double radius = sqrt(-2 * log(1 - kti_random_uniform(random)));
    return radius * cos(6.28318530717958647692 * kti_random_uniform(random));
}

void kti_random_shuffle(kti_random *random, int32_t *list, int size)
{
    for (int i = size - 1; i > 0; i--) {
        const int j = (int)(kti_random_uniform(random) * (i + 1));
        const int32_t kept = list[i];
        list[i] = list[j];
        list[j] = kept;
    }
}
