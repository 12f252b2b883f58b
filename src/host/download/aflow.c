#include "download/aflow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/text.h"
#include "download/aflow_job.h"

#define SERVER "https://aflow.org"

kti_aflow_options kti_aflow_options_default(void)
{
    return (kti_aflow_options){.limit = INT64_MAX, .page_size = 1000};
}

/* ---- the data set ---- */

static void add_reject(kti_text *rejects, const kti_aflow_entry *e)
{
    kti_text_add_csv(rejects, e->id);
    kti_text_add(rejects, ",,");
    kti_text_add_csv(rejects, e->reason.file);
    kti_text_add(rejects, ",");
    kti_text_add_csv(rejects, e->reason.message);
    kti_text_add(rejects, "\n");
}

static kt_status write_file(const kti_aflow_job *j, const char *name, const kti_text *text, kt_error *error)
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

static kt_status remove_rejects(const kti_aflow_job *j, kt_error *error)
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

static kt_status write_tables(const kti_aflow_job *j, kt_error *error)
{
    kti_aflow_result *r = j->result;
    kti_text table = {0}, rejects = {0};
    kti_text_add(&table, "id,kappa\n");
    kti_text_add(&rejects, "id,line,file,reason\n");
    for (size_t i = 0; i < j->size; i++) {
        const kti_aflow_entry *e = &j->entries[i];
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

/* ---- the fetch ---- */

static kt_status prepare(kti_aflow_job *j, kt_error *error)
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
    kt_status status = kti_aflow_check_folder(j, error);
    return status == KT_OK ? kti_make_folder(j->record, error) : status;
}

kt_status kti_aflow_fetch(kti_fetcher *fetcher, const kti_aflow_options *options, kti_aflow_result *result,
                          kt_error *error)
{
    kti_aflow_job j = {.fetcher = fetcher, .options = options, .result = result, .end = {-1, -1}};
    kti_lock lock = KTI_LOCK_NONE;
    *result = (kti_aflow_result){0};
    kt_status status = prepare(&j, error);
    if (status == KT_OK)
        status = kti_lock_take(&lock, j.record, error);
    if (status == KT_OK)
        status = kti_aflow_open_state(&j, error);
    if (status == KT_OK) {
        kti_remove_parts(j.record);
        kti_remove_parts(options->folder);
        status = kti_aflow_list_entries(&j, error);
    }
    if (status == KT_OK)
        status = kti_aflow_find_present(&j, error);
    if (status == KT_OK)
        status = kti_aflow_fetch_cells(&j, error);
    if (status == KT_OK)
        status = kti_aflow_fetch_missing(&j, error);
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
