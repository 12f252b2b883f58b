#include "paper/tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "paper/series.h"
#include "statistics/welch.h"
#include "train/recipe.h"

#define OF(field) offsetof(kt_scores, field)

static const size_t best = offsetof(kt_fold_result, best), last = offsetof(kt_fold_result, last);

/* Whether anything of the model was trained. */
static bool is_there(const kti_reproduction *r, const kti_paper_model *model)
{
    return kti_reproduction_find(r, KT_PUBLISHED, model->name) ||
           kti_reproduction_find(r, KT_SOUND, model->name);
}

static kti_welch compare(const kti_series *ours, const kti_series *papers)
{
    const int sizes[2] = {ours->size, papers->size};
    return kti_welch_test(ours->value, papers->value, sizes);
}

/* ---- Markdown ---- */

/* " 0.394 (0.060) |" */
static kt_status add_mean(kti_text *text, const kti_series *series, kt_error *error)
{
    kti_summary s;
    if (series->size == 0) {
        kti_text_add(text, " - |");
        return KT_OK;
    }
    kt_status status = kti_series_summarise(series, &s, error);
    if (status != KT_OK)
        return status;
    if (s.size == 0)
        kti_text_add(text, " failed |");
    else if (s.size < series->size)
        kti_text_add(text, " %.3f (%.3f), %d of %d |", s.mean, s.sd, s.size, series->size);
    else
        kti_text_add(text, " %.3f (%.3f) |", s.mean, s.sd);
    return KT_OK;
}

static kt_status add_model_line(kti_text *text, const kti_reproduction *r, const kti_paper_model *model,
                                kt_error *error)
{
    const kt_train_result *published = kti_reproduction_find(r, KT_PUBLISHED, model->name),
                          *sound = kti_reproduction_find(r, KT_SOUND, model->name);
    const kti_series paper = kti_series_of_paper(model), ours = kti_series_in_paper_unit(published),
                     columns[] = {kti_series_mape(published), kti_series_mape(sound),
                                  kti_series_of(sound, last, OF(mape)),
                                  kti_series_of(sound, best, OF(medape)),
                                  kti_series_of(sound, best, OF(sre))};
    const kti_welch test = compare(&ours, &paper);
    kti_text_add(text, "| %s | %d |", model->name, model->step);
    kt_status status = add_mean(text, &paper, error);
    if (status == KT_OK)
        status = add_mean(text, &ours, error);
    if (isfinite(test.p))
        kti_text_add(text, " %.3f | %s |", test.p, test.p >= KTI_TABLES_LEVEL ? "yes" : "no");
    else
        kti_text_add(text, " - | - |");
    for (size_t i = 0; i < sizeof columns / sizeof columns[0] && status == KT_OK; i++)
        status = add_mean(text, &columns[i], error);
    kti_text_add(text, "\n");
    return status;
}

