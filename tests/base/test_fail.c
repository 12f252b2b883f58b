/* Which errors of a crystal end the run: every status is told one way or the other. */
#include "support.h"

#include "base/fail.h"

static void what_strikes_the_next_crystal_too_is_fatal(void **state)
{
    (void)state;
    static const kt_status fatal[] = {KT_OUT_OF_MEMORY, KT_BAD_ARGUMENT, KT_DEVICE, KT_INTERRUPTED},
                           of_a_crystal[] = {KT_OK, KT_BAD_FORMAT, KT_BAD_CRYSTAL, KT_IO, KT_NON_FINITE};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        assert_true(kti_is_fatal(fatal[i]));
    for (size_t i = 0; i < sizeof of_a_crystal / sizeof of_a_crystal[0]; i++)
        assert_false(kti_is_fatal(of_a_crystal[i]));
    assert_int_equal(sizeof fatal / sizeof fatal[0] + sizeof of_a_crystal / sizeof of_a_crystal[0],
                     KT_INTERRUPTED + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_strikes_the_next_crystal_too_is_fatal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
