/* The few greatest of however many things, in order. */
#ifndef KTI_BASE_RANKING_H
#define KTI_BASE_RANKING_H

#include <stdbool.h>

#include <kappatune/error.h>

typedef struct kti_ranked {
    double value;
    void *item;
} kti_ranked;

typedef struct kti_ranking {
    int max, size;
    kti_ranked *entry; /* [size] the greatest value first, equal ones as they came; owned, with the items */
    void (*destroy)(void *item);
} kti_ranking;

/* Of at most `most` things. KT_OUT_OF_MEMORY. */
kt_status kti_ranking_create(int max, void (*destroy)(void *item), kti_ranking *ranking, kt_error *error);
void kti_ranking_destroy(kti_ranking *ranking);

/* Whether a thing of this value has a place; NaN has none. */
bool kti_ranking_takes(const kti_ranking *ranking, double value);

/* Adds one that has; the item is the ranking's, which destroys the one that falls out. */
void kti_ranking_add(kti_ranking *ranking, double value, void *item);

#endif
