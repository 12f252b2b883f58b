/* kappatune weights fetch and data fetch, against a server on 127.0.0.1. */
#include "cli/program.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"

static http_server server;

static int setup(void **state)
{
    if (folder_setup(state) != 0)
        return -1;
    setenv("KAPPATUNE_TEST_WEIGHTS", megnet_weights(), 1);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    http_start(&server, *state);
    return 0;
}

static int teardown(void **state)
{
    http_stop(&server);
    return folder_teardown(state);
}

static int exists(const char *folder, const char *name)
{
    struct stat about;
    return stat(in(folder, name), &about) == 0;
}

static void weights_are_fetched(void **state)
{
    if (!has_full_data())
        skip(); /* the published file, whose digest fetch checks */
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT weights fetch megnet-eform --url %s/weights/whole --out $D/w.safetensors",
        server.url);
    assert_status(&r, 0);
    assert_says(&r, "body   103 tensors, 189,504 values");
    assert_says(&r, "wrote ");
    assert_false(exists(folder, "w.safetensors.fetch"));
    assert_int_equal(http_count(&server, " kappatune/"), 2);

    /* The tensors are those of an import; the metadata say where they came from. */
    run(&r, folder,
        "$KT weights import " MEGNET " --out $D/i.safetensors && $KT predict $D/i.safetensors "
        "datasets/examples --property eform >$D/imported && $KT predict $D/w.safetensors datasets/examples "
        "--property eform >$D/fetched && cmp $D/imported $D/fetched && $KT weights inspect $D/w.safetensors");
    assert_status(&r, 0);
    assert_says(&r, "/weights/whole/state.pt");
    assert_says(&r, "35381368b17a2783f9ee09af5556cf1d84b74bf786b82d3fadd4acb38c51d040");

    run(&r, folder, "$KT weights fetch megnet-eform --url %s/weights/whole --out $D/w.safetensors",
        server.url);
    assert_status(&r, 1);
    assert_complains(&r, "exists already; --force");
    assert_int_equal(http_count(&server, "/weights/"), 2);
    run(&r, folder,
        "$KT weights fetch megnet-eform --url %s/weights/whole/ --out $D/w.safetensors --force --quiet",
        server.url);
    assert_status(&r, 0);
    assert_string_equal(r.err, "");

    char program[1024];
    assert_non_null(realpath(KAPPATUNE_PROGRAM, program));
    run(&r, folder, "cd $D && %s weights fetch megnet-eform --url %s/weights/whole", program, server.url);
    assert_status(&r, 0);
    assert_true(exists(folder, "megnet-eform.safetensors"));
    outcome_destroy(&r);
}

static void forged_weights_are_refused(void **state)
{
    if (!has_full_data())
        skip(); /* the published file, whose digest fetch checks */
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT weights fetch megnet-eform --url %s/weights/forged --out $D/w.safetensors",
        server.url);
    assert_status(&r, 1);
    assert_complains(&r, "state.pt: is not the file that is expected");
    assert_complains(&r, "35381368b17a2783f9ee09af5556cf1d84b74bf786b82d3fadd4acb38c51d040");
    assert_complains(&r, "kappatune weights import FOLDER --out");
    assert_false(exists(folder, "w.safetensors"));
    assert_false(exists(folder, "w.safetensors.fetch/MEGNet-MP-2018.6.1-Eform/state.pt"));
    assert_false(exists(folder, "w.safetensors.fetch/MEGNet-MP-2018.6.1-Eform/state.pt.download"));
    outcome_destroy(&r);
}

static void cut_weights_go_on(void **state)
{
    if (!has_full_data())
        skip(); /* the published file, whose digest fetch checks */
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT weights fetch megnet-eform --url %s/weights/cut --out $D/w.safetensors", server.url);
    assert_status(&r, 0);
    assert_complains(&r, "trying again in 1 s");
    assert_int_equal(http_count(&server, "206 bytes=398186- "), 1);
    assert_int_equal(http_count(&server, "/weights/cut/state.pt"), 2);
    outcome_destroy(&r);
}

