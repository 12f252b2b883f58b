#include "scan/scan.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/text.h"
#include "predictor/model.h"
#include "ranks/communicator.h"
#include "scan/merge.h"
#include "scan/queue.h"
#include "scan/rows.h"
#include "scan/worker.h"

/* A thread that predicts. */
typedef struct thread {
    kti_queue *queue;
    kti_worker worker;
    pthread_t id;
} thread;

/* ---- beginning ---- */

/* Standard input has one reader. */
static kt_status check_sources(const kti_scan_options *o, kt_error *error)
{
    for (int i = 0; i < o->source_count && o->ranks; i++)
        if (strcmp(o->sources[i], "-") == 0)
            return kti_fail(
                error, KT_BAD_ARGUMENT,
                "standard input reaches one rank alone; write the list to a file that ends in .list");
    return KT_OK;
}

/* The workers' models, and the source. */
static kt_status open_input(kti_queue *q, thread *threads, int count, kt_error *error)
{
    const kti_scan_options *o = q->options;
    kt_status status = check_sources(o, error);
    for (int i = 0; i < count && status == KT_OK; i++) {
        threads[i].queue = q;
        status = kti_worker_create(o, i == 0, &threads[i].worker, error);
    }
    return status == KT_OK ? kti_source_open(o->sources, o->source_count, &q->source, error) : status;
}

/* A path as JSON. If it is not UTF-8, each byte beyond ASCII becomes %XX. */
static json_t *describe_path(const char *path)
{
    json_t *plain = json_string(path);
    if (plain)
        return plain;
    kti_text text = {0};
    for (const char *c = path; *c; c++)
        kti_text_add(&text, (unsigned char)*c < 0x80 ? "%c" : "%%%02X", (unsigned char)*c);
    json_t *escaped = text.failed ? NULL : json_string(text.data);
    kti_text_destroy(&text);
    return escaped;
}

/* What a scan was asked: a resumed one must be asked the same. The model is known by its content, wherever it lies. */
static json_t *describe(const kti_scan_options *o, const kt_model *model, const char *header)
{
    char fingerprint[24];
    json_t *sources = json_array();
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, kti_model_fingerprint(model));
    for (int i = 0; i < o->source_count; i++)
        json_array_append_new(sources, describe_path(o->sources[i]));
    return json_pack("{s:s, s:s, s:o, s:s, s:b, s:b, s:o}", "model", fingerprint, "header", header, "sources",
                     sources, "property", kti_quantity_of(o->model_options.property), "quotient",
                     o->model_options.quotient, "features", o->features, "below",
                     isfinite(o->below) ? json_real(o->below) : json_null());
}

static kt_status open_ledger(kti_queue *q, const kt_model *model, kt_error *error)
{
    const kti_scan_options *o = q->options;
    kti_text header = {0};
    const kti_prediction_table table = kti_rows_table(o, model);
    kti_prediction_table_add_header(&table, &header);
    kt_status status = header.failed ? kti_fail_memory(error, "the scan") : KT_OK;
    if (status == KT_OK)
        status = kti_ledger_open(o->out, o->rejects, header.data, "id,line,reason",
                                 describe(o, model, header.data), o->resume, &q->ledger, error);
    kti_text_destroy(&header);
    q->before = q->ledger.done;
    return status;
}

/* Once all ranks have come this far (`status`) and see the same files and model, rank 0 opens the ledger and tells the others what is
 * done already. */
