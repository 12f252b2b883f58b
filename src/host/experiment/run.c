#include "experiment/run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "experiment/calibrate.h"
#include "experiment/metrics_file.h"
#include "experiment/results.h"
#include "experiment/together.h"
#include "train/recipe.h"
#include "train/start.h"
#include "train/trainer.h"

/* ---- files ---- */

static kt_status write_text(const char *run, const char *name, const kti_text *text, kt_error *error)
{
    char *path = kti_path_join(run, name);
    kt_status status = KT_OK;
    if (!path || text->failed)
        status = kti_fail_memory(error, name);
    if (status == KT_OK)
        status = kti_file_write(path, text->data, text->size, error);
    free(path);
    return status;
}

/* ",1.25", or "," where there is no finite number. */
static void add_number(kti_text *text, double value)
{
    if (isfinite(value))
        kti_text_add(text, ",%.9g", value);
    else
        kti_text_add(text, ",");
}

static kt_status write_epochs(const kti_run *run, kt_error *error)
{
    kti_text text = {0};
    kti_text_add(&text, "fold,epoch");
    for (int c = 0; c < KTI_HISTORY_COLUMNS; c++)
        kti_text_add(&text, ",%s", kti_history_names[c]);
    kti_text_add(&text, "\n");
    for (int f = 0; f < run->folds; f++)
        for (int e = 0; e < run->fold[f].epoch; e++) {
            kti_text_add(&text, "%d,%d", run->fold[f].number, e + 1);
            for (int c = 0; c < KTI_HISTORY_COLUMNS; c++) {
                const double value = run->fold[f].history[(int64_t)e * KTI_HISTORY_COLUMNS + c];
                add_number(&text, value < 0 ? NAN : value); /* -1: there is none */
            }
            kti_text_add(&text, "\n");
        }
    kt_status status = write_text(run->options->run.out, "epochs.csv", &text, error);
    kti_text_destroy(&text);
    return status;
}

static kt_status write_predictions(const kti_run *run, kt_error *error)
{
    kti_text text = {0};
    kti_text_add(&text, "fold,id,kappa,predicted,predicted_last_epoch,dataset\n");
    for (int f = 0; f < run->folds; f++) {
        const int32_t *rows = kti_fold_validate(&run->fold[f]);
        for (int i = 0; i < run->fold[f].validate_rows; i++) {
            const kti_crystal *crystal = &run->dataset->crystals[rows[i]];
            kti_text_add(&text, "%d,", run->fold[f].number);
            kti_text_add_csv(&text, crystal->id);
            add_number(&text, crystal->kappa);
            add_number(&text, run->validation[f].best[i]);
            add_number(&text, run->validation[f].last[i]);
            kti_text_add(&text, ",");
            kti_text_add_csv(&text, run->dataset->part[crystal->part].name);
            kti_text_add(&text, "\n");
        }
    }
    kt_status status = write_text(run->options->run.out, "predictions.csv", &text, error);
    kti_text_destroy(&text);
    return status;
}

/* ---- the run ---- */

static void say(const kt_train_options *options, const char *format, ...) KTI_PRINTF(2, 3);

static void say(const kt_train_options *options, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    if (!options->run.message)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    options->run.message(options->run.user, text);
}

static kt_status write_rejects(const kt_train_options *options, const kti_dataset *dataset, kt_error *error)
{
    if (dataset->rejected == 0 || !options->run.out)
        return KT_OK;
    char *path = kti_path_join(options->run.out, "rejects.csv");
    kt_status status =
        path ? kti_dataset_write_rejects(dataset, path, error) : kti_fail_memory(error, "a path");
    free(path);
    return status;
}

static void say_rejects(const kt_train_options *options, const kti_dataset *dataset)
{
    for (int i = 0; i < dataset->rejected; i++) {
        char text[900];
        kt_error_format(&dataset->rejects[i].error, text, sizeof text);
        say(options, "rejected: %s", text);
    }
}

/* Each part is split on its own, so that nothing keeps the copies of a crystal on one side. */
static kt_status warn_of_shared(const kt_train_options *options, const kti_dataset *dataset, kt_error *error)
{
    int count;
    kt_status status = kti_dataset_count_shared(dataset, &count, error);
    if (status == KT_OK && count > 0)
        say(options,
            "%d crystal%s in more than one of the data sets: a fold may train on one copy and be judged on "
            "the other",
            count, count == 1 ? " stands" : "s stand");
    return status;
}

