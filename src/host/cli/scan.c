/* kappatune scan */
#include "cli/scan.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/ranking.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/ranks.h"
#include "cli/stop.h"
#include "cli/text.h"
#include "crystal/reader.h"
#include "report/scan_summary.h"
#include "scan/scan.h"

enum { MAX_SHOWN = 100000, MAX_THREADS = 1024 };

typedef struct request {
    kti_scan_options scan;
    int64_t top, lowest;
    kti_progress bar;
    bool quiet, progress;
    char *rejects; /* owned */
} request;

/* ---- the rows to show ---- */

typedef struct row {
    char *text[3]; /* id, formula, atoms; owned */
    double mean, sd;
} row;

static void destroy_row(void *item)
{
    row *r = item;
    for (int i = 0; i < 3; i++)
        free(r->text[i]);
    free(r);
}

/* Where a scan has what a shown row tells. */
typedef struct places {
    int text[3], mean, sd;
} places;

/* Scans of this program have all of them. */
static bool find_places(const kti_csv *csv, places *p)
{
    kti_prediction_header header;
    if (!kti_scan_header(csv, &header) || header.formula < 0)
        return false;
    *p = (places){.text = {0, header.formula, -1}, .mean = header.mean, .sd = header.sd};
    for (int i = 0; i < csv->fields && i < KTI_CSV_FIELDS; i++)
        if (strcmp(csv->field[i], "atoms") == 0)
            p->text[2] = i;
    return p->text[2] >= 0;
}

/* Keeps a copy of the row if it belongs there. */
static kt_status keep(kti_ranking *list, bool min, const kti_csv *csv, const places *p, kt_error *error)
{
    const double mean = kti_number_or_nan(csv->field[p->mean]), value = min ? -mean : mean;
    if (!kti_ranking_takes(list, value))
        return KT_OK;
    row *copy = kti_allocate(1, sizeof *copy);
    if (!copy)
        return kti_fail_memory(error, "the rows to show");
    *copy = (row){.mean = mean, .sd = kti_number_or_nan(csv->field[p->sd])};
    bool copied = true;
    for (int i = 0; i < 3; i++)
        copied = (copy->text[i] = kti_duplicate_text(csv->field[p->text[i]])) && copied;
    if (!copied) {
        destroy_row(copy);
        return kti_fail_memory(error, "the rows to show");
    }
    kti_ranking_add(list, value, copy);
    return KT_OK;
}

/* The rows with the greatest means of a scan's file, or with the least. */
static kt_status rank_rows(const char *path, bool min, kti_ranking *list, kt_error *error)
{
    kti_csv csv;
    places p = {0};
    bool found;
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return KT_OK; /* a pipe or a device: what went there is gone */
    kt_status status = kti_csv_open_stream(path, &csv, error);
    csv.field_limit = 1 << 18; /* a path in an archive is as long as it likes */
    if (status == KT_OK)
        status = kti_csv_next(&csv, &found, error);
    if (status == KT_OK && !(found && find_places(&csv, &p)))
        status = kti_fail_file(error, KT_BAD_FORMAT, path, "has not the header of a scan");
    const int fields = csv.fields;
    while (status == KT_OK && (status = kti_csv_next(&csv, &found, error)) == KT_OK && found)
        if (csv.fields == fields)
            status = keep(list, min, &csv, &p, error);
    kti_csv_close(&csv);
    return status;
}

static kt_status show_some(const request *r, bool min, kt_error *error)
{
    kti_ranking list;
    kti_table table = {.columns = 5, .left = 2};
    kt_status status = kti_ranking_create((int)(min ? r->lowest : r->top), destroy_row, &list, error);
    if (status == KT_OK)
        status = rank_rows(r->scan.out, min, &list, error);
    const bool kappa = r->scan.model_options.property == KT_KAPPA;
    kti_table_add(&table, "id");
    kti_table_add(&table, "formula");
    kti_table_add(&table, "atoms");
    kti_table_add(&table, "%s", kappa ? "kappa, W/(m K)" : "eform, eV/atom");
    kti_table_add(&table, "std");
    for (int i = 0; i < list.size && status == KT_OK; i++) {
        const row *shown = list.entry[i].item;
        for (int k = 0; k < 3; k++)
            kti_table_add(&table, "%s", shown->text[k]);
        kti_table_add(&table, "%.4g", shown->mean);
        kti_table_add(&table, "%.4g", shown->sd);
    }
    if (status == KT_OK && table.out_of_memory)
        status = kti_fail_memory(error, "the rows to show");
    if (status == KT_OK) {
        printf("%s:\n", min ? "least" : "greatest");
        kti_table_print(&table, 0);
    }
    kti_table_destroy(&table);
    kti_ranking_destroy(&list);
    return status;
}

