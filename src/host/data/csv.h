/* A strict RFC 4180 reader, one record at a time, with line numbers. base/text.h writes.
 *
 * Comma-separated; fields may be quoted, with "" for a quote; records end in LF or CRLF. Beyond the RFC: a
 * UTF-8 byte-order mark is skipped, so are empty lines and, before the first record only, lines that begin
 * with '#'. What is broken (a quote that never closes or stands inside a bare field, a lone carriage return,
 * a zero byte) is an error, not a guess.
 */
#ifndef KTI_DATA_CSV_H
#define KTI_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kappatune/error.h>

enum {
    KTI_CSV_FIELDS = 64,          /* fields of a record that are kept; further ones are counted */
    KTI_CSV_FIELD_LIMIT = 4096,   /* bytes in one field: an open quote must not swallow a whole file */
    KTI_CSV_FILE_LIMIT = 64 << 20 /* bytes in a file */
};

typedef struct kti_csv {
    const char *path; /* the caller's; must outlive the reader */
    char *content;    /* owned */
    char *next, *end; /* the unread rest of content */
    int64_t next_line;
    int field_limit; /* bytes in one field; KTI_CSV_FIELD_LIMIT unless the caller sets another once it is open */
    bool streams;    /* the file is read piece by piece: */
    bool complete;    /* all of it has been read */
    int handle;       /* -1 if it is not open */
    int64_t piece_at; /* the byte of the file that content begins with */

    /* The record read last. */
    int64_t line;                /* 1-based line that it begins on */
    int fields;                  /* all that it has, also those not kept */
    char *field[KTI_CSV_FIELDS]; /* unquoted, terminated; the caller may shorten them; valid until
                                    kti_csv_close */
} kti_csv;

/* Reads the file into memory and skips mark and comments. KT_IO; KT_BAD_FORMAT for a zero byte or a file
 * above the limit. Close it in any case. */
kt_status kti_csv_open(const char *path, kti_csv *csv, kt_error *error);
/* The same with another limit, in bytes. */
kt_status kti_csv_open_within(const char *path, size_t limit, kti_csv *csv, kt_error *error);

/* For a file of any size, in little memory: it is read piece by piece, and a record's fields are valid until the next one. The
 * longest record is half a MiB. */
kt_status kti_csv_open_stream(const char *path, kti_csv *csv, kt_error *error);

/* Reads one record; *found is false at the end of the file. KT_BAD_FORMAT names the line; nothing can be read
 * after it. */
kt_status kti_csv_next(kti_csv *csv, bool *found, kt_error *error);

/* Zeroed readers are fine. */
void kti_csv_close(kti_csv *csv);

#endif
