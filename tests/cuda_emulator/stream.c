/* Streams, events, waiting. */
#include "cuda_emulator/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct event {
    emu_object object;
    unsigned flags;
    bool recorded;
    emu_work *work;
    emu_graph *capture; /* recorded while that graph was captured; NULL: not */
    emu_front front;
} event;

static emu_stream default_streams[EMULATOR_DEVICES_MAX];

emu_stream *emu_stream_find(cudaStream_t stream)
{
    if (stream == NULL || stream == cudaStreamLegacy) {
        default_streams[emu_current_device].device = emu_current_device;
        return &default_streams[emu_current_device];
    }
    if (stream == cudaStreamPerThread) {
        emu_violation("%s: default streams of threads aren't emulated", emu_call());
        return NULL;
    }
    return emu_object_find(EMU_STREAM, stream);
}

static bool is_default(const emu_stream *stream)
{
    return stream >= default_streams && stream < default_streams + EMULATOR_DEVICES_MAX;
}

/* ---- order ---- */

int emu_stream_limit(void)
{
    int n = 2;
    for (emu_stream *s = NULL; (s = emu_object_next(EMU_STREAM, s));)
        n++;
    return n;
}

int emu_stream_before(emu_stream *stream, emu_work **before)
{
    int n = 0;
    before[n++] = stream->last;
    if (!is_default(stream)) {
        if (!(stream->flags & cudaStreamNonBlocking))
            before[n++] = default_streams[stream->device].last;
        return n;
    }
    for (emu_stream *s = NULL; (s = emu_object_next(EMU_STREAM, s));)
        if (s->device == stream->device && !(s->flags & cudaStreamNonBlocking))
            before[n++] = s->last;
    return n;
}

void emu_stream_continue(emu_stream *stream, emu_work *last)
{
    emu_work_release(stream->last);
    stream->last = last;
}

static emu_work *queue_after(emu_stream *stream, emu_task *task, emu_work *also)
{
    emu_work **before = emu_allocate((size_t)(emu_stream_limit() + 1) * sizeof(*before));
    int n = emu_stream_before(stream, before);
    before[n++] = also;
    emu_work *work = emu_work_create(task, before, n);
    free(before);
    emu_stream_continue(stream, work);
    return work;
}

void emu_submit(emu_stream *stream, emu_task *task)
{
    if (!stream->capture) {
        queue_after(stream, task, NULL);
        return;
    }
    const int node = emu_graph_add(stream->capture, task, &stream->front);
    stream->front.size = 0;
    emu_front_add(&stream->front, node);
}

cudaError_t emu_not_capturing(emu_stream *stream)
{
    if (!stream->capture)
        return cudaSuccess;
    stream->capture->invalid = true;
    return emu_refuse(cudaErrorStreamCaptureUnsupported, "not allowed while the stream is captured");
}

/* Calls that might wait for the device fail while some stream is captured, unless the capture is relaxed. */
cudaError_t emu_nobody_captures(void)
{
    for (emu_graph *g = NULL; (g = emu_object_next(EMU_GRAPH, g));)
        if (g->origin && g->mode != cudaStreamCaptureModeRelaxed) {
            g->invalid = true;
            return emu_refuse(cudaErrorStreamCaptureUnsupported, "not allowed while a stream is captured");
        }
    return cudaSuccess;
}

void emu_forget_streams(void)
{
    for (emu_stream *s = NULL; (s = emu_object_next(EMU_STREAM, s));) {
        emu_work_release(s->last);
        free(s->front.node);
    }
    for (event *e = NULL; (e = emu_object_next(EMU_EVENT, e));) {
        emu_work_release(e->work);
        free(e->front.node);
    }
    for (int d = 0; d < EMULATOR_DEVICES_MAX; d++)
        emu_work_release(default_streams[d].last);
    memset(default_streams, 0, sizeof default_streams);
}

/* ---- streams ---- */

static cudaError_t create(cudaStream_t *stream, unsigned flags)
{
    if (!stream)
        return emu_refuse(cudaErrorInvalidValue, "nowhere to put the stream");
    *stream = NULL;
    if (flags & ~(unsigned)cudaStreamNonBlocking)
        return emu_refuse(cudaErrorInvalidValue, "flags %#x", flags);
    if (emu_current_device >= emu_options.devices)
        return cudaErrorNoDevice;
    emu_stream *s = emu_object_create(EMU_STREAM, sizeof *s);
    s->device = emu_current_device;
    s->flags = flags;
    *stream = (cudaStream_t)s;
    return cudaSuccess;
}

