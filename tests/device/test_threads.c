/* Kernels as a GPU runs them: the float64 twin's answer, and the same bits, for every launch shape that a
 * kernel allows and for every order of blocks and threads. And the emulator itself, with kernels that have a
 * fault. */
#include "device/cases.h"
#include "device/launch.h"
#include "device/threaded_kernels.h"
#include "support.h"

static const int widths[] = {1, 2, 31, 32, 33, 64, 96, 128}, heights[] = {1, 2, 4}, grids[] = {1, 3, 7};
enum {
    WIDTHS = sizeof widths / sizeof *widths,
    HEIGHTS = sizeof heights / sizeof *heights,
    GRIDS = sizeof grids / sizeof *grids
};

/* ---- the kernels ---- */

static uint64_t seed = 1;
static unsigned char *first_bits; /* of every buffer, one after another */

static size_t memory_size(const fixture *f)
{
    size_t size = 0;
    for (int i = 0; i < f->buffers; i++)
        size += f->buffer[i].size * sizeof(kt_real);
    return size;
}

static void save(const fixture *f, unsigned char *to)
{
    for (int i = 0; i < f->buffers; to += f->buffer[i++].size * sizeof(kt_real))
        memcpy(to, f->buffer[i].memory, f->buffer[i].size * sizeof(kt_real));
}

static int same_bits(const fixture *f, const unsigned char *as)
{
    for (int i = 0; i < f->buffers; as += f->buffer[i++].size * sizeof(kt_real))
        if (memcmp(as, f->buffer[i].memory, f->buffer[i].size * sizeof(kt_real)) != 0)
            return 0;
    return 1;
}

static int run_folds(fixture *f, int first_fold, threads_launch launch)
{
    for (int i = 0; i < f->operations; i++)
        if (threaded_run(&f->operation[i], first_fold, &launch) != 0)
            return -1;
    return 0;
}

static int run(fixture *f, threads_launch launch)
{
    fixture_reset(f);
    return run_folds(f, 0, launch);
}

static threads_launch shape(int grid, int width, int height)
{
    return (threads_launch){.grid = {grid, 1, FOLDS}, .block = {width, height, 1}, .seed = seed++};
}

static void check_shape(fixture *f, threads_launch launch)
{
    char text[512];
    if (run(f, launch) != 0)
        fail_msg("%s: threads of a block of %d x %d part at a barrier", f->name, launch.block.x,
                 launch.block.y);
    if (!first_bits) {
        if (fixture_mismatches(f, text, sizeof text) != 0)
            fail_msg("%s", text);
        first_bits = fixture_take(f, memory_size(f), 1);
        save(f, first_bits);
    } else if (!same_bits(f, first_bits)) {
        fixture_mismatches(f, text, sizeof text);
        fail_msg("%s: %d blocks of %d x %d threads give other bits than one thread (%s)", f->name,
                 launch.grid.x, launch.block.x, launch.block.y, text);
    }
}

/* A launch for one fold gives that fold's bits, and leaves the other folds as they were. */
static void check_fold(fixture *f, int fold, threads_launch launch)
{
    char text[512];
    const unsigned char *whole = first_bits;
    launch.grid.z = 1;
    fixture_reset(f);
    assert_int_equal(run_folds(f, fold, launch), 0);
    for (int i = 0; i < f->buffers; whole += f->buffer[i++].size * sizeof(kt_real)) {
        const fixture_buffer *b = &f->buffer[i];
        const size_t first = fold * b->fold_stride, end = first + b->fold_size;
        for (size_t j = 0; j < b->size; j++) {
            const void *expected =
                j >= first && j < end ? whole + j * sizeof(kt_real) : (const unsigned char *)&b->initial[j];
            if (memcmp(&b->memory[j], expected, sizeof(kt_real)) != 0) {
                snprintf(text, sizeof text, "%s: a launch for fold %d alone", f->name, fold);
                fail_msg("%s leaves another %s[%zu]", text, b->name, j);
            }
        }
    }
}

static int visited;

/* A block is the table's, the grid anything. */
static void check_grids(fixture *f)
{
    static int turn;
    first_bits = NULL;
    check_shape(f, shape(0, 0, 0));
    check_shape(f, shape(grids[turn++ % GRIDS], 0, 0));
    check_fold(f, visited % FOLDS, shape(3, 0, 0));
}

