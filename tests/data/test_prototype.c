/* Prototypes: coordination shells of each, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crystal/elements.h"
#include "data/prototype.h"

/* Sites of `element` at `distance` (within 1e-6 Å) from the first site of `centre`. */
static int neighbours(const kt_structure *structure, const char *centre, const char *element, double distance)
{
    enum { IMAGES = 3 };
    int from = 0, count = 0;
    while (from < structure->sites && structure->atomic_number[from] != kti_element_number(centre))
        from++;
    assert_true(from < structure->sites);
    for (int j = 0; j < structure->sites; j++)
        for (int n = 0; n < (2 * IMAGES + 1) * (2 * IMAGES + 1) * (2 * IMAGES + 1); n++) {
            const int image[3] = {n % 7 - IMAGES, n / 7 % 7 - IMAGES, n / 49 - IMAGES};
            double d[3] = {0, 0, 0};
            for (int axis = 0; axis < 3; axis++)
                for (int k = 0; k < 3; k++)
                    d[k] +=
                        (structure->fractional[j][axis] - structure->fractional[from][axis] + image[axis]) *
                        structure->lattice[axis][k];
            double length = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
            count +=
                structure->atomic_number[j] == kti_element_number(element) && fabs(length - distance) < 1e-6;
        }
    return count;
}

