#include "model/tensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

enum { ALIGNMENT = 64, WIDEST = 8 };

/* F16: bits of infinity; exponents e, 2^(e-1) <= |x| < 2^e, of its least normal and its greatest numbers. */
enum { HALF_INFINITY = 0x7c00, HALF_MIN_EXPONENT = -13, HALF_MAX_EXPONENT = 16 };

size_t kti_dtype_size(kti_dtype dtype)
{
    switch (dtype) {
    case KTI_F16: return 2;
    case KTI_F32:
    case KTI_I32: return 4;
    case KTI_F64:
    case KTI_I64: return 8;
    }
    return 0;
}

const char *kti_dtype_name(kti_dtype dtype)
{
    switch (dtype) {
    case KTI_F16: return "F16";
    case KTI_F32: return "F32";
    case KTI_F64: return "F64";
    case KTI_I32: return "I32";
    case KTI_I64: return "I64";
    }
    return "?";
}

bool kti_shape_elements(int rank, const int64_t *shape, size_t *elements)
{
    /* Room for the widest dtype and for rounding up to the alignment. */
    const size_t max = (SIZE_MAX / 2 - ALIGNMENT) / WIDEST;
    bool empty = false;
    if (rank < 0 || rank > KTI_TENSOR_RANK)
        return false;
    for (int d = 0; d < rank; d++) {
        if (shape[d] < 0 || (uint64_t)shape[d] > max)
            return false;
        empty = empty || shape[d] == 0;
    }
    size_t product = empty ? 0 : 1;
    for (int d = 0; d < rank && !empty; d++) {
        if ((size_t)shape[d] > max / product)
            return false;
        product *= (size_t)shape[d];
    }
    *elements = product;
    return true;
}

void kti_shape_text(int rank, const int64_t *shape, char *text, size_t capacity)
{
    size_t used = (size_t)snprintf(text, capacity, "[");
    for (int d = 0; d < rank && used < capacity; d++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%lld", d ? ", " : "", (long long)shape[d]);
    if (used < capacity)
        snprintf(text + used, capacity - used, "]");
}

void kti_tensors_destroy(kti_tensors *tensors)
{
    for (size_t i = 0; i < tensors->size; i++) {
        free(tensors->list[i].name);
        free(tensors->list[i].data);
    }
    for (size_t i = 0; i < tensors->metadata_size; i++) {
        free(tensors->metadata[i].key);
        free(tensors->metadata[i].value);
    }
    free(tensors->list);
    free(tensors->metadata);
    *tensors = (kti_tensors){0};
}

kt_status kti_tensors_add(kti_tensors *tensors, const char *name, kti_dtype dtype, int rank,
                          const int64_t *shape, kti_tensor **added, kt_error *error)
{
    kti_tensor tensor = {.dtype = dtype, .rank = rank};
    if (!kti_shape_elements(rank, shape, &tensor.elements))
        return kti_fail(error, KT_BAD_ARGUMENT, "tensor `%s` has an impossible shape", name);
    if (strcmp(name, "__metadata__") == 0)
        return kti_fail(error, KT_BAD_ARGUMENT, "a tensor cannot be named `%s`", name);
    if (kti_tensors_find(tensors, name))
        return kti_fail(error, KT_BAD_ARGUMENT, "there are two tensors named `%s`", name);
    for (int d = 0; d < rank; d++)
        tensor.shape[d] = shape[d];
    size_t bytes = tensor.elements * kti_dtype_size(dtype);
    size_t rounded = (bytes / ALIGNMENT + 1) * ALIGNMENT;
    tensor.name = kti_duplicate_text(name);
    tensor.data = aligned_alloc(ALIGNMENT, rounded);
    if (!tensor.name || !tensor.data ||
        kti_grow((void **)&tensors->list, tensors->size, &tensors->capacity, sizeof tensor) != 0) {
        free(tensor.name);
        free(tensor.data);
        return kti_fail(error, KT_OUT_OF_MEMORY, "not enough memory for tensor `%s` (%zu bytes)", name,
                        bytes);
    }
    memset(tensor.data, 0, rounded);
    tensors->list[tensors->size] = tensor;
    if (added)
        *added = &tensors->list[tensors->size];
    tensors->size++;
    return KT_OK;
}

const kti_tensor *kti_tensors_find(const kti_tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->size; i++)
        if (strcmp(tensors->list[i].name, name) == 0)
            return &tensors->list[i];
    return NULL;
}

