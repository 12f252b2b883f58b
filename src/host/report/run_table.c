#include "report/run_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kappatune/train.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "report/columns.h"
#include "train/recipe.h"
#include "train/stages.h"

enum { MAX_LABEL_KEYS = 4, ROW_HEIGHT = 34, FRAME_HEIGHT = 110 };

/* ---- one run ---- */

static kt_status add_settings(json_t *settings, const json_t *recipe, const char *stage, kt_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)recipe, key, value)
    {
        char name[160];
        snprintf(name, sizeof name, "%s%s%s", stage, *stage ? "." : "", key);
        if (strcmp(key, "name") == 0)
            continue;
        if (json_object_set(settings, name, value) != 0)
            return kti_fail_memory(error, "the settings");
    }
    return KT_OK;
}

static kt_status read_settings(const char *run, json_t **settings, kt_error *error)
{
    json_t *recipe = NULL;
    const json_t *stage;
    size_t i;
    char *file = kti_path_join(run, "recipe.json");
    *settings = json_object();
    kt_status status = file && *settings ? kti_json_read(file, KTI_RECIPE_LIMIT, &recipe, error)
                                         : kti_fail_memory(error, "the settings");
    const json_t *stages = json_object_get(recipe, "stages");
    json_array_foreach(stages, i, stage)
    {
        const char *name = NULL;
        if (status == KT_OK)
            status = kti_json_string(stage, file, "name", &name, error);
        if (status == KT_OK)
            status = add_settings(*settings, stage, i + 1 < json_array_size(stages) ? name : "", error);
    }
    if (status == KT_OK && !stages)
        status = add_settings(*settings, recipe, "", error);
    json_decref(recipe);
    free(file);
    return status;
}

/* MAPE at the chosen epoch of each fold, of a network that chose it on inner rows: nothing else has such a score. */
static kt_status read_inner(const char *folder, const kt_train_result *result, kti_summary *inner,
                            kt_error *error)
{
    kt_recipe recipe = {0};
    kti_columns epochs = {0};
    const kt_train_options common = kt_train_options_default(KT_SOUND);
    char *file = kti_path_join(folder, "recipe.json"), *table = kti_path_join(folder, "epochs.csv");
    double *values = kti_allocate((size_t)result->folds, sizeof *values);
    kt_status status = file && table && values ? kt_recipe_read(file, &common, &recipe, error)
                                               : kti_fail_memory(error, "the scores");
    const kt_train_options *o = status == KT_OK ? &recipe.stage[0].options : &common;
    const bool has_inner = o->select == KT_SELECT_INNER && o->head == KT_HEAD_NETWORK;
    if (status == KT_OK && has_inner && kti_file_exists(table))
        status = kti_columns_read(table, &epochs, error);
    const kti_column *epoch = kti_columns_find(&epochs, "epoch"),
                     *mape = kti_columns_find(&epochs, "select_mape");
    for (int f = 0; values && f < result->folds; f++) {
        values[f] = NAN;
        for (size_t row = 0; row < epochs.rows && epoch && mape; row++)
            if (atoi(epochs.id[row]) == result->fold[f].fold &&
                epoch->value[row] == result->fold[f].best_epoch)
                values[f] = mape->value[row];
    }
    if (status == KT_OK)
        status = kti_summarise(values, result->folds, inner, error);
    kti_columns_destroy(&epochs);
    kt_recipe_destroy(&recipe);
    free(values);
    free(file);
    free(table);
    return status;
}

static kt_status read_scores(const char *folder, kti_run_row *run, kt_error *error)
{
    kt_train_result result = {0};
    double *mape = NULL, *sre = NULL;
    kt_status status = kt_train_result_read(folder, &result, error);
    if (status != KT_OK)
        return status;
    mape = kti_allocate((size_t)result.folds, sizeof *mape);
    sre = kti_allocate((size_t)result.folds, sizeof *sre);
    if (!mape || !sre)
        status = kti_fail_memory(error, "the scores");
    for (int f = 0; f < result.folds && status == KT_OK; f++) {
        mape[f] = result.fold[f].best.mape;
        sre[f] = result.fold[f].best.sre;
    }
    if (status == KT_OK)
        status = kti_summarise(mape, result.folds, &run->mape, error);
    if (status == KT_OK)
        status = kti_summarise(sre, result.folds, &run->sre, error);
    if (status == KT_OK)
        status = read_inner(folder, &result, &run->inner, error);
    run->folds = run->mape.size;
    free(mape);
    free(sre);
    kt_train_result_destroy(&result);
    return status;
}

kt_status kti_run_table_add(kti_run_table *table, const char *run, bool *finished, kt_error *error)
{
    char *folder = NULL, *metrics = NULL;
    kti_run_row one = {.run = kti_duplicate_text(run)};
    *finished = false;
    kt_status status = one.run ? kti_stage_last(run, &folder, error) : kti_fail_memory(error, "a run");
    if (status == KT_OK) {
        metrics = kti_path_join(folder, "metrics.json");
        status = metrics ? KT_OK : kti_fail_memory(error, "a path");
    }
    *finished = status == KT_OK && kti_file_exists(metrics);
    if (*finished)
        status = read_settings(run, &one.settings, error);
    if (*finished && status == KT_OK)
        status = read_scores(folder, &one, error);
    if (*finished && status == KT_OK &&
        kti_grow((void **)&table->run, table->size, &table->capacity, sizeof one) != 0)
        status = kti_fail_memory(error, "the runs");
    if (*finished && status == KT_OK) {
        table->run[table->size++] = one;
    } else {
        free(one.run);
        json_decref(one.settings);
    }
    free(folder);
    free(metrics);
    return status;
}

