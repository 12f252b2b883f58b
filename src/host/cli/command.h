/* A command of the program and its options, as tables; reading a command line by them, the help, shell completion, docs/options.md.
 *
 * The command line is read by glibc's argp; docs/developing/add-an-option.md says why.
 */
#ifndef KTI_CLI_COMMAND_H
#define KTI_CLI_COMMAND_H

#include <stdio.h>

#include "base/option.h"

enum { KTI_COMMAND_TABLES = 4, KTI_COMMAND_OPTIONS = 64 };

typedef struct kti_command {
    const char *name;
    const char *summary;   /* one line in the list of commands */
    const char *arguments; /* behind the name in the usage; a line each where there are several forms */
    const char *about;     /* before the options; paragraphs in lines of any length */
    const char *notes;     /* behind the options, likewise; NULL: none */
    const kti_option *options[KTI_COMMAND_TABLES]; /* tables; the first NULL ends them */
    const char *const *actions; /* words of which the first argument is one, ended by NULL; else NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns an exit status */
} kti_command;

/* One option of a command line, in the order in which they stand there. */
typedef struct kti_given {
    const kti_option *option;
    const char *value; /* NULL if it takes none */
} kti_given;

typedef struct kti_given_list {
    kti_given given[256];
    int size;
} kti_given_list;

/* Reads the command line into `list` without looking at the values, and prints the help if that is asked for. Sets optind to
 * the first of the arguments that are no options, which are moved behind the options. Returns an exit status, or -1 to go on. */
int kti_command_parse(const kti_command *command, int argc, char **argv, kti_given_list *list);

/* Whether the option with this flag (without its dashes) is in the list. */
bool kti_is_given(const kti_given_list *list, const char *flag);

/* Sets one option's value in `target`, the struct that its offset is of; false after printing what is wrong with it. */
bool kti_option_set(const kti_given *given, void *target);

/* Both: every option into `target`. Returns an exit status, or -1 to go on. */
int kti_command_read(const kti_command *command, int argc, char **argv, void *target);

void kti_command_help(const kti_command *command, FILE *out);

#endif
