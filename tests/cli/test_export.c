/* kappatune weights export: a run as a model to hand on, and the models that are shipped. */
#include "cli/program.h"

#include <stdbool.h>

#include <jansson.h>

#define SHORT "--folds 3 --epochs 2 --threads 2 --quiet"
#define TRAIN "$KT train --data datasets/togo15.csv --out $D/run " SHORT " >$D/log && "

/* Gaussian processes alone, and on the read-out of a network. */
#define GP "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 0, \"head\": \"gp\"}"
#define GP_ON_READOUT                                                                                        \
    "{\"data\": \"datasets/togo15.csv\", \"folds\": 2, \"epochs\": 1, \"head\": \"gp\", "                    \
    "\"readout_components\": 2}"

static void a_model_is_its_run(void **state)
{
    outcome r = {0};
    run(&r, *state, TRAIN "$KT weights export $D/run --out $D/sub/model");
    assert_status(&r, 0);
    assert_says(&r, "3 members, 5.7 MB of weights\nwrote ");
    assert_string_equal(r.err, "");
    run(&r, *state, "cd $D/sub/model && find . -type f | sort");
    assert_string_equal(
        r.out, "./README.md\n./calibration.csv\n./folds/1/best.safetensors\n./folds/2/best.safetensors\n"
               "./folds/3/best.safetensors\n./metrics.json\n./recipe.json\n");
    run(&r, *state,
        "for f in calibration.csv recipe.json; do cmp $D/run/$f $D/sub/model/$f || exit; done; sed "
        "'/weights_sha256/d; s/,$//' $D/sub/model/metrics.json >$D/model.json; sed 's/,$//' "
        "$D/run/metrics.json | cmp - $D/model.json");
    assert_status(&r, 0);
    run(&r, *state,
        "cd $D/sub/model; for n in 1 2 3; do grep -q $(sha256sum folds/$n/best.safetensors | cut -c -64) "
        "metrics.json || exit; done");
    assert_status(&r, 0);
    run(&r, *state,
        "for m in run sub/model; do $KT predict $D/$m datasets/examples --format csv >$D/$(basename "
        "$m).csv; done; cmp $D/run.csv $D/model.csv");
    assert_status(&r, 0);
    /* As start weights too, fold by fold. */
    run(&r, *state,
        "for m in run sub/model; do $KT train --data datasets/togo15.csv --from $D/$m --out $D/on-$(basename "
        "$m) " SHORT " || exit; done; cmp $D/on-run/predictions.csv $D/on-model/predictions.csv && "
        "cmp $D/on-run/metrics.json $D/on-model/metrics.json");
    assert_status(&r, 0);
    run(&r, *state,
        "$KT train --data datasets/togo15.csv --from $D/sub/model --out $D/four --folds 4 --epochs 1");
    assert_status(&r, 1);
    assert_complains(
        &r, "sub/model/folds/4/best.safetensors: is missing: fold 4 of this run would start from it");
    outcome_destroy(&r);
}

/* The greatest relative difference of the means of two models on the example crystals. */
static double difference(const char *folder, const char *a, const char *b)
{
    outcome r = {0};
    double max = 0;
    const char *const models[2] = {a, b};
    json_t *list[2];
    for (int i = 0; i < 2; i++) {
        run(&r, folder, "$KT predict $D/%s datasets/examples --format json", models[i]);
        assert_status(&r, 0);
        list[i] = json_loads(r.out, 0, NULL);
        assert_non_null(list[i]);
    }
    const json_t *left = json_object_get(list[0], "predictions"),
                 *right = json_object_get(list[1], "predictions");
    assert_true(json_array_size(left) == 3 && json_array_size(right) == 3);
    for (size_t i = 0; i < 3; i++) {
        const double x = json_number_value(json_object_get(json_array_get(left, i), "kappa_mean")),
                     y = json_number_value(json_object_get(json_array_get(right, i), "kappa_mean"));
        assert_true(isfinite(x) && isfinite(y) && x != 0);
        max = fmax(max, fabs(y / x - 1));
    }
    json_decref(list[0]);
    json_decref(list[1]);
    outcome_destroy(&r);
    return max;
}

