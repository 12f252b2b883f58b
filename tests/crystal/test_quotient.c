/* The symmetry quotient: known crystals, invariances, and crystals on which a coarser partition would be
 * wrong. */
#include "support.h"

#include <math.h>

static const double FCC[3][3] = {{0, 2.8, 2.8}, {2.8, 0, 2.8}, {2.8, 2.8, 0}};

static kt_structure rocksalt(void)
{
    const double at[2][3] = {{0, 0, 0}, {0.5, 0.5, 0.5}};
    return make_structure(FCC, 2, (const int[]){11, 17}, at);
}

/* na x nb x nc cells, shifted by an origin, sites in an order drawn from `seed`. */
static kt_structure supercell(const kt_structure *cell, const int times[3], const double origin[3],
                              uint64_t seed)
{
    int copies = times[0] * times[1] * times[2], n = 0;
    draws d = {seed};
    kt_structure s = {.sites = cell->sites * copies};
    s.atomic_number = malloc((size_t)s.sites * sizeof *s.atomic_number);
    s.fractional = malloc((size_t)s.sites * sizeof *s.fractional);
    assert_non_null(s.atomic_number);
    assert_non_null(s.fractional);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            s.lattice[i][k] = cell->lattice[i][k] * times[i];
    for (int i = 0; i < times[0]; i++)
        for (int j = 0; j < times[1]; j++)
            for (int k = 0; k < times[2]; k++)
                for (int a = 0; a < cell->sites; a++, n++) {
                    int shift[3] = {i, j, k};
                    s.atomic_number[n] = cell->atomic_number[a];
                    for (int x = 0; x < 3; x++)
                        s.fractional[n][x] = (cell->fractional[a][x] + shift[x] + origin[x]) / times[x];
                }
    for (int a = s.sites - 1; a > 0; a--) {
        int b = (int)(draw(&d) % (uint64_t)(a + 1)), number = s.atomic_number[a];
        s.atomic_number[a] = s.atomic_number[b];
        s.atomic_number[b] = number;
        for (int x = 0; x < 3; x++) {
            double kept = s.fractional[a][x];
            s.fractional[a][x] = s.fractional[b][x];
            s.fractional[b][x] = kept;
        }
    }
    return s;
}

static void test_rocksalt(void **state)
{
    (void)state;
    kt_structure s = rocksalt();
    kti_graph g = make_graph(&s, true);
    /* 6 neighbours at 2.8 Å and 12 of the own kind at 2.8 sqrt(2) = 3.96 Å. */
    static const int target[4] = {0, 0, 1, 1}, source[4] = {0, 1, 0, 1}, weight[4] = {12, 6, 6, 12};
    assert_int_equal(g.nodes, 2);
    assert_int_equal(g.edges, 4);
    assert_int_equal(g.sites, 2);
    assert_int_equal(g.directed_edges, 36);
    assert_int_equal(g.node_type[0], 10);
    assert_int_equal(g.node_type[1], 16);
    for (int e = 0; e < 4; e++) {
        assert_int_equal(g.edge_target[e], target[e]);
        assert_int_equal(g.edge_source[e], source[e]);
        assert_close(g.edge_weight[e], weight[e], 0, 0);
        assert_close(g.edge_distance[e], weight[e] == 6 ? 2.8 : 2.8 * sqrt(2), 1e-12, 0);
    }
    kti_graph_destroy(&g);
    kt_structure_destroy(&s);
}

static void test_diamond_is_one_node(void **state)
{
    (void)state;
    const double lattice[3][3] = {{0, 2.715, 2.715}, {2.715, 0, 2.715}, {2.715, 2.715, 0}};
    const double at[2][3] = {{0, 0, 0}, {0.25, 0.25, 0.25}};
    kt_structure s = make_structure(lattice, 2, (const int[]){14, 14}, at);
    kti_graph g = make_graph(&s, true);
    assert_int_equal(g.nodes, 1);
    assert_close(g.node_weight[0], 2, 0, 0);
    assert_int_equal(g.edges, 2); /* 4 at 2.35 Å, 12 at 3.84 Å, a site */
    assert_close(g.edge_weight[0], 8, 0, 0);
    assert_close(g.edge_weight[1], 24, 0, 0);
    kti_graph_destroy(&g);
    kt_structure_destroy(&s);
}

