/* Random start weights, tensor by tensor, against the distributions of PyTorch's layers. */
#include "support.h"

#include "model/initialise.h"
#include "train/parameters.h"

/* Where PyTorch draws Linear's weight and bias from U(-1/sqrt(in), 1/sqrt(in)), LSTM's all from
 * U(-1/sqrt(hidden), ...), Embedding's from N(0, 1). The width of a Linear's input is its weight's, which
 * stands before its bias in the table. */
static double bound_of(const kti_parameter *spec, int i)
{
    if (strstr(spec[i].name, "embedding"))
        return 0;
    if (strstr(spec[i].name, "lstm"))
        return 1 / sqrt(32);
    const char *end = strrchr(spec[i].name, '.');
    return 1 / sqrt(spec[strcmp(end, ".bias") == 0 ? i - 1 : i].columns);
}

static kt_real *draw(const kti_layout *layout, uint64_t seed, int fold, int number)
{
    kt_real *arena = calloc((size_t)layout->size, sizeof *arena);
    assert_non_null(arena);
    kti_initialise(layout, arena, KTI_ALL_PARTS, seed, fold, number);
    return arena;
}

/* The mean and the variance of `size` draws lie within five of their own standard deviations. */
static void check_tensor(const kti_layout *layout, const kt_real *arena, const kti_parameter *spec, int i)
{
    const double bound = bound_of(spec, i), n = (double)spec[i].rows * spec[i].columns;
    const double variance = bound > 0 ? bound * bound / 3 : 1;
    const double kurtosis = bound > 0 ? 1.8 : 3;
    double sum = 0, squares = 0, max = 0;
    for (int row = 0; row < spec[i].rows; row++)
        for (int column = 0; column < spec[i].columns; column++) {
            const double x = (double)arena[layout->offset[i] + (int64_t)row * layout->stride[i] + column];
            assert_true(isfinite(x));
            sum += x;
            squares += x * x;
            max = fmax(max, fabs(x));
        }
    if (!is_close(sum / n, 0, 0, 5 * sqrt(variance / n)))
        fail_msg("%s: mean %g", spec[i].name, sum / n);
    if (!is_close(squares / n, variance, 5 * sqrt((kurtosis - 1) / n), 0))
        fail_msg("%s: variance %g instead of %g", spec[i].name, squares / n, variance);
    if (bound > 0 && (max > bound * (1 + 1e-6) || (n >= 100 && max < bound * (1 - 20 / n))))
        fail_msg("%s: largest %g, bound %g", spec[i].name, max, bound);
}

static void test_distributions(void **state)
{
    (void)state;
    int size;
    const kti_parameter *spec = kti_spec(&size);
    const kti_layout layout = kti_layout_create(false);
    for (int fold = 1; fold <= 3; fold++) {
        kt_real *arena = draw(&layout, 42, fold, 0);
        for (int i = 0; i < size; i++)
            check_tensor(&layout, arena, spec, i);
        free(arena);
    }
}

/* Numbers of the arena's parameters, one after the other, each in units of its bound. */
static double *collect(const kti_layout *layout, const kt_real *arena, int *count)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    double *list = calloc((size_t)layout->size, sizeof *list);
    assert_non_null(list);
    *count = 0;
    for (int i = 0; i < size; i++)
        for (int row = 0; row < spec[i].rows; row++)
            for (int column = 0; column < spec[i].columns; column++) {
                const double bound = bound_of(spec, i), scale = bound > 0 ? bound / sqrt(3) : 1;
                list[(*count)++] =
                    (double)arena[layout->offset[i] + (int64_t)row * layout->stride[i] + column] / scale;
            }
    return list;
}

static void test_independence(void **state)
{
    (void)state;
    const kti_layout layout = kti_layout_create(false);
    static const struct {
        uint64_t seed;
        int fold, draw;
    } names[] = {{42, 1, 0}, {42, 2, 0}, {42, 1, 1}, {43, 1, 0}, {42, 9, 3}, {42, 1, 5}};
    enum { NAMES = sizeof names / sizeof names[0] };
    double *list[NAMES];
    int count = 0;
    for (int i = 0; i < NAMES; i++) {
        kt_real *arena = draw(&layout, names[i].seed, names[i].fold, names[i].draw);
        list[i] = collect(&layout, arena, &count);
        free(arena);
    }
    assert_int_equal(count, KTI_BODY_PARAMETERS + KTI_HEAD_PARAMETERS + 17);
    for (int i = 0; i < NAMES; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k < count; k++)
                sum += list[i][k] * list[j][k] / count;
            if (i == j)
                assert_true(is_close(sum, 1, 0.02, 0));
            else
                assert_true(fabs(sum) < 5 / sqrt(count));
        }
    for (int i = 0; i < NAMES; i++)
        free(list[i]);
}

/* Two layers of one shape and two rows of one layer have nothing in common either. */
static void test_layers_differ(void **state)
{
    (void)state;
    const kti_layout layout = kti_layout_create(false);
    kt_real *arena = draw(&layout, 42, 1, 0);
    const int left = kti_spec_find("blocks.1.conv.edge_func.layers.0.weight");
    const int right = kti_spec_find("blocks.2.conv.edge_func.layers.0.weight");
    assert_true(left >= 0 && right >= 0);
    int equal = 0;
    for (int k = 0; k < 128 * 64; k++)
        equal += arena[layout.offset[left] + k] == arena[layout.offset[right] + k];
    assert_true(equal < 5);
    equal = 0;
    for (int k = 0; k < 128; k++)
        equal += arena[layout.offset[left] + k] == arena[layout.offset[left] + layout.stride[left] + k];
    assert_true(equal < 3);
    free(arena);
}

/* Same name, same bits; parts that are not asked for, and the padding, stay as they are. */
static void test_parts(void **state)
{
    (void)state;
    int size;
    const kti_parameter *spec = kti_spec(&size);
    const kti_layout layout = kti_layout_create(false);
    kt_real *all = draw(&layout, 42, 1, 0), *head = calloc((size_t)layout.size, sizeof *head);
    int64_t untouched = 0;
    assert_non_null(head);
    for (int64_t i = 0; i < layout.size; i++)
        head[i] = 77;
    kti_initialise(&layout, head, 1u << KTI_PART_HEAD, 42, 1, 0);
    for (int i = 0; i < size; i++)
        for (int row = 0; row < spec[i].rows; row++)
            for (int column = 0; column < spec[i].columns; column++) {
                const int64_t at = layout.offset[i] + (int64_t)row * layout.stride[i] + column;
                assert_true(head[at] == (spec[i].part == KTI_PART_HEAD ? all[at] : 77));
            }
    for (int64_t i = 0; i < layout.size; i++)
        untouched += head[i] == 77;
    assert_int_equal(untouched, layout.size - KTI_HEAD_PARAMETERS);
    free(all);
    free(head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_independence),
        cmocka_unit_test(test_layers_differ),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
