/* When the operations of a list can run.
 *
 * An operation's level is one more than the greatest level of what it waits for. So those of one level don't wait for each other, and
 * those of them that are of a kind may be one operation, a group. */
#ifndef KTI_TRAIN_LEVELS_H
#define KTI_TRAIN_LEVELS_H

#include "train/dependencies.h"

/* Groups that an operation may be part of. */
typedef enum kti_group { KTI_NO_GROUP, KTI_GROUP_OF_LAYERS, KTI_GROUP_OF_PRODUCTS, KTI_GROUPS } kti_group;

kti_group kti_group_of(const kti_entry *entry);

/* Each as early as it can be. Returns the last level. */
int kti_find_levels(kti_entry *list, int size);

/* Weight gradients later, since only the end of the list waits for them: those of some levels together, but not all at that end. */
void kti_delay_weight_gradients(kti_entry *list, int size, int last, int levels);

/* What is alone of its kind in its level joins others in a later one, where it can wait that long. */
void kti_find_company(kti_entry *list, int size, int last);

#endif
