#include "analysis/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"

enum { NOT_FOUND = 127, NO_FOLDER = 126 };

/* In the child: quiet, since standard output and error belong to the program that uses this library. */
static void become_gnuplot(const char *folder, const char *script)
{
    const int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0 || chdir(folder) != 0)
        _exit(NO_FOLDER);
    execlp("gnuplot", "gnuplot", script, (char *)NULL);
    _exit(errno == ENOENT ? NOT_FOUND : NO_FOLDER);
}

kt_status kti_gnuplot(const char *folder, const char *script, bool *found, kt_error *error)
{
    int status = 0;
    *found = true;
    const pid_t child = fork();
    if (child < 0)
        return kti_fail(error, KT_IO, "gnuplot cannot be started: %s", strerror(errno));
    if (child == 0)
        become_gnuplot(folder, script);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return kti_fail(error, KT_IO, "gnuplot was lost: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
        *found = false;
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return kti_fail_file(error, KT_IO, folder,
                             "gnuplot could not draw %s; `cd %s && gnuplot %s` shows why", script, folder,
                             script);
    return KT_OK;
}
