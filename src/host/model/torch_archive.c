#include "model/torch_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/pickle.h"

enum { MAX_ENTRIES = 20000 };

static const char pickle_entry[] = "/data.pkl";

typedef struct archive {
    zip_t *zip;
    const char *name;
    char *folder; /* owned; what stands before "/data.pkl" */
} archive;

/* "weights.pt (state/data.pkl)": the file of an error that counts bytes within an entry. */
static char *entry_title(const archive *in, const char *entry)
{
    size_t capacity = strlen(in->name) + strlen(entry) + 4;
    char *title = malloc(capacity);
    if (title)
        snprintf(title, capacity, "%s (%s)", in->name, entry);
    return title;
}

static kt_status open_archive(archive *in, const void *data, size_t size, kt_error *error)
{
    zip_error_t about;
    zip_error_init(&about);
    zip_source_t *source = zip_source_buffer_create(data, size, 0, &about);
    if (source)
        in->zip = zip_open_from_source(source, ZIP_RDONLY, &about);
    if (in->zip) {
        zip_error_fini(&about);
        return KT_OK;
    }
    zip_source_free(source);
    kt_status status = zip_error_code_zip(&about) == ZIP_ER_MEMORY ? KT_OUT_OF_MEMORY : KT_BAD_FORMAT;
    kti_fail_file(error, status, in->name, "cannot be opened as a zip: %s", zip_error_strerror(&about));
    zip_error_fini(&about);
    return status;
}

/* Sizes and names of all entries, before any is unpacked; finds the folder. */
static kt_status survey(archive *in, kt_error *error)
{
    const size_t suffix = sizeof pickle_entry - 1;
    zip_int64_t entries = zip_get_num_entries(in->zip, 0);
    zip_uint64_t total = 0;
    if (entries > MAX_ENTRIES)
        return kti_fail_file(error, KT_BAD_FORMAT, in->name, "has %lld entries; at most %d are accepted",
                             (long long)entries, (int)MAX_ENTRIES);
    for (zip_int64_t i = 0; i < entries; i++) {
        zip_stat_t about;
        zip_stat_init(&about);
        if (zip_stat_index(in->zip, (zip_uint64_t)i, 0, &about) != 0 || !(about.valid & ZIP_STAT_NAME) ||
            !(about.valid & ZIP_STAT_SIZE))
            return kti_fail_file(error, KT_BAD_FORMAT, in->name, "entry %lld cannot be read: %s",
                                 (long long)i, zip_strerror(in->zip));
        if (about.size > KTI_TORCH_UNPACKED || (total += about.size) > KTI_TORCH_UNPACKED)
            return kti_fail_file(error, KT_BAD_FORMAT, in->name,
                                 "unpacks to more than the %d bytes that are accepted (entry `%.100s`)",
                                 (int)KTI_TORCH_UNPACKED, about.name);
        size_t length = strlen(about.name);
        if (length <= suffix || strcmp(about.name + length - suffix, pickle_entry) != 0)
            continue;
        if (in->folder)
            return kti_fail_file(error, KT_BAD_FORMAT, in->name, "has two entries `data.pkl`");
        in->folder = kti_duplicate_text(about.name);
        if (!in->folder)
            return kti_fail_memory(error, "the name of a zip entry");
        in->folder[length - suffix] = '\0';
    }
    if (!in->folder)
        return kti_fail_file(error, KT_BAD_FORMAT, in->name, "has no entry `data.pkl`; torch.save makes one");
    return KT_OK;
}

/* The whole of entry <folder>/<within> into a malloc'ed block; *title is its title for errors (free()), set
 * also on failure where memory allows. */
