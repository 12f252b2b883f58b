#include "train/recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "model/gp_head.h"
#include "train/checkpoint.h"
#include "train/places.h"

const char *const kti_protocol_names[] = {"sound", "published", NULL};
const char *const kti_select_names[] = {"inner", "outer", "last", NULL};
const char *const kti_loss_names[] = {"mape", "log", "log_absolute", NULL};
const char *const kti_head_names[] = {"network", "gp", "average", NULL};
const char *const kti_freeze_names[] = {"none", "body", NULL};

kt_train_options kt_train_options_default(kt_protocol protocol)
{
    return (kt_train_options){
        .protocol = protocol,
        .select = protocol == KT_SOUND ? KT_SELECT_INNER : KT_SELECT_OUTER,
        .load_weights = protocol == KT_SOUND,
        .fit_target_on_all = protocol == KT_PUBLISHED,
        .target_per_data_set = protocol == KT_PUBLISHED,
        .restore_target = protocol == KT_PUBLISHED,
        .quotient = true,
        .folds = 9,
        .epochs = 300,
        .batch = 8,
        .threads = 1,
        .gpus = 1,
        .gpu_timeout = 300,
        .seed = 42,
        .learning_rate = 1e-3,
        .least_learning_rate = 1e-5,
        .schedule_period = 1000,
        .schedule_ticks = 2,
        .gp_features = KT_GP_FEATURES_PHYSICAL,
        .gp_kernel = KT_GP_KERNEL_SUM,
        .body_rate = 1,
        .inner_fraction = 0.2,
        .checkpoint_seconds = 30,
    };
}

/* ---- the keys ---- */

typedef enum kind {
    DATA,
    FROM,
    PROTOCOL,
    SELECT,
    LOSS,
    FREEZE,
    HEAD,
    GP_FEATURES,
    GP_KERNEL,
    BOOLEAN,
    INTEGER,
    SEED,
    NUMBER
} kind;

typedef struct key {
    const char *name;
    kind kind;
    size_t offset;
    double least, most;
} key;

#define AT(field) offsetof(kt_train_options, field)

static const key keys[] = {
    {"data", DATA, AT(data), 0, 0},
    {"from", FROM, AT(from), 0, 0},
    {"protocol", PROTOCOL, AT(protocol), 0, 0},
    {"select", SELECT, AT(select), 0, 0},
    {"load_weights", BOOLEAN, AT(load_weights), 0, 0},
    {"fit_target_on_all", BOOLEAN, AT(fit_target_on_all), 0, 0},
    {"target_per_data_set", BOOLEAN, AT(target_per_data_set), 0, 0},
    {"restore_target", BOOLEAN, AT(restore_target), 0, 0},
    {"quotient", BOOLEAN, AT(quotient), 0, 0},
    {"folds", INTEGER, AT(folds), 1, 1000},
    {"epochs", INTEGER, AT(epochs), 0, 1000000},
    {"batch", INTEGER, AT(batch), 1, 4096},
    {"seed", SEED, AT(seed), 0, 0},
    {"learning_rate", NUMBER, AT(learning_rate), 0, 1},
    {"least_learning_rate", NUMBER, AT(least_learning_rate), 0, 1},
    {"schedule_period", INTEGER, AT(schedule_period), 0, 100000000},
    {"schedule_ticks", INTEGER, AT(schedule_ticks), 0, 1000},
    {"loss", LOSS, AT(loss), 0, 0},
    {"freeze", FREEZE, AT(freeze), 0, 0},
    {"body_rate", NUMBER, AT(body_rate), 0, 100},
    {"weight_decay", NUMBER, AT(weight_decay), 0, 10},
    {"clip_norm", NUMBER, AT(clip_norm), 0, 1e9},
    {"weight_average", NUMBER, AT(weight_average), 0, 0.999999},
    {"label_noise", NUMBER, AT(label_noise), 0, 10},
    {"head", HEAD, AT(head), 0, 0},
    {"gp_features", GP_FEATURES, AT(gp_features), 0, 0},
    {"gp_kernel", GP_KERNEL, AT(gp_kernel), 0, 0},
    {"readout_components", INTEGER, AT(readout_components), 0, KTI_GP_MOST_COMPONENTS},
    {"physics_inputs", BOOLEAN, AT(physics_inputs), 0, 0},
    {"gpus", INTEGER, AT(gpus), 1, 1024},
    {"inner_fraction", NUMBER, AT(inner_fraction), 0, 0.9},
};

