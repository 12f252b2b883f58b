#include "data/rows.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "crystal/number.h"

static const char *const endings[] = {".cif", ".vasp", ".poscar", ".xyz", ".extxyz"};

enum { ENDINGS = sizeof endings / sizeof endings[0] };

/* The columns of a table of crystals, which may stand in any order among others; the cell's in kti_row's order. */
typedef enum column {
    FORMULA,
    PROTOTYPE,
    SPACE_GROUP,
    SITES,
    A,
    B,
    C,
    ALPHA,
    BETA,
    GAMMA,
    U,
    KAPPA,
    ID,
    COLUMNS
} column;

static const char *const column_names[COLUMNS] = {"formula", "prototype", "space_group", "sites", "a",
                                                  "b",       "c",         "alpha",       "beta",  "gamma",
                                                  "u",       "kappa",     "id"};

typedef struct table_header {
    int fields;
    int place[COLUMNS]; /* field of each column; -1 where the table has none */
} table_header;

/* Hand-written tables have blanks after their commas. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        text[--length] = '\0';
    return text;
}

static void trim_fields(kti_csv *csv)
{
    for (int i = 0; i < csv->fields && i < KTI_CSV_FIELDS; i++)
        csv->field[i] = trim(csv->field[i]);
}

/* An id becomes a file's name, so it must not lead out of its folder. */
static kt_status check_id(const kti_rows *rows, const kti_row *row, kt_error *error)
{
    if (row->id[0] == '\0')
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line, "the id is empty");
    if (strpbrk(row->id, "/\\"))
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                             "the id \"%.80s\" has a path separator", row->id);
    for (const char *c = row->id; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                                 "the id has a control character");
    return KT_OK;
}

static bool read_number(const char *text, double *value)
{
    return kti_number_read(text, text + strlen(text), value);
}

static kt_status read_kappa(const kti_rows *rows, const char *text, kti_row *row, kt_error *error)
{
    if (*text == '\0')
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line, "kappa is missing");
    if (!read_number(text, &row->kappa))
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                             "kappa \"%.40s\" is not a finite number", text);
    if (!(row->kappa > 0))
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line, "kappa %s is not above 0 W/(m K)",
                             text);
    return KT_OK;
}

static kt_status add(kti_rows *rows, kti_row **added, kt_error *error)
{
    void *list = rows->list;
    if (rows->size == KTI_ROWS_LIMIT)
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, rows->csv.line,
                             "the table has more than %d rows", KTI_ROWS_LIMIT);
    int grown = kti_grow(&list, rows->size, &rows->capacity, sizeof *rows->list);
    rows->list = list;
    if (grown != 0)
        return kti_fail_memory(error, "the rows of a data set");
    *added = &rows->list[rows->size++];
    **added = (kti_row){.line = rows->csv.line, .error = KT_ERROR_NONE};
    return KT_OK;
}

/* What else a record of one field is parted by, as spreadsheets of some countries do; NULL if by nothing. */
static const char *other_separator(const kti_csv *csv)
{
    const bool one = csv->fields == 1;
    return one && strchr(csv->field[0], ';')    ? "semicolons"
           : one && strchr(csv->field[0], '\t') ? "tabs"
                                                : NULL;
}

static kt_status add_folder_row(kti_rows *rows, kt_error *error)
{
    const kti_csv *csv = &rows->csv;
    kti_row *row;
    kt_status status = add(rows, &row, error);
    if (status != KT_OK)
        return status;
    row->id = csv->field[0];
    if (csv->fields > 2)
        kti_fail_line(&row->error, KT_BAD_FORMAT, rows->table, row->line,
                      "has %d columns instead of id,kappa", csv->fields);
    else if (other_separator(csv))
        kti_fail_line(&row->error, KT_BAD_FORMAT, rows->table, row->line,
                      "has no comma between id and kappa, but %s", other_separator(csv));
    else if (check_id(rows, row, &row->error) == KT_OK)
        read_kappa(rows, csv->fields == 2 ? csv->field[1] : "", row, &row->error);
    return KT_OK;
}

