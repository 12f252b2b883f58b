#include "scan/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "crystal/description.h"
#include "predictor/ensemble.h"
#include "predictor/model.h"
#include "ranks/communicator.h"
#include "scan/ledger.h"
#include "scan/source.h"

enum {
    CHUNK = 32,        /* crystals that a worker takes at a time */
    TOGETHER = 20000,  /* edges of those that are predicted at a time */
    CHUNKS_AHEAD = 64, /* that may be done before the one that is to be written next */
    CHUNK_BYTES = 4 << 20
};

/* Some crystals in a row, and what became of them. */
typedef struct chunk {
    kti_item item[CHUNK];
    int size, written, rejected;
    uint64_t before,
        after; /* hashes of all crystals of the source before it, and with it; as kti_ledger's `crystals` */
    kti_text rows, rejects;
    bool ready;
} chunk;

/* A crystal on its way. */
typedef struct crystal {
    kt_structure structure;
    kti_graph graph;
    kt_error reason; /* KT_OK while it can be used */
} crystal;

typedef struct scan {
    const kti_scan_options *options;
    kti_source *source;
    kti_ledger ledger;
    pthread_mutex_t lock; /* of what follows and of the two above */
    pthread_cond_t moved; /* a chunk is ready or was written, or the scan ends */
    int rank, ranks;      /* chunk n of the source is rank n % ranks's */
    chunk *ring;          /* [CHUNKS_AHEAD] this rank's chunk n is at n % CHUNKS_AHEAD */
    int64_t taken, put;   /* chunks of this rank */
    int64_t read;         /* chunks of the source */
    uint64_t crystals;    /* those that were read, as kti_ledger's */
    bool drained;         /* the source has no more */
    kt_status status;     /* why it ends */
    kt_error error;
    double started;
    int64_t before; /* crystals done by earlier calls */
} scan;

typedef struct worker {
    scan *scan;
    kt_model *model;
    pthread_t thread;
    double *value, *log_sd; /* [CHUNK, members] */
} worker;

/* ---- columns ---- */

static const char *quantity(const kti_scan_options *o)
{
    return o->model_options.property == KT_EFORM ? "eform" : "kappa";
}

