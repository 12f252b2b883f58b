#include "scan/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"

enum { STATE_LIMIT = 16 << 20 };

static const double flush_every = 1; /* s */

static kt_status complain(const char *path, kt_error *error)
{
    return kti_fail_file(error, KT_IO, path, "%s", strerror(errno));
}

/* ---- opening ---- */

/* Always to the file's end, so that one which others have cut gets no hole and is seen to be short. */
static bool append_only(FILE *file)
{
    const int flags = fcntl(fileno(file), F_GETFL);
    return flags >= 0 && fcntl(fileno(file), F_SETFL, flags | O_APPEND) == 0;
}

static kt_status open_new(const char *path, const char *header, FILE **file, int64_t *bytes, kt_error *error)
{
    *file = fopen(path, "wb");
    *bytes = (int64_t)strlen(header) + 1;
    if (!*file || !append_only(*file) || fprintf(*file, "%s\n", header) < 0)
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
    kt_status status = open_new(l->rows_path, rows_header, &l->rows, &l->rows_bytes, error);
    return status == KT_OK ? open_new(l->rejects_path, rejects_header, &l->rejects, &l->rejects_bytes, error)
                           : status;
}

/* What the state says of a file. */
typedef struct kept {
    const char *path, *header;
    int64_t bytes, lines; /* the header among them */
} kept;

static bool is_regular(FILE *file)
{
    struct stat about;
    return fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode);
}

/* The header, and how long it is with its end. */
static const char *check_header(FILE *file, const kept *k, int64_t *bytes)
{
    char *line = NULL;
    size_t capacity = 0;
    const size_t length = strlen(k->header);
    *bytes = getline(&line, &capacity, file);
    const bool same = *bytes == (int64_t)length + 1 && memcmp(line, k->header, length) == 0;
    free(line);
    return !same ? "its first line is not the header" : *bytes > k->bytes ? "the header is cut" : NULL;
}

/* Why it can't be what the scan left; NULL if it can. */
static const char *find_damage(FILE *file, const kept *k)
{
    char block[1 << 14] = {'\n'};
    int64_t at, lines = 1;
    size_t got = 1;
    const char *damage = check_header(file, k, &at);
    while (!damage && at < k->bytes) {
        const int64_t left = k->bytes - at;
        const size_t want = left < (int64_t)sizeof block ? (size_t)left : sizeof block;
        got = fread(block, 1, want, file);
        if (got < want)
            return ferror(file) ? "it cannot be read" : "it is shorter";
        if (memchr(block, '\0', got))
            return "it has zero bytes";
        for (size_t i = 0; i < got; i++)
            lines += block[i] == '\n';
        at += (int64_t)got;
    }
    if (!damage && block[got - 1] != '\n')
        return "no row ends where the last one should";
    return damage || lines == k->lines ? damage : "it has another number of rows";
}

/* Opens what is there of a scan, cut to what the state says of it; a complete one is looked at only. */
static kt_status reopen(const kti_ledger *l, const kept *k, FILE **file, kt_error *error)
{
    FILE *found = fopen(k->path, l->complete ? "rb" : "r+b");
    if (!found && errno != ENOENT)
        return complain(k->path, error);
    const bool regular = found && is_regular(found);
    const char *damage = regular ? find_damage(found, k) : found ? NULL : "it is gone";
    kt_status status = KT_OK;
    if (damage)
        status = kti_fail_file(error, KT_BAD_FORMAT, k->path,
                               "is not what the scan left there: %s; put that back, or remove %s, %s and "
                               "%s and start anew",
                               damage, l->rows_path, l->rejects_path, l->state_path);
    else if (regular && !l->complete &&
             (ftruncate(fileno(found), (off_t)k->bytes) != 0 || fseek(found, 0, SEEK_END) != 0 ||
              !append_only(found)))
        status = complain(k->path, error);
    if (status == KT_OK && !l->complete)
        *file = found;
    else if (found)
        fclose(found);
    return status;
}

/* What a request has that the one of a state has not; the columns last, since all else has a part in them. */
static const char *difference(const json_t *before, const json_t *asked)
{
    static const char *const key[] = {"model", "sources", "property", "quotient", "features", "below"};
    static const char *const told[] = {"the model",     "the list of sources", "--property",
                                       "--no-quotient", "--features",          "--below"};
    for (size_t i = 0; i < sizeof key / sizeof key[0]; i++)
        if (!json_equal(json_object_get(before, key[i]), json_object_get(asked, key[i])))
            return told[i];
    return "the version of kappatune";
}

static kt_status go_on(kti_ledger *l, const char *rows_header, const char *rejects_header, json_t *state,
                       kt_error *error)
{
    kept rows = {l->rows_path, rows_header, 0, 0}, rejects = {l->rejects_path, rejects_header, 0, 0};
    json_t *request;
    const char *file = l->state_path, *crystals = "";
    kt_status status = kti_json_object(state, file, "request", &request, error);
    l->foreign = status == KT_OK && !(json_equal(request, l->request) && json_object_get(state, "crystals"));
    if (l->foreign)
        status =
            kti_fail_file(error, KT_BAD_ARGUMENT, file, "is of another scan: %s is not what it began with",
                          difference(request, l->request));
    if (status == KT_OK)
        status = kti_json_integer(state, file, "done", 0, INT64_MAX, &l->done, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "written", 0, INT64_MAX, &l->written, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "rejected", 0, INT64_MAX, &l->rejected, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "rows_bytes", 0, INT64_MAX, &rows.bytes, error);
    if (status == KT_OK)
        status = kti_json_integer(state, file, "rejects_bytes", 0, INT64_MAX, &rejects.bytes, error);
    if (status == KT_OK)
        status = kti_json_string(state, file, "crystals", &crystals, error);
    if (status == KT_OK)
        status = kti_json_boolean(state, file, "complete", &l->complete, error);
    l->crystals = strtoull(crystals, NULL, 16);
    rows.lines = l->written + 1;
    rejects.lines = l->rejected + 1;
    l->rows_bytes = rows.bytes;
    l->rejects_bytes = rejects.bytes;
    if (status == KT_OK)
        status = reopen(l, &rows, &l->rows, error);
    return status == KT_OK ? reopen(l, &rejects, &l->rejects, error) : status;
}

