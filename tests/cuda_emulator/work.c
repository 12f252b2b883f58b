/* What is queued, and the order in which it runs. */
#include "cuda_emulator/internal.h"

#include <stdlib.h>
#include <string.h>

static emu_work **ready, **pending;
static int ready_count, ready_room, pending_count, pending_room, marks;
static double now;
static bool running;

void *emu_task_create(const char *name, int device, size_t bytes, void (*run)(emu_task *task))
{
    emu_task *task = emu_allocate(bytes);
    strncpy(task->name, name, sizeof task->name - 1);
    task->device = device;
    task->references = 1;
    task->run = run;
    return task;
}

void emu_task_release(emu_task *task)
{
    if (!task || --task->references > 0)
        return;
    if (task->forget)
        task->forget(task);
    free(task);
}

emu_work *emu_work_keep(emu_work *work)
{
    work->references++;
    return work;
}

void emu_work_release(emu_work *work)
{
    if (!work || --work->references > 0)
        return;
    for (int i = 0; i < work->befores; i++)
        emu_work_release(work->before[i]);
    emu_task_release(work->task);
    free(work->before);
    free(work->after);
    free(work);
}

static void make_ready(emu_work *work)
{
    emu_grow(&ready, ready_count, &ready_room, sizeof *ready);
    ready[ready_count++] = work;
}

emu_work *emu_work_create(emu_task *task, emu_work **before, int befores)
{
    emu_work *work = emu_allocate(sizeof *work);
    work->task = task;
    work->references = 2; /* the queue's and the caller's */
    work->before = emu_allocate((size_t)(befores + 1) * sizeof(*work->before));
    for (int i = 0; i < befores; i++) {
        emu_work *b = before[i];
        if (!b || b->done)
            continue;
        emu_grow(&b->after, b->afters, &b->room, sizeof(*b->after));
        b->after[b->afters++] = work;
        work->before[work->befores++] = emu_work_keep(b);
    }
    work->remaining = work->befores;
    emu_grow(&pending, pending_count, &pending_room, sizeof *pending);
    work->place = pending_count;
    pending[pending_count++] = work;
    if (work->remaining == 0)
        make_ready(work);
    emu_wake_others();
    return work;
}

/* What it waited for is let go, or a long queue would be kept, and freed, as one chain. */
static void finish(emu_work *work)
{
    work->done = true;
    work->time = now;
    for (int i = 0; i < work->afters; i++)
        if (--work->after[i]->remaining == 0)
            make_ready(work->after[i]);
    work->afters = 0;
    for (int i = 0; i < work->befores; i++)
        emu_work_release(work->before[i]);
    work->befores = 0;
    pending[work->place] = pending[--pending_count];
    pending[work->place]->place = work->place;
    emu_work_release(work);
}

static void run(int at)
{
    emu_work *work = ready[at];
    ready[at] = ready[--ready_count];
    if (work->task) {
        now += 1 + (double)(emu_draw() % 8);
        emu_running(work->task->name);
        running = true;
        work->task->run(work->task);
        running = false;
        emu_running(NULL);
        emu_check_zones(work->task->name);
    }
    finish(work);
    emu_wake_others(); /* it may be what another thread waits for */
}

/* Marks what must run before. */
static void mark(emu_work *work)
{
    if (work->mark == marks)
        return;
    work->mark = marks;
    for (int i = 0; i < work->befores; i++)
        if (!work->before[i]->done)
            mark(work->before[i]);
}

/* One that can run, drawn from those that may; -1: none. */
static int choose(bool only_marked)
{
    int chosen = -1;
    uint64_t candidates = 0;
    for (int i = 0; i < ready_count; i++) {
        emu_work *w = ready[i];
        if (only_marked && w->mark != marks)
            continue;
        if (w->task && w->task->can_run && !w->task->can_run(w->task))
            continue;
        if (emu_draw() % ++candidates == 0)
            chosen = i;
    }
    return chosen;
}

cudaError_t emu_run_until(emu_work *work)
{
    if (running) {
        emu_violation("%s from inside a function that the device calls", emu_call());
        return cudaErrorUnknown;
    }
    if (work)
        emu_work_keep(work);
    /* Half the time nothing runs but what must. */
    const bool only_marked = work && emu_draw() % 2;
    cudaError_t error = cudaSuccess;
    int stamp = 0;
    emu_open_memory();
    while (work ? !work->done : pending_count > 0) {
        if (only_marked && (stamp == 0 || stamp != marks)) { /* another thread marked its own meanwhile */
            stamp = ++marks;
            mark(work);
        }
        int at = choose(only_marked);
        if (at < 0 && only_marked)
            at = choose(false); /* other devices don't stand still, and this one may wait for them */
        if (at >= 0) {
            run(at);
            continue;
        }
        emu_close_memory();
        const bool woken = emu_wait_for_others();
        emu_open_memory();
        if (!woken) {
            emu_violation("%s: queued work waits for something that never comes", emu_call());
            error = cudaErrorLaunchTimeout;
            break;
        }
    }
    emu_close_memory();
    emu_work_release(work);
    return error;
}

void emu_run_some(void)
{
    if (running)
        return;
    /* Seldom much, for the sake of those who poll. */
    for (uint64_t n = emu_draw() % 8 ? emu_draw() % 4 : emu_draw() % 1024; n > 0 && ready_count > 0; n--) {
        const int at = choose(false);
        if (at < 0)
            break;
        emu_open_memory();
        run(at);
    }
    emu_close_memory();
}

bool emu_memory_in_use(const void *pointer, size_t bytes)
{
    for (int i = 0; i < pending_count; i++) {
        const emu_task *task = pending[i]->task;
        if (task && task->uses && task->uses(task, pointer, bytes))
            return true;
    }
    return false;
}

long emu_pending(void)
{
    return pending_count;
}

/* Without running: for a fresh start. */
void emu_forget_work(void)
{
    ready_count = 0;
    while (pending_count > 0) {
        emu_work *work = pending[0];
        for (int i = 0; i < work->befores; i++)
            emu_work_release(work->before[i]);
        work->befores = 0;
        work->done = true;
        pending[0] = pending[--pending_count];
        pending[0]->place = 0;
        emu_work_release(work);
    }
    now = 0;
}
