#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "experiment/metrics_file.h"
#include "train/members.h"

static kt_status read_scores(const json_t *object, const char *file, int rows, kt_scores *best,
                             kt_scores *last, kt_error *error)
{
    json_t *of_last;
    kt_status status = kti_json_object(object, file, "last_epoch", &of_last, error);
    best->rows = last->rows = rows;
    for (int i = 0; i < KTI_SCORES && status == KT_OK; i++)
        for (int set = 0; set < 2 && status == KT_OK; set++) {
            const json_t *from = set ? of_last : object;
            double *to = kti_score(set ? last : best, i);
            if (json_is_null(json_object_get(from, kti_score_keys[i].name)))
                *to = NAN;
            else
                status = kti_json_number(from, file, kti_score_keys[i].name, -INFINITY, INFINITY, to, error);
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
    if (size < 1 || size > KT_MAX_DATA_SETS)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`data_sets` must list 1 to %d", KT_MAX_DATA_SETS);
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
