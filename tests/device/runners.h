/* What can run operations here: the CPU device, and each of its backends that this processor supports. */
#ifndef KTI_TESTS_DEVICE_RUNNERS_H
#define KTI_TESTS_DEVICE_RUNNERS_H

#include "device/operation.h"

enum { MAX_RUNNERS = 4 };

int runners_count(void);
const char *runner_name(int runner);

/* Runs the list for folds [first, first + count). */
void runner_run(int runner, const kti_operation *list, int size, int first, int count);

/* cmocka's group fixtures. */
int runners_setup(void **state);
int runners_teardown(void **state);

#endif
