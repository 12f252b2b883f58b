/* The program: finds the command and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/analyze.h"
#include "cli/bench.h"
#include "cli/calibrate.h"
#include "cli/collect.h"
#include "cli/compare.h"
#include "cli/data.h"
#include "cli/describe.h"
#include "cli/evaluate.h"
#include "cli/options.h"
#include "cli/predict.h"
#include "cli/report.h"
#include "cli/reproduce.h"
#include "cli/scan.h"
#include "cli/status.h"
#include "cli/submit.h"
#include "cli/train.h"
#include "cli/weights.h"

static const kti_command *const commands[] = {
    &kti_train_command,   &kti_predict_command,  &kti_scan_command,      &kti_analyze_command,
    &kti_report_command,  &kti_evaluate_command, &kti_reproduce_command, &kti_submit_command,
    &kti_collect_command, &kti_compare_command,  &kti_status_command,    &kti_calibrate_command,
    &kti_weights_command, &kti_data_command,     &kti_bench_command,     NULL,
};

enum { COMMANDS = sizeof commands / sizeof commands[0] - 1 };

static void print_help(FILE *out)
{
    fputs("kappatune: lattice thermal conductivity of crystals by transfer learning\n\n"
          "usage: kappatune COMMAND ...\n\n"
          "commands:\n",
          out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s  %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help        what a command does and its options: kappatune help COMMAND\n"
          "  completion  a script that completes commands and options: completion bash\n"
          "\n"
          "options:\n"
          "  -h, --help     this text; after a command, the command's\n"
          "      --version  the version\n"
          "\n"
          "A model, weights, a recipe or a data set is given as a path, or by name: one of\n"
          "those that come with kappatune, or of the folders that KAPPATUNE_PATH lists\n"
          "(docs/install.md).\n"
          "\n"
          "example:\n"
          "  kappatune predict togo15-hh143 crystal.cif\n"
          "\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some inputs rejected\n"
          "(each is named with its reason), 4 stopped by a signal, to be resumed. Results\n"
          "go to standard output, errors to standard error.\n",
          out);
}

static const kti_command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS + 1] = {0};
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *near = kti_cli_nearest(name, names);
    if (name[0] == '-')
        kti_cli_warn("there is no option %s before a command", name);
    else if (near)
        kti_cli_warn("there is no command '%s'; did you mean '%s'?", name, near);
    else
        kti_cli_warn("there is no command '%s'", name);
    fputs("Try 'kappatune --help'.\n", stderr);
    return KTI_EXIT_USAGE;
}

static int help(const char *name)
{
    char option[] = "--help", copy[64], *arguments[] = {copy, option, NULL};
    if (!name) {
        print_help(stdout);
        return KTI_EXIT_DONE;
    }
    if (strcmp(name, "--markdown") == 0) {
        kti_print_options(commands, stdout);
        return KTI_EXIT_DONE;
    }
    const kti_command *found = find(name);
    if (!found)
        return unknown_command(name);
    snprintf(copy, sizeof copy, "%s", name);
    return found->run(2, arguments);
}

static int complete(const char *shell)
{
    if (!shell || strcmp(shell, "bash") != 0)
        return kti_cli_usage("completion", "name the shell: bash");
    kti_print_completion(commands, stdout);
    return KTI_EXIT_DONE;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return KTI_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(NULL);
    if (strcmp(argv[1], "help") == 0)
        return help(argv[2]);
    if (strcmp(argv[1], "completion") == 0)
        return complete(argv[2]);
    if (strcmp(argv[1], "--version") == 0) {
        puts("kappatune " KAPPATUNE_VERSION);
        return KTI_EXIT_DONE;
    }
    const kti_command *found = find(argv[1]);
    return found ? found->run(argc - 1, argv + 1) : unknown_command(argv[1]);
}

/* A standard stream that the parent has closed would give its number to the next file that is opened, and
 * messages would land in a checkpoint. Writing to what stands here now fails, as it would to a closed one. */
static void reserve_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDONLY) == -1)
            return;
}

int main(int argc, char **argv)
{
    reserve_standard_streams();
    /* A parent may have set it to be ignored; a reader that has seen enough (`| head`) ends the program
     * without a word. */
    signal(SIGPIPE, SIG_DFL);
    const int status = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        kti_cli_warn("standard output: %s", strerror(errno));
        return KTI_EXIT_FAILED;
    }
    return status;
}
