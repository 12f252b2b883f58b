/* Downloads for `kappatune weights fetch` and `kappatune data fetch`: progress, Ctrl-C, and where published weights lie. */
#ifndef KTI_CLI_FETCH_H
#define KTI_CLI_FETCH_H

#include <stdbool.h>

#include <kappatune/error.h>

/* Names of weights that can be fetched, NULL at the end. */
extern const char *const kti_cli_weights_names[];

typedef struct kti_fetched_weights {
    char *folder;       /* owned; holds matgl's files */
    char *above;        /* owned; the folder that holds it */
    char *url;          /* owned; where the weights came from */
    const char *sha256; /* of the weights */
} kti_fetched_weights;

/* Downloads the files of one of the names above into "<out>.fetch/...", from `url` if it is not NULL. *fetched is to be
 * removed in any case. Errors as kti_fetch_file. */
kt_status kti_cli_fetch_weights(const char *name, const char *url, const char *out, bool quiet,
                                kti_fetched_weights *fetched, kt_error *error);

/* Says on standard error how it is done by hand. */
void kti_cli_fetch_advise(const char *name, const char *out);

/* Frees what it owns. `files`: deletes the downloads too; without it a folder goes only if it is empty. */
void kti_cli_fetched_remove(kti_fetched_weights *fetched, bool files);

/* Zeros stand for the defaults. */
typedef struct kti_cli_fetch_request {
    const char *out, *url;
    int64_t limit;
    int page_size;
    bool quiet, force;
} kti_cli_fetch_request;

/* The command `data fetch aflow`; returns an exit status. */
int kti_cli_fetch_aflow(const kti_cli_fetch_request *request);

#endif
