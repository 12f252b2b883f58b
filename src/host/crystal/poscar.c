/* VASP's POSCAR and CONTCAR, since version 5 (with a line of elements). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "crystal/elements.h"
#include "crystal/lattice.h"
#include "crystal/reader.h"
#include "crystal/sites.h"
#include "crystal/text.h"

enum { MAX_KINDS = 1000 };

typedef struct poscar {
    kti_lines lines;
    const char *file;
    double lattice[3][3];
    double scale[3]; /* of Cartesian x, y, z */
    int kinds;
    int element[MAX_KINDS];
    int count[MAX_KINDS];
    int sites;
    bool cartesian;
} poscar;

static kt_status bad(const poscar *p, kt_error *error, const char *expected)
{
    return kti_fail_line(error, KT_BAD_FORMAT, p->file, p->lines.number, "expected %s", expected);
}

static kt_status next_line(poscar *p, kti_slice *line, kt_error *error, const char *expected)
{
    if (kti_next_line(&p->lines, line))
        return KT_OK;
    return kti_fail_line(error, KT_BAD_FORMAT, p->file, p->lines.number, "the file ends here; expected %s",
                         expected);
}

static kt_status read_three(poscar *p, double values[3], kti_slice *line, const char *expected,
                            kt_error *error)
{
    kti_slice word;
    kt_status status = next_line(p, line, error, expected);
    for (int i = 0; status == KT_OK && i < 3; i++)
        if (!kti_next_number(line, &values[i], &word))
            status = bad(p, error, expected);
    return status;
}

/* One factor (negative: the volume of the cell, Å^3) or three for x, y and z. */
static kt_status read_scale(poscar *p, int *factors, kt_error *error)
{
    kti_slice line, word;
    const char *expected = "a scale factor: one number other than 0, or three positive ones";
    kt_status status = next_line(p, &line, error, expected);
    if (status != KT_OK)
        return status;
    for (*factors = 0; *factors < 3 && kti_next_number(&line, &p->scale[*factors], &word);)
        (*factors)++;
    if (*factors == 2) /* a number and a comment that begins with a number */
        *factors = 1;
    if (*factors == 0 || p->scale[0] == 0)
        return bad(p, error, expected);
    for (int i = 0; *factors == 3 && i < 3; i++)
        if (p->scale[i] <= 0)
            return bad(p, error, expected);
    return KT_OK;
}

