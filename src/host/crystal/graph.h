/* The graph of a crystal: every neighbour within the cutoff, or its exact symmetry quotient.
 *
 * Edges are directed and sorted by (target, source, distance). In the full
 * graph a node is a site and every weight is 1. In the quotient a node stands
 * for `node_weight` equivalent sites and an edge for `edge_weight` equivalent
 * edges of the whole crystal; weighted means over them equal the full graph's
 * means (docs/method.md, section 2).
 */
#ifndef KTI_CRYSTAL_GRAPH_H
#define KTI_CRYSTAL_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include <kappatune/structure.h>

#include "crystal/features.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kti_graph_options {
    double cutoff;       /* Å; 4.0 */
    bool quotient;       /* true */
    double distance_gap; /* Å; distances closer than this are one; 1e-4 (0: only bit-equal ones are) */
} kti_graph_options;

kti_graph_options kti_graph_options_default(void);

typedef struct kti_graph {
    int nodes, edges;              /* of this graph */
    int64_t sites, directed_edges; /* of the crystal it stands for */
    int32_t *node_type;            /* [nodes] row of the embedding, 0..88 */
    double *node_weight;           /* [nodes] sites that the node stands for */
    int32_t *edge_source;          /* [edges] */
    int32_t *edge_target;          /* [edges] ascending */
    double *edge_distance;         /* [edges] Å; in the quotient the mean over the edges it stands for */
    double *edge_weight;           /* [edges] edges of the crystal that the edge stands for */
    int32_t *site_node;            /* [sites] the node that a site belongs to */
    double feature
        [KTI_FEATURES_OF_CRYSTAL]; /* of the crystal, the same for every cell and either form of graph */
} kti_graph;

/* Builds the graph. Neighbours are found by a periodic cell list: all ordered pairs of sites and images with
 * 1e-8 < d <= cutoff + 1e-8; of a pair both directions have bit-equal distances.
 *
 * Quotient: the distances are sorted and cut into labels where neighbouring ones differ by more than
 * distance_gap (a chain that grows wider than ten gaps, as in a large crystal without symmetry, is cut again
 * at a tenth of the gap, and so on); sites are refined to the coarsest partition that is equitable over
 * (element, neighbours, labels); a node is a class of sites, in the order of their first sites, an edge a
 * class (target, source, label). An element outside the 89 is KT_BAD_CRYSTAL, as are a bad lattice and
 * coordinates that are not finite; a cutoff outside (0, 20] Å or a bad gap is KT_BAD_ARGUMENT. A crystal
 * without any edge gives a graph with edges == 0 and KT_OK: the caller decides. More than 8 million directed
 * edges is KT_BAD_CRYSTAL. Same structure, same bits. `file` names the input in errors (may be NULL). */
kt_status kti_graph_create(const kt_structure *structure, const kti_graph_options *options, const char *file,
                           kti_graph *graph, kt_error *error);
void kti_graph_destroy(kti_graph *graph);

#ifdef __cplusplus
}
#endif
#endif
