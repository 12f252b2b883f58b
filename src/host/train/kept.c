#include "train/kept.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"

kt_status kti_kept_create(kti_device *device, const kti_graph *const *graphs, int size, kti_kept *kept,
                          kt_error *error)
{
    int64_t nodes = 0, edges = 0;
    for (int i = 0; i < size; i++) {
        nodes += graphs[i]->nodes;
        edges += graphs[i]->edges;
    }
    if (nodes >= INT32_MAX || edges >= INT32_MAX)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "%d crystals with %lld edges are more than one data set can have", size,
                        (long long)edges);
    const kti_capacity capacity = {size, (int)nodes, (int)edges};
    const size_t bytes = kti_batch_layout(capacity, NULL).bytes;
    *kept = (kti_kept){.device = device, .graph = graphs, .size = size};
    void *block = kti_allocate(bytes, 1);
    if (!block)
        return kti_fail_memory(error, "the packed crystals");
    kti_batch batch = kti_batch_layout(capacity, block);
    kti_batch_pack(&batch, graphs, NULL, size);
    kt_status status = kti_device_allocate(device, bytes, "the packed crystals", &kept->memory, error);
    if (status == KT_OK) {
        kept->rows = kti_batch_layout(capacity, kept->memory);
        status = kti_device_upload(device, kept->memory, block, bytes, error);
    }
    free(block);
    return status;
}

void kti_kept_destroy(kti_kept *kept)
{
    if (kept->device)
        kti_device_release(kept->device, kept->memory);
    *kept = (kti_kept){0};
}
