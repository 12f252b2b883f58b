/* GPUs that share a fold: sums of gradients and copies of weights by NCCL, and what happens when one of them is lost.
 *
 * One process has all GPUs of a group, a host thread each. The communicators don't block: no call of NCCL waits for the
 * others, so every wait is here, polls, and has an end. A GPU that reports an error, that makes no progress for
 * too long, or whose thread has given up (kti_cuda_abandon) ends the group: each of the others aborts its communicator, which
 * ends what waits on its stream, and fails. What has been computed until then can still be copied from the GPU.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nccl.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "device/cuda.h"

/* What the GPUs of a group share; the last one that leaves frees it. */
typedef struct group {
    atomic_int members, abandoned;
    double patience; /* seconds without progress */
    pthread_mutex_t lock;
    char cause[256]; /* why the first one gave up; "" where it was not here */
} group;

struct kti_cuda_nccl {
    group *group;
    ncclComm_t communicator; /* NULL: not made, or aborted */
    bool warm;               /* a sum has been made */
};

static const double drain_seconds = 10; /* for a stream to end after an abort */

/* ---- waiting ---- */

/* Seconds of waiting that don't count while the whole process is suspended. */
typedef struct patience {
    double before, waited;
} patience;

static double wait_a_little(patience *p)
{
    const struct timespec nap = {.tv_nsec = 20000};
    const double now = kti_seconds();
    if (p->before > 0)
        p->waited += now - p->before < 1 ? now - p->before : 1;
    p->before = now;
    if (p->waited < 1e-3) /* a step takes about as long */
        sched_yield();
    else
        nanosleep(&nap, NULL);
    return p->waited;
}

static kt_status check(const kti_cuda *cuda, ncclResult_t code, const char *what, kt_error *error)
{
    if (code == ncclSuccess)
        return KT_OK;
    const char *more = cuda->nccl->communicator ? ncclGetLastError(cuda->nccl->communicator) : NULL;
    return kti_fail(error, KT_DEVICE, "NCCL failed on GPU %d: %s: %s%s%s", cuda->ordinal + 1, what,
                    ncclGetErrorString(code), more && *more ? "; " : "", more && *more ? more : "");
}

/* What the others of the group failed with, not what follows from it. */
static kt_status fail_with_others(const kti_cuda *cuda, kt_error *error)
{
    group *g = cuda->nccl->group;
    pthread_mutex_lock(&g->lock);
    const kt_status status = kti_fail(error, KT_DEVICE, "%s", g->cause[0] ? g->cause : "another GPU gave up");
    pthread_mutex_unlock(&g->lock);
    return status;
}

/* Waits for a call that may still be in progress, without the lock of another GPU. */
static kt_status settle(const kti_cuda *cuda, ncclResult_t code, const char *what, kt_error *error)
{
    const kti_cuda_nccl *nccl = cuda->nccl;
    patience waiting = {0};
    while (code == ncclInProgress) {
        const ncclResult_t asked = ncclCommGetAsyncError(nccl->communicator, &code);
        if (asked != ncclSuccess)
            code = asked;
        if (code != ncclInProgress)
            break;
        if (atomic_load(&nccl->group->abandoned))
            return fail_with_others(cuda, error);
        if (wait_a_little(&waiting) > nccl->group->patience)
            return kti_fail(error, KT_DEVICE, "GPU %d: %s made no progress for %g seconds", cuda->ordinal + 1,
                            what, nccl->group->patience);
    }
    return check(cuda, code, what, error);
}

void kti_cuda_give_up(kti_cuda *cuda, const kt_error *error)
{
    patience waiting = {0};
    group *g = cuda->nccl->group;
    pthread_mutex_lock(&g->lock);
    if (g->cause[0] == '\0' && error)
        snprintf(g->cause, sizeof g->cause, "%.250s", error->message);
    pthread_mutex_unlock(&g->lock);
    atomic_store(&g->abandoned, 1);
    kti_cuda_graph_forget(cuda,
                          NULL); /* an abort waits for the graphs that hold operations of the communicator */
    if (cuda->nccl->communicator)
        ncclCommAbort(cuda->nccl->communicator);
    cuda->nccl->communicator = NULL;
    while (cudaStreamQuery(cuda->stream) == cudaErrorNotReady && wait_a_little(&waiting) < drain_seconds)
        ;
    cudaGetLastError();
}

