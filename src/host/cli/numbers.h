/* Folders that are told apart by a number: points/1, seed-42, parts/fold-3. */
#ifndef KTI_CLI_NUMBERS_H
#define KTI_CLI_NUMBERS_H

#include <stddef.h>

#include <kappatune/error.h>

typedef struct kti_numbers {
    long long *at; /* [size] ascending; owned: free() */
    size_t size, capacity;
} kti_numbers;

/* The numbers n of a folder's entries PREFIXn, and those of 1 .. expected, whether they are there or not; none where there is no
 * such folder. */
kt_status kti_numbers_find(const char *folder, const char *prefix, int expected, kti_numbers *numbers,
                           kt_error *error);

#endif
