#include "predictor/calibration_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/text.h"
#include "crystal/number.h"
#include "data/csv.h"

enum { ID, SET, FORMULA, SITES, ELEMENTS, KAPPA, HELD_OUT, NEAREST, FIXED };

static const char *const names[FIXED] = {"id",       "dataset", "formula",  "sites",
                                         "elements", "kappa",   "held_out", "nearest"};
enum {
    FEATURES = KTI_FEATURES_OF_CRYSTAL,
    COLUMNS = FIXED + FEATURES,
    MAX_CRYSTALS = 10000000,
    LONGEST_HELD_OUT = 1 << 16
};

static const char *column_name(int column)
{
    return column < FIXED ? names[column] : kti_feature_name((kti_feature)(column - FIXED));
}

/* ---- writing ---- */

/* "2:7.31 5:6.9:0.21", by fold: held_out is sorted so. */
static void add_held_out(const kti_calibration *c, const kti_held_out *const *list, size_t size,
                         kti_text *text)
{
    for (size_t i = 0; i < size; i++) {
        kti_text_add(text, "%s%d:%.9g", i > 0 ? " " : "", list[i]->fold, list[i]->value);
        if (c->has_log_sd)
            kti_text_add(text, ":%.9g", list[i]->log_sd);
    }
}

/* What is held out, crystal by crystal: places [size + 1] into the list [held_out_size]. */
static kt_status sort_by_crystal(const kti_calibration *c, size_t *place, const kti_held_out **list,
                                 kt_error *error)
{
    size_t *next = kti_allocate(c->size + 1, sizeof *next);
    if (!next)
        return kti_fail_memory(error, "a calibration");
    for (size_t i = 0; i < c->held_out_size; i++)
        place[c->held_out[i].crystal + 1]++;
    for (size_t i = 0; i < c->size; i++)
        place[i + 1] += place[i];
    memcpy(next, place, c->size * sizeof *next);
    for (size_t i = 0; i < c->held_out_size; i++)
        list[next[c->held_out[i].crystal]++] = &c->held_out[i];
    free(next);
    return KT_OK;
}

static void add_crystal(const kti_calibration *c, size_t i, const size_t *place,
                        const kti_held_out *const *list, kti_text *text)
{
    const kti_known_crystal *crystal = &c->crystal[i];
    kti_text_add_csv(text, crystal->id);
    kti_text_add(text, ",");
    kti_text_add_csv(text, c->set[crystal->set]);
    kti_text_add(text, ",");
    kti_text_add_csv(text, crystal->formula);
    kti_text_add(text, ",%lld,%s,%.9g,", (long long)crystal->sites, crystal->elements, crystal->kappa);
    add_held_out(c, list + place[i], place[i + 1] - place[i], text);
    kti_text_add(text, ",%.6g", crystal->nearest);
    for (int f = 0; f < FEATURES; f++)
        kti_text_add(text, ",%.6g", c->value[i * FEATURES + (size_t)f]);
    kti_text_add(text, "\n");
}

kt_status kti_calibration_write(const kti_calibration *c, const char *path, kt_error *error)
{
    kti_text text = {0};
    size_t *place = kti_allocate(c->size + 1, sizeof *place);
    const kti_held_out **list = kti_allocate(c->held_out_size, sizeof *list);
    kt_status status = place && list ? KT_OK : kti_fail_memory(error, "a calibration");
    if (status == KT_OK)
        status = sort_by_crystal(c, place, list, error);
    for (int i = 0; i < COLUMNS; i++)
        kti_text_add(&text, "%s%s", i > 0 ? "," : "", column_name(i));
    kti_text_add(&text, "\n");
    for (size_t i = 0; i < c->size && status == KT_OK; i++)
        add_crystal(c, i, place, list, &text);
    if (status == KT_OK)
        status = kti_text_write(&text, path, "a calibration", error);
    kti_text_destroy(&text);
    free(place);
    free(list);
    return status;
}

/* ---- reading ---- */

static kt_status bad(const kti_csv *csv, int column, kt_error *error)
{
    return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "%s: '%.60s' cannot be read",
                         column_name(column), csv->field[column]);
}

static bool read_number(const kti_csv *csv, int column, double *value)
{
    const char *text = csv->field[column];
    return kti_number_read(text, text + strlen(text), value);
}

