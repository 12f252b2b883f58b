/* A batch of crystals that the device keeps: their rows, moved to where the batch has them.
 *
 *     node i of graph g    node_start[g] + i in the batch, kept_node_start[crystal[g]] + i among the kept ones
 *     edge i of graph g    likewise
 *
 * Rows are copied; numbers of nodes and edges in them are moved by the difference of the two starts. pick_types, a kernel of its own since
 * nothing but the gradient with respect to the embedding needs it, lists the nodes of each type in order: a node's place is the number of nodes of
 * smaller types and of earlier nodes of its own.
 * F folds; crystal [G], node_start, edge_start [G + 1] from the host; the rest of the batch, '='. The kept crystals are
 * those of all folds.
 * Deterministic: integers and copies alone. Moves 48 N + 64 E bytes, and reads 4 N (N + T) for the types.
 * Launch: blocks of one line, any grid.
 */
#include "kernels/arguments.h"

enum { PICK_GRAPHS = 64 }; /* of which a block keeps where they begin */

/* Where the piece of a fold begins; the kept crystals have one piece for all. */
KT_INLINE kt_batch_rows pick_of_fold(kt_batch_rows rows, int64_t integers, int64_t reals)
{
    rows.node_type += integers;
    rows.node_graph += integers;
    rows.incoming_start += integers;
    rows.outgoing_start += integers;
    rows.edge_source += integers;
    rows.edge_target += integers;
    rows.edge_graph += integers;
    rows.outgoing_edge += integers;
    rows.node_weight += reals;
    rows.node_mean_graph += reals;
    rows.edge_distance += reals;
    rows.edge_weight += reals;
    rows.edge_mean_target += reals;
    rows.edge_mean_graph += reals;
    rows.crystal_physics += reals;
    return rows;
}

KT_INLINE void pick_nodes(const kt_batch_rows *from, const kt_batch_rows *to, int graph, int first_from,
                          int first_to, int count, int edge_shift)
{
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        const int f = first_from + i, t = first_to + i;
        /* All loads before the first store, so that none waits for another. */
        const int32_t type = from->node_type[f], incoming = from->incoming_start[f],
                      outgoing = from->outgoing_start[f];
        const kt_real weight = from->node_weight[f], mean_graph = from->node_mean_graph[f];
        to->node_type[t] = type;
        to->node_graph[t] = graph;
        to->node_weight[t] = weight;
        to->node_mean_graph[t] = mean_graph;
        to->incoming_start[t] = incoming + edge_shift;
        to->outgoing_start[t] = outgoing + edge_shift;
    }
}

KT_INLINE void pick_edges(const kt_batch_rows *from, const kt_batch_rows *to, int graph, int first_from,
                          int first_to, int count, int node_shift)
{
    const int edge_shift = first_to - first_from;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        const int f = first_from + i, t = first_to + i;
        const int32_t source = from->edge_source[f], target = from->edge_target[f],
                      outgoing = from->outgoing_edge[f];
        const kt_real distance = from->edge_distance[f], weight = from->edge_weight[f],
                      mean_target = from->edge_mean_target[f], mean_graph = from->edge_mean_graph[f];
        to->edge_source[t] = source + node_shift;
        to->edge_target[t] = target + node_shift;
        to->edge_graph[t] = graph;
        to->outgoing_edge[t] = outgoing + edge_shift;
        to->edge_distance[t] = distance;
        to->edge_weight[t] = weight;
        to->edge_mean_target[t] = mean_target;
        to->edge_mean_graph[t] = mean_graph;
    }
}

/* How many nodes of the batch have a type below `type`, or that type and a number below `node`. kept_start[crystal[g]], or
 * kept_start[g] where there is no `crystal`, is where graph g's kept nodes begin. */
KT_INLINE int pick_place(const int32_t *kept_type, const int32_t *kept_start, const int32_t *crystal,
                         const int32_t *node_start, int graphs, int type, int node)
{
    int place = 0;
    for (int g = 0; g < graphs; g++) {
        const int32_t *types = kept_type + kept_start[crystal ? crystal[g] : g];
        for (int i = 0; i < node_start[g + 1] - node_start[g]; i++)
            place += types[i] < type || (types[i] == type && node_start[g] + i < node);
    }
    return place;
}

KT_KERNEL(pick, kt_pick)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    const int32_t *crystal = kt_entries(a.crystal, fold), *node_start = kt_entries(a.node_start, fold),
                  *edge_start = kt_entries(a.edge_start, fold);
    const kt_batch_rows to = pick_of_fold(a.batch, fold * a.fold_integers, fold * a.fold_reals);
    for (int g = blockIdx.x; g < graphs; g += gridDim.x) {
        const int first_node = a.kept_node_start[crystal[g]], first_edge = a.kept_edge_start[crystal[g]];
        pick_nodes(&a.kept, &to, g, first_node, node_start[g], node_start[g + 1] - node_start[g],
                   edge_start[g] - first_edge);
        pick_edges(&a.kept, &to, g, first_edge, edge_start[g], edge_start[g + 1] - edge_start[g],
                   node_start[g] - first_node);
        for (int c = threadIdx.x; c < a.physics; c += blockDim.x)
            to.crystal_physics[(int64_t)g * a.physics + c] =
                a.kept.crystal_physics[(int64_t)crystal[g] * a.physics + c];
    }
    if (blockIdx.x == 0 && threadIdx.x == 0)
        to.incoming_start[node_start[graphs]] = to.outgoing_start[node_start[graphs]] = edge_start[graphs];
}

KT_KERNEL(pick_types, kt_pick)
{
    const int fold = KT_FOLD, graphs = kt_number(a.graphs, fold);
    const int32_t *crystal = kt_entries(a.crystal, fold), *node_start = kt_entries(a.node_start, fold);
    int32_t *type_start = a.type_start + fold * a.fold_integers,
            *type_node = a.type_node + fold * a.fold_integers;
    const int32_t *kept_start = a.kept_node_start, *counted_crystal = crystal, *counted_start = node_start;
#ifdef KT_MANY_THREADS
    /* Every thread goes through all graphs. */
    KT_SHARED int32_t begin[PICK_GRAPHS], start[PICK_GRAPHS + 1];
    if (graphs <= PICK_GRAPHS) {
        for (int g = threadIdx.x; g <= graphs; g += blockDim.x) {
            start[g] = node_start[g];
            if (g < graphs)
                begin[g] = a.kept_node_start[crystal[g]];
        }
        __syncthreads(); /* they are there */
        kept_start = begin;
        counted_crystal = 0;
        counted_start = start;
    }
#endif
    for (int g = blockIdx.x; g < graphs; g += gridDim.x)
        for (int i = threadIdx.x; i < node_start[g + 1] - node_start[g]; i += blockDim.x)
            type_node[pick_place(a.kept.node_type, kept_start, counted_crystal, counted_start, graphs,
                                 a.kept.node_type[a.kept_node_start[crystal[g]] + i], node_start[g] + i)] =
                node_start[g] + i;
    for (int type = (int)(blockIdx.x * blockDim.x + threadIdx.x); type <= a.types;
         type += (int)(gridDim.x * blockDim.x))
        type_start[type] =
            pick_place(a.kept.node_type, kept_start, counted_crystal, counted_start, graphs, type, 0);
}
