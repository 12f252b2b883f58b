#include "device/runners.h"

#include "device/cpu_backend.h"
#include "device/device.h"
#include "support.h"

static kti_device *device;
static const kti_cpu_backend *backends[MAX_RUNNERS - 1];
static int backend_count;
static kt_real *scratch;

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
        const kti_job job = {.list = list, .size = size, .first = first, .count = count};
        assert_ok(kti_device_run(device, 1, &job, &error), &error);
        return;
    }
    for (int fold = first; fold < first + count; fold++)
        for (int i = 0; i < size; i++)
            backends[runner - 1]->run(&list[i], fold, scratch);
}
