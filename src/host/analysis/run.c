#include "analysis/run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/results.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "train/recipe.h"
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
    kt_status status = write_text(run->options->out, "epochs.csv", &text, error);
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
    kt_status status = write_text(run->options->out, "predictions.csv", &text, error);
    kti_text_destroy(&text);
    return status;
}

/* ---- the run ---- */

static void say(const kt_train_options *options, const char *format, ...) KTI_PRINTF(2, 3);

static void say(const kt_train_options *options, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    if (!options->message)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    options->message(options->user, text);
}

static kt_status report_rejects(const kt_train_options *options, const kti_dataset *dataset, kt_error *error)
{
    if (dataset->rejected == 0)
        return KT_OK;
    for (int i = 0; i < dataset->rejected; i++) {
        char text[900];
        kt_error_format(&dataset->rejects[i].error, text, sizeof text);
        say(options, "rejected: %s", text);
    }
    if (!options->out)
        return KT_OK;
    char *path = kti_path_join(options->out, "rejects.csv");
    kt_status status =
        path ? kti_dataset_write_rejects(dataset, path, error) : kti_fail_memory(error, "a path");
    free(path);
    return status;
}

/* Each part is split on its own, so that nothing keeps the copies of a crystal on one side. */
static kt_status warn_of_shared(const kt_train_options *options, const kti_dataset *dataset, kt_error *error)
{
    int count;
    kt_status status = kti_dataset_count_shared(dataset, &count, error);
    if (status == KT_OK && count > 0)
        say(options,
            "%d crystal%s in more than one of the data sets: a fold may train on one copy and be judged on "
            "the "
            "other",
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

static void announce(const kt_train_options *options, const kti_run *run)
{
    const kti_device *device = run->places.place[0].device;
    const int lanes = kti_device_fuses(device) ? run->copies : kti_device_lanes(device),
              threads = lanes < run->copies ? lanes : run->copies;
    char gpus[96];
    int64_t done = 0;
    for (int i = 0; i < run->folds; i++)
        done += run->fold[i].epoch;
    char work[64] = "";
    if (options->epochs > 0)
        snprintf(work, sizeof work, " of %d epochs", options->epochs);
    describe_gpus(run, gpus);
    say(options, "%d crystals of %s, %d fold%s%s%s, on %s%s with %d thread%s", run->dataset->size,
        run->dataset->name, run->folds, run->folds == 1 ? "" : "s", work,
        options->head == KT_HEAD_NETWORK ? ""
        : options->epochs > 0            ? " and a Gaussian process"
                                         : " of a Gaussian process",
        kti_device_description(device), gpus, threads, threads == 1 ? "" : "s");
    if (options->gpus > run->places.size)
        say(options, "%d of the %d GPUs %s not used: %d fold%s can be trained on %d, or on a multiple",
            options->gpus - run->places.size, options->gpus,
            options->gpus - run->places.size == 1 ? "is" : "are", run->folds, run->folds == 1 ? "" : "s",
            run->folds);
    if (done > 0)
        say(options, "resumed: %lld of %lld epochs are done", (long long)done,
            (long long)run->folds * options->epochs);
    if (options->from && kti_start_fingerprint(&run->start, run->fold[0].number) == 0)
        say(options, "the weights %s are checked but not used: the published code never loads them",
            options->from);
    if (run->fold[0].restored.sd != 0)
        say(options,
            "predictions are decoded by another target transform than labels are standardised with: loss and "
            "selection are of a compressed kappa, as in the published code");
}

kt_status kti_run_stage(const kt_train_options *options, const kti_dataset *dataset, kt_train_result *result,
                        kt_error *error)
{
    kti_run run = {0};
    kti_lock lock = KTI_LOCK_NONE;
    *result = (kt_train_result){0};
    kt_status status = kti_run_create(options, dataset, &run, error);
    /* The folder is touched only when everything else is in order. */
    if (status == KT_OK && options->out)
        status = kti_recipe_store(options, &lock, error);
    if (status == KT_OK)
        status = report_rejects(options, dataset, error);
    if (status == KT_OK)
        status = warn_of_shared(options, dataset, error);
    if (status == KT_OK) {
        announce(options, &run);
        status = kti_run_train(&run, error);
    }
    if (options->out && (status == KT_OK || status == KT_INTERRUPTED)) {
        kt_status written = write_epochs(&run, error);
        status = status == KT_OK ? written : status;
    }
    if (status == KT_OK)
        status = kti_results_collect(&run, result, error);
    if (status == KT_OK && options->out)
        status = write_predictions(&run, error);
    /* Last, since it says that the run has finished. */
    if (status == KT_OK && options->out)
        status = kti_results_write(&run, result, error);
    if (status != KT_OK)
        kt_train_result_destroy(result);
    kti_lock_release(&lock);
    kti_run_destroy(&run);
    return status;
}

kt_status kti_run_read_data(const kt_train_options *options, kti_dataset *dataset, kt_error *error)
{
    kti_dataset_options read = kti_dataset_options_default();
    read.graph.quotient = options->quotient;
    read.threads = options->threads;
    return kti_dataset_read_all(options->data, &read, dataset, error);
}

kt_status kt_train(const kt_train_options *options, kt_train_result *result, kt_error *error)
{
    kti_dataset dataset = {0};
    *result = (kt_train_result){0};
    kt_status status = kti_recipe_check(options, error);
    if (status == KT_OK && options->out)
        status = kti_recipe_check_run(options, error);
    if (status == KT_OK)
        status = kti_run_read_data(options, &dataset, error);
    if (status == KT_OK)
        status = kti_run_stage(options, &dataset, result, error);
    kti_dataset_destroy(&dataset);
    return status;
}