static kt_status write_header(const kti_scan_options *o, const kt_model *model, kti_text *header,
                              kt_error *error)
{
    const char *q = quantity(o);
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

/* A row is a line: what has a line's end or the like in it is shown without. */
static void write_field(kti_text *text, const char *field)
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

static void write_judgement(const worker *w, chunk *c, const kti_graph *graph, const double *value,
                            const double *log_sd)
{
    kt_judgement j;
    kti_model_judge_graph(w->model, graph, value, log_sd, &j);
    kti_text_add_number(&c->rows, j.low);
    kti_text_add_number(&c->rows, j.high);
    kti_text_add(&c->rows, ",%.4g,%s", j.distance, j.warnings);
}

static void write_row(const worker *w, chunk *c, const kti_item *item, const crystal *known, int at)
{
    const kt_structure *structure = &known->structure;
    const kti_scan_options *o = w->scan->options;
    const int members = kt_model_members(w->model);
    const bool interval = kt_model_has_log_sd(w->model);
    const double *value = w->value + (size_t)at * (size_t)members,
                 *log_sd = interval ? w->log_sd + (size_t)at * (size_t)members : NULL;
    const kti_ensemble all = kti_ensemble_of(value, log_sd, members);
    char formula[64];
    if (!(all.mean < o->below))
        return;
    kt_structure_formula(structure, formula, sizeof formula);
    write_field(&c->rows, item->id);
    kti_text_add(&c->rows, ",%s,%d,%.9g,%.9g,%.9g,%.9g", formula, structure->sites, all.mean, all.sd,
                 all.least, all.greatest);
    if (o->model_options.property == KT_KAPPA) {
        kti_text_add_number(&c->rows, all.geometric);
        kti_text_add_number(&c->rows, all.log_sd);
    }
    if (interval)
        kti_text_add(&c->rows, ",%.9g,%.9g", all.low, all.high);
    if (kt_model_can_judge(w->model))
        write_judgement(w, c, &known->graph, value, log_sd);
    for (int i = 0; i < members; i++)
        kti_text_add(&c->rows, ",%.9g", value[i]);
    if (o->features) {
        const kti_description d = kti_describe(structure);
        kti_text_add(&c->rows, ",%.9g,%.9g,%.9g,%.9g,%d,%d", d.volume, d.density, d.atomic_density,
                     d.mean_mass, d.elements, d.space_group);
    }
    kti_text_add(&c->rows, "\n");
    c->written++;
}

static void reject(chunk *c, const kti_item *item, const kt_error *reason)
{
    write_field(&c->rejects, item->id);
    if (reason->line > 0)
        kti_text_add(&c->rejects, ",%lld,", (long long)(reason->line + item->lines_before));
    else
        kti_text_add(&c->rejects, ",,");
    write_field(&c->rejects, reason->message);
    kti_text_add(&c->rejects, "\n");
    c->rejected++;
}

/* ---- a chunk ---- */

/* A fault of the machine ends the scan; one of a crystal does not. */
static bool is_fatal(kt_status status)
{
    return status == KT_OUT_OF_MEMORY || status == KT_DEVICE;
}

static void prepare(const worker *w, const kti_item *item, crystal *c)
{
    kti_graph_options options = kti_graph_options_default();
    options.quotient = w->scan->options->model_options.quotient;
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

/* Predicts crystals [first, end), of which each has its place in value and log_sd. */
static kt_status predict_some(worker *w, crystal *crystals, int first, int end, kt_error *error)
{
    const kti_graph *graphs[CHUNK];
    int place[CHUNK], count = 0;
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
    /* From one behind the other to the places, the last first. */
    for (int i = count - 1; i >= 0 && status == KT_OK; i--) {
        memmove(w->value + (size_t)place[i] * members, value + (size_t)i * members, members * sizeof *value);
        memmove(w->log_sd + (size_t)place[i] * members, log_sd + (size_t)i * members,
                members * sizeof *log_sd);
        for (size_t m = 0; m < members; m++)
            if (!isfinite(w->value[(size_t)place[i] * members + m]) &&
                crystals[place[i]].reason.status == KT_OK)
                kti_fail(&crystals[place[i]].reason, KT_NON_FINITE, "member %d gives no finite number",
                         kt_model_member_fold(w->model, (int)m));
    }
    return status;
}

static kt_status work_on(worker *w, chunk *c, kt_error *error)
{
    crystal *crystals = kti_allocate(CHUNK, sizeof *crystals);
    kt_status status = crystals ? KT_OK : kti_fail_memory(error, "crystals");
    int64_t edges = 0;
    for (int i = 0, first = 0; i < c->size && status == KT_OK; i++) {
        prepare(w, &c->item[i], &crystals[i]);
        edges += crystals[i].graph.edges;
        if (is_fatal(crystals[i].reason.status)) {
            status = crystals[i].reason.status;
            *error = crystals[i].reason;
        } else if (edges >= TOGETHER || i + 1 == c->size) {
            status = predict_some(w, crystals, first, i + 1, error);
            first = i + 1;
            edges = 0;
        }
    }
    for (int i = 0; i < c->size && status == KT_OK; i++)
        if (crystals[i].reason.status == KT_OK)
            write_row(w, c, &c->item[i], &crystals[i], i);
        else
            reject(c, &c->item[i], &crystals[i].reason);
    if (status == KT_OK && (c->rows.failed || c->rejects.failed))
        status = kti_fail_memory(error, "rows");
    for (int i = 0; crystals && i < c->size; i++) {
        kti_graph_destroy(&crystals[i].graph);
        kt_structure_destroy(&crystals[i].structure);
    }
    free(crystals);
    return status;
}

static void clear(chunk *c)
{
    for (int i = 0; i < c->size; i++)
        kti_item_destroy(&c->item[i]);
    kti_text_destroy(&c->rows);
    kti_text_destroy(&c->rejects);
    *c = (chunk){0};
}

/* What a rank sends of a chunk, before its rows, its rejects and its first crystal's id, each with a zero behind; and, when it has no more,
 * why. */
typedef struct parcel {
    int32_t end, size, rejected, written;
    uint64_t before, after;    /* as a chunk's; at the end both are of all crystals */
    int64_t rows, rejects, id; /* bytes */
    kt_error error;            /* of the end */
} parcel;

static parcel describe_chunk(const chunk *c)
{
    return (parcel){.size = c->size,
                    .rejected = c->rejected,
                    .written = c->written,
                    .before = c->before,
                    .after = c->after,
                    .rows = (int64_t)c->rows.size,
                    .rejects = (int64_t)c->rejects.size,
                    .id = (int64_t)strlen(c->item[0].id)};
}

/* ---- the workers ---- */

static void end_with(scan *s, kt_status status, const kt_error *error)
{
    if (s->status == KT_OK) {
        s->status = status;
        s->error = *error;
    }
    pthread_cond_broadcast(&s->moved);
}

static kt_status read_item(scan *s, kti_item *item, bool *found, kt_error *error)
{
    const kt_status status = kti_source_next(s->source, item, found, error);
    if (status == KT_OK && *found)
        s->crystals = kti_hash(s->crystals, item->id, strlen(item->id) + 1);
    return status;
}

/* Fills a chunk with the next crystals of the source; it stays empty when there are none. */
static kt_status read_chunk(scan *s, chunk *c, kt_error *error)
{
    size_t bytes = 0;
    c->before = s->crystals;
    /* Several ranks must cut alike, also where one of them cannot read a file. */
    while (c->size < CHUNK && (bytes < CHUNK_BYTES || s->ranks > 1) && !s->drained) {
        bool found;
        const kt_status status = read_item(s, &c->item[c->size], &found, error);
        if (status != KT_OK)
            return status;
        s->drained = !found;
        if (found)
            bytes += c->item[c->size++].size;
    }
    c->after = s->crystals;
    s->read++;
    return KT_OK;
}

/* This rank's next crystals of the source; NULL when there are none or the scan ends. Under the lock. */
static chunk *take(scan *s)
{
    kt_error error = KT_ERROR_NONE;
    while (s->status == KT_OK && !s->drained && s->taken - s->put >= CHUNKS_AHEAD)
        pthread_cond_wait(&s->moved, &s->lock);
    if (s->status != KT_OK || s->drained)
        return NULL;
    chunk *c = &s->ring[s->taken % CHUNKS_AHEAD];
    kt_status status = KT_OK;
    while (status == KT_OK && s->read % s->ranks != s->rank && !s->drained) {
        status = read_chunk(s, c, &error);
        clear(c);
    }
    if (status == KT_OK && !s->drained)
        status = read_chunk(s, c, &error);
    if (status != KT_OK) {
        end_with(s, status, &error);
        clear(c);
    }
    if (c->size == 0)
        return NULL;
    s->taken++;
    return c;
}

static void tell(scan *s)
{
    const kti_scan_options *o = s->options;
    kt_error stopped = KT_ERROR_NONE;
    kti_scan_progress p = {.done = s->ledger.done, .rejected = s->ledger.rejected};
    if (!o->progress)
        return;
    kti_source_progress(s->source, &p.bytes_done, &p.bytes_total);
    p.seconds = kti_seconds() - s->started;
    p.crystals_a_second = p.seconds > 0 ? (double)(p.done - s->before) / p.seconds : 0;
    if (o->progress(o->user, &p) && s->status == KT_OK)
        end_with(s, kti_fail(&stopped, KT_INTERRUPTED, "stopped on request; go on with --resume"), &stopped);
}

/* Writes a chunk's lines. Under the lock. */
static void store(scan *s, const parcel *p, const char *rows, const char *rejects)
{
    kt_error error = KT_ERROR_NONE;
    const kt_status status =
        kti_ledger_add(&s->ledger, rows, rejects, p->size, p->rejected, p->written, p->after, &error);
    if (status != KT_OK)
        end_with(s, status, &error);
    tell(s);
}

/* Gives the ring's place of the chunk that is done back. Under the lock. */
static void move_on(scan *s)
{
    clear(&s->ring[s->put++ % CHUNKS_AHEAD]);
    pthread_cond_broadcast(&s->moved);
}

/* Writes what is ready and next, where this rank is the only one. Under the lock. */
static void put_ready(scan *s)
{
    for (chunk *c; s->ranks == 1 && (c = &s->ring[s->put % CHUNKS_AHEAD])->ready; move_on(s)) {
        const parcel p = describe_chunk(c);
        store(s, &p, c->rows.data, c->rejects.data);
    }
    pthread_cond_broadcast(&s->moved);
}

static void *work(void *argument)
{
    worker *w = argument;
    scan *s = w->scan;
    pthread_mutex_lock(&s->lock);
    for (chunk *c; (c = take(s));) {
        kt_error error = KT_ERROR_NONE;
        pthread_mutex_unlock(&s->lock);
        const kt_status status = work_on(w, c, &error);
        pthread_mutex_lock(&s->lock);
        if (status != KT_OK) {
            end_with(s, status, &error);
            break;
        }
        c->ready = true;
        put_ready(s);
    }
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- several ranks ---- */

/* Asked to stop here or elsewhere? Under the lock. */
static void look_around(scan *s)
{
    kt_error error = KT_ERROR_NONE;
    if (s->status == KT_OK && kti_communicator_stops(s->options->ranks))
        end_with(s, kti_fail(&error, KT_INTERRUPTED, "stopped on request; go on with --resume"), &error);
}

static void look_around_idly(void *argument)
{
    scan *s = argument;
    pthread_mutex_lock(&s->lock);
    tell(s);
    look_around(s);
    if (s->status != KT_OK)
        kti_communicator_stop(s->options->ranks);
    pthread_mutex_unlock(&s->lock);
}

/* Waits for this rank's next chunk to be ready; NULL when there is none any more or the scan ends. */
static chunk *await_own(scan *s)
{
    chunk *c = &s->ring[s->put % CHUNKS_AHEAD];
    pthread_mutex_lock(&s->lock);
    while (!c->ready && s->status == KT_OK && !(s->drained && s->put == s->taken)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&s->moved, &s->lock, &until) == ETIMEDOUT) {
            tell(s);
            look_around(s);
        }
    }
    const bool ready = c->ready && s->status == KT_OK;
    pthread_mutex_unlock(&s->lock);
    return ready ? c : NULL;
}

/* What a rank that has no more sends. */
static parcel describe_end(scan *s)
{
    pthread_mutex_lock(&s->lock);
    const parcel p = {.end = 1, .before = s->crystals, .after = s->crystals, .error = s->error};
    pthread_mutex_unlock(&s->lock);
    return p;
}

/* `c` NULL: the end. */
static kt_status send_chunk(scan *s, const chunk *c, kt_error *error)
{
    const parcel p = c ? describe_chunk(c) : describe_end(s);
    const size_t size = sizeof p + (size_t)(p.rows + 1 + p.rejects + 1 + p.id + 1);
    char *message = kti_allocate(size, 1);
    if (!message)
        return kti_fail_memory(error, "rows");
    char *rows = message + sizeof p, *rejects = rows + p.rows + 1, *id = rejects + p.rejects + 1;
    memcpy(message, &p, sizeof p);
    if (p.rows > 0)
        memcpy(rows, c->rows.data, (size_t)p.rows);
    if (p.rejects > 0)
        memcpy(rejects, c->rejects.data, (size_t)p.rejects);
    if (p.id > 0)
        memcpy(id, c->item[0].id, (size_t)p.id);
    kt_status status = kti_communicator_send(s->options->ranks, 0, message, size, error);
    free(message);
    return status;
}

/* A rank above 0 hands over its chunks, in their order, and says when there are no more. */
static void hand_over(scan *s)
{
    kt_error error = KT_ERROR_NONE;
    kt_status status = KT_OK;
    for (chunk *c; status == KT_OK && (c = await_own(s)) != NULL;) {
        status = send_chunk(s, c, &error);
        pthread_mutex_lock(&s->lock);
        move_on(s);
        tell(s);
        if (status != KT_OK)
            end_with(s, status, &error);
        pthread_mutex_unlock(&s->lock);
    }
    if (status == KT_OK)
        status = send_chunk(s, NULL, &error);
    pthread_mutex_lock(&s->lock);
    if (status != KT_OK)
        end_with(s, status, &error);
    pthread_mutex_unlock(&s->lock);
}

/* A chunk of `rank`, or its end, for rank 0 to write unless everything should be written by now (`end`). It has to come after the very crystals
 * that are written: else some would be lost and others be there twice. `id`: its first crystal. Under the lock. */
static void accept(scan *s, int rank, const parcel *p, const char *rows, const char *rejects, const char *id,
                   bool end)
{
    kt_error error = KT_ERROR_NONE;
    const bool differs = p->before != s->ledger.crystals || (end && !p->end);
    if (s->status == KT_OK && differs)
        end_with(s,
                 kti_fail(&error, KT_BAD_ARGUMENT,
                          "rank %d finds other crystals than the ranks before it, %s%.200s: all must see the "
                          "same files with the same content",
                          rank, *id ? "up to " : "fewer or more", id),
                 &error);
    if (s->status == KT_OK && !p->end)
        store(s, p, rows, rejects);
    if (s->status != KT_OK)
        kti_communicator_stop(s->options->ranks);
}

/* Waits for another rank's next chunk or its end; returns whether that was its end. */
static bool take_over(scan *s, int rank, bool end)
{
    kt_error error = KT_ERROR_NONE;
    char *message;
    size_t size;
    parcel p = {.end = 1};
    kt_status status = kti_communicator_receive(s->options->ranks, rank, look_around_idly, s,
                                                (void **)&message, &size, &error);
    if (status == KT_OK)
        memcpy(&p, message, sizeof p);
    pthread_mutex_lock(&s->lock);
    if (status != KT_OK)
        end_with(s, status, &error);
    else if (p.error.status != KT_OK)
        end_with(s, p.error.status, &p.error);
    const char *rows = status == KT_OK ? message + sizeof p : "", *rejects = rows + p.rows + 1;
    accept(s, rank, &p, rows, rejects, status == KT_OK ? rejects + p.rejects + 1 : "", end);
    pthread_mutex_unlock(&s->lock);
    free(message);
    return p.end;
}

/* The same for rank 0's own. */
static bool take_own(scan *s, bool end)
{
    chunk *c = await_own(s);
    const parcel p = c ? describe_chunk(c) : describe_end(s);
    pthread_mutex_lock(&s->lock);
    accept(s, 0, &p, c ? c->rows.data : NULL, c ? c->rejects.data : NULL, c ? c->item[0].id : "", end);
    if (c)
        move_on(s);
    pthread_mutex_unlock(&s->lock);
    return !c;
}

/* Rank 0 writes all ranks' chunks in the order of the source, then waits for everyone's end. */
static void merge(scan *s)
{
    bool end = false;
    int first_ended = 0;
    for (int rank = 0; !end; rank = (rank + 1) % s->ranks) {
        end = rank > 0 ? take_over(s, rank, false) : take_own(s, false);
        first_ended = rank;
    }
    for (int rank = 0; rank < s->ranks; rank++)
        while (rank != first_ended && !(rank > 0 ? take_over(s, rank, true) : take_own(s, true)))
            ;
}

/* The first one's model stands for all when the scan is described. */
static kt_status worker_create(worker *w, scan *s, bool first, kt_error *error)
{
    w->scan = s;
    kt_status status = kti_model_open(s->options->model, &s->options->model_options,
                                      KTI_MODEL_JUDGES | (first ? KTI_MODEL_IS_KNOWN : 0), &w->model, error);
    const size_t members = status == KT_OK ? (size_t)kt_model_members(w->model) : 1;
    w->value = kti_allocate(CHUNK * members, sizeof *w->value);
    w->log_sd = kti_allocate(CHUNK * members, sizeof *w->log_sd);
    if (status == KT_OK && (!w->value || !w->log_sd))
        status = kti_fail_memory(error, "a worker");
    return status;
}

static void worker_destroy(worker *w)
{
    kt_model_close(w->model);
    free(w->value);
    free(w->log_sd);
}

/* ---- the scan ---- */

/* A path as JSON; of one that is no UTF-8, every byte beyond ASCII as %XX. */
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

/* What makes a resumed scan another one than that which began. The model is known by its content, wherever it lies. */
static json_t *describe(const kti_scan_options *o, const kt_model *model, const char *header)
{
    char fingerprint[24];
    json_t *sources = json_array();
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, kti_model_fingerprint(model));
    for (int i = 0; i < o->source_count; i++)
        json_array_append_new(sources, describe_path(o->sources[i]));
    return json_pack("{s:s, s:s, s:o, s:s, s:b, s:b, s:o}", "model", fingerprint, "header", header, "sources",
                     sources, "property", quantity(o), "quotient", o->model_options.quotient, "features",
                     o->features, "below", isfinite(o->below) ? json_real(o->below) : json_null());
}

