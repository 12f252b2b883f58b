/* Pairs of sites within a distance, by a periodic cell list. */
#ifndef KTI_CRYSTAL_NEIGHBOURS_H
#define KTI_CRYSTAL_NEIGHBOURS_H

#include <stdint.h>

#include "crystal/lattice.h"

/* One pair stands for two directed edges: second -> first and first -> second, of equal distance. */
typedef struct kti_pair {
    int32_t first, second; /* sites, first <= second */
    double distance;       /* Å */
} kti_pair;

/* Finds every pair of sites and images with least < d <= most + 1e-8 (a site pairs with its own images, not
 * with itself). *pairs is the caller's (free()); their order follows from the input alone. The search stops
 * after limit + 1 pairs, so that a caller who allows `limit` of them sees *count > limit without paying for
 * the rest. KT_OUT_OF_MEMORY. */
kt_status kti_neighbours_find(const kti_lattice *lattice, const double (*fractional)[3], int sites,
                              double min, double max, int64_t limit, kti_pair **pairs, int64_t *count,
                              kt_error *error);

#endif
