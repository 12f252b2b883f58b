/* Layers without gathers by cuDNN, folds as its batch: one graph of product, bias and activation where an engine does that
 * in float32 arithmetic; where none does (those of cuDNN 9 that fuse a product round its factors to TF32), the product is
 * cuBLAS's or our own and goes through cuDNN's memory here to a graph of bias and activation.
 *
 * One engine with one setting a shape, asked for once and for a fixed number of folds and rows, as in cuda_blas.c, and for
 * the same reason. What it needs for a number of rows, a plan and memory, is made by kti_cuda_dnn_prepare, before a capture.
 * Plans share their memory, as one stream runs them in order; what a captured graph has seen of it stays.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "device/cuda_dnn.h"

enum { NOMINAL_FOLDS = 9, NOMINAL_ROWS = 256, ALIGNMENT = 256, BLOCKS = 48 };

/* What layers have to share to share an engine. */
typedef struct shape {
    int n, k;
    kt_activation activation;
    int32_t stride_in, stride_weights, stride_out;
} shape;

/* What besides a plan is made for. */
typedef struct extent {
    int64_t fold_in, fold_weights, fold_bias, fold_out;
    int rows, folds;
} extent;

typedef struct engine {
    shape shape;
    bool exists;
    kti_dnn_form form;
    kti_dnn_engine engine;
} engine;

typedef struct plan {
    shape shape;
    extent extent;
    cudnnBackendDescriptor_t plan; /* in the list */
    kti_dnn_list list;
    size_t workspace;
} plan;

struct kti_cuda_dnn {
    cudnnHandle_t handle;
    engine *engine; /* [engines] */
    size_t engines, engine_capacity;
    plan *plan; /* [plans] */
    size_t plans, plan_capacity;
    void *block[BLOCKS]; /* the last is in use, the others are kept for graphs that were captured with them */
    int blocks;
    size_t bytes; /* of the last */
};

bool kti_cuda_dnn_is_built(void)
{
    return true;
}

kt_status kti_cuda_dnn_create(kti_cuda *cuda, kt_error *error)
{
    cuda->dnn = kti_allocate(1, sizeof *cuda->dnn);
    if (!cuda->dnn)
        return kti_fail_memory(error, "cuDNN");
    kt_status status = kti_dnn_check(cudnnCreate(&cuda->dnn->handle), "starting it", error);
    if (status == KT_OK)
        status = kti_dnn_check(cudnnSetStream(cuda->dnn->handle, cuda->stream), "giving it a stream", error);
    return status;
}

void kti_cuda_dnn_destroy(kti_cuda_dnn *dnn)
{
    if (!dnn)
        return;
    for (size_t i = 0; i < dnn->plans; i++)
        kti_dnn_destroy_list(&dnn->plan[i].list);
    for (int i = 0; i < dnn->blocks; i++)
        cudaFree(dnn->block[i]);
    if (dnn->handle)
        cudnnDestroy(dnn->handle);
    free(dnn->plan);
    free(dnn->engine);
    free(dnn);
}

bool kti_cuda_dnn_can(const kt_layer_forward *layer)
{
    const kt_gemm *p = &layer->product;
    const kt_linear_forward *rest = &layer->rest;
    /* It computes all rows and no padding, so the columns must need none. */
    return p->product == KT_FORWARD && !p->accumulate && p->n % 16 == 0 && rest->channels == p->n &&
           rest->gathers == 0 && rest->out.data == p->c.data &&
           (rest->activation == KT_SOFTPLUS || rest->activation == KT_LINEAR);
}

static shape shape_of(const kt_layer_forward *layer)
{
    const kt_gemm *p = &layer->product;
    shape s;
    memset(&s, 0, sizeof s); /* compared byte by byte */
    s.n = p->n;
    s.k = p->k;
    s.activation = layer->rest.activation;
    s.stride_in = p->a.stride;
    s.stride_weights = p->b.stride;
    s.stride_out = p->c.stride;
    return s;
}

static extent extent_of(const kt_layer_forward *layer, int folds)
{
    const kt_gemm *p = &layer->product;
    extent e;
    memset(&e, 0, sizeof e);
    e.fold_in = p->a.fold_stride;
    e.fold_weights = p->b.fold_stride;
    e.fold_bias = layer->rest.bias.fold_stride;
    e.fold_out = p->c.fold_stride;
    e.rows = p->rows.max;
    e.folds = folds;
    return e;
}

/* The layer of the shape that engines are asked for, whatever the list that it is in. */
static kt_layer_forward nominal(const kt_layer_forward *layer)
{
    kt_layer_forward of = *layer;
    of.product.rows.max = NOMINAL_ROWS;
    of.product.a.fold_stride = (int64_t)NOMINAL_ROWS * of.product.a.stride;
    of.product.b.fold_stride = (int64_t)of.product.n * of.product.b.stride;
    of.product.c.fold_stride = (int64_t)NOMINAL_ROWS * of.product.c.stride;
    of.rest.bias.fold_stride = of.product.n;
    return of;
}

