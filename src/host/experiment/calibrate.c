#include "experiment/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "experiment/metrics_file.h"
#include "experiment/results_origin.h"
#include "predictor/calibration_file.h"
#include "predictor/evaluate.h"
#include "predictor/model.h"
#include "train/members.h"
#include "train/stages.h"

enum { TOGETHER = 32 }; /* crystals that are predicted at a time */

/* "Na Cl", each once, by atomic number. */
static void name_elements(const kti_graph *graph, char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = '\0';
    for (int z = 1; z <= KTI_ATOMIC_NUMBERS; z++) {
        bool there = false;
        for (int n = 0; n < graph->nodes; n++)
            there = there || graph->node_type[n] == kti_element_type(z);
        if (there && used < capacity)
            used += (size_t)snprintf(text + used, capacity - used, "%s%s", used > 0 ? " " : "",
                                     kti_element_symbol(z));
    }
}

static kt_status add_crystals(const kti_dataset *dataset, kti_calibration *c, kt_error *error)
{
    char elements[4 * KTI_ELEMENT_TYPES];
    kt_status status = KT_OK;
    for (; c->sets < dataset->parts && status == KT_OK; c->sets++) {
        c->set[c->sets] = kti_duplicate_text(dataset->part[c->sets].name);
        status = c->set[c->sets] ? KT_OK : kti_fail_memory(error, "a calibration");
    }
    for (int i = 0; i < dataset->size && status == KT_OK; i++) {
        const kti_crystal *crystal = &dataset->crystals[i];
        name_elements(&crystal->graph, elements, sizeof elements);
        kti_known_crystal known = {.id = crystal->id,
                                   .elements = elements,
                                   .set = crystal->part,
                                   .sites = crystal->graph.sites,
                                   .kappa = crystal->kappa,
                                   .nearest = NAN};
        memcpy(known.formula, crystal->formula, sizeof known.formula);
        status = kti_calibration_add(c, &known, crystal->graph.feature, error);
    }
    return status;
}

/* What a member says of the rows that its fold holds out. */
static kt_status ask_member(kt_model *model, int member, const kti_dataset *dataset, const int32_t *rows,
                            int size, kti_calibration *c, kt_error *error)
{
    const kti_graph *graphs[TOGETHER];
    double value[TOGETHER], log_sd[TOGETHER];
    kt_status status = KT_OK;
    for (int first = 0; first < size && status == KT_OK; first += TOGETHER) {
        const int count = size - first < TOGETHER ? size - first : TOGETHER;
        for (int i = 0; i < count; i++)
            graphs[i] = &dataset->crystals[rows[first + i]].graph;
        status = kti_model_predict_member(model, member, graphs, count, value, log_sd, error);
        for (int i = 0; i < count && status == KT_OK; i++)
            if (isfinite(value[i]))
                status = kti_calibration_add_held_out(c, rows[first + i], kt_model_member_fold(model, member),
                                                      value[i], log_sd[i], error);
    }
    return status;
}

kt_status kti_calibrate(const char *folder, const kti_dataset *dataset, bool quotient, kti_calibration *c,
                        kt_error *error)
{
    kt_model_options options = kt_model_options_default();
    kt_model *model = NULL;
    int size = 0;
    int32_t *rows = kti_allocate((size_t)dataset->size, sizeof *rows);
    char *path = kti_path_join(folder, KTI_CALIBRATION_FILE);
    *c = (kti_calibration){0};
    options.quotient = quotient;
    kt_status status = rows && path ? KT_OK : kti_fail_memory(error, "a calibration");
    if (status == KT_OK)
        status = kti_model_open(folder, &options, KTI_MODEL_IN_THE_MAKING, &model, error);
    if (status == KT_OK)
        status = add_crystals(dataset, c, error);
    for (int m = 0; status == KT_OK && m < kt_model_members(model); m++) {
        status = kti_judged_rows_of(dataset, kt_model_member_fold(model, m), KTI_ROWS_HELD_OUT, rows, &size,
                                    error);
        if (status == KT_OK)
            status = ask_member(model, m, dataset, rows, size, c, error);
    }
    if (status == KT_OK)
        status = kti_calibration_prepare(c, true, error);
    if (status == KT_OK)
        status = kti_calibration_write(c, path, error);
    kt_model_close(model);
    free(rows);
    free(path);
    if (status != KT_OK)
        kti_calibration_destroy(c);
    return status;
}

kt_status kti_calibrate_model(const char *model, const kti_dataset *dataset, kti_calibration *c,
                              kt_error *error)
{
    char *folder = NULL, *path = NULL;
    json_t *metrics = NULL;
    kt_interval_scores interval;
    *c = (kti_calibration){0};
    kt_status status = kti_stage_last(model, &folder, error);
    if (status == KT_OK && !(path = kti_path_join(folder, "metrics.json")))
        status = kti_fail_memory(error, "a path");
    if (status == KT_OK && !kti_file_exists(path))
        status = kti_fail_file(error, KT_IO, folder,
                               "is no finished run and no exported model: it has no metrics.json");
    if (status == KT_OK)
        status = kti_members_check(folder, 0, error);
    if (status == KT_OK)
        status = kti_json_read(path, KTI_METRICS_LIMIT, &metrics, error);
    if (status == KT_OK && !kti_results_are_of(metrics, dataset))
        status =
            kti_fail_file(error, KT_BAD_ARGUMENT, model,
                          "was trained on other data than %s: the fingerprint in its metrics.json is another",
                          dataset->name);
    if (status == KT_OK)
        status = kti_calibrate(folder, dataset, true, c, error);
    if (status == KT_OK)
        status = kti_results_set_interval(metrics, c, &interval, error);
    if (status == KT_OK)
        status = kti_json_write(path, metrics, error);
    if (status != KT_OK)
        kti_calibration_destroy(c);
    json_decref(metrics);
    free(folder);
    free(path);
    return status;
}
