#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static kt_status refuse(int handle, const char *subject, kt_error *error)
{
    char owner[KTI_LOCK_OWNER];
    read_owner(handle, owner);
    return kti_fail_file(error, KT_IO, subject, "another run is writing here (%s)", owner);
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

/* Whether the file is still there: who held it before may have removed it. */
static bool is_there(int handle, const char *path)
{
    struct stat held, there;
    return fstat(handle, &held) == 0 && stat(path, &there) == 0 && held.st_ino == there.st_ino &&
           held.st_dev == there.st_dev;
}

/* How often a lock's file may vanish between its opening and its lock, before the file system is held for one that tells no truth. */
enum { MAX_TRIES = 1000 };

/* `subject`: what is locked, for people. */
static kt_status take(kti_lock *lock, const char *path, const char *subject, kt_error *error)
{
    const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *lock = (kti_lock)KTI_LOCK_NONE;
    for (int i = 0; i < MAX_TRIES; i++) {
        const int handle = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (handle < 0)
            return kti_fail_file(error, KT_IO, path, "cannot be opened: %s", strerror(errno));
        if (fcntl(handle, F_SETLK, &whole) != 0) {
            const kt_status status =
                errno == EACCES || errno == EAGAIN
                    ? refuse(handle, subject, error)
                    : kti_fail_file(error, KT_IO, path, "cannot be locked: %s", strerror(errno));
            close(handle);
            return status;
        }
        if (is_there(handle, path)) {
            name_owner(handle);
            lock->handle = handle;
            return KT_OK;
        }
        close(handle);
    }
    return kti_fail_file(error, KT_IO, path,
                         "cannot be locked: it is another file each time it is looked at");
}

kt_status kti_lock_take(kti_lock *lock, const char *folder, kt_error *error)
{
    char *path = kti_path_join(folder, "lock");
    *lock = (kti_lock)KTI_LOCK_NONE;
    const kt_status status = path ? take(lock, path, folder, error) : kti_fail_memory(error, "a path");
    free(path);
    return status;
}

kt_status kti_lock_take_file(kti_lock *lock, const char *file, kt_error *error)
{
    static const char tail[] = ".lock";
    char *real =
        realpath(file, NULL); /* a link and what it leads to have one lock; NULL where nothing is there yet */
    const char *target = real ? real : file;
    const size_t room = strlen(target) + sizeof tail;
    char *path = malloc(room);
    *lock = (kti_lock)KTI_LOCK_NONE;
    if (path)
        snprintf(path, room, "%s%s", target, tail);
    const kt_status status = path ? take(lock, path, file, error) : kti_fail_memory(error, "a path");
    free(real);
    if (status == KT_OK)
        lock->removed = path;
    else
        free(path);
    return status;
}

void kti_lock_release(kti_lock *lock)
{
    /* Before it is free, or it might be another's by then. */
    if (lock->removed)
        unlink(lock->removed);
    free(lock->removed);
    if (lock->handle >= 0)
        close(lock->handle);
    *lock = (kti_lock)KTI_LOCK_NONE;
}
