/* What the emulated cuDNN's descriptors (dnn.c) and its computations (dnn_graph.c) share. */
#ifndef KTI_TESTS_CUDA_EMULATOR_DNN_H
#define KTI_TESTS_CUDA_EMULATOR_DNN_H

#include <cudnn_graph.h>

#include "cuda_emulator/internal.h"

enum {
    DNN_STEPS = 6,
    DNN_NOTES = 4,
    DNN_KNOBS = 2,
    DNN_TENSORS = 12,
    DNN_OFFERED = 8,
    DNN_WORKSPACE_ALIGNMENT = 256
};

typedef struct dnn_tensor {
    cudnnDataType_t type;
    int64_t size[3], stride[3], sizes, strides; /* [batches, rows, columns] */
    int64_t name, alignment;
    bool is_virtual, by_value;
} dnn_tensor;

/* A product, or a function of each element. */
typedef struct dnn_step {
    bool product;
    cudnnPointwiseMode_t mode;
    cudnnDataType_t precision;
    double beta;
    bool has_second; /* of a pointwise one */
    dnn_tensor x, second, y;
} dnn_step;

typedef struct dnn_graph {
    int steps;
    dnn_step step[DNN_STEPS];
} dnn_graph;

/* One that the heuristic offers; its number, notes and what it does with a knob's value are dnn_graph.c's. */
typedef struct dnn_engine {
    int64_t index;
    int64_t knobs;
    cudnnBackendKnobType_t knob[DNN_KNOBS];
    int64_t value[DNN_KNOBS];
} dnn_engine;

/* Where a graph's tensors are; [tensors] each. */
typedef struct dnn_memory {
    int64_t names, pointers;
    int64_t name[DNN_TENSORS];
    void *pointer[DNN_TENSORS];
    void *workspace;
} dnn_memory;

/* NULL, or what is wrong with it. */
const char *dnn_check_tensor(const dnn_tensor *t);
const char *dnn_check_step(const dnn_step *s);
const char *dnn_check_graph(const dnn_graph *g);

/* In the order of the mode, which is another one for another number of batches. */
int dnn_offer(const dnn_graph *g, cudnnBackendHeurMode_t mode, dnn_engine offered[DNN_OFFERED]);
int dnn_notes(const dnn_graph *g, int64_t index, cudnnBackendNumericalNote_t notes[DNN_NOTES]);
bool dnn_has_engine(const dnn_graph *g, int64_t index);
/* Whether the engine does that graph, and what it needs. */
bool dnn_supports(const dnn_graph *g, const dnn_engine *e, int64_t *workspace);

/* Queues the computation; false and a violation where the memory is wrong. */
bool dnn_submit(emu_stream *stream, const dnn_graph *g, const dnn_engine *e, const dnn_memory *m);

#endif
