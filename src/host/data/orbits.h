/* Structures from a space group, lattice constants and one site of each orbit: what a paper prints of a crystal.
 *
 *   space group  its number in the International Tables, or a Hermann-Mauguin symbol, with the setting where there are
 *                several: "P 63 m c", "F d -3 m:2", "R -3 m:H", "P 1 21/c 1"
 *   cell         what the group leaves free; 0 stands for what it fixes, which may be repeated but not contradicted
 *   sites        "Zn 1/3 2/3 0; S 1/3 2/3 0.3748": element and fractional coordinates of one site of each orbit
 */
#ifndef KTI_DATA_ORBITS_H
#define KTI_DATA_ORBITS_H

#include <kappatune/structure.h>

typedef struct kti_orbits {
    const char *space_group, *sites;
    double cell[6]; /* a, b, c in Å, alpha, beta, gamma in degrees */
} kti_orbits;

/* Builds the structure of the group's conventional cell; the caller's: kt_structure_destroy. KT_BAD_FORMAT for an unknown
 * group, one with two choices of origin and none named, a lattice constant that is missing or contradicts the group,
 * sites that cannot be read, and a formula that the sites contradict; KT_BAD_CRYSTAL as kt_structure_read. */
kt_status kti_orbits_create(const kti_orbits *given, const char *formula, kt_structure *structure,
                            kt_error *error);

#endif
