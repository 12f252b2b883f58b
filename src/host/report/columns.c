#include "report/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/csv.h"

enum { LARGEST_TABLE = 1 << 30 };

void kti_columns_destroy(kti_columns *c)
{
    for (size_t i = 0; i < c->rows; i++)
        free(c->id[i]);
    for (size_t i = 0; i < c->size; i++) {
        free(c->column[i].name);
        free(c->column[i].value);
    }
    free(c->id);
    free(c->column);
    *c = (kti_columns){0};
}

const kti_column *kti_columns_find(const kti_columns *columns, const char *name)
{
    for (size_t i = 0; i < columns->size; i++)
        if (strcmp(columns->column[i].name, name) == 0)
            return &columns->column[i];
    return NULL;
}

kt_status kti_columns_find_prediction(const kti_columns *columns, const char *path, const char *quantity,
                                      kti_prediction_header *header, const kti_column **mean,
                                      const kti_column **sd, kt_error *error)
{
    const char **names = kti_allocate(columns->size, sizeof(*names));
    if (!names)
        return kti_fail_memory(error, "a table");
    for (size_t i = 0; i < columns->size; i++)
        names[i] = columns->column[i].name;
    const bool found = kti_prediction_header_read(names, (int)columns->size, quantity, header);
    free((void *)names);
    if (!found)
        return kti_fail_file(error, KT_BAD_FORMAT, path,
                             "is no scan%s%s: it has no columns kappa_mean and kappa_std",
                             quantity ? " of " : "", quantity ? quantity : "");
    *mean = &columns->column[header->mean];
    *sd = &columns->column[header->sd];
    return KT_OK;
}

static kt_status add_column(kti_columns *c, const char *name, bool features, const kti_csv *csv,
                            kt_error *error)
{
    if (kti_columns_find(c, name))
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "the column '%.80s' is there twice",
                             name);
    if (kti_grow((void **)&c->column, c->size, &c->capacity, sizeof *c->column) != 0)
        return kti_fail_memory(error, "a table");
    kti_column *made = &c->column[c->size];
    *made = (kti_column){.name = kti_duplicate_text(name), .features = features};
    if (!made->name)
        return kti_fail_memory(error, "a table");
    c->size++;
    return KT_OK;
}

static kt_status read_header(kti_csv *csv, kti_columns *c, bool features, kt_error *error)
{
    bool found;
    kt_status status = kti_csv_next(csv, &found, error);
    if (status == KT_OK && (!found || csv->fields < 2))
        status = kti_fail_file(error, KT_BAD_FORMAT, csv->path,
                               "has no header with at least two columns, an id and a number");
    if (status == KT_OK && csv->fields > KTI_CSV_FIELDS)
        status = kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "has more than %d columns",
                               KTI_CSV_FIELDS);
    for (int i = 1; i < csv->fields && status == KT_OK; i++)
        status = add_column(c, csv->field[i], features, csv, error);
    return status;
}

static kt_status next_row(kti_csv *csv, int fields, bool *found, kt_error *error)
{
    kt_status status = kti_csv_next(csv, found, error);
    if (status == KT_OK && *found && csv->fields != fields)
        status = kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "has %d fields, the header %d",
                               csv->fields, fields);
    return status;
}

/* Room for one more row, in all columns alike. */
static kt_status make_room(kti_columns *c, kt_error *error)
{
    if (c->rows < c->row_capacity)
        return KT_OK;
    const size_t wanted = c->row_capacity ? 2 * c->row_capacity : 1024;
    char **id = realloc(c->id, wanted * sizeof *id);
    if (!id)
        return kti_fail_memory(error, "a table");
    c->id = id;
    for (size_t i = 0; i < c->size; i++) {
        double *value = realloc(c->column[i].value, wanted * sizeof *value);
        if (!value)
            return kti_fail_memory(error, "a table");
        c->column[i].value = value;
    }
    c->row_capacity = wanted;
    return KT_OK;
}

/* Leaves out columns without any number: names, formulas. */
static void drop_texts(kti_columns *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->size; i++) {
        kti_column *column = &c->column[i];
        column->numbers = 0;
        for (size_t row = 0; row < c->rows; row++)
            column->numbers += isfinite(column->value[row]) != 0;
        if (column->numbers > 0 || c->rows == 0) {
            c->column[kept++] = *column;
            continue;
        }
        free(column->name);
        free(column->value);
    }
    c->size = kept;
}

