/* kappatune submit */
#include "cli/submit.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kappatune/train.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/slurm.h"
#include "train/recipe.h"
#include "train/stages.h"
#include "train/sweep.h"

typedef struct request {
    const char *recipe, *after, *device, *cluster_file, *asked_out;
    char *out, *found_file; /* owned */
    int at_once;
    bool slurm, array, resume, dry_run;

    json_t *root; /* the recipe */
    int points;   /* of a sweep, else 0 */
    int folds;    /* of the stages; 0 if they differ */
    kti_cluster cluster;
    char program[4096], folder[4096]; /* this program, and where it runs */
} request;

static const char command[] = "submit";

/* ---- options ---- */

/* "12", "12,13"; a task of an array is "12_3". */
static bool is_job_list(const char *text)
{
    bool digit = false, good = true;
    for (; *text && good; text++) {
        const bool is_digit = *text >= '0' && *text <= '9';
        good = is_digit || ((*text == ',' || *text == '_') && digit);
        digit = is_digit;
    }
    return good && digit;
}

/* runs/NAME of NAME.json; NULL when memory is short. */
static char *default_out(const char *recipe)
{
    char name[300];
    const char *slash = strrchr(recipe, '/'), *last = slash ? slash + 1 : recipe;
    const size_t length = strlen(last);
    const bool ends = length > 5 && strcmp(last + length - 5, ".json") == 0;
    snprintf(name, sizeof name, "runs/%.*s", (int)(ends ? length - 5 : length), last);
    return kti_duplicate_text(name);
}

static bool take_after(void *target, const char *flag, const char *value)
{
    ((request *)target)->after = value;
    return is_job_list(value) ||
           (kti_cli_usage(command, "%s takes numbers of jobs, 12 or 12,13, not '%s'", flag, value), false);
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_BOOLEAN, .flag = "slurm", .offset = AT(slurm), .group = "Jobs",
     .help = "the queue, by sbatch"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "array", .offset = AT(array),
     .help = "an array of jobs: of a sweep a task each point, else a task each fold, in RUN/parts, and a job "
             "after them that makes them one run (kappatune collect)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "at-once", .offset = AT(at_once), .argument = "N", .min = 1,
     .max = 100000,
     .help = "so many tasks of the array at a time (default: as the cluster can)"},
    {.kind = KTI_OPTION_OTHER, .flag = "after", .argument = "ID[,ID...]", .take = take_after,
     .help = "start when these jobs have ended well"},
    {.kind = KTI_OPTION_TEXT, .flag = "cluster", .offset = AT(cluster_file), .argument = "FILE",
     .help = "account, partition, wall-time, ... (default: ~/.config/kappatune/cluster.json; without it the "
             "cluster's defaults)"},
    {.kind = KTI_OPTION_WORD, .flag = "device", .offset = AT(device), .argument = "NAME",
     .choices = kti_cluster_devices,
     .help = "of train (default: the cluster file's, else cpu)"},
    {.kind = KTI_OPTION_TEXT, .flag = "out", .offset = AT(asked_out), .argument = "RUN", .group = "Run",
     .help = "run folder (default: runs/NAME of the recipe); the script, a copy of the recipe and the logs "
             "stand in RUN/submit"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "resume", .offset = AT(resume),
     .help = "go on with a run that was submitted before"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "dry-run", .offset = AT(dry_run),
     .help = "print the script, and stop"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_submit_command = {
    .name = "submit",
    .summary = "hand a training to a cluster's queue",
    .arguments = "RECIPE --slurm",
    .about =
        "Hands a training to a cluster's queue. One job trains all folds side by side, one stage after "
        "another; before its wall-time it checkpoints and goes back into the queue, to go on to the same "
        "bits.\n"
        "\n"
        "RECIPE is a JSON file, or the name of one that comes with kappatune.",
    .notes = "Standard output gets the number of the job that ends the run, for the --after of another. See "
             "docs/cluster.md. Exit status: 0 done, 1 failed, 2 wrong usage.\n"
             "\n"
             "Example:\n"
             "  first=$(kappatune submit pretrain.json --slurm)\n"
             "  kappatune submit finetune.json --slurm --array --after $first",
    .options = {option_table},
    .run = run,
};

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    const int exit_status = kti_command_read(&kti_submit_command, argc, argv, r);
    const char *out = r->asked_out;
    if (exit_status >= 0)
        return exit_status;
    if (argc - optind != 1)
        return kti_cli_usage(command, "name one recipe");
    if (!r->slurm)
        return kti_cli_usage(command, "name the queue: --slurm");
    if (r->at_once > 0 && !r->array)
        return kti_cli_usage(command, "--at-once belongs to --array");
    if (out && (*out == '\0' || *out == '-'))
        return kti_cli_usage(command, "--out takes the path of a folder, not '%s'", out);
    kt_error error = KT_ERROR_NONE;
    if (kti_name_find(KTI_RECIPE, argv[optind], &r->recipe, &error) != KT_OK)
        return kti_cli_fail(&error);
    r->out = out ? kti_duplicate_text(out) : default_out(r->recipe);
    return -1;
}