static void half_precision_changes_little(void **state)
{
    outcome r = {0};
    run(&r, *state, TRAIN "$KT weights export $D/run --out $D/half --half");
    assert_status(&r, 0);
    assert_says(&r, "3 members, 2.9 MB of weights");
    run(&r, *state,
        "$KT weights inspect $D/half/folds/2/best.safetensors; $KT weights inspect "
        "$D/half/folds/2/best.safetensors | grep -c F32");
    assert_says(&r, "F16");
    assert_says(&r, "\n0\n");
    const double change = difference(*state, "run", "half");
    if (!(change > 0 && change < 5e-3))
        fail_msg("half precision changes a mean by %g", change);
    char *card = read_text(in(*state, "half/README.md"), NULL);
    assert_non_null(strstr(card,
                           "stored in half precision (F16). Against the weights as trained the members' mean "
                           "kappa of 95\ncrystals"));
    free(card);
    outcome_destroy(&r);
}

static void a_gaussian_process_keeps_its_bits(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "gp.json", GP);
    run(&r, folder,
        "$KT train $D/gp.json --out $D/run --quiet && $KT weights export $D/run --out $D/half --half");
    assert_status(&r, 0);
    run(&r, folder,
        "for m in run half; do $KT predict $D/$m datasets/examples --format csv >$D/$m.csv; done; cmp "
        "$D/run.csv $D/half.csv");
    assert_status(&r, 0);
    char *card = read_text(in(folder, "half/README.md"), NULL);
    assert_non_null(strstr(card, "by a Gaussian process on physical features of the crystal;"));
    assert_null(strstr(card, "F16"));
    assert_null(strstr(card, "--from")); /* there is no network to start from */
    free(card);
    run(&r, folder, "$KT train --data datasets/togo15.csv --from $D/half --folds 2 --epochs 1 --out $D/on");
    assert_status(&r, 1);
    assert_complains(&r, "half/folds/1/best.safetensors: has no tensor");

    write_text(folder, "gp.json", GP_ON_READOUT);
    run(&r, folder,
        "$KT train $D/gp.json --out $D/both --quiet && $KT weights export $D/both --out $D/both-half --half "
        "&& $KT weights inspect $D/both-half/folds/1/best.safetensors");
    assert_status(&r, 0);
    for (const char *at = r.out; (at = strstr(at, "\ngp.")); at++)
        if (strncmp(at + strcspn(at, "]"), "]  F64 ", 7) != 0 && !strstr(at, "F64"))
            fail_msg("not in float64: %.80s", at);
    assert_says(&r, "gp.readout_basis");
    assert_says(&r, "F16");
    assert_true(difference(folder, "both", "both-half") < 5e-3);
    outcome_destroy(&r);
}

