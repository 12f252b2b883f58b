/* kappatune weights */
#include "cli/weights.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/text.h"
#include "experiment/export.h"
#include "model/matgl.h"
#include "model/safetensors.h"
#include "model/spec.h"

enum { OTHER = KTI_PART_PHYSICS + 1, PARTS };

static const char *const part_names[PARTS] = {[KTI_PART_BODY] = "body",
                                              [KTI_PART_EFORM] = "eform",
                                              [KTI_PART_HEAD] = "head",
                                              [KTI_PART_PHYSICS] = "physics",
                                              [OTHER] = "other"};

typedef struct totals {
    size_t tensors[PARTS], values[PARTS];
} totals;

static int part_of(const kti_tensor *tensor)
{
    const int index = kti_spec_find(tensor->name);
    int size;
    return index < 0 ? OTHER : (int)kti_spec(&size)[index].part;
}

static totals count(const kti_tensors *tensors)
{
    totals sum = {{0}, {0}};
    for (size_t i = 0; i < tensors->size; i++) {
        const int part = part_of(&tensors->list[i]);
        sum.tensors[part]++;
        sum.values[part] += tensors->list[i].elements;
    }
    return sum;
}

/* Metadata alphabetically: a file's order means nothing. */
static int compare_metadata(const void *a, const void *b)
{
    return strcmp(((const kti_metadata *)a)->key, ((const kti_metadata *)b)->key);
}

/* "185,392" */
static const char *grouped(size_t number, char text[32])
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%zu", number);
    int used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

static void print_totals(const totals *sum, const char *indent)
{
    char text[32];
    for (int part = 0; part < PARTS; part++)
        if (sum->tensors[part] > 0)
            printf("%s%-6s %3zu tensor%s, %s value%s\n", indent, part_names[part], sum->tensors[part],
                   sum->tensors[part] == 1 ? "" : "s", grouped(sum->values[part], text),
                   sum->values[part] == 1 ? "" : "s");
}

/* ---- import and fetch ---- */

static kt_status check_out(const char *out, bool force, kt_error *error)
{
    if (kti_is_folder(out))
        return kti_fail_file(error, KT_BAD_ARGUMENT, out, "is a folder; --out names the file to write");
    if (kti_file_exists(out) && !force)
        return kti_fail_file(error, KT_BAD_ARGUMENT, out, "exists already; --force overwrites it");
    return KT_OK;
}

static void print_imported(const char *source, const char *out, const kti_tensors *tensors)
{
    const totals sum = count(tensors);
    printf("imported %s\n", source);
    print_totals(&sum, "  ");
    printf("  formation energy = out * %s + %s eV/atom\n", kti_tensors_metadata(tensors, "eform_std"),
           kti_tensors_metadata(tensors, "eform_mean"));
    printf("wrote %s\n", out);
}

static int import(const char *source, const char *out, bool force)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    kt_status status = check_out(out, force, &error);
    if (status == KT_OK && kti_ends_with(source, ".safetensors"))
        status = kti_fail_file(&error, KT_BAD_ARGUMENT, source,
                               "is safetensors already: use it as it is; import reads matgl's state.pt");
    if (status == KT_OK)
        status = kti_matgl_import(source, &tensors, &error);
    if (status == KT_OK)
        status = kti_safetensors_write(out, &tensors, &error);
    if (status == KT_OK)
        print_imported(source, out, &tensors);
    kti_tensors_destroy(&tensors);
    return status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
}

static int fetch(const char *name, const char *wanted_out, bool force, const char *url, bool quiet)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    kti_fetched_weights fetched = {0};
    char default_out[64];
    const char *out = wanted_out ? wanted_out : default_out;
    snprintf(default_out, sizeof default_out, "%s.safetensors", name);
    kt_status status = check_out(out, force, &error);
    bool downloaded = false;
    if (status == KT_OK) {
        status = kti_cli_fetch_weights(name, url, out, quiet, &fetched, &error);
        downloaded = status == KT_OK;
    }
    if (status == KT_OK)
        status = kti_matgl_import(fetched.folder, &tensors, &error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(&tensors, "source", fetched.url, &error);
    if (status == KT_OK)
        status = kti_tensors_set_metadata(&tensors, "source_sha256", fetched.sha256, &error);
    if (status == KT_OK)
        status = kti_safetensors_write(out, &tensors, &error);
    if (status == KT_OK)
        print_imported(fetched.url, out, &tensors);
    kti_cli_fetched_remove(&fetched, status == KT_OK);
    kti_tensors_destroy(&tensors);
    if (status == KT_OK)
        return KTI_EXIT_DONE;
    const int exit_status = kti_cli_fail(&error);
    if (!downloaded && (error.status == KT_IO || error.status == KT_BAD_FORMAT))
        kti_cli_fetch_advise(name, out);
    return exit_status;
}

