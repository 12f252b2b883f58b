/* kappatune bench */
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <jansson.h>

#include <kappatune/structure.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "data/dataset.h"
#include "device/cost.h"
#include "model/initialise.h"
#include "train/choices.h"
#include "train/plan.h"

static const char command[] = "bench";

typedef struct request {
    const char *data, *ids, *json, *device;
    int batch, threads;
    double seconds;
    bool quotient;
} request;

/* Median, least and greatest over passes. */
typedef struct figure {
    double median, least, greatest;
    int passes;
} figure;

#ifndef KTI_PEAK_SIZE
#define KTI_PEAK_SIZE 4096 /* the emulated device's tests have less time */
#endif
enum { MOST_PASSES = 4096, PEAK_SIZE = KTI_PEAK_SIZE, PEAK_BYTES = 16 * PEAK_SIZE * PEAK_SIZE };

typedef struct passes {
    double value[MOST_PASSES];
    int size;
} passes;

typedef struct bench {
    const request *request;
    kti_dataset dataset;
    int *chosen, size; /* the crystals to time on */
    kti_device *device;
    kti_parameters parameters;
    const kti_graph **graphs; /* [size] */
    kti_kept kept;            /* they, on the device */
} bench;

static figure summarise(passes *p)
{
    if (p->size == 0)
        return (figure){NAN, NAN, NAN, 0};
    gsl_sort(p->value, 1, (size_t)p->size);
    return (figure){gsl_stats_median_from_sorted_data(p->value, 1, (size_t)p->size), p->value[0],
                    p->value[p->size - 1], p->size};
}

/* ---- one pass through the crystals ---- */

typedef struct lane {
    const bench *bench;
    int index;
    kti_plan *plan;
    int32_t *rows;      /* [batch] */
    kt_real *predicted; /* [batch] */
    int64_t steps;
    passes times; /* mean ms of a step */
    kt_error error;
} lane;

