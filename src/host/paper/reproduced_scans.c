#include "paper/reproduced_scans.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "predictor/calibration_file.h"
#include "report/comparison.h"
#include "train/recipe.h"
#include "train/stages.h"

/* The paper's: of its tables, and of its map. */
static const double TABLE_THRESHOLD = 0.1, MAP_THRESHOLD = 0.25;

const char *const kti_scanning_models[] = {"RWTG15", "FETG15", "FEAFTG15", "RWAFTG15", "RWAF", "FEAF", NULL};

enum { MODELS = sizeof kti_scanning_models / sizeof kti_scanning_models[0] - 1 };

char *kti_reproduced_scan(const kti_reproduction *r, kt_protocol protocol, const kti_scan_source *source,
                          const char *model)
{
    char name[512];
    snprintf(name, sizeof name, "scans/%s-%.200s/%.100s.csv", kti_protocol_names[protocol], source->name,
             model);
    return kti_path_join(r->options.out, name);
}

/* Variance of kappa over the crystals that a stage was trained on, by its calibration; NaN if it has none. */
static kt_status find_variance(const kti_reproduction *r, kt_protocol protocol, const char *model,
                               double *variance, kt_error *error)
{
    kti_calibration c = {0};
    kt_status status = KT_OK;
    char *run = kti_reproduction_folder(r, protocol), *stage = run ? kti_stage_path(run, model) : NULL,
         *path = stage ? kti_path_join(stage, KTI_CALIBRATION_FILE) : NULL;
    *variance = NAN;
    if (!path)
        status = kti_fail_memory(error, "a path");
    else if (kti_file_exists(path))
        status = kti_calibration_read(path, &c, error);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < c.size; i++)
        sum += c.crystal[i].kappa / (double)c.size;
    for (size_t i = 0; i < c.size; i++)
        squares += (c.crystal[i].kappa - sum) * (c.crystal[i].kappa - sum);
    if (status == KT_OK && c.size > 0)
        *variance = squares / (double)c.size;
    kti_calibration_destroy(&c);
    free(run);
    free(stage);
    free(path);
    return status;
}

static kt_status describe(const kti_reproduction *r, kt_protocol protocol, const kti_scan_source *source,
                          kti_text *text, bool *drawn, kt_error *error)
{
    char *paths[MODELS], name[512], title[400];
    const char *names[MODELS];
    int size = 0;
    kti_comparison comparison = {0};
    kt_status status = KT_OK;
    for (int m = 0; m < MODELS && status == KT_OK; m++)
        if (kti_reproduction_find(r, protocol, kti_scanning_models[m])) {
            names[size] = kti_scanning_models[m];
            paths[size] = kti_reproduced_scan(r, protocol, source, kti_scanning_models[m]);
            status = paths[size] ? KT_OK : kti_fail_memory(error, "a path");
            size += status == KT_OK;
        }
    if (status == KT_OK && size > 0)
        status = kti_comparison_read((const char *const *)paths, names, size, &comparison, error);
    for (int i = 0; i < comparison.size && status == KT_OK; i++)
        status = find_variance(r, protocol, names[i], &comparison.scan[i].of_training, error);
    if (status == KT_OK && comparison.size > 0) {
        kti_text_add(text, "\n## %s, protocol %s: %zu crystals\n\n", source->name,
                     kti_protocol_names[protocol], comparison.columns.rows);
        status = kti_comparison_describe(&comparison, TABLE_THRESHOLD, text, error);
    }
    snprintf(name, sizeof name, "figures/scan-%s-%.200s", kti_protocol_names[protocol], source->name);
    snprintf(title, sizeof title, "%zu crystals of %.200s, protocol %s", comparison.columns.rows,
             source->name, kti_protocol_names[protocol]);
    char *folder = kti_path_join(r->options.out, name);
    if (status == KT_OK && !folder)
        status = kti_fail_memory(error, "a path");
    if (status == KT_OK && comparison.size > 0)
        status = kti_comparison_draw(&comparison, folder, title, MAP_THRESHOLD, drawn, error);
    kti_comparison_destroy(&comparison);
    for (int i = 0; i < size; i++)
        free(paths[i]);
    free(folder);
    return status;
}

kt_status kti_reproduced_scans_describe(const kti_reproduction *r, const kti_scan_source *sources, int size,
                                        bool *drawn, kt_error *error)
{
    kti_text text = {0};
    kt_status status = KT_OK;
    char *path = kti_path_join(r->options.out, "scans.md");
    kti_text_add(&text,
                 "# Scans by the models of the paper\n\n"
                 "Variances as in the paper's Fig. 8, groups as in its Fig. 9, correlations as in its Tables "
                 "1 (RWTG15), 2 (FETG15), 3 (FEAFTG15) and\n"
                 "4 (RWAFTG15), which are of the crystals of Togo15; its Fig. 7 is "
                 "figures/scan-*/correlation, without cells whose |r| is below %g.\n"
                 "Each model's mean and variance are over its folds. A variance in (W/(m K))^2 grows with "
                 "the square of kappa; what depends on a few stiff\n"
                 "crystals has a large p.\n",
                 MAP_THRESHOLD);
    if (kti_reproduction_is_short(r))
        kti_text_add(&text, "\n**A shortened run**: fewer folds or epochs than the paper's.\n");
    for (int p = 0; p < 2 && status == KT_OK; p++)
        for (int s = 0; s < size && status == KT_OK; s++)
            if (r->options.protocol[p])
                status = describe(r, (kt_protocol)p, &sources[s], &text, drawn, error);
    if (status == KT_OK)
        status = kti_text_write(&text, path, "the tables", error);
    kti_text_destroy(&text);
    free(path);
    return status;
}
