/* Text by lines and words, for the formats that are made of them. */
#ifndef KTI_CRYSTAL_TEXT_H
#define KTI_CRYSTAL_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/* A piece of somebody else's text; not terminated. */
typedef struct kti_slice {
    const char *begin, *end;
} kti_slice;

typedef struct kti_lines {
    const char *next, *end;
    int64_t number; /* of the line given last; 1-based */
} kti_lines;

kti_lines kti_lines_of(const char *data, size_t size);

/* The next line without its end (LF or CR LF); false after the last. */
bool kti_next_line(kti_lines *lines, kti_slice *line);

/* Takes the next word (blanks and tabs part words) off the front of `line`; false if there is none. */
bool kti_next_word(kti_slice *line, kti_slice *word);

/* Takes a finite number off the front of `line`; false, with *word what stood there, if it is not one. */
bool kti_next_number(kti_slice *line, double *value, kti_slice *word);

/* Copies what is printable, cut to fit, for a message. */
const char *kti_slice_copy(kti_slice slice, char *text, size_t capacity);

bool kti_slice_is(kti_slice slice, const char *text);

#endif
