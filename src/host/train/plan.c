#include "train/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "train/network.h"

struct kti_plan {
    kti_device *device; /* borrowed */
    int lane;
    kti_network_request request;
    bool owns; /* the three that follow */
    kti_network network;
    void *workspace;      /* device: activations, gradients, batch, step, result, of one fold or of all */
    void *memory;         /* host: a piece for one lane or for each */
    char *own;            /* this lane's: the batch and, right behind it, the step; then what comes back */
    kti_batch batch;      /* in it */
    kt_real *step, *back; /* in it: [KT_STEP_VALUES]; result or predictions */
    int predicted_fold;   /* whose read-outs the workspace holds */
    int whole;            /* graphs of the batch that the next step's is a part of; negative: it is whole */
};

static size_t step_bytes(void)
{
    return (KT_STEP_VALUES * sizeof(kt_real) + 63) / 64 * 64;
}

static size_t back_bytes(const kti_plan *plan)
{
    const size_t predictions =
        (size_t)plan->request.capacity.graphs * (size_t)plan->network.views.prediction.stride;
    return (predictions > KT_RESULT_VALUES ? predictions : KT_RESULT_VALUES) * sizeof(kt_real);
}

/* The first pass counts the workspace and the operations, the second one places them. */
static kt_status create_network(kti_plan *plan, kt_error *error)
{
    kti_network_request *request = &plan->request;
    const bool fuses = kti_device_fuses(plan->device);
    request->fuses = fuses;
    request->chains = fuses && kti_device_chains(plan->device);
    kt_status status = kti_network_build(request, &plan->network, error);
    if (status != KT_OK)
        return status;
    const size_t bytes = plan->network.workspace_bytes;
    request->fold_bytes = fuses ? bytes : 0;
    status = kti_device_allocate(plan->device, bytes * (fuses ? (size_t)request->parameters->folds : 1),
                                 request->training ? "the workspace of a training step"
                                                   : "the workspace of a prediction",
                                 &plan->workspace, error);
    if (status != KT_OK)
        return status;
    kti_network_destroy(&plan->network);
    request->workspace = plan->workspace;
    return kti_network_build(request, &plan->network, error);
}

/* Host memory of a lane. Those of all lanes lie at equal distances, so that one copy may bring the batches of all. */
static size_t lane_bytes(const kti_plan *plan)
{
    const size_t bytes = plan->batch.bytes + step_bytes() + back_bytes(plan);
    return (bytes + 63) / 64 * 64;
}

static void place_memory(kti_plan *plan)
{
    const bool fuses = kti_device_fuses(plan->device);
    plan->own = (char *)plan->memory + (fuses ? lane_bytes(plan) * (size_t)plan->lane : 0);
    plan->batch = kti_batch_layout(plan->request.capacity, plan->own);
    plan->step = (kt_real *)(plan->own + plan->batch.bytes);
    plan->back = (kt_real *)(plan->own + plan->batch.bytes + step_bytes());
}

static kt_status create_memory(kti_plan *plan, kt_error *error)
{
    const size_t lanes = kti_device_fuses(plan->device) ? (size_t)plan->request.parameters->folds : 1;
    plan->batch = kti_batch_layout(plan->request.capacity, NULL);
    kt_status status =
        kti_device_allocate_host(plan->device, lane_bytes(plan) * lanes, "the batches", &plan->memory, error);
    if (status == KT_OK)
        place_memory(plan);
    return status;
}

static kt_status create(kti_device *device, int lane, const kti_network_request *request, kti_plan **plan,
                        kt_error *error)
{
    kti_plan *made = kti_allocate(1, sizeof *made);
    *plan = NULL;
    if (!made)
        return kti_fail_memory(error, "the plan");
    *made = (kti_plan){.device = device, .lane = lane, .whole = -1, .request = *request, .owns = true};
    kt_status status = create_network(made, error);
    if (status == KT_OK)
        status = create_memory(made, error);
    if (status == KT_OK)
        *plan = made;
    else
        kti_plan_destroy(made);
    return status;
}

kt_status kti_plan_create(kti_device *device, int lane, kti_parameters *parameters, kti_capacity capacity,
                          kti_target output, const kt_train_options *training, kti_plan **plan,
                          kt_error *error)
{
    const kti_network_request request = {
        .parameters = parameters, .capacity = capacity, .output = output, .training = training};
    return create(device, lane, &request, plan, error);
}

kt_status kti_plan_create_kept(const kti_kept *kept, int batch, int lane, kti_parameters *parameters,
                               kti_target output, const kt_train_options *training, kti_plan **plan,
                               kt_error *error)
{
    const kti_network_request request = {.parameters = parameters,
                                         .capacity = kti_capacity_of(kept->graph, kept->size, batch),
                                         .kept = kept,
                                         .output = output,
                                         .training = training};
    return create(kept->device, lane, &request, plan, error);
}

kt_status kti_plan_create_sibling(kti_plan *of, int lane, kti_plan **plan, kt_error *error)
{
    if (!kti_device_fuses(of->device)) {
        kti_network_request request = of->request;
        request.workspace = NULL;
        return create(of->device, lane, &request, plan, error);
    }
    kti_plan *made = kti_allocate(1, sizeof *made);
    *plan = made;
    if (!made)
        return kti_fail_memory(error, "the plan");
    *made = *of;
    made->lane = lane;
    made->owns = false;
    place_memory(made);
    return KT_OK;
}

