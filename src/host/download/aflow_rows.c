#include "download/aflow_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "crystal/elements.h"
#include "crystal/lattice.h"
#include "crystal/number.h"

enum { MAX_KINDS = 100, MAX_SITES = 20000 };

static kt_status no_page(const char *url, const char *what, kt_error *error)
{
    return kti_fail_file(error, KT_BAD_FORMAT, url, "the server's answer is no page of entries: %s", what);
}

/* {"1 of 912": {...}, ...} */
static kt_status rows_of_object(const char *url, json_t *object, json_t *rows, int64_t *total,
                                kt_error *error)
{
    const char *key;
    json_t *row;
    json_object_foreach(object, key, row)
    {
        long long place, all;
        if (!json_is_object(row) || sscanf(key, "%18lld of %18lld", &place, &all) != 2)
            return no_page(url, key, error);
        if (json_array_append(rows, row) != 0)
            return kti_fail_memory(error, "a page");
        *total = all;
    }
    return KT_OK;
}

static kt_status rows_of_array(const char *url, json_t *array, json_t *rows, kt_error *error)
{
    size_t i;
    json_t *row;
    json_array_foreach(array, i, row)
    {
        if (!json_is_object(row))
            return no_page(url, "a row is no object", error);
        if (json_array_append(rows, row) != 0)
            return kti_fail_memory(error, "a page");
    }
    return KT_OK;
}

kt_status kti_aflow_page(const char *url, const char *data, size_t size, json_t **rows, int64_t *total,
                         kt_error *error)
{
    json_error_t about;
    kt_status status = KT_OK;
    *total = -1;
    *rows = json_array();
    json_t *root = json_loadb(data, size, JSON_DECODE_ANY, &about);
    if (!*rows)
        status = kti_fail_memory(error, "a page");
    else if (!root)
        status = no_page(url, about.text, error);
    else if (json_is_object(root))
        status = rows_of_object(url, root, *rows, total, error);
    else if (json_is_array(root))
        status = rows_of_array(url, root, *rows, error);
    else if (!json_is_null(root))
        status = no_page(url, "neither a list nor an object", error);
    json_decref(root);
    if (status != KT_OK) {
        json_decref(*rows);
        *rows = NULL;
    }
    return status;
}

void kti_aflow_text(const json_t *row, const char *key, char *text, size_t capacity)
{
    const json_t *member = json_object_get(row, key);
    text[0] = '\0';
    if (json_is_integer(member)) {
        snprintf(text, capacity, "%lld", (long long)json_integer_value(member));
    } else if (json_is_real(member)) {
        if (!kti_number_text(json_real_value(member), text, capacity))
            text[0] = '\0';
    } else if (json_is_string(member)) {
        const char *value = json_string_value(member) + strspn(json_string_value(member), " \t\r\n");
        size_t length = strlen(value);
        while (length > 0 && strchr(" \t\r\n", value[length - 1]))
            length--;
        if (length < capacity) {
            memcpy(text, value, length);
            text[length] = '\0';
        }
    }
}

/* Numbers and words as AFLUX writes lists: JSON arrays (of arrays), or texts such as "4.1,4.1,4.1" and "0,0,0;0.5,0.5,0.5". */
typedef struct words {
    char **list; /* owned, each too */
    size_t size, capacity;
} words;

static void words_destroy(words *w)
{
    for (size_t i = 0; i < w->size; i++)
        free(w->list[i]);
    free(w->list);
}

static bool add_word(words *w, const char *from, size_t length)
{
    void *list = w->list;
    char *word = kti_allocate(length + 1, 1);
    const int failed = !word || kti_grow(&list, w->size, &w->capacity, sizeof *w->list) != 0;
    w->list = list;
    if (failed) {
        free(word);
        return false;
    }
    memcpy(word, from, length);
    w->list[w->size++] = word;
    return true;
}

static bool add_words_of_text(words *w, const char *text)
{
    static const char separators[] = " \t\r\n,;:[]\"";
    for (text += strspn(text, separators); *text != '\0'; text += strspn(text, separators)) {
        const size_t length = strcspn(text, separators);
        if (!add_word(w, text, length))
            return false;
        text += length;
    }
    return true;
}

/* `depth` bounds hostile nesting: a list of positions is an array of arrays. */
static bool add_words(words *w, const json_t *value, int depth)
{
    char number[64] = "";
    if (json_is_string(value))
        return add_words_of_text(w, json_string_value(value));
    if (json_is_integer(value))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value) && !kti_number_text(json_real_value(value), number, sizeof number))
        return false;
    if (number[0] != '\0')
        return add_word(w, number, strlen(number));
    for (size_t i = 0; depth > 0 && i < json_array_size(value); i++)
        if (!add_words(w, json_array_get(value, i), depth - 1))
            return false;
    return true;
}

