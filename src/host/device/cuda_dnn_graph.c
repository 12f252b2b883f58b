/* cuDNN's backend API: everything is a descriptor with attributes, which is of use once it is finalised. */
#include "device/cuda_dnn.h"

#include "base/fail.h"

/* A call that fails lets those after it do nothing. */
typedef struct builder {
    kti_dnn_list *list;
    kt_status status;
    kt_error *error;
} builder;

kt_status kti_dnn_check(cudnnStatus_t code, const char *what, kt_error *error)
{
    char why[256] = "";
    if (code == CUDNN_STATUS_SUCCESS)
        return KT_OK;
    cudnnGetLastErrorString(why, sizeof why);
    return kti_fail(error,
                    code == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                            code == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
                        ? KT_OUT_OF_MEMORY
                        : KT_DEVICE,
                    "cuDNN failed: %s: %s%s%s", what, cudnnGetErrorString(code), why[0] ? ": " : "", why);
}

/* A refusal that means no more than that there is another way to be looked for. */
static bool is_unsupported(cudnnStatus_t code)
{
    return CUDNN_STATUS_CATEGORY(code) == CUDNN_STATUS_NOT_SUPPORTED;
}

void kti_dnn_destroy_list(kti_dnn_list *list)
{
    while (list->size > 0)
        cudnnBackendDestroyDescriptor(list->descriptor[--list->size]);
}

static bool done(builder *b, cudnnStatus_t code, const char *what)
{
    b->status = kti_dnn_check(code, what, b->error);
    return b->status == KT_OK;
}

static cudnnBackendDescriptor_t make(builder *b, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t made = NULL;
    if (b->status != KT_OK)
        return NULL;
    if (b->list->size == KTI_DNN_DESCRIPTORS) {
        b->status = kti_fail(b->error, KT_DEVICE, "cuDNN has more descriptors than there is room for");
        return NULL;
    }
    if (done(b, cudnnBackendCreateDescriptor(type, &made), "making a descriptor"))
        b->list->descriptor[b->list->size++] = made;
    return made;
}

static void set(builder *b, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (b->status == KT_OK)
        done(b, cudnnBackendSetAttribute(descriptor, name, type, count, values), "describing a layer");
}

static void refer(builder *b, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                  cudnnBackendDescriptor_t to)
{
    set(b, descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &to);
}

static void finalise(builder *b, cudnnBackendDescriptor_t descriptor)
{
    if (b->status == KT_OK)
        done(b, cudnnBackendFinalize(descriptor), "describing a layer");
}

/* ---- tensors and operations ---- */

typedef enum tensor_kind { IN_MEMORY, IN_REGISTERS, BY_VALUE } tensor_kind;

