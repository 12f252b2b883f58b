/* What is found by name: models, recipes, weights and data sets, in KAPPATUNE_PATH and beside the program. */
#include "cli/program.h"

#include <sys/stat.h>

/* In an empty folder, without a search path of the person who tests. */
#define HERE "unset KAPPATUNE_PATH; mkdir -p $D/here && cd $D/here && "

static int exists(const char *folder, const char *name)
{
    struct stat about;
    return stat(in(folder, name), &about) == 0;
}

static void names_are_found_from_any_folder(void **state)
{
    static const char *const commands[] = {
        "predict togo15-hh143 ../si.cif",
        "predict models/togo15-hh143 ../si.cif",
        "scan togo15 ../si.cif --quiet",
        "train first-principles --dry-run",
        "train recipes/first-principles.json --dry-run",
        "train recipes/first-principles --data datasets/togo15 --dry-run",
        "train --data togo15 --from aflow-agl --dry-run",
        "train --data datasets/togo15.csv --from models/aflow-agl --dry-run",
        "evaluate togo15 models/togo15-hh143 --data togo15 --quiet",
        "compare togo15 models/aflow-agl",
        "data check togo15",
        "data stats datasets/togo15",
        "bench --seconds 0 --batch 50",
        "report togo15",
        "report models/togo15",
        "submit first-principles --slurm --dry-run",
        "weights inspect models/aflow-agl/folds/1/best.safetensors",
        "reproduce --out paper --steps 1 --sets togo15 --dry-run",
    };
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "cp datasets/examples/silicon.cif $D/si.cif");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        run(&r, folder, HERE "$KT %s", commands[i]);
        if (r.status != 0)
            fail_msg("%s: exit status %d\n%s", commands[i], r.status, r.err);
    }
    /* A file of the present folder that is missing is not taken for a shipped one, nor are other things that lie there a model. */
    static const char *const refused[] = {"train first-principles.json --dry-run", "data check togo15.csv",
                                          "data check README.md", "predict build.sh ../si.cif"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        run(&r, folder, HERE "$KT %s", refused[i]);
        assert_status(&r, 1);
        assert_true(strstr(r.err, "cannot be opened") || strstr(r.err, "there is no such"));
    }
    run(&r, folder, HERE "$KT predict togo15-hh143 ../si.cif --format json");
    assert_says(&r, "\"model\": \"togo15-hh143\"");
    run(&r, folder, HERE "$KT train paper --dry-run");
    assert_complains(&r, "stage `FETG15`: "); /* beyond the first, which needs Togo15 alone */
    outcome_destroy(&r);
}

static void a_path_that_exists_wins(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        HERE "mkdir togo15 && cp $OLDPWD/datasets/examples/silicon.cif togo15/si.cif && echo si,150 "
             ">togo15/id_prop.csv && $KT data check togo15");
    assert_status(&r, 0);
    assert_says(&r, "togo15: 1 crystal can be used");
    run(&r, folder, HERE "$KT data check datasets/togo15");
    assert_says(&r, ": 95 crystals can be used");
    /* The same for a recipe: a file of that name is read, and refused. */
    run(&r, folder,
        HERE "echo '{\"epochs\": \"many\"}' >first-principles && $KT train first-principles --dry-run");
    assert_status(&r, 1);
    assert_complains(&r, "first-principles: `epochs` must be");
    /* A folder cannot be one. */
    run(&r, folder, HERE "mkdir paper && $KT train paper --dry-run");
    assert_complains(&r, "stage `FETG15`: ");
    outcome_destroy(&r);
}

