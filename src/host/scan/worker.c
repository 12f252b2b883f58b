#include "scan/worker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "scan/rows.h"

enum { TOGETHER = 20000 }; /* edges of the crystals that are predicted together */

/* A crystal between its text and its line. */
typedef struct crystal {
    kt_structure structure;
    kti_graph graph;
    kt_error reason; /* KT_OK while it can be used */
} crystal;

void kti_chunk_clear(kti_chunk *c)
{
    for (int i = 0; i < c->size; i++)
        kti_item_destroy(&c->item[i]);
    kti_text_destroy(&c->rows);
    kti_text_destroy(&c->rejects);
    *c = (kti_chunk){0};
}

kt_status kti_worker_create(const kti_scan_options *options, bool first, kti_worker *w, kt_error *error)
{
    w->options = options;
    kt_status status = kti_model_open(options->model, &options->model_options,
                                      KTI_MODEL_JUDGES | (first ? KTI_MODEL_IS_KNOWN : 0), &w->model, error);
    const size_t members = status == KT_OK ? (size_t)kt_model_members(w->model) : 1;
    w->value = kti_allocate(KTI_CHUNK * members, sizeof *w->value);
    w->log_sd = kti_allocate(KTI_CHUNK * members, sizeof *w->log_sd);
    if (status == KT_OK && (!w->value || !w->log_sd))
        status = kti_fail_memory(error, "a worker");
    return status;
}

void kti_worker_destroy(kti_worker *w)
{
    kt_model_close(w->model);
    free(w->value);
    free(w->log_sd);
}

/* The structure and the graph of an item, or the reason why there is none. */
static void prepare(const kti_worker *w, const kti_item *item, crystal *c)
{
    kti_graph_options options = kti_graph_options_default();
    options.quotient = w->options->model_options.quotient;
    c->reason = item->problem;
    kt_status status = item->problem.status;
    if (status == KT_OK)
        status = kti_structure_read_text(item->format, item->data, item->size, item->id, &c->structure,
                                         &c->reason);
    if (status == KT_OK)
        status = kti_graph_create(&c->structure, &options, item->id, &c->graph, &c->reason);
    if (status == KT_OK && c->graph.edges == 0 && kti_model_needs_network(w->model))
        kti_fail_file(&c->reason, KT_BAD_CRYSTAL, item->id,
                      "no two atoms are within 4 Å of each other; the network has nothing to work on");
}

/* Gives a crystal up if a member's prediction is not finite. */
static void check_finite(const kti_worker *w, const double *value, crystal *c)
{
    for (int m = 0; m < kt_model_members(w->model) && c->reason.status == KT_OK; m++)
        if (!isfinite(value[m]))
            kti_fail(&c->reason, KT_NON_FINITE, "member %d gives no finite number",
                     kt_model_member_fold(w->model, m));
}

/* Predicts the usable ones of crystals [first, end); crystal i has row i of value and log_sd. */
static kt_status predict_range(kti_worker *w, crystal *crystals, int first, int end, kt_error *error)
{
    const kti_graph *graphs[KTI_CHUNK];
    int place[KTI_CHUNK], count = 0;
    const size_t members = (size_t)kt_model_members(w->model);
    double *value = w->value + (size_t)first * members, *log_sd = w->log_sd + (size_t)first * members;
    for (int i = first; i < end; i++)
        if (crystals[i].reason.status == KT_OK) {
            place[count] = i;
            graphs[count++] = &crystals[i].graph;
        }
    if (count == 0)
        return KT_OK;
    kt_status status = kti_model_predict_graphs(w->model, graphs, count, value, log_sd, error);
    /* They come without gaps. Each moves to its own row, the last one first, so that none is overwritten. */
    for (int i = count - 1; i >= 0 && status == KT_OK; i--) {
        double *own = w->value + (size_t)place[i] * members;
        memmove(own, value + (size_t)i * members, members * sizeof *value);
        memmove(w->log_sd + (size_t)place[i] * members, log_sd + (size_t)i * members,
                members * sizeof *log_sd);
        check_finite(w, own, &crystals[place[i]]);
    }
    return status;
}

/* Predicts all crystals of a chunk, as many together as have TOGETHER edges. */
static kt_status predict_all(kti_worker *w, const kti_chunk *c, crystal *crystals, kt_error *error)
{
    kt_status status = KT_OK;
    int64_t edges = 0;
    for (int i = 0, first = 0; i < c->size && status == KT_OK; i++) {
        prepare(w, &c->item[i], &crystals[i]);
        edges += crystals[i].graph.edges;
        if (kti_is_fatal(crystals[i].reason.status)) {
            status = crystals[i].reason.status;
            *error = crystals[i].reason;
        } else if (edges >= TOGETHER || i + 1 == c->size) {
            status = predict_range(w, crystals, first, i + 1, error);
            first = i + 1;
            edges = 0;
        }
    }
    return status;
}

static kt_status add_lines(const kti_worker *w, const crystal *crystals, kti_chunk *c, kt_error *error)
{
    const kti_prediction_table table = kti_rows_table(w->options, w->model);
    const size_t members = (size_t)kt_model_members(w->model);
    for (int i = 0; i < c->size; i++) {
        if (crystals[i].reason.status != KT_OK) {
            kti_rejects_add(&c->item[i], &crystals[i].reason, &c->rejects);
            c->rejected++;
            continue;
        }
        const size_t row = (size_t)i * members;
        kti_prediction p = kti_prediction_of(&table, c->item[i].id, &crystals[i].structure,
                                             &crystals[i].graph, w->value + row, w->log_sd + row);
        c->written += kti_rows_add(w->options, &table, &p, &c->rows);
    }
    return c->rows.failed || c->rejects.failed ? kti_fail_memory(error, "rows") : KT_OK;
}

kt_status kti_worker_predict(kti_worker *w, kti_chunk *c, kt_error *error)
{
    crystal *crystals = kti_allocate(KTI_CHUNK, sizeof *crystals);
    if (!crystals)
        return kti_fail_memory(error, "crystals");
    kt_status status = predict_all(w, c, crystals, error);
    if (status == KT_OK)
        status = add_lines(w, crystals, c, error);
    for (int i = 0; i < c->size; i++) {
        kti_graph_destroy(&crystals[i].graph);
        kt_structure_destroy(&crystals[i].structure);
    }
    free(crystals);
    return status;
}
