/* cuDNN's backend API: handles, and descriptors with attributes that are of use once they are finalised. What a descriptor
 * refers to it copies when it is set, as the real ones keep what they need; what it refers to must be finalised then. */
#include "cuda_emulator/dnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct handle {
    emu_object object;
    int device;
    emu_stream *stream; /* NULL: none was set */
} handle;

/* One struct for all types: what belongs to the others is empty. */
typedef struct descriptor {
    emu_object object;
    cudnnBackendDescriptorType_t type;
    bool finalised;
    dnn_tensor tensor;
    dnn_step step; /* of an operation; mode, precision and beta also of what says them to it */
    bool has_kind;
    dnn_graph graph; /* of a graph, and of all that is for one */
    bool has_graph, has_engine;
    dnn_engine engine; /* of an engine, its setting, a plan; a knob's choice has one knob */
    bool knob_is_set[2];
    cudnnBackendHeurMode_t mode;
    handle *handle;
    int64_t workspace;
    dnn_memory memory;
} descriptor;

static cudnnStatus_t leave(cudnnStatus_t status)
{
    emu_leave_library(status != CUDNN_STATUS_SUCCESS &&
                      CUDNN_STATUS_CATEGORY(status) != CUDNN_STATUS_NOT_SUPPORTED);
    return status;
}

static cudnnStatus_t refuse(cudnnStatus_t status, const char *text)
{
    emu_violation("%s: %s", emu_call(), text);
    return status;
}

EMU_API const char *cudnnGetErrorString(cudnnStatus_t status)
{
    emu_error_seen();
    switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_INTERNAL_ERROR: return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED:
        return "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "a status of the emulated cuDNN";
    }
}

EMU_API void cudnnGetLastErrorString(char *message, size_t size)
{
    emu_error_seen();
    snprintf(message, size, "the emulated cuDNN's last error");
}

EMU_API size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

/* ---- handles ---- */

EMU_API cudnnStatus_t cudnnCreate(cudnnHandle_t *made)
{
    *made = NULL;
    if (emu_enter(__func__, EMU_WORK) || emu_options.devices == 0)
        return leave(CUDNN_STATUS_NOT_INITIALIZED);
    handle *h = emu_object_create(EMU_DNN_HANDLE, sizeof *h);
    h->device = emu_current_device;
    *made = (cudnnHandle_t)h;
    return leave(CUDNN_STATUS_SUCCESS);
}

EMU_API cudnnStatus_t cudnnDestroy(cudnnHandle_t object)
{
    const bool fails = emu_enter(__func__, EMU_CLEANUP);
    handle *h = emu_object_find(EMU_DNN_HANDLE, object);
    if (!h)
        return leave(CUDNN_STATUS_BAD_PARAM);
    emu_object_destroy(h);
    emu_leave_library(false); /* nobody could do anything about it */
    return fails ? CUDNN_STATUS_EXECUTION_FAILED : CUDNN_STATUS_SUCCESS;
}

EMU_API cudnnStatus_t cudnnSetStream(cudnnHandle_t object, cudaStream_t stream)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUDNN_STATUS_BAD_PARAM);
    handle *h = emu_object_find(EMU_DNN_HANDLE, object);
    emu_stream *s = emu_stream_find(stream);
    if (!h || !s)
        return leave(CUDNN_STATUS_BAD_PARAM);
    if (h->device != s->device)
        return leave(refuse(CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH, "the stream is another device's"));
    h->stream = s;
    return leave(CUDNN_STATUS_SUCCESS);
}

/* ---- descriptors ---- */

EMU_API cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                   cudnnBackendDescriptor_t *made)
{
    *made = NULL;
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED);
    descriptor *d = emu_object_create(EMU_DNN_DESCRIPTOR, sizeof *d);
    d->type = type;
    d->tensor.type = d->step.precision = (cudnnDataType_t)-1; /* not said yet */
    d->step.mode = (cudnnPointwiseMode_t)-1;
    *made = d;
    return leave(CUDNN_STATUS_SUCCESS);
}

EMU_API cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t object)
{
    const bool fails = emu_enter(__func__, EMU_CLEANUP);
    descriptor *d = emu_object_find(EMU_DNN_DESCRIPTOR, object);
    if (!d)
        return leave(CUDNN_STATUS_BAD_PARAM);
    emu_object_destroy(d);
    emu_leave_library(false);
    return fails ? CUDNN_STATUS_INTERNAL_ERROR : CUDNN_STATUS_SUCCESS;
}

