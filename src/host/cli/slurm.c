#include "cli/slurm.h"

#include <ctype.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "cli/options.h"

extern char **environ;

/* ---- the script ---- */

void kti_slurm_quote(kti_text *text, const char *word)
{
    kti_text_add(text, "'");
    for (; *word; word++)
        if (*word == '\'')
            kti_text_add(text, "'\\''");
        else
            kti_text_add(text, "%c", *word);
    kti_text_add(text, "'");
}

static void add_word(kti_text *script, const char *option, const char *value)
{
    if (value)
        kti_text_add(script, "#SBATCH --%s=%s\n", option, value);
}

static void add_number(kti_text *script, const char *option, int value)
{
    if (value > 0)
        kti_text_add(script, "#SBATCH --%s=%d\n", option, value);
}

static void add_header(kti_text *script, const kti_cluster *cluster, const kti_slurm_job *job)
{
    kti_text_add(script, "#!/bin/bash\n#SBATCH --job-name=kappatune-");
    for (const char *c = job->name; *c; c++)
        kti_text_add(script, "%c", isalnum((unsigned char)*c) || strchr("-_.+", *c) ? *c : '_');
    kti_text_add(script, "\n");
    add_word(script, "account", cluster->account);
    add_word(script, "partition", cluster->partition);
    add_word(script, "time", cluster->time);
    add_number(script, "nodes", cluster->nodes > 0 && job->ranks ? cluster->nodes : 1);
    add_number(script, "ntasks", cluster->ranks > 0 && job->ranks ? cluster->ranks : 1);
    add_number(script, "cpus-per-task", job->one_fold ? 1 : cluster->cpus);
    add_word(script, "mem", cluster->memory);
    if (cluster->gpus > 0)
        kti_text_add(script, "#SBATCH --gres=gpu:%d\n", cluster->gpus);
    if (job->tasks > 0)
        kti_text_add(script, "#SBATCH --array=1-%d", job->tasks);
    if (job->tasks > 0 && job->at_once > 0)
        kti_text_add(script, "%%%d", job->at_once);
    kti_text_add(script, "%s#SBATCH --signal=B:USR1@%d\n#SBATCH --requeue\n#SBATCH --open-mode=append\n",
                 job->tasks > 0 ? "\n" : "", cluster->notice);
    for (size_t i = 0; i < json_array_size(cluster->sbatch); i++)
        kti_text_add(script, "#SBATCH %s\n", json_string_value(json_array_get(cluster->sbatch, i)));
}

static void add_program(kti_text *script, const kti_cluster *cluster, const kti_slurm_job *job)
{
    const bool ranks = cluster->ranks > 0 && job->ranks;
    if (ranks)
        kti_text_add(script, "srun -n %d --cpus-per-task=\"${SLURM_CPUS_PER_TASK:-1}\" ", cluster->ranks);
    if (ranks && cluster->mpi) {
        kti_text_add(script, "--mpi=");
        kti_slurm_quote(script, cluster->mpi);
        kti_text_add(script, " ");
    }
    if (cluster->container) {
        kti_text_add(script, "apptainer exec %s", cluster->gpus > 0 ? "--nv " : "");
        kti_slurm_quote(script, cluster->container);
        kti_text_add(script, " kappatune ");
    } else {
        kti_slurm_quote(script, job->program);
        kti_text_add(script, " ");
    }
    kti_text_add(script, "%s \\\n    --device ", job->arguments);
    kti_slurm_quote(script, cluster->device);
    if (cluster->gpus > 1 && !ranks) /* a rank takes one of its node's */
        kti_text_add(script, " --gpus %d", cluster->gpus);
    kti_text_add(script, " --threads \"${SLURM_CPUS_PER_TASK:-1}\" &\n");
}

