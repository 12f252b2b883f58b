/* Whole files: read with a limit; written so that the old content or the new is there, whatever fails. */
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

#include "base/file.h"
#include "data/folder.h"

typedef struct fixture {
    folder folder;
    char path[256];
} fixture;

static const char old[] = "old content";

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    folder_create(&f->folder);
    folder_write(&f->folder, "file", old);
    folder_path(&f->folder, "file", f->path);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    folder_destroy(&f->folder);
    free(f);
    return 0;
}

static int entries(const fixture *f)
{
    int count = 0;
    DIR *list = opendir(f->folder.path);
    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count - 2;
}

static void assert_content(const fixture *f, const char *expected, size_t expected_size)
{
    kt_error error = KT_ERROR_NONE;
    char *data;
    size_t size;
    assert_ok(kti_file_read(f->path, 1 << 20, &data, &size, &error), &error);
    assert_int_equal(size, expected_size);
    assert_memory_equal(data, expected, size);
    assert_int_equal(data[size], 0);
    free(data);
}

static void test_write(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    static const char content[] = "new\0content";
    assert_content(f, old, strlen(old));
    assert_ok(kti_file_write(f->path, content, sizeof content, &error), &error);
    assert_content(f, content, sizeof content);
    assert_ok(kti_file_write(f->path, "", 0, &error), &error);
    assert_content(f, "", 0);
    assert_int_equal(entries(f), 1);
}

/* The name that the new content is written under first. */
static char *beside(const fixture *f, char text[512])
{
    snprintf(text, 512, "%s/.file.%ld.kappatune-part", f->folder.path, (long)getpid());
    return text;
}

static void expect_old(const fixture *f, kt_status status, kt_error *error)
{
    assert_int_equal(status, KT_IO);
    assert_string_equal(error->file, f->path);
    assert_content(f, old, strlen(old));
    *error = (kt_error)KT_ERROR_NONE;
}

static void test_cannot_create(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    char text[512];
    assert_int_equal(mkdir(beside(f, text), 0777), 0); /* in the way */
    expect_old(f, kti_file_write(f->path, "new", 3, &error), &error);
    assert_int_equal(rmdir(text), 0);
    if (geteuid() != 0) { /* the superuser writes anywhere */
        assert_int_equal(chmod(f->folder.path, 0555), 0);
        expect_old(f, kti_file_write(f->path, "new", 3, &error), &error);
        assert_int_equal(chmod(f->folder.path, 0777), 0);
    }
    assert_int_equal(kti_file_write("no/such/folder/file", "new", 3, &error), KT_IO);
    assert_int_equal(entries(f), 1);
}

/* As on a full disk: the system takes no more bytes after some. */
static void test_cannot_write_all(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    struct rlimit before, small;
    static char content[1 << 16];
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10000;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, kept;
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &kept), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const kt_status status = kti_file_write(f->path, content, sizeof content, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    sigaction(SIGXFSZ, &kept, NULL);
    expect_old(f, status, &error);
    assert_int_equal(entries(f), 1); /* nothing left beside it */
}

static void test_cannot_rename(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    char path[256];
    assert_int_equal(mkdir(folder_path(&f->folder, "taken", path), 0777), 0);
    assert_int_equal(kti_file_write(path, "new", 3, &error), KT_IO);
    assert_string_equal(error.file, path);
    assert_int_equal(entries(f), 2);
    assert_int_equal(rmdir(path), 0);
}

static void test_read(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    char *data, path[256];
    size_t size;
    assert_int_equal(kti_file_read(f->path, strlen(old) - 1, &data, &size, &error), KT_BAD_FORMAT);
    assert_null(data);
    error = (kt_error)KT_ERROR_NONE;
    assert_ok(kti_file_read(f->path, strlen(old), &data, &size, &error), &error);
    free(data);
    assert_int_equal(kti_file_read(folder_path(&f->folder, "missing", path), 100, &data, &size, &error),
                     KT_IO);
    assert_string_equal(error.file, path);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kti_file_read(f->folder.path, 100, &data, &size, &error), KT_IO);
    /* A named pipe that nobody writes to would wait for ever. */
    assert_int_equal(mkfifo(folder_path(&f->folder, "pipe", path), 0666), 0);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kti_file_read(path, 100, &data, &size, &error), KT_IO);
}

static void test_folders(void **state)
{
    const fixture *f = *state;
    kt_error error = KT_ERROR_NONE;
    char path[256], inner[256];
    folder_path(&f->folder, "a/b/c", path);
    assert_ok(kti_make_folder(path, &error), &error);
    assert_ok(kti_make_folder(path, &error), &error); /* it is there already */
    assert_true(kti_is_folder(path));
    assert_false(kti_file_exists(path));
    assert_true(kti_file_exists(f->path));
    assert_false(kti_is_folder(f->path));
    assert_int_equal(kti_make_folder(f->path, &error), KT_IO);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kti_make_folder(folder_path(&f->folder, "file/inside", inner), &error), KT_IO);
    static const char *const made[] = {"a/b/c", "a/b", "a"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        assert_int_equal(rmdir(folder_path(&f->folder, made[i], path)), 0);
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"a", "b/c", "a/b/c"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = kti_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
}

int main(void)
{
#define FILES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FILES(test_write), FILES(test_cannot_create), FILES(test_cannot_write_all), FILES(test_cannot_rename),
        FILES(test_read),  FILES(test_folders),       cmocka_unit_test(test_paths),
    };
#undef FILES
    return cmocka_run_group_tests(tests, NULL, NULL);
}
