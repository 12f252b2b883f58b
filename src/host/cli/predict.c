/* kappatune predict */
#include "cli/predict.h"

#include <dirent.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kappatune/model.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/text.h"
#include "crystal/reader.h"
#include "predictor/prediction_table.h"

typedef struct request {
    const char *model;
    kt_model_options options;
    kti_output format;
    bool members;
    char **files; /* owned */
    size_t size, capacity;
    int rejected;
} request;

/* Where predictions go, in one of three formats. */
typedef struct sink {
    const request *request;
    kti_prediction_table columns; /* of csv and json */
    int members;
    bool interval;    /* there are low and high */
    bool judged;      /* there are low_90, high_90, distance, warnings, nearest crystals */
    bool ensemble;    /* one weights file is none: its spread and its members would only repeat the value */
    kti_table table;  /* or */
    kti_text remarks; /* below the table */
    json_t *list;
    json_t *rejected;
} sink;

/* ---- which files ---- */

static kt_status add_file(request *r, char *path, kt_error *error)
{
    if (!path || kti_grow((void **)&r->files, r->size, &r->capacity, sizeof *r->files) != 0) {
        free(path);
        return kti_fail_memory(error, "file names");
    }
    r->files[r->size++] = path;
    return KT_OK;
}

static int is_structure(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && kti_structure_format_of(entry->d_name) != KTI_FORMAT_UNKNOWN;
}

/* The structure files of a folder. A folder without one is kept as it is, so that it is named among the
 * rejects. */