/* Where an attribute's values go. */
typedef struct field {
    cudnnBackendAttributeType_t type;
    void *values;
    size_t item;
    int64_t room, *count; /* count NULL: exactly `room` */
} field;

#define FIELD(of, what, to)                                                                                  \
    (field)                                                                                                  \
    {                                                                                                        \
        CUDNN_TYPE_##what, &(to), sizeof(to), 1, NULL                                                        \
    }
#define FIELDS(what, to, counter)                                                                            \
    (field)                                                                                                  \
    {                                                                                                        \
        CUDNN_TYPE_##what, (to), sizeof *(to), (int64_t)(sizeof(to) / sizeof *(to)), &(counter)              \
    }

/* Of plain values; those of descriptors and handles are set_reference's. `values` is NULL for what isn't emulated. */
static field field_of(descriptor *d, cudnnBackendAttributeName_t name)
{
    switch (name) {
    case CUDNN_ATTR_TENSOR_DATA_TYPE: return FIELD(d, DATA_TYPE, d->tensor.type);
    case CUDNN_ATTR_TENSOR_DIMENSIONS: return FIELDS(INT64, d->tensor.size, d->tensor.sizes);
    case CUDNN_ATTR_TENSOR_STRIDES: return FIELDS(INT64, d->tensor.stride, d->tensor.strides);
    case CUDNN_ATTR_TENSOR_UNIQUE_ID: return FIELD(d, INT64, d->tensor.name);
    case CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT: return FIELD(d, INT64, d->tensor.alignment);
    case CUDNN_ATTR_TENSOR_IS_VIRTUAL: return FIELD(d, BOOLEAN, d->tensor.is_virtual);
    case CUDNN_ATTR_TENSOR_IS_BY_VALUE: return FIELD(d, BOOLEAN, d->tensor.by_value);
    case CUDNN_ATTR_MATMUL_COMP_TYPE: return FIELD(d, DATA_TYPE, d->step.precision);
    case CUDNN_ATTR_POINTWISE_MODE: return FIELD(d, POINTWISE_MODE, d->step.mode);
    case CUDNN_ATTR_POINTWISE_MATH_PREC: return FIELD(d, DATA_TYPE, d->step.precision);
    case CUDNN_ATTR_POINTWISE_SOFTPLUS_BETA: return FIELD(d, DOUBLE, d->step.beta);
    case CUDNN_ATTR_ENGINEHEUR_MODE: return FIELD(d, HEUR_MODE, d->mode);
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX: return FIELD(d, INT64, d->engine.index);
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE: return FIELD(d, KNOB_TYPE, d->engine.knob[0]);
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE: return FIELD(d, INT64, d->engine.value[0]);
    case CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS: return FIELDS(INT64, d->memory.name, d->memory.names);
    case CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS:
        return FIELDS(VOID_PTR, d->memory.pointer, d->memory.pointers);
    case CUDNN_ATTR_VARIANT_PACK_WORKSPACE: return FIELD(d, VOID_PTR, d->memory.workspace);
    default: return (field){0};
    }
}

/* Which descriptor has an attribute: the real library's numbers of both tell. */
static bool belongs(cudnnBackendDescriptorType_t type, cudnnBackendAttributeName_t name)
{
    const int group = (int)name / 100;
    switch (type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return group == 9;
    case CUDNN_BACKEND_MATMUL_DESCRIPTOR: return name == CUDNN_ATTR_MATMUL_COMP_TYPE;
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        return name >= CUDNN_ATTR_OPERATION_MATMUL_ADESC && name <= CUDNN_ATTR_OPERATION_MATMUL_DESC;
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR: return group == 0;
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return group == 7 && (int)name >= 750;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return group == 8;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: return group == 2;
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR: return group == 13;
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR: return group == 3;
    case CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR: return group == 6;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return group == 4;
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: return group == 10;
    default: return false;
    }
}

static descriptor *finalised(const cudnnBackendDescriptor_t *at, cudnnBackendDescriptorType_t type)
{
    descriptor *d = emu_object_find(EMU_DNN_DESCRIPTOR, *at);
    if (!d)
        return NULL;
    if (d->type != type) {
        emu_violation("%s: a descriptor of another type", emu_call());
        return NULL;
    }
    if (!d->finalised) {
        emu_violation("%s: a descriptor that isn't finalised", emu_call());
        return NULL;
    }
    return d;
}

