/* The three formats: what is read, and every error by name. */
#include "support.h"

#include <locale.h>
#include <math.h>
#include <unistd.h>

#include "crystal/elements.h"

#define CUBE                                                                                                 \
    "_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n"                                                 \
    "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
#define SITE_TAGS "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
#define ROW_TAGS "_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"

static void check_site(const kt_structure *s, int site, const char *symbol, double x, double y, double z)
{
    assert_in_range(site, 0, s->sites - 1);
    assert_string_equal(kti_element_symbol(s->atomic_number[site]), symbol);
    assert_close(s->fractional[site][0], x, 1e-13, 1e-13);
    assert_close(s->fractional[site][1], y, 1e-13, 1e-13);
    assert_close(s->fractional[site][2], z, 1e-13, 1e-13);
}

static void test_elements(void **state)
{
    (void)state;
    int types = 0;
    for (int z = 1; z <= KTI_ATOMIC_NUMBERS; z++) {
        assert_int_equal(kti_element_number(kti_element_symbol(z)), z);
        if (kti_element_type(z) >= 0)
            assert_int_equal(kti_element_type(z), types++);
    }
    assert_int_equal(types, KTI_ELEMENT_TYPES);
    assert_int_equal(kti_element_type(kti_element_number("Pu")), 88);
    assert_int_equal(kti_element_type(kti_element_number("Ac")), 83);
    assert_int_equal(kti_element_type(kti_element_number("Bi")), 82);
    static const char *const unknown[] = {"Po", "At", "Rn", "Fr", "Ra", "Am"};
    for (int i = 0; i < 6; i++)
        assert_int_equal(kti_element_type(kti_element_number(unknown[i])), -1);
    assert_null(kti_element_symbol(0));
    assert_null(kti_element_symbol(119));
    assert_int_equal(kti_element_number("na"), 0);
    assert_close(kti_element_electronegativity(8), 3.44, 0, 0);
    assert_close(kti_element_electronegativity(2), 0, 0, 0);
}

static void test_formulas(void **state)
{
    (void)state;
    const struct {
        const char *coordinates, *formula;
    } cases[] = {
        {"As 0 0 0\nGa .25 .25 .25\n", "GaAs"},
        {"O 0 0 0\nLi .25 .25 .25\nLi .75 .75 .75\n", "Li2O"},
        {"Si 0 0 0\nSi .25 .25 .25\n", "Si"},
        {"He 0 0 0\nF .25 .25 .25\nO .5 .5 .5\nH 0 .5 0\nHe .5 0 0\nF 0 0 .5\nO .5 .5 0\nH .1 .6 0\n",
         "HOFHe"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000], formula[32];
        snprintf(text, sizeof text, "data_x\n" CUBE SITE_TAGS "%s", cases[i].coordinates);
        kt_structure s = parse(KTI_FORMAT_CIF, text);
        kt_structure_formula(&s, formula, sizeof formula);
        assert_string_equal(formula, cases[i].formula);
        kt_structure_formula(&s, formula, 2); /* cut, not overrun */
        assert_int_equal(strlen(formula), 1);
        kt_structure_destroy(&s);
    }
}

static void test_cif_as_written(void **state)
{
    (void)state;
    kt_structure s =
        parse(KTI_FORMAT_CIF, "# a comment: with_a:colon\r\ndata_x\r\n_cell_length_a 5.0(1)\r\n"
                              "_cell_length_b 6.\r\n_CELL_length_c '7'\r\n_cell.angle_alpha 80\r\n"
                              "_cell_angle_beta 95\r\n_cell_angle_gamma 120.0\r\nloop_\r\n"
                              "_atom_site_type_symbol\r\n" ROW_TAGS "_atom_site_occupancy\r\n"
                              "Na1+ x1 0.33333(2) -1.25 2 1.0\r\nD1- x2 +.5 5e-1 0.99999 .\r\n");
    assert_int_equal(s.sites, 2);
    check_site(&s, 0, "Na", 0.33333, -1.25, 2);
    check_site(&s, 1, "H", 0.5, 0.5, 0.99999);
    const double lengths[3] = {5, 6, 7},
                 cosines[3] = {cos(80 * acos(-1) / 180), cos(95 * acos(-1) / 180), -0.5};
    for (int i = 0; i < 3; i++) {
        double square = 0, product = 0;
        for (int k = 0; k < 3; k++) {
            square += s.lattice[i][k] * s.lattice[i][k];
            product += s.lattice[(i + 1) % 3][k] * s.lattice[(i + 2) % 3][k];
        }
        assert_close(sqrt(square), lengths[i], 1e-13, 0);
        assert_close(product / (lengths[(i + 1) % 3] * lengths[(i + 2) % 3]), cosines[i], 1e-12, 0);
    }
    kt_structure_destroy(&s);
}

