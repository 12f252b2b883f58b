/* Damaged and hostile input: a crystal or a proper error, never a crash, a hang or a flood of memory. The
 * build with sanitizers gives this its teeth. */
#include "support.h"

#include <math.h>
#include <time.h>

#include "base/file.h"

static const char *const CRYSTALS[] = {
    "togo15/mp-1000.cif",
    "hh143/mp-2894.cif",
    "aflow_agl/Ag1Al1O2_ICSD_160643.cif",
};
enum { FILES = sizeof CRYSTALS / sizeof *CRYSTALS };

static const char POSCAR[] =
    "NaCl\n-43.904\n0 1 1\n1 0 1\n1 1 0\nNa Cl\n1 1\nSelective\nDirect\n0 0 0 T T T\n"
    ".5 .5 .5 F F F\n";
static const char EXTXYZ[] =
    "2\nLattice=\"0 2.8 2.8 2.8 0 2.8 2.8 2.8 0\" Properties=species:S:1:pos:R:3 pbc=\"T T "
    "T\"\nNa 0 0 0\nCl 2.8 2.8 2.8\n";
static const char SYMMETRY[] =
    "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_cell_angle_alpha 90\n_cell_angle_beta "
    "90\n"
    "_cell_angle_gamma 90\n_symmetry_space_group_name_H-M 'F d -3 m:2'\n_symmetry_Int_Tables_number "
    "227\nloop_\n"
    "_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nSi1 .125 .125 .125\n";

/* Reads an exact copy; an outcome must be a usable crystal, or an error that says something. */
static kt_status try_text(kti_structure_format format, const char *data, size_t size)
{
    kt_structure structure;
    kt_error error = KT_ERROR_NONE;
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    kt_status status = kti_structure_read_text(format, copy, size, "input", &structure, &error);
    free(copy);
    assert_int_equal(error.status, status);
    if (status != KT_OK) {
        assert_true(status == KT_BAD_FORMAT || status == KT_BAD_CRYSTAL);
        assert_true(strlen(error.message) > 0);
        assert_string_equal(error.file, "input");
        assert_null(structure.fractional);
        return status;
    }
    assert_in_range(structure.sites, 1, 20000);
    for (int s = 0; s < structure.sites; s++) {
        assert_in_range(structure.atomic_number[s], 1, 118);
        for (int k = 0; k < 3; k++)
            assert_true(isfinite(structure.fractional[s][k]));
    }
    kti_graph graph;
    kti_graph_options options = kti_graph_options_default();
    error = (kt_error)KT_ERROR_NONE;
    if (kti_graph_create(&structure, &options, "input", &graph, &error) == KT_OK)
        kti_graph_destroy(&graph);
    else
        assert_true(strlen(error.message) > 0);
    kt_structure_destroy(&structure);
    return status;
}

static void read_whole(const char *path, char **data, size_t *size)
{
    kt_error error = KT_ERROR_NONE;
    if (kti_file_read(path, 1 << 20, data, size, &error) != KT_OK)
        fail_msg("%s: %s", error.file, error.message);
}

static void test_truncated_files(void **state)
{
    (void)state;
    int errors = 0;
    for (int f = 0; f < FILES; f++) {
        char *data;
        size_t size;
        read_whole(data_path(CRYSTALS[f]), &data, &size);
        for (size_t length = 0; length < size; length += 5)
            errors += try_text(KTI_FORMAT_CIF, data, length) != KT_OK;
        assert_int_equal(try_text(KTI_FORMAT_CIF, data, size), KT_OK);
        free(data);
    }
    assert_true(errors > 100);
    for (size_t length = 0; length < sizeof POSCAR; length++)
        try_text(KTI_FORMAT_POSCAR, POSCAR, length);
    for (size_t length = 0; length < sizeof EXTXYZ; length++)
        try_text(KTI_FORMAT_EXTXYZ, EXTXYZ, length);
    for (size_t length = 0; length < sizeof SYMMETRY; length++)
        try_text(KTI_FORMAT_CIF, SYMMETRY, length);
}

