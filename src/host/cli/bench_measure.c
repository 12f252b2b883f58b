#include "cli/bench_measure.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include <kappatune/structure.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

static kti_figure summarise(kti_passes *p)
{
    if (p->size == 0)
        return (kti_figure){NAN, NAN, NAN, 0};
    gsl_sort(p->value, 1, (size_t)p->size);
    return (kti_figure){gsl_stats_median_from_sorted_data(p->value, 1, (size_t)p->size), p->value[0],
                        p->value[p->size - 1], p->size};
}

/* ---- one pass through the crystals ---- */

kt_status kti_bench_lane_create(kti_bench_lane *l, const kti_bench *b, int index, const kti_bench_lane *first,
                                kt_error *error)
{
    const size_t batch = (size_t)b->request->batch;
    *l = (kti_bench_lane){.bench = b, .index = index};
    l->rows = kti_allocate(batch, sizeof *l->rows);
    l->predicted = kti_allocate(batch, sizeof *l->predicted);
    if (!l->rows || !l->predicted)
        return kti_fail_memory(error, "the benchmark");
    if (first)
        return kti_plan_create_sibling(first->plan, index, &l->plan, error);
    const kt_train_options training = kt_train_options_default(KT_SOUND);
    return kti_plan_create_kept(&b->kept, b->request->batch, index, (kti_parameters *)&b->parameters,
                                KTI_TARGET_KAPPA, &training, &l->plan, error);
}

void kti_bench_lane_destroy(kti_bench_lane *l)
{
    kti_plan_destroy(l->plan);
    free(l->rows);
    free(l->predicted);
}

/* Each lane begins elsewhere: folds that are one launch have batches of their own, and the largest one's grid. */
static int pick(kti_bench_lane *l, int first)
{
    const kti_bench *b = l->bench;
    const kti_batch *batch = kti_plan_batch(l->plan);
    const int shift = (int)((int64_t)l->index * b->size / b->request->threads);
    int count = 0;
    for (; count < b->request->batch && first + count < b->size; count++)
        l->rows[count] = (first + count + shift) % b->size;
    kti_plan_pick(l->plan, l->rows, count);
    for (int i = 0; i < count; i++)
        batch->kappa[i] = (kt_real)b->dataset.crystals[b->chosen[l->rows[i]]].kappa;
    return count;
}

static void set_step(kti_bench_lane *l)
{
    kt_real *step = kti_plan_step(l->plan);
    kti_plan_set_adam(l->plan, 1e-3, ++l->steps);
    step[KT_STEP_TARGET_MEAN] = 1;
    step[KT_STEP_TARGET_SD] = (kt_real)0.5;
}

void kti_bench_next_step(kti_bench_lane *l, int first)
{
    pick(l, first);
    set_step(l);
}

/* A pass of training: mean ms a step. */
static kt_status train_pass(kti_bench_lane *l, double *milliseconds)
{
    int steps = 0;
    const double started = kti_seconds();
    for (int first = 0; first < l->bench->size; first += l->bench->request->batch, steps++) {
        kt_real result[KT_RESULT_VALUES];
        kti_bench_next_step(l, first);
        kt_status status = kti_plan_train(l->plan, l->index, result, &l->error);
        if (status != KT_OK)
            return status;
    }
    *milliseconds = 1e3 * (kti_seconds() - started) / steps;
    return KT_OK;
}

static void *train_lane(void *argument)
{
    kti_bench_lane *l = argument;
    double time;
    /* One pass to warm up, then as many as fit. */
    kt_status status = train_pass(l, &time);
    const double started = kti_seconds();
    while (status == KT_OK && l->times.size < KTI_MAX_PASSES &&
           (l->times.size < 3 || kti_seconds() - started < l->bench->request->seconds)) {
        status = train_pass(l, &time);
        l->times.value[l->times.size++] = time;
    }
    kti_device_leave(l->bench->device, l->index);
    return NULL;
}

