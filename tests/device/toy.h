/* An operation that no plan has, to see that its row is all that a device needs to know of it: this file stands before every
 * source of the devices and of the plan in test_toy.
 *
 *     toy   out[r, c] = factor in[r, c]^2
 *
 * F folds; in, out [R, C], '='; out may be in.
 */
#ifndef KTI_TESTS_DEVICE_TOY_H
#define KTI_TESTS_DEVICE_TOY_H

#include "kernels/kernel.h"

typedef struct kt_toy {
    kt_count rows;
    int channels;
    kt_real factor;
    kt_matrix in, out;
} kt_toy;

/* clang-format off */
#define KT_MORE_OPERATIONS                                                                                    \
    OPERATION(TOY, toy, kt_toy,                                                                               \
              KERNEL(toy, kt_toy, kt_launch_rows(a->rows.max, a->channels)),                                 \
              toy(block, *a),                                                                                 \
              ROWS(a->rows),                                                                                  \
              READS(a->in, a->channels) WRITES(a->out, a->channels),                                          \
              MOVES(2 * (OF(a->rows) * a->channels), 2 * (OF(a->rows) * a->channels)),                        \
              LINK_IF(1), toy_row(a, fold, row))
/* clang-format on */
#define KT_MORE_KERNEL_FILES "device/toy.cu"

#endif
