/* cuDNN's graphs: a product of float32, or none, and functions of each element behind it.
 *
 * Engines as cuDNN 9 has them: those that fuse a product round its factors and say TENSOR_CORE, one of cuBLAS's can't fuse,
 * and pointwise graphs carry the note too. A test may ask for one that fuses a product in float32 (emulator_dnn_fuses): its
 * knob is an order of sums, and the heuristic sets it by the number of batches and rows.
 */
#include "cuda_emulator/dnn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BY_BLAS, ROUNDED, CONVERTED, IN_ANY_ORDER, IN_FLOAT, ENGINES };
enum { ORDERS = 3 };

/* ---- what graphs can be ---- */

const char *dnn_check_tensor(const dnn_tensor *t)
{
    if (t->type != CUDNN_DATA_FLOAT)
        return "a tensor's type is missing or isn't float32";
    if (t->sizes != 3 || t->strides != 3)
        return "a tensor without three sizes and strides";
    if (t->name == 0)
        return "a tensor without a unique id";
    if (t->alignment < 4 || t->alignment % 4 != 0)
        return "a tensor without an alignment";
    if (t->is_virtual && t->by_value)
        return "a virtual tensor that is passed by value";
    for (int i = 0; i < 3; i++)
        if (t->size[i] < 1 || t->stride[i] < 1)
            return "a tensor with a size or stride below one";
    /* Rows (or, of a transposed matrix, columns) mustn't share numbers, nor batches. */
    const bool transposed = t->stride[1] == 1 && t->stride[2] != 1;
    const int64_t inner = t->size[transposed ? 1 : 2], outer = t->size[transposed ? 2 : 1],
                  stride = t->stride[transposed ? 2 : 1];
    if (t->stride[transposed ? 1 : 2] != 1)
        return "a tensor without a dimension of stride one";
    if (outer > 1 && stride < inner)
        return "a tensor whose rows overlap";
    if (t->size[0] > 1 && t->stride[0] < inner)
        return "a tensor whose batches overlap";
    return NULL;
}

static bool fits(const dnn_tensor *small, const dnn_tensor *large)
{
    for (int i = 0; i < 3; i++)
        if (small->size[i] != 1 && small->size[i] != large->size[i])
            return false;
    return true;
}

static bool same_size(const dnn_tensor *left, const dnn_tensor *right)
{
    return memcmp(left->size, right->size, sizeof left->size) == 0;
}

const char *dnn_check_step(const dnn_step *s)
{
    if (s->x.name == 0 || s->y.name == 0 || ((s->product || s->has_second) && s->second.name == 0))
        return "an operation without a tensor";
    if (s->precision != CUDNN_DATA_FLOAT)
        return "a computation in another type than float32";
    if (s->product)
        return s->x.size[2] != s->second.size[1] || s->x.size[1] != s->y.size[1] ||
                       s->second.size[2] != s->y.size[2] || s->x.size[0] != s->y.size[0] ||
                       s->second.size[0] != s->y.size[0]
                   ? "the sizes of a product don't fit together"
                   : NULL;
    if (s->mode == CUDNN_POINTWISE_SOFTPLUS_FWD)
        return s->has_second  ? "a second tensor for a function of one"
               : s->beta != 1 ? "a softplus whose beta isn't emulated"
                              : NULL;
    if (s->mode != CUDNN_POINTWISE_ADD && s->mode != CUDNN_POINTWISE_SUB)
        return "a pointwise mode that isn't emulated";
    return !s->has_second                                         ? "one tensor for a function of two"
           : !same_size(&s->x, &s->y) || !fits(&s->second, &s->y) ? "sizes that don't fit together"
                                                                  : NULL;
}

/* A chain, so that a virtual tensor is what the step before made. */
const char *dnn_check_graph(const dnn_graph *g)
{
    if (g->steps < 1)
        return "a graph without operations";
    for (int i = 0; i < g->steps; i++) {
        const dnn_step *s = &g->step[i];
        const bool second = s->product || s->has_second;
        if (s->product && i > 0)
            return "a product that isn't the first operation isn't emulated";
        if (i > 0 && s->x.name != g->step[i - 1].y.name)
            return "an operation that doesn't take what the one before it made";
        if (i > 0 && memcmp(&s->x, &g->step[i - 1].y, sizeof s->x) != 0)
            return "two descriptors of one unique id that differ";
        if (i == 0 && s->x.is_virtual)
            return "a virtual tensor that nothing makes";
        if (second && (s->second.is_virtual || s->second.name == s->x.name || s->second.name == s->y.name))
            return "a second tensor that is virtual or another's";
        if (s->y.by_value || s->x.by_value || s->y.is_virtual != (i < g->steps - 1))
            return "what is between operations must be virtual, and the result must not";
    }
    return NULL;
}

/* ---- engines ---- */

static bool has_product(const dnn_graph *g)
{
    return g->step[0].product;
}

bool dnn_has_engine(const dnn_graph *g, int64_t index)
{
    return has_product(g) ? index >= 0 && index < ENGINES && (index != IN_FLOAT || emu_dnn_fuses)
                          : index == ROUNDED || index == CONVERTED;
}

