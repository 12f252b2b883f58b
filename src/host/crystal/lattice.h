/* Geometry of a lattice: a checked, reduced basis for searches of neighbours.
 *
 * A file may describe a plain lattice by a very skewed cell. Searches work in
 * the Minkowski-reduced basis of the same lattice, where the number of images
 * within a distance is bounded by the volume alone; distances are the same.
 */
#ifndef KTI_CRYSTAL_LATTICE_H
#define KTI_CRYSTAL_LATTICE_H

#include <kappatune/structure.h>

/* Sites (images too) may not be closer than this, Å. */
#define KTI_CLOSEST_SITES 0.1

typedef struct kti_lattice {
    double vectors[3][3]; /* reduced basis, rows, Å */
    double change[3][3];  /* integers: fractional in the reduced basis = fractional as written x change */
    double heights[3];    /* distance between the planes of the reduced cell, Å */
} kti_lattice;

/* Checks and reduces. KT_BAD_CRYSTAL (naming `file`, which may be NULL): vectors that are not finite, longer
 * than 100,000 Å or zero, a flat cell, a lattice that repeats in less than 0.1 Å. */
kt_status kti_lattice_create(const double rows[3][3], const char *file, kti_lattice *lattice,
                             kt_error *error);

/* Volume of the parallelepiped, Å^3; signed. */
double kti_lattice_volume(const double rows[3][3]);

/* Rows from lengths (Å) and angles (degrees): a along x, b in the xy plane. KT_BAD_CRYSTAL for lengths that
 * are not positive and angles that make no cell. */
kt_status kti_lattice_from_cell(const double lengths[3], const double angles[3], const char *file,
                                double rows[3][3], kt_error *error);

/* Cartesian (Å) to fractional coordinates; the rows must not be flat. */
void kti_fractional(const double rows[3][3], const double cartesian[3], double fractional[3]);

/* Fractional coordinates in the reduced basis, not wrapped. */
void kti_lattice_reduce_site(const kti_lattice *lattice, const double fractional[3], double reduced[3]);

#endif
