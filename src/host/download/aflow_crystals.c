#include "download/aflow_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "crystal/reader.h"
#include "download/aflow_rows.h"

enum {
    CRYSTAL_LIMIT = 8 << 20,
    TROUBLED_ENTRIES = 5 /* in a row that the server fails on: it is the server, not the entries */
};

static char *crystal_path(const kti_aflow_job *j, const kti_aflow_entry *e, const char *ending)
{
    char name[KTI_AFLOW_NAME + 16];
    snprintf(name, sizeof name, "%s%s", e->id, ending);
    return kti_path_join(j->options->folder, name);
}

kt_status kti_aflow_find_present(kti_aflow_job *j, kt_error *error)
{
    static const char *const endings[] = {".vasp", ".cif"};
    for (size_t i = 0; i < j->size; i++)
        for (int k = 0; k < 2 && !j->entries[i].present && j->entries[i].kappa > 0; k++) {
            char *path = crystal_path(j, &j->entries[i], endings[k]);
            if (!path)
                return kti_fail_memory(error, "a path");
            j->entries[i].present = kti_file_exists(path);
            free(path);
        }
    return KT_OK;
}

static bool is_wanted(const kti_aflow_entry *e)
{
    return !e->present && e->kappa > 0;
}

static kt_status show(const kti_aflow_job *j, int64_t done, kt_error *error)
{
    const kti_aflow_options *o = j->options;
    if (o->progress && o->progress(o->user, done, (int64_t)j->size) != 0)
        return kti_fail_file(error, KT_INTERRUPTED, o->folder, "stopped; the same command goes on");
    return KT_OK;
}

/* Puts a crystal in place if it can be used. A fault of the crystal goes to the entry's reason. */
static kt_status place(const kti_aflow_job *j, kti_aflow_entry *e, const char *source, const char *ending,
                       const char *data, size_t size, kt_error *error)
{
    kt_structure structure = {0};
    kt_error reason = KT_ERROR_NONE;
    const kti_structure_format format = strcmp(ending, ".cif") == 0 ? KTI_FORMAT_CIF : KTI_FORMAT_POSCAR;
    kt_status status = kti_structure_read_text(format, data, size, source, &structure, &reason);
    kt_structure_destroy(&structure);
    if (kti_is_fatal(status)) {
        *error = reason;
        return status;
    }
    if (status != KT_OK) {
        e->reason = reason;
        return KT_OK;
    }
    char *path = crystal_path(j, e, ending);
    if (!path)
        return kti_fail_memory(error, "a path");
    status = kti_file_write(path, data, size, error);
    free(path);
    e->present = status == KT_OK;
    return status;
}

static kt_status place_row(const kti_aflow_job *j, kti_aflow_entry *e, const json_t *row, kt_error *error)
{
    kti_text poscar = {0};
    kt_error reason = KT_ERROR_NONE;
    kt_status status = kti_aflow_poscar(row, e->id, &poscar, &reason);
    if (status == KT_OK)
        status = place(j, e, e->id, ".vasp", poscar.data, poscar.size, error);
    else if (kti_is_fatal(status))
        *error = reason;
    else {
        e->reason = reason;
        status = KT_OK;
    }
    kti_text_destroy(&poscar);
    return status;
}

