/* Matrix products by cuBLAS, folds as its strided batch.
 *
 * cuBLAS counts in columns: a row-major matrix is to it the transposed one, so that c = a b becomes c^T = b^T a^T.
 *
 * One algorithm a shape, asked for once and for a fixed number of folds and rows, and none that splits a sum: so a
 * row's bits depend neither on the rows nor on the folds beside it. cuBLAS cannot read how many rows a batch really has:
 * it computes all rows of the bucket, and those beyond the batch are garbage that nothing reads. For the same reason
 * weight gradients, whose sums run over the rows, stay with our own kernel; so do forward products whose columns have a
 * padding, which must become zeros.
 */
#include <stdlib.h>
#include <string.h>

#include <cublasLt.h>

#include "base/fail.h"
#include "base/memory.h"
#include "device/cuda.h"

enum { NOMINAL_FOLDS = 9, NOMINAL_ROWS = 256 };

/* What products have to share to share an algorithm. */
typedef struct shape {
    kt_product product;
    int n, k, accumulate;
    int32_t stride_a, stride_b, stride_c;
} shape;

typedef struct algorithm {
    shape shape;
    bool exists; /* cuBLAS may have none */
    cublasLtMatmulAlgo_t algorithm;
} algorithm;

struct kti_cuda_blas {
    cublasLtHandle_t handle;
    algorithm *list; /* [size] */
    size_t size, capacity;
};

/* The descriptors of one product; NULL those that are not made. */
typedef struct product {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t weights, rows, out;
} product;

static kt_status check(cublasStatus_t code, const char *what, kt_error *error)
{
    if (code == CUBLAS_STATUS_SUCCESS)
        return KT_OK;
    return kti_fail(error, code == CUBLAS_STATUS_ALLOC_FAILED ? KT_OUT_OF_MEMORY : KT_DEVICE,
                    "cuBLAS failed: %s: %s (%s)", what, cublasLtGetStatusString(code),
                    cublasLtGetStatusName(code));
}

kt_status kti_cuda_blas_create(kti_cuda *cuda, kt_error *error)
{
    cuda->blas = kti_allocate(1, sizeof *cuda->blas);
    if (!cuda->blas)
        return kti_fail_memory(error, "cuBLAS");
    return check(cublasLtCreate(&cuda->blas->handle), "starting it", error);
}

void kti_cuda_blas_destroy(kti_cuda_blas *blas)
{
    if (!blas)
        return;
    if (blas->handle)
        cublasLtDestroy(blas->handle);
    free(blas->list);
    free(blas);
}

bool kti_cuda_blas_can(const kt_gemm *gemm)
{
    return gemm->product == KT_INPUT_GRADIENT || (gemm->product == KT_FORWARD && gemm->n % 16 == 0);
}

static int columns(const kt_gemm *gemm)
{
    return (gemm->n + 15) / 16 * 16; /* the padding of weights is zero, and so becomes that of c */
}

/* ---- descriptors ---- */

static kt_status make_layout(int rows, int width, const kt_matrix *matrix, int folds,
                             cublasLtMatrixLayout_t *layout, kt_error *error)
{
    const int32_t count = folds;
    const int64_t stride = matrix->fold_stride;
    kt_status status =
        check(cublasLtMatrixLayoutCreate(layout, CUDA_R_32F, (uint64_t)rows, (uint64_t)width, matrix->stride),
              "describing a matrix", error);
    if (status == KT_OK)
        status = check(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                                        sizeof count),
                       "describing a matrix", error);
    if (status == KT_OK)
        status = check(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                        &stride, sizeof stride),
                       "describing a matrix", error);
    return status;
}

static void destroy_product(product *p)
{
    if (p->operation)
        cublasLtMatmulDescDestroy(p->operation);
    if (p->weights)
        cublasLtMatrixLayoutDestroy(p->weights);
    if (p->rows)
        cublasLtMatrixLayoutDestroy(p->rows);
    if (p->out)
        cublasLtMatrixLayoutDestroy(p->out);
}

/* c^T [columns, rows] = op(b) [columns, k] a^T [k, rows]; b is [columns, k] row by row for a forward product, hence
 * transposed to cuBLAS, and [k, columns] for an input gradient. */
static kt_status make_product(const kt_gemm *gemm, int rows, int folds, product *p, kt_error *error)
{
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const bool forward = gemm->product == KT_FORWARD;
    const int width = columns(gemm);
    *p = (product){0};
    kt_status status = check(cublasLtMatmulDescCreate(&p->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                             "describing a product", error);
    if (status == KT_OK && forward)
        status = check(cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                                      sizeof transposed),
                       "describing a product", error);
    if (status == KT_OK)
        status = make_layout(forward ? gemm->k : width, forward ? width : gemm->k, &gemm->b, folds,
                             &p->weights, error);
    if (status == KT_OK)
        status = make_layout(gemm->k, rows, &gemm->a, folds, &p->rows, error);
    if (status == KT_OK)
        status = make_layout(width, rows, &gemm->c, folds, &p->out, error);
    if (status != KT_OK)
        destroy_product(p);
    return status;
}

