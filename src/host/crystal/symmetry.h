/* Symmetry operations, and the crystal that they make of its asymmetric unit. */
#ifndef KTI_CRYSTAL_SYMMETRY_H
#define KTI_CRYSTAL_SYMMETRY_H

#include <stdbool.h>

#include "crystal/sites.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x' = rotation x + translation, on columns of fractional coordinates. */
typedef struct kti_operation {
    int rotation[3][3];
    double translation[3];
} kti_operation;

enum { KTI_GROUP_ORDER = 192 }; /* the largest of a space group, in its conventional cell */

/* Reads "x+1/2, -y, z-x" (fractions, decimals, upper case, blanks and any order of terms); false if it is
 * none. */
bool kti_operation_read(kti_slice text, kti_operation *operation);

/* Does it map the lattice onto itself (to 2 %)? */
bool kti_operation_fits(const kti_operation *operation, const double lattice[3][3]);

/* What the operations leave free of a cell's a, b, c, alpha, beta, gamma: rule[i] is i for a parameter that is free, a
 * smaller index for one that equals that one, 90 or 120 for an angle that is fixed. */
void kti_symmetry_cell_rule(const kti_operation *operations, int count, int rule[6]);

/* Adds the image of every site under every operation, first the sites as they are. Images of one site that
 * coincide within 0.1 Å are one (a special position); those of different sites are left to the check of the
 * whole. Errors as kti_sites_add. */
kt_status kti_symmetry_expand(const kti_sites *unit, const kti_operation *operations, int count,
                              const double lattice[3][3], const char *file, kti_sites *whole,
                              kt_error *error);

/* Operations of a space group by Hall symbol, Hermann-Mauguin name or number, whichever is given (NULL, NULL,
 * 0) and known first; alpha and gamma (degrees) tell the rhombohedral setting from the hexagonal one. 0 if
 * the group is unknown, -1 if what is given leaves two choices of origin; else their count (at most 192). */
int kti_spacegroup_operations(const char *hall, const char *name, int number, double alpha, double gamma,
                              kti_operation *operations);

#ifdef __cplusplus
}
#endif
#endif
