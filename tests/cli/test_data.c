/* kappatune data: check and stats. */
#include "cli/program.h"

#include <jansson.h>

static void the_shipped_tables_pass(void **state)
{
    static const struct {
        const char *name, *crystals;
    } tables[] = {{"togo15", "95"},
                  {"hh143", "143"},
                  {"kappa103", "103"},
                  {"bte_literature", "75"},
                  {"experiments", "98"}};
    outcome r = {0};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char command[128], expected[128];
        snprintf(command, sizeof command, "$KT data check datasets/%s.csv", tables[i].name);
        run(&r, *state, "%s", command);
        assert_status(&r, 0);
        snprintf(expected, sizeof expected, "%s crystals can be used, 0 rejected", tables[i].crystals);
        assert_says(&r, expected);
        assert_string_equal(r.err, "");
        snprintf(command, sizeof command, "$KT data stats datasets/%s.csv", tables[i].name);
        run(&r, *state, "%s", command);
        assert_status(&r, 0);
        snprintf(expected, sizeof expected, "%s: %s crystals, 0 rejected", tables[i].name,
                 tables[i].crystals);
        assert_says(&r, expected);
    }
    outcome_destroy(&r);
}

static void rejects_are_named(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "set.csv",
               "formula,prototype,a,c,u,kappa,id\n"
               "NaCl,rocksalt,5.64,,,7.1,salt\n"
               "NaCl,rocksalt,-5.64,,,7.1,negative\n"
               "GaAs,zincblende,5.65,,,many,\"many, \"\"really\"\"\"\n"
               "Si,diamond,5.43,,,150,si\n");
    run(&r, folder, "$KT data check $D/set.csv --rejects $D/rejects.csv --threads 2");
    assert_status(&r, 3);
    assert_says(&r, "2 crystals can be used, 2 rejected");
    assert_complains(&r, "set.csv:3: ");
    assert_complains(&r, "set.csv:4: ");
    assert_int_equal(count_lines(r.err), 2);
    char *rejects = read_text(in(folder, "rejects.csv"), NULL);
    assert_int_equal(count_lines(rejects), 3);
    assert_non_null(strstr(rejects, "id,line,file,reason\n"));
    assert_non_null(strstr(rejects, "\n\"many, \"\"really\"\"\",4,"));
    free(rejects);

    run(&r, folder, "$KT data check $D/set.csv --rejects $D/none/rejects.csv");
    assert_status(&r, 1);
    assert_complains(&r, "none/rejects.csv: ");
    run(&r, folder, "cp $D/set.csv $D/kept.csv; $KT data check $D/set.csv --rejects $D/set.csv");
    assert_status(&r, 1);
    assert_complains(&r, "set.csv: is there already, and is not what this command writes");
    run(&r, folder, "cmp $D/set.csv $D/kept.csv && $KT data check $D/set.csv --rejects $D/rejects.csv");
    assert_status(&r, 3);
    run(&r, folder, "$KT bench --data $D/set.csv --json $D/set.csv; cmp $D/set.csv $D/kept.csv");
    assert_status(&r, 0);
    assert_complains(&r, "set.csv: is there already");
    run(&r, folder, "$KT data check $D/none");
    assert_status(&r, 1);
    assert_complains(&r, "/none");
    outcome_destroy(&r);
}

static double number(const json_t *root, const char *object, const char *key)
{
    return json_number_value(json_object_get(json_object_get(root, object), key));
}

/* Silicon three times: as a primitive cell, as a cube of four with the sites in another order, and strained.
 */
static void stats_describe_a_set(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "mkdir $D/set");
    assert_status(&r, 0);
    write_text(folder, "set/id_prop.csv", "id,kappa\nprimitive,150\ncube,140\nstrained,0.5\npo,3\n");
    write_text(folder, "set/primitive.vasp",
               "Si\n1\n0 2.715 2.715\n2.715 0 2.715\n2.715 2.715 0\nSi\n2\nDirect\n0 0 0\n0.25 0.25 0.25\n");
    write_text(folder, "set/cube.vasp",
               "Si\n1\n5.43 0 0\n0 5.43 0\n0 0 5.43\nSi\n8\nDirect\n0.25 0.25 0.25\n0 0 0\n0 0.5 0.5\n0.75 "
               "0.75 0.25\n"
               "0.5 0 0.5\n0.5 0.5 0\n0.25 0.75 0.75\n0.75 0.25 0.75\n");
    write_text(folder, "set/strained.vasp",
               "Si\n1\n0 2.725 2.725\n2.725 0 2.725\n2.725 2.725 0\nSi\n2\nDirect\n0 0 0\n0.25 0.25 0.25\n");
    write_text(folder, "set/po.vasp", "Po\n1\n3.35 0 0\n0 3.35 0\n0 0 3.35\nPo\n1\nDirect\n0 0 0\n");
    run(&r, folder, "$KT data stats $D/set --format json");
    assert_status(&r, 3);
    assert_complains(&r, "po.vasp: ");
    json_t *root = json_loads(r.out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "crystals")), 3);
    assert_int_equal(json_integer_value(json_object_get(root, "rejected")), 1);
    assert_true(is_close(number(root, "kappa", "median"), 140, 1e-9, 0));
    assert_true(is_close(number(root, "kappa", "mean"), 290.5 / 3, 1e-8, 0));
    assert_int_equal(json_array_size(json_object_get(json_object_get(root, "kappa"), "histogram")), 2);
    assert_true(is_close(number(root, "sites", "mean"), 4, 1e-9, 0));
    assert_true(is_close(number(root, "edges", "max"), 8 * 16, 0, 0)); /* 4 bonds and 12 second neighbours */
    assert_true(is_close(number(root, "quotient_nodes", "max"), 1, 0, 0));
    assert_true(is_close(number(root, "quotient_edges", "max"), 2, 0, 0));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "elements"), "Si")), 3);
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "elements_outside"), 0)),
                        "Po");
    const json_t *pairs = json_object_get(root, "duplicates"), *pair = json_array_get(pairs, 0);
    assert_int_equal(json_array_size(pairs), 1);
    assert_string_equal(json_string_value(json_array_get(pair, 0)), "primitive");
    assert_string_equal(json_string_value(json_array_get(pair, 1)), "cube");
    json_decref(root);

    run(&r, folder, "$KT data stats $D/set");
    assert_status(&r, 3);
    assert_says(&r, "set: 3 crystals, 1 rejected");
    assert_says(&r, "min 0.5, median 140");
    assert_says(&r, "covered: 1 of the 89");
    assert_says(&r, "cube  primitive");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_shipped_tables_pass, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(rejects_are_named, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(stats_describe_a_set, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
