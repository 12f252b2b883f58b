#include "experiment/results.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "statistics/metrics.h"
#include "train/checkpoint.h"
#include "train/members.h"
#include "train/recipe.h"

enum { MOST_STAGES = 1000 };

typedef struct score_key {
    const char *name;
    size_t offset;
} score_key;

static const score_key score_keys[] = {
    {"mape", offsetof(kt_scores, mape)},
    {"medape", offsetof(kt_scores, medape)},
    {"mae", offsetof(kt_scores, mae)},
    {"rmse", offsetof(kt_scores, rmse)},
    {"r2", offsetof(kt_scores, r2)},
    {"r2_log", offsetof(kt_scores, r2_log)},
    {"spearman", offsetof(kt_scores, spearman)},
    {"sre", offsetof(kt_scores, sre)},
};

enum { SCORES = sizeof score_keys / sizeof score_keys[0] };

static double *score(kt_scores *scores, int i)
{
    return (double *)((char *)scores + score_keys[i].offset);
}

void kt_train_result_destroy(kt_train_result *result)
{
    for (int i = 0; i < result->data_sets; i++)
        free(result->data_set[i]);
    free(result->fold);
    *result = (kt_train_result){0};
}

/* ---- collecting ---- */

/* Scores over the rows of one part, or of all (-1); `scaled`: of what loss and selection are of. Work space holds two
 * numbers a row. */
static kt_status score_rows(const kti_run *run, const kti_fold *fold, const double *predicted, int part,
                            bool scaled, double *work, kt_scores *scores, kt_error *error)
{
    const int32_t *rows = kti_fold_validate(fold);
    double *truth = work, *found = work + fold->validate_rows;
    int size = 0;
    *scores = (kt_scores){0};
    for (int i = 0; i < fold->validate_rows; i++) {
        const kti_crystal *crystal = &run->dataset->crystals[rows[i]];
        if (part >= 0 && crystal->part != part)
            continue;
        truth[size] = scaled ? kti_fold_scaled(fold, crystal->part, crystal->kappa) : crystal->kappa;
        found[size] = scaled ? kti_fold_scaled(fold, crystal->part, predicted[i]) : predicted[i];
        size++;
    }
    return size > 0 ? kti_scores(truth, found, size, scores, error) : KT_OK;
}

static kt_status score_fold(const kti_run *run, int index, kt_fold_result *r, kt_error *error)
{
    const kti_fold *fold = &run->fold[index];
    const kti_validation *v = &run->validation[index];
    double *work = kti_allocate(2 * (size_t)fold->validate_rows, sizeof *work);
    if (!work)
        return kti_fail_memory(error, "the results");
    kt_status status = score_rows(run, fold, v->best, -1, false, work, &r->best, error);
    if (status == KT_OK)
        status = score_rows(run, fold, v->last, -1, false, work, &r->last, error);
    for (int part = 0; part < run->dataset->parts && status == KT_OK; part++) {
        status = score_rows(run, fold, v->best, part, false, work, &r->set_best[part], error);
        if (status == KT_OK)
            status = score_rows(run, fold, v->last, part, false, work, &r->set_last[part], error);
    }
    if (status == KT_OK && fold->restored.sd != 0)
        status = score_rows(run, fold, v->best, -1, true, work, &r->published_best, error);
    if (status == KT_OK && fold->restored.sd != 0)
        status = score_rows(run, fold, v->last, -1, true, work, &r->published_last, error);
    free(work);
    return status;
}