static void test_cif_labels_give_elements(void **state)
{
    (void)state;
    const struct {
        const char *label, *symbol;
    } cases[] = {{"Na1", "Na"}, {"O_2", "O"},  {"OW1", "O"}, {"zn3", "Zn"}, {"ZN3", "Zn"},
                 {"D4", "H"},   {"Cl-", "Cl"}, {"W", "W"},   {"U1a", "U"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000];
        snprintf(text, sizeof text, "data_x\n" CUBE SITE_TAGS "%s 0 0 0\n", cases[i].label);
        kt_structure s = parse(KTI_FORMAT_CIF, text);
        assert_string_equal(kti_element_symbol(s.atomic_number[0]), cases[i].symbol);
        kt_structure_destroy(&s);
    }
}

static void test_cif_first_block_with_sites_counts(void **state)
{
    (void)state;
    kt_structure s =
        parse(KTI_FORMAT_CIF,
              "data_global\n_cell_length_a 99\n_journal 'x y'\ndata_one\n" CUBE "_note\n"
              ";several\n"
              "_cell_length_a 7\n"
              "lines\n"
              ";\n"
              "save_frame\n"
              "_cell_length_a 9\n"
              "save_\n" SITE_TAGS "Fe1 0 0 0\ndata_two\n_cell_length_a 9\n" SITE_TAGS "Cu1 0 0 0\n");
    assert_int_equal(s.sites, 1);
    check_site(&s, 0, "Fe", 0, 0, 0);
    assert_close(s.lattice[0][0], 4, 0, 0);
    kt_structure_destroy(&s);
}

static void test_cif_single_site_without_a_loop(void **state)
{
    (void)state;
    kt_structure s = parse(
        KTI_FORMAT_CIF, "\xEF\xBB\xBF"
                        "data_x\n" CUBE "_atom_site_label Po1\n_atom_site_fract_x 0\n_atom_site_fract_y 0\n"
                        "_atom_site_fract_z 0.5");
    assert_int_equal(s.sites, 1);
    check_site(&s, 0, "Po", 0, 0, 0.5);
    kt_structure_destroy(&s);
}

static void test_cif_dummy_sites_are_skipped(void **state)
{
    (void)state;
    kt_structure s = parse(KTI_FORMAT_CIF, "data_x\n" CUBE SITE_TAGS "_atom_site_calc_flag\n"
                                           "Na1 0 0 0 d\nCg1 ? ? ? dum\n");
    assert_int_equal(s.sites, 1);
    kt_structure_destroy(&s);
}

/* Listed operations, terms in every order that is used; special positions merge. */
static void test_cif_listed_operations(void **state)
{
    (void)state;
    kt_structure s = parse(KTI_FORMAT_CIF, "data_x\n" CUBE "loop_\n_symmetry_equiv_pos_site_id\n"
                                           "_symmetry_equiv_pos_as_xyz\n1 x,y,z\n2 '-x, -Y, 1/2+z'\n"
                                           "3 '0.5+Y,x + 1/2,-z'\n" SITE_TAGS "Na1 0.1 0.2 0.3\nCl1 0 0 0\n");
    assert_int_equal(s.sites, 6);
    check_site(&s, 0, "Na", 0.1, 0.2, 0.3);
    check_site(&s, 1, "Na", -0.1, -0.2, 0.8);
    check_site(&s, 2, "Na", 0.7, 0.6, -0.3);
    check_site(&s, 3, "Cl", 0, 0, 0);
    check_site(&s, 4, "Cl", 0, 0, 0.5);
    check_site(&s, 5, "Cl", 0.5, 0.5, 0);
    kt_structure_destroy(&s);
}

static void test_cif_images_within_a_tenth_of_an_angstrom_are_one(void **state)
{
    (void)state;
    /* Inversion at the corner: twice 0.01 x 4 Å = 0.08 Å merges, twice 0.02 x 4 = 0.16 Å does not. */
    static const char *const text =
        "data_x\n" CUBE "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,-y,-z\n" SITE_TAGS
        "Na1 0.9%d 0 0\nCl1 0.5 0.5 0.5\n";
    char filled[1000];
    for (int i = 0; i < 2; i++) {
        snprintf(filled, sizeof filled, text, 9 - i);
        kt_structure s = parse(KTI_FORMAT_CIF, filled);
        assert_int_equal(s.sites, 2 + i);
        check_site(&s, 0, "Na", 0.99 - 0.01 * i, 0, 0);
        kt_structure_destroy(&s);
    }
}

