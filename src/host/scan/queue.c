#include "scan/queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"

enum { CHUNK_BYTES = 4 << 20 }; /* of text; a chunk that has so much takes no more crystals */

kti_lines kti_chunk_lines(const kti_chunk *c)
{
    return (kti_lines){.size = c->size,
                       .rejected = c->rejected,
                       .written = c->written,
                       .before = c->before,
                       .after = c->after,
                       .rows = c->rows.data,
                       .rejects = c->rejects.data};
}

kt_status kti_queue_create(const kti_scan_options *options, kti_queue *q, kt_error *error)
{
    *q = (kti_queue){.options = options,
                     .rank = kti_communicator_rank(options->ranks),
                     .ranks = kti_communicator_size(options->ranks),
                     .crystals = KTI_HASH_START,
                     .ring = kti_allocate(KTI_CHUNKS_AHEAD, sizeof *q->ring)};
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->moved, NULL);
    return q->ring ? KT_OK : kti_fail_memory(error, "a scan");
}

void kti_queue_destroy(kti_queue *q)
{
    kti_ledger_close(&q->ledger);
    kti_source_close(q->source);
    for (int i = 0; q->ring && i < KTI_CHUNKS_AHEAD; i++)
        kti_chunk_clear(&q->ring[i]);
    free(q->ring);
    pthread_cond_destroy(&q->moved);
    pthread_mutex_destroy(&q->lock);
}

/* ---- reading ---- */

static kt_status read_item(kti_queue *q, kti_item *item, bool *found, kt_error *error)
{
    const kt_status status = kti_source_next(q->source, item, found, error);
    if (status == KT_OK && *found)
        q->crystals = kti_hash(q->crystals, item->id, strlen(item->id) + 1);
    return status;
}

kt_status kti_queue_skip(kti_queue *q, kt_error *error)
{
    bool found = true;
    kt_status status = KT_OK;
    for (int64_t i = 0; i < q->before && status == KT_OK; i++) {
        kti_item item;
        status = read_item(q, &item, &found, error);
        kti_item_destroy(&item);
        q->ledger.foreign = status == KT_OK && !found;
        if (q->ledger.foreign)
            status = kti_fail(
                error, KT_BAD_ARGUMENT,
                "there are fewer crystals than the scan has done already (%lld): the sources have changed",
                (long long)q->before);
    }
    if (status == KT_OK && q->crystals != q->ledger.crystals) {
        q->ledger.foreign = true;
        status = kti_fail(error, KT_BAD_ARGUMENT,
                          "the first %lld crystals are not those that the scan has done: the sources have "
                          "changed; bring them back, or start anew",
                          (long long)q->before);
    }
    return status;
}

/* Fills a chunk with the next crystals of the source; it stays empty when there are none. */
static kt_status read_chunk(kti_queue *q, kti_chunk *c, kt_error *error)
{
    size_t bytes = 0;
    c->before = q->crystals;
    /* Several ranks must cut the source at the same crystals, also where one of them cannot read a file: bytes do not count there. */
    while (c->size < KTI_CHUNK && (bytes < CHUNK_BYTES || q->ranks > 1) && !q->drained) {
        bool found;
        const kt_status status = read_item(q, &c->item[c->size], &found, error);
        if (status != KT_OK)
            return status;
        q->drained = !found;
        if (found)
            bytes += c->item[c->size++].size;
    }
    c->after = q->crystals;
    q->read++;
    return KT_OK;
}

/* Passes over the chunks of other ranks, then reads this rank's next one. */
static kt_status read_own(kti_queue *q, kti_chunk *c, kt_error *error)
{
    kt_status status = KT_OK;
    while (status == KT_OK && q->read % q->ranks != q->rank && !q->drained) {
        status = read_chunk(q, c, error);
        kti_chunk_clear(c);
    }
    return status == KT_OK && !q->drained ? read_chunk(q, c, error) : status;
}

/* As kti_queue_take, under the lock. */
static kti_chunk *take(kti_queue *q)
{
    kt_error error = KT_ERROR_NONE;
    while (q->status == KT_OK && !q->drained && q->taken - q->put >= KTI_CHUNKS_AHEAD)
        pthread_cond_wait(&q->moved, &q->lock);
    if (q->status != KT_OK || q->drained)
        return NULL;
    kti_chunk *c = &q->ring[q->taken % KTI_CHUNKS_AHEAD];
    const kt_status status = read_own(q, c, &error);
    if (status != KT_OK) {
        kti_queue_end(q, status, &error);
        kti_chunk_clear(c);
    }
    if (c->size == 0)
        return NULL;
    q->taken++;
    return c;
}

kti_chunk *kti_queue_take(kti_queue *q)
{
    pthread_mutex_lock(&q->lock);
    kti_chunk *c = take(q);
    if (!c) /* others may wait for a chunk that does not come any more */
        pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->lock);
    return c;
}

/* ---- writing ---- */

/* Writes the chunks that are ready and next, where this rank is alone. Under the lock. */
static void put_ready(kti_queue *q)
{
    for (kti_chunk *c; q->ranks == 1 && (c = &q->ring[q->put % KTI_CHUNKS_AHEAD])->ready;
         kti_queue_advance(q)) {
        const kti_lines lines = kti_chunk_lines(c);
        kti_queue_store(q, &lines);
    }
    pthread_cond_broadcast(&q->moved);
}

void kti_queue_finish(kti_queue *q, kti_chunk *c, kt_status status, const kt_error *error)
{
    pthread_mutex_lock(&q->lock);
    if (status != KT_OK) {
        kti_queue_end(q, status, error);
    } else {
        c->ready = true;
        put_ready(q);
    }
    pthread_mutex_unlock(&q->lock);
}

void kti_queue_store(kti_queue *q, const kti_lines *l)
{
    kt_error error = KT_ERROR_NONE;
    const kt_status status =
        kti_ledger_add(&q->ledger, l->rows, l->rejects, l->size, l->rejected, l->written, l->after, &error);
    if (status != KT_OK)
        kti_queue_end(q, status, &error);
    kti_queue_tell(q);
}

void kti_queue_advance(kti_queue *q)
{
    kti_chunk_clear(&q->ring[q->put++ % KTI_CHUNKS_AHEAD]);
    pthread_cond_broadcast(&q->moved);
}

/* ---- progress and the end ---- */

void kti_queue_tell(kti_queue *q)
{
    const kti_scan_options *o = q->options;
    kti_scan_progress p = {.done = q->ledger.done, .rejected = q->ledger.rejected};
    if (!o->progress)
        return;
    kti_source_progress(q->source, &p.bytes_done, &p.bytes_total);
    p.seconds = kti_seconds() - q->started;
    p.crystals_a_second = p.seconds > 0 ? (double)(p.done - q->before) / p.seconds : 0;
    if (o->progress(o->user, &p))
        kti_queue_interrupt(q);
}

void kti_queue_interrupt(kti_queue *q)
{
    kt_error stopped = KT_ERROR_NONE;
    kti_fail(&stopped, KT_INTERRUPTED, "stopped on request; go on with --resume");
    kti_queue_end(q, KT_INTERRUPTED, &stopped);
}

void kti_queue_end(kti_queue *q, kt_status status, const kt_error *error)
{
    if (q->status == KT_OK) {
        q->status = status;
        q->error = *error;
    }
    pthread_cond_broadcast(&q->moved);
}

void kti_queue_fail(kti_queue *q, kt_status status, const kt_error *error)
{
    pthread_mutex_lock(&q->lock);
    kti_queue_end(q, status, error);
    pthread_mutex_unlock(&q->lock);
}