/* ---- what is to be run ---- */

static kt_status check_path(const kt_train_options *options, kt_named kind, const char *name, kt_error *error)
{
    const char *path;
    kt_status status = kti_recipe_find(options, kind, name, &path, error);
    if (status == KT_OK && access(path, R_OK) != 0)
        status = kti_fail_file(error, KT_IO, path, "cannot be read: %s", strerror(errno));
    return status;
}

/* A path that is not there would be noticed when the job's turn has come; what other jobs are to make may come. */
static kt_status check_paths(const request *r, const kt_train_options *options, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < KT_MAX_DATA_SETS && options->data[i] && !r->after && status == KT_OK; i++)
        status = check_path(options, KT_NAMED_DATA, options->data[i], error);
    if (options->from && !r->after && status == KT_OK)
        status = check_path(options, KT_NAMED_WEIGHTS, options->from, error);
    return status;
}

static kt_status check_recipe(request *r, int point, kt_error *error)
{
    kt_recipe recipe = {0};
    kt_train_options common = kt_train_options_default(KT_SOUND);
    common.run.device = r->cluster.device;
    common.run.find = kti_name_find_named;
    json_t *root = r->points > 0 ? kti_sweep_point(r->root, r->points, point) : json_incref(r->root);
    kt_status status = root ? kti_recipe_read(root, r->recipe, &common, &recipe, error)
                            : kti_fail_memory(error, "the recipe");
    for (int i = 0; i < recipe.stages && r->cluster.gpus > 0 && r->cluster.ranks == 0; i++)
        recipe.stage[i].options.run.gpus = r->cluster.gpus;
    if (status == KT_OK)
        status = kti_stages_check(&recipe, error);
    for (int i = 0; i < recipe.stages && status == KT_OK; i++) {
        kt_train_options *o = &recipe.stage[i].options;
        status = check_paths(r, o, error);
        r->folds = i == 0 ? o->folds : o->folds == r->folds ? r->folds : 0;
        o->run.out = r->out;
        o->run.resume = r->resume;
    }
    if (status == KT_OK && r->points == 0 && !r->array)
        status = recipe.staged ? kti_stages_check_run(&recipe, r->out, r->resume, error)
                               : kti_recipe_check_run(&recipe.stage[0].options, error);
    kt_recipe_destroy(&recipe);
    json_decref(root);
    return status;
}

