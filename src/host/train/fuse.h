/* Fewer launches, for a device on which every operation of a list costs one. */
#ifndef KTI_TRAIN_FUSE_H
#define KTI_TRAIN_FUSE_H

#include "train/dependencies.h"

/* Rewrites list[0 .. size), part of a forward or backward pass, which then computes the same:
 *     an input gradient and the linear_backward that follows it become one operation, whose bias is left to the weight
 *     gradient of the same layer;
 *     with `chains`, operations on the same rows, each of which needs what the one before it made of its own row alone, become one;
 *     products and layers that don't wait for each other become groups; weight gradients are put off a little, to be one another's
 *     neighbours.
 * Each operation then says which it waits for. Every bit stays but those of these biases' gradients, whose rows are added up in another order.
 * Returns the new size, -1 if memory is short. */
int kti_fuse(kti_operation *list, int size, const kti_pieces *pieces, bool chains);

#endif
