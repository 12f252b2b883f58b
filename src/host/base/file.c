#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"

bool kti_ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

void kti_last_component(const char *path, char *text, size_t capacity)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    snprintf(text, capacity, "%.*s", (int)(end - begin), path + begin);
}

/* How a file ends that is still being written: a name that nobody else gives. */
#define KTI_PART ".kappatune-part"

kt_status kti_file_read(const char *path, size_t limit, char **data, size_t *size, kt_error *error)
{
    kt_status status = KT_OK;
    char *content = NULL;
    size_t used = 0;
    struct stat about;
    *data = NULL;
    *size = 0;
    /* Non-blocking, so that a named pipe in a folder of crystals cannot stop a run. */
    int handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (handle < 0)
        return kti_fail_file(error, KT_IO, path, "cannot be opened: %s", strerror(errno));
    if (fstat(handle, &about) != 0) {
        status = kti_fail_file(error, KT_IO, path, "cannot be examined: %s", strerror(errno));
        goto done;
    }
    if (!S_ISREG(about.st_mode)) {
        status = kti_fail_file(error, KT_IO, path, "is not a regular file");
        goto done;
    }
    if (about.st_size < 0 || (unsigned long long)about.st_size > limit) {
        status = kti_fail_file(error, KT_BAD_FORMAT, path, "has %lld bytes; at most %zu are accepted here",
                               (long long)about.st_size, limit);
        goto done;
    }
    content = malloc((size_t)about.st_size + 1);
    if (!content) {
        status = kti_fail_file(error, KT_OUT_OF_MEMORY, path, "not enough memory to read it");
        goto done;
    }
    while (used < (size_t)about.st_size) {
        ssize_t got = read(handle, content + used, (size_t)about.st_size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = kti_fail_file(error, KT_IO, path, "cannot be read: %s", strerror(errno));
            goto done;
        }
        if (got == 0)
            break;
        used += (size_t)got;
    }
    content[used] = '\0';
    *data = content;
    *size = used;
    content = NULL;
done:
    free(content);
    close(handle);
    return status;
}

static kt_status write_all(int handle, const char *data, size_t size, const char *path, kt_error *error)
{
    size_t written = 0;
    while (written < size) {
        ssize_t step = write(handle, data + written, size - written);
        if (step < 0 && errno == EINTR)
            continue;
        if (step < 0)
            return kti_fail_file(error, KT_IO, path, "cannot be written: %s", strerror(errno));
        written += (size_t)step;
    }
    return KT_OK;
}

/* Into something that is not a regular file: a pipe, a terminal, /dev/null. */
static kt_status write_through(const char *path, const void *data, size_t size, kt_error *error)
{
    const int handle = open(path, O_WRONLY | O_CLOEXEC);
    if (handle < 0)
        return kti_fail_file(error, KT_IO, path, "cannot be opened: %s", strerror(errno));
    kt_status status = write_all(handle, data, size, path, error);
    close(handle);
    return status;
}

char *kti_part_path(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t capacity = strlen(path) + strlen(suffix) + sizeof KTI_PART + 1;
    char *beside = malloc(capacity);
    if (beside)
        snprintf(beside, capacity, "%.*s.%s%s" KTI_PART, (int)(name - path), path, name, suffix);
    return beside;
}

bool kti_is_part(const char *name)
{
    const size_t length = strlen(name), tail = strlen(KTI_PART);
    return *name == '.' && length > tail + 1 && strcmp(name + length - tail, KTI_PART) == 0;
}

static kt_status write_beside(const char *path, const void *data, size_t size, kt_error *error)
{
    kt_status status = KT_OK;
    char number[24];
    snprintf(number, sizeof number, ".%ld", (long)getpid());
    char *beside = kti_part_path(path, number);
    if (!beside)
        return kti_fail_memory(error, "a file name");
    int handle = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (handle < 0) {
        status = kti_fail_file(error, KT_IO, path, "cannot be created: %s", strerror(errno));
        goto done;
    }
    status = write_all(handle, data, size, path, error);
    if (status == KT_OK && fsync(handle) != 0)
        status = kti_fail_file(error, KT_IO, path, "cannot be flushed to disk: %s", strerror(errno));
    if (close(handle) != 0 && status == KT_OK)
        status = kti_fail_file(error, KT_IO, path, "cannot be closed: %s", strerror(errno));
    if (status == KT_OK && rename(beside, path) != 0)
        status = kti_fail_file(error, KT_IO, path, "cannot be put in place: %s", strerror(errno));
    if (status != KT_OK)
        unlink(beside);
done:
    free(beside);
    return status;
}

kt_status kti_file_write(const char *path, const void *data, size_t size, kt_error *error)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return write_beside(path, data, size, error);
    if (!S_ISREG(about.st_mode))
        return write_through(path, data, size, error);
    /* A symbolic link stays one: what it points to is replaced. */
    char *target = realpath(path, NULL);
    kt_status status = write_beside(target ? target : path, data, size, error);
    free(target);
    return status;
}

void kti_remove_parts(const char *folder)
{
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (kti_is_part(entry->d_name))
            unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
}

bool kti_file_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

bool kti_is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

kt_status kti_make_folder(const char *path, kt_error *error)
{
    char *partial = strdup(path);
    if (!partial)
        return kti_fail_memory(error, "a path");
    kt_status status = KT_OK;
    for (char *slash = partial + (*partial != '\0');; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        char kept = *slash;
        *slash = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST) {
            status = kti_fail_file(error, KT_IO, partial, "the folder cannot be made: %s", strerror(errno));
            break;
        }
        *slash = kept;
        if (kept == '\0')
            break;
    }
    if (status == KT_OK && !kti_is_folder(path))
        status = kti_fail_file(error, KT_IO, path, "is not a folder");
    free(partial);
    return status;
}

char *kti_path_join(const char *folder, const char *name)
{
    size_t length = strlen(folder), capacity = length + strlen(name) + 2;
    char *path = malloc(capacity);
    if (!path)
        return NULL;
    const char *separator = length > 0 && folder[length - 1] == '/' ? "" : "/";
    snprintf(path, capacity, "%s%s%s", folder, separator, name);
    return path;
}
