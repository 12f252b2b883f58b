#include "crystal/sites.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/clash.h"
#include "crystal/elements.h"

static const double FARTHEST =
    1e6; /* cells; beyond it a coordinate has too few digits left inside its cell */

kt_status kti_sites_add(kti_sites *sites, const kti_site *site, const char *file, kt_error *error)
{
    for (int i = 0; i < 3; i++)
        if (!(fabs(site->fractional[i]) <= FARTHEST))
            return kti_fail_line(
                error, KT_BAD_CRYSTAL, file, site->line,
                "site '%s': the fractional coordinate %c is %g; it must be finite and within %g", site->label,
                'x' + i, site->fractional[i], FARTHEST);
    if (sites->count == KTI_MAX_SITES)
        return kti_fail_line(error, KT_BAD_CRYSTAL, file, site->line, "the crystal has more than %d sites",
                             KTI_MAX_SITES);
    if (kti_grow((void **)&sites->sites, sites->count, &sites->capacity, sizeof *sites->sites) != 0)
        return kti_fail_memory(error, "the sites of a crystal");
    sites->sites[sites->count++] = *site;
    return KT_OK;
}

void kti_sites_destroy(kti_sites *sites)
{
    free(sites->sites);
    *sites = (kti_sites){0};
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Deuterium and tritium are hydrogen to a network that knows no mass. */
static int number_of_letters(const char *letters, int count)
{
    char symbol[3] = {upper(letters[0]), count == 2 ? lower(letters[1]) : '\0', '\0'};
    if (count == 1 && (symbol[0] == 'D' || symbol[0] == 'T'))
        return 1;
    return kti_element_number(symbol);
}

static int count_letters(kti_slice text)
{
    int count = 0;
    while (text.begin + count < text.end && is_letter(text.begin[count]) && count < 3)
        count++;
    return count;
}

int kti_element_of_symbol(kti_slice text)
{
    int letters = count_letters(text);
    if (letters != 1 && letters != 2)
        return 0;
    for (const char *c = text.begin + letters; c < text.end; c++)
        if (!((*c >= '0' && *c <= '9') || *c == '+' || *c == '-' || *c == '.'))
            return 0;
    return number_of_letters(text.begin, letters);
}

int kti_element_of_label(kti_slice text)
{
    int letters = count_letters(text);
    if (letters == 0)
        return 0;
    int one = number_of_letters(text.begin, 1), two = letters > 1 ? number_of_letters(text.begin, 2) : 0;
    if (letters == 1 || two == 0)
        return one;
    bool capital = text.begin[1] >= 'A' && text.begin[1] <= 'Z';
    if (capital && one > 0)
        return -1;
    return two;
}

static void describe(const kti_sites *sites, int index, char *text, size_t capacity)
{
    const kti_site *site = &sites->sites[index];
    const char *symbol = kti_element_symbol(site->atomic_number);
    if (site->label[0])
        snprintf(text, capacity, "'%s'", site->label);
    else
        snprintf(text, capacity, "%d (%s)", index + 1, symbol ? symbol : "?");
}

static kt_status check_clash(const kti_lattice *lattice, const kti_sites *sites,
                             const kt_structure *structure, const char *file, kt_error *error)
{
    int first, second;
    double distance = 0;
    char name[40], other[40];
    kt_status status = kti_clash_find(lattice, (const double(*)[3])structure->fractional, structure->sites,
                                      &first, &second, &distance, error);
    if (status != KT_OK || first < 0)
        return status;
    describe(sites, first, name, sizeof name);
    describe(sites, second, other, sizeof other);
    return kti_fail_line(error, KT_BAD_CRYSTAL, file, sites->sites[second].line,
                         "the sites %s and %s are %.4f Å apart; two sites may not be closer than %g Å", name,
                         other, distance, KTI_CLOSEST_SITES);
}

kt_status kti_structure_make(const double lattice[3][3], const kti_sites *sites, const char *file,
                             kt_structure *structure, kt_error *error)
{
    kti_lattice reduced;
    *structure = (kt_structure){0};
    if (sites->count == 0)
        return kti_fail_file(error, KT_BAD_CRYSTAL, file, "the crystal has no site");
    kt_status status = kti_lattice_create(lattice, file, &reduced, error);
    if (status != KT_OK)
        return status;
    memcpy(structure->lattice, lattice, sizeof structure->lattice);
    structure->sites = (int)sites->count;
    structure->atomic_number = kti_allocate(sites->count, sizeof *structure->atomic_number);
    structure->fractional = kti_allocate(sites->count, sizeof *structure->fractional);
    if (!structure->atomic_number || !structure->fractional) {
        status = kti_fail_memory(error, "a crystal");
        goto fail;
    }
    for (size_t s = 0; s < sites->count; s++) {
        structure->atomic_number[s] = sites->sites[s].atomic_number;
        memcpy(structure->fractional[s], sites->sites[s].fractional, sizeof structure->fractional[s]);
    }
    status = check_clash(&reduced, sites, structure, file, error);
    if (status == KT_OK)
        return KT_OK;
fail:
    kt_structure_destroy(structure);
    return status;
}

void kt_structure_destroy(kt_structure *structure)
{
    if (!structure)
        return;
    free(structure->atomic_number);
    free(structure->fractional);
    *structure = (kt_structure){0};
}
