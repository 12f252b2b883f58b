/* Random starting weights, equal in distribution to PyTorch's. */
#ifndef KTI_MODEL_INITIALISE_H
#define KTI_MODEL_INITIALISE_H

#include <stdint.h>

#include "kernels/kernel.h"
#include "model/layout.h"

/* Fills the parts (bit mask 1 << kti_part) of a fold's host arena. Depends on (seed, fold, draw) and the
 * parameter's name's place in the table alone; `draw` counts fresh starts of a fold. */
void kti_initialise(const kti_layout *layout, kt_real *arena, unsigned parts, uint64_t seed, int fold,
                    int draw);

#endif
