/* The processes that mpirun or srun started to share one command's work. */
#ifndef KTI_CLI_RANKS_H
#define KTI_CLI_RANKS_H

#include <stdbool.h>

#include "ranks/communicator.h"

/* Joins them; *ranks is NULL where there is but this process. Returns an exit status after printing why that cannot be, or -1 to go on.
 * Ranks that were started with other arguments than rank 0 are refused: they would do something else. Comes before anything that one
 * rank alone could fail at, since MPI waits for all; if one does not come, the others give up after a while. */
int kti_cli_join(int argc, char **argv, kt_communicator **ranks);

/* What each has found out by itself, its exit status or -1 to go on, becomes what all do: -1, or an exit status, where one cannot go on.
 * `failure` is why, if that was not printed yet; then rank 0 prints it, with the number of the rank. */
int kti_cli_agree(kt_communicator *ranks, int exit_status, const kt_error *failure);

/* Leaves them, in order if all ranks come here with the same outcome, and gives `exit_status` back. */
int kti_cli_leave(kt_communicator *ranks, int exit_status);

/* Prints the error, in rank 0 for all; returns the exit status that kti_cli_fail gives it. */
int kti_cli_fail_together(kt_communicator *ranks, const kt_error *error);

#endif
