/* kappatune train: options, the dry run, a short run and its exit status. */
#include "cli/program.h"

#include <jansson.h>
#include <sys/stat.h>

#define SHORT "--folds 2 --epochs 2 --threads 2 --quiet"

static int exists(const char *folder, const char *name)
{
    struct stat about;
    return stat(in(folder, name), &about) == 0;
}

static void help_names_the_signals(void **state)
{
    outcome r = {0};
    run(&r, *state, "$KT train --help");
    assert_status(&r, 0);
    assert_says(&r, "Usage: kappatune train");
    assert_says(&r, "Ctrl-C, SIGTERM, SIGHUP");
    assert_says(&r, "SIGUSR1");
    outcome_destroy(&r);
}

static void wrong_usage_is_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT train");
    assert_status(&r, 2);
    assert_complains(&r, "--data");
    run(&r, folder, "$KT train --data datasets/togo15.csv --epochs many");
    assert_status(&r, 2);
    assert_complains(&r, "--epochs");
    write_text(folder, "recipe.json", "{\"protocol\": \"published\", \"data\": \"datasets/togo15.csv\"}");
    run(&r, folder, "$KT train $D/recipe.json --protocol sound --dry-run --out $D/run");
    assert_status(&r, 2);
    assert_complains(&r, "--protocol asks for `sound`, but the recipe names `published`");
    run(&r, folder, "$KT train $D/recipe.json --protocol published --dry-run --out $D/run");
    assert_status(&r, 0);
    write_text(folder, "recipe.json", "{\"data\": \"datasets/togo15.csv\"}");
    run(&r, folder, "$KT train $D/recipe.json --protocol published --dry-run --out $D/run");
    assert_status(&r, 0);
    assert_says(&r, "\"published\"");
    outcome_destroy(&r);
}

static void a_dry_run_checks_what_a_run_does(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT train --data datasets/togo15.csv --dry-run --out $D/run --from $D/none.safetensors");
    assert_status(&r, 1);
    assert_complains(&r, "none.safetensors");
    run(&r, folder,
        "mkdir $D/run && echo '{}' >$D/run/recipe.json && $KT train --data datasets/togo15.csv --dry-run "
        "--out $D/run");
    assert_status(&r, 1);
    assert_complains(&r, "already holds a run");
    write_text(folder, "set.csv",
               "formula,prototype,a,c,u,kappa,id\n"
               "NaCl,rocksalt,5.64,,,7.1,salt\n"
               "NaCl,rocksalt,-5.64,,,7.1,negative\n"
               "Si,diamond,5.43,,,150,si\n");
    run(&r, folder, "$KT train --data $D/set.csv --dry-run --out $D/other");
    assert_status(&r, 3);
    assert_says(&r, "2 usable crystals, 1 rejected rows");
    assert_complains(&r, "rejected: ");
    assert_complains(&r, "set.csv:3: ");
    assert_int_equal(exists(folder, "other"), 0);
    outcome_destroy(&r);
}

static void the_run_is_named_after_the_data(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT train --data datasets/togo15.csv --dry-run");
    assert_status(&r, 0);
    assert_says(&r, "would write to runs/togo15\n");
    run(&r, folder,
        "mkdir $D/silicon && cd $D/silicon && echo si,150 >id_prop.csv && printf 'Si\\n1\\n0 2.7 2.7\\n2.7 "
        "0 2.7\\n2.7 2.7 0\\nSi\\n2\\nDirect\\n0 0 0\\n.25 .25 .25\\n' >si.vasp && $KT train --data . "
        "--dry-run");
    assert_status(&r, 0);
    assert_says(&r, "would write to runs/silicon\n");
    run(&r, folder, "cd $D/silicon && $KT train --data ../silicon// --dry-run");
    assert_status(&r, 0);
    assert_says(&r, "would write to runs/silicon\n");
    outcome_destroy(&r);
}

static void a_short_run_leaves_its_files(void **state)
{
    static const char *const files[] = {"run/recipe.json",
                                        "run/metrics.json",
                                        "run/epochs.csv",
                                        "run/predictions.csv",
                                        "run/log.jsonl",
                                        "run/folds/1/best.safetensors",
                                        "run/folds/2/last.safetensors"};
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT train --data datasets/togo15.csv --out $D/run " SHORT);
    assert_status(&r, 0);
    assert_says(&r, "mean (std), chosen epoch: MAPE ");
    assert_says(&r, "mean (std), last epoch  : MAPE ");
    assert_null(strstr(r.out, "folds)")); /* all of them are finite */
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!exists(folder, files[i]))
            fail_msg("%s is missing", files[i]);
    char *epochs = read_text(in(folder, "run/epochs.csv"), NULL);
    assert_int_equal(count_lines(epochs), 1 + 2 * 2);
    free(epochs);

    run(&r, folder, "$KT train --data datasets/togo15.csv --out $D/run " SHORT);
    assert_status(&r, 1);
    assert_complains(&r, "already holds a run");
    run(&r, folder, "$KT train --data datasets/togo15.csv --out $D/run " SHORT " --resume --batch 16");
    assert_status(&r, 1);
    assert_complains(&r, "`batch`");
    run(&r, folder, "$KT train --data datasets/togo15.csv --out $D/run " SHORT " --resume");
    assert_status(&r, 0);
    assert_says(&r, "mean (std), chosen epoch: MAPE ");
    outcome_destroy(&r);
}

