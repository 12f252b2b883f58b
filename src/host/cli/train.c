/* kappatune train */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/ranks.h"
#include "cli/scores.h"
#include "cli/stop.h"
#include "cli/train.h"
#include "data/dataset.h"
#include "experiment/run.h"
#include "model/gp_head.h"
#include "train/recipe.h"
#include "train/stages.h"
#include "train/start.h"
#include "train/sweep.h"

static const char help[] =
    "usage: kappatune train RECIPE [OPTION...]\n"
    "       kappatune train --data DIR_OR_TABLE [OPTION...]\n"
    "\n"
    "Trains nine cross-validation folds of a data set side by side. Options override the recipe, in all of "
    "its\n"
    "stages if it has several.\n"
    "\n"
    "  RECIPE                 a JSON file, or the name of one that comes with kappatune: first-principles, "
    "paper, ...\n"
    "  --data PATH            folder with id_prop.csv and structure files, a table of crystals, or a name, "
    "togo15; given\n"
    "                         several times: each is split on its own, then they are joined\n"
    "  --from WEIGHTS         start weights: safetensors, matgl's state.pt or its folder, a run folder, a "
    "name,\n"
    "                         aflow-agl, or `random` (default: random)\n"
    "  --protocol NAME        sound (default): strict loading, target transform of the training rows alone, "
    "nothing\n"
    "                         chosen on the 20 %; published: as the published code runs, to compare with its "
    "tables\n"
    "  --select NAME          which rows choose the epoch: inner (default), outer (the reported ones), last "
    "(no choice)\n"
    "  --folds N              splits 1 .. N (default 9);  --fold N: that one alone\n"
    "  --epochs N             default 300; 0 with --head gp that sees no read-out\n"
    "  --batch N              crystals a step (default 8)\n"
    "  --learning-rate X      Adam's first rate (default 1e-3)\n"
    "  --seed N               default 42\n"
    "  --replicas N           N seeds from that on, all folds of all of them at once: a run each in "
    "RUN/seed-<seed>\n"
    "  --point N              of a recipe in which keys list several values, a sweep: that combination "
    "alone. "
    "Without it\n"
    "                         all of them are trained one after another, a run each in RUN/points/<n>\n"
    "  --head NAME            what predicts: network (default); gp, a Gaussian process fitted to each fold's "
    "training rows;\n"
    "                         average, the geometric mean of both\n"
    "  --gp-features NAME     what the process sees of a crystal: physical (default), 22 features; plain, "
    "17; "
    "none\n"
    "  --gp-kernel NAME       sum (default), matern or rbf\n"
    "  --readout-components N principal components of the network's read-out that it sees too, 0 (default) "
    "to "
    "16\n"
    "  --no-quotient          full graphs instead of their exact symmetry quotients\n"
    "  --device NAME          cpu (default); cuda: a GPU; cuda-cublas, cuda-cudnn: with that library "
    "wherever it can;\n"
    "                         cuda-auto: whichever is the fastest for each shape, timed at the start and "
    "kept\n"
    "  --gpus N               GPUs of --device cuda (default 1): folds are spread over them; of more GPUs "
    "than folds,\n"
    "                         N / FOLDS share each fold, a part of every batch each\n"
    "  --gpu-timeout S        seconds without progress after which GPUs that share a fold give up (default "
    "300)\n"
    "  --threads N            workers; each takes folds (default: all processors; under mpirun, the rank's "
    "share of them)\n"
    "  --out RUN              run folder (default: runs/NAME of the data set; of several stages, of the "
    "recipe)\n"
    "  --resume               go on from the run folder's checkpoints\n"
    "  --force                write into a folder that holds something, and no run\n"
    "  --checkpoint-every S   seconds between checkpoints of a fold (default 30)\n"
    "  --quiet, --progress    no progress; a bar also where there is no terminal\n"
    "  --dry-run              show the resolved recipe and the data, and stop\n"
    "\n"
    "The run folder gets recipe.json, metrics.json, predictions.csv, calibration.csv, epochs.csv, "
    "log.jsonl,\n"
    "rejects.csv and folds/<n>/{best,last}.safetensors; that of a recipe with stages, one such folder for "
    "each in\n"
    "stages/, and --resume trains only what is not finished, stages that were added to the recipe included.\n"
    "Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 checkpoint, then stop.\n"
    "Under mpirun -n N, or srun with MPI, the processes share the folds, to the same files (docs/ranks.md).\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some rows rejected, 4 stopped by a signal.\n";

