/* Every operation on the CPU device and each of its backends against its float64 twin; a fold alone and among
 * others; and every one of these comparisons once where it must fail. */
#include "device/cases.h"
#include "device/runners.h"
#include "support.h"

/* The memory of every buffer, one after another. */
static void save(const fixture *f, kt_real *to)
{
    for (int i = 0; i < f->buffers; to += f->buffer[i++].size)
        memcpy(to, f->buffer[i].memory, f->buffer[i].size * sizeof *to);
}

static void run(const fixture *f, int runner, int first, int count)
{
    runner_run(runner, f->operation, f->operations, first, count);
}

/* With the memory of a run that passed: an element off by four tolerances, or a NaN, anywhere, is reported.
 */
static void assert_can_fail(fixture *f)
{
    char text[512];
    for (int i = 0; i < f->buffers; i++) {
        fixture_buffer *b = &f->buffer[i];
        if (b->size == 0)
            continue;
        const size_t places[] = {0, b->size / 2, b->size - 1, (size_t)fixture_draw(0, (double)b->size)};
        for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
            kt_real *x = &b->memory[places[k]], held = *x;
            const double tolerance = b->tolerance * (fabs(b->expected[places[k]]) + b->magnitude);
            if (isfinite(b->expected[places[k]])) {
                *x = (kt_real)(b->expected[places[k]] + 4 * tolerance);
                if (b->tolerance == 0)
                    *x = sizeof(kt_real) == sizeof(float) ? (kt_real)nextafterf((float)held, 9e9f)
                                                          : (kt_real)nextafter((double)held, 9e9);
                assert_int_equal(fixture_mismatches(f, text, sizeof text), 1);
                *x = (kt_real)NAN;
                assert_int_equal(fixture_mismatches(f, text, sizeof text), 1);
            }
            *x = held;
        }
    }
    assert_int_equal(fixture_mismatches(f, text, sizeof text), 0);
}

/* Folds one by one leave the bits that they leave together, and touch no other fold. */
static void assert_folds_alone(fixture *f, int runner, const kt_real *together)
{
    for (int fold = 0; fold < FOLDS; fold++) {
        fixture_reset(f);
        run(f, runner, fold, 1);
        const kt_real *whole = together;
        for (int i = 0; i < f->buffers; whole += f->buffer[i++].size) {
            const fixture_buffer *b = &f->buffer[i];
            const size_t first = (size_t)fold * b->fold_stride, end = first + b->fold_size;
            if (memcmp(b->memory, b->initial, first * sizeof(kt_real)) != 0 ||
                memcmp(b->memory + end, b->initial + end, (b->size - end) * sizeof(kt_real)) != 0)
                fail_msg("%s (%s): fold %d alone changed another fold's %s", f->name, runner_name(runner),
                         fold, b->name);
            if (memcmp(b->memory + first, whole + first, b->fold_size * sizeof(kt_real)) != 0)
                fail_msg("%s (%s): fold %d alone has other bits in %s", f->name, runner_name(runner), fold,
                         b->name);
        }
    }
}

static int visited;

static void check(fixture *f)
{
    char text[512] = "";
    size_t size = 0;
    for (int i = 0; i < f->buffers; i++)
        size += f->buffer[i].size;
    kt_real *together = fixture_take(f, size, sizeof *together);

    fixture_reset(f);
    if ((fixture_mismatches(f, text, sizeof text) == 0) != f->nothing_to_do)
        fail_msg("%s: a kernel that does nothing would %s", f->name, f->nothing_to_do ? "fail" : "pass");
    for (int runner = 0; runner < runners_count(); runner++) {
        fixture_reset(f);
        run(f, runner, 0, FOLDS);
        if (fixture_mismatches(f, text, sizeof text) != 0)
            fail_msg("%s: %s", runner_name(runner), text);
        if (runner == 0)
            assert_can_fail(f);
        save(f, together);
        assert_folds_alone(f, runner, together);
    }
    visited++;
}

#define OPERATION_TEST(operation)                                                                            \
    static void operation##_equals_its_twin(void **state)                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        visited = 0;                                                                                         \
        cases_##operation(check);                                                                            \
        assert_true(visited > 0);                                                                            \
    }

OPERATION_TEST(gaussian_expansion)
OPERATION_TEST(embedding)
OPERATION_TEST(embedding_gradient)
OPERATION_TEST(linear_forward)
OPERATION_TEST(linear_backward)
OPERATION_TEST(layer_forward)
OPERATION_TEST(layer_group)
OPERATION_TEST(layer_backward)
OPERATION_TEST(gemm_group)
OPERATION_TEST(chain)
OPERATION_TEST(segment_sum)
OPERATION_TEST(segment_spread)
OPERATION_TEST(add)
OPERATION_TEST(lstm_forward)
OPERATION_TEST(lstm_backward)
OPERATION_TEST(lstm_bias_gradient)
OPERATION_TEST(attention_forward)
OPERATION_TEST(attention_backward)
OPERATION_TEST(mape_loss)
OPERATION_TEST(log_loss)
OPERATION_TEST(gradient_norm)
OPERATION_TEST(weight_decay)
OPERATION_TEST(adam)
OPERATION_TEST(weight_average)
OPERATION_TEST(gemm)

