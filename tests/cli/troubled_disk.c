/* Loaded before the C library (LD_PRELOAD): the n-th call that changes a disk fails as on a full one (FAIL_AT=n), or is the last that
 * the program comes to (KILL_AT=n), or from it on every rename fails (NO_RENAME_FROM=n); or somebody else makes the folder OTHER with a
 * file in it just before (OTHER_AT=n). NO_EXCHANGE: a file system that cannot exchange two names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;

static long asked(const char *name)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

/* By calls that are not counted. */
static void make_other(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/theirs", folder);
    mkdirat(AT_FDCWD, folder, 0777);
    mknodat(AT_FDCWD, path, S_IFREG | 0666, 0);
}

/* 0, or that this call fails. */
static int count(void)
{
    const long call = ++calls;
    if (call == asked("OTHER_AT"))
        make_other(getenv("OTHER"));
    if (call == asked("KILL_AT"))
        kill(getpid(), SIGKILL);
    if (call != asked("FAIL_AT"))
        return 0;
    errno = ENOSPC;
    return -1;
}

ssize_t write(int handle, const void *data, size_t size)
{
    ssize_t (*next)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return handle > STDERR_FILENO && count() ? -1 : next(handle, data, size);
}

int fsync(int handle)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return count() ? -1 : next(handle);
}

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    const long first = asked("NO_RENAME_FROM");
    if (count())
        return -1;
    if (first > 0 && calls >= first) {
        errno = EIO;
        return -1;
    }
    return next(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    int (*next)(const char *, mode_t) = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
    return count() ? -1 : next(path, mode);
}

int remove(const char *path)
{
    int (*next)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "remove");
    return count() ? -1 : next(path);
}

long syscall(long number, ...)
{
    long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long argument[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_renameat2 && getenv("NO_EXCHANGE")) {
        errno = EINVAL;
        return -1;
    }
    if (number == SYS_renameat2 && count())
        return -1;
    return next(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}
