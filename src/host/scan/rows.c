#include "scan/rows.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/description.h"
#include "predictor/ensemble.h"

const char *kti_scan_quantity(const kti_scan_options *o)
{
    return o->model_options.property == KT_EFORM ? "eform" : "kappa";
}

kt_status kti_rows_add_header(const kti_scan_options *o, const kt_model *model, kti_text *header,
                              kt_error *error)
{
    const char *q = kti_scan_quantity(o);
    kti_text_add(header, "id,formula,atoms,%s_mean,%s_std,%s_min,%s_max", q, q, q, q);
    if (o->model_options.property == KT_KAPPA)
        kti_text_add(header, ",kappa_geometric,kappa_log_std");
    if (kt_model_has_log_sd(model))
        kti_text_add(header, ",%s_low,%s_high", q, q);
    if (kt_model_can_judge(model))
        kti_text_add(header, ",kappa_low_90,kappa_high_90,distance,warnings");
    for (int i = 0; i < kt_model_members(model); i++)
        kti_text_add(header, ",fold_%d", kt_model_member_fold(model, i));
    if (o->features)
        kti_text_add(header, ",volume,density,atomic_density,mean_mass,elements,space_group");
    return header->failed ? kti_fail_memory(error, "the scan") : KT_OK;
}

/* Each row is one line: control characters in a field, line ends among them, are shown as '?'. */
static void add_field(kti_text *text, const char *field)
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

static void add_judgement(const kt_model *model, const kti_prediction *p, const double *log_sd,
                          kti_text *rows)
{
    kt_judgement j;
    kti_model_judge_graph(model, p->graph, p->value, log_sd, &j);
    kti_text_add_number(rows, j.low);
    kti_text_add_number(rows, j.high);
    kti_text_add(rows, ",%.4g,%s", j.distance, j.warnings);
}

static void add_description(const kt_structure *structure, kti_text *rows)
{
    const kti_description d = kti_describe(structure);
    kti_text_add(rows, ",%.9g,%.9g,%.9g,%.9g,%d,%d", d.volume, d.density, d.atomic_density, d.mean_mass,
                 d.elements, d.space_group);
}

bool kti_rows_add(const kti_scan_options *o, const kt_model *model, const kti_prediction *p, kti_text *rows)
{
    const int members = kt_model_members(model);
    const double *log_sd = kt_model_has_log_sd(model) ? p->log_sd : NULL;
    const kti_ensemble all = kti_ensemble_of(p->value, log_sd, members);
    char formula[64];
    if (!(all.mean < o->below))
        return false;
    kt_structure_formula(p->structure, formula, sizeof formula);
    add_field(rows, p->id);
    kti_text_add(rows, ",%s,%d,%.9g,%.9g,%.9g,%.9g", formula, p->structure->sites, all.mean, all.sd, all.min,
                 all.max);
    if (o->model_options.property == KT_KAPPA) {
        kti_text_add_number(rows, all.geometric);
        kti_text_add_number(rows, all.log_sd);
    }
    if (log_sd)
        kti_text_add(rows, ",%.9g,%.9g", all.low, all.high);
    if (kt_model_can_judge(model))
        add_judgement(model, p, log_sd, rows);
    for (int i = 0; i < members; i++)
        kti_text_add(rows, ",%.9g", p->value[i]);
    if (o->features)
        add_description(p->structure, rows);
    kti_text_add(rows, "\n");
    return true;
}

void kti_rejects_add(const kti_item *item, const kt_error *reason, kti_text *rejects)
{
    add_field(rejects, item->id);
    if (reason->line > 0)
        kti_text_add(rejects, ",%lld,", (long long)reason->line + item->lines_before);
    else
        kti_text_add(rejects, ",,");
    add_field(rejects, reason->message);
    kti_text_add(rejects, "\n");
}
