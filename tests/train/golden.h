/* The reference files of the published stack, as plans and graphs of ours. */
#ifndef KTI_TESTS_TRAIN_GOLDEN_H
#define KTI_TESTS_TRAIN_GOLDEN_H

#include "data/dataset.h"
#include "model/tensors.h"
#include "train/plan.h"

/* transfer_init.safetensors into a host arena [layout.size], whose formation-energy layer stays zero. */
void golden_load_arena(const kti_tensors *tensors, const kti_layout *layout, kt_real *arena);

/* The reference's name of a parameter of the table. */
void golden_name(const char *name, char *reference, size_t capacity);

/* The crystals of activations.safetensors as the reference has them; edge i of ours is edge order[i] of
 * theirs. */
enum { GOLDEN_GRAPHS = 8 };
void golden_graphs(const kti_tensors *activations, kti_graph graphs[GOLDEN_GRAPHS], int *order);

#endif
