/* The tables of datasets/: all of them can be read, and four give the graphs of the structure files that datasets/make.py
 * wrote them from. */
#include "support.h"

#include "data/dataset.h"
#include "data/folder.h"

static const struct {
    const char *name;
    int crystals;
} tables[] = {{"togo15", 95}, {"hh143", 143}, {"kappa103", 103}, {"bte_literature", 75}, {"experiments", 98}};

enum { TABLES = sizeof tables / sizeof tables[0] };

/* Crystals whose file has noise that a table has not: its distances scatter by a little more than the gap within which a
 * quotient takes them for one. */
static const char *const noisy[] = {"HfS2_aflow_Hf1S2_ICSD_182677", "Ti2SnC_aflow_C1Sn1Ti2_ICSD_161063",
                                    "CaMnO3_aflow_Ca1Mn1O2_98_ICSD_153239"};

static void read_set(const char *path, double gap, kti_dataset *set)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset_options options = kti_dataset_options_default();
    if (gap > 0)
        options.graph.distance_gap = gap;
    assert_ok(kti_dataset_read(path, &options, set, &error), &error);
}

static void read_table(const char *name, double gap, kti_dataset *set)
{
    char path[512];
    snprintf(path, sizeof path, "datasets/%s.csv", name);
    read_set(path, gap, set);
}

static void every_row_can_be_used(void **state)
{
    (void)state;
    for (int i = 0; i < TABLES; i++) {
        kti_dataset set;
        read_table(tables[i].name, 0, &set);
        assert_int_equal(set.size, tables[i].crystals);
        assert_int_equal(set.rejected, 0);
        kti_dataset_destroy(&set);
    }
}

/* ---- two graphs with their nodes in any order ---- */

/* Edges are sorted by target, source and distance, so those of a pair of nodes stand together. */
typedef struct pairs {
    const kti_graph *graph;
    int *first; /* [nodes nodes + 1] of the edges into target t from source s, at t nodes + s */
} pairs;

static pairs find_pairs(const kti_graph *graph)
{
    const int n = graph->nodes;
    pairs p = {graph, calloc((size_t)n * n + 1, sizeof *p.first)};
    assert_non_null(p.first);
    for (int e = 0; e < graph->edges; e++)
        p.first[graph->edge_target[e] * n + graph->edge_source[e] + 1]++;
    for (int i = 0; i < n * n; i++)
        p.first[i + 1] += p.first[i];
    return p;
}

typedef struct matching {
    pairs a, b;
    int *partner;     /* [nodes of a] the node of b */
    double tolerance; /* Å */
} matching;

static bool same_edges(const matching *m, int target, int source)
{
    const int n = m->a.graph->nodes, i = target * n + source, j = m->partner[target] * n + m->partner[source];
    const int count = m->a.first[i + 1] - m->a.first[i];
    if (count != m->b.first[j + 1] - m->b.first[j])
        return false;
    for (int k = 0; k < count; k++) {
        const int x = m->a.first[i] + k, y = m->b.first[j] + k;
        if (m->a.graph->edge_weight[x] * m->b.graph->sites !=
                m->b.graph->edge_weight[y] * m->a.graph->sites ||
            !is_close(m->a.graph->edge_distance[x], m->b.graph->edge_distance[y], 0, m->tolerance))
            return false;
    }
    return true;
}

/* May node `node` of a, the last one with a partner, have it? */
static bool fits(const matching *m, int node)
{
    const int other = m->partner[node];
    if (m->a.graph->node_type[node] != m->b.graph->node_type[other] ||
        m->a.graph->node_weight[node] * m->b.graph->sites !=
            m->b.graph->node_weight[other] * m->a.graph->sites)
        return false;
    for (int k = 0; k <= node; k++)
        if ((k < node && m->partner[k] == other) || !same_edges(m, node, k) || !same_edges(m, k, node))
            return false;
    return true;
}

static bool match_from(matching *m, int node)
{
    if (node == m->a.graph->nodes)
        return true;
    for (m->partner[node] = 0; m->partner[node] < m->a.graph->nodes; m->partner[node]++)
        if (fits(m, node) && match_from(m, node + 1))
            return true;
    return false;
}

static bool same_graph(const kti_graph *a, const kti_graph *b, double tolerance)
{
    if (a->nodes != b->nodes || a->edges != b->edges)
        return false;
    matching m = {find_pairs(a), find_pairs(b), calloc((size_t)a->nodes, sizeof *m.partner), tolerance};
    assert_non_null(m.partner);
    bool same = match_from(&m, 0);
    free(m.a.first);
    free(m.b.first);
    free(m.partner);
    return same;
}

