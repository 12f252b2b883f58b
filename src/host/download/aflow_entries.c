#include "download/aflow_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/number.h"
#include "download/aflow_rows.h"

bool kti_aflow_is_safe(const char *text, const char *others)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (const char *c = text; *c != '\0'; c++)
        if (!strchr(letters, *c) && !strchr(others, *c))
            return false;
    return text[0] != '\0' && !strstr(text, "..");
}

const char *kti_aflow_last_part(const char *aurl)
{
    const char *slash = strrchr(aurl, '/');
    return slash ? slash + 1 : aurl;
}

bool kti_aflow_read_auid(const json_t *row, char *auid, size_t capacity)
{
    kti_aflow_text(row, "auid", auid, capacity);
    return kti_aflow_is_safe(auid, ":_-");
}

/* ICSD entries are known by their names, which are unique; those of other catalogues are names of prototypes. */
static kt_status choose_id(kti_aflow_job *j, const char *auid, const char *aurl, char *id, size_t capacity,
                           kt_error *error)
{
    const char *name = kti_aflow_last_part(aurl);
    if (strstr(name, "_ICSD_") && kti_aflow_is_safe(name, "_-+.") && strlen(name) < capacity &&
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
static kti_aflow_entry *grow_entries(kti_aflow_job *j, const char *id, const char *aurl, kt_error *error)
{
    void *list = j->entries;
    const int grown = kti_grow(&list, j->size, &j->capacity, sizeof *j->entries);
    j->entries = list;
    if (grown != 0) {
        kti_fail_memory(error, "the entries");
        return NULL;
    }
    kti_aflow_entry *e = &j->entries[j->size++];
    *e = (kti_aflow_entry){
        .id = kti_duplicate_text(id), .aurl = kti_duplicate_text(aurl), .reason = KT_ERROR_NONE};
    if (e->id && e->aurl)
        return e;
    kti_fail_memory(error, "the entries");
    return NULL;
}

static kt_status add_nameless(kti_aflow_job *j, kt_error *error)
{
    kti_aflow_entry *e = grow_entries(j, "", "", error);
    if (!e)
        return KT_OUT_OF_MEMORY;
    kti_fail_file(&e->reason, KT_BAD_FORMAT, j->server, "a row has no `auid` that can be one");
    return KT_OK;
}

static kt_status add_entry(kti_aflow_job *j, const json_t *row, const char *auid, kt_error *error)
{
    char label[64], aurl[KTI_AFLOW_URL], id[KTI_AFLOW_NAME];
    kti_aflow_text(row, KTI_AFLOW_LABEL, label, sizeof label);
    kti_aflow_text(row, "aurl", aurl, sizeof aurl);
    kt_status status = choose_id(j, auid, aurl, id, sizeof id, error);
    if (status != KT_OK)
        return status;
    kti_aflow_entry *e = grow_entries(j, id, aurl, error);
    if (!e)
        return KT_OUT_OF_MEMORY;
    if (json_object_set_new(j->by_auid, auid, json_integer((json_int_t)j->size - 1)) != 0)
        return kti_fail_memory(error, "the entries");
    if (!kti_number_read(label, label + strlen(label), &e->kappa))
        kti_fail_file(&e->reason, KT_BAD_FORMAT, auid, KTI_AFLOW_LABEL " \"%.40s\" is no finite number",
                      label);
    else if (!(e->kappa > 0))
        kti_fail_file(&e->reason, KT_BAD_FORMAT, auid, KTI_AFLOW_LABEL " %s is not above 0 W/(m K)", label);
    return KT_OK;
}

/* Adds the page's new entries up to the limit. *fresh counts the rows that had not been seen, *known those that had; a
 * row without an auid is neither, so that a server that repeats it for ever comes to an end. */
static kt_status add_rows(kti_aflow_job *j, const json_t *rows, int64_t *fresh, int64_t *known,
                          kt_error *error)
{
    *fresh = *known = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char auid[KTI_AFLOW_NAME];
        const bool named = kti_aflow_read_auid(row, auid, sizeof auid);
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

/* One page of labels; *more is false if it was behind the last one. */
static kt_status list_page(kti_aflow_job *j, int64_t number, int64_t *seen, int64_t *total, bool *more,
                           kt_error *error)
{
    json_t *rows = NULL;
    int64_t fresh = 0, known = 0, announced = -1;
    const int64_t before = j->result->pages;
    kt_status status = kti_aflow_get_page(j, KTI_AFLOW_LABELS, number, false, &rows, &announced, error);
    if (status == KT_OK)
        status = add_rows(j, rows, &fresh, &known, error);
    if (status == KT_OK && fresh == 0 && json_array_size(rows) > 0) {
        kti_aflow_tell(j, "page %lld holds only entries that came before; asking again", (long long)number);
        json_decref(rows);
        status = kti_aflow_get_page(j, KTI_AFLOW_LABELS, number, true, &rows, &announced, error);
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
            kti_aflow_tell(j, "page %lld: %zu entries", (long long)number, j->size);
    }
    json_decref(rows);
    return status;
}

kt_status kti_aflow_list_entries(kti_aflow_job *j, kt_error *error)
{
    int64_t seen = 0, total = -1;
    bool more = true;
    kt_status status = KT_OK;
    for (int64_t number = 1; (int64_t)j->size < j->options->limit; number++) {
        if (j->end[KTI_AFLOW_LABELS] >= 0 && number > j->end[KTI_AFLOW_LABELS])
            break;
        status = list_page(j, number, &seen, &total, &more, error);
        if (status != KT_OK)
            return status;
        if (!more && total >= 0 && seen < total)
            return kti_fail_file(error, KT_BAD_FORMAT, j->server,
                                 "announces %lld entries, but gives no more than %lld", (long long)total,
                                 (long long)seen);
        if (!more && number == 1)
            return kti_fail_file(error, KT_BAD_FORMAT, j->server, "has no entry with " KTI_AFLOW_LABEL);
        if (!more || (total >= 0 && seen >= total)) {
            j->label_pages = more ? number : number - 1;
            return kti_aflow_end_listing(j, KTI_AFLOW_LABELS, j->label_pages, error);
        }
        j->label_pages = number;
    }
    return KT_OK;
}
