/* What a scan has written: the rows, the rejects, and how far it is, so that a scan that was killed goes on to the same files.
 *
 * Beside the rows lies `<rows>.state`, written after both files have been flushed: how long they were, and after how many crystals.
 * To resume, they are cut to that length, if up to there they are what the state tells of. Both are locked while they are open.
 */
#ifndef KTI_SCAN_LEDGER_H
#define KTI_SCAN_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include <kappatune/error.h>

#include "base/lock.h"

typedef struct kti_ledger {
    const char *rows_path, *rejects_path; /* the caller's */
    char *state_path;
    FILE *rows, *rejects;              /* open until closed */
    int64_t rows_bytes, rejects_bytes; /* as long as they should be */
    kti_lock lock[2];                  /* theirs */
    json_t *request;                   /* what the scan was asked; owned */
    int64_t done, written, rejected;
    uint64_t
        crystals; /* which ones are done: a hash of their ids in their order, KTI_HASH_START before the first */
    bool complete;
    bool foreign;   /* it could not go on: what is there is of another scan, or of other crystals */
    double flushed; /* when, s */
} kti_ledger;

/* New files, with their headers (no line's end), or with `resume` those of a scan of the same `request`, which is taken over. A
 * complete one is said to be, with nothing opened. KT_BAD_ARGUMENT where files are there that nobody asked to go on with, or
 * another request's; KT_BAD_FORMAT where they are not what the scan left; KT_IO where another process writes them. Close in any case. */
kt_status kti_ledger_open(const char *rows, const char *rejects, const char *rows_header,
                          const char *rejects_header, json_t *request, bool resume, kti_ledger *ledger,
                          kt_error *error);

/* Lines with their ends, of `count` crystals of which `rejected` are rejects, and `crystals` with them. Flushes now and then; KT_IO where the files turn out to
 * have been changed by others meanwhile. */
kt_status kti_ledger_add(kti_ledger *ledger, const char *rows, const char *rejects, int count, int rejected,
                         int written, uint64_t crystals, kt_error *error);

kt_status kti_ledger_flush(kti_ledger *ledger, bool complete, kt_error *error);
void kti_ledger_close(kti_ledger *ledger);

#endif
