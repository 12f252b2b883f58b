/* Sites that stand on one another. */
#ifndef KTI_CRYSTAL_CLASH_H
#define KTI_CRYSTAL_CLASH_H

#include <stdbool.h>

#include "crystal/lattice.h"

/* Are two sites, or periodic images of them, closer than 0.1 Å? */
bool kti_sites_coincide(const kti_lattice *lattice, const double first[3], const double second[3]);

/* Looks for two sites closer than 0.1 Å, periodic images included. *first is -1 if there are none. */
kt_status kti_clash_find(const kti_lattice *lattice, const double (*fractional)[3], int sites, int *first,
                         int *second, double *distance, kt_error *error);

#endif