/* *fresh counts the rows that had not been seen, or are beyond the limit. */
static kt_status place_rows(kti_aflow_job *j, const json_t *rows, int64_t *fresh, kt_error *error)
{
    *fresh = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char auid[KTI_AFLOW_NAME];
        const json_t *found =
            kti_aflow_read_auid(row, auid, sizeof auid) ? json_object_get(j->by_auid, auid) : NULL;
        kti_aflow_entry *e = found ? &j->entries[json_integer_value(found)] : NULL;
        *fresh += !e || !e->has_cell;
        if (!e)
            continue;
        e->has_cell = true;
        kt_status status = is_wanted(e) ? place_row(j, e, row, error) : KT_OK;
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

static kt_status place_page(kti_aflow_job *j, int64_t number, bool *more, kt_error *error)
{
    json_t *rows = NULL;
    int64_t fresh = 0, total;
    const int64_t before = j->result->pages;
    kt_status status = kti_aflow_get_page(j, KTI_AFLOW_CELLS, number, false, &rows, &total, error);
    if (status == KT_OK)
        status = place_rows(j, rows, &fresh, error);
    if (status == KT_OK && fresh == 0 && json_array_size(rows) > 0) {
        kti_aflow_tell(j, "page %lld of crystals holds only what came before; asking again",
                       (long long)number);
        json_decref(rows);
        status = kti_aflow_get_page(j, KTI_AFLOW_CELLS, number, true, &rows, &total, error);
        if (status == KT_OK)
            status = place_rows(j, rows, &fresh, error);
    }
    *more = status == KT_OK && fresh > 0;
    if (*more && j->result->pages > before)
        kti_aflow_tell(j, "page %lld of crystals: %zu", (long long)number, json_array_size(rows));
    json_decref(rows);
    return status;
}

kt_status kti_aflow_fetch_cells(kti_aflow_job *j, kt_error *error)
{
    for (int64_t number = 1; number <= j->label_pages; number++) {
        bool more = true;
        if (j->end[KTI_AFLOW_CELLS] >= 0 && number > j->end[KTI_AFLOW_CELLS])
            break;
        kt_status status = place_page(j, number, &more, error);
        if (status == KT_OK && !more)
            return kti_aflow_end_listing(j, KTI_AFLOW_CELLS, number - 1, error);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

/* "server:AFLOWDATA/ICSD_WEB/FCC/Ac1H2_ICSD_56392" and a file name to a KTI_AFLOW_URL. false for what is no such address: a page must
 * not lead us anywhere else. */
static bool file_url(const kti_aflow_job *j, const kti_aflow_entry *e, const char *file, char *url,
                     size_t capacity)
{
    static const char *const domains[] = {"duke.edu", "aflow.org", "aflowlib.org"};
    const char *colon = strchr(e->aurl, ':');
    char host[KTI_AFLOW_NAME];
    if (!colon || colon == e->aurl || (size_t)(colon - e->aurl) >= sizeof host ||
        strncmp(colon, ":AFLOWDATA/", 11) != 0 || !kti_aflow_is_safe(colon + 1, "_-+.:/"))
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - e->aurl), e->aurl);
    bool known = j->options->url != NULL;
    for (size_t i = 0; i < sizeof domains / sizeof domains[0] && !known; i++) {
        const size_t length = strlen(host), tail = strlen(domains[i]);
        known = kti_aflow_is_safe(host, "-.") && length >= tail &&
                strcmp(host + length - tail, domains[i]) == 0 &&
                (length == tail || host[length - tail - 1] == '.');
    }
    if (!known)
        return false;
    const int length = j->options->url ? snprintf(url, capacity, "%s/%s/%s", j->server, colon + 1, file)
                                       : snprintf(url, capacity, "https://%s/%s/%s", host, colon + 1, file);
    return length >= 0 && (size_t)length < capacity;
}

/* Tries the entry's own files. A fault of the entry, or of the server with it alone, goes to its reason. */
static kt_status fetch_files(kti_aflow_job *j, kti_aflow_entry *e, int *troubled, kt_error *error)
{
    char cif[KTI_AFLOW_NAME + 8], url[KTI_AFLOW_URL];
    snprintf(cif, sizeof cif, "%.*s.cif", KTI_AFLOW_NAME, kti_aflow_last_part(e->aurl));
    const char *const files[] = {"CONTCAR.relax.vasp", cif}, *const endings[] = {".vasp", ".cif"};
    for (int k = 0; k < 2 && !e->present; k++) {
        kt_error reason = KT_ERROR_NONE;
        char *data = NULL;
        size_t size = 0;
        if (!file_url(j, e, files[k], url, sizeof url)) {
            if (e->reason.status == KT_OK)
                kti_fail_file(&e->reason, KT_BAD_FORMAT, e->id, "its aurl \"%.150s\" is no address in AFLOW",
                              e->aurl);
            return KT_OK;
        }
        kt_status status = kti_fetch_memory(j->fetcher, url, CRYSTAL_LIMIT, &data, &size, &reason);
        const int answer = kti_fetcher_answer(j->fetcher);
        const bool failing = status == KT_IO && (answer == 429 || answer >= 500);
        *troubled = failing ? *troubled + 1 : 0;
        if (status == KT_OK) {
            status = place(j, e, url, endings[k], data, size, error);
            j->result->from_files += e->present;
            free(data);
            if (status != KT_OK)
                return status;
        } else if ((status == KT_IO && answer >= 400 && *troubled < TROUBLED_ENTRIES) ||
                   status == KT_BAD_FORMAT) {
            /* A file that is not there says less than what was wrong with the row or the other file. */
            if (e->reason.status == KT_OK || answer != 404)
                e->reason = reason;
        } else {
            if (error && error->status == KT_OK)
                *error = reason;
            return status;
        }
        if (failing)
            break;
    }
    return KT_OK;
}

kt_status kti_aflow_fetch_missing(kti_aflow_job *j, kt_error *error)
{
    int troubled = 0;
    int64_t done = 0;
    kt_status status = KT_OK;
    for (size_t i = 0; i < j->size; i++)
        done += !is_wanted(&j->entries[i]);
    for (size_t i = 0; i < j->size && status == KT_OK; i++) {
        if (!is_wanted(&j->entries[i]))
            continue;
        status = show(j, done++, error);
        if (status == KT_OK)
            status = fetch_files(j, &j->entries[i], &troubled, error);
    }
    return status == KT_OK ? show(j, done, error) : status;
}