static kt_status add_overview(kti_text *text, const kti_reproduction *r, kt_error *error)
{
    kt_status status = KT_OK;
    kti_text_add(text, "| model | step | paper | `published` | p | within spread | `published`, W/(m K) | "
                       "`sound` | `sound`, last epoch | `sound`, median error | `sound`, kappa_SRE |\n"
                       "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < KTI_PAPER_MODELS && status == KT_OK; i++)
        if (is_there(r, &kti_paper_models[i]))
            status = add_model_line(text, r, &kti_paper_models[i], error);
    return status;
}

static kt_status add_fold_line(kti_text *text, const char *model, const char *whose, const kti_series *series,
                               int folds, kt_error *error)
{
    if (series->size == 0)
        return KT_OK;
    kti_text_add(text, "| %s | %s |", model, whose);
    for (int f = 0; f < folds; f++)
        if (f < series->size && isfinite(series->value[f]))
            kti_text_add(text, " %.3f |", series->value[f]);
        else
            kti_text_add(text, f < series->size ? " failed |" : " |");
    kt_status status = add_mean(text, series, error);
    kti_text_add(text, "\n");
    return status;
}

static kt_status add_fold_lines(kti_text *text, const kti_reproduction *r, const kti_paper_model *model,
                                int folds, kt_error *error)
{
    const kt_train_result *published = kti_reproduction_find(r, KT_PUBLISHED, model->name),
                          *sound = kti_reproduction_find(r, KT_SOUND, model->name);
    const bool two_units =
        kti_series_of(published, offsetof(kt_fold_result, published_best), OF(mape)).size > 0;
    const kti_series paper = kti_series_of_paper(model), ours = kti_series_in_paper_unit(published),
                     true_unit = kti_series_mape(published), mended = kti_series_mape(sound);
    kt_status status = add_fold_line(text, model->name, "paper", &paper, folds, error);
    if (status == KT_OK)
        status = add_fold_line(text, model->name, two_units ? "`published`, the paper's unit" : "`published`",
                               &ours, folds, error);
    if (status == KT_OK && two_units)
        status = add_fold_line(text, model->name, "`published`, W/(m K)", &true_unit, folds, error);
    if (status == KT_OK)
        status = add_fold_line(text, model->name, "`sound`", &mended, folds, error);
    return status;
}

static int crystals_of(const kti_reproduction *r, const kti_paper_model *model)
{
    const kt_train_result *t = kti_reproduction_find(r, KT_PUBLISHED, model->name);
    t = t ? t : kti_reproduction_find(r, KT_SOUND, model->name);
    return t ? t->crystals : 0;
}

static kt_status add_set(kti_text *text, const kti_reproduction *r, kti_paper_set set, kt_error *error)
{
    bool begun = false, has_paper = false;
    kt_status status = KT_OK;
    for (int i = 0; i < KTI_PAPER_MODELS; i++)
        has_paper = has_paper || (kti_paper_models[i].set == set && kti_paper_models[i].has_published &&
                                  is_there(r, &kti_paper_models[i]));
    const int folds = has_paper ? KTI_PAPER_RUNS : r->options.folds;
    for (int i = 0; i < KTI_PAPER_MODELS && status == KT_OK; i++) {
        const kti_paper_model *model = &kti_paper_models[i];
        if (model->set != set || !is_there(r, model))
            continue;
        if (!begun) {
            kti_text_add(text, "\n## %s, %d crystals: MAPE fold by fold\n\n| model | whose |",
                         kti_paper_set_titles[set], crystals_of(r, model));
            for (int f = 1; f <= folds; f++)
                kti_text_add(text, " %d |", f);
            kti_text_add(text, " mean (std) |\n| --- | --- |");
            for (int f = 1; f <= folds + 1; f++)
                kti_text_add(text, " --- |");
            kti_text_add(text, "\n");
            begun = true;
        }
        status = add_fold_lines(text, r, model, folds, error);
    }
    return status;
}

/* A line of the ablation; that of the base itself has no `ablation`. */
static kt_status add_ablation_line(kti_text *text, const kti_reproduction *r, const kti_paper_ablation *a,
                                   bool is_base, kt_error *error)
{
    const kt_train_result *base = kti_reproduction_find(r, a->protocol, a->base),
                          *changed = is_base ? base : kti_reproduction_find(r, a->protocol, a->stage);
    const kti_series of_base = kti_series_mape(base), mape = kti_series_mape(changed),
                     difference = kti_series_difference(&mape, &of_base),
                     reported = kti_series_in_paper_unit(changed),
                     at_end = kti_series_of(changed, last, OF(mape)),
                     sre = kti_series_of(changed, best, OF(sre)), none = {0};
    const kti_series *const columns[] = {&reported, &mape, is_base ? &none : &difference, &at_end, &sre};
    kt_status status = KT_OK;
    kti_text_add(text, "| %d | `%s`%s%s |", a->step, kti_protocol_names[a->protocol], is_base ? "" : ", ",
                 is_base ? "" : kti_paper_fault_text(a->fault, a->protocol));
    for (size_t i = 0; i < sizeof columns / sizeof columns[0] && status == KT_OK; i++)
        status = add_mean(text, columns[i], error);
    kti_text_add(text, "\n");
    return status;
}

static kt_status add_ablation(kti_text *text, const kti_reproduction *r, kt_error *error)
{
    bool begun = false;
    const char *base = NULL;
    kt_protocol protocol = KT_SOUND;
    kt_status status = KT_OK;
    for (int i = 0; i < KTI_PAPER_ABLATIONS && status == KT_OK; i++) {
        const kti_paper_ablation *a = &kti_paper_ablations[i];
        if (!kti_reproduction_find(r, a->protocol, a->stage) ||
            !kti_reproduction_find(r, a->protocol, a->base))
            continue;
        if (!begun)
            kti_text_add(
                text,
                "\n"
                "## What each fault is worth: Togo15, one switch at a time\n\n"
                "From `sound` one fault is added, from `published` one is mended. \"Reported\" is MAPE as "
                "that run would report it:\n"
                "of a compressed kappa where AFLOW's target transform is restored. The difference is in W/(m "
                "K), fold by fold against\n"
                "the line that it starts from. An epoch chosen on inner rows costs a fifth of the training "
                "rows. A restored transform has\n"
                "no effect in Step 2, whose start weights have no head. In Step 3 the weights are loaded or "
                "not where the AFLOW model\n"
                "starts.\n\n"
                "| step | run | MAPE, reported | MAPE, W/(m K) | difference | MAPE, last epoch | kappa_SRE "
                "|\n"
                "| --- | --- | --- | --- | --- | --- | --- |\n");
        begun = true;
        if (!base || base != a->base || protocol != a->protocol)
            status = add_ablation_line(text, r, a, true, error);
        base = a->base;
        protocol = a->protocol;
        if (status == KT_OK)
            status = add_ablation_line(text, r, a, false, error);
    }
    return status;
}

static void add_preface(kti_text *text, const kti_reproduction *r)
{
    const kti_reproduce_options *o = &r->options;
    kti_text_add(text, "# The models of the paper, reproduced\n\n");
    if (kti_reproduction_is_short(r))
        kti_text_add(
            text,
            "**A shortened run**: %d folds of %d epochs (AFLOW: %d), where the paper has %d of 300. It "
            "shows that everything\nworks; its numbers are not those to compare with the paper's.\n\n",
            o->folds, o->epochs, o->aflow_epochs, KTI_PAPER_RUNS);
    else
        kti_text_add(text, "%d folds of %d epochs (AFLOW: %d), seed %lld.\n\n", o->folds, o->epochs,
                     o->aflow_epochs, (long long)o->seed);
    kti_text_add(
        text,
        "MAPE as a fraction, mean and population standard deviation over folds, on the 20 %% of the rows "
        "that a fold does not\n"
        "train on. *Paper* is what its authors released. `published` is our run with the published code's "
        "faults: weights never\n"
        "loaded, the target transform of the start weights restored in Step 3, the epoch chosen on the "
        "reported rows. `sound` has\n"
        "none of them.\n\n"
        "The paper's Step 3 is of a compressed kappa: labels are standardised with their own set's transform "
        "and decoded with\n"
        "AFLOW's. Its MIX is of another one: its halves are standardised apart and decoded with the "
        "transform of both. There\n"
        "`published` is shown in the paper's unit, to compare, and in W/(m K). p is that of Welch's "
        "two-sided t-test between the\n"
        "paper's runs and ours; from p = %.2f on, ours lie within the run-to-run spread. The published Step "
        "2 loads nothing, so\n"
        "that it is Step 1 again with other random numbers: seed %lld in place of %lld.\n",
        KTI_TABLES_LEVEL, (long long)o->seed + 1, (long long)o->seed);
}

static kt_status write_markdown(const kti_reproduction *r, kt_error *error)
{
    kti_text text = {0};
    char *path = kti_path_join(r->options.out, "tables.md");
    kt_status status = KT_OK;
    add_preface(&text, r);
    kti_text_add(&text, "\n## All models\n\n");
    if (status == KT_OK)
        status = add_overview(&text, r, error);
    for (int set = 0; set < KTI_PAPER_SETS && status == KT_OK; set++)
        status = add_set(&text, r, (kti_paper_set)set, error);
    if (status == KT_OK)
        status = add_ablation(&text, r, error);
    if (status == KT_OK)
        status = kti_text_write(&text, path, "the tables", error);
    kti_text_destroy(&text);
    free(path);
    return status;
}

kt_status kti_tables_overview(const kti_reproduction *r, char **out, kt_error *error)
{
    kti_text text = {0};
    kt_status status = add_overview(&text, r, error);
    if (status == KT_OK && text.failed)
        status = kti_fail_memory(error, "the tables");
    *out = NULL;
    if (status == KT_OK)
        *out = text.data;
    else
        kti_text_destroy(&text);
    return status;
}

/* ---- JSON ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* {"folds": [...], "mean": ..., "std": ...}; null without values. */
static kt_status series_to_json(const kti_series *series, json_t **made, kt_error *error)
{
    kti_summary s;
    *made = NULL;
    if (series->size == 0) {
        *made = json_null();
        return KT_OK;
    }
    kt_status status = kti_series_summarise(series, &s, error);
    if (status != KT_OK)
        return status;
    json_t *folds = json_array();
    for (int i = 0; i < series->size; i++)
        json_array_append_new(folds, number(series->value[i]));
    *made = json_pack("{s:o, s:o, s:o}", "mean", number(s.mean), "std", number(s.sd), "folds", folds);
    return *made ? KT_OK : kti_fail_memory(error, "the tables");
}

static kt_status set_series(json_t *object, const char *key, const kti_series *series, kt_error *error)
{
    json_t *value;
    kt_status status = series_to_json(series, &value, error);
    if (status == KT_OK && json_object_set_new(object, key, value) != 0)
        status = kti_fail_memory(error, "the tables");
    return status;
}

/* The scores of a stage; null if it was not trained. */
static kt_status result_to_json(const kt_train_result *t, json_t **made, kt_error *error)
{
    const struct {
        const char *key;
        kti_series series;
    } columns[] = {
        {"mape", kti_series_mape(t)},
        {"mape_last_epoch", kti_series_of(t, last, OF(mape))},
        {"medape", kti_series_of(t, best, OF(medape))},
        {"sre", kti_series_of(t, best, OF(sre))},
        {"mape_published_unit", kti_series_of(t, offsetof(kt_fold_result, published_best), OF(mape))},
    };
    kt_status status = KT_OK;
    *made = t ? json_pack("{s:i}", "crystals", t->crystals) : json_null();
    if (!*made)
        return kti_fail_memory(error, "the tables");
    for (size_t i = 0; t && i < sizeof columns / sizeof columns[0] && status == KT_OK; i++)
        status = set_series(*made, columns[i].key, &columns[i].series, error);
    return status;
}

static kt_status model_to_json(const kti_reproduction *r, const kti_paper_model *model, json_t *list,
                               kt_error *error)
{
    json_t *object = json_pack("{s:s, s:s, s:i}", "model", model->name, "set",
                               kti_paper_set_names[model->set], "step", model->step);
    if (!object || json_array_append_new(list, object) != 0)
        return kti_fail_memory(error, "the tables");
    const kti_series paper = kti_series_of_paper(model),
                     ours = kti_series_in_paper_unit(kti_reproduction_find(r, KT_PUBLISHED, model->name));
    const kti_welch test = compare(&ours, &paper);
    kt_status status = set_series(object, "paper", &paper, error);
    for (int i = 0; i < 2 && status == KT_OK; i++) {
        json_t *result = NULL;
        status = result_to_json(kti_reproduction_find(r, (kt_protocol)i, model->name), &result, error);
        if (json_object_set_new(object, kti_protocol_names[i], result) != 0 && status == KT_OK)
            status = kti_fail_memory(error, "the tables");
    }
    json_t *welch = isfinite(test.p) ? json_pack("{s:f, s:f, s:f, s:b}", "t", test.t, "freedom", test.freedom,
                                                 "p", test.p, "within_spread", test.p >= KTI_TABLES_LEVEL)
                                     : json_null();
    if (status == KT_OK && json_object_set_new(object, "welch", welch) != 0)
        status = kti_fail_memory(error, "the tables");
    return status;
}

static kt_status ablation_to_json(const kti_reproduction *r, const kti_paper_ablation *a, json_t *list,
                                  kt_error *error)
{
    const kt_train_result *base = kti_reproduction_find(r, a->protocol, a->base),
                          *changed = kti_reproduction_find(r, a->protocol, a->stage);
    if (!base || !changed)
        return KT_OK;
    json_t *result = NULL;
    json_t *object =
        json_pack("{s:s, s:i, s:s, s:s, s:s}", "protocol", kti_protocol_names[a->protocol], "step", a->step,
                  "change", kti_paper_fault_text(a->fault, a->protocol), "base", a->base, "stage", a->stage);
    if (!object || json_array_append_new(list, object) != 0)
        return kti_fail_memory(error, "the tables");
    const kti_series mape = kti_series_mape(changed), of_base = kti_series_mape(base),
                     difference = kti_series_difference(&mape, &of_base);
    kt_status status = result_to_json(changed, &result, error);
    if (json_object_set_new(object, "scores", result) != 0 && status == KT_OK)
        status = kti_fail_memory(error, "the tables");
    if (status == KT_OK)
        status = set_series(object, "mape_difference", &difference, error);
    return status;
}

static kt_status write_json(const kti_reproduction *r, kt_error *error)
{
    const kti_reproduce_options *o = &r->options;
    json_t *models = json_array(), *ablation = json_array();
    json_t *root = json_pack("{s:s, s:b, s:i, s:i, s:i, s:I, s:s, s:f, s:o, s:o}", "units", "W/(m K)",
                             "shortened", kti_reproduction_is_short(r), "folds", o->folds, "epochs",
                             o->epochs, "aflow_epochs", o->aflow_epochs, "seed", (json_int_t)o->seed, "test",
                             "Welch's t-test, two-sided, paper's runs against the published protocol's",
                             "level", KTI_TABLES_LEVEL, "models", models, "ablation", ablation);
    char *path = kti_path_join(o->out, "tables.json");
    kt_status status = root && path ? KT_OK : kti_fail_memory(error, "the tables");
    for (int i = 0; i < KTI_PAPER_MODELS && status == KT_OK; i++)
        if (is_there(r, &kti_paper_models[i]))
            status = model_to_json(r, &kti_paper_models[i], models, error);
    for (int i = 0; i < KTI_PAPER_ABLATIONS && status == KT_OK; i++)
        status = ablation_to_json(r, &kti_paper_ablations[i], ablation, error);
    if (status == KT_OK)
        status = kti_json_write(path, root, error);
    json_decref(root);
    free(path);
    return status;
}

kt_status kti_tables_write(const kti_reproduction *r, kt_error *error)
{
    kt_status status = write_markdown(r, error);
    return status == KT_OK ? write_json(r, error) : status;
}
