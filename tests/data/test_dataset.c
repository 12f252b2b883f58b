/* Data sets: one bad row of each kind, hostile tables, threads, and the three sets of the reference data. */
#include "support.h"

#include <unistd.h>

#include "base/file.h"
#include "data/csv.h"
#include "data/dataset.h"
#include "data/folder.h"

static const char rocksalt[] = "NaCl\n1.0\n0 2.82 2.82\n2.82 0 2.82\n2.82 2.82 0\nNa Cl\n1 1\nDirect\n"
                               "0 0 0\n0.5 0.5 0.5\n";
static const char lonely[] = "Cs\n1.0\n9 0 0\n0 9 0\n0 0 9\nCs\n1\nDirect\n0 0 0\n";
static const char broken_cif[] = "data_broken\nloop_\n_atom_site_label\n_atom_site_fract_x\nNa1\n";
static const char header[] = "formula,prototype,a,c,u,kappa,id\n";

static kt_status read_set(const char *path, int threads, kti_dataset *set, kt_error *error)
{
    kti_dataset_options options = kti_dataset_options_default();
    options.threads = threads;
    return kti_dataset_read(path, &options, set, error);
}

/* Writes id_prop.csv into a fresh folder that has good.vasp, fine.poscar, ... */
static void make_folder(folder *made, const char *table)
{
    folder_create(made);
    folder_write(made, "good.vasp", rocksalt);
    folder_write(made, "fine.poscar", rocksalt);
    folder_write(made, "last.vasp", rocksalt);
    folder_write(made, "id_prop.csv", table);
}

typedef struct expected_reject {
    const char *id;
    int line;
    const char *reason;
} expected_reject;

static void check_rejects(const kti_dataset *set, const expected_reject *expected, int count)
{
    assert_int_equal(set->rejected, count);
    for (int i = 0; i < count; i++) {
        const kti_reject *reject = &set->rejects[i];
        assert_string_equal(reject->id, expected[i].id);
        assert_int_not_equal(reject->error.status, KT_OK);
        assert_true(reject->error.file[0] != '\0');
        if (expected[i].line > 0)
            assert_int_equal(reject->error.line, expected[i].line);
        assert_non_null(strstr(reject->error.message, expected[i].reason));
    }
}

static void rejects_each_bad_row_and_keeps_the_rest(void **state)
{
    static const char table[] = "id,kappa\n"
                                "good,10\n"
                                "missing,\n"
                                "alone\n"
                                "negative,-3\n"
                                "zero,0\n"
                                "notanumber,nan\n"
                                "infinite,1e999\n"
                                "hexadecimal,0x10\n"
                                "text,3.5 W\n"
                                "comma,\"3,5\"\n"
                                "nofile,5\n"
                                "broken,5\n"
                                "good,11\n"
                                "../evil,3\n"
                                "wide,3,4\n"
                                "twice,4\n"
                                "lonely,4\n"
                                ",4\n"
                                "\"fine\", 2.5e1 \r\n"
                                "\n"
                                "last,+.5\n";
    static const expected_reject expected[] = {
        {"missing", 3, "kappa is missing"},
        {"alone", 4, "kappa is missing"},
        {"negative", 5, "not above 0"},
        {"zero", 6, "not above 0"},
        {"notanumber", 7, "not a finite number"},
        {"infinite", 8, "not a finite number"},
        {"hexadecimal", 9, "not a finite number"},
        {"text", 10, "not a finite number"},
        {"comma", 11, "not a finite number"},
        {"nofile", 12, "no structure file"},
        {"broken", 0, ""}, /* in the structure file's own words */
        {"good", 14, "repeats the id \"good\" of line 2"},
        {"../evil", 15, "path separator"},
        {"wide", 16, "3 columns"},
        {"twice", 17, "several structure files"},
        {"lonely", 0, "no two atoms are within 4"},
        {"", 19, "id is empty"},
    };
    folder place;
    kti_dataset set;
    kt_error error = KT_ERROR_NONE;
    (void)state;
    make_folder(&place, table);
    folder_write(&place, "broken.cif", broken_cif);
    folder_write(&place, "twice.vasp", rocksalt);
    folder_write(&place, "twice.poscar", rocksalt);
    folder_write(&place, "lonely.vasp", lonely);
    assert_int_equal(read_set(place.path, 1, &set, &error), KT_OK);
    assert_int_equal(error.status, KT_OK);
    check_rejects(&set, expected, sizeof expected / sizeof expected[0]);
    assert_non_null(strstr(set.rejects[10].error.file, "broken.cif"));
    assert_true(set.rejects[10].error.message[0] != '\0');
    assert_non_null(strstr(set.rejects[15].error.file, "lonely.vasp"));
    assert_int_equal(set.size, 3);
    assert_string_equal(set.crystals[0].id, "good");
    assert_string_equal(set.crystals[1].id, "fine");
    assert_string_equal(set.crystals[2].id, "last");
    assert_true(set.crystals[0].kappa == 10 && set.crystals[1].kappa == 25 && set.crystals[2].kappa == 0.5);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(set.crystals[i].formula, "NaCl");
        assert_int_equal(set.crystals[i].graph.directed_edges, 36);
    }
    assert_string_equal(set.name, strrchr(place.path, '/') + 1);
    kti_dataset_destroy(&set);
    folder_destroy(&place);
}

