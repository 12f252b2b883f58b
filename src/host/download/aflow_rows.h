/* What AFLUX answers: pages of rows, and the crystal in a row. */
#ifndef KTI_DOWNLOAD_AFLOW_ROWS_H
#define KTI_DOWNLOAD_AFLOW_ROWS_H

#include <jansson.h>

#include <kappatune/error.h>

#include "base/text.h"

/* Brings a page into one form: an array of objects, the caller's. AFLUX writes either such an array or an object whose keys
 * are "1 of 912", ...; `total` is then 912, else -1. KT_BAD_FORMAT, naming `url`, for anything else. */
kt_status kti_aflow_page(const char *url, const char *data, size_t size, json_t **rows, int64_t *total,
                         kt_error *error);

/* A member as text without blanks around it (some servers end values with a newline); "" if it is missing or no string or
 * number, or does not fit. */
void kti_aflow_text(const json_t *row, const char *key, char *text, size_t capacity);

/* Writes the crystal of a row (geometry, species, composition, positions_fractional) as a POSCAR. KT_BAD_FORMAT, naming the
 * member, if one is missing or they disagree; `name` stands for the row in errors and on the first line. */
kt_status kti_aflow_poscar(const json_t *row, const char *name, kti_text *poscar, kt_error *error);

#endif