static void the_search_path_is_looked_through_in_order(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "for place in here here/rel a b; do mkdir -p $D/$place/datasets; done; table() { printf "
        "'formula,prototype,a,kappa,id\\nSi,diamond,5.43,%%s,si\\n' $2 >$D/$1; }; table "
        "here/datasets/mine.csv 1; table here/rel/datasets/mine.csv 2; table a/datasets/mine.csv 3; table "
        "b/datasets/mine.csv 4; table b/datasets/togo15.csv 5");
    assert_status(&r, 0);
    /* An entry that is empty or relative is none. */
    run(&r, folder, HERE "KAPPATUNE_PATH=:rel:.:$D/none:$D/a:$D/b $KT data stats mine");
    assert_status(&r, 0);
    assert_says(&r, "kappa, W/(m K): min 3,");
    run(&r, folder, HERE "KAPPATUNE_PATH=$D/b:$D/a: $KT data stats mine");
    assert_says(&r, "kappa, W/(m K): min 4,");
    /* It comes before what is shipped. */
    run(&r, folder, HERE "KAPPATUNE_PATH=$D/b $KT data stats togo15");
    assert_says(&r, "kappa, W/(m K): min 5,");
    run(&r, folder, HERE "KAPPATUNE_PATH=:rel:. $KT data stats mine");
    assert_status(&r, 1);
    assert_complains(&r, "mine: there is no such data set");
    /* A name leads out of no folder. */
    run(&r, folder,
        "cd $D/a/datasets && KAPPATUNE_PATH=$D/a $KT data stats datasets/../../b/datasets/mine.csv");
    assert_status(&r, 1);
    outcome_destroy(&r);
}

static void what_is_nowhere_is_told_with_what_there_is(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, HERE "KAPPATUNE_PATH=$D/mine $KT predict togo16 x.cif");
    assert_status(&r, 1);
    assert_complains(
        &r, "togo16: there is no such model or weights; known by name: aflow-agl, togo15, togo15-hh143 "
            "(looked for here, ");
    assert_complains(&r, "/mine/models, ");
    assert_complains(&r, "/share/kappatune/models, ");
    run(&r, folder, HERE "$KT train papr");
    assert_status(&r, 1);
    assert_complains(
        &r, "papr: there is no such recipe; known by name: aflow, first-principles, paper, production (");
    run(&r, folder, HERE "KAPPATUNE_PATH=mine:$D/mine $KT train togo15");
    assert_status(&r, 1);
    assert_complains(&r, "; it is a data set: --data togo15");
    assert_complains(&r, "; KAPPATUNE_PATH's mine is left out, as it does not begin with a slash");
    run(&r, folder, HERE "echo '{\"epochs\": 1}' >ours.json; $KT train ours");
    assert_status(&r, 1);
    assert_complains(&r, "; did you mean ours.json?");
    run(&r, folder, HERE "$KT train ours.json");
    assert_status(&r, 2);
    assert_complains(&r, "the recipe ours.json names no data: add --data");
    run(&r, folder,
        "mkdir -p $D/mine/datasets/folder && touch $D/mine/datasets/own.csv "
        "$D/mine/datasets/folder/id_prop.csv $D/mine/datasets/togo15.csv $D/mine/datasets/NOTES; " HERE
        "KAPPATUNE_PATH=$D/mine $KT data check none");
    assert_status(&r, 1);
    assert_complains(&r, "none: there is no such data set; known by name: folder, own, togo15");
    assert_null(strstr(r.err, "NOTES"));
    assert_null(strstr(r.err, "examples")); /* which is a folder of crystals, not a data set */
    /* What is to be downloaded is told with the command that does it. */
    run(&r, folder, HERE "$KT train aflow");
    assert_status(&r, 1);
    assert_complains(
        &r, "aflow: does not come with kappatune; `kappatune data fetch aflow --out aflow` downloads");
    run(&r, folder, HERE "$KT train --data togo15 --from megnet-eform.safetensors");
    assert_status(&r, 1);
    assert_complains(&r, "`kappatune weights fetch megnet-eform` downloads it as megnet-eform.safetensors");
    assert_int_equal(exists(folder, "here/runs"), 0);
    /* A path is none of them. */
    run(&r, folder, HERE "$KT predict runs/none x.cif");
    assert_status(&r, 1);
    assert_complains(&r, "runs/none: cannot be opened");
    outcome_destroy(&r);
}