/* ", 4 GPUs, two a fold" */
static void describe_gpus(const kti_run *run, char text[96])
{
    const kti_places *places = &run->places;
    text[0] = '\0';
    if (places->sharers > 1)
        snprintf(text, 96, ", %d GPUs, %d to each fold,", places->size, places->sharers);
    else if (places->size > 1)
        snprintf(text, 96, ", %d GPUs,", places->size);
}

/* Who has which folds: what is to be known when one of them is lost. */
static void announce_ranks(const kt_train_options *options)
{
    for (int i = 0; i < kti_communicator_size(options->run.ranks) && options->run.ranks; i++) {
        char who[256], share[160];
        kti_communicator_describe(options->run.ranks, i, who, sizeof who);
        kti_together_describe_share(options, i, share, sizeof share);
        say(options, "%s: %s", who, share);
    }
}

static void announce(const kt_train_options *options, const kti_run *run)
{
    const kti_device *device = run->places.place[0].device;
    const int lanes = kti_device_fuses(device) ? run->copies : kti_device_lanes(device),
              threads = lanes < run->copies ? lanes : run->copies;
    char gpus[96], ranks[32] = "";
    int64_t done = 0;
    for (int i = 0; i < run->folds; i++)
        done += run->fold[i].epoch;
    if (options->run.ranks)
        snprintf(ranks, sizeof ranks, " in each of %d ranks", kti_communicator_size(options->run.ranks));
    char work[64] = "";
    if (options->epochs > 0)
        snprintf(work, sizeof work, " of %d epochs", options->epochs);
    describe_gpus(run, gpus);
    const int folds = kti_fold_count(options);
    char seeds[64] = "";
    if (run->replicas > 1)
        snprintf(seeds, sizeof seeds, " for each of %d seeds", run->replicas);
    say(options, "%d crystals of %s, %d fold%s%s%s%s, on %s%s with %d thread%s%s", run->dataset->size,
        run->dataset->name, folds, folds == 1 ? "" : "s", work, seeds,
        options->head == KT_HEAD_NETWORK ? ""
        : options->epochs > 0            ? " and a Gaussian process"
                                         : " of a Gaussian process",
        kti_device_description(device), gpus, threads, threads == 1 ? "" : "s", ranks);
    announce_ranks(options);
    if (options->run.gpus > run->places.size)
        say(options, "%d of the %d GPUs %s not used: %d fold%s can be trained on %d, or on a multiple",
            options->run.gpus - run->places.size, options->run.gpus,
            options->run.gpus - run->places.size == 1 ? "is" : "are", run->folds, run->folds == 1 ? "" : "s",
            run->folds);
    if (done > 0)
        say(options, "resumed: %lld of %lld epochs%s are done", (long long)done,
            (long long)run->folds * options->epochs, options->run.ranks ? " of rank 0" : "");
    if (options->from && kti_start_fingerprint(&run->start, run->fold[0].number) == 0)
        say(options, "the weights %s are checked but not used: the published code never loads them",
            options->from);
    if (run->fold[0].restored.sd != 0)
        say(options,
            "predictions are decoded by another target transform than labels are standardised with: loss and "
            "selection are of a compressed kappa, as in the published code");
}

/* One replica of the run, as if it were alone. */
static kti_run replica_of(const kti_run *run, int replica)
{
    kti_run one = *run;
    one.options += replica;
    one.replicas = 1;
    one.folds = kti_fold_count(run->options);
    one.fold += replica * one.folds;
    one.validation += replica * one.folds;
    return one;
}

static bool has_member(const kt_train_result *result)
{
    for (int i = 0; i < result->folds; i++)
        if (!result->fold[i].failed)
            return true;
    return false;
}

/* What a run leaves when it has ended or was stopped; `finished`: it has a result. */
static kt_status write_run(const kti_run *run, bool finished, kt_train_result *result, kt_error *error)
{
    const bool writes = run->options->run.out != NULL;
    kti_calibration calibration = {0};
    kt_status status = writes ? write_epochs(run, error) : KT_OK;
    if (status == KT_OK && finished)
        status = kti_results_collect(run, result, error);
    if (status == KT_OK && finished && writes)
        status = write_predictions(run, error);
    if (status == KT_OK && finished && writes && has_member(result))
        status =
            kti_calibrate(run->options->run.out, run->dataset, run->options->quotient, &calibration, error);
    /* Last, since it says that the run has finished. */
    if (status == KT_OK && finished && writes)
        status = kti_results_write(run, &calibration, result, error);
    kti_calibration_destroy(&calibration);
    return status;
}

