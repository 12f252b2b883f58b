#include "predictor/prediction_table.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { EVERYWHERE = KTI_IN_CSV | KTI_IN_JSON | KTI_IN_SCAN };

/* ---- values ---- */

#define NUMBER(name, value)                                                                                  \
    static double name(const kti_prediction *p)                                                              \
    {                                                                                                        \
        return value;                                                                                        \
    }
#define TEXT(name, value)                                                                                    \
    static const char *name(const kti_prediction *p)                                                         \
    {                                                                                                        \
        return value;                                                                                        \
    }

TEXT(id, p->id)
TEXT(formula, p->formula)
NUMBER(atoms, p->structure->sites)
NUMBER(mean, p->all.mean)
NUMBER(sd, p->all.sd)
NUMBER(min, p->all.min)
NUMBER(max, p->all.max)
NUMBER(geometric, p->all.geometric)
NUMBER(log_sd, p->all.log_sd)
NUMBER(low, p->all.low)
NUMBER(high, p->all.high)
NUMBER(low_90, p->judgement.low)
NUMBER(high_90, p->judgement.high)
NUMBER(distance, p->judgement.distance)
TEXT(warnings, p->judgement.warnings)
TEXT(nearest_id, p->judgement.nearest_id[0])
TEXT(nearest_formula, p->judgement.nearest_formula[0])
NUMBER(nearest_kappa, p->judgement.nearest_kappa[0])
NUMBER(volume, p->description.volume)
NUMBER(density, p->description.density)
NUMBER(atomic_density, p->description.atomic_density)
NUMBER(mean_mass, p->description.mean_mass)
NUMBER(elements, p->description.elements)
NUMBER(space_group, p->description.space_group)
NUMBER(debye_temperature, exp(p->graph->feature[KTI_LOG_DEBYE_TEMPERATURE]))
NUMBER(slack, exp(p->graph->feature[KTI_LOG_SLACK_KAPPA]))

/* ---- the list, in the order of the files ---- */

