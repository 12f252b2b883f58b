#include "crystal/symmetry.h"

#include <math.h>
#include <string.h>

#include "crystal/clash.h"
#include "crystal/lattice.h"
#include "crystal/number.h"

static void skip_blanks(kti_slice *text)
{
    while (text->begin < text->end && (*text->begin == ' ' || *text->begin == '\t'))
        text->begin++;
}

static bool take(kti_slice *text, char c)
{
    skip_blanks(text);
    if (text->begin == text->end || *text->begin != c)
        return false;
    text->begin++;
    return true;
}

/* 0, 1, 2 for x, y, z; -1 for anything else. */
static int take_axis(kti_slice *text)
{
    for (int axis = 0; axis < 3; axis++)
        if (take(text, (char)('x' + axis)) || take(text, (char)('X' + axis)))
            return axis;
    return -1;
}

static bool take_number(kti_slice *text, double *value)
{
    skip_blanks(text);
    if (text->begin == text->end || !((*text->begin >= '0' && *text->begin <= '9') || *text->begin == '.'))
        return false;
    const char *after = kti_number_prefix(text->begin, text->end, value);
    if (!after)
        return false;
    text->begin = after;
    return true;
}

/* One term: [number][/number][*][axis][/number]. The axis is 3 for a translation. */
static bool take_term(kti_slice *text, double *value, int *axis)
{
    double number = 1, divisor = 1;
    bool has_number = take_number(text, &number);
    if (has_number && take(text, '/') && !take_number(text, &divisor))
        return false;
    if (has_number)
        take(text, '*');
    *axis = take_axis(text);
    if (*axis < 0 && !has_number)
        return false;
    if (*axis < 0)
        *axis = 3;
    else if (take(text, '/') && !take_number(text, &divisor))
        return false;
    *value = number / divisor;
    return isfinite(*value);
}

static bool read_row(kti_slice *text, int rotation[3], double *translation)
{
    double sum[4] = {0};
    bool any = false;
    while (skip_blanks(text), text->begin < text->end && *text->begin != ',') {
        bool minus = take(text, '-');
        if (!minus && !take(text, '+') && any) /* terms are joined by a sign */
            return false;
        double value;
        int axis;
        if (!take_term(text, &value, &axis))
            return false;
        sum[axis] += minus ? -value : value;
        any = true;
    }
    for (int k = 0; k < 3; k++) {
        if (!(fabs(sum[k]) <= 100 && sum[k] == round(sum[k])))
            return false;
        rotation[k] = (int)sum[k];
    }
    *translation = sum[3];
    return any && fabs(sum[3]) <= 100;
}

bool kti_operation_read(kti_slice text, kti_operation *operation)
{
    for (int i = 0; i < 3; i++) {
        if (i > 0 && !take(&text, ','))
            return false;
        if (!read_row(&text, operation->rotation[i], &operation->translation[i]))
            return false;
    }
    skip_blanks(&text);
    return text.begin == text.end;
}

/* R^T G R: the metric of the lattice vectors that the operation makes. */
static void map_metric(const kti_operation *operation, const double metric[3][3], double mapped[3][3])
{
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            mapped[i][j] = 0;
            for (int k = 0; k < 3; k++)
                for (int l = 0; l < 3; l++)
                    mapped[i][j] += operation->rotation[k][i] * metric[k][l] * operation->rotation[l][j];
        }
    }
}

bool kti_operation_fits(const kti_operation *operation, const double lattice[3][3])
{
    double metric[3][3], mapped[3][3];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            metric[i][j] =
                lattice[i][0] * lattice[j][0] + lattice[i][1] * lattice[j][1] + lattice[i][2] * lattice[j][2];
    map_metric(operation, metric, mapped);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            if (!(fabs(mapped[i][j] - metric[i][j]) <= 0.02 * sqrt(metric[i][i] * metric[j][j])))
                return false;
    return true;
}

/* The mean of a metric without symmetry over the group has the group's symmetry and, by the odd numbers, no other. */
void kti_symmetry_cell_rule(const kti_operation *operations, int count, int rule[6])
{
    static const double odd[3][3] = {{2, 0.31, 0.53}, {0.31, 3, 0.73}, {0.53, 0.73, 5}};
    double mean[3][3] = {{0}}, mapped[3][3], cell[6];
    for (int o = 0; o < count; o++) {
        map_metric(&operations[o], odd, mapped);
        for (int i = 0; i < 9; i++)
            mean[i / 3][i % 3] += mapped[i / 3][i % 3] / count;
    }
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        cell[i] = sqrt(mean[i][i]);
        cell[3 + i] = mean[j][k] / sqrt(mean[j][j] * mean[k][k]); /* the cosine */
    }
    for (int i = 0; i < 6; i++) {
        rule[i] = i;
        for (int j = i < 3 ? 0 : 3; rule[i] == i && j < i; j++)
            if (fabs(cell[i] - cell[j]) < 1e-9)
                rule[i] = j;
        if (i >= 3 && fabs(cell[i]) < 1e-9)
            rule[i] = 90;
        if (i >= 3 && fabs(cell[i] + 0.5) < 1e-9)
            rule[i] = 120;
    }
}

kt_status kti_symmetry_expand(const kti_sites *unit, const kti_operation *operations, int count,
                              const double lattice[3][3], const char *file, kti_sites *whole, kt_error *error)
{
    kti_lattice reduced;
    kt_status status = kti_lattice_create(lattice, file, &reduced, error);
    for (size_t s = 0; status == KT_OK && s < unit->count; s++) {
        size_t first = whole->count;
        status = kti_sites_add(whole, &unit->sites[s], file, error);
        for (int o = 0; status == KT_OK && o < count; o++) {
            kti_site image = unit->sites[s];
            const double *at = unit->sites[s].fractional;
            for (int i = 0; i < 3; i++) {
                const int *r = operations[o].rotation[i];
                image.fractional[i] =
                    r[0] * at[0] + r[1] * at[1] + r[2] * at[2] + operations[o].translation[i];
            }
            bool known = false;
            for (size_t k = first; !known && k < whole->count; k++)
                known = kti_sites_coincide(&reduced, image.fractional, whole->sites[k].fractional);
            if (!known)
                status = kti_sites_add(whole, &image, file, error);
        }
    }
    return status;
}
