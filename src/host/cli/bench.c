/* kappatune bench */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "cli/bench_measure.h"
#include "cli/bench_plan.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "device/cost.h"
#include "model/initialise.h"
#include "train/choices.h"

static const char command[] = "bench";

#ifndef KTI_PEAK_SIZE
#define KTI_PEAK_SIZE 4096 /* the emulated device's tests have less time */
#endif
enum { PEAK_SIZE = KTI_PEAK_SIZE, PEAK_BYTES = 16 * PEAK_SIZE * PEAK_SIZE };

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

static kt_status choose(kti_bench *b, kt_error *error)
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

static kt_status prepare(kti_bench *b, kt_error *error)
{
    const kti_bench_request *r = b->request;
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
    kti_figure step, read, built, predicted;
    kti_figure alone;              /* a fold by itself, where several run as one */
    double families[KTI_FAMILIES]; /* where they don't */
    double nodes, edges;           /* a step */
    kti_cost cost;                 /* of a step of one fold */
    kti_peak peak;                 /* zeros where the device does not measure it */
} results;

static json_t *figure_to_json(kti_figure f)
{
    return f.passes == 0 ? json_null()
                         : json_pack("{s:f, s:f, s:f, s:i}", "median", f.median, "min", f.min, "max", f.max,
                                     "passes", f.passes);
}

/* How many folds a step is of: where they don't fuse, each thread has a step of its own. */
static int folds_of(const kti_bench *b)
{
    return kti_device_fuses(b->device) ? b->request->threads : 1;
}

static double percent(double amount, double milliseconds, double peak)
{
    return 100 * amount / (milliseconds / 1e3) / peak;
}

static json_t *work_to_json(const kti_bench *b, const results *r)
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

static json_t *to_json(const kti_bench *b, const results *r)
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

static void print_rate(const char *name, kti_figure f)
{
    if (f.passes)
        printf("  %-28s %9.0f  (%.0f to %.0f)\n", name, f.median, f.min, f.max);
    else
        printf("  %-28s not measured: the data set has no CIF files\n", name);
}

static void print_work(const kti_bench *b, const results *r)
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

static void print_table(const kti_bench *b, const results *r)
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
           r->step.median, r->step.min, r->step.max);
    if (fuses)
        printf("  %-28s %9.3f  (%.3f to %.3f)\n", "ms a step of a fold alone", r->alone.median, r->alone.min,
               r->alone.max);
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

/* What a step's batch has of each kind, in the mean. */
static void count_rows(const kti_bench *b, double rows[KT_ROW_KINDS])
{
    const int steps = (b->size + b->request->batch - 1) / b->request->batch;
    rows[KT_GRAPHS] = (double)b->size / steps;
    rows[KT_NODES] = rows[KT_EDGES] = 0;
    for (int i = 0; i < b->size; i++) {
        rows[KT_NODES] += (double)b->dataset.crystals[b->chosen[i]].graph.nodes / steps;
        rows[KT_EDGES] += (double)b->dataset.crystals[b->chosen[i]].graph.edges / steps;
    }
}

static kt_status measure(kti_bench *b, results *r, kt_error *error)
{
    kti_bench_lane single;
    double rows[KT_ROW_KINDS];
    count_rows(b, rows);
    r->nodes = rows[KT_NODES];
    r->edges = rows[KT_EDGES];
    kt_status status = kti_bench_reading(b, &r->read, &r->built, error);
    const bool fuses = kti_device_fuses(b->device);
    if (status == KT_OK)
        status = kti_bench_training(b, b->request->threads, &r->step, error);
    if (status == KT_OK && fuses)
        status = kti_bench_training(b, 1, &r->alone, error);
    if (status != KT_OK)
        return status;
    status = kti_bench_lane_create(&single, b, 0, NULL, error);
    if (status == KT_OK) {
        int size;
        const kti_operation *list = kti_plan_operations(single.plan, &size);
        r->cost = kti_list_cost(list, size, rows);
        if (!fuses)
            status = kti_bench_families(&single, r->families);
        if (status == KT_OK)
            status = kti_bench_prediction(&single, &r->predicted);
        if (status != KT_OK)
            *error = single.error;
    }
    kti_bench_lane_destroy(&single);
    if (status == KT_OK)
        status = kti_device_peak(b->device, PEAK_BYTES, PEAK_SIZE, &r->peak, error);
    return status;
}

