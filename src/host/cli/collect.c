/* kappatune collect */
#include "cli/collect.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/stop.h"
#include "model/safetensors.h"
#include "train/checkpoint.h"
#include "train/recipe.h"
#include "train/stages.h"

typedef struct request {
    const char *run;
    kt_train_options common;
    char *first; /* recipe.json of fold 1's part; owned */
    kt_recipe recipe;
} request;

static const char command[] = "collect";

/* ---- the parts ---- */

/* RUN/parts/fold-<n>[/<name>]; the caller's: free(). */
static char *part_path(const request *r, int fold, const char *name)
{
    char relative[256];
    snprintf(relative, sizeof relative, "parts/fold-%d%s%s", fold, *name ? "/" : "", name);
    return kti_path_join(r->run, relative);
}

/* That the part is there, has finished, and is of the same recipe as the first one. */
static kt_status check_part(const request *r, int fold, const json_t *recipe, bool *finished, kt_error *error)
{
    json_t *own = NULL;
    char *metrics = part_path(r, fold, "metrics.json"), *file = part_path(r, fold, "recipe.json");
    kt_status status = metrics && file ? KT_OK : kti_fail_memory(error, "a path");
    *finished = status == KT_OK && kti_file_exists(metrics);
    if (*finished)
        status = kti_json_read(file, KTI_RECIPE_LIMIT, &own, error);
    if (status == KT_OK && *finished && !json_equal(own, (json_t *)recipe))
        status = kti_fail_file(error, KT_BAD_ARGUMENT, file, "is another recipe than fold 1 has");
    json_decref(own);
    free(metrics);
    free(file);
    return status;
}

static kt_status check_parts(const request *r, int folds, kt_error *error)
{
    char missing[256] = "";
    int lacking = 0;
    json_t *recipe = NULL;
    kt_status status = kti_json_read(r->first, KTI_RECIPE_LIMIT, &recipe, error);
    for (int fold = 1; fold <= folds && status == KT_OK; fold++) {
        bool finished = false;
        status = check_part(r, fold, recipe, &finished, error);
        const size_t used = strlen(missing);
        if (status == KT_OK && !finished && used + 16 < sizeof missing)
            snprintf(missing + used, sizeof missing - used, "%s%d", lacking ? ", " : "", fold);
        lacking += !finished;
    }
    json_decref(recipe);
    if (status == KT_OK && lacking > 0)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, r->run, "%d of %d folds have not finished: %s",
                               lacking, folds, missing);
    return status;
}

/* ---- copying ---- */

/* A file that is not there is left out: without epochs there is no last.safetensors. */
static kt_status copy_file(const char *from, const char *to, kt_error *error)
{
    char *data = NULL;
    size_t size = 0;
    if (!kti_file_exists(from))
        return KT_OK;
    kt_status status = kti_file_read(from, KTI_SAFETENSORS_LIMIT, &data, &size, error);
    if (status == KT_OK)
        status = kti_file_write(to, data, size, error);
    free(data);
    return status;
}

static kt_status copy_fold(const char *part, const char *run, int fold, kt_error *error)
{
    static const char *const names[] = {"best.safetensors", "last.safetensors"};
    char *folder = kti_checkpoint_path(run, fold, "");
    kt_status status = folder ? kti_make_folder(folder, error) : kti_fail_memory(error, "a path");
    for (int i = 0; i < 2 && status == KT_OK; i++) {
        char *from = kti_checkpoint_path(part, fold, names[i]),
             *to = kti_checkpoint_path(run, fold, names[i]);
        status = from && to ? copy_file(from, to, error) : kti_fail_memory(error, "a path");
        free(from);
        free(to);
    }
    free(folder);
    return status;
}

/* The recipe of a run, or of one of its stages, which lies so in the first part; before its folds, which are nobody's without. */
static kt_status copy_recipe(const request *r, const char *below, const char *run, kt_error *error)
{
    char name[160];
    snprintf(name, sizeof name, "%s%srecipe.json", below, *below ? "/" : "");
    char *from = part_path(r, 1, name), *to = kti_path_join(run, "recipe.json");
    kt_status status = from && to ? kti_make_folder(run, error) : kti_fail_memory(error, "a path");
    if (status == KT_OK)
        status = copy_file(from, to, error);
    free(from);
    free(to);
    return status;
}

static kt_status copy_stage(const request *r, const char *stage, int folds, kt_error *error)
{
    char below[128] = "";
    if (*stage)
        snprintf(below, sizeof below, "stages/%s", stage);
    char *run = *stage ? kti_stage_path(r->run, stage) : kti_duplicate_text(r->run);
    kt_status status = run ? copy_recipe(r, below, run, error) : kti_fail_memory(error, "a path");
    for (int fold = 1; fold <= folds && status == KT_OK; fold++) {
        char *part = part_path(r, fold, below);
        status = part ? copy_fold(part, run, fold, error) : kti_fail_memory(error, "a path");
        free(part);
    }
    free(run);
    return status;
}