static void flip_bytes(kti_structure_format format, const char *data, size_t size, int times, draws *d)
{
    char *damaged = malloc(size);
    assert_non_null(damaged);
    for (int i = 0; i < times; i++) {
        memcpy(damaged, data, size);
        for (uint64_t flips = 1 + draw(d) % 4; flips > 0; flips--)
            damaged[draw(d) % size] = (char)(draw(d) % 3 ? ' ' + draw(d) % 95 : draw(d));
        try_text(format, damaged, size);
    }
    free(damaged);
}

static void test_flipped_bytes(void **state)
{
    (void)state;
    draws d = {20240};
    for (int f = 0; f < FILES; f++) {
        char *data;
        size_t size;
        read_whole(data_path(CRYSTALS[f]), &data, &size);
        flip_bytes(KTI_FORMAT_CIF, data, size, 1000, &d);
        free(data);
    }
    flip_bytes(KTI_FORMAT_CIF, SYMMETRY, sizeof SYMMETRY - 1, 3000, &d);
    flip_bytes(KTI_FORMAT_POSCAR, POSCAR, sizeof POSCAR - 1, 3000, &d);
    flip_bytes(KTI_FORMAT_EXTXYZ, EXTXYZ, sizeof EXTXYZ - 1, 3000, &d);
}

static void test_odd_bytes(void **state)
{
    (void)state;
    static const char zeros[64] = {0};
    char *deep = malloc(200000);
    assert_non_null(deep);
    for (int format = KTI_FORMAT_CIF; format <= KTI_FORMAT_UNKNOWN; format++) {
        try_text((kti_structure_format)format, zeros, sizeof zeros);
        try_text((kti_structure_format)format, "", 0);
        for (int c = 1; c < 256; c++) {
            memset(deep, c, 200000);
            assert_int_not_equal(try_text((kti_structure_format)format, deep, c % 16 ? 300 : 200000), KT_OK);
        }
    }
    free(deep);
}

/* Repeats `unit` after `head` until `size` bytes; then `tail`. */
static char *repeat(const char *head, const char *unit, const char *tail, size_t size, size_t *length)
{
    size_t step = strlen(unit);
    char *text = malloc(strlen(head) + size + step + strlen(tail) + 1), *end = text;
    assert_non_null(text);
    end += sprintf(end, "%s", head);
    while ((size_t)(end - text) < size) {
        memcpy(end, unit, step);
        end += step;
    }
    end += sprintf(end, "%s", tail);
    *length = (size_t)(end - text);
    return text;
}

/* Megabytes of one thing: reading must stay linear. */
static void test_repetition(void **state)
{
    (void)state;
    const struct {
        const char *head, *unit, *tail;
        kti_structure_format format;
    } cases[] = {
        {"data_x\nloop_\n", "_atom_site_label\n", "1\n", KTI_FORMAT_CIF},
        {"data_x\nloop_\n", "_a\n", "1\n", KTI_FORMAT_CIF},
        {"data_x\nloop_\n_atom_site_fract_x\n", "1 ", "\n", KTI_FORMAT_CIF},
        {"data_x\nloop_\n_a\n", "1 ", "\n", KTI_FORMAT_CIF},
        {"data_x\n_a\n", ";\n", "", KTI_FORMAT_CIF},
        {"data_x\n_a ", "'", "\n", KTI_FORMAT_CIF},
        {"", "data_\n", "", KTI_FORMAT_CIF},
        {"data_x\n", "save_a\nsave_\n", "", KTI_FORMAT_CIF},
        {"data_x\n", "loop_\n", "", KTI_FORMAT_CIF},
        {"data_x\n_cell_length_a ", "9", "\n", KTI_FORMAT_CIF},
        {"data_x\n_symmetry_space_group_name_H-M ", "F", "\n", KTI_FORMAT_CIF},
        {"x\n1\n4 0 0\n0 4 0\n0 0 4\n", "Na ", "\n", KTI_FORMAT_POSCAR},
        {"x\n1\n4 0 0\n0 4 0\n0 0 4\nNa\n", "1", "\nDirect\n", KTI_FORMAT_POSCAR},
        {"1\n", "Lattice=\"", "\n", KTI_FORMAT_EXTXYZ},
        {"1\nProperties=", "pos:R:3:", "\n", KTI_FORMAT_EXTXYZ},
        {"", "9", "\n", KTI_FORMAT_EXTXYZ},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        char *text = repeat(cases[i].head, cases[i].unit, cases[i].tail, 4 << 20, &size);
        assert_int_not_equal(try_text(cases[i].format, text, size), KT_OK);
        free(text);
    }
}

