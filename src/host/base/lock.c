#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"

static void name_owner(int handle)
{
    char host[128] = "", text[KTI_LOCK_OWNER];
    gethostname(host, sizeof host - 1);
    const int length = snprintf(text, sizeof text, "host %s, process %ld\n", host, (long)getpid());
    /* For people only: the lock holds without it. */
    if (ftruncate(handle, 0) == 0 && pwrite(handle, text, (size_t)length, 0) < 0)
        return;
}

static void read_owner(int handle, char owner[KTI_LOCK_OWNER])
{
    const ssize_t length = pread(handle, owner, KTI_LOCK_OWNER - 1, 0);
    owner[length > 0 ? length : 0] = '\0';
    owner[strcspn(owner, "\n")] = '\0';
    if (!*owner)
        snprintf(owner, KTI_LOCK_OWNER, "unknown owner");
}

static kt_status refuse(int handle, const char *folder, kt_error *error)
{
    char owner[KTI_LOCK_OWNER];
    read_owner(handle, owner);
    return kti_fail_file(error, KT_IO, folder, "another run is writing here (%s)", owner);
}

bool kti_lock_is_held(const char *folder, char owner[KTI_LOCK_OWNER])
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char *path = kti_path_join(folder, "lock");
    const int handle = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    const bool held = handle >= 0 && fcntl(handle, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    if (held)
        read_owner(handle, owner);
    if (handle >= 0)
        close(handle);
    free(path);
    return held;
}

kt_status kti_lock_take(kti_lock *lock, const char *folder, kt_error *error)
{
    const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    kt_status status = KT_OK;
    char *path = kti_path_join(folder, "lock");
    lock->handle = -1;
    if (!path)
        return kti_fail_memory(error, "a path");
    const int handle = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (handle < 0) {
        status = kti_fail_file(error, KT_IO, path, "cannot be opened: %s", strerror(errno));
    } else if (fcntl(handle, F_SETLK, &whole) != 0) {
        status = errno == EACCES || errno == EAGAIN
                     ? refuse(handle, folder, error)
                     : kti_fail_file(error, KT_IO, path, "cannot be locked: %s", strerror(errno));
        close(handle);
    } else {
        name_owner(handle);
        lock->handle = handle;
    }
    free(path);
    return status;
}

void kti_lock_release(kti_lock *lock)
{
    if (lock->handle >= 0)
        close(lock->handle);
    lock->handle = -1;
}