typedef struct screen {
    kti_progress progress;
    bool quiet;
} screen;

static int show_progress(void *user, const kt_train_progress *p)
{
    screen *s = user;
    char stage[96] = "", detail[256];
    if (*p->stage)
        snprintf(stage, sizeof stage, "%s (%d/%d) ", p->stage, p->stage_number, p->stages);
    else if (p->replicas > 1)
        snprintf(stage, sizeof stage, "seed %llu ", (unsigned long long)p->seed);
    if (p->epochs > 0)
        snprintf(detail, sizeof detail, "%sfold %d epoch %d/%d, loss %.3f, MAPE %.3f", stage, p->fold,
                 p->epoch, p->epochs, p->train_loss, p->select_mape);
    else
        snprintf(detail, sizeof detail, "%sfold %d is fitted", stage, p->fold);
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
    OPTION_REPLICAS,
    OPTION_POINT,
    OPTION_HEAD,
    OPTION_GP_FEATURES,
    OPTION_GP_KERNEL,
    OPTION_COMPONENTS,
    OPTION_NO_QUOTIENT,
    OPTION_DEVICE,
    OPTION_GPUS,
    OPTION_GPU_TIMEOUT,
    OPTION_THREADS,
    OPTION_OUT,
    OPTION_RESUME,
    OPTION_FORCE,
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
    {"replicas", required_argument, NULL, OPTION_REPLICAS},
    {"point", required_argument, NULL, OPTION_POINT},
    {"head", required_argument, NULL, OPTION_HEAD},
    {"gp-features", required_argument, NULL, OPTION_GP_FEATURES},
    {"gp-kernel", required_argument, NULL, OPTION_GP_KERNEL},
    {"readout-components", required_argument, NULL, OPTION_COMPONENTS},
    {"no-quotient", no_argument, NULL, OPTION_NO_QUOTIENT},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"gpus", required_argument, NULL, OPTION_GPUS},
    {"gpu-timeout", required_argument, NULL, OPTION_GPU_TIMEOUT},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"out", required_argument, NULL, OPTION_OUT},
    {"resume", no_argument, NULL, OPTION_RESUME},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"checkpoint-every", required_argument, NULL, OPTION_CHECKPOINT},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"help", no_argument, NULL, 'h'},
    {0},
};

typedef struct request {
    kt_recipe recipe;
    const char *file; /* the recipe's; NULL without one */
    int data_sets;    /* named by --data */
    bool head_named, epochs_named, threads_named;
    kt_communicator *ranks;
    int replicas;    /* 0: not asked for */
    int points;      /* of the recipe, if it is a sweep, else 0 */
    int point;       /* of them, that this request is of */
    int only_point;  /* 0: not asked for */
    char *point_out; /* its folder; owned */
    const char *out;
    char default_out[512];
    bool resume, quiet, progress, dry_run;
    kt_error failure; /* to read it, not yet printed */
} request;

/* ---- reading them ---- */

static const char command[] = "train";

/* The first --data takes the place of the recipe's data; others join it. */
static bool add_data(request *r, kt_train_options *o, const char *path)
{
    if (r->data_sets == KT_MOST_DATA_SETS) {
        kti_cli_warn("at most %d data sets can be joined", KT_MOST_DATA_SETS);
        return false;
    }
    if (r->data_sets == 0)
        memset(o->data, 0, sizeof o->data);
    o->data[r->data_sets++] = path;
    return true;
}

/* Each stage of a recipe has its own of these. */
static bool fits_stages(const request *r, int option)
{
    if (r->recipe.staged && option == OPTION_REPLICAS) {
        kti_cli_warn("--replicas takes a recipe of one stage; train this one with each --seed and --out");
        return false;
    }
    if (r->points > 0 && option == OPTION_REPLICAS) {
        kti_cli_warn("--replicas takes no sweep; list the seeds in the recipe, \"seed\": [1, 2, 3]");
        return false;
    }
    if (!r->recipe.staged || (option != OPTION_DATA && option != OPTION_FROM))
        return true;
    kti_cli_warn("%s cannot be given: each of the recipe's stages says its own",
                 option == OPTION_DATA ? "--data" : "--from");
    return false;
}

