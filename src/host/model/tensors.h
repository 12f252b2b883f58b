/* Named tensors in memory: the one container that importers fill, checkpoints write and the model reads.
 * Values are kept as float64 or float32, as the file has them. The file format is in model/safetensors.h.
 */
#ifndef KTI_MODEL_TENSORS_H
#define KTI_MODEL_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kappatune/error.h>

enum { KTI_TENSOR_RANK = 4 };

typedef enum kti_dtype { KTI_F32, KTI_F64, KTI_F16, KTI_I32, KTI_I64 } kti_dtype;

size_t kti_dtype_size(kti_dtype dtype);

/* "F32", ... */
const char *kti_dtype_name(kti_dtype dtype);

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

/* Frees what the container owns and leaves it empty; a zeroed one is fine. */
void kti_tensors_destroy(kti_tensors *tensors);

/* Adds a zeroed tensor and gives it in *added (valid until the next addition; `added` may be NULL). A
 * repeated name, the reserved name __metadata__ and an impossible shape are KT_BAD_ARGUMENT. */
kt_status kti_tensors_add(kti_tensors *tensors, const char *name, kti_dtype dtype, int rank,
                          const int64_t *shape, kti_tensor **added, kt_error *error);

/* NULL if there is none of that name. */
const kti_tensor *kti_tensors_find(const kti_tensors *tensors, const char *name);

/* Element i as double; an I64 beyond 2^53 is rounded. */
double kti_tensor_value(const kti_tensor *tensor, size_t i);

/* Index of the first element that is not finite; `elements` if every one is. */
size_t kti_tensor_first_non_finite(const kti_tensor *tensor);

/* Rounds a tensor of floats to F16, in place: to nearest, ties to even, so that what lies below 2^-25 becomes 0. A value
 * beyond F16's largest, 65504, or that is not finite, is KT_BAD_ARGUMENT with the tensor's name and the element, as is a tensor
 * of integers; the tensor is then as it was. */
kt_status kti_tensor_to_half(kti_tensor *tensor, kt_error *error);

/* Sets or replaces a metadata string; value NULL removes it. */
kt_status kti_tensors_set_metadata(kti_tensors *tensors, const char *key, const char *value, kt_error *error);
const char *kti_tensors_metadata(const kti_tensors *tensors, const char *key);

/* Number of elements of a shape; false if rank or a dimension is out of range or the bytes of it, as the
 * widest dtype, overflow. */
bool kti_shape_elements(int rank, const int64_t *shape, size_t *elements);

/* "[64, 32]" for messages. */
void kti_shape_text(int rank, const int64_t *shape, char *text, size_t capacity);

#endif
