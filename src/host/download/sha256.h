/* SHA-256 fingerprints of files, as published beside downloads. */
#ifndef KTI_DOWNLOAD_SHA256_H
#define KTI_DOWNLOAD_SHA256_H

#include <kappatune/error.h>

enum { KTI_SHA256_TEXT = 65 }; /* 64 lower-case hexadecimal digits and a zero */

/* The fingerprint of a whole file into `text`. KT_IO if it cannot be read, naming it. */
kt_status kti_sha256_file(const char *path, char text[KTI_SHA256_TEXT], kt_error *error);

#endif
