#include "report/scan_summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"

enum { SAMPLE_STREAM = 0x72657031 };

/* Fields of a record. */
typedef struct fields {
    int count;
    kti_prediction_header at;
} fields;

void kti_scan_summary_destroy(kti_scan_summary *s)
{
    for (int i = 0; i < s->features; i++) {
        free(s->feature[i].name);
        free(s->feature[i].value);
    }
    kti_ranking_destroy(&s->top);
    kti_ranking_destroy(&s->low);
    for (int i = 0; i < s->warnings; i++)
        free(s->warning[i]);
    free(s->feature);
    free(s->count);
    free(s->mean);
    free(s->sd);
    kti_cloud_destroy(&s->spread);
    *s = (kti_scan_summary){0};
}

/* ---- the header ---- */

bool kti_scan_header(const kti_csv *csv, kti_prediction_header *header)
{
    const int kept = csv->fields < KTI_CSV_FIELDS ? csv->fields : KTI_CSV_FIELDS;
    return kti_prediction_header_read((const char *const *)csv->field, kept, NULL, header);
}

static kt_status read_header(kti_csv *csv, kti_scan_summary *s, fields *f, kt_error *error)
{
    bool found;
    kt_status status = kti_csv_next(csv, &found, error);
    if (status == KT_OK && csv->fields > KTI_CSV_FIELDS)
        status = kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "has more than %d columns",
                               KTI_CSV_FIELDS);
    if (status == KT_OK && !kti_scan_header(csv, &f->at))
        status = kti_fail_file(error, KT_BAD_FORMAT, csv->path,
                               "is no scan: it has no columns kappa_mean and kappa_std");
    if (status != KT_OK)
        return status;
    snprintf(s->quantity, sizeof s->quantity, "%s", f->at.quantity);
    s->logarithmic = strcmp(s->quantity, "kappa") == 0;
    f->count = csv->fields;
    s->has_interval = f->at.low >= 0;
    s->level = f->at.level;
    s->has_warnings = f->at.warnings >= 0;
    s->feature = kti_allocate((size_t)csv->fields, sizeof *s->feature);
    if (!s->feature)
        return kti_fail_memory(error, "the report");
    for (int i = 1; i < csv->fields; i++)
        if (!kti_is_prediction(csv->field[i], s->quantity)) {
            kti_scan_feature *made = &s->feature[s->features++];
            *made = (kti_scan_feature){kti_duplicate_text(csv->field[i]), i,
                                       kti_allocate(KTI_SCAN_SAMPLE, sizeof(double))};
            if (!made->name || !made->value)
                return kti_fail_memory(error, "the report");
        }
    return KT_OK;
}

/* ---- a row ---- */

static double number_of(const kti_csv *csv, int field)
{
    return field >= 0 ? kti_number_or_nan(csv->field[field]) : NAN;
}

static void destroy_row(void *item)
{
    kti_scan_row *row = item;
    free(row->id);
    free(row->formula);
    free(row);
}

/* Keeps a copy of the row if it is among the most extreme. */
static kt_status keep(kti_ranking *list, double value, const kti_scan_row *row, kt_error *error)
{
    if (!kti_ranking_takes(list, value))
        return KT_OK;
    kti_scan_row *copy = kti_allocate(1, sizeof *copy);
    if (!copy)
        return kti_fail_memory(error, "the report");
    *copy = *row;
    copy->id = kti_duplicate_text(row->id);
    copy->formula = kti_duplicate_text(row->formula);
    if (!copy->id || !copy->formula) {
        destroy_row(copy);
        return kti_fail_memory(error, "the report");
    }
    kti_ranking_add(list, value, copy);
    return KT_OK;
}

static kt_status count_warning(kti_scan_summary *s, const char *text, size_t length, kt_error *error)
{
    for (int i = 0; i < s->warnings; i++)
        if (strlen(s->warning[i]) == length && memcmp(s->warning[i], text, length) == 0) {
            s->warned[i]++;
            return KT_OK;
        }
    if (s->warnings == KTI_SCAN_WARNINGS) {
        s->other_warnings++;
        return KT_OK;
    }
    char *copy = kti_allocate(length + 1, 1);
    if (!copy)
        return kti_fail_memory(error, "the report");
    memcpy(copy, text, length);
    s->warning[s->warnings] = copy;
    s->warned[s->warnings++] = 1;
    return KT_OK;
}

/* "one; another": a number in it, as in "0.42 beyond", would make every one different, so that a warning is its text to a colon. */
static kt_status count_warnings(kti_scan_summary *s, const char *text, kt_error *error)
{
    kt_status status = KT_OK;
    bool any = false;
    while (*text && status == KT_OK) {
        text += strspn(text, "; ");
        const size_t length = strcspn(text, ";"), shown = strcspn(text, ";:");
        if (length > 0) {
            status = count_warning(s, text, shown, error);
            any = true;
        }
        text += length;
    }
    s->warned_rows += any;
    return status;
}

