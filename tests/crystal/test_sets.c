/* The three data sets against the reference graphs: every crystal is read, every listed one has the same
 * graph. */
#include "support.h"

#include <dirent.h>
#include <math.h>

typedef struct sums {
    double sites, edges, distance, square;
    int min, max; /* in-degree */
} sums;

static sums sum_graph(const kti_graph *graph)
{
    sums s = {.min = INT32_MAX};
    double *degree = calloc((size_t)graph->nodes, sizeof *degree);
    assert_non_null(degree);
    for (int n = 0; n < graph->nodes; n++)
        s.sites += graph->node_weight[n];
    for (int e = 0; e < graph->edges; e++) {
        double d = graph->edge_distance[e], w = graph->edge_weight[e];
        s.edges += w;
        s.distance += w * d;
        s.square += w * d * d;
        degree[graph->edge_target[e]] += w;
    }
    for (int n = 0; n < graph->nodes; n++) {
        int d = (int)(degree[n] / graph->node_weight[n]);
        assert_close(d * graph->node_weight[n], degree[n], 0, 0);
        s.min = d < s.min ? d : s.min;
        s.max = d > s.max ? d : s.max;
    }
    free(degree);
    return s;
}

static kt_structure read_crystal(const char *set, const char *id)
{
    char path[512];
    kt_structure structure;
    kt_error error = KT_ERROR_NONE;
    snprintf(path, sizeof path, "%s/%s.cif", data_path(set), id);
    if (kt_structure_read(path, &structure, &error) != KT_OK)
        fail_msg("%s: %s", error.file, error.message);
    return structure;
}

static void compare_row(const char *set, char *row)
{
    char *id = strtok(row, ",");
    double value[6];
    assert_non_null(id);
    for (int i = 0; i < 6; i++) {
        char *field = strtok(NULL, ",");
        assert_non_null(field);
        value[i] = atof(field);
    }
    kt_structure structure = read_crystal(set, id);
    for (int quotient = 0; quotient < 2; quotient++) {
        kti_graph graph = make_graph(&structure, quotient);
        sums s = sum_graph(&graph);
        if (s.sites != value[0] || s.edges != value[1] || !close_to(s.distance, value[2], 1e-6, 1e-9) ||
            !close_to(s.square, value[3], 1e-6, 1e-9) || s.min != (int)value[4] || s.max != (int)value[5])
            fail_msg(
                "%s, quotient %d: %g sites, %g edges, sums %.10f %.10f, degrees %d..%d; expected %g, %g, "
                "%.10f %.10f, %g..%g",
                id, quotient, s.sites, s.edges, s.distance, s.square, s.min, s.max, value[0], value[1],
                value[2], value[3], value[4], value[5]);
        kti_graph_destroy(&graph);
    }
    kt_structure_destroy(&structure);
}

static void compare_set(const char *set, int rows)
{
    char path[512], line[512];
    int seen = 0;
    snprintf(path, sizeof path, "%s/graphs_%s.csv", golden_path(""), set);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        compare_row(set, line);
        seen++;
    }
    fclose(file);
    assert_int_equal(seen, rows);
}

static void test_togo15_equals_the_reference(void **state)
{
    (void)state;
    compare_set("togo15", TOGO15_CRYSTALS);
}

static void test_hh143_equals_the_reference(void **state)
{
    (void)state;
    compare_set("hh143", hh143_crystals());
}

static void test_aflow_equals_the_reference(void **state)
{
    (void)state;
    compare_set("aflow_agl", aflow_golden());
}

static void test_every_crystal_is_read_and_its_quotient_is_exact(void **state)
{
    const struct {
        const char *set;
        int files, edgeless;
    } sets[] = {{"togo15", TOGO15_CRYSTALS, 0},
                {"hh143", hh143_crystals(), 0},
                {"aflow_agl", aflow_crystals(), AFLOW_EDGELESS}};
    (void)state;
    for (int i = 0; i < 3; i++) {
        int files = 0, edgeless = 0;
        DIR *folder = opendir(data_path(sets[i].set));
        assert_non_null(folder);
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char id[256];
            char *dot = strrchr(entry->d_name, '.');
            if (!dot || strcmp(dot, ".cif") != 0)
                continue;
            snprintf(id, sizeof id, "%.*s", (int)(dot - entry->d_name), entry->d_name);
            kt_structure structure = read_crystal(sets[i].set, id);
            kti_graph full = make_graph(&structure, false), quotient = make_graph(&structure, true);
            check_equitable(&full, &quotient);
            check_weights(&full, &quotient);
            edgeless += full.edges == 0;
            files++;
            kti_graph_destroy(&full);
            kti_graph_destroy(&quotient);
            kt_structure_destroy(&structure);
        }
        closedir(folder);
        assert_int_equal(files, sets[i].files);
        assert_int_equal(edgeless, sets[i].edgeless);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_togo15_equals_the_reference),
        cmocka_unit_test(test_hh143_equals_the_reference),
        cmocka_unit_test(test_aflow_equals_the_reference),
        cmocka_unit_test(test_every_crystal_is_read_and_its_quotient_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
