/* Results on standard output: tables with aligned columns, and JSON.
 *
 * Names that come from files may hold anything; control characters never reach a terminal.
 */
#ifndef KTI_CLI_TEXT_H
#define KTI_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/* Writes a text with every control character as '?'. */
void kti_print_clean(FILE *out, const char *text);

/* Cells are added row by row, the header first, and printed when all widths are known. */
typedef struct kti_table {
    int columns;
    int left;     /* the first so many columns are aligned to the left, the others (numbers) to the right */
    char **cells; /* owned */
    size_t size, capacity;
    bool out_of_memory; /* a cell was lost */
} kti_table;

/* Adds the next cell; columns x rows of them make a table. */
void kti_table_add(kti_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the rows with two blanks between columns, each line after `indent` blanks. */
void kti_table_print(const kti_table *table, int indent);
void kti_table_destroy(kti_table *table);

/* A JSON string of any bytes: those that are no UTF-8 become U+FFFD. NULL when memory is short. */
json_t *kti_json_text(const char *text);

/* A JSON number, null if it is not finite. */
json_t *kti_json_real(double value);

/* Prints with nine significant digits, two blanks of indent, members in insertion order. */
void kti_json_print(const json_t *root);

#endif
