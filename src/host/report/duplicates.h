/* Crystals of a data set that the network cannot tell apart. */
#ifndef KTI_REPORT_DUPLICATES_H
#define KTI_REPORT_DUPLICATES_H

#include <stddef.h>

#include "data/dataset.h"

typedef struct kti_duplicate {
    int first, second; /* indices of crystals, first < second */
} kti_duplicate;

/* Finds crystals whose quotient graphs are equal: nodes of the same elements that stand for the same share of
 * the sites, each with the same neighbours (element, number, distance to 1e-4 Å). The order of sites and the
 * choice of the cell do not matter. Of m equal crystals m - 1 pairs are given, all with the same one of them;
 * pairs are in the data set's order. *pairs is the caller's (free()). KT_OUT_OF_MEMORY. */
kt_status kti_find_duplicates(const kti_dataset *dataset, kti_duplicate **pairs, size_t *size,
                              kt_error *error);

#endif
