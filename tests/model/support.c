#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

void folder_make(folder *made)
{
    snprintf(made->path, sizeof made->path, "/tmp/kappatune-model-XXXXXX");
    assert_non_null(mkdtemp(made->path));
}

void folder_remove(folder *made)
{
    DIR *listing = opendir(made->path);
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(folder_path(made, entry->d_name));
    closedir(listing);
    assert_int_equal(rmdir(made->path), 0);
}

const char *folder_path(const folder *made, const char *name)
{
    static char paths[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", made->path, name);
    return paths[turn];
}

void write_bytes(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

char *read_bytes(const char *path, size_t *size)
{
    char *data = NULL;
    kt_error error = KT_ERROR_NONE;
    if (kti_file_read(path, 1000000000, &data, size, &error) != KT_OK)
        fail_msg("%s: %s", path, error.message);
    return data;
}

void expect_error(const char *what, kt_status status, kt_error *error, kt_status wanted, const char *part,
                  int64_t byte)
{
    if (status != wanted || error->status != wanted)
        fail_msg("%s: status `%s` (error holds `%s`: %s), expected `%s`", what, kt_status_name(status),
                 kt_status_name(error->status), error->message, kt_status_name(wanted));
    if (!strstr(error->message, part))
        fail_msg("%s: message `%s` does not say `%s`", what, error->message, part);
    if (byte != ANY_BYTE && error->byte != byte)
        fail_msg("%s: byte %lld, expected %lld (%s)", what, (long long)error->byte, (long long)byte,
                 error->message);
    *error = (kt_error)KT_ERROR_NONE;
}

uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

void expect_consistent(kt_status status, const kt_error *error)
{
    assert_int_equal(status, error->status);
    if (status != KT_OK && (error->message[0] == '\0' || error->file[0] == '\0'))
        fail_msg("`%s` without a message or a file: `%s`", kt_status_name(status), error->message);
}

folder scratch;

int make_scratch(void **state)
{
    (void)state;
    folder_make(&scratch);
    return 0;
}

int remove_scratch(void **state)
{
    (void)state;
    folder_remove(&scratch);
    return 0;
}
