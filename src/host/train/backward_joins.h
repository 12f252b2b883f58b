/* Joins products of the backward pass with their epilogues in one kernel. */
#ifndef KTI_TRAIN_BACKWARD_JOINS_H
#define KTI_TRAIN_BACKWARD_JOINS_H

#include "train/dependencies.h"

/* The product of a plain one or of a layer's backward; NULL: the operation is neither. */
const kt_gemm *kti_product_of(const kti_operation *operation);

/* The same as a layer's backward, which may have nothing around its product. */
kt_layer_backward kti_backward_of(const kti_operation *operation);

bool kti_is_weight_gradient(const kti_operation *operation);

/* Lets an input gradient and the linear_backward that follows it become one operation, whose bias is left to the weight gradient of the
 * same layer. A linear_backward that became part of nothing leaves its bias, too: then it need not sum over rows. */
void kti_join_backward(kti_entry *list, int size, const kti_pieces *pieces);

#endif
