/* A kernel's case: operations over a few folds' matrices, what they hold before, and what the float64 twin
 * says they hold afterwards.
 *
 * Every matrix is compared as a whole, so that a write to padding, to a row beyond the batch or to another
 * fold is found as surely as a wrong result. All folds have numbers of rows, indices and values of their own.
 */
#ifndef KTI_TESTS_DEVICE_FIXTURE_H
#define KTI_TESTS_DEVICE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "device/operation.h"

enum { FOLDS = 3, MAX_BUFFERS = 24, MAX_OPERATIONS = 8 };

/* How a matrix lies: with a few columns of padding that nothing may touch, or as the network's layout has it,
 * the stride a multiple of 16, 64-byte aligned, padding zero. */
typedef enum fixture_layout { RAGGED, NETWORK } fixture_layout;

typedef struct fixture_buffer {
    const char *name;
    kt_real *memory;  /* what the kernels work on */
    kt_real *initial; /* what it holds before */
    double *expected; /* what it must hold afterwards */
    size_t size, fold_stride, fold_size;
    double tolerance; /* relative; 0: must hold `expected` exactly */
    double magnitude; /* times tolerance: the absolute part */
} fixture_buffer;

typedef struct fixture {
    char name[160];
    fixture_layout layout;
    kti_operation operation[MAX_OPERATIONS];
    int operations;
    fixture_buffer buffer[MAX_BUFFERS];
    int buffers;
    int nothing_to_do; /* the operations leave everything as it is */
    void **owned;
    size_t owned_size, owned_capacity;
} fixture;

/* Never NULL; a test that is out of memory aborts. The text is printf's; it also makes the seed of the
 * numbers that are drawn next, so that a case is the same whatever ran before. */
fixture *fixture_create(fixture_layout layout, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fixture_destroy(fixture *f);

/* Numbers drawn uniformly from [low, high), the same in every run. */
double fixture_draw(double low, double high);

/* Memory that lives as long as the fixture. */
void *fixture_take(fixture *f, size_t count, size_t size);

/* A matrix of rows x channels a fold, filled from [low, high); padding too where the layout has canaries
 * there. */
kt_matrix fixture_matrix(fixture *f, const char *name, int rows, int channels, double low, double high);
/* What element (row, channel) holds before. */
void fixture_set(fixture *f, kt_matrix m, int fold, int row, int channel, double value);
double fixture_get(const fixture *f, kt_matrix m, int fold, int row, int channel);

/* How many rows fold 0, 1, 2 has of a batch with room for `rows`: two thirds, at most one, all. */
int fold_rows(int rows, int fold);
kt_count fixture_rows(fixture *f, int rows);
kt_count fixture_count(fixture *f, int count); /* the same in every fold */

/* `size` entries a fold, drawn from 0 .. limit - 1. */
kt_index fixture_index(fixture *f, int size, int limit);
/* The entries of a fold, to be changed. */
int32_t *fixture_entries(kt_index index, int fold);
/* Offsets [segments + 1] of segments of the lengths 0, 1, 3, 0, 2, 7, 1, 31, ... with the last one empty;
 * every fold starts elsewhere in that list. *entries is the greatest number of entries of any fold. */
kt_index fixture_segments(fixture *f, int segments, int *entries);

/* The values before, dense, as the twins take them. */
double *fixture_dense(fixture *f, kt_matrix m, int fold, int rows, int channels);
/* Sets what rows x channels of a fold must hold. The tolerance is in units of the type's epsilon, relative
 * and, times magnitude, absolute. */
void fixture_expect(fixture *f, kt_matrix m, int fold, int rows, int channels, const double *dense,
                    double epsilons, double magnitude);

/* One more operation of the list, zeroed. */
kti_operation *fixture_append(fixture *f, kti_operation_kind kind);

/* Back to the values before. */
void fixture_reset(fixture *f);
/* How many elements differ from what is expected; the first one is described in text [size]. */
size_t fixture_mismatches(const fixture *f, char *text, size_t size);

#endif
