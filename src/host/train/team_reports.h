/* What a run says while it trains (messages, journals, progress), and the decision to stop, which the caller makes when
 * it is told the progress.
 *
 * All of it may be called by any worker's thread, and takes the team's lock itself.
 */
#ifndef KTI_TRAIN_TEAM_REPORTS_H
#define KTI_TRAIN_TEAM_REPORTS_H

#include "train/team.h"

/* Writes an event of the fold's present epoch to its replica's journal and, if `aloud`, gives the text to the caller's
 * message callback. `batch` counts from 1; 0: of no batch. If several devices share the fold, its rank 0 speaks for all. */
void kti_team_report(kti_team *team, const kti_fold *fold, const char *event, int batch, bool aloud,
                     const char *text);

/* Says in every journal that the run starts or goes on, and where: device, so many worker threads, rank. */
void kti_team_report_start(kti_team *team, int threads);

/* Says in every journal how the run ended, by the team's status. */
void kti_team_report_end(kti_team *team);

/* Counts an epoch of the fold as done, or a fold without epochs, and calls the caller's progress callback. True if that
 * asks to stop. */
bool kti_team_count_epoch(kti_team *team, const kti_fold *fold);

/* Tells those who share the fold whether they stop after the epoch; INT_MAX: after whichever they are in. */
void kti_team_decide(kti_team *team, const kti_fold *fold, int epoch, bool stop);

/* Whether to stop after the epoch that the fold has just finished. The fold's rank 0 counts the epoch and decides; the
 * others wait for its decision, since one that stopped alone would leave the rest waiting for its gradients. */
bool kti_team_asked_to_stop(kti_team *team, const kti_fold *fold);

#endif
