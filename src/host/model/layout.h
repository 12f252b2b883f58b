/* Where each parameter of the spec table lies in a fold's arena.
 *
 * Rows are padded to multiples of 16 numbers, so that every row of every matrix
 * is aligned and kernels have no ragged ends; the padding is zero and stays zero
 * under Adam. All arenas (parameters, gradients, moments, averages) share this layout. The body comes
 * first, so that what is frozen or trained at another rate is one range.
 */
#ifndef KTI_MODEL_LAYOUT_H
#define KTI_MODEL_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "model/spec.h"

typedef struct kti_layout {
    int64_t offset[128]; /* of each parameter of the table, in numbers */
    int stride[128];     /* between its rows */
    int parameters; /* of the table that are in it: kti_spec's size, with physics inputs the ones after it too */
    int64_t size;        /* of a fold's arena, a multiple of 16 */
    int64_t body_size;   /* the body, physics included, is [0, body_size) */
    int64_t head_offset; /* the head is [head_offset, size) */
} kti_layout;

/* The layout of the whole table, with or without physics inputs. */
kti_layout kti_layout_create(bool physics);

static inline bool kti_layout_has_physics(const kti_layout *layout)
{
    int size;
    kti_spec(&size);
    return layout->parameters > size;
}

static inline int kti_round_up16(int count)
{
    return (count + 15) / 16 * 16;
}

#endif
