/* A fingerprint of data, to notice that an input has changed (FNV-1a, 64 bits; no defence against forgery). */
#ifndef KTI_BASE_HASH_H
#define KTI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define KTI_HASH_START UINT64_C(14695981039346656037)

static inline uint64_t kti_hash(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

#endif
