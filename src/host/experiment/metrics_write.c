#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "experiment/metrics_file.h"
#include "statistics/metrics.h"
#include "train/recipe.h"

/* One order for all: that of the file. */
const kti_score_key kti_score_keys[KTI_SCORES] = {
    {"mape", offsetof(kt_scores, mape)},
    {"medape", offsetof(kt_scores, medape)},
    {"mae", offsetof(kt_scores, mae)},
    {"rmse", offsetof(kt_scores, rmse)},
    {"r2", offsetof(kt_scores, r2)},
    {"r2_log", offsetof(kt_scores, r2_log)},
    {"spearman", offsetof(kt_scores, spearman)},
    {"sre", offsetof(kt_scores, sre)},
};

double *kti_score(kt_scores *scores, int i)
{
    return (double *)((char *)scores + kti_score_keys[i].offset);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* {"mape": ..., ..., "last_epoch": {"mape": ...}} into `object`. */
static void add_scores(json_t *object, const kt_scores *best, const kt_scores *last)
{
    json_t *of_last = json_object();
    kt_scores copies[2] = {*best, *last};
    for (int i = 0; i < KTI_SCORES; i++) {
        json_object_set_new(object, kti_score_keys[i].name, number(*kti_score(&copies[0], i)));
        json_object_set_new(of_last, kti_score_keys[i].name, number(*kti_score(&copies[1], i)));
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
    for (int i = 0; i < KTI_SCORES && status == KT_OK; i++) {
        kti_summary summary;
        size = 0;
        for (int f = 0; f < result->folds; f++) {
            kt_scores scores;
            memcpy(&scores, (const char *)&result->fold[f] + offset, sizeof scores);
            if (scores.rows > 0)
                values[size++] = *kti_score(&scores, i);
        }
        status = kti_summarise(values, size, &summary, error);
        if (status == KT_OK)
            json_object_set_new(all, kti_score_keys[i].name,
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
    char *path = kti_path_join(run->options->run.out, "metrics.json");
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
