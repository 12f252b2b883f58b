/* Files of torch.save: a zip with the pickle <folder>/data.pkl and one entry <folder>/data/<key> a storage.
 */
#ifndef KTI_MODEL_TORCH_ARCHIVE_H
#define KTI_MODEL_TORCH_ARCHIVE_H

#include "model/tensors.h"

/* Largest file that is read, and what its entries may take unpacked, all together: a zip bomb is refused by
 * the sizes it declares, and an entry that yields another size than declared is refused as well. */
enum { KTI_TORCH_LIMIT = 128000000, KTI_TORCH_UNPACKED = 256000000 };

/* Reads a saved state dict {name: tensor} of float32 or float64 tensors, by the machine of model/pickle.h.
 * *tensors is overwritten, the caller's to destroy, and empty on failure. Errors name the file, the entry and
 * the byte. Values may be non-finite. */
kt_status kti_torch_read(const char *path, kti_tensors *tensors, kt_error *error);

/* The same from memory; `name` stands for the file in errors. */
kt_status kti_torch_parse(const void *data, size_t size, const char *name, kti_tensors *tensors,
                          kt_error *error);

#endif
