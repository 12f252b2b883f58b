/* kappatune status */
#include "cli/status.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/numbers.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "train/checkpoint.h"
#include "train/recipe.h"
#include "train/stages.h"
#include "train/sweep.h"

enum { LOG_LIMIT = 1 << 28, JOBS_LIMIT = 1 << 16, PATH_LENGTH = 4096 };

/* One fold of a run of one stage; of a run that has not begun, one such row in all. */
typedef struct row {
    char *run; /* owned */
    const char *state;
    char owner[KTI_LOCK_OWNER]; /* who trains it, "" where nobody does */
    int fold, epochs;           /* 0: not known */
    kti_checkpoint_summary at;
    double seconds_left; /* NaN: not known */
} row;

typedef struct list {
    row *rows;
    size_t size, capacity;
} list;

/* ---- what a folder says ---- */

static kt_status add_row(list *l, const row *from, const char *run, kt_error *error)
{
    if (kti_grow((void **)&l->rows, l->size, &l->capacity, sizeof *l->rows) != 0)
        return kti_fail_memory(error, "the list of folds");
    l->rows[l->size] = *from;
    l->rows[l->size].run = kti_duplicate_text(run);
    return l->rows[l->size++].run ? KT_OK : kti_fail_memory(error, "the list of folds");
}

static bool has(const char *folder, const char *name)
{
    char *path = kti_path_join(folder, name);
    const bool found = path && (kti_file_exists(path) || kti_is_folder(path));
    free(path);
    return found;
}

/* Seconds since 1970 of "2026-01-31T12:00:00Z"; NaN for what is none. */
static double time_of(const char *stamp)
{
    int year, month, day, hour, minute, second;
    if (!stamp ||
        sscanf(stamp, "%4d-%2d-%2dT%2d:%2d:%2dZ", &year, &month, &day, &hour, &minute, &second) != 6)
        return NAN;
    /* Years that begin in March have their leap day at the end. */
    const int y = month > 2 ? year : year - 1, m = (month + 9) % 12;
    const int leap_days = y / 4 - y / 100 + y / 400, day_of_year = (153 * m + 2) / 5 + day - 1;
    return 86400.0 * (365 * y + leap_days + day_of_year - 719468) + 3600 * hour + 60 * minute + second;
}

/* When training began last, and the epochs of all folds that were done then. */
static void find_begin(const char *folder, double *began, double *done)
{
    size_t size;
    char *text = NULL, *path = kti_path_join(folder, "log.jsonl");
    *began = NAN;
    if (path && kti_file_read(path, LOG_LIMIT, &text, &size, NULL) == KT_OK) {
        char *rest = NULL;
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            json_t *event = json_loads(line, 0, NULL);
            const char *name = json_string_value(json_object_get(event, "event"));
            if (name && (strcmp(name, "started") == 0 || strcmp(name, "resumed") == 0)) {
                *began = time_of(json_string_value(json_object_get(event, "time")));
                *done = (double)json_integer_value(json_object_get(event, "epoch"));
            }
            json_decref(event);
        }
    }
    free(text);
    free(path);
}

/* When the last of the rows' checkpoints was written. */
static double last_written(const char *folder, const row *rows, size_t size)
{
    double latest = NAN;
    for (size_t i = 0; i < size; i++) {
        struct stat about;
        char *path = kti_checkpoint_path(folder, rows[i].fold, "last.safetensors");
        if (path && stat(path, &about) == 0 && !((double)about.st_mtime <= latest))
            latest = (double)about.st_mtime;
        free(path);
    }
    return latest;
}

/* From the epochs that are kept, at the rate since training began last. */
static void set_time_left(const char *folder, row *rows, size_t size)
{
    double began, before = 0, done = 0, total = 0;
    find_begin(folder, &began, &before);
    const double written = last_written(folder, rows, size);
    for (size_t i = 0; i < size; i++) {
        done += rows[i].at.epoch;
        total += rows[i].epochs;
    }
    const double left = (written - began) / (done - before) * (total - done) - ((double)time(NULL) - written);
    for (size_t i = 0; i < size && done > before; i++)
        rows[i].seconds_left = left > 0 ? left : 0;
}