/* ---- export ---- */

static void print_note(void *user, const char *text)
{
    (void)user;
    kti_cli_warn("%s", text);
}

static int export_model(const char *run, const char *out, const kti_export_options *asked)
{
    kt_error error = KT_ERROR_NONE;
    kti_exported exported;
    kti_export_options options = *asked;
    options.message = print_note;
    options.find = kti_name_find_named;
    if (kti_export(run, out, &options, &exported, &error) != KT_OK)
        return kti_cli_fail(&error);
    printf("exported %s: %d member%s, %.1f MB of weights\nwrote %s\n", run, exported.members,
           exported.members == 1 ? "" : "s", (double)exported.bytes / 1e6, out);
    return KTI_EXIT_DONE;
}

/* ---- inspect ---- */

typedef struct moments {
    double min, max, mean, sd;
} moments;

static moments moments_of(const kti_tensor *tensor)
{
    moments m = {INFINITY, -INFINITY, 0, 0};
    double sum = 0, squares = 0;
    if (tensor->elements == 0)
        return (moments){NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < tensor->elements; i++) {
        const double value = kti_tensor_value(tensor, i);
        m.min = fmin(m.min, value);
        m.max = fmax(m.max, value);
        sum += value;
    }
    m.mean = sum / (double)tensor->elements;
    for (size_t i = 0; i < tensor->elements; i++) {
        const double away = kti_tensor_value(tensor, i) - m.mean;
        squares += away * away;
    }
    m.sd = sqrt(squares / (double)tensor->elements);
    return m;
}

static kt_status print_tables(const char *path, const kti_tensors *tensors, kt_error *error)
{
    const totals sum = count(tensors);
    char text[128];
    kti_table table = {.columns = 9, .left = 4}, metadata = {.columns = 2, .left = 2};
    static const char *const header[] = {"tensor", "shape", "type", "part", "count",
                                         "min",    "max",   "mean", "std"};
    for (int i = 0; i < table.columns; i++)
        kti_table_add(&table, "%s", header[i]);
    for (size_t i = 0; i < tensors->size; i++) {
        const kti_tensor *tensor = &tensors->list[i];
        const moments m = moments_of(tensor);
        kti_shape_text(tensor->rank, tensor->shape, text, sizeof text);
        kti_table_add(&table, "%s", tensor->name);
        kti_table_add(&table, "%s", text);
        kti_table_add(&table, "%s", kti_dtype_name(tensor->dtype));
        kti_table_add(&table, "%s", part_names[part_of(tensor)]);
        kti_table_add(&table, "%zu", tensor->elements);
        kti_table_add(&table, "%.4g", m.min);
        kti_table_add(&table, "%.4g", m.max);
        kti_table_add(&table, "%.4g", m.mean);
        kti_table_add(&table, "%.4g", m.sd);
    }
    for (size_t i = 0; i < tensors->metadata_size; i++) {
        const char *value = tensors->metadata[i].value;
        const size_t length = strlen(value), shown = 300;
        kti_table_add(&metadata, "%s", tensors->metadata[i].key);
        if (length > shown)
            kti_table_add(&metadata, "%.*s... (%zu bytes)", (int)shown, value, length);
        else
            kti_table_add(&metadata, "%s", value);
    }
    const bool lost = table.out_of_memory || metadata.out_of_memory;
    if (!lost) {
        kti_table_print(&table, 0);
        putchar('\n');
        print_totals(&sum, "");
        puts(tensors->metadata_size > 0 ? "\nmetadata" : "\nno metadata");
        kti_table_print(&metadata, 2);
    }
    kti_table_destroy(&table);
    kti_table_destroy(&metadata);
    return lost ? kti_fail_memory(error, path) : KT_OK;
}