static void header_is_optional(void **state)
{
    static const struct {
        const char *table;
        int size, rejected;
    } cases[] = {
        {"good,1\nfine,2\n", 2, 0},
        {"id,ltc\ngood,1\nfine,2\n", 2, 0},
        {"\xEF\xBB\xBF# source\nmaterial, kappa (W/mK)\r\ngood,1\r\nfine,2\r\n", 2, 0},
        {"last,unknown\ngood,1\nfine,2\n", 2, 1}, /* has a structure, so it's a row */
        {"x,nan\ngood,1\nfine,2\n", 2, 1},
        {"x,\ngood,1\nfine,2\n", 2, 1},
        {"good,1\nid,ltc\nfine,2\n", 2, 1}, /* only the first record can be a header */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        folder place;
        kti_dataset set;
        make_folder(&place, cases[i].table);
        assert_int_equal(read_set(place.path, 1, &set, NULL), KT_OK);
        assert_int_equal(set.size, cases[i].size);
        assert_int_equal(set.rejected, cases[i].rejected);
        kti_dataset_destroy(&set);
        folder_destroy(&place);
    }
}

static void refuses_what_is_no_data_set(void **state)
{
    static const struct {
        const char *table, *reason;
    } cases[] = {
        {"", "has no rows"},
        {"id,kappa\n", "has no rows"},
        {"# nothing\n\n", "has no rows"},
        {"id,kappa\ngood,-1\nfine,x\n", "none of its 2 rows"},
        {"good;1\nfine;2\n", "has no comma between id and kappa, but semicolons"},
        {"good,1\nfine,\"2\n", "never closed"},
        {"good,1\nfi\"ne,2\n", "inside a field"},
    };
    folder place;
    kti_dataset set;
    char path[256];
    kt_error error;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        error = (kt_error)KT_ERROR_NONE;
        make_folder(&place, cases[i].table);
        assert_int_equal(read_set(place.path, 1, &set, &error), KT_BAD_FORMAT);
        assert_non_null(strstr(error.message, cases[i].reason));
        assert_true(set.size == 0 && set.rejected == 0 && set.crystals == NULL);
        folder_destroy(&place);
    }

    folder_create(&place);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(read_set(place.path, 1, &set, &error), KT_IO);
    assert_non_null(strstr(error.message, "no id_prop.csv"));
    assert_int_equal(read_set(folder_path(&place, "none", path), 1, &set, NULL), KT_IO);
    folder_write(&place, "x.txt", "good,1\n");
    assert_int_equal(read_set(folder_path(&place, "x.txt", path), 1, &set, NULL), KT_BAD_ARGUMENT);
    folder_write_bytes(&place, "id_prop.csv", "good,1\n\0,2\n", 11);
    assert_int_equal(read_set(place.path, 1, &set, NULL), KT_BAD_FORMAT);
    folder_write(&place, "id_prop.csv", "x");
    assert_int_equal(truncate(folder_path(&place, "id_prop.csv", path), 100 * 1000 * 1000), 0);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(read_set(place.path, 1, &set, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "100000000 bytes"));
    folder_destroy(&place);

    assert_int_equal(read_set("datasets/togo15.csv", 0, &set, NULL), KT_BAD_ARGUMENT);
}