EMU_API cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorMemoryAllocation : create(stream, 0));
}

EMU_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorMemoryAllocation : create(stream, flags));
}

EMU_API cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    (void)priority;
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorMemoryAllocation : create(stream, flags));
}

/* What is queued still runs. */
static cudaError_t destroy(cudaStream_t stream)
{
    emu_stream *s = stream ? emu_stream_find(stream) : NULL;
    if (!s || is_default(s))
        return emu_refuse(cudaErrorInvalidResourceHandle, "no stream that can be destroyed");
    if (s->capture) {
        s->capture->invalid = true;
        emu_violation("%s: the stream is captured", emu_call());
        if (s->capture->origin == s)
            s->capture->origin = NULL;
    }
    emu_work_release(s->last);
    free(s->front.node);
    emu_object_destroy(s);
    return cudaSuccess;
}

EMU_API cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    const cudaError_t injected = emu_enter(__func__, EMU_CLEANUP) ? cudaErrorUnknown : cudaSuccess;
    const cudaError_t error = destroy(stream);
    return emu_leave(error ? error : injected);
}

static cudaError_t synchronize(cudaStream_t stream)
{
    emu_stream *s = emu_stream_find(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    const cudaError_t error = emu_not_capturing(s);
    if (error)
        return error;
    /* the default stream waits for the others too */
    return emu_run_until(is_default(s) ? queue_after(s, NULL, NULL)
                         : s->last     ? s->last
                                       : queue_after(s, NULL, NULL));
}

EMU_API cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    /* one that fails has waited: it tells of what failed before */
    const cudaError_t injected = emu_enter(__func__, EMU_ASK) ? cudaErrorLaunchFailure : cudaSuccess;
    const cudaError_t error = synchronize(stream);
    return emu_leave(error ? error : injected);
}

EMU_API cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorLaunchFailure);
    emu_stream *s = emu_stream_find(stream);
    if (!s)
        return emu_leave(cudaErrorInvalidResourceHandle);
    const cudaError_t error = emu_not_capturing(s);
    if (error)
        return emu_leave(error);
    emu_run_some();
    return emu_leave(!s->last || s->last->done ? cudaSuccess : cudaErrorNotReady);
}

EMU_API cudaError_t cudaDeviceSynchronize(void)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorLaunchFailure);
    const cudaError_t error = emu_nobody_captures();
    return emu_leave(error ? error : emu_run_until(NULL));
}

typedef struct call_task {
    emu_task task;
    cudaHostFn_t function;
    void *data;
} call_task;

static void run_call(emu_task *task)
{
    const call_task *t = (const call_task *)task;
    t->function(t->data);
}

EMU_API cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data)
{
    if (emu_enter(__func__, EMU_WORK))
        return emu_leave(cudaErrorUnknown);
    emu_stream *s = emu_stream_find(stream);
    if (!s || !function)
        return emu_leave(emu_refuse(cudaErrorInvalidValue, "no function or no stream"));
    call_task *t = emu_task_create("a function of the host", s->device, sizeof *t, run_call);
    t->function = function;
    t->data = data;
    emu_submit(s, &t->task);
    return emu_leave(cudaSuccess);
}

/* ---- events ---- */

static cudaError_t create_event(cudaEvent_t *made, unsigned flags)
{
    const unsigned known = cudaEventBlockingSync | cudaEventDisableTiming;
    if (!made)
        return emu_refuse(cudaErrorInvalidValue, "nowhere to put the event");
    *made = NULL;
    if (flags & ~known)
        return emu_refuse(cudaErrorInvalidValue, "flags %#x aren't emulated", flags);
    event *e = emu_object_create(EMU_EVENT, sizeof *e);
    e->flags = flags;
    *made = (cudaEvent_t)e;
    return cudaSuccess;
}

EMU_API cudaError_t cudaEventCreate(cudaEvent_t *made)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorMemoryAllocation : create_event(made, 0));
}

EMU_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t *made, unsigned flags)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorMemoryAllocation : create_event(made, flags));
}