/* Of the weights that all folds start from, whichever rank trains them. */
static uint64_t hash_starts(const kti_start *start, int folds)
{
    uint64_t hash = KTI_HASH_START;
    for (int fold = 1; fold <= folds; fold++) {
        const uint64_t one = kti_start_fingerprint(start, fold);
        hash = kti_hash(hash, &one, sizeof one);
    }
    return hash;
}

/* What is to be in order before a fold is trained; `options` [replicas] as the caller gave them. Rank 0 alone touches the folders, and
 * only when all ranks have come so far. */
static kt_status set_out(const kt_train_options *options, kti_lock *locks, int replicas,
                         const kti_dataset *dataset, const kti_start *start, kt_status status,
                         kt_error *error)
{
    const bool root = kti_communicator_is_root(options->run.ranks);
    status = kti_communicator_agree(options->run.ranks, status, NULL, NULL, error);
    if (status == KT_OK)
        status = kti_communicator_compare(options->run.ranks, kti_dataset_fingerprint(dataset),
                                          "reads other data there than rank 0", error);
    if (status == KT_OK)
        status = kti_communicator_compare(options->run.ranks, hash_starts(start, options->folds),
                                          "finds other start weights there than rank 0", error);
    for (int i = 0; i < replicas && status == KT_OK && options->run.out && root; i++) {
        status = kti_recipe_store(&options[i], &locks[i], error);
        if (status == KT_OK)
            status = write_rejects(&options[i], dataset, error);
    }
    if (status == KT_OK && root) {
        say_rejects(options, dataset);
        status = warn_of_shared(options, dataset, error);
    }
    return kti_communicator_agree(options->run.ranks, status, NULL, NULL, error);
}

/* What all ranks have trained, into rank 0's results and files. `trained`, KT_OK or KT_INTERRUPTED, is returned, with what *error says of it,
 * unless writing fails. */
static kt_status finish(kti_run *run, kt_status trained, kt_train_result *results, kt_error *error)
{
    kti_run whole;
    kt_error own = KT_ERROR_NONE; /* the ranks agree on it, and must not forget that they were stopped */
    kt_status status = kti_together_collect(run, &whole, &own);
    for (int i = 0; i < run->replicas && status == KT_OK && kti_communicator_is_root(run->options->run.ranks);
         i++) {
        const kti_run one = replica_of(&whole, i);
        status = write_run(&one, trained == KT_OK, &results[i], &own);
    }
    kti_together_release(&whole);
    status = kti_communicator_agree(run->options->run.ranks, status, NULL, NULL, &own);
    if (status == KT_OK)
        return trained;
    *error = own;
    return status;
}

/* The options of each replica, and the lock of its folder. Where several ranks train, the results are rank 0's. */
static kt_status train_together(const kt_train_options *options, kti_lock *locks, int replicas,
                                const kti_dataset *dataset, kt_train_result *results, kt_error *error)
{
    kti_run run = {0};
    kti_together together;
    kt_train_options *own = kti_allocate((size_t)replicas, sizeof *own);
    kt_status status = own ? KT_OK : kti_fail_memory(error, "the replicas");
    if (status == KT_OK) {
        kti_together_prepare(&together, options, replicas, own);
        status = kti_run_create(own, replicas, dataset, &run, error);
    }
    status = set_out(options, locks, replicas, dataset, &run.start, status, error);
    if (status == KT_OK) {
        if (kti_communicator_is_root(options->run.ranks))
            announce(options, &run);
        kti_together_begin(&together, &run);
        if (run.folds > 0)
            status = kti_run_train(&run, error);
        status = kti_together_end(&together, status, error);
        if (status == KT_OK || status == KT_INTERRUPTED)
            status = finish(&run, status, results, error);
    }
    kti_run_destroy(&run);
    free(own);
    return status;
}

kt_status kti_run_stage(const kt_train_options *options, const kti_dataset *dataset, kt_train_result *result,
                        kt_error *error)
{
    kti_lock lock = KTI_LOCK_NONE;
    *result = (kt_train_result){0};
    const kt_status status = train_together(options, &lock, 1, dataset, result, error);
    if (status != KT_OK)
        kt_train_result_destroy(result);
    kti_lock_release(&lock);
    return status;
}

