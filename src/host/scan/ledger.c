#include "scan/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { STATE_LIMIT = 16 << 20 };

static const double flush_every = 1; /* s */

static kt_status complain(const char *path, kt_error *error)
{
    return kti_fail_file(error, KT_IO, path, "%s", strerror(errno));
}

/* ---- opening ---- */

static kt_status open_new(const char *path, const char *header, FILE **file, kt_error *error)
{
    *file = fopen(path, "wb");
    if (!*file || fprintf(*file, "%s\n", header) < 0)
        return complain(path, error);
    return KT_OK;
}

/* Whether a file is what a scan leaves that was killed before it wrote its first state: nothing, or the header or a part of it. */
static bool is_bare(const char *path, const char *header)
{
    kt_error error = KT_ERROR_NONE;
    char *data = NULL;
    size_t size, length = strlen(header);
    if (!kti_file_exists(path))
        return true;
    const bool bare = kti_file_read(path, length + 1, &data, &size, &error) == KT_OK &&
                      memcmp(data, header, size < length ? size : length) == 0 &&
                      (size <= length || data[length] == '\n');
    free(data);
    return bare;
}

static kt_status start_anew(kti_ledger *l, const char *rows_header, const char *rejects_header,
                            bool overwrite, kt_error *error)
{
    const char *there = kti_file_exists(l->rows_path) ? l->rows_path : l->rejects_path;
    if (!overwrite && kti_file_exists(there))
        return kti_fail_file(
            error, KT_BAD_ARGUMENT, there,
            "is there already; --resume goes on with a scan that was stopped, else choose another "
            "name or remove it");
    kt_status status = open_new(l->rows_path, rows_header, &l->rows, error);
    return status == KT_OK ? open_new(l->rejects_path, rejects_header, &l->rejects, error) : status;
}

static kt_status reopen(const char *path, int64_t bytes, FILE **file, kt_error *error)
{
    *file = fopen(path, "r+b");
    if (!*file)
        return complain(path, error);
    if (fseek(*file, 0, SEEK_END) != 0 || ftell(*file) < bytes)
        return kti_fail_file(error, KT_BAD_FORMAT, path, "is shorter than the scan left it");
    if (ftruncate(fileno(*file), (off_t)bytes) != 0 || fseek(*file, 0, SEEK_END) != 0)
        return complain(path, error);
    return KT_OK;
}

static kt_status go_on(kti_ledger *l, json_t *state, kt_error *error)
{
    int64_t rows_bytes, rejects_bytes;
    json_t *request;
    const char *file = l->state_path;
    kt_status status = kti_json_object(state, file, "request", &request, error);
    if (status == KT_OK && !json_equal(request, l->request))
        status = kti_fail_file(
            error, KT_BAD_ARGUMENT, file,
            "is of another scan: model, sources, or options differ from what it began with, or the "
            "version of kappatune does");
    if (status == KT_OK)
        status = kti_json_integer(state, file, "done", 0, INT64_MAX, &l->done, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "written", 0, INT64_MAX, &l->written, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "rejected", 0, INT64_MAX, &l->rejected, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "rows_bytes", 0, INT64_MAX, &rows_bytes, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "rejects_bytes", 0, INT64_MAX, &rejects_bytes, error);
    if (status == KT_OK)
        status = kti_json_boolean(state, file, "complete", &l->complete, error);
    if (status != KT_OK || l->complete)
        return status;
    status = reopen(l->rows_path, rows_bytes, &l->rows, error);
    return status == KT_OK ? reopen(l->rejects_path, rejects_bytes, &l->rejects, error) : status;
}

kt_status kti_ledger_open(const char *rows, const char *rejects, const char *rows_header,
                          const char *rejects_header, json_t *request, bool resume, kti_ledger *ledger,
                          kt_error *error)
{
    const size_t room = strlen(rows) + sizeof ".state";
    *ledger = (kti_ledger){.rows_path = rows, .rejects_path = rejects, .request = request};
    ledger->state_path = kti_allocate(room, 1);
    if (!ledger->state_path || !request)
        return kti_fail_memory(error, "the scan's files");
    if (strcmp(rows, rejects) == 0)
        return kti_fail_file(error, KT_BAD_ARGUMENT, rows, "cannot hold both the rows and the rejects");
    snprintf(ledger->state_path, room, "%s.state", rows);
    if (resume && kti_file_exists(ledger->state_path)) {
        json_t *state;
        kt_status status = kti_json_read(ledger->state_path, STATE_LIMIT, &state, error);
        if (status == KT_OK)
            status = go_on(ledger, state, error);
        json_decref(state);
        return status;
    }
    if (resume && !(is_bare(rows, rows_header) && is_bare(rejects, rejects_header)))
        return kti_fail_file(
            error, KT_BAD_ARGUMENT, ledger->state_path,
            "is not there, so there is no telling how far the scan is; remove %s and start anew", rows);
    kt_status status = start_anew(ledger, rows_header, rejects_header, resume, error);
    return status == KT_OK ? kti_ledger_flush(ledger, false, error) : status;
}

/* ---- writing ---- */

static kt_status put(FILE *file, const char *path, const char *text, kt_error *error)
{
    return !text || fputs(text, file) >= 0 ? KT_OK : complain(path, error);
}

kt_status kti_ledger_add(kti_ledger *l, const char *rows, const char *rejects, int count, int rejected,
                         int written, kt_error *error)
{
    kt_status status = put(l->rows, l->rows_path, rows, error);
    if (status == KT_OK)
        status = put(l->rejects, l->rejects_path, rejects, error);
    l->done += count;
    l->rejected += rejected;
    l->written += written;
    if (status == KT_OK && kti_seconds() - l->flushed >= flush_every)
        status = kti_ledger_flush(l, false, error);
    return status;
}

static kt_status settle(FILE *file, const char *path, int64_t *bytes, kt_error *error)
{
    const long at = fflush(file) == 0 ? ftell(file) : -1;
    *bytes = at;
    /* A pipe or a device is no file to go on with, but can be written to. */
    if (at < 0 || (fdatasync(fileno(file)) != 0 && errno != EINVAL && errno != EROFS))
        return complain(path, error);
    return KT_OK;
}

kt_status kti_ledger_flush(kti_ledger *l, bool complete, kt_error *error)
{
    int64_t rows_bytes, rejects_bytes;
    kt_status status = settle(l->rows, l->rows_path, &rows_bytes, error);
    if (status == KT_OK)
        status = settle(l->rejects, l->rejects_path, &rejects_bytes, error);
    if (status != KT_OK)
        return status;
    json_t *state =
        json_pack("{s:O, s:I, s:I, s:I, s:I, s:I, s:b}", "request", l->request, "done", (json_int_t)l->done,
                  "written", (json_int_t)l->written, "rejected", (json_int_t)l->rejected, "rows_bytes",
                  (json_int_t)rows_bytes, "rejects_bytes", (json_int_t)rejects_bytes, "complete", complete);
    status = state ? kti_json_write(l->state_path, state, error) : kti_fail_memory(error, "the scan's state");
    json_decref(state);
    l->flushed = kti_seconds();
    l->complete = complete && status == KT_OK;
    return status;
}

void kti_ledger_close(kti_ledger *l)
{
    if (l->rows)
        fclose(l->rows);
    if (l->rejects)
        fclose(l->rejects);
    json_decref(l->request);
    free(l->state_path);
    *l = (kti_ledger){0};
}
