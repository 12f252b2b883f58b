#include "download/aflow_job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"

enum { STATE_LIMIT = 1 << 16, STATE_VERSION = 1 };

char *kti_aflow_record_path(const kti_aflow_job *j, const char *format, ...)
{
    char name[KTI_AFLOW_NAME];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return kti_path_join(j->record, name);
}

void kti_aflow_tell(const kti_aflow_job *j, const char *format, ...)
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

kt_status kti_aflow_check_folder(const kti_aflow_job *j, kt_error *error)
{
    static const char *const own[] = {"aflow", NULL}, *const nothing[] = {NULL};
    char name[256] = "", *lock = kti_aflow_record_path(j, "lock");
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

static kt_status save_state(const kti_aflow_job *j, kt_error *error)
{
    kt_status status = KT_OK;
    char *path = kti_aflow_record_path(j, "state.json");
    json_t *root =
        json_pack("{s:i, s:s, s:i, s:I, s:I, s:s, s:s}", "version", STATE_VERSION, "server", j->server,
                  "page_size", j->options->page_size, "label_pages", (json_int_t)j->end[KTI_AFLOW_LABELS],
                  "cell_pages", (json_int_t)j->end[KTI_AFLOW_CELLS], "label_query",
                  kti_aflow_queries[KTI_AFLOW_LABELS], "cell_query", kti_aflow_queries[KTI_AFLOW_CELLS]);
    status = path && root ? kti_json_write(path, root, error) : kti_fail_memory(error, "a state");
    json_decref(root);
    free(path);
    return status;
}

static kt_status check_state(kti_aflow_job *j, const json_t *root, const char *path, kt_error *error)
{
    const char *server = NULL;
    int64_t page_size = 0, version = 0;
    kt_status status = kti_json_integer(root, path, "version", STATE_VERSION, STATE_VERSION, &version, error);
    if (status == KT_OK)
        status = kti_json_string(root, path, "server", &server, error);
    if (status == KT_OK)
        status = kti_json_integer(root, path, "page_size", 1, INT32_MAX, &page_size, error);
    if (status == KT_OK)
        status = kti_json_integer(root, path, "label_pages", -1, INT32_MAX, &j->end[KTI_AFLOW_LABELS], error);
    if (status == KT_OK)
        status = kti_json_integer(root, path, "cell_pages", -1, INT32_MAX, &j->end[KTI_AFLOW_CELLS], error);
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

kt_status kti_aflow_open_state(kti_aflow_job *j, kt_error *error)
{
    json_t *root = NULL;
    kt_status status = KT_OK;
    char *path = kti_aflow_record_path(j, "state.json"),
         *table = kti_path_join(j->options->folder, "id_prop.csv");
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

kt_status kti_aflow_end_listing(kti_aflow_job *j, kti_aflow_listing which, int64_t pages, kt_error *error)
{
    if (j->end[which] == pages)
        return KT_OK;
    j->end[which] = pages;
    return save_state(j, error);
}