/* Reservoir sampling: every row is as likely to stay. */
static void sample(kti_scan_summary *s, const kti_csv *csv, const kti_scan_row *row, kti_random *random)
{
    size_t at = s->sampled;
    if (at == KTI_SCAN_SAMPLE) {
        const double drawn = kti_random_uniform(random) * (double)s->rows;
        if (drawn >= KTI_SCAN_SAMPLE)
            return;
        at = (size_t)drawn;
    } else {
        s->sampled++;
    }
    s->mean[at] = row->mean;
    s->sd[at] = row->sd;
    for (int i = 0; i < s->features; i++)
        s->feature[i].value[at] = number_of(csv, s->feature[i].field);
}

static kt_status add_row(kti_scan_summary *s, const kti_csv *csv, const fields *f, kti_random *random,
                         kt_error *error)
{
    if (csv->fields != f->count)
        return kti_fail_line(error, KT_BAD_FORMAT, csv->path, csv->line, "has %d fields, the header %d",
                             csv->fields, f->count);
    char none[] = "";
    const kti_scan_row row = {csv->field[0],
                              f->at.formula >= 0 ? csv->field[f->at.formula] : none,
                              number_of(csv, f->at.mean),
                              number_of(csv, f->at.sd),
                              number_of(csv, f->at.low),
                              number_of(csv, f->at.high)};
    s->rows++;
    kt_status status = f->at.warnings >= 0 ? count_warnings(s, csv->field[f->at.warnings], error) : KT_OK;
    if (!isfinite(row.mean)) {
        s->without++;
        return status;
    }
    s->sum += row.mean;
    s->min = fmin(s->min, row.mean);
    s->max = fmax(s->max, row.mean);
    const int bin = kti_axis_bin(&s->axis, row.mean);
    if (bin >= 0)
        s->count[bin]++;
    kti_cloud_add(&s->spread, row.mean, s->logarithmic ? row.sd / row.mean : row.sd);
    s->beyond += s->logarithmic && row.sd > row.mean / 2;
    sample(s, csv, &row, random);
    if (status == KT_OK)
        status = keep(&s->top, row.mean, &row, error);
    return status == KT_OK ? keep(&s->low, -row.mean, &row, error) : status;
}

static kt_status prepare(kti_scan_summary *s, kt_error *error)
{
    const kti_axis kappa = kti_axis_of_kappa(), energy = {.low = -6, .step = 0.1, .size = 120},
                   ratio = {.low = -4, .step = 0.05, .size = 120, .logarithmic = true};
    s->axis = s->logarithmic ? kappa : energy;
    s->min = INFINITY;
    s->max = -INFINITY;
    s->count = kti_allocate((size_t)s->axis.size, sizeof *s->count);
    s->mean = kti_allocate(KTI_SCAN_SAMPLE, sizeof *s->mean);
    s->sd = kti_allocate(KTI_SCAN_SAMPLE, sizeof *s->sd);
    if (!s->count || !s->mean || !s->sd)
        return kti_fail_memory(error, "the report");
    kt_status status = kti_ranking_create(KTI_SCAN_EXTREMES, destroy_row, &s->top, error);
    if (status == KT_OK)
        status = kti_ranking_create(KTI_SCAN_EXTREMES, destroy_row, &s->low, error);
    return status == KT_OK ? kti_cloud_create(s->axis, ratio, &s->spread, error) : status;
}

/* Columns of texts are no features; warnings by how often. */
static void tidy(kti_scan_summary *s)
{
    int kept = 0;
    for (int i = 0; i < s->features; i++) {
        bool numbers = false;
        for (size_t row = 0; row < s->sampled && !numbers; row++)
            numbers = isfinite(s->feature[i].value[row]) != 0;
        if (numbers) {
            s->feature[kept++] = s->feature[i];
            continue;
        }
        free(s->feature[i].name);
        free(s->feature[i].value);
    }
    s->features = kept;
    for (int i = 1; i < s->warnings; i++)
        for (int j = i; j > 0 && s->warned[j] > s->warned[j - 1]; j--) {
            char *const text = s->warning[j];
            const int64_t count = s->warned[j];
            s->warning[j] = s->warning[j - 1];
            s->warned[j] = s->warned[j - 1];
            s->warning[j - 1] = text;
            s->warned[j - 1] = count;
        }
}

kt_status kti_scan_summarise(const char *path, kti_scan_summary *s, kt_error *error)
{
    kti_csv csv;
    fields f = {0};
    bool found = true;
    kti_random random = kti_random_stream(0, SAMPLE_STREAM, 0, 0);
    *s = (kti_scan_summary){0};
    kt_status status = kti_csv_open_stream(path, &csv, error);
    if (status == KT_OK)
        status = read_header(&csv, s, &f, error);
    if (status == KT_OK)
        status = prepare(s, error);
    while (status == KT_OK && found) {
        status = kti_csv_next(&csv, &found, error);
        if (status == KT_OK && found)
            status = add_row(s, &csv, &f, &random, error);
    }
    kti_csv_close(&csv);
    tidy(s);
    if (status == KT_OK && s->rows == s->without)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, path, "has no row with a prediction");
    return status;
}

char *kti_scan_rejects_beside(const char *scan)
{
    static const char end[] = ".rejects.csv";
    const size_t length = strlen(scan),
                 stem = length > 4 && strcasecmp(scan + length - 4, ".csv") == 0 ? length - 4 : length;
    char *path = kti_allocate(stem + sizeof end, 1);
    if (path) {
        memcpy(path, scan, stem);
        memcpy(path + stem, end, sizeof end);
    }
    return path;
}
