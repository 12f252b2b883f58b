#include "scan/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "scan/archive.h"
#include "scan/text_source.h"

/* A folder that is being gone through. */
typedef struct folder {
    char *path;
    struct dirent **entry; /* [count], by name */
    int count, next;
} folder;

struct kti_source {
    char *const *path; /* [count] the arguments */
    int count, next;
    folder folder[KTI_MAX_DEPTH]; /* [depth] the innermost is the last */
    int depth;
    FILE *list; /* of paths; NULL: none */
    char *list_name;
    int64_t list_line;
    kti_archive *archive; /* NULL: none */
    char *archive_name;
    int64_t archive_bytes;
    kti_text_source text;
    char *text_data;    /* what it reads, where that is memory */
    int64_t text_bytes; /* of the file that is read */
    int64_t done;       /* bytes of files */
    kti_listing listing;
};

void kti_item_destroy(kti_item *item)
{
    free(item->id);
    free(item->data);
    *item = (kti_item){0};
}

/* ---- opening ---- */

kt_status kti_source_open(char *const *paths, int count, kti_source **source, kt_error *error)
{
    *source = kti_allocate(1, sizeof **source);
    if (!*source)
        return kti_fail_memory(error, "a scan");
    (*source)->path = paths;
    (*source)->count = count;
    (*source)->listing = kti_listing_of(paths, count);
    return KT_OK;
}

static void close_folder(folder *f)
{
    for (int i = f->next; i < f->count; i++)
        free(f->entry[i]);
    free(f->entry);
    free(f->path);
}

static void close_list(kti_source *s)
{
    if (s->list && s->list != stdin)
        fclose(s->list);
    free(s->list_name);
    s->list = NULL;
    s->list_name = NULL;
}

static void close_text(kti_source *s)
{
    s->done += s->text_bytes;
    s->text_bytes = 0;
    kti_text_source_destroy(&s->text);
    free(s->text_data);
    s->text_data = NULL;
}

static void close_archive(kti_source *s)
{
    if (s->archive)
        s->done += s->archive_bytes;
    kti_archive_close(s->archive);
    free(s->archive_name);
    s->archive = NULL;
    s->archive_name = NULL;
}

void kti_source_close(kti_source *source)
{
    if (!source)
        return;
    while (source->depth > 0)
        close_folder(&source->folder[--source->depth]);
    close_list(source);
    close_archive(source);
    close_text(source);
    free(source);
}

/* An item that says what is wrong with a path. */
static kt_status give_problem(const char *path, const kt_error *problem, kti_item *item, kt_error *error)
{
    *item = (kti_item){.id = kti_duplicate_text(path), .problem = *problem};
    return item->id ? KT_OK : kti_fail_memory(error, "a crystal");
}