kt_status kti_results_collect(const kti_run *run, kt_train_result *result, kt_error *error)
{
    kt_status status = KT_OK;
    *result = (kt_train_result){
        .crystals = run->dataset->size, .rejected = run->dataset->rejected, .interval = {NAN, NAN, NAN}};
    result->fold = kti_allocate((size_t)run->folds, sizeof *result->fold);
    if (!result->fold)
        status = kti_fail_memory(error, "the results");
    for (; result->data_sets < run->dataset->parts && status == KT_OK; result->data_sets++) {
        result->data_set[result->data_sets] = kti_duplicate_text(run->dataset->part[result->data_sets].name);
        if (!result->data_set[result->data_sets])
            status = kti_fail_memory(error, "the results");
    }
    for (int i = 0; i < run->folds && status == KT_OK; i++) {
        const kti_fold *fold = &run->fold[i];
        kt_fold_result *r = &result->fold[i];
        *r = (kt_fold_result){.fold = fold->number,
                              .train_rows = fold->train_rows,
                              .select_rows = fold->select_rows,
                              .validate_rows = fold->validate_rows,
                              .best_epoch = fold->best_epoch,
                              .skipped_steps = fold->skipped,
                              .rescues = fold->rescues};
        status = score_fold(run, i, r, error);
        r->collapsed =
            fold->best_epoch > 0 &&
            kti_spread_is_flat(fold->history[(fold->best_epoch - 1) * KTI_HISTORY_COLUMNS + KTI_SPREAD]);
        r->failed = !kti_fold_has_product(fold, run->options) || !isfinite(r->best.mape);
        result->folds++;
    }
    if (status != KT_OK)
        kt_train_result_destroy(result);
    return status;
}

/* ---- writing ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* {"mape": ..., ..., "last_epoch": {"mape": ...}} into `object`. */
static void add_scores(json_t *object, const kt_scores *best, const kt_scores *last)
{
    json_t *of_last = json_object();
    kt_scores copies[2] = {*best, *last};
    for (int i = 0; i < SCORES; i++) {
        json_object_set_new(object, score_keys[i].name, number(*score(&copies[0], i)));
        json_object_set_new(of_last, score_keys[i].name, number(*score(&copies[1], i)));
    }
    json_object_set_new(object, "last_epoch", of_last);
}

static json_t *fold_to_json(const kti_run *run, const kt_train_result *result, int index)
{
    const kt_fold_result *r = &result->fold[index];
    char fingerprint[24];
    json_t *object = json_pack("{s:i, s:i, s:i, s:i}", "fold", r->fold, "n_train", r->train_rows, "n_select",
                               r->select_rows, "n_validate", r->validate_rows);
    add_scores(object, &r->best, &r->last);
    json_object_set_new(object, "best_epoch", json_integer(r->best_epoch));
    json_object_set_new(object, "skipped_steps", json_integer(r->skipped_steps));
    json_object_set_new(object, "rescues", json_integer(r->rescues));
    json_object_set_new(object, "collapsed", json_boolean(r->collapsed));
    json_object_set_new(object, "failed", json_boolean(r->failed));
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, run->fold[index].start_fingerprint);
    json_object_set_new(object, "start_fingerprint", json_string(fingerprint));
    if (result->data_sets > 1) {
        json_t *sets = json_array();
        for (int i = 0; i < result->data_sets; i++) {
            json_t *set =
                json_pack("{s:s, s:i}", "dataset", result->data_set[i], "n_validate", r->set_best[i].rows);
            if (r->set_best[i].rows > 0)
                add_scores(set, &r->set_best[i], &r->set_last[i]);
            json_array_append_new(sets, set);
        }
        json_object_set_new(object, "data_sets", sets);
    }
    if (r->published_best.rows > 0) {
        json_t *published = json_object();
        add_scores(published, &r->published_best, &r->published_last);
        json_object_set_new(object, "published_unit", published);
    }
    return object;
}

/* Mean, standard deviation and median over the folds of the kt_scores at `offset` of kt_fold_result, those that have
 * rows, as `key`; nothing if none has. */
static kt_status add_summary(json_t *object, const char *key, const kt_train_result *result, size_t offset,
                             kt_error *error)
{
    kt_status status = KT_OK;
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    json_t *all = json_object();
    int size = 0;
    if (!values || !all)
        status = kti_fail_memory(error, "the results");
    for (int i = 0; i < SCORES && status == KT_OK; i++) {
        kti_summary summary;
        size = 0;
        for (int f = 0; f < result->folds; f++) {
            kt_scores scores;
            memcpy(&scores, (const char *)&result->fold[f] + offset, sizeof scores);
            if (scores.rows > 0)
                values[size++] = *score(&scores, i);
        }
        status = kti_summarise(values, size, &summary, error);
        if (status == KT_OK)
            json_object_set_new(all, score_keys[i].name,
                                json_pack("{s:i, s:o, s:o, s:o}", "folds", summary.size, "mean",
                                          number(summary.mean), "std", number(summary.sd), "median",
                                          number(summary.median)));
    }
    if (status == KT_OK && size > 0)
        json_object_set(object, key, all);
    json_decref(all);
    free(values);
    return status;
}

