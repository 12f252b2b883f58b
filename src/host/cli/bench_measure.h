/* What `kappatune bench` measures: a step, its parts, prediction, reading. */
#ifndef KTI_CLI_BENCH_MEASURE_H
#define KTI_CLI_BENCH_MEASURE_H

#include <stdbool.h>

#include "data/dataset.h"
#include "train/plan.h"

typedef struct kti_bench_request {
    const char *data, *ids, *json, *device;
    int batch, threads;
    double seconds;
    bool quotient;
    bool plan; /* is shown instead */
} kti_bench_request;

/* Median, least and greatest over passes. */
typedef struct kti_figure {
    double median, min, max;
    int passes;
} kti_figure;

enum { KTI_MAX_PASSES = 4096 };

typedef struct kti_passes {
    double value[KTI_MAX_PASSES];
    int size;
} kti_passes;

typedef struct kti_bench {
    const kti_bench_request *request;
    kti_dataset dataset;
    int *chosen, size; /* the crystals to time on */
    kti_device *device;
    kti_parameters parameters;
    const kti_graph **graphs; /* [size] */
    kti_kept kept;            /* they, on the device */
} kti_bench;

/* A lane of the device, with a plan of its own. */
typedef struct kti_bench_lane {
    const kti_bench *bench;
    int index;
    kti_plan *plan;
    int32_t *rows;      /* [batch] */
    kt_real *predicted; /* [batch] */
    int64_t steps;
    kti_passes times; /* mean ms of a step */
    kt_error error;
} kti_bench_lane;

/* `first` is another lane, whose plan's memory a GPU shares, or NULL. Destroyed by the caller after a failure, too. */
kt_status kti_bench_lane_create(kti_bench_lane *l, const kti_bench *b, int index, const kti_bench_lane *first,
                                kt_error *error);
void kti_bench_lane_destroy(kti_bench_lane *l);

/* A training step's batch of up to request->batch crystals from number `first` on, and its numbers, in the lane's host memory. */
void kti_bench_next_step(kti_bench_lane *l, int first);

/* Every thread trains a fold of its own; the figure is over the passes of all of them. */
kt_status kti_bench_training(const kti_bench *b, int threads, kti_figure *step, kt_error *error);

/* Mean ms a step of each family, timed operation by operation. */
kt_status kti_bench_families(kti_bench_lane *l, double families[KTI_FAMILIES]);

/* Crystals a second through one member, graphs at hand. */
kt_status kti_bench_prediction(kti_bench_lane *l, kti_figure *rate);

/* Crystals a second read from CIF files, and turned into graphs; no passes where there are no such files. */
kt_status kti_bench_reading(const kti_bench *b, kti_figure *read, kti_figure *built, kt_error *error);

#endif