void kti_plan_destroy(kti_plan *plan)
{
    if (!plan)
        return;
    if (plan->owns) {
        kti_device_forget(plan->device, plan->network.list);
        kti_network_destroy(&plan->network);
        kti_device_release(plan->device, plan->workspace);
        kti_device_release_host(plan->device, plan->memory);
    }
    free(plan);
}

kti_batch *kti_plan_batch(kti_plan *plan)
{
    return &plan->batch;
}

int kti_plan_pick(kti_plan *plan, const int32_t *crystals, int count)
{
    return kti_batch_pick(&plan->batch, plan->request.kept->graph, crystals, count);
}

kt_real *kti_plan_step(kti_plan *plan)
{
    return plan->step;
}

void kti_plan_set_adam(kti_plan *plan, double learning_rate, int64_t number)
{
    plan->step[KT_STEP_LEARNING_RATE] = (kt_real)learning_rate;
    plan->step[KT_STEP_CORRECTION1] = (kt_real)(1 / (1 - pow(KTI_ADAM_BETA1, (double)number)));
    plan->step[KT_STEP_CORRECTION2] = (kt_real)(1 / sqrt(1 - pow(KTI_ADAM_BETA2, (double)number)));
}

/* Where a fold's own piece of the workspace has what the first one's has at `first`. */
static void *of_fold(const kti_plan *plan, void *first, int fold)
{
    return (char *)first + plan->request.fold_bytes * (size_t)fold;
}

/* The batch, or its end, and the step go in, `bytes` from `from` come back. */
static kt_status run(kti_plan *plan, int fold, int size, const void *from, size_t bytes, kt_error *error)
{
    const size_t skipped = plan->request.kept ? plan->batch.end : 0;
    const kti_job job = {.list = plan->network.list,
                         .size = size,
                         .first = fold,
                         .count = 1,
                         .rows = {[KT_GRAPHS] = *plan->batch.graph_count,
                                  [KT_NODES] = *plan->batch.node_count,
                                  [KT_EDGES] = *plan->batch.edge_count},
                         .in = {of_fold(plan, (char *)plan->network.batch_block + skipped, fold),
                                plan->own + skipped,
                                plan->batch.bytes - skipped + KT_STEP_VALUES * sizeof(kt_real)},
                         .out = {plan->back, of_fold(plan, (void *)from, fold), bytes}};
    plan->predicted_fold = fold;
    return kti_device_run(plan->device, plan->lane, &job, error);
}

kt_status kti_plan_predict(kti_plan *plan, int fold, kt_real *prediction, kt_error *error)
{
    const kt_matrix out = plan->network.views.prediction;
    const int graphs = *plan->batch.graph_count;
    kt_status status = run(plan, fold, plan->network.forward_size, out.data,
                           (size_t)graphs * (size_t)out.stride * sizeof(kt_real), error);
    for (int g = 0; status == KT_OK && g < graphs; g++)
        prediction[g] = plan->back[(int64_t)g * out.stride];
    return status;
}

kt_status kti_plan_readout(kti_plan *plan, int graph, double *readout, kt_error *error)
{
    kt_real values[KTI_READOUT];
    const kt_matrix out = plan->network.views.readout;
    kt_status status = kti_device_download(
        plan->device, values, of_fold(plan, out.data + (int64_t)graph * out.stride, plan->predicted_fold),
        sizeof values, error);
    for (int i = 0; i < KTI_READOUT && status == KT_OK; i++)
        readout[i] = (double)values[i];
    return status;
}

void kti_plan_set_whole(kti_plan *plan, int graphs)
{
    plan->whole = graphs;
}

static kt_status run_step(kti_plan *plan, int fold, int size, kt_real *result, kt_error *error)
{
    const size_t bytes = KT_RESULT_VALUES * sizeof(kt_real);
    plan->step[KT_STEP_GRAPHS] = (kt_real)(plan->whole < 0 ? *plan->batch.graph_count : plan->whole);
    kt_status status = run(plan, fold, size, plan->network.result, bytes, error);
    if (status == KT_OK)
        memcpy(result, plan->back, bytes);
    return status;
}

kt_status kti_plan_train(kti_plan *plan, int fold, kt_real *result, kt_error *error)
{
    return run_step(plan, fold, plan->network.size, result, error);
}

kt_status kti_plan_differentiate(kti_plan *plan, int fold, kt_real *result, kt_error *error)
{
    return run_step(plan, fold, plan->network.backward_size, result, error);
}

const kt_real *kti_plan_gradient(const kti_plan *plan)
{
    return plan->network.gradient;
}

const kti_plan_views *kti_plan_get_views(const kti_plan *plan)
{
    return &plan->network.views;
}

void kti_plan_workspace(const kti_plan *plan, void **memory, size_t *bytes)
{
    const size_t folds = kti_device_fuses(plan->device) ? (size_t)plan->request.parameters->folds : 1;
    *memory = plan->workspace;
    *bytes = plan->network.workspace_bytes * folds;
}

const kti_operation *kti_plan_operations(const kti_plan *plan, int *size)
{
    *size = plan->network.size;
    return plan->network.list;
}
