/* cuBLASLt: matrix products of float32, strided batches, in row or column order.
 *
 * The heuristic offers three algorithms that sum in different orders, the first of them another for another number of
 * batches, as the real one may: a program that wants the same bits for a fold alone and for nine fused must fix one.
 */
#include "cuda_emulator/internal.h"

#include <cublasLt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALGORITHMS = 3, ALIGNMENT = 16, WORKSPACE_ALIGNMENT = 256 };
static const uint64_t MAGIC = 0x6b74656d756c6174;
static const size_t workspaces[ALGORITHMS] = {0, 16384, 65536};

typedef struct handle {
    emu_object object;
    int device;
} handle;

typedef struct operation {
    emu_object object;
    cublasComputeType_t compute;
    cudaDataType_t scale;
    int32_t transpose[2]; /* cublasOperation_t of a and b */
    uint32_t epilogue;
    int32_t pointer_mode;
    void *bias;
    int64_t bias_stride;
} operation;

typedef struct layout {
    emu_object object;
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t stride, batch_stride;
    int32_t order, batches;
} layout;

typedef struct preference {
    emu_object object;
    uint64_t workspace;
} preference;

/* What MatmulAlgo's eight words hold. */
typedef struct algorithm {
    uint64_t magic, number, workspace, shape;
} algorithm;

static cublasStatus_t leave(cublasStatus_t status)
{
    emu_leave_library(status != CUBLAS_STATUS_SUCCESS && status != CUBLAS_STATUS_NOT_SUPPORTED);
    return status;
}

static cublasStatus_t refuse(const char *text)
{
    emu_violation("%s: %s", emu_call(), text);
    return CUBLAS_STATUS_INVALID_VALUE;
}

EMU_API const char *cublasLtGetStatusName(cublasStatus_t status)
{
    emu_error_seen();
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "a status of the emulated cuBLASLt";
    }
}

EMU_API const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return cublasLtGetStatusName(status);
}

EMU_API size_t cublasLtGetVersion(void)
{
    return CUBLAS_VERSION;
}

/* ---- handles and descriptors ---- */

EMU_API cublasStatus_t cublasLtCreate(cublasLtHandle_t *made)
{
    *made = NULL;
    if (emu_enter(__func__, EMU_WORK) || emu_options.devices == 0)
        return leave(CUBLAS_STATUS_NOT_INITIALIZED);
    handle *h = emu_object_create(EMU_BLAS_HANDLE, sizeof *h);
    h->device = emu_current_device;
    *made = (cublasLtHandle_t)h;
    return leave(CUBLAS_STATUS_SUCCESS);
}

static cublasStatus_t destroy(const char *call, emu_class class, void *object)
{
    const bool fails = emu_enter(call, EMU_CLEANUP);
    void *o = emu_object_find(class, object);
    if (!o)
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    emu_object_destroy(o);
    emu_leave_library(false); /* nobody could do anything about it */
    return fails ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
}

EMU_API cublasStatus_t cublasLtDestroy(cublasLtHandle_t object)
{
    return destroy(__func__, EMU_BLAS_HANDLE, object);
}

EMU_API cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t object)
{
    return destroy(__func__, EMU_BLAS_OPERATION, object);
}

EMU_API cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t object)
{
    return destroy(__func__, EMU_BLAS_LAYOUT, object);
}

EMU_API cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t object)
{
    return destroy(__func__, EMU_BLAS_PREFERENCE, object);
}

EMU_API cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made, cublasComputeType_t compute,
                                                cudaDataType_t scale)
{
    *made = NULL;
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_ALLOC_FAILED);
    operation *o = emu_object_create(EMU_BLAS_OPERATION, sizeof *o);
    o->compute = compute;
    o->scale = scale;
    o->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    *made = (cublasLtMatmulDesc_t)o;
    return leave(CUBLAS_STATUS_SUCCESS);
}

