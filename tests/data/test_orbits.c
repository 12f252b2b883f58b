/* Crystals by space group: cells of all groups, tables with such rows, one row of each error, random bytes. */
#include "support.h"

#include "crystal/lattice.h"
#include "crystal/symmetry.h"
#include "data/dataset.h"
#include "data/folder.h"
#include "data/orbits.h"

typedef struct example {
    const char *formula;
    kti_orbits orbits;
    int sites;
} example;

static const example examples[] = {
    {"ZnS", {"P 63 m c", "Zn 1/3 2/3 0; S 1/3 2/3 0.3748", {3.82, 0, 6.26}}, 4},
    {"Zn2S2", {"186", " Zn 1/3 2/3 0 ;S 1/3 2/3 .3748 ", {3.82, 3.82, 6.26, 90, 90, 120}}, 4},
    {"NaCl", {"225", "Na 0 0 0; Cl -1/2 1/2 +1.5", {5.64}}, 8},
    {"NaCl", {"Fm-3m", "Na 0 0 0; Cl 1/2 1/2 1/2", {5.64, 5.64, 5.64, 90, 90, 90}}, 8},
    {"Si", {"F d -3 m:2", "Si 1/8 1/8 1/8", {5.43}}, 8},
    {"Si", {"F d -3 m:1", "Si 0 0 0", {5.43}}, 8},
    {"Bi2Te3", {"R -3 m:H", "Bi 0 0 0.4; Te 0 0 0; Te 0 0 0.21", {4.38, 0, 30.4}}, 15},
    {"Bi2Te3", {"R -3 m", "Bi 0 0 0.4; Te 0 0 0; Te 0 0 0.21", {4.38, 0, 30.4}}, 15},
    {"Bi2Te3", {"166", "Bi .4 .4 .4; Te 0 0 0; Te .21 .21 .21", {10.447, 0, 0, 24.2}}, 5},
    {"Bi2Te3", {"R -3 m:R", "Bi .4 .4 .4; Te 0 0 0; Te .21 .21 .21", {10.447, 0, 0, 24.2}}, 5},
    {"AgBi3S5",
     {"C 1 2/m 1",
      "Ag 0 1/2 1/2; Ag 0 0 0; Bi .2205 0 .3934; Bi .4735 0 .2182; Bi .2642 0 .8913; S .1511 0 .5344; S "
      ".4249 0 .6361; S .1566 0 .7437; S .0893 0 .1422; S .3553 0 .0575",
      {13.47, 4.034, 16.589, 0, 95.2}},
     36},
    {"NaCl", {"1", "Na 0 0 0; Cl .5 .5 .5", {4, 4.1, 4.2, 80, 90, 100}}, 2},
};

enum { EXAMPLES = sizeof examples / sizeof examples[0] };

static void makes_the_conventional_cell(void **state)
{
    (void)state;
    for (int i = 0; i < EXAMPLES; i++) {
        kt_structure structure;
        kt_error error = KT_ERROR_NONE;
        assert_ok(kti_orbits_create(&examples[i].orbits, examples[i].formula, &structure, &error), &error);
        assert_int_equal(structure.sites, examples[i].sites);
        kt_structure_destroy(&structure);
    }
}

/* What the crystal system of a group's standard setting leaves free. */
static void expected_rule(int group, int rule[6])
{
    static const int rules[7][6] = {{0, 1, 2, 3, 4, 5},    {0, 1, 2, 90, 4, 90},   {0, 1, 2, 90, 90, 90},
                                    {0, 0, 2, 90, 90, 90}, {0, 0, 2, 90, 90, 120}, {0, 0, 2, 90, 90, 120},
                                    {0, 0, 0, 90, 90, 90}};
    static const int last[7] = {2, 15, 74, 142, 167, 194, 230};
    int system = 0;
    while (group > last[system])
        system++;
    memcpy(rule, rules[system], sizeof rules[system]);
}

static void every_group_fixes_what_its_system_does(void **state)
{
    (void)state;
    for (int group = 1; group <= 230; group++) {
        kti_operation operations[KTI_GROUP_ORDER];
        int rule[6], expected[6];
        int count = kti_spacegroup_operations(NULL, NULL, group, 90, 120, operations);
        if (count < 0) /* two choices of origin, whose cells are the same */
            continue;
        assert_true(count > 0);
        kti_symmetry_cell_rule(operations, count, rule);
        expected_rule(group, expected);
        assert_memory_equal(rule, expected, sizeof rule);
    }
}