/* What tasks of an array cannot have. */
static kt_status check_array(const request *r, kt_error *error)
{
    if (!r->array)
        return KT_OK;
    if (strcmp(r->cluster.device, "cuda-auto") == 0)
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "each task of an array would time and choose its own kernels with --device cuda-auto; "
            "use cuda, cuda-cublas or cuda-cudnn");
    if (r->points > 0)
        return KT_OK;
    if (r->folds == 0)
        return kti_fail_file(
            error, KT_BAD_ARGUMENT, r->recipe,
            "its stages differ in their folds, so that they cannot be an array: leave --array out");
    if (r->cluster.ranks > 1)
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "`ranks` is %d, but a task of the array trains one fold, which one process does: leave "
            "it out, or leave --array out",
            r->cluster.ranks);
    if (r->cluster.gpus > 1)
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "`gpus` is %d, but a task of the array trains one fold: set it to 1, or leave --array "
            "out",
            r->cluster.gpus);
    return KT_OK;
}

/* What collects an array's folds writes into RUN as training does. */
static kt_status check_stranger(const request *r, kt_error *error)
{
    char *recipe = kti_path_join(r->out, "recipe.json");
    kt_status status = recipe ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && !kti_file_exists(recipe))
        status = kti_recipe_check_stranger(r->out, false, error);
    free(recipe);
    return status;
}

/* Nothing of an earlier run may be there, unless it is to go on. */
static kt_status check_folder(const request *r, kt_error *error)
{
    static const char *const traces[] = {"submit/jobs.json", "points", "parts"};
    kt_status status = KT_OK;
    for (int i = 0; i < 3 && status == KT_OK && !r->resume; i++) {
        char *path = kti_path_join(r->out, traces[i]);
        if (!path)
            status = kti_fail_memory(error, "a path");
        else if (kti_file_exists(path) || kti_is_folder(path))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, r->out,
                                   "already holds a run; use --resume to go on with it, or another --out");
        free(path);
    }
    return status == KT_OK && r->array && r->points == 0 ? check_stranger(r, error) : status;
}

/* The user's own; NULL in *path if there is none. What lies in the present folder may be anybody's: it is read when it is named. */
static kt_status find_cluster(char **path, kt_error *error)
{
    const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
    const bool has_config = config && *config == '/';
    *path = NULL;
    if (kti_file_exists("cluster.json"))
        kti_cli_warn("./cluster.json is not read unless it is named: --cluster cluster.json");
    if (!has_config && !home)
        return KT_OK;
    *path = has_config ? kti_path_join(config, "kappatune/cluster.json")
                       : kti_path_join(home, ".config/kappatune/cluster.json");
    if (!*path)
        return kti_fail_memory(error, "a path");
    if (!kti_file_exists(*path)) {
        free(*path);
        *path = NULL;
    }
    return KT_OK;
}

static kt_status find_places(request *r, kt_error *error)
{
    kt_status status = kti_program_path(r->program, sizeof r->program, error);
    if (status != KT_OK)
        return status;
    if (!getcwd(r->folder, sizeof r->folder))
        return kti_fail(error, KT_IO, "the present folder cannot be found: %s", strerror(errno));
    return KT_OK;
}

static kt_status prepare(request *r, kt_error *error)
{
    kt_status status = r->out ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && !r->cluster_file) {
        status = find_cluster(&r->found_file, error);
        r->cluster_file = r->found_file;
    }
    if (status == KT_OK)
        status = kti_cluster_read(r->cluster_file, r->device, &r->cluster, error);
    if (status == KT_OK && r->cluster_file)
        fprintf(stderr, "cluster file: %s\n", r->cluster_file);
    if (status == KT_OK)
        status = kti_recipe_load(r->recipe, &r->root, &r->points, error);
    for (int point = 1; point <= (r->points > 0 ? r->points : 1) && status == KT_OK; point++)
        status = check_recipe(r, point, error);
    if (status == KT_OK)
        status = check_array(r, error);
    if (status == KT_OK)
        status = check_folder(r, error);
    return status == KT_OK ? find_places(r, error) : status;
}

/* ---- the jobs ---- */

