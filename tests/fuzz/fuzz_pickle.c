/* libFuzzer entry: a file of torch.save where the bytes begin like a zip, else the pickle within one, whose
 * storages read as zeros. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/pickle.h"
#include "model/torch_archive.h"

static kt_status give_zeros(void *context, const char *key, size_t bytes, void **data, kt_error *error)
{
    (void)context;
    (void)key;
    (void)error;
    *data = calloc(bytes ? bytes : 1, 1);
    return *data ? KT_OK : KT_OUT_OF_MEMORY;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kti_tensors tensors = {0};
    kt_error error = KT_ERROR_NONE;
    kti_storage_source zeros = {give_zeros, NULL};
    if (size > 2 && memcmp(data, "PK", 2) == 0)
        kti_torch_parse(data, size, "fuzz", &tensors, &error);
    else
        kti_pickle_parse(data, size, "fuzz", &zeros, &tensors, &error);
    kti_tensors_destroy(&tensors);
    return 0;
}