static bool has_structure(const kti_rows *rows, char *id)
{
    kt_error ignored = KT_ERROR_NONE;
    kti_row row = {.id = id};
    char *path;
    kt_status status = kti_rows_structure_path(rows, &row, &path, &ignored);
    free(path);
    return status != KT_IO;
}

/* The first record is a header if a word stands where kappa should, and its id has no structure: "id,ltc" is
 * one, "mp-149,unknown" beside mp-149.cif and "x,nan" are bad rows. */
static bool is_folder_header(const kti_rows *rows)
{
    const kti_csv *csv = &rows->csv;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char *const missing[] = {"nan", "NaN", "NAN", "inf", "Inf", "INF", "NA", "null", "None"};
    if (csv->fields < 2 || csv->field[1][0] == '\0' || !strchr(letters, csv->field[1][0]))
        return false;
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        if (strcmp(csv->field[1], missing[i]) == 0)
            return false;
    return strpbrk(csv->field[0], "/\\") || !has_structure(rows, csv->field[0]);
}

static kt_status find_columns(const kti_rows *rows, table_header *header, kt_error *error)
{
    const kti_csv *csv = &rows->csv;
    for (int i = 0; i < COLUMNS; i++) {
        header->place[i] = -1;
        for (int j = 0; j < csv->fields; j++) {
            if (strcmp(csv->field[j], column_names[i]) != 0)
                continue;
            if (header->place[i] >= 0)
                return kti_fail_line(error, KT_BAD_FORMAT, rows->table, csv->line,
                                     "the header names the column %s twice", column_names[i]);
            header->place[i] = j;
        }
    }
    return KT_OK;
}

/* A column of the header whose name differs by its capitals alone; NULL if there is none. */
static const char *capitalised(const kti_csv *csv, const char *name)
{
    for (int i = 0; i < csv->fields; i++)
        if (strcasecmp(csv->field[i], name) == 0)
            return csv->field[i];
    return NULL;
}

static kt_status refuse_header(const kti_rows *rows, column missing, kt_error *error)
{
    const kti_csv *csv = &rows->csv;
    const char *separator = other_separator(csv), *other = capitalised(csv, column_names[missing]);
    if (separator)
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, csv->line,
                             "has %s between its columns: a table of crystals has commas, and decimal points",
                             separator);
    if (other)
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, csv->line,
                             "the header has no column %s, but %.40s: write it as %s", column_names[missing],
                             other, column_names[missing]);
    return kti_fail_line(
        error, KT_BAD_FORMAT, rows->table, csv->line,
        "the header has no column %s; a table of crystals begins with formula,prototype,a,c,u,kappa,id or "
        "formula,space_group,a,b,c,alpha,beta,gamma,sites,kappa,id (of a folder with id_prop.csv, give the "
        "folder)",
        missing == PROTOTYPE ? "prototype, nor space_group and sites" : column_names[missing]);
}

static kt_status read_table_header(const kti_rows *rows, table_header *header, kt_error *error)
{
    static const column required[] = {FORMULA, A, KAPPA, ID, PROTOTYPE};
    static const column of_groups[] = {SPACE_GROUP, SITES, B, ALPHA, BETA, GAMMA};
    const kti_csv *csv = &rows->csv;
    header->fields = csv->fields;
    if (csv->fields > KTI_CSV_FIELDS)
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, csv->line,
                             "the header has more than %d columns", KTI_CSV_FIELDS);
    kt_status status = find_columns(rows, header, error);
    if (status != KT_OK)
        return status;
    const bool has_groups = header->place[SPACE_GROUP] >= 0 && header->place[SITES] >= 0;
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        if (header->place[required[i]] < 0 && !(required[i] == PROTOTYPE && has_groups))
            return refuse_header(rows, required[i], error);
    if (!has_groups) /* columns of somebody else, such as a comment or an expansion named alpha */
        for (size_t i = 0; i < sizeof of_groups / sizeof of_groups[0]; i++)
            header->place[of_groups[i]] = -1;
    return KT_OK;
}

