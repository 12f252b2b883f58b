/* Fetching a data set from AFLOW: pages, the join, resumption and every trouble of http_server.py. */
#include <stdbool.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "data/dataset.h"
#include "download/aflow.h"
#include "download/aflow_rows.h"
#include "http.h"
#include "support.h"

typedef struct fixture {
    char folder[64], url[128], data[128];
    http_server server;
    kti_fetcher *fetcher;
    kti_aflow_options options;
    kti_aflow_result result;
    kt_error error;
    int news;         /* lines so far */
    int stop_at_news; /* 0: never */
} fixture;

static int watch_download(void *user, const kti_fetch_progress *now)
{
    const fixture *f = user;
    (void)now;
    return f->stop_at_news > 0 && f->news >= f->stop_at_news;
}

static void take_news(void *user, const char *text)
{
    fixture *f = user;
    (void)text;
    f->news++;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/kappatune-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    http_start(&f->server, f->folder);
    snprintf(f->data, sizeof f->data, "%s/set/aflow_agl", f->folder);
    kti_fetch_options fetch = kti_fetch_options_default();
    fetch.attempts = 3;
    fetch.first_wait = 0.01;
    fetch.longest_wait = 5;
    fetch.pause = 0;
    fetch.progress = watch_download;
    fetch.user = f;
    assert_ok(kti_fetcher_create(&fetch, &f->fetcher, &f->error), &f->error);
    f->options = kti_aflow_options_default();
    f->options.folder = f->data;
    f->options.url = f->url;
    f->options.page_size = 3;
    f->options.message = take_news;
    f->options.user = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[128];
    kti_fetcher_destroy(f->fetcher);
    http_stop(&f->server);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    const int failed = system(command);
    free(f);
    return failed;
}

static kt_status fetch(fixture *f, const char *scenario)
{
    snprintf(f->url, sizeof f->url, "%s/%s", f->server.url, scenario);
    f->error = (kt_error)KT_ERROR_NONE;
    return kti_aflow_fetch(f->fetcher, &f->options, &f->result, &f->error);
}

static void assert_refused(fixture *f, const char *scenario, kt_status wanted, const char *says)
{
    assert_int_equal(fetch(f, scenario), wanted);
    if (!strstr(f->error.message, says))
        fail_msg("'%s' does not say '%s'", f->error.message, says);
    char path[256];
    snprintf(path, sizeof path, "%s/id_prop.csv", f->data);
    assert_false(kti_file_exists(path));
}

static char *text_of(const fixture *f, const char *name)
{
    char path[256], *text;
    size_t size;
    kt_error error = KT_ERROR_NONE;
    snprintf(path, sizeof path, "%s/%s", f->data, name);
    assert_ok(kti_file_read(path, 1 << 20, &text, &size, &error), &error);
    return text;
}

static void assert_has(const fixture *f, const char *name, const char *wanted)
{
    char *text = text_of(f, name);
    if (!strstr(text, wanted))
        fail_msg("%s does not hold '%s':\n%s", name, wanted, text);
    free(text);
}

static const char whole_table[] = "id,kappa\nCl1Na1_ICSD_100,1.5\nCl1Na1_ICSD_101,2.5\nCl1Na1_ICSD_102,3.5\n"
                                  "Cl1Na1_ICSD_103,4.5\nCl1Na1_ICSD_104,5.5\nCl1Na1_ICSD_105,6.5\n"
                                  "aflow-0000000000000006,7.5\n";

