/* kappatune bench: the plan that it shows is the step that it times, and every kernel is timed. */
#include <jansson.h>

#include "cli/program.h"

static json_t *read_json(const char *folder, const char *name)
{
    json_error_t why;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *json = json_load_file(path, 0, &why);
    if (!json)
        fail_msg("%s: %s", name, why.text);
    return json;
}

static double sum_of(const json_t *plan, const char *key)
{
    double sum = 0;
    size_t i;
    const json_t *one;
    json_array_foreach(plan, i, one)
    {
        sum += json_number_value(json_object_get(one, key));
    }
    return sum;
}

static void plan_is_what_is_timed(void **state)
{
    static const char *const keys[] = {"launches", "bytes", "flops"};
    outcome r = {0};
    run(&r, *state,
        "cp datasets/togo15.csv $D/set.csv && $KT bench --data $D/set.csv --seconds 0 --json $D/timed.json "
        "&& $KT bench --data $D/set.csv --plan --json $D/plan.json");
    assert_status(&r, 0);
    assert_says(&r, "segment_spread");
    assert_says(&r, "in 32, base 32, = out 32");
    json_t *plan = read_json(*state, "plan.json"), *timed = read_json(*state, "timed.json");
    const json_t *work = json_object_get(json_object_get(timed, "step"), "work");
    assert_true(json_array_size(plan) > 100);
    for (int i = 0; i < 3; i++)
        assert_true(
            is_close(sum_of(plan, keys[i]), json_number_value(json_object_get(work, keys[i])), 1e-9, 0));
    json_decref(plan);
    json_decref(timed);
    outcome_destroy(&r);
}

static void every_kernel_is_timed(void **state)
{
    outcome r = {0};
    size_t i;
    const json_t *one;
    run(&r, *state,
        "cp datasets/togo15.csv $D/set.csv && $KT bench --data $D/set.csv --kernels --seconds 0 --json "
        "$D/kernels.json");
    assert_status(&r, 0);
    assert_says(&r, "lstm_backward");
    json_t *kernels = read_json(*state, "kernels.json");
    assert_true(json_array_size(kernels) > 50);
    json_array_foreach(kernels, i, one)
    {
        assert_true(json_number_value(json_object_get(one, "microseconds")) > 0);
    }
    json_decref(kernels);
    run(&r, *state, "$KT bench --plan --kernels");
    assert_status(&r, 2);
    assert_complains(&r, "name one");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plan_is_what_is_timed, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(every_kernel_is_timed, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
