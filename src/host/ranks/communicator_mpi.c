/* Ranks by MPI: a module, loaded where a launcher started several processes.
 *
 * MPI is called by the thread that exchanges messages and by that of the news, never by both at a time (MPI_THREAD_SERIALIZED), and never
 * in a way that waits inside MPI, which would burn a core.
 */
#define _GNU_SOURCE /* sched_getaffinity */

#include "ranks/communicator.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <mpi.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "ranks/communicator_kind.h"

enum {
    TAG_MESSAGE = 1,
    TAG_NEWS = 2,
    BEAT = 10,      /* ticks between news that say nothing new */
    PATIENCE = 600, /* ticks without news after which a rank is lost */
    GRACE = 300     /* ticks that those who are left have to stop in */
};

static const double tick = 0.1, idle_every = 0.2; /* s */

/* What a rank tells the others at the start; of bytes alone. */
typedef struct identity {
    char host[KTI_HOST_NAME];
    int64_t process, space; /* the process numbers of one space can be compared */
    cpu_set_t processors;
} identity;

typedef struct packet {
    kti_news news;
    int64_t stop;
} packet;

typedef struct peer {
    packet heard, sent;
    MPI_Request sending; /* of `sent` */
    int silent;          /* ticks since the last news */
    bool talks;          /* with this rank: rank 0 with all, and all with rank 0 */
    bool watched;        /* its process is of this host and can be looked at */
    const char *lost;    /* why it is; NULL while it is not */
    bool said;
} peer;

typedef struct mpi_communicator {
    kt_communicator base;
    void (*tell_lost)(const char *text);
    pthread_t thread;
    pthread_mutex_t lock; /* of MPI and of what follows */
    peer *peer;           /* [size] */
    packet own;
    int since_beat;       /* ticks */
    atomic_int lost_rank; /* -1: none; the first one */
    atomic_bool leaving;
    char why[256]; /* the lost one is lost; set before lost_rank */
} mpi_communicator;

static mpi_communicator *own(kt_communicator *ranks)
{
    return (mpi_communicator *)ranks;
}

static void sleep_for(double seconds)
{
    const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static kt_status complain(int code, const char *what, kt_error *error)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    MPI_Error_string(code, text, &length);
    return kti_fail(error, KT_IO, "MPI cannot %s: %.300s", what, text);
}

/* ---- news ---- */

static void send_news(mpi_communicator *c, peer *p, int to, bool beat)
{
    int done = 1;
    if (p->sending != MPI_REQUEST_NULL)
        MPI_Test(&p->sending, &done, MPI_STATUS_IGNORE);
    /* By its bytes, so that a NaN equals itself. */
    if (!done || (!beat && memcmp(&p->sent, &c->own, sizeof c->own) == 0))
        return;
    p->sent = c->own;
    MPI_Isend(&p->sent, sizeof p->sent, MPI_BYTE, to, TAG_NEWS, MPI_COMM_WORLD, &p->sending);
}

