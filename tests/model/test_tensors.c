#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/tensors.h"

static void additions_are_zeroed_and_aligned(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    for (int i = 0; i < 40; i++) {
        char name[] = {'t', (char)('0' + i / 10), (char)('0' + i % 10), '\0'};
        const int64_t shape[] = {i, 3};
        kti_tensor *added = NULL;
        assert_int_equal(kti_tensors_add(&tensors, name, KTI_F64, 2, shape, &added, &error), KT_OK);
        assert_int_equal(added->elements, 3 * i);
        assert_int_equal((uintptr_t)added->data % 64, 0);
        for (size_t e = 0; e < added->elements; e++)
            assert_true(((double *)added->data)[e] == 0);
    }
    assert_ptr_equal(kti_tensors_find(&tensors, "t07"), &tensors.list[7]);
    assert_null(kti_tensors_find(&tensors, "t"));
    assert_int_equal(kti_tensors_add(&tensors, "scalar", KTI_F32, 0, NULL, NULL, &error), KT_OK);
    assert_int_equal(tensors.list[40].elements, 1);
    kti_tensors_destroy(&tensors);
    assert_int_equal(tensors.size, 0);
    kti_tensors_destroy(&tensors);
}

static void impossible_additions_are_refused(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    const int64_t negative[] = {-1}, huge[] = {INT64_C(1) << 60},
                  product[] = {INT64_C(1) << 31, INT64_C(1) << 31},
                  empty[] = {INT64_MAX / 64, 0, 1 << 30, 1 << 30}, one[] = {1, 1, 1, 1, 1};
    assert_int_equal(kti_tensors_add(&tensors, "a", KTI_F32, 1, one, NULL, &error), KT_OK);
    expect_error("twice", kti_tensors_add(&tensors, "a", KTI_F32, 1, one, NULL, &error), &error,
                 KT_BAD_ARGUMENT, "two tensors named `a`", ANY_BYTE);
    expect_error("reserved", kti_tensors_add(&tensors, "__metadata__", KTI_F32, 1, one, NULL, &error), &error,
                 KT_BAD_ARGUMENT, "__metadata__", ANY_BYTE);
    expect_error("negative", kti_tensors_add(&tensors, "b", KTI_F32, 1, negative, NULL, &error), &error,
                 KT_BAD_ARGUMENT, "impossible shape", ANY_BYTE);
    expect_error("huge", kti_tensors_add(&tensors, "b", KTI_F32, 1, huge, NULL, &error), &error,
                 KT_BAD_ARGUMENT, "impossible shape", ANY_BYTE);
    expect_error("product", kti_tensors_add(&tensors, "b", KTI_F32, 2, product, NULL, &error), &error,
                 KT_BAD_ARGUMENT, "impossible shape", ANY_BYTE);
    expect_error("rank", kti_tensors_add(&tensors, "b", KTI_F32, 5, one, NULL, &error), &error,
                 KT_BAD_ARGUMENT, "impossible shape", ANY_BYTE);
    /* A size of zero empties the tensor whatever the others are. */
    assert_int_equal(kti_tensors_add(&tensors, "empty", KTI_F32, 4, empty, NULL, &error), KT_OK);
    assert_int_equal(tensors.list[1].elements, 0);
    assert_int_equal(tensors.size, 2);
    kti_tensors_destroy(&tensors);
}

static void half_precision_is_exact(void **state)
{
    (void)state;
    static const struct {
        uint16_t bits;
        double value;
    } rows[] = {{0x0000, 0},       {0x3c00, 1},         {0xc000, -2},
                {0x7bff, 65504},   {0x0001, 0x1p-24},   {0x03ff, 0x3ffp-24},
                {0x0400, 0x1p-14}, {0x3555, 0x555p-12}, {0xfc00, -INFINITY}};
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    kti_tensor *added = NULL;
    const int64_t shape[] = {2};
    assert_int_equal(kti_tensors_add(&tensors, "h", KTI_F16, 1, shape, &added, &error), KT_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ((uint16_t *)added->data)[1] = rows[i].bits;
        assert_true(kti_tensor_value(added, 1) == rows[i].value);
        assert_int_equal(kti_tensor_first_non_finite(added), isfinite(rows[i].value) ? 2 : 1);
    }
    ((uint16_t *)added->data)[1] = 0x7c01;
    assert_true(isnan(kti_tensor_value(added, 1)));
    kti_tensors_destroy(&tensors);
}

