/* Recipes: JSON there and back, defaults, misspelt keys, wrong values, hostile files. */
#include "support.h"

#include "base/file.h"
#include "base/json.h"
#include "train/recipe.h"
#include "train/runs.h"

typedef struct fixture {
    scratch folder;
    char path[PATH_SIZE];
    kt_train_options options;
    kt_error error;
    kt_recipe recipe;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    scratch_create(&f->folder);
    path_in(f->folder.path, "recipe.json", f->path);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    kt_recipe_destroy(&f->recipe);
    scratch_destroy(&f->folder);
    free(f);
    return 0;
}

/* Reads a recipe of one stage over the sound defaults. */
static kt_status read_path(fixture *f, const char *path)
{
    const kt_train_options defaults = kt_train_options_default(KT_SOUND);
    kt_recipe_destroy(&f->recipe);
    f->error = (kt_error)KT_ERROR_NONE;
    f->options = defaults;
    const kt_status status = kt_recipe_read(path, &defaults, &f->recipe, &f->error);
    if (status != KT_OK)
        return status;
    assert_int_equal(f->recipe.stages, 1);
    assert_int_equal(f->recipe.staged, 0);
    assert_string_equal(f->recipe.stage[0].name, "");
    f->options = f->recipe.stage[0].options;
    return KT_OK;
}

/* Reads the bytes as a recipe, over the sound defaults. */
static kt_status read_bytes(fixture *f, const char *bytes, size_t size)
{
    kt_error error = KT_ERROR_NONE;
    assert_ok(kti_file_write(f->path, bytes, size, &error), &error);
    return read_path(f, f->path);
}

static kt_status read_text(fixture *f, const char *text)
{
    return read_bytes(f, text, strlen(text));
}

/* An error that names the file and says `part`; the options are the defaults still. */
static void assert_refused(fixture *f, kt_status status, const char *part)
{
    const kt_train_options before = kt_train_options_default(KT_SOUND);
    assert_int_not_equal(status, KT_OK);
    assert_string_equal(f->error.file, f->path);
    if (!strstr(f->error.message, part))
        fail_msg("\"%s\" does not say \"%s\"", f->error.message, part);
    assert_null(f->recipe.stage);
    assert_null(f->options.data[0]);
    assert_int_equal(f->options.epochs, before.epochs);
    assert_int_equal(f->options.seed, before.seed);
}

static void test_empty(void **state)
{
    fixture *f = *state;
    const kt_train_options before = kt_train_options_default(KT_SOUND);
    assert_ok(read_text(f, "{}"), &f->error);
    assert_int_equal(f->options.folds, 9);
    assert_int_equal(f->options.epochs, 300);
    assert_int_equal(f->options.batch, 8);
    assert_int_equal(f->options.seed, 42);
    assert_true(f->options.learning_rate == 1e-3 && f->options.min_learning_rate == 1e-5);
    assert_int_equal(f->options.schedule_period, 1000);
    assert_int_equal(f->options.schedule_ticks, 2);
    assert_int_equal(f->options.select, KT_SELECT_INNER);
    assert_true(f->options.load_weights && !f->options.fit_target_on_all && f->options.quotient);
    assert_int_equal(f->options.run.threads, before.run.threads);
}

/* How a training is run is no business of its protocol: which fold alone and which ranks were forgotten. */
static void a_protocol_keeps_how_it_is_run(void **state)
{
    fixture *f = *state;
    kt_train_options options = kt_train_options_default(KT_SOUND);
    memset(&options.run, 1, sizeof options.run);
    options.run.resume = options.run.force = true;
    const kt_run_options before = options.run;
    json_t *recipe = json_pack("{s:s}", "protocol", "published");
    assert_ok(kti_recipe_parse(recipe, "recipe.json", &options, &f->error), &f->error);
    assert_int_equal(options.protocol, KT_PUBLISHED);
    assert_memory_equal(&options.run, &before, sizeof before);
    json_decref(recipe);
}