/* Every case with one thread, and with a dozen of the shapes in turn, so that a dozen cases see them all. */
static void check_blocks(fixture *f, int heights_allowed)
{
    static int turn;
    const int shapes = WIDTHS * heights_allowed * GRIDS;
    first_bits = NULL;
    check_shape(f, shape(1, 1, 1));
    check_shape(f, shape(0, 0, 0));
    for (int i = 0; i < 12; i++, turn = (turn + 1) % shapes) {
        const int width = widths[turn % WIDTHS], height = heights[turn / WIDTHS % heights_allowed];
        check_shape(f, shape(grids[turn / WIDTHS / heights_allowed % GRIDS], width, height));
    }
    /* One shape in three more orders. */
    for (int i = 0; i < 3; i++)
        check_shape(f, shape(3, 33, heights_allowed > 1 ? 2 : 1));
    check_fold(f, visited % FOLDS, shape(3, 32, 1));
}

static void check(fixture *f)
{
    switch (threaded_rule(&f->operation[0])) {
    case KT_ANY_BLOCK: check_blocks(f, HEIGHTS); break;
    case KT_ANY_LINE: check_blocks(f, 1); break;
    case KT_FIXED_BLOCK: check_grids(f); break;
    }
    visited++;
}

#define KERNEL_TEST(operation)                                                                               \
    static void operation##_has_the_same_bits_in_every_shape(void **state)                                   \
    {                                                                                                        \
        (void)state;                                                                                         \
        visited = 0;                                                                                         \
        cases_##operation(check);                                                                            \
        assert_true(visited >= 6);                                                                           \
    }

KERNEL_TEST(gemm)
KERNEL_TEST(gaussian_expansion)
KERNEL_TEST(embedding)
KERNEL_TEST(embedding_gradient)
KERNEL_TEST(linear_forward)
KERNEL_TEST(linear_backward)
KERNEL_TEST(layer_forward)
KERNEL_TEST(layer_group)
KERNEL_TEST(layer_backward)
KERNEL_TEST(gemm_group)
KERNEL_TEST(chain)
KERNEL_TEST(segment_sum)
KERNEL_TEST(segment_spread)
KERNEL_TEST(add)
KERNEL_TEST(lstm_forward)
KERNEL_TEST(lstm_backward)
KERNEL_TEST(lstm_bias_gradient)
KERNEL_TEST(attention_forward)
KERNEL_TEST(attention_backward)
KERNEL_TEST(mape_loss)
KERNEL_TEST(log_loss)
KERNEL_TEST(gradient_norm)
KERNEL_TEST(weight_decay)
KERNEL_TEST(adam)
KERNEL_TEST(weight_average)

static void run_one(kti_operation_kind kind, const void *arguments, size_t size)
{
    kti_operation one = {.kind = kind};
    memcpy(&one.arguments, arguments, size);
    const threads_launch by_table = shape(0, 0, 0);
    assert_int_equal(threaded_run(&one, 0, &by_table), 0);
}

static void run_forward_apart(const kt_layer_forward *a)
{
    run_one(KTI_OP_GEMM, &a->product, sizeof a->product);
    run_one(KTI_OP_LINEAR_FORWARD, &a->rest, sizeof a->rest);
}

static void run_backward_apart(const kt_layer_backward *a)
{
    static kt_real bias[FOLDS * 512];
    run_one(KTI_OP_GEMM, &a->product, sizeof a->product);
    if (!a->out.data)
        return;
    const kt_linear_backward rest = {.rows = a->product.rows,
                                     .channels = a->product.n,
                                     .out = a->out,
                                     .gradient = a->product.c,
                                     .product_gradient = a->product_gradient,
                                     .bias_gradient = {bias, 512, 512},
                                     .activation = a->activation};
    run_one(KTI_OP_LINEAR_BACKWARD, &rest, sizeof rest);
}