static void receive_news(mpi_communicator *c)
{
    for (;;) {
        MPI_Status status;
        packet found;
        int there = 0;
        if (MPI_Iprobe(MPI_ANY_SOURCE, TAG_NEWS, MPI_COMM_WORLD, &there, &status) != MPI_SUCCESS || !there)
            return;
        if (MPI_Recv(&found, sizeof found, MPI_BYTE, status.MPI_SOURCE, TAG_NEWS, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return;
        peer *p = &c->peer[status.MPI_SOURCE];
        p->heard = found;
        p->silent = 0;
        if (found.news.piece == c->own.news.piece)
            c->own.stop |= found.stop; /* and rank 0 tells all */
    }
}

/* Why a rank is lost; NULL if it is not. */
static const char *examine(const kti_rank *rank, const peer *p)
{
    if (p->watched && kill((pid_t)rank->process, 0) != 0 && errno == ESRCH)
        return "has died";
    if (p->talks && p->silent > PATIENCE)
        return "has been silent for a minute";
    return NULL;
}

/* Of those who are left the first one says it. Under the lock. */
static void notice_losses(mpi_communicator *c)
{
    bool first = true;
    for (int i = 0; i < c->base.size; i++) {
        peer *p = &c->peer[i];
        if (i != c->base.rank && !p->lost)
            p->lost = examine(&c->base.ranks[i], p);
        first = first && (i >= c->base.rank || p->lost);
    }
    for (int i = 0; i < c->base.size; i++) {
        peer *p = &c->peer[i];
        const kti_rank *rank = &c->base.ranks[i];
        char who[KTI_HOST_NAME + 64], text[768];
        if (!p->lost || p->said)
            continue;
        p->said = true;
        kti_communicator_describe(&c->base, i, who, sizeof who);
        snprintf(text, sizeof text, "%s %s%s%s", who, p->lost, *rank->duty ? "; it had " : "", rank->duty);
        if (first)
            c->tell_lost(text);
        if (atomic_load(&c->lost_rank) < 0) {
            snprintf(c->why, sizeof c->why, "%s %s", who, p->lost);
            atomic_store(&c->lost_rank, i);
        }
    }
}

static void *pass_on(void *argument)
{
    mpi_communicator *c = argument;
    for (int grace = GRACE; !atomic_load(&c->leaving); sleep_for(tick)) {
        pthread_mutex_lock(&c->lock);
        receive_news(c);
        const bool beat = ++c->since_beat >= BEAT;
        c->since_beat = beat ? 0 : c->since_beat;
        for (int i = 0; i < c->base.size; i++) {
            if (!c->peer[i].talks)
                continue;
            /* Ticks, not seconds: a job that was suspended as a whole has lost nobody. */
            c->peer[i].silent++;
            if (!c->peer[i].lost)
                send_news(c, &c->peer[i], i, beat);
        }
        notice_losses(c);
        if (atomic_load(&c->lost_rank) >= 0 && --grace == 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
        pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

static void set_duty(kt_communicator *ranks, int rank, const char *text)
{
    mpi_communicator *c = own(ranks);
    pthread_mutex_lock(&c->lock);
    snprintf(ranks->ranks[rank].duty, KTI_DUTY, "%s", text);
    pthread_mutex_unlock(&c->lock);
}

static void tell(kt_communicator *ranks, const kti_news *news)
{
    mpi_communicator *c = own(ranks);
    pthread_mutex_lock(&c->lock);
    if (news->piece != c->own.news.piece)
        c->own.stop = 0;
    c->own.news = *news;
    pthread_mutex_unlock(&c->lock);
}

static kti_news hear(const kt_communicator *ranks, int rank)
{
    mpi_communicator *c = own((kt_communicator *)ranks);
    pthread_mutex_lock(&c->lock);
    const kti_news news = rank == ranks->rank ? c->own.news : c->peer[rank].heard.news;
    pthread_mutex_unlock(&c->lock);
    return news;
}

static void stop(kt_communicator *ranks)
{
    mpi_communicator *c = own(ranks);
    pthread_mutex_lock(&c->lock);
    c->own.stop = 1;
    pthread_mutex_unlock(&c->lock);
}

static bool stops(const kt_communicator *ranks)
{
    mpi_communicator *c = own((kt_communicator *)ranks);
    pthread_mutex_lock(&c->lock);
    const bool asked = c->own.stop != 0 || atomic_load(&c->lost_rank) >= 0;
    pthread_mutex_unlock(&c->lock);
    return asked;
}

/* ---- messages ---- */

/* What one does between two looks at whether something has come. */
typedef struct patience {
    double nap, told; /* s */
} patience;

/* Fails when a rank is lost: what one waits for may never come. */
static kt_status wait_a_little(mpi_communicator *c, patience *p, kti_idle idle, void *user, kt_error *error)
{
    if (atomic_load(&c->lost_rank) >= 0)
        return kti_fail(error, KT_IO, "%s, and the others stop; --resume goes on", c->why);
    if (idle && kti_seconds() - p->told >= idle_every) {
        idle(user);
        p->told = kti_seconds();
    }
    p->nap = p->nap == 0 ? 2e-5 : p->nap < 5e-3 ? 1.5 * p->nap : p->nap;
    sleep_for(p->nap);
    return KT_OK;
}

static kt_status complete(mpi_communicator *c, MPI_Request *request, const char *what, kt_error *error)
{
    patience p = {0};
    for (;;) {
        int done = 0;
        pthread_mutex_lock(&c->lock);
        const int code = MPI_Test(request, &done, MPI_STATUS_IGNORE);
        pthread_mutex_unlock(&c->lock);
        if (code != MPI_SUCCESS)
            return complain(code, what, error);
        if (done)
            return KT_OK;
        const kt_status status = wait_a_little(c, &p, NULL, NULL, error);
        if (status != KT_OK)
            return status;
    }
}

/* Synchronous, so that nobody runs ahead of who takes his results. */
static kt_status send_bytes(kt_communicator *ranks, int to, const void *data, size_t size, kt_error *error)
{
    static const char what[] = "send";
    mpi_communicator *c = own(ranks);
    MPI_Request request;
    if (size > INT_MAX)
        return kti_fail(error, KT_IO, "a message of %zu bytes is too long for MPI", size);
    pthread_mutex_lock(&c->lock);
    const int code = MPI_Issend(data, (int)size, MPI_BYTE, to, TAG_MESSAGE, MPI_COMM_WORLD, &request);
    pthread_mutex_unlock(&c->lock);
    return code == MPI_SUCCESS ? complete(c, &request, what, error) : complain(code, what, error);
}

static kt_status receive_bytes(kt_communicator *ranks, int from, kti_idle idle, void *user, void **data,
                               size_t *size, kt_error *error)
{
    static const char what[] = "receive";
    mpi_communicator *c = own(ranks);
    MPI_Message message;
    MPI_Status about;
    MPI_Request request = MPI_REQUEST_NULL;
    patience p = {.told = kti_seconds()};
    int there = 0, bytes = 0, code;
    *data = NULL;
    *size = 0;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        code = MPI_Improbe(from, TAG_MESSAGE, MPI_COMM_WORLD, &there, &message, &about);
        pthread_mutex_unlock(&c->lock);
        if (code != MPI_SUCCESS)
            return complain(code, what, error);
        if (there)
            break;
        const kt_status status = wait_a_little(c, &p, idle, user, error);
        if (status != KT_OK)
            return status;
    }
    MPI_Get_count(&about, MPI_BYTE, &bytes);
    char *found = kti_allocate((size_t)bytes + 1, 1);
    if (!found)
        return kti_fail_memory(error, "a message");
    pthread_mutex_lock(&c->lock);
    code = MPI_Imrecv(found, bytes, MPI_BYTE, &message, &request);
    pthread_mutex_unlock(&c->lock);
    const kt_status status =
        code == MPI_SUCCESS ? complete(c, &request, what, error) : complain(code, what, error);
    if (status != KT_OK) {
        free(found);
        return status;
    }
    *data = found;
    *size = (size_t)bytes;
    return KT_OK;
}

/* ---- joining and leaving ---- */

static void introduce(identity *self)
{
    struct stat space;
    memset(self, 0, sizeof *self);
    gethostname(self->host, sizeof self->host - 1);
    self->process = getpid();
    self->space = stat("/proc/self/ns/pid", &space) == 0 ? (int64_t)space.st_ino : 0;
    if (sched_getaffinity(0, sizeof self->processors, &self->processors) != 0)
        CPU_SET(0, &self->processors);
}

static void meet(mpi_communicator *c, const identity *all)
{
    kt_communicator *base = &c->base;
    const identity *self = &all[base->rank];
    int sharers = 0;
    for (int i = 0; i < base->size; i++) {
        const bool here = strcmp(all[i].host, self->host) == 0;
        memcpy(base->ranks[i].host, all[i].host, sizeof all[i].host);
        base->ranks[i].process = all[i].process;
        base->local_rank += here && i < base->rank;
        sharers += here && CPU_EQUAL(&all[i].processors, &self->processors);
        c->peer[i] = (peer){.sending = MPI_REQUEST_NULL,
                            .talks = i != base->rank && (i == 0 || base->rank == 0),
                            .watched = i != base->rank && here && self->space != 0 &&
                                       all[i].space == self->space && kill((pid_t)all[i].process, 0) == 0};
    }
    base->processors = CPU_COUNT(&self->processors) / sharers;
}

static kt_status open_mpi(void (*lost)(const char *text), kt_communicator **ranks, kt_error *error)
{
    int provided = 0;
    identity self, *all = NULL;
    mpi_communicator *c = kti_allocate(1, sizeof *c);
    *ranks = NULL;
    if (!c)
        return kti_fail_memory(error, "the ranks");
    /* Open MPI copies straight from another process's memory, which containers forbid and then fail at; our messages are few and small. */
    setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    c->base.kind = &kti_mpi_kind;
    c->tell_lost = lost;
    c->lost_rank = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &c->base.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &c->base.size);
    const size_t size = (size_t)c->base.size;
    c->base.ranks = kti_allocate(size, sizeof *c->base.ranks);
    c->peer = kti_allocate(size, sizeof *c->peer);
    all = kti_allocate(size, sizeof *all);
    kt_status status = KT_OK;
    if (provided < MPI_THREAD_SERIALIZED)
        status = kti_fail(error, KT_DEVICE, "this MPI cannot be used from more than one thread");
    else if (!c->base.ranks || !c->peer || !all)
        status = kti_fail_memory(error, "the ranks");
    if (status == KT_OK) {
        introduce(&self);
        const int code =
            MPI_Allgather(&self, sizeof self, MPI_BYTE, all, sizeof self, MPI_BYTE, MPI_COMM_WORLD);
        status = code == MPI_SUCCESS ? KT_OK : complain(code, "join the ranks", error);
    }
    if (status == KT_OK) {
        meet(c, all);
        pthread_mutex_init(&c->lock, NULL);
        if (pthread_create(&c->thread, NULL, pass_on, c) != 0) {
            pthread_mutex_destroy(&c->lock);
            status = kti_fail(error, KT_IO, "a thread cannot be started");
        }
    }
    free(all);
    if (status == KT_OK) {
        *ranks = &c->base;
    } else {
        /* The others cannot go on without this one; it says why when it is gone. */
        free(c->base.ranks);
        free(c->peer);
        free(c);
    }
    return status;
}

static void close_mpi(kt_communicator *ranks, bool in_order)
{
    mpi_communicator *c = own(ranks);
    atomic_store(&c->leaving, true);
    pthread_join(c->thread, NULL);
    /* A request to a rank that is gone would never complete. */
    if (!in_order || atomic_load(&c->lost_rank) >= 0) {
        fflush(NULL);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    receive_news(c);
    for (int i = 0; i < ranks->size; i++)
        if (c->peer[i].sending != MPI_REQUEST_NULL)
            MPI_Wait(&c->peer[i].sending, MPI_STATUS_IGNORE);
    MPI_Finalize();
    pthread_mutex_destroy(&c->lock);
    free(ranks->ranks);
    free(c->peer);
    free(c);
}

const kti_communicator_kind kti_mpi_kind = {.version = KTI_COMMUNICATOR_VERSION,
                                            .open = open_mpi,
                                            .close = close_mpi,
                                            .send = send_bytes,
                                            .receive = receive_bytes,
                                            .set_duty = set_duty,
                                            .tell = tell,
                                            .hear = hear,
                                            .stop = stop,
                                            .stops = stops};