static void reads_prototype_tables(void **state)
{
    static const char table[] = "# a comment, with \"quotes\n"
                                "id,formula,prototype,a,c,u,kappa,source\n"
                                "one,NaCl,rocksalt,5.64,,,7.1,here\n"
                                "two,GaN,wurtzite,3.2,5.2,0.377,200,here\n"
                                "three,MgAl2O4,spinel,8,,,20,here\n"
                                "four,GaN,wurtzite,3.2,,,200,here\n"
                                "five,NaCl,rocksalt,big,,,7,here\n"
                                "six,NaCl,rocksalt,5.64,,,,here\n"
                                "one,NaCl,rocksalt,5.64,,,7.1,here\n"
                                "seven,NaCl,rocksalt,5.64,,,7.1,here,there\n"
                                "eight,NaCl,rocksalt\n"
                                "nine,CsCl,cscl,60,,,1,here\n"
                                "ten,PoO,rocksalt,4.5,,,1,here\n"
                                "eleven,Li2O,antifluorite,4.6,,,12,here\n";
    static const expected_reject expected[] = {
        {"three", 5, "no prototype"},   {"four", 6, "needs c"},       {"five", 7, "a \"big\" is not"},
        {"six", 8, "kappa is missing"}, {"one", 9, "repeats"},        {"seven", 10, "9 columns"},
        {"eight", 11, "3 columns"},     {"nine", 12, "no two atoms"}, {"ten", 13, "Po"},
    };
    folder place;
    kti_dataset set;
    char path[256];
    kt_error error = KT_ERROR_NONE;
    (void)state;
    folder_create(&place);
    folder_write(&place, "paper.csv", table);
    assert_int_equal(read_set(folder_path(&place, "paper.csv", path), 1, &set, NULL), KT_OK);
    assert_string_equal(set.name, "paper");
    check_rejects(&set, expected, sizeof expected / sizeof expected[0]);
    assert_int_equal(set.size, 3);
    assert_string_equal(set.crystals[0].id, "one");
    assert_string_equal(set.crystals[1].formula, "GaN");
    assert_int_equal(set.crystals[1].graph.sites, 4);
    assert_string_equal(set.crystals[2].formula, "Li2O");
    kti_dataset_destroy(&set);

    folder_write(&place, "paper.csv", "formula,prototype,kappa,id\nNaCl,rocksalt,7,one\n");
    assert_int_equal(read_set(path, 1, &set, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "no column a"));
    error = (kt_error)KT_ERROR_NONE;
    folder_write(&place, "paper.csv", "formula,prototype,a,a,kappa,id\nNaCl,rocksalt,5,5,7,one\n");
    assert_int_equal(read_set(path, 1, &set, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "twice"));
    folder_write(&place, "paper.csv", header);
    assert_int_equal(read_set(path, 1, &set, NULL), KT_BAD_FORMAT);
    folder_write(&place, "paper.csv", "id,ltc\ngood,1\n");
    assert_int_equal(read_set(path, 1, &set, NULL), KT_BAD_FORMAT);
    folder_destroy(&place);
}

