/* Fetches AFLOW's quasi-harmonic thermal conductivities (agl_thermal_conductivity_300K) with their crystals, through its
 * search interface AFLUX, as a data set that data/dataset.h reads.
 *
 * AFLUX (Rose et al., Comput. Mater. Sci. 137 (2017) 362) answers with pages of rows and leaves out rows that lack a
 * property that was asked for. So the labels are asked for alone, the properties that make a crystal apart, and both are
 * joined by the entry's auid; a crystal that AFLUX does not give comes from the entry's own files.
 *
 * The folder:
 *   id_prop.csv      id,kappa: the crystals that are there; written at the end
 *   <id>.vasp|.cif   the crystals. The id is the name of an ICSD entry ("Ac1H2_ICSD_56392"), else its auid ("aflow-83cd...")
 *   rejects.csv      id,line,file,reason: entries without a usable label or crystal; only if there are any
 *   aflow/           what the server said: state.json and the pages. With it a stopped fetch goes on, with no second
 *                    download of what is there; entries that were rejected are tried again.
 */
#ifndef KTI_DOWNLOAD_AFLOW_H
#define KTI_DOWNLOAD_AFLOW_H

#include <stdbool.h>

#include "download/fetch.h"

typedef struct kti_aflow_options {
    const char *folder; /* made if it is missing */
    const char
        *url; /* server of a mirror, "http://host:port"; NULL: https://aflow.org, and the servers it names */
    int64_t limit; /* entries at most, in the server's order; INT64_MAX */
    int page_size; /* rows a page; 1000. A folder keeps the size and the server that it began with */
    bool force;    /* fill a folder that holds something, though no fetch has begun it */

    /* Entries whose crystal is there or was given up, of all; may be NULL. Anything but 0 stops: KT_INTERRUPTED. */
    int (*progress)(void *user, int64_t done, int64_t total);
    /* Each line of news: a page that came, a page that is asked for again. May be NULL. */
    void (*message)(void *user, const char *text);
    void *user;
} kti_aflow_options;

kti_aflow_options kti_aflow_options_default(void);

typedef struct kti_aflow_result {
    int64_t entries;      /* with a label */
    int64_t crystals;     /* in id_prop.csv */
    int64_t rejected;     /* in rejects.csv */
    int64_t repeated;     /* rows that came twice */
    int64_t without_cell; /* entries whose row lacks a property that makes a crystal */
    int64_t from_files;   /* crystals downloaded now from the entries' own files */
    int64_t pages;        /* pages downloaded now */
} kti_aflow_result;

/* KT_IO when the server cannot be reached or gives up answering, KT_BAD_FORMAT for answers that are no pages of entries,
 * KT_BAD_ARGUMENT for a folder that another query has begun, or that holds anything else, KT_INTERRUPTED; in all cases the same call goes on later. An
 * entry that cannot be had is no error but a reject. */
kt_status kti_aflow_fetch(kti_fetcher *fetcher, const kti_aflow_options *options, kti_aflow_result *result,
                          kt_error *error);

#endif