/* One job: its script, and how it is handed over. */
typedef struct job {
    const char *name; /* "train" or "collect" */
    kti_text arguments, script;
    char *script_path;                                      /* owned */
    char log_option[9000], folder_option[4200], after[600]; /* of sbatch */
    char *argv[10];
} job;

static void job_destroy(job *j)
{
    kti_text_destroy(&j->arguments);
    kti_text_destroy(&j->script);
    free(j->script_path);
}

static void add_train(const request *r, kti_text *arguments)
{
    char *recipe = kti_path_join(r->out, "submit/recipe.json");
    kti_text_add(arguments, "train ");
    kti_slurm_quote(arguments, recipe ? recipe : "");
    kti_text_add(arguments, " --resume --out ");
    kti_slurm_quote(arguments, r->out);
    if (r->array && r->points > 0)
        kti_text_add(arguments, " --point \"$SLURM_ARRAY_TASK_ID\"");
    else if (r->array)
        kti_text_add(arguments, "/parts/fold-\"$SLURM_ARRAY_TASK_ID\" --fold \"$SLURM_ARRAY_TASK_ID\"");
    arguments->failed = arguments->failed || !recipe;
    free(recipe);
}

/* Slurm replaces what follows a % in the name of a log. */
static void set_log(const char *path, const char *name, char *option, size_t capacity)
{
    size_t used = (size_t)snprintf(option, capacity, "--output=");
    for (; *path && used + 64 < capacity; path++) {
        option[used++] = *path;
        if (*path == '%')
            option[used++] = '%';
    }
    snprintf(option + used, capacity - used, "%s", name);
}

static kt_status create_job(const request *r, job *j, const char *after, kt_error *error)
{
    const bool trains = strcmp(j->name, "train") == 0, is_array = trains && r->array;
    char script_name[64], log_name[64];
    int n = 0;
    const char *slash = strrchr(r->out, '/');
    snprintf(script_name, sizeof script_name, "submit/%s.sh", j->name);
    snprintf(log_name, sizeof log_name, "/submit/%s-%s.log", j->name, is_array ? "%A_%a" : "%j");
    if (trains) {
        add_train(r, &j->arguments);
    } else {
        kti_text_add(&j->arguments, "collect ");
        kti_slurm_quote(&j->arguments, r->out);
    }
    const kti_slurm_job description = {.name = slash && slash[1] ? slash + 1 : r->out,
                                       .program = r->program,
                                       .search_path = kti_search_path(),
                                       .arguments = j->arguments.data,
                                       .tasks = !is_array       ? 0
                                                : r->points > 0 ? r->points
                                                                : r->folds,
                                       .at_once = is_array ? r->at_once : 0,
                                       .one_fold = is_array && r->points == 0,
                                       .ranks = trains};
    if (!j->arguments.failed)
        kti_slurm_script(&j->script, &r->cluster, &description);
    j->script_path = kti_path_join(r->out, script_name);
    if (!j->script_path || j->arguments.failed || j->script.failed)
        return kti_fail_memory(error, "a job");
    set_log(r->out, log_name, j->log_option, sizeof j->log_option);
    snprintf(j->folder_option, sizeof j->folder_option, "--chdir=%s", r->folder);
    j->argv[n++] = (char *)"sbatch";
    j->argv[n++] = (char *)"--parsable";
    j->argv[n++] = j->folder_option;
    j->argv[n++] = j->log_option;
    if (after) {
        snprintf(j->after, sizeof j->after, "--dependency=afterok:%s", after);
        for (char *c = j->after; *c; c++)
            *c = *c == ',' ? ':' : *c;
        j->argv[n++] = j->after;
        j->argv[n++] = (char *)"--kill-on-invalid-dep=yes";
    }
    j->argv[n++] = j->script_path;
    return KT_OK;
}

