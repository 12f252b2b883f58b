#include "cli/train_request.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/names.h"
#include "cli/options.h"
#include "train/keys.h"
#include "train/stages.h"
#include "train/sweep.h"

/* ---- the tables ---- */

static const char hardware[] = "Hardware", run[] = "Run folder", messages[] = "Messages";

/* clang-format off */
#define AT(field) offsetof(kt_train_options, field)

const kti_option kti_train_run_options[] = {
    {.kind = KTI_OPTION_INTEGER, .flag = "fold", .offset = AT(run.only_fold), .argument = "N", .min = 1, .max = 1000,
     .group = "Data and start weights", .help = "split N alone"},
    {.kind = KTI_OPTION_TEXT, .flag = "device", .offset = AT(run.device), .argument = "NAME", .group = hardware,
     .help = "cpu (default); cuda: a GPU; cuda-cublas, cuda-cudnn: with that library wherever it can; cuda-auto: "
             "whichever is the fastest for each shape, timed at the start and kept"},
    {.kind = KTI_OPTION_NUMBER, .flag = "gpu-timeout", .offset = AT(run.gpu_timeout), .argument = "S", .min = 1e-3,
     .max = 1e9, .group = hardware,
     .help = "seconds without progress after which GPUs that share a fold give up (default 300)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(run.threads), .argument = "N", .min = 1, .max = 1024,
     .group = hardware,
     .help = "workers; each takes folds (default: all processors; under mpirun, the rank's share of them)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "force", .offset = AT(run.force), .group = run,
     .help = "write into a folder that holds something, and no run"},
    {.kind = KTI_OPTION_NUMBER, .flag = "checkpoint-every", .offset = AT(run.checkpoint_seconds), .argument = "S",
     .min = 0, .max = 1e9, .group = run, .help = "seconds between checkpoints of a fold (default 30)"},
    {.kind = KTI_OPTION_END},
};

#undef AT
#define AT(field) offsetof(kti_train_request, field)

