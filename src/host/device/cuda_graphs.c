/* Captured sequences, so that a step is one launch.
 *
 * Grids are sized by the rows of a batch rounded up to a bucket, four to a doubling: few graphs serve all batches, and none
 * launches much more than it needs. Buckets change no bit: a kernel reads the rows that there really are.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "device/cuda.h"

enum { MIN_BUCKET = 16 };

static int32_t bucket(int32_t rows)
{
    int32_t step = MIN_BUCKET;
    if (rows < 1) /* a part of a batch may have no crystal, but cuBLAS knows no empty matrix */
        rows = 1;
    while (8 * (int64_t)step <= rows)
        step *= 2;
    return (int32_t)(((int64_t)rows + step - 1) / step * step);
}

kt_status kti_cuda_capture(kti_cuda *cuda, kt_status (*put)(kti_cuda *cuda, void *context, kt_error *error),
                           void *context, cudaGraphExec_t *made, kt_error *error)
{
    cudaGraph_t graph = NULL;
    *made = NULL;
    /* Other threads may allocate meanwhile: that is no business of this capture. */
    kt_status status = kti_cuda_check(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal),
                                      "capturing a step", error);
    if (status != KT_OK)
        return status;
    status = put(cuda, context, error);
    const cudaError_t ended = cudaStreamEndCapture(cuda->stream, &graph);
    if (status == KT_OK)
        status = kti_cuda_check(ended, "capturing a step", error);
    else if (ended != cudaSuccess)
        cudaGetLastError();
    if (status == KT_OK)
        status = kti_cuda_check(cudaGraphInstantiate(made, graph, 0), "preparing a step", error);
    if (graph) {
        const cudaError_t destroyed = cudaGraphDestroy(graph);
        if (status == KT_OK)
            status = kti_cuda_check(destroyed, "capturing a step", error);
    }
    if (status != KT_OK && *made) {
        cudaGraphExecDestroy(*made);
        *made = NULL;
    }
    return status;
}

/* GPUs that share a fold meet in one order, so what they do stays in order. */
static bool has_branches(const kti_cuda *cuda)
{
    return !cuda->nccl;
}

static bool is_librarys(const kti_cuda *cuda, const kti_operation *operation)
{
    kti_operation part;
    for (int k = 0; kti_cuda_part(operation, k, &part); k++)
        if (kti_cuda_way(cuda, &part) != KTI_WAY_OWN)
            return true;
    return false;
}

/* What a captured list has become: the last node of each operation, and whether another one waits for it. */
typedef struct nodes {
    cudaGraphNode_t *node, *waited_for; /* [size]; the second one is for a call */
    bool *followed;                     /* [size] */
} nodes;

static kt_status nodes_create(nodes *n, int size, kt_error *error)
{
    const size_t count = (size_t)size + 1;
    *n = (nodes){kti_allocate(count, sizeof(*n->node)), kti_allocate(count, sizeof(*n->waited_for)),
                 kti_allocate(count, sizeof(*n->followed))};
    return n->node && n->waited_for && n->followed ? KT_OK : kti_fail_memory(error, "a captured step");
}

static void nodes_destroy(nodes *n)
{
    free((void *)n->node);
    free((void *)n->waited_for);
    free(n->followed);
}

/* The next launch will wait for what operation i waits for alone; a library's for all before it, since its calls share a workspace. */
static kt_status set_waits(kti_cuda *cuda, nodes *n, const kti_operation *list, int i, kt_error *error)
{
    const int known = is_librarys(cuda, &list[i]) ? 0 : list[i].waits;
    size_t count = 0;
    for (int k = 0; k < i; k++) {
        bool waits = known == 0 && !n->followed[k];
        for (int w = 0; w < known; w++)
            waits = waits || i - list[i].back[w] == k;
        if (!waits)
            continue;
        n->followed[k] = true;
        n->waited_for[count++] = n->node[k];
    }
#if CUDART_VERSION >= 13000
    return kti_cuda_check(cudaStreamUpdateCaptureDependencies(cuda->stream, n->waited_for, NULL, count,
                                                              cudaStreamSetCaptureDependencies),
                          "capturing a step", error);
#else
    return kti_cuda_check(cudaStreamUpdateCaptureDependencies(cuda->stream, n->waited_for, count,
                                                              cudaStreamSetCaptureDependencies),
                          "capturing a step", error);
#endif
}

