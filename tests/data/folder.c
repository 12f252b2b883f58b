#include "data/folder.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void folder_create(folder *made)
{
    snprintf(made->path, sizeof made->path, "/tmp/kappatune-test-XXXXXX");
    assert_non_null(mkdtemp(made->path));
}

char *folder_path(const folder *made, const char *name, char text[256])
{
    snprintf(text, 256, "%s/%s", made->path, name);
    return text;
}

void folder_destroy(folder *made)
{
    char path[256];
    DIR *list = opendir(made->path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strlen(entry->d_name) < 128)
            unlink(folder_path(made, entry->d_name, path));
    closedir(list);
    assert_int_equal(rmdir(made->path), 0);
}

void folder_write_bytes(const folder *made, const char *name, const void *content, size_t size)
{
    char path[256];
    FILE *out = fopen(folder_path(made, name, path), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(content, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

void folder_write(const folder *made, const char *name, const char *content)
{
    folder_write_bytes(made, name, content, strlen(content));
}