static kt_status add_data_sets(json_t *root, const kti_run *run, const kt_train_result *result,
                               kt_error *error)
{
    kt_status status = KT_OK;
    json_t *sets = json_array();
    for (int i = 0; i < result->data_sets && status == KT_OK; i++) {
        const size_t step = (size_t)i * sizeof(kt_scores);
        char fingerprint[24];
        snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64,
                 kti_dataset_part_fingerprint(run->dataset, i));
        json_t *set = json_pack("{s:s, s:i, s:s}", "dataset", result->data_set[i], "crystals",
                                run->dataset->part[i].size, "data_fingerprint", fingerprint);
        status = add_summary(set, "summary", result, offsetof(kt_fold_result, set_best) + step, error);
        if (status == KT_OK)
            status = add_summary(set, "summary_last_epoch", result, offsetof(kt_fold_result, set_last) + step,
                                 error);
        json_array_append_new(sets, set);
    }
    json_object_set_new(root, "data_sets", sets);
    return status;
}

static kt_status fill_root(json_t *root, const kti_run *run, const kt_train_result *result, kt_error *error)
{
    const kt_train_options *o = run->options;
    char fingerprint[24];
    json_t *folds = json_array();
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, run->fold[0].data_fingerprint);
    json_object_set_new(root, "protocol", json_string(kti_protocol_names[o->protocol]));
    json_object_set_new(root, "select", json_string(kti_select_names[o->select]));
    json_object_set_new(root, "dataset", json_string(run->dataset->name));
    json_object_set_new(root, "units", json_string("W/(m K)"));
    json_object_set_new(root, "crystals", json_integer(result->crystals));
    json_object_set_new(root, "rejected", json_integer(result->rejected));
    json_object_set_new(root, "data_fingerprint", json_string(fingerprint));
    for (int f = 0; f < result->folds; f++)
        json_array_append_new(folds, fold_to_json(run, result, f));
    json_object_set_new(root, "folds", folds);
    kt_status status = add_summary(root, "summary", result, offsetof(kt_fold_result, best), error);
    if (status == KT_OK)
        status = add_summary(root, "summary_last_epoch", result, offsetof(kt_fold_result, last), error);
    if (status == KT_OK)
        status = add_summary(root, "summary_published_unit", result, offsetof(kt_fold_result, published_best),
                             error);
    if (status == KT_OK)
        status = add_summary(root, "summary_last_epoch_published_unit", result,
                             offsetof(kt_fold_result, published_last), error);
    if (status == KT_OK && result->data_sets > 1)
        status = add_data_sets(root, run, result, error);
    return status;
}

static kt_status add_interval_scores(json_t *object, const kti_calibration *c, int set,
                                     kt_interval_scores *interval, kt_error *error)
{
    kti_interval_scores scores;
    kt_status status = kti_calibration_cover(c, set, &scores, error);
    if (status != KT_OK)
        return status;
    json_object_set_new(object, "folds", json_integer(scores.folds));
    json_object_set_new(object, "pairs", json_integer(scores.pairs));
    json_object_set_new(object, "coverage", number(scores.of.coverage));
    json_object_set_new(object, "coverage_std", number(scores.of.coverage_std));
    json_object_set_new(object, "factor", number(scores.of.factor));
    *interval = scores.of;
    return KT_OK;
}

