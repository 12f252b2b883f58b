/* Runs the built program as a user would, in a temporary folder. */
#ifndef KTI_TESTS_CLI_PROGRAM_H
#define KTI_TESTS_CLI_PROGRAM_H

#include <stddef.h>

#include "support.h"

#define RUN_TEXT 4096

/* The pretrained weights, in a command. */
#define MEGNET "$T/weights/megnet-mp-2018.6.1-eform"

/* A temporary folder for every test: `setup` and `teardown` for cmocka, with the folder's path as *state. */
int folder_setup(void **state);
int folder_teardown(void **state);

typedef struct outcome {
    int status;      /* exit status; -1 if a signal ended it */
    char *out, *err; /* whole standard output and error; owned */
} outcome;

/* Runs `command` (printf-like; by sh) with KT standing for the program, D for the test's folder and T for
 * that of the reference data. The
 * previous outcome in *result is freed; zeroed at first. */
void run(outcome *result, const char *folder, const char *format, ...) __attribute__((format(printf, 3, 4)));
void outcome_destroy(outcome *result);

/* Each fails the test with what the program said. */
void assert_status(const outcome *result, int status);
void assert_says(const outcome *result, const char *out);
void assert_complains(const outcome *result, const char *err);

/* "folder/name" in one of a few static buffers. */
const char *in(const char *folder, const char *name);

/* Writes a file of the folder, and the whole of one into a new string. */
void write_text(const char *folder, const char *name, const char *text);
char *read_text(const char *path, size_t *size);

int count_lines(const char *text);

#endif