static json_t *tensor_to_json(const kti_tensor *tensor)
{
    const moments m = moments_of(tensor);
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return json_pack("{s:o, s:o, s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "name", kti_json_text(tensor->name),
                     "shape", shape, "dtype", kti_dtype_name(tensor->dtype), "part",
                     part_names[part_of(tensor)], "count", (json_int_t)tensor->elements, "min",
                     kti_json_real(m.min), "max", kti_json_real(m.max), "mean", kti_json_real(m.mean), "std",
                     kti_json_real(m.sd));
}

static kt_status print_json(const char *path, const kti_tensors *tensors, kt_error *error)
{
    const totals sum = count(tensors);
    json_t *list = json_array(), *parts = json_object(), *metadata = json_object();
    int lost = 0;
    for (size_t i = 0; i < tensors->size; i++)
        lost |= json_array_append_new(list, tensor_to_json(&tensors->list[i]));
    for (int part = 0; part < PARTS; part++)
        lost |= json_object_set_new(parts, part_names[part],
                                    json_pack("{s:I, s:I}", "tensors", (json_int_t)sum.tensors[part],
                                              "values", (json_int_t)sum.values[part]));
    for (size_t i = 0; i < tensors->metadata_size; i++)
        lost |= json_object_set_new(metadata, tensors->metadata[i].key,
                                    kti_json_text(tensors->metadata[i].value));
    json_t *root = json_pack("{s:o, s:o, s:o, s:o}", "file", kti_json_text(path), "parts", parts, "metadata",
                             metadata, "tensors", list);
    if (!lost && root)
        kti_json_print(root);
    json_decref(root);
    return lost || !root ? kti_fail_memory(error, path) : KT_OK;
}

static bool is_run_folder(const char *path)
{
    char *folds = kti_path_join(path, "folds");
    const bool is_run = folds && kti_is_folder(folds);
    free(folds);
    return is_run;
}

static int inspect(const char *name, kti_output format)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    const char *path;
    kt_status status = kti_name_find(KTI_MODEL, name, &path, &error);
    if (status != KT_OK)
        return kti_cli_fail(&error);
    if (is_run_folder(path))
        status = kti_fail_file(&error, KT_BAD_ARGUMENT, path,
                               "is a run folder; its weights are folds/<n>/best.safetensors");
    else if (kti_is_folder(path) || kti_ends_with(path, ".pt"))
        status = kti_matgl_import(path, &tensors, &error);
    else
        status = kti_safetensors_read(path, &tensors, &error);
    if (status == KT_OK && tensors.metadata_size > 0)
        qsort(tensors.metadata, tensors.metadata_size, sizeof *tensors.metadata, compare_metadata);
    if (status == KT_OK)
        status = format == KTI_OUTPUT_JSON ? print_json(path, &tensors, &error)
                                           : print_tables(path, &tensors, &error);
    kti_tensors_destroy(&tensors);
    return status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
}

/* ---- the command ---- */

enum { IMPORT, INSPECT, FETCH, EXPORT };

typedef struct request {
    const char *argument, *out, *url, *licence;
    bool force, quiet, formatted, half;
    kti_output format;
} request;

static const char *const actions[] = {"import", "inspect", "fetch", "export", NULL};

