/* Physical features: known crystals by hand, invariance to the cell, the orientation and the order of sites, and a finite
 * number for every crystal of the data sets. */
#include "support.h"

#include <dirent.h>
#include <math.h>

#include "crystal/elements.h"

static const double CELL[3][3] = {{0, 2.715, 2.715}, {2.715, 0, 2.715}, {2.715, 2.715, 0}};
static const double ZINCBLENDE[2][3] = {{0, 0, 0}, {0.25, 0.25, 0.25}};

static void features_of(const kt_structure *structure, double value[KTI_FEATURES_OF_CRYSTAL])
{
    kti_graph quotient = make_graph(structure, true), full = make_graph(structure, false);
    /* Either form of the graph tells the same. */
    assert_memory_equal(quotient.feature, full.feature, sizeof full.feature);
    memcpy(value, full.feature, sizeof full.feature);
    kti_graph_destroy(&quotient);
    kti_graph_destroy(&full);
}

static void assert_same(const double *left, const double *right)
{
    for (kti_feature i = 0; i < KTI_FEATURES_OF_CRYSTAL; i++)
        if (!close_to(left[i], right[i], 1e-9, 1e-9))
            fail_msg("%s: %.15g and %.15g", kti_feature_name(i), left[i], right[i]);
}

/* Silicon: Cohen's formula gives 98.8 GPa (98 measured); the rest follows by hand. */
static void test_silicon(void **state)
{
    (void)state;
    double f[KTI_FEATURES_OF_CRYSTAL];
    kt_structure s = make_structure(CELL, 2, (const int[]){14, 14}, ZINCBLENDE);
    features_of(&s, f);
    assert_close(f[KTI_LOG_MEAN_MASS], log(28.085), 1e-12, 0);
    assert_close(f[KTI_LOG_MASS_RATIO], 0, 0, 1e-12);
    assert_close(f[KTI_LOG_VOLUME], log(5.43 * 5.43 * 5.43 / 8), 1e-12, 0);
    assert_close(f[KTI_LOG_NEAREST_DISTANCE], log(5.43 * sqrt(3) / 4), 1e-12, 0);
    assert_close(f[KTI_LOG_MEAN_DISTANCE], log(5.43 * sqrt(3) / 4), 1e-12, 0);
    assert_close(f[KTI_COORDINATION], 4, 0, 1e-12);
    assert_close(f[KTI_LOG_SITES], log(2), 1e-12, 0);
    assert_close(f[KTI_ELECTRONEGATIVITY_MEAN], 1.90, 1e-12, 0);
    assert_close(f[KTI_ELECTRONEGATIVITY_DIFFERENCE], 0, 0, 1e-12);
    assert_close(f[KTI_MIN_ROW], 3, 0, 0);
    assert_close(f[KTI_MIN_GROUP], 14, 0, 0);
    assert_close(f[KTI_MAX_RADIUS], 110, 0, 0);
    assert_close(f[KTI_MAX_VALENCE], 4, 0, 0);
    assert_close(exp(f[KTI_LOG_BULK_MODULUS]), 98.79, 1e-3, 0);
    /* rho = 2330 kg/m^3, v = 6511 m/s, (6 pi^2 / 20.01 Å^3)^(1/3) = 1.436 / Å */
    assert_close(exp(f[KTI_LOG_DEBYE_TEMPERATURE]), 714.1, 2e-3, 0);
    /* 3.1e-6 x 28.085 x 714.1^3 x 2.715 / (4 x 2^(2/3) x 300) */
    assert_close(exp(f[KTI_LOG_SLACK_KAPPA]), 45.2, 5e-3, 0);
    kt_structure_destroy(&s);
}

/* III-V and II-VI: the ionicity of Cohen's formula, and which element is which. */
static void test_binary(void **state)
{
    (void)state;
    static const struct {
        int elements[2];
        double modulus_factor;
        int min, max;
    } cases[] = {
        {{31, 33}, 1971 - 220, 31, 33}, {{16, 30}, 1971 - 440, 30, 16}, {{17, 11}, 1971 - 660, 11, 17}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double f[KTI_FEATURES_OF_CRYSTAL];
        kt_structure s = make_structure(CELL, 2, cases[i].elements, ZINCBLENDE);
        const int min = cases[i].min, max = cases[i].max;
        features_of(&s, f);
        assert_close(exp(f[KTI_LOG_BULK_MODULUS]), cases[i].modulus_factor * pow(5.43 * sqrt(3) / 4, -3.5),
                     1e-9, 0);
        assert_close(f[KTI_MIN_ELECTRONEGATIVITY], kti_element_electronegativity(min), 0, 0);
        assert_close(f[KTI_MAX_ELECTRONEGATIVITY], kti_element_electronegativity(max), 0, 0);
        assert_close(f[KTI_MIN_LOG_MASS], log(kti_element_mass(min)), 0, 0);
        assert_close(f[KTI_MAX_LOG_MASS], log(kti_element_mass(max)), 0, 0);
        assert_close(f[KTI_LOG_MASS_RATIO], fabs(log(kti_element_mass(min) / kti_element_mass(max))), 1e-12,
                     0);
        kt_structure_destroy(&s);
    }
}