void kti_slurm_script(kti_text *script, const kti_cluster *cluster, const kti_slurm_job *job)
{
    add_header(script, cluster, job);
    kti_text_add(
        script,
        "\n# Before the wall-time Slurm sends USR1 to this shell: the program checkpoints, ends with "
        "status %d, and the\n"
        "# job goes back into the queue, to go on from there.\n"
        "stopped=\nprogram=\n"
        "trap 'stopped=yes; [ -z \"$program\" ] || kill -USR1 \"$program\" 2>/dev/null' USR1\n\n",
        KTI_EXIT_STOPPED);
    for (size_t i = 0; i < json_array_size(cluster->modules); i++) {
        kti_text_add(script, "module load ");
        kti_slurm_quote(script, json_string_value(json_array_get(cluster->modules, i)));
        kti_text_add(script, "\n");
    }
    if (job->search_path) {
        kti_text_add(script, "export KAPPATUNE_PATH=");
        kti_slurm_quote(script, job->search_path);
        kti_text_add(script, "\n");
    }
    add_program(script, cluster, job);
    kti_text_add(script,
                 "program=$!\n"
                 "[ -z \"$stopped\" ] || kill -USR1 \"$program\" 2>/dev/null\n"
                 "# A signal ends `wait`, not the program.\n"
                 "while kill -0 \"$program\" 2>/dev/null; do wait \"$program\"; done\n"
                 "wait \"$program\"\n"
                 "status=$?\n\n"
                 "case $stopped$status in\n"
                 "yes%d | yes138) # 138: USR1 came before the program had begun\n"
                 "    if [ \"${SLURM_RESTART_COUNT:-0}\" -lt %d ]; then\n"
                 "        scontrol requeue \"$SLURM_JOB_ID\"\n"
                 "    else\n"
                 "        echo \"stopped, and not queued again: it was %d times\" >&2\n"
                 "    fi\n"
                 "    ;;\n"
                 "%d | yes%d) # done, some rows rejected: jobs that wait for this one can start\n"
                 "    status=0\n"
                 "    ;;\n"
                 "esac\n"
                 "exit \"$status\"\n",
                 KTI_EXIT_STOPPED, cluster->restarts, cluster->restarts, KTI_EXIT_REJECTS, KTI_EXIT_REJECTS);
}

/* ---- sbatch ---- */

/* What the program writes to `in`, as one line; whatever does not fit is read and dropped. */
static void read_line(int in, char *line, size_t capacity)
{
    char buffer[256];
    size_t used = 0;
    for (;;) {
        const ssize_t got = read(in, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        for (ssize_t i = 0; i < got && used + 1 < capacity; i++)
            line[used++] = buffer[i];
    }
    line[used] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

static int spawn(char *const *argv, pid_t *child, int *out)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0)
        return errno;
    int failed = posix_spawn_file_actions_init(&actions);
    if (!failed) {
        failed = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (!failed)
            failed = posix_spawn_file_actions_addclose(&actions, ends[0]);
        if (!failed && ends[1] != STDOUT_FILENO)
            failed = posix_spawn_file_actions_addclose(&actions, ends[1]);
        if (!failed)
            failed = posix_spawnp(child, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (failed)
        close(ends[0]);
    *out = ends[0];
    return failed;
}

kt_status kti_slurm_submit(char *const *argv, char id[32], kt_error *error)
{
    char line[256];
    pid_t child;
    int out = -1, status = 0;
    fflush(stdout);
    const int failed = spawn(argv, &child, &out);
    if (failed)
        return kti_fail(error, KT_IO, "%s cannot be started: %s%s", argv[0], strerror(failed),
                        failed == ENOENT ? "; is this a machine of the cluster?" : "");
    read_line(out, line, sizeof line);
    close(out);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return kti_fail(error, KT_IO, "%s was lost: %s", argv[0], strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return kti_fail(error, KT_IO, "%s took no job; its message stands above", argv[0]);
    /* "12", or "12;cluster". */
    const size_t digits = strspn(line, "0123456789");
    if (digits == 0 || digits >= 32 || (line[digits] != '\0' && line[digits] != ';'))
        return kti_fail(error, KT_IO, "%s says `%.100s`, which is no job's number", argv[0], line);
    snprintf(id, 32, "%.*s", (int)digits, line);
    return KT_OK;
}
