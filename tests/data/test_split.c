/* Splits against numpy 2.4: RandomState(seed).permutation(size). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "data/split.h"

/* The first and the last three entries, and the sum h <- 31 h + entry (mod 2^32) over all of them. */
static const struct {
    uint32_t seed;
    int size;
    int first[3], last[3];
    uint32_t checksum;
} expected[] = {
    {1, 1, {0}, {0}, 0u},
    {1, 2, {0, 1}, {0, 1}, 1u},
    {1, 95, {40, 31, 46}, {72, 12, 37}, 920488151u},
    {1, 143, {78, 116, 31}, {72, 140, 37}, 82971393u},
    {1, 4855, {2942, 1011, 1913}, {905, 3980, 235}, 1029383667u},
    {2, 2, {1, 0}, {1, 0}, 31u},
    {2, 95, {36, 28, 54}, {72, 15, 40}, 1088881879u},
    {2, 143, {97, 119, 48}, {22, 72, 15}, 1767948201u},
    {2, 4855, {1111, 4016, 4335}, {2514, 3606, 2575}, 4022061961u},
    {3, 2, {1, 0}, {1, 0}, 31u},
    {3, 95, {58, 23, 93}, {56, 3, 24}, 2312784417u},
    {3, 143, {25, 6, 3}, {0, 131, 106}, 860907381u},
    {3, 4855, {3667, 4197, 3912}, {1667, 3321, 1688}, 2695659591u},
    {4, 2, {1, 0}, {1, 0}, 31u},
    {4, 95, {80, 14, 13}, {69, 55, 46}, 774299633u},
    {4, 143, {12, 64, 41}, {104, 129, 122}, 2957486187u},
    {4, 4855, {3434, 42, 2257}, {2487, 174, 1146}, 3671845705u},
    {5, 2, {0, 1}, {0, 1}, 1u},
    {5, 95, {40, 37, 54}, {16, 61, 78}, 567129429u},
    {5, 143, {122, 81, 53}, {73, 118, 99}, 3664059677u},
    {5, 4855, {2071, 3322, 1047}, {4079, 2254, 2915}, 204045551u},
    {6, 2, {1, 0}, {1, 0}, 31u},
    {6, 95, {55, 20, 23}, {84, 73, 10}, 1417635549u},
    {6, 143, {34, 93, 72}, {109, 106, 138}, 542566175u},
    {6, 4855, {1813, 3468, 446}, {2004, 227, 2761}, 2712327265u},
    {7, 2, {0, 1}, {0, 1}, 1u},
    {7, 95, {20, 91, 74}, {25, 68, 47}, 1841283503u},
    {7, 143, {11, 121, 37}, {103, 67, 25}, 4131041153u},
    {7, 4855, {4464, 3908, 596}, {537, 1220, 4271}, 1251075239u},
    {8, 2, {0, 1}, {0, 1}, 1u},
    {8, 95, {24, 11, 1}, {5, 84, 67}, 873584151u},
    {8, 143, {89, 57, 80}, {133, 105, 84}, 2596548713u},
    {8, 4855, {847, 4011, 2780}, {2033, 1364, 4547}, 403907549u},
    {9, 2, {1, 0}, {1, 0}, 31u},
    {9, 95, {6, 46, 26}, {56, 54, 92}, 232506453u},
    {9, 143, {60, 35, 28}, {142, 92, 126}, 142110307u},
    {9, 4855, {2542, 4143, 2724}, {501, 4444, 382}, 871449385u},
    {42, 2, {1, 0}, {1, 0}, 31u},
    {42, 95, {68, 22, 72}, {14, 92, 51}, 3916566257u},
    {42, 143, {117, 19, 82}, {14, 92, 102}, 3694958081u},
    {42, 4855, {4240, 1820, 4532}, {3092, 3772, 860}, 2226577519u},
    {4294967295u, 2, {0, 1}, {0, 1}, 1u},
    {4294967295u, 95, {70, 33, 31}, {12, 34, 35}, 3774916107u},
    {4294967295u, 143, {76, 75, 74}, {71, 12, 34}, 1365679555u},
    {4294967295u, 4855, {2328, 2334, 2214}, {3084, 290, 2467}, 1968253309u},
};

static void equals_numpy(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++) {
        int size = expected[k].size, shown = size < 3 ? size : 3;
        int32_t *order = malloc((size_t)size * sizeof *order);
        uint32_t checksum = 0;
        assert_non_null(order);
        assert_int_equal(kti_split_permutation(expected[k].seed, size, order, NULL), KT_OK);
        for (int i = 0; i < shown; i++) {
            assert_int_equal(order[i], expected[k].first[i]);
            assert_int_equal(order[size - shown + i], expected[k].last[i]);
        }
        for (int i = 0; i < size; i++)
            checksum = checksum * 31 + (uint32_t)order[i];
        assert_int_equal(checksum, expected[k].checksum);
        free(order);
    }
}

static void refuses_seed_zero_and_no_rows(void **state)
{
    int32_t order[1];
    kt_error error = KT_ERROR_NONE;
    (void)state;
    assert_int_equal(kti_split_permutation(0, 1, order, &error), KT_BAD_ARGUMENT);
    assert_int_equal(error.status, KT_BAD_ARGUMENT);
    assert_int_equal(kti_split_permutation(1, 0, order, NULL), KT_BAD_ARGUMENT);
    assert_int_equal(kti_split_permutation(1, -1, order, NULL), KT_BAD_ARGUMENT);
}

static void trains_on_four_fifths(void **state)
{
    static const int sizes[][2] = {{1, 0},   {2, 1},     {5, 4},       {10, 8},
                                   {95, 76}, {143, 114}, {4855, 3884}, {238, 190}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(kti_split_train_size(sizes[i][0]), sizes[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_numpy),
        cmocka_unit_test(refuses_seed_zero_and_no_rows),
        cmocka_unit_test(trains_on_four_fifths),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