static kt_status complain(const char *path, const char *what, kti_item *item, bool *found, kt_error *error)
{
    kt_error problem = KT_ERROR_NONE;
    kti_fail_file(&problem, KT_IO, path, "%s", what);
    *found = true;
    return give_problem(path, &problem, item, error);
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static kt_status open_folder(kti_source *s, const char *path, kti_item *item, bool *found, kt_error *error)
{
    if (s->depth == KTI_MAX_DEPTH)
        return complain(path, "lies in too many folders; is it a link that leads back?", item, found, error);
    folder *f = &s->folder[s->depth];
    *f = (folder){.path = kti_duplicate_text(path)};
    if (!f->path)
        return kti_fail_memory(error, "a folder");
    f->count = scandir(path, &f->entry, is_shown, by_bytes);
    if (f->count < 0) {
        free(f->path);
        return complain(path, strerror(errno), item, found, error);
    }
    s->depth++;
    return KT_OK;
}

static kt_status open_text(kti_source *s, const char *path, kti_item *item, bool *found, kt_error *error)
{
    struct stat kind;
    if (stat(path, &kind) != 0)
        return complain(path, strerror(errno), item, found, error);
    if (!S_ISREG(kind.st_mode)) /* a pipe might never end */
        return complain(path, "is no regular file", item, found, error);
    FILE *file = fopen(path, "rb");
    char *name = kti_duplicate_text(path);
    if (!file || !name) {
        const int reason = errno;
        if (file)
            fclose(file);
        free(name);
        return file ? kti_fail_memory(error, "a file") : complain(path, strerror(reason), item, found, error);
    }
    s->text = kti_text_source_create(file, name, kti_structure_format_of(path));
    s->text_bytes = (int64_t)kind.st_size;
    return KT_OK;
}

static kt_status open_list(kti_source *s, const char *path, kti_item *item, bool *found, kt_error *error)
{
    s->list = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    s->list_line = 0;
    s->list_name = kti_duplicate_text(path);
    if (!s->list) {
        const int reason = errno;
        close_list(s);
        return complain(path, strerror(reason), item, found, error);
    }
    return s->list_name ? KT_OK : kti_fail_memory(error, "a list");
}

static kt_status open_archive(kti_source *s, const char *path, kti_item *item, bool *found, kt_error *error)
{
    kt_error problem = KT_ERROR_NONE;
    const kt_status status = kti_archive_open(path, &s->archive, &problem);
    if (kti_is_fatal(status)) {
        *error = problem;
        return status;
    }
    if (status != KT_OK) {
        *found = true;
        return give_problem(path, &problem, item, error);
    }
    s->archive_bytes = kti_bytes_of(path);
    s->archive_name = kti_duplicate_text(path);
    return s->archive_name ? KT_OK : kti_fail_memory(error, "an archive");
}

/* `top`: an argument, which may be a list. */
static kt_status open_path(kti_source *s, const char *path, bool top, kti_item *item, bool *found,
                           kt_error *error)
{
    if (kti_is_folder(path))
        return open_folder(s, path, item, found, error);
    if (kti_structure_format_of(path) != KTI_FORMAT_UNKNOWN)
        return open_text(s, path, item, found, error);
    if (kti_archive_is(path))
        return open_archive(s, path, item, found, error);
    if (top && kti_is_list(path))
        return open_list(s, path, item, found, error);
    return complain(
        path,
        "the name does not tell what it is; expected a folder, .cif, .vasp, .poscar, POSCAR, CONTCAR, "
        ".xyz, .extxyz, .zip, .tar, .tar.gz, or a .txt of paths",
        item, found, error);
}

/* ---- going on ---- */

static kt_status next_of_text(kti_source *s, kti_item *item, bool *found, kt_error *error)
{
    kt_status status = kti_text_source_next(&s->text, item, found, error);
    if (status == KT_OK && !*found)
        close_text(s);
    return status;
}

static kt_status next_of_archive(kti_source *s, kti_item *item, bool *found, kt_error *error)
{
    char *entry, *data;
    size_t size;
    kt_error problem = KT_ERROR_NONE, of_entry = KT_ERROR_NONE;
    kt_status status =
        kti_archive_next(s->archive, KTI_LARGEST_CRYSTAL, &entry, &data, &size, &of_entry, &problem);
    if (kti_is_fatal(status)) {
        *error = problem;
        return status;
    }
    if (status != KT_OK) {
        *found = true;
        status = give_problem(s->archive_name, &problem, item, error);
        close_archive(s);
        return status;
    }
    if (!entry) {
        close_archive(s);
        return KT_OK;
    }
    const size_t room = strlen(s->archive_name) + strlen(entry) + 2;
    char *name = kti_allocate(room, 1);
    FILE *file = NULL;
    if (name)
        snprintf(name, room, "%s:%s", s->archive_name, entry);
    if (!name || (data && !(file = fmemopen(data, size, "rb")))) {
        status = kti_fail_memory(error, "a file of an archive");
    } else if (!data) {
        status = complain(name, of_entry.message, item, found, error);
    } else {
        s->text = kti_text_source_create(file, name, kti_structure_format_of(entry));
        s->text_data = data;
        name = data = NULL;
    }
    free(name);
    free(data);
    free(entry);
    return status;
}

static kt_status next_of_list(kti_source *s, kti_item *item, bool *found, kt_error *error)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length = getline(&line, &capacity, s->list);
    kt_status status = KT_OK;
    if (length < 0) {
        close_list(s);
    } else {
        s->list_line++;
        while (length > 0 &&
               (line[length - 1] == '\n' || line[length - 1] == '\r' || line[length - 1] == ' '))
            line[--length] = '\0';
        if (length > 0 && line[0] != '#')
            status = open_path(s, line, false, item, found, error);
    }
    free(line);
    return status;
}

static kt_status next_of_folder(kti_source *s, kti_item *item, bool *found, kt_error *error)
{
    folder *f = &s->folder[s->depth - 1];
    if (f->next == f->count) {
        close_folder(f);
        s->depth--;
        return KT_OK;
    }
    struct dirent *entry = f->entry[f->next++];
    char *path = kti_path_join(f->path, entry->d_name);
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && (kti_is_crystal_file(entry->d_name) || kti_is_folder(path)))
        status = open_path(s, path, false, item, found, error);
    free(entry);
    free(path);
    return status;
}

kt_status kti_source_next(kti_source *s, kti_item *item, bool *found, kt_error *error)
{
    kt_status status = KT_OK;
    *found = false;
    *item = (kti_item){0};
    while (status == KT_OK && !*found) {
        if (s->text.file || s->text.name)
            status = next_of_text(s, item, found, error);
        else if (s->archive)
            status = next_of_archive(s, item, found, error);
        else if (s->depth > 0)
            status = next_of_folder(s, item, found, error);
        else if (s->list)
            status = next_of_list(s, item, found, error);
        else if (s->next < s->count)
            status = open_path(s, s->path[s->next++], true, item, found, error);
        else
            break;
    }
    return status;
}

const kti_listing *kti_source_listing(const kti_source *s)
{
    return &s->listing;
}

void kti_source_progress(const kti_source *s, int64_t *done, int64_t *total)
{
    int64_t within = 0;
    if (s->archive)
        within = kti_archive_position(s->archive);
    else if (s->text.file && s->text_bytes > 0) {
        const long at = ftell(s->text.file);
        within = at > 0 ? at : 0;
    }
    *done = s->done + within;
    *total = s->listing.bytes;
}
