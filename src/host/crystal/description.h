/* What a materials scientist sorts crystals by. */
#ifndef KTI_CRYSTAL_DESCRIPTION_H
#define KTI_CRYSTAL_DESCRIPTION_H

#include <kappatune/structure.h>

typedef struct kti_description {
    double volume;         /* of the cell as it is given, Å^3 */
    double density;        /* g/cm^3 */
    double atomic_density; /* sites an Å^3 */
    double mean_mass;      /* of the sites, u */
    int elements;          /* different ones */
    int space_group; /* number in the International Tables by spglib within 0.01 Å; 0 where it finds none, or is not asked
                              since the cell has more than 1,000 sites */
} kti_description;

kti_description kti_describe(const kt_structure *structure);

#endif
