#include "data/batch.h"

#include <string.h>

#include "crystal/elements.h"

static int larger(int left, int right)
{
    return left > right ? left : right;
}

/* Sum of the `count` largest of nodes or edges over the list. */
static int64_t sum_of_largest(const kti_graph *const *list, int size, int count, int edges)
{
    /* Selection without a buffer: each pass finds how many graphs have the next smaller size. */
    int64_t sum = 0;
    int taken = 0, bound = INT32_MAX;
    while (taken < count && taken < size) {
        int max = -1, repeats = 0;
        for (int i = 0; i < size; i++) {
            int value = edges ? list[i]->edges : list[i]->nodes;
            if (value >= bound)
                continue;
            if (value > max) {
                max = value;
                repeats = 0;
            }
            repeats += value == max;
        }
        if (max < 0)
            break;
        int used = repeats < count - taken ? repeats : count - taken;
        sum += (int64_t)used * max;
        taken += used;
        bound = max;
    }
    return sum;
}

kti_capacity kti_capacity_of(const kti_graph *const *list, int size, int graphs)
{
    const int64_t nodes = sum_of_largest(list, size, graphs, 0),
                  edges = sum_of_largest(list, size, graphs, 1);
    /* More than this is more memory than there is: the plan will say so. */
    return (kti_capacity){graphs, (int)(nodes < INT32_MAX ? nodes : INT32_MAX),
                          (int)(edges < INT32_MAX ? edges : INT32_MAX)};
}

kti_capacity kti_capacity_join(kti_capacity left, kti_capacity right)
{
    return (kti_capacity){larger(left.graphs, right.graphs), larger(left.nodes, right.nodes),
                          larger(left.edges, right.edges)};
}

static void *take(char *block, size_t *used, size_t count, size_t size)
{
    void *piece = block ? block + *used : NULL;
    *used += (count * size + 63) / 64 * 64;
    return piece;
}

kti_batch kti_batch_layout(kti_capacity capacity, void *block)
{
    size_t graphs = (size_t)capacity.graphs, nodes = (size_t)capacity.nodes, edges = (size_t)capacity.edges;
    size_t used = 0;
    kti_batch batch = {.capacity = capacity};
#define INTEGERS(count) take(block, &used, count, sizeof(int32_t))
#define REALS(count) take(block, &used, count, sizeof(kt_real))
    batch.node_type = INTEGERS(nodes);
    batch.node_graph = INTEGERS(nodes);
    batch.type_start = INTEGERS(KTI_ELEMENT_TYPES + 1);
    batch.type_node = INTEGERS(nodes);
    batch.edge_source = INTEGERS(edges);
    batch.edge_target = INTEGERS(edges);
    batch.edge_graph = INTEGERS(edges);
    batch.incoming_start = INTEGERS(nodes + 1);
    batch.outgoing_start = INTEGERS(nodes + 1);
    batch.outgoing_edge = INTEGERS(edges);
    batch.node_weight = REALS(nodes);
    batch.node_mean_graph = REALS(nodes);
    batch.edge_distance = REALS(edges);
    batch.edge_weight = REALS(edges);
    batch.edge_mean_target = REALS(edges);
    batch.edge_mean_graph = REALS(edges);
    batch.crystal_physics = REALS(graphs * KTI_PHYSICS_STRIDE);
    batch.end = used;
    batch.graph_count = INTEGERS(1);
    batch.node_count = INTEGERS(1);
    batch.edge_count = INTEGERS(1);
    batch.graph_node_start = INTEGERS(graphs + 1);
    batch.graph_edge_start = INTEGERS(graphs + 1);
    batch.crystal = INTEGERS(graphs);
    batch.data_set = INTEGERS(graphs);
    batch.kappa = REALS(graphs);
#undef INTEGERS
#undef REALS
    batch.bytes = used;
    return batch;
}

/* Turns counts in start[1 ..] into the starts of segments. */
static void accumulate_counts(int32_t *start, int size)
{
    start[0] = 0;
    for (int i = 0; i < size; i++)
        start[i + 1] += start[i];
}

/* Lists the rows 0 .. rows of each key in order; start [keys + 1], list [rows]. */
static void sort_by_key(const int32_t *key, int rows, int keys, int32_t *start, int32_t *list)
{
    memset(start, 0, ((size_t)keys + 1) * sizeof *start);
    for (int i = 0; i < rows; i++)
        start[key[i] + 1]++;
    accumulate_counts(start, keys);
    for (int i = 0; i < rows; i++)
        list[start[key[i]]++] = i;
    /* Filling moved every start to its segment's end, which is the next one's start. */
    memmove(start + 1, start, (size_t)keys * sizeof *start);
    start[0] = 0;
}

