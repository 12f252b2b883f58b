#include "report/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/html.h"
#include "report/scan_summary.h"

static kt_status holds(const char *folder, const char *name, bool *found, kt_error *error)
{
    char *path = kti_path_join(folder, name);
    *found = path && kti_file_exists(path);
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    free(path);
    return status;
}

/* Whether two columns X_mean and X_std are in the header. */
static kt_status is_scan(const char *path, bool *found, kt_error *error)
{
    kti_csv csv;
    bool record;
    kti_prediction_header header;
    *found = false;
    kt_status status = kti_csv_open_stream(path, &csv, error);
    if (status == KT_OK)
        status = kti_csv_next(&csv, &record, error);
    if (status == KT_OK)
        *found = kti_scan_header(&csv, &header);
    kti_csv_close(&csv);
    return status;
}

kt_status kti_report_find_kind(const char *path, kti_report_kind *kind, kt_error *error)
{
    bool run = false, dataset = false, scan = false, tables = false;
    kt_status status = KT_OK;
    *kind = KTI_REPORT_DATASET;
    if (!kti_is_folder(path)) {
        status = is_scan(path, &scan, error);
        if (scan)
            *kind = KTI_REPORT_SCAN;
        return status;
    }
    status = holds(path, "recipe.json", &run, error);
    if (status == KT_OK)
        status = holds(path, "id_prop.csv", &dataset, error);
    if (status == KT_OK)
        status = holds(path, "tables.md", &tables, error);
    if (run || tables)
        *kind = run ? KTI_REPORT_RUN : KTI_REPORT_REPRODUCTION;
    if (status == KT_OK && !run && !dataset && !tables)
        status = kti_fail_file(
            error, KT_BAD_ARGUMENT, path,
            "is neither a run (it has no recipe.json; of several seeds, name RUN/seed-N), nor a data "
            "set (it has no id_prop.csv), nor a reproduction (it has no tables.md)");
    return status;
}

kt_status kti_report_write(const kti_report_options *options, kti_report_result *result, kt_error *error)
{
    static kt_status (*const pages[])(kti_report *, kt_error *) = {kti_report_run, kti_report_dataset,
                                                                   kti_report_scan, kti_report_reproduction};
    *result = (kti_report_result){0};
    kti_report report = {.options = options,
                         .result = result,
                         .plots = {.folder = options->folder, .formats = options->formats}};
    kt_status status = kti_report_find_kind(options->subject, &result->kind, error);
    if (status == KT_OK && result->kind != KTI_REPORT_DATASET && options->other_count > 0)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, options->subject,
                               "is no data set: only those are held against others");
    if (status == KT_OK && result->kind == KTI_REPORT_REPRODUCTION && options->formats)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, options->subject,
                               "is a reproduction, whose figures lie in its folder `figures` already");
    if (status == KT_OK && result->kind != KTI_REPORT_SCAN && options->rejects)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, options->subject,
                               "is no scan: only those have a file of rejects");
    if (status == KT_OK)
        status = pages[result->kind](&report, error);
    kti_html_end(&report.html, options->version);
    if (status == KT_OK)
        status = kti_text_write(&report.html, options->out, "the report", error);
    result->figures = report.plots.drawn;
    result->no_gnuplot = report.plots.missing;
    kti_text_destroy(&report.html);
    return status;
}
