/* Kernels: what nvcc's objects register, and launches. */
#include "cuda_emulator/internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_PREFIX "kt_kernel_" /* of KT_STUB */

enum { KERNELS_MAX = 512, TABLES_MAX = 16, CONFIGURATIONS_MAX = 8 };

typedef struct kernel {
    const void *host; /* the stub that nvcc makes */
    const char *name;
    const threads_twin *twin; /* looked up when first launched */
    int shared_bytes;         /* dynamic, that cudaFuncSetAttribute allows */
    long runs;
} kernel;

/* Filled before main(). */
static kernel kernels[KERNELS_MAX];
static int kernel_count;
static const threads_twin *tables[TABLES_MAX];
static int table_count;

void emulator_kernels(const threads_twin *table)
{
    for (int i = 0; i < table_count; i++)
        if (tables[i] == table)
            return;
    if (table_count == TABLES_MAX)
        abort();
    tables[table_count++] = table;
}

long emulator_kernel_runs(const char *name)
{
    long n = 0;
    for (int i = 0; i < kernel_count; i++)
        if (!name || strcmp(kernels[i].name, name) == 0)
            n += kernels[i].runs;
    return n;
}

static kernel *find(const void *host)
{
    for (int i = 0; i < kernel_count; i++)
        if (kernels[i].host == host)
            return &kernels[i];
    return NULL;
}

static const threads_twin *find_twin(kernel *k)
{
    for (int i = 0; i < table_count && !k->twin; i++)
        for (const threads_twin *t = tables[i]; t->name && !k->twin; t++)
            if (strcmp(t->name, k->name) == 0)
                k->twin = t;
    return k->twin;
}

void emu_forget_launches(void)
{
    for (int i = 0; i < kernel_count; i++) {
        kernels[i].runs = 0;
        kernels[i].shared_bytes = 0;
    }
}

/* ---- a launch ---- */

typedef struct kernel_task {
    emu_task task;
    kernel *kernel;
    threads_launch launch;
    size_t bytes;
    _Alignas(max_align_t) unsigned char argument[];
} kernel_task;

static void run_kernel(emu_task *task)
{
    kernel_task *t = (kernel_task *)task;
    char text[96];
    snprintf(text, sizeof text, "kernel %s", t->kernel->name);
    if (!emu_check_words(t->argument, t->bytes, task->device, text))
        return;
    t->launch.seed = emu_draw();
    t->launch.period = emu_skip_period;
    t->launch.missing = emu_skip_missing;
    t->kernel->runs++;
    if (threads_run(t->kernel->twin->start, t->argument, &t->launch) == 0)
        return;
    emu_violation("kernel %s: %s", t->kernel->name, threads_fault());
    emu_sticky(cudaErrorLaunchFailure);
}

static bool allowed(dim3 grid, dim3 block)
{
    return grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && block.x >= 1 && block.y >= 1 && block.z >= 1 &&
           grid.x <= INT_MAX && grid.y <= 65535 && grid.z <= 65535 && block.x <= 1024 && block.y <= 1024 &&
           block.z <= 64 && block.x * block.y * block.z <= 1024;
}

static cudaError_t launch(kernel *k, dim3 grid, dim3 block, void **arguments, size_t shared,
                          cudaStream_t stream)
{
    emu_stream *s = emu_stream_find(stream);
    char text[96];
    if (!k)
        return emu_refuse(cudaErrorInvalidDeviceFunction, "no kernel of this program");
    if (!find_twin(k))
        return emu_refuse(cudaErrorInvalidDeviceFunction, "kernel %s has no twin (emulator_kernels)",
                          k->name);
    if (!s)
        return cudaErrorInvalidResourceHandle;
    if (emu_current_device >= emu_options.devices)
        return cudaErrorNoDevice;
    if (s->device != emu_current_device)
        return emu_refuse(cudaErrorInvalidResourceHandle, "kernel %s: the stream is device %d's, not %d's",
                          k->name, s->device, emu_current_device);
    if (!allowed(grid, block))
        return emu_refuse(cudaErrorInvalidConfiguration, "kernel %s: grid %u, %u, %u of blocks %u, %u, %u",
                          k->name, grid.x, grid.y, grid.z, block.x, block.y, block.z);
    if (shared > (size_t)(k->shared_bytes > 49152 ? k->shared_bytes : 49152))
        return emu_refuse(cudaErrorInvalidValue, "kernel %s: %zu bytes of shared memory", k->name, shared);
    if (!arguments || !arguments[0] || !arguments[1])
        return emu_refuse(cudaErrorInvalidValue, "kernel %s: no arguments", k->name);
    kernel_task *t = emu_task_create(k->name, s->device, sizeof *t + k->twin->bytes, run_kernel);
    int first_fold;
    memcpy(&first_fold, arguments[1], sizeof first_fold);
    memcpy(t->argument, arguments[0], k->twin->bytes);
    t->bytes = k->twin->bytes;
    t->kernel = k;
    t->launch = (threads_launch){.grid = {(int)grid.x, (int)grid.y, (int)grid.z},
                                 .block = {(int)block.x, (int)block.y, (int)block.z},
                                 .first_fold = first_fold};
    snprintf(text, sizeof text, "%s: kernel %s", emu_call(), k->name);
    emu_check_words(t->argument, t->bytes, s->device, text);
    emu_submit(s, &t->task);
    return cudaSuccess;
}

