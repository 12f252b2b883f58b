#include "train/golden.h"

#include "base/memory.h"
#include "support.h"

void golden_name(const char *name, char *reference, size_t capacity)
{
    static const char *const head[][2] = {{"head.layers.0.", "myMLP.IL."},
                                          {"head.layers.1.", "myMLP.HL2."},
                                          {"head.layers.2.", "myMLP.HL3."},
                                          {"head.layers.3.", "myMLP.FL."}};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        if (strncmp(name, head[i][0], strlen(head[i][0])) == 0) {
            snprintf(reference, capacity, "%s%s", head[i][1], name + strlen(head[i][0]));
            return;
        }
    snprintf(reference, capacity, "pretrained.%s", name);
}

void golden_load_arena(const kti_tensors *tensors, const kti_layout *layout, kt_real *arena)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    memset(arena, 0, (size_t)layout->size * sizeof *arena);
    for (int i = 0; i < size; i++) {
        char name[128];
        if (spec[i].part == KTI_PART_EFORM)
            continue;
        golden_name(spec[i].name, name, sizeof name);
        const kti_tensor *tensor = kti_tensors_find(tensors, name);
        assert_non_null(tensor);
        assert_int_equal(tensor->elements, (size_t)spec[i].rows * (size_t)spec[i].columns);
        for (size_t j = 0; j < tensor->elements; j++)
            arena[layout->offset[i] + (int64_t)(j / (size_t)spec[i].columns) * layout->stride[i] +
                  (int64_t)(j % (size_t)spec[i].columns)] = (kt_real)kti_tensor_value(tensor, j);
    }
}

static const int64_t *integers(const kti_tensors *tensors, const char *name)
{
    const kti_tensor *tensor = kti_tensors_find(tensors, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, KTI_I64);
    return tensor->data;
}

/* For the sort of one crystal's edges. */
static const int64_t *sort_source, *sort_target;
static const double *sort_distance;

static int by_target_source_distance(const void *left, const void *right)
{
    const int a = *(const int *)left, b = *(const int *)right;
    if (sort_target[a] != sort_target[b])
        return sort_target[a] < sort_target[b] ? -1 : 1;
    if (sort_source[a] != sort_source[b])
        return sort_source[a] < sort_source[b] ? -1 : 1;
    if (sort_distance[a] != sort_distance[b])
        return sort_distance[a] < sort_distance[b] ? -1 : 1;
    return a - b;
}

void golden_graphs(const kti_tensors *activations, kti_graph graphs[GOLDEN_GRAPHS], int *order)
{
    const int64_t *nodes = integers(activations, "nodes_per_graph");
    const int64_t *edges = integers(activations, "edges_per_graph");
    const kti_tensor *types = kti_tensors_find(activations, "node_type");
    const kti_tensor *distances = kti_tensors_find(activations, "edge_distance");
    assert_non_null(types);
    assert_non_null(distances);
    const int all_edges = (int)distances->elements;
    sort_source = integers(activations, "edge_index");
    sort_target = sort_source + all_edges;
    sort_distance = distances->data;
    int node = 0, edge = 0;
    for (int g = 0; g < GOLDEN_GRAPHS; g++) {
        kti_graph *graph = &graphs[g];
        *graph = (kti_graph){
            .nodes = (int)nodes[g], .edges = (int)edges[g], .sites = nodes[g], .directed_edges = edges[g]};
        const size_t n = (size_t)graph->nodes, e = (size_t)graph->edges;
        graph->node_type = kti_allocate(n, sizeof(int32_t));
        graph->site_node = kti_allocate(n, sizeof(int32_t));
        graph->node_weight = kti_allocate(n, sizeof(double));
        graph->edge_source = kti_allocate(e, sizeof(int32_t));
        graph->edge_target = kti_allocate(e, sizeof(int32_t));
        graph->edge_distance = kti_allocate(e, sizeof(double));
        graph->edge_weight = kti_allocate(e, sizeof(double));
        for (int i = 0; i < graph->nodes; i++) {
            graph->node_type[i] = ((const int32_t *)types->data)[node + i];
            graph->node_weight[i] = 1;
            graph->site_node[i] = i;
        }
        for (int i = 0; i < graph->edges; i++)
            order[edge + i] = edge + i;
        qsort(order + edge, e, sizeof *order, by_target_source_distance);
        for (int i = 0; i < graph->edges; i++) {
            const int theirs = order[edge + i];
            graph->edge_source[i] = (int32_t)sort_source[theirs] - node;
            graph->edge_target[i] = (int32_t)sort_target[theirs] - node;
            graph->edge_distance[i] = sort_distance[theirs];
            graph->edge_weight[i] = 1;
        }
        node += graph->nodes;
        edge += graph->edges;
    }
}
