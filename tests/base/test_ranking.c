/* A ranking keeps the greatest, the first of equal ones before the others, and owns what it keeps. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/ranking.h"

static int destroyed;

static void destroy(void *item)
{
    free(item);
    destroyed++;
}

static void add_all(kti_ranking *ranking, const double *values, int size)
{
    for (int i = 0; i < size; i++)
        if (kti_ranking_takes(ranking, values[i])) {
            int *number = kti_allocate(1, sizeof *number);
            assert_non_null(number);
            *number = i;
            kti_ranking_add(ranking, values[i], number);
        }
}

static void keeps_the_greatest_in_order(void **state)
{
    static const double values[] = {2, 5, NAN, 5, -INFINITY, 1, INFINITY, 5, 3, INFINITY};
    static const int expected[] = {6, 9, 1, 3};
    kti_ranking ranking;
    (void)state;
    destroyed = 0;
    assert_int_equal(kti_ranking_create(4, destroy, &ranking, NULL), KT_OK);
    add_all(&ranking, values, 10);
    assert_int_equal(ranking.size, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(*(int *)ranking.entry[i].item, expected[i]);
        assert_true(ranking.entry[i].value == values[expected[i]]);
    }
    assert_false(kti_ranking_takes(&ranking, 5));
    assert_true(kti_ranking_takes(&ranking, 5.1));
    const int fell_out = destroyed;
    kti_ranking_destroy(&ranking);
    assert_int_equal(destroyed, fell_out + 4);
}

static void fewer_than_it_has_room_for(void **state)
{
    static const double values[] = {1, -2};
    kti_ranking ranking;
    (void)state;
    assert_int_equal(kti_ranking_create(3, destroy, &ranking, NULL), KT_OK);
    add_all(&ranking, values, 2);
    assert_int_equal(ranking.size, 2);
    assert_true(kti_ranking_takes(&ranking, -INFINITY));
    kti_ranking_destroy(&ranking);
    kti_ranking_destroy(&ranking); /* an empty one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_greatest_in_order),
        cmocka_unit_test(fewer_than_it_has_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
