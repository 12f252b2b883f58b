#include "train/optimiser.h"

/* Parameters [first, first + size) of a fold's arena. */
typedef struct range {
    int64_t first, size;
} range;

static int is_frozen(const kti_builder *b)
{
    return b->request->training->freeze == KT_FREEZE_BODY;
}

static range trained(const kti_builder *b)
{
    const kti_layout *layout = kti_builder_layout(b);
    const int64_t first = is_frozen(b) ? layout->head_offset : 0;
    return (range){first, layout->size - first};
}

/* A fold's arena from `first` on. */
static kt_matrix arena(const kti_builder *b, kt_real *all, int64_t first)
{
    const int64_t size = kti_builder_layout(b)->size;
    return (kt_matrix){all + first, size, (int32_t)size};
}

/* The lane's gradient from `first` on. */
static kt_matrix gradient(const kti_builder *b, int64_t first)
{
    kt_real *all = b->network->gradient;
    return (kt_matrix){all ? all + first : NULL, kti_builder_fold_stride(b),
                       (int32_t)kti_builder_layout(b)->size};
}

void kti_append_gradient_norm(kti_builder *b)
{
    const range r = trained(b);
    const int64_t chunks = (r.size + KT_NORM_CHUNK - 1) / KT_NORM_CHUNK;
    b->family = KTI_FAMILY_OPTIMISER;
    if (kti_device_ranks(b->request->parameters->device) > 1)
        kti_append(b, KTI_OP_ALL_REDUCE)->arguments.all_reduce = (kti_all_reduce){
            .size = r.size, .gradient = gradient(b, r.first), .result = kti_builder_result(b)};
    kt_real *partial = kti_builder_take(b, (size_t)chunks * sizeof(kt_real));
    kti_append(b, KTI_OP_GRADIENT_NORM)->arguments.gradient_norm =
        (kt_gradient_norm){.size = r.size,
                           .gradient = gradient(b, r.first),
                           .partial = {partial, kti_builder_fold_stride(b), (int32_t)chunks},
                           .result = kti_builder_result(b)};
}

/* theta -= rate_factor alpha lambda theta, for the weight matrices of the range */
static void append_weight_decay(kti_builder *b, range r, double rate_factor)
{
    const kti_parameters *p = b->request->parameters;
    kti_append(b, KTI_OP_WEIGHT_DECAY)->arguments.weight_decay =
        (kt_weight_decay){.size = r.size,
                          .step = kti_builder_step(b),
                          .result = kti_builder_result(b),
                          .decays = {p->decays + r.first, 0, (int32_t)r.size},
                          .parameter = arena(b, p->value, r.first),
                          .amount = (kt_real)(rate_factor * b->request->training->weight_decay)};
}

/* g = gradient min(1, clip_norm / norm), m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
 * theta -= rate_factor alpha (m / (1 - beta1^t)) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon) */
static void append_adam(kti_builder *b, range r, double rate_factor)
{
    const kti_parameters *p = b->request->parameters;
    kti_append(b, KTI_OP_ADAM)->arguments.adam =
        (kt_adam){.size = r.size,
                  .step = kti_builder_step(b),
                  .result = kti_builder_result(b),
                  .gradient = gradient(b, r.first),
                  .parameter = arena(b, p->value, r.first),
                  .moment1 = arena(b, p->moment1, r.first),
                  .moment2 = arena(b, p->moment2, r.first),
                  .beta1 = (kt_real)KTI_ADAM_BETA1,
                  .beta2 = (kt_real)KTI_ADAM_BETA2,
                  .epsilon = (kt_real)1e-8,
                  .share1 = (kt_real)(1 - KTI_ADAM_BETA1),
                  .share2 = (kt_real)(1 - KTI_ADAM_BETA2),
                  .rate_factor = (kt_real)rate_factor,
                  .clip_norm = (kt_real)b->request->training->clip_norm};
}

static void append_step(kti_builder *b, range r, double rate_factor)
{
    if (b->request->training->weight_decay > 0)
        append_weight_decay(b, r, rate_factor);
    append_adam(b, r, rate_factor);
}

/* average += (1 - a_t) (theta - average), of all parameters */
static void append_weight_average(kti_builder *b)
{
    const kti_parameters *p = b->request->parameters;
    kti_append(b, KTI_OP_WEIGHT_AVERAGE)->arguments.weight_average =
        (kt_weight_average){.size = kti_builder_layout(b)->size,
                            .step = kti_builder_step(b),
                            .result = kti_builder_result(b),
                            .parameter = arena(b, p->value, 0),
                            .average = arena(b, p->average, 0)};
}

void kti_append_optimiser(kti_builder *b)
{
    const kti_layout *layout = kti_builder_layout(b);
    const kt_train_options *training = b->request->training;
    b->family = KTI_FAMILY_OPTIMISER;
    if (is_frozen(b) || training->body_rate == 1) {
        append_step(b, trained(b), 1);
    } else {
        append_step(b, (range){0, layout->body_size}, training->body_rate);
        append_step(b, (range){layout->head_offset, layout->size - layout->head_offset}, 1);
    }
    if (training->weight_average > 0)
        append_weight_average(b);
}