static void test_protocol_defaults(void **state)
{
    fixture *f = *state;
    assert_ok(read_text(f, "{\"epochs\": 7, \"protocol\": \"published\"}"), &f->error);
    assert_int_equal(f->options.protocol, KT_PUBLISHED);
    assert_int_equal(f->options.select, KT_SELECT_OUTER);
    assert_true(!f->options.load_weights && f->options.fit_target_on_all);
    assert_int_equal(f->options.epochs, 7); /* wherever the protocol stands */
    assert_ok(read_text(f, "{\"load_weights\": true, \"select\": \"last\", \"protocol\": \"published\"}"),
              &f->error);
    assert_int_equal(f->options.select, KT_SELECT_LAST);
    assert_true(f->options.load_weights);
}

static void test_random(void **state)
{
    fixture *f = *state;
    assert_ok(read_text(f, "{\"from\": \"random\"}"), &f->error);
    assert_null(f->options.from);
    assert_ok(read_text(f, "{\"from\": null}"), &f->error);
    assert_null(f->options.from);
    assert_ok(read_text(f, "{\"from\": \"weights.safetensors\"}"), &f->error);
    assert_string_equal(f->options.from, "weights.safetensors");
}

static void test_round_trip(void **state)
{
    fixture *f = *state;
    kt_train_options o = kt_train_options_default(KT_PUBLISHED);
    o.data[0] = "some \"data\" \xc3\x85";
    o.data[1] = "more";
    o.from_stage = "FEAF";
    o.select = KT_SELECT_LAST;
    o.quotient = false;
    o.folds = 5;
    o.run.only_fold = 4;
    o.epochs = 123456;
    o.batch = 3;
    o.seed = INT64_MAX;
    o.learning_rate = 0.1 + 0.2; /* needs 17 digits */
    o.min_learning_rate = 1;
    o.schedule_period = 77;
    o.schedule_ticks = 0;
    o.loss = KT_LOSS_LOG_ABSOLUTE;
    o.freeze = KT_FREEZE_BODY;
    o.body_rate = 0.1;
    o.weight_decay = 1e-4;
    o.clip_norm = 2;
    o.weight_average = 0.99;
    o.label_noise = 0.05;
    o.head = KT_HEAD_AVERAGE;
    o.gp_features = KT_GP_FEATURES_NONE;
    o.gp_kernel = KT_GP_KERNEL_RBF;
    o.readout_components = 5;
    o.physics_inputs = true;
    o.run.gpus = 4;
    o.inner_fraction = 1.0 / 3;
    json_t *json = kti_keys_to_json(&o);
    assert_non_null(json);
    assert_ok(kti_json_write(f->path, json, &f->error), &f->error);
    assert_ok(read_path(f, f->path), &f->error);
    json_t *again = kti_keys_to_json(&f->options);
    assert_true(json_equal(json, again));
    assert_string_equal(f->options.data[0], o.data[0]);
    assert_string_equal(f->options.data[1], o.data[1]);
    assert_null(f->options.data[2]);
    assert_string_equal(f->options.from_stage, "FEAF");
    assert_true(f->options.learning_rate == o.learning_rate && f->options.inner_fraction == o.inner_fraction);
    assert_true(f->options.seed == o.seed);
    assert_int_equal(f->options.protocol, KT_PUBLISHED);
    assert_int_equal(f->options.select, KT_SELECT_LAST);
    json_decref(again);
    /* Every key counts: another value of any of them makes another recipe. */
    const kt_train_options defaults = kt_train_options_default(KT_SOUND);
    again = kti_keys_to_json(&defaults);
    const char *key;
    json_t *value;
    assert_int_equal(json_object_size(json), 31);
    json_object_foreach(json, key, value) if (json_equal(value, json_object_get(again, key)))
        fail_msg("`%s` did not make the journey", key);
    json_decref(again);
    json_decref(json);
}