/* ---- engines ---- */

static kt_status make_plan(kti_cuda_dnn *dnn, const kt_layer_forward *layer, kti_dnn_form form,
                           const kti_dnn_engine *chosen, int folds, plan *made, kt_error *error)
{
    cudnnBackendDescriptor_t graph = NULL;
    *made = (plan){.shape = shape_of(layer), .extent = extent_of(layer, folds)};
    kt_status status = kti_dnn_describe(dnn->handle, layer, form, folds, &made->list, &graph, error);
    if (status == KT_OK)
        status = kti_dnn_plan(dnn->handle, graph, chosen, &made->list, &made->plan, &made->workspace, error);
    if (status != KT_OK || !made->plan)
        kti_dnn_destroy_list(&made->list);
    return status;
}

/* Whether an engine that the heuristic offers is one that can be had. */
typedef struct trial {
    kti_cuda_dnn *dnn;
    const kt_layer_forward *layer;
    kti_dnn_form form;
    kt_status status;
    kt_error *error;
} trial;

static bool fits(void *context, const kti_dnn_engine *offered)
{
    trial *t = context;
    plan made;
    if (t->status == KT_OK)
        t->status = make_plan(t->dnn, t->layer, t->form, offered, NOMINAL_FOLDS, &made, t->error);
    if (t->status != KT_OK)
        return true; /* ends the search */
    const bool exists = made.plan;
    kti_dnn_destroy_list(&made.list);
    return exists;
}

static kt_status ask(kti_cuda_dnn *dnn, const kt_layer_forward *layer, engine *made, kt_error *error)
{
    const kt_layer_forward asked = nominal(layer);
    kt_status status = KT_OK;
    for (int form = 0; form < KTI_DNN_FORMS && status == KT_OK && !made->exists; form++) {
        trial t = {dnn, &asked, (kti_dnn_form)form, KT_OK, error};
        kti_dnn_list list = {.size = 0};
        cudnnBackendDescriptor_t graph = NULL;
        made->form = (kti_dnn_form)form;
        status = kti_dnn_describe(dnn->handle, &asked, made->form, NOMINAL_FOLDS, &list, &graph, error);
        if (status == KT_OK)
            status = kti_dnn_find_engine(graph, made->form, fits, &t, &made->engine, &made->exists, error);
        if (status == KT_OK)
            status = t.status;
        kti_dnn_destroy_list(&list);
    }
    return status;
}

/* The shape's engine, asked for when the shape is met first. */
static kt_status find_engine(kti_cuda_dnn *dnn, const kt_layer_forward *layer, const engine **found,
                             kt_error *error)
{
    engine made = {.shape = shape_of(layer)};
    for (size_t i = 0; i < dnn->engines; i++)
        if (memcmp(&dnn->engine[i].shape, &made.shape, sizeof made.shape) == 0) {
            *found = &dnn->engine[i];
            return KT_OK;
        }
    void *list = dnn->engine;
    if (kti_grow(&list, dnn->engines, &dnn->engine_capacity, sizeof *dnn->engine) != 0)
        return kti_fail_memory(error, "cuDNN");
    dnn->engine = list;
    kt_status status = ask(dnn, layer, &made, error);
    if (status == KT_OK) {
        dnn->engine[dnn->engines] = made;
        *found = &dnn->engine[dnn->engines++];
    }
    return status;
}

/* ---- plans ---- */

static const plan *find_plan(const kti_cuda_dnn *dnn, const kt_layer_forward *layer, int folds)
{
    const shape s = shape_of(layer);
    const extent e = extent_of(layer, folds);
    for (size_t i = 0; i < dnn->plans; i++)
        if (memcmp(&dnn->plan[i].extent, &e, sizeof e) == 0 && memcmp(&dnn->plan[i].shape, &s, sizeof s) == 0)
            return &dnn->plan[i];
    return NULL;
}

static kt_status add_plan(kti_cuda_dnn *dnn, const kt_layer_forward *layer, const engine *chosen, int folds,
                          kt_error *error)
{
    void *list = dnn->plan;
    plan made;
    if (kti_grow(&list, dnn->plans, &dnn->plan_capacity, sizeof *dnn->plan) != 0)
        return kti_fail_memory(error, "cuDNN");
    dnn->plan = list;
    kt_status status = make_plan(dnn, layer, chosen->form, &chosen->engine, folds, &made, error);
    if (status != KT_OK)
        return status;
    if (!made.plan)
        return kti_fail(error, KT_DEVICE,
                        "cuDNN's engine for layers of %d x %d does not do %d folds of %d rows: use --device "
                        "cuda",
                        layer->product.n, layer->product.k, folds, layer->product.rows.max);
    dnn->plan[dnn->plans++] = made;
    return KT_OK;
}

