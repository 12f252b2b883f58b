#include "scan/listing.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "crystal/reader.h"
#include "scan/source.h"

enum { MAX_TEXT = 256 << 20 }; /* bytes of names that are sent to find an example */

bool kti_is_crystal_file(const char *name)
{
    return name[0] != '.' && kti_structure_format_of(name) != KTI_FORMAT_UNKNOWN;
}

bool kti_is_list(const char *path)
{
    const char *dot = strrchr(path, '.');
    return strcmp(path, "-") == 0 || (dot && (strcasecmp(dot, ".txt") == 0 || strcasecmp(dot, ".list") == 0));
}

int64_t kti_bytes_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) ? (int64_t)status.st_size : 0;
}

/* ---- going through them ---- */

typedef struct walk {
    kti_listing listing;
    kti_text *names; /* a line each; NULL: none wanted */
} walk;

static void note(walk *w, const char *path, int64_t bytes, uint64_t content)
{
    uint64_t hash = kti_hash(KTI_HASH_START, path, strlen(path) + 1);
    hash = kti_hash(hash, &bytes, sizeof bytes);
    w->listing.hash += kti_hash(hash, &content, sizeof content);
    w->listing.files++;
    if (!w->names || w->names->size >= MAX_TEXT)
        return;
    const size_t begin = w->names->size;
    kti_text_add(w->names, "%s (%lld bytes", path, (long long)bytes);
    if (content != 0)
        kti_text_add(w->names, ", content %016" PRIx64, content);
    for (size_t i = begin; i < w->names->size; i++)
        if (w->names->data[i] == '\n')
            w->names->data[i] = '?';
    kti_text_add(w->names, ")\n");
}

static uint64_t hash_content(const char *path)
{
    char block[1 << 14];
    uint64_t hash = KTI_HASH_START;
    FILE *file = kti_file_exists(path) ? fopen(path, "rb") : NULL;
    for (size_t got; file && (got = fread(block, 1, sizeof block, file)) > 0;)
        hash = kti_hash(hash, block, got);
    if (file)
        fclose(file);
    return hash;
}

static void visit(walk *w, const char *path, int depth)
{
    DIR *open = depth < KTI_MAX_DEPTH && kti_is_folder(path) ? opendir(path) : NULL;
    if (!open) {
        const bool list = depth == 0 && kti_is_list(path);
        const int64_t bytes = kti_bytes_of(path);
        note(w, path, bytes, list ? hash_content(path) : 0);
        w->listing.bytes += list ? 0 : bytes;
        return;
    }
    for (const struct dirent *entry; (entry = readdir(open));) {
        if (entry->d_name[0] == '.')
            continue;
        char *inner = kti_path_join(path, entry->d_name);
        if (inner && (kti_is_crystal_file(entry->d_name) || kti_is_folder(inner)))
            visit(w, inner, depth + 1);
        free(inner);
    }
    closedir(open);
}

kti_listing kti_listing_of(char *const *paths, int count)
{
    walk w = {0};
    for (int i = 0; i < count; i++)
        visit(&w, paths[i], 0);
    return w.listing;
}

/* ---- comparing ---- */

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* All files, a line each in the order of bytes (free()). Empty where that would be too much: it is for an example only. */
static char *list_sorted(char *const *paths, int count)
{
    kti_text names = {0};
    walk w = {.names = &names};
    for (int i = 0; i < count; i++)
        visit(&w, paths[i], 0);
    const size_t lines = (size_t)w.listing.files;
    char **line = kti_allocate(lines, sizeof *line), *sorted = kti_allocate(names.size + 1, 1),
         *at = names.data;
    if (!names.failed && names.size < MAX_TEXT && line && sorted && at) {
        char *to = sorted;
        for (size_t i = 0; i < lines; i++) {
            line[i] = at;
            at = strchr(at, '\n');
            *at++ = '\0';
        }
        qsort(line, lines, sizeof *line, by_bytes);
        for (size_t i = 0; i < lines; i++)
            to += sprintf(to, "%s\n", line[i]);
    }
    free(line);
    kti_text_destroy(&names);
    return sorted;
}

/* The first line that one of two sorted texts has and the other has not; NULL: none. */
static const char *first_difference(const char *left, const char *right, bool *of_left)
{
    while (*left || *right) {
        const size_t l = strcspn(left, "\n"), r = strcspn(right, "\n");
        int order = !*left ? 1 : !*right ? -1 : memcmp(left, right, l < r ? l : r);
        order = order != 0 ? order : (l > r) - (l < r);
        *of_left = order < 0;
        if (order != 0)
            return order < 0 ? left : right;
        left += l + 1;
        right += r + 1;
    }
    return NULL;
}

/* An example of what own and rank 0's list do not have in common, as a sentence's part. */
static void give_example(const char *own, const char *root, char *text, size_t capacity)
{
    bool of_own = false;
    const char *line = *own && *root ? first_difference(own, root, &of_own) : NULL;
    if (line)
        snprintf(text, capacity, "; %s alone sees %.*s", of_own ? "this rank" : "rank 0",
                 (int)strcspn(line, "\n"), line);
}

/* After a difference; all ranks. */
static void exchange_names(char *const *paths, int count, kt_communicator *ranks, char *text, size_t capacity)
{
    kt_error unheard = KT_ERROR_NONE;
    char *own = list_sorted(paths, count), *root = NULL;
    const char *sent = own ? own : "";
    size_t size = 0;
    text[0] = '\0';
    for (int i = 1; i < kti_communicator_size(ranks) && kti_communicator_is_root(ranks); i++)
        kti_communicator_send(ranks, i, sent, strlen(sent) + 1, &unheard);
    if (!kti_communicator_is_root(ranks) &&
        kti_communicator_receive(ranks, 0, NULL, NULL, (void **)&root, &size, &unheard) == KT_OK)
        give_example(sent, root, text, capacity);
    free(own);
    free(root);
}

kt_status kti_listing_compare(const kti_listing *own, char *const *paths, int count, kt_communicator *ranks,
                              kt_error *error)
{
    kti_listing root = *own;
    char example[300];
    if (!ranks)
        return KT_OK;
    kt_status status = kti_communicator_broadcast(ranks, &root, sizeof root, error);
    if (status != KT_OK)
        return status;
    const bool same = own->files == root.files && own->bytes == root.bytes && own->hash == root.hash;
    kt_error other = KT_ERROR_NONE;
    /* All learn of it, since all have a part in finding the example. */
    if (kti_communicator_agree(ranks, same ? KT_OK : kti_fail(&other, KT_BAD_ARGUMENT, "other files"), NULL,
                               NULL, &other) == KT_OK)
        return KT_OK;
    exchange_names(paths, count, ranks, example, sizeof example);
    if (!same)
        status =
            kti_fail(error, KT_BAD_ARGUMENT,
                     "sees other files than rank 0: %lld with %lld bytes instead of %lld with %lld%s; all "
                     "ranks must see the same",
                     (long long)own->files, (long long)own->bytes, (long long)root.files,
                     (long long)root.bytes, example);
    return kti_communicator_agree(ranks, status, NULL, NULL, error);
}