static void writes_rejects(void **state)
{
    folder place;
    kti_dataset set;
    kti_csv csv;
    char path[256];
    bool found;
    (void)state;
    make_folder(&place, "good,1\n\"a,\"\"b\"\"\",2\n../evil,3\n");
    assert_int_equal(read_set(place.path, 1, &set, NULL), KT_OK);
    assert_int_equal(set.rejected, 2);
    assert_int_equal(kti_dataset_write_rejects(&set, folder_path(&place, "rejects.csv", path), NULL), KT_OK);
    assert_int_equal(kti_csv_open(path, &csv, NULL), KT_OK);
    assert_int_equal(kti_csv_next(&csv, &found, NULL), KT_OK);
    assert_string_equal(csv.field[0], "id");
    assert_string_equal(csv.field[3], "reason");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kti_csv_next(&csv, &found, NULL), KT_OK);
        assert_true(found);
        assert_int_equal(csv.fields, 4);
        assert_string_equal(csv.field[0], i == 0 ? "a,\"b\"" : "../evil");
        assert_string_equal(csv.field[1], i == 0 ? "2" : "3");
        assert_non_null(strstr(csv.field[2], "id_prop.csv"));
        assert_string_equal(csv.field[3], set.rejects[i].error.message);
    }
    assert_int_equal(kti_csv_next(&csv, &found, NULL), KT_OK);
    assert_false(found);
    kti_csv_close(&csv);
    kti_dataset_destroy(&set);
    folder_destroy(&place);
}

static void assert_same_graph(const kti_graph *a, const kti_graph *b, double tolerance)
{
    assert_int_equal(a->nodes, b->nodes);
    assert_int_equal(a->edges, b->edges);
    assert_int_equal(a->sites, b->sites);
    assert_int_equal(a->directed_edges, b->directed_edges);
    for (int i = 0; i < a->nodes; i++) {
        assert_int_equal(a->node_type[i], b->node_type[i]);
        assert_true(a->node_weight[i] == b->node_weight[i]);
    }
    for (int64_t i = 0; i < a->sites; i++)
        assert_int_equal(a->site_node[i], b->site_node[i]);
    for (int i = 0; i < a->edges; i++) {
        assert_int_equal(a->edge_source[i], b->edge_source[i]);
        assert_int_equal(a->edge_target[i], b->edge_target[i]);
        assert_true(a->edge_weight[i] == b->edge_weight[i]);
        assert_true(isfinite(a->edge_distance[i]));
        assert_true(fabs(a->edge_distance[i] - b->edge_distance[i]) <= tolerance);
    }
}

static void assert_same_set(const kti_dataset *a, const kti_dataset *b)
{
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->rejected, b->rejected);
    for (int i = 0; i < a->size; i++) {
        assert_string_equal(a->crystals[i].id, b->crystals[i].id);
        assert_string_equal(a->crystals[i].formula, b->crystals[i].formula);
        assert_true(a->crystals[i].kappa == b->crystals[i].kappa);
        assert_same_graph(&a->crystals[i].graph, &b->crystals[i].graph, 0);
    }
    for (int i = 0; i < a->rejected; i++) {
        assert_string_equal(a->rejects[i].id, b->rejects[i].id);
        assert_string_equal(a->rejects[i].error.file, b->rejects[i].error.file);
        assert_string_equal(a->rejects[i].error.message, b->rejects[i].error.message);
        assert_int_equal(a->rejects[i].error.line, b->rejects[i].error.line);
    }
}

typedef struct calls {
    int stop_at, count, last, total;
} calls;

static int count_calls(void *user, int done, int total)
{
    calls *seen = user;
    seen->count++;
    seen->last = done;
    seen->total = total;
    return done >= seen->stop_at;
}

static void reports_progress_and_stops(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads += 3) {
        kti_dataset set;
        calls seen = {.stop_at = 1000};
        kt_error error = KT_ERROR_NONE;
        kti_dataset_options options = kti_dataset_options_default();
        options.threads = threads;
        options.progress = count_calls;
        options.user = &seen;
        assert_int_equal(kti_dataset_read("datasets/togo15.csv", &options, &set, &error), KT_OK);
        assert_int_equal(seen.last, 95);
        assert_int_equal(seen.total, 95);
        kti_dataset_destroy(&set);

        seen = (calls){.stop_at = 1};
        assert_int_equal(kti_dataset_read("datasets/togo15.csv", &options, &set, &error), KT_INTERRUPTED);
        assert_int_equal(seen.count, 1);
        assert_int_equal(error.status, KT_INTERRUPTED);
        assert_true(set.size == 0 && set.crystals == NULL);
    }
}

