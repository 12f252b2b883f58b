#include "device/fixture.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#ifdef KT_REAL_DOUBLE
#define EPSILON DBL_EPSILON
#else
#define EPSILON ((double)FLT_EPSILON)
#endif

#ifdef KTI_TESTS_GPU
#include <cuda_runtime_api.h>

/* Memory that the host and the GPU both use. */
static void *take_aligned(size_t bytes)
{
    void *memory = NULL;
    return cudaMallocManaged(&memory, bytes, cudaMemAttachGlobal) == cudaSuccess ? memory : NULL;
}

static void *take(size_t bytes)
{
    void *memory = take_aligned(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

static void drop(void *memory)
{
    cudaFree(memory);
}
#else
static void *take_aligned(size_t bytes)
{
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static void *take(size_t bytes)
{
    return calloc(1, bytes);
}

static void drop(void *memory)
{
    free(memory);
}
#endif

static void *require(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static uint64_t state = 42;

double fixture_draw(double low, double high)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return low + (high - low) * (double)(state >> 11) * 0x1p-53;
}

fixture *fixture_create(fixture_layout layout, const char *format, ...)
{
    fixture *f = require(calloc(1, sizeof *f));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->name, sizeof f->name, format, arguments);
    va_end(arguments);
    f->layout = layout;
    state = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *c = f->name; *c; c++)
        state = (state ^ (uint64_t)(unsigned char)*c) * 0x100000001b3;
    state |= 1; /* zero would stay zero */
    return f;
}

void fixture_destroy(fixture *f)
{
    for (size_t i = 0; i < f->owned_size; i++)
        drop(f->owned[i]);
    free(f->owned);
    free(f);
}

static void *own(fixture *f, void *memory)
{
    if (f->owned_size == f->owned_capacity) {
        f->owned_capacity = f->owned_capacity * 2 + 16;
        f->owned = require(realloc(f->owned, f->owned_capacity * sizeof *f->owned));
    }
    return f->owned[f->owned_size++] = require(memory);
}

void *fixture_take(fixture *f, size_t count, size_t size)
{
    return own(f, take(count ? count * size : size));
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

kt_matrix fixture_matrix(fixture *f, const char *name, int rows, int channels, double low, double high)
{
    const size_t stride = f->layout == NETWORK ? round_up((size_t)channels, 16) : (size_t)channels + 3;
    if (f->buffers == MAX_BUFFERS)
        abort();
    fixture_buffer *b = &f->buffer[f->buffers++];
    b->name = name;
    b->fold_size = (size_t)rows * stride;
    b->fold_stride = f->layout == NETWORK ? b->fold_size : b->fold_size + 5;
    /* Ends with the last fold's last row, so that the address sanitizer finds a read beyond it. */
    b->size = (FOLDS - 1) * b->fold_stride + b->fold_size;
    const size_t bytes = b->size * sizeof(kt_real);
    b->memory = own(f, f->layout == NETWORK ? take_aligned(bytes + !bytes) : take(bytes + !bytes));
    b->initial = fixture_take(f, b->size, sizeof(kt_real));
    b->expected = fixture_take(f, b->size, sizeof(double));
    for (size_t i = 0; i < b->size; i++) {
        b->initial[i] =
            f->layout == NETWORK && i % stride >= (size_t)channels ? 0 : (kt_real)fixture_draw(low, high);
        b->expected[i] = (double)b->initial[i];
    }
    return (kt_matrix){b->memory, (int64_t)b->fold_stride, (int32_t)stride};
}

/* The buffer that holds m's first element, which may be a slice of its columns. */
static fixture_buffer *find(const fixture *f, kt_matrix m, size_t *offset)
{
    for (int i = 0; i < f->buffers; i++) {
        const fixture_buffer *b = &f->buffer[i];
        if (m.data == b->memory || (m.data > b->memory && m.data < b->memory + b->size)) {
            *offset = (size_t)(m.data - b->memory);
            return (fixture_buffer *)b;
        }
    }
    abort();
}

static size_t place(kt_matrix m, int fold, int row, int channel)
{
    return (size_t)(fold * m.fold_stride + (int64_t)row * m.stride + channel);
}

void fixture_set(fixture *f, kt_matrix m, int fold, int row, int channel, double value)
{
    size_t offset;
    fixture_buffer *b = find(f, m, &offset);
    offset += place(m, fold, row, channel);
    b->initial[offset] = (kt_real)value;
    b->expected[offset] = (double)(kt_real)value;
}

double fixture_get(const fixture *f, kt_matrix m, int fold, int row, int channel)
{
    size_t offset;
    const fixture_buffer *b = find(f, m, &offset);
    return (double)b->initial[offset + place(m, fold, row, channel)];
}

int fold_rows(int rows, int fold)
{
    return fold == 0 ? rows * 2 / 3 : fold == 1 ? rows > 0 : rows;
}

static kt_index make_index(fixture *f, int size)
{
    const size_t stride = (size_t)size + 2;
    return (kt_index){fixture_take(f, 2 * stride + (size_t)size, sizeof(int32_t)), (int64_t)stride};
}

int32_t *fixture_entries(kt_index index, int fold)
{
    return (int32_t *)index.data + fold * index.fold_stride;
}

kt_count fixture_rows(fixture *f, int rows)
{
    const kt_index count = make_index(f, 1);
    for (int fold = 0; fold < FOLDS; fold++)
        *fixture_entries(count, fold) = fold_rows(rows, fold);
    return (kt_count){count.data, count.fold_stride, rows, KT_GRAPHS};
}

kt_count fixture_count(fixture *f, int value)
{
    const kt_index count = make_index(f, 1);
    for (int fold = 0; fold < FOLDS; fold++)
        *fixture_entries(count, fold) = value;
    return (kt_count){count.data, count.fold_stride, value, KT_GRAPHS};
}

kt_index fixture_index(fixture *f, int size, int limit)
{
    kt_index index = make_index(f, size);
    for (int fold = 0; fold < FOLDS; fold++)
        for (int i = 0; i < size; i++)
            fixture_entries(index, fold)[i] = (int32_t)fixture_draw(0, limit);
    return index;
}

kt_index fixture_segments(fixture *f, int segments, int *entries)
{
    static const int lengths[] = {0, 1, 3, 0, 2, 7, 1, 31, 1, 1, 13};
    kt_index start = make_index(f, segments + 1);
    *entries = 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        int32_t *at = fixture_entries(start, fold);
        for (int s = 0; s < segments; s++)
            at[s + 1] = at[s] + (s == segments - 1 && segments > 1 ? 0 : lengths[(s + 5 * fold + 1) % 11]);
        *entries = at[segments] > *entries ? at[segments] : *entries;
    }
    /* The last fold fills the room, so that its empty last segment starts at the end of the memory. */
    int32_t *at = fixture_entries(start, FOLDS - 1);
    const int spare = *entries - at[segments];
    for (int s = 1; s <= segments; s++)
        at[s] += spare;
    return start;
}

double *fixture_dense(fixture *f, kt_matrix m, int fold, int rows, int channels)
{
    double *dense = fixture_take(f, (size_t)rows * (size_t)channels, sizeof *dense);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++)
            dense[r * channels + c] = fixture_get(f, m, fold, r, c);
    return dense;
}

