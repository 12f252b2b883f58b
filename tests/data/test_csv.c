/* The CSV reader: what it accepts, what it refuses, and where it says the fault is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "data/csv.h"
#include "data/folder.h"

static folder place;

typedef kt_status opener(const char *path, kti_csv *csv, kt_error *error);

static kt_status flatten_by(opener *open_table, char text[1024], kt_error *error)
{
    char path[256];
    kti_csv csv;
    bool found = true;
    size_t used = 0;
    text[0] = '\0';
    kt_status status = open_table(folder_path(&place, "x.csv", path), &csv, error);
    while (status == KT_OK) {
        status = kti_csv_next(&csv, &found, error);
        if (status != KT_OK || !found)
            break;
        used += (size_t)snprintf(text + used, 1024 - used, "%lld:", (long long)csv.line);
        for (int i = 0; i < csv.fields; i++)
            used += (size_t)snprintf(text + used, 1024 - used, "%s%c", csv.field[i],
                                     i + 1 == csv.fields ? ';' : '|');
    }
    kti_csv_close(&csv);
    return status;
}

/* Every record as "line:field|field;" in one text; the status of the first error ends it. A file that is read piece by piece gives
 * the same of either. */
static kt_status flatten(const char *content, size_t size, char text[1024], kt_error *error)
{
    char streamed[1024];
    kt_error other = KT_ERROR_NONE;
    folder_write_bytes(&place, "x.csv", content, size);
    const kt_status status = flatten_by(kti_csv_open, text, error);
    assert_int_equal(flatten_by(kti_csv_open_stream, streamed, &other), status);
    assert_string_equal(streamed, text);
    assert_string_equal(other.message, error->message);
    assert_int_equal(other.line, error->line);
    return status;
}

static void accepts_rfc_4180(void **state)
{
    static const struct {
        const char *content, *expected;
    } cases[] = {
        {"", ""},
        {"\n\r\n\n", ""},
        {"a", "1:a;"},
        {"a,b\nc,d\n", "1:a|b;2:c|d;"},
        {"a,b\r\nc,d", "1:a|b;2:c|d;"},
        {"a,\n,b\n", "1:a|;2:|b;"},
        {"a,", "1:a|;"},
        {",", "1:|;"},
        {"\"\"", "1:;"},
        {"\"a,b\",c\n", "1:a,b|c;"},
        {"\"say \"\"hi\"\"\"\n", "1:say \"hi\";"},
        {"\"two\nlines\",x\ny\n", "1:two\nlines|x;3:y;"},
        {"\"two\r\nlines\"\r\ny", "1:two\r\nlines;3:y;"},
        {"\xEF\xBB\xBFid,ltc\n", "1:id|ltc;"},
        {"# a \" comment\n#another\nid\n#row\n", "3:id;4:#row;"},
        {"\xEF\xBB\xBF# only", ""},
        {"a\n\n\nb", "1:a;4:b;"},
        {" a , b ", "1: a | b ;"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        kt_error error = KT_ERROR_NONE;
        assert_int_equal(flatten(cases[i].content, strlen(cases[i].content), text, &error), KT_OK);
        assert_string_equal(text, cases[i].expected);
    }
}

static void refuses_what_is_broken(void **state)
{
    static const struct {
        const char *content, *reason;
        int line;
    } cases[] = {
        {"a\n\"b,c\nd\n", "never closed", 2}, {"a\n\"", "never closed", 2},
        {"a\nb\"c\n", "inside a field", 2},   {"\"a\"b\n", "text follows", 1},
        {"\"a\" ,b\n", "text follows", 1},    {"\"a\nb\"c\n", "text follows", 2},
        {"a\rb\n", "carriage return", 1},     {"a\n\r", "carriage return", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        kt_error error = KT_ERROR_NONE;
        assert_int_equal(flatten(cases[i].content, strlen(cases[i].content), text, &error), KT_BAD_FORMAT);
        assert_non_null(strstr(error.message, cases[i].reason));
        assert_int_equal(error.line, cases[i].line);
    }
}

static void refuses_zero_bytes(void **state)
{
    char text[1024];
    kt_error error = KT_ERROR_NONE;
    (void)state;
    assert_int_equal(flatten("id,k\na\0b,1\n", 11, text, &error), KT_BAD_FORMAT);
    assert_int_equal(error.byte, 6);
}

static void refuses_long_fields_and_files(void **state)
{
    enum { SIZE = KTI_CSV_FIELD_LIMIT + 1 };
    char text[1024], path[256], *content = malloc(SIZE + 1);
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    (void)state;
    assert_non_null(content);
    memset(content, 'x', SIZE);
    assert_int_equal(flatten(content, SIZE, text, &error), KT_BAD_FORMAT);
    assert_int_equal(error.line, 1);
    content[0] = '"';
    content[SIZE] = '"';
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(flatten(content, SIZE + 1, text, &error), KT_OK);
    free(content);

    folder_write(&place, "large.csv", "x");
    assert_int_equal(truncate(folder_path(&place, "large.csv", path), 100 * 1000 * 1000), 0);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kti_csv_open(path, &csv, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "100000000 bytes"));
    kti_csv_close(&csv);
}

static void counts_fields_that_it_does_not_keep(void **state)
{
    char path[256], content[256];
    kti_csv csv;
    bool found;
    (void)state;
    memset(content, ',', 99);
    content[99] = '\0';
    folder_write(&place, "wide.csv", content);
    assert_int_equal(kti_csv_open(folder_path(&place, "wide.csv", path), &csv, NULL), KT_OK);
    assert_int_equal(kti_csv_next(&csv, &found, NULL), KT_OK);
    assert_true(found);
    assert_int_equal(csv.fields, 100);
    assert_int_equal(kti_csv_next(&csv, &found, NULL), KT_OK);
    assert_false(found);
    kti_csv_close(&csv);
}

static void writes_what_it_reads(void **state)
{
    static const char *const fields[] = {"plain", "", "a,b", "say \"hi\"", "two\nlines", "\r"};
    char text[1024];
    kti_text content = {0};
    kt_error error = KT_ERROR_NONE;
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (i > 0)
            kti_text_add(&content, ",");
        kti_text_add_csv(&content, fields[i]);
    }
    assert_false(content.failed);
    assert_int_equal(flatten(content.data, content.size, text, &error), KT_OK);
    assert_string_equal(text, "1:plain||a,b|say \"hi\"|two\nlines|\r;");
    kti_text_destroy(&content);
}