/* An option that no crystal can be read with is the caller's fault, not 95 rejects. */
static const char some_rows[] = "NaCl,rocksalt,5.64,,,7,first\nKCl,rocksalt,6.29,,,7,second\n"
                                "LiF,rocksalt,4.03,,,14,third\n";

static void write_table(const folder *made, const char *name, const char *rows)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s", header, rows);
    folder_write(made, name, text);
}

static kt_status read_pair(const folder *one, const char *first, const folder *other, const char *second,
                           kti_dataset *set, kt_error *error)
{
    char paths[2][256];
    const char *list[KT_MAX_DATA_SETS] = {folder_path(one, first, paths[0]),
                                          folder_path(other, second, paths[1])};
    const kti_dataset_options options = kti_dataset_options_default();
    return kti_dataset_read_all(list, &options, set, error);
}

static void joins_sets_and_counts_what_they_share(void **state)
{
    folder one, other;
    kti_dataset set, alone;
    kt_error error = KT_ERROR_NONE;
    char path[256];
    int count = -1;
    (void)state;
    folder_create(&one);
    folder_create(&other);
    write_table(&one, "set.csv", some_rows);
    write_table(&other, "copy.csv", some_rows);
    assert_int_equal(read_pair(&one, "set.csv", &other, "copy.csv", &set, &error), KT_BAD_ARGUMENT);
    assert_non_null(strstr(error.message, "holds the same crystals as"));
    assert_non_null(strstr(error.message, "set.csv"));
    assert_non_null(strstr(error.file, "copy.csv"));

    /* Two of three, in another order and with another id and kappa; one of them twice. */
    write_table(&other, "set.csv",
                "LiF,rocksalt,4.03,,,14,third\nNaCl,rocksalt,5.64,,,8,a\nNaCl,rocksalt,5.64,,,7,b\n"
                "KCl,rocksalt,6.30,,,7,c\n");
    assert_int_equal(read_pair(&one, "set.csv", &other, "set.csv", &set, NULL), KT_OK);
    assert_int_equal(set.parts, 2);
    assert_string_equal(set.part[0].name, "set");
    assert_string_equal(set.part[1].name, "set#2");
    assert_string_equal(set.name, "set+set#2");
    assert_int_equal(kti_dataset_count_shared(&set, &count, NULL), KT_OK);
    assert_int_equal(count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_set(folder_path(i ? &other : &one, "set.csv", path), 1, &alone, NULL), KT_OK);
        assert_true(kti_dataset_part_fingerprint(&set, i) == kti_dataset_fingerprint(&alone));
        assert_int_equal(kti_dataset_count_shared(&alone, &count, NULL), KT_OK);
        assert_int_equal(count, 0);
        kti_dataset_destroy(&alone);
    }
    assert_true(kti_dataset_part_fingerprint(&set, 0) != kti_dataset_part_fingerprint(&set, 1));
    kti_dataset_destroy(&set);

    /* Repeated within one part only: no other part has it. */
    write_table(&other, "more.csv", "MgO,rocksalt,4.21,,,60,a\nMgO,rocksalt,4.21,,,60,b\n");
    assert_int_equal(read_pair(&one, "set.csv", &other, "more.csv", &set, NULL), KT_OK);
    assert_string_equal(set.name, "set+more");
    assert_int_equal(kti_dataset_count_shared(&set, &count, NULL), KT_OK);
    assert_int_equal(count, 0);
    kti_dataset_destroy(&set);
    folder_destroy(&one);
    folder_destroy(&other);
}

static void bad_options_are_an_error(void **state)
{
    kti_dataset set;
    kti_dataset_options options = kti_dataset_options_default();
    (void)state;
    options.graph.cutoff = -1;
    assert_int_equal(kti_dataset_read("datasets/togo15.csv", &options, &set, NULL), KT_BAD_ARGUMENT);
}

