/* safetensors files: a 64-bit little-endian header length, a JSON header, the data. */
#ifndef KTI_MODEL_SAFETENSORS_H
#define KTI_MODEL_SAFETENSORS_H

#include "model/tensors.h"

/* Largest file that is read. Nine folds with their optimiser state take 52 MB; the content, the tensors
 * copied from it and the parsed header together stay below 1 GiB whatever the file holds. */
enum { KTI_SAFETENSORS_LIMIT = 320000000 };

/* Writes a file, atomically: tensors in list order without gaps, the header padded so that the data begin
 * 8-byte aligned, metadata under __metadata__. Same tensors, same bytes. A name or metadata that is not UTF-8
 * is KT_BAD_ARGUMENT; a value that is not finite is KT_NON_FINITE, since no reader of ours would take the
 * file back. */
kt_status kti_safetensors_write(const char *path, const kti_tensors *tensors, kt_error *error);

/* Reads a file, strictly: header size (at most 100 MB and within the file), JSON object with unique keys,
 * known dtypes (F16 F32 F64 I32 I64), rank <= 4, ranges that equal shape x dtype, no overlap, no hole, data
 * that end with the file, string metadata, at most 10,000 tensors, and no non-finite float, which is
 * KT_NON_FINITE with the tensor's name and the element. Tensors keep the header's order. Errors carry file
 * and byte (of the file). *tensors is overwritten, the caller's to destroy, and empty on failure. */
kt_status kti_safetensors_read(const char *path, kti_tensors *tensors, kt_error *error);

/* The same from memory; `name` stands for the file in errors. */
kt_status kti_safetensors_parse(const void *data, size_t size, const char *name, kti_tensors *tensors,
                                kt_error *error);

#endif