static void has_the_right_neighbours(void **state)
{
    const double half = 0.5, quarter = 0.25 * sqrt(3.0), diagonal = 0.5 * sqrt(3.0), face = sqrt(0.5);
    const struct {
        const char *prototype, *formula;
        double a;
        int sites;
        const char *centre, *element;
        double distance; /* in units of a */
        int count;
    } cases[] = {
        {"rocksalt", "NaCl", 5.64, 2, "Na", "Cl", half, 6},
        {"rocksalt", "NaCl", 5.64, 2, "Cl", "Cl", face, 12},
        {"zincblende", "GaAs", 5.65, 2, "Ga", "As", quarter, 4},
        {"zincblende", "GaAs", 5.65, 2, "As", "As", face, 12},
        {"diamond", "C", 3.57, 2, "C", "C", quarter, 4},
        {"diamond", "Si", 5.43, 2, "Si", "Si", face, 12},
        {"cscl", "CsCl", 4.12, 2, "Cs", "Cl", diagonal, 8},
        {"cscl", "CsCl", 4.12, 2, "Cs", "Cs", 1, 6},
        {"fluorite", "CaF2", 5.46, 3, "Ca", "F", quarter, 8},
        {"fluorite", "CaF2", 5.46, 3, "F", "Ca", quarter, 4},
        {"fluorite", "CaF2", 5.46, 3, "F", "F", half, 6},
        {"antifluorite", "Li2O", 4.62, 3, "Li", "O", quarter, 4},
        {"antifluorite", "Li2O", 4.62, 3, "O", "Li", quarter, 8},
        {"half-heusler", "TiNiSn", 5.93, 3, "Ti", "Sn", half, 6},
        {"half-heusler", "TiNiSn", 5.93, 3, "Ni", "Ti", quarter, 4},
        {"half-heusler", "TiNiSn", 5.93, 3, "Ni", "Sn", quarter, 4},
        {"half-heusler", "TiNiSn", 5.93, 3, "Sn", "Ni", quarter, 4},
        {"perovskite", "SrTiO3", 3.91, 5, "Ti", "O", half, 6},
        {"perovskite", "SrTiO3", 3.91, 5, "Sr", "O", face, 12},
        {"perovskite", "SrTiO3", 3.91, 5, "Sr", "Ti", diagonal, 8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kt_structure structure;
        kti_prototype_cell cell = {.a = cases[i].a};
        assert_int_equal(kti_prototype_create(cases[i].prototype, cases[i].formula, &cell, &structure, NULL),
                         KT_OK);
        assert_int_equal(structure.sites, cases[i].sites);
        assert_int_equal(
            neighbours(&structure, cases[i].centre, cases[i].element, cases[i].distance * cases[i].a),
            cases[i].count);
        kt_structure_destroy(&structure);
    }
}

/* With c/a = sqrt(8/3) and u = 3/8 the tetrahedra of wurtzite are regular; another u splits their bonds 3
 * + 1. */
static void wurtzite_has_its_tetrahedra(void **state)
{
    kt_structure structure;
    kti_prototype_cell cell = {.a = 3.2, .c = 3.2 * sqrt(8.0 / 3), .u = 0.375};
    (void)state;
    assert_int_equal(kti_prototype_create("wurtzite", "GaN", &cell, &structure, NULL), KT_OK);
    assert_int_equal(structure.sites, 4);
    assert_int_equal(neighbours(&structure, "Ga", "N", 0.375 * cell.c), 4);
    assert_int_equal(neighbours(&structure, "N", "Ga", 0.375 * cell.c), 4);
    assert_int_equal(neighbours(&structure, "Ga", "Ga", cell.a), 12);
    kt_structure_destroy(&structure);

    cell = (kti_prototype_cell){.a = 3.2, .c = 5.3, .u = 0.38};
    assert_int_equal(kti_prototype_create("wurtzite", "GaN", &cell, &structure, NULL), KT_OK);
    double rise = cell.c * (0.5 - cell.u), run = cell.a / sqrt(3.0);
    assert_int_equal(neighbours(&structure, "Ga", "N", 0.38 * cell.c), 1);
    assert_int_equal(neighbours(&structure, "Ga", "N", sqrt(rise * rise + run * run)), 3);
    kt_structure_destroy(&structure);
}

static void refuses_what_does_not_fit(void **state)
{
    static const struct {
        const char *prototype, *formula;
        kti_prototype_cell cell;
        const char *reason;
    } cases[] = {
        {"spinel", "MgAl2O4", {8, 0, 0}, "no prototype"},
        {"Rocksalt", "NaCl", {5, 0, 0}, "no prototype"},
        {"", "NaCl", {5, 0, 0}, "no prototype"},
        {"rocksalt", "", {5, 0, 0}, "does not fit"},
        {"rocksalt", "Na", {5, 0, 0}, "does not fit"},
        {"rocksalt", "NaCl2", {5, 0, 0}, "does not fit"},
        {"rocksalt", "NaClO", {5, 0, 0}, "does not fit"},
        {"rocksalt", "NaNa", {5, 0, 0}, "does not fit"},
        {"rocksalt", "XxCl", {5, 0, 0}, "does not fit"},
        {"rocksalt", "nacl", {5, 0, 0}, "does not fit"},
        {"rocksalt", "NaCl ", {5, 0, 0}, "does not fit"},
        {"fluorite", "Li2O", {5, 0, 0}, "does not fit"},
        {"antifluorite", "CaF2", {5, 0, 0}, "does not fit"},
        {"diamond", "Si2", {5, 0, 0}, "does not fit"},
        {"rocksalt", "NaCl", {0, 0, 0}, "needs a"},
        {"rocksalt", "NaCl", {-5, 0, 0}, "needs a"},
        {"rocksalt", "NaCl", {0.5, 0, 0}, "needs a"},
        {"rocksalt", "NaCl", {101, 0, 0}, "needs a"},
        {"rocksalt", "NaCl", {NAN, 0, 0}, "needs a"},
        {"rocksalt", "NaCl", {5, 5, 0}, "has no c"},
        {"rocksalt", "NaCl", {5, 0, 0.3}, "has no u"},
        {"wurtzite", "GaN", {3.2, 0, 0.375}, "needs c"},
        {"wurtzite", "GaN", {3.2, 5.2, 0}, "needs u"},
        {"wurtzite", "GaN", {3.2, 5.2, 0.5}, "needs u"},
        {"wurtzite", "GaN", {3.2, 5.2, NAN}, "needs u"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kt_structure structure;
        kt_error error = KT_ERROR_NONE;
        assert_int_equal(
            kti_prototype_create(cases[i].prototype, cases[i].formula, &cases[i].cell, &structure, &error),
            KT_BAD_FORMAT);
        assert_non_null(strstr(error.message, cases[i].reason));
        assert_int_equal(structure.sites, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_right_neighbours),
        cmocka_unit_test(wurtzite_has_its_tetrahedra),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests_name("prototype", tests, NULL, NULL);
}