static kt_status read_words(const json_t *row, const char *name, const char *key, words *w, kt_error *error)
{
    if (!add_words(w, json_object_get(row, key), 2))
        return kti_fail_memory(error, "a row");
    return w->size > 0 ? KT_OK : kti_fail_file(error, KT_BAD_FORMAT, name, "has no `%s`", key);
}

static bool read_number(const char *text, double *value)
{
    return kti_number_read(text, text + strlen(text), value);
}

static kt_status write_cell(const words *geometry, const char *name, kti_text *poscar, kt_error *error)
{
    double cell[6], rows[3][3];
    char number[64];
    bool good = geometry->size == 6;
    for (size_t i = 0; good && i < 6; i++)
        good = read_number(geometry->list[i], &cell[i]);
    if (!good)
        return kti_fail_file(error, KT_BAD_FORMAT, name,
                             "`geometry` must be the six numbers a, b, c, alpha, beta, gamma");
    kt_status status = kti_lattice_from_cell(cell, cell + 3, name, rows, error);
    for (int i = 0; status == KT_OK && i < 9; i++) {
        if (!kti_number_text(rows[i / 3][i % 3], number, sizeof number))
            return kti_fail_file(error, KT_BAD_FORMAT, name, "`geometry` is not finite");
        kti_text_add(poscar, "%s%s", number, i % 3 == 2 ? "\n" : " ");
    }
    return status;
}

static kt_status write_kinds(const words *species, const words *composition, const char *name,
                             kti_text *poscar, size_t *sites, kt_error *error)
{
    *sites = 0;
    if (species->size != composition->size || species->size > MAX_KINDS)
        return kti_fail_file(error, KT_BAD_FORMAT, name, "`species` has %zu elements, `composition` %zu",
                             species->size, composition->size);
    for (size_t i = 0; i < species->size; i++) {
        if (kti_element_number(species->list[i]) == 0)
            return kti_fail_file(error, KT_BAD_FORMAT, name, "`species` holds '%.20s', which is no element",
                                 species->list[i]);
        kti_text_add(poscar, "%s%s", species->list[i], i + 1 < species->size ? " " : "\n");
    }
    for (size_t i = 0; i < species->size; i++) {
        double count = 0;
        if (!read_number(composition->list[i], &count) || !(count >= 1 && count <= MAX_SITES) ||
            count != (double)(size_t)count)
            return kti_fail_file(error, KT_BAD_FORMAT, name, "`composition` holds '%.20s', which is no count",
                                 composition->list[i]);
        kti_text_add(poscar, "%zu%s", (size_t)count, i + 1 < species->size ? " " : "\n");
        *sites += (size_t)count;
    }
    return KT_OK;
}

static kt_status write_positions(const words *positions, size_t sites, const char *name, kti_text *poscar,
                                 kt_error *error)
{
    if (positions->size != 3 * sites)
        return kti_fail_file(error, KT_BAD_FORMAT, name,
                             "`positions_fractional` has %zu numbers for the %zu sites of `composition`",
                             positions->size, sites);
    kti_text_add(poscar, "Direct\n");
    for (size_t i = 0; i < positions->size; i++) {
        double value;
        if (!read_number(positions->list[i], &value))
            return kti_fail_file(error, KT_BAD_FORMAT, name,
                                 "`positions_fractional` holds '%.20s', which is no number",
                                 positions->list[i]);
        kti_text_add(poscar, "%s%s", positions->list[i], i % 3 == 2 ? "\n" : " ");
    }
    return KT_OK;
}

kt_status kti_aflow_poscar(const json_t *row, const char *name, kti_text *poscar, kt_error *error)
{
    words geometry = {0}, species = {0}, composition = {0}, positions = {0};
    size_t sites = 0;
    kt_status status = read_words(row, name, "geometry", &geometry, error);
    if (status == KT_OK)
        status = read_words(row, name, "species", &species, error);
    if (status == KT_OK)
        status = read_words(row, name, "composition", &composition, error);
    if (status == KT_OK)
        status = read_words(row, name, "positions_fractional", &positions, error);
    kti_text_add(poscar, "%s\n1\n", name);
    if (status == KT_OK)
        status = write_cell(&geometry, name, poscar, error);
    if (status == KT_OK)
        status = write_kinds(&species, &composition, name, poscar, &sites, error);
    if (status == KT_OK)
        status = write_positions(&positions, sites, name, poscar, error);
    if (status == KT_OK && poscar->failed)
        status = kti_fail_memory(error, "a crystal");
    words_destroy(&geometry);
    words_destroy(&species);
    words_destroy(&composition);
    words_destroy(&positions);
    return status;
}