/* Valid tables with a few bytes changed: read with rejects, or refused with a reason. */
static void survives_random_bytes(void **state)
{
    static const char table[] = "id,kappa\ngood,1.5\n\"fine\",2e1\r\nlast,3\n\"x,y\",4\n";
    static const char prototypes[] = "formula,prototype,a,c,u,kappa,id\nNaCl,rocksalt,5.64,,,7.1,a\n"
                                     "GaN,wurtzite,3.2,5.2,0.377,\"200\",b\n";
    static const char alphabet[] = "\0\n\r,\"#0e-. \t\xFF\xEF/";
    uint32_t random = 12345;
    int usable = 0, refused = 0;
    folder place;
    (void)state;
    make_folder(&place, table);
    for (int trial = 0; trial < 2000; trial++) {
        const char *source = trial % 2 ? table : prototypes;
        size_t size = strlen(source);
        char content[256], path[256];
        kti_dataset set;
        kt_error error = KT_ERROR_NONE;
        memcpy(content, source, size);
        for (int flips = 1 + trial % 5; flips > 0; flips--) {
            random = random * 1664525u + 1013904223u;
            size_t where = (random >> 8) % size;
            random = random * 1664525u + 1013904223u;
            content[where] = (random >> 30) ? alphabet[(random >> 8) % (sizeof alphabet - 1)]
                                            : (char)(content[where] ^ (1 << (random >> 8) % 8));
        }
        const char *name = trial % 2 ? "id_prop.csv" : "paper.csv";
        folder_write_bytes(&place, name, content, size);
        kt_status status =
            read_set(trial % 2 ? place.path : folder_path(&place, name, path), 1, &set, &error);
        if (status != KT_OK) {
            refused++;
            assert_int_equal(error.status, status);
            assert_true(error.message[0] != '\0');
            assert_int_equal(set.size, 0);
        } else {
            usable++;
            assert_true(set.size >= 1);
            for (int i = 0; i < set.size; i++)
                assert_true(isfinite(set.crystals[i].kappa) && set.crystals[i].kappa > 0);
        }
        kti_dataset_destroy(&set);
    }
    assert_true(usable > 200 && refused > 200);
    folder_destroy(&place);
}

/* The four crystals whose structure as published is not an ideal prototype: the full graphs have these
 * numbers of edges, and distances that differ by at most this, in Å. */
static const struct {
    const char *id;
    int ideal, published;
    double difference;
} distorted[] = {
    {"mp-1018059", 16, 16, 2.5e-4}, /* GaSb: a and b differ by 0.0019 Å */
    {"mp-1007661", 16, 16, 1.4e-3}, /* InSb: a and b differ by 0.0024 Å */
    {"mp-22913", 32, 24, 0}, /* CuBr: tetragonal; four of twelve second neighbours lie beyond the cutoff */
    {"mp-22914", 32, 32, 2.4e-2}, /* CuCl: rhombohedral, bonds of 2.312 and 2.342 Å */
};

static int find_distorted(const char *id)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(distorted[i].id, id) == 0)
            return i;
    return -1;
}

static void togo15_table_equals_its_structures(void **state)
{
    (void)state;
    for (int quotient = 0; quotient <= 1; quotient++) {
        kti_dataset table, files;
        kti_dataset_options options = kti_dataset_options_default();
        int exceptions = 0;
        options.graph.quotient = quotient;
        assert_int_equal(kti_dataset_read("datasets/togo15.csv", &options, &table, NULL), KT_OK);
        assert_int_equal(kti_dataset_read(data_path("togo15"), &options, &files, NULL), KT_OK);
        assert_string_equal(table.name, files.name);
        assert_int_equal(table.size, 95);
        assert_int_equal(files.size, 95);
        assert_int_equal(table.rejected, 0);
        assert_int_equal(files.rejected, 0);
        for (int i = 0; i < table.size; i++) {
            const kti_crystal *ideal = &table.crystals[i], *published = &files.crystals[i];
            assert_string_equal(ideal->id, published->id);
            assert_string_equal(ideal->formula, published->formula);
            assert_true(ideal->kappa == published->kappa);
            int which = find_distorted(ideal->id);
            if (which < 0) {
                /* Noise of the files that a quotient averages away stands in the full graph. */
                assert_same_graph(&ideal->graph, &published->graph, quotient ? 1e-5 : 6e-5);
                continue;
            }
            exceptions++;
            assert_int_equal(ideal->graph.directed_edges, distorted[which].ideal);
            assert_int_equal(published->graph.directed_edges, distorted[which].published);
            if (!quotient && distorted[which].difference > 0)
                assert_same_graph(&ideal->graph, &published->graph, distorted[which].difference);
        }
        assert_int_equal(exceptions, 4);
        kti_dataset_destroy(&table);
        kti_dataset_destroy(&files);
    }
}