/* 10^(z sd + mean) beyond the type: the loss is infinite, and so is what keeps Adam from stepping. A batch
 * without a graph has no loss. */
static void overflow_and_an_empty_batch_keep_adam_from_stepping(void **state)
{
    (void)state;
    for (int runner = 0; runner < runners_count(); runner++)
        for (int graphs = 0; graphs < 2; graphs++) {
            enum { SIZE = 16 };
            fixture *f = fixture_create(RAGGED, "overflow");
            const kt_matrix step = fixture_matrix(f, "step", 1, KT_STEP_VALUES, 1, 2);
            fixture_set(f, step, 0, 0, KT_STEP_GRAPHS, graphs);
            const kt_matrix result = fixture_matrix(f, "result", 1, KT_RESULT_VALUES, 1, 2);
            const kt_matrix prediction = fixture_matrix(f, "prediction", 1, 1, 2000, 3000);
            const kt_matrix kappa = fixture_matrix(f, "kappa", 1, 1, 1, 2);
            const kt_matrix gradient = fixture_matrix(f, "gradient", 1, SIZE, 1, 2);
            const kt_matrix parameter = fixture_matrix(f, "parameter", 1, SIZE, 1, 2);
            const kt_matrix moment1 = fixture_matrix(f, "moment1", 1, SIZE, 1, 2);
            const kt_matrix moment2 = fixture_matrix(f, "moment2", 1, SIZE, 1, 2);
            fixture_append(f, KTI_OP_MAPE_LOSS)->arguments.mape_loss =
                (kt_mape_loss){.graphs = fixture_count(f, graphs),
                               .data_set = fixture_index(f, 1, 1),
                               .step = step,
                               .prediction = prediction,
                               .kappa = kappa,
                               .gradient = gradient,
                               .result = result};
            fixture_append(f, KTI_OP_ADAM)->arguments.adam = (kt_adam){.size = SIZE,
                                                                       .step = step,
                                                                       .result = result,
                                                                       .gradient = gradient,
                                                                       .parameter = parameter,
                                                                       .moment1 = moment1,
                                                                       .moment2 = moment2,
                                                                       .beta1 = (kt_real)0.9,
                                                                       .beta2 = (kt_real)0.999,
                                                                       .rate_factor = 1};
            fixture_reset(f);
            run(f, runner, 0, 1);
            assert_true(graphs ? isinf(result.data[KT_RESULT_LOSS]) : isnan(result.data[KT_RESULT_LOSS]));
            for (int i = 0; i < SIZE; i++) {
                assert_true((double)parameter.data[i] == fixture_get(f, parameter, 0, 0, i));
                assert_true((double)moment1.data[i] == fixture_get(f, moment1, 0, 0, i));
                assert_true((double)moment2.data[i] == fixture_get(f, moment2, 0, 0, i));
            }
            /* With a finite loss the same lists do step. */
            result.data[KT_RESULT_LOSS] = 1;
            runner_run(runner, f->operation + 1, 1, 0, 1);
            assert_true((double)parameter.data[0] != fixture_get(f, parameter, 0, 0, 0));
            fixture_destroy(f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaussian_expansion_equals_its_twin),
        cmocka_unit_test(embedding_equals_its_twin),
        cmocka_unit_test(embedding_gradient_equals_its_twin),
        cmocka_unit_test(linear_forward_equals_its_twin),
        cmocka_unit_test(linear_backward_equals_its_twin),
        cmocka_unit_test(layer_forward_equals_its_twin),
        cmocka_unit_test(layer_group_equals_its_twin),
        cmocka_unit_test(layer_backward_equals_its_twin),
        cmocka_unit_test(gemm_group_equals_its_twin),
        cmocka_unit_test(chain_equals_its_twin),
        cmocka_unit_test(segment_sum_equals_its_twin),
        cmocka_unit_test(segment_spread_equals_its_twin),
        cmocka_unit_test(add_equals_its_twin),
        cmocka_unit_test(lstm_forward_equals_its_twin),
        cmocka_unit_test(lstm_backward_equals_its_twin),
        cmocka_unit_test(lstm_bias_gradient_equals_its_twin),
        cmocka_unit_test(attention_forward_equals_its_twin),
        cmocka_unit_test(attention_backward_equals_its_twin),
        cmocka_unit_test(mape_loss_equals_its_twin),
        cmocka_unit_test(log_loss_equals_its_twin),
        cmocka_unit_test(gradient_norm_equals_its_twin),
        cmocka_unit_test(weight_decay_equals_its_twin),
        cmocka_unit_test(adam_equals_its_twin),
        cmocka_unit_test(weight_average_equals_its_twin),
        cmocka_unit_test(gemm_equals_its_twin),
        cmocka_unit_test(overflow_and_an_empty_batch_keep_adam_from_stepping),
    };
    return cmocka_run_group_tests(tests, runners_setup, runners_teardown);
}