static kt_status unpack(archive *in, const char *within, size_t limit, char **title, void **data,
                        size_t *size, kt_error *error)
{
    kt_status status = KT_OK;
    char *content = NULL, beyond;
    zip_file_t *file = NULL;
    zip_stat_t about;
    char *entry = kti_path_join(in->folder, within);
    *title = entry ? entry_title(in, entry) : NULL;
    if (!*title) {
        status = kti_fail_memory(error, "the name of a zip entry");
        goto done;
    }
    zip_stat_init(&about);
    if (zip_stat(in->zip, entry, 0, &about) != 0) {
        status = kti_fail_file(error, KT_BAD_FORMAT, *title, "the entry is missing");
        goto done;
    }
    if (about.size > limit) {
        status =
            kti_fail_file(error, KT_BAD_FORMAT, *title, "the entry has %llu bytes; at most %zu are accepted",
                          (unsigned long long)about.size, limit);
        goto done;
    }
    content = malloc((size_t)about.size + 1);
    if (!content) {
        status = kti_fail_file(error, KT_OUT_OF_MEMORY, *title, "not enough memory to unpack it");
        goto done;
    }
    file = zip_fopen_index(in->zip, about.index, 0);
    /* The last read meets the entry's end, where libzip compares the checksum. */
    if (!file || zip_fread(file, content, about.size) != (zip_int64_t)about.size ||
        zip_fread(file, &beyond, 1) != 0) {
        status = kti_fail_file(error, KT_BAD_FORMAT, *title, "the entry is damaged: %s",
                               file ? zip_file_strerror(file) : zip_strerror(in->zip));
        goto done;
    }
    *data = content;
    *size = (size_t)about.size;
    content = NULL;
done:
    if (file)
        zip_fclose(file);
    free(content);
    free(entry);
    return status;
}

static kt_status get_storage(void *context, const char *key, size_t bytes, void **data, kt_error *error)
{
    char within[32], *title = NULL;
    size_t size = 0;
    snprintf(within, sizeof within, "data/%s", key);
    kt_status status = unpack(context, within, KTI_TORCH_UNPACKED, &title, data, &size, error);
    if (status == KT_OK && size != bytes) {
        status = kti_fail_file(error, KT_BAD_FORMAT, title, "the storage has %zu bytes; the pickle says %zu",
                               size, bytes);
        free(*data);
        *data = NULL;
    }
    free(title);
    return status;
}

/* Newer files state their byte order; without the entry it is little-endian. */
static kt_status check_byte_order(archive *in, kt_error *error)
{
    char *entry = kti_path_join(in->folder, "byteorder"), *title = NULL;
    void *text = NULL;
    size_t size = 0;
    kt_status status = KT_OK;
    if (!entry)
        return kti_fail_memory(error, "the name of a zip entry");
    if (zip_name_locate(in->zip, entry, 0) >= 0) {
        status = unpack(in, "byteorder", 64, &title, &text, &size, error);
        if (status == KT_OK && (size < 6 || memcmp(text, "little", 6) != 0))
            status = kti_fail_file(error, KT_BAD_FORMAT, title, "the byte order must be little");
    }
    free(entry);
    free(title);
    free(text);
    return status;
}

kt_status kti_torch_parse(const void *data, size_t size, const char *name, kti_tensors *tensors,
                          kt_error *error)
{
    archive in = {.name = name};
    void *pickle = NULL;
    size_t pickle_size = 0;
    char *title = NULL;
    *tensors = (kti_tensors){0};
    kt_status status = open_archive(&in, data, size, error);
    if (status == KT_OK)
        status = survey(&in, error);
    if (status == KT_OK)
        status = check_byte_order(&in, error);
    if (status == KT_OK)
        status = unpack(&in, "data.pkl", KTI_PICKLE_LIMIT, &title, &pickle, &pickle_size, error);
    if (status == KT_OK) {
        kti_storage_source source = {get_storage, &in};
        status = kti_pickle_parse(pickle, pickle_size, title, &source, tensors, error);
    }
    if (in.zip)
        zip_discard(in.zip);
    free(in.folder);
    free(title);
    free(pickle);
    return status;
}

kt_status kti_torch_read(const char *path, kti_tensors *tensors, kt_error *error)
{
    char *data = NULL;
    size_t size = 0;
    *tensors = (kti_tensors){0};
    kt_status status = kti_file_read(path, KTI_TORCH_LIMIT, &data, &size, error);
    if (status == KT_OK)
        status = kti_torch_parse(data, size, path, tensors, error);
    free(data);
    return status;
}
