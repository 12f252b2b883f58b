#include "paper/reproduce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/memory.h"
#include "experiment/run.h"
#include "train/fold.h"
#include "train/recipe.h"
#include "train/stages.h"

enum { TOGO15, HH143, AFLOW_AGL };

static const char *const path_names[KTI_REPRODUCE_PATHS] = {"togo15", "hh143", "aflow_agl"};
static const char *const set_names[KTI_REPRODUCE_PATHS] = {"togo15", "hh143", "aflow"};

/* The published run comes first: it is the one to compare with the paper. */
static const kt_protocol order[2] = {KT_PUBLISHED, KT_SOUND};

kti_reproduce_options kti_reproduce_options_default(void)
{
    return (kti_reproduce_options){.protocol = {true, true},
                                   .step = {false, true, true, true},
                                   .set = {true, true, true, true},
                                   .folds = KTI_PAPER_RUNS,
                                   .epochs = 300,
                                   .aflow_epochs = 300,
                                   .threads = 1,
                                   .seed = 42};
}

bool kti_reproduction_is_short(const kti_reproduction *r)
{
    return r->options.folds < KTI_PAPER_RUNS || r->options.epochs < 300 || r->options.aflow_epochs < 300;
}

char *kti_reproduction_folder(const kti_reproduction *r, kt_protocol protocol)
{
    return kti_path_join(r->options.out, kti_protocol_names[protocol]);
}

const kt_train_result *kti_reproduction_find(const kti_reproduction *r, kt_protocol protocol,
                                             const char *stage)
{
    const kti_reproduce_run *run = &r->run[protocol];
    for (int i = 0; i < run->result.stages; i++)
        if (strcmp(run->stage[i].name, stage) == 0)
            return &run->result.stage[i];
    return NULL;
}

/* ---- the stages ---- */

/* DIR/name, or the table DIR/name.csv; without a DIR the name, if it can be found. */
static kt_status find_data(kti_reproduction *r, int which, kt_train_options *o, int part, kt_error *error)
{
    const char **path = &o->data[part], *found;
    char table[32];
    *path = r->options.data_root ? r->path[which] : set_names[which];
    if (!r->options.data_root)
        return kti_recipe_find(o, KT_NAMED_DATA, *path, &found, error);
    if (*path)
        return KT_OK;
    snprintf(table, sizeof table, "%s.csv", path_names[which]);
    char *folder = kti_path_join(r->options.data_root, path_names[which]),
         *file = kti_path_join(r->options.data_root, table);
    kt_status status = folder && file ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && !kti_is_folder(folder) && !kti_file_exists(file))
        status = kti_fail_file(error, KT_IO, folder,
                               "is missing (so is the table %s): say by --data-root where the data sets "
                               "are, or leave models out by --sets and --steps",
                               table);
    if (status == KT_OK) {
        const bool is_folder = kti_is_folder(folder);
        *path = r->path[which] = is_folder ? folder : file;
        *(is_folder ? &folder : &file) = NULL;
    }
    free(folder);
    free(file);
    return status;
}

static kt_status set_data(kti_reproduction *r, kti_paper_set set, kt_train_options *o, kt_error *error)
{
    kt_status status = KT_OK;
    if (set == KTI_PAPER_AFLOW)
        return find_data(r, AFLOW_AGL, o, 0, error);
    if (set == KTI_PAPER_HH143)
        return find_data(r, HH143, o, 0, error);
    status = find_data(r, TOGO15, o, 0, error);
    if (status == KT_OK && set == KTI_PAPER_MIX)
        status = find_data(r, HH143, o, 1, error);
    return status;
}

static kt_status set_weights(const kti_reproduction *r, const char *model, kt_train_options *o,
                             kt_error *error)
{
    const char *path;
    o->from = r->options.weights;
    if (!o->from)
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "%s starts at formation-energy weights: name them by --weights (kappatune weights "
                        "fetch megnet-eform), or leave it out by --steps",
                        model);
    kt_status status = kti_recipe_find(o, KT_NAMED_WEIGHTS, o->from, &path, error);
    if (status == KT_OK && !kti_is_folder(path) && !kti_file_exists(path))
        status = kti_fail_file(error, KT_IO, path, "there are no weights");
    return status;
}

/* The paper's options, whatever the defaults are. */
static kt_train_options common_options(const kti_reproduce_options *asked, kt_protocol protocol)
{
    kt_train_options o = kt_train_options_default(protocol);
    o.run.device = asked->device;
    o.run.threads = asked->threads;
    o.run.find = asked->find;
    o.run.find_user = asked->find_user;
    o.run.force = asked->force;
    o.seed = asked->seed;
    o.folds = asked->folds;
    o.batch = 8;
    o.learning_rate = 1e-3;
    o.min_learning_rate = 1e-5;
    o.schedule_period = 1000;
    o.schedule_ticks = 2;
    o.loss = KT_LOSS_MAPE;
    o.head = KT_HEAD_NETWORK;
    o.freeze = KT_FREEZE_NONE;
    o.body_rate = 1;
    o.weight_decay = o.clip_norm = o.weight_average = o.label_noise = 0;
    o.physics_inputs = false;
    return o;
}