static void settings_move_what_is_free(void **state)
{
    static const struct {
        const char *name;
        int rule[6];
    } cases[] = {
        {"P 1 1 21/b", {0, 1, 2, 90, 90, 5}}, {"P 21/b 1 1", {0, 1, 2, 3, 90, 90}},
        {"R 3:R", {0, 0, 0, 3, 3, 3}},        {"R 3:H", {0, 0, 2, 90, 90, 120}},
        {"P n n n:2", {0, 1, 2, 90, 90, 90}}, {"F d -3 c:1", {0, 0, 0, 90, 90, 90}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kti_operation operations[KTI_GROUP_ORDER];
        int rule[6];
        int count = kti_spacegroup_operations(NULL, cases[i].name, 0, 90, 120, operations);
        assert_true(count > 0);
        kti_symmetry_cell_rule(operations, count, rule);
        assert_memory_equal(rule, cases[i].rule, sizeof rule);
    }
}

static void refuses_what_is_wrong(void **state)
{
    static const char rocksalt[] = "Na 0 0 0; Cl 1/2 1/2 1/2";
    static const struct {
        const char *formula;
        kti_orbits orbits;
        const char *reason;
    } cases[] = {
        {"NaCl", {"Q m -3 m", rocksalt, {5.64}}, "no space group \"Q m -3 m\""},
        {"NaCl", {"0", rocksalt, {5.64}}, "no space group \"0\""},
        {"NaCl", {"231", rocksalt, {5.64}}, "no space group \"231\""},
        {"NaCl", {"99999999999999999999", rocksalt, {5.64}}, "no space group"},
        {"NaCl", {"225.5", rocksalt, {5.64}}, "no space group"},
        {"NaCl", {"-225", rocksalt, {5.64}}, "no space group"},
        {"NaCl", {"F m -3 m:3", rocksalt, {5.64}}, "no space group"},
        {"Si", {"227", "Si 1/8 1/8 1/8", {5.43}}, "two choices of origin"},
        {"Si", {"F d -3 m", "Si 1/8 1/8 1/8", {5.43}}, "two choices of origin"},
        {"NaCl", {"225", rocksalt, {0}}, "needs a"},
        {"ZnS", {"186", "Zn 1/3 2/3 0; S 1/3 2/3 .375", {3.8}}, "needs c"},
        {"NaCl", {"14", rocksalt, {5, 5, 5}}, "needs beta"},
        {"Bi", {"R -3 m:R", "Bi .23 .23 .23", {4.7}}, "needs alpha"},
        {"NaCl", {"225", rocksalt, {5.64, 5.65}}, "b is 5.64, not 5.65; leave it empty"},
        {"NaCl", {"225", rocksalt, {5.64, 0, 0, 90, 90, 91}}, "gamma is 90, not 91; leave it empty"},
        {"ZnS", {"186", "Zn 1/3 2/3 0; S 1/3 2/3 .375", {3.8, 0, 6.2, 0, 0, 90}}, "gamma is 120, not 90"},
        {"NaCl", {"225", rocksalt, {-5.64}}, "must be positive"},
        {"NaCl", {"14", rocksalt, {5, 5, 5, 0, 1.75}}, "lengths are in Å, angles in degrees"},
        {"NaCl", {"1", rocksalt, {4, 4, 4, 30, 30, 170}}, "flat"},
        {"NaCl", {"1", rocksalt, {4, 4, 4, 90, 90, 190}}, "between 0 and 180"},
        {"NaCl", {"225", "", {5.64}}, "needs sites"},
        {"NaCl", {"225", "Na 0 0 0;", {5.64}}, "site 2 is empty"},
        {"NaCl", {"225", "Na 0 0 0; ;Cl .5 .5 .5", {5.64}}, "site 2 is empty"},
        {"NaCl", {"225", "Na 0 0 0; Cl 1/2 1/2", {5.64}}, "site 2, \"Cl 1/2 1/2\", has 2 coordinates"},
        {"NaCl", {"225", "Na; Cl 1/2 1/2 1/2", {5.64}}, "site 1, \"Na\", has 0 coordinates"},
        {"NaCl", {"225", "Na 0 0 0 0", {5.64}}, "more than 3 coordinates"},
        {"NaCl", {"225", "Na 0 0 0, Cl 1/2 1/2 1/2", {5.64}}, "\"0,\" is not a number"},
        {"NaCl", {"225", "Na 0 0 0; Cl 1/2 1/2 1/0", {5.64}}, "\"1/0\" is not a number"},
        {"NaCl", {"225", "Na 0 0 0; Cl 1/2 1/2 1/x", {5.64}}, "\"1/x\" is not a number"},
        {"NaCl", {"225", "Na 0 0 0; Cl 1/2 1/2 nan", {5.64}}, "\"nan\" is not a number"},
        {"NaCl", {"225", "Na 0 0 0; Cl 1/2 1/2 1e9", {5.64}}, "must be finite and within"},
        {"NaCl", {"225", "Xx 0 0 0; Cl 1/2 1/2 1/2", {5.64}}, "begins with no element"},
        {"NaCl", {"225", "0 0 0; Cl 1/2 1/2 1/2", {5.64}}, "begins with no element"},
        {"NaCl", {"225", "Na 0 0 0; Cl 0.01 0 0", {5.64}}, "'Na1' and 'Cl2'"},
        {"NaCl", {"225", "Na 0 0 0; Cl 1/2 1/2 1/2; Cl 0 0 1/2", {5.64}}, "'Cl2' and 'Cl3'"},
        {"NaCl2",
         {"225", rocksalt, {5.64}},
         "\"NaCl2\" contradicts the sites, which the space group makes NaCl"},
        {"KCl", {"225", rocksalt, {5.64}}, "contradicts"},
        {"Na", {"225", rocksalt, {5.64}}, "contradicts"},
        {"", {"225", rocksalt, {5.64}}, "not a list of elements"},
        {"nacl", {"225", rocksalt, {5.64}}, "not a list of elements"},
        {"Na0Cl", {"225", rocksalt, {5.64}}, "not a list of elements"},
        {"Na99999Cl", {"225", rocksalt, {5.64}}, "not a list of elements"},
        {"Na(Cl)", {"225", rocksalt, {5.64}}, "not a list of elements"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kt_structure structure;
        kt_error error = KT_ERROR_NONE;
        assert_int_not_equal(kti_orbits_create(&cases[i].orbits, cases[i].formula, &structure, &error),
                             KT_OK);
        if (!strstr(error.message, cases[i].reason))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, error.message, cases[i].reason);
        assert_int_equal(structure.sites, 0);
        assert_null(structure.fractional);
    }
}

/* Both kinds of row in one table, and one row of each fault that the table itself shows. */
static void stand_beside_prototypes_in_a_table(void **state)
{
    static const char table[] = "id,formula,prototype,space_group,a,b,c,alpha,beta,gamma,u,sites,kappa\n"
                                "salt,NaCl,rocksalt,,5.64,,,,,,,,7\n"
                                "blende,ZnS,,F -4 3 m,5.4,,,,,,,Zn 0 0 0; S 1/4 1/4 1/4,20\n"
                                "both,NaCl,rocksalt,225,5.64,,,,,,,,7\n"
                                "neither,NaCl,,,5.64,,,,,,,,7\n"
                                "b,NaCl,rocksalt,,5.64,5.64,,,,,,,7\n"
                                "sites,NaCl,rocksalt,,5.64,,,,,,,Na 0 0 0,7\n"
                                "u,GaN,,186,3.2,,5.2,,,,0.377,Ga 1/3 2/3 0; N 1/3 2/3 .377,7\n"
                                "beta,NaCl,,14,5,5,5,,steep,,,Na 0 0 0,7\n"
                                "group,NaCl,,300,5,,,,,,,Na 0 0 0,7\n"
                                "lonely,Cs,,221,9,,,,,,,Cs 0 0 0,7\n"
                                "polonium,Po,,221,3.3,,,,,,,Po 0 0 0,7\n";
    static const struct {
        const char *id, *reason;
    } rejects[] = {
        {"both", "both a prototype and a space group"},
        {"neither", "neither a prototype nor a space group"},
        {"b", "b belongs to space groups"},
        {"sites", "sites belongs to space groups"},
        {"u", "u belongs to prototypes"},
        {"beta", "beta \"steep\" is not a finite number"},
        {"group", "no space group \"300\""},
        {"lonely", "no two atoms are within"},
        {"polonium", "Po"},
    };
    enum { REJECTS = sizeof rejects / sizeof rejects[0] };
    folder place;
    kti_dataset set;
    kt_error error = KT_ERROR_NONE;
    char path[256];
    const kti_dataset_options options = kti_dataset_options_default();
    (void)state;
    folder_create(&place);
    folder_write(&place, "paper.csv", table);
    assert_ok(kti_dataset_read(folder_path(&place, "paper.csv", path), &options, &set, &error), &error);
    assert_int_equal(set.size, 2);
    assert_string_equal(set.crystals[1].formula, "ZnS");
    assert_int_equal(set.rejected, REJECTS);
    for (int i = 0; i < REJECTS; i++) {
        assert_string_equal(set.rejects[i].id, rejects[i].id);
        assert_int_equal(set.rejects[i].error.line, i + 4);
        assert_non_null(strstr(set.rejects[i].error.file, "paper.csv"));
        if (!strstr(set.rejects[i].error.message, rejects[i].reason))
            fail_msg("%s: %s", rejects[i].id, set.rejects[i].error.message);
    }
    kti_dataset_destroy(&set);
    folder_destroy(&place);
}

static void headers_say_which_form_a_table_has(void **state)
{
    static const struct {
        const char *table, *reason; /* no reason: it is fine */
    } cases[] = {
        {"formula,space_group,sites,a,kappa,id\nNaCl,225,Na 0 0 0; Cl 1/2 1/2 1/2,5.64,7,x\n", NULL},
        {"formula,space_group,a,kappa,id\nNaCl,225,5.64,7,x\n",
         "no column prototype, nor space_group and sites"},
        {"Formula,prototype,a,kappa,id\nNaCl,rocksalt,5.64,7,x\n", "no column formula, but Formula"},
        {"formula;prototype;a;kappa;id\nNaCl;rocksalt;5,64;7;x\n", "has semicolons between its columns"},
        {"formula\tprototype\ta\tkappa\tid\n", "has tabs between its columns"},
        {"formula,sites,a,kappa,id\nNaCl,Na 0 0 0,5.64,7,x\n",
         "no column prototype, nor space_group and sites"},
        {"formula,space_group,sites,kappa,id\nNaCl,225,Na 0 0 0,7,x\n", "no column a"},
        {"formula,space_group,space_group,sites,a,kappa,id\nNaCl,225,,,5,7,x\n", "space_group twice"},
        /* Without both columns they are anybody's, as are those of the angles. */
        {"formula,prototype,space_group,alpha,b,a,kappa,id\nNaCl,rocksalt,225,1e-5,good,5.64,7,x\n", NULL},
    };
    folder place;
    kti_dataset set;
    char path[256];
    const kti_dataset_options options = kti_dataset_options_default();
    (void)state;
    folder_create(&place);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        folder_write(&place, "paper.csv", cases[i].table);
        kt_status status = kti_dataset_read(folder_path(&place, "paper.csv", path), &options, &set, &error);
        if (!cases[i].reason)
            assert_ok(status, &error);
        else if (status != KT_BAD_FORMAT || !strstr(error.message, cases[i].reason))
            fail_msg("case %zu: %s", i, error.message);
        kti_dataset_destroy(&set);
    }
    folder_destroy(&place);
}