static kt_status read_header(kti_csv *csv, kt_error *error)
{
    bool found;
    kt_status status = kti_csv_next(csv, &found, error);
    if (status != KT_OK)
        return status;
    bool right = found && csv->fields == COLUMNS;
    for (int i = 0; right && i < COLUMNS; i++)
        right = strcmp(csv->field[i], column_name(i)) == 0;
    return right ? KT_OK
                 : kti_fail_file(
                       error, KT_BAD_FORMAT, csv->path,
                       "is no calibration of this version of kappatune: its columns are others; make it "
                       "anew with kappatune calibrate");
}

static kt_status find_set(kti_calibration *c, const kti_csv *csv, int *set, kt_error *error)
{
    for (*set = 0; *set < c->sets; ++*set)
        if (strcmp(c->set[*set], csv->field[SET]) == 0)
            return KT_OK;
    if (c->sets == KT_MAX_DATA_SETS)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "names more than %d data sets",
                             KT_MAX_DATA_SETS);
    c->set[c->sets] = kti_duplicate_text(csv->field[SET]);
    return c->set[c->sets++] ? KT_OK : kti_fail_memory(error, "a calibration");
}

/* A number, and the place behind it and the mark that follows; NULL if there is none. */
static const char *part(const char *at, const char *end, double *value)
{
    const char *next = kti_number_prefix(at, end, value);
    return next && isfinite(*value) ? next : NULL;
}

static kt_status read_held_out(kti_calibration *c, const kti_csv *csv, kt_error *error)
{
    const char *at = csv->field[HELD_OUT], *end = at + strlen(at);
    while (at < end) {
        double fold, value, log_sd = NAN;
        at = part(at, end, &fold);
        if (!at || !(fold >= 1 && fold <= 1e6) || fold != floor(fold) || *at != ':')
            return bad(csv, HELD_OUT, error);
        at = part(at + 1, end, &value);
        if (at && *at == ':')
            at = part(at + 1, end, &log_sd);
        if (!at || (at < end && *at != ' '))
            return bad(csv, HELD_OUT, error);
        at += at < end;
        kt_status status = kti_calibration_add_held_out(c, (int)c->size - 1, (int)fold, value, log_sd, error);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

static kt_status read_crystal(kti_calibration *c, kti_csv *csv, kt_error *error)
{
    kti_known_crystal crystal = {.id = csv->field[ID], .elements = csv->field[ELEMENTS]};
    double sites = 0, feature[FEATURES];
    if (csv->fields != COLUMNS)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "has %d fields, not %d", csv->fields,
                             (int)COLUMNS);
    if (c->size >= MAX_CRYSTALS)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "more than %d crystals",
                             (int)MAX_CRYSTALS);
    if (!read_number(csv, SITES, &sites) || !(sites >= 1 && sites <= 1e9))
        return bad(csv, SITES, error);
    if (!read_number(csv, KAPPA, &crystal.kappa) || !(crystal.kappa > 0))
        return bad(csv, KAPPA, error);
    if (!read_number(csv, NEAREST, &crystal.nearest) || !(crystal.nearest >= 0))
        return bad(csv, NEAREST, error);
    for (int f = 0; f < FEATURES; f++)
        if (!read_number(csv, FIXED + f, &feature[f]))
            return bad(csv, FIXED + f, error);
    crystal.sites = (int64_t)sites;
    snprintf(crystal.formula, sizeof crystal.formula, "%s", csv->field[FORMULA]);
    kt_error own = KT_ERROR_NONE;
    kt_status status = find_set(c, csv, &crystal.set, error);
    if (status == KT_OK && kti_calibration_add(c, &crystal, feature, &own) != KT_OK)
        status = kti_fail_line(error, own.status, csv->path, csv->line, "%s", own.message);
    if (status == KT_OK)
        status = read_held_out(c, csv, error);
    return status;
}

kt_status kti_calibration_read(const char *path, kti_calibration *c, kt_error *error)
{
    kti_csv csv;
    bool found = true;
    *c = (kti_calibration){0};
    kt_status status = kti_csv_open_stream(path, &csv, error);
    csv.field_limit = LONGEST_HELD_OUT;
    if (status == KT_OK)
        status = read_header(&csv, error);
    while (status == KT_OK && (status = kti_csv_next(&csv, &found, error)) == KT_OK && found)
        status = read_crystal(c, &csv, error);
    if (status == KT_OK && c->size == 0)
        status = kti_fail_file(error, KT_BAD_FORMAT, path, "has no crystal");
    kt_error own = KT_ERROR_NONE;
    if (status == KT_OK && kti_calibration_prepare(c, false, &own) != KT_OK)
        status = kti_fail_file(error, own.status, path, "%s", own.message);
    kti_csv_close(&csv);
    if (status != KT_OK)
        kti_calibration_destroy(c);
    return status;
}
