#include "data/dataset.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/orbits.h"
#include "data/prototype.h"
#include "data/rows.h"

enum { MAX_THREADS = 1024 };

kti_dataset_options kti_dataset_options_default(void)
{
    return (kti_dataset_options){.graph = kti_graph_options_default(), .threads = 1};
}

static void crystal_destroy(kti_crystal *crystal)
{
    free(crystal->id);
    kti_graph_destroy(&crystal->graph);
    *crystal = (kti_crystal){0};
}

void kti_dataset_destroy(kti_dataset *dataset)
{
    if (!dataset)
        return;
    for (int i = 0; i < dataset->size; i++)
        crystal_destroy(&dataset->crystals[i]);
    for (int i = 0; i < dataset->rejected; i++)
        free(dataset->rejects[i].id);
    for (int i = 0; i < dataset->parts; i++)
        free(dataset->part[i].name);
    free(dataset->crystals);
    free(dataset->rejects);
    free(dataset->name);
    *dataset = (kti_dataset){0};
}

/* What the threads share: each takes the next row and writes only to that row's error and crystal. */
typedef struct work {
    const kti_rows *rows;
    const kti_dataset_options *options;
    kti_crystal *crystals; /* [rows->size], zeroed */
    atomic_size_t next, done;
    atomic_bool stop;
} work;

static kt_status build_graph(const work *shared, const kt_structure *structure, const char *file,
                             kti_crystal *crystal, kt_error *error)
{
    const kti_graph_options *options = &shared->options->graph;
    kt_status status = kti_graph_create(structure, options, file, &crystal->graph, error);
    if (status != KT_OK)
        return status;
    if (crystal->graph.edges == 0)
        return kti_fail_file(error, KT_BAD_CRYSTAL, file,
                             "no two atoms are within %g Å of each other, so there is nothing to learn from",
                             options->cutoff);
    kt_structure_formula(structure, crystal->formula, sizeof crystal->formula);
    return KT_OK;
}

static kt_status build_from_file(const work *shared, const kti_row *row, kti_crystal *crystal,
                                 kt_error *error)
{
    kt_structure structure = {0};
    char *path;
    kt_status status = kti_rows_structure_path(shared->rows, row, &path, error);
    if (status == KT_OK)
        status = kt_structure_read(path, &structure, error);
    if (status == KT_OK)
        status = build_graph(shared, &structure, path, crystal, error);
    kt_structure_destroy(&structure);
    free(path);
    return status;
}

static kt_status make_structure(const kti_row *row, kt_structure *structure, kt_error *error)
{
    if (row->prototype[0] != '\0')
        return kti_prototype_create(row->prototype, row->formula,
                                    &(kti_prototype_cell){.a = row->cell[0], .c = row->cell[2], .u = row->u},
                                    structure, error);
    kti_orbits orbits = {.space_group = row->space_group, .sites = row->sites};
    memcpy(orbits.cell, row->cell, sizeof orbits.cell);
    return kti_orbits_create(&orbits, row->formula, structure, error);
}

static kt_status build_from_table(const work *shared, const kti_row *row, kti_crystal *crystal,
                                  kt_error *error)
{
    kt_structure structure = {0};
    kt_error reason = KT_ERROR_NONE;
    const char *table = shared->rows->table;
    kt_status status = make_structure(row, &structure, &reason);
    if (status == KT_OK)
        status = build_graph(shared, &structure, table, crystal, &reason);
    kt_structure_destroy(&structure);
    if (status != KT_OK)
        kti_fail_line(error, status, table, row->line, "%s", reason.message);
    return status;
}

static void build_row(const work *shared, kti_row *row, kti_crystal *crystal)
{
    if (row->error.status != KT_OK)
        return;
    crystal->kappa = row->kappa;
    crystal->id = kti_duplicate_text(row->id);
    if (!crystal->id)
        kti_fail_memory(&row->error, "a crystal");
    else if (shared->rows->folder)
        build_from_file(shared, row, crystal, &row->error);
    else
        build_from_table(shared, row, crystal, &row->error);
}

/* Builds the next row; false when there is none left. */
static bool step(work *shared)
{
    size_t i = atomic_fetch_add(&shared->next, 1);
    if (i >= shared->rows->size || atomic_load(&shared->stop))
        return false;
    kti_row *row = &shared->rows->list[i];
    build_row(shared, row, &shared->crystals[i]);
    if (kti_is_fatal(row->error.status))
        atomic_store(&shared->stop, true);
    atomic_fetch_add(&shared->done, 1);
    return true;
}