EMU_API cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType type,
                                                  uint64_t rows, uint64_t columns, int64_t stride)
{
    *made = NULL;
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_ALLOC_FAILED);
    layout *l = emu_object_create(EMU_BLAS_LAYOUT, sizeof *l);
    l->type = type;
    l->rows = rows;
    l->columns = columns;
    l->stride = stride;
    l->order = CUBLASLT_ORDER_COL;
    l->batches = 1;
    *made = (cublasLtMatrixLayout_t)l;
    return leave(CUBLAS_STATUS_SUCCESS);
}

EMU_API cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made)
{
    *made = NULL;
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_ALLOC_FAILED);
    preference *p = emu_object_create(EMU_BLAS_PREFERENCE, sizeof *p);
    *made = (cublasLtMatmulPreference_t)p;
    return leave(CUBLAS_STATUS_SUCCESS);
}

static cublasStatus_t set(void *field, size_t size, const void *value, size_t bytes)
{
    if (!field)
        return refuse("this attribute isn't emulated");
    if (!value || bytes != size)
        return refuse("an attribute of the wrong size");
    memcpy(field, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

EMU_API cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t object,
                                                      cublasLtMatmulDescAttributes_t attribute,
                                                      const void *value, size_t bytes)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_EXECUTION_FAILED);
    operation *o = emu_object_find(EMU_BLAS_OPERATION, object);
    void *field = NULL;
    size_t size = 4;
    if (!o)
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: field = &o->transpose[0]; break;
    case CUBLASLT_MATMUL_DESC_TRANSB: field = &o->transpose[1]; break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: field = &o->epilogue; break;
    case CUBLASLT_MATMUL_DESC_POINTER_MODE: field = &o->pointer_mode; break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: field = &o->bias, size = sizeof o->bias; break;
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: field = &o->bias_stride, size = sizeof o->bias_stride; break;
    default: break;
    }
    return leave(set(field, size, value, bytes));
}

EMU_API cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t object,
                                                        cublasLtMatrixLayoutAttribute_t attribute,
                                                        const void *value, size_t bytes)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_EXECUTION_FAILED);
    layout *l = emu_object_find(EMU_BLAS_LAYOUT, object);
    void *field = NULL;
    size_t size = 8;
    if (!l)
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE: field = &l->type, size = 4; break;
    case CUBLASLT_MATRIX_LAYOUT_ORDER: field = &l->order, size = 4; break;
    case CUBLASLT_MATRIX_LAYOUT_ROWS: field = &l->rows; break;
    case CUBLASLT_MATRIX_LAYOUT_COLS: field = &l->columns; break;
    case CUBLASLT_MATRIX_LAYOUT_LD: field = &l->stride; break;
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: field = &l->batches, size = 4; break;
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: field = &l->batch_stride; break;
    default: break;
    }
    return leave(set(field, size, value, bytes));
}

EMU_API cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t object,
                                                            cublasLtMatmulPreferenceAttributes_t attribute,
                                                            const void *value, size_t bytes)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_EXECUTION_FAILED);
    preference *p = emu_object_find(EMU_BLAS_PREFERENCE, object);
    uint32_t ignored;
    void *field = NULL;
    size_t size = 4;
    if (!p)
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: field = &p->workspace, size = sizeof p->workspace; break;
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: field = &ignored; break;
    default: break;
    }
    return leave(set(field, size, value, bytes));
}

/* ---- products ---- */

/* Element (row, column) of batch i is data[i * batch + row * by_row + column * by_column], after the transposition. */
typedef struct operand {
    int64_t rows, columns, by_row, by_column, batch;
    int64_t inner, stride,
        size; /* of one batch in memory: runs of `inner` numbers, `stride` apart; all of it */
} operand;

typedef struct product {
    emu_task task;
    operand a, b, c, d;
    const float *a_data, *b_data, *c_data, *bias;
    float *d_data;
    int64_t bias_stride;
    float alpha, beta;
    int batches, algorithm;
    bool relu;
    void *workspace;
    size_t workspace_bytes;
} product;

