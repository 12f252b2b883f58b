/* kappatune data */
#include "cli/data.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/text.h"
#include "crystal/elements.h"
#include "data/dataset.h"
#include "report/dataset_summary.h"

enum { MAX_THREADS = 1024, MAX_ROWS = 100000 /* a page of AFLOW */ };

typedef struct request {
    const char *path, *rejects;
    kti_output format;
    bool formatted;
    int threads; /* 0: all processors */
    kti_cli_fetch_request fetch;
} request;

static int processors(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > MAX_THREADS ? MAX_THREADS : (int)online;
}

static kt_status read_data(const request *r, kti_dataset *dataset, kt_error *error)
{
    kti_dataset_options options = kti_dataset_options_default();
    const char *path;
    options.threads = r->threads > 0 ? r->threads : processors();
    kt_status status = kti_name_find(KTI_DATA, r->path, &path, error);
    return status == KT_OK ? kti_dataset_read(path, &options, dataset, error) : status;
}

/* Names the rejects; returns the exit status that they call for. */
static int name_rejects(const kti_dataset *dataset)
{
    for (int i = 0; i < dataset->rejected; i++)
        kti_cli_fail(&dataset->rejects[i].error);
    return dataset->rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

static int check(const request *r)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset = {0};
    int exit_status = KTI_EXIT_FAILED;
    kt_status status = r->rejects ? kti_cli_spare(r->rejects, "id,line,file,reason", &error) : KT_OK;
    if (status == KT_OK)
        status = read_data(r, &dataset, &error);
    if (status == KT_OK && r->rejects)
        status = kti_dataset_write_rejects(&dataset, r->rejects, &error);
    if (status == KT_OK) {
        exit_status = name_rejects(&dataset);
        printf("%s: %d crystal%s can be used, %d rejected\n", r->path, dataset.size,
               dataset.size == 1 ? "" : "s", dataset.rejected);
    } else {
        exit_status = kti_cli_fail(&error);
    }
    kti_dataset_destroy(&dataset);
    return exit_status;
}

/* ---- as a table ---- */

static void print_histogram(const kti_statistics *s, int size)
{
    enum { WIDTH = 40 };
    int first = 0, last = KTI_DECADES - 1, max = 1;
    while (first < last && s->decade[first] == 0)
        first++;
    while (last > first && s->decade[last] == 0)
        last--;
    for (int i = first; i <= last; i++)
        if (s->decade[i] > max)
            max = s->decade[i];
    for (int i = first; i <= last; i++) {
        const int bar = s->decade[i] > 0 ? 1 + (WIDTH - 1) * s->decade[i] / max : 0;
        printf("  %7g .. %-7g %6d %5.1f %%  ", pow(10, KTI_FIRST_DECADE + i),
               pow(10, KTI_FIRST_DECADE + i + 1), s->decade[i], 100.0 * s->decade[i] / size);
        for (int j = 0; j < bar; j++)
            putchar('#');
        putchar('\n');
    }
}

static void add_size_row(kti_table *table, const char *name, kti_size_summary full, kti_size_summary quotient)
{
    kti_table_add(table, "%s", name);
    kti_table_add(table, "%.1f", full.mean);
    kti_table_add(table, "%lld", (long long)full.max);
    kti_table_add(table, "%.1f", quotient.mean);
    kti_table_add(table, "%lld", (long long)quotient.max);
}

static kt_status print_sizes(const kti_statistics *s, kt_error *error)
{
    kti_table table = {.columns = 5, .left = 1};
    static const char *const header[] = {"per crystal", "mean", "max", "quotient mean", "max"};
    for (int i = 0; i < table.columns; i++)
        kti_table_add(&table, "%s", header[i]);
    add_size_row(&table, "sites", s->sites, s->quotient_nodes);
    add_size_row(&table, "neighbours", s->edges, s->quotient_edges);
    const bool lost = table.out_of_memory;
    if (!lost)
        kti_table_print(&table, 0);
    kti_table_destroy(&table);
    return lost ? kti_fail_memory(error, "a table") : KT_OK;
}