/* A tensor of one value, as F16: its bits, or -1 after a refusal that left it as it was. */
static int rounded(double value, char text[512])
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    kti_tensor *added = NULL;
    assert_int_equal(kti_tensors_add(&tensors, "w", KTI_F64, 0, NULL, &added, &error), KT_OK);
    *(double *)added->data = value;
    int bits = -1;
    if (kti_tensor_to_half(added, &error) == KT_OK) {
        assert_int_equal(added->dtype, KTI_F16);
        bits = *(uint16_t *)added->data;
    } else {
        assert_int_equal(error.status, KT_BAD_ARGUMENT);
        assert_int_equal(added->dtype, KTI_F64);
        snprintf(text, 512, "%s", error.message);
    }
    kti_tensors_destroy(&tensors);
    return bits;
}

static void rounding_to_half_is_to_nearest_even(void **state)
{
    (void)state;
    static const struct {
        double value;
        int bits;
    } rows[] = {{0, 0},
                {-0.0, 0x8000},
                {1 + 0x1p-11, 0x3c00}, /* a tie, to the even one below */
                {1 + 0x3p-11, 0x3c02}, /* and above */
                {1 + 0x1.002p-11, 0x3c01},
                {0x1.ffep-1 + 0x1p-12, 0x3c00}, /* carries into the exponent */
                {0x1p-25, 0},
                {0x1.8p-25, 1},
                {0x1p-1074, 0},
                {0x3ffp-24 + 0x1p-25, 0x0400}, /* the greatest subnormal, half a unit more */
                {-65519.99, 0xfbff},
                {65520, -1},
                {-1e300, -1},
                {INFINITY, -1},
                {NAN, -1}};
    char text[512];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rounded(rows[i].value, text) != rows[i].bits)
            fail_msg("%a: 0x%x, not 0x%x", rows[i].value, (unsigned)rounded(rows[i].value, text),
                     (unsigned)rows[i].bits);
    rounded(70000, text);
    assert_non_null(strstr(text, "element 0 of tensor `w` is 70000"));
}

/* Every F16 keeps its bits, and a point between two neighbours goes to the nearer one. */
static void every_half_is_its_own(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    kti_tensor *half = NULL, *wide = NULL;
    const int64_t shape[] = {0x7c00};
    assert_int_equal(kti_tensors_add(&tensors, "half", KTI_F16, 1, shape, NULL, &error), KT_OK);
    assert_int_equal(kti_tensors_add(&tensors, "wide", KTI_F32, 1, shape, NULL, &error), KT_OK);
    half = &tensors.list[0];
    wide = &tensors.list[1];
    for (int step = -1; step <= 1; step++) {
        for (int i = 0; i < 0x7c00; i++)
            ((uint16_t *)half->data)[i] = (uint16_t)i;
        wide->dtype = KTI_F32;
        for (int i = 0; i < 0x7c00; i++) {
            const double own = kti_tensor_value(half, (size_t)i);
            const int other = i + step < 0 || i + step >= 0x7c00 ? i : i + step;
            ((float *)wide->data)[i] = (float)(own + 0.499 * (kti_tensor_value(half, (size_t)other) - own));
        }
        assert_int_equal(kti_tensor_to_half(wide, &error), KT_OK);
        assert_memory_equal(half->data, wide->data, 2 * 0x7c00);
    }
    assert_int_equal(kti_tensor_to_half(half, &error), KT_OK);
    assert_memory_equal(half->data, wide->data, 2 * 0x7c00);
    half->dtype = KTI_I32;
    assert_int_equal(kti_tensor_to_half(half, &error), KT_BAD_ARGUMENT);
    kti_tensors_destroy(&tensors);
}

static void metadata_are_set_replaced_and_removed(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    assert_null(kti_tensors_metadata(&tensors, "a"));
    assert_int_equal(kti_tensors_set_metadata(&tensors, "a", "1", &error), KT_OK);
    assert_int_equal(kti_tensors_set_metadata(&tensors, "b", "2", &error), KT_OK);
    assert_int_equal(kti_tensors_set_metadata(&tensors, "a", "3", &error), KT_OK);
    assert_int_equal(tensors.metadata_size, 2);
    assert_string_equal(kti_tensors_metadata(&tensors, "a"), "3");
    assert_int_equal(kti_tensors_set_metadata(&tensors, "a", NULL, &error), KT_OK);
    assert_int_equal(kti_tensors_set_metadata(&tensors, "none", NULL, &error), KT_OK);
    assert_null(kti_tensors_metadata(&tensors, "a"));
    assert_string_equal(kti_tensors_metadata(&tensors, "b"), "2");
    kti_tensors_destroy(&tensors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additions_are_zeroed_and_aligned),
        cmocka_unit_test(impossible_additions_are_refused),
        cmocka_unit_test(half_precision_is_exact),
        cmocka_unit_test(rounding_to_half_is_to_nearest_even),
        cmocka_unit_test(every_half_is_its_own),
        cmocka_unit_test(metadata_are_set_replaced_and_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
