/* Scanning: a model over however many crystals, rows streamed to a file.
 *
 * Workers take crystals in turn from the source, some at a time, and predict them together; rows are written in the order of the
 * source. A crystal's row depends on the crystal and the model alone, so the files are the same for any number of workers and ranks, and
 * after any kill and resume.
 */
#ifndef KTI_SCAN_SCAN_H
#define KTI_SCAN_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include <kappatune/model.h>

#include "ranks/communicator.h"

typedef struct kti_scan_progress {
    int64_t done, rejected;            /* crystals, earlier ones of a resumed scan included */
    int64_t bytes_done, bytes_total;   /* of the source's files */
    double seconds, crystals_a_second; /* of this call, once predicting began */
} kti_scan_progress;

typedef struct kti_scan_options {
    const char *model;
    kt_model_options model_options;
    char *const *sources; /* [source_count] as kti_source_open takes them */
    int source_count;
    const char *out, *rejects; /* CSV files */
    bool resume;
    double below;  /* only crystals whose mean is below it get a row; INFINITY: all */
    bool features; /* columns of what the crystal is (crystal/description.h) behind the others */
    int threads;
    /* Processes that share the crystals; NULL: this one alone. Every rank calls with the same options: each reads the sources and predicts
     * every n-th chunk of them, n being their number, and rank 0 writes. */
    kt_communicator *ranks;
    /* After some crystals; non-zero asks to stop. From one thread at a time. NULL: none. */
    int (*progress)(void *user, const kti_scan_progress *progress);
    void *user;
} kti_scan_options;

typedef struct kti_scan_result {
    int64_t done, written, rejected;
    bool was_complete; /* there was nothing to resume */
    bool
        foreign; /* it failed since the files that it was to go on with are of another scan, or of other crystals */
    double seconds;
} kti_scan_result; /* of rank 0 */

/* KT_INTERRUPTED when asked to stop: what was done is in the files, and resume goes on. A crystal that can't be used is a row of the
 * rejects, and no error. */
kt_status kti_scan(const kti_scan_options *options, kti_scan_result *result, kt_error *error);

#endif
