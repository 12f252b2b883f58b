/* Our matrix products beside OpenBLAS and libxsmm, on the shapes of a training step.
 *
 * usage: bench_gemm [SECONDS_A_SHAPE]     (default 0.3)
 *
 * Every product of a step is one of three forms (device/operation.h). For each shape the three libraries take
 * turns, so that a slow moment of the machine hits all of them; a figure is the median GFLOP/s over the
 * turns. One thread each. OPENBLAS_CORETYPE=SkylakeX in the environment gives OpenBLAS its AVX-512 kernels
 * where it would not take them itself.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <libxsmm.h>

#include "base/clock.h"
#include "device/device.h"
#include "model/layout.h"

extern void openblas_set_num_threads(int threads);
extern char *openblas_get_corename(void);

typedef struct shape {
    const char *what;
    kt_product product;
    int rows, out, in; /* of the layer */
} shape;

static const shape shapes[] = {
    {"edges, first layer of the encoder", KT_FORWARD, 146, 64, 100},
    {"edges, middle layer", KT_FORWARD, 146, 64, 64},
    {"edges, middle layer", KT_INPUT_GRADIENT, 146, 64, 64},
    {"edges, middle layer", KT_WEIGHT_GRADIENT, 146, 64, 64},
    {"edges, last layer", KT_FORWARD, 146, 32, 64},
    {"nodes, middle layer", KT_FORWARD, 26, 64, 64},
    {"nodes, middle layer", KT_INPUT_GRADIENT, 26, 64, 64},
    {"nodes, middle layer", KT_WEIGHT_GRADIENT, 26, 64, 64},
    {"states, first layer", KT_FORWARD, 8, 64, 96},
    {"head, 450 to 350", KT_FORWARD, 8, 350, 450},
    {"head, 450 to 350", KT_INPUT_GRADIENT, 8, 350, 450},
    {"head, 450 to 350", KT_WEIGHT_GRADIENT, 8, 350, 450},
    {"head, 350 to 350", KT_FORWARD, 8, 350, 350},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0], MAX_TURNS = 2000, LARGEST = 512 * 512 };

typedef struct operands {
    float *features, *weights, *gradients, *result; /* strides are round_up16 of the columns */
} operands;

static void ours(kti_device *device, const shape *s, const operands *o, const int32_t *rows)
{
    const int in = kti_round_up16(s->in), out = kti_round_up16(s->out);
    const kt_matrix features = {o->features, 0, in}, weights = {o->weights, 0, in},
                    gradients = {o->gradients, 0, out};
    kti_operation operation = {.kind = KTI_OP_GEMM};
    kt_gemm *g = &operation.arguments.gemm;
    g->product = s->product;
    g->rows = (kt_count){rows, 0, s->rows, KT_EDGES};
    switch (s->product) {
    case KT_FORWARD:
        *g = (kt_gemm){KT_FORWARD, g->rows, 0, s->out, s->in, features, weights, {o->result, 0, out}, 0};
        break;
    case KT_INPUT_GRADIENT:
        *g = (kt_gemm){KT_INPUT_GRADIENT,  g->rows, 0, s->in, s->out, gradients, weights,
                       {o->result, 0, in}, 0};
        break;
    case KT_WEIGHT_GRADIENT:
        *g = (kt_gemm){KT_WEIGHT_GRADIENT, g->rows, s->out, s->in, 0, gradients, features,
                       {o->result, 0, in}, 0};
        break;
    }
    const kti_job job = {.list = &operation, .size = 1, .count = 1};
    kti_device_run(device, 0, &job, NULL);
}

static void openblas(const shape *s, const operands *o)
{
    const int in = kti_round_up16(s->in), out = kti_round_up16(s->out);
    if (s->product == KT_FORWARD)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s->rows, s->out, s->in, 1, o->features, in,
                    o->weights, in, 0, o->result, out);
    else if (s->product == KT_INPUT_GRADIENT)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s->rows, s->in, s->out, 1, o->gradients, out,
                    o->weights, in, 0, o->result, in);
    else
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, s->out, s->in, s->rows, 1, o->gradients, out,
                    o->features, in, 0, o->result, in);
}

/* libxsmm is column-major, so c^T = op(b)^T op(a)^T. Its generated kernels take no transposed first operand
 * in this version; such products go through its general entry, which falls back to BLAS. */