/* One option for one stage, other than those that decide what the recipe is and were read before; false: wrong usage. */
static bool apply(request *r, kt_train_options *o, int option)
{
    int64_t integer = 0;
    int choice = 0;
    bool fine = true;
    switch (option) {
    case OPTION_PROTOCOL:
    case OPTION_POINT: break; /* read before */
    case OPTION_DATA: fine = add_data(r, o, optarg); break;
    case OPTION_FROM:
        o->from = strcmp(optarg, "random") == 0 ? NULL : optarg;
        o->from_stage = NULL;
        break;
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
        o->run.only_fold = (int)integer;
        break;
    case OPTION_EPOCHS:
        fine = kti_option_integer("--epochs", optarg, 0, 1000000, &integer);
        o->epochs = (int)integer;
        r->epochs_named = true;
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
    case OPTION_REPLICAS:
        fine = kti_option_integer("--replicas", optarg, 1, KT_MOST_REPLICAS, &integer);
        r->replicas = (int)integer;
        break;
    case OPTION_HEAD:
        choice = kti_option_choice("--head", optarg, kti_head_names);
        fine = choice >= 0;
        o->head = (kt_head)(fine ? choice : 0);
        r->head_named = true;
        break;
    case OPTION_GP_FEATURES:
        choice = kti_option_choice("--gp-features", optarg, kti_gp_features_names);
        fine = choice >= 0;
        o->gp_features = (kt_gp_features)(fine ? choice : 0);
        break;
    case OPTION_GP_KERNEL:
        choice = kti_option_choice("--gp-kernel", optarg, kti_gp_kernel_names);
        fine = choice >= 0;
        o->gp_kernel = (kt_gp_kernel)(fine ? choice : 0);
        break;
    case OPTION_COMPONENTS:
        fine = kti_option_integer("--readout-components", optarg, 0, KTI_GP_MOST_COMPONENTS, &integer);
        o->readout_components = (int)integer;
        break;
    case OPTION_NO_QUOTIENT: o->quotient = false; break;
    case OPTION_DEVICE: o->run.device = optarg; break;
    case OPTION_GPUS:
        fine = kti_option_integer("--gpus", optarg, 1, 1024, &integer);
        o->run.gpus = (int)integer;
        break;
    case OPTION_GPU_TIMEOUT:
        fine = kti_option_number("--gpu-timeout", optarg, 1e-3, 1e9, &o->run.gpu_timeout);
        break;
    case OPTION_THREADS:
        fine = kti_option_integer("--threads", optarg, 1, 1024, &integer);
        o->run.threads = (int)integer;
        r->threads_named = true;
        break;
    case OPTION_OUT: r->out = optarg; break;
    case OPTION_RESUME: r->resume = true; break;
    case OPTION_FORCE: o->run.force = true; break;
    case OPTION_CHECKPOINT:
        fine = kti_option_number("--checkpoint-every", optarg, 0, 1e9, &o->run.checkpoint_seconds);
        break;
    case OPTION_QUIET: r->quiet = true; break;
    case OPTION_PROGRESS: r->progress = true; break;
    case OPTION_DRY_RUN: r->dry_run = true; break;
    default: fine = false; /* getopt has said what is wrong */
    }
    return fine;
}

static kt_status single_stage(const kt_train_options *options, kt_recipe *recipe, kt_error *error)
{
    recipe->stage = kti_allocate(1, sizeof *recipe->stage);
    if (!recipe->stage)
        return kti_fail_memory(error, "the recipe");
    recipe->stage[0] = (kt_stage){.name = "", .options = *options};
    recipe->stages = 1;
    return KT_OK;
}

