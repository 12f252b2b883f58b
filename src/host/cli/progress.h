/* Progress of long work: a bar on a terminal, a plain line now and then elsewhere. All goes to stderr. */
#ifndef KTI_CLI_PROGRESS_H
#define KTI_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kti_progress {
    bool quiet;    /* nothing at all */
    bool terminal; /* redraw one line */
    double shown;  /* when the last line was shown, s */
    bool drawn;    /* a bar stands on the present line */
} kti_progress;

/* A bar if stderr is a terminal or `force`. */
kti_progress kti_progress_create(bool quiet, bool force);

/* Shows done of total, the time left, and `detail`; at most ten times a second on a terminal, every ten
 * seconds elsewhere, and always at the end. On a terminal the line is cut to its width. */
void kti_progress_show(kti_progress *progress, int64_t done, int64_t total, double seconds_left,
                       const char *detail);

/* Leaves the bar's line, so that other text can follow. */
void kti_progress_end(kti_progress *progress);

/* "1 h 02 min", "3 min 20 s", "12 s". */
void kti_format_duration(double seconds, char *text, int capacity);

#endif