static void run_link_apart(const kt_link *link)
{
    switch (link->kind) {
#define APART(kind, operation, member)                                                                       \
    case kind: run_one(operation, &link->of.member, sizeof link->of.member); return
    case KT_LINK_LAYER_FORWARD: run_forward_apart(&link->of.layer_forward); return;
    case KT_LINK_LAYER_BACKWARD:
        run_backward_apart(&link->of.layer_backward);
        return;
        APART(KT_LINK_LINEAR_BACKWARD, KTI_OP_LINEAR_BACKWARD, linear_backward);
        APART(KT_LINK_SEGMENT_SUM, KTI_OP_SEGMENT_SUM, segment_sum);
        APART(KT_LINK_SEGMENT_SPREAD, KTI_OP_SEGMENT_SPREAD, segment_spread);
        APART(KT_LINK_ADD, KTI_OP_ADD, add);
        APART(KT_LINK_LSTM_FORWARD, KTI_OP_LSTM_FORWARD, lstm_forward);
        APART(KT_LINK_LSTM_BACKWARD, KTI_OP_LSTM_BACKWARD, lstm_backward);
        APART(KT_LINK_ATTENTION_FORWARD, KTI_OP_ATTENTION_FORWARD, attention_forward);
        APART(KT_LINK_ATTENTION_BACKWARD, KTI_OP_ATTENTION_BACKWARD, attention_backward);
#undef APART
    }
}

/* A bias's gradient is added up in another order than by linear_backward: it is left out. */
static void leave_out_bias(kt_layer_backward *a)
{
    a->bias_gradient.data = NULL;
}

/* What is done at once has the bits of the kernels that it stands for. */
static void compare_with_separate_kernels(fixture *f)
{
    kti_operation *o = &f->operation[0];
    if (o->kind == KTI_OP_LAYER_BACKWARD)
        leave_out_bias(&o->arguments.layer_backward);
    for (int i = 0; o->kind == KTI_OP_GEMM_GROUP && i < o->arguments.gemm_group.size; i++)
        leave_out_bias(&o->arguments.gemm_group.part[i]);
    assert_int_equal(run(f, shape(0, 0, 0)), 0);
    first_bits = fixture_take(f, memory_size(f), 1);
    save(f, first_bits);
    fixture_reset(f);
    switch (o->kind) {
    case KTI_OP_LAYER_FORWARD: run_forward_apart(&o->arguments.layer_forward); break;
    case KTI_OP_LAYER_GROUP:
        for (int i = 0; i < o->arguments.layer_group.size; i++)
            run_forward_apart(&o->arguments.layer_group.layer[i]);
        break;
    case KTI_OP_LAYER_BACKWARD: run_backward_apart(&o->arguments.layer_backward); break;
    case KTI_OP_GEMM_GROUP:
        for (int i = 0; i < o->arguments.gemm_group.size; i++)
            run_backward_apart(&o->arguments.gemm_group.part[i]);
        break;
    case KTI_OP_CHAIN:
        for (int i = 0; i < o->arguments.chain.size; i++)
            run_link_apart(&o->arguments.chain.link[i]);
        break;
    default: fail();
    }
    if (!same_bits(f, first_bits))
        fail_msg("%s: other bits than by separate kernels", f->name);
    visited++;
}

static void what_is_done_at_once_has_the_bits_of_separate_kernels(void **state)
{
    (void)state;
    visited = 0;
    cases_layer_forward(compare_with_separate_kernels);
    cases_layer_group(compare_with_separate_kernels);
    cases_layer_backward(compare_with_separate_kernels);
    cases_gemm_group(compare_with_separate_kernels);
    cases_chain(compare_with_separate_kernels);
    assert_true(visited > 300);
}

/* ---- faults are found ---- */

static int period, missing, detected;

/* Whether some order of the threads shows that the barrier is missing. One block goes through everything. */
static void look_for_missing_barrier(fixture *f)
{
    if (detected)
        return;
    first_bits = NULL;
    check_shape(f, shape(1, 0, 0));
    for (int i = 0; i < 4 && !detected; i++) {
        threads_launch launch = shape(1, 0, 0);
        launch.period = period;
        launch.missing = missing;
        detected = run(f, launch) != 0 || !same_bits(f, first_bits);
    }
}

/* Attention over 48 channels, a tile and a half, meets every barrier once a graph, and the last one twice. */
static void look_in_two_tiles(fixture *f)
{
    if (strstr(f->name, "x 48"))
        look_for_missing_barrier(f);
}

