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
#include "cli/train_request.h"
#include "data/dataset.h"
#include "experiment/run.h"
#include "model/gp_head.h"
#include "train/recipe.h"
#include "train/stages.h"
#include "train/start.h"
#include "train/sweep.h"

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

static int run(int argc, char **argv);

const kti_command kti_train_command = {
    .name = "train",
    .summary = "train or fine-tune nine folds on a data set",
    .arguments = "RECIPE\n"
                 "--data DIR_OR_TABLE",
    .about =
        "Trains nine cross-validation folds of a data set side by side. RECIPE is a JSON file, or the name "
        "of one that comes with kappatune: first-principles, paper, ... Options override the recipe, in "
        "all of its stages if it has several; docs/options.md lists the recipe's keys.",
    .notes =
        "The run folder gets recipe.json, metrics.json, predictions.csv, calibration.csv, epochs.csv, "
        "log.jsonl, rejects.csv and folds/<n>/{best,last}.safetensors; that of a recipe with stages, one "
        "such folder for each in stages/, and --resume trains only what is not finished, stages that were "
        "added to the recipe included. Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 checkpoint, then stop. Under "
        "mpirun -n N, or srun with MPI, the processes share the folds, to the same files (docs/ranks.md). "
        "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some rows rejected, 4 stopped by a "
        "signal.",
    .options = {kti_keys, kti_train_run_options, kti_train_request_options},
    .run = run,
};

/* Of everything that was read, so that all ranks do the same; 0 where memory is short. */
static uint64_t fingerprint(const kti_train_request *r)
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
static int read_together(int argc, char **argv, kti_train_request *r)
{
    kt_error error = KT_ERROR_NONE;
    const int exit_status =
        kti_cli_agree(r->ranks, kti_train_request_read(&kti_train_command, argc, argv, r), &r->failure);
    if (exit_status >= 0)
        return exit_status;
    return kti_communicator_compare(r->ranks, fingerprint(r), "reads another recipe there than rank 0",
                                    &error) == KT_OK
               ? -1
               : kti_cli_fail_together(r->ranks, &error);
}

/* ---- the dry run ---- */

/* Everything that could keep a stage from starting; what a stage of this run is to make, that cannot be seen yet. */
static kt_status check_stage(const kti_train_request *r, int index, int *rejected, kt_error *error)
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

static kt_status check_run(const kti_train_request *r, kt_error *error)
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

static int dry_run(const kti_train_request *r)
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

static kt_status print_stages(const kti_train_request *r, const kt_recipe_result *result, kt_error *error)
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
static int report(const kti_train_request *r, const kt_recipe_result *result)
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

static int train_replicas(const kti_train_request *r, kti_progress *progress)
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

static int train_recipe(const kti_train_request *r, kti_progress *progress)
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
static int share_out(kti_train_request *r)
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

static int train(kti_train_request *r)
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
static int treat(kti_train_request *r)
{
    kt_error error = KT_ERROR_NONE;
    const bool root = kti_communicator_is_root(r->ranks);
    kti_train_request_place(r, &error);
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

/* A point of a sweep after the first one; `check`: only whether it can be trained. An exit status. */
static int treat_point(int argc, char **argv, kt_communicator *ranks, int point, bool check)
{
    kt_error error = KT_ERROR_NONE;
    kti_train_request r = {.point = point, .ranks = ranks};
    int exit_status = read_together(argc, argv, &r);
    if (exit_status < 0 && check) {
        kti_stages_check(&r.recipe, &error);
        exit_status = kti_cli_agree(ranks, -1, &error);
        exit_status = exit_status < 0 ? KTI_EXIT_DONE : exit_status;
    } else if (exit_status < 0) {
        exit_status = treat(&r);
    }
    kti_train_request_destroy(&r);
    return exit_status;
}

static int run(int argc, char **argv)
{
    kti_train_request r = {.point = 1};
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
    kti_train_request_destroy(&r);
    return exit_status;
}
