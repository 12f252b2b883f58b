/* Which way an operation takes where our own kernels and a library can do it.
 *
 * KTI_CUDA_TIMED times each shape when it is met first, before the list that it is in is captured, on the list's own memory:
 * a few copies of it as a captured graph, as they will run, since in a stream the host's calls would be what is timed.
 * Outputs are computed anew by the list; where the product is to be added to them, the timed one is not. The way holds for
 * the shape whatever the rows and folds, so that a row's bits don't depend on them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "device/cuda.h"
#include "device/launch.h"

enum { COPIES = 4, REPEATS = 5 };

static const char *const way_names[KTI_WAYS] = {"our own kernels", "cuBLAS", "cuDNN"};

const kt_gemm *kti_cuda_product(const kti_operation *operation)
{
    switch (operation->kind) {
    case KTI_OP_GEMM: return &operation->arguments.gemm;
    case KTI_OP_LAYER_FORWARD: return &operation->arguments.layer_forward.product;
    case KTI_OP_LAYER_BACKWARD:
        /* Those of small weights take the derivative in the same kernel, which a library's launch would not pay for. */
        return kt_layer_back_kernel(&operation->arguments.layer_backward) == KT_ID_layer_backward_by_columns
                   ? &operation->arguments.layer_backward.product
                   : NULL;
    default: return NULL;
    }
}

bool kti_cuda_part(const kti_operation *operation, int i, kti_operation *part)
{
    if (operation->kind == KTI_OP_LAYER_GROUP) {
        const kt_layer_group *group = &operation->arguments.layer_group;
        if (i >= group->size)
            return false;
        *part = (kti_operation){.kind = KTI_OP_LAYER_FORWARD, .arguments.layer_forward = group->layer[i]};
        return true;
    }
    if (operation->kind == KTI_OP_GEMM_GROUP) {
        const kt_gemm_group *group = &operation->arguments.gemm_group;
        if (i >= group->size)
            return false;
        const kt_layer_backward *of = &group->part[i];
        if (of->out.data || of->bias_gradient.data)
            *part = (kti_operation){.kind = KTI_OP_LAYER_BACKWARD, .arguments.layer_backward = *of};
        else
            *part = (kti_operation){.kind = KTI_OP_GEMM, .arguments.gemm = of->product};
        return true;
    }
    *part = *operation;
    return i == 0;
}

/* Whether the way is open to the operation, as far as can be said without asking the library. */
static bool is_open(const kti_cuda *cuda, const kti_operation *operation, kti_way way)
{
    if (way == KTI_WAY_CUBLAS) {
        const kt_gemm *product = kti_cuda_product(operation);
        return cuda->blas && product && kti_cuda_blas_can(product);
    }
    if (way == KTI_WAY_CUDNN)
        return cuda->dnn && operation->kind == KTI_OP_LAYER_FORWARD &&
               kti_cuda_dnn_can(&operation->arguments.layer_forward);
    return true;
}

static bool has_ways(const kti_cuda *cuda, const kti_operation *operation)
{
    return is_open(cuda, operation, KTI_WAY_CUBLAS) || is_open(cuda, operation, KTI_WAY_CUDNN);
}

/* What operations share that share a way: "layer 64 x 128 softplus, 3 gathers, strides 128 128 64". */
static void describe(const kti_operation *operation, char text[static sizeof(((kti_choice *)0)->shape)])
{
    static const char *const activations[] = {
        [KT_LINEAR] = "linear", [KT_SOFTPLUS] = "softplus", [KT_RELU] = "relu"};
    const kt_gemm *p = kti_cuda_product(operation);
    const kt_linear_forward *rest = &operation->arguments.layer_forward.rest;
    const kt_layer_backward *back = &operation->arguments.layer_backward;
    char more[40] = "";
    if (operation->kind == KTI_OP_LAYER_FORWARD)
        snprintf(more, sizeof more, " %s, %d gathers", activations[rest->activation], rest->gathers);
    else if (operation->kind == KTI_OP_LAYER_BACKWARD && back->out.data)
        snprintf(more, sizeof more, " %s", activations[back->activation]);
    snprintf(text, sizeof(((kti_choice *)0)->shape), "%s %d x %d%s%s, strides %d %d %d",
             operation->kind == KTI_OP_LAYER_FORWARD    ? "layer"
             : operation->kind == KTI_OP_LAYER_BACKWARD ? "layer's backward"
             : p->product == KT_FORWARD                 ? "forward"
                                                        : "input gradient",
             p->n, p->k, more, p->accumulate ? ", added" : "", (int)p->a.stride, (int)p->b.stride,
             (int)p->c.stride);
}

static kti_choice *find_shape(const kti_cuda *cuda, const char *shape)
{
    for (size_t i = 0; i < cuda->choices; i++)
        if (strcmp(cuda->choice[i].shape, shape) == 0)
            return &cuda->choice[i];
    return NULL;
}

static kti_choice *find(const kti_cuda *cuda, const kti_operation *operation)
{
    char shape[sizeof(((kti_choice *)0)->shape)];
    describe(operation, shape);
    return find_shape(cuda, shape);
}

