/* Whole folders: looked through, put in place, removed. */
#include <unistd.h>

#include "support.h"

#include "base/file.h"
#include "base/folder.h"
#include "data/folder.h"

static int set_up(void **state)
{
    folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    folder_create(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    folder *f = *state;
    const kt_status status = kti_folder_remove(f->path, NULL);
    free(f);
    return status != KT_OK;
}

/* folder/<name>/<name> */
static void make(const folder *f, const char *name)
{
    kt_error error = KT_ERROR_NONE;
    char path[256], inner[300];
    assert_ok(kti_make_folder(folder_path(f, name, path), &error), &error);
    snprintf(inner, sizeof inner, "%s/%s", path, name);
    assert_ok(kti_file_write(inner, "", 0, &error), &error);
}

static int holds(const folder *f, const char *name)
{
    char path[256];
    return kti_file_exists(folder_path(f, name, path));
}

static void test_find_foreign(void **state)
{
    static const char *const own[] = {"ours", "lock", NULL};
    const folder *f = *state;
    kt_error error = KT_ERROR_NONE;
    char name[256], path[256];
    assert_ok(kti_folder_find_foreign(folder_path(f, "none", path), own, name, sizeof name, &error), &error);
    assert_string_equal(name, "");
    make(f, "ours");
    folder_write(f, "lock", "");
    folder_write(f, ".metrics.json.12.kappatune-part", "");
    assert_ok(kti_folder_find_foreign(f->path, own, name, sizeof name, &error), &error);
    assert_string_equal(name, "");
    /* What only resembles ours. */
    static const char *const foreign[] = {"thesis.part", "ours2", "metrics.kappatune-part", ".kappatune-part",
                                          ".git"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        folder_write(f, foreign[i], "");
        assert_ok(kti_folder_find_foreign(f->path, own, name, sizeof name, &error), &error);
        assert_string_equal(name, foreign[i]);
        assert_int_equal(unlink(folder_path(f, foreign[i], path)), 0);
    }
}

static void test_part_paths(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"file", ".7", ".file.7.kappatune-part"},
                                           {"a/b", "", "a/.b.kappatune-part"},
                                           {"/b", ".1", "/.b.1.kappatune-part"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = kti_part_path(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
}

static void test_replace(void **state)
{
    const folder *f = *state;
    kt_error error = KT_ERROR_NONE;
    char made[256], place[256], aside[256];
    folder_path(f, "made", made);
    folder_path(f, "place", place);
    folder_path(f, "aside", aside);
    make(f, "made");
    assert_ok(kti_folder_replace(made, place, aside, &error), &error);
    assert_true(holds(f, "place/made"));
    assert_false(kti_is_folder(made));
    make(f, "place"); /* beside it: place/place */
    make(f, "made");
    assert_ok(kti_folder_replace(made, place, aside, &error), &error);
    assert_true(holds(f, "place/made") && !holds(f, "place/place"));
    assert_true(holds(f, "made/place") != holds(f, "aside/place"));
    /* A file in the way stays. */
    assert_ok(kti_folder_remove(place, &error), &error);
    folder_write(f, "place", "mine");
    make(f, "made");
    assert_int_equal(kti_folder_replace(made, place, aside, &error), KT_IO);
    assert_true(holds(f, "place"));
    assert_string_equal(error.file, place);
}

static void test_remove(void **state)
{
    const folder *f = *state;
    kt_error error = KT_ERROR_NONE;
    char path[256], link[256];
    make(f, "kept");
    make(f, "gone");
    folder_write(f, "gone/file", "");
    assert_int_equal(symlink(folder_path(f, "kept", path), folder_path(f, "gone/link", link)), 0);
    folder_path(f, "gone", path);
    assert_ok(kti_folder_remove(path, &error), &error);
    assert_false(kti_is_folder(path));
    assert_true(holds(f, "kept/kept")); /* what a link points to */
    assert_ok(kti_folder_remove(path, &error), &error);
}

int main(void)
{
#define FOLDERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {FOLDERS(test_find_foreign), cmocka_unit_test(test_part_paths),
                                       FOLDERS(test_replace), FOLDERS(test_remove)};
#undef FOLDERS
    return cmocka_run_group_tests(tests, NULL, NULL);
}
