/* kappatune reproduce */
#include "cli/reproduce.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
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

static const char help[] =
    "usage: kappatune reproduce --out DIR [OPTION...]\n"
    "\n"
    "Trains the models of the paper under both protocols and writes its tables and figures beside ours:\n"
    "Step 1 from random weights, Step 2 from formation energies, Step 3 from a model of AFLOW. Then an "
    "ablation on\n"
    "Togo15 of the published code's faults, one switch at a time.\n"
    "\n"
    "  --out DIR              gets published/ and sound/, runs of several stages, tables.md, tables.json, "
    "figures/,\n"
    "                         scans/, scans.md, and report.html, all on one page\n"
    "  --data-root DIR        holds togo15, hh143 and aflow_agl: folders, or tables togo15.csv, ... "
    "(default: togo15\n"
    "                         and hh143, which come with kappatune, and aflow: kappatune data fetch aflow "
    "--out aflow)\n"
    "  --weights W            formation-energy weights, for Steps 2 and 3: megnet-eform.safetensors, by "
    "kappatune\n"
    "                         weights fetch megnet-eform\n"
    "  --steps LIST           of 1,2,3 (default: all)\n"
    "  --sets LIST            of togo15,hh143,mix,aflow (default: all); Step 3 trains the models of AFLOW "
    "that "
    "it starts\n"
    "                         from in any case\n"
    "  --scan SOURCE          what the models of Togo15 and AFLOW are let loose on, in place of the paper's "
    "34,000\n"
    "                         crystals, as kappatune scan takes it (default: aflow_agl of the data root, or "
    "aflow, if\n"
    "                         it is a folder); Togo15's own crystals are scanned too, if they are one\n"
    "  --no-scan              nothing is scanned\n"
    "  --protocol NAME        both (default), published or sound\n"
    "  --quick                minutes instead of hours: 3 folds of 60 epochs, AFLOW 10; every table says so\n"
    "  --folds N              1 to 9 (default 9)\n"
    "  --epochs N             of the small sets (default 300)\n"
    "  --aflow-epochs N       of AFLOW (default 300)\n"
    "  --seed N               default 42\n"
    "  --threads N            workers; each takes folds (default: all processors)\n"
    "  --resume               go on where a killed or stopped run was, with the same options; finished "
    "stages "
    "are kept,\n"
    "                         and sets and steps can be added\n"
    "  --force                write into a folder that holds something, and no reproduction\n"
    "  --dry-run              list the stages, and stop\n"
    "  --quiet, --progress    no progress; a bar also where there is no terminal\n"
    "  -h, --help             this text\n"
    "\n"
    "Figures need gnuplot (Debian: gnuplot-nox); without it the tables are written all the same. Ctrl-C, "
    "SIGTERM,\n"
    "SIGHUP and SIGUSR1 checkpoint, then stop. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with "
    "some "
    "rows\n"
    "rejected (six of AFLOW's crystals have no two atoms within 4 Å), 4 stopped by a signal.\n";

enum { QUICK_FOLDS = 3, QUICK_EPOCHS = 60, QUICK_AFLOW_EPOCHS = 10 };

typedef struct request {
    kti_reproduce_options options;
    bool quiet, progress, dry_run, no_scan;
    const char *scan;
} request;

/* ---- options ---- */

enum {
    OPTION_OUT = 256,
    OPTION_DATA_ROOT,
    OPTION_WEIGHTS,
    OPTION_STEPS,
    OPTION_SETS,
    OPTION_PROTOCOL,
    OPTION_SCAN,
    OPTION_NO_SCAN,
    OPTION_QUICK,
    OPTION_FOLDS,
    OPTION_EPOCHS,
    OPTION_AFLOW_EPOCHS,
    OPTION_SEED,
    OPTION_THREADS,
    OPTION_RESUME,
    OPTION_FORCE,
    OPTION_DRY_RUN,
    OPTION_QUIET,
    OPTION_PROGRESS
};