static void xsmm(const shape *s, const operands *o)
{
    const libxsmm_blasint in = kti_round_up16(s->in), out = kti_round_up16(s->out);
    const libxsmm_blasint rows = s->rows, m_out = s->out, m_in = s->in;
    const float one = 1, zero = 0;
    if (s->product == KT_FORWARD)
        libxsmm_sgemm("T", "N", &m_out, &rows, &m_in, &one, o->weights, &in, o->features, &in, &zero,
                      o->result, &out);
    else if (s->product == KT_INPUT_GRADIENT)
        libxsmm_sgemm("N", "N", &m_in, &rows, &m_out, &one, o->weights, &in, o->gradients, &out, &zero,
                      o->result, &in);
    else
        libxsmm_sgemm("N", "T", &m_in, &m_out, &rows, &one, o->features, &in, o->gradients, &out, &zero,
                      o->result, &in);
}

static void fill(float *data, int size, unsigned seed)
{
    for (int i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(seed >> 8) / 16777216.0f - 0.5f;
    }
}

/* Zeros beyond the columns, as the network's memory has them. */
static void clear_padding(float *data, int rows, int columns)
{
    const int stride = kti_round_up16(columns);
    for (int r = 0; r < rows; r++)
        memset(data + (size_t)r * (size_t)stride + columns, 0, (size_t)(stride - columns) * sizeof *data);
}

static double median(double *values, int size)
{
    gsl_sort(values, 1, (size_t)size);
    return gsl_stats_median_from_sorted_data(values, 1, (size_t)size);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"forward", "input gradient", "weight gradient"};
    static double rate[3][MAX_TURNS];
    const double budget = argc > 1 ? atof(argv[1]) : 0.3;
    kt_error error = KT_ERROR_NONE;
    kti_device *device;
    operands o = {aligned_alloc(64, LARGEST * sizeof(float)), aligned_alloc(64, LARGEST * sizeof(float)),
                  aligned_alloc(64, LARGEST * sizeof(float)), aligned_alloc(64, LARGEST * sizeof(float))};
    if (!o.features || !o.weights || !o.gradients || !o.result ||
        kti_device_create("cpu", 1, &device, &error) != KT_OK) {
        fprintf(stderr, "bench_gemm: not enough memory\n");
        return 1;
    }
    openblas_set_num_threads(1);
    libxsmm_init();
    printf("kappatune %s, OpenBLAS %s, libxsmm %s; median GFLOP/s\n\n", kti_device_description(device),
           openblas_get_corename(), libxsmm_get_target_arch());
    printf("| layer | product | rows x out x in | kappatune | OpenBLAS | libxsmm |\n| --- | --- | --- | --- "
           "| --- | --- |\n");
    for (int i = 0; i < SHAPES; i++) {
        const shape *s = &shapes[i];
        const int32_t rows = s->rows;
        const double work = 2.0 * s->rows * s->out * s->in;
        const int repeats = (int)ceil(2e6 / work) * 4;
        int turns = 0;
        fill(o.features, LARGEST, 1);
        fill(o.weights, LARGEST, 2);
        fill(o.gradients, LARGEST, 3);
        clear_padding(o.features, s->rows, s->in);
        clear_padding(o.weights, s->out, s->in);
        clear_padding(o.gradients, s->rows, s->out);
        const double started = kti_seconds();
        while (turns < MAX_TURNS && (turns < 5 || kti_seconds() - started < budget)) {
            for (int library = 0; library < 3; library++) {
                const double before = kti_seconds();
                for (int r = 0; r < repeats; r++) {
                    if (library == 0)
                        ours(device, s, &o, &rows);
                    else if (library == 1)
                        openblas(s, &o);
                    else
                        xsmm(s, &o);
                }
                rate[library][turns] = work * repeats / (kti_seconds() - before) / 1e9;
            }
            turns++;
        }
        printf("| %s | %s | %d x %d x %d | %.0f | %.0f | %.0f |\n", s->what, names[s->product], s->rows,
               s->out, s->in, median(rate[0], turns), median(rate[1], turns), median(rate[2], turns));
    }
    libxsmm_finalize();
    kti_device_destroy(device);
    free(o.features);
    free(o.weights);
    free(o.gradients);
    free(o.result);
    return 0;
}