/* Passes over what earlier calls have done. */
static kt_status skip(scan *s, kt_error *error)
{
    bool found = true;
    kt_status status = KT_OK;
    for (int64_t i = 0; i < s->before && status == KT_OK; i++) {
        kti_item item;
        status = read_item(s, &item, &found, error);
        kti_item_destroy(&item);
        if (status == KT_OK && !found)
            status = kti_fail(
                error, KT_BAD_ARGUMENT,
                "there are fewer crystals than the scan has done already (%lld): the sources have changed",
                (long long)s->before);
    }
    if (status == KT_OK && s->crystals != s->ledger.crystals)
        status = kti_fail(error, KT_BAD_ARGUMENT,
                          "the first %lld crystals are not those that the scan has done: the sources have "
                          "changed; bring them back, or start anew",
                          (long long)s->before);
    return status;
}

static kt_status run_workers(scan *s, worker *workers, int threads, kt_error *error)
{
    int started = 0;
    kt_status status = KT_OK;
    s->started = kti_seconds();
    for (; started < threads && status == KT_OK; started++)
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0) {
            status = kti_fail(error, KT_IO, "a thread cannot be started");
            break;
        }
    if (status != KT_OK) {
        pthread_mutex_lock(&s->lock);
        end_with(s, status, error);
        pthread_mutex_unlock(&s->lock);
    }
    if (s->ranks > 1)
        (s->rank == 0 ? merge : hand_over)(s);
    for (int i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < CHUNKS_AHEAD; i++)
        clear(&s->ring[i]);
    if (status == KT_OK && s->status != KT_OK) {
        status = s->status;
        *error = s->error;
    }
    if (s->rank > 0)
        return status;
    /* Nothing that is done is lost, whatever ended the scan. */
    kt_error flushing = KT_ERROR_NONE;
    const kt_status flushed = kti_ledger_flush(&s->ledger, status == KT_OK, &flushing);
    if (status == KT_OK && flushed != KT_OK) {
        status = flushed;
        *error = flushing;
    }
    return status;
}