static void rejects_change_the_exit_status(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "cp datasets/togo15.csv $D/set.csv && sed -n '$p' $D/set.csv >>$D/set.csv && $KT train --data "
        "$D/set.csv --out $D/run " SHORT);
    assert_status(&r, 3);
    assert_complains(&r, "1 rows were rejected");
    char *rejects = read_text(in(folder, "run/rejects.csv"), NULL);
    assert_int_equal(count_lines(rejects), 2);
    free(rejects);
    outcome_destroy(&r);
}

/* Closed, and a pipe that nobody reads any more. */
static void a_lost_standard_error_does_not_stop_a_run(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "$KT train --data datasets/togo15.csv --out $D/closed --folds 2 --epochs 2 --progress 2>&-");
    assert_status(&r, 0);
    assert_int_equal(exists(folder, "closed/metrics.json"), 1);
    run(&r, folder,
        "{ { $KT train --data datasets/togo15.csv --out $D/pipe --folds 2 --epochs 2 --progress; "
        "echo $? >$D/status; } 2>&1 >/dev/null; } | true; cat $D/status");
    assert_status(&r, 0);
    assert_string_equal(r.out, "0\n");
    assert_int_equal(exists(folder, "pipe/metrics.json"), 1);
    outcome_destroy(&r);
}

static void stages_are_run_and_reused(void **state)
{
    static const char recipe[] = "{\"folds\": 2, \"epochs\": 9, \"stages\": [{\"name\": \"base\", \"data\": "
                                 "\"datasets/togo15.csv\"},{\"name\": \"fine\", \"data\": "
                                 "\"datasets/togo15.csv\", \"from\": {\"stage\": \"base\"}}]}";
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "paper.json", recipe);
    run(&r, folder, "$KT train $D/paper.json --dry-run");
    assert_status(&r, 0);
    assert_says(&r, "stage 1 of 2, base: 95 usable crystals");
    assert_says(&r, "stage 2 of 2, fine: 95 usable crystals, 0 rejected rows, from stage base");
    assert_says(&r, "would write to runs/paper\n");
    assert_says(&r, "\"stage\": \"base\"");
    run(&r, folder, "$KT train $D/paper.json --data datasets/togo15.csv --dry-run");
    assert_status(&r, 2);
    assert_complains(&r, "--data cannot be given: each of the recipe's stages says its own");
    run(&r, folder, "$KT train $D/paper.json --from random --dry-run");
    assert_status(&r, 2);
    assert_complains(&r, "--from cannot be given");

    /* The options count for all stages. */
    run(&r, folder, "$KT train $D/paper.json --out $D/run " SHORT);
    assert_status(&r, 0);
    assert_says(&r, "stage 2 of 2, fine: kappa in W/(m K)");
    assert_int_equal(exists(folder, "run/stages/fine/folds/2/best.safetensors"), 1);
    assert_int_equal(exists(folder, "run/metrics.json"), 1);
    char *epochs = read_text(in(folder, "run/stages/base/epochs.csv"), NULL);
    assert_int_equal(count_lines(epochs), 1 + 2 * 2);
    free(epochs);
    run(&r, folder, "$KT train $D/paper.json --out $D/run " SHORT);
    assert_status(&r, 1);
    assert_complains(&r, "already holds a run");
    run(&r, folder, "$KT train $D/paper.json --out $D/run " SHORT " --resume");
    assert_status(&r, 0);
    assert_says(&r, "stage 1 of 2, base (had finished before)");
    run(&r, folder, "$KT train $D/paper.json --out $D/run --folds 2 --epochs 3 --resume");
    assert_status(&r, 1);
    assert_complains(&r, "stage `base`: this run has `epochs` 2, but 3 is asked for");
    run(&r, folder, "$KT train $D/run/stages/fine/recipe.json --out $D/other");
    assert_status(&r, 1);
    assert_complains(&r, "starts from stage `base`");
    run(&r, folder, "$KT predict $D/run datasets/examples/silicon.cif");
    assert_status(&r, 0);
    /* The bar names the stage. */
    run(&r, folder, "$KT train $D/paper.json --out $D/shown --folds 2 --epochs 2 --progress");
    assert_status(&r, 0);
    assert_complains(&r, "s left, fine (2/2) fold ");
    outcome_destroy(&r);
}

