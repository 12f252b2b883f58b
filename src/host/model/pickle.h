/* Restricted unpickler for the state dicts of torch.save (pickle protocol 2).
 *
 * A machine that builds dictionaries, tuples, numbers, texts and strided
 * tensors, and nothing else: it accepts the opcodes such files use, the
 * globals collections.OrderedDict, torch._utils._rebuild_tensor_v2 and
 * _rebuild_parameter, torch.FloatStorage and DoubleStorage, and storages as
 * persistent identifiers. Everything else is refused, by opcode and byte.
 */
#ifndef KTI_MODEL_PICKLE_H
#define KTI_MODEL_PICKLE_H

#include "model/tensors.h"

enum {
    KTI_PICKLE_LIMIT = 4000000, /* bytes of a pickle; a state dict takes about 230 a tensor */
    KTI_PICKLE_DATA = 256000000 /* bytes of the tensors built from it */
};

/* Where the numbers of a storage come from. `get` gives a malloc'ed block of exactly `bytes` bytes (the
 * receiver's); `key` is of digits only. */
typedef struct kti_storage_source {
    kt_status (*get)(void *context, const char *key, size_t bytes, void **data, kt_error *error);
    void *context;
} kti_storage_source;

/* Builds the tensors of a pickled {name: tensor} dictionary, in its order. `name` stands for the file in
 * errors, whose byte counts from the pickle's begin. *tensors is overwritten, the caller's to destroy, and
 * empty on failure. KT_BAD_FORMAT for whatever is not such a dictionary; what `get` returns. */
kt_status kti_pickle_parse(const void *data, size_t size, const char *name, const kti_storage_source *source,
                           kti_tensors *tensors, kt_error *error);

#endif