/* `first` is another lane, whose plan's memory a GPU shares, or NULL. */
static kt_status lane_create(lane *l, const bench *b, int index, const lane *first, kt_error *error)
{
    const size_t batch = (size_t)b->request->batch;
    *l = (lane){.bench = b, .index = index};
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

static void lane_destroy(lane *l)
{
    kti_plan_destroy(l->plan);
    free(l->rows);
    free(l->predicted);
}

/* Each lane begins elsewhere: folds that are one launch have batches of their own, and the largest one's grid. */
static int pick(lane *l, int first)
{
    const bench *b = l->bench;
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

static void set_step(lane *l)
{
    kt_real *step = kti_plan_step(l->plan);
    kti_plan_set_adam(l->plan, 1e-3, ++l->steps);
    step[KT_STEP_TARGET_MEAN] = 1;
    step[KT_STEP_TARGET_SD] = (kt_real)0.5;
}

/* A pass of training: mean ms a step. */
static kt_status train_pass(lane *l, double *milliseconds)
{
    int steps = 0;
    const double started = kti_seconds();
    for (int first = 0; first < l->bench->size; first += l->bench->request->batch, steps++) {
        kt_real result[KT_RESULT_VALUES];
        pick(l, first);
        set_step(l);
        kt_status status = kti_plan_train(l->plan, l->index, result, &l->error);
        if (status != KT_OK)
            return status;
    }
    *milliseconds = 1e3 * (kti_seconds() - started) / steps;
    return KT_OK;
}

static void *train_lane(void *argument)
{
    lane *l = argument;
    double time;
    /* One pass to warm up, then as many as fit. */
    kt_status status = train_pass(l, &time);
    const double started = kti_seconds();
    while (status == KT_OK && l->times.size < MOST_PASSES &&
           (l->times.size < 3 || kti_seconds() - started < l->bench->request->seconds)) {
        status = train_pass(l, &time);
        l->times.value[l->times.size++] = time;
    }
    kti_device_leave(l->bench->device, l->index);
    return NULL;
}

/* Every thread trains a fold of its own; the figure is over the passes of all of them. */
static kt_status time_training(const bench *b, int threads, figure *step, kt_error *error)
{
    lane *lanes = kti_allocate((size_t)threads, sizeof *lanes);
    pthread_t *handles = kti_allocate((size_t)threads, sizeof *handles);
    passes *all = kti_allocate(1, sizeof *all);
    int made = 0, started = 0;
    kt_status status = lanes && handles && all ? KT_OK : kti_fail_memory(error, "the benchmark");
    for (; made < threads && status == KT_OK; made++)
        status = lane_create(&lanes[made], b, made, made > 0 ? &lanes[0] : NULL, error);
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
        for (int j = 0; j < lanes[i].times.size && status == KT_OK && all->size < MOST_PASSES; j++)
            all->value[all->size++] = lanes[i].times.value[j];
    }
    for (int i = made - 1; i >= 0; i--)
        lane_destroy(&lanes[i]);
    if (status == KT_OK)
        *step = summarise(all);
    free(lanes);
    free(handles);
    free(all);
    return status;
}

/* Mean ms a step of each family, timed operation by operation. */
static kt_status time_families(lane *l, double families[KTI_FAMILIES])
{
    int size, steps = 0;
    const kti_operation *list = kti_plan_operations(l->plan, &size);
    const double started = kti_seconds();
    memset(families, 0, KTI_FAMILIES * sizeof *families);
    do {
        for (int first = 0; first < l->bench->size; first += l->bench->request->batch, steps++) {
            kt_real result[KT_RESULT_VALUES];
            pick(l, first);
            set_step(l);
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

/* Crystals a second through one member, graphs at hand. */
static kt_status time_prediction(lane *l, figure *rate)
{
    passes *p = kti_allocate(1, sizeof *p);
    if (!p)
        return kti_fail_memory(&l->error, "the benchmark");
    kt_status status = KT_OK;
    const double started = kti_seconds();
    while (status == KT_OK && p->size < MOST_PASSES &&
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

/* Crystals a second read from CIF files, and turned into graphs; no passes where there are no such files. */
static kt_status time_reading(const bench *b, figure *read, figure *built, kt_error *error)
{
    passes *p = kti_allocate(2, sizeof *p);
    kt_structure *structures = kti_allocate((size_t)b->size, sizeof *structures);
    kti_graph_options options = kti_graph_options_default();
    options.quotient = b->request->quotient;
    kt_status status = p && structures ? KT_OK : kti_fail_memory(error, "the benchmark");
    const double started = kti_seconds();
    bool files = kti_is_folder(b->request->data);
    while (status == KT_OK && files && p->size < MOST_PASSES &&
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

/* ---- what to time on ---- */

/* Whether `id` is a line of the list. */
static bool is_listed(const char *list, const char *id)
{
    const size_t length = strlen(id);
    for (const char *at = strstr(list, id); at; at = strstr(at + 1, id))
        if ((at == list || at[-1] == '\n') &&
            (at[length] == '\0' || at[length] == '\n' || at[length] == '\r'))
            return true;
    return false;
}

static kt_status choose(bench *b, kt_error *error)
{
    char *list = NULL;
    size_t length = 0;
    kt_status status = KT_OK;
    if (b->request->ids)
        status = kti_file_read(b->request->ids, 1 << 24, &list, &length, error);
    b->chosen = kti_allocate((size_t)b->dataset.size, sizeof *b->chosen);
    if (!b->chosen && status == KT_OK)
        status = kti_fail_memory(error, "the benchmark");
    for (int i = 0; i < b->dataset.size && status == KT_OK; i++)
        if (!list || is_listed(list, b->dataset.crystals[i].id))
            b->chosen[b->size++] = i;
    if (status == KT_OK && b->size == 0)
        status =
            kti_fail_file(error, KT_BAD_ARGUMENT, b->request->ids, "names no crystal of %s", b->dataset.name);
    free(list);
    return status;
}

static kt_status prepare(bench *b, kt_error *error)
{
    const request *r = b->request;
    kti_dataset_options options = kti_dataset_options_default();
    options.graph.quotient = r->quotient;
    kt_status status = kti_dataset_read(r->data, &options, &b->dataset, error);
    if (status == KT_OK)
        status = choose(b, error);
    if (status == KT_OK)
        status = kti_device_create(r->device, r->threads, &b->device, error);
    if (status == KT_OK)
        status = kti_parameters_create(b->device, r->threads, 1, &b->parameters, error);
    const size_t numbers = (size_t)b->parameters.layout.size;
    kt_real *arena = status == KT_OK ? kti_allocate(numbers, sizeof *arena) : NULL;
    b->graphs = kti_allocate((size_t)b->size, sizeof *b->graphs);
    if (status == KT_OK && (!arena || !b->graphs))
        status = kti_fail_memory(error, "the benchmark");
    for (int fold = 0; fold < r->threads && status == KT_OK; fold++) {
        kti_initialise(&b->parameters.layout, arena, KTI_ALL_PARTS, 42, fold, 0);
        status = kti_parameters_upload(&b->parameters, KTI_ROLE_VALUE, fold, arena, error);
    }
    for (int i = 0; i < b->size && status == KT_OK; i++)
        b->graphs[i] = &b->dataset.crystals[b->chosen[i]].graph;
    if (status == KT_OK)
        status = kti_kept_create(b->device, b->graphs, b->size, &b->kept, error);
    free(arena);
    return status;
}

/* ---- results ---- */

typedef struct results {
    figure step, read, built, predicted;
    figure alone;                  /* a fold by itself, where several run as one */
    double families[KTI_FAMILIES]; /* where they don't */
    double nodes, edges;           /* a step */
    kti_cost cost;                 /* of a step of one fold */
    kti_peak peak;                 /* zeros where the device does not measure it */
} results;

static json_t *figure_to_json(figure f)
{
    return f.passes == 0 ? json_null()
                         : json_pack("{s:f, s:f, s:f, s:i}", "median", f.median, "min", f.least, "max",
                                     f.greatest, "passes", f.passes);
}

/* How many folds a step is of: where they don't fuse, each thread has a step of its own. */
static int folds_of(const bench *b)
{
    return kti_device_fuses(b->device) ? b->request->threads : 1;
}

static double percent(double amount, double milliseconds, double peak)
{
    return 100 * amount / (milliseconds / 1e3) / peak;
}

static json_t *work_to_json(const bench *b, const results *r)
{
    const double bytes = folds_of(b) * r->cost.bytes, flops = folds_of(b) * r->cost.flops,
                 ms = r->step.median;
    json_t *json = json_pack("{s:i, s:f, s:f}", "launches", r->cost.launches, "bytes", bytes, "flops", flops);
    if (r->peak.bytes_per_second > 0)
        json_object_update_new(
            json, json_pack("{s:f, s:f, s:f, s:f}", "peak_bytes_per_second", r->peak.bytes_per_second,
                            "peak_flops_per_second", r->peak.flops_per_second, "percent_of_peak_bytes",
                            percent(bytes, ms, r->peak.bytes_per_second), "percent_of_peak_flops",
                            percent(flops, ms, r->peak.flops_per_second)));
    return json;
}

static json_t *to_json(const bench *b, const results *r)
{
    json_t *families = kti_device_fuses(b->device) ? json_null() : json_object();
    for (int i = 0; i < KTI_FAMILIES && json_is_object(families); i++)
        json_object_set_new(families, kti_family_name((kti_family)i), json_real(r->families[i]));
    json_t *choices = kti_device_chooses(b->device) ? kti_choices_to_json(b->device) : json_null();
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:b, s:{s:o, s:o, s:f, s:f, s:f, s:o}, s:o, s:{s:o, s:o, s:o}, s:o}",
        "device", kti_device_description(b->device), "dataset", b->dataset.name, "crystals", b->size, "batch",
        b->request->batch, "threads", b->request->threads, "quotient", b->request->quotient, "step", "ms",
        figure_to_json(r->step), "ms_of_a_fold_alone", figure_to_json(r->alone), "per_second",
        1e3 * b->request->threads / r->step.median, "nodes", r->nodes, "edges", r->edges, "work",
        work_to_json(b, r), "families_ms", families, "crystals_per_second", "read", figure_to_json(r->read),
        "built", figure_to_json(r->built), "predicted", figure_to_json(r->predicted), "choices", choices);
}

static void print_rate(const char *name, figure f)
{
    if (f.passes)
        printf("  %-28s %9.0f  (%.0f to %.0f)\n", name, f.median, f.least, f.greatest);
    else
        printf("  %-28s not measured: the data set has no CIF files\n", name);
}

static void print_work(const bench *b, const results *r)
{
    const double bytes = folds_of(b) * r->cost.bytes, flops = folds_of(b) * r->cost.flops,
                 ms = r->step.median;
    printf("  %-28s %9.2f\n", "million bytes a step", bytes / 1e6);
    printf("  %-28s %9.2f\n", "million FLOPs a step", flops / 1e6);
    if (r->peak.bytes_per_second == 0)
        return;
    printf("  %-28s %9d\n", "launches a step", r->cost.launches);
    printf("  %-28s %9.1f  (%.0f GB/s, measured on a copy)\n", "% of the peak bandwidth",
           percent(bytes, ms, r->peak.bytes_per_second), r->peak.bytes_per_second / 1e9);
    printf("  %-28s %9.1f  (%.1f TFLOP/s, measured on a matrix product)\n", "% of the peak arithmetic",
           percent(flops, ms, r->peak.flops_per_second), r->peak.flops_per_second / 1e12);
}

/* How long each way of a shape takes, the chosen one marked. */
static void print_choices(kti_device *device)
{
    const int count = kti_device_choices(device, NULL, 0);
    kti_choice *choices = kti_allocate((size_t)count, sizeof *choices);
    if (!choices)
        return;
    kti_device_choices(device, choices, count);
    printf("\n%-60s", "microseconds by own kernels and libraries; *: taken");
    for (int way = 0; way < KTI_WAYS; way++)
        printf(" %9s ", kti_way_name((kti_way)way));
    printf("\n");
    for (int i = 0; i < count; i++) {
        printf("  %-58s", choices[i].shape);
        for (int way = 0; way < KTI_WAYS; way++)
            if (choices[i].microseconds[way] > 0)
                printf(" %9.2f%c", choices[i].microseconds[way], (int)choices[i].way == way ? '*' : ' ');
            else
                printf(" %9s ", "-");
        printf("\n");
    }
    free(choices);
}

static void print_table(const bench *b, const results *r)
{
    const bool fuses = kti_device_fuses(b->device);
    double sum = 0;
    for (int i = 0; i < KTI_FAMILIES; i++)
        sum += r->families[i];
    printf("%d crystals of %s, batch %d (%.1f nodes and %.1f edges a step), %s, %d %s%s, %s\n\n", b->size,
           b->dataset.name, b->request->batch, r->nodes, r->edges,
           b->request->quotient ? "quotient" : "full graphs", b->request->threads, fuses ? "fold" : "thread",
           b->request->threads == 1 ? "" : "s", kti_device_description(b->device));
    printf("training step                median of %d passes (least to greatest)\n", r->step.passes);
    printf("  %-28s %9.3f  (%.3f to %.3f)\n", fuses ? "ms a step of all folds" : "ms a step and thread",
           r->step.median, r->step.least, r->step.greatest);
    if (fuses)
        printf("  %-28s %9.3f  (%.3f to %.3f)\n", "ms a step of a fold alone", r->alone.median,
               r->alone.least, r->alone.greatest);
    printf("  %-28s %9.0f\n", "steps of a fold a second", 1e3 * b->request->threads / r->step.median);
    print_work(b, r);
    if (!fuses)
        printf("\nparts of a step                     ms      %%\n");
    for (int i = 0; i < KTI_FAMILIES && !fuses; i++)
        printf("  %-28s %9.4f  %5.1f\n", kti_family_name((kti_family)i), r->families[i],
               100 * r->families[i] / sum);
    printf("\ncrystals a second            one thread\n");
    print_rate("read from CIF", r->read);
    print_rate("turned into graphs", r->built);
    print_rate("predicted, one member", r->predicted);
    if (kti_device_chooses(b->device))
        print_choices(b->device);
}

static kt_status measure(bench *b, results *r, kt_error *error)
{
    lane single;
    int steps = (b->size + b->request->batch - 1) / b->request->batch;
    for (int i = 0; i < b->size; i++) {
        r->nodes += (double)b->dataset.crystals[b->chosen[i]].graph.nodes / steps;
        r->edges += (double)b->dataset.crystals[b->chosen[i]].graph.edges / steps;
    }
    kt_status status = time_reading(b, &r->read, &r->built, error);
    const bool fuses = kti_device_fuses(b->device);
    if (status == KT_OK)
        status = time_training(b, b->request->threads, &r->step, error);
    if (status == KT_OK && fuses)
        status = time_training(b, 1, &r->alone, error);
    if (status != KT_OK)
        return status;
    status = lane_create(&single, b, 0, NULL, error);
    if (status == KT_OK) {
        const double rows[KT_ROW_KINDS] = {
            [KT_GRAPHS] = (double)b->size / steps, [KT_NODES] = r->nodes, [KT_EDGES] = r->edges};
        int size;
        const kti_operation *list = kti_plan_operations(single.plan, &size);
        r->cost = kti_list_cost(list, size, rows);
        if (!fuses)
            status = time_families(&single, r->families);
        if (status == KT_OK)
            status = time_prediction(&single, &r->predicted);
        if (status != KT_OK)
            *error = single.error;
    }
    lane_destroy(&single);
    if (status == KT_OK)
        status = kti_device_peak(b->device, PEAK_BYTES, PEAK_SIZE, &r->peak, error);
    return status;
}

static kt_status report(const bench *b, const results *r, kt_error *error)
{
    const char *path = b->request->json;
    const bool instead = path && strcmp(path, "-") == 0;
    json_t *json = path ? to_json(b, r) : NULL;
    char *text = json && instead ? json_dumps(json, JSON_INDENT(2)) : NULL;
    kt_status status = KT_OK;
    if (!instead)
        print_table(b, r);
    if (path && (!json || (instead && !text)))
        status = kti_fail_memory(error, "the figures");
    else if (instead)
        puts(text);
    else if (path)
        status = kti_json_write(path, json, error);
    free(text);
    json_decref(json);
    return status;
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "data", .offset = AT(data), .argument = "DIR_OR_TABLE",
     .help = "crystals to time on (default: datasets/togo15.csv)"},
    {.kind = KTI_OPTION_TEXT, .flag = "ids", .offset = AT(ids), .argument = "FILE",
     .help = "only these, one id a line"},
    {.kind = KTI_OPTION_INTEGER, .flag = "batch", .offset = AT(batch), .argument = "N", .min = 1, .max = 4096,
     .help = "crystals a step (default 8)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(threads), .argument = "N", .min = 1,
     .max = 1024,
     .help = "workers that train a fold each (default 1); on a GPU, folds that run as one (default 9)"},
    {.kind = KTI_OPTION_NUMBER, .flag = "seconds", .offset = AT(seconds), .argument = "S", .min = 0,
     .max = 3600,
     .help = "time spent on each figure (default 2)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "no-quotient", .offset = AT(quotient),
     .help = "full graphs instead of their exact symmetry quotients"},
    {.kind = KTI_OPTION_TEXT, .flag = "device", .offset = AT(device), .argument = "NAME",
     .help = "cpu (default), cuda, cuda-cublas, cuda-cudnn or cuda-auto, whose choices are shown"},
    {.kind = KTI_OPTION_TEXT, .flag = "json", .offset = AT(json), .argument = "FILE",
     .help = "write the figures as JSON; - for standard output, instead of the table"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_bench_command = {
    .name = "bench",
    .summary = "time the steps of training on this machine",
    .arguments = NULL,
    .about =
        "Times a training step, its parts, and reading, building and predicting crystals, on this machine.",
    .notes =
        "A figure is the median over passes through the crystals, with the least and the greatest; a step's "
        "time is the mean of the pass. Weights are random; the parts are timed one operation at a time and "
        "add up to a little more. On a GPU there are no parts; a step is timed for one fold alone and for "
        "all folds as one.",
    .options = {option_table},
    .run = run,
};

static int read_request(int argc, char **argv, request *r)
{
    const int exit_status = kti_command_read(&kti_bench_command, argc, argv, r);
    if (exit_status >= 0)
        return exit_status;
    return optind < argc ? kti_cli_usage(command, "`%s` is not an option", argv[optind]) : -1;
}

static int run(int argc, char **argv)
{
    request r = {.data = "datasets/togo15.csv", .batch = 8, .seconds = 2, .quotient = true};
    bench b = {.request = &r};
    results found = {0};
    kt_error error = KT_ERROR_NONE;
    int exit_status = read_request(argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    if (r.threads == 0)
        r.threads = kti_device_name_fuses(r.device) ? 9 : 1;
    kt_status status = kti_name_find(KTI_DATA, r.data, &r.data, &error);
    if (status == KT_OK && r.json)
        status = kti_cli_spare(r.json, "{", &error);
    if (status == KT_OK)
        status = prepare(&b, &error);
    if (status == KT_OK)
        status = measure(&b, &found, &error);
    if (status == KT_OK)
        status = report(&b, &found, &error);
    kti_kept_destroy(&b.kept);
    free(b.graphs);
    kti_parameters_destroy(&b.parameters);
    kti_device_destroy(b.device);
    kti_dataset_destroy(&b.dataset);
    free(b.chosen);
    return status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
}