/* Makes the last float of a safetensors file 1e6, which F16 cannot hold. */
static void enlarge(const char *path)
{
    const float value = 1e6F;
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -(long)sizeof value, SEEK_END), 0);
    assert_int_equal(fwrite(&value, sizeof value, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void what_cannot_be_exported_is_named(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, TRAIN "$KT weights export $D/run");
    assert_status(&r, 2);
    assert_complains(&r, "export needs --out");
    run(&r, folder, "$KT weights import $D/run --out $D/m --half");
    assert_status(&r, 2);
    assert_complains(&r, "--half and --licence belong to export");
    run(&r, folder, "$KT weights export $D/none --out $D/m");
    assert_status(&r, 1);
    assert_complains(&r, "none: is no finished run");
    run(&r, folder, "mkdir $D/m; $KT weights export $D/run --out $D/m");
    assert_status(&r, 1);
    assert_complains(&r, "m: exists already; --force replaces a model");
    run(&r, folder, "$KT weights export $D/run --out $D/m --force");
    assert_status(&r, 1);
    assert_complains(&r, "m: is no exported model");
    run(&r, folder, "$KT weights export $D/run --out $D/run --half --force");
    assert_status(&r, 1);
    assert_complains(&r, "run: is no exported model");

    enlarge(in(folder, "run/folds/2/best.safetensors"));
    run(&r, folder, "$KT weights export $D/run --out $D/large --half");
    assert_status(&r, 1);
    assert_complains(
        &r, "folds/2/best.safetensors: element 0 of tensor `head.layers.3.bias` is 1e+06, which half");
    run(&r, folder, "rm $D/run/folds/3/best.safetensors; $KT weights export $D/run --out $D/large");
    assert_status(&r, 1);
    assert_complains(&r, "folds/3/best.safetensors: ");
    run(&r, folder, "ls $D/large");
    assert_complains(&r, "large"); /* nothing was written */
    outcome_destroy(&r);
}

static void a_model_is_replaced_whole(void **state)
{
    outcome r = {0};
    run(&r, *state,
        TRAIN "$KT train --data datasets/togo15.csv --out $D/two --folds 2 --epochs 1 --quiet && "
              "$KT weights export $D/run --out $D/m && $KT weights export $D/two --out $D/m --force && ls "
              "$D/m/folds");
    assert_status(&r, 0);
    assert_says(&r, "2 members, ");
    assert_says(&r, "m\n1\n2\n");
    /* From a model as from a run, also onto itself. */
    run(&r, *state,
        "$KT weights export $D/m --out $D/m --half --force && $KT predict $D/m datasets/examples");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

/* A folder goes as a whole, so it must be a model and nothing else. */
static void what_is_no_model_is_never_removed(void **state)
{
    outcome r = {0};
    static const char *const strangers[][2] = {
        {"echo mine >$D/m/notes.txt", "it holds notes.txt"},
        {"mkdir $D/m/.git", "it holds .git"},
        {"echo mine >$D/m/folds/notes.txt", "it holds folds/notes.txt"},
        {"mkdir $D/m/folds/.mine", "it holds folds/.mine"},
        {"echo mine >$D/m/folds/2/notes.txt", "it holds folds/2/notes.txt"},
        {"rm $D/m/README.md", "it has no README.md"},
        {"rm -r $D/m/* && echo mine | tee $D/m/README.md >$D/m/metrics.json", "it has no recipe.json"},
    };
    run(&r, *state, TRAIN "$KT weights export $D/run --out $D/model");
    assert_status(&r, 0);
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        run(&r, *state,
            "rm -rf $D/m $D/before; cp -r $D/model $D/m && %s && cp -r $D/m $D/before && $KT weights export "
            "$D/run --out $D/m --force",
            strangers[i][0]);
        assert_status(&r, 1);
        assert_complains(&r, "m: is no exported model, so --force does not replace it: ");
        assert_complains(&r, strangers[i][1]);
        run(&r, *state, "diff -r $D/m $D/before && ! ls -A $D | grep kappatune-part");
        assert_status(&r, 0);
    }
    /* A link to a model stays one. */
    run(&r, *state,
        "ln -s model $D/link; $KT weights export $D/run --out $D/link/ --half --force && test -L $D/link && "
        "$KT weights inspect $D/model/folds/1/best.safetensors");
    assert_status(&r, 0);
    assert_says(&r, "F16");
    outcome_destroy(&r);
}

/* ---- models that are not whole ---- */

/* Whatever opens the model says `what` of it. */
static void assert_refused(const char *folder, const char *what)
{
    static const char *const commands[] = {
        "predict $D/m datasets/examples",
        "scan $D/m datasets/examples --out $D/rows.csv",
        "evaluate $D/m --data datasets/togo15.csv",
        "calibrate $D/m --data datasets/togo15.csv",
        "train --data datasets/togo15.csv --from $D/m --folds 1 --epochs 1 --out $D/on --quiet",
        "weights export $D/m --out $D/again",
    };
    outcome r = {0};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        run(&r, folder, "$KT %s", commands[i]);
        assert_status(&r, 1);
        assert_complains(&r, what);
    }
    run(&r, folder, "ls $D/rows.csv $D/on $D/again");
    assert_string_equal(r.out, "");
    outcome_destroy(&r);
}

