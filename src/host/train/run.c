#include "train/run.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/choices.h"

/* The fold `number` of a replica, in a place's arenas of that index. */
static kt_status split_fold(kti_run *run, uint64_t data_fingerprint, const kt_train_options *options,
                            int number, int index, kti_fold *fold, kt_error *error)
{
    const kti_dataset *dataset = run->dataset;
    const kti_layout layout = kti_layout_create(options->physics_inputs);
    kt_status status = kti_fold_create(dataset, options, number, index, layout.size, fold, error);
    if (status != KT_OK)
        return status;
    run->copies++;
    fold->options = options;
    fold->data_fingerprint = data_fingerprint;
    fold->start_fingerprint = kti_start_fingerprint(&run->start, number);
    if (options->restore_target)
        fold->restored = kti_start_transform(&run->start, number);
    /* The published code has one decoder a run. */
    if (options->restore_target && options->target_per_data_set && dataset->parts > 1 &&
        fold->restored.sd == 0)
        fold->restored = fold->target;
    return KT_OK;
}

int kti_run_fold_number(const kt_train_options *options, int rank, int share)
{
    return options->run.only_fold ? options->run.only_fold
                                  : share * kti_communicator_size(options->run.ranks) + rank + 1;
}

/* One of those who share a run's fold `first`. */
static kt_status create_fold(kti_run *run, uint64_t data_fingerprint, int first, int sharer, kti_fold *fold,
                             kt_error *error)
{
    const int rank = kti_communicator_rank(run->options->run.ranks), own = kti_fold_share(run->options, rank);
    const kt_train_options *options = &run->options[first / own];
    int place, index, found = 0;
    kti_places_find(&run->places, first, sharer, &place, &index);
    kt_status status = split_fold(run, data_fingerprint, options,
                                  kti_run_fold_number(options, rank, first % own), index, fold, error);
    if (status != KT_OK)
        return status;
    fold->place = place;
    fold->first = first;
    fold->rank = sharer;
    if (options->run.out && options->run.resume)
        status = kti_checkpoint_read(options->run.out, fold, &run->places.place[place].parameters, options,
                                     &found, error);
    return status;
}

/* Those of other ranks, rank by rank, each replica by replica. */
static kt_status create_others(kti_run *run, uint64_t data_fingerprint, kt_error *error)
{
    kt_status status = KT_OK;
    for (int rank = 1; rank < kti_communicator_size(run->options->run.ranks); rank++)
        for (int i = 0; i < run->replicas; i++)
            for (int k = 0; k < kti_fold_share(run->options, rank) && status == KT_OK; k++)
                status =
                    split_fold(run, data_fingerprint, &run->options[i],
                               kti_run_fold_number(run->options, rank, k), 0, &run->fold[run->copies], error);
    return status;
}

kt_status kti_run_create(const kt_train_options *options, int replicas, const kti_dataset *dataset,
                         kti_run *run, kt_error *error)
{
    *run = (kti_run){.options = options, .replicas = replicas, .dataset = dataset};
    const int rank = kti_communicator_rank(options->run.ranks),
              folds = replicas * kti_fold_share(options, rank), all = replicas * kti_fold_count(options);
    kt_status status = kti_places_create(options, replicas, &run->places, error);
    if (status == KT_OK)
        status = kti_start_open(options, &run->start, error);
    if (status != KT_OK)
        goto fail;
    run->fold = kti_allocate((size_t)all * (size_t)run->places.sharers, sizeof *run->fold);
    run->validation = kti_allocate((size_t)all, sizeof *run->validation);
    if (!run->fold || !run->validation) {
        status = kti_fail_memory(error, "the folds");
        goto fail;
    }
    run->folds = folds;
    run->all = all;
    for (int i = 0; i < replicas && status == KT_OK && folds > 0 && options->run.out && options->run.resume;
         i++)
        status = kti_choices_read(options[i].run.out, run->places.place[0].device, error);
    const uint64_t data_fingerprint = kti_dataset_fingerprint(dataset);
    for (int sharer = 0; sharer < run->places.sharers; sharer++)
        for (int i = 0; i < folds && status == KT_OK; i++)
            status = create_fold(run, data_fingerprint, i, sharer, &run->fold[run->copies], error);
    if (status == KT_OK && rank == 0)
        status = create_others(run, data_fingerprint, error);
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
    for (int i = 0; i < run->all; i++) {
        free(run->validation[i].best);
        free(run->validation[i].last);
    }
    free(run->fold);
    free(run->validation);
    kti_start_close(&run->start);
    kti_places_destroy(&run->places);
    *run = (kti_run){0};
}
