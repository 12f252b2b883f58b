/* kappatune reproduce */
#include "cli/reproduce.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "paper/figures.h"
#include "paper/reproduce.h"
#include "paper/reproduced_scans.h"
#include "paper/tables.h"
#include "report/report.h"
#include "report/scan_summary.h"
#include "scan/scan.h"
#include "train/recipe.h"
#include "train/stages.h"

enum { QUICK_FOLDS = 3, QUICK_EPOCHS = 60, QUICK_AFLOW_EPOCHS = 10 };

typedef struct request {
    kti_reproduce_options options;
    bool quiet, progress, dry_run, scans, quick;
    const char *scan;
} request;

/* ---- options ---- */

static bool read_protocol(const char *text, bool *protocols)
{
    static const char *const names[] = {"both", "published", "sound", NULL};
    const int choice = kti_option_choice("--protocol", text, names);
    protocols[KT_PUBLISHED] = choice != 2;
    protocols[KT_SOUND] = choice != 1;
    return choice >= 0;
}

static bool take_steps(void *target, const char *flag, const char *value)
{
    static const char *const steps[] = {"1", "2", "3", NULL};
    return kti_option_list(flag, value, steps, ((request *)target)->options.step + 1);
}

static bool take_sets(void *target, const char *flag, const char *value)
{
    return kti_option_list(flag, value, kti_paper_set_names, ((request *)target)->options.set);
}

static bool take_protocol(void *target, const char *flag, const char *value)
{
    (void)flag;
    return read_protocol(value, ((request *)target)->options.protocol);
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "out", .offset = AT(options.out), .argument = "DIR", .group = "Files",
     .help = "gets published/ and sound/, runs of several stages, tables.md, tables.json, figures/, scans/, "
             "scans.md, and report.html, all on one page"},
    {.kind = KTI_OPTION_TEXT, .flag = "data-root", .offset = AT(options.data_root), .argument = "DIR",
     .help = "holds togo15, hh143 and aflow_agl: folders, or tables togo15.csv, ... (default: togo15 and "
             "hh143, which come with kappatune, and aflow: kappatune data fetch aflow --out aflow)"},
    {.kind = KTI_OPTION_TEXT, .flag = "weights", .offset = AT(options.weights), .argument = "W",
     .help = "formation-energy weights, for Steps 2 and 3: megnet-eform.safetensors, by kappatune weights "
             "fetch megnet-eform"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "resume", .offset = AT(options.resume),
     .help = "go on where a killed or stopped run was, with the same options; finished stages are kept, and "
             "sets and steps can be added"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "force", .offset = AT(options.force),
     .help = "write into a folder that holds something, and no reproduction"},
    {.kind = KTI_OPTION_OTHER, .flag = "steps", .argument = "LIST", .group = "What is reproduced",
     .take = take_steps,
     .help = "of 1,2,3 (default: all)"},
    {.kind = KTI_OPTION_OTHER, .flag = "sets", .argument = "LIST", .take = take_sets,
     .help = "of togo15,hh143,mix,aflow (default: all); Step 3 trains the models of AFLOW that it starts from "
             "in any case"},
    {.kind = KTI_OPTION_TEXT, .flag = "scan", .offset = AT(scan), .argument = "SOURCE",
     .help = "what the models of Togo15 and AFLOW are let loose on, in place of the paper's 34,000 crystals, "
             "as kappatune scan takes it (default: aflow_agl of the data root, or aflow, if it is a folder); "
             "Togo15's own crystals are scanned too, if they are one"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "no-scan", .offset = AT(scans),
     .help = "nothing is scanned"},
    {.kind = KTI_OPTION_OTHER, .flag = "protocol", .argument = "NAME", .take = take_protocol,
     .help = "both (default), published or sound"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "quick", .offset = AT(quick), .group = "Training",
     .help = "minutes instead of hours: 3 folds of 60 epochs, AFLOW 10; every table says so"},
    {.kind = KTI_OPTION_INTEGER, .flag = "folds", .offset = AT(options.folds), .argument = "N", .min = 1,
     .max = KTI_PAPER_RUNS,
     .help = "1 to 9 (default 9)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "epochs", .offset = AT(options.epochs), .argument = "N", .min = 1,
     .max = 1000000,
     .help = "of the small sets (default 300)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "aflow-epochs", .offset = AT(options.aflow_epochs), .argument = "N",
     .min = 1, .max = 1000000,
     .help = "of AFLOW (default 300)"},
    {.kind = KTI_OPTION_LONG, .flag = "seed", .offset = AT(options.seed), .argument = "N", .min = 0,
     .max = 9e18,
     .help = "default 42"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(options.threads), .argument = "N", .min = 1,
     .max = 1024,
     .help = "workers; each takes folds (default: all processors)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "dry-run", .offset = AT(dry_run), .group = "Messages",
     .help = "list the stages, and stop"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "quiet", .offset = AT(quiet),
     .help = "no progress"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "progress", .offset = AT(progress),
     .help = "a progress bar also where there is no terminal"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_reproduce_command = {
    .name = "reproduce",
    .summary = "the paper's tables and figures beside ours, under both protocols",
    .arguments = "--out DIR",
    .about =
        "Trains the models of the paper under both protocols and writes its tables and figures beside ours: "
        "Step 1 from random weights, Step 2 from formation energies, Step 3 from a model of AFLOW. Then an "
        "ablation on Togo15 of the published code's faults, one switch at a time.",
    .notes =
        "Figures need gnuplot (Debian: gnuplot-nox); without it the tables are written all the same. "
        "Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 checkpoint, then stop. Exit status: 0 done, 1 failed, 2 wrong "
        "usage, 3 done with some rows rejected (six of AFLOW's crystals have no two atoms within 4 Å), 4 "
        "stopped by a signal.",
    .options = {option_table},
    .run = run,
};

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    kti_given_list list;
    r->options = kti_reproduce_options_default();
    r->options.find = kti_name_find_named;
    r->options.threads = kti_cli_processors();
    r->scans = true;
    int exit_status = kti_command_parse(&kti_reproduce_command, argc, argv, &list);
    /* Wherever --quick stands, the other options go before it. */
    if (kti_is_given(&list, "quick")) {
        r->options.folds = QUICK_FOLDS;
        r->options.epochs = QUICK_EPOCHS;
        r->options.aflow_epochs = QUICK_AFLOW_EPOCHS;
    }
    for (int i = 0; i < list.size && exit_status < 0; i++)
        if (!kti_option_set(&list.given[i], r))
            exit_status = KTI_EXIT_USAGE;
    if (exit_status >= 0)
        return exit_status;
    if (optind < argc)
        return kti_cli_usage(argv[0], "`%s` is no option", argv[optind]);
    if (!r->options.out)
        return kti_cli_usage(argv[0], "name a folder with --out");
    if (r->scan && !r->scans)
        return kti_cli_usage(argv[0], "--scan and --no-scan exclude each other");
    return -1;
}

