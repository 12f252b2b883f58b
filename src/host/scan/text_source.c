#include "scan/text_source.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/memory.h"

kti_text_source kti_text_source_create(FILE *file, char *name, kti_structure_format format)
{
    return (kti_text_source){.file = file, .name = name, .format = format};
}

static void close_file(kti_text_source *t)
{
    if (t->file)
        fclose(t->file);
    t->file = NULL;
}

void kti_text_source_destroy(kti_text_source *t)
{
    close_file(t);
    free(t->name);
    free(t->held);
    *t = (kti_text_source){0};
}

/* ---- lines ---- */

/* Text that grows. */
typedef struct piece {
    char *data;
    size_t size, capacity;
} piece;

typedef enum got { LINE, END, TOO_LONG, NO_MEMORY } got;

/* Appends the next line, its end with it, unless the piece would exceed the limit. */
static got read_line(kti_text_source *t, piece *p)
{
    int c = EOF;
    size_t before = p->size;
    while ((c = getc_unlocked(t->file)) != EOF) {
        if (p->size == KTI_LARGEST_CRYSTAL)
            return TOO_LONG;
        if (p->size + 1 >= p->capacity && kti_grow((void **)&p->data, p->size + 1, &p->capacity, 1) != 0)
            return NO_MEMORY;
        p->data[p->size++] = (char)c;
        if (c == '\n')
            break;
    }
    if (p->size == before)
        return END;
    t->line++;
    return LINE;
}

/* Where the piece's line that begins at `at` has its first letter. */
static const char *first_letter(const piece *p, size_t at)
{
    while (at < p->size && (p->data[at] == ' ' || p->data[at] == '\t'))
        at++;
    return p->data + at;
}

/* ---- items ---- */

static kt_status give(kti_text_source *t, piece *p, int64_t lines_before, const char *part, kti_item *item,
                      kt_error *error)
{
    const size_t room = strlen(t->name) + (part ? strlen(part) : 0) + 24;
    char *id = kti_allocate(room, 1);
    if (!id)
        return kti_fail_memory(error, "a crystal");
    if (part && part[0] != '\0')
        snprintf(id, room, "%s#%s", t->name, part);
    else if (part)
        snprintf(id, room, "%s#%d", t->name, t->given + 1);
    else
        snprintf(id, room, "%s", t->name);
    *item = (kti_item){
        .id = id, .format = t->format, .data = p->data, .size = p->size, .lines_before = lines_before};
    *p = (piece){0};
    t->given++;
    return KT_OK;
}

/* A crystal that can't be read; nothing can be read after it. */
static kt_status give_problem(kti_text_source *t, const char *what, kti_item *item, kt_error *error)
{
    piece nothing = {0};
    kt_status status = give(t, &nothing, 0, t->given > 0 ? "" : NULL, item, error);
    if (status == KT_OK)
        kti_fail_line(&item->problem, KT_BAD_FORMAT, t->name, t->line + 1, "%s", what);
    close_file(t);
    return status;
}

/* After a line that is none: an end of the file that is an error of reading, or too much. */
static const char *complaint(const kti_text_source *t, got g)
{
    if (g == TOO_LONG)
        return "a crystal's text is longer than 64 MiB";
    return g == END && t->file && ferror(t->file) ? "cannot be read to its end" : NULL;
}

/* ---- POSCAR: all of it ---- */

static kt_status next_whole(kti_text_source *t, kti_item *item, bool *found, kt_error *error)
{
    piece p = {0};
    got g;
    while ((g = read_line(t, &p)) == LINE)
        continue;
    const char *problem = complaint(t, g);
    kt_status status = g == NO_MEMORY ? kti_fail_memory(error, "a crystal")
                       : problem      ? give_problem(t, problem, item, error)
                                      : give(t, &p, 0, NULL, item, error);
    free(p.data);
    close_file(t);
    *found = status == KT_OK;
    return status;
}

/* ---- CIF: block by block ---- */

/* Whether the line at `at` opens a data block; its name into `name`. */
static bool opens_block(const piece *p, size_t at, char name[80])
{
    const char *word = first_letter(p, at), *end = p->data + p->size;
    int length = 0;
    if (end - word < 5 || strncasecmp(word, "data_", 5) != 0)
        return false;
    for (word += 5; word < end && !isspace((unsigned char)*word) && length < 79; word++)
        name[length++] = isprint((unsigned char)*word) ? *word : '?';
    name[length] = '\0';
    return true;
}

static bool has_sites(const piece *p)
{
    static const char tag[] = "_atom_site_";
    for (size_t i = 0; i + sizeof tag <= p->size; i++)
        if (p->data[i] == '_' && strncasecmp(p->data + i, tag, sizeof tag - 1) == 0)
            return true;
    return false;
}