/* The whole set of seven, and each crystal is that of its entry: the volume tells its edge. */
static void assert_whole(fixture *f)
{
    kti_dataset dataset = {0};
    kti_dataset_options options = kti_dataset_options_default();
    char *table = text_of(f, "id_prop.csv"), path[256];
    assert_string_equal(table, whole_table);
    free(table);
    assert_ok(kti_dataset_read(f->data, &options, &dataset, &f->error), &f->error);
    assert_int_equal(dataset.size, 7);
    assert_int_equal(dataset.rejected, 0);
    for (int i = 0; i < 7; i++) {
        kt_structure crystal = {0};
        const double edge = 3.9 + 0.01 * i, volume = edge * edge * edge / sqrt(2);
        snprintf(path, sizeof path, "%s/%s.%s", f->data, dataset.crystals[i].id, i == 4 ? "cif" : "vasp");
        assert_ok(kt_structure_read(path, &crystal, &f->error), &f->error);
        const double(*a)[3] = (const double(*)[3])crystal.lattice;
        const double found = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                             a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                             a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
        assert_true(is_close(fabs(found), volume, 1e-9, 0));
        assert_true(is_close(dataset.crystals[i].kappa, 1.5 + i, 1e-12, 0));
        assert_string_equal(dataset.crystals[i].formula, "NaCl");
        kt_structure_destroy(&crystal);
    }
    kti_dataset_destroy(&dataset);
    snprintf(path, sizeof path, "%s/rejects.csv", f->data);
    assert_false(kti_file_exists(path));
}

static void pages_are_joined(void **state)
{
    fixture *f = *state;
    assert_ok(fetch(f, "plain"), &f->error);
    assert_whole(f);
    assert_int_equal(f->result.entries, 7);
    assert_int_equal(f->result.crystals, 7);
    assert_int_equal(f->result.rejected, 0);
    assert_int_equal(f->result.without_cell, 2);
    assert_int_equal(f->result.from_files, 2);
    /* Four pages of labels, of which the last is empty, and three of crystals. */
    assert_int_equal(http_count(&f->server, "/plain/API/aflux/"), 7);
    assert_int_equal(
        http_count(&f->server, "aflux/?agl_thermal_conductivity_300K(*),auid,aurl,compound,$paging(4,3)"), 1);
    assert_int_equal(http_count(&f->server, "/plain/AFLOWDATA/"), 3);
    /* Nothing is asked for again. */
    assert_ok(fetch(f, "plain"), &f->error);
    assert_whole(f);
    assert_int_equal(http_count(&f->server, "/plain/"), 10);
    assert_int_equal(f->result.without_cell, 2);
}

static void values_may_be_texts(void **state)
{
    fixture *f = *state;
    assert_ok(fetch(f, "text"), &f->error);
    assert_whole(f);
    /* "7 of 7" tells the end without an empty page. */
    assert_int_equal(http_count(&f->server, "auid,aurl,compound"), 3);
}

static void troubles_pass(void **state)
{
    static const char *const scenarios[] = {"busy", "malformed", "cut", "repeats", "twice", "stuck"};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        snprintf(f->data, sizeof f->data, "%s/%s", f->folder, scenarios[i]);
        const kt_status status = fetch(f, scenarios[i]);
        if (status != KT_OK)
            fail_msg("%s: %s: %s", scenarios[i], f->error.file, f->error.message);
        if (strcmp(scenarios[i], "stuck") != 0)
            assert_whole(f);
        else /* every further page is the first one: asked for twice, it is the end */
            assert_int_equal(f->result.crystals, 3);
        assert_int_equal(f->result.repeated, strcmp(scenarios[i], "twice") == 0);
    }
    assert_int_equal(http_count(&f->server, "429 - libkappatune /busy/"), 2);
    assert_int_equal(http_count(&f->server, "503 - libkappatune /busy/"), 2 + 2);
    assert_int_equal(
        http_count(&f->server, "/stuck/API/aflux/?agl_thermal_conductivity_300K(*),auid,aurl,compound"), 3);
}