static kt_status add_stage(kti_reproduction *r, kt_protocol protocol, const char *name, kt_error *error)
{
    kti_reproduce_run *run = &r->run[protocol];
    for (int i = 0; i < run->stages; i++)
        if (strcmp(run->stage[i].name, name) == 0)
            return KT_OK;
    const kti_paper_variant *variant = kti_paper_find_variant(protocol, name);
    const kti_paper_model *model = kti_paper_find(variant ? variant->base : name);
    kt_train_options o = common_options(&r->options, protocol);
    o.epochs = model->set == KTI_PAPER_AFLOW ? r->options.aflow_epochs : r->options.epochs;
    /* The published Step 2 loads nothing, as Step 1 does. Another seed makes it another draw, not the same one again. */
    if (protocol == KT_PUBLISHED && model->formation_energy)
        o.seed++;
    o.from_stage = variant && variant->from_stage ? variant->from_stage : model->from_stage;
    if (variant && !variant->from_stage)
        kti_paper_switch(variant->fault, protocol, &o);
    kt_status status = set_data(r, model->set, &o, error);
    if (status == KT_OK && o.from_stage)
        status = add_stage(r, protocol, o.from_stage, error);
    else if (status == KT_OK && model->formation_energy)
        status = set_weights(r, name, &o, error);
    if (status == KT_OK && run->stages == KTI_REPRODUCE_STAGES)
        status = kti_fail(error, KT_BAD_ARGUMENT, "there are more than %d stages", KTI_REPRODUCE_STAGES);
    if (status == KT_OK)
        run->stage[run->stages++] = (kt_stage){.name = name, .options = o};
    return status;
}

static kt_status add_protocol(kti_reproduction *r, kt_protocol protocol, kt_error *error)
{
    const kti_reproduce_options *o = &r->options;
    kt_status status = KT_OK;
    for (int i = 0; i < KTI_PAPER_MODELS && status == KT_OK; i++) {
        const kti_paper_model *m = &kti_paper_models[i];
        if (o->set[m->set] && o->step[m->step])
            status = add_stage(r, protocol, m->name, error);
    }
    for (int i = 0; i < KTI_PAPER_ABLATIONS && status == KT_OK; i++) {
        const kti_paper_ablation *a = &kti_paper_ablations[i];
        if (a->protocol == protocol && o->set[KTI_PAPER_TOGO15] && o->step[a->step])
            status = add_stage(r, protocol, a->stage, error);
    }
    if (status == KT_OK && r->run[protocol].stages == 0)
        status = kti_fail(error, KT_BAD_ARGUMENT, "the paper has no model of these sets and steps");
    return status;
}

kt_status kti_reproduction_plan(const kti_reproduce_options *options, kti_reproduction *r, kt_error *error)
{
    kt_status status = KT_OK;
    *r = (kti_reproduction){.options = *options};
    if (!options->protocol[KT_SOUND] && !options->protocol[KT_PUBLISHED])
        status = kti_fail(error, KT_BAD_ARGUMENT, "no protocol is asked for");
    for (int i = 0; i < 2 && status == KT_OK; i++)
        if (options->protocol[order[i]])
            status = add_protocol(r, order[i], error);
    if (status != KT_OK)
        kti_reproduction_destroy(r);
    return status;
}

void kti_reproduction_destroy(kti_reproduction *r)
{
    for (int i = 0; i < KTI_REPRODUCE_PATHS; i++)
        free(r->path[i]);
    for (int i = 0; i < 2; i++)
        kt_recipe_result_destroy(&r->run[i].result);
    *r = (kti_reproduction){0};
}

/* ---- training ---- */

/* What the progress of one protocol's run needs to tell that of both. */
typedef struct work {
    const kti_reproduction *reproduction;
    kt_protocol protocol;
    int64_t rows[2];     /* training rows times epochs, by kt_protocol */
    int64_t rows_before; /* of the run before */
    char message[1024];
} work;

static int tell_progress(void *user, const kt_train_progress *progress)
{
    const work *w = user;
    const kti_reproduce_options *o = &w->reproduction->options;
    kt_train_progress p = *progress;
    const int64_t left = p.rows_total - p.rows_done;
    p.rows_done += w->rows_before;
    p.rows_total = w->rows[0] + w->rows[1];
    if (left > 0)
        p.seconds_left *= (double)(p.rows_total - p.rows_done) / (double)left;
    return o->progress(o->user, w->protocol, &p);
}

static void tell_message(void *user, const char *text)
{
    work *w = user;
    const kti_reproduce_options *o = &w->reproduction->options;
    snprintf(w->message, sizeof w->message, "%s: %s", kti_protocol_names[w->protocol], text);
    o->message(o->user, w->message);
}

