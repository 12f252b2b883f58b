#include "scan/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/memory.h"
#include "ranks/communicator.h"

enum { LOOK_EVERY = 200000000 }; /* ns */

/* What a message begins with; rows, rejects and id follow, each with a zero byte behind. */
typedef struct message_header {
    int32_t end, size, rejected, written;
    uint64_t before, after;
    int64_t rows, rejects, id; /* bytes */
    kt_error error;
} message_header;

/* What a rank hands over: the lines of a chunk, or that it has no more. */
typedef struct parcel {
    bool end;        /* no more: `before` and `after` are of all crystals that the rank has read */
    kti_lines lines; /* of the rank's chunk, or of `message` */
    const char *id;  /* of the chunk's first crystal; "" at the end */
    kt_error error;  /* at the end, why the rank's scan ended early; else KT_OK */
    char *message;   /* owned; NULL: nothing was received */
} parcel;

/* ---- this rank's own chunks ---- */

/* Ends the scan if a rank asks all to stop. Under the lock. */
static void look_around(kti_queue *q)
{
    if (q->status == KT_OK && kti_communicator_stops(q->options->ranks))
        kti_queue_interrupt(q);
}

static struct timespec time_to_look(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_EVERY;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return until;
}

/* Waits for this rank's next chunk to be ready; NULL when there is none any more or the scan ends. The chunk stays in the queue until
 * it is advanced. */
static kti_chunk *await_chunk(kti_queue *q)
{
    kti_chunk *c = &q->ring[q->put % KTI_CHUNKS_AHEAD];
    pthread_mutex_lock(&q->lock);
    while (!c->ready && q->status == KT_OK && !(q->drained && q->put == q->taken)) {
        const struct timespec until = time_to_look();
        if (pthread_cond_timedwait(&q->moved, &q->lock, &until) == ETIMEDOUT) {
            kti_queue_tell(q);
            look_around(q);
        }
    }
    const bool ready = c->ready && q->status == KT_OK;
    pthread_mutex_unlock(&q->lock);
    return ready ? c : NULL;
}

static parcel own_end(kti_queue *q)
{
    pthread_mutex_lock(&q->lock);
    const parcel p = {
        .end = true, .lines = {.before = q->crystals, .after = q->crystals}, .id = "", .error = q->error};
    pthread_mutex_unlock(&q->lock);
    return p;
}

static parcel await_own(kti_queue *q)
{
    const kti_chunk *c = await_chunk(q);
    return c ? (parcel){.lines = kti_chunk_lines(c), .id = c->item[0].id, .error = KT_ERROR_NONE}
             : own_end(q);
}

/* ---- sending ---- */

/* Puts `text` at `to` and a zero byte behind it; returns where the next begins. */
static char *append(char *to, const char *text, int64_t size)
{
    if (size > 0)
        memcpy(to, text, (size_t)size);
    to[size] = '\0';
    return to + size + 1;
}

static int64_t length_of(const char *text)
{
    return text ? (int64_t)strlen(text) : 0;
}

static kt_status send(kti_queue *q, const parcel *p, kt_error *error)
{
    const kti_lines *l = &p->lines;
    const message_header header = {.end = p->end,
                                   .size = l->size,
                                   .rejected = l->rejected,
                                   .written = l->written,
                                   .before = l->before,
                                   .after = l->after,
                                   .rows = length_of(l->rows),
                                   .rejects = length_of(l->rejects),
                                   .id = length_of(p->id),
                                   .error = p->error};
    const size_t size = sizeof header + (size_t)(header.rows + 1 + header.rejects + 1 + header.id + 1);
    char *message = kti_allocate(size, 1);
    if (!message)
        return kti_fail_memory(error, "rows");
    memcpy(message, &header, sizeof header);
    char *at = append(message + sizeof header, l->rows, header.rows);
    at = append(at, l->rejects, header.rejects);
    append(at, p->id, header.id);
    kt_status status = kti_communicator_send(q->options->ranks, 0, message, size, error);
    free(message);
    return status;
}