static kt_status add_folder(request *r, const char *folder, kt_error *error)
{
    struct dirent **entries = NULL;
    const int found = scandir(folder, &entries, is_structure, alphasort);
    kt_status status = found <= 0 ? add_file(r, kti_duplicate_text(folder), error) : KT_OK;
    for (int i = 0; i < found; i++) {
        if (status == KT_OK)
            status = add_file(r, kti_path_join(folder, entries[i]->d_name), error);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* ---- output ---- */

static void begin_table(sink *s)
{
    const char *header = s->request->options.property == KT_KAPPA ? "kappa, W/(m K)" : "eform, eV/atom";
    const bool members = s->request->members && s->ensemble;
    s->table.columns = 4 + (s->ensemble ? 3 : 0) +
                       (s->judged     ? 4
                        : s->interval ? 2
                                      : 0) +
                       (members ? s->members : 0);
    s->table.left = 2;
    kti_table_add(&s->table, "file");
    kti_table_add(&s->table, "formula");
    kti_table_add(&s->table, "atoms");
    kti_table_add(&s->table, "%s", header);
    if (s->ensemble) {
        kti_table_add(&s->table, "std");
        kti_table_add(&s->table, "least");
        kti_table_add(&s->table, "greatest");
    }
    if (s->interval && !s->judged) {
        kti_table_add(&s->table, "low (68 %%)");
        kti_table_add(&s->table, "high (68 %%)");
    }
    if (s->judged) {
        kti_table_add(&s->table, "low (90 %%)");
        kti_table_add(&s->table, "high (90 %%)");
        kti_table_add(&s->table, "nearest known");
        kti_table_add(&s->table, "distance");
    }
    for (int i = 0; members && i < s->members; i++)
        kti_table_add(&s->table, "fold %d", kt_model_member_fold(s->columns.model, i));
}

/* Four significant digits, and zeroes where they are significant, so that a column can be read down. */
static void add_value(kti_table *table, double value)
{
    const double size = fabs(value);
    if (size >= 1e6 || (size > 0 && size < 1e-4))
        kti_table_add(table, "%.3e", value);
    else
        kti_table_add(table, "%.*f",
                      size >= 1000  ? 0
                      : size >= 100 ? 1
                      : size >= 10  ? 2
                      : size >= 1   ? 3
                                    : 4,
                      value);
}

/* "SrTiO3 (12.1)": the nearest training crystal and its kappa. */
static void add_nearest(sink *s, const kt_judgement *j)
{
    kti_table_add(&s->table, "%s (%.3g)", j->nearest_formula[0], j->nearest_kappa[0]);
    kti_table_add(&s->table, "%.2f%s", j->distance, j->warnings[0] ? " !" : "");
}

/* Each warning in words. */
static void add_remarks(sink *s, const kti_prediction *p)
{
    for (const char *at = p->judgement.warnings; *at;) {
        const size_t length = strcspn(at, ";");
        kti_text_add(&s->remarks, "! %s: ", p->id);
        if (strncmp(at, "element:", 8) == 0)
            kti_text_add(&s->remarks, "no training crystal has %.*s\n", (int)length - 8, at + 8);
        else if (strncmp(at, "isolated", length) == 0)
            kti_text_add(&s->remarks, "an atom has no neighbour within 4 Å\n");
        else if (strncmp(at, "range", length) == 0)
            kti_text_add(&s->remarks, "the prediction lies beyond the kappa of all training crystals\n");
        else
            kti_text_add(&s->remarks, "it is unlike all training crystals\n");
        at += length + (at[length] == ';');
    }
}

static void add_bound(kti_table *table, double value)
{
    if (isnan(value))
        kti_table_add(table, "-");
    else
        add_value(table, value);
}

static void add_to_table(sink *s, const kti_prediction *p)
{
    kti_table_add(&s->table, "%s", p->id);
    kti_table_add(&s->table, "%s", p->formula);
    kti_table_add(&s->table, "%d", p->structure->sites);
    add_value(&s->table, p->all.mean);
    if (s->ensemble) {
        add_value(&s->table, p->all.sd);
        add_value(&s->table, p->all.min);
        add_value(&s->table, p->all.max);
    }
    if (s->interval && !s->judged) {
        add_value(&s->table, p->all.low);
        add_value(&s->table, p->all.high);
    }
    if (s->judged) {
        add_bound(&s->table, p->judgement.low);
        add_bound(&s->table, p->judgement.high);
        add_nearest(s, &p->judgement);
        add_remarks(s, p);
    }
    for (int i = 0; s->request->members && s->ensemble && i < s->members; i++)
        add_value(&s->table, p->value[i]);
}

/* Prints a line that is freed then. */
static kt_status print_line(kti_text *line, kt_error *error)
{
    kt_status status = line->failed ? kti_fail_memory(error, "the predictions") : KT_OK;
    if (status == KT_OK)
        puts(line->data);
    kti_text_destroy(line);
    return status;
}

static kt_status begin_csv(const sink *s, kt_error *error)
{
    kti_text line = {0};
    kti_prediction_table_add_header(&s->columns, &line);
    return print_line(&line, error);
}

static kt_status write_csv(const sink *s, const kti_prediction *p, kt_error *error)
{
    kti_text line = {0};
    kti_prediction_table_add_row(&s->columns, p, &line);
    return print_line(&line, error);
}

/* ["far", "range"] of "far;range" */
static json_t *list_to_json(const char *text)
{
    json_t *list = json_array();
    int lost = !list;
    for (const char *at = text; *at;) {
        const size_t length = strcspn(at, ";");
        lost |= json_array_append_new(list, json_stringn(at, length));
        at += length + (at[length] == ';');
    }
    if (!lost)
        return list;
    json_decref(list);
    return NULL;
}

/* [{"id", "formula", "kappa", "distance"}, ...] */
static json_t *nearest_to_json(const kt_judgement *j)
{
    json_t *list = json_array();
    int lost = !list;
    for (int i = 0; i < j->nearest; i++)
        lost |= json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o}", "id", kti_json_text(j->nearest_id[i]), "formula",
                            kti_json_text(j->nearest_formula[i]), "kappa", kti_json_real(j->nearest_kappa[i]),
                            "distance", kti_json_real(j->nearest_distance[i])));
    if (!lost)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *value_to_json(const kti_prediction_column *column, const kti_prediction *p, int member)
{
    if (column->role == KTI_ROLE_MEMBER)
        return kti_json_real(p->value[member]);
    if (column->role == KTI_ROLE_WARNINGS)
        return list_to_json(column->text(p));
    if (column->text)
        return kti_json_text(column->text(p));
    if (!column->number)
        return nearest_to_json(&p->judgement);
    return column->digits > 0 ? kti_json_real(column->number(p))
                              : json_integer((json_int_t)column->number(p));
}

static kt_status add_to_json(sink *s, const kti_prediction *p, kt_error *error)
{
    int size, lost = 0;
    char name[64];
    const kti_prediction_column *columns = kti_prediction_columns(&size);
    json_t *object = json_object();
    for (int i = 0; i < size; i++)
        for (int m = 0; m < kti_prediction_table_count(&s->columns, &columns[i]); m++) {
            kti_prediction_table_name(&s->columns, &columns[i], m, name);
            lost |= json_object_set_new(object, name, value_to_json(&columns[i], p, m));
        }
    lost |= json_array_append_new(s->list, object);
    return lost ? kti_fail_memory(error, "the predictions") : KT_OK;
}

static kt_status begin(sink *s, const request *r, const kt_model *model, kt_error *error)
{
    s->request = r;
    s->columns = kti_prediction_table_of(model, r->options.property,
                                         r->format == KTI_OUTPUT_JSON ? KTI_IN_JSON : KTI_IN_CSV, false);
    s->members = kt_model_members(model);
    s->interval = kt_model_has_log_sd(model);
    s->judged = kt_model_can_judge(model);
    s->ensemble = s->members > 1 || kt_model_member_fold(model, 0) > 0;
    s->list = json_array();
    s->rejected = json_array();
    if (!s->list || !s->rejected)
        return kti_fail_memory(error, "the predictions");
    if (r->format == KTI_OUTPUT_TABLE)
        begin_table(s);
    else if (r->format == KTI_OUTPUT_CSV)
        return begin_csv(s, error);
    return KT_OK;
}

