/* What the tests of the model room share: a temporary folder, files, expected errors, seeded damage. */
#ifndef KTI_TESTS_MODEL_SUPPORT_H
#define KTI_TESTS_MODEL_SUPPORT_H

#include "../support.h"

typedef struct folder {
    char path[64];
} folder;

void folder_make(folder *made);
/* Deletes the folder and the files in it. */
void folder_remove(folder *made);
/* "folder/name", valid until the fourth next call. */
const char *folder_path(const folder *made, const char *name);

/* The folder of a test program, and the group fixtures that make and remove it. */
extern folder scratch;
int make_scratch(void **state);
int remove_scratch(void **state);

void write_bytes(const char *path, const void *data, size_t size);
/* The whole of a file, freed with free(). */
char *read_bytes(const char *path, size_t *size);

/* Fails the test unless `status` is `wanted` and the error's message holds `part`. Clears the error. */
void expect_error(const char *what, kt_status status, kt_error *error, kt_status wanted, const char *part,
                  int64_t byte);

enum { ANY_BYTE = -2 };

/* xorshift64*: the next of a sequence. */
uint64_t next_random(uint64_t *state);

/* Fails the test unless an error and its status agree: either KT_OK and nothing held, or a message. */
void expect_consistent(kt_status status, const kt_error *error);

#endif
