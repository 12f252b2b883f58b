#include "crystal/description.h"

#include <math.h>
#include <stdbool.h>

#include <spglib.h>

#include "crystal/elements.h"

enum { MAX_SYMMETRIC_SITES = 1000 };

static const double tolerance = 1e-2;              /* Å */
static const double grams_a_u = 1.66053906660e-24; /* CODATA 2018 */

static double volume_of(const double l[3][3])
{
    return fabs(l[0][0] * (l[1][1] * l[2][2] - l[1][2] * l[2][1]) -
                l[0][1] * (l[1][0] * l[2][2] - l[1][2] * l[2][0]) +
                l[0][2] * (l[1][0] * l[2][1] - l[1][1] * l[2][0]));
}

static int space_group(const kt_structure *s)
{
    char symbol[11];
    double columns[3][3]; /* spglib's vectors are columns */
    if (s->sites > MAX_SYMMETRIC_SITES)
        return 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            columns[j][i] = s->lattice[i][j];
    return spg_get_international(symbol, columns, s->fractional, s->atomic_number, s->sites, tolerance);
}

kti_description kti_describe(const kt_structure *s)
{
    kti_description d = {.volume = volume_of(s->lattice)};
    bool seen[KTI_ATOMIC_NUMBERS + 1] = {false};
    double mass = 0;
    for (int i = 0; i < s->sites; i++) {
        mass += kti_element_mass(s->atomic_number[i]);
        d.elements += !seen[s->atomic_number[i]];
        seen[s->atomic_number[i]] = true;
    }
    d.mean_mass = mass / s->sites;
    d.density = mass * grams_a_u / (d.volume * 1e-24);
    d.atomic_density = s->sites / d.volume;
    d.space_group = space_group(s);
    return d;
}