static void bad_answers_are_refused(void **state)
{
    fixture *f = *state;
    assert_refused(f, "empty", KT_BAD_FORMAT, "no entry with agl_thermal_conductivity_300K");
    assert_non_null(strstr(f->error.file, f->url));
    snprintf(f->data, sizeof f->data, "%s/garbage", f->folder);
    assert_refused(f, "garbage", KT_BAD_FORMAT, "no page of entries");
    assert_int_equal(http_count(&f->server, "/garbage/"), 3);
    snprintf(f->data, sizeof f->data, "%s/odd", f->folder);
    assert_refused(f, "odd", KT_BAD_FORMAT, "error");
    snprintf(f->data, sizeof f->data, "%s/short", f->folder);
    assert_refused(f, "short", KT_BAD_FORMAT, "announces 9 entries, but gives no more than 7");
    snprintf(f->data, sizeof f->data, "%s/down", f->folder);
    assert_refused(f, "down", KT_IO, "asks to wait for 86400 s");
    snprintf(f->data, sizeof f->data, "%s/failing", f->folder);
    assert_ok(fetch(f, "failing"), &f->error); /* two entries are too few to judge the server */
    assert_int_equal(f->result.rejected, 2);
    assert_has(f, "rejects.csv", "Cl1Na1_ICSD_104,,");
    assert_has(f, "rejects.csv", "status 500");
}

static void rejects_have_reasons(void **state)
{
    fixture *f = *state;
    assert_ok(fetch(f, "rejects"), &f->error);
    assert_int_equal(f->result.entries, 8);
    assert_int_equal(f->result.crystals, 3);
    assert_int_equal(f->result.rejected, 5);
    assert_has(f, "rejects.csv", "id,line,file,reason\nCl1Na1_ICSD_100,,aflow:0000000000000000,");
    assert_has(f, "rejects.csv", "300K 0 is not above 0 W/(m K)");
    assert_has(f, "rejects.csv", "\"\"unknown\"\" is no finite number");
    assert_has(f, "rejects.csv",
               "Cl1Na1_ICSD_103,,Cl1Na1_ICSD_103,`positions_fractional` has 6 numbers for the 3 sites");
    assert_has(f, "rejects.csv", "is no address in AFLOW");
    assert_has(f, "rejects.csv", "a row has no `auid`");
    assert_int_equal(http_count(&f->server, "secret"), 0);
    assert_has(f, "id_prop.csv", "Cl1Na1_ICSD_102,3.5\nCl1Na1_ICSD_104,5.5\naflow-");
}

/* Crystals of the same name would be taken for AFLOW's, and rejects.csv would go. */
static void a_strangers_folder_is_not_filled(void **state)
{
    static const char *const strangers[] = {"Cl1Na1_ICSD_100.vasp", "rejects.csv", "aflow/notes"};
    fixture *f = *state;
    char path[256];
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        snprintf(f->data, sizeof f->data, "%s/mine%zu", f->folder, i);
        snprintf(path, sizeof path, "%s/aflow", f->data);
        assert_ok(kti_make_folder(path, &f->error), &f->error);
        snprintf(path, sizeof path, "%s/%s", f->data, strangers[i]);
        assert_ok(kti_file_write(path, "mine", 4, &f->error), &f->error);
        assert_refused(f, "plain", KT_BAD_ARGUMENT,
                       "and no fetch has begun it: name a folder that is new or empty");
        assert_has(f, strangers[i], "mine");
        snprintf(path, sizeof path, "%s/aflow/lock", f->data);
        assert_false(kti_file_exists(path));
    }
    assert_int_equal(http_count(&f->server, "/plain/"), 0);
    f->options.force = true;
    assert_ok(fetch(f, "plain"), &f->error);
    assert_whole(f);
    f->options.force = false;
    assert_ok(fetch(f, "plain"), &f->error); /* it is a fetch's now */
}

/* What a crash left of our own goes; somebody's .part stays. */
static void only_our_own_parts_go(void **state)
{
    static const char *const names[] = {"thesis.part", "aflow/thesis.part", ".id_prop.csv.7.kappatune-part",
                                        "aflow/.state.json.7.kappatune-part"};
    fixture *f = *state;
    char path[4][256];
    assert_ok(fetch(f, "plain"), &f->error);
    for (int i = 0; i < 4; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", f->data, names[i]);
        assert_ok(kti_file_write(path[i], "mine", 4, &f->error), &f->error);
    }
    assert_ok(fetch(f, "plain"), &f->error);
    for (int i = 0; i < 4; i++)
        assert_int_equal(kti_file_exists(path[i]), i < 2);
}