/* The folds of a run of one stage; `only`: the one that it is of, 0: all. */
static kt_status add_stage(list *l, const char *folder, int only, kt_error *error)
{
    const size_t first = l->size;
    kt_recipe recipe = {0};
    kt_train_options common = kt_train_options_default(KT_SOUND);
    row r = {.state = "not begun", .fold = only, .seconds_left = NAN};
    char *file = kti_path_join(folder, "recipe.json");
    if (!file || !kti_file_exists(file)) {
        const kt_status status =
            file ? add_row(l, &r, folder, error) : kti_fail_memory(error, "the list of folds");
        free(file);
        return status;
    }
    const bool running = kti_lock_is_held(folder, r.owner);
    r.state = running ? "running" : has(folder, "metrics.json") ? "finished" : "stopped";
    kt_status status = kt_recipe_read(file, &common, &recipe, error);
    const kt_train_options *o = status == KT_OK ? &recipe.stage[0].options : &common;
    r.epochs = o->epochs;
    for (int fold = only ? only : 1; fold <= (only ? only : o->folds) && status == KT_OK; fold++) {
        r.fold = fold;
        status = kti_checkpoint_summarise(folder, fold, &r.at, error);
        if (o->select == KT_SELECT_LAST)
            r.at.best_mape = NAN;
        if (status == KT_OK)
            status = add_row(l, &r, folder, error);
    }
    if (status == KT_OK && running)
        set_time_left(folder, l->rows + first, l->size - first);
    kt_recipe_destroy(&recipe);
    free(file);
    return status;
}

static kt_status add_stages(list *l, const char *folder, const json_t *stages, int only, kt_error *error)
{
    kt_status status = KT_OK;
    const json_t *stage;
    size_t i;
    json_array_foreach(stages, i, stage)
    {
        const char *name = json_string_value(json_object_get(stage, "name"));
        char *path = name && status == KT_OK ? kti_stage_path(folder, name) : NULL;
        if (path)
            status = add_stage(l, path, only, error);
        free(path);
    }
    return status;
}

/* ---- which runs lie in a folder ---- */

/* A run of one stage or several, or one that is awaited there. */
static kt_status add_run(list *l, const char *folder, int only, kt_error *error)
{
    json_t *recipe = NULL;
    char *file = kti_path_join(folder, "recipe.json");
    kt_status status = file ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_file_exists(file))
        status = kti_json_read(file, KTI_RECIPE_LIMIT, &recipe, error);
    const json_t *stages = json_object_get(recipe, "stages");
    if (status == KT_OK)
        status = stages ? add_stages(l, folder, stages, only, error) : add_stage(l, folder, only, error);
    json_decref(recipe);
    free(file);
    return status;
}

/* The runs FOLDER/PREFIXn, of fold n each if they are parts of one run. */
static kt_status add_numbered(list *l, const char *folder, const char *prefix, int expected, bool parts,
                              kt_error *error)
{
    kti_numbers n;
    kt_status status = kti_numbers_find(folder, prefix, expected, &n, error);
    for (size_t i = 0; i < n.size && status == KT_OK; i++) {
        char path[PATH_LENGTH];
        snprintf(path, sizeof path, "%s/%s%lld", folder, prefix, n.at[i]);
        status = add_run(l, path, parts ? (int)n.at[i] : 0, error);
    }
    free(n.at);
    return status;
}

/* How many tasks of an array the run was submitted as; 0: none. */
static int find_tasks(const char *folder)
{
    json_t *jobs = NULL;
    char *path = kti_path_join(folder, "submit/jobs.json");
    if (path && kti_file_exists(path))
        kti_json_read(path, JOBS_LIMIT, &jobs, NULL);
    const json_int_t tasks = json_integer_value(json_object_get(jobs, "tasks"));
    json_decref(jobs);
    free(path);
    return tasks > 1 && tasks <= KTI_MAX_POINTS ? (int)tasks : 0;
}

/* The run in a folder, else the points of a sweep, the parts of an array, the runs of several seeds. */
static kt_status add_folder(list *l, const char *folder, kt_error *error)
{
    const size_t before = l->size;
    const int tasks = find_tasks(folder);
    if (has(folder, "recipe.json"))
        return add_run(l, folder, 0, error);
    char *points = kti_path_join(folder, "points"), *parts = kti_path_join(folder, "parts");
    kt_status status = points && parts ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_is_folder(points))
        status = add_numbered(l, points, "", tasks, false, error);
    else if (status == KT_OK && kti_is_folder(parts))
        status = add_numbered(l, parts, "fold-", tasks, true, error);
    if (status == KT_OK)
        status = add_numbered(l, folder, "seed-", 0, false, error);
    if (status == KT_OK && l->size == before)
        status = has(folder, "submit") ? add_run(l, folder, 0, error)
                                       : kti_fail_file(error, KT_BAD_ARGUMENT, folder,
                                                       "is no run folder: it has no recipe.json");
    free(points);
    free(parts);
    return status;
}