static void test_cif_space_groups_from_tables(void **state)
{
    (void)state;
    static const char *const hexagonal =
        "_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 20\n_cell_angle_alpha "
        "90\n_cell_angle_beta 90\n_cell_angle_gamma 120\n";
    static const char *const rhombohedral =
        "_cell_length_a 7\n_cell_length_b 7\n_cell_length_c 7\n_cell_angle_alpha "
        "33\n_cell_angle_beta 33\n_cell_angle_gamma 33\n";
    const struct {
        const char *cell, *group;
        const char *site;
        int sites;
    } cases[] = {
        {CUBE, "_symmetry_space_group_name_H-M 'F m -3 m'", "Na1 0 0 0\nCl1 .5 .5 .5", 8},
        {CUBE, "_space_group_name_H-M_alt Fm-3m", "Na1 0 0 0\nCl1 .5 .5 .5", 8},
        {CUBE, "_symmetry_Int_Tables_number 225", "Na1 0 0 0\nCl1 .5 .5 .5", 8},
        {CUBE, "_space_group_IT_number 225\n_space_group_name_H-M_alt ?", "Na1 0 0 0\nCl1 .5 .5 .5", 8},
        {CUBE, "_symmetry_space_group_name_H-M 'F m -3 m'\n_space_group_name_H-M_alt ?",
         "Na1 0 0 0\nCl1 .5 .5 .5", 8},
        {CUBE, "_symmetry_space_group_name_H-M 'F d -3 m:1'", "Si1 0 0 0", 8},
        {CUBE, "_symmetry_space_group_name_H-M 'F d -3 m S'", "Si1 0 0 0", 8},
        {CUBE, "_symmetry_space_group_name_H-M 'F d -3 m Z'", "Si1 .125 .125 .125", 8},
        {CUBE, "_symmetry_space_group_name_H-M 'F d -3 m:2'", "Si1 .125 .125 .125", 8},
        {CUBE, "_space_group_name_Hall '-F 4vw 2vw 3'", "Si1 .125 .125 .125", 8},
        {CUBE, "_symmetry_space_group_name_H-M P1", "Si1 .125 .125 .125", 1},
        {CUBE, "_symmetry_cell_setting cubic", "Si1 .125 .125 .125", 1},
        {hexagonal, "_symmetry_space_group_name_H-M 'R -3 m'", "Bi1 0 0 0.1", 6},
        {hexagonal, "_symmetry_space_group_name_H-M 'R -3 m H'", "Bi1 0 0 0.1", 6},
        {hexagonal, "_symmetry_Int_Tables_number 166", "Bi1 0 0 0.1", 6},
        {hexagonal, "_symmetry_Int_Tables_number 194", "Bi1 .3333 .6667 .25", 2},
        {rhombohedral, "_symmetry_space_group_name_H-M 'R -3 m'", "Bi1 .1 .1 .1", 2},
        {rhombohedral, "_symmetry_Int_Tables_number 166", "Bi1 .1 .1 .1", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000];
        snprintf(text, sizeof text, "data_x\n%s%s\n" SITE_TAGS "%s\n", cases[i].cell, cases[i].group,
                 cases[i].site);
        kt_structure s = parse(KTI_FORMAT_CIF, text);
        if (s.sites != cases[i].sites)
            fail_msg("%s: %d sites, expected %d", cases[i].group, s.sites, cases[i].sites);
        kt_structure_destroy(&s);
    }
}

/* The expanded conventional cell and the primitive cell of NaCl have one quotient. */
static void test_cif_expanded_rocksalt_is_rocksalt(void **state)
{
    (void)state;
    kt_structure s = parse(KTI_FORMAT_CIF, "data_x\n"
                                           "_cell_length_a 5.6\n"
                                           "_cell_length_b 5.6\n"
                                           "_cell_length_c 5.6\n"
                                           "_cell_angle_alpha 90\n"
                                           "_cell_angle_beta 90\n"
                                           "_cell_angle_gamma 90\n"
                                           "_symmetry_space_group_name_H-M 'F m -3 m'\n" SITE_TAGS
                                           "Na1 0 0 0\nCl1 .5 .5 .5\n");
    kti_graph graph = make_graph(&s, true);
    assert_int_equal(graph.nodes, 2);
    assert_int_equal(graph.edges, 4);
    assert_int_equal(graph.directed_edges, 8 * 18);
    kti_graph_destroy(&graph);
    kt_structure_destroy(&s);
}

