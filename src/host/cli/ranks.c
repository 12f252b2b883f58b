#include "cli/ranks.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/hash.h"
#include "cli/options.h"
#include "device/device.h"

enum { MAX_LAUNCHED = 1 << 20, JOIN_SECONDS = 120 };

/* How many processes a launcher started beside this one; 1 if none did, 0 if it does not say. */
static int count_launched(void)
{
    /* Open MPI's mpirun; MPICH's and Intel's, and srun --mpi=pmi2; srun. A batch script of Slurm is not a step that srun started, and
     * has none of them. */
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = getenv(names[i]);
        const long size = text ? strtol(text, NULL, 10) : 0;
        if (size > 0 && size <= MAX_LAUNCHED)
            return (int)size;
    }
    return getenv("PMIX_RANK") ? 0 : 1;
}

static void say_lost(const char *text)
{
    kti_cli_warn("%s; what is finished is kept, --resume goes on", text);
}

static void give_up(int signal)
{
    static const char text[] = "kappatune: other ranks have not joined this one within "
                               "KAPPATUNE_JOIN_SECONDS (120 unless it is set); if one has ended before, it "
                               "says why\n";
    const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)signal;
    (void)written;
    _exit(KTI_EXIT_FAILED);
}

/* mpirun ends the ranks that wait in MPI_Init for one that is gone; srun does so with -K alone. */
static void limit_waiting(bool on)
{
    static struct sigaction before;
    const struct sigaction action = {.sa_handler = give_up};
    const char *text = getenv("KAPPATUNE_JOIN_SECONDS");
    const long seconds = text ? strtol(text, NULL, 10) : 0;
    if (on)
        sigaction(SIGALRM, &action, &before);
    alarm(!on ? 0 : seconds > 0 && seconds <= 86400 ? (unsigned)seconds : JOIN_SECONDS);
    if (!on)
        sigaction(SIGALRM, &before, NULL);
}

static kt_status compare_arguments(kt_communicator *ranks, int argc, char **argv, kt_error *error)
{
    uint64_t own = KTI_HASH_START;
    for (int i = 0; i < argc; i++)
        own = kti_hash(own, argv[i], strlen(argv[i]) + 1);
    return kti_communicator_compare(
        ranks, own,
        "was started with other arguments than rank 0; runs that have nothing to do with each other are jobs "
        "of their own, or steps of one task (srun -n 1)",
        error);
}

int kti_cli_join(int argc, char **argv, kt_communicator **ranks)
{
    kt_error error = KT_ERROR_NONE;
    const int launched = count_launched();
    *ranks = NULL;
    if (launched == 1)
        return -1;
    limit_waiting(true);
    const kt_status joined = kti_communicator_open(launched, say_lost, ranks, &error);
    limit_waiting(false);
    if (joined != KT_OK)
        return kti_cli_fail(&error);
    kti_device_prefer(kti_communicator_local_rank(*ranks));
    if (!*ranks || compare_arguments(*ranks, argc, argv, &error) == KT_OK)
        return -1;
    const int exit_status = kti_cli_leave(*ranks, kti_cli_fail_together(*ranks, &error));
    *ranks = NULL;
    return exit_status;
}

int kti_cli_agree(kt_communicator *ranks, int exit_status, const kt_error *failure)
{
    kt_error error = *failure;
    kt_status status = error.status;
    const bool said = exit_status >= 0 && status == KT_OK;
    if (said)
        status =
            kti_fail(&error, KT_BAD_ARGUMENT, "ends with exit status %d before the work begins", exit_status);
    if (kti_communicator_agree(ranks, status, NULL, NULL, &error) == KT_OK)
        return -1;
    return said ? exit_status : kti_cli_fail_together(ranks, &error);
}

int kti_cli_leave(kt_communicator *ranks, int exit_status)
{
    kti_communicator_close(ranks, true);
    return exit_status;
}

int kti_cli_fail_together(kt_communicator *ranks, const kt_error *error)
{
    if (kti_communicator_is_root(ranks))
        return kti_cli_fail(error);
    return error->status == KT_INTERRUPTED ? KTI_EXIT_STOPPED : KTI_EXIT_FAILED;
}
