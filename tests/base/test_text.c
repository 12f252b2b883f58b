/* Text that grows, and the quotes of RFC 4180. */
#include "support.h"

#include "base/file.h"
#include "base/text.h"

static void test_fields(void **state)
{
    (void)state;
    static const char *const fields[][2] = {{"plain", "plain"},     {"", ""},
                                            {"a b", "a b"},         {"a,b", "\"a,b\""},
                                            {"a\"b", "\"a\"\"b\""}, {"\"", "\"\"\"\""},
                                            {"a\nb", "\"a\nb\""},   {"a\r", "\"a\r\""},
                                            {"100%s%n", "100%s%n"}, {"\xc3\x85", "\xc3\x85"},
                                            {"%d,%d", "\"%d,%d\""}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        kti_text text = {0};
        kti_text_add(&text, "<");
        kti_text_add_csv(&text, fields[i][0]);
        kti_text_add(&text, ">");
        char expected[64];
        snprintf(expected, sizeof expected, "<%s>", fields[i][1]);
        assert_false(text.failed);
        assert_string_equal(text.data, expected);
        assert_int_equal(text.size, strlen(expected));
        kti_text_destroy(&text);
        assert_null(text.data);
    }
}

static void test_growth(void **state)
{
    (void)state;
    kti_text text = {0};
    for (int i = 0; i < 20000; i++)
        kti_text_add(&text, "%05d,", i);
    assert_false(text.failed);
    assert_int_equal(text.size, 20000 * 6);
    for (int i = 0; i < 20000; i += 997)
        assert_int_equal(atoi(text.data + 6 * i), i);
    assert_int_equal(text.data[text.size], 0);
    kti_text_destroy(&text);
    kti_text_destroy(&text); /* a second time is fine */
}

static void an_incomplete_text_is_not_written(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    const char *path = "test_text.written";
    kti_text text = {0};
    kti_text_add(&text, "whole");
    remove(path);
    text.failed = true;
    assert_int_equal(kti_text_write(&text, path, "a text", &error), KT_OUT_OF_MEMORY);
    assert_non_null(strstr(error.message, "a text"));
    assert_false(kti_file_exists(path));
    text.failed = false;
    assert_int_equal(kti_text_write(&text, NULL, "a text", &error), KT_OUT_OF_MEMORY);
    assert_int_equal(kti_text_write(&text, path, "a text", &error), KT_OK);
    char *data;
    size_t size;
    assert_int_equal(kti_file_read(path, 100, &data, &size, &error), KT_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(data, "whole", 5);
    free(data);
    remove(path);
    kti_text_destroy(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(an_incomplete_text_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
