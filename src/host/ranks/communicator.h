/* The processes that share a piece of work: ranks, as MPI has them.
 *
 * Where there is one process the communicator is NULL: every function takes that, answers for a single rank, and no MPI is loaded. Else
 * communicator_mpi.c, a module, carries bytes between rank 0 and the others. Two things run at a time:
 *
 *   - messages (send, receive, and what is made of them: broadcast, agree), which all ranks exchange in the same order, from one thread
 *     a rank. Whoever waits sleeps, so that threads that compute have the cores;
 *   - news, which a thread of the module's own passes on ten times a second: how far a rank is, whether somebody asks all to stop, and that
 *     it is alive. A rank that dies or falls silent is lost, and every wait for it ends with KT_IO.
 */
#ifndef KTI_RANKS_COMMUNICATOR_H
#define KTI_RANKS_COMMUNICATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kappatune/error.h>

typedef struct kt_communicator kt_communicator;

/* How far a rank is in the present piece of work. */
typedef struct kti_news {
    int64_t piece; /* which one; those of another say nothing of this */
    int64_t done;
    double seconds_left;
} kti_news;

/* Called while one waits, some times a second. */
typedef void (*kti_idle)(void *user);

/* Joins the ranks that a launcher started, `launched` of them (0: it did not say). *ranks is NULL where there is but this one. `lost` is
 * called with a sentence for people when a rank is lost, in one of those that are left, from another thread. KT_DEVICE where this build
 * has no MPI, or where MPI sees another number of ranks. */
kt_status kti_communicator_open(int launched, void (*lost)(const char *text), kt_communicator **ranks,
                                kt_error *error);

/* Leaves them, when all do. After a loss, or unless `in_order`, it ends the whole job instead and does not return. */
void kti_communicator_close(kt_communicator *ranks, bool in_order);

int kti_communicator_rank(const kt_communicator *ranks);
int kti_communicator_size(const kt_communicator *ranks);

static inline bool kti_communicator_is_root(const kt_communicator *ranks)
{
    return kti_communicator_rank(ranks) == 0;
}

/* Which of the ranks of its host this one is, from 0. */
int kti_communicator_local_rank(const kt_communicator *ranks);

/* How many processors this rank may use: its share of those that the launcher gave to it and, perhaps, to others of its host. */
int kti_communicator_processors(const kt_communicator *ranks);

/* "rank 1 (host n01, process 4711)" */
void kti_communicator_describe(const kt_communicator *ranks, int rank, char *text, size_t capacity);

/* What a rank does, "folds 2 and 4", to be said when it is lost. Before that piece of work begins, by every rank. */
void kti_communicator_set_duty(kt_communicator *ranks, int rank, const char *text);

/* ---- messages ---- */

/* Between rank 0 and another: returns when the other has begun to receive. A call waits for no longer than both ranks live. */
kt_status kti_communicator_send(kt_communicator *ranks, int to, const void *data, size_t size,
                                kt_error *error);

/* *data (free()) and its size, followed by a zero byte. `idle` may be NULL. */
kt_status kti_communicator_receive(kt_communicator *ranks, int from, kti_idle idle, void *user, void **data,
                                   size_t *size, kt_error *error);

/* Rank 0's `data` into that of all. */
kt_status kti_communicator_broadcast(kt_communicator *ranks, void *data, size_t size, kt_error *error);

/* All wait for all and return the same: KT_OK if all come with that, else the status of one that failed, with its error in *error. A real
 * failure goes before KT_INTERRUPTED, a lower rank before a higher one. With one rank, its own status. `error` is not NULL. */
kt_status kti_communicator_agree(kt_communicator *ranks, kt_status status, kti_idle idle, void *user,
                                 kt_error *error);

/* Called by all: KT_BAD_ARGUMENT for all where one's fingerprint is not rank 0's, with `difference` as its message. */
kt_status kti_communicator_compare(kt_communicator *ranks, uint64_t fingerprint, const char *difference,
                                   kt_error *error);

/* ---- news ---- */

/* From any thread. A new piece of work forgets that the one before was to be stopped. */
void kti_communicator_tell(kt_communicator *ranks, const kti_news *news);

/* The last that rank 0 has heard of another; its own as it told it. */
kti_news kti_communicator_hear(const kt_communicator *ranks, int rank);

/* Asks all ranks to stop the present piece of work soon, and whether one has, or one was lost. */
void kti_communicator_stop(kt_communicator *ranks);
bool kti_communicator_stops(const kt_communicator *ranks);

#endif
