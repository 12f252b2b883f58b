/* Sweeps: how many points a recipe has, and what each of them is. */
#include "support.h"

#include "train/stages.h"
#include "train/sweep.h"

static json_t *parse(const char *text)
{
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    return root;
}

/* Each point of the recipe, as compact JSON, one a line. */
static void assert_points(const char *recipe, int expected, const char *const *points)
{
    kt_error error = KT_ERROR_NONE;
    int count = -1;
    json_t *root = parse(recipe);
    assert_ok(kti_sweep_points(root, "r.json", &count, &error), &error);
    assert_int_equal(count, expected);
    for (int i = 1; i <= expected; i++) {
        json_t *point = kti_sweep_point(root, count, i), *wanted = parse(points[i - 1]);
        assert_non_null(point);
        if (!json_equal(point, wanted))
            fail_msg("point %d is %s, not %s", i, json_dumps(point, JSON_COMPACT), points[i - 1]);
        json_decref(point);
        json_decref(wanted);
    }
    json_decref(root);
}

static void lists_are_combined(void **state)
{
    static const char *const two_keys[] = {
        "{\"a\": 1, \"b\": \"x\", \"c\": 0}", "{\"a\": 1, \"b\": \"y\", \"c\": 0}",
        "{\"a\": 1, \"b\": \"z\", \"c\": 0}", "{\"a\": 2, \"b\": \"x\", \"c\": 0}",
        "{\"a\": 2, \"b\": \"y\", \"c\": 0}", "{\"a\": 2, \"b\": \"z\", \"c\": 0}"};
    static const char *const one_value[] = {"{\"a\": 1}"};
    (void)state;
    assert_points("{\"a\": [1, 2], \"b\": [\"x\", \"y\", \"z\"], \"c\": 0}", 6, two_keys);
    assert_points("{\"a\": [1]}", 1, one_value);
    assert_points("{\"a\": 1}", 0, NULL);
    assert_points("{}", 0, NULL);
}

static void joined_data_are_one_value(void **state)
{
    static const char *const points[] = {"{\"data\": [\"x\", \"y\"]}", "{\"data\": \"z\"}"};
    (void)state;
    assert_points("{\"data\": [\"x\", \"y\"]}", 0, NULL);
    assert_points("{\"data\": [[\"x\", \"y\"], \"z\"]}", 2, points);
}

static void stages_list_values_too(void **state)
{
    static const char *const points[] = {
        "{\"a\": 1, \"stages\": [{\"name\": \"s\"}, {\"name\": \"t\", \"b\": 3}]}",
        "{\"a\": 1, \"stages\": [{\"name\": \"s\"}, {\"name\": \"t\", \"b\": 4}]}",
        "{\"a\": 2, \"stages\": [{\"name\": \"s\"}, {\"name\": \"t\", \"b\": 3}]}",
        "{\"a\": 2, \"stages\": [{\"name\": \"s\"}, {\"name\": \"t\", \"b\": 4}]}"};
    (void)state;
    assert_points("{\"a\": [1, 2], \"stages\": [{\"name\": \"s\"}, {\"name\": \"t\", \"b\": [3, 4]}]}", 4,
                  points);
}

static void bad_lists_are_named(void **state)
{
    kt_error error = KT_ERROR_NONE;
    int count;
    json_t *empty = parse("{\"batch\": []}"), *many = json_object();
    (void)state;
    assert_int_equal(kti_sweep_points(empty, "r.json", &count, &error), KT_BAD_FORMAT);
    assert_string_equal(error.message, "`batch` lists no value");
    assert_string_equal(error.file, "r.json");
    error = (kt_error)KT_ERROR_NONE;
    for (int key = 0; key < 5; key++) {
        char name[2] = {(char)('a' + key), '\0'};
        json_object_set_new(many, name, parse("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"));
    }
    assert_int_equal(kti_sweep_points(many, "r.json", &count, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "more than 10000 points"));
    json_decref(empty);
    json_decref(many);
}

/* What takes one recipe does not take the first of several. */
static void a_sweep_is_no_recipe(void **state)
{
    kt_error error = KT_ERROR_NONE;
    kt_recipe recipe;
    char path[] = "/tmp/kappatune-sweep-XXXXXX";
    const kt_train_options common = kt_train_options_default(KT_SOUND);
    const int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    FILE *out = fdopen(file, "w");
    assert_non_null(out);
    fputs("{\"data\": \"x\", \"batch\": [4, 8]}", out);
    fclose(out);
    assert_int_equal(kt_recipe_read(path, &common, &recipe, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "a sweep of 2 points"));
    assert_null(recipe.stage);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_combined),     cmocka_unit_test(joined_data_are_one_value),
        cmocka_unit_test(stages_list_values_too), cmocka_unit_test(bad_lists_are_named),
        cmocka_unit_test(a_sweep_is_no_recipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
