/* Graphs: captured from streams, instantiated, launched. */
#include "cuda_emulator/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct graph_exec {
    emu_object object;
    emu_node *node;
    int size;
    emu_work *last; /* of the launch before: launches of one graph never overlap */
} graph_exec;

void emu_front_add(emu_front *front, int node)
{
    for (int i = 0; i < front->size; i++)
        if (front->node[i] == node)
            return;
    emu_grow(&front->node, front->size, &front->room, sizeof(*front->node));
    front->node[front->size++] = node;
}

void emu_front_copy(emu_front *to, const emu_front *from)
{
    to->size = 0;
    for (int i = 0; i < from->size; i++)
        emu_front_add(to, from->node[i]);
}

int emu_graph_add(emu_graph *graph, emu_task *task, const emu_front *before)
{
    emu_grow(&graph->node, graph->size, &graph->room, sizeof(*graph->node));
    emu_node *n = &graph->node[graph->size];
    *n = (emu_node){.task = task};
    emu_front_copy(&n->before, before);
    return graph->size++;
}

static void free_nodes(emu_node *node, int size)
{
    for (int i = 0; i < size; i++) {
        emu_task_release(node[i].task);
        free(node[i].before.node);
    }
    free(node);
}

/* ---- capture ---- */

static cudaError_t begin(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    emu_stream *s = emu_stream_find(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (stream == NULL || stream == cudaStreamLegacy)
        return emu_refuse(cudaErrorStreamCaptureUnsupported, "the default stream can't be captured");
    if (s->capture)
        return emu_refuse(cudaErrorIllegalState, "the stream is captured already");
    s->capture = emu_object_create(EMU_GRAPH, sizeof *s->capture);
    s->capture->origin = s;
    s->capture->mode = mode;
    s->front.size = 0;
    return cudaSuccess;
}

EMU_API cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorUnknown : begin(stream, mode));
}

static void mark_ancestors(const emu_graph *graph, int node, bool *marked)
{
    if (marked[node])
        return;
    marked[node] = true;
    for (int i = 0; i < graph->node[node].before.size; i++)
        mark_ancestors(graph, graph->node[node].before.node[i], marked);
}

/* Whether the stream in which the capture began has waited for all others. */
static bool is_joined(const emu_graph *graph, const emu_stream *origin)
{
    bool *marked = emu_allocate((size_t)graph->size + 1), joined = true;
    for (int i = 0; i < origin->front.size; i++)
        mark_ancestors(graph, origin->front.node[i], marked);
    for (int i = 0; i < graph->loose.size; i++)
        mark_ancestors(graph, graph->loose.node[i], marked);
    for (int i = 0; i < graph->size; i++)
        joined = joined && marked[i];
    free(marked);
    return joined;
}

static cudaError_t end(cudaStream_t stream, cudaGraph_t *made, bool injected)
{
    emu_stream *s = emu_stream_find(stream);
    if (made)
        *made = NULL;
    if (!s || !made)
        return cudaErrorInvalidResourceHandle;
    emu_graph *g = s->capture;
    if (!g || g->origin != s)
        return emu_refuse(cudaErrorStreamCaptureUnmatched, "no capture began in this stream");
    cudaError_t error = cudaSuccess;
    if (injected)
        error = cudaErrorStreamCaptureInvalidated;
    else if (g->invalid)
        error = cudaErrorStreamCaptureInvalidated;
    else if (!is_joined(g, s)) /* no fault of one who ends the capture because a call failed */
        error = emulator_failed_call() ? cudaErrorStreamCaptureUnjoined
                                       : emu_refuse(cudaErrorStreamCaptureUnjoined,
                                                    "the stream hasn't waited for all that was captured");
    g->origin = NULL;
    for (emu_stream *other = NULL; (other = emu_object_next(EMU_STREAM, other));)
        if (other->capture == g) {
            other->capture = NULL;
            other->front.size = 0;
        }
    if (error)
        emu_graph_free(g);
    else
        *made = (cudaGraph_t)g;
    return error;
}

/* Ends the capture in any case. */
EMU_API cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    const bool injected = emu_enter(__func__, EMU_CLEANUP);
    return emu_leave(end(stream, graph, injected));
}

/* A node's handle tells its number. */
static cudaGraphNode_t handle_of(int node)
{
    return (cudaGraphNode_t)((uintptr_t)node + 1);
}

