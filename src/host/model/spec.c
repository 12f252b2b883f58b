#include "model/spec.h"

#include <string.h>

/* Weight [out, in] and bias [out] of one linear layer. */
#define LINEAR(name, out, in, part)                                                                          \
    {name ".weight", out, in, 2, KTI_INIT_UNIFORM, in, part},                                                \
    {                                                                                                        \
        name ".bias", 1, out, 1, KTI_INIT_UNIFORM, in, part                                                  \
    }

/* Encoders and dense parts: in -> 64 -> 32. The odd layers between are activations. */
#define TWO_LAYERS(name, in)                                                                                 \
    LINEAR(name ".layers.0", KTI_HIDDEN, in, KTI_PART_BODY),                                                 \
        LINEAR(name ".layers.2", KTI_FEATURES, KTI_HIDDEN, KTI_PART_BODY)

/* Convolution: in -> 64 -> 64 -> 32. */
#define THREE_LAYERS(name, in)                                                                               \
    LINEAR(name ".layers.0", KTI_HIDDEN, in, KTI_PART_BODY),                                                 \
        LINEAR(name ".layers.2", KTI_HIDDEN, KTI_HIDDEN, KTI_PART_BODY),                                     \
        LINEAR(name ".layers.4", KTI_FEATURES, KTI_HIDDEN, KTI_PART_BODY)

#define DENSE(block)                                                                                         \
    TWO_LAYERS(block ".edge_func", KTI_FEATURES), TWO_LAYERS(block ".node_func", KTI_FEATURES),              \
        TWO_LAYERS(block ".state_func", KTI_FEATURES)

/* The edge's input is source, target, edge, state; the node's: node, edges, state; the state's: state, edges,
 * nodes. */
#define CONVOLUTION(block)                                                                                   \
    THREE_LAYERS(block ".conv.edge_func", 4 * KTI_FEATURES),                                                 \
        THREE_LAYERS(block ".conv.node_func", 3 * KTI_FEATURES),                                             \
        THREE_LAYERS(block ".conv.state_func", 3 * KTI_FEATURES)

/* One LSTM layer of hidden size 32 on q* of 64; four gates. */
#define LSTM_ROW(name, rows, columns, rank)                                                                  \
    {                                                                                                        \
        name, rows, columns, rank, KTI_INIT_UNIFORM, KTI_FEATURES, KTI_PART_BODY                             \
    }
#define SET2SET(name)                                                                                        \
    LSTM_ROW(name ".lstm.weight_ih_l0", 4 * KTI_FEATURES, 2 * KTI_FEATURES, 2),                              \
        LSTM_ROW(name ".lstm.weight_hh_l0", 4 * KTI_FEATURES, KTI_FEATURES, 2),                              \
        LSTM_ROW(name ".lstm.bias_ih_l0", 1, 4 * KTI_FEATURES, 1),                                           \
        LSTM_ROW(name ".lstm.bias_hh_l0", 1, 4 * KTI_FEATURES, 1)

enum { ELEMENTS = 89, READOUT_INPUT = 5 * KTI_FEATURES, READOUT_HIDDEN = 32 };

static const kti_parameter table[] = {
    {"embedding.layer_node_embedding.weight", ELEMENTS, KTI_EMBEDDING, 2, KTI_INIT_NORMAL, 1, KTI_PART_BODY},
    TWO_LAYERS("edge_encoder", KTI_GAUSSIANS),
    TWO_LAYERS("node_encoder", KTI_EMBEDDING),
    TWO_LAYERS("state_encoder", KTI_STATE_INPUT),
    CONVOLUTION("blocks.0"), /* block 0 has no dense part */
    DENSE("blocks.1"),
    CONVOLUTION("blocks.1"),
    DENSE("blocks.2"),
    CONVOLUTION("blocks.2"),
    SET2SET("edge_s2s"),
    SET2SET("node_s2s"),
    LINEAR("output_proj.layers.0", READOUT_HIDDEN, READOUT_INPUT, KTI_PART_BODY),
    LINEAR("output_proj.layers.2", KTI_READOUT, READOUT_HIDDEN, KTI_PART_BODY),
    LINEAR("output_proj.layers.4", 1, KTI_READOUT, KTI_PART_EFORM),
    LINEAR("head.layers.0", 450, KTI_READOUT, KTI_PART_HEAD),
    LINEAR("head.layers.1", 350, 450, KTI_PART_HEAD),
    LINEAR("head.layers.2", 350, 350, KTI_PART_HEAD),
    LINEAR("head.layers.3", 1, 350, KTI_PART_HEAD),
    {"node_encoder.physics.weight", KTI_HIDDEN, KTI_NODE_PHYSICS, 2, KTI_INIT_ZERO, 1, KTI_PART_PHYSICS},
    {"state_encoder.physics.weight", KTI_HIDDEN, KTI_STATE_PHYSICS, 2, KTI_INIT_ZERO, 1, KTI_PART_PHYSICS},
};

enum { ROWS = sizeof table / sizeof table[0] };

const kti_parameter *kti_spec(int *size)
{
    *size = ROWS - KTI_PHYSICS_PARAMETERS;
    return table;
}

int kti_spec_find(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return -1;
}