/* Stopped while it waits for a server that always breaks off; the next call needs only the rest. */
static void stopped_weights_go_on(void **state)
{
    if (!has_full_data())
        skip(); /* the published file, whose digest fetch checks */
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "$KT weights fetch megnet-eform --url %s/weights/broken --out $D/w.safetensors & p=$!; while ! grep "
        "-q 'broken/state.pt' $D/http.log 2>/dev/null; do sleep 0.1; done; sleep 0.5; kill -TERM $p; wait $p",
        server.url);
    assert_status(&r, 4);
    assert_complains(&r, "stopped before it was downloaded");
    assert_true(exists(folder, "w.safetensors.fetch/MEGNet-MP-2018.6.1-Eform/state.pt.download"));
    assert_false(exists(folder, "w.safetensors"));
    run(&r, folder, "$KT weights fetch megnet-eform --url %s/weights/whole --out $D/w.safetensors",
        server.url);
    assert_status(&r, 0);
    assert_int_equal(http_count(&server, "206 bytes=398186- "), 1);
    assert_int_equal(http_count(&server, "/model.json"), 1);
    assert_false(exists(folder, "w.safetensors.fetch"));
    outcome_destroy(&r);
}

static void no_network_has_an_advice(void **state)
{
    outcome r = {0};
    http_server gone;
    http_start(&gone, *state);
    http_stop(&gone);
    run(&r, *state, "$KT weights fetch megnet-eform --url %s --out $D/w.safetensors", gone.url);
    assert_status(&r, 1);
    assert_complains(&r, "cannot be reached");
    assert_complains(&r, "By hand: download model.json state.pt of\n    https://");
    assert_complains(&r, "kappatune weights import FOLDER --out ");
    assert_false(exists(*state, "w.safetensors.fetch"));
    run(&r, *state, "$KT data fetch aflow --url %s --out $D/set", gone.url);
    assert_status(&r, 1);
    assert_complains(&r, "cannot be reached");
    assert_complains(&r, "the same command goes on");
    outcome_destroy(&r);
}

static void aflow_becomes_a_data_set(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT data fetch aflow --url %s/plain --out $D/set --page-size 3", server.url);
    assert_status(&r, 0);
    assert_says(&r, "7 entries");
    assert_says(&r, "2 rows lack ");
    assert_says(&r, "id_prop.csv: 7 crystals");
    assert_complains(&r, "page 3: 7 entries");
    assert_int_equal(http_count(&server, " kappatune/"), http_count(&server, "/plain/"));
    run(&r, folder, "$KT data check $D/set");
    assert_status(&r, 0);
    assert_says(&r, "7 crystals can be used, 0 rejected");

    run(&r, folder, "$KT data fetch aflow --url %s/plain --out $D/set --page-size 3 --quiet", server.url);
    assert_status(&r, 0);
    assert_says(&r, "in 0 requests");
    assert_string_equal(r.err, "");

    run(&r, folder, "$KT data fetch aflow --url %s/rejects --out $D/other --limit 6 --quiet", server.url);
    assert_status(&r, 3);
    assert_says(&r, "4 rejected: ");
    run(&r, folder, "wc -l <$D/other/rejects.csv; $KT data check $D/other");
    assert_status(&r, 0);
    assert_says(&r, "5\n");
    assert_says(&r, "2 crystals can be used, 0 rejected");
    outcome_destroy(&r);
}

/* Ends the program by a signal in the midst of the crystals' files, which come one a second. */
static void stop_and_go_on(const char *folder, int signal_number, int status)
{
    outcome r = {0};
    run(&r, folder,
        "$KT data fetch aflow --url %s/slow --out $D/set --page-size 3 & p=$!; while ! grep -q '(3,3)' "
        "$D/http.log 2>/dev/null; do sleep 0.1; done; sleep 1; kill -%d $p; wait $p",
        server.url, signal_number);
    assert_status(&r, status);
    assert_false(exists(folder, "set/id_prop.csv"));
    if (signal_number != SIGKILL)
        assert_complains(&r, "the same command goes on");
    const int before = http_count(&server, "API/aflux");
    run(&r, folder, "$KT data fetch aflow --url %s/slow --out $D/set --page-size 3 && $KT data check $D/set",
        server.url);
    assert_status(&r, 0);
    assert_says(&r, "7 crystals can be used, 0 rejected");
    for (int page = 1; page <= 3; page++) {
        char text[64];
        snprintf(text, sizeof text, "compound,$paging(%d,3)", page);
        assert_int_equal(http_count(&server, text), 1);
    }
    assert_true(before >= 3);
    outcome_destroy(&r);
}

static void a_killed_fetch_goes_on(void **state)
{
    stop_and_go_on(*state, SIGKILL, 128 + SIGKILL);
}

static void an_interrupted_fetch_goes_on(void **state)
{
    stop_and_go_on(*state, SIGTERM, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(weights_are_fetched, setup, teardown),
        cmocka_unit_test_setup_teardown(forged_weights_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_weights_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped_weights_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(no_network_has_an_advice, setup, teardown),
        cmocka_unit_test_setup_teardown(aflow_becomes_a_data_set, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_fetch_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupted_fetch_goes_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