static void check_same_quotient(const kt_structure *cell, const kt_structure *other)
{
    kti_graph a = make_graph(cell, true), b = make_graph(other, true), full = make_graph(other, false);
    check_equitable(&full, &b);
    check_weights(&full, &b);
    assert_int_equal(a.nodes, b.nodes);
    assert_int_equal(a.edges, b.edges);
    kti_graph_destroy(&a);
    kti_graph_destroy(&b);
    kti_graph_destroy(&full);
}

static void test_supercells_origins_and_orders_have_the_same_quotient(void **state)
{
    (void)state;
    static const char *const ids[] = {"togo15/mp-1000", "hh143/mp-2894", "aflow_agl/Ag1Al1O2_ICSD_160643",
                                      "aflow_agl/Ag1C2K1_ICSD_410874"};
    static const int times[][3] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 3}, {3, 2, 2}};
    static const double origins[][3] = {{0, 0, 0}, {0.1, 0.2, 0.3}, {-0.77, 1.5, 0.123456}, {0.5, 0.5, 0.5}};
    for (int c = 0; c < 4; c++) {
        char path[256];
        kt_structure cell;
        kt_error error = KT_ERROR_NONE;
        snprintf(path, sizeof path, "%s/%s.cif", data_path(""), ids[c]);
        if (kt_structure_read(path, &cell, &error) != KT_OK)
            fail_msg("%s: %s", error.file, error.message);
        for (uint64_t i = 0; i < 4; i++) {
            kt_structure other = supercell(&cell, times[i], origins[i], i + 1);
            check_same_quotient(&cell, &other);
            kt_structure_destroy(&other);
        }
        kt_structure_destroy(&cell);
    }
}

/* Without symmetry every site is its own node and every pair its own edge. */
static void test_a_crystal_without_symmetry_stays_whole(void **state)
{
    (void)state;
    draws d = {9};
    const double lattice[3][3] = {{9, 0, 0}, {0.4, 8.3, 0}, {-0.3, 0.7, 8.8}};
    enum { SITES = 25 };
    double at[SITES][3];
    int element[SITES];
    for (int s = 0; s < SITES; s++) {
        element[s] = 14;
        for (int k = 0; k < 3; k++)
            at[s][k] = draw_between(&d, 0, 1);
    }
    kt_structure s = make_structure(lattice, SITES, element, at);
    kti_graph full = make_graph(&s, false), quotient = make_graph(&s, true);
    assert_int_equal(quotient.nodes, SITES);
    assert_int_equal(quotient.edges, full.edges);
    check_equitable(&full, &quotient);
    check_weights(&full, &quotient);
    kti_graph_destroy(&full);
    kti_graph_destroy(&quotient);
    kt_structure_destroy(&s);
}

/* In a large disordered crystal the sorted distances have no gap: they must not run together into one label.
 */
static void test_crowded_distances_do_not_run_together(void **state)
{
    (void)state;
    draws d = {10};
    enum { SIDE = 12, SITES = SIDE * SIDE * SIDE };
    const double lattice[3][3] = {{SIDE * 2.5, 0, 0}, {0, SIDE * 2.5, 0}, {0, 0, SIDE * 2.5}};
    double(*at)[3] = malloc(SITES * sizeof *at);
    int *element = malloc(SITES * sizeof *element);
    assert_non_null(at);
    assert_non_null(element);
    for (int s = 0; s < SITES; s++) {
        int cell[3] = {s / (SIDE * SIDE), s / SIDE % SIDE, s % SIDE};
        element[s] = 29;
        for (int k = 0; k < 3; k++)
            at[s][k] = (cell[k] + draw_between(&d, -0.15, 0.15)) / SIDE;
    }
    kt_structure s = make_structure(lattice, SITES, element, (const double(*)[3])at);
    kti_graph full = make_graph(&s, false), quotient = make_graph(&s, true);
    assert_int_equal(quotient.nodes, SITES);
    check_weights(&full, &quotient);
    /* Edge by edge: the quotient's mean is never far from what it stands for. */
    double worst = 0;
    for (int e = 0, q = 0; e < full.edges; e++) {
        while (quotient.edge_target[q] != full.edge_target[e] ||
               quotient.edge_source[q] != full.edge_source[e] ||
               fabs(quotient.edge_distance[q] - full.edge_distance[e]) > 1e-3)
            assert_true(++q < quotient.edges);
        worst = fmax(worst, fabs(quotient.edge_distance[q] - full.edge_distance[e]));
    }
    assert_true(worst <= 1e-3);
    kti_graph_destroy(&full);
    kti_graph_destroy(&quotient);
    kt_structure_destroy(&s);
    free(at);
    free(element);
}