/* The node that was captured last. */
static kt_status get_node(kti_cuda *cuda, cudaGraphNode_t *node, kt_error *error)
{
    enum cudaStreamCaptureStatus capturing;
    const cudaGraphNode_t *last = NULL;
    size_t count = 0;
#if CUDART_VERSION >= 13000
    kt_status status =
        kti_cuda_check(cudaStreamGetCaptureInfo(cuda->stream, &capturing, NULL, NULL, &last, NULL, &count),
                       "capturing a step", error);
#else
    kt_status status =
        kti_cuda_check(cudaStreamGetCaptureInfo_v2(cuda->stream, &capturing, NULL, NULL, &last, &count),
                       "capturing a step", error);
#endif
    if (status == KT_OK && count != 1)
        status = kti_fail(error, KT_DEVICE, "the GPU failed: a captured step has %zu ends, not one", count);
    if (status == KT_OK)
        *node = last[0];
    return status;
}

static kt_status put_list(kti_cuda *cuda, void *context, kt_error *error)
{
    const kti_cuda_graph *made = context;
    const bool branches = has_branches(cuda);
    nodes n;
    kt_status status = nodes_create(&n, made->size, error);
    for (int i = 0; i < made->size && status == KT_OK; i++) {
        if (branches)
            status = set_waits(cuda, &n, made->list, i, error);
        if (status == KT_OK)
            status = kti_cuda_launch(cuda, &made->list[i], made->first, made->count, made->rows, error);
        if (status == KT_OK && branches)
            status = get_node(cuda, &n.node[i], error);
    }
    nodes_destroy(&n);
    return status;
}

static kti_cuda_graph *find(kti_cuda *cuda, const kti_cuda_graph *like)
{
    for (size_t i = 0; i < cuda->graphs; i++) {
        kti_cuda_graph *g = &cuda->graph[i];
        if (g->list == like->list && g->size == like->size && g->first == like->first &&
            g->count == like->count && memcmp(g->rows, like->rows, sizeof g->rows) == 0)
            return g;
    }
    return NULL;
}

kt_status kti_cuda_graph_launch(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                                const int32_t rows[KT_ROW_KINDS], kt_error *error)
{
    kti_cuda_graph wanted = {.list = list, .size = size, .first = first, .count = count};
    for (int kind = 0; kind < KT_ROW_KINDS; kind++)
        wanted.rows[kind] = bucket(rows[kind]);
    kti_cuda_graph *graph = find(cuda, &wanted);
    if (!graph) {
        void *graphs = cuda->graph;
        if (kti_grow(&graphs, cuda->graphs, &cuda->graph_capacity, sizeof *cuda->graph) != 0)
            return kti_fail_memory(error, "a captured step");
        cuda->graph = graphs;
        kt_status status = kti_cuda_prepare(cuda, list, size, first, count, wanted.rows, error);
        if (status == KT_OK && cuda->nccl)
            status = kti_cuda_warm_up(cuda, list, size, first, count, error);
        if (status == KT_OK)
            status = kti_cuda_capture(cuda, put_list, &wanted, &wanted.executable, error);
        if (status != KT_OK)
            return status;
        graph = &cuda->graph[cuda->graphs++];
        *graph = wanted;
    }
    return kti_cuda_check(cudaGraphLaunch(graph->executable, cuda->stream), "starting a step", error);
}

void kti_cuda_graph_forget(kti_cuda *cuda, const kti_operation *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < cuda->graphs; i++) {
        if (list && cuda->graph[i].list != list)
            cuda->graph[kept++] = cuda->graph[i];
        else if (cudaGraphExecDestroy(cuda->graph[i].executable) != cudaSuccess)
            cudaGetLastError(); /* nobody's error */
    }
    cuda->graphs = kept;
}
