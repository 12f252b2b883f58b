/* Downloads over HTTP by libcurl: polite (one connection, a pause, a name), patient (retries with growing waits, and as
 * long as the server asks), and safe (a file is whole and has the right SHA-256, or is not there).
 *
 * What is tried again: no answer, a connection that breaks or stalls, and the answers 408, 429, 500, 502, 503 and 504. A
 * file goes on where it broke off if the server allows it (Range) and it is still the same file: an ETag or a date tells, or
 * the SHA-256 in the end. Only http and https; a redirection never leads from https to http.
 */
#ifndef KTI_DOWNLOAD_FETCH_H
#define KTI_DOWNLOAD_FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include <kappatune/error.h>

typedef struct kti_fetch_progress {
    const char *url;
    int64_t received; /* bytes of this file that are here */
    int64_t total;    /* of this file; -1 if the server does not say */
    double waiting;   /* seconds until the next request; 0 during a transfer */
    const char
        *reason; /* what went wrong with the last one; NULL in a transfer and in the pause between two */
} kti_fetch_progress;

typedef struct kti_fetch_options {
    const char *agent;      /* User-Agent, "program/version" */
    bool use_environment;   /* take proxies from http_proxy, https_proxy, no_proxy; false */
    int attempts;           /* in a row without a new byte, after which to give up; 6 */
    double first_wait;      /* seconds before the second attempt, doubled for each further one; 1 */
    double longest_wait;    /* seconds; a server that asks for a longer wait is given up; 300 */
    double connect_seconds; /* 20 */
    double stall_seconds;   /* without a byte; a database may think long; 120 */
    double pause;           /* seconds between one answer and the next request; 0.2 */

    /* Called about every tenth of a second while waiting, and in transfers when something arrives, at least every second.
     * Anything but 0 stops: KT_INTERRUPTED. May be NULL. */
    int (*progress)(void *user, const kti_fetch_progress *progress);
    void *user;
} kti_fetch_options;

kti_fetch_options kti_fetch_options_default(void);

/* One connection, used again from request to request; by one thread at a time. */
typedef struct kti_fetcher kti_fetcher;

/* `agent` must outlive it. KT_OUT_OF_MEMORY, KT_DEVICE if libcurl cannot start. Destroy takes NULL. */
kt_status kti_fetcher_create(const kti_fetch_options *options, kti_fetcher **fetcher, kt_error *error);
void kti_fetcher_destroy(kti_fetcher *fetcher);

/* The status of the last answer ("404"); 0 if there was none: the server could not be reached, or broke off. */
int kti_fetcher_answer(const kti_fetcher *fetcher);

/* Requests sent so far, attempts counted each. */
int64_t kti_fetcher_requests(const kti_fetcher *fetcher);

/* Waits as after so many failing attempts in a row, with `reason` for the progress: for content that proves to be wrong.
 * KT_INTERRUPTED. */
kt_status kti_fetcher_back_off(kti_fetcher *fetcher, const char *url, int attempts, const char *reason,
                               kt_error *error);

/* Downloads into memory: *data is the caller's (free()), with a zero byte after its *size bytes. More than `limit` bytes are
 * KT_BAD_FORMAT; no answer, or one that is no content, is KT_IO. Errors name the URL. */
kt_status kti_fetch_memory(kti_fetcher *fetcher, const char *url, size_t limit, char **data, size_t *size,
                           kt_error *error);

/* Downloads to `path`, whose folder must be there: into path.download, which is put in place when it is whole. sha256 (64
 * lower-case hexadecimal digits) may be NULL. With it, a file that is there and has it is not downloaded again, and what an
 * earlier call left in path.download is gone on with; another content is KT_BAD_FORMAT, naming both fingerprints, and
 * removed. Further errors as kti_fetch_memory. */
kt_status kti_fetch_file(kti_fetcher *fetcher, const char *url, const char *path, const char *sha256,
                         size_t limit, kt_error *error);

#endif