int dnn_notes(const dnn_graph *g, int64_t index, cudnnBackendNumericalNote_t notes[DNN_NOTES])
{
    (void)g;
    int count = 0;
    if (index == ROUNDED || index == CONVERTED)
        notes[count++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    if (index == CONVERTED)
        notes[count++] = CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    if (index == IN_ANY_ORDER)
        notes[count++] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    if (index == IN_FLOAT)
        notes[count++] = CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP;
    return count;
}

int dnn_offer(const dnn_graph *g, cudnnBackendHeurMode_t mode, dnn_engine offered[DNN_OFFERED])
{
    static const int quick[] = {CONVERTED, ROUNDED, IN_ANY_ORDER, IN_FLOAT}, safe[] = {BY_BLAS};
    const bool fallback = mode == CUDNN_HEUR_MODE_FALLBACK;
    const int *list = fallback ? safe : quick, size = fallback ? 1 : 4;
    const dnn_tensor *y = &g->step[g->steps - 1].y;
    int count = 0;
    for (int i = 0; i < size; i++)
        if (dnn_has_engine(g, list[i]))
            offered[count++] = (dnn_engine){.index = list[i],
                                            .knobs = 1,
                                            .knob = {CUDNN_KNOB_TYPE_KERNEL_CFG},
                                            .value = {(y->size[0] + y->size[1]) % ORDERS}};
    return count;
}

bool dnn_supports(const dnn_graph *g, const dnn_engine *e, int64_t *workspace)
{
    if (!dnn_has_engine(g, e->index) || e->index == BY_BLAS)
        return false;
    for (int64_t i = 0; i < e->knobs; i++)
        if (e->knob[i] != CUDNN_KNOB_TYPE_KERNEL_CFG || e->value[i] < 0 || e->value[i] >= ORDERS)
            return false;
    *workspace = e->index == IN_FLOAT ? 1000 * g->step[0].y.size[0] : 0;
    return true;
}

/* ---- computation ---- */

typedef struct computation {
    emu_task task;
    dnn_graph graph;
    dnn_engine engine;
    dnn_memory memory;
    int64_t workspace;
    float value[DNN_TENSORS]; /* of those that are passed by value, in the order of the names */
} computation;

static int place(const dnn_memory *m, int64_t name)
{
    for (int i = 0; i < m->names; i++)
        if (m->name[i] == name)
            return i;
    return -1;
}

static int64_t extent(const dnn_tensor *t)
{
    int64_t last = 0;
    for (int i = 0; i < 3; i++)
        last += (t->size[i] - 1) * t->stride[i];
    return last + 1;
}

/* One tensor of an execution; false and a violation. */
static bool check_tensor(const computation *c, const dnn_tensor *t)
{
    char name[32];
    const int at = place(&c->memory, t->name);
    if (t->is_virtual)
        return true;
    if (at < 0) {
        emu_violation("%s: tensor %lld has no memory", emu_call(), (long long)t->name);
        return false;
    }
    const void *pointer = c->memory.pointer[at];
    if (t->by_value) {
        if (emu_memory_of(pointer) == EMU_DEVICE)
            emu_violation("%s: a value of the host is on the device", emu_call());
        return emu_memory_of(pointer) != EMU_DEVICE;
    }
    if ((uintptr_t)pointer % (uintptr_t)t->alignment != 0) {
        emu_violation("%s: tensor %lld isn't aligned to the %lld bytes that it is said to be", emu_call(),
                      (long long)t->name, (long long)t->alignment);
        return false;
    }
    snprintf(name, sizeof name, "tensor %lld", (long long)t->name);
    return emu_check_device(pointer, (size_t)extent(t) * sizeof(float), c->task.device, name);
}

/* Runs of `inner` numbers, `stride` apart, of one batch. */
static int64_t inner_of(const dnn_tensor *t, int64_t *stride)
{
    const bool transposed = t->stride[2] != 1;
    *stride = t->stride[transposed ? 2 : 1];
    return t->size[transposed ? 1 : 2];
}

/* Whether two matrices share numbers: they may stand side by side in the rows of a wider one. */
static bool share(const dnn_tensor *left, const float *l, const dnn_tensor *right, const float *r)
{
    int64_t stride, other;
    const int64_t l_inner = inner_of(left, &stride), r_inner = inner_of(right, &other),
                  l_size = extent(left) - (left->size[0] - 1) * left->stride[0],
                  r_size = extent(right) - (right->size[0] - 1) * right->stride[0];
    if (l >= r + r_size || r >= l + l_size)
        return false;
    if (stride != other)
        return true;
    const int64_t offset = ((r - l) % stride + stride) % stride;
    return offset < l_inner || offset + r_inner > stride;
}

static bool shares(const computation *c, const dnn_tensor *t, const dnn_tensor *out)
{
    if (t->is_virtual || t->by_value)
        return false;
    const float *from = c->memory.pointer[place(&c->memory, t->name)],
                *to = c->memory.pointer[place(&c->memory, out->name)];
    for (int64_t i = 0; i < t->size[0]; i++)
        for (int64_t j = 0; j < out->size[0]; j++)
            if (share(t, from + i * t->stride[0], out, to + j * out->stride[0]))
                return true;
    return false;
}

static bool check_memory(const computation *c)
{
    const dnn_graph *g = &c->graph;
    const dnn_tensor *out = &g->step[g->steps - 1].y;
    if (!check_tensor(c, out))
        return false;
    for (int i = 0; i < g->steps; i++) {
        const dnn_step *s = &g->step[i];
        const bool second = s->product || s->has_second;
        if (!check_tensor(c, &s->x) || (second && !check_tensor(c, &s->second)))
            return false;
        if (shares(c, &s->x, out) || (second && shares(c, &s->second, out))) {
            emu_violation("%s: the result overlaps what it is computed from", emu_call());
            return false;
        }
    }
    return c->workspace == 0 ||
           emu_check_device(c->memory.workspace, (size_t)c->workspace, c->task.device, "the workspace");
}

static float rounded(const computation *c, float x)
{
    uint32_t bits;
    if (c->engine.index == IN_FLOAT)
        return x;
    memcpy(&bits, &x, sizeof bits);
    bits &= 0xffffe000u; /* ten bits of the fraction are left */
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float multiply(const computation *c, const dnn_step *s, int64_t batch, int64_t row, int64_t column)
{
    const float *a = c->memory.pointer[place(&c->memory, s->x.name)],
                *b = c->memory.pointer[place(&c->memory, s->second.name)];
    const int64_t k_size = s->x.size[2], parts = 1 + c->engine.value[0];
    float sum[ORDERS] = {0};
    a += batch * s->x.stride[0] + row * s->x.stride[1];
    b += batch * s->second.stride[0] + column * s->second.stride[2];
    for (int64_t k = 0; k < k_size; k++)
        sum[k % parts] += rounded(c, a[k * s->x.stride[2]]) * rounded(c, b[k * s->second.stride[1]]);
    for (int64_t i = 1; i < parts; i++)
        sum[0] += sum[i];
    return sum[0];
}

static float element(const computation *c, const dnn_tensor *t, int64_t batch, int64_t row, int64_t column)
{
    const int at = place(&c->memory, t->name);
    if (t->by_value)
        return c->value[at];
    const float *data = c->memory.pointer[at];
    return data[(t->size[0] > 1 ? batch * t->stride[0] : 0) + (t->size[1] > 1 ? row * t->stride[1] : 0) +
                (t->size[2] > 1 ? column * t->stride[2] : 0)];
}

/* As cuDNN computes it: not in the most exact way. */
static float softplus(float x)
{
    return x > 0 ? x + logf(1.0f + expf(-x)) : logf(1.0f + expf(x));
}

static float follow(const computation *c, const dnn_step *s, float x, int64_t batch, int64_t row,
                    int64_t column)
{
    if (s->mode == CUDNN_POINTWISE_SOFTPLUS_FWD)
        return softplus(x);
    const float second = element(c, &s->second, batch, row, column);
    return s->mode == CUDNN_POINTWISE_ADD ? x + second : x - second;
}

static void compute(emu_task *task)
{
    const computation *c = (const computation *)task;
    const dnn_graph *g = &c->graph;
    const dnn_tensor *out = &g->step[g->steps - 1].y;
    if (!check_memory(c))
        return;
    if (c->workspace)
        memset(c->memory.workspace, 0xff, (size_t)c->workspace); /* it is the engine's to write */
    float *data = c->memory.pointer[place(&c->memory, out->name)];
    for (int64_t b = 0; b < out->size[0]; b++)
        for (int64_t r = 0; r < out->size[1]; r++)
            for (int64_t j = 0; j < out->size[2]; j++) {
                int step = has_product(g) ? 1 : 0;
                float x = step ? multiply(c, &g->step[0], b, r, j) : element(c, &g->step[0].x, b, r, j);
                for (; step < g->steps; step++)
                    x = follow(c, &g->step[step], x, b, r, j);
                data[b * out->stride[0] + r * out->stride[1] + j * out->stride[2]] = x;
            }
}

bool dnn_submit(emu_stream *stream, const dnn_graph *g, const dnn_engine *e, const dnn_memory *m)
{
    computation *c = emu_task_create("a layer by cuDNN", stream->device, sizeof *c, compute);
    c->graph = *g;
    c->engine = *e;
    c->memory = *m;
    bool right = dnn_supports(g, e, &c->workspace) && check_memory(c);
    if (right && c->workspace && (uintptr_t)m->workspace % DNN_WORKSPACE_ALIGNMENT != 0) {
        emu_violation("%s: the workspace isn't aligned to %d bytes", emu_call(), DNN_WORKSPACE_ALIGNMENT);
        right = false;
    }
    for (int i = 0; i < g->steps && right; i++) {
        const int at = place(m, g->step[i].second.name);
        if (g->step[i].second.by_value && at >= 0)
            memcpy(&c->value[at], m->pointer[at], sizeof c->value[at]);
    }
    if (right)
        emu_submit(stream, &c->task);
    else
        emu_task_release(&c->task);
    return right;
}