kt_status kti_bench_training(const kti_bench *b, int threads, kti_figure *step, kt_error *error)
{
    kti_bench_lane *lanes = kti_allocate((size_t)threads, sizeof *lanes);
    pthread_t *handles = kti_allocate((size_t)threads, sizeof *handles);
    kti_passes *all = kti_allocate(1, sizeof *all);
    int made = 0, started = 0;
    kt_status status = lanes && handles && all ? KT_OK : kti_fail_memory(error, "the benchmark");
    for (; made < threads && status == KT_OK; made++)
        status = kti_bench_lane_create(&lanes[made], b, made, made > 0 ? &lanes[0] : NULL, error);
    for (int i = 0; i < made && status == KT_OK; i++)
        kti_device_enter(b->device, i);
    for (; started < made && status == KT_OK; started++)
        if (pthread_create(&handles[started], NULL, train_lane, &lanes[started]) != 0) {
            status = kti_fail(error, KT_IO, "a thread cannot be started");
            break;
        }
    for (int i = started; i < made; i++)
        kti_device_leave(b->device, i);
    for (int i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    for (int i = 0; i < made; i++) {
        if (status == KT_OK && lanes[i].error.status != KT_OK) {
            status = lanes[i].error.status;
            *error = lanes[i].error;
        }
        for (int j = 0; j < lanes[i].times.size && status == KT_OK && all->size < KTI_MAX_PASSES; j++)
            all->value[all->size++] = lanes[i].times.value[j];
    }
    for (int i = made - 1; i >= 0; i--)
        kti_bench_lane_destroy(&lanes[i]);
    if (status == KT_OK)
        *step = summarise(all);
    free(lanes);
    free(handles);
    free(all);
    return status;
}

kt_status kti_bench_families(kti_bench_lane *l, double families[KTI_FAMILIES])
{
    int size, steps = 0;
    const kti_operation *list = kti_plan_operations(l->plan, &size);
    const double started = kti_seconds();
    memset(families, 0, KTI_FAMILIES * sizeof *families);
    do {
        for (int first = 0; first < l->bench->size; first += l->bench->request->batch, steps++) {
            kt_real result[KT_RESULT_VALUES];
            kti_bench_next_step(l, first);
            kt_status status = kti_plan_train(l->plan, 0, result, &l->error); /* uploads the batch */
            for (int i = 0; i < size && status == KT_OK; i++) {
                const double before = kti_seconds();
                const kti_job job = {.list = &list[i], .size = 1, .count = 1};
                status = kti_device_run(l->bench->device, 0, &job, &l->error);
                families[list[i].family] += 1e3 * (kti_seconds() - before);
            }
            if (status != KT_OK)
                return status;
        }
    } while (kti_seconds() - started < l->bench->request->seconds);
    for (int i = 0; i < KTI_FAMILIES; i++)
        families[i] /= steps;
    return KT_OK;
}

kt_status kti_bench_prediction(kti_bench_lane *l, kti_figure *rate)
{
    kti_passes *p = kti_allocate(1, sizeof *p);
    if (!p)
        return kti_fail_memory(&l->error, "the benchmark");
    kt_status status = KT_OK;
    const double started = kti_seconds();
    while (status == KT_OK && p->size < KTI_MAX_PASSES &&
           (p->size < 3 || kti_seconds() - started < l->bench->request->seconds)) {
        const double before = kti_seconds();
        for (int first = 0; first < l->bench->size && status == KT_OK; first += l->bench->request->batch) {
            pick(l, first);
            status = kti_plan_predict(l->plan, 0, l->predicted, &l->error);
        }
        p->value[p->size++] = l->bench->size / (kti_seconds() - before);
    }
    *rate = summarise(p);
    free(p);
    return status;
}

kt_status kti_bench_reading(const kti_bench *b, kti_figure *read, kti_figure *built, kt_error *error)
{
    kti_passes *p = kti_allocate(2, sizeof *p);
    kt_structure *structures = kti_allocate((size_t)b->size, sizeof *structures);
    kti_graph_options options = kti_graph_options_default();
    options.quotient = b->request->quotient;
    kt_status status = p && structures ? KT_OK : kti_fail_memory(error, "the benchmark");
    const double started = kti_seconds();
    bool files = kti_is_folder(b->request->data);
    while (status == KT_OK && files && p->size < KTI_MAX_PASSES &&
           (p->size < 3 || kti_seconds() - started < b->request->seconds)) {
        int found = 0;
        double before = kti_seconds();
        for (int i = 0; i < b->size && status == KT_OK; i++) {
            char name[512];
            snprintf(name, sizeof name, "%s/%s.cif", b->request->data, b->dataset.crystals[b->chosen[i]].id);
            if (kti_file_exists(name))
                status = kt_structure_read(name, &structures[found++], error);
        }
        const double middle = kti_seconds();
        for (int i = 0; i < found && status == KT_OK; i++) {
            kti_graph graph = {0};
            status = kti_graph_create(&structures[i], &options, NULL, &graph, error);
            kti_graph_destroy(&graph);
        }
        files = found > 0;
        if (files) {
            p[0].value[p[0].size++] = found / (middle - before);
            p[1].value[p[1].size++] = found / (kti_seconds() - middle);
        }
        for (int i = 0; i < found; i++)
            kt_structure_destroy(&structures[i]);
        memset(structures, 0, (size_t)b->size * sizeof *structures);
    }
    if (status == KT_OK) {
        *read = summarise(&p[0]);
        *built = summarise(&p[1]);
    }
    free(p);
    free(structures);
    return status;
}
