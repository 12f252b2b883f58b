/* The one table of the model's parameters: name, shape, initialiser, where each comes from.
 *
 * Allocation, import, checkpoints, optimiser, tests and `weights inspect` are
 * all driven by it (docs/method.md, section 3). Weights are [out, in].
 */
#ifndef KTI_MODEL_SPEC_H
#define KTI_MODEL_SPEC_H

#include <stdint.h>

#include "crystal/features.h"

typedef enum kti_initialiser {
    KTI_INIT_UNIFORM, /* U(-1/sqrt(fan), 1/sqrt(fan)): PyTorch's Linear (fan = in) and LSTM (fan = hidden) */
    KTI_INIT_NORMAL,  /* N(0, 1): PyTorch's Embedding */
    KTI_INIT_ZERO
} kti_initialiser;

typedef enum kti_part {
    KTI_PART_BODY,  /* comes from pretrained weights */
    KTI_PART_EFORM, /* the pretrained body's own last layer, 16 -> 1; only for formation energies */
    KTI_PART_HEAD,  /* 16 -> 450 -> 350 -> 350 -> 1; new in transfer learning */
    KTI_PART_PHYSICS /* columns of the node's and the state's encoder for physical features; new in transfer learning, zero
                        at first, so that the body gives what it gave */
} kti_part;

typedef struct kti_parameter {
    char
        name[64]; /* as in matgl's state dict, without its "model." prefix; head.layers.0 ... head.layers.3 */
    int rows, columns; /* a bias of n is rows 1, columns n, and of rank 1 in files */
    int rank;
    kti_initialiser initialiser;
    int fan;
    kti_part part;
} kti_parameter;

enum {
    KTI_GAUSSIANS = 100,
    KTI_EMBEDDING = 16,
    KTI_STATE_INPUT = 2,
    KTI_BLOCKS = 3,
    KTI_HIDDEN = 64,   /* first layers of encoders, dense and convolution MLPs */
    KTI_FEATURES = 32, /* channels of edge, node and state between blocks */
    KTI_SET2SET_STEPS = 2,
    KTI_READOUT = 16,
    KTI_BODY_PARAMETERS = 189504,
    KTI_HEAD_PARAMETERS = 288701
};

/* The table: body first, then the formation-energy layer, then the head. Order and content are fixed. After its end
 * stand the KTI_PHYSICS_PARAMETERS of a network with physics inputs, which the layout of such a one counts. */
const kti_parameter *kti_spec(int *size);

enum { KTI_PHYSICS_PARAMETERS = 2 };

/* Index in the table, physics included; -1 if there is none of that name. */
int kti_spec_find(const char *name);

#endif
