/* What the emulator's files share. Everything runs under one lock, which every API call takes. */
#ifndef KTI_TESTS_CUDA_EMULATOR_INTERNAL_H
#define KTI_TESTS_CUDA_EMULATOR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "cuda_emulator/emulator.h"

#define EMU_API __attribute__((visibility("default")))

/* ---- calls.c: calls, errors, violations ---- */

typedef enum emu_kind {
    EMU_WORK,   /* begins something: nobody who had noticed an error would call it */
    EMU_ASK,    /* asks or waits */
    EMU_CLEANUP /* frees: does so even where it is to fail */
} emu_kind;

/* Takes the lock. Returns true where this call is to fail. */
bool emu_enter(const char *call, emu_kind kind);
/* Gives the lock back. */
cudaError_t emu_leave(cudaError_t error);
/* The same for another library's status: whether it is a failure. */
void emu_leave_library(bool failed);
/* The program has asked what the error was. */
void emu_error_seen(void);

void emu_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A violation by the current call, and what the call returns. */
cudaError_t emu_refuse(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *emu_call(void);
void emu_sticky(cudaError_t error);

uint64_t emu_draw(void);
void *emu_allocate(size_t bytes); /* zeroed; aborts */
void emu_grow(void *array, int size, int *room, size_t item);

/* Waits for another thread's call. False when the time is up. */
bool emu_wait_for_others(void);
void emu_wake_others(void);
double emu_timeout(void);

extern emulator_options emu_options;
extern int emu_skip_period, emu_skip_missing;
extern bool emu_dnn_fuses;
extern _Thread_local int emu_current_device;

/* ---- objects.c: handles ---- */

typedef enum emu_class {
    EMU_STREAM,
    EMU_EVENT,
    EMU_GRAPH,
    EMU_GRAPH_EXEC,
    EMU_BLAS_HANDLE,
    EMU_BLAS_OPERATION,
    EMU_BLAS_LAYOUT,
    EMU_BLAS_PREFERENCE,
    EMU_DNN_HANDLE,
    EMU_DNN_DESCRIPTOR,
    EMU_NCCL_COMMUNICATOR,
    EMU_CLASSES
} emu_class;

typedef struct emu_object {
    emu_class class;
    int number;
    struct emu_object *next, *previous;
} emu_object;

/* A zeroed object that begins with an emu_object. */
void *emu_object_create(emu_class class, size_t bytes);
/* `handle` if it is alive; else NULL, and a violation. */
void *emu_object_find(emu_class class, const void *handle);
void emu_object_destroy(void *object);
/* The first object, or the one after; NULL: no more. */
void *emu_object_next(emu_class class, void *object);
int emu_list_objects(void (*tell)(const char *text));
void emu_forget_objects(void);

/* ---- memory.c ---- */

typedef enum emu_memory { EMU_DEVICE, EMU_PINNED, EMU_PAGEABLE } emu_memory;

emu_memory emu_memory_of(const void *pointer);
/* Whether [pointer, pointer + bytes) is live memory of the device, all of it in one allocation; else a violation. */
bool emu_check_device(const void *pointer, size_t bytes, int device, const char *what);
/* The same of pinned memory. */
bool emu_check_pinned(const void *pointer, size_t bytes, const char *what);
/* Whether no word of an argument points to memory that was freed or is another device's. */
bool emu_check_words(const void *argument, size_t bytes, int device, const char *what);
/* Lets this program touch device memory, and no longer. */
void emu_open_memory(void);
void emu_close_memory(void);
void emu_check_zones(const char *after);
void emu_check_freed(void);
void emu_watch_touches(void);
void emu_running(const char *what); /* named if the program dies */
int emu_list_memory(void (*tell)(const char *text));
void emu_forget_memory(void);

/* ---- work.c: what is queued ---- */

/* Something that a device does, once or, in a graph, again and again. Begins what its kind adds; one allocation. */
typedef struct emu_task {
    char name[48];
    int references;
    int device;
    void (*run)(struct emu_task *task);
    bool (*can_run)(struct emu_task *task);                                /* NULL: always */
    bool (*uses)(const struct emu_task *task, const void *p, size_t size); /* host memory; NULL: none */
    void (*forget)(struct emu_task *task);                                 /* before it is freed; NULL */
} emu_task;

void *emu_task_create(const char *name, int device, size_t bytes, void (*run)(emu_task *task));
void emu_task_release(emu_task *task);

typedef struct emu_work {
    emu_task *task; /* NULL: only order */
    int references, remaining, place, mark;
    bool done;
    double time; /* microseconds on the virtual clock when it ended */
    struct emu_work **before, **after;
    int befores, afters, room;
} emu_work;

/* Queues a task after others (NULLs allowed). Takes the caller's reference of the task; returns one of the work's. */
emu_work *emu_work_create(emu_task *task, emu_work **before, int befores);
emu_work *emu_work_keep(emu_work *work);
void emu_work_release(emu_work *work); /* NULL-safe */
/* Runs what is queued until this has run (NULL: all). cudaErrorLaunchTimeout if it never can. */
cudaError_t emu_run_until(emu_work *work);
/* Runs some of it, none or all. */
void emu_run_some(void);
bool emu_memory_in_use(const void *pointer, size_t bytes);
long emu_pending(void);
void emu_forget_work(void);

/* ---- stream.c ---- */

typedef struct emu_front { /* nodes of a graph that the next one waits for */
    int *node, size, room;
} emu_front;

struct emu_graph;

typedef struct emu_stream {
    emu_object object;
    int device;
    unsigned flags;
    emu_work *last;
    struct emu_graph *capture; /* NULL: not capturing */
    emu_front front;
} emu_stream;

/* NULL and a violation if it is none. NULL is the current device's default stream. */
emu_stream *emu_stream_find(cudaStream_t stream);
/* Queues a task, or adds it to the graph that the stream captures. */
void emu_submit(emu_stream *stream, emu_task *task);
/* The works that the stream's next one waits for; `before` has room for emu_stream_limit(). */
int emu_stream_before(emu_stream *stream, emu_work **before);
int emu_stream_limit(void);
void emu_stream_continue(emu_stream *stream, emu_work *last);
/* A violation and the error if some stream captures and the call may not be made then. */
cudaError_t emu_not_capturing(emu_stream *stream);
cudaError_t emu_nobody_captures(void);
void emu_forget_streams(void);

/* ---- graph.c ---- */

typedef struct emu_node {
    emu_task *task;
    emu_front before;
} emu_node;

typedef struct emu_graph {
    emu_object object;
    emu_node *node;
    int size, room;
    emu_stream *origin; /* NULL: no longer captures */
    emu_front loose;    /* what was taken out of a stream's dependencies */
    enum cudaStreamCaptureMode mode;
    bool invalid;
} emu_graph;

void emu_front_add(emu_front *front, int node);
void emu_front_copy(emu_front *to, const emu_front *from);
int emu_graph_add(emu_graph *graph, emu_task *task, const emu_front *before);
void emu_graph_free(emu_graph *graph);
/* Whether a graph has a task that is one of `of`. */
bool emu_graphs_hold(bool (*is)(const emu_task *task, const void *of), const void *of);
void emu_forget_graphs(void);

/* ---- nccl.c ---- */

void emu_forget_nccl(void);

/* ---- launch.c ---- */

void emu_forget_launches(void);

#endif
