/* Colour refinement (1-WL): which sites the network cannot tell apart. */
#ifndef KTI_CRYSTAL_REFINE_H
#define KTI_CRYSTAL_REFINE_H

#include <stdint.h>

#include <kappatune/error.h>

/* An incoming edge of a site. */
typedef struct kti_link {
    int32_t source;  /* site */
    int32_t label;   /* rank of its distance; equal labels are one distance */
    double distance; /* Å */
} kti_link;

/* Refines colour[sites] (on entry 0..classes-1, every one in use) to the coarsest equitable partition: two
 * sites keep one colour only if they have it on entry and equal multisets of (neighbour's colour, label).
 * `offset[sites + 1]` and `links` are the incoming edges of each site; for every link the opposite one with
 * the same label must exist. On return colours are 0..*classes-1 in the order of their first sites.
 * Signatures are compared whole, never as hashes. KT_OUT_OF_MEMORY. */
kt_status kti_refine(int sites, const int32_t *offset, const kti_link *links, int32_t *colour, int *classes,
                     kt_error *error);

#endif