static const kti_prediction_column list[] = {
    {"file", "", "the crystal's file", KTI_ROLE_ID, KTI_IN_CSV | KTI_IN_JSON, .text = id},
    {"id", "", "the crystal: its path, `path#block`, `archive:path`", KTI_ROLE_ID, KTI_IN_SCAN, .text = id},
    {"formula", "", "reduced, the least electronegative element first", KTI_ROLE_LABEL, EVERYWHERE,
     .text = formula},
    {"atoms", "", "in the cell of the file", KTI_ROLE_CRYSTAL, EVERYWHERE, .number = atoms},
    {"_mean", NULL, "the members' mean", KTI_ROLE_MEAN, EVERYWHERE, .digits = 9, .number = mean},
    {"_std", NULL, "the members' population standard deviation", KTI_ROLE_SPREAD, EVERYWHERE, .digits = 9,
     .number = sd},
    {"_min", NULL, "the lowest prediction of a member", KTI_ROLE_STATISTIC, EVERYWHERE, .digits = 9,
     .number = min},
    {"_max", NULL, "the highest prediction of a member", KTI_ROLE_STATISTIC, EVERYWHERE, .digits = 9,
     .number = max},
    {"_geometric", NULL, "exp of the members' mean ln kappa", KTI_ROLE_STATISTIC, KTI_IN_SCAN,
     KTI_NEEDS_KAPPA, .digits = 9, .number = geometric},
    {"_log_std", "", "population standard deviation of the members' ln kappa", KTI_ROLE_STATISTIC,
     KTI_IN_SCAN, KTI_NEEDS_KAPPA, .digits = 9, .number = log_sd},
    {"_low", NULL, "lower end of 68 %: the members' distributions of ln kappa as one", KTI_ROLE_LOW,
     EVERYWHERE, KTI_NEEDS_LOG_SD, .level = 68, .digits = 9, .number = low},
    {"_high", NULL, "upper end of the 68 %", KTI_ROLE_HIGH, EVERYWHERE, KTI_NEEDS_LOG_SD, .level = 68,
     .digits = 9, .number = high},
    {"_low_90", NULL,
     "lower end of what holds 90 % of crystals like the training data; empty where there are too few to say",
     KTI_ROLE_LOW, EVERYWHERE, KTI_NEEDS_CALIBRATION, .level = 90, .digits = 9, .number = low_90},
    {"_high_90", NULL, "upper end of the 90 %", KTI_ROLE_HIGH, EVERYWHERE, KTI_NEEDS_CALIBRATION, .level = 90,
     .digits = 9, .number = high_90},
    {"distance", "sd", "of the nearest training crystal, in standard deviations of its features",
     KTI_ROLE_TRUST, EVERYWHERE, KTI_NEEDS_CALIBRATION, .digits = 4, .number = distance},
    {"warnings", "", "reasons not to believe it, with `;` between; in JSON a list", KTI_ROLE_WARNINGS,
     EVERYWHERE, KTI_NEEDS_CALIBRATION, .text = warnings},
    {"nearest_id", "", "the nearest training crystal", KTI_ROLE_TRUST, KTI_IN_CSV, KTI_NEEDS_CALIBRATION,
     .text = nearest_id},
    {"nearest_formula", "", "its formula", KTI_ROLE_TRUST, KTI_IN_CSV, KTI_NEEDS_CALIBRATION,
     .text = nearest_formula},
    {"nearest_kappa", "W/(m K)", "its kappa in the training data", KTI_ROLE_TRUST, KTI_IN_CSV,
     KTI_NEEDS_CALIBRATION, .digits = 9, .number = nearest_kappa},
    {"nearest", "", "the three nearest, each with `id`, `formula`, `kappa` and `distance`", KTI_ROLE_TRUST,
     KTI_IN_JSON, KTI_NEEDS_CALIBRATION, .number = NULL},
    {"fold_%d", NULL, "what each member predicts; the number is that of its fold", KTI_ROLE_MEMBER,
     EVERYWHERE, KTI_NEEDS_MEMBERS, .digits = 9},
    {"volume", "Å^3", "of the cell of the file", KTI_ROLE_CRYSTAL, KTI_IN_SCAN, KTI_NEEDS_FEATURES,
     .digits = 9, .number = volume},
    {"density", "g/cm^3", "mass over volume", KTI_ROLE_CRYSTAL, KTI_IN_SCAN, KTI_NEEDS_FEATURES, .digits = 9,
     .number = density},
    {"atomic_density", "1/Å^3", "atoms over volume", KTI_ROLE_CRYSTAL, KTI_IN_SCAN, KTI_NEEDS_FEATURES,
     .digits = 9, .number = atomic_density},
    {"mean_mass", "u", "of the atoms", KTI_ROLE_CRYSTAL, KTI_IN_SCAN, KTI_NEEDS_FEATURES, .digits = 9,
     .number = mean_mass},
    {"elements", "", "how many different ones", KTI_ROLE_CRYSTAL, KTI_IN_SCAN, KTI_NEEDS_FEATURES,
     .number = elements},
    {"space_group", "",
     "number, by spglib within 0.01 Å; 0: none found, or the cell has more than 1,000 atoms",
     KTI_ROLE_CRYSTAL, KTI_IN_SCAN, KTI_NEEDS_FEATURES, .number = space_group},
    {"debye_temperature", "K",
     "an estimate from distances, valences and masses, in which no model has a say "
     "([method.md](method.md#9-physical-features))",
     KTI_ROLE_CRYSTAL, KTI_IN_SCAN, KTI_NEEDS_FEATURES, .digits = 4, .number = debye_temperature},
    {"kappa_slack", "W/(m K)", "Slack's estimate of kappa by that temperature; likewise", KTI_ROLE_CRYSTAL,
     KTI_IN_SCAN, KTI_NEEDS_FEATURES, .digits = 4, .number = slack},
};

enum { SIZE = sizeof list / sizeof list[0] };

const kti_prediction_column *kti_prediction_columns(int *size)
{
    *size = SIZE;
    return list;
}