/* ---- the scan ---- */

static int show(void *user, const kti_scan_progress *p)
{
    request *r = user;
    char detail[96];
    const double part = p->bytes_total > 0 ? (double)p->bytes_done / (double)p->bytes_total : 0;
    const double left = part > 0 && part <= 1 ? p->seconds * (1 - part) / part : -1;
    snprintf(detail, sizeof detail, "%lld crystals, %lld rejected, %.0f a second", (long long)p->done,
             (long long)p->rejected, p->crystals_a_second);
    /* The last bytes may be read long before the last crystal is done: the bar ends with the scan. */
    kti_progress_show(&r->bar, p->bytes_done < p->bytes_total ? p->bytes_done : p->bytes_total - 1,
                      p->bytes_total > 0 ? p->bytes_total : 1, left, detail);
    return kti_stop_asked();
}

static int scan(request *r)
{
    kt_error error = KT_ERROR_NONE;
    kti_scan_result result;
    kti_stop_on_signals();
    r->scan.progress = show;
    r->scan.user = r;
    kt_status status = kti_scan(&r->scan, &result, &error);
    kti_progress_end(&r->bar);
    if (status != KT_OK)
        return kti_cli_fail_together(r->scan.ranks, &error);
    if (!kti_communicator_is_root(r->scan.ranks))
        return KTI_EXIT_DONE;
    if (!r->bar.quiet)
        fprintf(stderr, "%lld crystals, %lld rows in %s, %lld rejected in %s, %.1f s\n",
                (long long)result.done, (long long)result.written, r->scan.out, (long long)result.rejected,
                r->scan.rejects, result.seconds);
    if (r->top > 0)
        status = show_some(r, false, &error);
    if (status == KT_OK && r->lowest > 0)
        status = show_some(r, true, &error);
    if (status != KT_OK)
        return kti_cli_fail(&error);
    return result.rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

/* ---- the command ---- */

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "out", .offset = AT(scan.out), .argument = "FILE", .group = "Files",
     .help = "rows, CSV (default scan.csv)"},
    {.kind = KTI_OPTION_TEXT, .flag = "rejects", .offset = AT(scan.rejects), .argument = "FILE",
     .help = "what could not be used, with the reason, CSV (default: FILE.rejects.csv of --out FILE.csv)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "resume", .offset = AT(scan.resume),
     .help = "go on with a scan that was stopped or killed, to the same files"},
    {.kind = KTI_OPTION_NUMBER, .flag = "below", .offset = AT(scan.below), .argument = "K", .min = -INFINITY,
     .max = INFINITY, .group = "Rows and columns",
     .help = "a row only for crystals whose mean is below K"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "features", .offset = AT(scan.features),
     .help = "further columns about the crystal: volume, densities, masses, elements, space group, Debye temperature, "
             "Slack's estimate of kappa (docs/columns.md)"},
    {.kind = KTI_OPTION_LONG, .flag = "top", .offset = AT(top), .argument = "N", .min = 1, .max = MAX_SHOWN,
     .help = "show the N rows with the greatest mean when it is done"},
    {.kind = KTI_OPTION_LONG, .flag = "lowest", .offset = AT(lowest), .argument = "N", .min = 1,
     .max = MAX_SHOWN,
     .help = "show the N rows with the least mean when it is done"},
    {.kind = KTI_OPTION_CHOICE, .flag = "property", .offset = AT(scan.model_options.property),
     .argument = "NAME", .choices = kti_property_names, .group = "Prediction",
     .help = "kappa (default), W/(m K), or eform, the formation energy, eV/atom"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(scan.threads), .argument = "N", .min = 1,
     .max = MAX_THREADS,
     .help = "workers (default: all processors)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "no-quotient", .offset = AT(scan.model_options.quotient),
     .help = "full graphs instead of their exact symmetry quotients: the same values, slower"},
    {.kind = KTI_OPTION_WORD, .flag = "device", .offset = AT(scan.model_options.device), .argument = "NAME",
     .choices = kti_device_names,
     .help = "cpu (default), cuda, cuda-cublas or cuda-cudnn"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "quiet", .offset = AT(quiet), .group = "Messages",
     .help = "no progress"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "progress", .offset = AT(progress),
     .help = "a progress bar also where there is no terminal"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_scan_command = {
    .name = "scan",
    .summary = "crystals of folders, archives and lists, a row of a table each",
    .arguments = "MODEL SOURCE...",
    .about =
        "Predicts however many crystals, and writes a row each to a file as it goes.\n"
        "\n"
        "MODEL is a run folder (each of its folds is a member), a weights file, or a model's name.\n"
        "SOURCE is a folder, with all that is in it; a .zip, .tar, .tar.gz, ...; a structure file, also a "
        "CIF of many data blocks or an extended XYZ of many frames; a .txt or .list with a path a line; - "
        "for such a list on standard input.",
    .notes =
        "Rows come in the order of the sources; in a folder, of the names. docs/columns.md lists the "
        "columns.\n"
        "\n"
        "The files are the same for any number of threads, and after a kill and --resume; scan.csv.state "
        "beside them says how far the scan is, and scan.csv.lock, while one runs, keeps others from the "
        "same files. Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 stop it with everything written that was done. "
        "Under mpirun -n N, or srun with MPI, the processes share the crystals, to the same files "
        "(docs/ranks.md). Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some crystals "
        "rejected, 4 stopped by a signal.\n"
        "\n"
        "Examples:\n"
        "  kappatune scan togo15-hh143 my_crystals/ --out kappa.csv --lowest 20\n"
        "  find . -name '*.cif' | kappatune scan runs/mine - --below 1",
    .options = {option_table},
    .run = run,
};

/* One of several that is missing is a reject; if all are, there is nothing to write a file about. */
static bool some_are_there(char *const *sources, int count)
{
    struct stat about;
    for (int i = 0; i < count; i++)
        if (strcmp(sources[i], "-") == 0 || lstat(sources[i], &about) == 0 || errno != ENOENT)
            return true;
    return false;
}

/* Returns an exit status, or -1 to go on; what is wrong is printed or in *error. */
static int read_options(int argc, char **argv, request *r, kt_error *error)
{
    r->scan =
        (kti_scan_options){.model_options = kt_model_options_default(), .out = "scan.csv", .below = INFINITY};
    const int exit_status = kti_command_read(&kti_scan_command, argc, argv, r);
    if (exit_status >= 0)
        return exit_status;
    if (argc - optind < 2)
        return kti_cli_usage(argv[0],
                             optind == argc ? "name a model and what to scan"
                                            : "name what to scan after the model '%s'",
                             argc > optind ? argv[optind] : "");
    if (kti_structure_format_of(argv[optind]) != KTI_FORMAT_UNKNOWN)
        return kti_cli_usage(argv[0], "the model stands first, and '%s' is a structure file", argv[optind]);
    if (kti_name_find(KTI_MODEL, argv[optind], &r->scan.model, error) != KT_OK)
        return KTI_EXIT_FAILED;
    r->scan.sources = argv + optind + 1;
    r->scan.source_count = argc - optind - 1;
    if (!some_are_there(r->scan.sources, r->scan.source_count)) {
        kti_fail_file(error, KT_IO, r->scan.sources[0], "there is no such file or folder");
        return KTI_EXIT_FAILED;
    }
    r->bar = kti_progress_create(r->quiet, r->progress);
    return -1;
}

static int run(int argc, char **argv)
{
    request r = {0};
    kt_error error = KT_ERROR_NONE;
    kt_communicator *ranks;
    int exit_status = kti_cli_join(argc, argv, &ranks);
    if (exit_status >= 0)
        return exit_status;
    exit_status = read_options(argc, argv, &r, &error);
    if (exit_status < 0 && !r.scan.rejects)
        r.scan.rejects = r.rejects = kti_scan_rejects_beside(r.scan.out);
    if (exit_status < 0 && !r.scan.rejects)
        kti_fail_memory(&error, "a path");
    exit_status = kti_cli_agree(ranks, exit_status, &error);
    if (exit_status < 0) {
        r.scan.ranks = ranks;
        if (r.scan.threads == 0)
            r.scan.threads = kti_communicator_processors(ranks);
        r.bar.quiet = r.bar.quiet || !kti_communicator_is_root(ranks);
        exit_status = scan(&r);
    }
    free(r.rejects);
    return kti_cli_leave(ranks, exit_status);
}