/* False and a violation where the layout can't be. */
static bool make_operand(const layout *l, int32_t transpose, const char *name, operand *o)
{
    const int64_t rows = (int64_t)l->rows, columns = (int64_t)l->columns;
    const bool by_rows = l->order == CUBLASLT_ORDER_ROW;
    const int64_t inner = by_rows ? columns : rows, outer = by_rows ? rows : columns;
    const char *wrong = NULL;
    if (l->type != CUDA_R_32F)
        wrong = "a type other than float32";
    else if (l->order != CUBLASLT_ORDER_ROW && l->order != CUBLASLT_ORDER_COL)
        wrong = "an order that isn't emulated";
    else if (rows < 1 || columns < 1 || l->batches < 1)
        wrong = "an empty matrix";
    else if (l->stride < inner)
        wrong = "a leading dimension that is too small";
    else if (transpose != CUBLAS_OP_N && transpose != CUBLAS_OP_T)
        wrong = "an operation that isn't emulated";
    if (wrong) {
        emu_violation("%s: %s has %s", emu_call(), name, wrong);
        return false;
    }
    *o = (operand){.rows = rows,
                   .columns = columns,
                   .by_row = by_rows ? l->stride : 1,
                   .by_column = by_rows ? 1 : l->stride,
                   .batch = l->batch_stride,
                   .inner = inner,
                   .stride = l->stride,
                   .size = (outer - 1) * l->stride + inner};
    if (transpose == CUBLAS_OP_T) {
        o->rows = columns;
        o->columns = rows;
        o->by_row = by_rows ? 1 : l->stride;
        o->by_column = by_rows ? l->stride : 1;
    }
    return true;
}

static bool make_product(product *p, const operation *o, const layout *a, const layout *b, const layout *c,
                         const layout *d)
{
    if (!make_operand(a, o->transpose[0], "a", &p->a) || !make_operand(b, o->transpose[1], "b", &p->b) ||
        !make_operand(c, CUBLAS_OP_N, "c", &p->c) || !make_operand(d, CUBLAS_OP_N, "d", &p->d))
        return false;
    p->batches = d->batches;
    const char *wrong = NULL;
    if (p->a.columns != p->b.rows || p->a.rows != p->d.rows || p->b.columns != p->d.columns ||
        p->c.rows != p->d.rows || p->c.columns != p->d.columns)
        wrong = "the matrices' sizes don't fit together (transpositions?)";
    else if (a->batches != d->batches || b->batches != d->batches || c->batches != d->batches)
        wrong = "different numbers of batches";
    else if (d->batches > 1 && (p->a.batch < 0 || p->b.batch < 0 || p->c.batch < 0 || p->d.batch < 0))
        wrong = "a negative batch stride";
    else if ((o->compute != CUBLAS_COMPUTE_32F && o->compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
              o->compute != CUBLAS_COMPUTE_32F_FAST_TF32) ||
             o->scale != CUDA_R_32F)
        wrong = "a type of computation that isn't emulated";
    else if (o->pointer_mode != CUBLASLT_POINTER_MODE_HOST)
        wrong = "scalars on the device aren't emulated";
    else if (o->epilogue != CUBLASLT_EPILOGUE_DEFAULT && o->epilogue != CUBLASLT_EPILOGUE_BIAS &&
             o->epilogue != CUBLASLT_EPILOGUE_RELU && o->epilogue != CUBLASLT_EPILOGUE_RELU_BIAS)
        wrong = "an epilogue that isn't emulated";
    if (wrong)
        emu_violation("%s: %s", emu_call(), wrong);
    p->relu = o->epilogue & CUBLASLT_EPILOGUE_RELU;
    p->bias = o->epilogue & CUBLASLT_EPILOGUE_BIAS ? o->bias : NULL;
    p->bias_stride = o->bias_stride;
    return !wrong;
}

