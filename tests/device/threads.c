#include "device/threads.h"

#include <stdlib.h>
#include <ucontext.h>

enum { STACK_BYTES = 65536 };

typedef enum state { RUNNING, WAITING, ENDED } state;

typedef struct fiber {
    ucontext_t context;
    void *stack; /* kept for the next launch; NULL until first used */
    state state;
    int barriers; /* met so far */
} fiber;

kt_dim3 threadIdx, blockDim, blockIdx, gridDim;

static fiber fibers[THREADS_MAX];
static ucontext_t scheduler;
static int current;
static threads_kernel *running;
static const void *running_arguments;
static const threads_launch *running_launch;
static uint64_t draws;

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
    for (int i = 0; i < size; i++)
        order[i] = i;
    for (int i = size - 1; i > 0; i--) {
        const int j = (int)(draw() % (uint64_t)(i + 1)), held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
}

void __syncthreads(void)
{
    fiber *f = &fibers[current];
    const int number = f->barriers++;
    if (running_launch->period && number % running_launch->period == running_launch->missing)
        return;
    f->state = WAITING;
    swapcontext(&f->context, &scheduler);
}

/* A fiber outlives its thread: resumed once more, it is the next launch's. */
static void run_threads(void)
{
    for (;;) {
        running(running_arguments);
        fibers[current].state = ENDED;
        swapcontext(&fibers[current].context, &scheduler);
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
}

static int run_block(int threads)
{
    int order[THREADS_MAX], waiting;
    for (int t = 0; t < threads; t++) {
        fiber *f = &fibers[t];
        if (!f->stack || f->state == WAITING) /* left at a barrier by a launch that failed */
            make_fiber(f);
        f->state = RUNNING;
        f->barriers = 0;
    }
    do {
        waiting = 0;
        shuffle(order, threads);
        for (int i = 0; i < threads; i++) {
            current = order[i];
            threadIdx = (kt_dim3){current % blockDim.x, current / blockDim.x, 0};
            swapcontext(&scheduler, &fibers[current].context);
            waiting += fibers[current].state == WAITING;
        }
    } while (waiting == threads);
    return waiting == 0 ? 0 : -1;
}

int threads_run(threads_kernel *kernel, const void *arguments, const threads_launch *launch)
{
    enum { BLOCKS_MAX = 64 };
    int order[BLOCKS_MAX];
    const int blocks = launch->grid.x * launch->grid.z, threads = launch->block.x * launch->block.y;
    if (blocks > BLOCKS_MAX || threads > THREADS_MAX)
        abort();
    running = kernel;
    running_arguments = arguments;
    running_launch = launch;
    draws = launch->seed;
    gridDim = launch->grid;
    blockDim = launch->block;
    shuffle(order, blocks);
    for (int i = 0; i < blocks; i++) {
        blockIdx = (kt_dim3){order[i] % launch->grid.x, 0, order[i] / launch->grid.x};
        if (run_block(threads) != 0)
            return -1;
    }
    return 0;
}
