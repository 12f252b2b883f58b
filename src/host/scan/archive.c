#include "scan/archive.h"

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
    free(archive->path);
    free(archive);
}

/* At most `limit` bytes of the entry. */
static kt_status read_data(kti_archive *a, size_t limit, char **data, size_t *size, kt_error *error)
{
    size_t capacity = 0;
    char *text = NULL;
    *size = 0;
    for (;;) {
        if (*size + BLOCK + 1 > capacity) {
            char *more = realloc(text, capacity = 2 * capacity + BLOCK + 1);
            if (!more) {
                free(text);
                return kti_fail_memory(error, "a file of an archive");
            }
            text = more;
        }
        const la_ssize_t got = archive_read_data(a->archive, text + *size, BLOCK);
        if (got < 0) {
            free(text);
            return complain(a, error);
        }
        *size += (size_t)got;
        if (*size > limit) {
            free(text);
            text = NULL;
            break;
        }
        if (got == 0) {
            text[*size] = '\0';
            break;
        }
    }
    *data = text;
    return KT_OK;
}

kt_status kti_archive_next(kti_archive *a, size_t limit, char **name, char **data, size_t *size,
                           kt_error *error)
{
    struct archive_entry *entry;
    *name = *data = NULL;
    *size = 0;
    for (;;) {
        const int got = archive_read_next_header(a->archive, &entry);
        if (got == ARCHIVE_EOF)
            return KT_OK;
        if (got < ARCHIVE_WARN)
            return complain(a, error);
        const char *path = archive_entry_pathname(entry);
        if (!path || archive_entry_filetype(entry) != AE_IFREG ||
            kti_structure_format_of(path) == KTI_FORMAT_UNKNOWN)
            continue;
        char *kept = kti_duplicate_text(path);
        if (!kept)
            return kti_fail_memory(error, "a file of an archive");
        const kt_status status = read_data(a, limit, data, size, error);
        if (status == KT_OK)
            *name = kept;
        else
            free(kept);
        return status;
    }
}

int64_t kti_archive_position(const kti_archive *archive)
{
    return archive_filter_bytes(archive->archive, -1);
}