static uint64_t shape_of(const product *p)
{
    const uint64_t part[] = {(uint64_t)p->d.rows, (uint64_t)p->d.columns, (uint64_t)p->a.columns,
                             p->a.by_row == 1, p->b.by_row == 1};
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        hash = (hash ^ part[i]) * 0x100000001b3;
    return hash;
}

static bool check_operand(const operand *o, const void *data, int batches, int device, const char *name)
{
    const size_t bytes = (size_t)((batches - 1) * o->batch + o->size) * sizeof(float);
    if ((uintptr_t)data % ALIGNMENT != 0) {
        emu_violation("%s: %s isn't aligned to %d bytes", emu_call(), name, ALIGNMENT);
        return false;
    }
    return emu_check_device(data, bytes, device, name);
}

/* Whether two matrices share numbers: they may stand side by side in the rows of a wider one. */
static bool share(const operand *x, const float *x_data, const operand *y, const float *y_data)
{
    if (x_data >= y_data + y->size || y_data >= x_data + x->size)
        return false;
    if (x->stride != y->stride)
        return true;
    const int64_t stride = x->stride, offset = ((y_data - x_data) % stride + stride) % stride;
    return offset < x->inner || offset + y->inner > stride;
}

static bool overlap(const operand *x, const float *x_data, const operand *y, const float *y_data, int batches)
{
    for (int i = 0; i < batches; i++)
        for (int j = 0; j < batches; j++)
            if (share(x, x_data + i * x->batch, y, y_data + j * y->batch))
                return true;
    return false;
}

static bool overlaps_itself(const operand *x, const float *data, int batches)
{
    for (int i = 1; i < batches; i++)
        if (share(x, data, x, data + i * x->batch))
            return true;
    return false;
}

static bool check_memory(const product *p)
{
    const int device = p->task.device, n = p->batches;
    if (!check_operand(&p->a, p->a_data, n, device, "a") ||
        !check_operand(&p->b, p->b_data, n, device, "b") ||
        !check_operand(&p->d, p->d_data, n, device, "d") ||
        (p->beta != 0 && !check_operand(&p->c, p->c_data, n, device, "c")))
        return false;
    if (overlap(&p->d, p->d_data, &p->a, p->a_data, n) || overlap(&p->d, p->d_data, &p->b, p->b_data, n)) {
        emu_violation("%s: the result overlaps a factor", emu_call());
        return false;
    }
    if (overlaps_itself(&p->d, p->d_data, n)) {
        emu_violation("%s: the results of two batches overlap", emu_call());
        return false;
    }
    if (p->bias && !emu_check_device(p->bias, (size_t)((n - 1) * p->bias_stride + p->d.rows) * sizeof(float),
                                     device, "the bias"))
        return false;
    return p->workspace_bytes == 0 ||
           emu_check_device(p->workspace, p->workspace_bytes, device, "the workspace");
}

/* sum [parts, columns]: part i sums its share of the k terms of a row of a times the packed b [k, columns]. */
static void sum_row(const product *p, const float *a, const float *b, float *sum)
{
    const int64_t k_size = p->a.columns, columns = p->d.columns;
    const int parts = p->algorithm == 0 ? 1 : p->algorithm == 1 ? 2 : 4;
    memset(sum, 0, (size_t)(parts * columns) * sizeof *sum);
    for (int64_t k = 0; k < k_size; k++) {
        const float x = a[k * p->a.by_column], *row = b + k * columns;
        float *s = sum + (p->algorithm == 1 ? 2 * k / k_size : k % parts) * columns;
        for (int64_t j = 0; j < columns; j++)
            s[j] += x * row[j];
    }
    for (int part = 1; part < parts; part++)
        for (int64_t j = 0; j < columns; j++)
            sum[j] += sum[part * columns + j];
}