static bool take_format(void *target, const char *flag, const char *value)
{
    request *r = target;
    return kti_option_format(flag, value, kti_table_or_json, &r->format, &r->formatted);
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "out", .letter = 'o', .offset = AT(out), .argument = "PATH",
     .group = "import, export and fetch",
     .help = "the file to write, of export the folder (fetch, default: NAME.safetensors)"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "force", .offset = AT(force),
     .help = "overwrite it if it exists; of export, replace an exported model"},
    {.kind = KTI_OPTION_OTHER, .flag = "format", .argument = "NAME", .choices = kti_table_or_json, .group = "inspect",
     .take = take_format,
     .help = "table (default) or json"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "half", .offset = AT(half), .group = "export",
     .help = "the network's weights in half the size, F16; the card says what that changes"},
    {.kind = KTI_OPTION_TEXT, .flag = "licence", .offset = AT(licence), .argument = "TEXT",
     .help = "of the weights, for the card"},
    {.kind = KTI_OPTION_TEXT, .flag = "url", .offset = AT(url), .argument = "BASE", .group = "fetch",
     .help = "take state.pt and model.json from this address; they must be the same files"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "quiet", .offset = AT(quiet),
     .help = "no progress"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_weights_command = {
    .name = "weights",
    .summary = "import, inspect, export and fetch weights",
    .arguments = "import SRC --out W.safetensors\n"
                 "inspect W\n"
                 "export RUN --out DIR\n"
                 "fetch NAME",
    .about =
        "import reads matgl's pretrained MEGNet (state.pt with model.json beside it, or their folder) and "
        "writes it as safetensors. Every key is accounted for; a file that holds anything else is refused.\n"
        "\n"
        "inspect lists what a weights file holds: each tensor with its shape, type, part (body, eform, head "
        "or other) and the least, greatest, mean and standard deviation of its values; totals; metadata. W "
        "is a safetensors file, or matgl's state.pt or its folder.\n"
        "\n"
        "export makes a model to hand on of a finished run, or of the last of its stages (RUN/stages/NAME "
        "is any of them): each fold's weights without the optimiser's state, recipe.json, metrics.json, "
        "calibration.csv and a model card, README.md. DIR is then a MODEL for predict and WEIGHTS for "
        "train --from. The run's data set is read for the range that the card states.\n"
        "\n"
        "fetch downloads published weights, checks their SHA-256 and imports them. NAME is megnet-eform, "
        "which is matgl's MEGNet-MP-2018.6.1-Eform, the formation energies that training starts from (BSD "
        "3-Clause; Chen et al., Chem. Mater. 31 (2019) 3564). What a broken connection has brought stays "
        "in W.safetensors.fetch/, and the same command goes on with it. Proxies as in https_proxy and "
        "no_proxy.",
    .notes = "Examples:\n"
             "  kappatune weights import MEGNet-MP-2018.6.1-Eform/ --out megnet.safetensors\n"
             "  kappatune weights fetch megnet-eform\n"
             "  kappatune weights inspect runs/demo/folds/1/best.safetensors\n"
             "  kappatune weights export runs/demo --out models/mine --half",
    .options = {option_table},
    .actions = actions,
    .run = run,
};

/* KTI_EXIT_USAGE after naming an option of another action. */
static int check_options(const char *command, int action, const request *r)
{
    if (r->formatted && action != INSPECT)
        return kti_cli_usage(command, "--format belongs to inspect");
    if ((r->url || r->quiet) && action != FETCH)
        return kti_cli_usage(command, "--url and --quiet belong to fetch");
    if ((r->half || r->licence) && action != EXPORT)
        return kti_cli_usage(command, "--half and --licence belong to export");
    if ((r->out || r->force) && action == INSPECT)
        return kti_cli_usage(command,
                             "inspect writes no file: --out and --force belong to import, export and fetch");
    if (!r->out && action == IMPORT)
        return kti_cli_usage(command, "import needs --out, the file to write");
    if (!r->out && action == EXPORT)
        return kti_cli_usage(command, "export needs --out, the folder to write");
    return KTI_EXIT_DONE;
}

static int act(int action, const request *r)
{
    const kti_export_options exporting = {.half = r->half, .force = r->force, .licence = r->licence};
    switch (action) {
    case IMPORT: return import(r->argument, r->out, r->force);
    case INSPECT: return inspect(r->argument, r->format);
    case EXPORT: return export_model(r->argument, r->out, &exporting);
    }
    if (kti_option_choice("fetch", r->argument, kti_cli_weights_names) < 0)
        return KTI_EXIT_USAGE;
    return fetch(r->argument, r->out, r->force, r->url, r->quiet);
}

static int run(int argc, char **argv)
{
    request r = {.format = KTI_OUTPUT_TABLE};
    const int exit_status = kti_command_read(&kti_weights_command, argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    if (optind == argc)
        return kti_cli_usage(argv[0], "say what to do: import, export, inspect or fetch");
    const int action = kti_option_choice("weights", argv[optind], actions);
    if (action < 0)
        return KTI_EXIT_USAGE;
    if (argc - optind != 2)
        return kti_cli_usage(argv[0], "%s takes one %s, not %d", actions[action],
                             action == FETCH    ? "name"
                             : action == EXPORT ? "run"
                                                : "file or folder",
                             argc - optind - 1);
    r.argument = argv[optind + 1];
    const int wrong = check_options(argv[0], action, &r);
    return wrong != KTI_EXIT_DONE ? wrong : act(action, &r);
}
