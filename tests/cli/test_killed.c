/* The program, killed or failing at one call of the disk after the other. Of weights export a whole model stands in its place, the earlier
 * one or the new one; a training run knows its folder again. */
#include "cli/program.h"

#include <stdbool.h>

/* Before the program: what a call of the disk does, and no report of what a sanitizer thinks of being loaded second. */
#define TROUBLE(kind)                                                                                        \
    "ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 LD_PRELOAD=" TROUBLED_DISK " " kind
#define GP(features)                                                                                         \
    "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 0, \"head\": \"gp\", "                    \
    "\"gp_features\": \"" features "\"}"
#define PREDICT "$KT predict $D/m datasets/examples --format csv"

/* Two models, `one` and `two`, what they predict, and `one` as `m`. Gaussian processes: their files are small, and an export is quick. */
static void make_two_models(const char *folder)
{
    outcome r = {0};
    write_text(folder, "one.json", GP("physical"));
    write_text(folder, "two.json", GP("plain"));
    run(&r, folder,
        "for m in one two; do $KT train $D/$m.json --out $D/$m --quiet >$D/log && $KT weights export $D/$m "
        "--out $D/m --force >$D/log && " PREDICT " >$D/$m.csv || exit 1; done; "
        "$KT weights export $D/one --out $D/m --force");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

/* What `m` predicts is what one of the two models does, or, where it `may_lack`, it is refused. */
static void assert_whole(const char *folder, bool may_lack, const char *what, int call)
{
    outcome r = {0};
    run(&r, folder,
        PREDICT " >$D/m.csv && { cmp -s $D/m.csv $D/one.csv || cmp -s $D/m.csv $D/two.csv || exit 9; }");
    if (r.status != 0 && !(may_lack && r.status == 1))
        fail_msg("%s at call %d: predict ends with %d\n%s", what, call, r.status, r.err);
    outcome_destroy(&r);
}

/* Ends exports at one call after the other, from the `first` on, until one comes through; each has the other model's weights. How many
 * calls that one had. */
static int end_exports(const char *folder, const char *what, int first, int status, bool may_lack)
{
    enum { MAX = 500 };
    outcome r = {0};
    int call = first;
    for (; call < MAX; call++) {
        run(&r, folder, TROUBLE("%s=%d ") "$KT weights export $D/%s --out $D/m --force", what, call,
            call % 2 ? "two" : "one");
        assert_whole(folder, may_lack, what, call);
        if (r.status == 0 && !strstr(r.err, "kappatune-part is left over and can be removed"))
            break;
        if (r.status != 0)
            assert_status(&r, status);
    }
    assert_in_range(call, first + 4, MAX - 1);
    run(&r, folder, "! ls -A $D | grep kappatune-part");
    assert_status(&r, 0);
    outcome_destroy(&r);
    return call;
}

enum { LAST = 20 /* calls, of which some put the model in its place */ };

static void a_killed_export_leaves_a_whole_model(void **state)
{
    make_two_models(*state);
    const int calls = end_exports(*state, "KILL_AT", 1, 128 + 9, false);
    assert_in_range(calls, 2 * LAST, 200);
    end_exports(*state, "NO_EXCHANGE=1 KILL_AT", calls - LAST, 128 + 9, true);
    print_message("killed at each of %d calls\n", calls);
}

static void a_failing_disk_leaves_a_whole_model(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    make_two_models(folder);
    const int calls = end_exports(folder, "FAIL_AT", 1, 1, false);
    end_exports(folder, "NO_EXCHANGE=1 FAIL_AT", calls - LAST, 1, false);
    /* Where nothing stood, nothing is left. */
    run(&r, folder,
        "rm -r $D/m; " TROUBLE(
            "FAIL_AT=12 ") "$KT weights export $D/one --out $D/m; s=$?; ls -A $D; exit $s");
    assert_status(&r, 1);
    assert_complains(&r, "No space left on device");
    assert_null(strstr(r.out, "kappatune-part"));
    assert_null(strstr(r.out, "m\n"));
    outcome_destroy(&r);
}

/* Somebody makes a folder of the model's name while the model is being made: it stays theirs. */
static void what_comes_meanwhile_is_not_replaced(void **state)
{
    enum { MAX = 500 };
    const char *folder = *state;
    outcome r = {0};
    int call = 1, refused = 0;
    make_two_models(folder);
    for (; call < MAX; call++) {
        run(&r, folder,
            "rm -rf $D/n; " TROUBLE(
                "OTHER=$D/n OTHER_AT=%d ") "$KT weights export $D/one --out $D/n; s=$?; test -e $D/n/theirs "
                                           "|| test $s = 0 || exit 9; exit $s",
            call);
        if (r.status == 0)
            break;
        assert_status(&r, 1);
        refused++;
    }
    /* Until it stands there; what comes afterwards is beside it. */
    assert_in_range(refused, LAST, MAX - 2);
    outcome_destroy(&r);
}

/* Names can be changed no more after the earlier model was moved aside: it is kept there, and the next export brings it back. */
static void a_model_that_cannot_be_brought_back_is_kept(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    int kept = 0;
    make_two_models(folder);
    const int calls = end_exports(folder, "NO_EXCHANGE=1 FAIL_AT", 1, 1, false);
    for (int call = calls - LAST; call < calls; call++) {
        run(&r, folder,
            TROUBLE("NO_EXCHANGE=1 NO_RENAME_FROM=%d ") "$KT weights export $D/one --out $D/m --force", call);
        if (r.status == 1 && strstr(r.err, "what was there is ")) {
            kept++;
            run(&r, folder, TROUBLE("NO_RENAME_FROM=1 ") "$KT weights export $D/two --out $D/m");
            assert_status(&r, 1);
            assert_complains(&r, "m: cannot be put in place");
            run(&r, folder, "test ! -e $D/m && $KT weights export $D/two --out $D/m");
            assert_status(&r, 1);
            assert_complains(&r, "m: exists already");
        }
        assert_whole(folder, false, "NO_RENAME_FROM", call);
    }
    assert_in_range(kept, 1, LAST);
    run(&r, folder, "$KT weights export $D/one --out $D/m --force && ! ls -A $D | grep kappatune-part");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

/* ---- runs that end before they have begun ---- */

static void a_run_that_was_killed_early_goes_on(void **state)
{
    enum { CALLS = 12 };
    static const char *const kinds[] = {"one.json", "staged.json", "sweep.json", "one.json --replicas 2"};
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "one.json", GP("plain"));
    write_text(folder, "staged.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 0, \"head\": \"gp\", "
               "\"stages\": [{\"name\": \"a\"}, {\"name\": \"b\", \"gp_features\": \"plain\"}]}");
    write_text(folder, "sweep.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 0, \"head\": \"gp\", "
               "\"gp_features\": [\"plain\", \"physical\"]}");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int call = 1; call <= CALLS; call++) {
            run(&r, folder, "rm -rf $D/run; " TROUBLE("KILL_AT=%d ") "$KT train $D/%s --out $D/run --quiet",
                call, kinds[i]);
            assert_status(&r, 128 + 9);
            run(&r, folder, "$KT train $D/%s --out $D/run --quiet --resume", kinds[i]);
            assert_status(&r, 0);
        }
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_export_leaves_a_whole_model, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_failing_disk_leaves_a_whole_model, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_comes_meanwhile_is_not_replaced, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_model_that_cannot_be_brought_back_is_kept, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(a_run_that_was_killed_early_goes_on, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
