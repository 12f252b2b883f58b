/* Text that grows: for files that are written whole. */
#ifndef KTI_BASE_TEXT_H
#define KTI_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fail.h"

typedef struct kti_text {
    char *data; /* owned, terminated once something was added */
    size_t size, capacity;
    bool failed; /* memory was short: what was added since is lost */
} kti_text;

void kti_text_add(kti_text *text, const char *format, ...) KTI_PRINTF(2, 3);

/* A field of RFC 4180: quoted when it needs to be. */
void kti_text_add_csv(kti_text *text, const char *field);

/* ",1.25", a number's field behind another; "," where it is NaN. */
void kti_text_add_number(kti_text *text, double value);

/* Writes it as a whole file (kti_file_write). KT_OUT_OF_MEMORY, naming `what`, if the text is incomplete or path is NULL. */
kt_status kti_text_write(const kti_text *text, const char *path, const char *what, kt_error *error);

void kti_text_destroy(kti_text *text);

#endif
