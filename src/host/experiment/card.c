#include "experiment/card.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "experiment/sources.h"
#include "train/recipe.h"

enum { LINE = 120 };

/* ---- scores ---- */

/* "0.457 (0.030)", or "-" where no fold has a finite one. */
static void add_score(kti_text *text, const json_t *summary, const char *key)
{
    const json_t *score = json_object_get(summary, key), *mean = json_object_get(score, "mean"),
                 *std = json_object_get(score, "std");
    if (json_is_number(mean) && json_is_number(std))
        kti_text_add(text, " %.3f (%.3f) |", json_number_value(mean), json_number_value(std));
    else
        kti_text_add(text, " - |");
}

static void add_row(kti_text *text, const char *what, const char *epoch, const json_t *summary)
{
    if (!json_is_object(summary))
        return;
    kti_text_add(text, "| %s%s |", what, epoch);
    add_score(text, summary, "mape");
    add_score(text, summary, "medape");
    add_score(text, summary, "sre");
    add_score(text, summary, "r2_log");
    kti_text_add(text, "\n");
}

static void add_rows(kti_text *text, const kti_card *card, const char *what, const json_t *object)
{
    const bool epochs = card->options->epochs > 0;
    add_row(text, what, epochs ? ", chosen epoch (these weights)" : "", json_object_get(object, "summary"));
    if (epochs && card->options->select != KT_SELECT_LAST)
        add_row(text, what, ", last epoch", json_object_get(object, "summary_last_epoch"));
}

static void add_scores(kti_text *text, const kti_card *card, const char *dataset)
{
    const json_t *sets = json_object_get(card->metrics, "data_sets"), *set;
    size_t i;
    kti_text_add(
        text,
        "## Scores\n\n"
        "kappa in W/(m K); each member on the 20 %% of the crystals that its split keeps from it. Mean over "
        "the splits, population\n"
        "standard deviation in brackets. MAPE, median error and kappa_SRE (the mean of 2 |a - b| / (a + b)) "
        "are fractions.\n\n"
        "| on | MAPE | median error | kappa_SRE | R2(log) |\n"
        "| --- | --- | --- | --- | --- |\n");
    add_rows(text, card, dataset, card->metrics);
    json_array_foreach(sets, i, set)
    {
        const char *name = json_string_value(json_object_get(set, "dataset"));
        if (name)
            add_rows(text, card, name, set);
    }
    kti_text_add(
        text, "\nThe members' mean, which `predict` gives, is not scored: each crystal was seen by most of "
              "them. metrics.json has every fold.\n\n");
}

/* ---- the other chapters ---- */

static const char *head_text(const kt_train_options *o)
{
    switch (o->head) {
    case KT_HEAD_NETWORK: return "a MEGNet graph network";
    case KT_HEAD_GP:
        return o->readout_components > 0 ? "a Gaussian process on physical features of the crystal and the "
                                           "read-out of a MEGNet graph network"
                                         : "a Gaussian process on physical features of the crystal";
    case KT_HEAD_AVERAGE: break;
    }
    return "a MEGNet graph network averaged with a Gaussian process on physical features of the crystal";
}

static const char *protocol_text(const kt_train_options *o)
{
    if (o->protocol == KT_PUBLISHED)
        return "published: as the published code (ParAIsite, PCCP 2026) runs, its faults included; for "
               "comparison only";
    return o->select == KT_SELECT_OUTER ? "sound, but for the epoch: it was chosen on the very rows that are "
                                          "reported, which flatters the scores"
                                        : "sound: nothing was chosen on the rows that are reported";
}

static const char *select_text(const kt_train_options *o)
{
    if (o->epochs == 0)
        return "none: there is no epoch to choose";
    return o->select == KT_SELECT_INNER
               ? "the epoch with the least MAPE on an inner part of the training rows"
           : o->select == KT_SELECT_OUTER ? "the epoch with the least MAPE on the reported rows"
                                          : "none: the last epoch";
}

static bool has_network(const kt_train_options *o)
{
    return o->head != KT_HEAD_GP || o->readout_components > 0;
}

