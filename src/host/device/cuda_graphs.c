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

enum { LEAST_BUCKET = 16 };

static int32_t bucket(int32_t rows)
{
    int32_t step = LEAST_BUCKET;
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

static kt_status wait_for(cudaStream_t stream, cudaEvent_t event, cudaStream_t of, bool recorded,
                          kt_error *error)
{
    const char *what = "capturing a step";
    kt_status status = recorded ? KT_OK : kti_cuda_check(cudaEventRecord(event, of), what, error);
    return status == KT_OK ? kti_cuda_check(cudaStreamWaitEvent(stream, event, 0), what, error) : status;
}

/* Operation i of the list on a branch, which it begins where this is the first of its kind since the branches came together. */
static kt_status put_beside(kti_cuda *cuda, const kti_cuda_graph *made, int i, int beside, kt_error *error)
{
    const int branch = (beside - 1) % KTI_CUDA_BRANCHES;
    const cudaStream_t trunk = cuda->stream;
    kt_status status = KT_OK;
    if (beside <= KTI_CUDA_BRANCHES)
        status = wait_for(cuda->branch[branch], cuda->parted, trunk, true, error);
    if (status != KT_OK)
        return status;
    cuda->stream = cuda->branch[branch];
    status = kti_cuda_launch(cuda, &made->list[i], made->first, made->count, made->rows, error);
    cuda->stream = trunk;
    return status;
}

/* Libraries have one workspace, so that what they compute stays in order. */
static bool has_branches(const kti_cuda *cuda)
{
    return cuda->variant == KTI_CUDA_OWN;
}

static kt_status put_list(kti_cuda *cuda, void *context, kt_error *error)
{
    const kti_cuda_graph *made = context;
    const bool branches = has_branches(cuda);
    int beside = 0; /* operations since the last that waited */
    kt_status status = KT_OK;
    for (int i = 0; i < made->size && status == KT_OK; i++) {
        if (branches && made->list[i].beside) {
            status = put_beside(cuda, made, i, ++beside, error);
            continue;
        }
        for (int b = 0; b < beside && b < KTI_CUDA_BRANCHES && status == KT_OK; b++)
            status = wait_for(cuda->stream, cuda->back[b], cuda->branch[b], false, error);
        beside = 0;
        if (status == KT_OK && branches && i + 1 < made->size && made->list[i + 1].beside)
            status = kti_cuda_check(cudaEventRecord(cuda->parted, cuda->stream), "capturing a step", error);
        if (status == KT_OK)
            status = kti_cuda_launch(cuda, &made->list[i], made->first, made->count, made->rows, error);
    }
    for (int b = 0; b < beside && b < KTI_CUDA_BRANCHES && status == KT_OK; b++)
        status = wait_for(cuda->stream, cuda->back[b], cuda->branch[b], false, error);
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
