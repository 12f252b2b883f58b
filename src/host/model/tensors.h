/* Named tensors in memory and in safetensors files.
 *
 * The one container that importers fill, checkpoints write and the model
 * reads. Values are kept as float64 or float32, as the file has them.
 */
#ifndef KTI_MODEL_TENSORS_H
#define KTI_MODEL_TENSORS_H

#include <stddef.h>
#include <stdint.h>

#include <kappatune/error.h>

enum { KTI_TENSOR_RANK = 4 };

typedef enum kti_dtype { KTI_F32, KTI_F64, KTI_F16, KTI_I32, KTI_I64 } kti_dtype;

size_t kti_dtype_size(kti_dtype dtype);

typedef struct kti_tensor {
    char *name; /* owned */
    kti_dtype dtype;
    int rank; /* 0..4; rank 0 is a scalar */
    int64_t shape[KTI_TENSOR_RANK];
    size_t elements;
    void *data; /* owned, row-major, 64-byte aligned */
} kti_tensor;

typedef struct kti_metadata {
    char *key, *value; /* owned */
} kti_metadata;

typedef struct kti_tensors {
    size_t size, capacity;
    kti_tensor *list;
    size_t metadata_size, metadata_capacity;
    kti_metadata *metadata;
} kti_tensors;

void kti_tensors_destroy(kti_tensors *tensors);

/* Adds a zeroed tensor and gives it in *added (valid until the next addition). A repeated name is KT_BAD_ARGUMENT. */
kt_status kti_tensors_add(kti_tensors *tensors, const char *name, kti_dtype dtype, int rank,
                          const int64_t *shape, kti_tensor **added, kt_error *error);

/* NULL if there is none of that name. */
const kti_tensor *kti_tensors_find(const kti_tensors *tensors, const char *name);

/* Element i of a float tensor as double (F16, F32, F64). */
double kti_tensor_value(const kti_tensor *tensor, size_t i);

/* Sets or replaces a metadata string; value NULL removes it. */
kt_status kti_tensors_set_metadata(kti_tensors *tensors, const char *key, const char *value, kt_error *error);
const char *kti_tensors_metadata(const kti_tensors *tensors, const char *key);

/* Writes a safetensors file, atomically; tensors in list order, data 8-byte aligned, metadata under __metadata__. */
kt_status kti_safetensors_write(const char *path, const kti_tensors *tensors, kt_error *error);

/* Reads a safetensors file, strictly: header size (at most 100 MB and within the file), JSON object with unique
 * keys, known dtypes (F16 F32 F64 I32 I64), rank <= 4, ranges that equal shape x dtype, no overlap, no hole, none
 * past the end, string metadata, and no non-finite float, which is refused with the tensor's name. Errors carry
 * file and byte. */
kt_status kti_safetensors_read(const char *path, kti_tensors *tensors, kt_error *error);

#endif