kti_way kti_cuda_way(const kti_cuda *cuda, const kti_operation *operation)
{
    const kti_choice *choice;
    switch (cuda->variant) {
    case KTI_CUDA_BLAS: return is_open(cuda, operation, KTI_WAY_CUBLAS) ? KTI_WAY_CUBLAS : KTI_WAY_OWN;
    case KTI_CUDA_DNN: return is_open(cuda, operation, KTI_WAY_CUDNN) ? KTI_WAY_CUDNN : KTI_WAY_OWN;
    case KTI_CUDA_TIMED:
        choice = has_ways(cuda, operation) ? find(cuda, operation) : NULL;
        return choice ? choice->way : KTI_WAY_OWN;
    case KTI_CUDA_OWN:
    case KTI_CUDA_VARIANTS: break;
    }
    return KTI_WAY_OWN;
}

/* Whether the library really has it; makes what the way needs outside of a capture. */
static kt_status make_ready(kti_cuda *cuda, const kti_operation *operation, kti_way way, int first, int count,
                            bool *exists, kt_error *error)
{
    *exists = is_open(cuda, operation, way);
    if (!*exists || way == KTI_WAY_OWN)
        return KT_OK;
    if (way == KTI_WAY_CUBLAS)
        return kti_cuda_blas_has(cuda, kti_cuda_product(operation), exists, error);
    return kti_cuda_dnn_prepare(cuda, &operation->arguments.layer_forward, first, count, exists, error);
}

/* ---- timing ---- */

typedef struct timer {
    cudaEvent_t event[REPEATS + 2];
    const kti_operation *operation;
    kti_way way;
    int first, count;
} timer;

static kt_status destroy_timer(timer *t, kt_status status, kt_error *error)
{
    for (int i = 0; i < REPEATS + 2; i++) {
        const cudaError_t destroyed = t->event[i] ? cudaEventDestroy(t->event[i]) : cudaSuccess;
        if (status == KT_OK)
            status = kti_cuda_check(destroyed, "timing", error);
    }
    return status;
}

static kt_status put_copies(kti_cuda *cuda, void *context, kt_error *error)
{
    const timer *t = context;
    bool done = true;
    kt_status status = KT_OK;
    for (int i = 0; i < COPIES && status == KT_OK && done; i++)
        status = kti_cuda_launch_way(cuda, t->operation, t->way, t->first, t->count, &done, error);
    return status;
}

static int by_size(const void *left, const void *right)
{
    const float l = *(const float *)left, r = *(const float *)right;
    return (l > r) - (l < r);
}

/* The median of a few launches, one behind the other, after a first that doesn't count. */
static kt_status measure(kti_cuda *cuda, timer *t, cudaGraphExec_t graph, double *microseconds,
                         kt_error *error)
{
    float passed[REPEATS];
    kt_status status = kti_cuda_check(cudaEventRecord(t->event[0], cuda->stream), "timing", error);
    for (int i = 0; i <= REPEATS && status == KT_OK; i++) {
        status = kti_cuda_check(cudaGraphLaunch(graph, cuda->stream), "timing", error);
        if (status == KT_OK)
            status = kti_cuda_check(cudaEventRecord(t->event[i + 1], cuda->stream), "timing", error);
    }
    /* Also after a failure: the graph is still in use. */
    const cudaError_t waited = cudaStreamSynchronize(cuda->stream);
    if (status == KT_OK)
        status = kti_cuda_check(waited, "timing", error);
    for (int i = 0; i < REPEATS && status == KT_OK; i++)
        status = kti_cuda_check(cudaEventElapsedTime(&passed[i], t->event[i + 1], t->event[i + 2]), "timing",
                                error);
    if (status != KT_OK)
        return status;
    qsort(passed, REPEATS, sizeof *passed, by_size);
    *microseconds = 1e3 * (double)passed[REPEATS / 2] / COPIES;
    return KT_OK;
}

static kt_status time_way(kti_cuda *cuda, timer *t, double *microseconds, kt_error *error)
{
    cudaGraphExec_t graph = NULL;
    kt_status status = KT_OK;
    for (int i = 0; i < REPEATS + 2 && status == KT_OK; i++)
        if (!t->event[i])
            status = kti_cuda_check(cudaEventCreate(&t->event[i]), "making a timer", error);
    if (status == KT_OK)
        status = kti_cuda_capture(cuda, put_copies, t, &graph, error);
    if (status == KT_OK)
        status = measure(cuda, t, graph, microseconds, error);
    if (graph) {
        const cudaError_t destroyed = cudaGraphExecDestroy(graph);
        if (status == KT_OK)
            status = kti_cuda_check(destroyed, "timing", error);
    }
    return status;
}