/* Under the run's lock, if RUN can take these folds. */
static kt_status copy_parts(const request *r, int folds, kt_error *error)
{
    kti_lock lock = KTI_LOCK_NONE;
    kt_train_options single = r->recipe.stage[0].options;
    single.run.out = r->run;
    single.run.resume = true;
    kt_status status = r->recipe.staged ? kti_stages_check_run(&r->recipe, r->run, true, error)
                                        : kti_recipe_check_run(&single, error);
    if (status == KT_OK)
        status = kti_lock_take(&lock, r->run, error);
    if (status == KT_OK)
        status = copy_recipe(r, "", r->run, error);
    for (int i = 0; i < r->recipe.stages && status == KT_OK; i++)
        status = copy_stage(r, r->recipe.stage[i].name, folds, error);
    kti_lock_release(&lock);
    return status;
}

/* ---- the command ---- */

static int stop_if_asked(void *user, const kt_train_progress *progress)
{
    (void)user;
    (void)progress;
    return kti_stop_asked();
}

static void show_message(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "%s\n", text);
}

/* Everything else is written by an ordinary run that finds nothing left to train. */
static int finish(const request *r)
{
    kt_error error = KT_ERROR_NONE;
    kt_recipe_result result;
    int failed = 0, rejected = 0;
    kti_stop_on_signals();
    if (kt_train_recipe(&r->recipe, r->run, true, &result, &error) != KT_OK)
        return kti_cli_fail(&error);
    for (int i = 0; i < result.stages; i++) {
        rejected += result.stage[i].rejected;
        for (int f = 0; f < result.stage[i].folds; f++)
            failed += result.stage[i].fold[f].failed;
    }
    printf("results in %s\n", r->run);
    if (rejected > 0)
        kti_cli_warn("%d rows were rejected; rejects.csv names the reasons", rejected);
    if (failed > 0)
        kti_cli_warn("%d folds failed: no epoch gave finite predictions", failed);
    kt_recipe_result_destroy(&result);
    return failed > 0 ? KTI_EXIT_FAILED : rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

static kt_status collect(request *r, kt_error *error)
{
    r->first = part_path(r, 1, "recipe.json");
    kt_status status = r->first ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && !kti_file_exists(r->first))
        status = kti_fail_file(error, KT_BAD_ARGUMENT, r->run,
                               "has no parts/fold-1 that was begun: there is nothing to collect");
    if (status == KT_OK)
        status = kt_recipe_read(r->first, &r->common, &r->recipe, error);
    const int folds = status == KT_OK ? r->recipe.stage[0].options.folds : 0;
    if (status == KT_OK)
        status = check_parts(r, folds, error);
    return status == KT_OK ? copy_parts(r, folds, error) : status;
}

/* Returns an exit status, or -1 to go on. */
/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "device", .offset = AT(common.run.device), .argument = "NAME",
     .help = "that the folds were trained on (default cpu): it predicts"},
    {.kind = KTI_OPTION_INTEGER, .flag = "gpus", .offset = AT(common.run.gpus), .argument = "N", .min = 1,
     .max = 1024,
     .help = "of --device cuda (default 1)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(common.run.threads), .argument = "N", .min = 1,
     .max = 1024,
     .help = "workers (default: all processors)"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_collect_command = {
    .name = "collect",
    .summary = "one run of folds that were trained apart",
    .arguments = "RUN",
    .about =
        "Makes one run of folds that were trained apart, in RUN/parts/fold-<n> (train --fold n --out "
        "RUN/parts/fold-<n>, as `submit --array` does): RUN gets the files that it would have if the folds "
        "had been trained side by side, to the same bits but for log.jsonl. The parts are left as they "
        "are.",
    .notes = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some rows rejected, 4 stopped by a "
             "signal.",
    .options = {option_table},
    .run = run,
};

static int read_options(int argc, char **argv, request *r)
{
    r->common = kt_train_options_default(KT_SOUND);
    r->common.run.threads = kti_cli_processors();
    const int exit_status = kti_command_read(&kti_collect_command, argc, argv, r);
    if (exit_status >= 0)
        return exit_status;
    if (argc - optind != 1)
        return kti_cli_usage(command, "name one run folder");
    r->run = argv[optind];
    r->common.run.progress = stop_if_asked;
    r->common.run.message = show_message;
    r->common.run.find = kti_name_find_named;
    return -1;
}

static int run(int argc, char **argv)
{
    kt_error error = KT_ERROR_NONE;
    request r = {0};
    int exit_status = read_options(argc, argv, &r);
    if (exit_status < 0)
        exit_status = collect(&r, &error) == KT_OK ? finish(&r) : kti_cli_fail(&error);
    kt_recipe_destroy(&r.recipe);
    free(r.first);
    return exit_status;
}
