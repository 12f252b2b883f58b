/* The crystals of one text, one after another: blocks of a CIF file, frames of an extended XYZ file, or a POSCAR. */
#ifndef KTI_SCAN_TEXT_SOURCE_H
#define KTI_SCAN_TEXT_SOURCE_H

#include <stdio.h>

#include "scan/source.h"

enum { KTI_LARGEST_CRYSTAL = 64 << 20 }; /* bytes of text */

typedef struct kti_text_source {
    FILE *file; /* owned; NULL: closed */
    char *name; /* owned */
    kti_structure_format format;
    int given;    /* crystals so far */
    int64_t line; /* number of the last line that was read */
    char *held;   /* [held_size] text of the next crystal that was read already; owned */
    size_t held_size, held_capacity;
    int64_t held_before; /* lines before it */
} kti_text_source;

/* Takes over `file` and `name`. */
kti_text_source kti_text_source_create(FILE *file, char *name, kti_structure_format format);
void kti_text_source_destroy(kti_text_source *text);

/* The next crystal; *found is false after the last. A text without any crystal has one item, so that it is not passed over. */
kt_status kti_text_source_next(kti_text_source *text, kti_item *item, bool *found, kt_error *error);

#endif
