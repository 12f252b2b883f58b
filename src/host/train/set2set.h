/* Set2Set: pools the rows of each graph, nodes or edges, by two steps of an LSTM and of attention (docs/method.md, sections 3
 * and 4). */
#ifndef KTI_TRAIN_SET2SET_H
#define KTI_TRAIN_SET2SET_H

#include "train/builder.h"

typedef struct kti_set2set {
    int parameter; /* index of W_q; W_h, b_q and b_h follow */
    kti_view in, out;
    kt_matrix weight; /* [rows, 1] multiplicities m_r */
    kt_index start;   /* [G + 1] where a graph's rows begin */
    /* Of each step: gates z [G, 128], cell c [G, 32], query q = [h, p] [G, 64], attention a [rows, 1]. */
    kti_view gates[KTI_SET2SET_STEPS], cell[KTI_SET2SET_STEPS], query[KTI_SET2SET_STEPS],
        attention[KTI_SET2SET_STEPS];
} kti_set2set;

/* Fills `s` and appends its operations. Parameters are named prefix + "lstm. ..."; in [rows, 32], out [G, 64]; `weight` and
 * `start` are arrays of the batch. */
void kti_set2set_forward(kti_builder *b, kti_set2set *s, const char *prefix, kti_view in,
                         const kt_real *weight, const int32_t *start, kti_view out);

/* `gradient` [G, 64], with respect to the output, is overwritten; in_gradient [rows, 32] = that with respect to the input. */
void kti_set2set_backward(kti_builder *b, const kti_set2set *s, kti_view gradient, kti_view in_gradient);

#endif