/* The handles stay until the next call. */
EMU_API cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *status,
                                             unsigned long long *id, cudaGraph_t *graph,
                                             const cudaGraphNode_t **dependencies,
                                             const cudaGraphEdgeData **edges, size_t *count)
{
    static _Thread_local cudaGraphNode_t *handles;
    static _Thread_local int room;
    if (emu_enter(__func__, EMU_WORK))
        return emu_leave(cudaErrorUnknown);
    const emu_stream *s = emu_stream_find(stream);
    if (!s || id || graph || edges || !dependencies || !count)
        return emu_leave(emu_refuse(cudaErrorInvalidValue, "not emulated"));
    *status = s->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    *count = s->capture ? (size_t)s->front.size : 0;
    for (int i = 0; i < (int)*count; i++) {
        emu_grow((void *)&handles, i, &room, sizeof(*handles));
        handles[i] = handle_of(s->front.node[i]);
    }
    *dependencies = handles;
    return emu_leave(cudaSuccess);
}

static cudaError_t set_dependencies(emu_stream *s, const cudaGraphNode_t *dependencies, size_t count)
{
    if (!s || !s->capture)
        return emu_refuse(cudaErrorIllegalState, "the stream is not captured");
    for (size_t i = 0; i < count; i++)
        if (!dependencies[i] || (uintptr_t)dependencies[i] > (uintptr_t)s->capture->size)
            return emu_refuse(cudaErrorInvalidValue, "no node of the capture");
    for (int i = 0; i < s->front.size; i++)
        emu_front_add(&s->capture->loose, s->front.node[i]);
    s->front.size = 0;
    for (size_t i = 0; i < count; i++)
        emu_front_add(&s->front, (int)((uintptr_t)dependencies[i] - 1));
    return cudaSuccess;
}

/* What is taken out of the dependencies need not be waited for when the capture ends. */
EMU_API cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t stream, cudaGraphNode_t *dependencies,
                                                        const cudaGraphEdgeData *edges, size_t count,
                                                        unsigned flags)
{
    if (emu_enter(__func__, EMU_WORK))
        return emu_leave(cudaErrorUnknown);
    if (edges || flags != cudaStreamSetCaptureDependencies)
        return emu_leave(emu_refuse(cudaErrorInvalidValue, "not emulated"));
    return emu_leave(set_dependencies(emu_stream_find(stream), dependencies, count));
}

EMU_API cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    const emu_stream *s = emu_stream_find(stream);
    if (!s)
        return emu_leave(cudaErrorInvalidResourceHandle);
    *status = !s->capture           ? cudaStreamCaptureStatusNone
              : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                    : cudaStreamCaptureStatusActive;
    return emu_leave(cudaSuccess);
}

/* ---- graphs ---- */

void emu_graph_free(emu_graph *graph)
{
    free_nodes(graph->node, graph->size);
    free(graph->loose.node);
    emu_object_destroy(graph);
}

EMU_API cudaError_t cudaGraphDestroy(cudaGraph_t handle)
{
    const cudaError_t injected = emu_enter(__func__, EMU_CLEANUP) ? cudaErrorUnknown : cudaSuccess;
    emu_graph *g = emu_object_find(EMU_GRAPH, handle);
    if (!g || g->origin)
        return emu_leave(emu_refuse(cudaErrorInvalidValue, "no graph, or one that is still captured"));
    emu_graph_free(g);
    return emu_leave(injected);
}

EMU_API cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t *nodes, size_t *size)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    emu_graph *g = emu_object_find(EMU_GRAPH, handle);
    if (!g || !size)
        return emu_leave(cudaErrorInvalidValue);
    for (size_t i = 0; nodes && i < *size && i < (size_t)g->size; i++)
        nodes[i] = (cudaGraphNode_t)g->node[i].task;
    *size = (size_t)g->size;
    return emu_leave(cudaSuccess);
}

static cudaError_t instantiate(cudaGraphExec_t *made, cudaGraph_t handle, unsigned long long flags)
{
    emu_graph *g = emu_object_find(EMU_GRAPH, handle);
    if (made)
        *made = NULL;
    if (!g || !made || g->origin)
        return emu_refuse(cudaErrorInvalidValue, "no graph that could be instantiated");
    if (flags)
        return emu_refuse(cudaErrorInvalidValue, "flags %#llx aren't emulated", flags);
    graph_exec *x = emu_object_create(EMU_GRAPH_EXEC, sizeof *x);
    x->size = g->size;
    x->node = emu_allocate((size_t)g->size * sizeof(*x->node));
    for (int i = 0; i < g->size; i++) {
        x->node[i].task = g->node[i].task;
        x->node[i].task->references++;
        emu_front_copy(&x->node[i].before, &g->node[i].before);
    }
    *made = (cudaGraphExec_t)x;
    return cudaSuccess;
}