static const struct option long_options[] = {
    {"out", required_argument, NULL, OPTION_OUT},
    {"data-root", required_argument, NULL, OPTION_DATA_ROOT},
    {"weights", required_argument, NULL, OPTION_WEIGHTS},
    {"scan", required_argument, NULL, OPTION_SCAN},
    {"no-scan", no_argument, NULL, OPTION_NO_SCAN},
    {"steps", required_argument, NULL, OPTION_STEPS},
    {"sets", required_argument, NULL, OPTION_SETS},
    {"protocol", required_argument, NULL, OPTION_PROTOCOL},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"folds", required_argument, NULL, OPTION_FOLDS},
    {"epochs", required_argument, NULL, OPTION_EPOCHS},
    {"aflow-epochs", required_argument, NULL, OPTION_AFLOW_EPOCHS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"resume", no_argument, NULL, OPTION_RESUME},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool read_count(const char *option, const char *text, int most, int *value)
{
    int64_t read = 0;
    const bool fine = kti_option_integer(option, text, 1, most, &read);
    *value = fine ? (int)read : *value;
    return fine;
}

static bool read_protocol(const char *text, bool *protocols)
{
    static const char *const names[] = {"both", "published", "sound", NULL};
    const int choice = kti_option_choice("--protocol", text, names);
    protocols[KT_PUBLISHED] = choice != 2;
    protocols[KT_SOUND] = choice != 1;
    return choice >= 0;
}

/* One option; false: wrong usage. --quick, which changes defaults, was read before. */
static bool apply(request *r, int option)
{
    static const char *const steps[] = {"1", "2", "3", NULL};
    kti_reproduce_options *o = &r->options;
    int64_t seed = 0;
    bool fine = true;
    switch (option) {
    case OPTION_OUT: o->out = optarg; break;
    case OPTION_DATA_ROOT: o->data_root = optarg; break;
    case OPTION_WEIGHTS: o->weights = optarg; break;
    case OPTION_STEPS: fine = kti_option_list("--steps", optarg, steps, o->step + 1); break;
    case OPTION_SETS: fine = kti_option_list("--sets", optarg, kti_paper_set_names, o->set); break;
    case OPTION_PROTOCOL: fine = read_protocol(optarg, o->protocol); break;
    case OPTION_QUICK: break;
    case OPTION_FOLDS: fine = read_count("--folds", optarg, KTI_PAPER_RUNS, &o->folds); break;
    case OPTION_EPOCHS: fine = read_count("--epochs", optarg, 1000000, &o->epochs); break;
    case OPTION_AFLOW_EPOCHS: fine = read_count("--aflow-epochs", optarg, 1000000, &o->aflow_epochs); break;
    case OPTION_SEED:
        fine = kti_option_integer("--seed", optarg, 0, INT64_MAX - 1, &seed);
        o->seed = (uint64_t)seed;
        break;
    case OPTION_THREADS: fine = read_count("--threads", optarg, 1024, &o->threads); break;
    case OPTION_RESUME: o->resume = true; break;
    case OPTION_FORCE: o->force = true; break;
    case OPTION_DRY_RUN: r->dry_run = true; break;
    case OPTION_SCAN: r->scan = optarg; break;
    case OPTION_NO_SCAN: r->no_scan = true; break;
    case OPTION_QUIET: r->quiet = true; break;
    case OPTION_PROGRESS: r->progress = true; break;
    default: fine = false; /* getopt has said what is wrong */
    }
    return fine;
}

static int processors(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > 1024 ? 1024 : (int)online;
}

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    int option;
    r->options = kti_reproduce_options_default();
    r->options.find = kti_name_find_named;
    r->options.threads = processors();
    optind = 1;
    while ((option = kti_cli_next(argc, argv, ":h", long_options)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return KTI_EXIT_DONE;
        }
        if (option == '?')
            return KTI_EXIT_USAGE;
        if (option == OPTION_QUICK) {
            r->options.folds = QUICK_FOLDS;
            r->options.epochs = QUICK_EPOCHS;
            r->options.aflow_epochs = QUICK_AFLOW_EPOCHS;
        }
    }
    optind = 1;
    while ((option = kti_cli_next(argc, argv, ":h", long_options)) != -1)
        if (!apply(r, option))
            return KTI_EXIT_USAGE;
    if (optind < argc)
        return kti_cli_usage(argv[0], "`%s` is no option", argv[optind]);
    if (!r->options.out)
        return kti_cli_usage(argv[0], "name a folder with --out");
    if (r->scan && r->no_scan)
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
        if (status == KT_BAD_ARGUMENT && kti_file_exists(out)) { /* of other crystals or models: seconds */
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
        (!asked->no_scan && scan(asked, r, s, &drawn, &error) != KT_OK))
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

int kti_cli_reproduce(int argc, char **argv)
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