/* The same crystal as a prototype and by its space group, in a cell of another size and with the sites in another order. */
static void forms_of_one_crystal_have_one_graph(void **state)
{
    static const char rows[] =
        "id,formula,prototype,space_group,a,c,u,sites,kappa\n"
        "1,NaCl,rocksalt,,5.64,,,,1\n2,NaCl,,F m -3 m,5.64,,,Cl 1/2 1/2 1/2; Na 0 0 0,1\n"
        "3,ZnS,zincblende,,5.41,,,,1\n4,ZnS,,216,5.41,,,S 1/4 1/4 1/4; Zn 0 0 0,1\n"
        "5,Si,diamond,,5.43,,,,1\n6,Si,,F d -3 m:2,5.43,,,Si 1/8 1/8 1/8,1\n"
        "7,CsCl,cscl,,4.12,,,,1\n8,CsCl,,P m -3 m,4.12,,,Cl .5 .5 .5; Cs 0 0 0,1\n"
        "9,CaF2,fluorite,,5.46,,,,1\n10,CaF2,,225,5.46,,,F 1/4 1/4 1/4; Ca 0 0 0,1\n"
        "11,Li2O,antifluorite,,4.62,,,,1\n12,Li2O,,225,4.62,,,Li 1/4 1/4 1/4; O 0 0 0,1\n"
        "13,TiNiSn,half-heusler,,5.93,,,,1\n"
        "14,TiSnNi,,216,5.93,,,Sn 3/4 3/4 3/4; Ni 1/2 1/2 1/2; Ti 1/4 1/4 1/4,1\n"
        "15,SrTiO3,perovskite,,3.91,,,,1\n16,SrTiO3,,221,3.91,,,O 0 1/2 1/2; Ti 1/2 1/2 1/2; Sr 0 0 0,1\n"
        "17,GaN,wurtzite,,3.2,5.2,0.377,,1\n18,GaN,,P 63 m c,3.2,5.2,,N 1/3 2/3 0.377; Ga 2/3 1/3 1/2,1\n"
        "19,TiSnNi,half-heusler,,5.93,,,,1\n20,TiNiSn,half-heusler,,5.9301,,,,1\n";
    folder place;
    kti_dataset set;
    char path[256];
    (void)state;
    folder_create(&place);
    folder_write(&place, "forms.csv", rows);
    read_set(folder_path(&place, "forms.csv", path), 0, &set);
    assert_int_equal(set.size, 20);
    for (int i = 0; i < 18; i += 2)
        assert_true(same_graph(&set.crystals[i].graph, &set.crystals[i + 1].graph, 1e-9));
    for (int i = 0; i < 20; i += 2)
        for (int j = 0; j < i; j++)
            assert_false(same_graph(&set.crystals[i].graph, &set.crystals[j].graph, 1e-5));
    assert_false(same_graph(&set.crystals[12].graph, &set.crystals[19].graph, 1e-5));
    assert_true(same_graph(&set.crystals[12].graph, &set.crystals[19].graph, 1e-4));
    kti_dataset_destroy(&set);
    folder_destroy(&place);
}

/* ---- tables against files ---- */

static bool is_noisy(const char *id)
{
    for (size_t i = 0; i < sizeof noisy / sizeof noisy[0]; i++)
        if (strcmp(noisy[i], id) == 0)
            return true;
    return false;
}

/* Returns how many graphs differ; with the gap of every day those of the noisy crystals must. */
static int compare(const char *name, const char *path, double gap, double tolerance)
{
    int different = 0;
    kti_dataset table, files;
    read_table(name, gap, &table);
    read_set(path, gap, &files);
    assert_int_equal(table.size, files.size);
    assert_int_equal(files.rejected, 0);
    for (int i = 0; i < table.size; i++) {
        const kti_crystal *row = &table.crystals[i], *file = &files.crystals[i];
        assert_string_equal(row->id, file->id);
        assert_string_equal(row->formula, file->formula);
        assert_true(row->kappa == file->kappa);
        const bool same = same_graph(&row->graph, &file->graph, tolerance);
        if (same == (gap == 0 && is_noisy(row->id)))
            fail_msg("%s, %s: the graphs of table and file %s", name, row->id,
                     same ? "are the same: take it off the list of noisy ones" : "differ");
        different += !same;
    }
    kti_dataset_destroy(&table);
    kti_dataset_destroy(&files);
    return different;
}

static void tables_equal_their_files(void **state)
{
    int different = 0;
    (void)state;
    if (!has_full_data())
        skip();
    for (int i = 1; i < TABLES; i++) {
        const char *path = data_path(tables[i].name);
        different += compare(tables[i].name, path, 0, 3e-6);
        assert_int_equal(compare(tables[i].name, path, 1e-3, 3e-6), 0);
    }
    assert_int_equal(different, sizeof noisy / sizeof noisy[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_can_be_used),
        cmocka_unit_test(forms_of_one_crystal_have_one_graph),
        cmocka_unit_test(tables_equal_their_files),
    };
    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