kt_status kti_results_set_interval(json_t *metrics, const kti_calibration *calibration,
                                   kt_interval_scores *interval, kt_error *error)
{
    json_t *object = json_pack("{s:f}", "level", KTI_INTERVAL_LEVEL);
    kt_status status = object ? add_interval_scores(object, calibration, -1, interval, error)
                              : kti_fail_memory(error, "metrics.json");
    if (status == KT_OK && calibration->sets > 1)
        json_object_set_new(object, "data_sets", json_array());
    for (int i = 0; i < calibration->sets && calibration->sets > 1 && status == KT_OK; i++) {
        kt_interval_scores own;
        json_t *set = json_pack("{s:s}", "dataset", calibration->set[i]);
        status = add_interval_scores(set, calibration, i, &own, error);
        json_array_append_new(json_object_get(object, "data_sets"), set);
    }
    if (status == KT_OK && json_object_set(metrics, "interval", object) != 0)
        status = kti_fail_memory(error, "metrics.json");
    json_decref(object);
    return status;
}

kt_status kti_results_write(const kti_run *run, const kti_calibration *calibration, kt_train_result *result,
                            kt_error *error)
{
    json_t *root = json_object();
    char *path = kti_path_join(run->options->out, "metrics.json");
    kt_status status = root && path ? KT_OK : kti_fail_memory(error, "metrics.json");
    if (status == KT_OK)
        status = fill_root(root, run, result, error);
    if (status == KT_OK)
        status = kti_results_set_interval(root, calibration, &result->interval, error);
    if (status == KT_OK)
        status = kti_json_write(path, root, error);
    json_decref(root);
    free(path);
    return status;
}

/* ---- reading ---- */

static kt_status read_scores(const json_t *object, const char *file, int rows, kt_scores *best,
                             kt_scores *last, kt_error *error)
{
    json_t *of_last;
    kt_status status = kti_json_object(object, file, "last_epoch", &of_last, error);
    best->rows = last->rows = rows;
    for (int i = 0; i < SCORES && status == KT_OK; i++)
        for (int set = 0; set < 2 && status == KT_OK; set++) {
            const json_t *from = set ? of_last : object;
            double *to = score(set ? last : best, i);
            if (json_is_null(json_object_get(from, score_keys[i].name)))
                *to = NAN;
            else
                status = kti_json_number(from, file, score_keys[i].name, -INFINITY, INFINITY, to, error);
        }
    return status;
}

static kt_status read_count(const json_t *object, const char *file, const char *key, int *count,
                            kt_error *error)
{
    int64_t value = 0;
    kt_status status = kti_json_integer(object, file, key, 0, INT32_MAX, &value, error);
    *count = (int)value;
    return status;
}

static kt_status read_fold(const json_t *object, const char *file, kt_train_result *result, kt_fold_result *r,
                           kt_error *error)
{
    const struct {
        const char *key;
        int *count;
    } counts[] = {{"fold", &r->fold},
                  {"n_train", &r->train_rows},
                  {"n_select", &r->select_rows},
                  {"n_validate", &r->validate_rows},
                  {"best_epoch", &r->best_epoch},
                  {"skipped_steps", &r->skipped_steps},
                  {"rescues", &r->rescues}};
    kt_status status = KT_OK;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && status == KT_OK; i++)
        status = read_count(object, file, counts[i].key, counts[i].count, error);
    if (status == KT_OK)
        status = kti_json_boolean(object, file, "collapsed", &r->collapsed, error);
    if (status == KT_OK)
        status = kti_json_boolean(object, file, "failed", &r->failed, error);
    if (status == KT_OK)
        status = read_scores(object, file, r->validate_rows, &r->best, &r->last, error);
    json_t *published = json_object_get(object, "published_unit"),
           *sets = json_object_get(object, "data_sets");
    if (status == KT_OK && published)
        status =
            read_scores(published, file, r->validate_rows, &r->published_best, &r->published_last, error);
    if (result->data_sets == 1) {
        r->set_best[0] = r->best;
        r->set_last[0] = r->last;
    }
    for (int i = 0; i < result->data_sets && result->data_sets > 1 && status == KT_OK; i++) {
        const json_t *set = json_array_get(sets, (size_t)i);
        int rows = 0;
        status = read_count(set, file, "n_validate", &rows, error);
        if (status == KT_OK && rows > 0)
            status = read_scores(set, file, rows, &r->set_best[i], &r->set_last[i], error);
    }
    return status;
}