static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude;
    if (exponent == 31)
        magnitude = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        magnitude = ldexp(fraction, -24);
    else
        magnitude = ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -magnitude : magnitude;
}

/* The nearest F16's bits, ties to even; those of infinity or beyond for what does not fit. */
static uint32_t half_bits(double value)
{
    int exponent;
    if (!isfinite(value))
        return HALF_INFINITY;
    frexp(value, &exponent); /* |value| < 2^exponent */
    if (value == 0 || exponent < HALF_MIN_EXPONENT)
        exponent = HALF_MIN_EXPONENT;
    if (exponent > HALF_MAX_EXPONENT)
        return HALF_INFINITY;
    /* In units of the last place; one bit of it belongs to the exponent, into which it also carries. */
    const uint32_t units = (uint32_t)lrint(ldexp(fabs(value), 11 - exponent));
    return ((uint32_t)(exponent - HALF_MIN_EXPONENT) << 10) + units;
}

kt_status kti_tensor_to_half(kti_tensor *tensor, kt_error *error)
{
    if (tensor->dtype == KTI_I32 || tensor->dtype == KTI_I64)
        return kti_fail(error, KT_BAD_ARGUMENT, "tensor `%s` holds integers, which are not rounded",
                        tensor->name);
    for (size_t i = 0; i < tensor->elements; i++)
        if (half_bits(kti_tensor_value(tensor, i)) >= HALF_INFINITY)
            return kti_fail(
                error, KT_BAD_ARGUMENT,
                "element %zu of tensor `%s` is %g, which half precision cannot hold (at most 65504)", i,
                tensor->name, kti_tensor_value(tensor, i));
    /* An F16 is never wider than what it replaces, so none is written over before it is read. */
    for (size_t i = 0; i < tensor->elements; i++) {
        const double value = kti_tensor_value(tensor, i);
        ((uint16_t *)tensor->data)[i] = (uint16_t)(half_bits(value) | (signbit(value) ? 0x8000u : 0));
    }
    tensor->dtype = KTI_F16;
    return KT_OK;
}

double kti_tensor_value(const kti_tensor *tensor, size_t i)
{
    switch (tensor->dtype) {
    case KTI_F16: return half_value(((const uint16_t *)tensor->data)[i]);
    case KTI_F32: return ((const float *)tensor->data)[i];
    case KTI_F64: return ((const double *)tensor->data)[i];
    case KTI_I32: return ((const int32_t *)tensor->data)[i];
    case KTI_I64: return (double)((const int64_t *)tensor->data)[i];
    }
    return NAN;
}

size_t kti_tensor_first_non_finite(const kti_tensor *tensor)
{
    size_t i = 0;
    while (i < tensor->elements && isfinite(kti_tensor_value(tensor, i)))
        i++;
    return i;
}

static size_t metadata_index(const kti_tensors *tensors, const char *key)
{
    size_t i = 0;
    while (i < tensors->metadata_size && strcmp(tensors->metadata[i].key, key) != 0)
        i++;
    return i;
}

kt_status kti_tensors_set_metadata(kti_tensors *tensors, const char *key, const char *value, kt_error *error)
{
    size_t i = metadata_index(tensors, key);
    bool present = i < tensors->metadata_size;
    if (!value) {
        if (present) {
            free(tensors->metadata[i].key);
            free(tensors->metadata[i].value);
            tensors->metadata_size--;
            memmove(&tensors->metadata[i], &tensors->metadata[i + 1],
                    (tensors->metadata_size - i) * sizeof *tensors->metadata);
        }
        return KT_OK;
    }
    char *value_copy = kti_duplicate_text(value);
    char *key_copy = present ? NULL : kti_duplicate_text(key);
    if (!value_copy || (!present && !key_copy) ||
        kti_grow((void **)&tensors->metadata, tensors->metadata_size, &tensors->metadata_capacity,
                 sizeof *tensors->metadata) != 0) {
        free(value_copy);
        free(key_copy);
        return kti_fail_memory(error, "metadata of tensors");
    }
    if (present) {
        free(tensors->metadata[i].value);
        tensors->metadata[i].value = value_copy;
    } else {
        tensors->metadata[tensors->metadata_size++] = (kti_metadata){key_copy, value_copy};
    }
    return KT_OK;
}

const char *kti_tensors_metadata(const kti_tensors *tensors, const char *key)
{
    size_t i = metadata_index(tensors, key);
    return i < tensors->metadata_size ? tensors->metadata[i].value : NULL;
}
