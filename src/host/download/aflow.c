#include "download/aflow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/text.h"
#include "crystal/number.h"
#include "crystal/reader.h"
#include "download/aflow_rows.h"

#define LABEL "agl_thermal_conductivity_300K"
#define SERVER "https://aflow.org"

enum {
    PAGE_LIMIT = 64 << 20,
    STATE_LIMIT = 1 << 16,
    CRYSTAL_LIMIT = 8 << 20,
    NAME = 128,
    URL = 1024,
    PAGE_ATTEMPTS = 3,    /* of a page whose content is no page */
    TROUBLED_ENTRIES = 5, /* in a row that the server fails on: it is the server, not the entries */
    STATE_VERSION = 1
};

/* The label comes first in both: AFLUX sorts by it, so that a page of crystals holds entries of the same page of labels, or
 * of a later one. */
static const char *const queries[] = {
    LABEL "(*),auid,aurl,compound",
    LABEL "(*),auid,geometry(*),species(*),composition(*),positions_fractional(*)",
};

typedef enum listing { LABELS, CELLS, LISTINGS } listing;

static const char *const listing_names[LISTINGS] = {"labels", "cells"};

typedef struct entry {
    char *id, *aurl; /* owned; aurl may be "" */
    double kappa;    /* W/(m K) */
    bool present;    /* its crystal is in the folder */
    bool has_cell;   /* AFLUX gave a row with its cell */
    kt_error reason; /* why it has no label or no crystal */
} entry;

typedef struct job {
    kti_fetcher *fetcher;
    const kti_aflow_options *options;
    kti_aflow_result *result;
    char *record;          /* owned; folder/aflow */
    char server[NAME * 2]; /* without a slash at the end */
    int64_t end[LISTINGS]; /* pages that a listing has; -1: not known yet */
    entry *entries;        /* owned */
    size_t size, capacity;
    json_t *by_auid; /* owned; place in entries */
    json_t *ids;     /* owned; those that are taken */
    int64_t label_pages;
} job;

kti_aflow_options kti_aflow_options_default(void)
{
    return (kti_aflow_options){.limit = INT64_MAX, .page_size = 1000};
}

static void tell(const job *j, const char *format, ...) KTI_PRINTF(2, 3);

static void tell(const job *j, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (!j->options->message)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    j->options->message(j->options->user, text);
}

/* ---- what the folder remembers ---- */

static char *record_path(const job *j, const char *format, ...) KTI_PRINTF(2, 3);

static char *record_path(const job *j, const char *format, ...)
{
    char name[NAME];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return kti_path_join(j->record, name);
}

static kt_status save_state(const job *j, kt_error *error)
{
    kt_status status = KT_OK;
    char *path = record_path(j, "state.json");
    json_t *root =
        json_pack("{s:i, s:s, s:i, s:I, s:I, s:s, s:s}", "version", STATE_VERSION, "server", j->server,
                  "page_size", j->options->page_size, "label_pages", (json_int_t)j->end[LABELS], "cell_pages",
                  (json_int_t)j->end[CELLS], "label_query", queries[LABELS], "cell_query", queries[CELLS]);
    status = path && root ? kti_json_write(path, root, error) : kti_fail_memory(error, "a state");
    json_decref(root);
    free(path);
    return status;
}

static kt_status check_state(job *j, const json_t *root, const char *path, kt_error *error)
{
    const char *server = NULL;
    int64_t page_size = 0, version = 0;
    kt_status status = kti_json_integer(root, path, "version", STATE_VERSION, STATE_VERSION, &version, error);
    if (status == KT_OK)
        status = kti_json_string(root, path, "server", &server, error);
    if (status == KT_OK)
        status = kti_json_integer(root, path, "page_size", 1, INT32_MAX, &page_size, error);
    if (status == KT_OK)
        status = kti_json_integer(root, path, "label_pages", -1, INT32_MAX, &j->end[LABELS], error);
    if (status == KT_OK)
        status = kti_json_integer(root, path, "cell_pages", -1, INT32_MAX, &j->end[CELLS], error);
    if (status != KT_OK)
        return status;
    if (strcmp(server, j->server) != 0)
        return kti_fail_file(error, KT_BAD_ARGUMENT, j->options->folder,
                             "was begun from %.100s, not from %.100s: go on with that one, or take another "
                             "folder",
                             server, j->server);
    if (page_size != j->options->page_size)
        return kti_fail_file(error, KT_BAD_ARGUMENT, j->options->folder,
                             "was begun with %lld rows a page, not with %d: go on with that, or take another "
                             "folder",
                             (long long)page_size, j->options->page_size);
    return KT_OK;
}

