/* kappatune evaluate */
#include "cli/evaluate.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "experiment/results_origin.h"
#include "predictor/evaluate.h"
#include "predictor/model.h"
#include "statistics/metrics.h"

enum { MAX_COLUMNS = 32 };

/* A data set, or several of them joined. */
typedef struct column {
    char name[256];
    int sets;
    int set[KT_MAX_DATA_SETS];
} column;

typedef struct request {
    kti_judged_rows rows;
    bool csv, json;
    kti_output format;
    bool quiet, progress;
    const char *data[KT_MAX_DATA_SETS + 1];
    int sets;
    kti_dataset dataset[KT_MAX_DATA_SETS];
    uint64_t fingerprint[KT_MAX_DATA_SETS];
    const char *mix[MAX_COLUMNS];
    int mixes;
    column column[KT_MAX_DATA_SETS + MAX_COLUMNS];
    int columns;
    kti_run_list runs;
} request;

/* The scores of one model. */
typedef struct judged {
    int members;
    int *fold; /* [members]; 0 for a single weights file */
    bool *own; /* [columns] whether the model was trained on this very data set, or on each of a mix */
    kt_scores *scores; /* [columns, members] */
} judged;

/* ---- the data sets ---- */

static kt_status read_data(request *r, bool *rejected, kt_error *error)
{
    const kti_dataset_options options = kti_dataset_options_default();
    kt_status status = KT_OK;
    for (int i = 0; i < r->sets && status == KT_OK; i++) {
        kti_dataset *d = &r->dataset[i];
        status = kti_name_find(KTI_DATA, r->data[i], &r->data[i], error);
        if (status == KT_OK)
            status = kti_dataset_read(r->data[i], &options, d, error);
        for (int k = 0; k < d->rejected; k++)
            kti_cli_fail(&d->rejects[k].error);
        *rejected = *rejected || d->rejected > 0;
        for (int k = 0; k < i && status == KT_OK; k++)
            if (strcmp(d->name, r->dataset[k].name) == 0)
                status =
                    kti_fail(error, KT_BAD_ARGUMENT,
                             "two data sets are named `%s`; rename a folder, so that columns can be told "
                             "apart",
                             d->name);
        if (status == KT_OK) {
            column *c = &r->column[r->columns++];
            r->fingerprint[i] = kti_dataset_fingerprint(d);
            *c = (column){.sets = 1, .set = {i}};
            snprintf(c->name, sizeof c->name, "%s", d->name);
        }
    }
    return status;
}

/* One part of a --mix, of so many letters. */
static kt_status join(const request *r, column *c, const char *name, size_t length, kt_error *error)
{
    const size_t used = strlen(c->name);
    int i = 0;
    while (i < r->sets &&
           (strlen(r->dataset[i].name) != length || strncmp(r->dataset[i].name, name, length) != 0))
        i++;
    if (i == r->sets)
        return kti_fail(error, KT_BAD_ARGUMENT, "--mix names `%.*s`, but none of the data sets has that name",
                        (int)length, name);
    for (int k = 0; k < c->sets; k++)
        if (c->set[k] == i)
            return kti_fail(error, KT_BAD_ARGUMENT, "--mix names `%.*s` twice", (int)length, name);
    c->set[c->sets++] = i;
    snprintf(c->name + used, sizeof c->name - used, "%s%.*s", used ? "+" : "", (int)length, name);
    return KT_OK;
}

static kt_status add_mixes(request *r, kt_error *error)
{
    kt_status status = KT_OK;
    for (int i = 0; i < r->mixes && status == KT_OK; i++) {
        column *c = &r->column[r->columns++];
        const char *at = r->mix[i];
        *c = (column){0};
        for (;;) {
            const size_t length = strcspn(at, ",");
            status = join(r, c, at, length, error);
            if (status != KT_OK || at[length] == '\0')
                break;
            at += length + 1;
        }
    }
    return status;
}

/* ---- judging ---- */

typedef struct counter {
    kti_progress bar;
    double began;
    int64_t done, total;
    const char *model;
} counter;

static int count(void *user)
{
    counter *c = user;
    c->done++;
    const double left = (kti_seconds() - c->began) / (double)c->done * (double)(c->total - c->done);
    kti_progress_show(&c->bar, c->done, c->total, left, c->model);
    return 0;
}

static void judged_destroy(judged *j)
{
    free(j->fold);
    free(j->own);
    free(j->scores);
    *j = (judged){0};
}