/* The recipe, of a sweep the point's. Returns an exit status, or -1 to go on. */
static int read_recipe(request *r, const kt_train_options *common)
{
    kt_error *error = &r->failure;
    json_t *root = NULL, *chosen = NULL;
    kt_status status = KT_OK;
    int exit_status = -1;
    if (r->file)
        status = kti_name_find(KTI_RECIPE, r->file, &r->file, error);
    if (status == KT_OK && r->file)
        status = kti_recipe_load(r->file, &root, &r->points, error);
    if (status == KT_OK && r->only_point > r->points) {
        exit_status =
            r->points > 0
                ? kti_cli_usage(command, "the recipe has %d points, and --point asks for the %dth", r->points,
                                r->only_point)
                : kti_cli_usage(command, "--point takes a recipe in which a key lists several values");
    } else if (status == KT_OK) {
        r->point = r->only_point ? r->only_point : r->point;
        chosen = r->points > 0 ? kti_sweep_point(root, r->points, r->point) : json_incref(root);
        if (r->file)
            status = chosen ? kti_recipe_read(chosen, r->file, common, &r->recipe, error)
                            : kti_fail_memory(error, "the recipe");
        else
            status = single_stage(common, &r->recipe, error);
    }
    json_decref(root);
    json_decref(chosen);
    return status == KT_OK ? exit_status : KTI_EXIT_FAILED;
}

/* Defaults, then the recipe, then the options. Returns an exit status, or -1 to go on; what is wrong is printed or in r->failure. */
static int read_request(int argc, char **argv, request *r)
{
    int64_t integer = 0;
    int option, choice = 0;
    bool protocol_asked = false, fine = true;
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
        if (option == OPTION_POINT)
            fine = kti_option_integer("--point", optarg, 1, KTI_MOST_POINTS, &integer);
        r->only_point = (int)integer;
        if (option == '?' || choice < 0 || !fine)
            return KTI_EXIT_USAGE;
    }
    kt_train_options common = kt_train_options_default((kt_protocol)choice);
    common.run.find = kti_name_find_named;
    if (argc - optind > 1)
        return kti_cli_usage(command, "one recipe at a time; `%s` is one too many", argv[optind + 1]);
    r->file = optind < argc ? argv[optind] : NULL;
    const int exit_status = read_recipe(r, &common);
    if (exit_status >= 0)
        return exit_status;
    for (int i = 0; i < r->recipe.stages && protocol_asked; i++) {
        /* The recipe's other settings were meant for its own protocol. */
        const kt_protocol named = r->recipe.stage[i].options.protocol;
        if ((int)named != choice)
            return kti_cli_usage(command,
                                 "--protocol asks for `%s`, but the recipe names `%s`; leave one out",
                                 kti_protocol_names[choice], kti_protocol_names[named]);
    }
    optind = 1;
    while ((option = kti_cli_next(argc, argv, ":h", long_options)) != -1) {
        if (!fits_stages(r, option))
            return KTI_EXIT_USAGE;
        for (int i = 0; i < r->recipe.stages; i++)
            if (!apply(r, &r->recipe.stage[i].options, option))
                return KTI_EXIT_USAGE;
    }
    for (int i = 0; i < r->recipe.stages; i++) {
        kt_train_options *o = &r->recipe.stage[i].options;
        /* Such a process sees nothing of the network. */
        if (r->head_named && !r->epochs_named && o->head == KT_HEAD_GP && o->readout_components == 0)
            o->epochs = 0;
    }
    for (int i = 0; i < r->recipe.stages; i++)
        if (!r->recipe.stage[i].options.data[0])
            return kti_cli_usage(command,
                                 r->recipe.staged ? "stage `%s` names no data"
                                 : r->file        ? "the recipe %s names no data: add --data"
                                                  : "name a data set with --data, or a recipe%s",
                                 r->recipe.staged ? r->recipe.stage[i].name
                                 : r->file        ? r->file
                                                  : "");
    return -1;
}

/* Adds the last part of a path, without the ending, to the default run folder; a data set's real path, since `.` has a name
 * too. */
static void name_out(request *r, const char *path, const char *ending)
{
    char *real = realpath(path, NULL);
    const char *full = real ? real : path; /* what is not there is refused later */
    const char *slash = strrchr(full, '/'), *name = slash ? slash + 1 : full;
    const size_t length = strlen(name), tail = strlen(ending), used = strlen(r->default_out);
    const bool ends = length > tail && strcmp(name + length - tail, ending) == 0;
    snprintf(r->default_out + used, sizeof r->default_out - used, "%s%.*s", used ? "+" : "runs/",
             (int)(ends ? length - tail : length), name);
    free(real);
}

