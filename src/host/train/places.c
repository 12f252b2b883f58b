#include "train/places.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "train/fold.h"

int kti_places_sharers(const kt_train_options *options, int gpus)
{
    const int folds = kti_fold_count(options);
    /* Without epochs there is no gradient to sum. */
    return options->epochs > 0 && gpus > folds ? gpus / folds : 1;
}

void kti_places_find(const kti_places *places, int fold, int rank, int *place, int *index)
{
    *place = places->sharers > 1 ? fold * places->sharers + rank : fold % places->size;
    *index = places->sharers > 1 ? 0 : fold / places->size;
}

static kt_status check_gpus(const kt_train_options *options, kt_error *error)
{
    int there;
    kt_status status = kti_device_count(options->run.device, &there, error);
    if (status == KT_OK && options->run.gpus > there)
        status = kti_fail(error, KT_BAD_ARGUMENT, "%d GPUs were asked for, but there %s %d",
                          options->run.gpus, there == 1 ? "is" : "are", there);
    return status;
}

/* `folds`: of this place. */
static kt_status create_place(const kt_train_options *options, int ordinal, int folds, kti_place *place,
                              kt_error *error)
{
    const unsigned use = KTI_TRAINED | (options->weight_average > 0 ? KTI_AVERAGED : 0) |
                         (options->weight_decay > 0 ? KTI_DECAYED : 0) |
                         (options->physics_inputs ? KTI_WITH_PHYSICS : 0);
    const int lanes = kti_device_name_fuses(options->run.device) ? folds : options->run.threads;
    kt_status status = kti_device_create_at(options->run.device, ordinal, lanes, &place->device, error);
    if (status == KT_OK)
        status = kti_parameters_create(place->device, folds, use, &place->parameters, error);
    place->average = place->parameters;
    place->average.value = place->average.average;
    return status;
}

/* Connects the GPUs of each fold. */
static kt_status connect(const kt_train_options *options, const kti_places *places, kt_error *error)
{
    kt_status status = KT_OK;
    kti_device **devices = kti_allocate((size_t)places->sharers, sizeof(*devices));
    if (!devices)
        return kti_fail_memory(error, "the GPUs");
    for (int first = 0; first < places->size && status == KT_OK; first += places->sharers) {
        for (int i = 0; i < places->sharers; i++)
            devices[i] = places->place[first + i].device;
        status = kti_device_connect(devices, places->sharers, options->run.gpu_timeout, error);
    }
    free((void *)devices);
    return status;
}

kt_status kti_places_create(const kt_train_options *options, int replicas, kti_places *places,
                            kt_error *error)
{
    const int folds = replicas * kti_fold_share(options, kti_communicator_rank(options->run.ranks)),
              sharers = replicas > 1 ? 1 : kti_places_sharers(options, options->run.gpus);
    const int size = sharers > 1 ? sharers * folds : options->run.gpus < folds ? options->run.gpus : folds;
    *places = (kti_places){.sharers = sharers};
    kt_status status = options->run.gpus > 1 ? check_gpus(options, error) : KT_OK;
    if (status != KT_OK)
        return status;
    places->place = kti_allocate((size_t)size, sizeof *places->place);
    if (!places->place)
        return kti_fail_memory(error, "the devices");
    for (; places->size < size && status == KT_OK; places->size++) {
        const int ordinal = places->size;
        const int own = sharers > 1 ? 1 : (folds - ordinal + size - 1) / size;
        status = create_place(options, ordinal, own, &places->place[ordinal], error);
    }
    if (status == KT_OK && places->size > 1 && kti_device_chooses(places->place[0].device))
        status =
            kti_fail(error, KT_BAD_ARGUMENT,
                     "cuda-auto times one GPU, and the others would choose differently; use --gpus 1, or "
                     "--device cuda, cuda-cublas or cuda-cudnn");
    if (status == KT_OK && sharers > 1)
        status = connect(options, places, error);
    if (status != KT_OK)
        kti_places_destroy(places);
    return status;
}

void kti_places_destroy(kti_places *places)
{
    for (int i = 0; i < places->size; i++) {
        kti_parameters_destroy(&places->place[i].parameters);
        kti_device_destroy(places->place[i].device);
    }
    free(places->place);
    *places = (kti_places){0};
}
