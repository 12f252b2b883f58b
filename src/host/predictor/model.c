/* Ensembles: the members of a run, or one weights file. */
#include "predictor/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/architecture.h"
#include "predictor/calibration_file.h"
#include "train/checkpoint.h"
#include "train/members.h"
#include "train/plan.h"
#include "train/recipe.h"
#include "train/stages.h"
#include "train/start.h"

enum { ROOMY_EDGES = 10000 };

typedef struct member {
    double mean, sd; /* of the target transform, or of the formation energies' normaliser */
    bool network;    /* it needs one, in the arena of its index */
    kti_gp_head gp;  /* no rows where there is none */
    bool average;    /* of both */
} member;

struct kt_model {
    kt_model_options options;
    kti_device *device;
    kti_parameters parameters;
    kti_plan *plan; /* grown when crystals do not fit */
    kti_capacity capacity;
    kt_real *out; /* [capacity.graphs] what a member's network gives */
    int members;
    member *member;              /* [members] */
    int *fold;                   /* [members] */
    kti_calibration calibration; /* of no crystals where there is none */
    unsigned purpose;
    uint64_t fingerprint;
};

kt_model_options kt_model_options_default(void)
{
    return (kt_model_options){.property = KT_KAPPA, .device = "cpu", .quotient = true};
}

static kt_status read_transform(const kti_tensors *tensors, const char *file, kt_property property, member *m,
                                kt_error *error)
{
    const int eform = property == KT_EFORM;
    if (eform && !kti_tensors_find(tensors, "output_proj.layers.4.weight"))
        return kti_fail_file(error, KT_BAD_ARGUMENT, file,
                             "has no formation-energy layer; use the pretrained MEGNet weights");
    if (!eform && m->gp.gp.rows == 0 && !kti_tensors_find(tensors, "head.layers.0.weight"))
        return kti_fail_file(
            error, KT_BAD_ARGUMENT, file,
            "has no head for kappa: train one (kappatune train --from ...), or use --property eform");
    kt_status status =
        kti_metadata_number(tensors, file, eform ? "eform_mean" : "target_mean", &m->mean, error);
    if (status == KT_OK)
        status = kti_metadata_number(tensors, file, eform ? "eform_std" : "target_sd", &m->sd, error);
    return status;
}

/* The Gaussian process that the file has, or should have. A network may be without a word about its head. */
static kt_status load_process(const kti_tensors *tensors, const char *file, member *m, kt_error *error)
{
    const char *head = kti_tensors_metadata(tensors, "head");
    const bool named = head && strcmp(head, kti_head_names[KT_HEAD_NETWORK]) != 0;
    m->average = head && strcmp(head, kti_head_names[KT_HEAD_AVERAGE]) == 0;
    if (named && !m->average && strcmp(head, kti_head_names[KT_HEAD_GP]) != 0)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "metadata `head` is %.160s, which is not known",
                             head);
    return named || kti_gp_head_is_in(tensors) ? kti_gp_head_load(tensors, file, &m->gp, error) : KT_OK;
}

static kt_status load_member(kt_model *model, int index, int fold, const char *file, kt_error *error)
{
    kti_tensors tensors = {0};
    const unsigned parts =
        1u << KTI_PART_BODY | 1u << (model->options.property == KT_EFORM ? KTI_PART_EFORM : KTI_PART_HEAD);
    kt_real *arena = NULL;
    member *m = &model->member[index];
    kt_status status = kti_weights_read(file, &tensors, error);
    model->fold[index] = fold;
    for (size_t i = 0; i < tensors.size && model->purpose & KTI_MODEL_IS_KNOWN; i++)
        model->fingerprint = kti_hash(model->fingerprint, tensors.list[i].data,
                                      tensors.list[i].elements * kti_dtype_size(tensors.list[i].dtype));
    if (status == KT_OK && model->options.property == KT_KAPPA)
        status = load_process(&tensors, file, m, error);
    if (status == KT_OK)
        status = read_transform(&tensors, file, model->options.property, m, error);
    /* A Gaussian process may do without a network. */
    m->network = m->gp.gp.rows == 0 || m->average || m->gp.options.components > 0;
    if (status != KT_OK || !m->network)
        goto done;
    if (!model->parameters.device) /* the first member says what network it is */
        status = kti_parameters_create(model->device, model->members,
                                       kti_architecture_has_physics(&tensors) ? KTI_WITH_PHYSICS : 0,
                                       &model->parameters, error);
    if (status == KT_OK) {
        arena = kti_allocate((size_t)model->parameters.layout.size, sizeof *arena);
        status = arena ? KT_OK : kti_fail_memory(error, "the model");
    }
    if (status == KT_OK)
        status = kti_arena_load_weights(&model->parameters.layout, arena, &tensors, parts, file, error);
    if (status == KT_OK)
        status = kti_parameters_upload(&model->parameters, KTI_ROLE_VALUE, index, arena, error);
done:
    kti_tensors_destroy(&tensors);
    free(arena);
    return status;
}