/* Electrons, affinities and the element in between, by hand. */
static void test_electrons(void **state)
{
    (void)state;
    static const double sites[3][3] = {{0, 0, 0}, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}};
    static const struct {
        int sites, elements[3];
        double min_d, max_d, affinity, charge, outer, middle, row;
    } cases[] = {
        /* NaCl: chlorine lacks one electron; (1 + 7) / 2; the two elements' means */
        {2, {11, 17}, 0, 0, 0.548, 1, 4, (0.93 + 3.16) / 2, 3},
        {2, {17, 11}, 0, 0, 0.548, 1, 4, (0.93 + 3.16) / 2, 3},
        /* ZnS: sulphur lacks two; zinc counts its d shell, (12 + 6) / 2; zinc's row is 4, sulphur's 3 */
        {2, {30, 16}, 10, 0, -0.6, 2, 9, (1.65 + 2.58) / 2, 3.5},
        /* GaAs: 10 d electrons each, arsenic lacks three */
        {2, {31, 33}, 10, 10, 0.430, 3, 4, (1.81 + 2.18) / 2, 4},
        /* TiNiSn: 4 + 10 + 4 = 18 electrons; tin lacks four; nickel is in between */
        {3, {22, 28, 50}, 2, 10, 0.079, 4, 6, 1.91, 4},
        /* LiAlSi: 8 electrons; aluminium is in between */
        {3, {3, 14, 13}, 0, 0, 0.618, 4, 8.0 / 3, 1.61, 3},
        /* NiTi: no anion */
        {2, {28, 22}, 2, 8, 0.079, 2, 7, (1.54 + 1.91) / 2, 4},
        /* Li2Te: each element counts once in the middle, each site in the mean, (1 + 1 + 6) / 3 */
        {3, {3, 52, 3}, 0, 10, 0.618, 2, 8.0 / 3, (0.98 + 2.1) / 2, 3.5},
        /* Silicon: one element is all three */
        {2, {14, 14}, 0, 0, 1.390, 4, 4, 1.90, 3},
        /* PbH: hydrogen is the lighter, and the more electronegative is lead; and LiH, where hydrogen lacks one */
        {2, {82, 1}, 0, 10, 0.754, 4, 2.5, (2.33 + 2.20) / 2, 3.5},
        {2, {3, 1}, 0, 0, 0.618, 1, 1, (0.98 + 2.20) / 2, 1.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double f[KTI_FEATURES_OF_CRYSTAL];
        kt_structure s = make_structure(CELL, cases[i].sites, cases[i].elements, sites);
        features_of(&s, f);
        assert_close(f[KTI_MIN_D_ELECTRONS], cases[i].min_d, 0, 0);
        assert_close(f[KTI_MAX_D_ELECTRONS], cases[i].max_d, 0, 0);
        assert_close(f[KTI_MIN_ELECTRON_AFFINITY], cases[i].affinity, 0, 1e-12);
        assert_close(f[KTI_LOG_ANION_CHARGE], log(cases[i].charge), 0, 1e-12);
        assert_close(f[KTI_OUTER_ELECTRONS], cases[i].outer, 0, 1e-12);
        assert_close(f[KTI_MIDDLE_ELECTRONEGATIVITY], cases[i].middle, 0, 1e-12);
        assert_close(f[KTI_MIDDLE_ROW], cases[i].row, 0, 1e-12);
        kt_structure_destroy(&s);
    }
}