/* Where the JSON takes the table's place. */
static bool is_json_alone(const kti_bench_request *request)
{
    return request->json && strcmp(request->json, "-") == 0;
}

/* Takes the JSON. */
static kt_status write_json(const char *path, json_t *json, kt_error *error)
{
    const bool alone = strcmp(path, "-") == 0;
    char *text = json && alone ? json_dumps(json, JSON_INDENT(2)) : NULL;
    kt_status status = KT_OK;
    if (!json || (alone && !text))
        status = kti_fail_memory(error, "the figures");
    else if (alone)
        puts(text);
    else
        status = kti_json_write(path, json, error);
    free(text);
    json_decref(json);
    return status;
}

static kt_status report(const kti_bench *b, const results *r, kt_error *error)
{
    const char *path = b->request->json;
    if (!is_json_alone(b->request))
        print_table(b, r);
    return path ? write_json(path, to_json(b, r), error) : KT_OK;
}

/* The step of one lane, instead of figures. */
static kt_status show_plan(const kti_bench *b, kt_error *error)
{
    kti_bench_lane single;
    double rows[KT_ROW_KINDS];
    int size;
    kt_status status = kti_bench_lane_create(&single, b, 0, NULL, error);
    if (status != KT_OK) {
        kti_bench_lane_destroy(&single);
        return status;
    }
    count_rows(b, rows);
    const kti_operation *list = kti_plan_operations(single.plan, &size);
    json_t *plan = kti_bench_plan(list, size, rows);
    if (plan && !is_json_alone(b->request)) {
        printf("A training step on %s: %d operations, for one fold of %.1f graphs, %.1f nodes and %.1f "
               "edges\n\n",
               kti_device_description(b->device), size, rows[KT_GRAPHS], rows[KT_NODES], rows[KT_EDGES]);
        kti_bench_plan_print(plan);
    }
    if (b->request->json)
        status = write_json(b->request->json, json_incref(plan), error);
    else if (!plan)
        status = kti_fail_memory(error, "the plan");
    json_decref(plan);
    kti_bench_lane_destroy(&single);
    return status;
}

/* clang-format off */
#define AT(field) offsetof(kti_bench_request, field)

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
    {.kind = KTI_OPTION_BOOLEAN, .flag = "plan", .offset = AT(plan),
     .help = "show instead the operations of a step, as that device runs them: rows, bytes, FLOPs, shapes, and which "
             "others each one waits for"},
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

static int read_request(int argc, char **argv, kti_bench_request *r)
{
    const int exit_status = kti_command_read(&kti_bench_command, argc, argv, r);
    if (exit_status >= 0)
        return exit_status;
    return optind < argc ? kti_cli_usage(command, "`%s` is not an option", argv[optind]) : -1;
}

static int run(int argc, char **argv)
{
    kti_bench_request r = {.data = "datasets/togo15.csv", .batch = 8, .seconds = 2, .quotient = true};
    kti_bench b = {.request = &r};
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
    if (status == KT_OK && r.plan)
        status = show_plan(&b, &error);
    if (status == KT_OK && !r.plan)
        status = measure(&b, &found, &error);
    if (status == KT_OK && !r.plan)
        status = report(&b, &found, &error);
    kti_kept_destroy(&b.kept);
    free(b.graphs);
    kti_parameters_destroy(&b.parameters);
    kti_device_destroy(b.device);
    kti_dataset_destroy(&b.dataset);
    free(b.chosen);
    return status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
}