static kt_status read_cell(poscar *p, kt_error *error)
{
    static const char *const expected[3] = {"the first lattice vector: three numbers",
                                            "the second lattice vector: three numbers",
                                            "the third lattice vector: three numbers"};
    kti_slice line;
    int factors = 0;
    kt_status status = read_scale(p, &factors, error);
    for (int i = 0; status == KT_OK && i < 3; i++)
        status = read_three(p, p->lattice[i], &line, expected[i], error);
    if (status != KT_OK)
        return status;
    if (factors == 1) {
        double factor = p->scale[0];
        if (factor < 0)
            factor = cbrt(-factor / fabs(kti_lattice_volume(p->lattice)));
        p->scale[0] = p->scale[1] = p->scale[2] = factor;
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            p->lattice[i][k] *= p->scale[k];
    return KT_OK;
}

/* "Si", and of what VASP writes for its potentials "Fe_pv", "Si/3f2a..." and "O_s.52" the element. */
static int element_of(kti_slice word)
{
    const char *end = word.begin;
    while (end < word.end && *end != '_' && *end != '/' && *end != '.')
        end++;
    return kti_element_of_symbol((kti_slice){word.begin, end});
}

static kt_status read_elements(poscar *p, kt_error *error)
{
    kti_slice line, word;
    char shown[32];
    const char *expected = "a line of element symbols";
    kt_status status = next_line(p, &line, error, expected);
    if (status != KT_OK)
        return status;
    while (kti_next_word(&line, &word)) {
        if (p->kinds == 0 && word.begin[0] >= '0' && word.begin[0] <= '9')
            return kti_fail_line(error, KT_BAD_FORMAT, p->file, p->lines.number,
                                 "no line of element symbols before the counts (VASP 4 format): add one");
        if (p->kinds == MAX_KINDS)
            return kti_fail_line(error, KT_BAD_FORMAT, p->file, p->lines.number,
                                 "more than %d element symbols", MAX_KINDS);
        p->element[p->kinds] = element_of(word);
        if (p->element[p->kinds] == 0)
            return kti_fail_line(error, KT_BAD_CRYSTAL, p->file, p->lines.number, "unknown element '%s'",
                                 kti_slice_copy(word, shown, sizeof shown));
        p->kinds++;
    }
    return p->kinds > 0 ? KT_OK : bad(p, error, expected);
}

static kt_status read_counts(poscar *p, kt_error *error)
{
    kti_slice line, word;
    double count;
    const char *expected = "for every element symbol the number of its sites";
    kt_status status = next_line(p, &line, error, expected);
    if (status != KT_OK)
        return status;
    for (int i = 0; i < p->kinds; i++) {
        if (!kti_next_number(&line, &count, &word) || count < 0 || count != floor(count))
            return bad(p, error, expected);
        if (count > KTI_MAX_SITES || p->sites + (int)count > KTI_MAX_SITES)
            return kti_fail_line(error, KT_BAD_CRYSTAL, p->file, p->lines.number,
                                 "the crystal has more than %d sites", KTI_MAX_SITES);
        p->count[i] = (int)count;
        p->sites += p->count[i];
    }
    if (kti_next_number(&line, &count, &word))
        return kti_fail_line(error, KT_BAD_FORMAT, p->file, p->lines.number,
                             "more counts than the %d element symbols of the line above", p->kinds);
    return KT_OK;
}

static kt_status read_mode(poscar *p, kt_error *error)
{
    kti_slice line, word;
    const char *expected = "'Direct' or 'Cartesian'";
    char first = '\0';
    for (int tries = 0; tries < 2; tries++) {
        kt_status status = next_line(p, &line, error, expected);
        if (status != KT_OK)
            return status;
        first = kti_next_word(&line, &word) ? word.begin[0] : '\0';
        if (first != 's' && first != 'S')
            break;
    }
    p->cartesian = first == 'c' || first == 'C' || first == 'k' || first == 'K';
    return p->cartesian || first == 'd' || first == 'D' ? KT_OK : bad(p, error, expected);
}

static kt_status read_sites(poscar *p, kti_sites *sites, kt_error *error)
{
    kt_status status = KT_OK;
    int kind = 0, left = p->count[0];
    for (int s = 0; status == KT_OK && s < p->sites; s++) {
        kti_slice line;
        double at[3];
        while (left == 0)
            left = p->count[++kind];
        left--;
        status = read_three(p, at, &line, "three coordinates of a site", error);
        if (status != KT_OK)
            break;
        kti_site site = {.atomic_number = p->element[kind], .line = p->lines.number};
        snprintf(site.label, sizeof site.label, "%s%d", kti_element_symbol(site.atomic_number), s + 1);
        if (p->cartesian) {
            for (int k = 0; k < 3; k++)
                at[k] *= p->scale[k];
            kti_fractional(p->lattice, at, site.fractional);
        } else {
            memcpy(site.fractional, at, sizeof at);
        }
        status = kti_sites_add(sites, &site, p->file, error);
    }
    return status;
}

kt_status kti_poscar_read(const char *data, size_t size, const char *name, kt_structure *structure,
                          kt_error *error)
{
    poscar p = {.lines = kti_lines_of(data, size), .file = name};
    kti_sites sites = {0};
    kti_slice comment;
    kti_lattice usable;
    kt_status status = next_line(&p, &comment, error, "a comment");
    if (status == KT_OK)
        status = read_cell(&p, error);
    if (status == KT_OK) /* before Cartesian coordinates are divided by it */
        status = kti_lattice_create(p.lattice, name, &usable, error);
    if (status == KT_OK)
        status = read_elements(&p, error);
    if (status == KT_OK)
        status = read_counts(&p, error);
    if (status == KT_OK)
        status = read_mode(&p, error);
    if (status == KT_OK)
        status = read_sites(&p, &sites, error);
    if (status == KT_OK)
        status = kti_structure_make(p.lattice, &sites, name, structure, error);
    kti_sites_destroy(&sites);
    return status;
}