static void test_cif_errors(void **state)
{
    (void)state;
#define ONE SITE_TAGS "Na1 0 0 0\n"
    const struct {
        const char *text;
        kt_status status;
        int line;
        const char *fragment;
    } cases[] = {
        {"", KT_BAD_FORMAT, 1, "not CIF"},
        {"hello\n", KT_BAD_FORMAT, 1, "expected block header"},
        {"data_x\n_a 'open\n", KT_BAD_FORMAT, 2, "unterminated"},
        {"data_x\n_a\n;open\n", KT_BAD_FORMAT, 4, "unterminated text field"},
        {"data_x\n" CUBE "loop_\n_p\n_q\n1 2 3\n" ONE, KT_BAD_FORMAT, 8, "not a multiple"},
        {"data_x\n" CUBE, KT_BAD_CRYSTAL, 0, "no site"},
        {"data_x\n" CUBE SITE_TAGS, KT_BAD_CRYSTAL, 10, "no site"},
        {"data_x\n" ONE, KT_BAD_CRYSTAL, 0, "no cell: _cell_length_a is missing"},
        {"data_x\n_cell_length_a ?\n" ONE, KT_BAD_CRYSTAL, 0, "no cell: _cell_length_a is missing"},
        {"data_x\n_cell_length_a\n" ONE, KT_BAD_FORMAT, 2, "no value"},
        {"data_x\n_cell_length_a 4\n_cell_length_A 4\n" ONE, KT_BAD_FORMAT, 3, "second time"},
        {"data_x\n_cell_length_a four\n" ONE, KT_BAD_FORMAT, 2, "_cell_length_a is 'four'"},
        {"data_x\n_cell_length_a 1e999\n" ONE, KT_BAD_FORMAT, 2, "not a finite number"},
        {"data_x\n"
         "_cell_length_a -4\n"
         "_cell_length_b 4\n"
         "_cell_length_c 4\n"
         "_cell_angle_alpha 90\n"
         "_cell_angle_beta 90\n"
         "_cell_angle_gamma 90\n" ONE,
         KT_BAD_CRYSTAL, 0, "the cell length a is -4 Å"},
        {"data_x\n"
         "_cell_length_a 4\n"
         "_cell_length_b 4\n"
         "_cell_length_c 4\n"
         "_cell_angle_alpha 90\n"
         "_cell_angle_beta 90\n"
         "_cell_angle_gamma 180\n" ONE,
         KT_BAD_CRYSTAL, 0, "180 degrees"},
        {"data_x\n"
         "_cell_length_a 4\n"
         "_cell_length_b 4\n"
         "_cell_length_c 4\n"
         "_cell_angle_alpha 30\n"
         "_cell_angle_beta 30\n"
         "_cell_angle_gamma 60\n" ONE,
         KT_BAD_CRYSTAL, 0, "flat"},
        {"data_x\n"
         "_cell_length_a 4\n"
         "_cell_length_b 4\n"
         "_cell_length_c 4e7\n"
         "_cell_angle_alpha 90\n"
         "_cell_angle_beta 90\n"
         "_cell_angle_gamma 90\n" ONE,
         KT_BAD_CRYSTAL, 0, "lattice vector 3"},
        {"data_x\n"
         "_cell_length_a 4\n"
         "_cell_length_b 4\n"
         "_cell_length_c 0.09\n"
         "_cell_angle_alpha 90\n"
         "_cell_angle_beta 90\n"
         "_cell_angle_gamma 90\n" ONE,
         KT_BAD_CRYSTAL, 0, "repeats every 0.09"},
        {"data_x\n" CUBE SITE_TAGS "_atom_site_occupancy\nNa1 0 0 0 1\nK1 .5 .5 .5 0.5(1)\n", KT_BAD_CRYSTAL,
         15, "site 'K1' has occupancy 0.5"},
        {"data_x\n" CUBE SITE_TAGS "_atom_site_occupancy\nNa1 0 0 0 1.0009\nK1 .5 .5 .5 1.0011\n",
         KT_BAD_CRYSTAL, 15, "site 'K1' has occupancy 1.0011"},
        {"data_x\n" CUBE SITE_TAGS "_atom_site_occupancy\nNa1 0 0 0 much\n", KT_BAD_FORMAT, 14,
         "occupancy is 'much'"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 0 0\nK1 0 0 0.02\n", KT_BAD_CRYSTAL, 14,
         "the sites 'Na1' and 'K1' are 0.0800 Å apart"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 0 0\nK1 0 0 0\n", KT_BAD_CRYSTAL, 14,
         "'Na1' and 'K1' are 0.0000 Å apart"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0.01 0 0\nK1 0.99 1 3\n", KT_BAD_CRYSTAL, 14, "'Na1' and 'K1'"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 0 0\nXx1 .5 .5 .5\n", KT_BAD_CRYSTAL, 14,
         "site 'Xx1': unknown element 'Xx1'"},
        {"data_x\n" CUBE SITE_TAGS "CA1 0 0 0\n", KT_BAD_CRYSTAL, 13,
         "site 'CA1': the label may mean two elements"},
        {"data_x\n" CUBE SITE_TAGS "_atom_site_type_symbol\nNa1 0 0 0 Wat\n", KT_BAD_CRYSTAL, 14,
         "unknown element 'Wat'"},
        {"data_x\n" CUBE "loop_\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n0 0 0\n",
         KT_BAD_CRYSTAL, 12, "site 1 has no element"},
        {"data_x\n" CUBE SITE_TAGS "_atom_site_type_symbol\n? 0 0 0 .\n", KT_BAD_CRYSTAL, 14,
         "site 1 has no element"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 ? 0\n", KT_BAD_CRYSTAL, 13,
         "site 'Na1': the coordinate y is missing"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 0 .\n", KT_BAD_CRYSTAL, 13, "the coordinate z is missing"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 0 nan\n", KT_BAD_FORMAT, 13, "the coordinate z is 'nan'"},
        {"data_x\n" CUBE SITE_TAGS "Na1 inf 0 0\n", KT_BAD_FORMAT, 13, "the coordinate x is 'inf'"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0.1.2 0 0\n", KT_BAD_FORMAT, 13, "the coordinate x is '0.1.2'"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 0 0.1(\n", KT_BAD_FORMAT, 13, "the coordinate z is '0.1('"},
        {"data_x\n" CUBE SITE_TAGS "Na1 0 0 1e9\n", KT_BAD_CRYSTAL, 13,
         "site 'Na1': the fractional coordinate z"},
        {"data_x\n" CUBE "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\nNa1 0 0\n",
         KT_BAD_CRYSTAL, 12, "the coordinate z is missing"},
        {"data_x\n" CUBE "loop_\n_atom_site_label\nNa1\nK1\nloop_\n_atom_site_fract_x\n_atom_site_fract_y\n"
         "_atom_site_fract_z\n0 0 0\n",
         KT_BAD_FORMAT, 9, "different lengths"},
        {"data_x\n" CUBE "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx,y\n" ONE, KT_BAD_FORMAT, 11,
         "'x,y' is not a symmetry operation"},
        {"data_x\n" CUBE "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,2z\n" ONE, KT_BAD_CRYSTAL, 10,
         "'x,y,2z' does not fit the cell"},
        {"data_x\n" CUBE "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z/2\n" ONE, KT_BAD_FORMAT, 10,
         "not a symmetry"},
        {"data_x\n" CUBE "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z+1/0\n" ONE, KT_BAD_FORMAT, 10,
         "not a symmetry"},
        {"data_x\n" CUBE "_symmetry_space_group_name_H-M 'Q 7'\n" ONE, KT_BAD_CRYSTAL, 8,
         "space group is unknown"},
        {"data_x\n" CUBE "_symmetry_space_group_name_H-M 'F d -3 m'\n" ONE, KT_BAD_CRYSTAL, 8,
         "two choices of origin"},
        {"data_x\n" CUBE "_symmetry_Int_Tables_number 227\n" ONE, KT_BAD_CRYSTAL, 8, "two choices of origin"},
        {"data_x\n" CUBE "_symmetry_Int_Tables_number 231\n" ONE, KT_BAD_CRYSTAL, 8,
         "space group is unknown"},
        {"data_x\n" CUBE "_symmetry_Int_Tables_number 194\n" ONE, KT_BAD_CRYSTAL, 8, "does not fit the cell"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(KTI_FORMAT_CIF, cases[i].text, cases[i].status, cases[i].line, cases[i].fragment);
}

static void test_poscar(void **state)
{
    (void)state;
    const struct {
        const char *text;
        double a; /* first component of the first vector */
    } cases[] = {
        {"NaCl\n1.0\n0 2.8 2.8\n2.8 0 2.8\n2.8 2.8 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5 Cl\n", 2.8},
        {"NaCl\r\n2 ! scale\r\n0 1.4 1.4\r\n1.4 0 1.4\r\n1.4 1.4 0\r\n Na_pv Cl/3f2a\r\n 1 1\r\nSelective "
         "dynamics\r\ndirect\r\n0 0 0 T T F\r\n.5 .5 .5 F F F\r\n\r\n0 0 0\r\n",
         2.8},
        /* negative: the volume, 2 x 2.8^3 */
        {"NaCl\n-43.904\n0 1 1\n1 0 1\n1 1 0\nNa Cl\n1 1\nKartesian\n0 0 0\n1 1 1", 2.8},
        {"NaCl\n1.4 1.4 1.4\n0 2 2\n2 0 2\n2 2 0\nNa K Cl\n1 0 1\ncart\n0 0 0\n2 2 2\n", 2.8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kt_structure s = parse(KTI_FORMAT_POSCAR, cases[i].text);
        assert_int_equal(s.sites, 2);
        assert_close(s.lattice[0][0], 0, 0, 0);
        assert_close(s.lattice[0][1], cases[i].a, 1e-12, 0);
        check_site(&s, 0, "Na", 0, 0, 0);
        check_site(&s, 1, "Cl", .5, .5, .5);
        kt_structure_destroy(&s);
    }
}

static void test_poscar_errors(void **state)
{
    (void)state;
#define BOX "x\n1\n4 0 0\n0 4 0\n0 0 4\n"
    const struct {
        const char *text;
        kt_status status;
        int line;
        const char *fragment;
    } cases[] = {
        {"", KT_BAD_FORMAT, 0, "the file ends here; expected a comment"},
        {"x\n", KT_BAD_FORMAT, 1, "the file ends here; expected a scale factor"},
        {"x\nbig\n", KT_BAD_FORMAT, 2, "a scale factor"},
        {"x\n0\n", KT_BAD_FORMAT, 2, "a scale factor"},
        {"x\n1 1 -1\n", KT_BAD_FORMAT, 2, "three positive"},
        {"x\n1\n4 0 0\n0 4\n", KT_BAD_FORMAT, 4, "second lattice vector"},
        {"x\n1\n4 0 0\n0 4 0\n4 4 0\nNa\n1\nDirect\n0 0 0\n", KT_BAD_CRYSTAL, 0, "flat"},
        {"x\n-64\n4 0 0\n0 4 0\n4 4 0\nNa\n1\nDirect\n0 0 0\n", KT_BAD_CRYSTAL, 0, "lattice vector"},
        {"x\n1\n4 0 0\n0 nan 0\n0 0 4\n", KT_BAD_FORMAT, 4, "second lattice vector"},
        {"x\n1e300\n4 0 0\n0 4 0\n0 0 4\nNa\n1\nDirect\n0 0 0\n", KT_BAD_CRYSTAL, 0, "lattice vector 1"},
        {BOX "1 1\nDirect\n0 0 0\n.5 .5 .5\n", KT_BAD_FORMAT, 6, "VASP 4"},
        {BOX "Na Zz\n1 1\n", KT_BAD_CRYSTAL, 6, "unknown element 'Zz'"},
        {BOX "\n1\n", KT_BAD_FORMAT, 6, "element symbols"},
        {BOX "Na Cl\n1\n", KT_BAD_FORMAT, 7, "number of its sites"},
        {BOX "Na Cl\n1 1.5\n", KT_BAD_FORMAT, 7, "number of its sites"},
        {BOX "Na Cl\n1 1 1\n", KT_BAD_FORMAT, 7, "more counts"},
        {BOX "Na\n20001\n", KT_BAD_CRYSTAL, 7, "more than 20000 sites"},
        {BOX "Na Cl\n20000 1e18\n", KT_BAD_CRYSTAL, 7, "more than 20000 sites"},
        {BOX "Na\n0\nDirect\n", KT_BAD_CRYSTAL, 0, "no site"},
        {BOX "Na\n1\nPolar\n0 0 0\n", KT_BAD_FORMAT, 8, "'Direct' or 'Cartesian'"},
        {BOX "Na\n2\nDirect\n0 0 0\n", KT_BAD_FORMAT, 9, "the file ends here; expected three coordinates"},
        {BOX "Na\n1\nDirect\n0 0\n", KT_BAD_FORMAT, 9, "three coordinates"},
        {BOX "Na Cl\n1 1\nDirect\n0 0 0\n0 0 1.02\n", KT_BAD_CRYSTAL, 10,
         "'Na1' and 'Cl2' are 0.0800 Å apart"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(KTI_FORMAT_POSCAR, cases[i].text, cases[i].status, cases[i].line, cases[i].fragment);
}

static void test_extxyz(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "2\nLattice=\"0 2.8 2.8 2.8 0 2.8 2.8 2.8 0\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\nNa 0 0 "
        "0\n"
        "Cl 2.8 2.8 2.8\n",
        ("2\nenergy=-1.5 note='a = b' Properties=forces:R:3:pos:R:3:magmom:R:1:species:S:1 "
         "lattice={0 2.8 2.8 2.8 0 2.8 2.8 2.8 0}\n9 9 9 0 0 0 1 Na\n9 9 9 2.8 2.8 2.8 1 Cl\n2\nnext frame"),
        "2\r\nLattice=\"0 2.8 2.8 2.8 0 2.8 2.8 2.8 0\"\r\nNa 0 0 0\r\nCl 2.8 2.8 2.8 extra\r\n",
        "2\nLattice=\"0 2.8 2.8 2.8 0 2.8 2.8 2.8 0\" Properties=Z:I:1:pos:R:3\n11 0 0 0\n17 2.8 2.8 2.8",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kt_structure s = parse(KTI_FORMAT_EXTXYZ, cases[i]);
        assert_int_equal(s.sites, 2);
        assert_close(s.lattice[2][1], 2.8, 0, 0);
        check_site(&s, 0, "Na", 0, 0, 0);
        check_site(&s, 1, "Cl", .5, .5, .5);
        kt_structure_destroy(&s);
    }
}

static void test_extxyz_errors(void **state)
{
    (void)state;
#define CELL "Lattice=\"4 0 0 0 4 0 0 0 4\" "
    const struct {
        const char *text;
        kt_status status;
        int line;
        const char *fragment;
    } cases[] = {
        {"", KT_BAD_FORMAT, 1, "number of sites"},
        {"two\n", KT_BAD_FORMAT, 1, "number of sites"},
        {"0\n\n", KT_BAD_CRYSTAL, 1, "no site"},
        {"20001\n" CELL "\n", KT_BAD_CRYSTAL, 1, "more than 20000 sites"},
        {"1\n", KT_BAD_FORMAT, 1, "the file ends here"},
        {"1\nplain molecule\nNa 0 0 0\n", KT_BAD_CRYSTAL, 2, "no cell"},
        {"1\nLattice=\"4 0 0 0 4 0 0 0\"\nNa 0 0 0\n", KT_BAD_FORMAT, 2, "nine numbers"},
        {"1\nLattice=\"4 0 0 0 4 0 0 0 4 4\"\nNa 0 0 0\n", KT_BAD_FORMAT, 2, "more than nine"},
        {"1\nLattice=\"4 0 0 0 4 0 4 4 0\"\nNa 0 0 0\n", KT_BAD_CRYSTAL, 0, "flat"},
        {"1\n" CELL "pbc=\"T T F\"\nNa 0 0 0\n", KT_BAD_CRYSTAL, 2, "not periodic"},
        {"1\n" CELL "Properties=species:S:1\nNa 0 0 0\n", KT_BAD_FORMAT, 2, "no pos"},
        {"1\n" CELL "Properties=pos:R:3\nNa 0 0 0\n", KT_BAD_FORMAT, 2, "no species"},
        {"1\n" CELL "Properties=species:S:1:pos:R\nNa 0 0 0\n", KT_BAD_FORMAT, 2, "name:type:columns"},
        {"1\n" CELL "\nXx 0 0 0\n", KT_BAD_CRYSTAL, 3, "unknown element 'Xx'"},
        {"1\n" CELL "Properties=Z:I:1:pos:R:3\n0 0 0 0\n", KT_BAD_CRYSTAL, 3, "unknown element '0'"},
        {"1\n" CELL "\nNa 0 0\n", KT_BAD_FORMAT, 3, "too few columns"},
        {"1\n" CELL "\nNa 0 0 inf\n", KT_BAD_FORMAT, 3, "not a finite number"},
        {"2\n" CELL "\nNa 0 0 0\n", KT_BAD_FORMAT, 3, "ends after 1 of 2 sites"},
        {"2\n" CELL "\nNa 0 0 0\nCl 0 4.05 0\n", KT_BAD_CRYSTAL, 4, "'Na1' and 'Cl2' are 0.0500 Å apart"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(KTI_FORMAT_EXTXYZ, cases[i].text, cases[i].status, cases[i].line, cases[i].fragment);
}

static void test_file_names_tell_the_format(void **state)
{
    (void)state;
    const struct {
        const char *path;
        kti_structure_format format;
    } cases[] = {{"a.cif", KTI_FORMAT_CIF},           {"x/y.z/A.CIF", KTI_FORMAT_CIF},
                 {"a.vasp", KTI_FORMAT_POSCAR},       {"a.poscar", KTI_FORMAT_POSCAR},
                 {"POSCAR", KTI_FORMAT_POSCAR},       {"x/CONTCAR", KTI_FORMAT_POSCAR},
                 {"a.xyz", KTI_FORMAT_EXTXYZ},        {"a.extxyz", KTI_FORMAT_EXTXYZ},
                 {"a", KTI_FORMAT_UNKNOWN},           {"a.cif/b", KTI_FORMAT_UNKNOWN},
                 {"a.cif.gz", KTI_FORMAT_UNKNOWN},    {"", KTI_FORMAT_UNKNOWN},
                 {"POSCAR/other", KTI_FORMAT_UNKNOWN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(kti_structure_format_of(cases[i].path), cases[i].format);
}

static void test_files(void **state)
{
    (void)state;
    kt_structure s;
    kt_error error = KT_ERROR_NONE;
    assert_int_equal(kt_structure_read("no/such/file.cif", &s, &error), KT_IO);
    assert_string_equal(error.file, "no/such/file.cif");
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kt_structure_read("crystal.pdf", &s, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, ".cif"));
    kt_structure_destroy(&s);
    kt_structure_destroy(NULL);

    char folder[] = "/tmp/kappatune-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/POSCAR", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("Si\n1\n0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0\nSi\n2\nDirect\n0 0 0\n.25 .25 .25\n", file);
    fclose(file);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kt_structure_read(path, &s, &error), KT_OK);
    assert_int_equal(s.sites, 2);
    kt_structure_destroy(&s);
    /* A sparse file beyond 64 MB is refused unread. */
    assert_int_equal(truncate(path, (off_t)65 << 20), 0);
    assert_int_equal(kt_structure_read(path, &s, &error), KT_BAD_FORMAT);
    assert_string_equal(error.file, path);
    unlink(path);
    rmdir(folder);
}

/* Where a comma is the decimal mark, a file still means what it meant. */
static void test_the_locale_does_not_matter(void **state)
{
    (void)state;
    char *kept = strdup(setlocale(LC_NUMERIC, NULL));
    assert_non_null(kept);
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) {
        free(kept);
        skip();
    }
    kt_structure s = parse(KTI_FORMAT_POSCAR, "x\n1.5\n4 0 0\n0 4 0\n0 0 4\nNa\n1\nDirect\n0.25 0 0\n");
    setlocale(LC_NUMERIC, kept);
    free(kept);
    assert_close(s.lattice[0][0], 6, 0, 0);
    assert_close(s.fractional[0][0], 0.25, 0, 0);
    kt_structure_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_cif_as_written),
        cmocka_unit_test(test_cif_labels_give_elements),
        cmocka_unit_test(test_cif_first_block_with_sites_counts),
        cmocka_unit_test(test_cif_single_site_without_a_loop),
        cmocka_unit_test(test_cif_dummy_sites_are_skipped),
        cmocka_unit_test(test_cif_listed_operations),
        cmocka_unit_test(test_cif_images_within_a_tenth_of_an_angstrom_are_one),
        cmocka_unit_test(test_cif_space_groups_from_tables),
        cmocka_unit_test(test_cif_expanded_rocksalt_is_rocksalt),
        cmocka_unit_test(test_cif_errors),
        cmocka_unit_test(test_poscar),
        cmocka_unit_test(test_poscar_errors),
        cmocka_unit_test(test_extxyz),
        cmocka_unit_test(test_extxyz_errors),
        cmocka_unit_test(test_file_names_tell_the_format),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_the_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
