#include "cli/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_int asked; /* set by a signal, read by the workers */

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    asked = 1;
}

void kti_stop_on_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESETHAND}, before;
    sigemptyset(&action.sa_mask);
    /* The second Ctrl-C kills: the first one's handler is gone. The others may come twice, from a batch
     * system and from the shell that ends with it, and must not cut the checkpoint short. */
    sigaction(SIGINT, &action, NULL);
    action.sa_flags = 0;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup ignores it */
        sigaction(SIGHUP, &action, NULL);
    /* Who reads the progress may go; the run must not. */
    signal(SIGPIPE, SIG_IGN);
}

bool kti_stop_asked(void)
{
    return asked != 0;
}
