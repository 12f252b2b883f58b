/* Copies and fills. */
#include "cuda_emulator/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct copy_task {
    emu_task task;
    unsigned char *to;
    const unsigned char *from; /* of this task's own, where `staged` */
    size_t to_pitch, from_pitch, width, rows;
    emu_memory to_memory, from_memory;
    bool staged;
    unsigned char stage[];
} copy_task;

static size_t extent(size_t pitch, size_t width, size_t rows)
{
    return rows && width ? (rows - 1) * pitch + width : 0;
}

static bool check_side(emu_memory memory, const void *p, size_t bytes, int device, const char *what)
{
    return bytes == 0 || memory == EMU_PAGEABLE ||
           (memory == EMU_DEVICE ? emu_check_device(p, bytes, device, what)
                                 : emu_check_pinned(p, bytes, what));
}

/* Once more when it runs: memory may have been freed since. */
static bool check_copy(const copy_task *t)
{
    return check_side(t->to_memory, t->to, extent(t->to_pitch, t->width, t->rows), t->task.device,
                      "a copy's destination") &&
           (t->staged || check_side(t->from_memory, t->from, extent(t->from_pitch, t->width, t->rows),
                                    t->task.device, "a copy's source"));
}

static void run_copy(emu_task *task)
{
    const copy_task *t = (const copy_task *)task;
    if (check_copy(t))
        for (size_t r = 0; r < t->rows; r++)
            memmove(t->to + r * t->to_pitch, t->from + r * t->from_pitch, t->width);
}

static bool copy_uses(const emu_task *task, const void *p, size_t size)
{
    const copy_task *t = (const copy_task *)task;
    const unsigned char *from = p, *to = from + size;
    return (t->to < to && t->to + extent(t->to_pitch, t->width, t->rows) > from) ||
           (t->from < to && t->from + extent(t->from_pitch, t->width, t->rows) > from);
}

static bool fits(enum cudaMemcpyKind kind, emu_memory to, emu_memory from)
{
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice,
               from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    return kind == cudaMemcpyDefault ||
           (to_device == (to == EMU_DEVICE) && from_device == (from == EMU_DEVICE));
}

static cudaError_t copy(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                        size_t rows, enum cudaMemcpyKind kind, cudaStream_t stream, bool waits)
{
    emu_stream *s = emu_stream_find(stream);
    const emu_memory to_memory = emu_memory_of(to), from_memory = emu_memory_of(from);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (width == 0 || rows == 0)
        return cudaSuccess;
    if (!to || !from || to_pitch < width || from_pitch < width)
        return emu_refuse(cudaErrorInvalidValue, "NULL, or a pitch below the width");
    if (!fits(kind, to_memory, from_memory))
        return emu_refuse(cudaErrorInvalidValue, "the addresses are not where the kind of copy %d says",
                          (int)kind);
    const cudaError_t error = waits ? emu_nobody_captures() : cudaSuccess;
    if (error)
        return error;
    const bool pageable = to_memory == EMU_PAGEABLE || from_memory == EMU_PAGEABLE;
    if (pageable && s->capture) {
        s->capture->invalid = true;
        return emu_refuse(cudaErrorStreamCaptureUnsupported, "pageable memory in a capture");
    }
    const bool staged = from_memory == EMU_PAGEABLE && to_memory == EMU_DEVICE;
    copy_task *t = emu_task_create("a copy", s->device, sizeof *t + (staged ? width * rows : 0), run_copy);
    t->task.uses = copy_uses;
    t->to = to;
    t->from = from;
    t->to_pitch = to_pitch;
    t->from_pitch = from_pitch;
    t->width = width;
    t->rows = rows;
    t->to_memory = to_memory;
    t->from_memory = from_memory;
    if (!check_copy(t)) {
        emu_task_release(&t->task);
        return cudaErrorInvalidValue;
    }
    if (staged) {
        for (size_t r = 0; r < rows; r++)
            memcpy(t->stage + r * width, t->from + r * from_pitch, width);
        t->from = t->stage;
        t->from_pitch = width;
        t->staged = true;
    }
    emu_submit(s, &t->task);
    /* A copy to pageable memory has run when the call returns; so has one that waits, unless both sides are on the
     * device. */
    const bool on_device = to_memory == EMU_DEVICE && from_memory == EMU_DEVICE;
    return (to_memory == EMU_PAGEABLE) || (waits && !on_device) ? emu_run_until(s->last) : cudaSuccess;
}

EMU_API cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    return emu_leave(emu_enter(__func__, EMU_WORK)
                         ? cudaErrorUnknown
                         : copy(to, bytes, from, bytes, bytes, 1, kind, NULL, true));
}

EMU_API cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                                    cudaStream_t stream)
{
    return emu_leave(emu_enter(__func__, EMU_WORK)
                         ? cudaErrorUnknown
                         : copy(to, bytes, from, bytes, bytes, 1, kind, stream, false));
}

EMU_API cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                                 size_t rows, enum cudaMemcpyKind kind)
{
    return emu_leave(emu_enter(__func__, EMU_WORK)
                         ? cudaErrorUnknown
                         : copy(to, to_pitch, from, from_pitch, width, rows, kind, NULL, true));
}

EMU_API cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                                      size_t width, size_t rows, enum cudaMemcpyKind kind,
                                      cudaStream_t stream)
{
    return emu_leave(emu_enter(__func__, EMU_WORK)
                         ? cudaErrorUnknown
                         : copy(to, to_pitch, from, from_pitch, width, rows, kind, stream, false));
}

typedef struct fill_task {
    emu_task task;
    unsigned char *to;
    int value;
    size_t bytes;
} fill_task;

static void run_fill(emu_task *task)
{
    const fill_task *t = (const fill_task *)task;
    if (emu_check_device(t->to, t->bytes, task->device, "what is filled"))
        memset(t->to, t->value, t->bytes);
}

static cudaError_t fill(void *to, int value, size_t bytes, cudaStream_t stream)
{
    emu_stream *s = emu_stream_find(stream);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (bytes == 0)
        return cudaSuccess;
    if (!emu_check_device(to, bytes, s->device, "what is filled"))
        return cudaErrorInvalidValue;
    fill_task *t = emu_task_create("a fill", s->device, sizeof *t, run_fill);
    t->to = to;
    t->value = value;
    t->bytes = bytes;
    emu_submit(s, &t->task);
    return cudaSuccess;
}

EMU_API cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorUnknown : fill(to, value, bytes, NULL));
}

EMU_API cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    return emu_leave(emu_enter(__func__, EMU_WORK) ? cudaErrorUnknown : fill(to, value, bytes, stream));
}
