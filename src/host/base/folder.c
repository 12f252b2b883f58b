#define _GNU_SOURCE /* syscall */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"

static bool is_own(const char *name, const char *const *own)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || kti_is_part(name))
        return true;
    while (*own && strcmp(name, *own) != 0)
        own++;
    return *own != NULL;
}

kt_status kti_folder_find_foreign(const char *folder, const char *const *own, char *name, size_t capacity,
                                  kt_error *error)
{
    *name = '\0';
    DIR *entries = opendir(folder);
    if (!entries)
        return errno == ENOENT || errno == ENOTDIR
                   ? KT_OK
                   : kti_fail_file(error, KT_IO, folder, "cannot be looked through: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(entries));)
        if (!is_own(entry->d_name, own) && (!*name || strcmp(entry->d_name, name) < 0))
            snprintf(name, capacity, "%s", entry->d_name);
    closedir(entries);
    return KT_OK;
}

/* ---- removing ---- */

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

kt_status kti_folder_remove(const char *path, kt_error *error)
{
    enum { OPEN_AT_ONCE = 16 };
    if (nftw(path, remove_entry, OPEN_AT_ONCE, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return KT_OK;
    return kti_fail_file(error, KT_IO, path, "cannot be removed: %s", strerror(errno));
}

/* ---- putting in place ---- */

kt_status kti_folder_flush(const char *path, kt_error *error)
{
    kt_status status = KT_OK;
    const int handle = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0)
        return kti_fail_file(error, KT_IO, path, "cannot be opened: %s", strerror(errno));
    /* Some file systems of networks flush no folders, and say so. */
    if (fsync(handle) != 0 && errno != EINVAL)
        status = kti_fail_file(error, KT_IO, path, "cannot be flushed to disk: %s", strerror(errno));
    close(handle);
    return status;
}

/* Both names change at once. false where the system or the file system cannot. */
static bool exchange(const char *left, const char *right)
{
#ifdef SYS_renameat2
    enum { EXCHANGE = 2 }; /* RENAME_EXCHANGE of linux/fs.h */
    return syscall(SYS_renameat2, AT_FDCWD, left, AT_FDCWD, right, EXCHANGE) == 0;
#else
    (void)left;
    (void)right;
    return false;
#endif
}

kt_status kti_folder_replace(const char *made, const char *path, const char *aside, kt_error *error)
{
    const bool stands = kti_is_folder(path);
    if (stands && exchange(made, path))
        return KT_OK;
    if (stands && rename(path, aside) != 0)
        return kti_fail_file(error, KT_IO, path, "cannot be moved aside: %s", strerror(errno));
    if (rename(made, path) == 0)
        return KT_OK;
    const int why = errno;
    if (stands && rename(aside, path) != 0)
        return kti_fail_file(error, KT_IO, path, "cannot be put in place: %s; what was there is %s",
                             strerror(why), aside);
    return kti_fail_file(error, KT_IO, path, "cannot be put in place: %s", strerror(why));
}
