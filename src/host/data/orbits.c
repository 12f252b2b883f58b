#include "data/orbits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "crystal/elements.h"
#include "crystal/lattice.h"
#include "crystal/number.h"
#include "crystal/symmetry.h"
#include "data/formula.h"

static const double AGREEMENT = 1e-6; /* relative; of a lattice constant that repeats what the group fixes */

static const char *const parameters[6] = {"a", "b", "c", "alpha", "beta", "gamma"};

/* ---- group and cell ---- */

/* Angles tell the two settings of a rhombohedral group apart: with none it is the hexagonal one. */
static kt_status find_group(const kti_orbits *given, kti_operation *operations, int *count, kt_error *error)
{
    const char *name = given->space_group;
    const double alpha = given->cell[3] > 0 ? given->cell[3] : 90;
    const double gamma = given->cell[5] > 0 ? given->cell[5] : given->cell[3] > 0 ? alpha : 120;
    const char *end = name + strlen(name);
    const bool digits = name + strspn(name, "0123456789") == end;
    double number = 0;
    if (digits && (!kti_number_read(name, end, &number) || number > 230))
        number = 0;
    *count = kti_spacegroup_operations(NULL, digits ? NULL : name, (int)number, alpha, gamma, operations);
    if (*count > 0)
        return KT_OK;
    if (*count == 0)
        return kti_fail(error, KT_BAD_FORMAT,
                        "there is no space group \"%.40s\"; give a number from 1 to 230 or a symbol such as "
                        "\"P 63 m c\" or \"R -3 m:H\"",
                        name);
    return kti_fail(error, KT_BAD_FORMAT,
                    "the space group \"%.40s\" has two choices of origin: name one, with \":1\" or \":2\" "
                    "after the symbol",
                    name);
}

/* Fills what the group fixes; what it leaves free must be there. */
static kt_status complete_cell(const kti_orbits *given, const int rule[6], double cell[6], kt_error *error)
{
    memcpy(cell, given->cell, sizeof given->cell);
    for (int i = 0; i < 6; i++) {
        if (rule[i] == i && cell[i] == 0)
            return kti_fail(error, KT_BAD_FORMAT, "the space group %.40s needs %s", given->space_group,
                            parameters[i]);
        if (rule[i] == i)
            continue;
        const double fixed = rule[i] < 6 ? cell[rule[i]] : rule[i];
        if (cell[i] != 0 && !(fabs(cell[i] - fixed) <= AGREEMENT * fabs(fixed)))
            return kti_fail(error, KT_BAD_FORMAT, "in the space group %.40s %s is %g, not %g; leave it empty",
                            given->space_group, parameters[i], fixed, cell[i]);
        cell[i] = fixed;
    }
    return KT_OK;
}

/* ---- sites ---- */

/* A number or a fraction: "0.25", "-1/3". */
static bool read_coordinate(kti_slice word, double *value)
{
    double divisor;
    const char *after = kti_number_prefix(word.begin, word.end, value);
    if (after && after < word.end && *after == '/') {
        if (!kti_number_read(after + 1, word.end, &divisor))
            return false;
        *value /= divisor;
        after = word.end;
    }
    return after == word.end && isfinite(*value);
}

/* One site, "S 1/3 2/3 0.3748". */
static kt_status read_site(kti_slice text, size_t place, kti_site *site, kt_error *error)
{
    char shown[60], coordinate[40];
    kti_slice rest = text, word;
    *site = (kti_site){0};
    if (!kti_next_word(&rest, &word))
        return kti_fail(error, KT_BAD_FORMAT, "site %zu is empty", place);
    kti_slice_copy((kti_slice){word.begin, text.end}, shown, sizeof shown);
    site->atomic_number = kti_element_of_symbol(word);
    if (site->atomic_number == 0)
        return kti_fail(error, KT_BAD_FORMAT, "site %zu, \"%s\", begins with no element", place, shown);
    for (int i = 0; i < 3; i++) {
        if (!kti_next_word(&rest, &word))
            return kti_fail(error, KT_BAD_FORMAT, "site %zu, \"%s\", has %d coordinate%s instead of 3", place,
                            shown, i, i == 1 ? "" : "s");
        if (!read_coordinate(word, &site->fractional[i]))
            return kti_fail(error, KT_BAD_FORMAT,
                            "site %zu: the coordinate \"%s\" is not a number or a fraction such as 2/3",
                            place, kti_slice_copy(word, coordinate, sizeof coordinate));
    }
    if (kti_next_word(&rest, &word))
        return kti_fail(error, KT_BAD_FORMAT, "site %zu, \"%s\", has more than 3 coordinates", place, shown);
    snprintf(site->label, sizeof site->label, "%s%zu", kti_element_symbol(site->atomic_number), place);
    return KT_OK;
}