/* Atoms farther apart than the graph's cutoff, and farther than any: numbers still. */
static void test_sparse(void **state)
{
    (void)state;
    static const double apart[] = {5, 11, 13, 90};
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++)
        for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++) {
            double f[KTI_FEATURES_OF_CRYSTAL];
            const double cell[3][3] = {{apart[i], 0, 0}, {0, apart[i], 0}, {0, 0, apart[i]}},
                         at[1][3] = {{0}};
            if (kti_element_type(number) < 0)
                continue;
            kt_structure s = make_structure(cell, 1, &number, at);
            features_of(&s, f);
            assert_close(f[KTI_LOG_NEAREST_DISTANCE], log(fmin(apart[i], 12)), 1e-12, 0);
            assert_close(f[KTI_COORDINATION], apart[i] < 12 ? 6 : 0, 0, 0);
            assert_true(f[KTI_MIN_ELECTRONEGATIVITY] > 0 && f[KTI_MIN_RADIUS] > 0);
            for (kti_feature k = 0; k < KTI_FEATURES_OF_CRYSTAL; k++)
                assert_true(isfinite(f[k]));
            kt_structure_destroy(&s);
        }
}

/* times[] cells, turned, shifted, the sites in another order. */
static kt_structure disguise(const kt_structure *cell, const int times[3], draws *d)
{
    const double c = cos(0.7), s = sin(0.7);
    const double turn[3][3] = {{c, s, 0}, {-s * c, c * c, s}, {s * s, -s * c, c}};
    const int copies = times[0] * times[1] * times[2];
    kt_structure made = {.sites = cell->sites * copies};
    made.atomic_number = malloc((size_t)made.sites * sizeof *made.atomic_number);
    made.fractional = malloc((size_t)made.sites * sizeof *made.fractional);
    assert_non_null(made.atomic_number);
    assert_non_null(made.fractional);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            for (int x = 0; x < 3; x++)
                made.lattice[i][k] += times[i] * cell->lattice[i][x] * turn[x][k];
    for (int n = 0; n < made.sites; n++) {
        const int copy = n / cell->sites, from = n % cell->sites;
        const int shift[3] = {copy % times[0], copy / times[0] % times[1], copy / times[0] / times[1]};
        /* Insertion at a drawn place shuffles. */
        const int to = (int)(draw(d) % (uint64_t)(n + 1));
        made.atomic_number[n] = made.atomic_number[to];
        memcpy(made.fractional[n], made.fractional[to], sizeof made.fractional[n]);
        made.atomic_number[to] = cell->atomic_number[from];
        for (int x = 0; x < 3; x++)
            made.fractional[to][x] = (cell->fractional[from][x] + shift[x] + 0.21 + x) / times[x];
    }
    return made;
}

static void test_invariance(void **state)
{
    (void)state;
    static const char *const names[] = {"togo15/mp-1000", "aflow_agl/Ba2N2Zn1_ICSD_80377",
                                        "aflow_agl/Cl6K2Pt1_ICSD_2582", "aflow_agl/Nd1Sb1_ICSD_645680",
                                        "aflow_agl/O3Sc2_ICSD_24200"};
    static const int times[][3] = {{1, 1, 1}, {2, 1, 1}, {1, 3, 2}};
    draws d = {11};
    int compared = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        kt_structure cell;
        double reference[KTI_FEATURES_OF_CRYSTAL], own[KTI_FEATURES_OF_CRYSTAL];
        snprintf(path, sizeof path, "%s/%s.cif", data_path(""), names[i]);
        if (kt_structure_read(path, &cell, NULL) != KT_OK)
            continue;
        features_of(&cell, reference);
        for (size_t k = 0; k < sizeof times / sizeof times[0]; k++, compared++) {
            kt_structure other = disguise(&cell, times[k], &d);
            if (other.sites <= 512) {
                features_of(&other, own);
                assert_same(own, reference);
            }
            kt_structure_destroy(&other);
        }
        kt_structure_destroy(&cell);
    }
    assert_true(compared >= 12);
    /* And a comparison that fails: another element, a longer cell. */
    double f[KTI_FEATURES_OF_CRYSTAL], g[KTI_FEATURES_OF_CRYSTAL];
    kt_structure left = make_structure(CELL, 2, (const int[]){14, 14}, ZINCBLENDE);
    kt_structure right = make_structure(CELL, 2, (const int[]){14, 32}, ZINCBLENDE);
    features_of(&left, f);
    features_of(&right, g);
    for (kti_feature i = KTI_MAX_ELECTRONEGATIVITY; i <= KTI_MAX_LOG_MASS; i++)
        if (i != KTI_MAX_GROUP)
            assert_false(close_to(f[i], g[i], 1e-9, 1e-9));
    kt_structure_destroy(&left);
    kt_structure_destroy(&right);
}

