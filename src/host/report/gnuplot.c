#include "report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"

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

/* ---- figures in files ---- */

static const char *markup(const kti_figure *figure)
{
    return figure->enhanced ? "enhanced" : "noenhanced";
}

void kti_figure_begin(const kti_figure *f, kti_text *script)
{
    kti_text_add(script,
                 "# Drawn by kappatune; draw it again: gnuplot on this file, in its folder.\n"
                 "set terminal pngcairo %s size %d,%d font 'Sans,12'\nset output '%s.png'\n",
                 markup(f), f->width, f->height, f->name);
}

kt_status kti_figure_finish(const kti_figure *f, kti_text *script, bool *drawn, kt_error *error)
{
    char file[64];
    snprintf(file, sizeof file, "%s.gp", f->name);
    kti_text_add(script,
                 "set terminal svg %s size %d,%d font 'Sans,12' background 'white'\nset output '%s.svg'\n"
                 "replot\n",
                 markup(f), f->width, f->height, f->name);
    char *path = kti_path_join(f->folder, file);
    kt_status status = path && !script->failed ? KT_OK : kti_fail_memory(error, "a figure");
    if (status == KT_OK)
        status = kti_file_write(path, script->data, script->size, error);
    if (status == KT_OK && *drawn)
        status = kti_gnuplot(f->folder, file, drawn, error);
    free(path);
    return status;
}