/* "" where the table has no such column. */
static const char *field_of(const kti_rows *rows, const table_header *header, column which)
{
    return header->place[which] < 0 ? "" : rows->csv.field[header->place[which]];
}

/* A number that may be left empty, as 0. */
static kt_status read_length(const kti_rows *rows, const table_header *header, column which,
                             const kti_row *row, double *value, kt_error *error)
{
    const char *text = field_of(rows, header, which);
    *value = 0;
    if (*text != '\0' && !read_number(text, value))
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                             "%s \"%.40s\" is not a finite number", column_names[which], text);
    return KT_OK;
}

/* A row is of a prototype or of a space group, and gives no number of the other. */
static kt_status check_form(const kti_rows *rows, const table_header *header, const kti_row *row,
                            kt_error *error)
{
    static const column not_of_prototypes[] = {SITES, B, ALPHA, BETA, GAMMA};
    const bool prototype = row->prototype[0] != '\0', group = row->space_group[0] != '\0';
    if (prototype == group)
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                             prototype ? "gives both a prototype and a space group; leave one of them empty"
                                       : "gives neither a prototype nor a space group");
    if (group && row->u != 0)
        return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                             "u belongs to prototypes; leave it empty beside a space group");
    for (size_t i = 0; prototype && i < sizeof not_of_prototypes / sizeof not_of_prototypes[0]; i++)
        if (*field_of(rows, header, not_of_prototypes[i]) != '\0')
            return kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                                 "%s belongs to space groups; leave it empty beside a prototype",
                                 column_names[not_of_prototypes[i]]);
    return KT_OK;
}

static kt_status read_structure_columns(const kti_rows *rows, const table_header *header, kti_row *row,
                                        kt_error *error)
{
    row->formula = field_of(rows, header, FORMULA);
    row->prototype = field_of(rows, header, PROTOTYPE);
    row->space_group = field_of(rows, header, SPACE_GROUP);
    row->sites = field_of(rows, header, SITES);
    kt_status status = read_length(rows, header, U, row, &row->u, error);
    for (int i = 0; status == KT_OK && i < 6; i++)
        status = read_length(rows, header, (column)(A + i), row, &row->cell[i], error);
    return status == KT_OK ? check_form(rows, header, row, error) : status;
}

static kt_status add_table_row(kti_rows *rows, const table_header *header, kt_error *error)
{
    const kti_csv *csv = &rows->csv;
    kti_row *row;
    kt_status status = add(rows, &row, error);
    if (status != KT_OK)
        return status;
    row->id = header->place[ID] < csv->fields ? csv->field[header->place[ID]] : "";
    if (csv->fields != header->fields) {
        kti_fail_line(&row->error, KT_BAD_FORMAT, rows->table, row->line,
                      "has %d columns where the header has %d", csv->fields, header->fields);
        return KT_OK;
    }
    if (check_id(rows, row, &row->error) == KT_OK &&
        read_kappa(rows, field_of(rows, header, KAPPA), row, &row->error) == KT_OK)
        read_structure_columns(rows, header, row, &row->error);
    return KT_OK;
}

static int by_id_and_line(const void *left, const void *right)
{
    const kti_row *a = *(kti_row *const *)left, *b = *(kti_row *const *)right;
    int order = strcmp(a->id, b->id);
    return order ? order : (a->line > b->line) - (a->line < b->line);
}

