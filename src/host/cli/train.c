/* kappatune train */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "analysis/metrics.h"
#include "base/fail.h"
#include "base/memory.h"
#include "cli/train.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "data/dataset.h"
#include "train/recipe.h"
#include "train/start.h"

static const char help[] =
    "usage: kappatune train RECIPE.json [OPTION...]\n"
    "       kappatune train --data DIR_OR_TABLE [OPTION...]\n"
    "\n"
    "Trains nine cross-validation folds of a data set side by side. Options override the recipe.\n"
    "\n"
    "  --data PATH            folder with id_prop.csv and structure files, or a prototype table\n"
    "  --from WEIGHTS         start weights: safetensors, matgl's state.pt or its folder, a run folder, or "
    "`random`\n"
    "                         (default: random)\n"
    "  --protocol NAME        sound (default): strict loading, target transform of the training rows alone, "
    "nothing\n"
    "                         chosen on the 20 %; published: as the published code runs, to compare with its "
    "tables\n"
    "  --select NAME          which rows choose the epoch: inner (default), outer (the reported ones), last "
    "(no choice)\n"
    "  --folds N              splits 1 .. N (default 9);  --fold N: that one alone\n"
    "  --epochs N             default 300\n"
    "  --batch N              crystals a step (default 8)\n"
    "  --learning-rate X      Adam's first rate (default 1e-3)\n"
    "  --seed N               default 42\n"
    "  --no-quotient          full graphs instead of their exact symmetry quotients\n"
    "  --device NAME          cpu (default)\n"
    "  --threads N            workers; each takes folds (default: all processors)\n"
    "  --out RUN              run folder (default: runs/NAME of the data set)\n"
    "  --resume               go on from the run folder's checkpoints\n"
    "  --checkpoint-every S   seconds between checkpoints of a fold (default 30)\n"
    "  --quiet, --progress    no progress; a bar also where there is no terminal\n"
    "  --dry-run              show the resolved recipe and the data, and stop\n"
    "\n"
    "The run folder gets recipe.json, metrics.json, predictions.csv, epochs.csv, log.jsonl, rejects.csv and\n"
    "folds/<n>/{best,last}.safetensors. Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 checkpoint, then stop.\n"
    "Exit status: 0 done, 1 failed or stopped, 2 wrong usage, 3 done with some rows rejected.\n";

static atomic_int stop_asked; /* set by a signal, read by the workers */

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

typedef struct screen {
    kti_progress progress;
} screen;

static int show_progress(void *user, const kt_train_progress *p)
{
    screen *s = user;
    char detail[128];
    snprintf(detail, sizeof detail, "fold %d epoch %d/%d, loss %.3f, MAPE %.3f", p->fold, p->epoch, p->epochs,
             p->train_loss, p->select_mape);
    kti_progress_show(&s->progress, p->epochs_done, p->epochs_total, p->seconds_left, detail);
    return stop_asked;
}

static void show_message(void *user, const char *text)
{
    screen *s = user;
    kti_progress_end(&s->progress);
    if (!s->progress.quiet)
        fprintf(stderr, "%s\n", text);
}

/* ---- the table ---- */

/* Mean and standard deviation over the folds with a finite score. */
static kt_status print_summary(const kt_train_result *result, const char *name, size_t set, kt_error *error)
{
    static const struct {
        const char *name;
        size_t field;
    } columns[] = {{"MAPE", offsetof(kt_scores, mape)},
                   {"median error", offsetof(kt_scores, medape)},
                   {"kappa_SRE", offsetof(kt_scores, sre)},
                   {"R2(log)", offsetof(kt_scores, r2_log)}};
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    kt_status status = values ? KT_OK : kti_fail_memory(error, "the table");
    if (status == KT_OK)
        printf("%s:", name);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0] && status == KT_OK; i++) {
        kti_summary summary;
        for (int f = 0; f < result->folds; f++)
            values[f] = *(const double *)((const char *)&result->fold[f] + set + columns[i].field);
        status = kti_summarise(values, result->folds, &summary, error);
        if (status != KT_OK)
            break;
        printf("%s %s %.3f (%.3f)", i ? "," : "", columns[i].name, summary.mean, summary.sd);
        if (summary.size < result->folds)
            printf(" (of %d of %d folds)", summary.size, result->folds);
    }
    if (status == KT_OK)
        putchar('\n');
    free(values);
    return status;
}