/* Reads up to the line that opens the next block, which is held; *last is set at the end of the file. */
static got read_block(kti_text_source *t, piece *p, char name[80], int64_t *before, bool *last)
{
    char next[80];
    bool opened = t->held != NULL, quoted = false; /* between lines that begin with a semicolon */
    *p = (piece){t->held, t->held_size, t->held_capacity};
    *before = t->held ? t->held_before : t->line;
    if (!opened || !opens_block(p, 0, name))
        name[0] = '\0';
    t->held = NULL;
    *last = false;
    for (;;) {
        const size_t at = p->size;
        const got g = read_line(t, p);
        if (g != LINE) {
            *last = g == END;
            return g == END ? LINE : g;
        }
        if (p->data[at] == ';')
            quoted = !quoted;
        if (quoted || !opens_block(p, at, next))
            continue;
        if (!opened) {
            opened = true;
            memcpy(name, next, sizeof next);
            continue;
        }
        t->held_size = t->held_capacity = p->size - at;
        t->held = kti_allocate(t->held_size + 1, 1);
        if (!t->held)
            return NO_MEMORY;
        memcpy(t->held, p->data + at, t->held_size);
        t->held_before = t->line - 1;
        p->size = at;
        return LINE;
    }
}

static kt_status next_block(kti_text_source *t, kti_item *item, bool *found, kt_error *error)
{
    kt_status status = KT_OK;
    *found = false;
    while (!*found && status == KT_OK && t->file) {
        char name[80];
        int64_t before;
        piece p;
        bool last;
        const got g = read_block(t, &p, name, &before, &last);
        const char *problem = complaint(t, last ? END : g);
        if (g == NO_MEMORY) {
            status = kti_fail_memory(error, "a crystal");
        } else if (problem) {
            status = give_problem(t, problem, item, error);
            *found = status == KT_OK;
        } else if (has_sites(&p) || (last && t->given == 0)) {
            const bool only = last && before == 0;
            status = give(t, &p, before, only ? NULL : name, item, error);
            *found = status == KT_OK;
        }
        free(p.data);
        if (last)
            close_file(t);
    }
    return status;
}

/* ---- extended XYZ: frame by frame ---- */

/* The number of sites that a frame begins with; -1 if it is none. */
static long frame_sites(const piece *p)
{
    char *end;
    const char *begin = first_letter(p, 0);
    char text[32];
    const size_t length = (size_t)(p->data + p->size - begin);
    if (length == 0 || length >= sizeof text)
        return -1;
    memcpy(text, begin, length);
    text[length] = '\0';
    errno = 0;
    const long sites = strtol(text, &end, 10);
    while (isspace((unsigned char)*end))
        end++;
    return *end == '\0' && end > text && errno == 0 && sites >= 0 && sites < 100000000 ? sites : -1;
}

static bool is_blank(const piece *p)
{
    for (size_t i = 0; i < p->size; i++)
        if (!isspace((unsigned char)p->data[i]))
            return false;
    return true;
}

/* The first line of a frame, into `p`, behind empty lines. */
static got read_frame_start(kti_text_source *t, piece *p)
{
    got g = LINE;
    if (t->held) {
        *p = (piece){t->held, t->held_size, t->held_capacity};
        t->held = NULL;
        return LINE;
    }
    do {
        p->size = 0;
        g = read_line(t, p);
    } while (g == LINE && is_blank(p));
    return g;
}

static kt_status next_frame(kti_text_source *t, kti_item *item, bool *found, kt_error *error)
{
    piece p = {0}, next = {0};
    kt_status status = KT_OK;
    got g = read_frame_start(t, &p);
    const int64_t before = t->line - 1;
    *found = false;
    if (g == LINE) {
        const long sites = frame_sites(&p);
        /* A frame without a number of sites goes on as it is, for the reader to complain of; nothing can follow. */
        for (long line = 0; (sites < 0 || line <= sites) && g == LINE; line++)
            g = read_line(t, &p);
        if (g == LINE)
            g = read_frame_start(t, &next);
    }
    const char *problem = complaint(t, g);
    if (g == NO_MEMORY) {
        status = kti_fail_memory(error, "a crystal");
    } else if (problem) {
        status = give_problem(t, problem, item, error);
        *found = status == KT_OK;
    } else if (p.size > 0 || t->given == 0) {
        status = give(t, &p, before < 0 ? 0 : before, t->given == 0 && g == END ? NULL : "", item, error);
        *found = status == KT_OK;
    }
    free(p.data);
    if (g == LINE) {
        t->held = next.data;
        t->held_size = next.size;
        t->held_capacity = next.capacity;
    } else {
        free(next.data);
        close_file(t);
    }
    return status;
}

kt_status kti_text_source_next(kti_text_source *t, kti_item *item, bool *found, kt_error *error)
{
    *found = false;
    *item = (kti_item){0};
    if (!t->file)
        return KT_OK;
    switch (t->format) {
    case KTI_FORMAT_CIF: return next_block(t, item, found, error);
    case KTI_FORMAT_EXTXYZ: return next_frame(t, item, found, error);
    case KTI_FORMAT_POSCAR:
    case KTI_FORMAT_UNKNOWN: break;
    }
    return next_whole(t, item, found, error);
}
