/* What an operation moves and computes, for the benchmark's comparison with what the device can do.
 *
 * Bytes count every operand of a launch once, as if it came from memory and went there each time. Of FLOPs an addition, a
 * multiplication, a comparison, a division and an exponential or logarithm are one each.
 */
#ifndef KTI_DEVICE_COST_H
#define KTI_DEVICE_COST_H

#include "device/operation.h"

typedef struct kti_cost {
    int launches; /* kernels */
    double bytes, flops;
} kti_cost;

/* For one fold, whose batch has that many rows of each kind; means of several batches will do. */
kti_cost kti_operation_cost(const kti_operation *operation, const double rows[KT_ROW_KINDS]);

/* Of a list. */
kti_cost kti_list_cost(const kti_operation *list, int size, const double rows[KT_ROW_KINDS]);

#endif