/* Takes up what an earlier call left, or begins. */
static kt_status open_state(job *j, kt_error *error)
{
    json_t *root = NULL;
    kt_status status = KT_OK;
    char *path = record_path(j, "state.json"), *table = kti_path_join(j->options->folder, "id_prop.csv");
    if (!path || !table) {
        status = kti_fail_memory(error, "a path");
    } else if (kti_file_exists(path)) {
        status = kti_json_read(path, STATE_LIMIT, &root, error);
        if (status == KT_OK)
            status = check_state(j, root, path, error);
        json_decref(root);
    } else if (kti_file_exists(table)) {
        status = kti_fail_file(error, KT_BAD_ARGUMENT, j->options->folder,
                               "holds a data set that does not come from AFLOW: take another folder");
    } else {
        status = save_state(j, error);
    }
    free(path);
    free(table);
    return status;
}

/* ---- pages ---- */

static kt_status page_url(const job *j, listing which, int64_t number, char *url, size_t capacity,
                          kt_error *error)
{
    const int length = snprintf(url, capacity, "%s/API/aflux/?%s,$paging(%lld,%d),$format(json)", j->server,
                                queries[which], (long long)number, j->options->page_size);
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

static kt_status download_page(job *j, const char *url, const char *path, json_t **rows, int64_t *total,
                               kt_error *error)
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

/* Page `number` of a listing into *rows, the caller's. `again`: not from the folder. */
static kt_status get_page(job *j, listing which, int64_t number, bool again, json_t **rows, int64_t *total,
                          kt_error *error)
{
    char url[URL];
    *rows = NULL;
    kt_status status = page_url(j, which, number, url, sizeof url, error);
    if (status != KT_OK)
        return status;
    char *path = record_path(j, "%s-%05lld.json", listing_names[which], (long long)number);
    if (!path)
        return kti_fail_memory(error, "a path");
    if (!again)
        status = recall_page(path, rows, total, error);
    if (status == KT_OK && !*rows)
        status = download_page(j, url, path, rows, total, error);
    free(path);
    return status;
}

/* ---- entries ---- */

static bool is_safe(const char *text, const char *others)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (const char *c = text; *c != '\0'; c++)
        if (!strchr(letters, *c) && !strchr(others, *c))
            return false;
    return text[0] != '\0' && !strstr(text, "..");
}

static const char *last_part(const char *aurl)
{
    const char *slash = strrchr(aurl, '/');
    return slash ? slash + 1 : aurl;
}

/* ICSD entries are known by their names, which are unique; those of other catalogues are names of prototypes. */
static kt_status choose_id(job *j, const char *auid, const char *aurl, char *id, size_t capacity,
                           kt_error *error)
{
    const char *name = last_part(aurl);
    if (strstr(name, "_ICSD_") && is_safe(name, "_-+.") && strlen(name) < capacity &&
        !json_object_get(j->ids, name))
        snprintf(id, capacity, "%s", name);
    else
        snprintf(id, capacity, "%s", auid);
    for (char *c = id; *c != '\0'; c++)
        if (*c == ':')
            *c = '-';
    return json_object_set_new(j->ids, id, json_true()) == 0 ? KT_OK : kti_fail_memory(error, "the entries");
}