static kt_status score_column(const request *r, const column *c, const kt_model *model,
                              const kti_answers *answers, kt_scores *scores, kt_error *error)
{
    const kti_answers *list[KT_MAX_DATA_SETS];
    kt_status status = KT_OK;
    for (int i = 0; i < c->sets; i++)
        list[i] = &answers[c->set[i]];
    for (int m = 0; m < kt_model_members(model) && status == KT_OK; m++)
        status = kti_answers_score(list, c->sets, model, m, r->rows, &scores[m], error);
    return status;
}

static kt_status find_own(const request *r, int run, judged *j, kt_error *error)
{
    bool own[KT_MAX_DATA_SETS];
    j->own = kti_allocate((size_t)r->columns, sizeof *j->own);
    if (!j->own)
        return kti_fail_memory(error, "the scores");
    kt_status status = kti_results_find_own(r->runs.path[run], r->fingerprint, r->sets, own, error);
    for (int i = 0; i < r->columns && status == KT_OK; i++) {
        j->own[i] = true;
        for (int k = 0; k < r->column[i].sets; k++)
            j->own[i] = j->own[i] && own[r->column[i].set[k]];
    }
    return status;
}

static kt_status judge(const request *r, int run, counter *c, judged *j, kt_error *error)
{
    const kt_model_options options = kt_model_options_default();
    kti_answers answers[KT_MAX_DATA_SETS] = {{0}};
    kt_model *model = NULL;
    kt_status status = kti_model_open(r->runs.path[run], &options, 0, &model, error);
    c->model = r->runs.name[run];
    if (status != KT_OK)
        return status;
    j->members = kt_model_members(model);
    j->fold = kti_allocate((size_t)j->members, sizeof *j->fold);
    j->scores = kti_allocate((size_t)r->columns * (size_t)j->members, sizeof *j->scores);
    if (!j->fold || !j->scores)
        status = kti_fail_memory(error, "the scores");
    for (int m = 0; m < j->members && status == KT_OK; m++)
        j->fold[m] = kt_model_member_fold(model, m);
    if (status == KT_OK && r->rows == KTI_ROWS_HELD_OUT && j->fold[0] == 0)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, r->runs.path[run],
                               "is no ensemble of folds, so nobody can tell which rows it was not trained "
                               "on; judge it with --rows all");
    if (status == KT_OK)
        status = find_own(r, run, j, error);
    for (int i = 0; i < r->sets && status == KT_OK; i++)
        status = kti_answers_create(model, &r->dataset[i], count, c, &answers[i], error);
    for (int i = 0; i < r->columns && status == KT_OK; i++)
        status =
            score_column(r, &r->column[i], model, answers, j->scores + (size_t)i * (size_t)j->members, error);
    for (int i = 0; i < r->sets; i++)
        kti_answers_destroy(&answers[i]);
    kt_model_close(model);
    return status;
}

/* ---- showing ---- */

typedef struct measure {
    const char *title, *key;
    size_t offset;
} measure;

static const measure measures[] = {
    {"MAPE", "mape", offsetof(kt_scores, mape)},
    {"median error", "medape", offsetof(kt_scores, medape)},
    {"kappa_SRE", "sre", offsetof(kt_scores, sre)},
};

enum { MEASURES = sizeof measures / sizeof measures[0] };

static double value_of(const kt_scores *scores, const measure *m)
{
    return *(const double *)((const char *)scores + m->offset);
}

static kt_status summarise(const judged *j, int index, const measure *m, kti_summary *summary,
                           kt_error *error)
{
    double *values = kti_allocate((size_t)j->members, sizeof *values);
    if (!values)
        return kti_fail_memory(error, "the scores");
    for (int i = 0; i < j->members; i++)
        values[i] = value_of(&j->scores[index * j->members + i], m);
    kt_status status = kti_summarise(values, j->members, summary, error);
    free(values);
    return status;
}

/* Held-out rows are none that the model was trained on where the data set is its own; elsewhere nobody has looked. */
static bool is_marked(const request *r, const judged *j, int index)
{
    return r->rows == KTI_ROWS_HELD_OUT && !j->own[index];
}

static bool any_is_marked(const request *r, const judged *list)
{
    for (int i = 0; i < r->runs.size; i++)
        for (int c = 0; c < r->columns; c++)
            if (is_marked(r, &list[i], c))
                return true;
    return false;
}