static kt_status read_names(const json_t *root, const char *file, kt_train_result *result, kt_error *error)
{
    const json_t *sets = json_object_get(root, "data_sets");
    const size_t size = sets ? json_array_size(sets) : 1;
    if (size < 1 || size > KT_MOST_DATA_SETS)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`data_sets` must list 1 to %d", KT_MOST_DATA_SETS);
    for (; result->data_sets < (int)size; result->data_sets++) {
        const json_t *from = sets ? json_array_get(sets, (size_t)result->data_sets) : root;
        const char *name;
        kt_status status = kti_json_string(from, file, "dataset", &name, error);
        if (status != KT_OK)
            return status;
        result->data_set[result->data_sets] = kti_duplicate_text(name);
        if (!result->data_set[result->data_sets])
            return kti_fail_memory(error, "the results");
    }
    return KT_OK;
}

static kt_status read_interval(const json_t *root, const char *file, kt_interval_scores *interval,
                               kt_error *error)
{
    const json_t *object = json_object_get(root, "interval"); /* earlier runs have none */
    const struct {
        const char *key;
        double *value;
    } numbers[] = {{"coverage", &interval->coverage},
                   {"coverage_std", &interval->coverage_std},
                   {"factor", &interval->factor}};
    kt_status status = KT_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == KT_OK; i++) {
        *numbers[i].value = NAN;
        if (json_is_object(object) && !json_is_null(json_object_get(object, numbers[i].key)))
            status = kti_json_number(object, file, numbers[i].key, 0, INFINITY, numbers[i].value, error);
    }
    return status;
}

kt_status kt_train_result_read(const char *run, kt_train_result *result, kt_error *error)
{
    json_t *root = NULL, *folds;
    char *path = kti_path_join(run, "metrics.json");
    *result = (kt_train_result){0};
    kt_status status =
        path ? kti_json_read(path, KTI_METRICS_LIMIT, &root, error) : kti_fail_memory(error, "a path");
    if (status == KT_OK)
        status = read_count(root, path, "crystals", &result->crystals, error);
    if (status == KT_OK)
        status = read_count(root, path, "rejected", &result->rejected, error);
    if (status == KT_OK)
        status = read_names(root, path, result, error);
    if (status == KT_OK)
        status = read_interval(root, path, &result->interval, error);
    if (status == KT_OK)
        status = kti_json_array(root, path, "folds", &folds, error);
    if (status == KT_OK) {
        const size_t size = json_array_size(folds);
        result->fold = kti_allocate(size, sizeof *result->fold);
        if (!result->fold)
            status = kti_fail_memory(error, "the results");
        for (; result->folds < (int)size && status == KT_OK; result->folds++)
            status = read_fold(json_array_get(folds, (size_t)result->folds), path, result,
                               &result->fold[result->folds], error);
    }
    json_decref(root);
    free(path);
    if (status != KT_OK)
        kt_train_result_destroy(result);
    return status;
}

/* ---- which data they are of ---- */

static bool is_fingerprint(const json_t *object, const char *key, uint64_t fingerprint)
{
    char text[24];
    const char *stored = json_string_value(json_object_get(object, key));
    snprintf(text, sizeof text, "%016" PRIx64, fingerprint);
    return stored && strcmp(stored, text) == 0;
}

bool kti_results_are_of(const json_t *metrics, const kti_dataset *dataset)
{
    return json_integer_value(json_object_get(metrics, "crystals")) == dataset->size &&
           (!json_object_get(metrics, "data_fingerprint") ||
            is_fingerprint(metrics, "data_fingerprint", kti_dataset_fingerprint(dataset)));
}

static kt_status has_files(const kt_train_options *options, const json_t *fold, bool *found, kt_error *error)
{
    const char *run = options->out;
    const int number = (int)json_integer_value(json_object_get(fold, "fold"));
    char *best = kti_checkpoint_path(run, number, "best.safetensors"),
         *last = kti_checkpoint_path(run, number, "last.safetensors");
    kt_status status = best && last ? KT_OK : kti_fail_memory(error, "a path");
    /* Without epochs there is nothing to go on from, and a fold that failed may have no product. */
    *found = status == KT_OK && (options->epochs == 0 || kti_file_exists(last)) &&
             (kti_file_exists(best) || (json_is_true(json_object_get(fold, "failed")) &&
                                        json_integer_value(json_object_get(fold, "best_epoch")) == 0));
    free(best);
    free(last);
    return status;
}