_Static_assert((int)KTI_STATE_PHYSICS <= (int)KTI_PHYSICS_STRIDE, "a crystal's features fit a row");

static void pack_physics(const kti_graph *graph, kt_real *row)
{
    double physics[KTI_STATE_PHYSICS];
    kti_physics_of_crystal(graph->feature, physics);
    for (int i = 0; i < KTI_PHYSICS_STRIDE; i++)
        row[i] = i < KTI_STATE_PHYSICS ? (kt_real)physics[i] : 0;
}

static void pack_graph(kti_batch *batch, const kti_graph *graph, int index, int node, int edge)
{
    double sites = 0, all_edges = 0, incoming = 0;
    for (int i = 0; i < graph->nodes; i++)
        sites += graph->node_weight[i];
    for (int i = 0; i < graph->edges; i++)
        all_edges += graph->edge_weight[i];
    for (int i = 0; i < graph->nodes; i++) {
        batch->node_type[node + i] = graph->node_type[i];
        batch->node_graph[node + i] = index;
        batch->node_weight[node + i] = (kt_real)graph->node_weight[i];
        batch->node_mean_graph[node + i] = (kt_real)(graph->node_weight[i] / sites);
    }
    for (int i = 0, first = 0; i < graph->edges; i++) {
        if (i == 0 || graph->edge_target[i] != graph->edge_target[first]) {
            first = i;
            incoming = 0;
            for (int j = i; j < graph->edges && graph->edge_target[j] == graph->edge_target[i]; j++)
                incoming += graph->edge_weight[j];
        }
        batch->edge_source[edge + i] = node + graph->edge_source[i];
        batch->edge_target[edge + i] = node + graph->edge_target[i];
        batch->edge_graph[edge + i] = index;
        batch->edge_distance[edge + i] = (kt_real)graph->edge_distance[i];
        batch->edge_weight[edge + i] = (kt_real)graph->edge_weight[i];
        batch->edge_mean_target[edge + i] = (kt_real)(graph->edge_weight[i] / incoming);
        batch->edge_mean_graph[edge + i] = (kt_real)(graph->edge_weight[i] / all_edges);
    }
}

static void make_empty(kti_batch *batch)
{
    *batch->graph_count = *batch->node_count = *batch->edge_count = 0;
    batch->graph_node_start[0] = batch->graph_edge_start[0] = 0;
}

/* Makes the graph the batch's last one, number g; -1 if it does not fit. */
static int place_graph(kti_batch *batch, const kti_graph *graph, int g)
{
    const int node = batch->graph_node_start[g], edge = batch->graph_edge_start[g];
    if (graph->nodes > batch->capacity.nodes - node || graph->edges > batch->capacity.edges - edge)
        return -1;
    batch->graph_node_start[g + 1] = *batch->node_count = node + graph->nodes;
    batch->graph_edge_start[g + 1] = *batch->edge_count = edge + graph->edges;
    *batch->graph_count = g + 1;
    batch->data_set[g] = 0;
    batch->kappa[g] = 0;
    return 0;
}

int kti_batch_pick(kti_batch *batch, const kti_graph *const *kept, const int32_t *crystals, int count)
{
    if (count > batch->capacity.graphs)
        return -1;
    make_empty(batch);
    for (int g = 0; g < count; g++) {
        if (place_graph(batch, kept[crystals[g]], g) != 0)
            return -1;
        batch->crystal[g] = crystals[g];
    }
    return 0;
}

int kti_batch_pack(kti_batch *batch, const kti_graph *const *graphs, const double *kappa, int count)
{
    if (count > batch->capacity.graphs)
        return -1;
    make_empty(batch);
    for (int g = 0; g < count; g++) {
        if (place_graph(batch, graphs[g], g) != 0)
            return -1;
        pack_graph(batch, graphs[g], g, batch->graph_node_start[g], batch->graph_edge_start[g]);
        batch->crystal[g] = g;
        if (kappa)
            batch->kappa[g] = (kt_real)kappa[g];
        pack_physics(graphs[g], batch->crystal_physics + (int64_t)g * KTI_PHYSICS_STRIDE);
    }
    const int nodes = *batch->node_count, edges = *batch->edge_count;
    memset(batch->incoming_start, 0, ((size_t)nodes + 1) * sizeof *batch->incoming_start);
    for (int e = 0; e < edges; e++)
        batch->incoming_start[batch->edge_target[e] + 1]++;
    accumulate_counts(batch->incoming_start, nodes);
    sort_by_key(batch->edge_source, edges, nodes, batch->outgoing_start, batch->outgoing_edge);
    sort_by_key(batch->node_type, nodes, KTI_ELEMENT_TYPES, batch->type_start, batch->type_node);
    return 0;
}