static kt_status print_measure(const request *r, const judged *list, const measure *m, kt_error *error)
{
    kti_table table = {.columns = 2 + r->columns, .left = 1};
    kt_status status = KT_OK;
    kti_table_add(&table, "%s", m->title);
    kti_table_add(&table, "members");
    for (int c = 0; c < r->columns; c++)
        kti_table_add(&table, "%s", r->column[c].name);
    for (int i = 0; i < r->runs.size && status == KT_OK; i++) {
        kti_table_add(&table, "%s", r->runs.name[i]);
        kti_table_add(&table, "%d", list[i].members);
        for (int c = 0; c < r->columns && status == KT_OK; c++) {
            kti_summary s = {0};
            status = summarise(&list[i], c, m, &s, error);
            const char *mark = is_marked(r, &list[i], c) ? "*" : "";
            if (s.size == list[i].members)
                kti_table_add(&table, "%.3f (%.3f)%s", s.mean, s.sd, mark);
            else
                kti_table_add(&table, "%.3f (%.3f), %d of %d%s", s.mean, s.sd, s.size, list[i].members, mark);
        }
    }
    if (table.out_of_memory)
        status = kti_fail_memory(error, "the table");
    if (status == KT_OK)
        kti_table_print(&table, 0);
    kti_table_destroy(&table);
    return status;
}

static kt_status print_tables(const request *r, const judged *list, kt_error *error)
{
    kt_status status = KT_OK;
    if (r->rows == KTI_ROWS_HELD_OUT)
        printf("kappa in W/(m K); fold n is judged on the rows that split n of a data set holds out; mean "
               "(std) over folds\n");
    else
        printf("kappa in W/(m K); every fold is judged on all rows: those of its own data set include the "
               "rows that it was\ntrained on; mean (std) over folds\n");
    for (int m = 0; m < MEASURES && status == KT_OK; m++) {
        putchar('\n');
        status = print_measure(r, list, &measures[m], error);
    }
    if (status == KT_OK && any_is_marked(r, list))
        printf("\n* another set than the run's own: crystals that are in both are not looked for\n");
    return status;
}

static const char *rows_name(const request *r)
{
    return r->rows == KTI_ROWS_HELD_OUT ? "held-out" : "all";
}

/* ",0.25", or "," where there is no finite number. */
static void add_number(kti_text *text, double value)
{
    kti_text_add(text, ",");
    if (isfinite(value))
        kti_text_add(text, "%.9g", value);
}

static kt_status print_csv(const request *r, const judged *list, kt_error *error)
{
    kti_text text = {0};
    kti_text_add(&text, "model,dataset,judged_on,fold,rows");
    for (int m = 0; m < MEASURES; m++)
        kti_text_add(&text, ",%s", measures[m].key);
    kti_text_add(&text, ",own\n");
    for (int i = 0; i < r->runs.size; i++)
        for (int c = 0; c < r->columns; c++)
            for (int f = 0; f < list[i].members; f++) {
                const kt_scores *s = &list[i].scores[c * list[i].members + f];
                kti_text_add_csv(&text, r->runs.name[i]);
                kti_text_add(&text, ",");
                kti_text_add_csv(&text, r->column[c].name);
                kti_text_add(&text, ",%s,%d,%d", rows_name(r), list[i].fold[f], s->rows);
                for (int m = 0; m < MEASURES; m++)
                    add_number(&text, value_of(s, &measures[m]));
                kti_text_add(&text, ",%s\n", list[i].own[c] ? "true" : "false");
            }
    kt_status status = text.failed ? kti_fail_memory(error, "the scores") : KT_OK;
    if (status == KT_OK)
        fputs(text.data, stdout);
    kti_text_destroy(&text);
    return status;
}