kt_status kti_results_are_current(const kt_train_options *options, uint64_t data_fingerprint,
                                  const kti_start *start, bool *current, kt_error *error)
{
    json_t *root = NULL, *fold;
    size_t i;
    kt_status status = KT_OK;
    char *path = kti_path_join(options->out, "metrics.json");
    *current = false;
    if (!path)
        return kti_fail_memory(error, "a path");
    if (kti_file_exists(path)) {
        status = kti_json_read(path, KTI_METRICS_LIMIT, &root, error);
        const json_t *folds = json_object_get(root, "folds");
        const size_t asked = (size_t)kti_fold_count(options);
        *current =
            is_fingerprint(root, "data_fingerprint", data_fingerprint) && json_array_size(folds) == asked;
        json_array_foreach(folds, i, fold)
        {
            const int number = options->only_fold ? options->only_fold : (int)i + 1;
            bool found = false;
            if (status != KT_OK || !*current)
                break;
            status = has_files(options, fold, &found, error);
            *current = found && json_integer_value(json_object_get(fold, "fold")) == number &&
                       is_fingerprint(fold, "start_fingerprint", kti_start_fingerprint(start, number));
        }
    }
    json_decref(root);
    free(path);
    return status;
}

static void mark_own(const json_t *metrics, const uint64_t *fingerprint, int sets, bool *own)
{
    const json_t *part;
    size_t i;
    for (int s = 0; s < sets; s++) {
        own[s] = own[s] || is_fingerprint(metrics, "data_fingerprint", fingerprint[s]);
        json_array_foreach(json_object_get(metrics, "data_sets"), i, part)
        {
            own[s] = own[s] || is_fingerprint(part, "data_fingerprint", fingerprint[s]);
        }
    }
}

/* The file of a run's folder, or NULL if it has none. */
static kt_status read_if_there(const char *run, const char *name, json_t **root, kt_error *error)
{
    char *path = kti_path_join(run, name);
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    *root = NULL;
    if (status == KT_OK && kti_file_exists(path))
        status = kti_json_read(path, KTI_METRICS_LIMIT, root, error);
    free(path);
    return status;
}

/* The folder of the stage that a stage started from, beside it; NULL if it started from none. */
static kt_status find_start(const char *run, char **start, kt_error *error)
{
    json_t *recipe = NULL;
    *start = NULL;
    kt_status status = read_if_there(run, "recipe.json", &recipe, error);
    const char *stage = json_string_value(json_object_get(json_object_get(recipe, "from"), "stage"));
    char *stages = stage ? kti_path_join(run, "..") : NULL;
    if (stages)
        *start = kti_path_join(stages, stage);
    if (status == KT_OK && stage && !*start)
        status = kti_fail_memory(error, "a path");
    free(stages);
    json_decref(recipe);
    return status;
}

kt_status kti_results_find_own(const char *run, const uint64_t *fingerprint, int sets, bool *own,
                               kt_error *error)
{
    kt_status status = KT_OK;
    char *folder = kti_duplicate_text(run);
    for (int i = 0; i < sets; i++)
        own[i] = false;
    if (!folder)
        status = kti_fail_memory(error, "a path");
    /* The limit is for recipes changed by hand: those that were trained start from an earlier stage. */
    for (int stages = 0; folder && stages < MOST_STAGES && status == KT_OK; stages++) {
        json_t *metrics = NULL;
        char *start = NULL;
        status = read_if_there(folder, "metrics.json", &metrics, error);
        mark_own(metrics, fingerprint, sets, own);
        json_decref(metrics);
        if (status == KT_OK)
            status = find_start(folder, &start, error);
        free(folder);
        folder = start;
    }
    free(folder);
    return status;
}
