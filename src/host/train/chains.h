/* Operations on the same rows, each of which needs what the one before it made of its own row alone, as one operation.
 *
 * A chain takes an operation behind the ones that it needs if everything else that it needs has a lower level than the chain's first
 * link. What a link reads of rows other than its own is of another kind of rows, which no chain of its kind makes; of graphs, it is
 * their own. */
#ifndef KTI_TRAIN_CHAINS_H
#define KTI_TRAIN_CHAINS_H

#include "train/dependencies.h"

/* Of a list that has levels, `last` of them. The list is sorted by level first, so that everything that a chain waits for stands
 * before it, and what is gone behind all. Links but the first are gone afterwards. -1 if memory is short. */
int kti_make_chains(kti_entry *list, int size, int last);

/* The chain that begins at `head`, as an operation. */
void kti_write_chain(const kti_entry *list, int head, kti_operation *to);

#endif