static kt_status print_table(const kt_train_options *o, const kt_train_result *result, kt_error *error)
{
    static const char *const choices[] = {"an inner part of the training rows",
                                          "the reported rows themselves", "nothing: the last epoch"};
    printf("\nkappa in W/(m K) on the 20 %% that a fold does not train on; protocol %s; the epoch is chosen "
           "on %s.\n\n",
           kti_protocol_names[o->protocol], choices[o->select]);
    printf("fold  epoch   MAPE  median     MAE    RMSE      R2  R2(log)  Spearman  kappa_SRE\n");
    for (int i = 0; i < result->folds; i++) {
        const kt_fold_result *f = &result->fold[i];
        const kt_scores *s = &f->best;
        if (f->failed) {
            printf("%4d  failed: no epoch gave finite predictions\n", f->fold);
            continue;
        }
        printf("%4d %6d %6.3f %7.3f %7.2f %7.2f %7.3f %8.3f %9.3f %10.3f%s\n", f->fold, f->best_epoch,
               s->mape, s->medape, s->mae, s->rmse, s->r2, s->r2_log, s->spearman, s->sre,
               f->collapsed ? "  collapsed: predicts a constant" : "");
    }
    putchar('\n');
    kt_status status =
        print_summary(result, "mean (std), chosen epoch", offsetof(kt_fold_result, best), error);
    if (status == KT_OK && o->select != KT_SELECT_LAST)
        status = print_summary(result, "mean (std), last epoch  ", offsetof(kt_fold_result, last), error);
    return status;
}

/* ---- options ---- */

enum {
    OPTION_DATA = 256,
    OPTION_FROM,
    OPTION_PROTOCOL,
    OPTION_SELECT,
    OPTION_FOLDS,
    OPTION_FOLD,
    OPTION_EPOCHS,
    OPTION_BATCH,
    OPTION_LEARNING_RATE,
    OPTION_SEED,
    OPTION_NO_QUOTIENT,
    OPTION_DEVICE,
    OPTION_THREADS,
    OPTION_OUT,
    OPTION_RESUME,
    OPTION_CHECKPOINT,
    OPTION_QUIET,
    OPTION_PROGRESS,
    OPTION_DRY_RUN
};

static const struct option long_options[] = {
    {"data", required_argument, NULL, OPTION_DATA},
    {"from", required_argument, NULL, OPTION_FROM},
    {"protocol", required_argument, NULL, OPTION_PROTOCOL},
    {"select", required_argument, NULL, OPTION_SELECT},
    {"folds", required_argument, NULL, OPTION_FOLDS},
    {"fold", required_argument, NULL, OPTION_FOLD},
    {"epochs", required_argument, NULL, OPTION_EPOCHS},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"learning-rate", required_argument, NULL, OPTION_LEARNING_RATE},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"no-quotient", no_argument, NULL, OPTION_NO_QUOTIENT},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"out", required_argument, NULL, OPTION_OUT},
    {"resume", no_argument, NULL, OPTION_RESUME},
    {"checkpoint-every", required_argument, NULL, OPTION_CHECKPOINT},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"help", no_argument, NULL, 'h'},
    {0},
};

typedef struct request {
    kt_train_options options;
    json_t *recipe; /* keeps the recipe's strings */
    char out[512];  /* the default run folder */
    bool quiet, progress, dry_run;
} request;

/* ---- reading them ---- */

static const char command[] = "train";

