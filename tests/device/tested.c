#include "device/tested.h"

#include <stdlib.h>

#include "support.h"

#ifdef KTI_TESTS_EMULATED
#include "cuda_emulator/emulator.h"
#include "device/threaded_kernels.h"

void tested_start(void)
{
    emulator_start(NULL);
    emulator_kernels(threaded_kernels);
}

void tested_end(void)
{
    char text[4096];
    if (emulator_report(text, sizeof text) != 0)
        fail_msg("%s", text);
}
#else
void tested_start(void)
{
}
void tested_end(void)
{
}
#endif

kt_real *tested_fetch(kti_device *device, kt_matrix matrix, int64_t rows)
{
    kt_error error = KT_ERROR_NONE;
    const size_t bytes = (size_t)(rows * matrix.stride) * sizeof(kt_real);
    kt_real *copy = malloc(bytes);
    assert_non_null(copy);
    assert_ok(kti_device_download(device, copy, matrix.data, bytes, &error), &error);
    return copy;
}
