#include "data/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"

enum { PIECE = 1 << 20, LONGEST_RECORD = PIECE / 2 };

/* Of what was read last, from `from` to the end. */
static kt_status check_zero(const kti_csv *csv, const char *from, kt_error *error)
{
    const char *zero = memchr(from, '\0', (size_t)(csv->end - from));
    return zero ? kti_fail_byte(error, KT_BAD_FORMAT, csv->path, csv->piece_at + (zero - csv->content),
                                "holds a zero byte: it must be plain UTF-8 text, not UTF-16 or a binary file")
                : KT_OK;
}

static void skip_preface(kti_csv *csv)
{
    if (strncmp(csv->next, "\xEF\xBB\xBF", 3) == 0)
        csv->next += 3;
    while (*csv->next == '#') {
        char *feed = strchr(csv->next, '\n');
        csv->next = feed ? feed + 1 : csv->end;
        csv->next_line++;
    }
}

kt_status kti_csv_open(const char *path, kti_csv *csv, kt_error *error)
{
    return kti_csv_open_within(path, KTI_CSV_FILE_LIMIT, csv, error);
}

kt_status kti_csv_open_within(const char *path, size_t limit, kti_csv *csv, kt_error *error)
{
    size_t size;
    *csv = (kti_csv){.path = path, .field_limit = KTI_CSV_FIELD_LIMIT, .next_line = 1};
    kt_status status = kti_file_read(path, limit, &csv->content, &size, error);
    if (status != KT_OK)
        return status;
    csv->next = csv->content;
    csv->end = csv->content + size;
    status = check_zero(csv, csv->content, error);
    if (status == KT_OK)
        skip_preface(csv);
    return status;
}

/* Moves what is unread to the front and fills the rest of the piece. */
static kt_status refill(kti_csv *csv, kt_error *error)
{
    const size_t kept = (size_t)(csv->end - csv->next);
    csv->piece_at += csv->next - csv->content;
    memmove(csv->content, csv->next, kept);
    csv->next = csv->content;
    csv->end = csv->content + kept;
    char *const fresh = csv->end;
    while (!csv->complete && csv->end < csv->content + PIECE) {
        const ssize_t got = read(csv->handle, csv->end, (size_t)(csv->content + PIECE - csv->end));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kti_fail_file(error, KT_IO, csv->path, "cannot be read: %s", strerror(errno));
        csv->complete = got == 0;
        csv->end += got;
    }
    *csv->end = '\0';
    return check_zero(csv, fresh, error);
}

kt_status kti_csv_open_stream(const char *path, kti_csv *csv, kt_error *error)
{
    struct stat about;
    *csv = (kti_csv){.path = path,
                     .field_limit = KTI_CSV_FIELD_LIMIT,
                     .next_line = 1,
                     .content = malloc(PIECE + 1),
                     .streams = true,
                     .handle = -1};
    if (!csv->content)
        return kti_fail_memory(error, "a table");
    csv->next = csv->end = csv->content;
    csv->handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (csv->handle < 0)
        return kti_fail_file(error, KT_IO, path, "cannot be opened: %s", strerror(errno));
    if (fstat(csv->handle, &about) != 0 || !S_ISREG(about.st_mode))
        return kti_fail_file(error, KT_IO, path, "is not a regular file");
    kt_status status = refill(csv, error);
    if (status == KT_OK)
        skip_preface(csv);
    return status;
}

void kti_csv_close(kti_csv *csv)
{
    if (csv->streams && csv->handle >= 0)
        close(csv->handle);
    free(csv->content);
    *csv = (kti_csv){0};
}

/* Unquotes the field that begins after an opening quote, in place; *cursor is left behind the closing one. */
static kt_status read_quoted(kti_csv *csv, char **cursor, kt_error *error)
{
    char *from = *cursor, *to = *cursor;
    int64_t opened = csv->next_line;
    for (;; from++) {
        if (from == csv->end)
            return kti_fail_line(error, KT_BAD_FORMAT, csv->path, opened,
                                 "a quote is opened and never closed");
        if (*from == '"') {
            if (from[1] != '"')
                break;
            from++;
        } else if (*from == '\n') {
            csv->next_line++;
        }
        if (to - *cursor == csv->field_limit)
            return kti_fail_line(error, KT_BAD_FORMAT, csv->path, opened,
                                 "a quoted field has more than %d bytes; is its quote closed?",
                                 csv->field_limit);
        *to++ = *from;
    }
    *to = '\0';
    *cursor = from + 1;
    return KT_OK;
}

static kt_status read_bare(kti_csv *csv, char **cursor, kt_error *error)
{
    size_t length = strcspn(*cursor, ",\r\n\"");
    if (length > (size_t)csv->field_limit)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->next_line,
                             "a field has %zu bytes; at most %d are accepted", length, csv->field_limit);
    *cursor += length;
    if (**cursor == '"')
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->next_line,
                             "a quote stands inside a field that does not begin with one");
    return KT_OK;
}

kt_status kti_csv_next(kti_csv *csv, bool *found, kt_error *error)
{
    kt_status status = KT_OK;
    *found = false;
    csv->fields = 0;
    do { /* once more only where half a MiB of empty lines ends a piece */
        if (csv->streams && !csv->complete && csv->end - csv->next < LONGEST_RECORD)
            status = refill(csv, error);
        if (status != KT_OK)
            return status;
        while (*csv->next == '\n' || (csv->next[0] == '\r' && csv->next[1] == '\n')) {
            csv->next += *csv->next == '\r' ? 2 : 1;
            csv->next_line++;
        }
    } while (csv->streams && !csv->complete && csv->next == csv->end);
    csv->line = csv->next_line;
    for (char *cursor = csv->next; cursor != csv->end || csv->fields > 0;) {
        char *field = cursor;
        if (*cursor == '"') {
            field = ++cursor;
            status = read_quoted(csv, &cursor, error);
        } else {
            status = read_bare(csv, &cursor, error);
        }
        if (status != KT_OK)
            return status;
        if (csv->fields < KTI_CSV_FIELDS)
            csv->field[csv->fields] = field;
        csv->fields++;
        *found = true;

        /* What ends the field is overwritten by the field's terminator. */
        char ending = *cursor;
        bool crlf = ending == '\r' && cursor[1] == '\n';
        if (ending == '\r' && !crlf)
            return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->next_line,
                                 "a carriage return stands alone; lines end in LF or CRLF");
        if (cursor != csv->end && ending != ',' && ending != '\n' && !crlf)
            return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->next_line,
                                 "text follows a closing quote; a quote within quotes is written twice");
        *cursor = '\0';
        if (ending == ',') {
            cursor++;
            continue;
        }
        if (cursor == csv->end) {
            csv->next = cursor;
            if (csv->streams && !csv->complete)
                return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "is longer than %d bytes",
                                     LONGEST_RECORD);
            break;
        }
        csv->next = cursor + (crlf ? 2 : 1);
        csv->next_line++;
        break;
    }
    return KT_OK;
}