kt_status kti_columns_read(const char *path, kti_columns *c, kt_error *error)
{
    kti_csv csv;
    bool found = true;
    *c = (kti_columns){0};
    kt_status status = kti_csv_open_within(path, LARGEST_TABLE, &csv, error);
    if (status == KT_OK)
        status = read_header(&csv, c, false, error);
    const int fields = csv.fields;
    while (status == KT_OK && (status = next_row(&csv, fields, &found, error)) == KT_OK && found) {
        status = make_room(c, error);
        char *id = status == KT_OK ? kti_duplicate_text(csv.field[0]) : NULL;
        if (status == KT_OK && !id)
            status = kti_fail_memory(error, "a table");
        if (status != KT_OK)
            break;
        for (int i = 1; i < fields; i++)
            c->column[i - 1].value[c->rows] = kti_number_or_nan(csv.field[i]);
        c->id[c->rows++] = id;
    }
    kti_csv_close(&csv);
    if (status == KT_OK)
        drop_texts(c);
    return status;
}

/* ---- joining ---- */

typedef struct key {
    const char *text; /* not terminated */
    size_t length, row;
} key;

/* The part of an id that is a file's name without its ending. */
static key stem_of(const char *id, size_t row)
{
    const char *begin = id, *end = strchr(id, '#');
    if (!end)
        end = id + strlen(id);
    for (const char *c = id; c < end; c++)
        if (*c == '/' || *c == ':')
            begin = c + 1;
    for (const char *c = end; c > begin; c--)
        if (c[-1] == '.') {
            end = c - 1;
            break;
        }
    return (key){begin, (size_t)(end - begin), row};
}

static int compare_text(const key *l, const key *r)
{
    const size_t shorter = l->length < r->length ? l->length : r->length;
    const int order = memcmp(l->text, r->text, shorter);
    return order ? order : (l->length > r->length) - (l->length < r->length);
}

static int by_text(const void *left, const void *right)
{
    const key *l = left, *r = right;
    const int order = compare_text(l, r);
    return order ? order : (l->row > r->row) - (l->row < r->row);
}

/* The first of the keys with that text, or behind all that come before it. */
static size_t lower(const key *keys, size_t size, const key *wanted)
{
    size_t low = 0, high = size;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (compare_text(&keys[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The row's numbers to all rows of that id. */
static void give(kti_columns *c, size_t first, const kti_csv *csv, const key *keys, const key *wanted,
                 bool *seen, bool *twice, size_t *matched)
{
    for (size_t i = lower(keys, c->rows, wanted); i < c->rows && compare_text(&keys[i], wanted) == 0; i++) {
        const size_t row = keys[i].row;
        *twice = *twice || seen[row];
        *matched += !seen[row];
        seen[row] = true;
        for (int field = 1; field < csv->fields; field++)
            c->column[first + (size_t)field - 1].value[row] = kti_number_or_nan(csv->field[field]);
    }
}

static kt_status prepare(kti_columns *c, size_t first, kt_error *error)
{
    for (size_t i = first; i < c->size; i++) {
        c->column[i].value = kti_allocate(c->row_capacity, sizeof(double));
        if (!c->column[i].value)
            return kti_fail_memory(error, "a table");
        for (size_t row = 0; row < c->rows; row++)
            c->column[i].value[row] = NAN;
    }
    return KT_OK;
}

kt_status kti_columns_join(kti_columns *c, const char *path, size_t *matched, kt_error *error)
{
    kti_csv csv;
    const size_t first = c->size;
    key *whole = kti_allocate(2 * c->rows, sizeof *whole), *stem = whole + c->rows;
    bool *seen = kti_allocate(c->rows, sizeof *seen), found = true;
    kt_status status = kti_csv_open_within(path, LARGEST_TABLE, &csv, error);
    *matched = 0;
    if (status == KT_OK && (!whole || !seen))
        status = kti_fail_memory(error, "a table");
    if (status == KT_OK)
        status = read_header(&csv, c, true, error);
    if (status == KT_OK)
        status = prepare(c, first, error);
    const int fields = csv.fields;
    for (size_t i = 0; i < c->rows && status == KT_OK; i++) {
        whole[i] = (key){c->id[i], strlen(c->id[i]), i};
        stem[i] = stem_of(c->id[i], i);
    }
    if (status == KT_OK) {
        qsort(whole, c->rows, sizeof *whole, by_text);
        qsort(stem, c->rows, sizeof *stem, by_text);
    }
    while (status == KT_OK && (status = next_row(&csv, fields, &found, error)) == KT_OK && found) {
        const key wanted = {csv.field[0], strlen(csv.field[0]), 0};
        bool twice = false;
        const size_t before = *matched;
        give(c, first, &csv, whole, &wanted, seen, &twice, matched);
        if (*matched == before && !twice)
            give(c, first, &csv, stem, &wanted, seen, &twice, matched);
        if (twice)
            status = kti_fail_line(error, KT_BAD_FORMAT, path, csv.line, "the id '%.80s' is there twice",
                                   csv.field[0]);
    }
    kti_csv_close(&csv);
    free(whole);
    free(seen);
    if (status == KT_OK)
        drop_texts(c);
    return status;
}
