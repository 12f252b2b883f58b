/* What every command does alike: read its options strictly, and say what is wrong.
 *
 * Results go to standard output; everything here is written to standard error, in lines that begin with
 * "kappatune: ".
 */
#ifndef KTI_CLI_OPTIONS_H
#define KTI_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <unistd.h>

#include <kappatune/error.h>

/* Exit status of the program and of every command. */
enum {
    KTI_EXIT_DONE = 0,
    KTI_EXIT_FAILED = 1,
    KTI_EXIT_USAGE = 2,
    KTI_EXIT_REJECTS = 3, /* done, but some inputs were left out, each of them named */
    KTI_EXIT_STOPPED = 4  /* not done: a signal asked to stop; the same work can go on */
};

typedef enum kti_output { KTI_OUTPUT_TABLE, KTI_OUTPUT_CSV, KTI_OUTPUT_JSON } kti_output;

/* Words of options that several commands have, ended by NULL. */
extern const char *const kti_output_names[]; /* of kti_output */
extern const char *const kti_table_or_json[];
extern const char *const kti_property_names[]; /* of kt_property */
extern const char *const kti_device_names[];   /* that predict */

/* Processors of this machine, 1 to 1,024: the default of --threads. */
int kti_cli_processors(void);

/* Prints "kappatune: COMMAND: message" and how to get help; returns KTI_EXIT_USAGE. */
int kti_cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the error as "kappatune: file:line: message"; returns KTI_EXIT_FAILED, of KT_INTERRUPTED KTI_EXIT_STOPPED. */
int kti_cli_fail(const kt_error *error);

/* KT_BAD_ARGUMENT if writing `path` would replace a file that does not begin as ours of that kind do, and so is somebody's. */
kt_status kti_cli_spare(const char *path, const char *beginning, kt_error *error);

/* Prints "kappatune: message". */
void kti_cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value of an option: the whole text and nothing else, within the limits. false after printing a usage
 * error that names the option ("--epochs takes an integer from 1 to 100000, not 'many'"). INT64_MAX and
 * INFINITY mean no upper limit. */
bool kti_option_integer(const char *option, const char *text, int64_t min, int64_t max, int64_t *value);
bool kti_option_number(const char *option, const char *text, double min, double max, double *value);

/* The place of `text` in choices[] (ends with NULL); -1 after printing a usage error. */
int kti_option_choice(const char *option, const char *text, const char *const *choices);

/* "1,3" as chosen[place of the word in names], names ending with NULL; false after printing a usage error. */
bool kti_option_list(const char *option, const char *text, const char *const *names, bool *chosen);

/* "png,pdf" as bits of kti_plot_format; false after printing a usage error. */
bool kti_option_plot_formats(const char *option, const char *list, unsigned *formats);

/* What --csv and --json ask for, the table without either. Returns KTI_EXIT_USAGE after refusing both, else -1. */
int kti_cli_output(const char *command, bool csv, bool json, kti_output *format);

/* One of the formats `choices`, which are some of kti_output_names, and that it was given; false after printing a usage error. */
bool kti_option_format(const char *option, const char *text, const char *const *choices, kti_output *format,
                       bool *given);

/* The choice nearest in spelling; NULL if none is near. choices[] ends with NULL. */
const char *kti_cli_nearest(const char *text, const char *const *choices);

#endif