static kt_status open_ledger(scan *s, const kt_model *model, kt_error *error)
{
    const kti_scan_options *o = s->options;
    kti_text header = {0};
    kt_status status = write_header(o, model, &header, error);
    if (status == KT_OK)
        status = kti_ledger_open(o->out, o->rejects, header.data, "id,line,reason",
                                 describe(o, model, header.data), o->resume, &s->ledger, error);
    kti_text_destroy(&header);
    s->before = s->ledger.done;
    return status;
}

/* When all ranks have come so far, rank 0 opens the files, and tells the others what is done already. */
static kt_status begin(scan *s, const kt_model *model, kt_status status, kt_error *error)
{
    const kti_scan_options *o = s->options;
    struct {
        int64_t before, complete;
        uint64_t crystals;
    } state = {0, 0, 0};
    status = kti_communicator_agree(o->ranks, status, NULL, NULL, error);
    if (status == KT_OK)
        status =
            kti_listing_compare(kti_source_listing(s->source), o->sources, o->source_count, o->ranks, error);
    if (status == KT_OK)
        status = kti_communicator_compare(o->ranks, kti_model_fingerprint(model),
                                          "finds another model there than rank 0", error);
    if (status == KT_OK && s->rank == 0)
        status = open_ledger(s, model, error);
    status = kti_communicator_agree(o->ranks, status, NULL, NULL, error);
    if (status != KT_OK || s->ranks == 1)
        return status;
    state.before = s->ledger.done;
    state.complete = s->ledger.complete;
    state.crystals = s->ledger.crystals;
    status = kti_communicator_broadcast(o->ranks, &state, sizeof state, error);
    s->before = state.before;
    s->ledger.complete = state.complete != 0;
    s->ledger.crystals = state.crystals;
    return status;
}

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

