#include "data/prototype.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "data/formula.h"

enum { SPECIES = 3, SITES = 5 };

typedef enum bravais { CUBIC, FACE_CENTRED, HEXAGONAL } bravais;

typedef struct site {
    int species; /* place of its element in the formula */
    double x, y, z;
    double along_u; /* z moves by this many u */
} site;

typedef struct prototype {
    const char *name, *pattern;
    bravais lattice;
    int count[SPECIES]; /* atoms of each element in the formula; a zero ends the list */
    int sites;
    site site[SITES]; /* fractions of the primitive cell */
} prototype;

/* In a face-centred cell (x,x,x) is the same point in the primitive and in the conventional axes. */
static const prototype prototypes[] = {
    {"rocksalt", "XY", FACE_CENTRED, {1, 1}, 2, {{0, 0, 0, 0, 0}, {1, 0.5, 0.5, 0.5, 0}}},
    {"zincblende", "XY", FACE_CENTRED, {1, 1}, 2, {{0, 0, 0, 0, 0}, {1, 0.25, 0.25, 0.25, 0}}},
    {"diamond", "X", FACE_CENTRED, {1}, 2, {{0, 0, 0, 0, 0}, {0, 0.25, 0.25, 0.25, 0}}},
    {"cscl", "XY", CUBIC, {1, 1}, 2, {{0, 0, 0, 0, 0}, {1, 0.5, 0.5, 0.5, 0}}},
    {"fluorite",
     "XY2",
     FACE_CENTRED,
     {1, 2},
     3,
     {{0, 0, 0, 0, 0}, {1, 0.25, 0.25, 0.25, 0}, {1, 0.75, 0.75, 0.75, 0}}},
    {"antifluorite",
     "X2Y",
     FACE_CENTRED,
     {2, 1},
     3,
     {{0, 0.25, 0.25, 0.25, 0}, {0, 0.75, 0.75, 0.75, 0}, {1, 0, 0, 0, 0}}},
    {"half-heusler",
     "XYZ",
     FACE_CENTRED,
     {1, 1, 1},
     3,
     {{0, 0, 0, 0, 0}, {1, 0.25, 0.25, 0.25, 0}, {2, 0.5, 0.5, 0.5, 0}}},
    {"perovskite",
     "XYZ3",
     CUBIC,
     {1, 1, 3},
     5,
     {{0, 0, 0, 0, 0}, {1, 0.5, 0.5, 0.5, 0}, {2, 0, 0.5, 0.5, 0}, {2, 0.5, 0, 0.5, 0}, {2, 0.5, 0.5, 0, 0}}},
    {"wurtzite",
     "XY",
     HEXAGONAL,
     {1, 1},
     4,
     {{0, 1.0 / 3, 2.0 / 3, 0, 0},
      {0, 2.0 / 3, 1.0 / 3, 0.5, 0},
      {1, 1.0 / 3, 2.0 / 3, 0, 1},
      {1, 2.0 / 3, 1.0 / 3, 0.5, 1}}},
};

static const prototype *find(const char *name)
{
    for (size_t i = 0; i < sizeof prototypes / sizeof prototypes[0]; i++)
        if (strcmp(prototypes[i].name, name) == 0)
            return &prototypes[i];
    return NULL;
}

/* The elements of a formula in its order, if their counts are the prototype's. */
static bool read_formula(const prototype *kind, const char *formula, int atomic_number[SPECIES])
{
    for (int i = 0; i < SPECIES && kind->count[i] > 0; i++) {
        int count;
        if (!kti_formula_term(&formula, &atomic_number[i], &count) || count != kind->count[i])
            return false;
        for (int j = 0; j < i; j++)
            if (atomic_number[j] == atomic_number[i])
                return false;
    }
    return *formula == '\0';
}

static kt_status check_length(const char *kind, const char *name, double value, bool wanted, kt_error *error)
{
    if (!wanted && value != 0)
        return kti_fail(error, KT_BAD_FORMAT, "%s has no %s; leave it empty", kind, name);
    if (wanted && !(value >= 1 && value <= 100))
        return kti_fail(error, KT_BAD_FORMAT, "%s needs %s between 1 and 100 Å", kind, name);
    return KT_OK;
}

static kt_status check_cell(const prototype *kind, const kti_prototype_cell *cell, kt_error *error)
{
    bool hexagonal = kind->lattice == HEXAGONAL;
    kt_status status = check_length(kind->name, "a", cell->a, true, error);
    if (status == KT_OK)
        status = check_length(kind->name, "c", cell->c, hexagonal, error);
    if (status != KT_OK)
        return status;
    if (!hexagonal && cell->u != 0)
        return kti_fail(error, KT_BAD_FORMAT, "%s has no u; leave it empty", kind->name);
    if (hexagonal && !(cell->u > 0 && cell->u < 0.5))
        return kti_fail(error, KT_BAD_FORMAT, "%s needs u above 0 and below 0.5", kind->name);
    return KT_OK;
}

static void fill_lattice(bravais lattice, const kti_prototype_cell *cell, double rows[3][3])
{
    double a = cell->a, half = a / 2;
    const double cubic[3][3] = {{a, 0, 0}, {0, a, 0}, {0, 0, a}};
    const double face_centred[3][3] = {{0, half, half}, {half, 0, half}, {half, half, 0}};
    const double hexagonal[3][3] = {{a, 0, 0}, {-half, half * sqrt(3.0), 0}, {0, 0, cell->c}};
    const double(*chosen)[3] = lattice == CUBIC ? cubic : lattice == HEXAGONAL ? hexagonal : face_centred;
    memcpy(rows, chosen, sizeof cubic);
}

kt_status kti_prototype_create(const char *name, const char *formula, const kti_prototype_cell *cell,
                               kt_structure *structure, kt_error *error)
{
    int atomic_number[SPECIES];
    *structure = (kt_structure){0};
    const prototype *kind = find(name);
    if (!kind)
        return kti_fail(
            error, KT_BAD_FORMAT,
            "there is no prototype \"%.40s\"; known are rocksalt, zincblende, diamond, cscl, fluorite, "
            "antifluorite, half-heusler, perovskite, wurtzite",
            name);
    if (!read_formula(kind, formula, atomic_number))
        return kti_fail(error, KT_BAD_FORMAT,
                        "the formula \"%.40s\" does not fit %s, which is %s with different elements", formula,
                        kind->name, kind->pattern);
    kt_status status = check_cell(kind, cell, error);
    if (status != KT_OK)
        return status;
    structure->atomic_number = kti_allocate((size_t)kind->sites, sizeof *structure->atomic_number);
    structure->fractional = kti_allocate((size_t)kind->sites, sizeof *structure->fractional);
    if (!structure->atomic_number || !structure->fractional) {
        kt_structure_destroy(structure);
        return kti_fail_memory(error, "a crystal");
    }
    fill_lattice(kind->lattice, cell, structure->lattice);
    structure->sites = kind->sites;
    for (int i = 0; i < kind->sites; i++) {
        const site *at = &kind->site[i];
        structure->atomic_number[i] = atomic_number[at->species];
        structure->fractional[i][0] = at->x;
        structure->fractional[i][1] = at->y;
        structure->fractional[i][2] = at->z + at->along_u * cell->u;
    }
    return KT_OK;
}