static void *build_rows(void *argument)
{
    work *shared = argument;
    while (step(shared))
        ;
    return NULL;
}

static bool report(work *shared)
{
    const kti_dataset_options *options = shared->options;
    if (!options->progress)
        return true;
    return options->progress(options->user, (int)atomic_load(&shared->done), (int)shared->rows->size) == 0;
}

/* The calling thread works too, and is the one that reports. */
static kt_status build_all(work *shared, kt_error *error)
{
    bool interrupted = false;
    int helpers = 0, wanted = shared->options->threads - 1;
    if ((size_t)wanted > shared->rows->size)
        wanted = (int)shared->rows->size;
    pthread_t *threads = kti_allocate((size_t)wanted, sizeof *threads);
    if (!threads)
        return kti_fail_memory(error, "threads");
    while (helpers < wanted && pthread_create(&threads[helpers], NULL, build_rows, shared) == 0)
        helpers++; /* fewer than wanted only take longer */
    while (!interrupted && step(shared))
        interrupted = !report(shared);
    if (interrupted)
        atomic_store(&shared->stop, true);
    for (int i = 0; i < helpers; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    if (!interrupted && helpers > 0)
        interrupted = !report(shared);
    if (interrupted)
        return kti_fail_file(error, KT_INTERRUPTED, shared->rows->table, "stopped after %zu of %zu rows",
                             atomic_load(&shared->done), shared->rows->size);
    return KT_OK;
}

/* Moves the rows' crystals and errors into the data set, in their order. */
static kt_status gather(const kti_rows *rows, kti_crystal *crystals, kti_dataset *dataset, kt_error *error)
{
    size_t usable = 0;
    for (size_t i = 0; i < rows->size; i++) {
        const kt_error *reason = &rows->list[i].error;
        if (kti_is_fatal(reason->status)) {
            if (error && error->status == KT_OK)
                *error = *reason;
            return reason->status;
        }
        usable += reason->status == KT_OK;
    }
    if (rows->size == 0)
        return kti_fail_file(error, KT_BAD_FORMAT, rows->table, "has no rows");
    if (usable == 0) {
        char first[512];
        kt_error_format(&rows->list[0].error, first, sizeof first);
        return kti_fail_file(error, KT_BAD_FORMAT, rows->table,
                             "none of its %zu rows can be used; the first: %s", rows->size, first);
    }
    dataset->crystals = kti_allocate(usable, sizeof *dataset->crystals);
    dataset->rejects = kti_allocate(rows->size - usable, sizeof *dataset->rejects);
    if (!dataset->crystals || !dataset->rejects)
        return kti_fail_memory(error, "a data set");
    for (size_t i = 0; i < rows->size; i++) {
        const kti_row *row = &rows->list[i];
        if (row->error.status == KT_OK) {
            dataset->crystals[dataset->size++] = crystals[i];
            crystals[i] = (kti_crystal){0};
            continue;
        }
        kti_reject *reject = &dataset->rejects[dataset->rejected];
        reject->error = row->error;
        reject->id = kti_duplicate_text(row->id);
        if (!reject->id)
            return kti_fail_memory(error, "a data set");
        dataset->rejected++;
    }
    return KT_OK;
}

/* The last part of the path, without .csv. */
static char *name_of(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (end - start > 4 && strncmp(path + end - 4, ".csv", 4) == 0)
        end -= 4;
    char *name = kti_allocate(end - start + 1, 1);
    if (name)
        memcpy(name, path + start, end - start);
    return name;
}

kt_status kti_dataset_read(const char *path, const kti_dataset_options *options, kti_dataset *dataset,
                           kt_error *error)
{
    kti_rows rows = {0};
    work shared = {.rows = &rows, .options = options};
    kt_status status = KT_OK;
    *dataset = (kti_dataset){0};
    if (options->threads < 1 || options->threads > MAX_THREADS)
        return kti_fail(error, KT_BAD_ARGUMENT, "a data set is read by 1 to %d threads, not %d", MAX_THREADS,
                        options->threads);
    status = kti_rows_read(path, &rows, error);
    if (status != KT_OK)
        goto done;
    dataset->name = name_of(path);
    dataset->part[0].name = name_of(path);
    dataset->parts = 1;
    shared.crystals = kti_allocate(rows.size, sizeof *shared.crystals);
    if (!dataset->name || !dataset->part[0].name || !shared.crystals) {
        status = kti_fail_memory(error, "a data set");
        goto done;
    }
    status = build_all(&shared, error);
    if (status == KT_OK)
        status = gather(&rows, shared.crystals, dataset, error);
    dataset->part[0].size = dataset->size;
done:
    for (size_t i = 0; shared.crystals && i < rows.size; i++)
        crystal_destroy(&shared.crystals[i]);
    free(shared.crystals);
    kti_rows_destroy(&rows);
    if (status != KT_OK)
        kti_dataset_destroy(dataset);
    return status;
}

/* ---- what crystals there are ---- */

static uint64_t hash_graph(uint64_t hash, const kti_graph *g)
{
    const size_t nodes = (size_t)g->nodes, edges = (size_t)g->edges;
    hash = kti_hash(hash, g->feature, sizeof g->feature);
    hash = kti_hash(hash, g->node_type, nodes * sizeof *g->node_type);
    hash = kti_hash(hash, g->node_weight, nodes * sizeof *g->node_weight);
    hash = kti_hash(hash, g->edge_source, edges * sizeof *g->edge_source);
    hash = kti_hash(hash, g->edge_target, edges * sizeof *g->edge_target);
    hash = kti_hash(hash, g->edge_distance, edges * sizeof *g->edge_distance);
    return kti_hash(hash, g->edge_weight, edges * sizeof *g->edge_weight);
}

static uint64_t hash_crystals(const kti_crystal *crystals, int size)
{
    uint64_t hash = KTI_HASH_START;
    for (int i = 0; i < size; i++) {
        hash = kti_hash(hash, crystals[i].id, strlen(crystals[i].id) + 1);
        hash = kti_hash(hash, &crystals[i].kappa, sizeof crystals[i].kappa);
        hash = hash_graph(hash, &crystals[i].graph);
    }
    return hash;
}

uint64_t kti_dataset_fingerprint(const kti_dataset *dataset)
{
    uint64_t hash = hash_crystals(dataset->crystals, dataset->size);
    for (int i = 1; i < dataset->parts; i++) /* where one ends and the next begins */
        hash = kti_hash(hash, &dataset->part[i].first, sizeof dataset->part[i].first);
    return hash;
}

uint64_t kti_dataset_part_fingerprint(const kti_dataset *dataset, int part)
{
    return hash_crystals(dataset->crystals + dataset->part[part].first, dataset->part[part].size);
}

typedef struct sighting {
    uint64_t hash; /* of the crystal */
    int part;
} sighting;

static int by_crystal(const void *a, const void *b)
{
    const sighting *x = a, *y = b;
    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : x->part - y->part;
}

kt_status kti_dataset_count_shared(const kti_dataset *dataset, int *count, kt_error *error)
{
    *count = 0;
    if (dataset->parts == 1)
        return KT_OK;
    sighting *seen = kti_allocate((size_t)dataset->size, sizeof *seen);
    if (!seen)
        return kti_fail_memory(error, "a data set");
    for (int i = 0; i < dataset->size; i++)
        seen[i] =
            (sighting){hash_graph(KTI_HASH_START, &dataset->crystals[i].graph), dataset->crystals[i].part};
    qsort(seen, (size_t)dataset->size, sizeof *seen, by_crystal);
    for (int first = 0, next; first < dataset->size; first = next) {
        for (next = first + 1; next < dataset->size && seen[next].hash == seen[first].hash;)
            next++;
        *count += seen[next - 1].part != seen[first].part;
    }
    free(seen);
    return KT_OK;
}

/* ---- joining ---- */

/* A longer block with `more` elements of `size` bytes moved to its end; the source holds none afterwards. */
static void *extend(void *block, int used, const void *more, int count, size_t size)
{
    char *longer = kti_allocate((size_t)used + (size_t)count, size);
    if (longer) {
        memcpy(longer, block, (size_t)used * size);
        memcpy(longer + (size_t)used * size, more, (size_t)count * size);
    }
    return longer;
}

static bool has_part(const kti_dataset *dataset, const char *name)
{
    for (int i = 0; i < dataset->parts; i++)
        if (strcmp(dataset->part[i].name, name) == 0)
            return true;
    return false;
}

/* Gives the only part of `from` a name that none of `to` has: a run's files tell the parts apart by it. */
static kt_status rename_part(const kti_dataset *to, kti_dataset *from, kt_error *error)
{
    kti_text name = {0};
    for (int i = 2; !name.failed && has_part(to, name.data ? name.data : from->name); i++) {
        kti_text_destroy(&name);
        kti_text_add(&name, "%s#%d", from->name, i);
    }
    if (name.failed) {
        kti_text_destroy(&name);
        return kti_fail_memory(error, "a data set");
    }
    if (name.data) {
        free(from->part[0].name);
        from->part[0].name = name.data;
    }
    return KT_OK;
}

/* Moves the only part of `from` to the end of `to`. */
static kt_status append(kti_dataset *to, kti_dataset *from, kt_error *error)
{
    kti_text name = {0};
    kti_text_add(&name, "%s+%s", to->name, from->part[0].name);
    kti_crystal *crystals = extend(to->crystals, to->size, from->crystals, from->size, sizeof *crystals);
    kti_reject *rejects = extend(to->rejects, to->rejected, from->rejects, from->rejected, sizeof *rejects);
    if (name.failed || !crystals || !rejects) {
        kti_text_destroy(&name);
        free(crystals);
        free(rejects);
        return kti_fail_memory(error, "a data set");
    }
    for (int i = to->size; i < to->size + from->size; i++)
        crystals[i].part = to->parts;
    to->part[to->parts] = (kti_dataset_part){from->part[0].name, to->size, from->size};
    to->parts++;
    free(to->name);
    free(to->crystals);
    free(to->rejects);
    to->name = name.data;
    to->crystals = crystals;
    to->rejects = rejects;
    to->size += from->size;
    to->rejected += from->rejected;
    /* All that is left in `from`. */
    free(from->name);
    free(from->crystals);
    free(from->rejects);
    *from = (kti_dataset){0};
    return KT_OK;
}

static kt_status refuse_repeated(const kti_dataset *dataset, const kti_dataset *next,
                                 const char *const *paths, int index, kt_error *error)
{
    const uint64_t fingerprint = kti_dataset_fingerprint(next);
    for (int i = 0; i < dataset->parts; i++)
        if (kti_dataset_part_fingerprint(dataset, i) == fingerprint)
            return kti_fail_file(error, KT_BAD_ARGUMENT, paths[index],
                                 "holds the same crystals as %s: a data set is joined once only", paths[i]);
    return KT_OK;
}

kt_status kti_dataset_read_all(const char *const *paths, const kti_dataset_options *options,
                               kti_dataset *dataset, kt_error *error)
{
    kt_status status = kti_dataset_read(paths[0], options, dataset, error);
    for (int i = 1; i < KT_MAX_DATA_SETS && paths[i] && status == KT_OK; i++) {
        kti_dataset next = {0};
        status = kti_dataset_read(paths[i], options, &next, error);
        if (status == KT_OK && next.size > INT32_MAX - dataset->size)
            status = kti_fail(error, KT_BAD_ARGUMENT, "the data sets are too large together");
        if (status == KT_OK)
            status = refuse_repeated(dataset, &next, paths, i, error);
        if (status == KT_OK)
            status = rename_part(dataset, &next, error);
        if (status == KT_OK)
            status = append(dataset, &next, error);
        kti_dataset_destroy(&next);
    }
    if (status != KT_OK)
        kti_dataset_destroy(dataset);
    return status;
}

kt_status kti_dataset_write_rejects(const kti_dataset *dataset, const char *path, kt_error *error)
{
    kti_text text = {0};
    kti_text_add(&text, "id,line,file,reason\n");
    for (int i = 0; i < dataset->rejected; i++) {
        const kti_reject *reject = &dataset->rejects[i];
        kti_text_add_csv(&text, reject->id);
        kti_text_add(&text, ",");
        if (reject->error.line > 0)
            kti_text_add(&text, "%lld", (long long)reject->error.line);
        kti_text_add(&text, ",");
        kti_text_add_csv(&text, reject->error.file);
        kti_text_add(&text, ",");
        kti_text_add_csv(&text, reject->error.message);
        kti_text_add(&text, "\n");
    }
    kt_status status = kti_text_write(&text, path, "a list of rejects", error);
    kti_text_destroy(&text);
    return status;
}