static void data_sets_are_joined(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "head -41 datasets/togo15.csv >$D/half.csv && $KT train --data datasets/togo15.csv --data "
        "$D/half.csv --dry-run");
    assert_status(&r, 0);
    assert_says(&r, "132 usable crystals");
    assert_says(&r, "would write to runs/togo15+half\n");
    run(&r, folder, "$KT train --data datasets/togo15.csv --data $D/half.csv --out $D/run " SHORT);
    assert_status(&r, 0);
    assert_says(&r, "mean (std), chosen epoch, half alone: MAPE ");
    char *predictions = read_text(in(folder, "run/predictions.csv"), NULL);
    assert_int_equal(count_lines(predictions), 1 + 2 * (19 + 8));
    free(predictions);
    run(&r, folder,
        "$KT train --data datasets/togo15.csv --data $D/half.csv --out $D/told --folds 1 --epochs 1");
    assert_status(&r, 0);
    assert_complains(&r, "37 crystals stand in more than one of the data sets");
    run(&r, folder,
        "$KT train --data datasets/togo15.csv --data ./datasets/togo15.csv --out $D/twice " SHORT);
    assert_status(&r, 1);
    assert_complains(&r, "./datasets/togo15.csv: holds the same crystals as datasets/togo15.csv");
    assert_false(exists(folder, "twice"));
    run(&r, folder,
        "$KT train --data a --data b --data c --data d --data e --data f --data g --data h --data i "
        "--dry-run");
    assert_status(&r, 2);
    assert_complains(&r, "at most 8 data sets");
    outcome_destroy(&r);
}

static void a_gaussian_process_needs_no_epochs(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT train --data datasets/togo15.csv --head gp --folds 2 --out $D/gp --progress");
    assert_status(&r, 0);
    assert_says(&r, "; a Gaussian process predicts.\n\nfold   MAPE  median");
    assert_says(&r, "mean (std): MAPE 0.");
    assert_null(strstr(r.out, "epoch"));
    assert_null(strstr(r.out, "nan"));
    assert_complains(&r, "2 folds of a Gaussian process");
    assert_complains(&r, "100 %");
    assert_complains(&r, "is fitted");
    assert_null(strstr(r.err, "nan"));
    assert_null(strstr(r.err, "epoch"));
    assert_true(exists(folder, "gp/folds/2/best.safetensors"));
    assert_false(exists(folder, "gp/folds/2/last.safetensors"));
    char *epochs = read_text(in(folder, "gp/epochs.csv"), NULL);
    assert_int_equal(count_lines(epochs), 1);
    free(epochs);

    run(&r, folder,
        "$KT train --data datasets/togo15.csv --head gp --gp-features none --gp-kernel rbf "
        "--readout-components 4 --epochs 0 --dry-run --out $D/dry");
    assert_status(&r, 0);
    assert_says(&r, "\"epochs\": 0,");
    assert_says(&r, "\"head\": \"gp\",");
    assert_says(&r, "\"gp_features\": \"none\",");
    assert_says(&r, "\"gp_kernel\": \"rbf\",");
    assert_says(&r, "\"readout_components\": 4,");
    /* Where it sees the network, that is trained as ever. */
    run(&r, folder,
        "$KT train --data datasets/togo15.csv --head gp --readout-components 4 --dry-run --out $D/dry");
    assert_status(&r, 0);
    assert_says(&r, "\"epochs\": 300,");
    static const struct {
        const char *options, *says;
        int status;
    } wrong[] = {
        {"--head forest", "network, gp or average", 2},
        {"--gp-kernel 3", "--gp-kernel", 2},
        {"--readout-components 17", "--readout-components", 2},
        {"--head gp --epochs 5", "set epochs to 0", 1},
        {"--head gp --gp-features none", "`gp_features`", 1},
        {"--head average --epochs 0", "\"average\" needs a network", 1},
        {"--readout-components 2", "has no Gaussian process", 1},
        {"--epochs 0", "needs a network", 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        run(&r, folder, "$KT train --data datasets/togo15.csv --dry-run --out $D/dry %s", wrong[i].options);
        assert_status(&r, wrong[i].status);
        assert_complains(&r, wrong[i].says);
    }
    outcome_destroy(&r);
}

static void both_heads_are_averaged(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT train --data datasets/togo15.csv --head average --folds 2 --epochs 2 --out $D/run");
    assert_status(&r, 0);
    assert_says(&r, "; the network and a Gaussian process are averaged; the epoch is chosen on");
    assert_says(&r, "fold  epoch   MAPE");
    assert_says(&r, "mean (std), last epoch");
    assert_complains(&r, "2 folds of 2 epochs and a Gaussian process");
    outcome_destroy(&r);
}

/* The last stage has no epochs: progress goes on to its end, and a finished one is reused. */
static void a_stage_may_have_no_epochs(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "recipe.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"stages\": [{\"name\": \"net\", "
               "\"epochs\": 1}, {\"name\": \"gp\", \"epochs\": 0, \"head\": \"gp\", \"readout_components\": "
               "3, \"from\": {\"stage\": \"net\"}}]}");
    run(&r, folder, "$KT train $D/recipe.json --out $D/run --progress");
    assert_status(&r, 0);
    assert_complains(&r, "gp (2/2) fold");
    assert_complains(&r, "100 %");
    assert_null(strstr(r.err, "nan"));
    assert_null(strstr(r.err, " -")); /* no time left below 0 */
    assert_says(&r, "stage 2 of 2, gp: kappa in W/(m K), protocol sound\nmean (std): MAPE");
    run(&r, folder, "$KT train $D/recipe.json --out $D/run --resume");
    assert_status(&r, 0);
    assert_says(&r, "stage 2 of 2, gp (had finished before)");
    outcome_destroy(&r);
}

