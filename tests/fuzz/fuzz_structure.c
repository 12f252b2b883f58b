/* libFuzzer entry for the readers of crystals: the first byte chooses the format, the rest is the file.
 *
 *   clang -fsanitize=fuzzer,address,undefined, linked with the library built by
 * -DKAPPATUNE_SANITIZE=address,undefined; run it with a folder of CIF, POSCAR and extended XYZ files (one
 * byte put before each) as the corpus. */
#include <stdlib.h>

#include "crystal/graph.h"
#include "crystal/reader.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    kt_structure structure;
    kti_graph graph;
    kt_error error = KT_ERROR_NONE;
    kti_graph_options options = kti_graph_options_default();
    if (size == 0)
        return 0;
    kti_structure_format format = (kti_structure_format)(data[0] % KTI_FORMAT_UNKNOWN);
    kt_status status =
        kti_structure_read_text(format, (const char *)data + 1, size - 1, "input", &structure, &error);
    if (status != error.status || (status != KT_OK && error.message[0] == '\0'))
        abort();
    if (status != KT_OK)
        return 0;
    /* A dense crystal may have millions of edges; the reader is what is tried here. */
    if (structure.sites <= 64 && kti_graph_create(&structure, &options, "input", &graph, NULL) == KT_OK)
        kti_graph_destroy(&graph);
    kt_structure_destroy(&structure);
    return 0;
}