/* A path without trained folds: a file of weights, a folder of matgl's, or none of what is asked for. */
static kt_status check_single(const char *path, kt_error *error)
{
    char *recipe = kti_path_join(path, "recipe.json"), *state = kti_path_join(path, "state.pt");
    kt_status status = recipe && state ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_file_exists(recipe))
        status =
            kti_fail_file(error, KT_BAD_ARGUMENT, path,
                          "is a run without a trained fold yet; finish it with kappatune train --resume");
    else if (status == KT_OK && kti_is_folder(path) && !kti_file_exists(state))
        status = kti_fail_file(error, KT_BAD_ARGUMENT, path,
                               "is neither a run (it has no folds/N/best.safetensors) nor a folder of "
                               "weights (it has no state.pt)");
    free(recipe);
    free(state);
    return status;
}

static kt_status open_model(const char *path, const kt_model_options *options, unsigned purpose,
                            kt_model **model, kt_error *error)
{
    int folds[KTI_MAX_MEMBERS], count = 0;
    *model = NULL;
    kt_status status = kti_members_list(path, folds, &count, error);
    if (status == KT_OK && count == 0)
        status = check_single(path, error);
    else if (status == KT_OK && !(purpose & KTI_MODEL_IN_THE_MAKING))
        status = kti_members_check(path, 0, error);
    if (status != KT_OK)
        return status;
    kt_model *made = kti_allocate(1, sizeof *made);
    if (!made)
        return kti_fail_memory(error, "the model");
    made->options = *options;
    made->purpose = purpose;
    made->fingerprint = KTI_HASH_START;
    made->members = count > 0 ? count : 1;
    made->member = kti_allocate((size_t)made->members, sizeof *made->member);
    made->fold = kti_allocate((size_t)made->members, sizeof *made->fold);
    if (!made->member || !made->fold) {
        status = kti_fail_memory(error, "the model");
        goto fail;
    }
    status = kti_device_create(options->device, 1, &made->device, error);
    if (status == KT_OK && count == 0)
        status = load_member(made, 0, 0, path, error);
    for (int i = 0; i < count && status == KT_OK; i++) {
        char *file = kti_checkpoint_path(path, folds[i], "best.safetensors");
        status = file ? load_member(made, i, folds[i], file, error) : kti_fail_memory(error, "a path");
        free(file);
    }
    if (status == KT_OK) {
        *model = made;
        return KT_OK;
    }
fail:
    kt_model_close(made);
    return status;
}

/* A folder's calibration, if it has one. */
static kt_status load_calibration(kt_model *model, const char *folder, kt_error *error)
{
    if (!kti_is_folder(folder) || model->options.property != KT_KAPPA)
        return KT_OK;
    char *path = kti_path_join(folder, KTI_CALIBRATION_FILE);
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_file_exists(path))
        status = kti_calibration_read(path, &model->calibration, error);
    free(path);
    return status;
}

static void hash_calibration(kt_model *model)
{
    const kti_calibration *c = &model->calibration;
    for (size_t i = 0; i < c->held_out_size; i++)
        model->fingerprint = kti_hash(model->fingerprint, &c->held_out[i].score, sizeof c->held_out[i].score);
    model->fingerprint =
        kti_hash(model->fingerprint, c->value, c->size * KTI_FEATURES_OF_CRYSTAL * sizeof *c->value);
}

