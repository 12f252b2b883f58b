/* A packed batch: graphs joined into the flat arrays that the kernels read.
 *
 * One block of memory holds everything, so that a step is one upload: of all of
 * it, or, where the device keeps the crystals and picks the rows itself, of its
 * end alone. Sizes are the capacity's (the padding); the counts say how many rows
 * are real.
 */
#ifndef KTI_DATA_BATCH_H
#define KTI_DATA_BATCH_H

#include <stddef.h>

#include "crystal/graph.h"
#include "kernels/kernel.h"

/* Between rows of crystal_physics, whose last columns are zero. */
enum { KTI_PHYSICS_STRIDE = 16 };

typedef struct kti_capacity {
    int graphs, nodes, edges;
} kti_capacity;

/* What `graphs` graphs at a time can need at most, whichever of `list` they are. */
kti_capacity kti_capacity_of(const kti_graph *const *list, int size, int graphs);

/* The smallest capacity that holds both. */
kti_capacity kti_capacity_join(kti_capacity left, kti_capacity right);

/* Pointers into the block. Means are weighted sums: each coefficient is weight / (sum of the segment's weights). */
typedef struct kti_batch {
    kti_capacity capacity;
    size_t bytes;                                    /* of the block */
    int32_t *node_type, *node_graph;                 /* [nodes] */
    int32_t *type_start;                             /* [types + 1] */
    int32_t *type_node;                              /* [nodes] sorted by type */
    int32_t *edge_source, *edge_target, *edge_graph; /* [edges] */
    int32_t *incoming_start;                         /* [nodes + 1] edges by target */
    int32_t *outgoing_start, *outgoing_edge;         /* [nodes + 1], [edges] edges by source */
    kt_real *node_weight;                            /* [nodes] multiplicity */
    kt_real *node_mean_graph;                        /* [nodes] coefficient in the graph's mean */
    kt_real *edge_distance;                          /* [edges] Å */
    kt_real *edge_weight;                            /* [edges] */
    kt_real *edge_mean_target, *edge_mean_graph;     /* [edges] */
    kt_real *crystal_physics;                        /* [graphs, KTI_PHYSICS_STRIDE] kti_physics_of_crystal */

    size_t end; /* where the following begins, which the host sets for each batch */
    int32_t *graph_count, *node_count, *edge_count;
    int32_t *graph_node_start, *graph_edge_start; /* [graphs + 1] */
    int32_t *crystal;                             /* [graphs] which of the kept ones */
    int32_t *data_set;                            /* [graphs] whose target transform is the graph's */
    kt_real *kappa;                               /* [graphs] W/(m K) */
} kti_batch;

/* The layout for a capacity, with the pointers into `block`, which may be NULL to learn `bytes` first, or a device's
 * address to learn where each array lies there. */
kti_batch kti_batch_layout(kti_capacity capacity, void *block);

/* Packs `count` graphs, in order, into a batch of host memory; kappa may be NULL (no target); data_set is
 * 0 for all of them, for the caller to change. The caller has
 * chosen them to fit the capacity; 0 on success, -1 if they do not fit. */
int kti_batch_pack(kti_batch *batch, const kti_graph *const *graphs, const double *kappa, int count);

/* Sets the end of a batch of `count` of the kept graphs, for the device to pick the rest; kappa and data_set are zero, for
 * the caller to change. 0, or -1 if they do not fit. */
int kti_batch_pick(kti_batch *batch, const kti_graph *const *kept, const int32_t *crystals, int count);

#endif
