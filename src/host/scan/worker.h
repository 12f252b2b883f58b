/* From the text of crystals to the lines about them: a worker predicts a chunk of the source at a time. */
#ifndef KTI_SCAN_WORKER_H
#define KTI_SCAN_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "predictor/model.h"
#include "scan/scan.h"
#include "scan/source.h"

enum { KTI_CHUNK = 32 }; /* crystals at most */

/* Crystals that follow one another in the source, and the lines about them. */
typedef struct kti_chunk {
    kti_item item[KTI_CHUNK]; /* [size], owned */
    int size, written, rejected;
    /* Hashes of all crystals of the source before this chunk, and with it; as kti_ledger's `crystals`. */
    uint64_t before, after;
    kti_text rows, rejects;
    bool ready; /* the lines are complete */
} kti_chunk;

/* Frees what it holds; it is an empty chunk again. */
void kti_chunk_clear(kti_chunk *chunk);

/* A model of its own, and room for its predictions. To be used by one thread at a time. */
typedef struct kti_worker {
    const kti_scan_options *options; /* the caller's */
    kt_model *model;
    double *value, *log_sd; /* [KTI_CHUNK, members] */
} kti_worker;

/* `first`: this worker's model describes the scan to the ledger and to other ranks. Destroy in any case. */
kt_status kti_worker_create(const kti_scan_options *options, bool first, kti_worker *worker, kt_error *error);
void kti_worker_destroy(kti_worker *worker);

/* Adds the lines of a chunk's crystals. One that cannot be used is a reject; what ends the whole scan (kti_is_fatal) is an
 * error. */
kt_status kti_worker_predict(kti_worker *worker, kti_chunk *chunk, kt_error *error);

#endif
