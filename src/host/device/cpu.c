/* The CPU device: one lane a worker thread, kernels chosen by what the processor can do. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#ifdef KTI_X86_BACKENDS
#include <xmmintrin.h>
#endif

#include "base/fail.h"
#include "base/memory.h"
#include "device/cpu_backend.h"
#include "device/kind.h"

enum { MAX_BACKENDS = 3 };

typedef struct cpu {
    kti_device device; /* first */
    const kti_cpu_backend *backend;
    const kti_cpu_backend *supported[MAX_BACKENDS]; /* [backends], the best one first */
    int backends;
    kti_arena *scratch; /* [lanes] */
} cpu;

static void find_backends(cpu *c)
{
#ifdef KTI_X86_BACKENDS
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        c->supported[c->backends++] = &kti_cpu_backend_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        c->supported[c->backends++] = &kti_cpu_backend_avx2;
#endif
    c->supported[c->backends++] = &kti_cpu_backend_plain;
    c->backend = c->supported[0];
}

static void destroy(kti_device *device)
{
    cpu *c = (cpu *)device;
    for (int lane = 0; lane < device->lanes; lane++)
        kti_arena_destroy(&c->scratch[lane]);
    free(c->scratch);
    free(c);
}

static kt_status create(const char *variant, int ordinal, int lanes, kti_device **device, kt_error *error)
{
    (void)variant;
    (void)ordinal;
    kt_status status = KT_OK;
    cpu *made = kti_allocate(1, sizeof *made);
    kti_arena *scratch = kti_allocate((size_t)lanes, sizeof *scratch);
    if (!made || !scratch) {
        free(made);
        free(scratch);
        return kti_fail_memory(error, "the device");
    }
    *made = (cpu){.device = {.kind = &kti_cpu_kind, .lanes = lanes}, .scratch = scratch};
    find_backends(made);
    snprintf(made->device.description, sizeof made->device.description, "cpu (%s)", made->backend->name);
    for (int lane = 0; lane < lanes && status == KT_OK; lane++)
        status = kti_arena_create(&scratch[lane], KTI_CPU_SCRATCH * sizeof(kt_real), "the device", error);
    if (status == KT_OK)
        *device = &made->device;
    else
        destroy(&made->device);
    return status;
}

static kt_status allocate(kti_device *device, size_t bytes, const char *what, void **memory, kt_error *error)
{
    (void)device;
    kti_arena arena = {0};
    kt_status status = kti_arena_create(&arena, bytes, what, error);
    *memory = arena.memory; /* the arena owns nothing else */
    return status;
}

static void release(kti_device *device, void *memory)
{
    (void)device;
    free(memory);
}

static kt_status copy(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error)
{
    (void)device;
    (void)error;
    memcpy(to, from, bytes);
    return KT_OK;
}

/* Adam's moments decay into subnormal numbers, which some processors handle a hundred times slower: they are
 * zero here, whatever the caller's setting. */
#ifdef KTI_X86_BACKENDS
enum { FLUSH_SUBNORMALS = 0x8040 };

static unsigned flush_subnormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_SUBNORMALS);
    return before;
}

static void restore_subnormals(unsigned before)
{
    _mm_setcsr(before);
}
#else
static unsigned flush_subnormals(void)
{
    return 0;
}

static void restore_subnormals(unsigned before)
{
    (void)before;
}
#endif

static kt_status run(kti_device *device, int lane, const kti_job *job, kt_error *error)
{
    (void)error;
    const cpu *c = (const cpu *)device;
    kt_real *scratch = (kt_real *)c->scratch[lane].memory;
    const unsigned before = flush_subnormals();
    if (job->in.bytes)
        memcpy(job->in.to, job->in.from, job->in.bytes);
    for (int fold = job->first; fold < job->first + job->count; fold++)
        for (int i = 0; i < job->size; i++)
            c->backend->run(&job->list[i], fold, scratch);
    if (job->out.bytes)
        memcpy(job->out.to, job->out.from, job->out.bytes);
    restore_subnormals(before);
    return KT_OK;
}

static int variations(const kti_device *device)
{
    return ((const cpu *)device)->backends - 1;
}

static void vary(kti_device *device, int i, kti_variation *variation)
{
    cpu *c = (cpu *)device;
    c->backend = c->supported[i + 1];
    snprintf(variation->name, sizeof variation->name, "%s", c->backend->name);
}

const kti_device_kind kti_cpu_kind = {.version = KTI_KIND_VERSION,
                                      .name = "cpu",
                                      .create = create,
                                      .destroy = destroy,
                                      .allocate = allocate,
                                      .release = release,
                                      .allocate_host = allocate,
                                      .release_host = release,
                                      .upload = copy,
                                      .download = copy,
                                      .run = run,
                                      .variations = variations,
                                      .vary = vary};
