#include "cli/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void kti_print_clean(FILE *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        fputc(*at < 0x20 || *at == 0x7f ? '?' : *at, out);
}

void kti_table_add(kti_table *table, const char *format, ...)
{
    char text[1024], *cell;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cell = kti_duplicate_text(text);
    if (!cell || kti_grow((void **)&table->cells, table->size, &table->capacity, sizeof *table->cells) != 0) {
        table->out_of_memory = true;
        free(cell);
        return;
    }
    table->cells[table->size++] = cell;
}

/* Characters of a UTF-8 text: bytes that do not continue one. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static int column_width(const kti_table *table, int column)
{
    int widest = 0;
    for (size_t i = (size_t)column; i < table->size; i += (size_t)table->columns)
        if (width_of(table->cells[i]) > widest)
            widest = width_of(table->cells[i]);
    return widest;
}

void kti_table_print(const kti_table *table, int indent)
{
    int *widths = kti_allocate((size_t)table->columns, sizeof *widths);
    if (!widths)
        return;
    for (int column = 0; column < table->columns; column++)
        widths[column] = column_width(table, column);
    for (size_t i = 0; i < table->size; i++) {
        const int column = (int)(i % (size_t)table->columns), last = column == table->columns - 1;
        const int blanks = widths[column] - width_of(table->cells[i]);
        const bool left = column < table->left;
        printf("%*s", (column == 0 ? indent : 2) + (left ? 0 : blanks), "");
        kti_print_clean(stdout, table->cells[i]);
        if (left && !last)
            printf("%*s", blanks, "");
        if (last)
            putchar('\n');
    }
    free(widths);
}

void kti_table_destroy(kti_table *table)
{
    for (size_t i = 0; i < table->size; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (kti_table){0};
}

json_t *kti_json_text(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    char *ascii = kti_allocate(strlen(text) + 1, 3), *to = ascii;
    if (!ascii)
        return NULL;
    for (; *text; text++)
        if ((unsigned char)*text < 0x80)
            *to++ = *text;
        else
            to = (char *)memcpy(to, "\xef\xbf\xbd", 3) + 3;
    string = json_string(ascii);
    free(ascii);
    return string;
}

json_t *kti_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void kti_json_print(const json_t *root)
{
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
}
