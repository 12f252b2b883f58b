/* The rows of a data set's table, before any structure is read.
 *
 * A bad row stays in the list with its error; only a table that cannot be
 * read at all is an error.
 */
#ifndef KTI_DATA_ROWS_H
#define KTI_DATA_ROWS_H

#include <stddef.h>

#include "data/csv.h"

enum { KTI_ROWS_LIMIT = 1000000 };

typedef struct kti_row {
    int64_t line;        /* in the table */
    char *id;            /* "" if there is none; this and the next four lie in the table's text */
    const char *formula; /* of a table of crystals, as are the next lines; NULL for a folder */
    const char *prototype, *space_group,
        *sites;     /* "" where the row has none; a prototype or a space group is there */
    double cell[6]; /* a, b, c in Å, alpha, beta, gamma in degrees; 0 where the row says nothing */
    double u;       /* as in prototype.h */
    double kappa;   /* W/(m K) */
    kt_error error; /* why the row cannot be used; KT_OK if nothing is known against it */
} kti_row;

typedef struct kti_rows {
    char *folder; /* owned; where the structure files lie, NULL for a table of crystals */
    char *table;  /* owned; path of the CSV file */
    kti_csv csv;  /* keeps the text that the rows point into */
    size_t size, capacity;
    kti_row *list; /* owned */
} kti_rows;

/* Reads id_prop.csv of a folder, or a table of crystals. KT_IO, KT_BAD_FORMAT, KT_BAD_ARGUMENT for a path that
 * is neither. Destroy in any case. */
kt_status kti_rows_read(const char *path, kti_rows *rows, kt_error *error);
void kti_rows_destroy(kti_rows *rows);

/* The structure file of a row of a folder into *path (free()); NULL and an error at the row's line when there
 * is none or several. */
kt_status kti_rows_structure_path(const kti_rows *rows, const kti_row *row, char **path, kt_error *error);

#endif