enum { KEYS = sizeof keys / sizeof keys[0] };

static const void *field(const kt_train_options *options, const key *k)
{
    return (const char *)options + k->offset;
}

/* A path, or a list of several. */
static json_t *data_to_json(const kt_train_options *options)
{
    if (!options->data[0])
        return json_null();
    if (!options->data[1])
        return json_string(options->data[0]);
    json_t *list = json_array();
    for (int i = 0; i < KT_MOST_DATA_SETS && options->data[i] && list; i++)
        if (json_array_append_new(list, json_string(options->data[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *from_to_json(const kt_train_options *options)
{
    if (options->from_stage)
        return json_pack("{s:s}", "stage", options->from_stage);
    return options->from ? json_string(options->from) : json_null();
}

static json_t *value_to_json(const kt_train_options *options, const key *k)
{
    switch (k->kind) {
    case DATA: return data_to_json(options);
    case FROM: return from_to_json(options);
    case PROTOCOL: return json_string(kti_protocol_names[options->protocol]);
    case SELECT: return json_string(kti_select_names[options->select]);
    case LOSS: return json_string(kti_loss_names[options->loss]);
    case FREEZE: return json_string(kti_freeze_names[options->freeze]);
    case HEAD: return json_string(kti_head_names[options->head]);
    case GP_FEATURES: return json_string(kti_gp_features_names[options->gp_features]);
    case GP_KERNEL: return json_string(kti_gp_kernel_names[options->gp_kernel]);
    case BOOLEAN: return json_boolean(*(const bool *)field(options, k));
    case INTEGER: return json_integer(*(const int *)field(options, k));
    case SEED: return json_integer((json_int_t)options->seed);
    case NUMBER: return json_real(*(const double *)field(options, k));
    }
    return NULL;
}

json_t *kti_recipe_to_json(const kt_train_options *options)
{
    json_t *root = json_object();
    for (int i = 0; root && i < KEYS; i++)
        if (json_object_set_new(root, keys[i].name, value_to_json(options, &keys[i])) != 0) {
            json_decref(root);
            root = NULL;
        }
    return root;
}

static kt_status read_choice(const json_t *root, const char *file, const key *k, const char *const *names,
                             int size, int *choice, kt_error *error)
{
    const char *text;
    kt_status status = kti_json_string(root, file, k->name, &text, error);
    if (status != KT_OK)
        return status;
    for (int i = 0; i < size; i++)
        if (strcmp(text, names[i]) == 0) {
            *choice = i;
            return KT_OK;
        }
    char list[200];
    int length = 0;
    for (int i = 0; i < size && length < (int)sizeof list; i++)
        length += snprintf(list + length, sizeof list - (size_t)length, "%s\"%s\"", i ? ", " : "", names[i]);
    return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` is \"%s\"; it can be %s", k->name, text, list);
}

static kt_status read_data(const json_t *root, const char *file, kt_train_options *options, kt_error *error)
{
    const json_t *value = json_object_get(root, "data");
    const size_t size = json_is_array(value) ? json_array_size(value) : 1;
    memset(options->data, 0, sizeof options->data);
    if (json_is_null(value))
        return KT_OK;
    if (size < 1 || size > KT_MOST_DATA_SETS)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`data` lists %zu data sets; it can be 1 to %d",
                             size, KT_MOST_DATA_SETS);
    for (size_t i = 0; i < size; i++) {
        options->data[i] = json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
        if (!options->data[i])
            return kti_fail_file(error, KT_BAD_FORMAT, file, "`data` must be a path, or a list of paths");
    }
    return KT_OK;
}

static kt_status read_from(const json_t *root, const char *file, kt_train_options *options, kt_error *error)
{
    const json_t *value = json_object_get(root, "from");
    const char *text = json_string_value(value), *stage = json_string_value(json_object_get(value, "stage"));
    if (!json_is_null(value) && !text && !(stage && json_object_size(value) == 1))
        return kti_fail_file(error, KT_BAD_FORMAT, file,
                             "`from` must be a path, \"random\" or {\"stage\": NAME}");
    options->from = text && strcmp(text, "random") != 0 ? text : NULL;
    options->from_stage = stage;
    return KT_OK;
}

static kt_status read_value(const json_t *root, const char *file, const key *k, kt_train_options *options,
                            kt_error *error)
{
    void *to = (char *)options + k->offset;
    int choice = 0;
    int64_t integer;
    kt_status status = KT_OK;
    switch (k->kind) {
    case DATA: status = read_data(root, file, options, error); break;
    case FROM: status = read_from(root, file, options, error); break;
    case PROTOCOL: /* read before all others */ break;
    case SELECT:
        status = read_choice(root, file, k, kti_select_names, 3, &choice, error);
        if (status == KT_OK)
            options->select = (kt_select)choice;
        break;
    case LOSS:
        status = read_choice(root, file, k, kti_loss_names, 3, &choice, error);
        if (status == KT_OK)
            options->loss = (kt_loss)choice;
        break;
    case FREEZE:
        status = read_choice(root, file, k, kti_freeze_names, 2, &choice, error);
        if (status == KT_OK)
            options->freeze = (kt_freeze)choice;
        break;
    case HEAD:
        status = read_choice(root, file, k, kti_head_names, 3, &choice, error);
        if (status == KT_OK)
            options->head = (kt_head)choice;
        break;
    case GP_FEATURES:
        status = read_choice(root, file, k, kti_gp_features_names, 3, &choice, error);
        if (status == KT_OK)
            options->gp_features = (kt_gp_features)choice;
        break;
    case GP_KERNEL:
        status = read_choice(root, file, k, kti_gp_kernel_names, 3, &choice, error);
        if (status == KT_OK)
            options->gp_kernel = (kt_gp_kernel)choice;
        break;
    case BOOLEAN: status = kti_json_boolean(root, file, k->name, to, error); break;
    case INTEGER:
        status = kti_json_integer(root, file, k->name, (int64_t)k->least, (int64_t)k->most, &integer, error);
        if (status == KT_OK)
            *(int *)to = (int)integer;
        break;
    case SEED:
        status = kti_json_integer(root, file, k->name, 0, INT64_MAX, &integer, error);
        if (status == KT_OK)
            options->seed = (uint64_t)integer;
        break;
    case NUMBER: status = kti_json_number(root, file, k->name, k->least, k->most, to, error); break;
    }
    return status;
}

/* Back to the protocol's defaults, keeping what says nothing about the result. */
static void reset(kt_train_options *options, kt_protocol protocol)
{
    const kt_train_options before = *options;
    *options = kt_train_options_default(protocol);
    memcpy(options->data, before.data, sizeof options->data);
    options->from = before.from;
    options->from_stage = before.from_stage;
    options->out = before.out;
    options->device = before.device;
    options->resume = before.resume;
    options->threads = before.threads;
    options->gpus = before.gpus;
    options->gpu_timeout = before.gpu_timeout;
    options->checkpoint_seconds = before.checkpoint_seconds;
    options->progress = before.progress;
    options->find = before.find;
    options->find_user = before.find_user;
    options->message = before.message;
    options->user = before.user;
}

kt_status kti_recipe_parse(const json_t *object, const char *file, kt_train_options *options, kt_error *error)
{
    const char *names[KEYS];
    kt_train_options read = *options;
    for (int i = 0; i < KEYS; i++)
        names[i] = keys[i].name;
    kt_status status = kti_json_known_keys(object, file, names, KEYS, error);
    for (int i = 0; i < KEYS && status == KT_OK; i++)
        if (keys[i].kind == PROTOCOL && json_object_get(object, keys[i].name)) {
            int choice = 0;
            status = read_choice(object, file, &keys[i], kti_protocol_names, 2, &choice, error);
            if (status == KT_OK)
                reset(&read, (kt_protocol)choice);
        }
    for (int i = 0; i < KEYS && status == KT_OK; i++)
        if (json_object_get(object, keys[i].name))
            status = read_value(object, file, &keys[i], &read, error);
    /* A Gaussian process that sees nothing of the network has no epochs, whatever the default is. */
    if (read.head == KT_HEAD_GP && read.readout_components == 0 && !json_object_get(object, "epochs"))
        read.epochs = 0;
    if (status == KT_OK)
        *options = read;
    return status;
}

kt_status kti_recipe_find(const kt_train_options *options, kt_named named, const char *name,
                          const char **path, kt_error *error)
{
    *path = name;
    return options->find ? options->find(options->find_user, named, name, path, error) : KT_OK;
}

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

/* What a head needs, and what would have no effect. */
static kt_status check_head(const kt_train_options *o, kt_error *error)
{
    if (o->head != KT_HEAD_GP && o->epochs < 1)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "`epochs` is 0, but the head \"%s\" needs a network that is trained",
                        kti_head_names[o->head]);
    if (o->head == KT_HEAD_NETWORK && o->readout_components > 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "`readout_components` is %d, but the head \"%s\" has no Gaussian process to see them",
                        o->readout_components, kti_head_names[o->head]);
    if (o->head == KT_HEAD_NETWORK)
        return KT_OK;
    if (o->gp_features == KT_GP_FEATURES_NONE && o->readout_components == 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "a Gaussian process needs `gp_features`, or `readout_components` above 0");
    if (o->head == KT_HEAD_GP && o->readout_components == 0 && o->epochs > 0)
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "`epochs` is %d, but with `readout_components` 0 the Gaussian process sees nothing of the "
            "network: set epochs to 0, or components above 0",
            o->epochs);
    if (o->head == KT_HEAD_GP && o->readout_components == 0 && (o->from || o->from_stage))
        return kti_fail(
            error, KT_BAD_ARGUMENT,
            "start weights are named, but with `readout_components` 0 the Gaussian process sees nothing "
            "of the network");
    return KT_OK;
}

kt_status kti_recipe_check(const kt_train_options *options, kt_error *error)
{
    for (int i = 0; i < KEYS; i++) {
        const key *k = &keys[i];
        double value = 0;
        if (k->kind == INTEGER)
            value = *(const int *)field(options, k);
        else if (k->kind == NUMBER)
            value = *(const double *)field(options, k);
        else
            continue;
        if (!(value >= k->least && value <= k->most))
            return kti_fail(error, KT_BAD_ARGUMENT, "`%s` is %g; it must be between %g and %g", k->name,
                            value, k->least, k->most);
    }
    if (!options->data[0])
        return kti_fail(error, KT_BAD_ARGUMENT, "no data set is named");
    if (options->out && *options->out == '\0')
        return kti_fail(error, KT_BAD_ARGUMENT, "the name of the run folder is empty");
    for (int i = 0; i < KT_MOST_DATA_SETS && options->data[i]; i++)
        if (!is_utf8(options->data[i]))
            return kti_fail(error, KT_BAD_ARGUMENT, "the path of the data is not UTF-8");
    if (options->from && !is_utf8(options->from))
        return kti_fail(error, KT_BAD_ARGUMENT, "the path of the weights is not UTF-8");
    if (options->only_fold < 0)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "`only_fold` is %d; it must be 0 (all folds) or a fold's number", options->only_fold);
    if (options->select == KT_SELECT_INNER && !(options->inner_fraction > 0))
        return kti_fail(error, KT_BAD_ARGUMENT, "an inner selection needs an `inner_fraction` above 0");
    const kt_status head = check_head(options, error);
    if (head != KT_OK)
        return head;
    if (options->only_fold > options->folds)
        return kti_fail(error, KT_BAD_ARGUMENT, "fold %d is asked for, but there are %d folds",
                        options->only_fold, options->folds);
    if (options->seed > INT64_MAX)
        return kti_fail(error, KT_BAD_ARGUMENT, "`seed` must be below 2^63");
    if (options->threads < 1 || options->threads > 1024)
        return kti_fail(error, KT_BAD_ARGUMENT, "%d threads were asked for; 1 to 1024 are possible",
                        options->threads);
    if (options->gpus > 1 && !kti_device_name_fuses(options->device))
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "%d GPUs were asked for, but the device is `%s`: use --device cuda, or one GPU",
                        options->gpus, options->device ? options->device : "cpu");
    if (!(options->gpu_timeout > 0))
        return kti_fail(error, KT_BAD_ARGUMENT, "the GPUs' timeout must be more than 0 seconds");
    if (!(options->checkpoint_seconds >= 0))
        return kti_fail(error, KT_BAD_ARGUMENT, "the time between checkpoints must be 0 or more seconds");
    return KT_OK;
}

/* ---- the run folder ---- */

static kt_status compare(const json_t *stored, const json_t *asked, const kt_train_options *options,
                         const char *file, kt_error *error)
{
    for (int i = 0; i < KEYS; i++) {
        const json_t *left = json_object_get(stored, keys[i].name),
                     *right = json_object_get(asked, keys[i].name);
        /* Without GPUs that share a fold their number changes no bit. */
        if (keys[i].offset == AT(gpus)) {
            const int was = left ? (int)json_integer_value(left) : 1;
            if (kti_places_sharers(options, was) == kti_places_sharers(options, options->gpus))
                continue;
        }
        /* One data set has many paths; a changed one is noticed by its fingerprint in the checkpoints. */
        if (keys[i].kind == DATA || (left && json_equal(left, right)) ||
            (keys[i].kind == FROM && !json_is_object(left) && !json_is_object(right)))
            continue;
        char *was = left ? json_dumps(left, JSON_ENCODE_ANY) : NULL, *is = json_dumps(right, JSON_ENCODE_ANY);
        kt_status status =
            kti_fail_file(error, KT_BAD_ARGUMENT, file,
                          "this run has `%s` %s, but %s is asked for; --resume goes on with the same recipe",
                          keys[i].name, was ? was : "(missing)", is ? is : "another");
        free(was);
        free(is);
        return status;
    }
    return KT_OK;
}

kt_status kti_recipe_check_stranger(const char *out, bool force, kt_error *error)
{
    /* A run that was killed before it had a recipe, or whose jobs have not begun; folds that were trained apart. */
    static const char *const own[] = {"lock", "submit", "parts", NULL};
    char name[256] = "";
    kt_status status = force ? KT_OK : kti_folder_find_foreign(out, own, name, sizeof name, error);
    if (status == KT_OK && *name)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, out,
                               "is no run folder, and holds %s: name a folder that is new or empty by --out, "
                               "or write into it all the same with train --force",
                               name);
    return status;
}

kt_status kti_recipe_check_run(const kt_train_options *options, kt_error *error)
{
    json_t *stored = NULL, *asked = kti_recipe_to_json(options);
    char *path = kti_path_join(options->out, "recipe.json"), *folds = kti_path_join(options->out, "folds");
    kt_status status = asked && path && folds ? KT_OK : kti_fail_memory(error, "the recipe");
    if (status == KT_OK && !kti_file_exists(path)) {
        if (kti_is_folder(folds))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, options->out,
                                   "holds trained folds but no recipe.json; use another --out");
        else
            status = kti_recipe_check_stranger(options->out, options->force, error);
    } else if (status == KT_OK) {
        if (!options->resume)
            status = kti_fail_file(error, KT_BAD_ARGUMENT, options->out,
                                   "already holds a run; use --resume to go on with it, or another --out");
        if (status == KT_OK)
            status = kti_json_read(path, KTI_RECIPE_LIMIT, &stored, error);
        if (status == KT_OK && json_object_get(stored, "stages"))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, options->out,
                                   "holds a run of several stages, not of this one; use another --out");
        if (status == KT_OK)
            status = compare(stored, asked, options, path, error);
    }
    free(path);
    free(folds);
    json_decref(stored);
    json_decref(asked);
    return status;
}

kt_status kti_recipe_store(const kt_train_options *options, kti_lock *lock, kt_error *error)
{
    json_t *recipe = kti_recipe_to_json(options);
    char *path = kti_path_join(options->out, "recipe.json");
    kt_status status =
        recipe && path ? kti_make_folder(options->out, error) : kti_fail_memory(error, "the recipe");
    if (status == KT_OK)
        status = kti_lock_take(lock, options->out, error);
    /* Again, now that nobody else can write here. */
    if (status == KT_OK)
        status = kti_recipe_check_run(options, error);
    if (status == KT_OK)
        kti_checkpoint_clean(options->out, options->folds);
    if (status == KT_OK && !kti_file_exists(path))
        status = kti_json_write(path, recipe, error);
    if (status != KT_OK)
        kti_lock_release(lock);
    free(path);
    json_decref(recipe);
    return status;
}
