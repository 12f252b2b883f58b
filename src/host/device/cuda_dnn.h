/* What cuda_dnn.c tells cuDNN: descriptors of a layer's graph, and of an engine that runs it. */
#ifndef KTI_DEVICE_CUDA_DNN_H
#define KTI_DEVICE_CUDA_DNN_H

#include <cudnn_graph.h>

#include "device/cuda.h"

/* cuDNN's names of the tensors that have memory. */
enum { KTI_DNN_IN = 1, KTI_DNN_WEIGHTS, KTI_DNN_BIAS, KTI_DNN_PRODUCT, KTI_DNN_OUT, KTI_DNN_LN2 };

/* The product, the bias and the activation as one; or without the product, which something else computes. */
typedef enum kti_dnn_form { KTI_DNN_FUSED, KTI_DNN_EPILOGUE, KTI_DNN_FORMS } kti_dnn_form;

/* Descriptors in the order in which they were made. */
enum { KTI_DNN_DESCRIPTORS = 64 };
typedef struct kti_dnn_list {
    cudnnBackendDescriptor_t descriptor[KTI_DNN_DESCRIPTORS];
    int size;
} kti_dnn_list;

/* An engine with its settings. */
enum { KTI_DNN_KNOBS = 32 };
typedef struct kti_dnn_engine {
    int64_t index;
    int knobs;
    cudnnBackendKnobType_t knob[KTI_DNN_KNOBS];
    int64_t value[KTI_DNN_KNOBS];
} kti_dnn_engine;

/* KT_OK, or what failed in cuDNN's own words. */
kt_status kti_dnn_check(cudnnStatus_t code, const char *what, kt_error *error);

void kti_dnn_destroy_list(kti_dnn_list *list);

/* Describes the layer for so many folds and for product.rows.max rows; all that is made goes to the list, also on failure. */
kt_status kti_dnn_describe(cudnnHandle_t handle, const kt_layer_forward *layer, kti_dnn_form form, int folds,
                           kti_dnn_list *list, cudnnBackendDescriptor_t *graph, kt_error *error);

/* The heuristic's first engine that computes in float32 and in one order and that `fits` (which may fail otherwise);
 * *found is false where there is none. */
kt_status kti_dnn_find_engine(cudnnBackendDescriptor_t graph, kti_dnn_form form,
                              bool (*fits)(void *context, const kti_dnn_engine *engine), void *context,
                              kti_dnn_engine *engine, bool *found, kt_error *error);

/* A plan of the graph by the engine; *plan is NULL where the engine doesn't do that. */
kt_status kti_dnn_plan(cudnnHandle_t handle, cudnnBackendDescriptor_t graph, const kti_dnn_engine *engine,
                       kti_dnn_list *list, cudnnBackendDescriptor_t *plan, size_t *workspace,
                       kt_error *error);

/* Puts the plan on the handle's stream. */
kt_status kti_dnn_execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, int tensors,
                          const int64_t *names, void *const *memory, void *workspace, kt_error *error);

#endif
