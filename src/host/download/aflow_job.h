/* What the files of an AFLOW fetch share. A fetch (aflow.c) takes up what the folder remembers (aflow_state.c), lists the entries
 * (aflow_entries.c) and gets their crystals (aflow_crystals.c), both from pages that AFLUX gives (aflow_pages.c).
 *
 * All of it runs in the thread that called kti_aflow_fetch. A function that fails may be called again by a later fetch in the same
 * folder: what was downloaded is there.
 */
#ifndef KTI_DOWNLOAD_AFLOW_JOB_H
#define KTI_DOWNLOAD_AFLOW_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/fail.h"
#include "download/aflow.h"

#define KTI_AFLOW_LABEL "agl_thermal_conductivity_300K"

enum {
    KTI_AFLOW_NAME = 128,
    KTI_AFLOW_URL = 1024
}; /* bytes of a name and of an address, with the zero byte */

typedef enum kti_aflow_listing { KTI_AFLOW_LABELS, KTI_AFLOW_CELLS, KTI_AFLOW_LISTINGS } kti_aflow_listing;

typedef struct kti_aflow_entry {
    char *id, *aurl; /* owned; aurl may be "" */
    double kappa;    /* W/(m K) */
    bool present;    /* its crystal is in the folder */
    bool has_cell;   /* AFLUX gave a row with its cell */
    kt_error reason; /* why it has no label or no crystal */
} kti_aflow_entry;

typedef struct kti_aflow_job {
    kti_fetcher *fetcher; /* this and the next two are the caller's */
    const kti_aflow_options *options;
    kti_aflow_result *result;
    char *record;                    /* owned; folder/aflow */
    char server[KTI_AFLOW_NAME * 2]; /* without a slash at the end */
    int64_t end[KTI_AFLOW_LISTINGS]; /* pages that a listing has; -1: not known yet */
    kti_aflow_entry *entries;        /* [size], owned */
    size_t size, capacity;
    json_t *by_auid; /* owned; place in entries */
    json_t *ids;     /* owned; those that are taken */
    int64_t label_pages;
} kti_aflow_job;

/* A line of news for the caller's `message`. */
void kti_aflow_tell(const kti_aflow_job *job, const char *format, ...) KTI_PRINTF(2, 3);

/* ---- aflow_state.c: what the folder remembers ---- */

/* The path of a file of the record; the caller's: free(). NULL when memory is short. */
char *kti_aflow_record_path(const kti_aflow_job *job, const char *format, ...) KTI_PRINTF(2, 3);

/* KT_BAD_ARGUMENT unless the folder is new or empty, or one that a fetch has begun, or the caller forces it: crystals of the same name
 * would be taken for ours. */
kt_status kti_aflow_check_folder(const kti_aflow_job *job, kt_error *error);

/* Takes up the state that an earlier call left, or begins one. KT_BAD_ARGUMENT where that call asked another server, or for pages of
 * another size, or where a data set lies that is not AFLOW's. */
kt_status kti_aflow_open_state(kti_aflow_job *job, kt_error *error);

/* Remembers that a listing has `pages` pages. */
kt_status kti_aflow_end_listing(kti_aflow_job *job, kti_aflow_listing which, int64_t pages, kt_error *error);

/* ---- aflow_pages.c: pages of rows ---- */

/* What AFLUX is asked for each listing. */
extern const char *const kti_aflow_queries[KTI_AFLOW_LISTINGS];

/* Page `number` of a listing, from 1, into *rows, the caller's: from the folder, or downloaded and kept there. `again`: not from the
 * folder. *total is the number of rows that all pages have together, if the page says so, else -1. */
kt_status kti_aflow_get_page(kti_aflow_job *job, kti_aflow_listing which, int64_t number, bool again,
                             json_t **rows, int64_t *total, kt_error *error);

/* ---- aflow_entries.c: the entries, from the pages of labels ---- */

/* Whether a text of the server's can be part of a path: letters, digits and `others`, at least one, and no "..". */
bool kti_aflow_is_safe(const char *text, const char *others);

/* What is behind the last slash, in `aurl` itself. */
const char *kti_aflow_last_part(const char *aurl);

/* Copies a row's auid; false if it has none that can be one. */
bool kti_aflow_read_auid(const json_t *row, char *auid, size_t capacity);

/* Fills job->entries, up to the limit, in the server's order. KT_BAD_FORMAT where the server has none, or gives fewer than it
 * announced. */
kt_status kti_aflow_list_entries(kti_aflow_job *job, kt_error *error);

/* ---- aflow_crystals.c: their crystals; a fault of an entry goes to its reason ---- */

/* Finds out which crystals are in the folder already. */
kt_status kti_aflow_find_present(kti_aflow_job *job, kt_error *error);

/* Gets the crystals that the pages of cells have. */
kt_status kti_aflow_fetch_cells(kti_aflow_job *job, kt_error *error);

/* Gets the others from the entries' own files. KT_INTERRUPTED when the caller's `progress` asks to stop. */
kt_status kti_aflow_fetch_missing(kti_aflow_job *job, kt_error *error);

#endif