/* [folds, rows, columns] */
static cudnnBackendDescriptor_t tensor(builder *b, int64_t name, tensor_kind kind, const int64_t size[3],
                                       const int64_t stride[3])
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const int64_t alignment = kind == BY_VALUE ? (int64_t)sizeof(float) : 16;
    const bool is_virtual = kind == IN_REGISTERS, by_value = kind == BY_VALUE;
    const cudnnBackendDescriptor_t t = make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(b, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(b, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3, size);
    set(b, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 3, stride);
    set(b, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &name);
    set(b, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(b, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    if (by_value)
        set(b, t, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    finalise(b, t);
    return t;
}

static cudnnBackendDescriptor_t between(builder *b, int64_t name, int64_t folds, int64_t rows,
                                        int64_t columns)
{
    return tensor(b, name, IN_REGISTERS, (const int64_t[]){folds, rows, columns},
                  (const int64_t[]){rows * columns, columns, 1});
}

static cudnnBackendDescriptor_t multiply(builder *b, cudnnBackendDescriptor_t in,
                                         cudnnBackendDescriptor_t weights, cudnnBackendDescriptor_t out)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnBackendDescriptor_t kind = make(b, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    set(b, kind, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    finalise(b, kind);
    const cudnnBackendDescriptor_t o = make(b, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    refer(b, o, CUDNN_ATTR_OPERATION_MATMUL_ADESC, in);
    refer(b, o, CUDNN_ATTR_OPERATION_MATMUL_BDESC, weights);
    refer(b, o, CUDNN_ATTR_OPERATION_MATMUL_CDESC, out);
    refer(b, o, CUDNN_ATTR_OPERATION_MATMUL_DESC, kind);
    finalise(b, o);
    return o;
}

/* y = mode(x, second); `second` is NULL for a function of x alone. */
static cudnnBackendDescriptor_t pointwise(builder *b, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                                          cudnnBackendDescriptor_t second, cudnnBackendDescriptor_t y)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const double beta = 1;
    const cudnnBackendDescriptor_t kind = make(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(b, kind, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(b, kind, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    if (mode == CUDNN_POINTWISE_SOFTPLUS_FWD)
        set(b, kind, CUDNN_ATTR_POINTWISE_SOFTPLUS_BETA, CUDNN_TYPE_DOUBLE, 1, &beta);
    finalise(b, kind);
    const cudnnBackendDescriptor_t o = make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    refer(b, o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind);
    refer(b, o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (second)
        refer(b, o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, second);
    refer(b, o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finalise(b, o);
    return o;
}

kt_status kti_dnn_describe(cudnnHandle_t handle, const kt_layer_forward *layer, kti_dnn_form form, int folds,
                           kti_dnn_list *list, cudnnBackendDescriptor_t *graph, kt_error *error)
{
    enum { SUM = KTI_DNN_LN2 + 1, SOFTPLUS, OPERATIONS = 4 };
    builder b = {.list = list, .error = error};
    const kt_gemm *p = &layer->product;
    const int64_t f = folds, r = p->rows.max, n = p->n, k = p->k;
    const int64_t size[3] = {f, r, n};
    cudnnBackendDescriptor_t operations[OPERATIONS], product, x;
    int count = 0;
    if (form == KTI_DNN_FUSED) {
        const cudnnBackendDescriptor_t in = tensor(&b, KTI_DNN_IN, IN_MEMORY, (const int64_t[]){f, r, k},
                                                   (const int64_t[]){p->a.fold_stride, p->a.stride, 1}),
                                       weights =
                                           tensor(&b, KTI_DNN_WEIGHTS, IN_MEMORY, (const int64_t[]){f, k, n},
                                                  (const int64_t[]){p->b.fold_stride, 1, p->b.stride});
        product = between(&b, KTI_DNN_PRODUCT, f, r, n);
        operations[count++] = multiply(&b, in, weights, product);
    } else {
        product =
            tensor(&b, KTI_DNN_PRODUCT, IN_MEMORY, size, (const int64_t[]){r * p->c.stride, p->c.stride, 1});
    }
    const cudnnBackendDescriptor_t bias = tensor(&b, KTI_DNN_BIAS, IN_MEMORY, (const int64_t[]){f, 1, n},
                                                 (const int64_t[]){layer->rest.bias.fold_stride, n, 1}),
                                   out = tensor(&b, KTI_DNN_OUT, IN_MEMORY, size,
                                                (const int64_t[]){p->c.fold_stride, p->c.stride, 1});
    if (layer->rest.activation == KT_SOFTPLUS) {
        const cudnnBackendDescriptor_t ln2 =
            tensor(&b, KTI_DNN_LN2, BY_VALUE, (const int64_t[]){1, 1, 1}, (const int64_t[]){1, 1, 1});
        x = between(&b, SUM, f, r, n);
        operations[count++] = pointwise(&b, CUDNN_POINTWISE_ADD, product, bias, x);
        const cudnnBackendDescriptor_t y = between(&b, SOFTPLUS, f, r, n);
        operations[count++] = pointwise(&b, CUDNN_POINTWISE_SOFTPLUS_FWD, x, NULL, y);
        operations[count++] = pointwise(&b, CUDNN_POINTWISE_SUB, y, ln2, out);
    } else {
        operations[count++] = pointwise(&b, CUDNN_POINTWISE_ADD, product, bias, out);
    }
    *graph = make(&b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(&b, *graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    set(&b, *graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operations);
    finalise(&b, *graph);
    return b.status;
}

/* ---- engines ---- */

static kt_status get(cudnnBackendDescriptor_t from, cudnnBackendAttributeName_t name,
                     cudnnBackendAttributeType_t type, int64_t room, int64_t *count, void *values,
                     kt_error *error)
{
    return kti_dnn_check(cudnnBackendGetAttribute(from, name, type, room, count, values), "asking an engine",
                         error);
}

/* Whether the engine rounds no input and adds in one order. An engine of a graph without a product has nothing that tensor
 * cores could round, and carries their note because it can do other graphs. */
static bool is_exact(const cudnnBackendNumericalNote_t *notes, int64_t count, kti_dnn_form form)
{
    for (int64_t i = 0; i < count; i++)
        if (notes[i] != CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP &&
            !(notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && form == KTI_DNN_EPILOGUE))
            return false;
    return true;
}

static kt_status read_knobs(builder *b, cudnnBackendDescriptor_t setting, kti_dnn_engine *engine)
{
    cudnnBackendDescriptor_t choice[KTI_DNN_KNOBS];
    int64_t count = 0, one;
    for (int i = 0; i < KTI_DNN_KNOBS; i++)
        choice[i] = make(b, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    if (b->status == KT_OK)
        b->status = get(setting, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                        KTI_DNN_KNOBS, &count, choice, b->error);
    if (b->status == KT_OK && count > KTI_DNN_KNOBS)
        b->status = kti_fail(b->error, KT_DEVICE, "an engine of cuDNN has %lld settings", (long long)count);
    for (int i = 0; i < count && b->status == KT_OK; i++) {
        b->status = get(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &one,
                        &engine->knob[i], b->error);
        if (b->status == KT_OK)
            b->status = get(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
                            &engine->value[i], b->error);
    }
    engine->knobs = (int)count;
    return b->status;
}

/* Reads an engine that the heuristic offers; *exact is false where it isn't one for us. */
static kt_status read_engine(cudnnBackendDescriptor_t setting, kti_dnn_form form, kti_dnn_engine *engine,
                             bool *exact, kt_error *error)
{
    kti_dnn_list list = {.size = 0};
    builder b = {.list = &list, .error = error};
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0, one;
    cudnnBackendDescriptor_t of = make(&b, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    *exact = false;
    if (b.status == KT_OK)
        b.status =
            get(setting, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &of, error);
    if (b.status == KT_OK)
        b.status = get(of, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                       CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes, error);
    if (b.status == KT_OK && is_exact(notes, count, form)) {
        *exact = true;
        b.status = get(of, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &one, &engine->index, error);
        if (b.status == KT_OK)
            read_knobs(&b, setting, engine);
    }
    kti_dnn_destroy_list(&list);
    return b.status;
}

static kt_status ask(cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode, kti_dnn_form form,
                     bool (*fits)(void *context, const kti_dnn_engine *engine), void *context,
                     kti_dnn_engine *engine, bool *found, kt_error *error)
{
    enum { MAX = KTI_DNN_DESCRIPTORS - 1 };
    kti_dnn_list list = {.size = 0};
    builder b = {.list = &list, .error = error};
    cudnnBackendDescriptor_t offered[MAX];
    int64_t count = 0;
    const cudnnBackendDescriptor_t heuristic = make(&b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    refer(&b, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(&b, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (b.status == KT_OK) {
        const cudnnStatus_t code = cudnnBackendFinalize(heuristic);
        if (is_unsupported(code)) {
            kti_dnn_destroy_list(&list);
            return KT_OK;
        }
        done(&b, code, "choosing an engine");
    }
    for (int i = 0; i < MAX; i++)
        offered[i] = make(&b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (b.status == KT_OK)
        b.status = get(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX, &count,
                       offered, error);
    for (int i = 0; i < count && i < MAX && b.status == KT_OK && !*found; i++) {
        bool exact;
        b.status = read_engine(offered[i], form, engine, &exact, error);
        *found = b.status == KT_OK && exact && fits(context, engine);
    }
    kti_dnn_destroy_list(&list);
    return b.status;
}

kt_status kti_dnn_find_engine(cudnnBackendDescriptor_t graph, kti_dnn_form form,
                              bool (*fits)(void *context, const kti_dnn_engine *engine), void *context,
                              kti_dnn_engine *engine, bool *found, kt_error *error)
{
    *found = false;
    kt_status status = ask(graph, CUDNN_HEUR_MODE_A, form, fits, context, engine, found, error);
    if (status == KT_OK && !*found)
        status = ask(graph, CUDNN_HEUR_MODE_FALLBACK, form, fits, context, engine, found, error);
    return status;
}

/* ---- plans ---- */

/* Finalises; *supported is false where cuDNN says that it has no such thing. */
static void finalise_if(builder *b, cudnnBackendDescriptor_t descriptor, bool *supported)
{
    if (b->status != KT_OK || !*supported)
        return;
    const cudnnStatus_t code = cudnnBackendFinalize(descriptor);
    *supported = !is_unsupported(code);
    if (*supported)
        done(b, code, "preparing a layer");
}

kt_status kti_dnn_plan(cudnnHandle_t handle, cudnnBackendDescriptor_t graph, const kti_dnn_engine *engine,
                       kti_dnn_list *list, cudnnBackendDescriptor_t *plan, size_t *workspace, kt_error *error)
{
    builder b = {.list = list, .error = error};
    cudnnBackendDescriptor_t choice[KTI_DNN_KNOBS];
    bool supported = true;
    int64_t bytes = 0, one;
    const cudnnBackendDescriptor_t of = make(&b, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    *plan = NULL;
    refer(&b, of, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    set(&b, of, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &engine->index);
    finalise_if(&b, of, &supported);
    for (int i = 0; i < engine->knobs; i++) {
        choice[i] = make(&b, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        set(&b, choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &engine->knob[i]);
        set(&b, choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &engine->value[i]);
        finalise(&b, choice[i]);
    }
    if (!supported)
        return b.status;
    const cudnnBackendDescriptor_t setting = make(&b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    refer(&b, setting, CUDNN_ATTR_ENGINECFG_ENGINE, of);
    if (engine->knobs > 0)
        set(&b, setting, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, engine->knobs,
            choice);
    finalise_if(&b, setting, &supported);
    if (!supported)
        return b.status;
    const cudnnBackendDescriptor_t made = make(&b, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set(&b, made, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    refer(&b, made, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, setting);
    finalise_if(&b, made, &supported);
    if (b.status == KT_OK && supported)
        b.status =
            get(made, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one, &bytes, error);
    if (b.status == KT_OK && supported) {
        *workspace = (size_t)bytes;
        *plan = made;
    }
    return b.status;
}

kt_status kti_dnn_execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, int tensors,
                          const int64_t *names, void *const *memory, void *workspace, kt_error *error)
{
    kti_dnn_list list = {.size = 0};
    builder b = {.list = &list, .error = error};
    const cudnnBackendDescriptor_t pack = make(&b, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(&b, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, tensors, names);
    set(&b, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, tensors, memory);
    set(&b, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finalise(&b, pack);
    if (b.status == KT_OK)
        b.status = kti_dnn_check(cudnnBackendExecute(handle, plan, pack), "running a layer", error);
    kti_dnn_destroy_list(&list);
    return b.status;
}
