/* Slurm: the script of a job, and handing it to sbatch. */
#ifndef KTI_CLI_SLURM_H
#define KTI_CLI_SLURM_H

#include <stdbool.h>

#include "base/text.h"
#include "cli/cluster.h"

typedef struct kti_slurm_job {
    const char *name;        /* of the job: anything, of which the script takes what Slurm likes */
    const char *program;     /* path of kappatune, where no container has it */
    const char *search_path; /* KAPPATUNE_PATH, by which the job finds the names in its recipe; NULL: none */
    const char *arguments;   /* its command and options, as words of a shell */
    int tasks, at_once;      /* of an array, and how many may run at a time (0: all); 0: no array */
    bool one_fold;           /* which keeps one core busy, however many the cluster file asks for */
    bool ranks;              /* it runs on the cluster's MPI ranks, if there are any */
} kti_slurm_job;

/* The script: it runs the program, has it checkpoint before the wall-time, and goes back into the queue. */
void kti_slurm_script(kti_text *script, const kti_cluster *cluster, const kti_slurm_job *job);

/* One word for a shell, whatever it holds. */
void kti_slurm_quote(kti_text *text, const char *word);

/* Runs argv (of sbatch, with --parsable) and waits; *id is the job's. KT_IO if there is no sbatch, or if it fails, after its own
 * message on standard error. */
kt_status kti_slurm_submit(char *const *argv, char id[32], kt_error *error);

#endif