void fixture_expect(fixture *f, kt_matrix m, int fold, int rows, int channels, const double *dense,
                    double epsilons, double magnitude)
{
    size_t offset;
    fixture_buffer *b = find(f, m, &offset);
    b->tolerance = epsilons * EPSILON;
    b->magnitude = magnitude;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++)
            b->expected[offset + place(m, fold, r, c)] = dense[r * channels + c];
    for (int i = 0; i < rows * channels; i++)
        if (!isfinite(dense[i]))
            fail_msg("%s: the twin's %s is not finite", f->name, b->name);
}

kti_operation *fixture_append(fixture *f, kti_operation_kind kind)
{
    if (f->operations == MAX_OPERATIONS)
        abort();
    kti_operation *operation = &f->operation[f->operations++];
    operation->kind = kind;
    return operation;
}

void fixture_reset(fixture *f)
{
    for (int i = 0; i < f->buffers; i++)
        memcpy(f->buffer[i].memory, f->buffer[i].initial, f->buffer[i].size * sizeof(kt_real));
}

/* Inputs may hold NaN and infinities, which must stay; a twin's result never does. */
static int agrees(double x, double expected, const fixture_buffer *b)
{
    if (!isfinite(expected))
        return isnan(expected) ? isnan(x) : x == expected;
    return is_close(x, expected, b->tolerance, b->tolerance * b->magnitude);
}

size_t fixture_mismatches(const fixture *f, char *text, size_t size)
{
    size_t count = 0;
    for (int i = 0; i < f->buffers; i++) {
        const fixture_buffer *b = &f->buffer[i];
        for (size_t j = 0; j < b->size; j++) {
            if (agrees((double)b->memory[j], b->expected[j], b))
                continue;
            if (count++ == 0)
                snprintf(text, size, "%s: %s[%zu] (fold stride %zu) is %.9g, not %.9g", f->name, b->name, j,
                         b->fold_stride, (double)b->memory[j], b->expected[j]);
        }
    }
    return count;
}
