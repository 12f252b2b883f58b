/* log.jsonl: one JSON object a line for what happens in a run, appended as it happens.
 *
 * Not thread-safe: the caller holds its lock. A line that cannot be written is no reason to stop training.
 */
#ifndef KTI_TRAIN_JOURNAL_H
#define KTI_TRAIN_JOURNAL_H

#include <stdio.h>

#include <kappatune/error.h>

typedef struct kti_journal {
    FILE *file; /* NULL: nothing is written */
} kti_journal;

/* Opens run/log.jsonl, of a rank above 0 run/log.rank<rank>.jsonl, to append to it if `append`; run NULL gives a journal that writes
 * nothing. */
kt_status kti_journal_open(kti_journal *journal, const char *run, int rank, int append, kt_error *error);
void kti_journal_close(kti_journal *journal);

/* {"time", "event", "fold", "epoch", "batch", "text"}; the numbers are left out when 0. */
void kti_journal_event(kti_journal *journal, const char *event, int fold, int epoch, int batch,
                       const char *text);

#endif
