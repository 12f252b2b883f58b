/* Signals that ask long work to stop: it checkpoints, then ends. */
#ifndef KTI_CLI_STOP_H
#define KTI_CLI_STOP_H

#include <stdbool.h>

/* From now on Ctrl-C (the second one kills), SIGTERM, SIGUSR1 and, unless the parent ignores it, SIGHUP only ask to stop,
 * and a lost standard error does not end the program. */
void kti_stop_on_signals(void);

/* Whether one of them came; from any thread. */
bool kti_stop_asked(void);

#endif
