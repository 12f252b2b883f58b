/* The cell list against a search through images that knows no bins, no reduction and no symmetry of pairs. */
#include "support.h"

#include <math.h>

typedef struct edge {
    int target, source;
    double distance;
} edge;

static int compare_edges(const void *left, const void *right)
{
    const edge *a = left, *b = right;
    if (a->target != b->target)
        return a->target - b->target;
    if (a->source != b->source)
        return a->source - b->source;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

/* Images -n..n along each vector, n from the heights of the cell as it is written. */
static edge *search_images(const kt_structure *s, double cutoff, int *count)
{
    const double(*l)[3] = (const double(*)[3])s->lattice;
    double heights[3], volume = 0, spread = 0;
    int reach[3], capacity = 0;
    edge *edges = NULL;
    *count = 0;
    for (int i = 0; i < 3; i++) {
        const double *a = l[(i + 1) % 3], *b = l[(i + 2) % 3];
        double area[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
        volume = fabs(l[i][0] * area[0] + l[i][1] * area[1] + l[i][2] * area[2]);
        heights[i] = volume / sqrt(area[0] * area[0] + area[1] * area[1] + area[2] * area[2]);
    }
    for (int a = 0; a < s->sites; a++)
        for (int b = 0; b < s->sites; b++)
            for (int i = 0; i < 3; i++)
                spread = fmax(spread, fabs(s->fractional[a][i] - s->fractional[b][i]));
    for (int i = 0; i < 3; i++)
        reach[i] = (int)ceil(cutoff / heights[i] + spread) + 1;
    for (int a = 0; a < s->sites; a++)
        for (int b = 0; b < s->sites; b++)
            for (int i = -reach[0]; i <= reach[0]; i++)
                for (int j = -reach[1]; j <= reach[1]; j++)
                    for (int k = -reach[2]; k <= reach[2]; k++) {
                        double f[3] = {s->fractional[b][0] - s->fractional[a][0] + i,
                                       s->fractional[b][1] - s->fractional[a][1] + j,
                                       s->fractional[b][2] - s->fractional[a][2] + k};
                        double square = 0;
                        for (int x = 0; x < 3; x++) {
                            double along = f[0] * l[0][x] + f[1] * l[1][x] + f[2] * l[2][x];
                            square += along * along;
                        }
                        double d = sqrt(square);
                        if (!(d > 1e-8 && d <= cutoff + 1e-8))
                            continue;
                        if (*count == capacity) {
                            capacity = capacity ? 2 * capacity : 256;
                            edges = realloc(edges, (size_t)capacity * sizeof *edges);
                            assert_non_null(edges);
                        }
                        edges[(*count)++] = (edge){a, b, d};
                    }
    if (*count > 0)
        qsort(edges, (size_t)*count, sizeof *edges, compare_edges);
    return edges;
}

static void compare_with_images(const kt_structure *structure, double cutoff)
{
    int count;
    edge *edges = search_images(structure, cutoff, &count);
    kti_graph graph;
    kt_error error = KT_ERROR_NONE;
    kti_graph_options options = kti_graph_options_default();
    options.quotient = false;
    options.cutoff = cutoff;
    if (kti_graph_create(structure, &options, NULL, &graph, &error) != KT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(graph.nodes, structure->sites);
    assert_int_equal(graph.edges, count);
    assert_int_equal(graph.directed_edges, count);
    for (int e = 0; e < count; e++) {
        assert_int_equal(graph.edge_target[e], edges[e].target);
        assert_int_equal(graph.edge_source[e], edges[e].source);
        assert_close(graph.edge_distance[e], edges[e].distance, 1e-9, 0);
        assert_close(graph.edge_weight[e], 1, 0, 0);
    }
    kti_graph_destroy(&graph);
    free(edges);
}

/* A cell with lengths in [low, high] and whole multiples of a vector added to another up to `skew` times. */
static kt_structure random_crystal(draws *d, int sites, double low, double high, int skew)
{
    kt_structure s = {.sites = sites};
    double volume = 0, lengths = 1;
    s.atomic_number = malloc((size_t)sites * sizeof *s.atomic_number);
    s.fractional = malloc((size_t)sites * sizeof *s.fractional);
    assert_non_null(s.atomic_number);
    assert_non_null(s.fractional);
    while (volume < 0.05 * lengths) {
        lengths = 1;
        for (int i = 0; i < 3; i++) {
            double square = 0, length = draw_between(d, low, high);
            for (int k = 0; k < 3; k++) {
                s.lattice[i][k] = draw_between(d, -1, 1);
                square += s.lattice[i][k] * s.lattice[i][k];
            }
            for (int k = 0; k < 3; k++)
                s.lattice[i][k] *= length / sqrt(square);
            lengths *= length;
        }
        const double *a = s.lattice[0], *b = s.lattice[1], *c = s.lattice[2];
        volume = fabs(a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) +
                      a[2] * (b[0] * c[1] - b[1] * c[0]));
    }
    for (int k = 0; k < 3; k++) {
        s.lattice[1][k] += skew * s.lattice[0][k];
        s.lattice[2][k] -= skew * s.lattice[1][k];
    }
    for (int i = 0; i < sites; i++) {
        s.atomic_number[i] = 1 + (int)(draw(d) % 83);
        for (int k = 0; k < 3; k++)
            s.fractional[i][k] = draw_between(d, -2, 2);
    }
    return s;
}

static void compare_many(uint64_t seed, int crystals, int max_sites, double low, double high, int skew)
{
    draws d = {seed};
    for (int i = 0; i < crystals; i++) {
        kt_structure s = random_crystal(&d, 1 + (int)(draw(&d) % (uint64_t)max_sites), low, high, skew);
        compare_with_images(&s, i % 3 == 0 ? 2.7 : 4.0);
        kt_structure_destroy(&s);
    }
}

static void test_ordinary_cells(void **state)
{
    (void)state;
    compare_many(1, 60, 9, 3, 8, 0);
}

static void test_tiny_cells(void **state)
{
    (void)state;
    compare_many(2, 40, 2, 0.7, 1.3, 0);
}

static void test_cells_of_unequal_lengths(void **state)
{
    (void)state;
    compare_many(3, 40, 5, 1, 25, 0);
}

static void test_skewed_cells(void **state)
{
    (void)state;
    compare_many(4, 20, 3, 3, 5, 1);
    compare_many(5, 6, 2, 4, 5, 2);
}

static void test_large_cells_of_many_bins(void **state)
{
    (void)state;
    compare_many(6, 4, 150, 14, 22, 0);
}

static void test_a_lone_atom_in_a_huge_cell_has_no_edge(void **state)
{
    (void)state;
    const double lattice[3][3] = {{90000, 0, 0}, {0, 90000, 0}, {0, 0, 90000}}, at[1][3] = {{0.5, 0.5, 0.5}};
    kt_structure s = make_structure(lattice, 1, (const int[]){14}, at);
    for (int quotient = 0; quotient < 2; quotient++) {
        kti_graph graph = make_graph(&s, quotient);
        assert_int_equal(graph.nodes, 1);
        assert_int_equal(graph.edges, 0);
        kti_graph_destroy(&graph);
    }
    kt_structure_destroy(&s);
}

/* A neighbour exactly at the cutoff counts, one just beyond the tolerance does not. */
static void test_the_cutoff_is_inclusive(void **state)
{
    (void)state;
    const double at[1][3] = {{0.1, 0.2, 0.3}};
    const double edge_length[3] = {4.0, 4.0 + 0.9e-8, 4.0 + 1.2e-8};
    for (int i = 0; i < 3; i++) {
        const double lattice[3][3] = {{edge_length[i], 0, 0}, {0, 9, 0}, {0, 0, 9}};
        kt_structure s = make_structure(lattice, 1, (const int[]){14}, at);
        kti_graph graph = make_graph(&s, false);
        assert_int_equal(graph.edges, i < 2 ? 2 : 0);
        kti_graph_destroy(&graph);
        kt_structure_destroy(&s);
    }
}

static void test_bad_arguments_and_crystals(void **state)
{
    (void)state;
    const double good[3][3] = {{4, 0, 0}, {0, 4, 0}, {0, 0, 4}},
                 flat[3][3] = {{4, 0, 0}, {0, 4, 0}, {4, 4, 0}};
    const double nan_lattice[3][3] = {{4, 0, 0}, {0, NAN, 0}, {0, 0, 4}};
    const double at[1][3] = {{0, 0, 0}}, nowhere[1][3] = {{0, INFINITY, 0}};
    const struct {
        const double (*lattice)[3];
        const double (*at)[3];
        int element;
        double cutoff, gap;
        kt_status status;
        const char *fragment;
    } cases[] = {
        {good, at, 14, NAN, 1e-4, KT_BAD_ARGUMENT, "cutoff"},
        {good, at, 14, 0, 1e-4, KT_BAD_ARGUMENT, "cutoff"},
        {good, at, 14, 4, -1, KT_BAD_ARGUMENT, "gap"},
        {good, at, 84, 4, 1e-4, KT_BAD_CRYSTAL, "site 1 is Po"},
        {good, at, 119, 4, 1e-4, KT_BAD_CRYSTAL, "no element"},
        {good, nowhere, 14, 4, 1e-4, KT_BAD_CRYSTAL, "site 1 has a coordinate"},
        {flat, at, 14, 4, 1e-4, KT_BAD_CRYSTAL, "flat"},
        {nan_lattice, at, 14, 4, 1e-4, KT_BAD_CRYSTAL, "lattice vector 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kt_error error = KT_ERROR_NONE;
        kti_graph graph;
        kti_graph_options options = {cases[i].cutoff, true, cases[i].gap};
        kt_structure s = make_structure(cases[i].lattice, 1, &cases[i].element, cases[i].at);
        assert_int_equal(kti_graph_create(&s, &options, "input", &graph, &error), cases[i].status);
        if (!strstr(error.message, cases[i].fragment))
            fail_msg("\"%s\" is not in: %s", cases[i].fragment, error.message);
        assert_null(graph.site_node);
        kt_structure_destroy(&s);
    }
}

/* Within 20 Å two sites of a cell of 0.1 Å have 134 million edges: refused when the limit is reached. */
static void test_too_many_edges(void **state)
{
    (void)state;
    const double lattice[3][3] = {{0.1, 0, 0}, {0, 0.1, 0}, {0, 0, 0.1}},
                 at[2][3] = {{0, 0, 0}, {0.5, 0.5, 0.5}};
    kti_graph_options options = {.cutoff = 20, .quotient = true, .distance_gap = 1e-4};
    kti_graph graph;
    kt_error error = KT_ERROR_NONE;
    kt_structure s = make_structure(lattice, 2, (const int[]){14, 14}, at);
    assert_int_equal(kti_graph_create(&s, &options, "input", &graph, &error), KT_BAD_CRYSTAL);
    assert_non_null(strstr(error.message, "more than 8000000 edges"));
    assert_string_equal(error.file, "input");
    assert_null(graph.edge_source);
    kt_structure_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary_cells),
        cmocka_unit_test(test_tiny_cells),
        cmocka_unit_test(test_cells_of_unequal_lengths),
        cmocka_unit_test(test_skewed_cells),
        cmocka_unit_test(test_large_cells_of_many_bins),
        cmocka_unit_test(test_a_lone_atom_in_a_huge_cell_has_no_edge),
        cmocka_unit_test(test_the_cutoff_is_inclusive),
        cmocka_unit_test(test_bad_arguments_and_crystals),
        cmocka_unit_test(test_too_many_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