EMU_API cudaError_t cudaEventDestroy(cudaEvent_t handle)
{
    const cudaError_t injected = emu_enter(__func__, EMU_CLEANUP) ? cudaErrorUnknown : cudaSuccess;
    event *e = emu_object_find(EMU_EVENT, handle);
    if (!e)
        return emu_leave(cudaErrorInvalidResourceHandle);
    emu_work_release(e->work);
    free(e->front.node);
    emu_object_destroy(e);
    return emu_leave(injected);
}

static cudaError_t record(cudaEvent_t handle, cudaStream_t stream)
{
    event *e = emu_object_find(EMU_EVENT, handle);
    emu_stream *s = emu_stream_find(stream);
    if (!e || !s)
        return cudaErrorInvalidResourceHandle;
    e->recorded = true;
    e->capture = s->capture;
    emu_work_release(e->work);
    e->work = NULL;
    if (s->capture)
        emu_front_copy(&e->front, &s->front);
    else
        e->work = emu_work_keep(queue_after(s, NULL, NULL));
    return cudaSuccess;
}

EMU_API cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorUnknown : record(handle, stream));
}

static bool is_capturing(const emu_graph *graph)
{
    for (emu_graph *g = NULL; (g = emu_object_next(EMU_GRAPH, g));)
        if (g == graph)
            return g->origin != NULL;
    return false;
}

static cudaError_t wait_event(cudaStream_t stream, cudaEvent_t handle, unsigned flags)
{
    event *e = emu_object_find(EMU_EVENT, handle);
    emu_stream *s = emu_stream_find(stream);
    if (!e || !s)
        return cudaErrorInvalidResourceHandle;
    if (flags)
        return emu_refuse(cudaErrorInvalidValue, "flags %#x", flags);
    if (!e->recorded) { /* allowed, and waits for nothing: never what was meant */
        emu_violation("%s: the event was never recorded", emu_call());
        return cudaSuccess;
    }
    if (!e->capture && !s->capture) {
        queue_after(s, NULL, e->work);
        return cudaSuccess;
    }
    if (!e->capture || !is_capturing(e->capture) || (s->capture && s->capture != e->capture) ||
        is_default(s)) {
        if (s->capture)
            s->capture->invalid = true;
        return emu_refuse(cudaErrorStreamCaptureIsolation, "the event was not recorded in this capture");
    }
    s->capture = e->capture;
    for (int i = 0; i < e->front.size; i++)
        emu_front_add(&s->front, e->front.node[i]);
    return cudaSuccess;
}

EMU_API cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t handle, unsigned flags)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorUnknown : wait_event(stream, handle, flags));
}

EMU_API cudaError_t cudaEventSynchronize(cudaEvent_t handle)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorLaunchFailure);
    event *e = emu_object_find(EMU_EVENT, handle);
    if (!e)
        return emu_leave(cudaErrorInvalidResourceHandle);
    if (e->capture)
        return emu_leave(
            emu_refuse(cudaErrorStreamCaptureUnsupported, "the event was recorded in a capture"));
    return emu_leave(e->work ? emu_run_until(e->work) : cudaSuccess);
}

EMU_API cudaError_t cudaEventQuery(cudaEvent_t handle)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorLaunchFailure);
    event *e = emu_object_find(EMU_EVENT, handle);
    if (!e)
        return emu_leave(cudaErrorInvalidResourceHandle);
    emu_run_some();
    return emu_leave(!e->work || e->work->done ? cudaSuccess : cudaErrorNotReady);
}

/* On the virtual clock: 1 to 8 microseconds a task, drawn from the seed. */
EMU_API cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    const event *a = emu_object_find(EMU_EVENT, start), *b = emu_object_find(EMU_EVENT, end);
    if (!a || !b)
        return emu_leave(cudaErrorInvalidResourceHandle);
    if (!a->work || !b->work || (a->flags | b->flags) & cudaEventDisableTiming)
        return emu_leave(emu_refuse(cudaErrorInvalidResourceHandle, "an event that has no time"));
    if (!a->work->done || !b->work->done)
        return emu_leave(cudaErrorNotReady);
    *milliseconds = (float)((b->work->time - a->work->time) / 1000);
    return emu_leave(cudaSuccess);
}