kt_status kti_run_read_data(const kt_train_options *options, kti_dataset *dataset, kt_error *error)
{
    kti_dataset_options read = kti_dataset_options_default();
    const char *path[KT_MAX_DATA_SETS] = {0};
    kt_status status = KT_OK;
    read.graph.quotient = options->quotient;
    read.threads = options->run.threads;
    for (int i = 0; i < KT_MAX_DATA_SETS && options->data[i] && status == KT_OK; i++)
        status = kti_recipe_find(options, KT_NAMED_DATA, options->data[i], &path[i], error);
    return status == KT_OK ? kti_dataset_read_all(path, &read, dataset, error) : status;
}

kt_status kt_train(const kt_train_options *options, kt_train_result *result, kt_error *error)
{
    kti_dataset dataset = {0};
    kt_error unwanted = KT_ERROR_NONE;
    error = error ? error : &unwanted;
    *result = (kt_train_result){0};
    kt_status status = kti_recipe_check(options, error);
    if (status == KT_OK && options->run.out && kti_communicator_is_root(options->run.ranks))
        status = kti_recipe_check_run(options, error);
    if (status == KT_OK)
        status = kti_run_read_data(options, &dataset, error);
    status = kti_communicator_agree(options->run.ranks, status, NULL, NULL, error);
    if (status == KT_OK)
        status = kti_run_stage(options, &dataset, result, error);
    kti_dataset_destroy(&dataset);
    return status;
}

/* ---- replicas ---- */

/* out/seed-<seed>, the caller's; NULL where nothing is written, or memory is short. */
static char *replica_folder(const char *out, uint64_t seed)
{
    char name[32];
    snprintf(name, sizeof name, "seed-%llu", (unsigned long long)seed);
    return out ? kti_path_join(out, name) : NULL;
}

/* A run of one seed must not lie among those of several. */
static kt_status check_folder(const char *out, kt_error *error)
{
    char *path = kti_path_join(out, "recipe.json");
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_file_exists(path))
        status = kti_fail_file(error, KT_BAD_ARGUMENT, out,
                               "already holds a run of one seed; use another folder for several");
    free(path);
    return status;
}

kt_status kt_train_replicas(const kt_train_options *options, int replicas, kt_train_result *results,
                            kt_error *error)
{
    static const kti_lock none = KTI_LOCK_NONE;
    if (replicas < 1 || replicas > KT_MAX_REPLICAS)
        return kti_fail(error, KT_BAD_ARGUMENT, "there can be 1 to %d replicas, not %d", KT_MAX_REPLICAS,
                        replicas);
    kti_dataset dataset = {0};
    kt_error unwanted = KT_ERROR_NONE;
    error = error ? error : &unwanted;
    const bool root = kti_communicator_is_root(options->run.ranks);
    kt_train_options *each = kti_allocate((size_t)replicas, sizeof *each);
    kti_lock *locks = kti_allocate((size_t)replicas, sizeof *locks);
    kt_status status =
        each && locks ? kti_recipe_check(options, error) : kti_fail_memory(error, "the replicas");
    memset(results, 0, (size_t)replicas * sizeof *results);
    if (status == KT_OK && options->run.out && root)
        status = check_folder(options->run.out, error);
    for (int i = 0; i < replicas && each && locks; i++) {
        locks[i] = none;
        each[i] = *options;
        each[i].seed += (uint64_t)i;
        each[i].run.out = replica_folder(options->run.out, each[i].seed);
        if (status == KT_OK && options->run.out && !each[i].run.out)
            status = kti_fail_memory(error, "a path");
        if (status == KT_OK && options->run.out && root)
            status = kti_recipe_check_run(&each[i], error);
    }
    if (status == KT_OK)
        status = kti_run_read_data(options, &dataset, error);
    status = kti_communicator_agree(options->run.ranks, status, NULL, NULL, error);
    if (status == KT_OK)
        status = train_together(each, locks, replicas, &dataset, results, error);
    for (int i = 0; i < replicas && each && locks; i++) {
        if (status != KT_OK)
            kt_train_result_destroy(&results[i]);
        kti_lock_release(&locks[i]);
        free((char *)each[i].run.out);
    }
    free(each);
    free(locks);
    kti_dataset_destroy(&dataset);
    return status;
}