/* ---- the command ---- */

typedef struct screen {
    kti_progress progress;
    bool quiet;
} screen;

static int show_progress(void *user, kt_protocol protocol, const kt_train_progress *p)
{
    screen *s = user;
    char detail[256];
    snprintf(detail, sizeof detail, "%s %s (%d/%d) fold %d epoch %d/%d, loss %.3f, MAPE %.3f",
             kti_protocol_names[protocol], p->stage, p->stage_number, p->stages, p->fold, p->epoch, p->epochs,
             p->train_loss, p->select_mape);
    kti_progress_show(&s->progress, p->rows_done, p->rows_total, p->seconds_left, detail);
    return kti_stop_asked();
}

static void show_message(void *user, const char *text)
{
    screen *s = user;
    kti_progress_end(&s->progress);
    if (!s->quiet)
        fprintf(stderr, "%s\n", text);
}

static void print_plan(const kti_reproduction *r)
{
    static const kt_protocol order[] = {KT_PUBLISHED, KT_SOUND};
    for (int i = 0; i < 2; i++)
        for (int s = 0; s < r->run[order[i]].stages; s++) {
            const kt_train_options *o = &r->run[order[i]].stage[s].options;
            printf("%s/%s/stages/%s: %d folds of %d epochs, from %s\n", r->options.out,
                   kti_protocol_names[order[i]], r->run[order[i]].stage[s].name, o->folds, o->epochs,
                   o->from_stage ? o->from_stage
                   : o->from     ? o->from
                                 : "random weights");
        }
}

