#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 24 };

kti_progress kti_progress_create(bool quiet, bool force)
{
    return (kti_progress){.quiet = quiet, .terminal = force || isatty(STDERR_FILENO), .shown = kti_seconds()};
}

void kti_format_duration(double seconds, char *text, int capacity)
{
    if (!(seconds >= 0) || seconds > 1e8)
        snprintf(text, (size_t)capacity, "?");
    else if (seconds >= 3600)
        snprintf(text, (size_t)capacity, "%d h %02d min", (int)(seconds / 3600), (int)fmod(seconds / 60, 60));
    else if (seconds >= 60)
        snprintf(text, (size_t)capacity, "%d min %02d s", (int)(seconds / 60), (int)fmod(seconds, 60));
    else
        snprintf(text, (size_t)capacity, "%.0f s", seconds);
}

/* Of the terminal, in columns. */
static int width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void kti_progress_show(kti_progress *progress, int64_t done, int64_t total, double seconds_left,
                       const char *detail)
{
    const double now = kti_seconds();
    char left[32], bar[BAR_WIDTH + 1], line[256];
    if (progress->quiet || (done < total && now - progress->shown < (progress->terminal ? 0.1 : 10)))
        return;
    progress->shown = now;
    kti_format_duration(seconds_left, left, sizeof left);
    const int percent = (int)(100 * done / (total ? total : 1));
    if (!progress->terminal) {
        fprintf(stderr, "%3d %%  %s left, %s\n", percent, left, detail);
        return;
    }
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = (int64_t)i * total < done * BAR_WIDTH ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    snprintf(line, sizeof line, "[%s] %3d %%  %s left, %s", bar, percent, left, detail);
    /* A line that wraps could not be drawn over; in the last column the erasing would take its letter. */
    fprintf(stderr, "\r%.*s\033[K", width() - 1, line);
    fflush(stderr);
    progress->drawn = true;
}

void kti_progress_end(kti_progress *progress)
{
    if (progress->drawn)
        fputc('\n', stderr);
    progress->drawn = false;
}
