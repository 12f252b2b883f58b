#include "cli/duplicates.h"

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
    const kti_graph *graph;
    shell *shells; /* [size] by node, type, distance; owned */
    int size;
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
static bool environment_create(const kti_graph *graph, environment *made)
{
    shell *shells = kti_allocate((size_t)graph->edges, sizeof *shells);
    *made = (environment){.graph = graph, .shells = shells};
    if (!shells)
        return false;
    for (int i = 0; i < graph->edges; i++) {
        const int node = graph->edge_target[i];
        shells[i] = (shell){node, graph->node_type[graph->edge_source[i]], graph->edge_distance[i],
                            graph->edge_weight[i] / graph->node_weight[node]};
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

/* Crystals of one formula, in the data set's order, stand together. */
static int compare_crystals(const void *a, const void *b)
{
    const kti_crystal *left = *(const kti_crystal *const *)a, *right = *(const kti_crystal *const *)b;
    const int order = strcmp(left->formula, right->formula);
    return order != 0 ? order : (left > right) - (left < right);
}

static int compare_pairs(const void *a, const void *b)
{
    const kti_pair *left = a, *right = b;
    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    return (left->second > right->second) - (left->second < right->second);
}

static bool add_pair(kti_pair **pairs, size_t *size, size_t *capacity, kti_pair pair)
{
    if (kti_grow((void **)pairs, *size, capacity, sizeof **pairs) != 0)
        return false;
    (*pairs)[(*size)++] = pair;
    return true;
}

kt_status kti_find_duplicates(const kti_dataset *dataset, kti_pair **pairs, size_t *size, kt_error *error)
{
    const size_t crystals = (size_t)dataset->size;
    size_t capacity = 0;
    int most_nodes = 0;
    const kti_crystal **order = kti_allocate(crystals, sizeof(*order));
    environment *environments = kti_allocate(crystals, sizeof *environments);
    bool *partner = kti_allocate(crystals, sizeof *partner), *taken = NULL,
         enough = order && environments && partner;
    *pairs = NULL;
    *size = 0;
    for (int i = 0; i < dataset->size && enough; i++) {
        order[i] = &dataset->crystals[i];
        if (order[i]->graph.nodes > most_nodes)
            most_nodes = order[i]->graph.nodes;
    }
    if (enough)
        qsort(order, crystals, sizeof *order, compare_crystals);
    for (size_t i = 0; i < crystals && enough; i++)
        enough = environment_create(&order[i]->graph, &environments[i]);
    taken = kti_allocate((size_t)most_nodes, sizeof *taken);
    enough = enough && taken;
    for (size_t i = 0; i < crystals && enough; i++)
        for (size_t j = i + 1; j < crystals && enough && !partner[i]; j++) {
            if (strcmp(order[i]->formula, order[j]->formula) != 0)
                break;
            if (partner[j] || !same_graph(&environments[i], &environments[j], taken))
                continue;
            partner[j] = true;
            const kti_pair pair = {(int)(order[i] - dataset->crystals), (int)(order[j] - dataset->crystals)};
            enough = add_pair(pairs, size, &capacity, pair);
        }
    if (enough && *size > 0)
        qsort(*pairs, *size, sizeof **pairs, compare_pairs);
    for (size_t i = 0; environments && i < crystals; i++)
        free(environments[i].shells);
    free(environments);
    free(partner);
    free(taken);
    free(order);
    if (enough)
        return KT_OK;
    free(*pairs);
    *pairs = NULL;
    *size = 0;
    return kti_fail_memory(error, "the search for duplicates");
}