/* The product's place where cuDNN has only the rest to do: as if for all folds up to the last, so that a fold's place is
 * found as in any matrix. */
static size_t scratch_bytes(const engine *chosen, const kt_layer_forward *layer, int first, int count)
{
    if (chosen->form == KTI_DNN_FUSED)
        return 0;
    const size_t bytes = (size_t)(first + count) * (size_t)layer->product.rows.max *
                         (size_t)layer->product.c.stride * sizeof(kt_real);
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static kt_status reserve(kti_cuda *cuda, size_t bytes, kt_error *error)
{
    kti_cuda_dnn *dnn = cuda->dnn;
    void *block;
    if (bytes <= dnn->bytes)
        return KT_OK;
    if (bytes < 2 * dnn->bytes)
        bytes = 2 * dnn->bytes; /* so that all blocks together are at most twice what is needed */
    if (dnn->blocks == BLOCKS)
        return kti_fail_memory(error, "cuDNN's workspace");
    kt_status status = kti_cuda_check(cudaMalloc(&block, bytes), "allocating cuDNN's workspace", error);
    if (status != KT_OK)
        return status;
    dnn->block[dnn->blocks++] = block;
    dnn->bytes = bytes;
    return kti_cuda_check(cudaMemsetAsync(block, 0, bytes, cuda->stream), "clearing memory", error);
}

kt_status kti_cuda_dnn_prepare(kti_cuda *cuda, const kt_layer_forward *layer, int first, int count,
                               bool *exists, kt_error *error)
{
    const engine *chosen = NULL;
    kt_status status = find_engine(cuda->dnn, layer, &chosen, error);
    *exists = status == KT_OK && chosen->exists;
    if (!*exists)
        return status;
    if (!find_plan(cuda->dnn, layer, count))
        status = add_plan(cuda->dnn, layer, chosen, count, error);
    if (status == KT_OK)
        status = reserve(
            cuda, scratch_bytes(chosen, layer, first, count) + find_plan(cuda->dnn, layer, count)->workspace,
            error);
    return status;
}

kt_status kti_cuda_dnn_forward(kti_cuda *cuda, const kt_layer_forward *layer, int first, int count,
                               bool *done, kt_error *error)
{
    kti_cuda_dnn *dnn = cuda->dnn;
    const engine *chosen = NULL;
    *done = false;
    kt_status status = find_engine(dnn, layer, &chosen, error);
    if (status != KT_OK || !chosen->exists)
        return status;
    const size_t scratch = scratch_bytes(chosen, layer, first, count);
    const plan *p = find_plan(dnn, layer, count);
    if (!p || scratch + p->workspace > dnn->bytes)
        return kti_fail(error, KT_DEVICE, "a layer by cuDNN is captured that was not prepared");
    char *block = dnn->blocks > 0 ? dnn->block[dnn->blocks - 1] : NULL;
    float ln2 = KT_LN2;
    kt_gemm product = layer->product;
    if (chosen->form == KTI_DNN_EPILOGUE) {
        product.c.data = (kt_real *)(void *)block;
        product.c.fold_stride = (int64_t)product.rows.max * product.c.stride;
        status = kti_cuda_multiply(cuda, &product, first, count, error);
        if (status != KT_OK)
            return status;
    }
    enum { MAX = 5 };
    const struct {
        int64_t name;
        void *memory;
        bool used;
    } tensor[MAX] = {
        {KTI_DNN_IN, kt_rows(product.a, first), chosen->form == KTI_DNN_FUSED},
        {KTI_DNN_WEIGHTS, kt_rows(product.b, first), chosen->form == KTI_DNN_FUSED},
        {KTI_DNN_PRODUCT, kt_rows(product.c, first), chosen->form == KTI_DNN_EPILOGUE},
        {KTI_DNN_BIAS, kt_rows(layer->rest.bias, first), true},
        {KTI_DNN_LN2, &ln2, layer->rest.activation == KT_SOFTPLUS},
    };
    int64_t name[MAX + 1] = {KTI_DNN_OUT};
    void *memory[MAX + 1] = {kt_rows(layer->rest.out, first)};
    int tensors = 1;
    for (int i = 0; i < MAX; i++)
        if (tensor[i].used) {
            name[tensors] = tensor[i].name;
            memory[tensors++] = tensor[i].memory;
        }
    status = kti_dnn_execute(dnn->handle, p->plan, tensors, name, memory,
                             p->workspace > 0 ? block + scratch : NULL, error);
    *done = status == KT_OK;
    return status;
}