/* ---- algorithms ---- */

static shape shape_of(const kt_gemm *gemm)
{
    shape s;
    memset(&s, 0, sizeof s); /* compared byte by byte */
    s.product = gemm->product;
    s.n = gemm->n;
    s.k = gemm->k;
    s.accumulate = gemm->accumulate != 0;
    s.stride_a = gemm->a.stride;
    s.stride_b = gemm->b.stride;
    s.stride_c = gemm->c.stride;
    return s;
}

static kt_status ask(kti_cuda_blas *blas, const kt_gemm *gemm, algorithm *found, kt_error *error)
{
    const uint64_t no_workspace = 0;
    const uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t result;
    int count = 0;
    product p;
    kt_status status = make_product(gemm, NOMINAL_ROWS, NOMINAL_FOLDS, &p, error);
    if (status != KT_OK)
        return status;
    status = check(cublasLtMatmulPreferenceCreate(&preference), "choosing an algorithm", error);
    if (status == KT_OK)
        status =
            check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                       &no_workspace, sizeof no_workspace),
                  "choosing an algorithm", error);
    if (status == KT_OK)
        status =
            check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                       &no_reduction, sizeof no_reduction),
                  "choosing an algorithm", error);
    if (status == KT_OK) {
        const cublasStatus_t code = cublasLtMatmulAlgoGetHeuristic(
            blas->handle, p.operation, p.weights, p.rows, p.out, p.out, preference, 1, &result, &count);
        if (code != CUBLAS_STATUS_NOT_SUPPORTED)
            status = check(code, "choosing an algorithm", error);
    }
    found->exists = status == KT_OK && count > 0 && result.state == CUBLAS_STATUS_SUCCESS;
    if (found->exists)
        found->algorithm = result.algo;
    if (preference)
        cublasLtMatmulPreferenceDestroy(preference);
    destroy_product(&p);
    return status;
}

/* The shape's algorithm, asked for when the shape is met first. */
static kt_status find(kti_cuda_blas *blas, const kt_gemm *gemm, const algorithm **found, kt_error *error)
{
    algorithm made = {.shape = shape_of(gemm)};
    for (size_t i = 0; i < blas->size; i++)
        if (memcmp(&blas->list[i].shape, &made.shape, sizeof made.shape) == 0) {
            *found = &blas->list[i];
            return KT_OK;
        }
    void *list = blas->list;
    if (kti_grow(&list, blas->size, &blas->capacity, sizeof *blas->list) != 0)
        return kti_fail_memory(error, "cuBLAS");
    blas->list = list;
    kt_status status = ask(blas, gemm, &made, error);
    if (status == KT_OK) {
        blas->list[blas->size] = made;
        *found = &blas->list[blas->size++];
    }
    return status;
}

kt_status kti_cuda_blas_has(kti_cuda *cuda, const kt_gemm *gemm, bool *has, kt_error *error)
{
    const algorithm *chosen = NULL;
    const kt_status status = find(cuda->blas, gemm, &chosen, error);
    *has = status == KT_OK && chosen->exists;
    return status;
}

kt_status kti_cuda_blas_multiply(kti_cuda *cuda, const kt_gemm *gemm, int first, int count, bool *done,
                                 kt_error *error)
{
    const float one = 1, onto = gemm->accumulate ? 1 : 0;
    const algorithm *chosen = NULL;
    product p;
    *done = false;
    kt_status status = find(cuda->blas, gemm, &chosen, error);
    if (status != KT_OK || !chosen->exists)
        return status;
    status = make_product(gemm, gemm->rows.max, count, &p, error);
    if (status != KT_OK)
        return status;
    kt_real *out = kt_rows(gemm->c, first);
    cublasLtMatmulHeuristicResult_t fit;
    status = check(cublasLtMatmulAlgoCheck(cuda->blas->handle, p.operation, p.weights, p.rows, p.out, p.out,
                                           &chosen->algorithm, &fit),
                   "using one algorithm for any number of rows", error);
    if (status == KT_OK)
        status = check(cublasLtMatmul(cuda->blas->handle, p.operation, &one, kt_rows(gemm->b, first),
                                      p.weights, kt_rows(gemm->a, first), p.rows, &onto, out, p.out, out,
                                      p.out, &chosen->algorithm, NULL, 0, cuda->stream),
                       "multiplying", error);
    destroy_product(&p);
    *done = status == KT_OK;
    return status;
}