static kt_status read_sites(const char *text, kti_sites *sites, kt_error *error)
{
    if (*text == '\0')
        return kti_fail(error, KT_BAD_FORMAT,
                        "a space group needs sites, one of each orbit: \"Zn 1/3 2/3 0; S 1/3 2/3 0.3748\"");
    for (size_t place = 1;; place++) {
        kti_site site;
        const size_t length = strcspn(text, ";");
        kt_status status = read_site((kti_slice){text, text + length}, place, &site, error);
        if (status == KT_OK)
            status = kti_sites_add(sites, &site, NULL, error);
        if (status != KT_OK || text[length] == '\0')
            return status;
        text += length + 1;
    }
}

/* ---- formula ---- */

/* The composition of formula and sites must be the same; the formula may count any number of units. */
static kt_status check_formula(const char *formula, const kt_structure *structure, kt_error *error)
{
    int64_t listed[KTI_ATOMIC_NUMBERS + 1] = {0}, found[KTI_ATOMIC_NUMBERS + 1] = {0}, atoms = 0;
    const char *rest = formula;
    char composition[64];
    do {
        int atomic_number, count;
        if (!kti_formula_term(&rest, &atomic_number, &count))
            return kti_fail(error, KT_BAD_FORMAT,
                            "the formula \"%.40s\" is not a list of elements and counts, such as Al2O3",
                            formula);
        listed[atomic_number] += count;
        atoms += count;
    } while (*rest);
    for (int i = 0; i < structure->sites; i++)
        found[structure->atomic_number[i]]++;
    for (int z = 1; z <= KTI_ATOMIC_NUMBERS; z++) {
        if (found[z] * atoms == listed[z] * structure->sites)
            continue;
        kt_structure_formula(structure, composition, sizeof composition);
        return kti_fail(error, KT_BAD_FORMAT,
                        "the formula \"%.40s\" contradicts the sites, which the space group makes %s",
                        formula, composition);
    }
    return KT_OK;
}

/* An angle in radians, or lengths in other units, make cells that hold too much: diamond, which has the most atoms in a
 * volume, has 5.7 Å^3 an atom. */
static kt_status check_volume(const double lattice[3][3], int sites, kt_error *error)
{
    const double volume = fabs(kti_lattice_volume(lattice)) / sites;
    return volume >= 1
               ? KT_OK
               : kti_fail(error, KT_BAD_CRYSTAL,
                          "an atom has %.2g Å^3, less than 1: lengths are in Å, angles in degrees", volume);
}

kt_status kti_orbits_create(const kti_orbits *given, const char *formula, kt_structure *structure,
                            kt_error *error)
{
    kti_operation operations[KTI_GROUP_ORDER];
    kti_sites unit = {0}, whole = {0};
    int count, rule[6];
    double cell[6], lattice[3][3];
    *structure = (kt_structure){0};
    kt_status status = find_group(given, operations, &count, error);
    if (status != KT_OK)
        return status;
    kti_symmetry_cell_rule(operations, count, rule);
    status = complete_cell(given, rule, cell, error);
    if (status == KT_OK)
        status = kti_lattice_from_cell(cell, cell + 3, NULL, lattice, error);
    if (status == KT_OK)
        status = read_sites(given->sites, &unit, error);
    if (status == KT_OK)
        status = kti_symmetry_expand(&unit, operations, count, lattice, NULL, &whole, error);
    if (status == KT_OK)
        status = kti_structure_make(lattice, &whole, NULL, structure, error);
    if (status == KT_OK)
        status = check_formula(formula, structure, error);
    if (status == KT_OK)
        status = check_volume(lattice, structure->sites, error);
    if (status != KT_OK)
        kt_structure_destroy(structure);
    kti_sites_destroy(&unit);
    kti_sites_destroy(&whole);
    return status;
}
