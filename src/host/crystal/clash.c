#include "crystal/clash.h"

#include <math.h>
#include <stdlib.h>

#include "crystal/neighbours.h"

bool kti_sites_coincide(const kti_lattice *lattice, const double first[3], const double second[3])
{
    double apart[3], rest[3];
    int reach[3];
    for (int i = 0; i < 3; i++)
        apart[i] = first[i] - second[i];
    kti_lattice_reduce_site(lattice, apart, rest);
    for (int i = 0; i < 3; i++) {
        rest[i] -= round(rest[i]);
        /* In a cell higher than twice the distance the nearest image is the rounded one. */
        reach[i] = lattice->heights[i] > 2 * KTI_CLOSEST_SITES ? 0 : 2;
        if (reach[i] == 0 && fabs(rest[i]) * lattice->heights[i] >= KTI_CLOSEST_SITES)
            return false;
    }
    for (int i = -reach[0]; i <= reach[0]; i++) {
        for (int j = -reach[1]; j <= reach[1]; j++) {
            for (int k = -reach[2]; k <= reach[2]; k++) {
                double square = 0;
                for (int x = 0; x < 3; x++) {
                    double along = (rest[0] + i) * lattice->vectors[0][x] +
                                   (rest[1] + j) * lattice->vectors[1][x] +
                                   (rest[2] + k) * lattice->vectors[2][x];
                    square += along * along;
                }
                if (square < KTI_CLOSEST_SITES * KTI_CLOSEST_SITES)
                    return true;
            }
        }
    }
    return false;
}

kt_status kti_clash_find(const kti_lattice *lattice, const double (*fractional)[3], int sites, int *first,
                         int *second, double *distance, kt_error *error)
{
    kti_pair *pairs = NULL;
    int64_t count = 0;
    *first = *second = -1;
    /* Just below the limit: the search itself has a tolerance, and the lattice may repeat in exactly 0.1 Å.
     */
    kt_status status = kti_neighbours_find(lattice, fractional, sites, -1, KTI_CLOSEST_SITES - 1e-7, 0,
                                           &pairs, &count, error);
    if (status == KT_OK && count > 0) {
        *first = pairs[0].first;
        *second = pairs[0].second;
        *distance = pairs[0].distance;
    }
    free(pairs);
    return status;
}
