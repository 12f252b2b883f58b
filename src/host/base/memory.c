#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum { ALIGNMENT = 64 };

void *kti_allocate(size_t count, size_t size)
{
    return calloc(count ? count : 1, size ? size : 1);
}

int kti_grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    if (wanted <= count)
        wanted = count + 1;
    if (wanted > SIZE_MAX / size)
        return -1;
    void *grown = realloc(*array, wanted * size);
    if (!grown)
        return -1;
    *array = grown;
    *capacity = wanted;
    return 0;
}

char *kti_duplicate_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

size_t kti_arena_footprint(size_t count, size_t size)
{
    return (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

kt_status kti_arena_create(kti_arena *arena, size_t size, const char *what, kt_error *error)
{
    size_t rounded = kti_arena_footprint(size ? size : 1, 1);
    *arena = (kti_arena){0};
    arena->memory = aligned_alloc(ALIGNMENT, rounded);
    if (!arena->memory)
        return kti_fail(error, KT_OUT_OF_MEMORY, "not enough memory for %s (%.1f MiB)", what,
                        (double)rounded / 1048576.0);
    memset(arena->memory, 0, rounded);
    arena->size = rounded;
    return KT_OK;
}

void kti_arena_destroy(kti_arena *arena)
{
    free(arena->memory);
    *arena = (kti_arena){0};
}

void *kti_arena_take(kti_arena *arena, size_t count, size_t size)
{
    size_t footprint = kti_arena_footprint(count, size);
    if (footprint > arena->size - arena->used)
        return NULL;
    void *piece = arena->memory + arena->used;
    arena->used += footprint;
    return piece;
}
