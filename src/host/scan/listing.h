/* Which files the sources of a scan are, so that ranks can find out before they begin whether all see the same. */
#ifndef KTI_SCAN_LISTING_H
#define KTI_SCAN_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "ranks/communicator.h"

/* Whether a folder's file is read for crystals, and whether an argument names a list of paths. */
bool kti_is_crystal_file(const char *name);
bool kti_is_list(const char *path);

/* Of a regular file; else 0. */
int64_t kti_bytes_of(const char *path);

typedef struct kti_listing {
    int64_t files, bytes; /* a list of paths is a file of no bytes */
    uint64_t hash;        /* of their paths and sizes, in whatever order, and of the content of lists */
} kti_listing;

kti_listing kti_listing_of(char *const *paths, int count);

/* Called by all ranks: KT_BAD_ARGUMENT in all of them if one sees other files than rank 0, with an example. `own`: kti_listing_of them.
 * What lies in archives, in lists and in files of several crystals is not looked at. */
kt_status kti_listing_compare(const kti_listing *own, char *const *paths, int count, kt_communicator *ranks,
                              kt_error *error);

#endif