static void test_wrong_values(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"epoch\": 3}", "`epoch`"},
        {"{\"threads\": 2}", "`threads`"}, /* says nothing about the result */
        {"{\"out\": \"x\"}", "`out`"},
        {"{\"data\": 3}", "`data`"},
        {"{\"data\": []}", "`data` lists 0 data sets"},
        {"{\"data\": [1, 2]}", "`data`"},
        {"{\"data\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}", "`data` lists 9 data sets"},
        {"{\"from\": []}", "`from`"},
        {"{\"from\": {}}", "`from`"},
        {"{\"from\": {\"stage\": 1}}", "`from`"},
        {"{\"from\": {\"stage\": \"a\", \"fold\": 1}}", "`from`"},
        {"{\"restore_target\": 1}", "`restore_target`"},
        {"{\"protocol\": \"Sound\"}", "`protocol`"},
        {"{\"protocol\": 1}", "`protocol`"},
        {"{\"select\": \"both\"}", "\"inner\", \"outer\", \"last\""},
        {"{\"quotient\": 1}", "`quotient` must be true or false"},
        {"{\"load_weights\": \"true\"}", "`load_weights`"},
        {"{\"fit_target_on_all\": null}", "`fit_target_on_all`"},
        {"{\"epochs\": -1}", "`epochs`"},
        {"{\"epochs\": 1.5}", "`epochs`"},
        {"{\"epochs\": \"3\"}", "`epochs`"},
        {"{\"epochs\": 1000001}", "`epochs`"},
        {"{\"folds\": -1}", "`folds`"},
        {"{\"only_fold\": -1}", "`only_fold`"},
        {"{\"batch\": 0}", "`batch`"},
        {"{\"seed\": -1}", "`seed`"},
        {"{\"seed\": 0.5}", "`seed`"},
        {"{\"learning_rate\": -0.1}", "`learning_rate`"},
        {"{\"learning_rate\": 2}", "`learning_rate`"},
        {"{\"learning_rate\": \"fast\"}", "`learning_rate`"},
        {"{\"min_learning_rate\": 1.1}", "`min_learning_rate`"},
        {"{\"schedule_period\": -1}", "`schedule_period`"},
        {"{\"schedule_ticks\": -1}", "`schedule_ticks`"},
        {"{\"inner_fraction\": 0.95}", "`inner_fraction`"},
        {"{\"gpus\": 0}", "`gpus`"},
        {"{\"head\": \"forest\"}", "\"network\", \"gp\", \"average\""},
        {"{\"gp_features\": \"some\"}", "\"none\", \"plain\", \"physical\""},
        {"{\"gp_kernel\": 1}", "`gp_kernel`"},
        {"{\"readout_components\": 17}", "`readout_components`"},
        {"{\"readout_components\": -1}", "`readout_components`"},
        {"{\"data\": \"x\", \"epochs\": 5, \"seed\": 7, \"batch\": true}", "`batch`"},
        {"[1, 2]", "object"},
        {"3", "JSON"},
        {"null", "JSON"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(f, read_text(f, cases[i].text), cases[i].says);
        assert_int_equal(f->error.status, KT_BAD_FORMAT);
    }
}

static void test_broken_json(void **state)
{
    fixture *f = *state;
    assert_refused(f, read_text(f, "{\n  \"epochs\": 3,\n  \"seed\" 4\n}"), "JSON");
    assert_int_equal(f->error.line, 3);
    assert_refused(f, read_text(f, "{\"epochs\": 3,\n \"epochs\": 4}"), "JSON"); /* twice */
    assert_int_equal(f->error.line, 2);
    assert_refused(f, read_text(f, "{} {}"), "JSON");
    assert_refused(f, read_text(f, ""), "JSON");
    assert_refused(f, read_text(f, "{\"data\": \"\xff\xfe\"}"), "JSON");
    assert_refused(f, read_text(f, "{\"learning_rate\": 1e999}"), "JSON");
    assert_refused(f, read_text(f, "{\"learning_rate\": NaN}"), "JSON");
    assert_refused(f, read_text(f, "{\"seed\": 99999999999999999999}"), "JSON");
    assert_refused(f, read_text(f, "{\"data\": \"a\\u0000b\"}"), "JSON");
    static const char zero[] = "{\"epochs\": 3}\0{}";
    assert_refused(f, read_bytes(f, zero, sizeof zero - 1), "JSON");
    assert_int_equal(read_path(f, "no/such/recipe.json"), KT_IO);
    assert_string_equal(f->error.file, "no/such/recipe.json");
    assert_int_equal(read_path(f, f->folder.path), KT_IO);
}