const kti_option kti_train_request_options[] = {
    {.kind = KTI_OPTION_INTEGER, .flag = "replicas", .offset = AT(replicas), .argument = "N", .min = 1,
     .max = KT_MAX_REPLICAS, .group = "Several runs",
     .help = "N seeds from --seed on, all folds of all of them at once: a run each in RUN/seed-<seed>"},
    {.kind = KTI_OPTION_INTEGER, .flag = "point", .offset = AT(only_point), .argument = "N", .min = 1,
     .max = KTI_MAX_POINTS,
     .help = "of a recipe in which keys list several values, a sweep: that combination alone. Without it all of them are "
             "trained one after another, a run each in RUN/points/<n>"},
    {.kind = KTI_OPTION_TEXT, .flag = "out", .offset = AT(out), .argument = "RUN", .group = run,
     .help = "run folder (default: runs/NAME of the data set; of several stages, of the recipe)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "resume", .offset = AT(resume), .group = run,
     .help = "go on from the run folder's checkpoints"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "dry-run", .offset = AT(dry_run), .group = messages,
     .help = "show the resolved recipe and the data, and stop"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "quiet", .offset = AT(quiet), .group = messages, .help = "no progress"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "progress", .offset = AT(progress), .group = messages,
     .help = "a progress bar also where there is no terminal"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static bool belongs(const kti_option *table, const kti_option *option)
{
    for (; table->kind != KTI_OPTION_END; table++)
        if (table == option)
            return true;
    return false;
}

static bool is_named(const kti_given *given, const char *flag)
{
    return strcmp(given->option->flag, flag) == 0;
}

/* ---- the recipe ---- */

static kt_status single_stage(const kt_train_options *options, kt_recipe *recipe, kt_error *error)
{
    recipe->stage = kti_allocate(1, sizeof *recipe->stage);
    if (!recipe->stage)
        return kti_fail_memory(error, "the recipe");
    recipe->stage[0] = (kt_stage){.name = "", .options = *options};
    recipe->stages = 1;
    return KT_OK;
}

static int wrong_point(const kti_command *command, const kti_train_request *r)
{
    return r->points > 0
               ? kti_cli_usage(command->name, "the recipe has %d points, and --point asks for the %dth",
                               r->points, r->only_point)
               : kti_cli_usage(command->name, "--point takes a recipe in which a key lists several values");
}

/* The recipe, of a sweep the point's. Returns an exit status, or -1 to go on. */
static int read_recipe(const kti_command *command, kti_train_request *r, const kt_train_options *common)
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
        exit_status = wrong_point(command, r);
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

/* ---- the options ---- */

/* The first --data takes the place of the recipe's data; others join it. */
static bool add_data(kti_train_request *r, kt_train_options *o, const char *path)
{
    if (r->data_sets == KT_MAX_DATA_SETS) {
        kti_cli_warn("at most %d data sets can be joined", KT_MAX_DATA_SETS);
        return false;
    }
    if (r->data_sets == 0)
        memset(o->data, 0, sizeof o->data);
    o->data[r->data_sets++] = path;
    return true;
}

/* Whether the recipe leaves this option open: each stage names its own data and weights. */
static bool fits_recipe(const kti_train_request *r, const kti_given *given)
{
    const kti_option_kind kind = given->option->kind;
    const bool replicas = is_named(given, "replicas");
    if (r->recipe.staged && replicas)
        kti_cli_warn("--replicas takes a recipe of one stage; train this one with each --seed and --out");
    else if (r->points > 0 && replicas)
        kti_cli_warn("--replicas takes no sweep; list the seeds in the recipe, \"seed\": [1, 2, 3]");
    else if (r->recipe.staged && (kind == KTI_OPTION_DATA || kind == KTI_OPTION_WEIGHTS))
        kti_cli_warn("--%s cannot be given: each of the recipe's stages says its own", given->option->flag);
    else
        return true;
    return false;
}

static bool set_in_stage(kti_train_request *r, kt_train_options *o, const kti_given *given)
{
    if (given->option->kind == KTI_OPTION_DATA)
        return add_data(r, o, given->value);
    if (given->option->kind != KTI_OPTION_WEIGHTS)
        return kti_option_set(given, o);
    o->from = strcmp(given->value, "random") == 0 ? NULL : given->value;
    o->from_stage = NULL;
    return true;
}

/* One option into the request or into every stage; --protocol and --point have been read before the recipe. */
static bool set(kti_train_request *r, const kti_given *given)
{
    if (is_named(given, "protocol") || is_named(given, "point"))
        return true;
    if (!fits_recipe(r, given))
        return false;
    if (belongs(kti_train_request_options, given->option))
        return kti_option_set(given, r);
    for (int i = 0; i < r->recipe.stages; i++)
        if (!set_in_stage(r, &r->recipe.stage[i].options, given))
            return false;
    return true;
}

/* Those that decide what the recipe is. */
static bool set_first(kti_train_request *r, const kti_given_list *list, kt_train_options *common)
{
    for (int i = 0; i < list->size; i++) {
        const kti_given *given = &list->given[i];
        if (is_named(given, "protocol") && !kti_option_set(given, common))
            return false;
        if (is_named(given, "point") && !kti_option_set(given, r))
            return false;
    }
    const kt_protocol protocol = common->protocol;
    *common = kt_train_options_default(protocol);
    common->run.find = kti_name_find_named;
    return true;
}

/* KTI_EXIT_USAGE if --protocol differs from the recipe's, whose other settings were meant for its own; else -1. */
static int compare_protocols(const kti_command *command, const kti_train_request *r, kt_protocol asked)
{
    for (int i = 0; i < r->recipe.stages; i++) {
        const kt_protocol named = r->recipe.stage[i].options.protocol;
        if (named != asked)
            return kti_cli_usage(command->name,
                                 "--protocol asks for `%s`, but the recipe names `%s`; leave one out",
                                 kti_protocol_names[asked], kti_protocol_names[named]);
    }
    return -1;
}

/* What follows from the options for a stage. Returns an exit status, or -1 to go on. */
static int finish_stage(const kti_command *command, const kti_train_request *r, const kti_given_list *list,
                        kt_stage *stage)
{
    kt_train_options *o = &stage->options;
    /* Such a process sees nothing of the network. */
    if (kti_is_given(list, "head") && !kti_is_given(list, "epochs") && o->head == KT_HEAD_GP &&
        o->readout_components == 0)
        o->epochs = 0;
    if (o->data[0])
        return -1;
    if (r->recipe.staged)
        return kti_cli_usage(command->name, "stage `%s` names no data", stage->name);
    if (r->file)
        return kti_cli_usage(command->name, "the recipe %s names no data: add --data", r->file);
    return kti_cli_usage(command->name, "name a data set with --data, or a recipe");
}

int kti_train_request_read(const kti_command *command, int argc, char **argv, kti_train_request *r)
{
    kti_given_list list;
    kt_train_options common = kt_train_options_default(KT_SOUND);
    int exit_status = kti_command_parse(command, argc, argv, &list);
    if (exit_status < 0 && !set_first(r, &list, &common))
        exit_status = KTI_EXIT_USAGE;
    if (exit_status < 0 && argc - optind > 1)
        exit_status =
            kti_cli_usage(command->name, "one recipe at a time; `%s` is one too many", argv[optind + 1]);
    if (exit_status >= 0)
        return exit_status;
    r->file = optind < argc ? argv[optind] : NULL;
    r->threads_named = kti_is_given(&list, "threads");
    exit_status = read_recipe(command, r, &common);
    if (exit_status < 0 && kti_is_given(&list, "protocol"))
        exit_status = compare_protocols(command, r, common.protocol);
    for (int i = 0; i < list.size && exit_status < 0; i++)
        if (!set(r, &list.given[i]))
            exit_status = KTI_EXIT_USAGE;
    for (int i = 0; i < r->recipe.stages && exit_status < 0; i++)
        exit_status = finish_stage(command, r, &list, &r->recipe.stage[i]);
    return exit_status;
}

void kti_train_request_destroy(kti_train_request *r)
{
    kt_recipe_destroy(&r->recipe);
    free(r->point_out);
}

/* ---- where the run lies ---- */

/* Adds the last part of a path, without the ending, to the default run folder; a data set's real path, since `.` has a name
 * too. */
static void name_out(kti_train_request *r, const char *path, const char *ending)
{
    char *real = realpath(path, NULL);
    char name[sizeof r->default_out];
    kti_last_component(real ? real : path, name, sizeof name); /* what is not there is refused later */
    const size_t length = strlen(name), tail = strlen(ending), used = strlen(r->default_out);
    const bool ends = length > tail && kti_ends_with(name, ending);
    snprintf(r->default_out + used, sizeof r->default_out - used, "%s%.*s", used ? "+" : "runs/",
             (int)(ends ? length - tail : length), name);
    free(real);
}

/* runs/NAME of the recipe if it has stages or points, else of the data. */
static void default_out(kti_train_request *r)
{
    const kt_train_options *o = &r->recipe.stage[0].options;
    const bool by_recipe = r->recipe.staged || r->points > 0;
    if (by_recipe)
        name_out(r, r->file, ".json");
    for (int i = 0; i < KT_MAX_DATA_SETS && o->data[i] && !by_recipe; i++)
        name_out(r, o->data[i], ".csv");
    r->out = r->default_out;
}

kt_status kti_train_request_place(kti_train_request *r, kt_error *error)
{
    if (!r->out)
        default_out(r);
    if (r->points == 0)
        return KT_OK;
    r->point_out = kti_sweep_path(r->out, r->point);
    r->out = r->point_out;
    return r->out ? KT_OK : kti_fail_memory(error, "a path");
}
