/* libFuzzer entry: any bytes as a safetensors file. */
#include <stddef.h>
#include <stdint.h>

#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kti_tensors tensors = {0};
    kt_error error = KT_ERROR_NONE;
    kti_safetensors_parse(data, size, "fuzz", &tensors, &error);
    kti_tensors_destroy(&tensors);
    return 0;
}
