#include "crystal/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/elements.h"
#include "crystal/neighbours.h"
#include "crystal/refine.h"

static const double SELF = 1e-8;           /* Å; a site is not its own neighbour */
static const double WIDEST = 10;           /* gaps that a label may span */
static const double SMALLEST_GAP = 1e-13;  /* Å; below it only equal distances share a label */
static const int64_t MAX_EDGES = 8000000;  /* directed, of the crystal: 20,000 sites with 400 neighbours */
static const int MAX_GRAPH_EDGES = 150000; /* of the graph: the network takes 6 KB for each */

kti_graph_options kti_graph_options_default(void)
{
    return (kti_graph_options){.cutoff = 4.0, .quotient = true, .distance_gap = 1e-4};
}

void kti_graph_destroy(kti_graph *graph)
{
    if (!graph)
        return;
    free(graph->node_type);
    free(graph->node_weight);
    free(graph->edge_source);
    free(graph->edge_target);
    free(graph->edge_distance);
    free(graph->edge_weight);
    free(graph->site_node);
    *graph = (kti_graph){0};
}

/* What a graph is made of while it is made. */
typedef struct workshop {
    int sites;
    int64_t pair_count;
    kti_pair *pairs; /* [pairs] */
    int32_t *label;  /* [pairs]; zeros for a full graph */
    int32_t *offset; /* [sites + 1] */
    kti_link *links; /* [2 pairs] incoming edges, by target */
} workshop;

static void discard(workshop *w)
{
    free(w->pairs);
    free(w->label);
    free(w->offset);
    free(w->links);
}

static kt_status check(const kt_structure *structure, const kti_graph_options *options, const char *file,
                       kt_error *error)
{
    if (!(options->cutoff > 0 && options->cutoff <= 20))
        return kti_fail(error, KT_BAD_ARGUMENT, "the cutoff is %g Å; it must lie in (0, 20]",
                        options->cutoff);
    if (!(options->distance_gap >= 0 && options->distance_gap <= 1))
        return kti_fail(error, KT_BAD_ARGUMENT, "the distance gap is %g Å; it must lie in [0, 1]",
                        options->distance_gap);
    if (structure->sites <= 0)
        return kti_fail_file(error, KT_BAD_CRYSTAL, file, "the crystal has no site");
    for (int s = 0; s < structure->sites; s++) {
        const double *at = structure->fractional[s];
        if (kti_element_type(structure->atomic_number[s]) < 0) {
            const char *symbol = kti_element_symbol(structure->atomic_number[s]);
            return kti_fail_file(error, KT_BAD_CRYSTAL, file,
                                 "site %d is %s, an element that the network does not know", s + 1,
                                 symbol ? symbol : "no element");
        }
        if (!(isfinite(at[0]) && isfinite(at[1]) && isfinite(at[2])))
            return kti_fail_file(error, KT_BAD_CRYSTAL, file, "site %d has a coordinate that is not finite",
                                 s + 1);
    }
    return KT_OK;
}

static int by_distance(const void *left, const void *right)
{
    const kti_pair *a = left, *b = right;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return (a->second > b->second) - (a->second < b->second);
}