/* Room for one more, zeroed but for its texts; NULL and an error when memory is short. */
static entry *grow_entries(job *j, const char *id, const char *aurl, kt_error *error)
{
    void *list = j->entries;
    const int grown = kti_grow(&list, j->size, &j->capacity, sizeof *j->entries);
    j->entries = list;
    if (grown != 0) {
        kti_fail_memory(error, "the entries");
        return NULL;
    }
    entry *e = &j->entries[j->size++];
    *e = (entry){.id = kti_duplicate_text(id), .aurl = kti_duplicate_text(aurl), .reason = KT_ERROR_NONE};
    if (e->id && e->aurl)
        return e;
    kti_fail_memory(error, "the entries");
    return NULL;
}

static kt_status add_nameless(job *j, kt_error *error)
{
    entry *e = grow_entries(j, "", "", error);
    if (!e)
        return KT_OUT_OF_MEMORY;
    kti_fail_file(&e->reason, KT_BAD_FORMAT, j->server, "a row has no `auid` that can be one");
    return KT_OK;
}

static kt_status add_entry(job *j, const json_t *row, const char *auid, kt_error *error)
{
    char label[64], aurl[URL], id[NAME];
    kti_aflow_text(row, LABEL, label, sizeof label);
    kti_aflow_text(row, "aurl", aurl, sizeof aurl);
    kt_status status = choose_id(j, auid, aurl, id, sizeof id, error);
    if (status != KT_OK)
        return status;
    entry *e = grow_entries(j, id, aurl, error);
    if (!e)
        return KT_OUT_OF_MEMORY;
    if (json_object_set_new(j->by_auid, auid, json_integer((json_int_t)j->size - 1)) != 0)
        return kti_fail_memory(error, "the entries");
    if (!kti_number_read(label, label + strlen(label), &e->kappa))
        kti_fail_file(&e->reason, KT_BAD_FORMAT, auid, LABEL " \"%.40s\" is no finite number", label);
    else if (!(e->kappa > 0))
        kti_fail_file(&e->reason, KT_BAD_FORMAT, auid, LABEL " %s is not above 0 W/(m K)", label);
    return KT_OK;
}

static bool read_auid(const json_t *row, char *auid, size_t capacity)
{
    kti_aflow_text(row, "auid", auid, capacity);
    return is_safe(auid, ":_-");
}

/* Adds the page's new entries up to the limit. *fresh counts the rows that had not been seen, *known those that had; a
 * row without an auid is neither, so that a server that repeats it for ever comes to an end. */
