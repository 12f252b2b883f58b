/* Memory: checked allocation and a bump arena.
 *
 * An arena hands out 64-byte aligned, zeroed pieces of one block and is freed
 * as a whole. The training loop allocates nothing: everything it touches was
 * taken from arenas before it starts.
 */
#ifndef KTI_BASE_MEMORY_H
#define KTI_BASE_MEMORY_H

#include <stddef.h>

#include <kappatune/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed array of count x size bytes; NULL when it overflows or memory is short. count 0 gives a unique
 * pointer too. Freed with free(). */
void *kti_allocate(size_t count, size_t size);

/* Grows *array (count used of *capacity elements of `size` bytes) so that at least one more fits; doubles. 0
 * on success, -1 when memory is short (*array stays valid). */
int kti_grow(void **array, size_t count, size_t *capacity, size_t size);

/* A copy of `text`, freed with free(); NULL when memory is short. */
char *kti_duplicate_text(const char *text);

typedef struct kti_arena {
    char *memory; /* owned; NULL until reserved */
    size_t size;
    size_t used;
} kti_arena;

/* Reserves `size` bytes, zeroed. */
kt_status kti_arena_create(kti_arena *arena, size_t size, const char *what, kt_error *error);
void kti_arena_destroy(kti_arena *arena);

/* count x size bytes, 64-byte aligned; NULL when the arena is full (a fault of the caller's sum). */
void *kti_arena_take(kti_arena *arena, size_t count, size_t size);

/* What kti_arena_take uses up for count x size bytes. */
size_t kti_arena_footprint(size_t count, size_t size);

#ifdef __cplusplus
}
#endif
#endif
