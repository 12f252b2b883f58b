#include "support.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static void written_json_reads_back(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    const char *path = folder_path(&scratch, "a.json");
    size_t size = 0;
    json_t *back = NULL, *root = json_pack("{s:f, s:s, s:[i, n], s:b}", "z", 0.1, "a", "κ \"quoted\"\n",
                                           "list", 7, "flag", 1);
    assert_int_equal(kti_json_write(path, root, &error), KT_OK);
    assert_int_equal(kti_json_read(path, 1000, &back, &error), KT_OK);
    assert_true(json_equal(root, back));
    char *text = read_bytes(path, &size);
    assert_int_equal(text[size - 1], '\n');
    assert_true(strstr(text, "\"z\"") < strstr(text, "\"a\"")); /* insertion order */
    free(text);
    json_decref(back);
    json_decref(root);
}

static void bad_files_are_refused_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        int64_t line;
    } rows[] = {
        {"{\n\"a\": 1,\n\"a\": 2}", "duplicate", 3},
        {"{\n\n\"a\": }", "not valid JSON", 3},
        {"{} {}", "end of file", 1},
        {"", "not valid JSON", 1},
        {"{\"a\": \"\xff\"}", "unable to decode byte 0xff", 1},
        {"{\"a\": \"\\u0000\"}", "not valid JSON", 1},
        {"{\"a\": 1e999}", "overflow", 1},
        {"{\"a\": 99999999999999999999}", "too big", 1},
    };
    const char *path = folder_path(&scratch, "bad.json");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        json_t *root = NULL;
        write_bytes(path, rows[i].text, strlen(rows[i].text));
        kt_status status = kti_json_read(path, 1000, &root, &error);
        assert_null(root);
        assert_int_equal(error.line, rows[i].line);
        assert_string_equal(error.file, path);
        expect_error(rows[i].text, status, &error, KT_BAD_FORMAT, rows[i].part, ANY_BYTE);
    }
    kt_error error = KT_ERROR_NONE;
    json_t *root = NULL;
    expect_error("limit", kti_json_read(path, 3, &root, &error), &error, KT_BAD_FORMAT, "at most 3",
                 ANY_BYTE);
    expect_error("missing", kti_json_read(folder_path(&scratch, "none"), 3, &root, &error), &error, KT_IO,
                 "cannot", ANY_BYTE);
}

static void a_nesting_bomb_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 200000 };
    kt_error error = KT_ERROR_NONE;
    json_t *root = NULL;
    const char *path = folder_path(&scratch, "deep.json");
    char *text = malloc(DEPTH);
    assert_non_null(text);
    memset(text, '[', DEPTH);
    write_bytes(path, text, DEPTH);
    free(text);
    expect_error("depth", kti_json_read(path, DEPTH, &root, &error), &error, KT_BAD_FORMAT, "depth",
                 ANY_BYTE);
}