/* Folds that failed, and rejected rows of the stages; each data set is told once. */
static int count_trouble(const kti_reproduction *r)
{
    int failed = 0, rejected = 0;
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < r->run[p].result.stages; i++) {
            const kt_train_result *t = &r->run[p].result.stage[i];
            for (int f = 0; f < t->folds; f++)
                failed += t->fold[f].failed;
            if (t->rejected > rejected)
                rejected = t->rejected;
        }
    if (failed > 0)
        kti_cli_warn("%d folds failed: no epoch gave finite predictions", failed);
    if (rejected > 0)
        kti_cli_warn(
            "up to %d rows of a data set were rejected; the reasons stand in the stages' rejects.csv",
            rejected);
    return failed > 0 ? KTI_EXIT_FAILED : rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

/* ---- scans ---- */

typedef struct sources {
    kti_scan_source list[2];
    int size;
    char *own[2]; /* paths made here */
} sources;

/* The path of a data set in the data root, or by its name; NULL when memory is short. */
static char *find_source(const char *root, const char *folder, const char *name)
{
    const char *path = name;
    if (root)
        return kti_path_join(root, folder);
    kti_name_find(KTI_DATA, name, &path, NULL); /* what is nowhere is no folder */
    return kti_duplicate_text(path);
}

/* Togo15's crystals where they are a folder, and what is to be scanned. */
static kt_status find_sources(const request *r, sources *s, kt_error *error)
{
    static const char *const folders[2] = {"togo15", "aflow_agl"}, *const names[2] = {"togo15", "aflow"};
    for (int i = 0; i < 2; i++) {
        s->own[i] = find_source(r->options.data_root, folders[i], names[i]);
        if (!s->own[i])
            return kti_fail_memory(error, "a path");
        if (i == 1 && r->scan)
            s->list[s->size++] = (kti_scan_source){"scanned", r->scan};
        else if (kti_is_folder(s->own[i]))
            s->list[s->size++] = (kti_scan_source){folders[i], s->own[i]};
    }
    return KT_OK;
}

static int show_scan(void *user, const kti_scan_progress *p)
{
    screen *s = user;
    char detail[96];
    snprintf(detail, sizeof detail, "scanning: %lld crystals", (long long)p->done);
    kti_progress_show(&s->progress, p->bytes_done, p->bytes_total > 0 ? p->bytes_total : 1, -1, detail);
    return kti_stop_asked();
}

static kt_status remove_scan(const char *out, const char *rejects, kt_error *error)
{
    char state[4096];
    snprintf(state, sizeof state, "%s.state", out);
    const char *const files[] = {out, rejects, state};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (remove(files[i]) != 0 && errno != ENOENT)
            return kti_fail_file(error, KT_IO, files[i], "cannot be removed: %s", strerror(errno));
    return KT_OK;
}

static kt_status scan_one(const kti_reproduction *r, kt_protocol protocol, const kti_scan_source *source,
                          const char *model, screen *s, kt_error *error)
{
    char *const list[] = {(char *)source->path};
    char *run = kti_reproduction_folder(r, protocol), *stage = run ? kti_stage_path(run, model) : NULL,
         *out = kti_reproduced_scan(r, protocol, source, model),
         *rejects = out ? kti_scan_rejects_beside(out) : NULL;
    kti_scan_result result;
    kt_status status = stage && rejects ? KT_OK : kti_fail_memory(error, "a path");
    const kti_scan_options options = {.model = stage,
                                      .model_options = kt_model_options_default(),
                                      .sources = list,
                                      .source_count = 1,
                                      .out = out,
                                      .rejects = rejects,
                                      .resume = true,
                                      .below = INFINITY,
                                      .features = true,
                                      .threads = r->options.threads,
                                      .progress = show_scan,
                                      .user = s};
    kt_error own = KT_ERROR_NONE;
    if (status == KT_OK) {
        status = kti_scan(&options, &result, &own);
        if (status != KT_OK &&
            result.foreign) { /* of other crystals or another model: done anew in seconds */
            own = (kt_error)KT_ERROR_NONE;
            status = remove_scan(out, rejects, error);
            if (status == KT_OK)
                status = kti_scan(&options, &result, &own);
        }
        if (own.status != KT_OK && error->status == KT_OK)
            *error = own;
    }
    free(run);
    free(stage);
    free(out);
    free(rejects);
    return status;
}