static kt_status column_to_json(const request *r, const judged *j, int index, json_t **made, kt_error *error)
{
    json_t *folds = json_array(), *summary = json_object();
    kt_status status = KT_OK;
    *made = json_pack("{s:o, s:b, s:o, s:o}", "dataset", kti_json_text(r->column[index].name), "own",
                      j->own[index], "summary", summary, "folds", folds);
    if (!*made)
        return kti_fail_memory(error, "the scores");
    for (int m = 0; m < MEASURES && status == KT_OK; m++) {
        kti_summary s;
        status = summarise(j, index, &measures[m], &s, error);
        if (status == KT_OK &&
            json_object_set_new(summary, measures[m].key,
                                json_pack("{s:i, s:o, s:o, s:o}", "folds", s.size, "mean",
                                          kti_json_real(s.mean), "std", kti_json_real(s.sd), "median",
                                          kti_json_real(s.median))) != 0)
            status = kti_fail_memory(error, "the scores");
    }
    for (int f = 0; f < j->members && status == KT_OK; f++) {
        const kt_scores *s = &j->scores[index * j->members + f];
        json_t *fold = json_pack("{s:i, s:i}", "fold", j->fold[f], "rows", s->rows);
        int lost = json_array_append_new(folds, fold);
        for (int m = 0; m < MEASURES && lost == 0; m++)
            lost = json_object_set_new(fold, measures[m].key, kti_json_real(value_of(s, &measures[m])));
        if (lost != 0)
            status = kti_fail_memory(error, "the scores");
    }
    return status;
}

static kt_status print_json(const request *r, const judged *list, kt_error *error)
{
    json_t *models = json_array();
    json_t *root =
        json_pack("{s:s, s:s, s:o}", "units", "W/(m K)", "judged_on", rows_name(r), "models", models);
    kt_status status = root ? KT_OK : kti_fail_memory(error, "the scores");
    for (int i = 0; i < r->runs.size && status == KT_OK; i++) {
        json_t *sets = json_array();
        json_t *model =
            json_pack("{s:o, s:o, s:i, s:o}", "model", kti_json_text(r->runs.name[i]), "path",
                      kti_json_text(r->runs.path[i]), "members", list[i].members, "data_sets", sets);
        if (json_array_append_new(models, model) != 0)
            status = kti_fail_memory(error, "the scores");
        for (int c = 0; c < r->columns && status == KT_OK; c++) {
            json_t *set = NULL;
            status = column_to_json(r, &list[i], c, &set, error);
            if (status == KT_OK && json_array_append(sets, set) != 0)
                status = kti_fail_memory(error, "the scores");
            json_decref(set);
        }
    }
    if (status == KT_OK)
        kti_json_print(root);
    json_decref(root);
    return status;
}

/* ---- the command ---- */

/* "a,b": at least two names, none of them empty. */
static bool is_mix(const char *text)
{
    const char *comma = strchr(text, ',');
    if (!comma)
        return false;
    for (; comma; text = comma + 1, comma = strchr(text, ','))
        if (comma == text)
            return false;
    return *text != '\0';
}

static bool take_data(void *target, const char *flag, const char *value)
{
    request *r = target;
    (void)flag;
    if (r->sets == KT_MAX_DATA_SETS)
        return kti_cli_usage("evaluate", "at most %d data sets at a time", KT_MAX_DATA_SETS), false;
    r->data[r->sets++] = value;
    return true;
}

static bool take_mix(void *target, const char *flag, const char *value)
{
    request *r = target;
    (void)flag;
    if (r->mixes == MAX_COLUMNS)
        return kti_cli_usage("evaluate", "at most %d times --mix", MAX_COLUMNS), false;
    if (!is_mix(value))
        return kti_cli_usage("evaluate", "--mix takes the names of several data sets, a,b, not `%s`", value),
               false;
    r->mix[r->mixes++] = value;
    return true;
}