static kt_status count_rows(const kti_reproduction *r, kt_protocol protocol, kti_dataset *datasets,
                            int64_t *rows, kt_error *error)
{
    const kti_reproduce_run *run = &r->run[protocol];
    kt_status status = KT_OK;
    *rows = 0;
    for (int i = 0; i < run->stages && status == KT_OK; i++) {
        const kt_stage *stage = &run->stage[i];
        const kti_paper_variant *variant = kti_paper_find_variant(protocol, stage->name);
        kti_dataset *dataset = &datasets[kti_paper_find(variant ? variant->base : stage->name)->set];
        int train, inner, validate;
        if (dataset->size == 0)
            status = kti_run_read_data(&stage->options, dataset, error);
        kti_fold_sizes(dataset, &stage->options, &train, &inner, &validate);
        *rows += (int64_t)train * stage->options.epochs * stage->options.folds;
    }
    return status;
}

static kt_recipe recipe_of(kti_reproduce_run *run)
{
    return (kt_recipe){.staged = true, .stages = run->stages, .stage = run->stage};
}

/* The runs of a reproduction lie in folders of their own: these files say that --out is itself a run's. */
static kt_status refuse_run_folder(const char *out, kt_error *error)
{
    static const char *const names[] = {"recipe.json", "metrics.json"};
    kt_status status = KT_OK;
    for (int i = 0; i < 2 && status == KT_OK; i++) {
        char *file = kti_path_join(out, names[i]);
        if (!file)
            status = kti_fail_memory(error, "a path");
        else if (kti_file_exists(file))
            status = kti_fail_file(error, KT_BAD_ARGUMENT, out,
                                   "holds another run (%s); name a folder of its own by --out", names[i]);
        free(file);
    }
    return status;
}

/* Whether one of the two runs was begun there. */
static kt_status is_begun(const kti_reproduction *r, bool *begun, kt_error *error)
{
    kt_status status = KT_OK;
    *begun = false;
    for (int i = 0; i < 2 && status == KT_OK; i++) {
        char *folder = kti_reproduction_folder(r, (kt_protocol)i),
             *lock = folder ? kti_path_join(folder, "lock") : NULL;
        status = lock ? KT_OK : kti_fail_memory(error, "a path");
        *begun = *begun || (lock && kti_file_exists(lock));
        free(folder);
        free(lock);
    }
    return status;
}

/* Tables, figures and scans would take the place of somebody's files. */
static kt_status refuse_stranger(const kti_reproduction *r, kt_error *error)
{
    const char *const own[] = {kti_protocol_names[0], kti_protocol_names[1], NULL};
    char name[256] = "";
    bool begun = false;
    kt_status status = is_begun(r, &begun, error);
    if (status == KT_OK && !begun && !r->options.force)
        status = kti_folder_find_foreign(r->options.out, own, name, sizeof name, error);
    if (status == KT_OK && *name)
        status = kti_fail_file(error, KT_BAD_ARGUMENT, r->options.out,
                               "holds %s, and no reproduction: name a folder that is new or empty by --out, "
                               "or write into it all the same with --force",
                               name);
    return status;
}

/* Everything that could stop the second run is looked at before hours are spent on the first. */
static kt_status check(kti_reproduction *r, work *w, kt_error *error)
{
    kti_dataset datasets[KTI_PAPER_SETS] = {{0}};
    kt_status status = refuse_run_folder(r->options.out, error);
    if (status == KT_OK)
        status = refuse_stranger(r, error);
    for (int i = 0; i < 2 && status == KT_OK; i++) {
        const kt_recipe recipe = recipe_of(&r->run[i]);
        if (recipe.stages == 0)
            continue;
        char *folder = kti_reproduction_folder(r, (kt_protocol)i);
        status = folder ? kti_stages_check(&recipe, error) : kti_fail_memory(error, "a path");
        if (status == KT_OK)
            status = kti_stages_check_run(&recipe, folder, r->options.resume, error);
        if (status == KT_OK)
            status = count_rows(r, (kt_protocol)i, datasets, &w->rows[i], error);
        free(folder);
    }
    for (int i = 0; i < KTI_PAPER_SETS; i++)
        kti_dataset_destroy(&datasets[i]);
    return status;
}

static kt_status train_run(kti_reproduction *r, work *w, kt_error *error)
{
    kti_reproduce_run *run = &r->run[w->protocol];
    char *folder = kti_reproduction_folder(r, w->protocol);
    for (int i = 0; i < run->stages; i++) {
        kt_train_options *o = &run->stage[i].options;
        o->run.progress = r->options.progress ? tell_progress : NULL;
        o->run.message = r->options.message ? tell_message : NULL;
        o->run.user = w;
    }
    const kt_recipe recipe = recipe_of(run);
    kt_status status = folder ? kt_train_recipe(&recipe, folder, r->options.resume, &run->result, error)
                              : kti_fail_memory(error, "a path");
    free(folder);
    return status;
}

kt_status kti_reproduction_train(kti_reproduction *r, kt_error *error)
{
    work w = {.reproduction = r};
    kt_status status = check(r, &w, error);
    for (int i = 0; i < 2 && status == KT_OK; i++) {
        w.protocol = order[i];
        if (r->run[w.protocol].stages > 0)
            status = train_run(r, &w, error);
        w.rows_before += w.rows[w.protocol];
    }
    return status;
}