/* One option other than --protocol, which decides the defaults and was read before; false: wrong usage. */
static bool apply(request *r, int option)
{
    kt_train_options *o = &r->options;
    int64_t integer = 0;
    int choice = 0;
    bool fine = true;
    switch (option) {
    case OPTION_PROTOCOL: break;
    case OPTION_DATA: o->data[0] = optarg; break;
    case OPTION_FROM: o->from = strcmp(optarg, "random") == 0 ? NULL : optarg; break;
    case OPTION_SELECT:
        choice = kti_option_choice("--select", optarg, kti_select_names);
        fine = choice >= 0;
        o->select = (kt_select)(fine ? choice : 0);
        break;
    case OPTION_FOLDS:
        fine = kti_option_integer("--folds", optarg, 1, 1000, &integer);
        o->folds = (int)integer;
        break;
    case OPTION_FOLD:
        fine = kti_option_integer("--fold", optarg, 1, 1000, &integer);
        o->only_fold = (int)integer;
        break;
    case OPTION_EPOCHS:
        fine = kti_option_integer("--epochs", optarg, 1, 1000000, &integer);
        o->epochs = (int)integer;
        break;
    case OPTION_BATCH:
        fine = kti_option_integer("--batch", optarg, 1, 4096, &integer);
        o->batch = (int)integer;
        break;
    case OPTION_LEARNING_RATE:
        fine = kti_option_number("--learning-rate", optarg, 0, 1, &o->learning_rate);
        break;
    case OPTION_SEED:
        fine = kti_option_integer("--seed", optarg, 0, INT64_MAX, &integer);
        o->seed = (uint64_t)integer;
        break;
    case OPTION_NO_QUOTIENT: o->quotient = false; break;
    case OPTION_DEVICE: o->device = optarg; break;
    case OPTION_THREADS:
        fine = kti_option_integer("--threads", optarg, 1, 1024, &integer);
        o->threads = (int)integer;
        break;
    case OPTION_OUT: o->out = optarg; break;
    case OPTION_RESUME: o->resume = true; break;
    case OPTION_CHECKPOINT:
        fine = kti_option_number("--checkpoint-every", optarg, 0, 1e9, &o->checkpoint_seconds);
        break;
    case OPTION_QUIET: r->quiet = true; break;
    case OPTION_PROGRESS: r->progress = true; break;
    case OPTION_DRY_RUN: r->dry_run = true; break;
    default: fine = false; /* getopt has said what is wrong */
    }
    return fine;
}

static int processors(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > 1024 ? 1024 : (int)online;
}

/* Defaults, then the recipe, then the options. Returns an exit status, or -1 to go on. */
static int read_request(int argc, char **argv, request *r)
{
    kt_error error = KT_ERROR_NONE;
    int option, choice = 0;
    bool protocol_asked = false;
    optind = 1;
    while ((option = kti_cli_next(argc, argv, ":h", long_options)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return KTI_EXIT_DONE;
        }
        if (option == OPTION_PROTOCOL) {
            choice = kti_option_choice("--protocol", optarg, kti_protocol_names);
            protocol_asked = true;
        }
        if (option == '?' || choice < 0)
            return KTI_EXIT_USAGE;
    }
    r->options = kt_train_options_default((kt_protocol)choice);
    r->options.threads = processors();
    if (argc - optind > 1)
        return kti_cli_usage(command, "one recipe at a time; `%s` is one too many", argv[optind + 1]);
    if (optind < argc && kti_recipe_read(argv[optind], &r->options, &r->recipe, &error) != KT_OK)
        return kti_cli_fail(&error);
    /* The recipe's other settings were meant for its own protocol. */
    if (protocol_asked && (int)r->options.protocol != choice)
        return kti_cli_usage(command, "--protocol asks for `%s`, but the recipe names `%s`; leave one out",
                             kti_protocol_names[choice], kti_protocol_names[r->options.protocol]);
    optind = 1;
    while ((option = kti_cli_next(argc, argv, ":h", long_options)) != -1)
        if (!apply(r, option))
            return KTI_EXIT_USAGE;
    if (!r->options.data[0])
        return kti_cli_usage(command, "name a data set with --data, or a recipe");
    return -1;
}

/* runs/NAME, from the last part of the data set's real path: `.` has a name too. */
static void default_out(request *r)
{
    char *real = realpath(r->options.data[0], NULL);
    const char *data = real ? real : r->options.data[0]; /* what is not there is refused later */
    const char *slash = strrchr(data, '/'), *name = slash ? slash + 1 : data;
    const size_t length = strlen(name);
    const bool is_table = length > 4 && strcmp(name + length - 4, ".csv") == 0;
    snprintf(r->out, sizeof r->out, "runs/%.*s", (int)(is_table ? length - 4 : length), name);
    r->options.out = r->out;
    free(real);
}