static kt_status begin(kti_queue *q, const kt_model *model, kt_status status, kt_error *error)
{
    const kti_scan_options *o = q->options;
    struct {
        int64_t before, complete;
        uint64_t crystals;
    } state = {0, 0, 0};
    status = kti_communicator_agree(o->ranks, status, NULL, NULL, error);
    if (status == KT_OK)
        status =
            kti_listing_compare(kti_source_listing(q->source), o->sources, o->source_count, o->ranks, error);
    if (status == KT_OK)
        status = kti_communicator_compare(o->ranks, kti_model_fingerprint(model),
                                          "finds another model there than rank 0", error);
    if (status == KT_OK && q->rank == 0)
        status = open_ledger(q, model, error);
    status = kti_communicator_agree(o->ranks, status, NULL, NULL, error);
    if (status != KT_OK || q->ranks == 1)
        return status;
    state.before = q->ledger.done;
    state.complete = q->ledger.complete;
    state.crystals = q->ledger.crystals;
    status = kti_communicator_broadcast(o->ranks, &state, sizeof state, error);
    q->before = state.before;
    q->ledger.complete = state.complete != 0;
    q->ledger.crystals = state.crystals;
    return status;
}

/* ---- predicting ---- */

static void *work(void *argument)
{
    thread *t = argument;
    for (kti_chunk *c; (c = kti_queue_take(t->queue));) {
        kt_error error = KT_ERROR_NONE;
        const kt_status status = kti_worker_predict(&t->worker, c, &error);
        kti_queue_finish(t->queue, c, status, &error);
    }
    return NULL;
}

/* Returns how many threads it could start; if that is not all of them, the scan ends. */
static int start(kti_queue *q, thread *threads, int count)
{
    int started = 0;
    kt_error error = KT_ERROR_NONE;
    while (started < count && pthread_create(&threads[started].id, NULL, work, &threads[started]) == 0)
        started++;
    if (started < count)
        kti_queue_fail(q, kti_fail(&error, KT_IO, "a thread cannot be started"), &error);
    return started;
}

/* Nothing that is done is lost, whatever ended the scan. Returns `status`, or if that is KT_OK, whether the flush worked. */
static kt_status flush(kti_queue *q, kt_status status, kt_error *error)
{
    kt_error flushing = KT_ERROR_NONE;
    const kt_status flushed = kti_ledger_flush(&q->ledger, status == KT_OK, &flushing);
    if (status != KT_OK || flushed == KT_OK)
        return status;
    *error = flushing;
    return flushed;
}

static kt_status predict(kti_queue *q, thread *threads, int count, kt_error *error)
{
    q->started = kti_seconds();
    const int started = start(q, threads, count);
    if (q->ranks > 1)
        kti_merge(q);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i].id, NULL);
    if (q->status != KT_OK)
        *error = q->error;
    return q->rank == 0 ? flush(q, q->status, error) : q->status;
}

/* ---- the scan ---- */

kt_status kti_scan(const kti_scan_options *options, kti_scan_result *result, kt_error *error)
{
    const double began = kti_seconds();
    const int count = options->threads > 0 ? options->threads : 1;
    thread *threads = kti_allocate((size_t)count, sizeof *threads);
    kti_queue q;
    kt_status status = kti_queue_create(options, &q, error);
    if (status == KT_OK && !threads)
        status = kti_fail_memory(error, "a scan");
    if (status == KT_OK)
        status = open_input(&q, threads, count, error);
    status = begin(&q, threads ? threads[0].worker.model : NULL, status, error);
    const bool was_complete = status == KT_OK && q.ledger.complete;
    if (status == KT_OK && !was_complete)
        status = kti_queue_skip(&q, error);
    status = kti_communicator_agree(options->ranks, status, NULL, NULL, error);
    if (status == KT_OK && !was_complete)
        status = predict(&q, threads, count, error);
    status = kti_communicator_agree(options->ranks, status, NULL, NULL, error);
    *result = (kti_scan_result){.done = q.ledger.done,
                                .written = q.ledger.written,
                                .rejected = q.ledger.rejected,
                                .was_complete = was_complete,
                                .foreign = q.ledger.foreign,
                                .seconds = kti_seconds() - began};
    kti_queue_destroy(&q);
    for (int i = 0; threads && i < count; i++)
        kti_worker_destroy(&threads[i].worker);
    free(threads);
    return status;
}