static void a_model_that_lacks_a_fold_is_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        TRAIN "$KT weights export $D/run --out $D/model && cp -r $D/model $D/m && rm -r $D/m/folds/2");
    assert_status(&r, 0);
    assert_refused(
        folder,
        "m/folds/2/best.safetensors: is missing: fold 2 of the model's 3. Export or copy the model again");
    /* Of another model with the same recipe, in a fold's place or beside them. */
    run(&r, folder,
        "$KT train --data datasets/togo15.csv --seed 7 --out $D/other " SHORT " >$D/log && rm -r $D/m && "
        "cp -r $D/model $D/m && cp $D/other/folds/2/best.safetensors $D/m/folds/2");
    assert_status(&r, 0);
    assert_refused(folder, "m/folds/2/best.safetensors: is not the file that this model was exported with");
    run(&r, folder, "rm -r $D/m && cp -r $D/model $D/m && cp -r $D/m/folds/1 $D/m/folds/4");
    assert_refused(folder,
                   "m/folds/4/best.safetensors: does not belong to the model, whose metrics.json names 3");
    run(&r, folder, "rm -r $D/m/folds/4 $D/m/metrics.json $D/m/recipe.json");
    run(&r, folder, "$KT predict $D/m datasets/examples");
    assert_status(&r, 1);
    assert_complains(&r, "m: has folds, but no metrics.json that says which of them make the model");
    /* One of an earlier version has no SHA-256: its files tell. */
    run(&r, folder,
        "rm -r $D/m; cp -r models/togo15 $D/m && sed -i s/weights_sha256/weights_former/ $D/m/metrics.json "
        "&& cp $D/m/folds/1/best.safetensors $D/m/folds/2");
    assert_refused(folder, "m/folds/2/best.safetensors: is fold 1's, not fold 2's");
    run(&r, folder, "cp models/togo15-hh143/folds/2/best.safetensors $D/m/folds/2");
    assert_refused(folder,
                   "folds/2/best.safetensors: is of another model: its `dataset` is togo15+hh143, but");
    run(&r, folder, "rm $D/m/folds/2/best.safetensors");
    assert_refused(folder, "m/folds/2/best.safetensors: is missing: fold 2 of the model's 9");
    outcome_destroy(&r);
}

static void a_run_that_has_not_finished_is_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    /* Stopped in the midst of its epochs. */
    run(&r, folder,
        "$KT train --data datasets/togo15.csv --folds 3 --epochs 100000 --threads 1 --checkpoint-every 0 "
        "--out $D/m >$D/log 2>&1 & p=$!; until [ -e $D/m/folds/1/best.safetensors ]; do sleep 0.02; done; "
        "kill -USR1 $p; wait $p");
    assert_status(&r, 4);
    run(&r, folder, "$KT predict $D/m datasets/examples");
    assert_status(&r, 1);
    assert_complains(&r, "m: is a run that has not finished: ");
    assert_complains(&r, " of its 3 folds have weights so far. kappatune train --resume finishes it");
    run(&r, folder, "$KT train --data datasets/togo15.csv --from $D/m --folds 1 --epochs 1 --out $D/on");
    assert_status(&r, 1);
    assert_complains(&r, "m: is a run that has not finished: ");
    run(&r, folder, "$KT predict $D/m/folds/1/best.safetensors datasets/examples");
    assert_status(&r, 0);
    /* One fold that was asked for is a whole run; further ones beside it are not yet. */
    run(&r, folder,
        "o=\"--data datasets/togo15.csv --folds 3 --epochs 1 --quiet --out $D/parts\"; $KT train $o --fold "
        "2 && $KT predict $D/parts datasets/examples && $KT train $o --fold 3 --resume && ! $KT predict "
        "$D/parts datasets/examples && $KT train $o --resume && $KT predict $D/parts datasets/examples");
    assert_status(&r, 0);
    assert_complains(&r,
                     "parts/folds/2/best.safetensors: does not belong to the model, whose metrics.json names "
                     "1 other fold");
    outcome_destroy(&r);
}