/* A pipe or a device takes what comes from whoever. */
static kt_status lock_files(kti_ledger *l, kt_error *error)
{
    const char *const paths[] = {l->rows_path, l->rejects_path};
    kt_status status = KT_OK;
    for (int i = 0; i < 2 && status == KT_OK; i++)
        if (kti_file_exists(paths[i]) || access(paths[i], F_OK) != 0)
            status = kti_lock_take_file(&l->lock[i], paths[i], error);
    return status;
}

kt_status kti_ledger_open(const char *rows, const char *rejects, const char *rows_header,
                          const char *rejects_header, json_t *request, bool resume, kti_ledger *ledger,
                          kt_error *error)
{
    const size_t room = strlen(rows) + sizeof ".state";
    *ledger = (kti_ledger){.rows_path = rows,
                           .rejects_path = rejects,
                           .request = request,
                           .crystals = KTI_HASH_START,
                           .lock = {KTI_LOCK_NONE, KTI_LOCK_NONE}};
    ledger->state_path = kti_allocate(room, 1);
    if (!ledger->state_path || !request)
        return kti_fail_memory(error, "the scan's files");
    if (strcmp(rows, rejects) == 0)
        return kti_fail_file(error, KT_BAD_ARGUMENT, rows, "cannot hold both the rows and the rejects");
    snprintf(ledger->state_path, room, "%s.state", rows);
    kt_status status = lock_files(ledger, error);
    if (status != KT_OK)
        return status;
    if (resume && kti_file_exists(ledger->state_path)) {
        json_t *state;
        status = kti_json_read(ledger->state_path, STATE_LIMIT, &state, error);
        if (status == KT_OK)
            status = go_on(ledger, rows_header, rejects_header, state, error);
        json_decref(state);
        return status;
    }
    ledger->foreign = resume && !(is_bare(rows, rows_header) && is_bare(rejects, rejects_header));
    if (ledger->foreign)
        return kti_fail_file(
            error, KT_BAD_ARGUMENT, ledger->state_path,
            "is not there, so there is no telling how far the scan is; remove %s and start anew",
            is_bare(rows, rows_header) ? rejects : rows);
    status = start_anew(ledger, rows_header, rejects_header, resume, error);
    return status == KT_OK ? kti_ledger_flush(ledger, false, error) : status;
}

/* ---- writing ---- */

static kt_status put(FILE *file, const char *path, const char *text, int64_t *bytes, kt_error *error)
{
    *bytes += text ? (int64_t)strlen(text) : 0;
    return !text || fputs(text, file) >= 0 ? KT_OK : complain(path, error);
}

kt_status kti_ledger_add(kti_ledger *l, const char *rows, const char *rejects, int count, int rejected,
                         int written, uint64_t crystals, kt_error *error)
{
    kt_status status = put(l->rows, l->rows_path, rows, &l->rows_bytes, error);
    if (status == KT_OK)
        status = put(l->rejects, l->rejects_path, rejects, &l->rejects_bytes, error);
    l->done += count;
    l->rejected += rejected;
    l->written += written;
    l->crystals = crystals;
    if (status == KT_OK && kti_seconds() - l->flushed >= flush_every)
        status = kti_ledger_flush(l, false, error);
    return status;
}

static kt_status settle(FILE *file, const char *path, int64_t bytes, kt_error *error)
{
    struct stat about;
    /* A pipe or a device is no file to go on with, but can be written to. */
    if (fflush(file) != 0 || fstat(fileno(file), &about) != 0 ||
        (fdatasync(fileno(file)) != 0 && errno != EINVAL && errno != EROFS))
        return complain(path, error);
    /* Locks don't hold everywhere, nor for every program. */
    if (S_ISREG(about.st_mode) && about.st_size != bytes)
        return kti_fail_file(
            error, KT_IO, path,
            "was changed by another program while the scan wrote it; remove it and start anew");
    return KT_OK;
}

kt_status kti_ledger_flush(kti_ledger *l, bool complete, kt_error *error)
{
    kt_status status = settle(l->rows, l->rows_path, l->rows_bytes, error);
    if (status == KT_OK)
        status = settle(l->rejects, l->rejects_path, l->rejects_bytes, error);
    if (status != KT_OK)
        return status;
    char crystals[24];
    snprintf(crystals, sizeof crystals, "%016" PRIx64, l->crystals);
    json_t *state =
        json_pack("{s:O, s:I, s:I, s:I, s:s, s:I, s:I, s:b}", "request", l->request, "done",
                  (json_int_t)l->done, "written", (json_int_t)l->written, "rejected", (json_int_t)l->rejected,
                  "crystals", crystals, "rows_bytes", (json_int_t)l->rows_bytes, "rejects_bytes",
                  (json_int_t)l->rejects_bytes, "complete", complete);
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
    for (int i = 0; i < 2 && l->state_path; i++) /* of a ledger that was opened */
        kti_lock_release(&l->lock[i]);
    json_decref(l->request);
    free(l->state_path);
    *l = (kti_ledger){0};
}
