#include "ranks/communicator.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/module.h"
#include "ranks/communicator_kind.h"

/* ---- joining ---- */

static kt_status load(const kti_communicator_kind **kind, kt_error *error)
{
    static const char remedy[] = "start one process, without mpirun or srun's -n";
    if (KTI_MPI_MODULE[0] == '\0')
        return kti_fail(
            error, KT_DEVICE,
            "several processes were launched to share the work, but this build of kappatune has no "
            "MPI: it was not found when it was built (libopenmpi-dev); %s",
            remedy);
    /* Global, since MPI's own plug-ins look for its symbols; and never closed, since it cannot begin twice. */
    const char *why;
    void *module = kti_module_open(KTI_MPI_MODULE, RTLD_NOW | RTLD_GLOBAL, &why);
    const kti_communicator_kind *found = module ? dlsym(module, "kti_mpi_kind") : NULL;
    if (!found)
        return kti_fail(error, KT_DEVICE,
                        "several processes were launched to share the work, but MPI cannot be loaded: %s; %s",
                        why, remedy);
    if (found->version != KTI_COMMUNICATOR_VERSION)
        return kti_fail(error, KT_DEVICE, "%s is of another build of kappatune; install both anew",
                        KTI_MPI_MODULE);
    *kind = found;
    return KT_OK;
}

kt_status kti_communicator_open(int launched, void (*lost)(const char *text), kt_communicator **ranks,
                                kt_error *error)
{
    const kti_communicator_kind *kind = NULL;
    kt_communicator *made = NULL;
    *ranks = NULL;
    kt_status status = load(&kind, error);
    if (status == KT_OK)
        status = kind->open(lost, &made, error);
    if (status != KT_OK)
        return status;
    if (launched > 0 && made->size != launched) {
        status =
            kti_fail(error, KT_DEVICE,
                     "%d processes were launched, but MPI sees %d: was kappatune built with the MPI whose "
                     "mpirun this is? (with srun: --mpi=pmix, see srun --mpi=list)",
                     launched, made->size);
        kind->close(made, true);
    } else if (made->size == 1) {
        kind->close(made, true);
    } else {
        *ranks = made;
    }
    return status;
}

void kti_communicator_close(kt_communicator *ranks, bool in_order)
{
    kt_error error = KT_ERROR_NONE;
    if (!ranks)
        return;
    /* Whoever has left could be taken for dead by those who have not. */
    if (in_order && kti_communicator_agree(ranks, KT_OK, NULL, NULL, &error) != KT_OK)
        in_order = false;
    ranks->kind->close(ranks, in_order);
}

/* ---- who is there ---- */

int kti_communicator_rank(const kt_communicator *ranks)
{
    return ranks ? ranks->rank : 0;
}

int kti_communicator_size(const kt_communicator *ranks)
{
    return ranks ? ranks->size : 1;
}

int kti_communicator_local_rank(const kt_communicator *ranks)
{
    return ranks ? ranks->local_rank : 0;
}

int kti_communicator_processors(const kt_communicator *ranks)
{
    const long online = ranks ? ranks->processors : sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > 1024 ? 1024 : (int)online;
}

void kti_communicator_describe(const kt_communicator *ranks, int rank, char *text, size_t capacity)
{
    const kti_rank *r = &ranks->ranks[rank];
    snprintf(text, capacity, "rank %d (host %s, process %lld)", rank, r->host, (long long)r->process);
}

void kti_communicator_set_duty(kt_communicator *ranks, int rank, const char *text)
{
    if (ranks)
        ranks->kind->set_duty(ranks, rank, text);
}

/* ---- messages ---- */

kt_status kti_communicator_send(kt_communicator *ranks, int to, const void *data, size_t size,
                                kt_error *error)
{
    return ranks->kind->send(ranks, to, data, size, error);
}

kt_status kti_communicator_receive(kt_communicator *ranks, int from, kti_idle idle, void *user, void **data,
                                   size_t *size, kt_error *error)
{
    return ranks->kind->receive(ranks, from, idle, user, data, size, error);
}