EMU_API cudaError_t cudaLaunchKernel(const void *host, dim3 grid, dim3 block, void **arguments, size_t shared,
                                     cudaStream_t stream)
{
    return emu_leave(emu_enter(__func__, EMU_WORK)
                         ? cudaErrorLaunchOutOfResources
                         : launch(find(host), grid, block, arguments, shared, stream));
}

EMU_API cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *host)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    kernel *k = find(host);
    if (!k || !attributes)
        return emu_leave(emu_refuse(cudaErrorInvalidDeviceFunction, "no kernel of this program"));
    memset(attributes, 0, sizeof *attributes);
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 32;
    attributes->binaryVersion = attributes->ptxVersion = 90;
    return emu_leave(cudaSuccess);
}

EMU_API cudaError_t cudaFuncSetAttribute(const void *host, enum cudaFuncAttribute attribute, int value)
{
    if (emu_enter(__func__, EMU_WORK))
        return emu_leave(cudaErrorUnknown);
    kernel *k = find(host);
    if (!k)
        return emu_leave(emu_refuse(cudaErrorInvalidDeviceFunction, "no kernel of this program"));
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || value > 232448)
            return emu_leave(emu_refuse(cudaErrorInvalidValue, "%d bytes of shared memory", value));
        k->shared_bytes = value;
    }
    return emu_leave(cudaSuccess);
}

EMU_API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *host, int threads,
                                                                  size_t shared)
{
    (void)shared;
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    if (!find(host) || threads < 1 || threads > 1024)
        return emu_leave(emu_refuse(cudaErrorInvalidValue, "no kernel, or %d threads", threads));
    *blocks = 2048 / threads < 32 ? 2048 / threads : 32;
    return emu_leave(cudaSuccess);
}

/* ---- what the objects that nvcc makes call ---- */

EMU_API void **__cudaRegisterFatBinary(void *binary);
EMU_API void __cudaRegisterFatBinaryEnd(void **handle);
EMU_API void __cudaUnregisterFatBinary(void **handle);
EMU_API char __cudaInitModule(void **handle);
EMU_API void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name,
                                    int limit, uint3 *thread, uint3 *block, dim3 *block_size, dim3 *grid_size,
                                    int *warp);
EMU_API void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external,
                               size_t size, int constant, int global);
EMU_API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared,
                                             struct CUstream_st *stream);
EMU_API cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream);
EMU_API cudaError_t __cudaGetKernel(cudaKernel_t *made, const void *host);
EMU_API cudaError_t __cudaLaunchKernel(cudaKernel_t handle, dim3 grid, dim3 block, void **arguments,
                                       size_t shared, cudaStream_t stream);

void **__cudaRegisterFatBinary(void *binary)
{
    static void *handle;
    (void)binary;
    return &handle;
}

void __cudaRegisterFatBinaryEnd(void **handle)
{
    (void)handle;
}

void __cudaUnregisterFatBinary(void **handle)
{
    (void)handle;
}

char __cudaInitModule(void **handle)
{
    (void)handle;
    return 0;
}

void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit,
                            uint3 *thread, uint3 *block, dim3 *block_size, dim3 *grid_size, int *warp)
{
    (void)handle, (void)device, (void)limit, (void)thread, (void)block, (void)block_size, (void)grid_size,
        (void)warp;
    if (kernel_count == KERNELS_MAX)
        abort();
    /* Twins go by the kernel's own name. */
    const size_t prefix = strlen(KERNEL_PREFIX);
    if (strncmp(name, KERNEL_PREFIX, prefix) == 0)
        name += prefix;
    kernels[kernel_count++] = (kernel){.host = host, .name = name};
}

/* A variable of the device would need a twin too; no kernel here has one. */
void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external, size_t size,
                       int constant, int global)
{
    (void)handle, (void)host, (void)device, (void)external, (void)size, (void)constant, (void)global;
    emu_violation("device variable %s: not emulated", name);
}

static _Thread_local struct {
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
} configuration[CONFIGURATIONS_MAX];
static _Thread_local int configurations;

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream)
{
    if (configurations == CONFIGURATIONS_MAX)
        return 1;
    configuration[configurations].grid = grid;
    configuration[configurations].block = block;
    configuration[configurations].shared = shared;
    configuration[configurations++].stream = stream;
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream)
{
    if (configurations == 0)
        return cudaErrorMissingConfiguration;
    configurations--;
    *grid = configuration[configurations].grid;
    *block = configuration[configurations].block;
    *shared = configuration[configurations].shared;
    memcpy(stream, &configuration[configurations].stream, sizeof(cudaStream_t));
    return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t *made, const void *host)
{
    *made = (cudaKernel_t)find(host);
    return *made ? cudaSuccess : cudaErrorInvalidDeviceFunction;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t handle, dim3 grid, dim3 block, void **arguments, size_t shared,
                               cudaStream_t stream)
{
    return emu_leave(emu_enter("cudaLaunchKernel", EMU_WORK)
                         ? cudaErrorLaunchOutOfResources
                         : launch((kernel *)handle, grid, block, arguments, shared, stream));
}