static kt_status add(sink *s, const kti_prediction *p, kt_error *error)
{
    switch (s->request->format) {
    case KTI_OUTPUT_TABLE: add_to_table(s, p); break;
    case KTI_OUTPUT_CSV: return write_csv(s, p, error);
    case KTI_OUTPUT_JSON: return add_to_json(s, p, error);
    }
    return KT_OK;
}

static kt_status reject(sink *s, const char *file, const kt_error *reason, kt_error *error)
{
    kti_cli_fail(reason);
    json_t *line = reason->line > 0 ? json_integer(reason->line) : json_null();
    json_t *object = json_pack("{s:o, s:o, s:o}", "file", kti_json_text(file), "line", line, "reason",
                               kti_json_text(reason->message));
    return json_array_append_new(s->rejected, object) == 0 ? KT_OK : kti_fail_memory(error, "the rejects");
}

static kt_status end(sink *s, kt_error *error)
{
    if (s->request->format == KTI_OUTPUT_TABLE) {
        if (s->table.out_of_memory || s->remarks.failed)
            return kti_fail_memory(error, "the table");
        if (s->table.size > (size_t)s->table.columns)
            kti_table_print(&s->table, 0);
        fputs(s->remarks.data ? s->remarks.data : "", stdout);
    } else if (s->request->format == KTI_OUTPUT_JSON) {
        json_t *root = json_pack("{s:o, s:s, s:s, s:i, s:O, s:O}", "model", kti_json_text(s->request->model),
                                 "property", s->columns.quantity, "units",
                                 s->request->options.property == KT_KAPPA ? "W/(m K)" : "eV/atom", "members",
                                 s->members, "predictions", s->list, "rejected", s->rejected);
        if (!root)
            return kti_fail_memory(error, "the predictions");
        kti_json_print(root);
        json_decref(root);
    }
    return KT_OK;
}

static void destroy(sink *s)
{
    kti_table_destroy(&s->table);
    kti_text_destroy(&s->remarks);
    json_decref(s->list);
    json_decref(s->rejected);
}

/* ---- predicting ---- */

/* Room for what a model says of a crystal, and the crystal. */
typedef struct desk {
    kt_model *model;
    double *value, *log_sd; /* [members] */
    kt_structure structure;
    kti_graph graph;
} desk;

static void clear(desk *d)
{
    kti_graph_destroy(&d->graph);
    kt_structure_destroy(&d->structure);
}

/* The prediction points into the desk. */
static kt_status predict_file(desk *d, const sink *s, const char *file, kti_prediction *p, kt_error *error)
{
    kti_graph_options options = kti_graph_options_default();
    options.quotient = s->request->options.quotient;
    if (kti_is_folder(file))
        return kti_fail_file(
            error, KT_IO, file,
            "holds no structure file that can be read (.cif, .vasp, .poscar, .xyz, .extxyz)");
    kt_status status = kt_structure_read(file, &d->structure, error);
    if (status == KT_OK)
        status = kt_model_predict(d->model, &d->structure, file, d->value, d->log_sd, error);
    if (status == KT_OK)
        status = kti_graph_create(&d->structure, &options, file, &d->graph, error);
    if (status != KT_OK)
        return status;
    *p = kti_prediction_of(&s->columns, file, &d->structure, &d->graph, d->value, d->log_sd);
    kti_prediction_describe(&s->columns, p);
    return KT_OK;
}

static kt_status predict_next(request *r, desk *d, sink *s, const char *file, kt_error *error)
{
    kti_prediction p;
    kt_error reason = KT_ERROR_NONE;
    kt_status status = predict_file(d, s, file, &p, &reason);
    if (status == KT_OK)
        return add(s, &p, error);
    if (kti_is_fatal(status)) {
        *error = reason;
        return status;
    }
    r->rejected++;
    return reject(s, file, &reason, error);
}

static kt_status predict_all(request *r, kt_model *model, sink *s, kt_error *error)
{
    const size_t members = (size_t)kt_model_members(model);
    desk d = {.model = model,
              .value = kti_allocate(members, sizeof(double)),
              .log_sd = kti_allocate(members, sizeof(double))};
    kt_status status = d.value && d.log_sd ? KT_OK : kti_fail_memory(error, "a prediction");
    for (size_t i = 0; i < r->size && status == KT_OK; i++) {
        status = predict_next(r, &d, s, r->files[i], error);
        clear(&d);
    }
    free(d.value);
    free(d.log_sd);
    return status;
}

