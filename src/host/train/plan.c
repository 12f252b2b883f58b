#include "train/plan.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "train/network.h"

struct kti_plan {
    kti_device *device; /* borrowed */
    int lane;
    kti_network network;
    void *workspace;    /* device: activations, gradients, batch, step, result */
    void *batch_memory; /* host */
    kti_batch batch;    /* host */
    kt_real step[KT_STEP_VALUES];
};

kt_status kti_plan_create(kti_device *device, int lane, kti_parameters *parameters, kti_capacity capacity,
                          kti_target output, const kt_train_options *training, kti_plan **plan,
                          kt_error *error)
{
    kt_status status = KT_OK;
    kti_plan *made = kti_allocate(1, sizeof *made);
    kti_network_request request = {parameters, capacity, output, training, NULL};
    *plan = NULL;
    if (!made)
        return kti_fail_memory(error, "the plan");
    made->device = device;
    made->lane = lane;
    /* The first pass counts the workspace and the operations, the second one places them. */
    status = kti_network_build(&request, &made->network, error);
    if (status != KT_OK)
        goto fail;
    status =
        kti_device_allocate(device, made->network.workspace_bytes,
                            training ? "the workspace of a training step" : "the workspace of a prediction",
                            &made->workspace, error);
    if (status != KT_OK)
        goto fail;
    kti_network_destroy(&made->network);
    request.workspace = made->workspace;
    status = kti_network_build(&request, &made->network, error);
    if (status != KT_OK)
        goto fail;
    made->batch = kti_batch_layout(capacity, NULL);
    made->batch_memory = kti_allocate(made->batch.bytes, 1);
    if (!made->batch_memory) {
        status = kti_fail_memory(error, "a batch");
        goto fail;
    }
    made->batch = kti_batch_layout(capacity, made->batch_memory);
    *plan = made;
    return KT_OK;
fail:
    kti_plan_destroy(made);
    return status;
}

void kti_plan_destroy(kti_plan *plan)
{
    if (!plan)
        return;
    kti_network_destroy(&plan->network);
    kti_device_release(plan->device, plan->workspace);
    free(plan->batch_memory);
    free(plan);
}

kti_batch *kti_plan_batch(kti_plan *plan)
{
    return &plan->batch;
}

kt_real *kti_plan_step(kti_plan *plan)
{
    return plan->step;
}

static kt_status run(kti_plan *plan, int fold, int first, int last, kt_error *error)
{
    kt_status status = kti_device_upload(plan->device, plan->network.batch_block, plan->batch_memory,
                                         plan->batch.bytes, error);
    if (status == KT_OK)
        status = kti_device_upload(plan->device, plan->network.step, plan->step, sizeof plan->step, error);
    if (status == KT_OK)
        status = kti_device_run(plan->device, plan->lane, plan->network.list + first, last - first, fold, 1,
                                error);
    return status;
}

static kt_status read_result(kti_plan *plan, kt_real *result, kt_error *error)
{
    return kti_device_download(plan->device, result, plan->network.result, KT_RESULT_VALUES * sizeof(kt_real),
                               error);
}

kt_status kti_plan_predict(kti_plan *plan, int fold, kt_real *prediction, kt_error *error)
{
    kt_status status = run(plan, fold, 0, plan->network.forward_size, error);
    const kt_matrix out = plan->network.views.prediction;
    for (int g = 0; status == KT_OK && g < *plan->batch.graph_count; g++)
        status = kti_device_download(plan->device, &prediction[g], out.data + (int64_t)g * out.stride,
                                     sizeof(kt_real), error);
    return status;
}

kt_status kti_plan_readout(kti_plan *plan, int graph, double *readout, kt_error *error)
{
    kt_real values[KTI_READOUT];
    const kt_matrix out = plan->network.views.readout;
    kt_status status = kti_device_download(plan->device, values, out.data + (int64_t)graph * out.stride,
                                           sizeof values, error);
    for (int i = 0; i < KTI_READOUT && status == KT_OK; i++)
        readout[i] = (double)values[i];
    return status;
}

kt_status kti_plan_train(kti_plan *plan, int fold, kt_real *result, kt_error *error)
{
    kt_status status = run(plan, fold, 0, plan->network.size, error);
    return status == KT_OK ? read_result(plan, result, error) : status;
}

kt_status kti_plan_differentiate(kti_plan *plan, int fold, kt_real *result, kt_error *error)
{
    kt_status status = run(plan, fold, 0, plan->network.backward_size, error);
    return status == KT_OK ? read_result(plan, result, error) : status;
}

const kt_real *kti_plan_gradient(const kti_plan *plan)
{
    return plan->network.gradient;
}

const kti_plan_views *kti_plan_get_views(const kti_plan *plan)
{
    return &plan->network.views;
}

const kti_operation *kti_plan_operations(const kti_plan *plan, int *size)
{
    *size = plan->network.size;
    return plan->network.list;
}