static kt_status print_job(const job *j, kt_error *error)
{
    kti_text line = {0};
    for (int i = 0; j->argv[i]; i++) {
        kti_text_add(&line, i ? " " : "");
        kti_slurm_quote(&line, j->argv[i]);
    }
    if (!line.failed)
        printf("# %s, handed over by: %s\n%s\n", j->script_path, line.data, j->script.data);
    const kt_status status = line.failed ? kti_fail_memory(error, "a job") : KT_OK;
    kti_text_destroy(&line);
    return status;
}

/* The recipe first: a job reads the copy, whatever becomes of the file. */
static kt_status store_recipe(const request *r, kt_error *error)
{
    char *folder = kti_path_join(r->out, "submit"), *recipe = kti_path_join(r->out, "submit/recipe.json");
    kt_status status = folder && recipe ? kti_make_folder(folder, error) : kti_fail_memory(error, "a path");
    if (status == KT_OK)
        status = kti_json_write(recipe, r->root, error);
    free(folder);
    free(recipe);
    return status;
}

/* Writes the script and submits it, or, in a dry run, prints it. */
static kt_status hand_over(const request *r, job *j, const char *after, char id[32], kt_error *error)
{
    kt_status status = create_job(r, j, after, error);
    if (status != KT_OK || r->dry_run)
        return status == KT_OK ? print_job(j, error) : status;
    status = kti_file_write(j->script_path, j->script.data, j->script.size, error);
    return status == KT_OK ? kti_slurm_submit(j->argv, id, error) : status;
}

/* For `kappatune status`. */
static kt_status store_ids(const request *r, const char *train, const char *collect, kt_error *error)
{
    const int tasks = !r->array ? 1 : r->points > 0 ? r->points : r->folds;
    json_t *ids =
        json_pack("{s:s, s:i, s:s*}", "train", train, "tasks", tasks, "collect", *collect ? collect : NULL);
    char *path = kti_path_join(r->out, "submit/jobs.json");
    const kt_status status =
        ids && path ? kti_json_write(path, ids, error) : kti_fail_memory(error, "the jobs");
    json_decref(ids);
    free(path);
    return status;
}

static void tell(const request *r, const char *train, const char *collect)
{
    if (r->array)
        fprintf(stderr, "job %s: an array of %d tasks%s%s\n", train, r->points > 0 ? r->points : r->folds,
                *collect ? ", then job " : "", *collect ? collect : "");
    else
        fprintf(stderr, "job %s\n", train);
    fprintf(stderr, "`kappatune status %s` shows how far it is; logs are in %s/submit\n", r->out, r->out);
    puts(*collect ? collect : train);
}

static kt_status submit(const request *r, kt_error *error)
{
    job train = {.name = "train"}, collect = {.name = "collect"};
    char train_id[32] = "TRAIN", collect_id[32] = "";
    kt_status status = r->dry_run ? KT_OK : store_recipe(r, error);
    if (status == KT_OK)
        status = hand_over(r, &train, r->after, train_id, error);
    if (status == KT_OK && r->array && r->points == 0) {
        status = hand_over(r, &collect, train_id, collect_id, error);
        if (status != KT_OK)
            kti_cli_warn("job %s was taken, but not the one after it; `kappatune collect %s` does the same",
                         train_id, r->out);
    }
    if (status == KT_OK && !r->dry_run)
        status = store_ids(r, train_id, collect_id, error);
    if (status == KT_OK && !r->dry_run)
        tell(r, train_id, collect_id);
    job_destroy(&train);
    job_destroy(&collect);
    return status;
}

static int run(int argc, char **argv)
{
    kt_error error = KT_ERROR_NONE;
    request r = {0};
    int exit_status = read_options(argc, argv, &r);
    if (exit_status < 0) {
        kt_status status = prepare(&r, &error);
        if (status == KT_OK)
            status = submit(&r, &error);
        exit_status = status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
    }
    kti_cluster_destroy(&r.cluster);
    json_decref(r.root);
    free(r.out);
    free(r.found_file);
    return exit_status;
}