/* Symbols of the chosen elements, in lines of 24. */
static void print_elements(const bool chosen[KTI_ATOMIC_NUMBERS + 1])
{
    int printed = 0;
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++)
        if (chosen[number])
            printf("%s%s", printed++ % 24 == 0 ? (printed > 1 ? "\n  " : "  ") : " ",
                   kti_element_symbol(number));
    putchar('\n');
}

static int count_chosen(const bool chosen[KTI_ATOMIC_NUMBERS + 1])
{
    int count = 0;
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++)
        count += chosen[number];
    return count;
}

static kt_status print_duplicates(const kti_dataset *dataset, const kti_statistics *s, kt_error *error)
{
    if (s->pairs_size == 0) {
        puts("no two crystals look the same to the network");
        return KT_OK;
    }
    kti_table table = {.columns = 5, .left = 3};
    static const char *const header[] = {"formula", "id", "same as", "kappa", "kappa"};
    for (int i = 0; i < table.columns; i++)
        kti_table_add(&table, "%s", header[i]);
    for (size_t i = 0; i < s->pairs_size; i++) {
        const kti_crystal *first = &dataset->crystals[s->pairs[i].first],
                          *second = &dataset->crystals[s->pairs[i].second];
        kti_table_add(&table, "%s", second->formula);
        kti_table_add(&table, "%s", second->id);
        kti_table_add(&table, "%s", first->id);
        kti_table_add(&table, "%.4g", second->kappa);
        kti_table_add(&table, "%.4g", first->kappa);
    }
    const bool lost = table.out_of_memory;
    if (!lost) {
        printf("%zu crystal%s look%s to the network like another one (equal quotient graphs):\n",
               s->pairs_size, s->pairs_size == 1 ? "" : "s", s->pairs_size == 1 ? "s" : "");
        kti_table_print(&table, 2);
    }
    kti_table_destroy(&table);
    return lost ? kti_fail_memory(error, "a table") : KT_OK;
}

static kt_status print_table(const kti_dataset *dataset, const kti_statistics *s, kt_error *error)
{
    bool covered[KTI_ATOMIC_NUMBERS + 1] = {false}, missing[KTI_ATOMIC_NUMBERS + 1] = {false};
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++) {
        covered[number] = s->crystals_with[number] > 0;
        missing[number] = !covered[number] && kti_element_type(number) >= 0;
    }
    printf("%s: %d crystals, %d rejected\n\n", dataset->name, dataset->size, dataset->rejected);
    printf("kappa, W/(m K): min %.4g, median %.4g, mean %.4g, max %.4g\n", s->min, s->median, s->mean,
           s->max);
    print_histogram(s, dataset->size);
    putchar('\n');
    kt_status status = print_sizes(s, error);
    printf("\nelements covered: %d of the %d that the network knows\n", count_chosen(covered),
           KTI_ELEMENT_TYPES);
    print_elements(covered);
    if (count_chosen(missing) > 0) {
        puts("elements that no crystal holds:");
        print_elements(missing);
    }
    if (count_chosen(s->outside) > 0) {
        puts("elements of rejected crystals that the network does not know:");
        print_elements(s->outside);
    }
    putchar('\n');
    return status == KT_OK ? print_duplicates(dataset, s, error) : status;
}

/* ---- as JSON ---- */

static json_t *size_to_json(kti_size_summary size)
{
    return json_pack("{s:f, s:I}", "mean", size.mean, "max", (json_int_t)size.max);
}