EMU_API cudaError_t cudaGraphInstantiate(cudaGraphExec_t *made, cudaGraph_t graph, unsigned long long flags)
{
    if (emu_enter(__func__, EMU_WORK)) {
        if (made)
            *made = NULL;
        return emu_leave(cudaErrorMemoryAllocation);
    }
    return emu_leave(instantiate(made, graph, flags));
}

EMU_API cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *made, cudaGraph_t graph,
                                                  unsigned long long flags)
{
    if (emu_enter(__func__, EMU_WORK)) {
        if (made)
            *made = NULL;
        return emu_leave(cudaErrorMemoryAllocation);
    }
    return emu_leave(instantiate(made, graph, flags));
}

EMU_API cudaError_t cudaGraphUpload(cudaGraphExec_t handle, cudaStream_t stream)
{
    if (emu_enter(__func__, EMU_WORK))
        return emu_leave(cudaErrorUnknown);
    const bool good = emu_object_find(EMU_GRAPH_EXEC, handle) && emu_stream_find(stream);
    return emu_leave(good ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

static cudaError_t launch(cudaGraphExec_t handle, cudaStream_t stream)
{
    graph_exec *x = emu_object_find(EMU_GRAPH_EXEC, handle);
    emu_stream *s = emu_stream_find(stream);
    if (!x || !s)
        return cudaErrorInvalidResourceHandle;
    const cudaError_t error = emu_not_capturing(s); /* as a child graph: not emulated */
    if (error)
        return error;
    const int outside = emu_stream_limit() + 1;
    emu_work **made = emu_allocate((size_t)(x->size + 1) * sizeof(*made)),
             **before = emu_allocate((size_t)(x->size + outside) * sizeof(*before));
    int roots = emu_stream_before(s, before);
    before[roots++] = x->last;
    emu_work *start = emu_work_create(NULL, before, roots);
    for (int i = 0; i < x->size; i++) {
        const emu_node *node = &x->node[i];
        int n = 0;
        before[n++] = start;
        for (int k = 0; k < node->before.size; k++)
            before[n++] = made[node->before.node[k]];
        node->task->references++;
        made[i] = emu_work_create(node->task, before, n);
    }
    made[x->size] = start;
    emu_work *last = emu_work_create(NULL, made, x->size + 1);
    for (int i = 0; i <= x->size; i++)
        emu_work_release(made[i]);
    emu_work_release(x->last);
    x->last = emu_work_keep(last);
    emu_stream_continue(s, last);
    free(made);
    free(before);
    return cudaSuccess;
}

EMU_API cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorLaunchFailure : launch(handle, stream));
}

EMU_API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle)
{
    const cudaError_t injected = emu_enter(__func__, EMU_CLEANUP) ? cudaErrorUnknown : cudaSuccess;
    graph_exec *x = emu_object_find(EMU_GRAPH_EXEC, handle);
    if (!x)
        return emu_leave(cudaErrorInvalidValue);
    free_nodes(x->node, x->size);
    emu_work_release(x->last);
    emu_object_destroy(x);
    return emu_leave(injected);
}

static bool holds(const emu_node *node, int size, bool (*is)(const emu_task *task, const void *of),
                  const void *of)
{
    for (int i = 0; i < size; i++)
        if (is(node[i].task, of))
            return true;
    return false;
}

bool emu_graphs_hold(bool (*is)(const emu_task *task, const void *of), const void *of)
{
    for (graph_exec *x = NULL; (x = emu_object_next(EMU_GRAPH_EXEC, x));)
        if (holds(x->node, x->size, is, of))
            return true;
    for (emu_graph *g = NULL; (g = emu_object_next(EMU_GRAPH, g));)
        if (holds(g->node, g->size, is, of))
            return true;
    return false;
}

void emu_forget_graphs(void)
{
    for (graph_exec *x = NULL; (x = emu_object_next(EMU_GRAPH_EXEC, x));) {
        free_nodes(x->node, x->size);
        emu_work_release(x->last);
    }
    for (emu_graph *g = NULL; (g = emu_object_next(EMU_GRAPH, g));)
        free_nodes(g->node, g->size);
}
