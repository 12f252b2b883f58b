#include "crystal/lattice.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"

static const double LONGEST = 1e5;   /* Å; beyond this, digits of a distance are lost */
static const double FLATTEST = 1e-6; /* volume / product of lengths */

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(const double a[3], const double b[3], double product[3])
{
    product[0] = a[1] * b[2] - a[2] * b[1];
    product[1] = a[2] * b[0] - a[0] * b[2];
    product[2] = a[0] * b[1] - a[1] * b[0];
}

double kti_lattice_volume(const double rows[3][3])
{
    double area[3];
    cross(rows[1], rows[2], area);
    return dot(rows[0], area);
}

/* Row i takes `times` row j away; the fractional coordinates follow. */
static void subtract_row(kti_lattice *lattice, int i, int j, double times)
{
    for (int k = 0; k < 3; k++) {
        lattice->vectors[i][k] -= times * lattice->vectors[j][k];
        lattice->change[k][j] += times * lattice->change[k][i];
    }
}

static void swap_rows(kti_lattice *lattice, int i, int j)
{
    for (int k = 0; k < 3; k++) {
        double kept = lattice->vectors[i][k];
        lattice->vectors[i][k] = lattice->vectors[j][k];
        lattice->vectors[j][k] = kept;
        kept = lattice->change[k][i];
        lattice->change[k][i] = lattice->change[k][j];
        lattice->change[k][j] = kept;
    }
}

static void sort_by_length(kti_lattice *lattice)
{
    static const int order[3][2] = {{0, 1}, {1, 2}, {0, 1}};
    for (int step = 0; step < 3; step++) {
        int i = order[step][0], j = order[step][1];
        if (dot(lattice->vectors[j], lattice->vectors[j]) < dot(lattice->vectors[i], lattice->vectors[i]))
            swap_rows(lattice, i, j);
    }
}

/* The third row minus the lattice point of the first two that is nearest to it (Semaev's step). Coordinates
 * in the plane are rounded, and the points around tried, which is enough when the first two are
 * Gauss-reduced. */
static void reduce_third(kti_lattice *lattice)
{
    const double *a = lattice->vectors[0], *b = lattice->vectors[1], *c = lattice->vectors[2];
    double aa = dot(a, a), ab = dot(a, b), bb = dot(b, b), ac = dot(a, c), bc = dot(b, c);
    double determinant = aa * bb - ab * ab;
    double x = round((ac * bb - bc * ab) / determinant), y = round((bc * aa - ac * ab) / determinant);
    double min = INFINITY, best_x = 0, best_y = 0;
    for (int i = -1; i <= 1; i++) {
        for (int j = -1; j <= 1; j++) {
            double rest[3];
            for (int k = 0; k < 3; k++)
                rest[k] = c[k] - (x + i) * a[k] - (y + j) * b[k];
            if (dot(rest, rest) < min * (1 - 1e-12)) {
                min = dot(rest, rest);
                best_x = x + i;
                best_y = y + j;
            }
        }
    }
    if (min < dot(c, c) * (1 - 1e-12)) {
        subtract_row(lattice, 2, 0, best_x);
        subtract_row(lattice, 2, 1, best_y);
    }
}

static void reduce(kti_lattice *lattice)
{
    /* Each round shortens a vector by more than rounding; the bound is against a cycle by rounding alone. */
    for (int round_number = 0; round_number < 200; round_number++) {
        double before = 0, after = 0;
        for (int i = 0; i < 3; i++)
            before += dot(lattice->vectors[i], lattice->vectors[i]);
        sort_by_length(lattice);
        const double *a = lattice->vectors[0], *b = lattice->vectors[1];
        double times = round(dot(a, b) / dot(a, a));
        if (times != 0) {
            subtract_row(lattice, 1, 0, times);
            sort_by_length(lattice);
        }
        if (fabs(dot(a, b)) <= 0.5 * dot(a, a) * (1 + 1e-9))
            reduce_third(lattice);
        for (int i = 0; i < 3; i++)
            after += dot(lattice->vectors[i], lattice->vectors[i]);
        if (!(after < before * (1 - 1e-12)))
            break;
    }
    sort_by_length(lattice);
}

