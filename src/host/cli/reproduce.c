/* kappatune reproduce */
#include "cli/reproduce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/figures.h"
#include "analysis/reproduce.h"
#include "analysis/tables.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "train/recipe.h"

static const char help[] =
    "usage: kappatune reproduce --out DIR [OPTION...]\n"
    "\n"
    "Trains the models of the paper under both protocols and writes its tables and figures beside ours:\n"
    "Step 1 from random weights, Step 2 from formation energies, Step 3 from a model of AFLOW. Then an "
    "ablation on\n"
    "Togo15 of the published code's faults, one switch at a time.\n"
    "\n"
    "  --out DIR              gets published/ and sound/, runs of several stages, tables.md, tables.json, "
    "figures/\n"
    "  --data-root DIR        holds togo15, hh143 and aflow_agl: folders, or tables togo15.csv, ... "
    "(default: "
    "data)\n"
    "  --weights W            formation-energy weights, for Steps 2 and 3 (kappatune weights fetch "
    "megnet-eform)\n"
    "  --steps LIST           of 1,2,3 (default: all)\n"
    "  --sets LIST            of togo15,hh143,mix,aflow (default: all); Step 3 trains the models of AFLOW "
    "that "
    "it starts\n"
    "                         from in any case\n"
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
    bool quiet, progress, dry_run;
} request;

/* ---- options ---- */

enum {
    OPTION_OUT = 256,
    OPTION_DATA_ROOT,
    OPTION_WEIGHTS,
    OPTION_STEPS,
    OPTION_SETS,
    OPTION_PROTOCOL,
    OPTION_QUICK,
    OPTION_FOLDS,
    OPTION_EPOCHS,
    OPTION_AFLOW_EPOCHS,
    OPTION_SEED,
    OPTION_THREADS,
    OPTION_RESUME,
    OPTION_DRY_RUN,
    OPTION_QUIET,
    OPTION_PROGRESS
};

static const struct option long_options[] = {
    {"out", required_argument, NULL, OPTION_OUT},
    {"data-root", required_argument, NULL, OPTION_DATA_ROOT},
    {"weights", required_argument, NULL, OPTION_WEIGHTS},
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
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* "1,3" into chosen[place of the word in names]; false after printing a usage error. */
static bool read_list(const char *option, const char *text, const char *const *names, bool *chosen)
{
    for (int i = 0; names[i]; i++)
        chosen[i] = false;
    for (;;) {
        char word[32];
        const size_t length = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        const int choice = kti_option_choice(option, word, names);
        if (choice < 0)
            return false;
        chosen[choice] = true;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

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
    case OPTION_STEPS: fine = read_list("--steps", optarg, steps, o->step + 1); break;
    case OPTION_SETS: fine = read_list("--sets", optarg, kti_paper_set_names, o->set); break;
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
    case OPTION_DRY_RUN: r->dry_run = true; break;
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
    r->options.data_root = "data";
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

static int report(const kti_reproduction *r)
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
    if (kti_figures_draw(r, &drawn, &error) != KT_OK)
        exit_status = kti_cli_fail(&error);
    else if (!drawn)
        kti_cli_warn("there is no gnuplot, so no figure was drawn: install it (Debian: apt-get install "
                     "gnuplot-nox) and start again with --resume");
    printf("tables in %s/tables.md and tables.json, figures in %s/figures\n", r->options.out, r->options.out);
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
            exit_status = report(&reproduction);
    }
    if (status != KT_OK)
        exit_status = kti_cli_fail(&error);
    else if (r.dry_run)
        exit_status = KTI_EXIT_DONE;
    kti_reproduction_destroy(&reproduction);
    return exit_status;
}