static void a_stopped_fetch_goes_on(void **state)
{
    fixture *f = *state;
    int stops = 0;
    f->stop_at_news = 1;
    while (fetch(f, "plain") != KT_OK) {
        assert_int_equal(f->error.status, KT_INTERRUPTED);
        assert_in_range(++stops, 1, 20);
        f->stop_at_news++;
    }
    assert_true(stops >= 5);
    assert_whole(f);
    char page[256];
    for (int number = 1; number <= 3; number++) {
        snprintf(page, sizeof page,
                 "200 - libkappatune /plain/API/aflux/?agl_thermal_conductivity_300K(*),auid,aurl,"
                 "compound,$paging(%d,3)",
                 number);
        /* A stop may fall between an answer and its page's file, never twice. */
        assert_in_range(http_count(&f->server, page), 1, 2);
    }
    assert_int_equal(
        http_count(&f->server, "200 - libkappatune /plain/AFLOWDATA/ICSD_WEB/FCC/Cl1Na1_ICSD_102/"), 1);

    /* A page that lost its end, as after a crash of the machine, is downloaded again. */
    snprintf(page, sizeof page, "%s/aflow/labels-00002.json", f->data);
    assert_int_equal(truncate(page, 50), 0);
    const int before = http_count(&f->server, "/plain/");
    assert_ok(fetch(f, "plain"), &f->error);
    assert_whole(f);
    assert_int_equal(http_count(&f->server, "/plain/"), before + 1);
}

static void a_limit_can_be_raised(void **state)
{
    fixture *f = *state;
    f->options.limit = 2;
    assert_ok(fetch(f, "plain"), &f->error);
    assert_int_equal(f->result.crystals, 2);
    assert_int_equal(http_count(&f->server, "/plain/"), 2);
    f->options.limit = 4;
    assert_ok(fetch(f, "plain"), &f->error);
    assert_int_equal(f->result.crystals, 4);
    assert_int_equal(f->result.entries, 4);
    f->options.limit = INT64_MAX;
    assert_ok(fetch(f, "plain"), &f->error);
    assert_whole(f);
    assert_int_equal(http_count(&f->server, "/plain/"), 10);
}

static void a_folder_keeps_to_its_query(void **state)
{
    fixture *f = *state;
    f->options.limit = 1;
    assert_ok(fetch(f, "plain"), &f->error);
    assert_int_equal(fetch(f, "text"), KT_BAD_ARGUMENT);
    assert_non_null(strstr(f->error.message, "was begun from"));
    f->options.page_size = 5;
    assert_int_equal(fetch(f, "plain"), KT_BAD_ARGUMENT);
    assert_non_null(strstr(f->error.message, "3 rows a page, not with 5"));
    f->options.page_size = 3;

    char path[256];
    snprintf(f->data, sizeof f->data, "%s/own", f->folder);
    assert_ok(kti_make_folder(f->data, &f->error), &f->error);
    snprintf(path, sizeof path, "%s/id_prop.csv", f->data);
    assert_ok(kti_file_write(path, "a,1\n", 4, &f->error), &f->error);
    f->options.force = true; /* which is no leave to replace a data set */
    assert_int_equal(fetch(f, "plain"), KT_BAD_ARGUMENT);
    assert_non_null(strstr(f->error.message, "does not come from AFLOW"));
    assert_has(f, "id_prop.csv", "a,1\n");

    f->options.url = "ftp://example.org";
    assert_int_equal(kti_aflow_fetch(f->fetcher, &f->options, &f->result, NULL), KT_BAD_ARGUMENT);
}