static void hh143_is_usable(void **state)
{
    kti_dataset one, four;
    (void)state;
    assert_int_equal(read_set(data_path("hh143/"), 1, &one, NULL), KT_OK);
    assert_int_equal(read_set(data_path("hh143"), 4, &four, NULL), KT_OK);
    assert_int_equal(one.size, hh143_crystals());
    assert_int_equal(one.rejected, 0);
    assert_string_equal(one.name, "hh143");
    assert_same_set(&one, &four);
    kti_dataset_destroy(&one);
    kti_dataset_destroy(&four);
}

static void togo15_and_hh143_share_no_crystal(void **state)
{
    const char *paths[KT_MAX_DATA_SETS] = {data_path("togo15"), data_path("hh143")};
    const kti_dataset_options options = kti_dataset_options_default();
    kti_dataset set;
    int count = -1;
    (void)state;
    assert_int_equal(kti_dataset_read_all(paths, &options, &set, NULL), KT_OK);
    assert_int_equal(set.size, TOGO15_CRYSTALS + hh143_crystals());
    assert_int_equal(kti_dataset_count_shared(&set, &count, NULL), KT_OK);
    assert_int_equal(count, 0);
    kti_dataset_destroy(&set);
}

/* Six crystals have no edge within the cutoff; all others are usable, and threads change nothing. */
static void aflow_rejects_the_six_without_an_edge(void **state)
{
    static const char *const lonely_ids[] = {"Ba1_ICSD_52679", "Cs1I1_ICSD_44291", "Cs1_ICSD_42662",
                                             "K1_ICSD_44669",  "Rb1_ICSD_426967",  "Sr1_ICSD_44721"};
    kti_dataset one, four;
    (void)state;
    assert_int_equal(read_set(data_path("aflow_agl"), 4, &four, NULL), KT_OK);
    assert_int_equal(four.size, aflow_crystals() - AFLOW_EDGELESS);
    assert_int_equal(four.rejected, 6);
    for (int i = 0; i < four.rejected; i++) {
        assert_int_equal(four.rejects[i].error.status, KT_BAD_CRYSTAL);
        assert_non_null(strstr(four.rejects[i].error.message, "no two atoms are within 4"));
        assert_string_equal(four.rejects[i].id, lonely_ids[i]);
    }
    assert_int_equal(read_set(data_path("aflow_agl"), 1, &one, NULL), KT_OK);
    assert_same_set(&one, &four);
    kti_dataset_destroy(&one);
    kti_dataset_destroy(&four);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rejects_each_bad_row_and_keeps_the_rest),
        cmocka_unit_test(header_is_optional),
        cmocka_unit_test(refuses_what_is_no_data_set),
        cmocka_unit_test(reads_prototype_tables),
        cmocka_unit_test(writes_rejects),
        cmocka_unit_test(reports_progress_and_stops),
        cmocka_unit_test(joins_sets_and_counts_what_they_share),
        cmocka_unit_test(bad_options_are_an_error),
        cmocka_unit_test(survives_random_bytes),
        cmocka_unit_test(togo15_table_equals_its_structures),
        cmocka_unit_test(hh143_is_usable),
        cmocka_unit_test(togo15_and_hh143_share_no_crystal),
        cmocka_unit_test(aflow_rejects_the_six_without_an_edge),
    };
    return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