static int is_kernel(const fixture *f, kt_kernel_id kernel)
{
    kt_kernel_id kernels[KTI_KERNELS_MAX];
    kti_operation_kernels(&f->operation[0], kernels);
    return kernels[0] == kernel;
}

static void look_in_gemm(fixture *f)
{
    if (is_kernel(f, KT_ID_gemm))
        look_for_missing_barrier(f);
}

static void look_in_layer_forward(fixture *f)
{
    if (is_kernel(f, KT_ID_layer_forward))
        look_for_missing_barrier(f);
}

static void look_in_layer_backward(fixture *f)
{
    if (is_kernel(f, KT_ID_layer_backward))
        look_for_missing_barrier(f);
}

static void look_in_layer_backward_by_columns(fixture *f)
{
    if (is_kernel(f, KT_ID_layer_backward_by_columns))
        look_for_missing_barrier(f);
}

static void look_in_gemm_by_dots(fixture *f)
{
    if (is_kernel(f, KT_ID_gemm_by_dots))
        look_for_missing_barrier(f);
}

static void look_in_gemm_by_columns(fixture *f)
{
    if (is_kernel(f, KT_ID_gemm_by_columns))
        look_for_missing_barrier(f);
}

static void look_in_edge_chain(fixture *f)
{
    if (is_kernel(f, KT_ID_edge_chain))
        look_for_missing_barrier(f);
}

static void every_barrier_is_needed(void **state)
{
    static const struct {
        const char *kernel;
        void (*cases)(case_visitor *);
        case_visitor *look;
        int barriers;
        int spare; /* the number of one that these cases could do without; 0: none */
    } kernels[] = {
        {"attention_forward", cases_attention_forward, look_in_two_tiles, 6, 0},
        {"attention_backward", cases_attention_backward, look_in_two_tiles, 5, 0},
        /* The sixth stands between a sum and a spread, of which a row is the same threads'. */
        {"edge_chain", cases_chain, look_in_edge_chain, 17, 6},
        {"linear_backward", cases_linear_backward, look_for_missing_barrier, 2, 0},
        {"lstm_bias_gradient", cases_lstm_bias_gradient, look_for_missing_barrier, 2, 0},
        {"gradient_norm_partial", cases_gradient_norm, look_for_missing_barrier, 1, 0},
        {"gemm", cases_gemm, look_in_gemm, 2, 0},
        {"layer_forward", cases_layer_forward, look_in_layer_forward, 2, 0},
        {"layer_group", cases_layer_group, look_for_missing_barrier, 2, 0},
        {"layer_backward", cases_layer_backward, look_in_layer_backward, 2, 0},
        {"layer_backward_by_columns", cases_layer_backward, look_in_layer_backward_by_columns, 2, 0},
        {"gemm_group", cases_gemm_group, look_for_missing_barrier, 2, 0},
        {"gemm_by_dots", cases_gemm, look_in_gemm_by_dots, 2, 0},
        {"gemm_by_columns", cases_gemm, look_in_gemm_by_columns, 2, 0}};
    (void)state;
    for (int i = 0; i < (int)(sizeof kernels / sizeof *kernels); i++) {
        period = kernels[i].barriers;
        for (missing = 0; missing < period; missing++) {
            detected = 0;
            kernels[i].cases(kernels[i].look);
            if (!detected && (missing == 0 || missing != kernels[i].spare))
                fail_msg("%s gives the same bits without barrier %d of %d", kernels[i].kernel, missing,
                         period);
        }
    }
}

/* A shape that a kernel doesn't allow gives something else, so the rules above are no mere caution. */
static void look_for_wrong_shape(fixture *f)
{
    char text[512];
    detected += run(f, shape(1, 32, 2)) != 0 || fixture_mismatches(f, text, sizeof text) > 0;
}

static void a_shape_that_is_not_allowed_is_seen(void **state)
{
    (void)state;
    detected = 0;
    cases_linear_backward(look_for_wrong_shape);
    assert_true(detected > 0);
    detected = 0;
    cases_adam(look_for_wrong_shape);
    assert_true(detected > 0);
}

typedef struct toy {
    int *cell, *sum; /* [threads] */
} toy;

