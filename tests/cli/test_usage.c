/* Help, wrong usage, and what becomes of the output. */
#include "cli/program.h"

static const char *const commands[] = {"train",    "predict",   "scan",    "analyze", "report",
                                       "evaluate", "reproduce", "submit",  "collect", "compare",
                                       "status",   "calibrate", "weights", "data",    "bench"};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* Characters of the longest line, of UTF-8. */
static int width_of(const char *text)
{
    int widest = 0, width = 0;
    for (; *text; text++) {
        width = *text == '\n' ? 0 : width + ((*text & 0xc0) != 0x80);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void every_command_has_help(void **state)
{
    outcome r = {0};
    run(&r, *state, "$KT --help");
    assert_status(&r, 0);
    assert_true(width_of(r.out) <= 80);
    for (int i = 0; i < COMMANDS; i++)
        assert_says(&r, commands[i]);
    for (int i = 0; i < COMMANDS; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "sage: kappatune %s", commands[i]);
        run(&r, *state, "$KT help %s", commands[i]);
        assert_status(&r, 0);
        assert_says(&r, usage);
        if (width_of(r.out) > 80)
            fail_msg("the help of %s is %d columns wide", commands[i], width_of(r.out));
        assert_string_equal(r.err, "");
        char *help = r.out;
        r.out = NULL;
        run(&r, *state, "$KT %s --help", commands[i]);
        assert_status(&r, 0);
        assert_string_equal(r.out, help);
        free(help);
    }
    run(&r, *state, "$KT help");
    assert_status(&r, 0);
    run(&r, *state, "$KT --version");
    assert_status(&r, 0);
    assert_says(&r, "kappatune ");
    outcome_destroy(&r);
}

/* What bash completes of a line, its words written as an array. */
static void completes(void **state, const char *words, int at, const char *expected)
{
    outcome r = {0};
    run(&r, *state,
        "KT=\"$KT\" bash -c 'source <($KT completion bash); COMP_WORDS=(%s); COMP_CWORD=%d; _kappatune; echo "
        "\"${COMPREPLY[*]}\"'",
        words, at);
    assert_status(&r, 0);
    assert_string_equal(r.err, "");
    assert_string_equal(r.out, expected);
    outcome_destroy(&r);
}

static void bash_completes_commands_options_and_choices(void **state)
{
    completes(state, "kappatune eva", 1, "evaluate\n");
    completes(state, "kappatune train --gp-f", 2, "--gp-features\n");
    completes(state, "kappatune train --protocol \"\"", 3, "sound published\n");
    completes(state, "kappatune data \"\"", 2, "check stats fetch\n");
    completes(state, "kappatune predict --no", 2, "--no-quotient\n");
    outcome r = {0};
    run(&r, *state, "$KT completion fish");
    assert_status(&r, 2);
    outcome_destroy(&r);
}

static void wrong_usage_is_named(void **state)
{
    static const char *const cases[][2] = {
        {"", "usage"},
        {"predcit", "did you mean 'predict'?"},
        {"help predcit", "did you mean 'predict'?"},
        {"launch", "no command 'launch'"},
        {"--predict", "no option --predict"},
        {"predict", "name a model"},
        {"predict model", "structure file"},
        {"predict model x.cif --format xml", "--format takes table, csv or json, not 'xml'"},
        {"predict model x.cif --property gap", "--property takes kappa or eform, not 'gap'"},
        {"predict model x.cif --device tpu", "--device takes cpu"},
        {"predict x.cif model", "the model stands first"},
        {"scan x.cif model", "the model stands first"},
        {"predict model x.cif --formt csv", "did you mean --format?"},
        {"predict model x.cif --format", "--format needs a value"},
        {"predict model x.cif --members=3", "--members takes no value"},
        {"predict model x.cif -q", "no option -q"},
        {"weights", "import, export, inspect or fetch"},
        {"weights look x", "not 'look'"},
        {"weights import x", "--out"},
        {"weights import --out y", "one file or folder"},
        {"weights inspect", "one file or folder"},
        {"weights inspect x --force", "belong to import"},
        {"weights inspect x --format csv", "--format takes table or json"},
        {"weights import x --out y --format json", "belongs to inspect"},
        {"weights fetch", "one name"},
        {"weights fetch megnet", "fetch takes megnet-eform, not 'megnet'"},
        {"weights fetch megnet-eform --format json", "belongs to inspect"},
        {"weights import x --out y --url z", "belong to fetch"},
        {"weights inspect x --quiet", "belong to fetch"},
        {"data", "check, stats or fetch"},
        {"data fetch oqmd --out x", "fetch takes aflow, not 'oqmd'"},
        {"data fetch aflow", "--out"},
        {"data fetch aflow --out x --limit 0", "--limit takes an integer from 1 on, not '0'"},
        {"data fetch aflow --out x --page-size 0", "--page-size takes an integer from 1 to 100000, not '0'"},
        {"data fetch aflow --out x --threads 2", "belong to check and stats"},
        {"data check x --out y", "belong to fetch"},
        {"data chekc x", "not 'chekc'"},
        {"data check", "one data set"},
        {"data check x y", "one data set, not 2"},
        {"data check x --format json", "belongs to stats"},
        {"data stats x --rejects y", "belongs to check"},
        {"data check x --threads 0", "--threads takes an integer from 1 to 1024, not '0'"},
        {"data check x --threads 2x", "not '2x'"},
        {"data check x --threads ' 2'", "not ' 2'"},
        {"data check x --threads 99999999999999999999", "not '99999999999999999999'"},
    };
    outcome r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(&r, *state, "$KT %s", cases[i][0]);
        assert_status(&r, 2);
        assert_complains(&r, cases[i][1]);
        assert_string_equal(r.out, "");
    }
    outcome_destroy(&r);
}

static void a_closed_pipe_says_nothing(void **state)
{
    static const char *const traps[] = {"", "trap '' PIPE;"}; /* also where the parent has it ignored */
    outcome r = {0};
    for (int i = 0; i < 2; i++) {
        run(&r, *state,
            "%s { sleep 1; $KT data stats datasets/togo15.csv; echo $? >$D/status; } | : ; test -s $D/status "
            "|| sleep 5; cat $D/status",
            traps[i]);
        assert_status(&r, 0);
        assert_string_equal(r.out, "141\n"); /* ended by SIGPIPE */
        assert_string_equal(r.err, "");
    }
    outcome_destroy(&r);
}

static void a_full_disk_is_an_error(void **state)
{
    outcome r = {0};
    run(&r, *state, "test -c /dev/full || exit 77; $KT data stats datasets/togo15.csv >/dev/full");
    if (r.status == 77) {
        outcome_destroy(&r);
        skip();
    }
    assert_status(&r, 1);
    assert_complains(&r, "kappatune: standard output: ");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_command_has_help, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(bash_completes_commands_options_and_choices, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(wrong_usage_is_named, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_closed_pipe_says_nothing, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_an_error, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