/* ---- printing ---- */

static void print_table(const list *l)
{
    static const char *const header[] = {"run",    "state", "fold",       "epoch",
                                         "epochs", "best",  "MAPE there", "left"};
    kti_table table = {.columns = 8, .left = 2};
    for (int i = 0; i < 8; i++)
        kti_table_add(&table, "%s", header[i]);
    for (size_t i = 0; i < l->size; i++) {
        const row *r = &l->rows[i];
        char number[16] = "", left[32] = "";
        kti_table_add(&table, "%s", r->run);
        kti_table_add(&table, *r->owner ? "%s (%s)" : "%s", r->state, r->owner);
        snprintf(number, sizeof number, "%d", r->fold);
        kti_table_add(&table, "%s", r->fold ? number : "");
        kti_table_add(&table, r->at.found ? "%d" : "-", r->at.epoch);
        kti_table_add(&table, r->epochs ? "%d" : "-", r->epochs);
        kti_table_add(&table, r->at.best_epoch ? "%d" : "-", r->at.best_epoch);
        kti_table_add(&table, r->at.best_epoch && isfinite(r->at.best_mape) ? "%.3f" : "-", r->at.best_mape);
        if (isfinite(r->seconds_left))
            kti_format_duration(r->seconds_left, left, sizeof left);
        kti_table_add(&table, "%s", left);
    }
    kti_table_print(&table, 0);
    kti_table_destroy(&table);
}

static void set_count(json_t *object, const char *key, int value)
{
    json_object_set_new(object, key, value > 0 ? json_integer(value) : json_null());
}

static void print_json(const list *l)
{
    json_t *all = json_array();
    for (size_t i = 0; i < l->size; i++) {
        const row *r = &l->rows[i];
        const bool best = r->at.best_epoch > 0;
        json_t *one = json_object();
        json_object_set_new(one, "run", kti_json_text(r->run));
        json_object_set_new(one, "state", json_string(r->state));
        json_object_set_new(one, "owner", *r->owner ? kti_json_text(r->owner) : json_null());
        set_count(one, "fold", r->fold);
        json_object_set_new(one, "epoch", json_integer(r->at.epoch));
        set_count(one, "epochs", r->epochs);
        set_count(one, "best_epoch", r->at.best_epoch);
        json_object_set_new(one, "best_select_mape", best ? kti_json_real(r->at.best_mape) : json_null());
        json_object_set_new(one, "seconds_left", kti_json_real(r->seconds_left));
        json_array_append_new(all, one);
    }
    kti_json_print(all);
    json_decref(all);
}

typedef struct request {
    bool json;
} request;

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_BOOLEAN, .flag = "json", .offset = AT(json),
     .help = "for programs"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_status_command = {
    .name = "status",
    .summary = "how far runs are",
    .arguments = "RUN...",
    .about =
        "How far runs are, from their folders alone: of one stage or several, of an array, of a sweep, of "
        "several seeds; also while they are trained.",
    .notes =
        "A row is a fold: the state of its run, its epochs as far as they are kept, the best of them and "
        "its error (MAPE) on the rows that choose it. The time left is that of the run. Exit status: 0 "
        "done, 1 failed, 2 wrong usage.",
    .options = {option_table},
    .run = run,
};

static int run(int argc, char **argv)
{
    kt_error error = KT_ERROR_NONE;
    kt_status status = KT_OK;
    list l = {0};
    request r = {0};
    const int exit_status = kti_command_read(&kti_status_command, argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    if (optind == argc)
        return kti_cli_usage(argv[0], "name a run folder");
    for (int i = optind; i < argc && status == KT_OK; i++)
        status = add_folder(&l, argv[i], &error);
    if (status == KT_OK && r.json)
        print_json(&l);
    else if (status == KT_OK)
        print_table(&l);
    for (size_t i = 0; i < l.size; i++)
        free(l.rows[i].run);
    free(l.rows);
    return status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
}