static const char *const judged_rows[] = {"held-out", "all", NULL};

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_OTHER, .flag = "data", .argument = "PATH", .group = "Data", .take = take_data,
     .help = "folder with id_prop.csv and structure files, a table of crystals, or a name, togo15; a column "
             "each"},
    {.kind = KTI_OPTION_OTHER, .flag = "mix", .argument = "NAME,NAME...", .take = take_mix,
     .help = "a further column: these of the data sets joined, each split on its own"},
    {.kind = KTI_OPTION_CHOICE, .flag = "rows", .offset = AT(rows), .argument = "NAME", .choices = judged_rows,
     .help = "held-out (default): the member of fold n is judged on the 20 % of a data set that split n keeps "
             "from training, so that a run meets no row of its own set that it was trained on. Its own are "
             "those of its recipe and of the stages it started from, unchanged; another set's cell is marked "
             "*, since crystals that are in both are not looked for. all: on every row, also those that it "
             "was trained on"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "csv", .offset = AT(csv), .group = "Output",
     .help = "every fold of every model on every data set, for programs, as CSV"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "json", .offset = AT(json),
     .help = "the same as JSON"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "quiet", .offset = AT(quiet),
     .help = "no progress"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "progress", .offset = AT(progress),
     .help = "a progress bar also where there is no terminal"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_evaluate_command = {
    .name = "evaluate",
    .summary = "scores of trained models on their own and other data sets",
    .arguments = "RUN... --data DIR_OR_TABLE [--data ...]",
    .about =
        "Judges trained models on data sets, their own and others: one row a model, one column a data set.\n"
        "\n"
        "RUN is a run folder, RUN/stages/NAME, a run of several stages (all of its finished ones), a folder "
        "of weights, or a model's name: togo15-hh143.",
    .notes =
        "The table shows MAPE, median error and kappa_SRE: the mean over the folds and, in brackets, their "
        "population standard deviation. kappa in W/(m K). Exit status: 0 done, 1 failed, 2 wrong usage, 3 "
        "done with some rows of the data sets rejected, each of them named.\n"
        "\n"
        "Example:\n"
        "  kappatune evaluate runs/a runs/b --data togo15 --data hh143 --mix togo15,hh143",
    .options = {option_table},
    .run = run,
};

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    int exit_status = kti_command_read(&kti_evaluate_command, argc, argv, r);
    if (exit_status < 0)
        exit_status = kti_cli_output(argv[0], r->csv, r->json, &r->format);
    if (exit_status >= 0)
        return exit_status;
    if (optind == argc)
        return kti_cli_usage(argv[0], "name at least one run");
    if (r->sets == 0)
        return kti_cli_usage(argv[0], "name at least one data set with --data");
    return -1;
}

/* Whether a run is listed before, maybe by another path. */
static bool is_listed_before(const kti_run_list *runs, int index)
{
    struct stat this, that;
    if (stat(runs->path[index], &this) != 0)
        return false; /* said when it is opened */
    for (int i = 0; i < index; i++)
        if (stat(runs->path[i], &that) == 0 && this.st_dev == that.st_dev && this.st_ino == that.st_ino)
            return true;
    return false;
}

static void show_message(void *user, const char *text)
{
    (void)user;
    kti_cli_warn("%s", text);
}

static kt_status evaluate(request *r, bool *rejected, kt_error *error)
{
    counter c = {.bar = kti_progress_create(r->quiet, r->progress)};
    judged *list = kti_allocate((size_t)r->runs.size, sizeof *list);
    kt_status status = list ? read_data(r, rejected, error) : kti_fail_memory(error, "the scores");
    if (status == KT_OK)
        status = add_mixes(r, error);
    for (int i = 0; i < r->sets; i++)
        c.total += (int64_t)r->dataset[i].size * r->runs.size;
    c.began = kti_seconds();
    for (int i = 0; i < r->runs.size && status == KT_OK; i++)
        status = judge(r, i, &c, &list[i], error);
    kti_progress_end(&c.bar);
    if (status == KT_OK)
        switch (r->format) {
        case KTI_OUTPUT_TABLE: status = print_tables(r, list, error); break;
        case KTI_OUTPUT_CSV: status = print_csv(r, list, error); break;
        case KTI_OUTPUT_JSON: status = print_json(r, list, error); break;
        }
    for (int i = 0; i < r->runs.size && list; i++)
        judged_destroy(&list[i]);
    free(list);
    return status;
}

static int run(int argc, char **argv)
{
    request r = {0};
    kt_error error = KT_ERROR_NONE;
    bool rejected = false;
    kt_status status = KT_OK;
    int exit_status = read_options(argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    for (int i = optind; i < argc && status == KT_OK; i++) {
        const char *path;
        status = kti_name_find(KTI_MODEL, argv[i], &path, &error);
        if (status == KT_OK)
            status = kti_run_list_add(&r.runs, path, show_message, NULL, &error);
    }
    for (int i = 0; i < r.runs.size && status == KT_OK && exit_status < 0; i++)
        if (is_listed_before(&r.runs, i))
            exit_status = kti_cli_usage(argv[0], "%s is named twice", r.runs.path[i]);
    if (status == KT_OK && exit_status < 0)
        status = evaluate(&r, &rejected, &error);
    if (exit_status < 0)
        exit_status = status != KT_OK ? kti_cli_fail(&error) : rejected ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
    for (int i = 0; i < r.sets; i++)
        kti_dataset_destroy(&r.dataset[i]);
    kti_run_list_destroy(&r.runs);
    return exit_status;
}
