/* Which operations of a list must keep their order.
 *
 * It is read from the matrices: two operations that touch the same columns of the same piece of the workspace, one of them to write,
 * keep their order. Gradients with respect to parameters are left out of that: each is written once, and nothing in a list reads
 * them; and nothing outside the workspace is ever written. */
#ifndef KTI_TRAIN_DEPENDENCIES_H
#define KTI_TRAIN_DEPENDENCIES_H

#include <stdbool.h>

#include "device/operation.h"

/* Where the pieces of a workspace begin, in rising order; a matrix of an operation lies in one of them, or outside. */
typedef struct kti_pieces {
    const char **start; /* [size] */
    size_t size, capacity;
    const char *end; /* of the last one */
} kti_pieces;

/* Columns of a piece. */
typedef struct kti_use {
    int piece, first, end;
    bool writes;
} kti_use;

enum { KTI_MAX_USES = 8 };

/* An operation of a list that is being rewritten. */
typedef struct kti_entry {
    kti_operation operation;
    kti_use use[KTI_MAX_USES];
    int uses;
    bool opaque;    /* what it touches is not known */
    bool gone;      /* became part of another one */
    int next;       /* of its chain, 0: none */
    int head, size; /* the first one of its chain, itself where there is none; that one's number of links */
    int level;      /* from 1 */
    int place;      /* in the new list */
} kti_entry;

/* Where columns of a matrix lie; false if outside the workspace. */
bool kti_locate(const kti_pieces *pieces, kt_matrix m, int columns, kti_use *use);

/* The columns of a product's result, padding included. */
int kti_product_columns(const kt_gemm *product);

/* Fills what the entry's operation touches, by the table of operations. */
void kti_find_uses(kti_entry *entry, const kti_pieces *pieces);

bool kti_overlap(const kti_use *a, const kti_use *b);

/* Whether the two, by themselves, must keep their order. */
bool kti_conflict(const kti_entry *a, const kti_entry *b);

/* The same with all links of the chains that begin at a and b. */
bool kti_chains_conflict(const kti_entry *list, int a, int b);

/* Says of each operation of the new list, [count], which ones it waits for; entries know their places in it. -1 if memory is short. */
int kti_tell_waits(const kti_entry *entries, int size, kti_operation *list, int count);

#endif