/* Everything that could keep the run from starting. */
static kt_status check(const kt_train_options *o, kti_dataset *dataset, kt_error *error)
{
    kti_start start = {0};
    kti_dataset_options options = kti_dataset_options_default();
    options.graph.quotient = o->quotient;
    options.threads = o->threads;
    kt_status status = kti_recipe_check(o, error);
    if (status == KT_OK)
        status = kti_recipe_check_run(o, error);
    if (status == KT_OK)
        status = kti_dataset_read(o->data[0], &options, dataset, error);
    if (status == KT_OK)
        status = kti_start_open(o, &start, error);
    kti_start_close(&start);
    return status;
}

static int dry_run(const request *r)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset = {0};
    char *text = NULL;
    kt_status status = check(&r->options, &dataset, &error);
    if (status == KT_OK) {
        json_t *recipe = kti_recipe_to_json(&r->options);
        text = recipe ? json_dumps(recipe, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
        json_decref(recipe);
        if (!text)
            status = kti_fail_memory(&error, "the recipe");
    }
    int exit_status = KTI_EXIT_DONE;
    if (status == KT_OK) {
        for (int i = 0; i < dataset.rejected && !r->quiet; i++) {
            char reason[900];
            kt_error_format(&dataset.rejects[i].error, reason, sizeof reason);
            fprintf(stderr, "rejected: %s\n", reason);
        }
        printf("%s\n%d usable crystals, %d rejected rows\nwould write to %s\n", text, dataset.size,
               dataset.rejected, r->options.out);
        exit_status = dataset.rejected ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
    } else {
        exit_status = kti_cli_fail(&error);
    }
    free(text);
    kti_dataset_destroy(&dataset);
    return exit_status;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESETHAND}, before;
    sigemptyset(&action.sa_mask);
    /* The second Ctrl-C kills: the first one's handler is gone. The others may come twice, from a batch
     * system and from the shell that ends with it, and must not cut the checkpoint short. */
    sigaction(SIGINT, &action, NULL);
    action.sa_flags = 0;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup ignores it */
        sigaction(SIGHUP, &action, NULL);
    /* Who reads the progress may go; the run must not. */
    signal(SIGPIPE, SIG_IGN);
}

/* Prints the results; the exit status that they deserve. */
static int report(const kt_train_options *o, const kt_train_result *result)
{
    kt_error error = KT_ERROR_NONE;
    int failed = 0, exit_status = KTI_EXIT_DONE;
    if (print_table(o, result, &error) != KT_OK)
        exit_status = kti_cli_fail(&error);
    printf("results in %s\n", o->out);
    for (int i = 0; i < result->folds; i++)
        failed += result->fold[i].failed;
    if (result->rejected > 0) {
        kti_cli_warn("%d rows were rejected; the reasons stand in %s/rejects.csv", result->rejected, o->out);
        exit_status = exit_status == KTI_EXIT_DONE ? KTI_EXIT_REJECTS : exit_status;
    }
    if (failed > 0) {
        kti_cli_warn("%d of %d folds failed: no epoch gave finite predictions", failed, result->folds);
        exit_status = KTI_EXIT_FAILED;
    }
    return exit_status;
}

int kti_cli_train(int argc, char **argv)
{
    request r = {0};
    kt_error error = KT_ERROR_NONE;
    kt_train_result result;
    int exit_status = read_request(argc, argv, &r);
    if (exit_status >= 0)
        goto done;
    if (!r.options.out)
        default_out(&r);
    if (r.dry_run) {
        exit_status = dry_run(&r);
        goto done;
    }
    screen s = {kti_progress_create(r.quiet, r.progress)};
    r.options.progress = show_progress;
    r.options.message = show_message;
    r.options.user = &s;
    catch_signals();
    kt_status status = kt_train(&r.options, &result, &error);
    kti_progress_end(&s.progress);
    if (status != KT_OK) {
        exit_status = kti_cli_fail(&error);
        goto done;
    }
    exit_status = report(&r.options, &result);
    kt_train_result_destroy(&result);
done:
    json_decref(r.recipe);
    return exit_status;
}
