/* Cross-validation splits, equal to the published ones. */
#ifndef KTI_DATA_SPLIT_H
#define KTI_DATA_SPLIT_H

#include <stdint.h>

#include <kappatune/error.h>

/* numpy's RandomState(seed).permutation(size) (MT19937, legacy shuffle) into order[size]. KT_BAD_ARGUMENT for a size
 * below 1 and for seed 0, which GSL's generator takes for another seed than numpy does. */
kt_status kti_split_permutation(uint32_t seed, int size, int32_t *order, kt_error *error);

/* Rows of fold n: order[0 .. train) train, the rest validate; train = int(0.8 * size). */
int kti_split_train_size(int size);

#endif
