/* Jobs of several lanes as one: whoever completes the round runs it for all.
 *
 * A round is complete when every lane that has entered waits with a job. A fold's results don't depend on which others
 * run with it, so neither does it matter which jobs meet.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "device/cuda.h"

enum { SPINS = 50000 }; /* a millisecond or two */

static int by_list_and_fold(const void *left, const void *right)
{
    const kti_job *l = *(const kti_job *const *)left, *r = *(const kti_job *const *)right;
    if (l->list != r->list)
        return l->list < r->list ? -1 : 1;
    if (l->size != r->size)
        return l->size < r->size ? -1 : 1;
    return (l->first > r->first) - (l->first < r->first);
}

static const kti_copy *copy_of(const kti_job *job, enum cudaMemcpyKind kind)
{
    return kind == cudaMemcpyHostToDevice ? &job->in : &job->out;
}

/* The jobs' copies of one direction; those whose two sides lie at equal distances, as the plans of a run have them, are one. */
static kt_status copy_all(kti_cuda *cuda, const kti_job *const *jobs, int count, enum cudaMemcpyKind kind,
                          const char *what, kt_error *error)
{
    for (int i = 0, next; i < count; i = next) {
        const kti_copy *first = copy_of(jobs[i], kind);
        ptrdiff_t to = (ptrdiff_t)first->bytes, from = to;
        for (next = i + 1; next < count; next++) {
            const kti_copy *copy = copy_of(jobs[next], kind);
            const ptrdiff_t to_next = (char *)copy->to - (char *)first->to,
                            from_next = (const char *)copy->from - (const char *)first->from;
            if (next == i + 1) {
                to = to_next;
                from = from_next;
            }
            if (copy->bytes != first->bytes || to < (ptrdiff_t)first->bytes ||
                from < (ptrdiff_t)first->bytes || to_next != to * (next - i) ||
                from_next != from * (next - i))
                break;
        }
        if (next == i + 1) /* alone */
            to = from = (ptrdiff_t)first->bytes;
        if (first->bytes == 0)
            continue;
        const kt_status status =
            kti_cuda_check(cudaMemcpy2DAsync(first->to, (size_t)to, first->from, (size_t)from, first->bytes,
                                             (size_t)(next - i), kind, cuda->stream),
                           what, error);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

/* Jobs of neighbouring folds that run the same list are one launch. */
static kt_status launch_sorted(kti_cuda *cuda, const kti_job *const *jobs, int count, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0, next; i < count && status == KT_OK; i = next) {
        const kti_job *job = jobs[i];
        int folds = job->count;
        int32_t rows[KT_ROW_KINDS];
        memcpy(rows, job->rows, sizeof rows);
        for (next = i + 1; next < count && jobs[next]->list == job->list && jobs[next]->size == job->size &&
                           jobs[next]->first == job->first + folds;
             next++) {
            folds += jobs[next]->count;
            for (int kind = 0; kind < KT_ROW_KINDS; kind++)
                if (jobs[next]->rows[kind] > rows[kind])
                    rows[kind] = jobs[next]->rows[kind];
        }
        status = kti_cuda_graph_launch(cuda, job->list, job->size, job->first, folds, rows, error);
    }
    return status;
}

/* Runs the jobs, under the lock. */
static kt_status run_jobs(kti_cuda *cuda, const kti_job **jobs, int count, kt_error *error)
{
    kt_status status = kti_cuda_bind(cuda, error);
    qsort((void *)jobs, (size_t)count, sizeof *jobs, by_list_and_fold);
    if (status == KT_OK)
        status = copy_all(cuda, jobs, count, cudaMemcpyHostToDevice, "copying a batch to the GPU", error);
    if (status == KT_OK)
        status = launch_sorted(cuda, jobs, count, error);
    if (status == KT_OK)
        status = copy_all(cuda, jobs, count, cudaMemcpyDeviceToHost, "copying results from the GPU", error);
    if (status != KT_OK && cuda->nccl)
        kti_cuda_give_up(cuda, error);
    /* Also after a failure: what is on the stream still uses the jobs' memory. */
    const kt_status waited = kti_cuda_wait(cuda, "running a step", error);
    return status == KT_OK ? waited : status;
}

static void run_round(kti_cuda *cuda)
{
    kt_error error = KT_ERROR_NONE;
    int count = 0;
    for (int i = 0; i < cuda->device.lanes; i++)
        if (cuda->lane[i].job)
            cuda->together[count++] = cuda->lane[i].job;
    const kt_status status = run_jobs(cuda, cuda->together, count, &error);
    for (int i = 0; i < cuda->device.lanes; i++)
        if (cuda->lane[i].job) {
            cuda->lane[i].status = status;
            cuda->lane[i].error = error;
            cuda->lane[i].job = NULL;
        }
    cuda->waiting = 0;
    atomic_fetch_add(&cuda->rounds, 1);
    pthread_cond_broadcast(&cuda->done);
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

/* Whether another lane has completed the round within a while: to be woken takes a large part of a step's time. */
static bool spin(kti_cuda *cuda, unsigned long rounds)
{
    for (int i = 0; cuda->spins && i < SPINS; i++) {
        if (atomic_load(&cuda->rounds) != rounds)
            return true;
        pause_briefly();
    }
    return false;
}

/* All lanes come at about the same time, and none holds it for long but the one that runs the round, when nobody else wants it. */
static void lock(kti_cuda *cuda)
{
    for (int i = 0; cuda->spins && i < SPINS; i++) {
        if (pthread_mutex_trylock(&cuda->lock) == 0)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&cuda->lock);
}

static kt_status result_of(const kti_cuda_lane *lane, kt_error *error)
{
    if (lane->status != KT_OK && error && error->status == KT_OK)
        *error = lane->error;
    return lane->status;
}

kt_status kti_cuda_run(kti_device *device, int lane, const kti_job *job, kt_error *error)
{
    kti_cuda *cuda = (kti_cuda *)device;
    kti_cuda_lane *own = &cuda->lane[lane];
    lock(cuda);
    if (!own->entered) {
        const kt_status status = run_jobs(cuda, &job, 1, error);
        pthread_mutex_unlock(&cuda->lock);
        return status;
    }
    own->job = job;
    cuda->waiting++;
    if (cuda->waiting == cuda->entered) {
        run_round(cuda);
    } else {
        const unsigned long rounds = atomic_load(&cuda->rounds);
        pthread_mutex_unlock(&cuda->lock);
        if (spin(cuda, rounds)) /* the lane's result was written before the round was counted */
            return result_of(own, error);
        lock(cuda);
    }
    while (own->job)
        pthread_cond_wait(&cuda->done, &cuda->lock);
    const kt_status status = result_of(own, error);
    pthread_mutex_unlock(&cuda->lock);
    return status;
}

void kti_cuda_enter(kti_device *device, int lane)
{
    kti_cuda *cuda = (kti_cuda *)device;
    pthread_mutex_lock(&cuda->lock);
    if (!cuda->lane[lane].entered) {
        cuda->lane[lane].entered = true;
        cuda->entered++;
    }
    pthread_mutex_unlock(&cuda->lock);
}

void kti_cuda_leave(kti_device *device, int lane)
{
    kti_cuda *cuda = (kti_cuda *)device;
    pthread_mutex_lock(&cuda->lock);
    if (cuda->lane[lane].entered) {
        cuda->lane[lane].entered = false;
        cuda->entered--;
        /* The others may have waited for this one alone. */
        if (cuda->waiting > 0 && cuda->waiting == cuda->entered)
            run_round(cuda);
    }
    pthread_mutex_unlock(&cuda->lock);
}