static void run_product(emu_task *task)
{
    const product *p = (const product *)task;
    const int64_t rows = p->d.rows, columns = p->d.columns, k_size = p->a.columns;
    if (!check_memory(p))
        return;
    float *packed = emu_allocate((size_t)(k_size * columns) * sizeof *packed),
          *sum = emu_allocate((size_t)(4 * columns) * sizeof *sum);
    if (p->workspace_bytes)
        memset(p->workspace, 0xff, p->workspace_bytes); /* it is the product's to write */
    for (int i = 0; i < p->batches; i++) {
        const float *a = p->a_data + i * p->a.batch, *b = p->b_data + i * p->b.batch;
        for (int64_t k = 0; k < k_size; k++)
            for (int64_t j = 0; j < columns; j++)
                packed[k * columns + j] = b[k * p->b.by_row + j * p->b.by_column];
        for (int64_t r = 0; r < rows; r++) {
            sum_row(p, a + r * p->a.by_row, packed, sum);
            for (int64_t j = 0; j < columns; j++) {
                float x = p->alpha * sum[j];
                if (p->beta != 0)
                    x += p->beta * p->c_data[i * p->c.batch + r * p->c.by_row + j * p->c.by_column];
                if (p->bias) /* a number a row of d */
                    x += p->bias[i * p->bias_stride + r];
                if (p->relu && x < 0)
                    x = 0;
                p->d_data[i * p->d.batch + r * p->d.by_row + j * p->d.by_column] = x;
            }
        }
    }
    free(packed);
    free(sum);
}

/* The algorithm that comes first for so many batches. */
static int first_algorithm(int batches)
{
    return batches % ALGORITHMS;
}

static void describe(const product *p, int number, cublasLtMatmulHeuristicResult_t *result)
{
    const algorithm a = {MAGIC, (uint64_t)number, workspaces[number], shape_of(p)};
    memset(result, 0, sizeof *result);
    memcpy(&result->algo, &a, sizeof a);
    result->workspaceSize = workspaces[number];
    result->state = CUBLAS_STATUS_SUCCESS;
    result->wavesCount = 1;
}

static bool find_layouts(cublasLtMatmulDesc_t o, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                         cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, product *p)
{
    const operation *found = emu_object_find(EMU_BLAS_OPERATION, o);
    const layout *l[4];
    const cublasLtMatrixLayout_t given[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        if (!(l[i] = emu_object_find(EMU_BLAS_LAYOUT, given[i])))
            return false;
    return found && make_product(p, found, l[0], l[1], l[2], l[3]);
}

EMU_API cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t o,
                                                      cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                                      cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                                      cublasLtMatmulPreference_t wanted, int asked,
                                                      cublasLtMatmulHeuristicResult_t *results, int *count)
{
    product p = {0};
    if (count)
        *count = 0;
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_EXECUTION_FAILED);
    const preference *limit = emu_object_find(EMU_BLAS_PREFERENCE, wanted);
    if (!emu_object_find(EMU_BLAS_HANDLE, h) || !limit || !find_layouts(o, a, b, c, d, &p))
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    if (asked < 1 || !results || !count)
        return leave(refuse("no results are asked for"));
    for (int i = 0; i < ALGORITHMS && *count < asked; i++) {
        const int number = (first_algorithm(p.batches) + i) % ALGORITHMS;
        if (workspaces[number] <= limit->workspace)
            describe(&p, number, &results[(*count)++]);
    }
    return leave(CUBLAS_STATUS_SUCCESS);
}

/* Products that an algorithm of another shape has been checked for. */
enum { CHECKED_MAX = 4096 };
static struct checked {
    uint64_t number, shape;
} checked[CHECKED_MAX];
static int checked_count;

static bool was_checked(uint64_t number, uint64_t shape)
{
    for (int i = 0; i < checked_count; i++)
        if (checked[i].number == number && checked[i].shape == shape)
            return true;
    return false;
}

