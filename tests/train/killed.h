/* The program as a process of its own, to be killed at random moments. */
#ifndef KTI_TESTS_TRAIN_KILLED_H
#define KTI_TESTS_TRAIN_KILLED_H

#include <sys/types.h>

/* Seconds of a clock that only goes forward. */
double now(void);
void pause_for(double seconds);

/* Starts the program with these arguments (the first is "kappatune", the list ends with NULL), its output thrown away. */
pid_t start_program(const char *const *arguments);

/* Exit status, or minus the signal that ended it. */
int wait_for(pid_t child);

#endif