static void members_are_typed_and_named(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    int64_t integer = 0;
    double number = 0;
    bool flag = false;
    const char *text = NULL;
    json_t *inner = NULL;
    json_t *root =
        json_pack("{s:i, s:f, s:b, s:s, s:{}, s:[]}", "i", 5, "f", 2.5, "b", 1, "s", "text", "o", "a");
    assert_int_equal(kti_json_integer(root, "f.json", "i", 1, 5, &integer, &error), KT_OK);
    assert_int_equal(integer, 5);
    assert_int_equal(kti_json_number(root, "f.json", "f", 0, 3, &number, &error), KT_OK);
    assert_true(number == 2.5);
    assert_int_equal(kti_json_number(root, "f.json", "i", -INFINITY, INFINITY, &number, &error), KT_OK);
    assert_true(number == 5);
    assert_int_equal(kti_json_boolean(root, "f.json", "b", &flag, &error), KT_OK);
    assert_true(flag);
    assert_int_equal(kti_json_string(root, "f.json", "s", &text, &error), KT_OK);
    assert_string_equal(text, "text");
    assert_int_equal(kti_json_object(root, "f.json", "o", &inner, &error), KT_OK);
    assert_true(json_is_object(inner));
    assert_int_equal(kti_json_array(root, "f.json", "a", &inner, &error), KT_OK);
    assert_true(json_is_array(inner));

    integer = 77;
    expect_error("least", kti_json_integer(root, "f.json", "i", 6, INT64_MAX, &integer, &error), &error,
                 KT_BAD_FORMAT, "`i` must be an integer >= 6", ANY_BYTE);
    expect_error("most", kti_json_integer(root, "f.json", "i", INT64_MIN, 4, &integer, &error), &error,
                 KT_BAD_FORMAT, "`i` must be an integer <= 4", ANY_BYTE);
    expect_error("range", kti_json_integer(root, "f.json", "i", 1, 4, &integer, &error), &error,
                 KT_BAD_FORMAT, "`i` must be an integer from 1 to 4", ANY_BYTE);
    expect_error("real", kti_json_integer(root, "f.json", "f", INT64_MIN, INT64_MAX, &integer, &error),
                 &error, KT_BAD_FORMAT, "`f` must be an integer", ANY_BYTE);
    expect_error("none", kti_json_integer(root, "f.json", "epochs", 1, INT64_MAX, &integer, &error), &error,
                 KT_BAD_FORMAT, "`epochs` must be an integer >= 1", ANY_BYTE);
    assert_int_equal(integer, 77);
    expect_error("number", kti_json_number(root, "f.json", "s", -INFINITY, INFINITY, &number, &error), &error,
                 KT_BAD_FORMAT, "`s` must be a number", ANY_BYTE);
    expect_error("number", kti_json_number(root, "f.json", "f", 3, INFINITY, &number, &error), &error,
                 KT_BAD_FORMAT, "`f` must be a number >= 3", ANY_BYTE);
    expect_error("number", kti_json_number(root, "f.json", "f", -INFINITY, 1, &number, &error), &error,
                 KT_BAD_FORMAT, "`f` must be a number <= 1", ANY_BYTE);
    expect_error("number", kti_json_number(root, "f.json", "f", 0, 1, &number, &error), &error, KT_BAD_FORMAT,
                 "`f` must be a number from 0 to 1", ANY_BYTE);
    expect_error("flag", kti_json_boolean(root, "f.json", "i", &flag, &error), &error, KT_BAD_FORMAT,
                 "`i` must be true or false", ANY_BYTE);
    expect_error("string", kti_json_string(root, "f.json", "i", &text, &error), &error, KT_BAD_FORMAT,
                 "`i` must be a string", ANY_BYTE);
    expect_error("object", kti_json_object(root, "f.json", "a", &inner, &error), &error, KT_BAD_FORMAT,
                 "`a` must be an object", ANY_BYTE);
    expect_error("array", kti_json_array(root, "f.json", "o", &inner, &error), &error, KT_BAD_FORMAT,
                 "`o` must be an array", ANY_BYTE);

    const char *known[] = {"i", "f", "b", "s", "o", "a"};
    assert_int_equal(kti_json_known_keys(root, "f.json", known, 6, &error), KT_OK);
    kt_status status = kti_json_known_keys(root, "f.json", known, 5, &error);
    assert_string_equal(error.file, "f.json");
    expect_error("known", status, &error, KT_BAD_FORMAT, "`a` is not a key", ANY_BYTE);
    json_decref(root);
}

static void numbers_are_exact_in_any_locale(void **state)
{
    (void)state;
    static const double values[] = {0.1,
                                    -1.65459073,
                                    1.07266128,
                                    1.0 / 3.0,
                                    5e-324,
                                    1.7976931348623157e308,
                                    0.0,
                                    -0.0,
                                    1,
                                    1e22,
                                    2.2250738585072014e-308};
    setlocale(LC_ALL, "de_DE.UTF-8"); /* a decimal comma, where that locale is installed */
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[64];
        double back = NAN;
        assert_true(kti_number_text(values[i], text, sizeof text));
        assert_null(strchr(text, ','));
        assert_true(kti_number_parse(text, &back));
        assert_memory_equal(&back, &values[i], sizeof back);
    }
    setlocale(LC_ALL, "C");
    char text[64];
    double value = 3;
    assert_true(kti_number_text(-1.65459073, text, sizeof text));
    assert_string_equal(text, "-1.65459073");
    assert_false(kti_number_text(NAN, text, sizeof text));
    assert_false(kti_number_text(INFINITY, text, sizeof text));
    assert_false(kti_number_text(1.0 / 3.0, text, 8));
    static const char *const bad[] = {"", "nan", "inf", "1,5", "1 2", "\"1\"", "1e999", "0x10", "[1]", " "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(kti_number_parse(bad[i], &value));
    assert_true(value == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_json_reads_back),         cmocka_unit_test(bad_files_are_refused_by_line),
        cmocka_unit_test(a_nesting_bomb_is_refused),       cmocka_unit_test(members_are_typed_and_named),
        cmocka_unit_test(numbers_are_exact_in_any_locale),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