/* Lets an algorithm that was chosen for another product, or read from a file, be used for this one. */
EMU_API cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t h, cublasLtMatmulDesc_t o,
                                               cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                               cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                               const cublasLtMatmulAlgo_t *algo,
                                               cublasLtMatmulHeuristicResult_t *result)
{
    product p = {0};
    algorithm chosen;
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_EXECUTION_FAILED);
    if (!emu_object_find(EMU_BLAS_HANDLE, h) || !algo || !result || !find_layouts(o, a, b, c, d, &p))
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    memcpy(&chosen, algo, sizeof chosen);
    if (chosen.magic != MAGIC || chosen.number >= ALGORITHMS)
        return leave(CUBLAS_STATUS_NOT_SUPPORTED);
    if (chosen.shape != shape_of(&p) && !was_checked(chosen.number, shape_of(&p))) {
        if (checked_count == CHECKED_MAX)
            abort();
        checked[checked_count++] = (struct checked){chosen.number, shape_of(&p)};
    }
    describe(&p, (int)chosen.number, result);
    return leave(CUBLAS_STATUS_SUCCESS);
}

static cublasStatus_t choose(product *p, const cublasLtMatmulAlgo_t *algo, size_t bytes)
{
    algorithm chosen;
    p->algorithm = first_algorithm(p->batches);
    if (!algo) {
        if (workspaces[p->algorithm] > bytes)
            p->algorithm = 0;
        return CUBLAS_STATUS_SUCCESS;
    }
    memcpy(&chosen, algo, sizeof chosen);
    if (chosen.magic != MAGIC || chosen.number >= ALGORITHMS)
        return refuse("no algorithm that the heuristic gave");
    if (chosen.shape != shape_of(p) && !was_checked(chosen.number, shape_of(p)))
        return refuse("the algorithm was chosen for another shape, and nobody asked whether it fits");
    if (workspaces[chosen.number] > bytes)
        return refuse("the workspace is too small for the algorithm");
    p->algorithm = (int)chosen.number;
    return CUBLAS_STATUS_SUCCESS;
}

EMU_API cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t o, const void *alpha,
                                      const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                                      cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                                      cublasLtMatrixLayout_t c_layout, void *d,
                                      cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                                      void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    product made = {0};
    char name[sizeof made.task.name];
    if (emu_enter(__func__, EMU_WORK))
        return leave(CUBLAS_STATUS_EXECUTION_FAILED);
    const handle *found = emu_object_find(EMU_BLAS_HANDLE, h);
    emu_stream *s = emu_stream_find(stream);
    if (!found || !s || !alpha || !beta || !find_layouts(o, a_layout, b_layout, c_layout, d_layout, &made))
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    if (found->device != s->device)
        return leave(refuse("the handle and the stream are of different devices"));
    memcpy(&made.alpha, alpha, sizeof made.alpha);
    memcpy(&made.beta, beta, sizeof made.beta);
    made.a_data = a;
    made.b_data = b;
    made.c_data = c;
    made.d_data = d;
    made.workspace = workspace;
    made.workspace_bytes = workspace_bytes;
    const cublasStatus_t status = choose(&made, algo, workspace_bytes);
    if (status != CUBLAS_STATUS_SUCCESS)
        return leave(status);
    if (workspace_bytes && (uintptr_t)workspace % WORKSPACE_ALIGNMENT != 0)
        return leave(refuse("the workspace isn't aligned to 256 bytes"));
    if (c == d && made.beta != 0 && memcmp(&made.c, &made.d, sizeof made.c) != 0)
        return leave(refuse("c is d, but not laid out as it"));
    made.task.device = s->device;
    if (!check_memory(&made))
        return leave(CUBLAS_STATUS_INVALID_VALUE);
    snprintf(name, sizeof name, "a product %lld x %lld x %lld", (long long)made.d.rows,
             (long long)made.d.columns, (long long)made.a.columns);
    product *p = emu_task_create(name, s->device, sizeof *p, run_product);
    const emu_task task = p->task;
    *p = made;
    p->task = task;
    emu_submit(s, &p->task);
    return leave(CUBLAS_STATUS_SUCCESS);
}
