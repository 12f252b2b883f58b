/* Structures from prototypes: a formula and the few numbers that fix an ideal crystal.
 *
 * The elements take the sites in the order in which the formula lists them:
 *
 *   prototype     formula  numbers  sites of the 1st, 2nd, 3rd element (fractions of the conventional cell)
 *   rocksalt      XY       a        (0,0,0); (1/2,1/2,1/2)
 *   zincblende    XY       a        (0,0,0); (1/4,1/4,1/4)
 *   diamond       X        a        (0,0,0) and (1/4,1/4,1/4)
 *   cscl          XY       a        (0,0,0); (1/2,1/2,1/2) of a primitive cube
 *   fluorite      XY2      a        (0,0,0); both of (1/4,1/4,1/4): CaF2
 *   antifluorite  X2Y      a        both of (1/4,1/4,1/4); (0,0,0): Li2O
 *   half-heusler  XYZ      a        (0,0,0); (1/4,1/4,1/4); (1/2,1/2,1/2): TiNiSn, the middle element has the
 *                                   eight neighbours, the outer two form a rocksalt
 *   perovskite    XYZ3     a        cubic: (0,0,0); (1/2,1/2,1/2); the face centres: SrTiO3
 *   wurtzite      XY       a, c, u  (1/3,2/3,0); (1/3,2/3,u): GaN, u near 3/8
 *
 * a is the edge of the conventional cell (also for the face-centred ones, whose primitive cell is built), a
 * and c of wurtzite those of its hexagonal cell; in Å.
 */
#ifndef KTI_DATA_PROTOTYPE_H
#define KTI_DATA_PROTOTYPE_H

#include <kappatune/structure.h>

typedef struct kti_prototype_cell {
    double a, c; /* Å, 1 to 100; c is 0 where the prototype has none */
    double u;    /* of wurtzite, above 0 and below 1/2; else 0 */
} kti_prototype_cell;

/* Builds the primitive structure; the caller's: kt_structure_destroy. KT_BAD_FORMAT for an unknown prototype,
 * a formula that does not fit it, and a number that is missing, superfluous or out of range. */
kt_status kti_prototype_create(const char *name, const char *formula, const kti_prototype_cell *cell,
                               kt_structure *structure, kt_error *error);

#endif
