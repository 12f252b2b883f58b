#include "support.h"

#include <math.h>
#include <string.h>

#include "model/architecture.h"

static void a_description_passes_its_check(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    assert_int_equal(kti_architecture_describe(&tensors, false, &error), KT_OK);
    assert_int_equal(kti_architecture_check(&tensors, "w.safetensors", &error), KT_OK);
    assert_string_equal(kti_tensors_metadata(&tensors, "format"), "kappatune");
    assert_string_equal(kti_tensors_metadata(&tensors, "cutoff"), "4.0");
    assert_string_equal(kti_tensors_metadata(&tensors, "set2set_steps"), "2");
    const char *elements = kti_tensors_metadata(&tensors, "elements");
    assert_memory_equal(elements, "H He Li Be ", 11);
    assert_string_equal(elements + strlen(elements) - 7, "U Np Pu");
    kti_tensors_destroy(&tensors);
}

static void every_key_is_checked(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    assert_int_equal(kti_architecture_describe(&tensors, false, &error), KT_OK);
    size_t keys = tensors.metadata_size;
    assert_int_equal(keys, 12);
    kti_tensors_destroy(&tensors);
    for (size_t i = 0; i < keys; i++) {
        char key[64], quoted[80];
        assert_int_equal(kti_architecture_describe(&tensors, false, &error), KT_OK);
        strcpy(key, tensors.metadata[i].key);
        strcat(strcat(strcpy(quoted, "`"), key), "`");
        assert_int_equal(kti_tensors_set_metadata(&tensors, key, "other", &error), KT_OK);
        kt_status status = kti_architecture_check(&tensors, "w.safetensors", &error);
        assert_non_null(strstr(error.message, quoted));
        assert_string_equal(error.file, "w.safetensors");
        expect_error(key, status, &error, KT_BAD_FORMAT, "`other`, but this model has `", ANY_BYTE);
        assert_int_equal(kti_tensors_set_metadata(&tensors, key, NULL, &error), KT_OK);
        status = kti_architecture_check(&tensors, "w.safetensors", &error);
        assert_non_null(strstr(error.message, quoted));
        expect_error(key, status, &error, KT_BAD_FORMAT, "is missing", ANY_BYTE);
        kti_tensors_destroy(&tensors);
    }
}

static void a_late_difference_is_shown(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    char elements[512];
    assert_int_equal(kti_architecture_describe(&tensors, false, &error), KT_OK);
    strcpy(elements, kti_tensors_metadata(&tensors, "elements"));
    memcpy(elements + strlen(elements) - 2, "Po", 2);
    assert_int_equal(kti_tensors_set_metadata(&tensors, "elements", elements, &error), KT_OK);
    kt_status status = kti_architecture_check(&tensors, "w.safetensors", &error);
    assert_non_null(strstr(error.message, "U Np Po`, but"));
    expect_error("elements", status, &error, KT_BAD_FORMAT, "U Np Pu`:", ANY_BYTE);
    kti_tensors_destroy(&tensors);
}

static void numbers_survive_as_metadata(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    double value = 0;
    assert_int_equal(kti_metadata_set_number(&tensors, "x", 1.0 / 3.0, &error), KT_OK);
    assert_int_equal(kti_metadata_number(&tensors, "w", "x", &value, &error), KT_OK);
    assert_true(value == 1.0 / 3.0);
    expect_error("nan", kti_metadata_set_number(&tensors, "x", NAN, &error), &error, KT_NON_FINITE, "`x`",
                 ANY_BYTE);
    expect_error("none", kti_metadata_number(&tensors, "w", "y", &value, &error), &error, KT_BAD_FORMAT,
                 "`y` is missing", ANY_BYTE);
    assert_int_equal(kti_tensors_set_metadata(&tensors, "y", "1,5", &error), KT_OK);
    expect_error("comma", kti_metadata_number(&tensors, "w", "y", &value, &error), &error, KT_BAD_FORMAT,
                 "must be a number, not `1,5`", ANY_BYTE);
    kti_tensors_destroy(&tensors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_passes_its_check),
        cmocka_unit_test(every_key_is_checked),
        cmocka_unit_test(a_late_difference_is_shown),
        cmocka_unit_test(numbers_survive_as_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
