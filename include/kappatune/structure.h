/* Crystals.
 *
 * Conventions: lattice vectors are rows, in Å; sites are fractional coordinates
 * as written in the file (not wrapped, not snapped); one element a site.
 */
#ifndef KAPPATUNE_STRUCTURE_H
#define KAPPATUNE_STRUCTURE_H

#include <kappatune/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kt_structure {
    double lattice[3][3]; /* row i is the lattice vector i, Å */
    int sites;
    int *atomic_number;      /* [sites], 1..118; owned */
    double (*fractional)[3]; /* [sites]; owned */
} kt_structure;

/* Reads one crystal from a file: CIF (.cif; symmetry is expanded to P1), VASP's POSCAR (.vasp, .poscar, or
 * named POSCAR or CONTCAR) or extended XYZ (.xyz, .extxyz; first frame). The structure is the caller's:
 * kt_structure_destroy.
 *
 * Errors name the file and, where there is one, the line and the site:
 * KT_IO, KT_BAD_FORMAT for what breaks the format; KT_BAD_CRYSTAL for a well-formed file that cannot be used:
 * partial occupancy, unknown or missing element, missing or flat cell, no site, two sites closer than 0.1 Å
 * (periodic images included), more than 20,000 sites, non-finite numbers. */
KT_API kt_status kt_structure_read(const char *path, kt_structure *structure, kt_error *error);

/* Frees what the structure owns; NULL and zeroed structures are fine. */
KT_API void kt_structure_destroy(kt_structure *structure);

/* Reduced chemical formula, least electronegative element first ("GaAs", "Li2O"), into `text`. */
KT_API void kt_structure_formula(const kt_structure *structure, char *text, int capacity);

#ifdef __cplusplus
}
#endif
#endif