kt_status kti_cuda_wait_for_others(kti_cuda *cuda, const char *what, kt_error *error)
{
    kti_cuda_nccl *nccl = cuda->nccl;
    patience waiting = {0};
    for (;;) {
        const cudaError_t code = cudaStreamQuery(cuda->stream);
        if (code == cudaSuccess)
            return KT_OK;
        kt_status status = code == cudaErrorNotReady ? KT_OK : kti_cuda_check(code, what, error);
        ncclResult_t state = ncclSuccess;
        if (status == KT_OK && nccl->communicator)
            status = check(cuda, ncclCommGetAsyncError(nccl->communicator, &state), what, error);
        if (status == KT_OK && state != ncclInProgress)
            status = check(cuda, state, what, error);
        if (status == KT_OK && atomic_load(&nccl->group->abandoned))
            status = fail_with_others(cuda, error);
        if (status == KT_OK && wait_a_little(&waiting) > nccl->group->patience)
            status = kti_fail(error, KT_DEVICE,
                              "GPU %d or one that shares its fold made no progress for %g seconds: %s",
                              cuda->ordinal + 1, nccl->group->patience, what);
        if (status != KT_OK) {
            kti_cuda_give_up(cuda, error);
            return status;
        }
    }
}

/* ---- what the GPUs of a group do together ---- */

/* Ends a group of calls on one communicator, whatever became of them. */
static kt_status end_calls(kti_cuda *cuda, kt_status status, const char *what, kt_error *error)
{
    const ncclResult_t ended = ncclGroupEnd();
    if (status == KT_OK)
        status = settle(cuda, ended, what, error);
    return status;
}

static ncclResult_t started(ncclResult_t code)
{
    return code == ncclInProgress ? ncclSuccess : code;
}

static kt_status still_there(const kti_cuda *cuda, kt_error *error)
{
    return cuda->nccl->communicator ? KT_OK : fail_with_others(cuda, error);
}

kt_status kti_cuda_all_reduce(kti_cuda *cuda, const kti_all_reduce *sum, int first, int count,
                              kt_error *error)
{
    static const char what[] = "summing the gradients";
    const ncclDataType_t type = sizeof(kt_real) == sizeof(float) ? ncclFloat32 : ncclFloat64;
    const ncclComm_t communicator = cuda->nccl->communicator;
    kt_status status = still_there(cuda, error);
    if (status != KT_OK)
        return status;
    status = check(cuda, ncclGroupStart(), what, error);
    if (status != KT_OK)
        return status;
    for (int fold = first; fold < first + count && status == KT_OK; fold++) {
        kt_real *loss = sum->result.data + fold * sum->result.fold_stride + KT_RESULT_LOSS,
                *gradient = sum->gradient.data + fold * sum->gradient.fold_stride;
        status = check(cuda, started(ncclAllReduce(loss, loss, 1, type, ncclSum, communicator, cuda->stream)),
                       what, error);
        if (status == KT_OK)
            status = check(cuda,
                           started(ncclAllReduce(gradient, gradient, (size_t)sum->size, type, ncclSum,
                                                 communicator, cuda->stream)),
                           what, error);
    }
    return end_calls(cuda, status, what, error);
}

kt_status kti_cuda_warm_up(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                           kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < size && status == KT_OK && !cuda->nccl->warm; i++)
        if (list[i].kind == KTI_OP_ALL_REDUCE) {
            /* Of what the step will overwrite. */
            status = kti_cuda_all_reduce(cuda, &list[i].arguments.all_reduce, first, count, error);
            if (status == KT_OK)
                status = kti_cuda_wait_for_others(cuda, "connecting the GPUs", error);
            cuda->nccl->warm = status == KT_OK;
        }
    return status;
}

kt_status kti_cuda_broadcast(kti_device *device, void *memory, size_t bytes, kt_error *error)
{
    static const char what[] = "copying weights to the other GPUs";
    kti_cuda *cuda = (kti_cuda *)device;
    kt_status status = kti_cuda_bind(cuda, error);
    if (status != KT_OK)
        return status;
    pthread_mutex_lock(&cuda->lock);
    status = still_there(cuda, error);
    if (status == KT_OK)
        status = settle(
            cuda, ncclBroadcast(memory, memory, bytes, ncclChar, 0, cuda->nccl->communicator, cuda->stream),
            what, error);
    if (status == KT_OK)
        status = kti_cuda_wait_for_others(cuda, what, error);
    else
        kti_cuda_give_up(cuda, error);
    pthread_mutex_unlock(&cuda->lock);
    return status;
}

