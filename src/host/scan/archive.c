#include "scan/archive.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/reader.h"

enum { BLOCK = 1 << 16 };

struct kti_archive {
    struct archive *archive;
    char *path;
    /* libarchive has a name that a .zip says to be UTF-8 only in the thread's charset, and none where that cannot express it. */
    locale_t utf8; /* (locale_t)0 where the system has none */
    int64_t entries;
};

bool kti_archive_is(const char *path)
{
    static const char *const ends[] = {".zip",    ".tar", ".tar.gz",  ".tgz",
                                       ".tar.xz", ".txz", ".tar.bz2", ".tar.zst"};
    const size_t length = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const size_t end = strlen(ends[i]);
        if (length > end && strcasecmp(path + length - end, ends[i]) == 0)
            return true;
    }
    return false;
}

static kt_status complain(const kti_archive *a, kt_error *error)
{
    const char *words = archive_error_string(a->archive);
    return kti_fail_file(error, KT_BAD_FORMAT, a->path, "is damaged or no archive: %.200s",
                         words ? words : "no reason is known");
}

kt_status kti_archive_open(const char *path, kti_archive **archive, kt_error *error)
{
    kti_archive *made = kti_allocate(1, sizeof *made);
    *archive = NULL;
    if (!made)
        return kti_fail_memory(error, "an archive");
    made->archive = archive_read_new();
    made->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    made->path = kti_duplicate_text(path);
    if (!made->archive || !made->path) {
        kti_archive_close(made);
        return kti_fail_memory(error, "an archive");
    }
    archive_read_support_filter_all(made->archive);
    archive_read_support_format_zip(made->archive);
    archive_read_support_format_tar(made->archive);
    archive_read_support_format_gnutar(made->archive);
    if (archive_read_open_filename(made->archive, path, BLOCK) != ARCHIVE_OK) {
        const kt_status status = complain(made, error);
        kti_archive_close(made);
        return status;
    }
    *archive = made;
    return KT_OK;
}

void kti_archive_close(kti_archive *archive)
{
    if (!archive)
        return;
    archive_read_free(archive->archive);
    if (archive->utf8)
        freelocale(archive->utf8);
    free(archive->path);
    free(archive);
}

/* The file's text, of at most `limit` bytes; NULL with a problem for what can't be used. */
static kt_status read_data(kti_archive *a, size_t limit, char **data, size_t *size, kt_error *problem,
                           kt_error *error)
{
    size_t capacity = 0;
    char *text = NULL;
    la_ssize_t got = 1;
    kt_status status = KT_OK;
    *size = 0;
    while (got > 0 && status == KT_OK && *size <= limit) {
        if (*size + BLOCK + 1 > capacity) {
            char *more = realloc(text, capacity = 2 * capacity + BLOCK + 1);
            if (!more) {
                status = kti_fail_memory(error, "a file of an archive");
                break;
            }
            text = more;
        }
        got = archive_read_data(a->archive, text + *size, BLOCK);
        *size += got > 0 ? (size_t)got : 0;
    }
    if (status == KT_OK && got == ARCHIVE_FATAL)
        status = complain(a, error);
    else if (status == KT_OK && got < 0)
        kti_fail(problem, KT_BAD_FORMAT, "is damaged: %.200s", archive_error_string(a->archive));
    else if (status == KT_OK && *size > limit)
        kti_fail(problem, KT_BAD_FORMAT, "is larger than %zu MiB", limit >> 20);
    else if (status == KT_OK && *size == 0)
        kti_fail(problem, KT_BAD_FORMAT, "is empty");
    if (status == KT_OK && problem->status == KT_OK) {
        text[*size] = '\0';
        *data = text;
    } else {
        free(text);
    }
    return status;
}

/* What is wrong with an entry before it is read. */
static void check_entry(struct archive_entry *entry, kt_error *problem)
{
    const char *link =
        archive_entry_symlink(entry) ? archive_entry_symlink(entry) : archive_entry_hardlink(entry);
    if (link)
        kti_fail(problem, KT_BAD_FORMAT, "is a link to %.200s, which is not followed", link);
    else if (archive_entry_filetype(entry) != AE_IFREG)
        kti_fail(problem, KT_BAD_FORMAT, "is no regular file");
    else if (archive_entry_is_data_encrypted(entry))
        kti_fail(problem, KT_BAD_FORMAT, "is encrypted");
}

/* Its name, which is the caller's; one whose name cannot be had is given its number, since nobody can tell what it is. NULL for what is no
 * structure file. */
static kt_status name_entry(const kti_archive *a, struct archive_entry *entry, char **name, kt_error *problem,
                            kt_error *error)
{
    const char *path = archive_entry_pathname(entry);
    char number[48];
    *name = NULL;
    if (archive_entry_filetype(entry) == AE_IFDIR ||
        (path && kti_structure_format_of(path) == KTI_FORMAT_UNKNOWN))
        return KT_OK;
    if (!path) {
        kti_fail(problem, KT_BAD_FORMAT, "its name cannot be read: %s",
                 a->utf8 ? "it is not the UTF-8 that the archive says it is"
                         : "this system has no locale C.UTF-8 to read it by");
        snprintf(number, sizeof number, "entry %lld", (long long)a->entries);
        path = number;
    }
    *name = kti_duplicate_text(path);
    return *name ? KT_OK : kti_fail_memory(error, "a file of an archive");
}

static kt_status next_entry(kti_archive *a, size_t limit, char **name, char **data, size_t *size,
                            kt_error *problem, kt_error *error)
{
    struct archive_entry *entry;
    kt_status status = KT_OK;
    *name = *data = NULL;
    *size = 0;
    while (!*name && status == KT_OK) {
        const int got = archive_read_next_header(a->archive, &entry);
        if (got == ARCHIVE_EOF)
            return KT_OK;
        if (got < ARCHIVE_WARN)
            return complain(a, error);
        a->entries++;
        status = name_entry(a, entry, name, problem, error);
    }
    if (status == KT_OK && problem->status == KT_OK)
        check_entry(entry, problem);
    if (status == KT_OK && problem->status == KT_OK)
        status = read_data(a, limit, data, size, problem, error);
    if (status != KT_OK) {
        free(*name);
        *name = NULL;
    }
    return status;
}

kt_status kti_archive_next(kti_archive *a, size_t limit, char **name, char **data, size_t *size,
                           kt_error *problem, kt_error *error)
{
    const locale_t before = a->utf8 ? uselocale(a->utf8) : (locale_t)0;
    const kt_status status = next_entry(a, limit, name, data, size, problem, error);
    if (before)
        uselocale(before);
    return status;
}

int64_t kti_archive_position(const kti_archive *archive)
{
    return archive_filter_bytes(archive->archive, -1);
}