/* Keys that say nothing about this model. */
static bool is_idle(const char *key, const kt_train_options *o)
{
    static const char *const network[] = {"epochs", "batch", "seed", "learning_rate", "min_learning_rate",
                                          "loss",   "freeze"};
    static const char *const process[] = {"gp_features", "gp_kernel", "readout_components"};
    for (size_t i = 0; i < sizeof network / sizeof network[0]; i++)
        if (strcmp(key, network[i]) == 0)
            return !has_network(o) || (o->epochs == 0 && i > 0);
    if (strcmp(key, "physics_inputs") == 0)
        return !has_network(o);
    for (size_t i = 0; i < sizeof process / sizeof process[0]; i++)
        if (strcmp(key, process[i]) == 0)
            return o->head == KT_HEAD_NETWORK;
    return false;
}

static void add_value(kti_text *text, const json_t *value)
{
    char number[64];
    if (json_is_string(value)) {
        char path[1024];
        kti_portable_path(json_string_value(value), path, sizeof path);
        kti_text_add(text, "%s", path);
    } else if (json_is_object(value)) { /* the only one: {"stage": NAME} */
        kti_text_add(text, "stage %s of the same recipe", json_string_value(json_object_get(value, "stage")));
    } else if (json_is_integer(value)) {
        kti_text_add(text, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        kti_text_add(text, "%s",
                     kti_number_text(json_real_value(value), number, sizeof number) ? number : "-");
    } else {
        kti_text_add(text, "%s", json_is_true(value) ? "yes" : "no");
    }
}

static kt_status add_training(kti_text *text, const kti_card *card, kt_error *error)
{
    static const char *const keys[] = {
        "folds",  "epochs",         "batch", "seed",        "learning_rate", "min_learning_rate", "loss",
        "freeze", "physics_inputs", "head",  "gp_features", "gp_kernel",     "readout_components"};
    json_t *recipe = kti_keys_to_json(card->options);
    if (!recipe)
        return kti_fail_memory(error, "a model card");
    const json_t *from = json_object_get(recipe, "from");
    kti_text_add(text, "## How it was trained\n\n| | |\n| --- | --- |\n| start weights | ");
    if (json_is_null(from))
        kti_text_add(text, "%s", has_network(card->options) ? "random" : "none: no network takes part");
    else
        add_value(text, from);
    kti_text_add(text, " |\n");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (!is_idle(keys[i], card->options)) {
            kti_text_add(text, "| %s | ", keys[i]);
            add_value(text, json_object_get(recipe, keys[i]));
            kti_text_add(text, " |\n");
        }
    kti_text_add(
        text,
        "\nrecipe.json has every key; of paths outside the folder of the training it has the last part.\n\n");
    json_decref(recipe);
    return KT_OK;
}

static void add_elements(kti_text *text, const kti_coverage *coverage)
{
    int size = 0;
    for (int i = 0; i < KTI_ELEMENT_TYPES; i++)
        size += coverage->element[i];
    kti_text_add(text, "- %d elements:", size);
    for (int z = 1, column = 20; z <= KTI_ATOMIC_NUMBERS; z++) {
        const int type = kti_element_type(z);
        if (type < 0 || !coverage->element[type])
            continue;
        const char *symbol = kti_element_symbol(z);
        const int width = (int)strlen(symbol) + 1;
        const bool wraps = column + width > LINE;
        kti_text_add(text, "%s%s", wraps ? "\n  " : " ", symbol);
        column = wraps ? width + 1 : column + width;
    }
    kti_text_add(text, "\n");
}

static void add_range(kti_text *text, const kti_card *card)
{
    const kti_coverage *c = card->coverage;
    kti_text_add(
        text,
        "## Valid range\n\nLattice thermal conductivity at 300 K, in W/(m K), of crystals like those it "
        "was trained on:\n\n");
    if (c->known) {
        kti_text_add(text,
                     "- %d crystals of at most %lld sites, kappa from %.4g to %.4g, half of them below %.4g "
                     "W/(m K)\n",
                     c->crystals, (long long)c->max_sites, c->min, c->max, c->median);
        add_elements(text, c);
    } else {
        kti_text_add(
            text,
            "- the training data were not at hand when this card was written, so neither their range of "
            "kappa nor their elements are known\n");
    }
    kti_text_add(
        text,
        "\nElsewhere (other elements, other structures, values outside that range) it extrapolates, and "
        "the spread of the members\nmay not show it. Disordered crystals are refused.\n\n");
}

static void add_interval_row(kti_text *text, const char *what, const json_t *of)
{
    const json_t *coverage = json_object_get(of, "coverage"), *std = json_object_get(of, "coverage_std"),
                 *factor = json_object_get(of, "factor");
    if (json_is_number(coverage) && json_is_number(std) && json_is_number(factor))
        kti_text_add(text, "| %s | %.1f %% (%.1f) | %.2f |\n", what, 100 * json_number_value(coverage),
                     100 * json_number_value(std), json_number_value(factor));
}

static void add_interval(kti_text *text, const kti_card *card, const char *dataset)
{
    const json_t *interval = json_object_get(card->metrics, "interval"), *set;
    size_t i;
    if (!json_is_number(json_object_get(interval, "coverage")))
        return;
    kti_text_add(
        text,
        "## Interval\n\n"
        "`predict` and `scan` give an interval for 90 %% of crystals like the training data, by what the "
        "members said of\n"
        "crystals that they had not seen (calibration.csv). How often it held, each split judged by the "
        "others, mean and population\n"
        "standard deviation over the splits, and the median factor from its middle to its ends:\n\n"
        "| on | held | factor |\n"
        "| --- | --- | --- |\n");
    add_interval_row(text, dataset, interval);
    json_array_foreach(json_object_get(interval, "data_sets"), i, set)
    {
        const char *name = json_string_value(json_object_get(set, "dataset"));
        if (name)
            add_interval_row(text, name, set);
    }
    if (card->options->select == KT_SELECT_OUTER && card->options->epochs > 0)
        kti_text_add(
            text,
            "\nThe epoch was chosen on these very crystals, so the interval is too narrow for others.\n");
    kti_text_add(text, "\n");
}

static void add_precision(kti_text *text, const kti_card *card)
{
    const kti_rounding *r = card->rounding;
    if (!card->half || !has_network(card->options))
        return;
    kti_text_add(text, "Network weights are stored in half precision (F16). ");
    if (r->crystals > 0)
        kti_text_add(
            text,
            "Against the weights as trained the members' mean kappa of %d\ncrystals of the training data "
            "changes by at most %.2g %% (median %.2g %%).\n",
            r->crystals, 100 * r->max, 100 * r->median);
    else
        kti_text_add(text, "What that changes was not measured.\n");
    kti_text_add(text, "\n");
}

kt_status kti_card_write(const kti_card *card, kti_text *text, kt_error *error)
{
    const char *dataset;
    json_t *summary;
    kt_status status = kti_json_string(card->metrics, card->metrics_file, "dataset", &dataset, error);
    if (status == KT_OK)
        status = kti_json_object(card->metrics, card->metrics_file, "summary", &summary, error);
    if (status != KT_OK)
        return status;
    kti_text_add(text, "# %s\n\nLattice thermal conductivity of crystals, by %s; a model for kappatune.\n\n",
                 card->name, head_text(card->options));
    kti_text_add(text, "```sh\nkappatune predict %s my.cif\n", card->path);
    if (has_network(card->options))
        kti_text_add(text, "kappatune train --data my_data --from %s\n", card->path);
    kti_text_add(text,
                 "```\n\n| | |\n| --- | --- |\n| data set | %s |\n| protocol | %s |\n| selection | %s |\n",
                 dataset, protocol_text(card->options), select_text(card->options));
    kti_text_add(text, "| members | %d, member n trained on the 80 %% that split n leaves |\n\n",
                 card->members);
    add_precision(text, card);
    add_scores(text, card, dataset);
    add_interval(text, card, dataset);
    status = add_training(text, card, error);
    add_range(text, card);
    kti_text_add(text, "## Licence and attribution\n\n- The weights: %s.\n%s",
                 card->licence ? card->licence : "whoever exported them stated no licence", card->credits);
    if (status == KT_OK && text->failed)
        status = kti_fail_memory(error, "a model card");
    return status;
}