static void no_path_of_this_machine_is_handed_on(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    char recipe[2048];
    snprintf(recipe, sizeof recipe,
             "{\"folds\": 2, \"epochs\": 1, \"stages\": [{\"name\": \"base\", \"data\": [\"%s/mine.csv\", "
             "\"datasets/togo15.csv\"], \"from\": \"%s/run\"},{\"name\": \"fine\", \"data\": "
             "\"datasets/togo15.csv\", \"from\": {\"stage\": \"base\"}}]}",
             folder, folder);
    write_text(folder, "recipe.json", recipe);
    run(&r, folder,
        TRAIN
        "head -n 40 datasets/togo15.csv >$D/mine.csv && $KT train $D/recipe.json --out $D/staged --quiet && "
        "$KT weights export $D/staged --out $D/fine && $KT weights export $D/staged/stages/base --out "
        "$D/base && cat $D/base/recipe.json");
    assert_status(&r, 0);
    assert_says(&r, "\"mine.csv\",\n    \"datasets/togo15.csv\"");
    assert_says(&r, "\"from\": \"run\"");
    run(&r, folder, "grep -ra $D/ $D/fine/ $D/base/folds $D/base/recipe.json $D/base/metrics.json");
    assert_status(&r, 1);
    assert_string_equal(r.out, "");
    char *card = read_text(in(folder, "fine/README.md"), NULL);
    assert_non_null(strstr(card, "| start weights | stage base of the same recipe |"));
    assert_non_null(strstr(card, "- Togo15: "));
    assert_non_null(strstr(card, "- mine.csv: not known to kappatune"));
    assert_null(strstr(strstr(card, "- Togo15: ") + 1, "- Togo15: ")); /* once, though both stages have it */
    free(card);

    run(&r, folder, "rm $D/mine.csv; $KT weights export $D/staged/stages/base --out $D/base --force");
    assert_status(&r, 0);
    assert_complains(&r, "mine.csv is not at hand: the card cannot say what range it covers");
    card = read_text(in(folder, "base/README.md"), NULL);
    assert_non_null(strstr(card, "the training data were not at hand"));
    free(card);
    outcome_destroy(&r);
}

static void the_card_tells_what_the_run_knows(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, TRAIN "$KT weights export $D/run --out $D/m --licence 'CC0 1.0'");
    assert_status(&r, 0);
    char *card = read_text(in(folder, "m/README.md"), NULL), expected[128];
    json_t *metrics = json_load_file(in(folder, "m/metrics.json"), 0, NULL);
    const json_t *mape = json_object_get(json_object_get(metrics, "summary"), "mape");
    snprintf(expected, sizeof expected, "| togo15, chosen epoch (these weights) | %.3f (%.3f) |",
             json_number_value(json_object_get(mape, "mean")),
             json_number_value(json_object_get(mape, "std")));
    const char *const lines[] = {
        "# m\n",
        expected,
        "| members | 3, ",
        "| epochs | 2 |",
        "- 95 crystals of at most 4 sites, kappa from 0.5077 to 1769, half of them below 19.88 W/(m K)\n",
        "- 34 elements: H Li Be B C N O F Na Mg Al Si P S Cl K Ca Cu Zn Ga As Se",
        "- The weights: CC0 1.0.\n",
        "Phys. Rev. B 91, 094306 (2015)"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(card, lines[i]))
            fail_msg("the card lacks: %s\n%s", lines[i], card);
    json_decref(metrics);
    free(card);
    outcome_destroy(&r);
}

/* ---- what the repository ships ---- */

static const char *const shipped[] = {"aflow-agl", "togo15", "togo15-hh143"};