static kt_status tune(kti_cuda *cuda, timer *t, const kti_operation *operation, kt_error *error)
{
    kti_operation timed = *operation;
    kti_choice made = {.way = KTI_WAY_OWN};
    void *choices = cuda->choice;
    kt_status status = KT_OK;
    if (kti_grow(&choices, cuda->choices, &cuda->choice_capacity, sizeof *cuda->choice) != 0)
        return kti_fail_memory(error, "the choice of kernels");
    cuda->choice = choices;
    describe(operation, made.shape);
    ((kt_gemm *)kti_cuda_product(&timed))->accumulate = 0; /* `timed` is our own */
    t->operation = &timed;
    for (int way = 0; way < KTI_WAYS && status == KT_OK; way++) {
        bool exists = is_open(cuda, operation, (kti_way)way);
        t->way = (kti_way)way;
        if (exists)
            status = make_ready(cuda, operation, t->way, t->first, t->count, &exists, error);
        if (status == KT_OK && exists)
            status = make_ready(cuda, &timed, t->way, t->first, t->count, &exists, error);
        if (status == KT_OK && exists)
            status = time_way(cuda, t, &made.microseconds[way], error);
        if (exists && made.microseconds[way] < made.microseconds[made.way])
            made.way = (kti_way)way;
    }
    if (status == KT_OK)
        cuda->choice[cuda->choices++] = made;
    return status;
}

/* Whether the list has a shape that was never timed. */
static bool has_news(const kti_cuda *cuda, const kti_operation *list, int size)
{
    kti_operation part;
    for (int i = 0; i < size && cuda->variant == KTI_CUDA_TIMED; i++)
        for (int k = 0; kti_cuda_part(&list[i], k, &part); k++)
            if (has_ways(cuda, &part) && !find(cuda, &part))
                return true;
    return false;
}

/* Kernels read from the batch how many rows there are, so it has to be there before one is timed. */
static kt_status make_batch(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                            const int32_t rows[KT_ROW_KINDS], kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < size && status == KT_OK; i++)
        if (list[i].kind == KTI_OP_PICK)
            status = kti_cuda_launch(cuda, &list[i], first, count, rows, error);
    return status;
}

static kt_status prepare_one(kti_cuda *cuda, timer *t, const kti_operation *operation, kt_error *error)
{
    bool exists = true;
    kt_status status = KT_OK;
    if (cuda->variant == KTI_CUDA_TIMED && !find(cuda, operation))
        status = tune(cuda, t, operation, error);
    const kti_way way = kti_cuda_way(cuda, operation);
    if (status == KT_OK)
        status = make_ready(cuda, operation, way, t->first, t->count, &exists, error);
    if (status == KT_OK && !exists && cuda->variant == KTI_CUDA_TIMED)
        status =
            kti_fail(error, KT_BAD_FORMAT,
                     "`%s` is to be computed by %s, which cannot do it here: the choice was made by another "
                     "build or on another GPU",
                     find(cuda, operation)->shape, way_names[way]);
    return status;
}

kt_status kti_cuda_prepare(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                           const int32_t rows[KT_ROW_KINDS], kt_error *error)
{
    timer t = {.first = first, .count = count};
    kt_status status = KT_OK;
    kti_operation part;
    if (has_news(cuda, list, size))
        status = make_batch(cuda, list, size, first, count, rows, error);
    for (int i = 0; i < size; i++)
        for (int k = 0; status == KT_OK && kti_cuda_part(&list[i], k, &part); k++) {
            kti_operation_fit(&part, rows);
            if (has_ways(cuda, &part))
                status = prepare_one(cuda, &t, &part, error);
        }
    return destroy_timer(&t, status, error);
}

/* ---- the host's side ---- */

int kti_cuda_choices(kti_device *device, kti_choice *choices, int room)
{
    kti_cuda *cuda = (kti_cuda *)device;
    pthread_mutex_lock(&cuda->lock);
    const int count = (int)cuda->choices;
    for (int i = 0; i < count && i < room; i++)
        choices[i] = cuda->choice[i];
    pthread_mutex_unlock(&cuda->lock);
    return count;
}

kt_status kti_cuda_choose(kti_device *device, const kti_choice *choices, int count, kt_error *error)
{
    kti_cuda *cuda = (kti_cuda *)device;
    kt_status status = KT_OK;
    pthread_mutex_lock(&cuda->lock);
    for (int i = 0; i < count && status == KT_OK; i++) {
        void *list = cuda->choice;
        const kti_choice *same = find_shape(cuda, choices[i].shape);
        if (same && same->way == choices[i].way)
            continue;
        if (same)
            status = kti_fail(
                error, KT_BAD_FORMAT,
                "`%s` is to be computed by %s here and by %s there: runs that chose differently cannot go on "
                "as one",
                same->shape, way_names[same->way], way_names[choices[i].way]);
        else if (choices[i].way == KTI_WAY_CUDNN && !cuda->dnn)
            status = kti_fail(error, KT_BAD_FORMAT,
                              "`%s` is to be computed by cuDNN, which this build of kappatune does not have",
                              choices[i].shape);
        else if (kti_grow(&list, cuda->choices, &cuda->choice_capacity, sizeof *cuda->choice) != 0)
            status = kti_fail_memory(error, "the choice of kernels");
        if (status == KT_OK) {
            cuda->choice = list;
            cuda->choice[cuda->choices++] = choices[i];
        }
    }
    pthread_mutex_unlock(&cuda->lock);
    return status;
}