kt_status kti_model_open(const char *path, const kt_model_options *options, unsigned purpose,
                         kt_model **model, kt_error *error)
{
    char *folder = NULL;
    *model = NULL;
    kt_status status = kti_stage_last(path, &folder, error);
    if (status == KT_OK)
        status = open_model(folder, options, purpose, model, error);
    if (status == KT_OK && purpose & KTI_MODEL_JUDGES)
        status = load_calibration(*model, folder, error);
    if (status == KT_OK && purpose & KTI_MODEL_IS_KNOWN)
        hash_calibration(*model);
    if (status != KT_OK) {
        kt_model_close(*model);
        *model = NULL;
    }
    free(folder);
    return status;
}

kt_status kt_model_open(const char *path, const kt_model_options *options, kt_model **model, kt_error *error)
{
    return kti_model_open(path, options, KTI_MODEL_JUDGES, model, error);
}

void kt_model_close(kt_model *model)
{
    if (!model)
        return;
    kti_plan_destroy(model->plan);
    kti_parameters_destroy(&model->parameters);
    kti_device_destroy(model->device);
    for (int i = 0; model->member && i < model->members; i++)
        kti_gp_head_destroy(&model->member[i].gp);
    kti_calibration_destroy(&model->calibration);
    free(model->member);
    free(model->fold);
    free(model->out);
    free(model);
}

int kt_model_members(const kt_model *model)
{
    return model->members;
}

int kt_model_member_fold(const kt_model *model, int index)
{
    return model->fold[index];
}

bool kt_model_has_log_sd(const kt_model *model)
{
    for (int i = 0; i < model->members; i++)
        if (model->member[i].gp.gp.rows == 0 || model->member[i].average)
            return false;
    return true;
}

/* A plan that holds them. Small ones are made with room to spare, so that few crystals cost a rebuild. */
static kt_status make_room(kt_model *model, kti_capacity wanted, kt_error *error)
{
    const kti_capacity has = model->capacity;
    if (model->plan && wanted.graphs <= has.graphs && wanted.nodes <= has.nodes && wanted.edges <= has.edges)
        return KT_OK;
    const int spare = wanted.edges < ROOMY_EDGES ? 2 : 1;
    const kti_target output = model->options.property == KT_EFORM ? KTI_TARGET_EFORM : KTI_TARGET_KAPPA;
    kti_plan_destroy(model->plan);
    model->plan = NULL;
    wanted.nodes *= spare;
    wanted.edges *= spare;
    model->capacity = kti_capacity_join(has, wanted);
    kt_status status = kti_plan_create(model->device, 0, &model->parameters, model->capacity, output, 0,
                                       &model->plan, error);
    kt_real *out = status == KT_OK ? realloc(model->out, (size_t)model->capacity.graphs * sizeof *out) : NULL;
    if (status == KT_OK && !out)
        return kti_fail_memory(error, "predictions");
    if (out)
        model->out = out;
    return status;
}

bool kti_model_needs_network(const kt_model *model)
{
    for (int i = 0; i < model->members; i++)
        if (model->member[i].network)
            return true;
    return false;
}

/* The member's value of graph `g` of the batch, after the network has run where it needs one. */
static kt_status finish_member(kt_model *model, int index, const kti_graph *graph, int g, double *value,
                               double *log_sd, kt_error *error)
{
    const member *m = &model->member[index];
    kti_gp_sample sample = {.feature = graph->feature};
    double network = NAN, process, sd = NAN;
    kt_status status = KT_OK;
    if (m->network) {
        const double scaled = (double)model->out[g] * m->sd + m->mean;
        network = model->options.property == KT_EFORM ? scaled : pow(10, scaled) - 1;
        if (m->gp.options.components > 0)
            status = kti_plan_readout(model->plan, g, sample.readout, error);
    }
    *value = network;
    if (status == KT_OK && m->gp.gp.rows > 0) {
        status = kti_gp_head_predict(&m->gp, &sample, &process, &sd, error);
        *value = m->average ? kti_gp_head_average(network, process) : process;
    }
    if (log_sd)
        *log_sd = m->average ? NAN : sd;
    return status;
}

/* The crystals as a batch of the plan, if a member needs one. */
static kt_status pack(kt_model *model, const kti_graph *const *graphs, int count, kt_error *error)
{
    kti_capacity wanted = {.graphs = count};
    if (!kti_model_needs_network(model))
        return KT_OK;
    for (int g = 0; g < count; g++) {
        wanted.nodes += graphs[g]->nodes;
        wanted.edges += graphs[g]->edges;
    }
    kt_status status = make_room(model, wanted, error);
    if (status == KT_OK && kti_batch_pack(kti_plan_batch(model->plan), graphs, NULL, count) != 0)
        status = kti_fail(error, KT_BAD_ARGUMENT, "crystals do not fit their plan");
    return status;
}

