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

typedef struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    {"train", "train or fine-tune nine folds on a data set", kti_cli_train},
    {"predict", "thermal conductivity or formation energy of crystals", kti_cli_predict},
    {"scan", "the same for a folder, an archive or a list of many crystals, as rows of a file", kti_cli_scan},
    {"analyze", "what a scan's predictions and their spread go with", kti_cli_analyze},
    {"report", "one HTML file of what a run, a data set, a scan or a reproduction shows", kti_cli_report},
    {"evaluate", "scores of trained models on their own and other data sets", kti_cli_evaluate},
    {"reproduce", "the paper's tables and figures beside ours, under both protocols", kti_cli_reproduce},
    {"submit", "hand a training to a cluster's queue", kti_cli_submit},
    {"collect", "one run of folds that were trained apart", kti_cli_collect},
    {"compare", "scores of runs beside each other, and where their recipes differ", kti_cli_compare},
    {"status", "how far runs are", kti_cli_status},
    {"calibrate", "make or renew what a model's intervals and warnings come from", kti_cli_calibrate},
    {"weights", "import, inspect and fetch weights", kti_cli_weights},
    {"data", "check, describe and fetch data sets", kti_cli_data},
    {"bench", "time the steps of training on this machine", kti_cli_bench},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("kappatune: lattice thermal conductivity of crystals by transfer learning\n\n"
          "usage: kappatune COMMAND ...\n\n"
          "commands:\n",
          out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("  help      what a command does and its options: kappatune help COMMAND\n\n"
          "options:\n"
          "  -h, --help     this text; after a command, the command's\n"
          "      --version  the version\n\n"
          "A model, weights, a recipe or a data set is given as a path, or by name: one of those that come "
          "with "
          "kappatune,\n"
          "or of the folders that KAPPATUNE_PATH lists (docs/install.md).\n\n"
          "example:\n"
          "  kappatune predict togo15-hh143 crystal.cif\n\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some inputs rejected (each is named "
          "with its\n"
          "reason), 4 stopped by a signal, to be gone on with. Results go to standard output, errors to "
          "standard error.\n",
          out);
}

static const command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS + 1] = {0};
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
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
    const command *found = find(name);
    if (!found)
        return unknown_command(name);
    snprintf(copy, sizeof copy, "%s", name);
    return found->run(2, arguments);
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
    if (strcmp(argv[1], "--version") == 0) {
        puts("kappatune " KAPPATUNE_VERSION);
        return KTI_EXIT_DONE;
    }
    const command *found = find(argv[1]);
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