/* runs/NAME of the recipe if it has stages or points, else of the data. */
static void default_out(request *r)
{
    const kt_train_options *o = &r->recipe.stage[0].options;
    const bool by_recipe = r->recipe.staged || r->points > 0;
    if (by_recipe)
        name_out(r, r->file, ".json");
    for (int i = 0; i < KT_MOST_DATA_SETS && o->data[i] && !by_recipe; i++)
        name_out(r, o->data[i], ".csv");
    r->out = r->default_out;
}

/* Where the request's run lies: of a sweep, in a folder of the point's own. */
static kt_status place_out(request *r, kt_error *error)
{
    if (!r->out)
        default_out(r);
    if (r->points == 0)
        return KT_OK;
    r->point_out = kti_sweep_path(r->out, r->point);
    r->out = r->point_out;
    return r->out ? KT_OK : kti_fail_memory(error, "a path");
}

/* Of everything that was read, so that all ranks do the same; 0 where memory is short. */
static uint64_t fingerprint(const request *r)
{
    json_t *recipe = kti_stages_to_json(&r->recipe);
    char *text = recipe ? json_dumps(recipe, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    const uint64_t start = kti_hash(KTI_HASH_START, &r->points, sizeof r->points);
    const uint64_t hash = text ? kti_hash(start, text, strlen(text)) : 0;
    json_decref(recipe);
    free(text);
    return hash;
}

/* An exit status, or -1 to go on; the same for all ranks. */
static int read_together(int argc, char **argv, request *r)
{
    kt_error error = KT_ERROR_NONE;
    const int exit_status = kti_cli_agree(r->ranks, read_request(argc, argv, r), &r->failure);
    if (exit_status >= 0)
        return exit_status;
    return kti_communicator_compare(r->ranks, fingerprint(r), "reads another recipe there than rank 0",
                                    &error) == KT_OK
               ? -1
               : kti_cli_fail_together(r->ranks, &error);
}

/* ---- the dry run ---- */

/* Everything that could keep a stage from starting; what a stage of this run is to make, that cannot be seen yet. */
static kt_status check_stage(const request *r, int index, int *rejected, kt_error *error)
{
    const kt_stage *stage = &r->recipe.stage[index];
    kti_dataset dataset = {0};
    kti_start start = {0};
    kt_error own = KT_ERROR_NONE;
    kt_status status = kti_run_read_data(&stage->options, &dataset, &own);
    if (status == KT_OK && !stage->options.from_stage)
        status = kti_start_open(&stage->options, &start, &own);
    for (int i = 0; i < dataset.rejected && !r->quiet && status == KT_OK; i++) {
        char reason[900];
        kt_error_format(&dataset.rejects[i].error, reason, sizeof reason);
        fprintf(stderr, "rejected: %s\n", reason);
    }
    if (status == KT_OK && r->recipe.staged)
        printf("stage %d of %d, %s: ", index + 1, r->recipe.stages, stage->name);
    if (status == KT_OK)
        printf("%d usable crystals, %d rejected rows", dataset.size, dataset.rejected);
    if (status == KT_OK && stage->options.from_stage)
        printf(", from stage %s", stage->options.from_stage);
    if (status == KT_OK)
        putchar('\n');
    *rejected += dataset.rejected;
    kti_dataset_destroy(&dataset);
    kti_start_close(&start);
    return status == KT_OK ? KT_OK : kti_stage_fail(error, stage->name, &own);
}

static kt_status check_run(const request *r, kt_error *error)
{
    kt_train_options options = r->recipe.stage[0].options;
    kt_status status = kti_stages_check(&r->recipe, error);
    options.run.out = r->out;
    options.run.resume = r->resume;
    if (r->replicas > 0) /* each has a folder of its own, which is looked at when they are trained */
        return status;
    if (status == KT_OK)
        status = r->recipe.staged ? kti_stages_check_run(&r->recipe, r->out, r->resume, error)
                                  : kti_recipe_check_run(&options, error);
    return status;
}

static int dry_run(const request *r)
{
    kt_error error = KT_ERROR_NONE;
    json_t *recipe = NULL;
    char *text = NULL;
    int rejected = 0;
    kt_status status = check_run(r, &error);
    if (status == KT_OK) {
        recipe = kti_stages_to_json(&r->recipe);
        text = recipe ? json_dumps(recipe, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
        status = text ? KT_OK : kti_fail_memory(&error, "the recipe");
    }
    if (status == KT_OK)
        puts(text);
    for (int i = 0; i < r->recipe.stages && status == KT_OK; i++)
        status = check_stage(r, i, &rejected, &error);
    if (status == KT_OK)
        printf("would write to %s%s\n", r->out, r->replicas > 0 ? "/seed-*" : "");
    json_decref(recipe);
    free(text);
    if (status != KT_OK)
        return kti_cli_fail(&error);
    return rejected ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

static kt_status print_stages(const request *r, const kt_recipe_result *result, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < result->stages && status == KT_OK; i++) {
        const kt_stage *stage = &r->recipe.stage[i];
        printf("\nstage %d of %d, %s%s: kappa in W/(m K), protocol %s\n", i + 1, result->stages, stage->name,
               result->reused[i] ? " (had finished before)" : "",
               kti_protocol_names[stage->options.protocol]);
        status = kti_print_summaries(&stage->options, &result->stage[i], error);
    }
    if (status == KT_OK)
        putchar('\n');
    return status;
}

/* What became of a run's rows and folds; `where`: its folder. */
static int judge(const kt_train_result *result, const char *where, const char *below, int exit_status)
{
    int failed = 0;
    for (int f = 0; f < result->folds; f++)
        failed += result->fold[f].failed;
    if (result->rejected > 0) {
        kti_cli_warn("%d rows were rejected; the reasons stand in %s%s/rejects.csv", result->rejected, where,
                     below);
        exit_status = exit_status == KTI_EXIT_DONE ? KTI_EXIT_REJECTS : exit_status;
    }
    if (failed == 0)
        return exit_status;
    kti_cli_warn("%d folds of %s%s failed: no epoch gave finite predictions", failed, where, below);
    return KTI_EXIT_FAILED;
}

/* Prints the results; the exit status that they deserve. */
static int report(const request *r, const kt_recipe_result *result)
{
    kt_error error = KT_ERROR_NONE;
    const kt_status status = r->recipe.staged
                                 ? print_stages(r, result, &error)
                                 : kti_print_table(&r->recipe.stage[0].options, &result->stage[0], &error);
    int exit_status = status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
    printf("results in %s\n", r->out);
    for (int i = 0; i < result->stages; i++) {
        char below[128] = "";
        if (r->recipe.staged)
            snprintf(below, sizeof below, "/stages/%s", r->recipe.stage[i].name);
        exit_status = judge(&result->stage[i], r->out, below, exit_status);
    }
    return exit_status;
}

/* ---- training ---- */

static int train_replicas(const request *r, kti_progress *progress)
{
    kt_error error = KT_ERROR_NONE;
    kt_train_options options = r->recipe.stage[0].options;
    kt_train_result *results = kti_allocate((size_t)r->replicas, sizeof *results);
    options.run.out = r->out;
    options.run.resume = r->resume;
    kt_status status = results ? kt_train_replicas(&options, r->replicas, results, &error)
                               : kti_fail_memory(&error, "the results");
    kti_progress_end(progress);
    const bool root = kti_communicator_is_root(r->ranks);
    if (status == KT_OK && root)
        status = kti_print_replicas(&options, results, r->replicas, &error);
    int exit_status = status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail_together(r->ranks, &error);
    if (status == KT_OK && root)
        printf("results in %s/seed-*\n", r->out);
    for (int i = 0; i < r->replicas && status == KT_OK; i++) {
        char below[64];
        if (!root)
            break;
        snprintf(below, sizeof below, "/seed-%llu", (unsigned long long)options.seed + (unsigned)i);
        exit_status = judge(&results[i], r->out, below, exit_status);
    }
    for (int i = 0; i < r->replicas && results; i++)
        kt_train_result_destroy(&results[i]);
    free(results);
    return exit_status;
}

static int train_recipe(const request *r, kti_progress *progress)
{
    kt_error error = KT_ERROR_NONE;
    kt_recipe_result result;
    const kt_status status = kt_train_recipe(&r->recipe, r->out, r->resume, &result, &error);
    kti_progress_end(progress);
    if (status != KT_OK)
        return kti_cli_fail_together(r->ranks, &error);
    /* The results are rank 0's. */
    const int exit_status = kti_communicator_is_root(r->ranks) ? report(r, &result) : KTI_EXIT_DONE;
    kt_recipe_result_destroy(&result);
    return exit_status;
}

/* What each stage is to know of the ranks; returns an exit status, or -1 to go on. */
static int share_out(request *r)
{
    for (int i = 0; i < r->recipe.stages; i++) {
        kt_train_options *o = &r->recipe.stage[i].options;
        o->run.ranks = r->ranks;
        if (!r->threads_named)
            o->run.threads = kti_communicator_processors(r->ranks);
        if (r->ranks && (o->run.gpus > 1 || (o->run.device && strcmp(o->run.device, "cuda-auto") == 0))) {
            kt_error error = KT_ERROR_NONE;
            kti_fail(&error, KT_BAD_ARGUMENT,
                     o->run.gpus > 1
                         ? "each rank has one GPU; leave out --gpus and start a rank for each"
                         : "cuda-auto times one GPU, and the ranks' would choose differently; use "
                           "--device cuda, cuda-cublas or cuda-cudnn");
            return kti_cli_fail_together(r->ranks, &error);
        }
    }
    return -1;
}

static int train(request *r)
{
    const bool root = kti_communicator_is_root(r->ranks);
    screen s = {kti_progress_create(r->quiet || !root, r->progress), r->quiet};
    for (int i = 0; i < r->recipe.stages; i++) {
        r->recipe.stage[i].options.run.progress = show_progress;
        r->recipe.stage[i].options.run.message = show_message;
        r->recipe.stage[i].options.run.user = &s;
    }
    kti_stop_on_signals();
    return r->replicas > 0 ? train_replicas(r, &s.progress) : train_recipe(r, &s.progress);
}

/* One recipe, or one point of a sweep. */
static int treat(request *r)
{
    kt_error error = KT_ERROR_NONE;
    const bool root = kti_communicator_is_root(r->ranks);
    place_out(r, &error);
    int exit_status = kti_cli_agree(r->ranks, -1, &error);
    if (exit_status < 0)
        exit_status = share_out(r);
    if (exit_status >= 0)
        return exit_status;
    if (r->points > 0 && root)
        printf("point %d of %d\n", r->point, r->points);
    if (r->dry_run)
        return root ? dry_run(r) : KTI_EXIT_DONE;
    return train(r);
}

static void request_destroy(request *r)
{
    kt_recipe_destroy(&r->recipe);
    free(r->point_out);
}

/* A point of a sweep after the first one; `check`: only whether it can be trained. An exit status. */
static int treat_point(int argc, char **argv, kt_communicator *ranks, int point, bool check)
{
    kt_error error = KT_ERROR_NONE;
    request r = {.point = point, .ranks = ranks};
    int exit_status = read_together(argc, argv, &r);
    if (exit_status < 0 && check) {
        kti_stages_check(&r.recipe, &error);
        exit_status = kti_cli_agree(ranks, -1, &error);
        exit_status = exit_status < 0 ? KTI_EXIT_DONE : exit_status;
    } else if (exit_status < 0) {
        exit_status = treat(&r);
    }
    request_destroy(&r);
    return exit_status;
}

int kti_cli_train(int argc, char **argv)
{
    request r = {.point = 1};
    int exit_status = kti_cli_join(argc, argv, &r.ranks), checked = KTI_EXIT_DONE;
    if (exit_status >= 0)
        return exit_status;
    exit_status = read_together(argc, argv, &r);
    const int points = exit_status < 0 && !r.only_point ? r.points : 0;
    /* A value that makes no sense is found before anything is trained. */
    for (int point = 1; point <= points && checked == KTI_EXIT_DONE; point++)
        checked = treat_point(argc, argv, r.ranks, point, true);
    if (exit_status < 0)
        exit_status = checked == KTI_EXIT_DONE ? treat(&r) : checked;
    for (int point = 2; point <= points && checked == KTI_EXIT_DONE && exit_status != KTI_EXIT_STOPPED;
         point++) {
        const int next = treat_point(argc, argv, r.ranks, point, false);
        /* Failed is worse than rejects, and these than nothing. */
        if (next == KTI_EXIT_STOPPED || next == KTI_EXIT_FAILED || exit_status == KTI_EXIT_DONE)
            exit_status = next;
    }
    exit_status = kti_cli_leave(r.ranks, exit_status);
    request_destroy(&r);
    return exit_status;
}
