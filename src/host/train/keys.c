#include "train/keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "model/gp_head.h"

const char *const kti_protocol_names[] = {"sound", "published", NULL};
const char *const kti_select_names[] = {"inner", "outer", "last", NULL};
const char *const kti_loss_names[] = {"mape", "log", "log_absolute", NULL};
const char *const kti_head_names[] = {"network", "gp", "average", NULL};
const char *const kti_freeze_names[] = {"none", "body", NULL};

/* ---- defaults ---- */

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
        .run.threads = 1,
        .run.gpus = 1,
        .run.gpu_timeout = 300,
        .seed = 42,
        .learning_rate = 1e-3,
        .min_learning_rate = 1e-5,
        .schedule_period = 1000,
        .schedule_ticks = 2,
        .gp_features = KT_GP_FEATURES_PHYSICAL,
        .gp_kernel = KT_GP_KERNEL_SUM,
        .body_rate = 1,
        .inner_fraction = 0.2,
        .run.checkpoint_seconds = 30,
    };
}

/* ---- the table ---- */

#define AT(field) offsetof(kt_train_options, field)

static const char data[] = "Data and start weights", protocol[] = "Protocol",
                  network[] = "Training of the network", head[] = "What predicts", hardware[] = "Hardware";

/* clang-format off */
const kti_option kti_keys[] = {
    {.kind = KTI_OPTION_DATA, .flag = "data", .key = "data", .offset = AT(data), .argument = "PATH", .group = data,
     .help = "folder with id_prop.csv and structure files, a table of crystals, or a name such as togo15; given several "
             "times: each is split on its own, then they are joined"},
    {.kind = KTI_OPTION_WEIGHTS, .flag = "from", .key = "from", .offset = AT(from), .argument = "WEIGHTS", .group = data,
     .help = "start weights: safetensors, matgl's state.pt or its folder, a run folder, a name such as aflow-agl, or "
             "random (default)"},
    {.kind = KTI_OPTION_CHOICE, .flag = "protocol", .key = "protocol", .offset = AT(protocol), .argument = "NAME",
     .choices = kti_protocol_names, .group = protocol,
     .help = "sound (default): strict loading, target transform of the training rows alone, nothing chosen on the held-out "
             "20 %; published: as the published code runs, to compare with its tables"},
    {.kind = KTI_OPTION_CHOICE, .flag = "select", .key = "select", .offset = AT(select), .argument = "NAME",
     .choices = kti_select_names, .group = protocol,
     .help = "which rows choose the epoch: inner (default), outer (the reported ones), last (no choice)"},
    {.kind = KTI_OPTION_BOOLEAN, .key = "load_weights", .offset = AT(load_weights), .group = protocol,
     .help = "false: the start weights are checked but not used, the published code's fault 1"},
    {.kind = KTI_OPTION_BOOLEAN, .key = "fit_target_on_all", .offset = AT(fit_target_on_all), .group = protocol,
     .help = "true: the target transform sees validation rows, part of the published code's fault 3"},
    {.kind = KTI_OPTION_BOOLEAN, .key = "target_per_data_set", .offset = AT(target_per_data_set), .group = protocol,
     .help = "true: each data set is standardised on its own; false: all together"},
    {.kind = KTI_OPTION_BOOLEAN, .key = "restore_target", .offset = AT(restore_target), .group = protocol,
     .help = "true: predictions are decoded by the start weights' target transform, the published code's fault 2"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "no-quotient", .key = "quotient", .offset = AT(quotient), .group = network,
     .help = "full graphs instead of their exact symmetry quotients"},
    {.kind = KTI_OPTION_INTEGER, .flag = "folds", .key = "folds", .offset = AT(folds), .min = 1, .max = 1000,
     .argument = "N", .group = data, .help = "splits 1 to N (default 9)"},
    {.kind = KTI_OPTION_INTEGER, .flag = "epochs", .key = "epochs", .offset = AT(epochs), .min = 0, .max = 1000000,
     .argument = "N", .group = network, .help = "default 300; 0 with --head gp that sees no read-out"},
    {.kind = KTI_OPTION_INTEGER, .flag = "batch", .key = "batch", .offset = AT(batch), .min = 1, .max = 4096,
     .argument = "N", .group = network, .help = "crystals a step (default 8)"},
    {.kind = KTI_OPTION_LONG, .flag = "seed", .key = "seed", .offset = AT(seed), .min = 0, .max = INFINITY,
     .argument = "N", .group = network, .help = "of all random numbers (default 42)"},
    {.kind = KTI_OPTION_NUMBER, .flag = "learning-rate", .key = "learning_rate", .offset = AT(learning_rate), .min = 0,
     .max = 1, .argument = "X", .group = network, .help = "Adam's first rate (default 1e-3)"},
    {.kind = KTI_OPTION_NUMBER, .key = "min_learning_rate", .offset = AT(min_learning_rate), .min = 0, .max = 1,
     .group = network, .help = "where the cosine of the learning rate ends"},
    {.kind = KTI_OPTION_INTEGER, .key = "schedule_period", .offset = AT(schedule_period), .min = 0, .max = 100000000,
     .group = network, .help = "ticks from the first learning rate to the last; 0: the run's length"},
    {.kind = KTI_OPTION_INTEGER, .key = "schedule_ticks", .offset = AT(schedule_ticks), .min = 0, .max = 1000,
     .group = network, .help = "ticks of the schedule an epoch; the published code has 2"},
    {.kind = KTI_OPTION_CHOICE, .key = "loss", .offset = AT(loss), .choices = kti_loss_names, .group = network,
     .help = "what is minimised: mape, of kappa; log, mean squared error of the standardised log10(kappa + 1); "
             "log_absolute, its mean absolute error"},
    {.kind = KTI_OPTION_CHOICE, .key = "freeze", .offset = AT(freeze), .choices = kti_freeze_names, .group = network,
     .help = "body: the weights below the head stay as loaded"},
    {.kind = KTI_OPTION_NUMBER, .key = "body_rate", .offset = AT(body_rate), .min = 0, .max = 100, .group = network,
     .help = "factor on the learning rate below the head"},
    {.kind = KTI_OPTION_NUMBER, .flag = "weight-decay", .key = "weight_decay", .offset = AT(weight_decay), .min = 0,
     .max = 10, .argument = "X", .group = network,
     .help = "decoupled (AdamW), of the weight matrices; 0: none"},
    {.kind = KTI_OPTION_NUMBER, .key = "clip_norm", .offset = AT(clip_norm), .min = 0, .max = 1e9, .group = network,
     .help = "largest norm of a step's gradient; longer ones are scaled to it; 0: any"},
    {.kind = KTI_OPTION_NUMBER, .key = "weight_average", .offset = AT(weight_average), .min = 0, .max = 0.999999,
     .group = network,
     .help = "decay a step of the running mean of the weights, which is then scored, selected and kept; 0: none"},
    {.kind = KTI_OPTION_NUMBER, .key = "label_noise", .offset = AT(label_noise), .min = 0, .max = 10, .group = network,
     .help = "standard deviation of the noise on the training targets, drawn anew each epoch, in units of the target's"},
    {.kind = KTI_OPTION_CHOICE, .flag = "head", .key = "head", .offset = AT(head), .argument = "NAME",
     .choices = kti_head_names, .group = head,
     .help = "what predicts: network (default); gp, a Gaussian process fitted to each fold's training rows; average, the "
             "geometric mean of both"},
    {.kind = KTI_OPTION_CHOICE, .flag = "gp-features", .key = "gp_features", .offset = AT(gp_features),
     .argument = "NAME", .choices = kti_gp_features_names, .group = head,
     .help = "what the process sees of a crystal: physical (default), 22 features; plain, 17; none"},
    {.kind = KTI_OPTION_CHOICE, .flag = "gp-kernel", .key = "gp_kernel", .offset = AT(gp_kernel), .argument = "NAME",
     .choices = kti_gp_kernel_names, .group = head, .help = "sum (default), matern or rbf"},
    {.kind = KTI_OPTION_INTEGER, .flag = "readout-components", .key = "readout_components",
     .offset = AT(readout_components), .min = 0, .max = KTI_GP_MAX_COMPONENTS, .argument = "N", .group = head,
     .help = "principal components of the network's read-out that the process sees too, 0 (default) to 16"},
    {.kind = KTI_OPTION_BOOLEAN, .key = "physics_inputs", .offset = AT(physics_inputs), .group = head,
     .help = "true: the network sees physical features beside its state and node inputs"},
    {.kind = KTI_OPTION_INTEGER, .flag = "gpus", .key = "gpus", .offset = AT(run.gpus), .min = 1, .max = 1024,
     .argument = "N", .group = hardware,
     .help = "GPUs of --device cuda (default 1): folds are spread over them; of more GPUs than folds, N / FOLDS share each "
             "fold, a part of every batch each"},
    {.kind = KTI_OPTION_NUMBER, .key = "inner_fraction", .offset = AT(inner_fraction), .min = 0, .max = 0.9,
     .group = protocol, .help = "of the training rows, kept to choose the epoch on with select inner"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

enum { KEYS = sizeof kti_keys / sizeof kti_keys[0] - 1 };

/* Enums are read and written as unsigned. */
_Static_assert(sizeof(kt_protocol) == sizeof(unsigned) && sizeof(kt_gp_kernel) == sizeof(unsigned),
               "an enum has another size than unsigned");

static const void *field(const kt_train_options *options, const kti_option *key)
{
    return (const char *)options + key->offset;
}

/* ---- writing ---- */

/* A path, or a list of several. */
static json_t *data_to_json(const kt_train_options *options)
{
    if (!options->data[0])
        return json_null();
    if (!options->data[1])
        return json_string(options->data[0]);
    json_t *list = json_array();
    for (int i = 0; i < KT_MAX_DATA_SETS && options->data[i] && list; i++)
        if (json_array_append_new(list, json_string(options->data[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *weights_to_json(const kt_train_options *options)
{
    if (options->from_stage)
        return json_pack("{s:s}", "stage", options->from_stage);
    return options->from ? json_string(options->from) : json_null();
}

static json_t *value_to_json(const kt_train_options *options, const kti_option *key)
{
    const void *at = field(options, key);
    switch (key->kind) {
    case KTI_OPTION_DATA: return data_to_json(options);
    case KTI_OPTION_WEIGHTS: return weights_to_json(options);
    case KTI_OPTION_CHOICE: return json_string(key->choices[*(const unsigned *)at]);
    case KTI_OPTION_BOOLEAN: return json_boolean(*(const bool *)at);
    case KTI_OPTION_INTEGER: return json_integer(*(const int *)at);
    case KTI_OPTION_LONG: return json_integer(*(const int64_t *)at);
    case KTI_OPTION_NUMBER: return json_real(*(const double *)at);
    case KTI_OPTION_TEXT:
    case KTI_OPTION_WORD:
    case KTI_OPTION_OTHER:
    case KTI_OPTION_END: break; /* no key of a recipe is one of these */
    }
    return NULL;
}

json_t *kti_keys_to_json(const kt_train_options *options)
{
    json_t *root = json_object();
    for (int i = 0; root && i < KEYS; i++)
        if (json_object_set_new(root, kti_keys[i].key, value_to_json(options, &kti_keys[i])) != 0) {
            json_decref(root);
            root = NULL;
        }
    return root;
}

/* ---- reading ---- */

static kt_status read_choice(const json_t *root, const char *file, const kti_option *key, unsigned *choice,
                             kt_error *error)
{
    const char *text;
    kt_status status = kti_json_string(root, file, key->key, &text, error);
    if (status != KT_OK)
        return status;
    char list[200];
    int length = 0;
    for (unsigned i = 0; key->choices[i]; i++) {
        if (strcmp(text, key->choices[i]) == 0) {
            *choice = i;
            return KT_OK;
        }
        if (length < (int)sizeof list)
            length += snprintf(list + length, sizeof list - (size_t)length, "%s\"%s\"", i ? ", " : "",
                               key->choices[i]);
    }
    return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` is \"%s\"; it can be %s", key->key, text, list);
}

static kt_status read_data(const json_t *root, const char *file, kt_train_options *options, kt_error *error)
{
    const json_t *value = json_object_get(root, "data");
    const size_t size = json_is_array(value) ? json_array_size(value) : 1;
    memset(options->data, 0, sizeof options->data);
    if (json_is_null(value))
        return KT_OK;
    if (size < 1 || size > KT_MAX_DATA_SETS)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`data` lists %zu data sets; it can be 1 to %d",
                             size, KT_MAX_DATA_SETS);
    for (size_t i = 0; i < size; i++) {
        options->data[i] = json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
        if (!options->data[i])
            return kti_fail_file(error, KT_BAD_FORMAT, file, "`data` must be a path, or a list of paths");
    }
    return KT_OK;
}

static kt_status read_weights(const json_t *root, const char *file, kt_train_options *options,
                              kt_error *error)
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

static kt_status read_integer(const json_t *root, const char *file, const kti_option *key, int64_t *value,
                              kt_error *error)
{
    const int64_t max = key->max < 9.2e18 ? (int64_t)key->max : INT64_MAX;
    return kti_json_integer(root, file, key->key, (int64_t)key->min, max, value, error);
}

static kt_status read_value(const json_t *root, const char *file, const kti_option *key,
                            kt_train_options *options, kt_error *error)
{
    void *to = (char *)options + key->offset;
    int64_t integer = 0;
    kt_status status = KT_OK;
    switch (key->kind) {
    case KTI_OPTION_DATA: return read_data(root, file, options, error);
    case KTI_OPTION_WEIGHTS: return read_weights(root, file, options, error);
    case KTI_OPTION_CHOICE: return read_choice(root, file, key, to, error);
    case KTI_OPTION_BOOLEAN: return kti_json_boolean(root, file, key->key, to, error);
    case KTI_OPTION_NUMBER: return kti_json_number(root, file, key->key, key->min, key->max, to, error);
    case KTI_OPTION_LONG: return read_integer(root, file, key, to, error);
    case KTI_OPTION_INTEGER:
        status = read_integer(root, file, key, &integer, error);
        if (status == KT_OK)
            *(int *)to = (int)integer;
        return status;
    case KTI_OPTION_TEXT:
    case KTI_OPTION_WORD:
    case KTI_OPTION_OTHER:
    case KTI_OPTION_END: break; /* no key of a recipe is one of these */
    }
    return KT_OK;
}

/* The protocol's defaults, with the data, weights and run options that there were. */
static void reset(kt_train_options *options, kt_protocol chosen)
{
    kt_train_options kept = kt_train_options_default(chosen);
    memcpy(kept.data, options->data, sizeof kept.data);
    kept.from = options->from;
    kept.from_stage = options->from_stage;
    kept.run = options->run;
    *options = kept;
}

static kt_status read_protocol(const json_t *object, const char *file, kt_train_options *options,
                               kt_error *error)
{
    unsigned chosen = 0;
    kt_status status = KT_OK;
    for (int i = 0; i < KEYS; i++)
        if (kti_keys[i].offset == AT(protocol) && json_object_get(object, kti_keys[i].key)) {
            status = read_choice(object, file, &kti_keys[i], &chosen, error);
            if (status == KT_OK)
                reset(options, (kt_protocol)chosen);
        }
    return status;
}

kt_status kti_keys_read(const json_t *object, const char *file, kt_train_options *options, kt_error *error)
{
    const char *names[KEYS];
    kt_train_options read = *options;
    for (int i = 0; i < KEYS; i++)
        names[i] = kti_keys[i].key;
    kt_status status = kti_json_known_keys(object, file, names, KEYS, error);
    if (status == KT_OK)
        status = read_protocol(object, file, &read, error);
    for (int i = 0; i < KEYS && status == KT_OK; i++)
        if (json_object_get(object, kti_keys[i].key))
            status = read_value(object, file, &kti_keys[i], &read, error);
    if (status == KT_OK)
        *options = read;
    return status;
}

/* ---- bounds ---- */

kt_status kti_keys_check(const kt_train_options *options, kt_error *error)
{
    for (int i = 0; i < KEYS; i++) {
        const kti_option *key = &kti_keys[i];
        double value = 0;
        if (key->kind == KTI_OPTION_INTEGER)
            value = *(const int *)field(options, key);
        else if (key->kind == KTI_OPTION_NUMBER)
            value = *(const double *)field(options, key);
        else
            continue;
        if (!(value >= key->min && value <= key->max))
            return kti_fail(error, KT_BAD_ARGUMENT, "`%s` is %g; it must be between %g and %g", key->key,
                            value, key->min, key->max);
    }
    return KT_OK;
}