static void shipped_models_predict(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    for (size_t m = 0; m < sizeof shipped / sizeof shipped[0]; m++) {
        run(&r, folder, "$KT predict models/%s datasets/examples --format csv", shipped[m]);
        assert_status(&r, 0);
        assert_non_null(strstr(r.out, "fold_9"));
        assert_int_equal(count_lines(r.out), 4);
        run(&r, folder, "grep -E '^(# %s|- The weights: BSD 3-Clause|- .*CC BY 4.0)' models/%s/README.md",
            shipped[m], shipped[m]);
        assert_true(count_lines(r.out) >= 3);
        /* No path of the machine that made it. */
        run(&r, folder,
            "{ cat models/%s/*.json models/%s/README.md; $KT weights inspect "
            "models/%s/folds/9/best.safetensors; } | grep -E '[.][.]/|\"/|  /| from /'",
            shipped[m], shipped[m], shipped[m]);
        assert_status(&r, 1);
        assert_string_equal(r.out, "");
    }
    /* Silicon has 140 W/(m K) in experiment and is in none of the two sets. */
    run(&r, folder, "$KT predict models/togo15-hh143 datasets/examples/silicon.cif --format json");
    json_t *root = json_loads(r.out, 0, NULL);
    const json_t *silicon = json_array_get(json_object_get(root, "predictions"), 0);
    const double kappa = json_number_value(json_object_get(silicon, "kappa_mean"));
    if (!(kappa > 70 && kappa < 280))
        fail_msg("silicon has %g W/(m K)", kappa);
    json_decref(root);
    run(&r, folder, "du -sk models | cut -f 1");
    assert_in_range(atoi(r.out), 1, 45000);
    outcome_destroy(&r);
}

static void the_shipped_network_is_a_start(void **state)
{
    outcome r = {0};
    run(&r, *state, "$KT train --data datasets/togo15.csv --from models/aflow-agl --out $D/run " SHORT);
    assert_status(&r, 0);
    run(&r, *state,
        "$KT train --data datasets/togo15.csv --from models/aflow-agl --folds 10 --epochs 1 --out $D/ten");
    assert_status(&r, 1);
    assert_complains(&r, "models/aflow-agl/folds/10/best.safetensors: is missing: fold 10 of this run");
    run(&r, *state,
        "$KT train --data datasets/togo15.csv --from models/togo15 --folds 1 --epochs 1 --out $D/none");
    assert_status(&r, 1);
    assert_complains(&r, "models/togo15/folds/1/best.safetensors: has no tensor");
    outcome_destroy(&r);
}

/* The program has not moved away from what it ships. */
static void shipped_models_are_what_the_recipes_give(void **state)
{
    static const struct {
        const char *recipe, *model;
    } rows[] = {{"first-principles", "togo15"}, {"production", "togo15-hh143"}};
    const char *folder = *state;
    outcome r = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[64];
        run(&r, folder, "$KT train recipes/%s.json --out $D/%s --quiet", rows[i].recipe, rows[i].model);
        assert_status(&r, 0);
        run(&r, folder, "ln -s \"$PWD/models/%s\" $D/shipped-%s", rows[i].model, rows[i].model);
        snprintf(name, sizeof name, "shipped-%s", rows[i].model);
        const double change = difference(folder, rows[i].model, name);
        if (!(change < 1e-2))
            fail_msg("recipes/%s.json gives a model that differs from models/%s by %g: models/build.sh makes "
                     "it anew",
                     rows[i].recipe, rows[i].model, change);
    }
    run(&r, folder,
        "mkdir -p $D/path/datasets $D/path/weights && cp -r $T/data/aflow_agl $D/path/datasets/aflow && "
        "$KT weights import " MEGNET " --out $D/path/weights/megnet-eform.safetensors");
    assert_status(&r, 0);
    for (const char *const *recipe = (const char *const[]){"aflow", "paper", NULL}; *recipe; recipe++) {
        run(&r, folder, "KAPPATUNE_PATH=$D/path $KT train %s --out $D/dry --dry-run", *recipe);
        assert_status(&r, 3); /* six of AFLOW's crystals are rejected */
    }
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_model_is_its_run, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(half_precision_changes_little, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_gaussian_process_keeps_its_bits, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_exported_is_named, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_model_is_replaced_whole, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_model_is_never_removed, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_model_that_lacks_a_fold_is_refused, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_run_that_has_not_finished_is_refused, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(no_path_of_this_machine_is_handed_on, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_card_tells_what_the_run_knows, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(shipped_models_predict, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_shipped_network_is_a_start, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(shipped_models_are_what_the_recipes_give, folder_setup,
                                        folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