static int features_of_folder(const char *folder)
{
    int seen = 0;
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char path[512];
        kt_structure s;
        kti_graph graph;
        const kti_graph_options options = kti_graph_options_default();
        if (!strstr(entry->d_name, ".cif"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (kt_structure_read(path, &s, NULL) != KT_OK)
            continue;
        if (kti_graph_create(&s, &options, path, &graph, NULL) == KT_OK) {
            double state[KTI_STATE_PHYSICS];
            seen++;
            for (kti_feature i = 0; i < KTI_FEATURES_OF_CRYSTAL; i++)
                if (!isfinite(graph.feature[i]))
                    fail_msg("%s: %s is %g", path, kti_feature_name(i), graph.feature[i]);
            kti_physics_of_crystal(graph.feature, state);
            for (int i = 0; i < KTI_STATE_PHYSICS; i++)
                if (!(fabs(state[i]) < 8))
                    fail_msg("%s: state input %d is %g", path, i, state[i]);
            kti_graph_destroy(&graph);
        }
        kt_structure_destroy(&s);
    }
    closedir(list);
    return seen;
}

static void test_data_sets(void **state)
{
    (void)state;
    assert_true(features_of_folder(data_path("togo15")) == TOGO15_CRYSTALS);
    assert_true(features_of_folder(data_path("hh143")) == hh143_crystals());
    assert_true(features_of_folder(data_path("aflow_agl")) >= aflow_crystals() - AFLOW_EDGELESS);
}

static void test_elements(void **state)
{
    (void)state;
    static const struct {
        const char *symbol;
        int row, group, valence, d_electrons, outer;
    } cases[] = {{"H", 1, 1, 1, 0, 1},     {"He", 1, 18, 0, 0, 2},   {"B", 2, 13, 3, 0, 3},
                 {"Ne", 2, 18, 0, 0, 8},   {"Mg", 3, 2, 2, 0, 2},    {"Cl", 3, 17, 7, 0, 7},
                 {"Sc", 4, 3, 3, 1, 3},    {"Mn", 4, 7, 5, 5, 7},    {"Cu", 4, 11, 1, 10, 11},
                 {"Zn", 4, 12, 2, 10, 12}, {"As", 4, 15, 5, 10, 5},  {"Cs", 6, 1, 1, 0, 1},
                 {"La", 6, 3, 3, 1, 3},    {"Eu", 6, 3, 2, 0, 3},    {"Lu", 6, 3, 3, 1, 3},
                 {"Hf", 6, 4, 4, 2, 4},    {"Pb", 6, 14, 4, 10, 4},  {"Ac", 7, 3, 3, 1, 3},
                 {"Pu", 7, 3, 3, 0, 3},    {"Pd", 5, 10, 2, 10, 10}, {"Pt", 6, 10, 2, 9, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int number = kti_element_number(cases[i].symbol);
        assert_int_equal(kti_element_row(number), cases[i].row);
        assert_int_equal(kti_element_group(number), cases[i].group);
        assert_int_equal(kti_element_valence(number), cases[i].valence);
        assert_int_equal(kti_element_d_electrons(number), cases[i].d_electrons);
        assert_int_equal(kti_element_outer_electrons(number), cases[i].outer);
    }
    for (int outside = -1; outside <= 119; outside += outside == 0 ? 119 : 1) {
        assert_int_equal(kti_element_row(outside), 0);
        assert_int_equal(kti_element_group(outside), 0);
        assert_true(kti_element_mass(outside) == 0 && kti_element_radius(outside) == 0);
        assert_true(kti_element_electron_affinity(outside) == 0 && kti_element_d_electrons(outside) == 0);
        assert_int_equal(kti_element_outer_electrons(outside), 0);
    }
    /* Standardised: over the 89 elements each input has mean 0 and variance 1. */
    double sum[KTI_NODE_PHYSICS] = {0}, squares[KTI_NODE_PHYSICS] = {0};
    for (int type = 0; type < KTI_ELEMENT_TYPES; type++) {
        double own[KTI_NODE_PHYSICS];
        kti_physics_of_element(type, own);
        for (int i = 0; i < KTI_NODE_PHYSICS; i++) {
            sum[i] += own[i];
            squares[i] += own[i] * own[i];
        }
    }
    for (int i = 0; i < KTI_NODE_PHYSICS; i++) {
        assert_close(sum[i], 0, 0, 1e-9);
        assert_close(squares[i], KTI_ELEMENT_TYPES, 1e-9, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silicon),  cmocka_unit_test(test_binary),     cmocka_unit_test(test_electrons),
        cmocka_unit_test(test_sparse),   cmocka_unit_test(test_invariance), cmocka_unit_test(test_data_sets),
        cmocka_unit_test(test_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