const char *kti_column_role_name(kti_column_role role)
{
    static const char *const names[KTI_ROLES] = {
        [KTI_ROLE_ID] = "id",
        [KTI_ROLE_LABEL] = "label",
        [KTI_ROLE_MEAN] = "prediction",
        [KTI_ROLE_SPREAD] = "spread",
        [KTI_ROLE_STATISTIC] = "statistic of the members",
        [KTI_ROLE_LOW] = "interval",
        [KTI_ROLE_HIGH] = "interval",
        [KTI_ROLE_TRUST] = "trust",
        [KTI_ROLE_WARNINGS] = "trust",
        [KTI_ROLE_MEMBER] = "member",
        [KTI_ROLE_CRYSTAL] = "of the crystal",
    };
    return names[role];
}

/* ---- writing ---- */

const char *kti_quantity_of(kt_property property)
{
    return property == KT_EFORM ? "eform" : "kappa";
}

kti_prediction_table kti_prediction_table_of(const kt_model *model, kt_property property, int writer,
                                             bool features)
{
    const bool members =
        writer == KTI_IN_SCAN || kt_model_members(model) > 1 || kt_model_member_fold(model, 0) > 0;
    return (kti_prediction_table){.model = model,
                                  .quantity = kti_quantity_of(property),
                                  .writer = writer,
                                  .has = (property == KT_KAPPA ? KTI_NEEDS_KAPPA : 0) |
                                         (kt_model_has_log_sd(model) ? KTI_NEEDS_LOG_SD : 0) |
                                         (kt_model_can_judge(model) ? KTI_NEEDS_CALIBRATION : 0) |
                                         (members ? KTI_NEEDS_MEMBERS : 0) |
                                         (features ? KTI_NEEDS_FEATURES : 0)};
}

int kti_prediction_table_count(const kti_prediction_table *t, const kti_prediction_column *column)
{
    if ((column->writers & t->writer) == 0 || (column->needs & ~t->has) != 0)
        return 0;
    return column->role == KTI_ROLE_MEMBER ? kt_model_members(t->model) : 1;
}

void kti_prediction_table_name(const kti_prediction_table *t, const kti_prediction_column *column, int member,
                               char name[64])
{
    if (column->role == KTI_ROLE_MEMBER)
        snprintf(name, 64, "fold_%d", kt_model_member_fold(t->model, member));
    else
        snprintf(name, 64, "%s%s", column->name[0] == '_' ? t->quantity : "", column->name);
}

kti_prediction kti_prediction_of(const kti_prediction_table *t, const char *id_of_crystal,
                                 const kt_structure *structure, const kti_graph *graph, const double *value,
                                 const double *log_sds)
{
    kti_prediction p = {.id = id_of_crystal, .structure = structure, .graph = graph, .value = value};
    p.log_sd = t->has & KTI_NEEDS_LOG_SD ? log_sds : NULL;
    p.all = kti_ensemble_of(value, p.log_sd, kt_model_members(t->model));
    return p;
}

void kti_prediction_describe(const kti_prediction_table *t, kti_prediction *p)
{
    kt_structure_formula(p->structure, p->formula, sizeof p->formula);
    if (t->has & KTI_NEEDS_CALIBRATION)
        kti_model_judge_graph(t->model, p->graph, p->value, p->log_sd, &p->judgement);
    if (t->has & KTI_NEEDS_FEATURES)
        p->description = kti_describe(p->structure);
}

void kti_prediction_table_add_header(const kti_prediction_table *t, kti_text *text)
{
    char name[64];
    for (int i = 0; i < SIZE; i++)
        for (int m = 0; m < kti_prediction_table_count(t, &list[i]); m++) {
            kti_prediction_table_name(t, &list[i], m, name);
            kti_text_add(text, "%s%s", text->size > 0 ? "," : "", name);
        }
}

