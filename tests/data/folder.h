/* A temporary folder that a test fills with files. */
#ifndef KTI_TESTS_DATA_FOLDER_H
#define KTI_TESTS_DATA_FOLDER_H

#include <stddef.h>

typedef struct folder {
    char path[64];
} folder;

void folder_create(folder *made);

/* Deletes the folder and the files in it. */
void folder_destroy(folder *made);

/* "folder/name" in `text`, which is returned. */
char *folder_path(const folder *made, const char *name, char text[256]);

void folder_write(const folder *made, const char *name, const char *content);
void folder_write_bytes(const folder *made, const char *name, const void *content, size_t size);

#endif