/* What a member says of the crystals of the batch, each `stride` numbers behind the one before. */
static kt_status ask(kt_model *model, int index, const kti_graph *const *graphs, int count, size_t stride,
                     double *value, double *log_sd, kt_error *error)
{
    kt_status status = KT_OK;
    if (model->member[index].network)
        status = kti_plan_predict(model->plan, index, model->out, error);
    for (int g = 0; g < count && status == KT_OK; g++)
        status = finish_member(model, index, graphs[g], g, &value[(size_t)g * stride],
                               log_sd ? &log_sd[(size_t)g * stride] : NULL, error);
    return status;
}

kt_status kti_model_predict_graphs(kt_model *model, const kti_graph *const *graphs, int count, double *value,
                                   double *log_sd, kt_error *error)
{
    kt_status status = pack(model, graphs, count, error);
    for (int i = 0; i < model->members && status == KT_OK; i++)
        status = ask(model, i, graphs, count, (size_t)model->members, value + i, log_sd ? log_sd + i : NULL,
                     error);
    return status;
}

kt_status kti_model_predict_member(kt_model *model, int index, const kti_graph *const *graphs, int count,
                                   double *value, double *log_sd, kt_error *error)
{
    kt_status status = pack(model, graphs, count, error);
    return status == KT_OK ? ask(model, index, graphs, count, 1, value, log_sd, error) : status;
}

kt_status kti_model_predict_graph(kt_model *model, const kti_graph *graph, const char *file, double *value,
                                  double *log_sd, kt_error *error)
{
    if (graph->edges == 0 && kti_model_needs_network(model))
        return kti_fail_file(error, KT_BAD_CRYSTAL, file ? file : "",
                             "no two atoms are within 4 Å of each other; the network has nothing to work on");
    return kti_model_predict_graphs(model, &graph, 1, value, log_sd, error);
}

kt_status kt_model_predict(kt_model *model, const kt_structure *structure, const char *file, double *value,
                           double *log_sd, kt_error *error)
{
    kti_graph graph = {0};
    kti_graph_options options = kti_graph_options_default();
    options.quotient = model->options.quotient;
    kt_status status = kti_graph_create(structure, &options, file, &graph, error);
    if (status == KT_OK)
        status = kti_model_predict_graph(model, &graph, file, value, log_sd, error);
    for (int i = 0; i < model->members && status == KT_OK; i++)
        if (!isfinite(value[i]))
            status = kti_fail_file(error, KT_NON_FINITE, file ? file : "", "member %d gives no finite number",
                                   model->fold[i]);
    kti_graph_destroy(&graph);
    return status;
}

/* ---- how far to trust it ---- */

uint64_t kti_model_fingerprint(const kt_model *model)
{
    return model->fingerprint;
}

void kti_model_judge_graph(const kt_model *model, const kti_graph *graph, const double *value,
                           const double *log_sd, kt_judgement *judgement)
{
    kti_calibration_judge(&model->calibration, graph, model->fold, value, log_sd, model->members, judgement);
}

bool kt_model_can_judge(const kt_model *model)
{
    return model->calibration.size > 0;
}

kt_status kt_model_judge(const kt_model *model, const kt_structure *structure, const char *file,
                         const double *value, const double *log_sd, kt_judgement *judgement, kt_error *error)
{
    kti_graph graph = {0};
    kti_graph_options options = kti_graph_options_default();
    *judgement = (kt_judgement){.low = NAN, .high = NAN, .distance = NAN};
    if (!kt_model_can_judge(model))
        return kti_fail(error, KT_BAD_ARGUMENT,
                        "the model has no calibration.csv, so it cannot judge its predictions; kappatune "
                        "calibrate makes one");
    options.quotient = model->options.quotient;
    kt_status status = kti_graph_create(structure, &options, file, &graph, error);
    if (status == KT_OK)
        kti_model_judge_graph(model, &graph, value, log_sd, judgement);
    kti_graph_destroy(&graph);
    return status;
}