/* A message of a size that is known. */
static kt_status receive_into(kt_communicator *ranks, int from, kti_idle idle, void *user, void *data,
                              size_t size, kt_error *error)
{
    void *found = NULL;
    size_t there;
    kt_status status = kti_communicator_receive(ranks, from, idle, user, &found, &there, error);
    if (status == KT_OK && there != size)
        status = kti_fail(error, KT_IO, "rank %d sent %zu bytes instead of %zu: it does something else", from,
                          there, size);
    if (status == KT_OK)
        memcpy(data, found, size);
    free(found);
    return status;
}

kt_status kti_communicator_broadcast(kt_communicator *ranks, void *data, size_t size, kt_error *error)
{
    kt_status status = KT_OK;
    if (!kti_communicator_is_root(ranks))
        return receive_into(ranks, 0, NULL, NULL, data, size, error);
    for (int i = 1; i < kti_communicator_size(ranks) && status == KT_OK; i++)
        status = kti_communicator_send(ranks, i, data, size, error);
    return status;
}

/* Whether `other` says more of why the work failed. */
static bool is_worse(const kt_error *own, const kt_error *other)
{
    return own->status == KT_OK
               ? other->status != KT_OK
               : own->status == KT_INTERRUPTED && other->status != KT_OK && other->status != KT_INTERRUPTED;
}

/* The message says whose it is. */
static void name_rank(kt_error *error, int rank)
{
    char text[sizeof error->message];
    if (error->status == KT_OK || error->status == KT_INTERRUPTED)
        return;
    snprintf(text, sizeof text, "rank %d: %.480s", rank, error->message);
    memcpy(error->message, text, sizeof text);
}

kt_status kti_communicator_agree(kt_communicator *ranks, kt_status status, kti_idle idle, void *user,
                                 kt_error *error)
{
    if (!ranks)
        return status;
    kt_error own = *error, worst = KT_ERROR_NONE, away = KT_ERROR_NONE;
    kt_status exchanged = KT_OK;
    own.status = status;
    if (ranks->rank > 0) {
        name_rank(&own, ranks->rank);
        exchanged = kti_communicator_send(ranks, 0, &own, sizeof own, &away);
        if (exchanged == KT_OK)
            exchanged = receive_into(ranks, 0, idle, user, &worst, sizeof worst, &away);
    } else {
        worst = own;
        for (int i = 1; i < ranks->size && exchanged == KT_OK; i++) {
            kt_error other;
            exchanged = receive_into(ranks, i, idle, user, &other, sizeof other, &away);
            if (exchanged == KT_OK && is_worse(&worst, &other))
                worst = other;
        }
        if (exchanged == KT_OK)
            exchanged = kti_communicator_broadcast(ranks, &worst, sizeof worst, &away);
    }
    /* Else a rank was lost, and nobody learns more. */
    *error = exchanged == KT_OK ? worst : is_worse(&own, &away) ? away : own;
    return error->status;
}

kt_status kti_communicator_compare(kt_communicator *ranks, uint64_t fingerprint, const char *difference,
                                   kt_error *error)
{
    uint64_t root = fingerprint;
    if (!ranks)
        return KT_OK;
    kt_status status = kti_communicator_broadcast(ranks, &root, sizeof root, error);
    if (status == KT_OK && root != fingerprint)
        status = kti_fail(error, KT_BAD_ARGUMENT, "%s", difference);
    return kti_communicator_agree(ranks, status, NULL, NULL, error);
}

/* ---- news ---- */

void kti_communicator_tell(kt_communicator *ranks, const kti_news *news)
{
    if (ranks)
        ranks->kind->tell(ranks, news);
}

kti_news kti_communicator_hear(const kt_communicator *ranks, int rank)
{
    return ranks->kind->hear(ranks, rank);
}

void kti_communicator_stop(kt_communicator *ranks)
{
    if (ranks)
        ranks->kind->stop(ranks);
}

bool kti_communicator_stops(const kt_communicator *ranks)
{
    return ranks && ranks->kind->stops(ranks);
}