/* A rank above 0 hands over its chunks, in their order, and then its end. */
static void hand_over(kti_queue *q)
{
    kt_error error = KT_ERROR_NONE;
    kt_status status = KT_OK;
    for (bool end = false; !end && status == KT_OK;) {
        const parcel p = await_own(q);
        end = p.end;
        status = send(q, &p, &error);
        pthread_mutex_lock(&q->lock);
        if (!end) {
            kti_queue_advance(q);
            kti_queue_tell(q);
        }
        if (status != KT_OK)
            kti_queue_end(q, status, &error);
        pthread_mutex_unlock(&q->lock);
    }
}

/* ---- receiving ---- */

/* Called now and then while rank 0 waits for another. */
static void while_waiting(void *queue)
{
    kti_queue *q = queue;
    pthread_mutex_lock(&q->lock);
    kti_queue_tell(q);
    look_around(q);
    if (q->status != KT_OK)
        kti_communicator_stop(q->options->ranks);
    pthread_mutex_unlock(&q->lock);
}

/* Waits for another rank's next parcel. A rank that can't be heard has come to its end, with that error. */
static parcel receive(kti_queue *q, int rank)
{
    kt_error error = KT_ERROR_NONE;
    void *message = NULL;
    size_t size;
    message_header h;
    if (kti_communicator_receive(q->options->ranks, rank, while_waiting, q, &message, &size, &error) != KT_OK)
        return (parcel){.end = true, .id = "", .error = error, .message = message};
    memcpy(&h, message, sizeof h);
    const char *rows = (char *)message + sizeof h, *rejects = rows + h.rows + 1,
               *id = rejects + h.rejects + 1;
    const kti_lines lines = {h.size, h.rejected, h.written, h.before, h.after, rows, rejects};
    return (parcel){.end = h.end, .lines = lines, .id = id, .error = h.error, .message = message};
}

/* A chunk has to come after the very crystals that are written, and an end after all of them: else some crystals would be lost and
 * others be there twice. Nor may there be a chunk from a rank whose end is due. Under the lock. */
static void check_order(kti_queue *q, int rank, const parcel *p, bool end_is_due)
{
    kt_error error = KT_ERROR_NONE;
    if (q->status != KT_OK || (p->lines.before == q->ledger.crystals && (p->end || !end_is_due)))
        return;
    kti_fail(
        &error, KT_BAD_ARGUMENT,
        "rank %d finds other crystals than the ranks before it, %s%.200s: all must see the same files with "
        "the same content",
        rank, *p->id ? "up to " : "fewer or more", p->id);
    kti_queue_end(q, KT_BAD_ARGUMENT, &error);
}

/* Rank 0 waits for the next parcel of a rank, its own included, and writes its lines; returns whether it was the rank's end. Once the
 * scan ends, parcels are dropped, and all ranks are asked to stop. */
static bool take_over(kti_queue *q, int rank, bool end_is_due)
{
    const parcel p = rank == 0 ? await_own(q) : receive(q, rank);
    pthread_mutex_lock(&q->lock);
    if (p.error.status != KT_OK)
        kti_queue_end(q, p.error.status, &p.error);
    check_order(q, rank, &p, end_is_due);
    if (q->status == KT_OK && !p.end)
        kti_queue_store(q, &p.lines);
    if (q->status != KT_OK)
        kti_communicator_stop(q->options->ranks);
    if (rank == 0 && !p.end)
        kti_queue_advance(q);
    pthread_mutex_unlock(&q->lock);
    free(p.message);
    return p.end;
}

/* Rank 0 takes a chunk from each rank in turn, which is the order of the source, until one has no more; then nobody has more, and it
 * waits for the end of each of the others. */
static void write_all(kti_queue *q)
{
    int rank = 0;
    while (!take_over(q, rank, false))
        rank = (rank + 1) % q->ranks;
    for (int other = 0; other < q->ranks; other++)
        while (other != rank && !take_over(q, other, true))
            ;
}

void kti_merge(kti_queue *q)
{
    if (q->rank == 0)
        write_all(q);
    else
        hand_over(q);
}