/* Of rows with one id the first stays. */
static kt_status refuse_repeated(kti_rows *rows, kt_error *error)
{
    kti_row **sorted = kti_allocate(rows->size, sizeof *sorted);
    if (!sorted)
        return kti_fail_memory(error, "the rows of a data set");
    for (size_t i = 0; i < rows->size; i++)
        sorted[i] = &rows->list[i];
    qsort(sorted, rows->size, sizeof *sorted, by_id_and_line);
    for (size_t i = 1, first = 0; i < rows->size; i++) {
        if (strcmp(sorted[i]->id, sorted[first]->id) != 0)
            first = i;
        else
            kti_fail_line(&sorted[i]->error, KT_BAD_FORMAT, rows->table, sorted[i]->line,
                          "repeats the id \"%.80s\" of line %lld", sorted[i]->id,
                          (long long)sorted[first]->line);
    }
    free(sorted);
    return KT_OK;
}

static kt_status locate(const char *path, kti_rows *rows, kt_error *error)
{
    if (kti_is_folder(path)) {
        rows->folder = kti_duplicate_text(path);
        rows->table = kti_path_join(path, "id_prop.csv");
        if (!rows->folder || !rows->table)
            return kti_fail_memory(error, "a path");
        if (!kti_file_exists(rows->table))
            return kti_fail_file(error, KT_IO, path, "the folder has no id_prop.csv (one id,kappa a line)");
        return KT_OK;
    }
    if (!kti_file_exists(path))
        return kti_fail_file(error, KT_IO, path, "there is no such file or folder");
    if (!kti_ends_with(path, ".csv"))
        return kti_fail_file(error, KT_BAD_ARGUMENT, path,
                             "a data set is a folder with id_prop.csv or a table of crystals named .csv");
    rows->table = kti_duplicate_text(path);
    return rows->table ? KT_OK : kti_fail_memory(error, "a path");
}

kt_status kti_rows_read(const char *path, kti_rows *rows, kt_error *error)
{
    table_header header = {0};
    *rows = (kti_rows){0};
    kt_status status = locate(path, rows, error);
    if (status == KT_OK)
        status = kti_csv_open(rows->table, &rows->csv, error);
    if (status != KT_OK)
        return status;
    for (bool first = true, found;; first = false) {
        status = kti_csv_next(&rows->csv, &found, error);
        if (status != KT_OK || !found)
            break;
        trim_fields(&rows->csv);
        if (first && !rows->folder)
            status = read_table_header(rows, &header, error);
        else if (!rows->folder)
            status = add_table_row(rows, &header, error);
        else if (!first || !is_folder_header(rows))
            status = add_folder_row(rows, error);
        if (status != KT_OK)
            break;
    }
    if (status == KT_OK)
        status = refuse_repeated(rows, error);
    return status;
}

void kti_rows_destroy(kti_rows *rows)
{
    kti_csv_close(&rows->csv);
    free(rows->list);
    free(rows->table);
    free(rows->folder);
    *rows = (kti_rows){0};
}

kt_status kti_rows_structure_path(const kti_rows *rows, const kti_row *row, char **path, kt_error *error)
{
    kt_status status = KT_OK;
    size_t capacity = strlen(row->id) + 16;
    char *name = kti_allocate(capacity, 1), *found = NULL, *tried = NULL;
    *path = NULL;
    if (!name) {
        status = kti_fail_memory(error, "a file name");
        goto done;
    }
    for (int i = 0; i < ENDINGS; i++) {
        snprintf(name, capacity, "%s%s", row->id, endings[i]);
        free(tried);
        tried = kti_path_join(rows->folder, name);
        if (!tried) {
            status = kti_fail_memory(error, "a path");
            goto done;
        }
        if (!kti_file_exists(tried))
            continue;
        if (found) {
            status = kti_fail_line(error, KT_BAD_FORMAT, rows->table, row->line,
                                   "has several structure files: %.180s and %.180s", found, tried);
            goto done;
        }
        found = tried;
        tried = NULL;
    }
    if (!found) {
        status = kti_fail_line(error, KT_IO, rows->table, row->line,
                               "has no structure file %.80s.cif, .vasp, .poscar, .xyz or .extxyz", row->id);
        goto done;
    }
    *path = found;
    found = NULL;
done:
    free(name);
    free(found);
    free(tried);
    return status;
}