static kt_status scan_all(const kti_reproduction *r, const sources *all, screen *s, kt_error *error)
{
    kt_status status = KT_OK;
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < all->size; i++) {
            char name[300];
            snprintf(name, sizeof name, "scans/%s-%s", kti_protocol_names[p], all->list[i].name);
            char *folder = kti_path_join(r->options.out, name);
            if (status == KT_OK && !folder)
                status = kti_fail_memory(error, "a path");
            if (status == KT_OK && r->options.protocol[p])
                status = kti_make_folder(folder, error);
            free(folder);
            for (const char *const *model = kti_scanning_models; *model && status == KT_OK; model++)
                if (kti_reproduction_find(r, (kt_protocol)p, *model))
                    status = scan_one(r, (kt_protocol)p, &all->list[i], *model, s, error);
        }
    return status;
}

/* The scans and what they show; *drawn is false without gnuplot. */
static kt_status scan(const request *asked, const kti_reproduction *r, screen *s, bool *drawn,
                      kt_error *error)
{
    sources all = {0};
    kt_status status = find_sources(asked, &all, error);
    if (status == KT_OK && all.size > 0)
        status = scan_all(r, &all, s, error);
    kti_progress_end(&s->progress);
    if (status == KT_OK && all.size > 0)
        status = kti_reproduced_scans_describe(r, all.list, all.size, drawn, error);
    if (status == KT_OK && all.size > 0)
        printf("scans in %s/scans, what they show in %s/scans.md\n", r->options.out, r->options.out);
    free(all.own[0]);
    free(all.own[1]);
    return status;
}

/* DIR/report.html: all of it on one page. */
static kt_status write_page(const kti_reproduction *r, kt_error *error)
{
    char *page = kti_path_join(r->options.out, "report.html");
    kti_report_result result;
    const kti_report_options options = {
        .subject = r->options.out, .out = page, .version = KAPPATUNE_VERSION, .threads = 1};
    const kt_status status =
        page ? kti_report_write(&options, &result, error) : kti_fail_memory(error, "a path");
    free(page);
    return status;
}

static int report(const request *asked, const kti_reproduction *r, screen *s)
{
    kt_error error = KT_ERROR_NONE;
    char *overview = NULL;
    bool drawn = false;
    kt_status status = kti_tables_write(r, &error);
    if (status == KT_OK)
        status = kti_tables_overview(r, &overview, &error);
    if (status != KT_OK)
        return kti_cli_fail(&error);
    if (kti_reproduction_is_short(r))
        printf("A shortened run: %d folds of %d epochs (AFLOW: %d), not the paper's %d of 300.\n\n",
               r->options.folds, r->options.epochs, r->options.aflow_epochs, KTI_PAPER_RUNS);
    printf("%s\n", overview);
    free(overview);
    int exit_status = count_trouble(r);
    if (kti_figures_draw(r, &drawn, &error) != KT_OK ||
        (asked->scans && scan(asked, r, s, &drawn, &error) != KT_OK))
        exit_status = kti_cli_fail(&error);
    if (error.status == KT_OK && write_page(r, &error) != KT_OK)
        exit_status = kti_cli_fail(&error);
    if (error.status == KT_OK && !drawn)
        kti_cli_warn("there is no gnuplot, so no figure was drawn: install it (Debian: apt-get install "
                     "gnuplot-nox) and start again with --resume");
    printf("tables in %s/tables.md and tables.json, figures in %s/figures", r->options.out, r->options.out);
    if (error.status == KT_OK)
        printf(", all on one page in %s/report.html", r->options.out);
    putchar('\n');
    return exit_status;
}

static int run(int argc, char **argv)
{
    request r = {0};
    kt_error error = KT_ERROR_NONE;
    kti_reproduction reproduction;
    int exit_status = read_options(argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    screen s = {kti_progress_create(r.quiet, r.progress), r.quiet};
    r.options.progress = show_progress;
    r.options.message = show_message;
    r.options.user = &s;
    kt_status status = kti_reproduction_plan(&r.options, &reproduction, &error);
    if (status == KT_OK && r.dry_run) {
        print_plan(&reproduction);
    } else if (status == KT_OK) {
        kti_stop_on_signals();
        status = kti_reproduction_train(&reproduction, &error);
        kti_progress_end(&s.progress);
        if (status == KT_OK)
            exit_status = report(&r, &reproduction, &s);
    }
    if (status != KT_OK)
        exit_status = kti_cli_fail(&error);
    else if (r.dry_run)
        exit_status = KTI_EXIT_DONE;
    kti_reproduction_destroy(&reproduction);
    return exit_status;
}