static kt_status print_json(const kti_dataset *dataset, const kti_statistics *s, kt_error *error)
{
    json_t *histogram = json_array(), *elements = json_object(), *outside = json_array(),
           *pairs = json_array();
    int lost = 0;
    for (int i = 0; i < KTI_DECADES; i++)
        if (s->decade[i] > 0)
            lost |= json_array_append_new(
                histogram, json_pack("{s:f, s:f, s:i}", "from", pow(10, KTI_FIRST_DECADE + i), "to",
                                     pow(10, KTI_FIRST_DECADE + i + 1), "crystals", s->decade[i]));
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++) {
        if (s->crystals_with[number] > 0)
            lost |= json_object_set_new(elements, kti_element_symbol(number),
                                        json_integer(s->crystals_with[number]));
        if (s->outside[number])
            lost |= json_array_append_new(outside, json_string(kti_element_symbol(number)));
    }
    for (size_t i = 0; i < s->pairs_size; i++)
        lost |= json_array_append_new(
            pairs, json_pack("[o, o]", kti_json_text(dataset->crystals[s->pairs[i].first].id),
                             kti_json_text(dataset->crystals[s->pairs[i].second].id)));
    json_t *root = json_pack(
        "{s:o, s:i, s:i, s:{s:s, s:f, s:f, s:f, s:f, s:o}, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "dataset",
        kti_json_text(dataset->name), "crystals", dataset->size, "rejected", dataset->rejected, "kappa",
        "units", "W/(m K)", "min", s->min, "median", s->median, "mean", s->mean, "max", s->max, "histogram",
        histogram, "sites", size_to_json(s->sites), "edges", size_to_json(s->edges), "quotient_nodes",
        size_to_json(s->quotient_nodes), "quotient_edges", size_to_json(s->quotient_edges), "elements",
        elements, "elements_outside", outside, "duplicates", pairs);
    if (root && !lost)
        kti_json_print(root);
    json_decref(root);
    return root && !lost ? KT_OK : kti_fail_memory(error, "the statistics");
}

static int show_statistics(const request *r)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset = {0};
    kti_statistics s = {0};
    int exit_status = KTI_EXIT_FAILED;
    kt_status status = read_data(r, &dataset, &error);
    if (status == KT_OK)
        status = kti_describe_dataset(&dataset, &s, &error);
    if (status == KT_OK) {
        exit_status = name_rejects(&dataset);
        status = r->format == KTI_OUTPUT_JSON ? print_json(&dataset, &s, &error)
                                              : print_table(&dataset, &s, &error);
    }
    if (status != KT_OK)
        exit_status = kti_cli_fail(&error);
    kti_statistics_destroy(&s);
    kti_dataset_destroy(&dataset);
    return exit_status;
}

/* ---- the command ---- */

static const char *const actions[] = {"check", "stats", "fetch", NULL};

