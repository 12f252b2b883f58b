#include "report/duplicates.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

static const double SAME_DISTANCE = 1e-4; /* Å, the gap that the quotient itself takes for none */
static const double SAME_NUMBER = 1e-6;   /* of counts, which are whole */

/* The neighbours of one kind and distance that a node has. */
typedef struct shell {
    int node, type;
    double distance, count;
} shell;

typedef struct environment {
    const kti_crystal *crystal;
    const kti_graph *graph; /* of the crystal */
    shell *shells;          /* [size] by node, type, distance; owned */
    int size;
    double shortest; /* distance, Å */
} environment;

static int compare_numbers(double a, double b)
{
    return (a > b) - (a < b);
}

static int compare_shells(const void *a, const void *b)
{
    const shell *left = a, *right = b;
    if (left->node != right->node)
        return left->node < right->node ? -1 : 1;
    if (left->type != right->type)
        return left->type < right->type ? -1 : 1;
    return compare_numbers(left->distance, right->distance);
}

/* Shells of a graph; neighbours of one element at one distance are one shell, whichever nodes they belong to.
 */
static bool environment_create(const kti_crystal *crystal, environment *made)
{
    const kti_graph *graph = &crystal->graph;
    shell *shells = kti_allocate((size_t)graph->edges, sizeof *shells);
    *made = (environment){.crystal = crystal, .graph = graph, .shells = shells, .shortest = INFINITY};
    if (!shells)
        return false;
    for (int i = 0; i < graph->edges; i++) {
        const int node = graph->edge_target[i];
        shells[i] = (shell){node, graph->node_type[graph->edge_source[i]], graph->edge_distance[i],
                            graph->edge_weight[i] / graph->node_weight[node]};
        made->shortest = fmin(made->shortest, graph->edge_distance[i]);
    }
    qsort(shells, (size_t)graph->edges, sizeof *shells, compare_shells);
    for (int i = 0; i < graph->edges; i++) {
        shell *last = made->size > 0 ? &shells[made->size - 1] : NULL;
        if (last && last->node == shells[i].node && last->type == shells[i].type &&
            shells[i].distance - last->distance <= SAME_DISTANCE)
            last->count += shells[i].count;
        else
            shells[made->size++] = shells[i];
    }
    return true;
}

static int first_shell(const environment *of, int node)
{
    int low = 0, high = of->size;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (of->shells[middle].node < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool same_node(const environment *a, int node_a, const environment *b, int node_b)
{
    const double share_a = a->graph->node_weight[node_a] / (double)a->graph->sites;
    const double share_b = b->graph->node_weight[node_b] / (double)b->graph->sites;
    if (a->graph->node_type[node_a] != b->graph->node_type[node_b] || fabs(share_a - share_b) > SAME_NUMBER)
        return false;
    int i = first_shell(a, node_a), j = first_shell(b, node_b);
    for (; i < a->size && a->shells[i].node == node_a; i++, j++) {
        if (j == b->size || b->shells[j].node != node_b)
            return false;
        const shell *left = &a->shells[i], *right = &b->shells[j];
        if (left->type != right->type || fabs(left->distance - right->distance) > SAME_DISTANCE ||
            fabs(left->count - right->count) > SAME_NUMBER)
            return false;
    }
    return j == b->size || b->shells[j].node != node_b;
}

/* Finds each node of `a` its own partner in `b`. `taken` has room for b's nodes. */
static bool same_graph(const environment *a, const environment *b, bool *taken)
{
    const int nodes = a->graph->nodes;
    if (nodes != b->graph->nodes || a->size != b->size)
        return false;
    memset(taken, 0, (size_t)nodes * sizeof *taken);
    for (int i = 0; i < nodes; i++) {
        int j = 0;
        while (j < nodes && (taken[j] || !same_node(a, i, b, j)))
            j++;
        if (j == nodes)
            return false;
        taken[j] = true;
    }
    return true;
}

/* Crystals that may be equal stand together: same formula, then same sizes, then a like shortest distance. */
static int compare_environments(const void *a, const void *b)
{
    const environment *left = a, *right = b;
    const int order = strcmp(left->crystal->formula, right->crystal->formula);
    if (order != 0)
        return order;
    if (left->graph->nodes != right->graph->nodes)
        return left->graph->nodes < right->graph->nodes ? -1 : 1;
    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    if (left->shortest != right->shortest)
        return compare_numbers(left->shortest, right->shortest);
    return (left->crystal > right->crystal) - (left->crystal < right->crystal);
}

static bool may_be_equal(const environment *a, const environment *b)
{
    return strcmp(a->crystal->formula, b->crystal->formula) == 0 && a->graph->nodes == b->graph->nodes &&
           a->size == b->size && b->shortest - a->shortest <= SAME_DISTANCE;
}

static int compare_pairs(const void *a, const void *b)
{
    const kti_duplicate *left = a, *right = b;
    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    return (left->second > right->second) - (left->second < right->second);
}

static bool add_pairs(const kti_dataset *dataset, const environment *sorted, bool *has_partner, bool *taken,
                      kti_duplicate **pairs, size_t *size)
{
    size_t capacity = 0;
    for (int i = 0; i < dataset->size; i++)
        for (int j = i + 1; j < dataset->size && !has_partner[i] && may_be_equal(&sorted[i], &sorted[j]);
             j++) {
            if (has_partner[j] || !same_graph(&sorted[i], &sorted[j], taken))
                continue;
            const int a = (int)(sorted[i].crystal - dataset->crystals);
            const int b = (int)(sorted[j].crystal - dataset->crystals);
            has_partner[j] = true;
            if (kti_grow((void **)pairs, *size, &capacity, sizeof **pairs) != 0)
                return false;
            (*pairs)[(*size)++] = a < b ? (kti_duplicate){a, b} : (kti_duplicate){b, a};
        }
    return true;
}

kt_status kti_find_duplicates(const kti_dataset *dataset, kti_duplicate **pairs, size_t *size,
                              kt_error *error)
{
    const size_t crystals = (size_t)dataset->size;
    int max_nodes = 0;
    environment *sorted = kti_allocate(crystals, sizeof *sorted);
    bool *has_partner = kti_allocate(crystals, sizeof *has_partner), *taken = NULL,
         enough = sorted && has_partner;
    *pairs = NULL;
    *size = 0;
    for (size_t i = 0; i < crystals && enough; i++) {
        enough = environment_create(&dataset->crystals[i], &sorted[i]);
        if (dataset->crystals[i].graph.nodes > max_nodes)
            max_nodes = dataset->crystals[i].graph.nodes;
    }
    taken = kti_allocate((size_t)max_nodes, sizeof *taken);
    if (enough && taken) {
        qsort(sorted, crystals, sizeof *sorted, compare_environments);
        enough = add_pairs(dataset, sorted, has_partner, taken, pairs, size);
    }
    enough = enough && taken;
    if (enough && *size > 0)
        qsort(*pairs, *size, sizeof **pairs, compare_pairs);
    for (size_t i = 0; sorted && i < crystals; i++)
        free(sorted[i].shells);
    free(sorted);
    free(has_partner);
    free(taken);
    if (enough)
        return KT_OK;
    free(*pairs);
    *pairs = NULL;
    *size = 0;
    return kti_fail_memory(error, "the search for duplicates");
}