static void sums_with_barriers(const void *arguments)
{
    const toy *a = arguments;
    const int t = threadIdx.x, n = blockDim.x;
    a->cell[t] = t;
    __syncthreads();
    a->sum[t] = a->cell[t] + a->cell[(t + 1) % n];
    __syncthreads();
    a->cell[t] = a->sum[n - 1 - t];
}

static void sums_without_barriers(const void *arguments)
{
    const toy *a = arguments;
    const int t = threadIdx.x, n = blockDim.x;
    a->cell[t] = t;
    a->sum[t] = a->cell[t] + a->cell[(t + 1) % n];
    a->cell[t] = a->sum[n - 1 - t];
}

static void ends_early(const void *arguments)
{
    (void)arguments;
    if (threadIdx.x == blockDim.x - 1)
        return;
    __syncthreads();
}

static void the_emulator_tells_right_from_wrong(void **state)
{
    (void)state;
    enum { THREADS = 32 };
    int cell[THREADS], sum[THREADS], differing = 0;
    const toy a = {cell, sum};
    for (uint64_t s = 0; s < 8; s++) {
        const threads_launch launch = {.grid = {1, 1, 1}, .block = {THREADS, 1, 1}, .seed = s};
        memset(cell, 0, sizeof cell);
        memset(sum, 0, sizeof sum);
        assert_int_equal(threads_run(sums_with_barriers, &a, &launch), 0);
        for (int t = 0; t < THREADS; t++) {
            assert_int_equal(sum[t], t + (t + 1) % THREADS);
            assert_int_equal(cell[t], sum[THREADS - 1 - t]);
        }
        memset(cell, 0, sizeof cell);
        memset(sum, 0, sizeof sum);
        assert_int_equal(threads_run(sums_without_barriers, &a, &launch), 0);
        for (int t = 0; t < THREADS; t++)
            differing += sum[t] != t + (t + 1) % THREADS;

        assert_int_equal(threads_run(ends_early, &a, &launch), -1);
        /* and the next launch starts afresh */
        assert_int_equal(threads_run(sums_with_barriers, &a, &launch), 0);
        assert_int_equal(sum[0], 1);
    }
    assert_true(differing > 0);
    const threads_launch alone = {.grid = {1, 1, 1}, .block = {1, 1, 1}};
    assert_int_equal(threads_run(ends_early, &a, &alone), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_emulator_tells_right_from_wrong),
        cmocka_unit_test(gemm_has_the_same_bits_in_every_shape),
        cmocka_unit_test(gaussian_expansion_has_the_same_bits_in_every_shape),
        cmocka_unit_test(embedding_has_the_same_bits_in_every_shape),
        cmocka_unit_test(embedding_gradient_has_the_same_bits_in_every_shape),
        cmocka_unit_test(linear_forward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(linear_backward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(layer_forward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(layer_group_has_the_same_bits_in_every_shape),
        cmocka_unit_test(layer_backward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(gemm_group_has_the_same_bits_in_every_shape),
        cmocka_unit_test(chain_has_the_same_bits_in_every_shape),
        cmocka_unit_test(segment_sum_has_the_same_bits_in_every_shape),
        cmocka_unit_test(segment_spread_has_the_same_bits_in_every_shape),
        cmocka_unit_test(add_has_the_same_bits_in_every_shape),
        cmocka_unit_test(lstm_forward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(lstm_backward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(lstm_bias_gradient_has_the_same_bits_in_every_shape),
        cmocka_unit_test(attention_forward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(attention_backward_has_the_same_bits_in_every_shape),
        cmocka_unit_test(mape_loss_has_the_same_bits_in_every_shape),
        cmocka_unit_test(log_loss_has_the_same_bits_in_every_shape),
        cmocka_unit_test(gradient_norm_has_the_same_bits_in_every_shape),
        cmocka_unit_test(weight_decay_has_the_same_bits_in_every_shape),
        cmocka_unit_test(adam_has_the_same_bits_in_every_shape),
        cmocka_unit_test(weight_average_has_the_same_bits_in_every_shape),
        cmocka_unit_test(what_is_done_at_once_has_the_bits_of_separate_kernels),
        cmocka_unit_test(every_barrier_is_needed),
        cmocka_unit_test(a_shape_that_is_not_allowed_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
