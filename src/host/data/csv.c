#include "data/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"

kt_status kti_csv_open(const char *path, kti_csv *csv, kt_error *error)
{
    return kti_csv_open_within(path, KTI_CSV_FILE_LIMIT, csv, error);
}

kt_status kti_csv_open_within(const char *path, size_t limit, kti_csv *csv, kt_error *error)
{
    size_t size;
    *csv = (kti_csv){.path = path, .next_line = 1};
    kt_status status = kti_file_read(path, limit, &csv->content, &size, error);
    if (status != KT_OK)
        return status;
    const char *zero = memchr(csv->content, '\0', size);
    if (zero)
        return kti_fail_byte(error, KT_BAD_FORMAT, path, zero - csv->content,
                             "holds a zero byte: it must be plain UTF-8 text, not UTF-16 or a binary file");
    csv->next = csv->content;
    csv->end = csv->content + size;
    if (strncmp(csv->next, "\xEF\xBB\xBF", 3) == 0)
        csv->next += 3;
    while (*csv->next == '#') {
        char *feed = strchr(csv->next, '\n');
        csv->next = feed ? feed + 1 : csv->end;
        csv->next_line++;
    }
    return KT_OK;
}

void kti_csv_close(kti_csv *csv)
{
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
        if (to - *cursor == KTI_CSV_FIELD_LIMIT)
            return kti_fail_line(error, KT_BAD_FORMAT, csv->path, opened,
                                 "a quoted field has more than %d bytes; is its quote closed?",
                                 KTI_CSV_FIELD_LIMIT);
        *to++ = *from;
    }
    *to = '\0';
    *cursor = from + 1;
    return KT_OK;
}

static kt_status read_bare(kti_csv *csv, char **cursor, kt_error *error)
{
    size_t length = strcspn(*cursor, ",\r\n\"");
    if (length > KTI_CSV_FIELD_LIMIT)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->next_line,
                             "a field has %zu bytes; at most %d are accepted", length, KTI_CSV_FIELD_LIMIT);
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
    while (*csv->next == '\n' || (csv->next[0] == '\r' && csv->next[1] == '\n')) {
        csv->next += *csv->next == '\r' ? 2 : 1;
        csv->next_line++;
    }
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
            break;
        }
        csv->next = cursor + (crlf ? 2 : 1);
        csv->next_line++;
        break;
    }
    return KT_OK;
}