static uint32_t draw(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static void change_bytes(char *text, uint32_t *random)
{
    static const char alphabet[] = ";/ .-+:1029eHRNaClm\t\xFF";
    for (uint32_t flips = draw(random) % 4; flips > 0; flips--) {
        const size_t where = draw(random) % strlen(text);
        text[where] = alphabet[draw(random) % (sizeof alphabet - 1)];
    }
}

/* The examples with a few bytes changed make a crystal, or an error that says why not. */
static void survives_random_bytes(void **state)
{
    uint32_t random = 4711;
    int made = 0, refused = 0;
    (void)state;
    for (int trial = 0; trial < 20000; trial++) {
        char group[32], sites[256], formula[32];
        const example *of = &examples[trial % EXAMPLES];
        kti_orbits given = of->orbits;
        kt_structure structure;
        kt_error error = KT_ERROR_NONE;
        snprintf(group, sizeof group, "%s", given.space_group);
        snprintf(sites, sizeof sites, "%s", given.sites);
        snprintf(formula, sizeof formula, "%s", of->formula);
        change_bytes(group, &random);
        change_bytes(sites, &random);
        if (trial % 3 == 0)
            change_bytes(formula, &random);
        given.space_group = group;
        given.sites = sites;
        if (kti_orbits_create(&given, formula, &structure, &error) == KT_OK) {
            assert_true(structure.sites >= 1);
            made++;
        } else {
            assert_true(error.message[0] != '\0' && structure.fractional == NULL);
            refused++;
        }
        kt_structure_destroy(&structure);
    }
    assert_true(made > 1000 && refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_the_conventional_cell),
        cmocka_unit_test(every_group_fixes_what_its_system_does),
        cmocka_unit_test(settings_move_what_is_free),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(stand_beside_prototypes_in_a_table),
        cmocka_unit_test(headers_say_which_form_a_table_has),
        cmocka_unit_test(survives_random_bytes),
    };
    return cmocka_run_group_tests_name("orbits", tests, NULL, NULL);
}
