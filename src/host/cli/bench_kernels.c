#include "cli/bench_kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"

enum { COPIES = 16, REGIONS = 1 + KTI_ROLES };

/* ---- all that an operation may change, on the host ---- */

typedef struct region {
    void *memory; /* the device's */
    size_t first, numbers;
} region;

typedef struct state {
    kti_device *device;
    region region[REGIONS];
    int regions;
    size_t numbers;
    kt_real *before, *usual, *other; /* [numbers] */
} state;

static void add_region(state *s, void *memory, size_t bytes)
{
    const size_t numbers = bytes / sizeof(kt_real);
    if (!memory || numbers == 0)
        return;
    s->region[s->regions++] = (region){memory, s->numbers, numbers};
    s->numbers += numbers;
}

static kt_status create_state(state *s, const kti_bench_lane *l, kt_error *error)
{
    const kti_parameters *p = &l->bench->parameters;
    const size_t arena = (size_t)p->folds * (size_t)p->layout.size * sizeof(kt_real);
    void *workspace;
    size_t bytes;
    kti_plan_workspace(l->plan, &workspace, &bytes);
    *s = (state){.device = l->bench->device};
    add_region(s, workspace, bytes);
    add_region(s, p->value, arena);
    add_region(s, p->moment1, arena);
    add_region(s, p->moment2, arena);
    add_region(s, p->average, arena);
    s->before = kti_allocate(s->numbers, sizeof *s->before);
    s->usual = kti_allocate(s->numbers, sizeof *s->usual);
    s->other = kti_allocate(s->numbers, sizeof *s->other);
    return s->before && s->usual && s->other ? KT_OK : kti_fail_memory(error, "the kernels' check");
}

static void destroy_state(state *s)
{
    free(s->before);
    free(s->usual);
    free(s->other);
}

static kt_status fetch(const state *s, kt_real *to, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < s->regions && status == KT_OK; i++)
        status = kti_device_download(s->device, to + s->region[i].first, s->region[i].memory,
                                     s->region[i].numbers * sizeof *to, error);
    return status;
}

static kt_status put_back(const state *s, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < s->regions && status == KT_OK; i++)
        status = kti_device_upload(s->device, s->region[i].memory, s->before + s->region[i].first,
                                   s->region[i].numbers * sizeof *s->before, error);
    return status;
}

/* Other numbers in the workspace of the first fold, which runs, but for its batch: else what an operation would make stands there
 * from the step before, and one that makes nothing would pass. */
static void spoil(state *s, const kti_bench_lane *l)
{
    const bool fuses = kti_device_fuses(s->device);
    const size_t folds = fuses ? (size_t)l->bench->parameters.folds : 1;
    const size_t first = kti_plan_batch(l->plan)->bytes / sizeof *s->before;
    for (size_t i = first; i < s->region[0].numbers / folds; i++)
        s->before[i] *= (kt_real)(1 + (double)(i % 31 + 1) / 256);
}

/* ---- whether a variation does the same ---- */

/* Of instruction sets, which round other products, relative to the greatest result: terms of a sum may cancel. */
static const double tolerance = 1e-5;

/* The greatest number that the operation has made there. */
static double magnitude_of(const state *s, const region *r)
{
    double max = 0;
    for (size_t i = r->first; i < r->first + r->numbers; i++)
        if (memcmp(&s->before[i], &s->usual[i], sizeof *s->usual) != 0 && isfinite(s->usual[i]))
            max = fmax(max, fabs((double)s->usual[i]));
    return max;
}

static bool is_close(const state *s, const region *r)
{
    const double magnitude = magnitude_of(s, r);
    for (size_t i = r->first; i < r->first + r->numbers; i++) {
        const double x = (double)s->other[i], y = (double)s->usual[i];
        if (memcmp(&s->other[i], &s->usual[i], sizeof *s->usual) != 0 &&
            !(isfinite(x) && fabs(x - y) <= tolerance * (fabs(y) + magnitude)))
            return false;
    }
    return true;
}

static bool is_same(const state *s, bool bits)
{
    if (bits)
        return memcmp(s->usual, s->other, s->numbers * sizeof *s->usual) == 0;
    for (int i = 0; i < s->regions; i++)
        if (!is_close(s, &s->region[i]))
            return false;
    return true;
}

static kt_status run(const kti_bench_lane *l, const kti_operation *list, int size, kt_error *error)
{
    const kti_batch *batch = kti_plan_batch(l->plan);
    const kti_job job = {.list = list,
                         .size = size,
                         .count = 1,
                         .rows = {[KT_GRAPHS] = *batch->graph_count,
                                  [KT_NODES] = *batch->node_count,
                                  [KT_EDGES] = *batch->edge_count}};
    const kt_status status = kti_device_run(l->bench->device, 0, &job, error);
    kti_device_forget(l->bench->device, list);
    return status;
}

static kt_status run_from_before(const kti_bench_lane *l, const state *s, const kti_operation *one,
                                 kt_real *to, kt_error *error)
{
    kt_status status = put_back(s, error);
    if (status == KT_OK)
        status = run(l, one, 1, error);
    return status == KT_OK ? fetch(s, to, error) : status;
}

