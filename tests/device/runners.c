#include "device/runners.h"

#include "device/cpu_backend.h"
#include "device/device.h"
#include "support.h"

#ifdef KTI_TESTS_EMULATED
#include "cuda_emulator/emulator.h"
#include "device/threaded_kernels.h"
#endif

enum { MAX_ROWS = 1 << 20 }; /* no case has more */

static kti_device *device;
static const kti_cpu_backend *backends[MAX_RUNNERS - 1];
static int backend_count;
static kt_real *scratch;

#ifdef KTI_TESTS_EMULATED
/* The CUDA device alone, emulated or, as emulator_real.c has it, on a GPU. To the emulator memory of the host is managed
 * memory, which kernels may touch. */
int runners_setup(void **state)
{
    kt_error error = {0};
    (void)state;
    emulator_start(NULL);
    emulator_kernels(threaded_kernels);
    return kti_device_create("cuda", 2, &device, &error) == KT_OK ? 0 : -1;
}

int runners_teardown(void **state)
{
    char text[1024];
    (void)state;
    kti_device_destroy(device);
    if (emulator_report(text, sizeof text) == 0)
        return 0;
    print_error("%s\n", text);
    return -1;
}
#else
int runners_setup(void **state)
{
    kt_error error = {0};
    (void)state;
    backends[backend_count++] = &kti_cpu_backend_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        backends[backend_count++] = &kti_cpu_backend_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        backends[backend_count++] = &kti_cpu_backend_avx512;
#endif
    scratch = aligned_alloc(64, KTI_CPU_SCRATCH * sizeof *scratch);
    return scratch && kti_device_create("cpu", 2, &device, &error) == KT_OK ? 0 : -1;
}

int runners_teardown(void **state)
{
    (void)state;
    kti_device_destroy(device);
    free(scratch);
    return 0;
}
#endif

int runners_count(void)
{
    return 1 + backend_count;
}

const char *runner_name(int runner)
{
    return runner == 0 ? kti_device_description(device) : backends[runner - 1]->name;
}

void runner_run(int runner, const kti_operation *list, int size, int first, int count)
{
    kt_error error = {0};
    if (runner == 0) {
        kti_job job = {.list = list, .size = size, .first = first, .count = count};
        for (int kind = 0; kind < KT_ROW_KINDS; kind++)
            job.rows[kind] = MAX_ROWS;
        assert_ok(kti_device_run(device, 1, &job, &error), &error);
        kti_device_forget(device, list); /* the next case's may lie in the same place */
        return;
    }
    for (int fold = first; fold < first + count; fold++)
        for (int i = 0; i < size; i++)
            backends[runner - 1]->run(&list[i], fold, scratch);
}