/* ---- groups ---- */

/* The same arithmetic everywhere: the GPUs take the same decisions from their own results. */
static kt_status check_kinds(kti_device *const *devices, int count, kt_error *error)
{
    struct cudaDeviceProp first, other;
    kt_status status = KT_OK;
    for (int i = 0; i < count && status == KT_OK; i++) {
        const int ordinal = ((kti_cuda *)devices[i])->ordinal;
        status = kti_cuda_check(cudaGetDeviceProperties(i == 0 ? &first : &other, ordinal),
                                "asking for the GPU's properties", error);
        if (status == KT_OK && i > 0 && strcmp(first.name, other.name) != 0)
            status = kti_fail(error, KT_DEVICE,
                              "GPUs that share a fold must be of one kind, but one is %.80s and one %.80s",
                              first.name, other.name);
    }
    return status;
}

static kt_status join(kti_device *const *devices, int count, kt_error *error)
{
    static const char what[] = "connecting the GPUs";
    const kti_cuda *first = (kti_cuda *)devices[0];
    ncclUniqueId id;
    kt_status status = check(first, ncclGetUniqueId(&id), what, error);
    if (status == KT_OK)
        status = check(first, ncclGroupStart(), what, error);
    if (status != KT_OK)
        return status;
    for (int i = 0; i < count && status == KT_OK; i++) {
        kti_cuda *cuda = (kti_cuda *)devices[i];
        ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
        config.blocking = 0;
        status = kti_cuda_bind(cuda, error);
        if (status == KT_OK)
            status =
                check(cuda, started(ncclCommInitRankConfig(&cuda->nccl->communicator, count, id, i, &config)),
                      what, error);
    }
    const ncclResult_t ended = ncclGroupEnd();
    if (status == KT_OK)
        status = check(first, started(ended), what, error);
    for (int i = 0; i < count && status == KT_OK; i++)
        status = settle((kti_cuda *)devices[i], ncclInProgress, what, error);
    return status;
}

static void free_group(group *g)
{
    pthread_mutex_destroy(&g->lock);
    free(g);
}

kt_status kti_cuda_connect(kti_device *const *devices, int count, double seconds, kt_error *error)
{
    kt_status status = check_kinds(devices, count, error);
    group *made = status == KT_OK ? kti_allocate(1, sizeof *made) : NULL;
    if (!made)
        return status == KT_OK ? kti_fail_memory(error, "a group of GPUs") : status;
    made->patience = seconds;
    pthread_mutex_init(&made->lock, NULL);
    int members = 0;
    for (; members < count && status == KT_OK; members++) {
        kti_cuda *cuda = (kti_cuda *)devices[members];
        cuda->nccl = kti_allocate(1, sizeof *cuda->nccl);
        if (!cuda->nccl) {
            status = kti_fail_memory(error, "a group of GPUs");
            break;
        }
        cuda->nccl->group = made;
        cuda->device.rank = members;
        cuda->device.ranks = count;
    }
    if (members == 0)
        free_group(made);
    else
        atomic_store(&made->members, members);
    if (status == KT_OK)
        status = join(devices, count, error);
    if (status != KT_OK && members > 0)
        atomic_store(&made->abandoned, 1); /* so that kti_cuda_disconnect aborts */
    return status;
}

void kti_cuda_disconnect(kti_cuda *cuda)
{
    kti_cuda_nccl *nccl = cuda->nccl;
    if (!nccl)
        return;
    if (nccl->communicator && atomic_load(&nccl->group->abandoned))
        ncclCommAbort(nccl->communicator);
    else if (nccl->communicator)
        ncclCommDestroy(nccl->communicator);
    if (atomic_fetch_sub(&nccl->group->members, 1) == 1)
        free_group(nccl->group);
    free(nccl);
    cuda->nccl = NULL;
}

void kti_cuda_abandon(kti_device *device)
{
    atomic_store(&((kti_cuda *)device)->nccl->group->abandoned, 1);
}