static int by_source(const void *left, const void *right)
{
    const kti_link *a = left, *b = right;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

/* Labels pairs[begin..end), sorted by distance, cutting where neighbours differ by more than `gap`. A run
 * wider than `widest` is cut again with a finer gap: chained distances are no proof of one distance. Returns
 * the next label. */
static int32_t cut(const kti_pair *pairs, int64_t begin, int64_t end, double gap, double widest, int32_t next,
                   int32_t *label)
{
    for (int64_t first = begin, last; first < end; first = last) {
        for (last = first + 1; last < end && pairs[last].distance - pairs[last - 1].distance <= gap;)
            last++;
        if (gap > 0 && pairs[last - 1].distance - pairs[first].distance > widest) {
            next = cut(pairs, first, last, gap > SMALLEST_GAP ? gap / 10 : 0, widest, next, label);
            continue;
        }
        for (int64_t p = first; p < last; p++)
            label[p] = next;
        next++;
    }
    return next;
}

/* Incoming edges of every site, in the order of the pairs. */
static kt_status link_sites(workshop *w, kt_error *error)
{
    w->offset = kti_allocate((size_t)w->sites + 1, sizeof *w->offset);
    w->links = kti_allocate((size_t)(2 * w->pair_count), sizeof *w->links);
    if (!w->offset || !w->links)
        return kti_fail_memory(error, "the edges of a crystal");
    for (int64_t p = 0; p < w->pair_count; p++) {
        w->offset[w->pairs[p].first + 1]++;
        w->offset[w->pairs[p].second + 1]++;
    }
    for (int s = 0; s < w->sites; s++)
        w->offset[s + 1] += w->offset[s];
    for (int64_t p = 0; p < w->pair_count; p++) {
        const kti_pair *pair = &w->pairs[p];
        w->links[w->offset[pair->first]++] = (kti_link){pair->second, w->label[p], pair->distance};
        w->links[w->offset[pair->second]++] = (kti_link){pair->first, w->label[p], pair->distance};
    }
    memmove(w->offset + 1, w->offset, (size_t)w->sites * sizeof *w->offset);
    w->offset[0] = 0;
    return KT_OK;
}

static kt_status allocate(kti_graph *graph, int nodes, int edges, kt_error *error)
{
    graph->nodes = nodes;
    graph->edges = edges;
    graph->node_type = kti_allocate((size_t)nodes, sizeof *graph->node_type);
    graph->node_weight = kti_allocate((size_t)nodes, sizeof *graph->node_weight);
    graph->edge_source = kti_allocate((size_t)edges, sizeof *graph->edge_source);
    graph->edge_target = kti_allocate((size_t)edges, sizeof *graph->edge_target);
    graph->edge_distance = kti_allocate((size_t)edges, sizeof *graph->edge_distance);
    graph->edge_weight = kti_allocate((size_t)edges, sizeof *graph->edge_weight);
    if (!graph->node_type || !graph->node_weight || !graph->edge_source || !graph->edge_target ||
        !graph->edge_distance || !graph->edge_weight)
        return kti_fail_memory(error, "a graph");
    return KT_OK;
}

static kt_status make_full(workshop *w, const kt_structure *structure, kti_graph *graph, kt_error *error)
{
    kt_status status = allocate(graph, w->sites, (int)(2 * w->pair_count), error);
    if (status != KT_OK)
        return status;
    for (int s = 0; s < w->sites; s++) {
        graph->site_node[s] = s;
        graph->node_type[s] = kti_element_type(structure->atomic_number[s]);
        graph->node_weight[s] = 1;
        qsort(w->links + w->offset[s], (size_t)(w->offset[s + 1] - w->offset[s]), sizeof *w->links,
              by_source);
        for (int32_t e = w->offset[s]; e < w->offset[s + 1]; e++) {
            graph->edge_source[e] = w->links[e].source;
            graph->edge_target[e] = s;
            graph->edge_distance[e] = w->links[e].distance;
            graph->edge_weight[e] = 1;
        }
    }
    return KT_OK;
}

/* Sorts a site's incoming edges by (class of the source, label): within a label the links already ascend. */
static void sort_by_class(kti_link *links, int32_t count, const int32_t *node)
{
    for (int32_t i = 0; i < count; i++)
        links[i].source = node[links[i].source];
    /* Labels ascend with the distance, so this is (class, label, distance) too. */
    if (count > 48) {
        qsort(links, (size_t)count, sizeof *links, by_source);
        return;
    }
    for (int32_t i = 1; i < count; i++) {
        kti_link link = links[i];
        int32_t j = i;
        for (; j > 0 && links[j - 1].source > link.source; j--)
            links[j] = links[j - 1];
        links[j] = link;
    }
}

static bool same_edge(const kti_link *a, const kti_link *b)
{
    return a->source == b->source && a->label == b->label;
}

static kt_status make_quotient(workshop *w, const kt_structure *structure, kti_graph *graph, kt_error *error)
{
    kt_status status = KT_OK;
    int32_t colour_of_type[KTI_ELEMENT_TYPES], *node = graph->site_node, *begin = NULL;
    int nodes = 0, edges = 0, next = 0;
    for (int t = 0; t < KTI_ELEMENT_TYPES; t++)
        colour_of_type[t] = -1;
    for (int s = 0; s < w->sites; s++) {
        int32_t *colour = &colour_of_type[kti_element_type(structure->atomic_number[s])];
        if (*colour < 0)
            *colour = nodes++;
        node[s] = *colour;
    }
    status = kti_refine(w->sites, w->offset, w->links, node, &nodes, error);
    if (status != KT_OK)
        goto done;

    /* The first site of a class, which comes in the order of the classes, tells its edges. */
    begin = kti_allocate((size_t)nodes + 1, sizeof *begin);
    if (!begin) {
        status = kti_fail_memory(error, "a graph");
        goto done;
    }
    for (int s = 0; s < w->sites; s++) {
        kti_link *links = w->links + w->offset[s];
        int32_t count = w->offset[s + 1] - w->offset[s];
        sort_by_class(links, count, node);
        if (node[s] != next)
            continue;
        for (int32_t i = 0; i < count; i++)
            edges += i == 0 || !same_edge(&links[i], &links[i - 1]);
        begin[++next] = edges;
    }
    status = allocate(graph, nodes, edges, error);
    if (status != KT_OK)
        goto done;

    /* Equal signatures: the i-th group of edges of every site of a class is the class's i-th edge. */
    for (int s = 0; s < w->sites; s++) {
        const kti_link *links = w->links + w->offset[s];
        int32_t count = w->offset[s + 1] - w->offset[s], edge = begin[node[s]] - 1;
        graph->node_type[node[s]] = kti_element_type(structure->atomic_number[s]);
        graph->node_weight[node[s]] += 1;
        for (int32_t i = 0; i < count; i++) {
            if (i == 0 || !same_edge(&links[i], &links[i - 1]))
                edge++;
            graph->edge_target[edge] = node[s];
            graph->edge_source[edge] = links[i].source;
            graph->edge_weight[edge] += 1;
            graph->edge_distance[edge] += links[i].distance;
        }
    }
    for (int e = 0; e < edges; e++)
        graph->edge_distance[e] /= graph->edge_weight[e];
done:
    free(begin);
    return status;
}

kt_status kti_graph_create(const kt_structure *structure, const kti_graph_options *options, const char *file,
                           kti_graph *graph, kt_error *error)
{
    workshop w = {.sites = structure->sites};
    kti_lattice lattice;
    *graph = (kti_graph){0};
    kt_status status = check(structure, options, file, error);
    if (status != KT_OK)
        return status;
    status = kti_lattice_create(structure->lattice, file, &lattice, error);
    if (status != KT_OK)
        return status;
    status = kti_neighbours_find(&lattice, (const double(*)[3])structure->fractional, structure->sites, SELF,
                                 options->cutoff, MAX_EDGES / 2, &w.pairs, &w.pair_count, error);
    if (status != KT_OK)
        goto done;
    if (w.pair_count > MAX_EDGES / 2) {
        status =
            kti_fail_file(error, KT_BAD_CRYSTAL, file, "the crystal has more than %lld edges within %g Å",
                          (long long)MAX_EDGES, options->cutoff);
        goto done;
    }
    status = kti_features_compute(structure, &lattice, w.pairs, w.pair_count, options->cutoff, graph->feature,
                                  error);
    if (status != KT_OK)
        goto done;
    graph->sites = w.sites;
    graph->directed_edges = 2 * w.pair_count;
    graph->site_node = kti_allocate((size_t)w.sites, sizeof *graph->site_node);
    w.label = kti_allocate((size_t)w.pair_count, sizeof *w.label);
    if (!graph->site_node || !w.label) {
        status = kti_fail_memory(error, "a graph");
        goto done;
    }
    if (options->quotient && w.pair_count > 0) {
        qsort(w.pairs, (size_t)w.pair_count, sizeof *w.pairs, by_distance);
        cut(w.pairs, 0, w.pair_count, options->distance_gap, WIDEST * options->distance_gap, 0, w.label);
    }
    status = link_sites(&w, error);
    if (status == KT_OK)
        status = options->quotient ? make_quotient(&w, structure, graph, error)
                                   : make_full(&w, structure, graph, error);
    if (status == KT_OK && graph->edges > MAX_GRAPH_EDGES)
        status = kti_fail_file(error, KT_BAD_CRYSTAL, file,
                               "its graph has %d different edges; at most %d are worked with", graph->edges,
                               MAX_GRAPH_EDGES);
done:
    discard(&w);
    if (status != KT_OK)
        kti_graph_destroy(graph);
    return status;
}
