#include "train/run.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/choices.h"

/* One of those who share a run's fold `first`. */
static kt_status create_fold(kti_run *run, uint64_t data_fingerprint, int first, int rank, kti_fold *fold,
                             kt_error *error)
{
    const int folds = kti_fold_count(run->options);
    const kt_train_options *options = &run->options[first / folds];
    const kti_dataset *dataset = run->dataset;
    const int number = options->only_fold ? options->only_fold : first % folds + 1;
    int place, index, found = 0;
    kti_places_find(&run->places, first, rank, &place, &index);
    kti_parameters *parameters = &run->places.place[place].parameters;
    kt_status status = kti_fold_create(dataset, options, number, index, parameters->layout.size, fold, error);
    if (status != KT_OK)
        return status;
    run->copies++;
    fold->options = options;
    fold->place = place;
    fold->first = first;
    fold->rank = rank;
    fold->data_fingerprint = data_fingerprint;
    fold->start_fingerprint = kti_start_fingerprint(&run->start, number);
    if (options->restore_target)
        fold->restored = kti_start_transform(&run->start, number);
    /* The published code has one decoder a run. */
    if (options->restore_target && options->target_per_data_set && dataset->parts > 1 &&
        fold->restored.sd == 0)
        fold->restored = fold->target;
    if (options->out && options->resume)
        status = kti_checkpoint_read(options->out, fold, parameters, options, &found, error);
    return status;
}

kt_status kti_run_create(const kt_train_options *options, int replicas, const kti_dataset *dataset,
                         kti_run *run, kt_error *error)
{
    *run = (kti_run){.options = options, .replicas = replicas, .dataset = dataset};
    const int folds = replicas * kti_fold_count(options);
    kt_status status = kti_places_create(options, replicas, &run->places, error);
    if (status == KT_OK)
        status = kti_start_open(options, &run->start, error);
    if (status != KT_OK)
        goto fail;
    run->fold = kti_allocate((size_t)folds * (size_t)run->places.sharers, sizeof *run->fold);
    run->validation = kti_allocate((size_t)folds, sizeof *run->validation);
    if (!run->fold || !run->validation) {
        status = kti_fail_memory(error, "the folds");
        goto fail;
    }
    run->folds = folds;
    for (int i = 0; i < replicas && status == KT_OK && options->out && options->resume; i++)
        status = kti_choices_read(options[i].out, run->places.place[0].device, error);
    const uint64_t data_fingerprint = kti_dataset_fingerprint(dataset);
    for (int rank = 0; rank < run->places.sharers; rank++)
        for (int i = 0; i < folds && status == KT_OK; i++)
            status = create_fold(run, data_fingerprint, i, rank, &run->fold[run->copies], error);
    if (status == KT_OK)
        return KT_OK;
fail:
    kti_run_destroy(run);
    return status;
}

void kti_run_destroy(kti_run *run)
{
    for (int i = 0; i < run->copies; i++)
        kti_fold_destroy(&run->fold[i]);
    for (int i = 0; i < run->folds; i++) {
        free(run->validation[i].best);
        free(run->validation[i].last);
    }
    free(run->fold);
    free(run->validation);
    kti_start_close(&run->start);
    kti_places_destroy(&run->places);
    *run = (kti_run){0};
}
