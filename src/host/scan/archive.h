/* The structure files of an archive: .zip, .tar, .tar.gz and whatever else libarchive opens. */
#ifndef KTI_SCAN_ARCHIVE_H
#define KTI_SCAN_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kappatune/error.h>

/* Whether a file's name is that of an archive. */
bool kti_archive_is(const char *path);

typedef struct kti_archive kti_archive;

/* KT_IO or KT_BAD_FORMAT for what is no archive, with libarchive's words. */
kt_status kti_archive_open(const char *path, kti_archive **archive, kt_error *error);
void kti_archive_close(kti_archive *archive); /* NULL-safe */

/* The next structure file: its name, and its text, data[size], owned by the caller with a zero byte behind it. *name is NULL after the
 * last. One that can't be used (a link, encrypted, damaged, empty, more than `limit` bytes, or of a name that can't be read, which is "entry 7"
 * then) has no data, and *problem says why; others may follow. Names don't depend on the program's locale. A damaged archive is KT_BAD_FORMAT: nothing can be read after it. */
kt_status kti_archive_next(kti_archive *archive, size_t limit, char **name, char **data, size_t *size,
                           kt_error *problem, kt_error *error);

/* Bytes of the file that were read. */
int64_t kti_archive_position(const kti_archive *archive);

#endif
