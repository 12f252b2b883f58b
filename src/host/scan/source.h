/* Where the crystals of a scan come from, one at a time: folders with all that is in them, archives, lists of paths, files of one
 * crystal or of many.
 *
 * The order is that of the arguments; in a folder that of the names (byte by byte), in an archive or a file that of its entries. What
 * is held in memory does not grow with the number of crystals, but for the names in a folder that is being read.
 */
#ifndef KTI_SCAN_SOURCE_H
#define KTI_SCAN_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "crystal/reader.h"
#include "scan/listing.h"

enum { KTI_MAX_DEPTH = 64 }; /* of folders; a link may lead back */

/* One crystal's text. */
typedef struct kti_item {
    char *id; /* owned: a path, "path#block" or "path#3" in a file of several, "archive:entry"; */
    kti_structure_format format;
    char *data; /* [size], owned; NULL if there is a problem */
    size_t size;
    int64_t lines_before; /* of the file, before `data` */
    kt_error problem;     /* why there is no data; KT_OK if there is */
} kti_item;

void kti_item_destroy(kti_item *item);

typedef struct kti_source kti_source;

/* `path`s [count]: a structure file (all data blocks of a CIF file that have sites, all frames of an extended XYZ file), a folder, a
 * .zip, .tar or compressed .tar of structure files, or a .txt or .list with a path a line (`-`: standard input). Fails with
 * KT_OUT_OF_MEMORY alone: what can't be read is an item with a problem. The paths must outlive the source. */
kt_status kti_source_open(char *const *paths, int count, kti_source **source, kt_error *error);
void kti_source_close(kti_source *source); /* NULL-safe */

/* The next crystal; *found is false after the last. The item is the caller's. */
kt_status kti_source_next(kti_source *source, kti_item *item, bool *found, kt_error *error);

/* Its files as they were found when it was opened. */
const kti_listing *kti_source_listing(const kti_source *source);

/* How much has been read of how much, in bytes of files; a list counts as nothing. For a bar. */
void kti_source_progress(const kti_source *source, int64_t *done, int64_t *total);

#endif