static void test_hostile_sizes(void **state)
{
    fixture *f = *state;
    enum { DEEP = 200000, LARGE = 10 << 20 };
    char *text = malloc(LARGE);
    assert_non_null(text);
    memset(text, '[', DEEP);
    assert_refused(f, read_bytes(f, text, DEEP), "JSON");
    for (size_t i = 0; i < DEEP - 4; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_refused(f, read_bytes(f, text, DEEP), "JSON");
    memset(text, ' ', LARGE);
    memcpy(text, "{}", 2);
    assert_refused(f, read_bytes(f, text, LARGE), "at most");
    free(text);
}

/* Cut anywhere, or with any one byte changed: read, or refused with the file's name; never worse. */
static void test_damaged(void **state)
{
    fixture *f = *state;
    kt_train_options o = kt_train_options_default(KT_SOUND);
    o.data[0] = "datasets/togo15.csv";
    json_t *json = kti_keys_to_json(&o);
    char *text = json_dumps(json, JSON_INDENT(2)), *copy;
    const size_t size = strlen(text);
    int refused = 0;
    for (size_t cut = 0; cut < size; cut++)
        assert_refused(f, read_bytes(f, text, cut), "JSON");
    copy = malloc(size);
    assert_non_null(copy);
    for (size_t at = 0; at < size; at++) {
        memcpy(copy, text, size);
        copy[at] ^= (char)(1 << at % 8);
        const kt_status status = read_bytes(f, copy, size);
        refused += status != KT_OK;
        if (status != KT_OK)
            assert_string_equal(f->error.file, f->path);
        else
            assert_non_null(f->recipe.stage);
    }
    assert_true(refused > (int)size / 4);
    free(copy);
    free(text);
    json_decref(json);
}

static void assert_check(kt_train_options o, const char *says)
{
    kt_error error = KT_ERROR_NONE;
    const kt_status status = kti_recipe_check(&o, &error);
    if (!says) {
        assert_ok(status, &error);
        return;
    }
    assert_int_equal(status, KT_BAD_ARGUMENT);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void test_check(void **state)
{
    (void)state;
    kt_train_options good = kt_train_options_default(KT_SOUND);
    good.data[0] = "x";
    assert_check(good, NULL);
#define BAD(field, value, says)                                                                              \
    do {                                                                                                     \
        kt_train_options o = good;                                                                           \
        o.field = (value);                                                                                   \
        assert_check(o, says);                                                                               \
    } while (0)
    BAD(data[0], NULL, "data set");
    BAD(folds, 0, "`folds`");
    BAD(folds, 1001, "`folds`");
    BAD(run.only_fold, 10, "9 folds");
    BAD(run.only_fold, -1, "`only_fold`");
    BAD(run.only_fold, 9, NULL);
    BAD(epochs, -1, "`epochs`");
    BAD(epochs, 0, "the head \"network\" needs a network");
    BAD(batch, 0, "`batch`");
    BAD(batch, 4097, "`batch`");
    BAD(run.threads, 0, "threads");
    BAD(run.threads, 1025, "threads");
    BAD(seed, UINT64_MAX, "`seed`");
    BAD(seed, INT64_MAX, NULL);
    BAD(learning_rate, NAN, "`learning_rate`");
    BAD(learning_rate, -1e-9, "`learning_rate`");
    BAD(learning_rate, INFINITY, "`learning_rate`");
    BAD(learning_rate, 0, NULL);
    BAD(min_learning_rate, NAN, "`min_learning_rate`");
    BAD(schedule_period, -1, "`schedule_period`");
    BAD(schedule_ticks, -1, "`schedule_ticks`");
    BAD(inner_fraction, 0.91, "`inner_fraction`");
    BAD(inner_fraction, NAN, "`inner_fraction`");
    BAD(run.gpus, 0, "`gpus`");
    BAD(run.gpus, 2, "the device is `cpu`");
    BAD(run.gpu_timeout, 0, "timeout");
    BAD(run.gpu_timeout, NAN, "timeout");
    BAD(run.checkpoint_seconds, -1, "checkpoints");
    BAD(run.checkpoint_seconds, NAN, "checkpoints");
#undef BAD
}

int main(void)
{
#define RECIPE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RECIPE(test_empty),           RECIPE(test_protocol_defaults), RECIPE(a_protocol_keeps_how_it_is_run),
        RECIPE(test_random),          RECIPE(test_round_trip),        RECIPE(test_wrong_values),
        RECIPE(test_broken_json),     RECIPE(test_hostile_sizes),     RECIPE(test_damaged),
        cmocka_unit_test(test_check),
    };
#undef RECIPE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
