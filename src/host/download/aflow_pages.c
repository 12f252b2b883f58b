#include "download/aflow_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/file.h"
#include "download/aflow_rows.h"

enum {
    PAGE_LIMIT = 64 << 20,
    PAGE_ATTEMPTS = 3 /* of a page whose content is no page */
};

/* The label comes first in both: AFLUX sorts by it, so that a page of crystals holds entries of the same page of labels, or
 * of a later one. */
const char *const kti_aflow_queries[KTI_AFLOW_LISTINGS] = {
    KTI_AFLOW_LABEL "(*),auid,aurl,compound",
    KTI_AFLOW_LABEL "(*),auid,geometry(*),species(*),composition(*),positions_fractional(*)",
};

static const char *const listing_names[KTI_AFLOW_LISTINGS] = {"labels", "cells"};

static kt_status page_url(const kti_aflow_job *j, kti_aflow_listing which, int64_t number, char *url,
                          size_t capacity, kt_error *error)
{
    const int length = snprintf(url, capacity, "%s/API/aflux/?%s,$paging(%lld,%d),$format(json)", j->server,
                                kti_aflow_queries[which], (long long)number, j->options->page_size);
    return length >= 0 && (size_t)length < capacity
               ? KT_OK
               : kti_fail(error, KT_BAD_ARGUMENT, "the server's address is too long");
}

/* A page that an earlier call left; *rows is NULL if there is none that can be read. */
static kt_status recall_page(const char *path, json_t **rows, int64_t *total, kt_error *error)
{
    char *data = NULL;
    size_t size = 0;
    *rows = NULL;
    if (!kti_file_exists(path))
        return KT_OK;
    kt_status status = kti_file_read(path, PAGE_LIMIT, &data, &size, error);
    if (status == KT_OK && kti_aflow_page(path, data, size, rows, total, NULL) == KT_OUT_OF_MEMORY)
        status = kti_fail_memory(error, "a page");
    free(data);
    return status;
}

static kt_status download_page(kti_aflow_job *j, const char *url, const char *path, json_t **rows,
                               int64_t *total, kt_error *error)
{
    for (int attempt = 1;; attempt++) {
        kt_error reason = KT_ERROR_NONE;
        char *data = NULL;
        size_t size = 0;
        kt_status status = kti_fetch_memory(j->fetcher, url, PAGE_LIMIT, &data, &size, error);
        if (status != KT_OK)
            return status;
        status = kti_aflow_page(url, data, size, rows, total, &reason);
        if (status == KT_OK && json_array_size(*rows) > 0)
            status = kti_file_write(path, data, size, &reason);
        free(data);
        j->result->pages += status == KT_OK;
        if (status == KT_OK)
            return KT_OK;
        json_decref(*rows);
        *rows = NULL;
        if (status != KT_BAD_FORMAT || attempt == PAGE_ATTEMPTS) {
            if (error && error->status == KT_OK)
                *error = reason;
            return status;
        }
        status = kti_fetcher_back_off(j->fetcher, url, attempt, reason.message, error);
        if (status != KT_OK)
            return status;
    }
}

kt_status kti_aflow_get_page(kti_aflow_job *j, kti_aflow_listing which, int64_t number, bool again,
                             json_t **rows, int64_t *total, kt_error *error)
{
    char url[KTI_AFLOW_URL];
    *rows = NULL;
    kt_status status = page_url(j, which, number, url, sizeof url, error);
    if (status != KT_OK)
        return status;
    char *path = kti_aflow_record_path(j, "%s-%05lld.json", listing_names[which], (long long)number);
    if (!path)
        return kti_fail_memory(error, "a path");
    if (!again)
        status = recall_page(path, rows, total, error);
    if (status == KT_OK && !*rows)
        status = download_page(j, url, path, rows, total, error);
    free(path);
    return status;
}