static void rows_of_every_form_are_read(void **state)
{
    (void)state;
    static const char *const good[] = {
        "[]", "{}", "null", "[{\"auid\": \"aflow:1\"}]", "{\"1 of 9\": {\"auid\": \"aflow:1\"}}",
    };
    static const char *const bad[] = {
        "", "7", "[1]", "[[]]", "\"a\"", "{\"1 of 9\": 1}", "{\"a\": {}}", "[{]", "[] []", "\xff"};
    static const char *const cells[][2] = {
        /* geometry and the rest of a row; NULL where it is a crystal */
        {"\"geometry\": [4,4,4,90,90,90], \"species\": [\"Si\"], \"composition\": [1], "
         "\"positions_fractional\": [[0,0,0]]",
         NULL},
        {"\"geometry\": \"4,4,4,90,90,90\", \"species\": \"Si\", \"composition\": \"1\", "
         "\"positions_fractional\": \"0,0,+0.0\"",
         NULL},
        {"\"geometry\": [4,4,4,90,90], \"species\": [\"Si\"], \"composition\": [1], "
         "\"positions_fractional\": [0,0,0]",
         "geometry"},
        {"\"geometry\": [4,4,4,90,90,200], \"species\": [\"Si\"], \"composition\": [1], "
         "\"positions_fractional\": [0,0,0]",
         ""},
        {"\"geometry\": [4,4,4,90,90,90], \"species\": [\"Xx\"], \"composition\": [1], "
         "\"positions_fractional\": [0,0,0]",
         "no element"},
        {"\"geometry\": [4,4,4,90,90,90], \"species\": [\"Si\"], \"composition\": [0.5], "
         "\"positions_fractional\": [0,0,0]",
         "no count"},
        {"\"geometry\": [4,4,4,90,90,90], \"species\": [\"Si\"], \"composition\": [1e30], "
         "\"positions_fractional\": [0,0,0]",
         "no count"},
        {"\"geometry\": [4,4,4,90,90,90], \"species\": [\"Si\", \"Ge\"], \"composition\": [1], "
         "\"positions_fractional\": [0,0,0]",
         "2 elements"},
        {"\"geometry\": [4,4,4,90,90,90], \"species\": [\"Si\"], \"composition\": [1], "
         "\"positions_fractional\": null",
         "has no `positions_fractional`"},
        {"\"geometry\": [4,4,4,90,90,90], \"species\": [\"Si\"], \"composition\": [1], "
         "\"positions_fractional\": \"0 0 nan\"",
         "no number"},
        {"\"geometry\": [[[[4]]]], \"species\": [\"Si\"], \"composition\": [1], \"positions_fractional\": "
         "[0,0,0]",
         "geometry"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        kt_error error = KT_ERROR_NONE;
        json_t *rows;
        int64_t total;
        assert_ok(kti_aflow_page("url", good[i], strlen(good[i]), &rows, &total, &error), &error);
        assert_int_equal(json_array_size(rows), i >= 3);
        assert_int_equal(total, i == 4 ? 9 : -1);
        json_decref(rows);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *rows;
        int64_t total;
        assert_int_equal(kti_aflow_page("url", bad[i], strlen(bad[i]), &rows, &total, NULL), KT_BAD_FORMAT);
        assert_null(rows);
    }
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        char text[512];
        kt_error error = KT_ERROR_NONE;
        kti_text poscar = {0};
        snprintf(text, sizeof text, "{%s}", cells[i][0]);
        json_t *row = json_loads(text, 0, NULL);
        assert_non_null(row);
        const kt_status status = kti_aflow_poscar(row, "name", &poscar, &error);
        assert_int_equal(status == KT_OK, cells[i][1] == NULL);
        if (cells[i][1] && !strstr(error.message, cells[i][1]))
            fail_msg("'%s' does not say '%s'", error.message, cells[i][1]);
        kti_text_destroy(&poscar);
        json_decref(row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_are_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(values_may_be_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(troubles_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_answers_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(rejects_have_reasons, setup, teardown),
        cmocka_unit_test_setup_teardown(a_strangers_folder_is_not_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(only_our_own_parts_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_fetch_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_can_be_raised, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_keeps_to_its_query, setup, teardown),
        cmocka_unit_test(rows_of_every_form_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