static kt_status add_rows(job *j, const json_t *rows, int64_t *fresh, int64_t *known, kt_error *error)
{
    *fresh = *known = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char auid[NAME];
        const bool named = read_auid(row, auid, sizeof auid);
        if (named && json_object_get(j->by_auid, auid)) {
            ++*known;
            continue;
        }
        *fresh += named;
        if ((int64_t)j->size >= j->options->limit)
            continue;
        kt_status status = named ? add_entry(j, row, auid, error) : add_nameless(j, error);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

static kt_status end_listing(job *j, listing which, int64_t pages, kt_error *error)
{
    if (j->end[which] == pages)
        return KT_OK;
    j->end[which] = pages;
    return save_state(j, error);
}

/* One page of labels; *more is false if it was behind the last one. */
static kt_status list_page(job *j, int64_t number, int64_t *seen, int64_t *total, bool *more, kt_error *error)
{
    json_t *rows = NULL;
    int64_t fresh = 0, known = 0, announced = -1;
    const int64_t before = j->result->pages;
    kt_status status = get_page(j, LABELS, number, false, &rows, &announced, error);
    if (status == KT_OK)
        status = add_rows(j, rows, &fresh, &known, error);
    if (status == KT_OK && fresh == 0 && json_array_size(rows) > 0) {
        tell(j, "page %lld holds only entries that came before; asking again", (long long)number);
        json_decref(rows);
        status = get_page(j, LABELS, number, true, &rows, &announced, error);
        if (status == KT_OK)
            status = add_rows(j, rows, &fresh, &known, error);
    }
    *more = status == KT_OK && fresh > 0;
    if (announced >= 0) /* an empty page announces nothing */
        *total = announced;
    if (*more) {
        *seen += (int64_t)json_array_size(rows);
        j->result->repeated += known;
        if (j->result->pages > before)
            tell(j, "page %lld: %zu entries", (long long)number, j->size);
    }
    json_decref(rows);
    return status;
}

static kt_status list_entries(job *j, kt_error *error)
{
    int64_t seen = 0, total = -1;
    bool more = true;
    kt_status status = KT_OK;
    for (int64_t number = 1; (int64_t)j->size < j->options->limit; number++) {
        if (j->end[LABELS] >= 0 && number > j->end[LABELS])
            break;
        status = list_page(j, number, &seen, &total, &more, error);
        if (status != KT_OK)
            return status;
        if (!more && total >= 0 && seen < total)
            return kti_fail_file(error, KT_BAD_FORMAT, j->server,
                                 "announces %lld entries, but gives no more than %lld", (long long)total,
                                 (long long)seen);
        if (!more && number == 1)
            return kti_fail_file(error, KT_BAD_FORMAT, j->server, "has no entry with " LABEL);
        if (!more || (total >= 0 && seen >= total)) {
            j->label_pages = more ? number : number - 1;
            return end_listing(j, LABELS, j->label_pages, error);
        }
        j->label_pages = number;
    }
    return KT_OK;
}

/* ---- crystals ---- */

static char *crystal_path(const job *j, const entry *e, const char *ending)
{
    char name[NAME + 16];
    snprintf(name, sizeof name, "%s%s", e->id, ending);
    return kti_path_join(j->options->folder, name);
}

static kt_status find_present(job *j, kt_error *error)
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

static bool is_wanted(const entry *e)
{
    return !e->present && e->kappa > 0;
}

static kt_status show(const job *j, int64_t done, kt_error *error)
{
    const kti_aflow_options *o = j->options;
    if (o->progress && o->progress(o->user, done, (int64_t)j->size) != 0)
        return kti_fail_file(error, KT_INTERRUPTED, o->folder, "stopped; the same command goes on");
    return KT_OK;
}

/* Puts a crystal in place if it can be used. A fault of the crystal goes to the entry's reason. */
static kt_status place(const job *j, entry *e, const char *source, const char *ending, const char *data,
                       size_t size, kt_error *error)
{
    kt_structure structure = {0};
    kt_error reason = KT_ERROR_NONE;
    const kti_structure_format format = strcmp(ending, ".cif") == 0 ? KTI_FORMAT_CIF : KTI_FORMAT_POSCAR;
    kt_status status = kti_structure_read_text(format, data, size, source, &structure, &reason);
    kt_structure_destroy(&structure);
    if (status == KT_OUT_OF_MEMORY)
        return kti_fail_memory(error, "a crystal");
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

static kt_status place_row(const job *j, entry *e, const json_t *row, kt_error *error)
{
    kti_text poscar = {0};
    kt_error reason = KT_ERROR_NONE;
    kt_status status = kti_aflow_poscar(row, e->id, &poscar, &reason);
    if (status == KT_OK)
        status = place(j, e, e->id, ".vasp", poscar.data, poscar.size, error);
    else if (status == KT_OUT_OF_MEMORY)
        kti_fail_memory(error, "a crystal");
    else {
        e->reason = reason;
        status = KT_OK;
    }
    kti_text_destroy(&poscar);
    return status;
}

/* *fresh counts the rows that had not been seen, or are beyond the limit. */
static kt_status place_rows(job *j, const json_t *rows, int64_t *fresh, kt_error *error)
{
    *fresh = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char auid[NAME];
        const json_t *found = read_auid(row, auid, sizeof auid) ? json_object_get(j->by_auid, auid) : NULL;
        entry *e = found ? &j->entries[json_integer_value(found)] : NULL;
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

static kt_status place_page(job *j, int64_t number, bool *more, kt_error *error)
{
    json_t *rows = NULL;
    int64_t fresh = 0, total;
    const int64_t before = j->result->pages;
    kt_status status = get_page(j, CELLS, number, false, &rows, &total, error);
    if (status == KT_OK)
        status = place_rows(j, rows, &fresh, error);
    if (status == KT_OK && fresh == 0 && json_array_size(rows) > 0) {
        tell(j, "page %lld of crystals holds only what came before; asking again", (long long)number);
        json_decref(rows);
        status = get_page(j, CELLS, number, true, &rows, &total, error);
        if (status == KT_OK)
            status = place_rows(j, rows, &fresh, error);
    }
    *more = status == KT_OK && fresh > 0;
    if (*more && j->result->pages > before)
        tell(j, "page %lld of crystals: %zu", (long long)number, json_array_size(rows));
    json_decref(rows);
    return status;
}

static kt_status fetch_cells(job *j, kt_error *error)
{
    for (int64_t number = 1; number <= j->label_pages; number++) {
        bool more = true;
        if (j->end[CELLS] >= 0 && number > j->end[CELLS])
            break;
        kt_status status = place_page(j, number, &more, error);
        if (status == KT_OK && !more)
            return end_listing(j, CELLS, number - 1, error);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

/* "server:AFLOWDATA/ICSD_WEB/FCC/Ac1H2_ICSD_56392" and a file name to a URL. false for what is no such address: a page must
 * not lead us anywhere else. */
static bool file_url(const job *j, const entry *e, const char *file, char *url, size_t capacity)
{
    static const char *const domains[] = {"duke.edu", "aflow.org", "aflowlib.org"};
    const char *colon = strchr(e->aurl, ':');
    char host[NAME];
    if (!colon || colon == e->aurl || (size_t)(colon - e->aurl) >= sizeof host ||
        strncmp(colon, ":AFLOWDATA/", 11) != 0 || !is_safe(colon + 1, "_-+.:/"))
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - e->aurl), e->aurl);
    bool known = j->options->url != NULL;
    for (size_t i = 0; i < sizeof domains / sizeof domains[0] && !known; i++) {
        const size_t length = strlen(host), tail = strlen(domains[i]);
        known = is_safe(host, "-.") && length >= tail && strcmp(host + length - tail, domains[i]) == 0 &&
                (length == tail || host[length - tail - 1] == '.');
    }
    if (!known)
        return false;
    const int length = j->options->url ? snprintf(url, capacity, "%s/%s/%s", j->server, colon + 1, file)
                                       : snprintf(url, capacity, "https://%s/%s/%s", host, colon + 1, file);
    return length >= 0 && (size_t)length < capacity;
}

/* Tries the entry's own files. A fault of the entry, or of the server with it alone, goes to its reason. */
static kt_status fetch_files(job *j, entry *e, int *troubled, kt_error *error)
{
    char cif[NAME + 8], url[URL];
    snprintf(cif, sizeof cif, "%.*s.cif", NAME, last_part(e->aurl));
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

static kt_status fetch_missing(job *j, kt_error *error)
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

/* ---- the data set ---- */

static void add_reject(kti_text *rejects, const entry *e)
{
    kti_text_add_csv(rejects, e->id);
    kti_text_add(rejects, ",,");
    kti_text_add_csv(rejects, e->reason.file);
    kti_text_add(rejects, ",");
    kti_text_add_csv(rejects, e->reason.message);
    kti_text_add(rejects, "\n");
}

static kt_status write_file(const job *j, const char *name, const kti_text *text, kt_error *error)
{
    char *path = kti_path_join(j->options->folder, name);
    if (!path || text->failed) {
        free(path);
        return kti_fail_memory(error, "a data set");
    }
    kt_status status = kti_file_write(path, text->data, text->size, error);
    free(path);
    return status;
}

static kt_status remove_rejects(const job *j, kt_error *error)
{
    char *path = kti_path_join(j->options->folder, "rejects.csv");
    if (!path)
        return kti_fail_memory(error, "a path");
    kt_status status = KT_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        status = kti_fail_file(error, KT_IO, path, "cannot be removed: %s", strerror(errno));
    free(path);
    return status;
}

static kt_status write_tables(const job *j, kt_error *error)
{
    kti_aflow_result *r = j->result;
    kti_text table = {0}, rejects = {0};
    kti_text_add(&table, "id,kappa\n");
    kti_text_add(&rejects, "id,line,file,reason\n");
    for (size_t i = 0; i < j->size; i++) {
        const entry *e = &j->entries[i];
        char kappa[64];
        r->without_cell += e->kappa > 0 && !e->has_cell;
        if (e->present && e->kappa > 0 && kti_number_text(e->kappa, kappa, sizeof kappa)) {
            kti_text_add(&table, "%s,%s\n", e->id, kappa);
            r->crystals++;
        } else {
            add_reject(&rejects, e);
            r->rejected++;
        }
    }
    kt_status status =
        r->rejected > 0 ? write_file(j, "rejects.csv", &rejects, error) : remove_rejects(j, error);
    if (status == KT_OK)
        status = write_file(j, "id_prop.csv", &table, error);
    kti_text_destroy(&table);
    kti_text_destroy(&rejects);
    return status;
}

/* That the folder is new or empty, or one that a fetch has begun: crystals of the same name would be taken for ours. */
static kt_status check_folder(const job *j, kt_error *error)
{
    static const char *const own[] = {"aflow", NULL}, *const nothing[] = {NULL};
    char name[256] = "", *lock = record_path(j, "lock");
    const bool begun = lock && kti_file_exists(lock);
    kt_status status = lock ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && !begun && !j->options->force)
        status = kti_folder_find_foreign(j->options->folder, own, name, sizeof name, error);
    if (status == KT_OK && !begun && !j->options->force && !*name)
        status = kti_folder_find_foreign(j->record, nothing, name, sizeof name, error);
    if (status == KT_OK && *name)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, j->options->folder,
                               "holds %s, and no fetch has begun it: name a folder that is new or empty, or "
                               "fill it all the same with --force",
                               name);
    free(lock);
    return status;
}

static kt_status prepare(job *j, kt_error *error)
{
    const kti_aflow_options *o = j->options;
    const char *server = o->url ? o->url : SERVER;
    size_t length = strlen(server);
    while (length > 0 && server[length - 1] == '/')
        length--;
    if (length >= sizeof j->server ||
        (strncasecmp(server, "http://", 7) != 0 && strncasecmp(server, "https://", 8) != 0))
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a server is given as http://HOST or https://HOST, not as %.100s", server);
    if (o->page_size < 1 || o->limit < 1)
        return kti_fail(error, KT_BAD_ARGUMENT, "pages and the limit need at least one entry");
    snprintf(j->server, sizeof j->server, "%.*s", (int)length, server);
    j->record = kti_path_join(o->folder, "aflow");
    j->by_auid = json_object();
    j->ids = json_object();
    if (!j->record || !j->by_auid || !j->ids)
        return kti_fail_memory(error, "a fetch");
    kt_status status = check_folder(j, error);
    return status == KT_OK ? kti_make_folder(j->record, error) : status;
}

kt_status kti_aflow_fetch(kti_fetcher *fetcher, const kti_aflow_options *options, kti_aflow_result *result,
                          kt_error *error)
{
    job j = {.fetcher = fetcher, .options = options, .result = result, .end = {-1, -1}};
    kti_lock lock = KTI_LOCK_NONE;
    *result = (kti_aflow_result){0};
    kt_status status = prepare(&j, error);
    if (status == KT_OK)
        status = kti_lock_take(&lock, j.record, error);
    if (status == KT_OK)
        status = open_state(&j, error);
    if (status == KT_OK) {
        kti_remove_parts(j.record);
        kti_remove_parts(options->folder);
        status = list_entries(&j, error);
    }
    if (status == KT_OK)
        status = find_present(&j, error);
    if (status == KT_OK)
        status = fetch_cells(&j, error);
    if (status == KT_OK)
        status = fetch_missing(&j, error);
    result->entries = (int64_t)j.size;
    if (status == KT_OK)
        status = write_tables(&j, error);
    kti_lock_release(&lock);
    for (size_t i = 0; i < j.size; i++) {
        free(j.entries[i].id);
        free(j.entries[i].aurl);
    }
    free(j.entries);
    free(j.record);
    json_decref(j.by_auid);
    json_decref(j.ids);
    return status;
}