static int predict(request *r)
{
    kt_error error = KT_ERROR_NONE;
    kt_model *model = NULL;
    sink s = {0};
    const char *path;
    kt_status status = kti_name_find(KTI_MODEL, r->model, &path, &error);
    if (status == KT_OK)
        status = kt_model_open(path, &r->options, &model, &error);
    if (status == KT_OK)
        status = begin(&s, r, model, &error);
    if (status == KT_OK)
        status = predict_all(r, model, &s, &error);
    if (status == KT_OK)
        status = end(&s, &error);
    destroy(&s);
    kt_model_close(model);
    if (status != KT_OK)
        return kti_cli_fail(&error);
    if (r->rejected > 0 && r->size > 1)
        kti_cli_warn("%d of %zu files were left out", r->rejected, r->size);
    return r->rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

/* ---- the command ---- */

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_CHOICE, .flag = "property", .offset = AT(options.property), .argument = "NAME",
     .choices = kti_property_names,
     .help = "kappa (default), W/(m K), or eform, the formation energy, eV/atom"},
    {.kind = KTI_OPTION_CHOICE, .flag = "format", .offset = AT(format), .argument = "NAME",
     .choices = kti_output_names,
     .help = "table (default), csv or json"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "members", .offset = AT(members),
     .help = "each member's value in the table too"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "no-quotient", .offset = AT(options.quotient),
     .help = "full graphs instead of their exact symmetry quotients: the same values, slower"},
    {.kind = KTI_OPTION_WORD, .flag = "device", .offset = AT(options.device), .argument = "NAME",
     .choices = kti_device_names,
     .help = "cpu (default), cuda, cuda-cublas or cuda-cudnn"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_predict_command = {
    .name = "predict",
    .summary = "thermal conductivity or formation energy of crystals",
    .arguments = "MODEL FILE...",
    .about =
        "Predicts the lattice thermal conductivity at 300 K, or the formation energy, of crystals.\n"
        "\n"
        "MODEL is a run folder (each of its folds is a member), a weights file (safetensors, matgl's "
        "state.pt or its folder), or the name of a model, togo15-hh143.\n"
        "FILE is a .cif, .vasp, .poscar, POSCAR, CONTCAR, .xyz, .extxyz, or a folder: its structure files "
        "in the order of their names.",
    .notes =
        "For a model of several members the prediction is their mean; std is their population standard "
        "deviation. Where every member is a Gaussian process, low and high bound the 68 % in which kappa "
        "is expected: one standard deviation of its logarithm, by the members' mean variance and by how "
        "far they are apart.\n"
        "\n"
        "A model with a calibration.csv (every trained run has one) also says between which bounds 90 % of "
        "such crystals lie, which training crystal is the nearest (its kappa in brackets), at which "
        "distance (in standard deviations of its features), and warns (!) of what speaks against the "
        "prediction; the table shows these bounds instead of the 68 %.\n"
        "\n"
        "The columns of csv and json are listed in docs/columns.md. A file that cannot be used is named "
        "with its reason on standard error; the others are predicted, and the exit status is 3.\n"
        "\n"
        "Examples:\n"
        "  kappatune predict togo15-hh143 crystal.cif\n"
        "  kappatune predict runs/demo my_crystals/ --format csv >kappa.csv",
    .options = {option_table},
    .run = run,
};

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    r->options = kt_model_options_default();
    const int exit_status = kti_command_read(&kti_predict_command, argc, argv, r);
    if (exit_status >= 0)
        return exit_status;
    if (optind == argc)
        return kti_cli_usage(argv[0], "name a model and at least one structure file");
    if (optind + 1 == argc)
        return kti_cli_usage(argv[0], "name at least one structure file after the model '%s'", argv[optind]);
    r->model = argv[optind];
    if (kti_structure_format_of(r->model) != KTI_FORMAT_UNKNOWN)
        return kti_cli_usage(argv[0], "the model stands first, and '%s' is a structure file", r->model);
    return -1;
}

static int run(int argc, char **argv)
{
    request r = {0};
    kt_error error = KT_ERROR_NONE;
    int exit_status = read_options(argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    kt_status status = KT_OK;
    for (int i = optind + 1; i < argc && status == KT_OK; i++)
        status = kti_is_folder(argv[i]) ? add_folder(&r, argv[i], &error)
                                        : add_file(&r, kti_duplicate_text(argv[i]), &error);
    exit_status = status == KT_OK ? predict(&r) : kti_cli_fail(&error);
    for (size_t i = 0; i < r.size; i++)
        free(r.files[i]);
    free(r.files);
    return exit_status;
}