static bool take_format(void *target, const char *flag, const char *value)
{
    request *r = target;
    return kti_option_format(flag, value, kti_table_or_json, &r->format, &r->formatted);
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "rejects", .offset = AT(rejects), .argument = "FILE", .group = "check",
     .help = "write the rejected rows as CSV too: id,line,file,reason"},
    {.kind = KTI_OPTION_OTHER, .flag = "format", .argument = "NAME", .choices = kti_table_or_json, .group = "stats",
     .take = take_format,
     .help = "table (default) or json"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(threads), .argument = "N", .min = 1,
     .max = MAX_THREADS, .group = "check and stats",
     .help = "threads that read files (default: all processors)"},
    {.kind = KTI_OPTION_TEXT, .flag = "out", .letter = 'o', .offset = AT(fetch.out), .argument = "DIR",
     .group = "fetch",
     .help = "the folder: new, empty, or one that fetch has begun"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "force", .offset = AT(fetch.force),
     .help = "fill another folder all the same"},
    {.kind = KTI_OPTION_LONG, .flag = "limit", .offset = AT(fetch.limit), .argument = "N", .min = 1,
     .max = INFINITY,
     .help = "no more than N entries, those of least kappa first (default: all)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "page-size", .offset = AT(fetch.page_size), .argument = "N", .min = 1,
     .max = MAX_ROWS,
     .help = "entries a request (default 1000)"},
    {.kind = KTI_OPTION_TEXT, .flag = "url", .offset = AT(fetch.url), .argument = "BASE",
     .help = "another server with API/aflux/ and AFLOWDATA/ (default: https://aflow.org)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "quiet", .offset = AT(fetch.quiet),
     .help = "no progress"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_data_command = {
    .name = "data",
    .summary = "check, describe and fetch data sets",
    .arguments = "check DATA\n"
                 "stats DATA\n"
                 "fetch aflow --out DIR",
    .about =
        "check reads every row and names those that cannot be used, with the reason (exit status 3 if there "
        "are any).\n"
        "\n"
        "stats describes the crystals: kappa, sizes of the graphs and of their symmetry quotients, "
        "elements, and crystals that the network cannot tell apart.\n"
        "\n"
        "fetch downloads AFLOW's entries with a quasi-harmonic thermal conductivity, and their crystals, "
        "into a folder that check reads (agl_thermal_conductivity_300K, through AFLUX; CC BY 4.0; Rose et "
        "al., Comput. Mater. Sci. 137 (2017) 362).\n"
        "\n"
        "DATA is a folder with id_prop.csv (id,kappa) and one structure file a row, or a table of crystals: "
        "a .csv with the columns formula, kappa, id and prototype, a, c, u; or space_group, a, b, c, "
        "alpha, beta, gamma, sites (one site of each orbit, as in \"Zn 1/3 2/3 0; S 1/3 2/3 0.3748\"). "
        "What a crystal does not need stays empty. datasets/README.md has the prototypes and the columns. "
        "Or DATA is the name of a table that comes with kappatune: togo15, hh143, kappa103, "
        "bte_literature, experiments. kappa in W/(m K).",
    .notes = "When fetch is stopped, by Ctrl-C too, the same command goes on and downloads nothing twice. "
             "Entries that cannot be had stand in DIR/rejects.csv (exit status 3) and are tried again. One "
             "connection, with pauses; a busy server is waited for; proxies as in https_proxy and no_proxy.\n"
             "\n"
             "Examples:\n"
             "  kappatune data check my_crystals/ --rejects rejects.csv\n"
             "  kappatune data stats togo15\n"
             "  kappatune data fetch aflow --out aflow",
    .options = {option_table},
    .actions = actions,
    .run = run,
};

static int run_fetch(const char *command, const request *r, const char *name)
{
    static const char *const names[] = {"aflow", NULL};
    if (kti_option_choice("fetch", name, names) < 0)
        return KTI_EXIT_USAGE;
    if (r->rejects || r->formatted || r->threads > 0)
        return kti_cli_usage(command, "--rejects, --format and --threads belong to check and stats");
    if (!r->fetch.out)
        return kti_cli_usage(command, "fetch needs --out, the folder to fill");
    return kti_cli_fetch_aflow(&r->fetch);
}

static int run(int argc, char **argv)
{
    request r = {.fetch = {0}};
    const int exit_status = kti_command_read(&kti_data_command, argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    if (optind == argc)
        return kti_cli_usage(argv[0], "say what to do: check, stats or fetch");
    const int action = kti_option_choice("data", argv[optind], actions);
    if (action < 0)
        return KTI_EXIT_USAGE;
    if (argc - optind != 2)
        return kti_cli_usage(argv[0], "%s takes one data set, not %d", actions[action], argc - optind - 1);
    r.path = argv[optind + 1];
    if (action == 2)
        return run_fetch(argv[0], &r, r.path);
    if (r.fetch.out || r.fetch.url || r.fetch.limit || r.fetch.page_size || r.fetch.quiet || r.fetch.force)
        return kti_cli_usage(argv[0],
                             "--out, --limit, --page-size, --url, --quiet and --force belong to fetch");
    if (action == 0)
        return r.formatted ? kti_cli_usage(argv[0], "--format belongs to stats") : check(&r);
    return r.rejects ? kti_cli_usage(argv[0], "--rejects belongs to check") : show_statistics(&r);
}