/* ---- whose folder it is ---- */

/* Recipes of one stage, of two, a sweep, and one seed after the other: all that lies in a run folder of some kind. */
static void write_recipes(const char *folder)
{
    write_text(folder, "one.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 0, \"head\": \"gp\"}");
    write_text(folder, "staged.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 0, \"head\": \"gp\", "
               "\"stages\": [{\"name\": \"a\"}, {\"name\": \"b\", \"gp_features\": \"plain\"}]}");
    write_text(folder, "sweep.json",
               "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 0, \"head\": \"gp\", "
               "\"gp_features\": [\"plain\", \"physical\"]}");
}

static const struct {
    const char *train, *place; /* where a run writes */
} kinds[] = {{"$D/one.json", ""},
             {"$D/staged.json", ""},
             {"$D/staged.json", "/stages/a"},
             {"$D/sweep.json", "/points/1"},
             {"$D/one.json --replicas 2", "/seed-42"}};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void a_strangers_folder_is_not_touched(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_recipes(folder);
    for (int i = 0; i < KINDS; i++) {
        for (int resume = 0; resume < 2; resume++) {
            run(&r, folder,
                "rm -rf $D/mine $D/kept; mkdir -p $D/mine%s && echo mine >$D/mine%s/predictions.csv && "
                "cp -r $D/mine $D/kept; $KT train %s --out $D/mine --quiet%s",
                kinds[i].place, kinds[i].place, kinds[i].train, resume ? " --resume" : "");
            assert_status(&r, 1);
            assert_complains(
                &r, i == 2 ? "mine: holds trained folds but no recipe.json"
                           : "is no run folder, and holds predictions.csv: name a folder that is new");
            run(&r, folder, "diff -r $D/mine%s $D/kept%s", kinds[i].place, kinds[i].place);
            assert_status(&r, 0);
        }
    }
    /* Asked to, it writes there; after that the folder is a run's. */
    run(&r, folder,
        "$KT train $D/one.json --out $D/mine/seed-42 --quiet --force && $KT train $D/one.json --out "
        "$D/mine/seed-42 --quiet --resume && grep -c kappa $D/mine/seed-42/predictions.csv");
    assert_status(&r, 0);
    run(&r, folder, "$KT train $D/one.json --out $D/mine/seed-42 --quiet --force");
    assert_status(&r, 1);
    assert_complains(&r, "already holds a run");
    outcome_destroy(&r);
}

static void only_our_own_parts_go(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_recipes(folder);
    run(&r, folder,
        "$KT train $D/staged.json --out $D/run --quiet && for d in . stages/a stages/a/folds/1; do "
        "echo mine >$D/run/$d/thesis.part; echo >$D/run/$d/.metrics.json.7.kappatune-part; done; "
        "rm $D/run/stages/a/metrics.json; $KT train $D/staged.json --out $D/run --quiet --resume");
    assert_status(&r, 0);
    run(&r, folder, "cd $D/run && find . -name '*part' | sort");
    assert_string_equal(r.out, "./stages/a/folds/1/thesis.part\n./stages/a/thesis.part\n./thesis.part\n");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(help_names_the_signals, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(wrong_usage_is_refused, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_dry_run_checks_what_a_run_does, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_run_is_named_after_the_data, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_short_run_leaves_its_files, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(rejects_change_the_exit_status, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(stages_are_run_and_reused, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(data_sets_are_joined, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_gaussian_process_needs_no_epochs, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(both_heads_are_averaged, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_stage_may_have_no_epochs, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_strangers_folder_is_not_touched, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(only_our_own_parts_go, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_lost_standard_error_does_not_stop_a_run, folder_setup,
                                        folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