void kti_add_line_field(kti_text *text, const char *field)
{
    char *shown = kti_duplicate_text(field);
    for (char *c = shown; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    if (shown)
        kti_text_add_csv(text, shown);
    else
        text->failed = true;
    free(shown);
}

static void add_value(const kti_prediction_table *t, const kti_prediction_column *column,
                      const kti_prediction *p, int member, kti_text *text)
{
    const double number = column->role == KTI_ROLE_MEMBER ? p->value[member]
                          : column->number                ? column->number(p)
                                                          : NAN;
    if (column->text && t->writer == KTI_IN_SCAN)
        kti_add_line_field(text, column->text(p));
    else if (column->text)
        kti_text_add_csv(text, column->text(p));
    else if (!isnan(number))
        kti_text_add(text, "%.*g", column->digits > 0 ? column->digits : 9, number);
}

void kti_prediction_table_add_row(const kti_prediction_table *t, const kti_prediction *p, kti_text *text)
{
    bool first = true;
    for (int i = 0; i < SIZE; i++)
        for (int m = 0; m < kti_prediction_table_count(t, &list[i]); m++) {
            kti_text_add(text, "%s", first ? "" : ",");
            add_value(t, &list[i], p, m, text);
            first = false;
        }
}

/* ---- reading ---- */

static bool is_member(const char *name)
{
    static const char begin[] = "fold_";
    const char *at = name + sizeof begin - 1;
    if (strncmp(name, begin, sizeof begin - 1) != 0 || !*at)
        return false;
    while (isdigit((unsigned char)*at))
        at++;
    return !*at;
}

const kti_prediction_column *kti_prediction_column_find(const char *name, const char *quantity)
{
    const size_t stem = strlen(quantity);
    const char *end = strncmp(name, quantity, stem) == 0 ? name + stem : "";
    for (int i = 0; i < SIZE; i++) {
        const kti_prediction_column *column = &list[i];
        if (column->role == KTI_ROLE_MEMBER ? is_member(name)
                                            : strcmp(column->name[0] == '_' ? end : name, column->name) == 0)
            return column;
    }
    return NULL;
}

bool kti_is_prediction(const char *name, const char *quantity)
{
    const kti_prediction_column *column = kti_prediction_column_find(name, quantity);
    return column && column->role != KTI_ROLE_CRYSTAL;
}

/* The quantity of a name "kappa_mean": what stands before the end of the mean's column. */
static bool find_quantity(const char *name, char quantity[32])
{
    for (int i = 0; i < SIZE; i++) {
        const size_t end = strlen(list[i].name), length = strlen(name);
        if (list[i].role != KTI_ROLE_MEAN || length <= end || length - end > 31 ||
            strcmp(name + length - end, list[i].name) != 0)
            continue;
        snprintf(quantity, 32, "%.*s", (int)(length - end), name);
        return true;
    }
    return false;
}

/* The first column of that role; of an interval's ends, of that level. */
static int place_of(const char *const *names, int count, const char *quantity, kti_column_role role,
                    int level)
{
    for (int i = 0; i < count; i++) {
        const kti_prediction_column *column = kti_prediction_column_find(names[i], quantity);
        if (column && column->role == role && column->level == level)
            return i;
    }
    return -1;
}

static void find_interval(const char *const *names, int count, kti_prediction_header *h)
{
    h->low = h->high = -1;
    h->level = 0;
    for (int i = 0; i < SIZE; i++) {
        if (list[i].role != KTI_ROLE_LOW || list[i].level <= h->level)
            continue;
        const int low_at = place_of(names, count, h->quantity, KTI_ROLE_LOW, list[i].level),
                  high_at = place_of(names, count, h->quantity, KTI_ROLE_HIGH, list[i].level);
        if (low_at < 0 || high_at < 0)
            continue;
        h->low = low_at;
        h->high = high_at;
        h->level = list[i].level;
    }
}

bool kti_prediction_header_read(const char *const *names, int count, const char *quantity,
                                kti_prediction_header *h)
{
    for (int i = 0; i < count; i++) {
        if (!find_quantity(names[i], h->quantity) || (quantity && strcmp(h->quantity, quantity) != 0))
            continue;
        h->mean = place_of(names, count, h->quantity, KTI_ROLE_MEAN, 0);
        h->sd = place_of(names, count, h->quantity, KTI_ROLE_SPREAD, 0);
        if (h->sd < 0)
            continue;
        h->formula = place_of(names, count, h->quantity, KTI_ROLE_LABEL, 0);
        h->warnings = place_of(names, count, h->quantity, KTI_ROLE_WARNINGS, 0);
        find_interval(names, count, h);
        return true;
    }
    return false;
}
