/* Jumping to another stack is what this file is for; glibc's hardened longjmp takes it for an error. */
#undef _FORTIFY_SOURCE

#include "device/threads.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 65536, WARPS_MAX = THREADS_MAX / THREADS_WARP };

typedef enum state { NEW, RUNNABLE, AT_BARRIER, AT_SHUFFLE, ENDED } state;

typedef enum exchange { XOR, DOWN } exchange;

typedef struct fiber {
    ucontext_t context;
    jmp_buf place; /* where it waits */
    void *stack;   /* kept for the next launch; NULL until first used */
    state state;
    int barriers; /* met so far */
    exchange exchange;
    kt_real given, received;
    int source; /* the lane whose value it receives */
} fiber;

kt_dim3 threadIdx, blockDim, blockIdx, gridDim;
int threads_first_fold;

/* The memory of every KT_SHARED in the program; both NULL in a program without. */
extern unsigned char __start_kt_shared[] __attribute__((weak)), __stop_kt_shared[] __attribute__((weak));

static fiber fibers[THREADS_MAX];
static int current, waiting, ended, shuffling[WARPS_MAX];
static threads_kernel *running;
static const void *running_arguments;
static const threads_launch *running_launch;
static uint64_t draws;
static int held[THREADS_MAX], held_back; /* threads that do not go on yet */
static char fault[128];