kt_status kti_scan(const kti_scan_options *options, kti_scan_result *result, kt_error *error)
{
    const double started = kti_seconds();
    const int threads = options->threads > 0 ? options->threads : 1;
    scan s = {.options = options,
              .rank = kti_communicator_rank(options->ranks),
              .ranks = kti_communicator_size(options->ranks),
              .crystals = KTI_HASH_START,
              .ring = kti_allocate(CHUNKS_AHEAD, sizeof *s.ring)};
    worker *workers = kti_allocate((size_t)threads, sizeof *workers);
    kt_status status = s.ring && workers ? check_sources(options, error) : kti_fail_memory(error, "a scan");
    *result = (kti_scan_result){0};
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.moved, NULL);
    for (int i = 0; i < threads && status == KT_OK; i++)
        status = worker_create(&workers[i], &s, i == 0, error);
    if (status == KT_OK)
        status = kti_source_open(options->sources, options->source_count, &s.source, error);
    status = begin(&s, workers ? workers[0].model : NULL, status, error);
    result->was_complete = status == KT_OK && s.ledger.complete;
    if (status == KT_OK && !s.ledger.complete)
        status = skip(&s, error);
    status = kti_communicator_agree(options->ranks, status, NULL, NULL, error);
    if (status == KT_OK && !s.ledger.complete)
        status = run_workers(&s, workers, threads, error);
    status = kti_communicator_agree(options->ranks, status, NULL, NULL, error);
    result->done = s.ledger.done;
    result->written = s.ledger.written;
    result->rejected = s.ledger.rejected;
    result->seconds = kti_seconds() - started;
    kti_ledger_close(&s.ledger);
    kti_source_close(s.source);
    for (int i = 0; workers && i < threads; i++)
        worker_destroy(&workers[i]);
    free(workers);
    free(s.ring);
    pthread_cond_destroy(&s.moved);
    pthread_mutex_destroy(&s.lock);
    return status;
}