/* A long chain whose ends differ: refinement must travel all its way, one neighbour a round. */
static void test_refinement_reaches_the_end_of_a_chain(void **state)
{
    (void)state;
    enum { SITES = 3000 };
    double(*at)[3] = malloc(SITES * sizeof *at);
    int *element = malloc(SITES * sizeof *element);
    assert_non_null(at);
    assert_non_null(element);
    const double lattice[3][3] = {{SITES * 3.0, 0, 0}, {0, 20, 0}, {0, 0, 20}};
    for (int s = 0; s < SITES; s++) {
        element[s] = s == 0 ? 8 : 6;
        at[s][0] = (double)s / SITES;
        at[s][1] = at[s][2] = 0;
    }
    kt_structure s = make_structure(lattice, SITES, element, (const double(*)[3])at);
    kti_graph graph = make_graph(&s, true);
    /* A ring with one marked site: sites pair up by their distance from it. */
    assert_int_equal(graph.nodes, SITES / 2 + 1);
    for (int i = 1; i < SITES; i++)
        assert_int_equal(graph.site_node[i], graph.site_node[SITES - i]);
    kti_graph_destroy(&graph);
    kt_structure_destroy(&s);
    free(at);
    free(element);
}

/* Noise below the gap is one distance, its mean; beyond it two. */
static void test_the_gap_decides_what_is_one_distance(void **state)
{
    (void)state;
    const struct {
        double noise;
        int edges;
    } cases[] = {{0.00009, 1}, {0.0003, 2}};
    for (int i = 0; i < 2; i++) {
        const double lattice[3][3] = {{3, 0, 0}, {0, 3 + cases[i].noise, 0}, {0, 0, 9}},
                     at[1][3] = {{0, 0, 0}};
        kt_structure s = make_structure(lattice, 1, (const int[]){6}, at);
        kti_graph graph = make_graph(&s, true);
        assert_int_equal(graph.edges, cases[i].edges);
        assert_close(graph.edge_distance[0], cases[i].edges == 1 ? 3 + cases[i].noise / 2 : 3, 1e-14, 0);
        kti_graph_destroy(&graph);
        kt_structure_destroy(&s);
    }
}

static void test_same_structure_same_bits(void **state)
{
    (void)state;
    kt_structure s;
    kt_error error = KT_ERROR_NONE;
    assert_int_equal(kt_structure_read(data_path("aflow_agl/Ag1Al1O2_ICSD_160643.cif"), &s, &error), KT_OK);
    kti_graph a = make_graph(&s, true), b = make_graph(&s, true);
    assert_int_equal(a.edges, b.edges);
    assert_memory_equal(a.edge_distance, b.edge_distance, (size_t)a.edges * sizeof *a.edge_distance);
    assert_memory_equal(a.edge_weight, b.edge_weight, (size_t)a.edges * sizeof *a.edge_weight);
    assert_memory_equal(a.edge_source, b.edge_source, (size_t)a.edges * sizeof *a.edge_source);
    kti_graph_destroy(&a);
    kti_graph_destroy(&b);
    kt_structure_destroy(&s);
}

/* The comparison itself: a quotient that lumps two different sites, or a wrong weight, must not pass. */
static void test_a_wrong_sum_is_seen(void **state)
{
    (void)state;
    assert_true(close_to(1, 1 + 1e-7, 1e-6, 0));
    assert_false(close_to(1, 1.1, 1e-6, 0));
    assert_false(close_to(NAN, 1, 1e-6, 1e300));
    assert_false(close_to(INFINITY, INFINITY, 1e-6, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rocksalt),
        cmocka_unit_test(test_diamond_is_one_node),
        cmocka_unit_test(test_supercells_origins_and_orders_have_the_same_quotient),
        cmocka_unit_test(test_a_crystal_without_symmetry_stays_whole),
        cmocka_unit_test(test_crowded_distances_do_not_run_together),
        cmocka_unit_test(test_refinement_reaches_the_end_of_a_chain),
        cmocka_unit_test(test_the_gap_decides_what_is_one_distance),
        cmocka_unit_test(test_same_structure_same_bits),
        cmocka_unit_test(test_a_wrong_sum_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
