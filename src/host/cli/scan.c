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

/* The mean of a row, behind id, formula and number of atoms; NaN for what is none. */
static double mean_of(const char *line)
{
    const char *at = line;
    if (*at == '"')
        for (at++; *at && !(at[0] == '"' && at[1] != '"'); at++)
            at += at[0] == '"';
    for (int comma = 0; comma < 3 && at; comma++) {
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    char *end = NULL;
    const double mean = at ? strtod(at, &end) : NAN;
    return at && end > at ? mean : NAN;
}

/* Keeps a copy of the line if it belongs there. */
static kt_status keep(kti_ranking *list, double value, const char *line, kt_error *error)
{
    if (!kti_ranking_takes(list, value))
        return KT_OK;
    char *copy = kti_duplicate_text(line);
    if (!copy)
        return kti_fail_memory(error, "the rows to show");
    kti_ranking_add(list, value, copy);
    return KT_OK;
}

/* The first five fields of a row into the table. */
static void add_cells(kti_table *table, char *line)
{
    for (int field = 0; field < 5; field++) {
        char *to = line, *at = line;
        const bool quoted = *at == '"';
        for (at += quoted; *at && !(quoted ? at[0] == '"' && at[1] != '"' : *at == ',');) {
            at += quoted && *at == '"';
            *to++ = *at++;
        }
        at += quoted && *at == '"';
        at += *at == ',';
        *to = '\0';
        if (field < 3)
            kti_table_add(table, "%s", line);
        else
            kti_table_add(table, "%.4g", strtod(line, NULL));
        line = at;
    }
}

static kt_status show_some(const request *r, bool min, kt_error *error)
{
    const int64_t max = min ? r->lowest : r->top;
    kti_ranking list;
    FILE *file = fopen(r->scan.out, "r");
    char *line = NULL;
    size_t capacity = 0;
    kti_table table = {.columns = 5, .left = 2};
    kt_status status = kti_ranking_create((int)max, free, &list, error);
    if (status == KT_OK && !file)
        status = kti_fail_file(error, KT_IO, r->scan.out, "%s", strerror(errno));
    while (status == KT_OK && getline(&line, &capacity, file) >= 0)
        status = keep(&list, min ? -mean_of(line) : mean_of(line), line, error);
    const bool kappa = r->scan.model_options.property == KT_KAPPA;
    kti_table_add(&table, "id");
    kti_table_add(&table, "formula");
    kti_table_add(&table, "atoms");
    kti_table_add(&table, "%s", kappa ? "kappa, W/(m K)" : "eform, eV/atom");
    kti_table_add(&table, "std");
    for (int i = 0; i < list.size && status == KT_OK; i++)
        add_cells(&table, list.entry[i].item);
    if (status == KT_OK && table.out_of_memory)
        status = kti_fail_memory(error, "the rows to show");
    if (status == KT_OK) {
        printf("%s:\n", min ? "least" : "greatest");
        kti_table_print(&table, 0);
    }
    kti_table_destroy(&table);
    if (file)
        fclose(file);
    free(line);
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
     .help = "columns of what the crystal is too: volume (Å^3), density (g/cm^3), atomic_density (1/Å^3), "
             "mean_mass (u), elements, space_group (number, by spglib)"},
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
        "Rows come in the order of the sources; in a folder, of the names. Columns: id, formula, atoms, "
        "kappa_mean (the members' mean, W/(m K)), kappa_std, kappa_min, kappa_max, kappa_geometric and "
        "kappa_log_std (exp of their mean logarithm, its standard deviation), kappa_low and kappa_high (68 "
        "%, where every member is a Gaussian process); of a model with a calibration.csv kappa_low_90 and "
        "kappa_high_90 (90 % of such crystals lie between them), distance (of the nearest training "
        "crystal, in standard deviations of its features), warnings (element:Xx, isolated, range, far; see "
        "docs/uncertainty.md); fold_1 ...\n"
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