/* Copies what a tensor's descriptor says. */
static cudnnStatus_t take_tensor(const cudnnBackendDescriptor_t *from, dnn_tensor *to)
{
    const descriptor *t = finalised(from, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    if (!t)
        return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    *to = t->tensor;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t take_kind(descriptor *d, const cudnnBackendDescriptor_t *from,
                               cudnnBackendDescriptorType_t type)
{
    const descriptor *kind = finalised(from, type);
    if (!kind)
        return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    d->step.mode = kind->step.mode;
    d->step.precision = kind->step.precision;
    d->step.beta = kind->step.beta;
    d->has_kind = true;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t take_graph(descriptor *d, const cudnnBackendDescriptor_t *from)
{
    const descriptor *graph = finalised(from, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    if (!graph)
        return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    d->graph = graph->graph;
    d->handle = graph->handle;
    d->has_graph = true;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t take_engine(descriptor *d, const cudnnBackendDescriptor_t *from,
                                 cudnnBackendDescriptorType_t type)
{
    const descriptor *e = finalised(from, type);
    if (!e)
        return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    d->graph = e->graph;
    d->engine = e->engine;
    d->has_engine = true;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t take_operations(descriptor *d, const cudnnBackendDescriptor_t *from, int64_t count)
{
    if (count < 1 || count > DNN_STEPS)
        return refuse(CUDNN_STATUS_BAD_PARAM, "so many operations aren't emulated");
    for (int64_t i = 0; i < count; i++) {
        const descriptor *o = emu_object_find(EMU_DNN_DESCRIPTOR, from[i]);
        if (!o || !o->finalised || !o->has_kind)
            return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "an operation that isn't finalised");
        d->graph.step[i] = o->step;
    }
    d->graph.steps = (int)count;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t take_knobs(descriptor *d, const cudnnBackendDescriptor_t *from, int64_t count)
{
    if (count > DNN_KNOBS)
        return refuse(CUDNN_STATUS_BAD_PARAM, "so many knobs aren't emulated");
    for (int64_t i = 0; i < count; i++) {
        const descriptor *knob = finalised(&from[i], CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        if (!knob)
            return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
        d->engine.knob[i] = knob->engine.knob[0];
        d->engine.value[i] = knob->engine.value[0];
    }
    d->engine.knobs = count;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t set_reference(descriptor *d, cudnnBackendAttributeName_t name, int64_t count,
                                   const cudnnBackendDescriptor_t *from)
{
    if (count != 1 && name != CUDNN_ATTR_OPERATIONGRAPH_OPS && name != CUDNN_ATTR_ENGINECFG_KNOB_CHOICES)
        return refuse(CUDNN_STATUS_BAD_PARAM, "several descriptors for one");
    switch (name) {
    case CUDNN_ATTR_OPERATION_MATMUL_ADESC:
    case CUDNN_ATTR_OPERATION_POINTWISE_XDESC: return take_tensor(from, &d->step.x);
    case CUDNN_ATTR_OPERATION_POINTWISE_BDESC: d->step.has_second = true; /* fall through */
    case CUDNN_ATTR_OPERATION_MATMUL_BDESC: return take_tensor(from, &d->step.second);
    case CUDNN_ATTR_OPERATION_MATMUL_CDESC:
    case CUDNN_ATTR_OPERATION_POINTWISE_YDESC: return take_tensor(from, &d->step.y);
    case CUDNN_ATTR_OPERATION_MATMUL_DESC: return take_kind(d, from, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    case CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR:
        return take_kind(d, from, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    case CUDNN_ATTR_OPERATIONGRAPH_OPS: return take_operations(d, from, count);
    case CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH:
    case CUDNN_ATTR_ENGINE_OPERATION_GRAPH: return take_graph(d, from);
    case CUDNN_ATTR_ENGINECFG_ENGINE: return take_engine(d, from, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES: return take_knobs(d, from, count);
    case CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG:
        return take_engine(d, from, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    default: return refuse(CUDNN_STATUS_NOT_SUPPORTED, "this attribute isn't emulated");
    }
}

static cudnnStatus_t set_values(descriptor *d, cudnnBackendAttributeName_t name,
                                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    const field f = field_of(d, name);
    if (!f.values)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "this attribute isn't emulated");
    if (f.type != type)
        return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "an attribute of the wrong type");
    if (count < 1 || count > f.room || (!f.count && count != f.room))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the wrong number of values");
    memcpy(f.values, values, (size_t)count * f.item);
    if (f.count)
        *f.count = count;
    d->knob_is_set[0] = d->knob_is_set[0] || name == CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE;
    d->knob_is_set[1] = d->knob_is_set[1] || name == CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE;
    return CUDNN_STATUS_SUCCESS;
}

EMU_API cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t object,
                                               cudnnBackendAttributeName_t name,
                                               cudnnBackendAttributeType_t type, int64_t count,
                                               const void *values)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUDNN_STATUS_INTERNAL_ERROR);
    descriptor *d = emu_object_find(EMU_DNN_DESCRIPTOR, object);
    if (!d)
        return leave(CUDNN_STATUS_BAD_PARAM);
    if (!values || count < 1)
        return leave(refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no values"));
    if (d->finalised)
        return leave(refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalised already"));
    if (!belongs(d->type, name))
        return leave(refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor has no such attribute"));
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        return leave(set_reference(d, name, count, values));
    if (type != CUDNN_TYPE_HANDLE)
        return leave(set_values(d, name, type, count, values));
    if (name != CUDNN_ATTR_OPERATIONGRAPH_HANDLE && name != CUDNN_ATTR_EXECUTION_PLAN_HANDLE)
        return leave(refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "an attribute of the wrong type"));
    d->handle = emu_object_find(EMU_DNN_HANDLE, *(const cudnnHandle_t *)values);
    return leave(d->handle ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM);
}

/* ---- finalising ---- */

static cudnnStatus_t wrong(const char *what)
{
    return what ? refuse(CUDNN_STATUS_BAD_PARAM, what) : CUDNN_STATUS_SUCCESS;
}

static const char *check_pack(const dnn_memory *m)
{
    if (m->names < 1 || m->names != m->pointers)
        return "as many pointers as unique ids are needed";
    for (int64_t i = 0; i < m->names; i++)
        for (int64_t j = 0; j < i; j++)
            if (m->name[i] == m->name[j])
                return "a unique id comes twice";
    return NULL;
}

static cudnnStatus_t finalise_plan(descriptor *d)
{
    if (!d->has_engine || !d->handle)
        return wrong("a plan without an engine's configuration or a handle");
    /* It compiles and loads kernels. */
    if (emu_nobody_captures() != cudaSuccess)
        return CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER;
    return dnn_supports(&d->graph, &d->engine, &d->workspace) ? CUDNN_STATUS_SUCCESS
                                                              : CUDNN_STATUS_NOT_SUPPORTED;
}

static cudnnStatus_t finalise(descriptor *d)
{
    int64_t ignored;
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return wrong(dnn_check_tensor(&d->tensor));
    case CUDNN_BACKEND_MATMUL_DESCRIPTOR:
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        return wrong(d->step.precision != CUDNN_DATA_FLOAT ? "a type that isn't emulated" : NULL);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR: d->step.product = true; /* fall through */
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return wrong(d->has_kind ? dnn_check_step(&d->step) : "an operation that isn't said what to do");
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return wrong(d->handle ? dnn_check_graph(&d->graph) : "a graph without a handle");
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        return wrong(d->has_graph ? NULL : "a heuristic without a graph");
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        if (!d->has_graph)
            return wrong("an engine without a graph");
        return dnn_has_engine(&d->graph, d->engine.index) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        if (!d->has_engine)
            return wrong("a configuration without an engine");
        return dnn_supports(&d->graph, &d->engine, &ignored) ? CUDNN_STATUS_SUCCESS
                                                             : CUDNN_STATUS_NOT_SUPPORTED;
    case CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR:
        return wrong(d->knob_is_set[0] && d->knob_is_set[1] ? NULL : "a knob without a type or a value");
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return finalise_plan(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: return wrong(check_pack(&d->memory));
    default: return refuse(CUDNN_STATUS_NOT_SUPPORTED, "a descriptor that isn't emulated");
    }
}

EMU_API cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t object)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUDNN_STATUS_INTERNAL_ERROR);
    descriptor *d = emu_object_find(EMU_DNN_DESCRIPTOR, object);
    if (!d)
        return leave(CUDNN_STATUS_BAD_PARAM);
    if (d->finalised)
        return leave(refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalised already"));
    const cudnnStatus_t status = finalise(d);
    d->finalised = status == CUDNN_STATUS_SUCCESS;
    return leave(status);
}

/* ---- what can be asked for ---- */

/* One of the program's own descriptors, which an answer fills. */
static descriptor *receiver(void *values, int64_t i, cudnnBackendDescriptorType_t type)
{
    descriptor *d = emu_object_find(EMU_DNN_DESCRIPTOR, ((cudnnBackendDescriptor_t *)values)[i]);
    if (!d || d->type != type || d->finalised) {
        emu_violation("%s: no fresh descriptor of the right type to be filled", emu_call());
        return NULL;
    }
    d->finalised = true;
    return d;
}

static cudnnStatus_t give_settings(const descriptor *d, int64_t room, int64_t *count, void *values)
{
    dnn_engine offered[DNN_OFFERED];
    const int size = dnn_offer(&d->graph, d->mode, offered);
    for (*count = 0; *count < size && *count < room; ++*count) {
        descriptor *to = receiver(values, *count, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        if (!to)
            return CUDNN_STATUS_BAD_PARAM;
        to->graph = d->graph;
        to->engine = offered[*count];
        to->has_engine = true;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give_engine(const descriptor *d, int64_t *count, void *values)
{
    descriptor *to = receiver(values, 0, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    if (!to)
        return CUDNN_STATUS_BAD_PARAM;
    to->graph = d->graph;
    to->engine = d->engine;
    to->has_graph = true;
    *count = 1;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give_knobs(const descriptor *d, int64_t room, int64_t *count, void *values)
{
    for (*count = 0; *count < d->engine.knobs && *count < room; ++*count) {
        descriptor *to = receiver(values, *count, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        if (!to)
            return CUDNN_STATUS_BAD_PARAM;
        to->engine.knob[0] = d->engine.knob[*count];
        to->engine.value[0] = d->engine.value[*count];
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give_notes(const descriptor *d, int64_t room, int64_t *count, void *values)
{
    cudnnBackendNumericalNote_t notes[DNN_NOTES];
    *count = dnn_notes(&d->graph, d->engine.index, notes);
    memcpy(values, notes, (size_t)(*count < room ? *count : room) * sizeof *notes);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give(descriptor *d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          int64_t room, int64_t *count, void *values)
{
    const bool references = type == CUDNN_TYPE_BACKEND_DESCRIPTOR;
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && references)
        return give_settings(d, room, count, values);
    if (name == CUDNN_ATTR_ENGINECFG_ENGINE && references && room == 1)
        return give_engine(d, count, values);
    if (name == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES && references)
        return give_knobs(d, room, count, values);
    if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && type == CUDNN_TYPE_NUMERICAL_NOTE)
        return give_notes(d, room, count, values);
    const field f =
        name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE ? FIELD(d, INT64, d->workspace) : field_of(d, name);
    if (!f.values || f.count || f.type != type || room != 1)
        return refuse(CUDNN_STATUS_BAD_PARAM, "asked for in a way that isn't emulated");
    memcpy(values, f.values, f.item);
    *count = 1;
    return CUDNN_STATUS_SUCCESS;
}

EMU_API cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const object,
                                               cudnnBackendAttributeName_t name,
                                               cudnnBackendAttributeType_t type, int64_t room, int64_t *count,
                                               void *values)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUDNN_STATUS_INTERNAL_ERROR);
    descriptor *d = emu_object_find(EMU_DNN_DESCRIPTOR, object);
    if (!d || !count || !values)
        return leave(CUDNN_STATUS_BAD_PARAM);
    if (!d->finalised)
        return leave(refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "a descriptor that isn't finalised"));
    if (!belongs(d->type, name))
        return leave(refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor has no such attribute"));
    return leave(give(d, name, type, room, count, values));
}

EMU_API cudnnStatus_t cudnnBackendExecute(cudnnHandle_t object, cudnnBackendDescriptor_t plan,
                                          cudnnBackendDescriptor_t pack)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUDNN_STATUS_EXECUTION_FAILED);
    handle *h = emu_object_find(EMU_DNN_HANDLE, object);
    const descriptor *p = finalised(&plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR),
                     *m = finalised(&pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    if (!h || !p || !m)
        return leave(CUDNN_STATUS_BAD_PARAM);
    if (p->handle != h)
        return leave(refuse(CUDNN_STATUS_BAD_PARAM, "the plan is another handle's"));
    if (!h->stream || !emu_stream_find((cudaStream_t)h->stream))
        return leave(refuse(CUDNN_STATUS_BAD_PARAM, "the handle has no live stream"));
    return leave(dnn_submit(h->stream, &p->graph, &p->engine, &m->memory) ? CUDNN_STATUS_SUCCESS
                                                                          : CUDNN_STATUS_BAD_PARAM);
}
