/* kappatune report */
#include "cli/report.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "paper/published.h"
#include "report/report.h"

enum { MAX_THREADS = 1024, MAX_OTHERS = 16 };

typedef struct request {
    kti_report_options report;
    const char *figures;
    const char *others[MAX_OTHERS];
    bool formatted;
} request;

/* ---- options ---- */

static bool take_other(void *target, const char *flag, const char *value)
{
    request *r = target;
    if (r->report.other_count == MAX_OTHERS)
        return kti_cli_usage("report", "%s can be given %d times", flag, MAX_OTHERS), false;
    r->others[r->report.other_count++] = value;
    return true;
}

static bool take_formats(void *target, const char *flag, const char *value)
{
    request *r = target;
    r->formatted = true;
    return kti_option_plot_formats(flag, value, &r->report.formats);
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "out", .offset = AT(report.out), .argument = "FILE",
     .help = "the report (default report.html)"},
    {.kind = KTI_OPTION_OTHER, .flag = "with", .argument = "DATA", .take = take_other,
     .help = "of a data set: another one to hold it against; can be repeated"},
    {.kind = KTI_OPTION_TEXT, .flag = "rejects", .offset = AT(report.rejects), .argument = "FILE",
     .help = "of a scan: its rejects (default: FILE.rejects.csv of FILE.csv, where that is)"},
    {.kind = KTI_OPTION_TEXT, .flag = "figures", .offset = AT(figures), .argument = "DIR",
     .help = "leave every figure there too, as a file, with gnuplot's script"},
    {.kind = KTI_OPTION_OTHER, .flag = "format", .argument = "LIST", .take = take_formats,
     .help = "of svg (default), png, pdf: the files of --figures"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(report.threads), .argument = "N", .min = 1,
     .max = MAX_THREADS,
     .help = "that read a data set (default: all processors)"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_report_command = {
    .name = "report",
    .summary = "a run, a data set, a scan or a reproduction as one HTML file",
    .arguments = "RUN|DATA|SCAN.csv|REPRODUCTION",
    .about =
        "Writes what a run, a data set or a scan shows as one HTML file, which needs no other file and no "
        "network.\n"
        "\n"
        "RUN is a run folder, of one stage or several: scores, parity, residuals, losses, the published "
        "folds beside ours, recipe, environment.\n"
        "DATA is a folder with id_prop.csv, a table of crystals, or the name of one, togo15: kappa, "
        "elements, duplicates, rejects.\n"
        "SCAN.csv has rows of `kappatune scan`: distribution, extremes, spread, correlations, rejects.\n"
        "REPRODUCTION is a folder of `kappatune reproduce`: its tables, figures and scans.",
    .notes =
        "Figures need gnuplot (Debian: gnuplot-nox); without it the report has its tables alone, and says "
        "so. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some rows of the data set rejected.\n"
        "\n"
        "Examples:\n"
        "  kappatune report runs/togo15 --out togo15.html\n"
        "  kappatune report togo15 --with my_crystals/ --figures figures --format png,pdf",
    .options = {option_table},
    .run = run,
};

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    r->report.threads = kti_cli_processors();
    const int exit_status = kti_command_read(&kti_report_command, argc, argv, r);
    if (exit_status >= 0)
        return exit_status;
    if (r->formatted && !r->figures)
        return kti_cli_usage(argv[0], "--format is of the files of --figures DIR");
    if (argc - optind != 1)
        return kti_cli_usage(argv[0], "name one run, data set, scan or reproduction");
    r->report.subject = argv[optind];
    r->report.others = r->others;
    return -1;
}

/* ---- the command ---- */

/* The subject may be a model's name, models/NAME, or that of a data set. */
static kt_status find_subject(request *r, kt_error *error)
{
    const bool is_model = strncmp(r->report.subject, "models/", 7) == 0;
    kt_status status =
        kti_name_find(is_model ? KTI_MODEL : KTI_DATA, r->report.subject, &r->report.subject, error);
    for (int i = 0; i < r->report.other_count && status == KT_OK; i++)
        status = kti_name_find(KTI_DATA, r->others[i], &r->others[i], error);
    return status;
}

static void warn(void *user, const char *text)
{
    (void)user;
    kti_cli_warn("%s", text);
}

/* Where figures are drawn: DIR, or a folder of our own, into *made, to be removed. */
static kt_status prepare_folder(request *r, char made[256], kt_error *error)
{
    const char *temporary = getenv("TMPDIR");
    made[0] = '\0';
    if (r->figures) {
        r->report.folder = r->figures;
        return kti_make_folder(r->figures, error);
    }
    if (snprintf(made, 256, "%s/kappatune-report-XXXXXX", temporary && *temporary ? temporary : "/tmp") >=
            256 ||
        !mkdtemp(made)) {
        made[0] = '\0';
        return kti_fail(error, KT_IO, "no temporary folder for the figures can be made: %s", strerror(errno));
    }
    r->report.folder = made;
    return KT_OK;
}

static int finish(const request *r, const kti_report_result *result)
{
    static const char *const kinds[] = {"run", "data set", "scan", "reproduction"};
    if (result->no_gnuplot)
        kti_cli_warn("there is no gnuplot: the report has no figures");
    printf("%s: the %s %s, %d figures\n", r->report.out, kinds[result->kind], r->report.subject,
           result->figures);
    if (result->rejected > 0)
        kti_cli_warn("%d row%s of %s cannot be used; the report names them", result->rejected,
                     result->rejected == 1 ? "" : "s", r->report.subject);
    return result->rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

static int run(int argc, char **argv)
{
    kt_error error = KT_ERROR_NONE;
    kti_report_result result = {0};
    request r = {.report = {.out = "report.html",
                            .version = KAPPATUNE_VERSION,
                            .references = kti_paper_references,
                            .message = warn}};
    char made[256] = "";
    const int exit_status = read_options(argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    r.report.formats = r.figures && !r.formatted ? KTI_PLOT_SVG : r.report.formats;
    kt_status status = find_subject(&r, &error);
    if (status == KT_OK)
        status = kti_cli_spare(r.report.out, "<!DOCTYPE html>", &error);
    if (status == KT_OK)
        status = prepare_folder(&r, made, &error);
    if (status == KT_OK)
        status = kti_report_write(&r.report, &result, &error);
    if (made[0])
        rmdir(made); /* a script that gnuplot refused stays in it, for its message */
    return status == KT_OK ? finish(&r, &result) : kti_cli_fail(&error);
}