kt_status kti_lattice_create(const double rows[3][3], const char *file, kti_lattice *lattice, kt_error *error)
{
    double lengths = 1;
    *lattice = (kti_lattice){.change = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    for (int i = 0; i < 3; i++) {
        double length = sqrt(dot(rows[i], rows[i]));
        if (!isfinite(length) || length > LONGEST)
            return kti_fail_file(error, KT_BAD_CRYSTAL, file,
                                 "lattice vector %d is not a finite vector of at most %g Å", i + 1, LONGEST);
        lengths *= length;
    }
    if (!(fabs(kti_lattice_volume(rows)) > FLATTEST * lengths))
        return kti_fail_file(error, KT_BAD_CRYSTAL, file, "the cell is flat: its volume is %g Å^3",
                             fabs(kti_lattice_volume(rows)));
    memcpy(lattice->vectors, rows, sizeof lattice->vectors);
    reduce(lattice);
    double shortest = sqrt(dot(lattice->vectors[0], lattice->vectors[0]));
    if (!(shortest >= KTI_CLOSEST_SITES))
        return kti_fail_file(
            error, KT_BAD_CRYSTAL, file,
            "the lattice repeats every %.4f Å; sites and their images may not be closer than %g Å", shortest,
            KTI_CLOSEST_SITES);
    double volume = fabs(kti_lattice_volume(lattice->vectors));
    for (int i = 0; i < 3; i++) {
        double area[3];
        cross(lattice->vectors[(i + 1) % 3], lattice->vectors[(i + 2) % 3], area);
        lattice->heights[i] = volume / sqrt(dot(area, area));
    }
    return KT_OK;
}

/* Exact where it matters most: a right angle has cosine 0, not 6e-17. */
static double cosine(double degrees)
{
    return degrees == 90 ? 0 : cos(degrees * (acos(-1.0) / 180));
}

kt_status kti_lattice_from_cell(const double lengths[3], const double angles[3], const char *file,
                                double rows[3][3], kt_error *error)
{
    for (int i = 0; i < 3; i++) {
        if (!(isfinite(lengths[i]) && lengths[i] > 0))
            return kti_fail_file(error, KT_BAD_CRYSTAL, file,
                                 "the cell length %c is %g Å; it must be positive", 'a' + i, lengths[i]);
        if (!(angles[i] > 0 && angles[i] < 180))
            return kti_fail_file(error, KT_BAD_CRYSTAL, file,
                                 "a cell angle is %g degrees; it must lie between 0 and 180", angles[i]);
    }
    double ca = cosine(angles[0]), cb = cosine(angles[1]), cg = cosine(angles[2]), sg = sqrt(1 - cg * cg);
    double y = (ca - cb * cg) / sg, z2 = 1 - cb * cb - y * y;
    if (!(z2 > 0))
        return kti_fail_file(error, KT_BAD_CRYSTAL, file,
                             "the cell is flat: the angles %g, %g, %g degrees make no cell", angles[0],
                             angles[1], angles[2]);
    double made[3][3] = {{lengths[0], 0, 0},
                         {lengths[1] * cg, lengths[1] * sg, 0},
                         {lengths[2] * cb, lengths[2] * y, lengths[2] * sqrt(z2)}};
    memcpy(rows, made, sizeof made);
    return KT_OK;
}

void kti_fractional(const double rows[3][3], const double cartesian[3], double fractional[3])
{
    double volume = kti_lattice_volume(rows);
    for (int i = 0; i < 3; i++) {
        double area[3];
        cross(rows[(i + 1) % 3], rows[(i + 2) % 3], area);
        fractional[i] = dot(cartesian, area) / volume;
    }
}

void kti_lattice_reduce_site(const kti_lattice *lattice, const double fractional[3], double reduced[3])
{
    for (int j = 0; j < 3; j++)
        reduced[j] = fractional[0] * lattice->change[0][j] + fractional[1] * lattice->change[1][j] +
                     fractional[2] * lattice->change[2][j];
}
