#include "scan/rows.h"

kti_prediction_table kti_rows_table(const kti_scan_options *o, const kt_model *model)
{
    return kti_prediction_table_of(model, o->model_options.property, KTI_IN_SCAN, o->features);
}

bool kti_rows_add(const kti_scan_options *o, const kti_prediction_table *table, kti_prediction *p,
                  kti_text *rows)
{
    if (!(p->all.mean < o->below))
        return false;
    kti_prediction_describe(table, p);
    kti_prediction_table_add_row(table, p, rows);
    kti_text_add(rows, "\n");
    return true;
}

void kti_rejects_add(const kti_item *item, const kt_error *reason, kti_text *rejects)
{
    kti_add_line_field(rejects, item->id);
    if (reason->line > 0)
        kti_text_add(rejects, ",%lld,", (long long)reason->line + item->lines_before);
    else
        kti_text_add(rejects, ",,");
    kti_add_line_field(rejects, reason->message);
    kti_text_add(rejects, "\n");
}
