/* The step as a plan: forward, loss, backward and Adam as one flat list of operations.
 *
 * A plan is built once for a capacity and a lane; it owns the lane's workspace
 * and batch, and points into the parameter arenas of all folds. Running it
 * allocates nothing. On a device that fuses, lane i serves fold i alone, and
 * the plans of all lanes are siblings: one list, and one workspace of all folds.
 */
#ifndef KTI_TRAIN_PLAN_H
#define KTI_TRAIN_PLAN_H

#include "train/network.h"

typedef struct kti_plan kti_plan;

/* `training` adds loss, backward and optimiser (KTI_TARGET_KAPPA only; see kti_network_request); NULL for prediction
 * alone. */
kt_status kti_plan_create(kti_device *device, int lane, kti_parameters *parameters, kti_capacity capacity,
                          kti_target output, const kt_train_options *training, kti_plan **plan,
                          kt_error *error);

/* The same for batches of at most `batch` of the kept crystals: kti_plan_pick takes the place of packing. */
kt_status kti_plan_create_kept(const kti_kept *kept, int batch, int lane, kti_parameters *parameters,
                               kti_target output, const kt_train_options *training, kti_plan **plan,
                               kt_error *error);

/* The same plan for another lane. On a device that fuses it shares list and workspace, and the plan that it was made of is
 * destroyed last. */
kt_status kti_plan_create_sibling(kti_plan *of, int lane, kti_plan **plan, kt_error *error);

void kti_plan_destroy(kti_plan *plan);

/* The batch that the next run uses, in the lane's host memory: pack it, then run. */
kti_batch *kti_plan_batch(kti_plan *plan);

/* The batch that the next run uses is of `count` of the kept crystals; kappa and data_set are zero, for the caller to change.
 * 0, or -1 if they do not fit. */
int kti_plan_pick(kti_plan *plan, const int32_t *crystals, int count);

/* What the next step uses: KT_STEP_VALUES numbers in host memory. */
kt_real *kti_plan_step(kti_plan *plan);

/* Sets the learning rate and Adam's bias corrections there, for step `number` since the moments were zero, from 1 on. */
void kti_plan_set_adam(kti_plan *plan, double learning_rate, int64_t number);

/* The batches of all later steps are parts of batches of so many graphs: what devices that share a fold add up. */
void kti_plan_set_whole(kti_plan *plan, int graphs);

/* Forward for one fold; the predictions of the batch's graphs go to `prediction`. */
kt_status kti_plan_predict(kti_plan *plan, int fold, kt_real *prediction, kt_error *error);

/* The read-out, KTI_READOUT numbers, of graph g of the batch that was predicted last, for that fold. */
kt_status kti_plan_readout(kti_plan *plan, int graph, double *readout, kt_error *error);

/* A training step for one fold; result[KT_RESULT_VALUES]. */
kt_status kti_plan_train(kti_plan *plan, int fold, kt_real *result, kt_error *error);

/* Forward, loss and backward without the optimiser: gradients stay in the lane's arena (tests). */
kt_status kti_plan_differentiate(kti_plan *plan, int fold, kt_real *result, kt_error *error);

/* The gradient arena of the lane, in the parameters' layout (device memory); on a device that fuses, of fold 0. */
const kt_real *kti_plan_gradient(const kti_plan *plan);

const kti_plan_views *kti_plan_get_views(const kti_plan *plan);

/* The device memory that the list works in, of all folds where the device fuses: to keep it and to put it back. */
void kti_plan_workspace(const kti_plan *plan, void **memory, size_t *bytes);

/* The list, for the benchmark's per-family times. */
const kti_operation *kti_plan_operations(const kti_plan *plan, int *size);

#endif