static kt_status check(const kti_bench_lane *l, const state *s, const kti_operation *one, const char *name,
                       kt_error *error)
{
    kti_device *device = l->bench->device;
    kti_variation variation;
    kt_status status = run_from_before(l, s, one, s->usual, error);
    for (int v = 0; v < kti_device_variations(device) && status == KT_OK; v++) {
        kti_device_vary(device, v, &variation);
        status = run_from_before(l, s, one, s->other, error);
        if (status == KT_OK && !is_same(s, variation.same_bits))
            status = kti_fail(error, KT_DEVICE, "%s by %s gives %s than as usual, on %s: it was not timed",
                              name, variation.name, variation.same_bits ? "other bits" : "something else",
                              kti_device_description(device));
    }
    kti_device_vary(device, -1, &variation);
    return status;
}

/* ---- time ---- */

/* Copies one behind the other, so that on a GPU their launches are one. */
static kt_status time_one(const kti_bench_lane *l, const state *s, const kti_operation *one,
                          double *microseconds, kt_error *error)
{
    const kti_batch *batch = kti_plan_batch(l->plan);
    kti_operation *list = kti_allocate(COPIES, sizeof *list);
    const kti_job job = {.list = list,
                         .size = COPIES,
                         .count = 1,
                         .rows = {[KT_GRAPHS] = *batch->graph_count,
                                  [KT_NODES] = *batch->node_count,
                                  [KT_EDGES] = *batch->edge_count}};
    if (!list)
        return kti_fail_memory(error, "the kernels' times");
    for (int i = 0; i < COPIES; i++)
        list[i] = *one;
    kt_status status = put_back(s, error);
    if (status == KT_OK)
        status = kti_device_run(l->bench->device, 0, &job, error); /* to warm up, and to capture it */
    double min = INFINITY;
    const double started = kti_seconds(), allowed = l->bench->request->seconds / 20;
    for (int pass = 0; status == KT_OK && (pass < 3 || kti_seconds() - started < allowed); pass++) {
        const double before = kti_seconds();
        status = kti_device_run(l->bench->device, 0, &job, error);
        min = fmin(min, kti_seconds() - before);
    }
    *microseconds = 1e6 * min / COPIES;
    kti_device_forget(l->bench->device, list);
    free(list);
    return status;
}

/* ---- all of them ---- */

static bool is_alike(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"operation", "rows", "shape", "stands_for"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
            return false;
    return true;
}

static bool has_alike(const json_t *kernels, const json_t *one)
{
    size_t i;
    const json_t *other;
    json_array_foreach(kernels, i, other)
    {
        if (is_alike(other, one))
            return true;
    }
    return false;
}

static kt_status add_kernel(kti_bench_lane *l, const state *s, const kti_operation *operation,
                            const json_t *described, json_t *kernels, kt_error *error)
{
    kti_operation one = *operation;
    double microseconds = 0;
    one.waits = 0;
    kt_status status = check(l, s, &one, json_string_value(json_object_get(described, "operation")), error);
    if (status == KT_OK)
        status = time_one(l, s, &one, &microseconds, error);
    if (status != KT_OK)
        return status;
    json_t *made = json_copy((json_t *)described);
    json_object_set_new(made, "variations", json_integer(kti_device_variations(l->bench->device)));
    json_object_set_new(made, "microseconds", json_real(microseconds));
    return json_array_append_new(kernels, made) == 0 ? KT_OK : kti_fail_memory(error, "the kernels' times");
}

kt_status kti_bench_kernels(kti_bench_lane *l, const json_t *plan, json_t **kernels, kt_error *error)
{
    int size;
    state s;
    kt_real result[KT_RESULT_VALUES];
    const kti_operation *list = kti_plan_operations(l->plan, &size);
    *kernels = json_array();
    kt_status status = create_state(&s, l, error);
    kti_bench_next_step(l, 0);
    if (status == KT_OK)
        status = kti_plan_train(l->plan, 0, result, error);
    if (status == KT_OK)
        status = fetch(&s, s.before, error);
    if (status == KT_OK)
        spoil(&s, l);
    for (int i = 0; i < size && status == KT_OK; i++) {
        const json_t *described = json_array_get(plan, (size_t)i);
        if (json_number_value(json_object_get(described, "launches")) > 0 && !has_alike(*kernels, described))
            status = add_kernel(l, &s, &list[i], described, *kernels, error);
    }
    destroy_state(&s);
    if (status != KT_OK) {
        json_decref(*kernels);
        *kernels = NULL;
    }
    return status;
}

void kti_bench_kernels_print(const json_t *kernels)
{
    size_t i, k;
    const json_t *one, *part;
    printf("%-20s %-7s %7s %10s %8s %8s  %s\n", "operation", "rows", "checked", "us", "GB/s", "GFLOP/s",
           "reads, = makes (columns)");
    json_array_foreach(kernels, i, one)
    {
        const double us = json_number_value(json_object_get(one, "microseconds"));
        printf("%-20s %-7s %7d %10.2f %8.1f %8.1f  %s\n",
               json_string_value(json_object_get(one, "operation")),
               json_string_value(json_object_get(one, "rows")),
               (int)json_integer_value(json_object_get(one, "variations")), us,
               json_number_value(json_object_get(one, "bytes")) / us / 1e3,
               json_number_value(json_object_get(one, "flops")) / us / 1e3,
               json_string_value(json_object_get(one, "shape")));
        json_array_foreach(json_object_get(one, "stands_for"), k, part)
        {
            printf("  %-18s %-7s %36s  %s\n", json_string_value(json_object_get(part, "operation")),
                   json_string_value(json_object_get(part, "rows")), "",
                   json_string_value(json_object_get(part, "shape")));
        }
    }
}