void kti_run_table_destroy(kti_run_table *table)
{
    for (size_t i = 0; i < table->size; i++) {
        free(table->run[i].run);
        json_decref(table->run[i].settings);
    }
    free(table->run);
    free(table->key);
    *table = (kti_run_table){0};
}

/* ---- between runs ---- */

static bool is_listed(const kti_run_table *c, const char *key)
{
    bool listed = false;
    for (size_t i = 0; i < c->keys && !listed; i++)
        listed = strcmp(c->key[i], key) == 0;
    return listed;
}

/* Whether two runs that both have the setting have it differently: what one lacks belongs to a stage that it lacks, too. */
static bool differs(const kti_run_table *c, const char *key, const json_t *value)
{
    bool same = true;
    for (size_t i = 0; i < c->size && same; i++) {
        const json_t *other = json_object_get(c->run[i].settings, key);
        same = !other || json_equal((json_t *)other, (json_t *)value);
    }
    return !same;
}

kt_status kti_run_table_find_keys(kti_run_table *table, kt_error *error)
{
    size_t capacity = 0;
    table->keys = 0;
    for (size_t i = 0; i < table->size; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(table->run[i].settings, key, value)
        {
            if (is_listed(table, key) || !differs(table, key, value))
                continue;
            if (kti_grow((void **)&table->key, table->keys, &capacity, sizeof *table->key) != 0)
                return kti_fail_memory(error, "the settings");
            table->key[table->keys++] = key;
        }
    }
    return KT_OK;
}

int kti_run_table_best(const kti_run_table *table)
{
    int best = -1;
    for (size_t i = 0; i < table->size; i++) {
        const kti_summary *inner = &table->run[i].inner;
        if (inner->size > 0 && (best < 0 || inner->mean < table->run[best].inner.mean))
            best = (int)i;
    }
    return best;
}

char *kti_run_table_setting(const kti_run_row *run, const char *key)
{
    char number[40];
    const json_t *value = json_object_get(run->settings, key);
    if (!value || json_is_null(value))
        return kti_duplicate_text("");
    if (json_is_string(value))
        return kti_duplicate_text(json_string_value(value));
    if (json_is_real(value) && kti_number_text(json_real_value(value), number, sizeof number))
        return kti_duplicate_text(number);
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* ---- the figure ---- */

/* "batch 8, seed 1" of the settings that differ, or the run's name where those are many or none. */
static void label_run(const kti_run_table *c, const kti_run_row *run, kti_text *label)
{
    if (c->keys == 0 || c->keys > MAX_LABEL_KEYS)
        kti_text_add(label, "%s", run->run);
    for (size_t i = 0; i < c->keys && c->keys <= MAX_LABEL_KEYS; i++) {
        char *value = kti_run_table_setting(run, c->key[i]);
        kti_text_add(label, "%s%s %s", i ? ", " : "", c->key[i], value ? value : "");
        free(value);
    }
}

static void add_points(kti_text *script, const kti_run_table *c, const char *name, bool inner)
{
    kti_text_add(script, "$%s << EOD\n", name);
    for (size_t i = 0; i < c->size; i++) {
        const kti_summary *s = inner ? &c->run[i].inner : &c->run[i].mape;
        if (s->size > 0)
            kti_text_add(script, "%.6g %.6g %.6g\n", s->mean, s->sd,
                         (double)(c->size - i) + (inner ? 0.12 : -0.12));
    }
    kti_text_add(script, "EOD\n");
}

kt_status kti_run_table_draw(const kti_run_table *table, kti_plots *plots, kt_error *error)
{
    kti_text script = {0}, page = {0};
    const bool has_inner = kti_run_table_best(table) >= 0;
    kti_plot_begin(&script);
    kti_text_add(&script, "set ytics (");
    for (size_t i = 0; i < table->size; i++) {
        kti_text label = {0};
        label_run(table, &table->run[i], &label);
        kti_text_add(&script, i ? ", " : "");
        kti_plot_quote(&script, label.data ? label.data : "");
        kti_text_add(&script, " %zu", table->size - i);
        script.failed = script.failed || label.failed;
        kti_text_destroy(&label);
    }
    kti_text_add(&script,
                 ")\nset yrange [0.4:%zu.6]\nset xrange [0:*]\nset key outside top center horizontal\n",
                 table->size);
    kti_text_add(&script, "set xlabel 'MAPE, fraction: mean and standard deviation over the folds'\n");
    if (has_inner)
        add_points(&script, table, "inner", true);
    add_points(&script, table, "outer", false);
    kti_text_add(&script, "plot ");
    if (has_inner)
        kti_text_add(&script, "$inner using 1:3:2 with xerrorbars pt 7 ps 0.8 lw 1.5 lc rgb '" KTI_BLUE
                              "' title 'inner rows (to choose by)', ");
    kti_text_add(&script, "$outer using 1:3:2 with xerrorbars pt 5 ps 0.8 lw 1.5 lc rgb '" KTI_ORANGE
                          "' title 'rows held out'\n");
    const int rows = table->size < 200 ? (int)table->size : 200;
    const kt_status status =
        kti_plot_finish(plots, "compare", 2 * KTI_PLOT_WIDTH, FRAME_HEIGHT + ROW_HEIGHT * rows, KTI_PLOT_MAP,
                        "", &script, &page, error);
    kti_text_destroy(&page);
    return status;
}
