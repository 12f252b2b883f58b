#include "support.h"

#include <math.h>

bool close_to(double value, double reference, double rtol, double atol)
{
    return isfinite(value) && fabs(value - reference) <= atol + rtol * fabs(reference);
}

uint64_t draw(draws *d)
{
    uint64_t z = (d->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double draw_between(draws *d, double low, double high)
{
    return low + (high - low) * (double)(draw(d) >> 11) / 9007199254740992.0;
}

kt_structure make_structure(const double lattice[3][3], int sites, const int *atomic_number,
                            const double (*fractional)[3])
{
    kt_structure structure = {.sites = sites};
    memcpy(structure.lattice, lattice, sizeof structure.lattice);
    structure.atomic_number = malloc((size_t)sites * sizeof *structure.atomic_number);
    structure.fractional = malloc((size_t)sites * sizeof *structure.fractional);
    assert_non_null(structure.atomic_number);
    assert_non_null(structure.fractional);
    memcpy(structure.atomic_number, atomic_number, (size_t)sites * sizeof *structure.atomic_number);
    memcpy(structure.fractional, fractional, (size_t)sites * sizeof *structure.fractional);
    return structure;
}

/* An exact copy on the heap, so that the address sanitizer sees a read beyond the end. */
static kt_status parse_copy(kti_structure_format format, const char *text, kt_structure *structure,
                            kt_error *error)
{
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    kt_status status = kti_structure_read_text(format, copy, size, "input", structure, error);
    free(copy);
    return status;
}

kt_structure parse(kti_structure_format format, const char *text)
{
    kt_structure structure;
    kt_error error = KT_ERROR_NONE;
    if (parse_copy(format, text, &structure, &error) != KT_OK)
        fail_msg("%s:%d: %s", error.file, (int)error.line, error.message);
    return structure;
}

void expect_error(kti_structure_format format, const char *text, kt_status status, int line,
                  const char *fragment)
{
    kt_structure structure;
    kt_error error = KT_ERROR_NONE;
    kt_status got = parse_copy(format, text, &structure, &error);
    if (got != status || error.status != status || error.line != line || !strstr(error.message, fragment) ||
        strcmp(error.file, "input") != 0)
        fail_msg("expected %s at line %d with \"%s\"; got %s (%s) at line %d: %s", kt_status_name(status),
                 line, fragment, kt_status_name(got), error.file, (int)error.line, error.message);
    assert_int_equal(structure.sites, 0);
    assert_null(structure.atomic_number);
    assert_null(structure.fractional);
}

kti_graph make_graph(const kt_structure *structure, bool quotient)
{
    kti_graph graph;
    kt_error error = KT_ERROR_NONE;
    kti_graph_options options = kti_graph_options_default();
    options.quotient = quotient;
    if (kti_graph_create(structure, &options, "input", &graph, &error) != KT_OK)
        fail_msg("%s", error.message);
    return graph;
}

/* Edges of the quotient that enter a node, or of the full graph that enter a site: a range of the edge list.
 */
static void incoming(const kti_graph *graph, int target, int *begin, int *end)
{
    for (*begin = 0; *begin < graph->edges && graph->edge_target[*begin] < target;)
        (*begin)++;
    for (*end = *begin; *end < graph->edges && graph->edge_target[*end] == target;)
        (*end)++;
}

void check_equitable(const kti_graph *full, const kti_graph *quotient)
{
    double *count = calloc((size_t)quotient->edges + 1, sizeof *count);
    assert_non_null(count);
    for (int site = 0; site < full->nodes; site++) {
        int node = quotient->site_node[site], begin, end, first, last;
        assert_in_range(node, 0, quotient->nodes - 1);
        assert_int_equal(full->node_type[site], quotient->node_type[node]);
        incoming(full, site, &begin, &end);
        incoming(quotient, node, &first, &last);
        memset(count, 0, (size_t)quotient->edges * sizeof *count);
        /* Each edge of the site must be one of its node's edges: the nearest in distance of that source. */
        for (int e = begin; e < end; e++) {
            int source = quotient->site_node[full->edge_source[e]], match = -1;
            for (int q = first; q < last; q++)
                if (quotient->edge_source[q] == source &&
                    (match < 0 || fabs(quotient->edge_distance[q] - full->edge_distance[e]) <
                                      fabs(quotient->edge_distance[match] - full->edge_distance[e])))
                    match = q;
            assert_true(match >= 0);
            assert_close(full->edge_distance[e], quotient->edge_distance[match], 0, 1e-3);
            count[match]++;
        }
        for (int q = first; q < last; q++)
            assert_close(count[q] * quotient->node_weight[node], quotient->edge_weight[q], 0, 0);
    }
    free(count);
}

void check_weights(const kti_graph *full, const kti_graph *quotient)
{
    double sites = 0, edges = 0, sum = 0, sum_full = 0, squares = 0, squares_full = 0;
    assert_int_equal(quotient->sites, full->nodes);
    assert_int_equal(quotient->directed_edges, full->edges);
    for (int n = 0; n < quotient->nodes; n++)
        sites += quotient->node_weight[n];
    for (int e = 0; e < quotient->edges; e++) {
        double d = quotient->edge_distance[e], w = quotient->edge_weight[e];
        edges += w;
        sum += w * d;
        squares += w * d * d;
        if (e > 0)
            assert_true(quotient->edge_target[e] > quotient->edge_target[e - 1] ||
                        (quotient->edge_target[e] == quotient->edge_target[e - 1] &&
                         (quotient->edge_source[e] > quotient->edge_source[e - 1] ||
                          (quotient->edge_source[e] == quotient->edge_source[e - 1] &&
                           d > quotient->edge_distance[e - 1]))));
    }
    for (int e = 0; e < full->edges; e++) {
        sum_full += full->edge_distance[e];
        squares_full += full->edge_distance[e] * full->edge_distance[e];
    }
    assert_close(sites, full->nodes, 0, 0);
    assert_close(edges, full->edges, 0, 0);
    assert_close(sum, sum_full, 1e-12, 0);
    assert_close(squares, squares_full, 1e-7, 0);
}