static const char CELL[] =
    "_cell_length_a 900\n_cell_length_b 900\n_cell_length_c 900\n_cell_angle_alpha 90\n"
    "_cell_angle_beta 90\n_cell_angle_gamma 90\n";
static const char TAGS[] =
    "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n";

static void test_operations_times_sites(void **state)
{
    (void)state;
    kt_structure structure;
    for (int special = 0; special < 2; special++) {
        size_t capacity = 8 << 20, used = 0;
        char *text = malloc(capacity);
        assert_non_null(text);
        used += (size_t)snprintf(text + used, capacity - used,
                                 "data_x\n%sloop_\n_symmetry_equiv_pos_as_xyz\n", CELL);
        /* 4,096 translations, different or all whole: the second makes every image a special position. */
        for (int i = 0; i < 4096; i++)
            used +=
                (size_t)snprintf(text + used, capacity - used, "x,y,z+%g\n", special ? i % 90 : i / 4096.0);
        used += (size_t)snprintf(text + used, capacity - used, "%s", TAGS);
        for (int i = 0; i < 19999; i++)
            used +=
                (size_t)snprintf(text + used, capacity - used, "C %g %g .1\n", i / 20000.0, i % 100 / 100.0);
        kt_error error = KT_ERROR_NONE;
        clock_t begin = clock();
        kt_status status = kti_structure_read_text(KTI_FORMAT_CIF, text, used, "input", &structure, &error);
        assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 60);
        if (special) {
            assert_int_equal(status, KT_OK);
            assert_int_equal(structure.sites, 19999);
        } else {
            assert_int_equal(status, KT_BAD_CRYSTAL);
            assert_non_null(strstr(error.message, "more than 20000 sites"));
        }
        kt_structure_destroy(&structure);
        free(text);
    }
}

static void test_too_many_operations_and_sites(void **state)
{
    (void)state;
    char head[600];
    size_t size;
    snprintf(head, sizeof head, "data_x\n%s%sC 0 0 0\nloop_\n_symmetry_equiv_pos_as_xyz\n", CELL, TAGS);
    char *text = repeat(head, "x,y,z\n", "", 1 << 20, &size);
    assert_int_equal(try_text(KTI_FORMAT_CIF, text, size), KT_BAD_CRYSTAL);
    free(text);
    snprintf(head, sizeof head, "data_x\n%s%s", CELL, TAGS);
    text = repeat(head, "C 0 0 0\n", "", 8 << 20, &size);
    assert_int_equal(try_text(KTI_FORMAT_CIF, text, size), KT_BAD_CRYSTAL);
    free(text);
    /* 20,000 sites on one point: the first clash is enough. */
    text = repeat(head, "C 0 0 0\n", "", strlen(head) + 8 * 19000, &size);
    assert_int_equal(try_text(KTI_FORMAT_CIF, text, size), KT_BAD_CRYSTAL);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated_files),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_odd_bytes),
        cmocka_unit_test(test_repetition),
        cmocka_unit_test(test_operations_times_sites),
        cmocka_unit_test(test_too_many_operations_and_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