/* SplitMix64. */
static uint64_t draw(void)
{
    uint64_t z = draws += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void shuffle(int *order, int size)
{
    for (int i = size - 1; i > 0; i--) {
        const int j = (int)((draw() >> 32) * (uint64_t)(i + 1) >> 32), last = order[i];
        order[i] = order[j];
        order[j] = last;
    }
}

/* ---- fibers ---- */

#if defined(__SANITIZE_ADDRESS__)
#define SWAP_CONTEXTS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SWAP_CONTEXTS
#endif
#endif

/* swapcontext would ask the operating system for the signal mask each time, which makes it three times slower; but
 * it is what the address sanitizer knows. */
#ifdef SWAP_CONTEXTS
static ucontext_t scheduler;
#else
static jmp_buf scheduler;
#endif

static void leave(fiber *f)
{
#ifdef SWAP_CONTEXTS
    swapcontext(&f->context, &scheduler);
#else
    if (_setjmp(f->place) == 0)
        _longjmp(scheduler, 1);
#endif
}

static void resume(fiber *f)
{
    const int is_new = f->state == NEW;
    f->state = RUNNABLE;
#ifdef SWAP_CONTEXTS
    (void)is_new;
    swapcontext(&scheduler, &f->context);
#else
    if (_setjmp(scheduler) != 0)
        return;
    if (is_new)
        setcontext(&f->context);
    _longjmp(f->place, 1);
#endif
}

/* A fiber outlives its thread: resumed once more, it is the next launch's. */
static void run_threads(void)
{
    for (;;) {
        running(running_arguments);
        fibers[current].state = ENDED;
        ended++;
        leave(&fibers[current]);
    }
}

static void make_fiber(fiber *f)
{
    if (!f->stack && !(f->stack = malloc(STACK_BYTES)))
        abort();
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = NULL;
    makecontext(&f->context, run_threads, 0);
    f->state = NEW;
}

/* ---- where threads wait ---- */

void __syncthreads(void)
{
    fiber *f = &fibers[current];
    const int number = f->barriers++;
    if (running_launch->period && number % running_launch->period == running_launch->missing)
        return;
    f->state = AT_BARRIER;
    waiting++;
    leave(f);
}

/* As on a GPU, a lane that names a source outside its warp gets its own value. */
static kt_real exchange_with(exchange kind, int source, kt_real value)
{
    fiber *f = &fibers[current];
    f->exchange = kind;
    f->given = value;
    f->source = source >= 0 && source < THREADS_WARP ? source : current % THREADS_WARP;
    f->state = AT_SHUFFLE;
    shuffling[current / THREADS_WARP]++;
    leave(f);
    return f->received;
}

kt_real kt_shuffle_xor(kt_real value, int lane_mask)
{
    return exchange_with(XOR, (current % THREADS_WARP) ^ lane_mask, value);
}

kt_real kt_shuffle_down(kt_real value, int delta)
{
    return exchange_with(DOWN, current % THREADS_WARP + delta, value);
}

/* ---- blocks ---- */

static int fail(const char *what, int warp)
{
    snprintf(fault, sizeof fault, "%s (block %d, %d, %d; warp %d)", what, blockIdx.x, blockIdx.y, blockIdx.z,
             warp);
    return -1;
}

/* Of all threads, who go on behind a barrier at once. Some warps may have to wait until the others have come to the next one: a GPU may
 * run them so, and what is written too early shows. */
static int hold_back(int threads, int *order)
{
    const uint64_t chosen = draw();
    int released = 0;
    held_back = 0;
    for (int t = 0; t < threads; t++) {
        if (chosen >> t / THREADS_WARP % 64 & 1)
            held[held_back++] = t;
        else
            order[released++] = t;
    }
    if (released > 0)
        return released;
    memcpy(order, held, (size_t)threads * sizeof *order);
    held_back = 0;
    return threads;
}

/* After all that could run have run: who goes on now, how many, or -1. */
static int release(int threads, int *order)
{
    int released = 0;
    for (int warp = 0; warp * THREADS_WARP < threads; warp++) {
        fiber *lanes = &fibers[warp * THREADS_WARP];
        if (shuffling[warp] < THREADS_WARP)
            continue;
        shuffling[warp] = 0;
        for (int lane = 0; lane < THREADS_WARP; lane++) {
            if (lanes[lane].exchange != lanes[0].exchange)
                return fail("threads of a warp meet at different shuffles", warp);
            lanes[lane].received = lanes[lanes[lane].source].given;
            order[released++] = warp * THREADS_WARP + lane;
        }
    }
    if (released || ended == threads)
        return released;
    if (held_back > 0) {
        memcpy(order, held, (size_t)held_back * sizeof *order);
        released = held_back;
        held_back = 0;
        return released;
    }
    if (waiting < threads) {
        for (int warp = 0; warp * THREADS_WARP < threads; warp++)
            if (shuffling[warp])
                return fail("threads of a warp part at a shuffle", warp);
        return fail("threads of a block part at a barrier", 0);
    }
    waiting = 0;
    return hold_back(threads, order);
}

static int run_block(int threads)
{
    int order[THREADS_MAX];
    for (int t = 0; t < threads; t++) {
        fiber *f = &fibers[t];
        if (f->state != ENDED) /* never used, or left waiting by a launch that failed */
            make_fiber(f);
        f->barriers = 0;
    }
    waiting = ended = 0;
    int runnable = hold_back(threads, order);
    memset(shuffling, 0, sizeof shuffling);
    if (__start_kt_shared)
        memset(__start_kt_shared, 0xff, (size_t)(__stop_kt_shared - __start_kt_shared));
    while (runnable > 0) {
        shuffle(order, runnable);
        for (int i = 0; i < runnable; i++) {
            current = order[i];
            threadIdx = (kt_dim3){current % blockDim.x, current / blockDim.x % blockDim.y,
                                  current / blockDim.x / blockDim.y};
            resume(&fibers[current]);
        }
        runnable = release(threads, order);
    }
    return runnable;
}

int threads_run(threads_kernel *kernel, const void *arguments, const threads_launch *launch)
{
    static int *order, room;
    const int64_t blocks = (int64_t)launch->grid.x * launch->grid.y * launch->grid.z,
                  threads = (int64_t)launch->block.x * launch->block.y * launch->block.z;
    if (threads < 1 || threads > THREADS_MAX || blocks < 1 || blocks > INT32_MAX)
        abort();
    if (blocks > room) {
        room = (int)blocks;
        order = realloc(order, (size_t)room * sizeof *order);
        if (!order)
            abort();
    }
    running = kernel;
    running_arguments = arguments;
    running_launch = launch;
    threads_first_fold = launch->first_fold;
    draws = launch->seed;
    gridDim = launch->grid;
    blockDim = launch->block;
    for (int i = 0; i < blocks; i++)
        order[i] = i;
    shuffle(order, (int)blocks);
    for (int i = 0; i < blocks; i++) {
        blockIdx = (kt_dim3){order[i] % gridDim.x, order[i] / gridDim.x % gridDim.y,
                             order[i] / gridDim.x / gridDim.y};
        if (run_block((int)threads) != 0)
            return -1;
    }
    return 0;
}

const char *threads_fault(void)
{
    return fault;
}
