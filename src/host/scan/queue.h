/* The chunks of a scan that are under way, between the source and the ledger: worker threads take chunks in the order of the
 * source and finish them in any order; they leave in the order of the source again.
 *
 * A process alone writes its chunks itself, as they are finished. With several ranks, each takes every n-th chunk, n being their
 * number, and merge.h fetches the finished ones from here.
 */
#ifndef KTI_SCAN_QUEUE_H
#define KTI_SCAN_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "scan/ledger.h"
#include "scan/scan.h"
#include "scan/source.h"
#include "scan/worker.h"

enum { KTI_CHUNKS_AHEAD = 64 }; /* that may be taken before the first of them has left */

typedef struct kti_queue {
    const kti_scan_options *options; /* the caller's */
    int rank, ranks;                 /* chunk n of the source is for rank n % ranks */
    pthread_mutex_t lock;            /* of all that follows, while threads run */
    pthread_cond_t moved;            /* a chunk is ready or has left, or the scan ends */
    kti_source *source;              /* owned */
    kti_ledger ledger;  /* of rank 0; the others know of it what rank 0 told when the scan began */
    kti_chunk *ring;    /* [KTI_CHUNKS_AHEAD], owned; this rank's chunk n is at n % KTI_CHUNKS_AHEAD */
    int64_t taken, put; /* chunks of this rank that were taken, and that have left */
    int64_t read;       /* chunks of the source, those of other ranks too */
    uint64_t crystals;  /* a hash of all that were read, as kti_ledger's */
    bool drained;       /* the source has no more */
    kt_status status;   /* why the scan ends early; KT_OK while it does not */
    kt_error error;
    double started; /* when predicting began, s */
    int64_t before; /* crystals that earlier calls have done */
} kti_queue;

/* The lines that go to the ledger together, those of a chunk. They are borrowed from it. */
typedef struct kti_lines {
    int size, rejected, written; /* crystals */
    uint64_t before, after;      /* as kti_chunk's */
    const char *rows, *rejects;  /* NULL or "": none */
} kti_lines;

kti_lines kti_chunk_lines(const kti_chunk *chunk);

/* An empty queue of this rank, without source and ledger. Destroy in any case, when no thread uses it; that closes both. */
kt_status kti_queue_create(const kti_scan_options *options, kti_queue *queue, kt_error *error);
void kti_queue_destroy(kti_queue *queue);

/* Before the threads start: reads the crystals that earlier calls have done, and passes over them. KT_BAD_ARGUMENT where they are
 * not the ledger's. */
kt_status kti_queue_skip(kti_queue *queue, kt_error *error);

/* ---- for any thread; these take the lock themselves ---- */

/* This rank's next chunk of the source, which the caller may use without the lock until it finishes it. Waits for room. NULL when
 * there is none any more or the scan ends. */
kti_chunk *kti_queue_take(kti_queue *queue);

/* Gives a chunk back. What is finished leaves, if this rank is alone. A `status` other than KT_OK ends the scan with `error`. */
void kti_queue_finish(kti_queue *queue, kti_chunk *chunk, kt_status status, const kt_error *error);

/* Ends the scan unless something has ended it before. */
void kti_queue_fail(kti_queue *queue, kt_status status, const kt_error *error);

/* ---- for a caller that holds the lock ---- */

/* As kti_queue_fail. */
void kti_queue_end(kti_queue *queue, kt_status status, const kt_error *error);

/* As kti_queue_end, with KT_INTERRUPTED. */
void kti_queue_interrupt(kti_queue *queue);

/* Tells the caller's `progress` how far the scan is; ends the scan if that asks to. */
void kti_queue_tell(kti_queue *queue);

/* Writes lines to the ledger. A failure ends the scan. */
void kti_queue_store(kti_queue *queue, const kti_lines *lines);

/* The oldest of this rank's chunks has left: frees its place. */
void kti_queue_advance(kti_queue *queue);

#endif