/* Records of all lengths, so that pieces end anywhere in one. */
static void streams_what_is_longer_than_a_piece(void **state)
{
    enum { RECORDS = 40000 };
    char path[256];
    kti_text content = {0};
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    bool found = true;
    (void)state;
    kti_text_add(&content, "# a comment\n");
    for (int i = 0; i < RECORDS; i++)
        kti_text_add(&content, "%d,\"%.*s \"\"quoted\"\"\n\",%d%s", i, i % 70,
                     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", -i,
                     i % 3 ? "\n" : "\r\n");
    assert_true(content.size > 2 << 20);
    folder_write_bytes(&place, "x.csv", content.data, content.size);
    assert_int_equal(kti_csv_open_stream(folder_path(&place, "x.csv", path), &csv, &error), KT_OK);
    for (int i = 0; i < RECORDS; i++) {
        assert_int_equal(kti_csv_next(&csv, &found, &error), KT_OK);
        assert_true(found);
        assert_int_equal(csv.fields, 3);
        assert_int_equal(csv.line, 2 + 2 * i);
        assert_int_equal(atoi(csv.field[0]), i);
        assert_int_equal(strlen(csv.field[1]), i % 70 + 10);
        assert_int_equal(atoi(csv.field[2]), -i);
    }
    assert_int_equal(kti_csv_next(&csv, &found, &error), KT_OK);
    assert_false(found);
    kti_csv_close(&csv);

    /* A zero byte far behind, by its place in the file. */
    content.data[content.size - 3] = '\0';
    folder_write_bytes(&place, "x.csv", content.data, content.size);
    assert_int_equal(kti_csv_open_stream(folder_path(&place, "x.csv", path), &csv, &error), KT_OK);
    kt_status status = KT_OK;
    for (found = true; status == KT_OK && found;)
        status = kti_csv_next(&csv, &found, &error);
    assert_int_equal(status, KT_BAD_FORMAT);
    assert_int_equal(error.byte, content.size - 3);
    kti_csv_close(&csv);
    kti_text_destroy(&content);
}

static void refuses_a_record_that_is_too_long_to_stream(void **state)
{
    char path[256];
    kti_text content = {0};
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    bool found = true;
    (void)state;
    kti_text_add(&content, "a,b\n");
    for (int i = 0; i < 3 << 20; i++)
        kti_text_add(&content, ",");
    folder_write_bytes(&place, "x.csv", content.data, content.size);
    assert_int_equal(kti_csv_open_stream(folder_path(&place, "x.csv", path), &csv, &error), KT_OK);
    assert_int_equal(kti_csv_next(&csv, &found, &error), KT_OK);
    assert_int_equal(kti_csv_next(&csv, &found, &error), KT_BAD_FORMAT);
    assert_int_equal(error.line, 2);
    kti_csv_close(&csv);
    kti_text_destroy(&content);
}

static int set_up(void **state)
{
    (void)state;
    folder_create(&place);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_destroy(&place);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_rfc_4180),
        cmocka_unit_test(refuses_what_is_broken),
        cmocka_unit_test(refuses_zero_bytes),
        cmocka_unit_test(refuses_long_fields_and_files),
        cmocka_unit_test(counts_fields_that_it_does_not_keep),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(streams_what_is_longer_than_a_piece),
        cmocka_unit_test(refuses_a_record_that_is_too_long_to_stream),
    };
    return cmocka_run_group_tests_name("csv", tests, set_up, tear_down);
}