/* The data and the weights of a run are found anew wherever they have gone, and its recipe.json does not tell where they were. */
static void a_run_is_the_same_wherever_its_names_lie(void **state)
{
    static const char train[] = "train --data mine --from start --folds 2 --epochs 1 --quiet";
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "mkdir -p $D/a/datasets $D/a/models && cp datasets/togo15.csv $D/a/datasets/mine.csv && "
        "cp -r models/aflow-agl $D/a/models/start; " HERE
        "KAPPATUNE_PATH=$D/a $KT %s --out $D/first && mv $D/a $D/b",
        train);
    assert_status(&r, 0);
    run(&r, folder,
        HERE "KAPPATUNE_PATH=$D/b $KT %s --out $D/second && diff -r -x lock -x log.jsonl $D/first $D/second",
        train);
    if (r.status != 0)
        fail_msg("the runs differ:\n%s%s", r.out, r.err);
    char *recipe = read_text(in(folder, "first/recipe.json"), NULL);
    assert_non_null(strstr(recipe, "\"data\": \"mine\""));
    assert_non_null(strstr(recipe, "\"from\": \"start\""));
    free(recipe);
    run(&r, folder, HERE "KAPPATUNE_PATH=$D/b $KT %s --out $D/first --resume", train);
    assert_status(&r, 0);
    run(&r, folder, HERE "$KT %s --out $D/first --resume", train);
    assert_status(&r, 1);
    assert_complains(&r, "mine: there is no such data set");
    /* Export reads the run's data for the card. */
    run(&r, folder, HERE "KAPPATUNE_PATH=$D/b $KT weights export $D/first --out $D/model");
    assert_status(&r, 0);
    assert_null(strstr(r.err, "not at hand"));
    assert_int_equal(exists(folder, "model/calibration.csv"), 1);
    run(&r, folder, HERE "mv $D/model $D/b/models/mine; KAPPATUNE_PATH=$D/b $KT calibrate mine --data mine");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

static void stages_are_found_by_name_too(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(
        folder, "two.json",
        "{\"protocol\": \"sound\", \"data\": \"togo15\", \"folds\": 1, \"epochs\": 1, \"stages\": ["
        "{\"name\": \"A\", \"from\": \"aflow-agl\"}, {\"name\": \"B\", \"from\": {\"stage\": \"A\"}}]}");
    run(&r, folder,
        HERE "$KT train ../two.json --out run --quiet && $KT train ../two.json --out run --quiet --resume && "
             "cat run/recipe.json run/stages/B/recipe.json");
    assert_status(&r, 0);
    assert_says(&r, "B (had finished before)");
    assert_says(&r, "\"from\": \"aflow-agl\"");
    assert_null(strstr(r.out, "share/kappatune"));
    outcome_destroy(&r);
}

/* A job need not have the environment of who submits it. */
static void a_job_finds_the_names_that_were_found(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "mkdir -p \"$D/it's/datasets\" \"$D/it's/recipes\" $D/bin && cp datasets/togo15.csv "
        "\"$D/it's/datasets/mine.csv\" && echo '{\"data\": \"mine\", \"head\": \"gp\", \"folds\": 2}' "
        ">\"$D/it's/recipes/own.json\" && printf '#!/bin/sh\\necho 7\\n' >$D/bin/sbatch && chmod +x "
        "$D/bin/sbatch; " HERE "KAPPATUNE_PATH=\"$D/it's\" PATH=$D/bin:$PATH $KT submit own --slurm && bash "
        "runs/own/submit/train.sh");
    assert_status(&r, 0);
    assert_int_equal(exists(folder, "here/runs/own/metrics.json"), 1);
    run(&r, folder, HERE "$KT submit first-principles --slurm --dry-run");
    assert_status(&r, 0);
    assert_null(strstr(r.out, "KAPPATUNE_PATH"));
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_found_from_any_folder, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_path_that_exists_wins, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_search_path_is_looked_through_in_order, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(what_is_nowhere_is_told_with_what_there_is, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(a_run_is_the_same_wherever_its_names_lie, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(stages_are_found_by_name_too, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_job_finds_the_names_that_were_found, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
