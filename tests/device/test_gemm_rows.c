/* A row of a product has the same bits whatever the number of rows and wherever it stands, so that a
 * prediction doesn't depend on the batch: both products that work row by row, on the CPU device and each of
 * its backends. */
#include "device/fixture.h"
#include "device/runners.h"
#include "support.h"

enum { ROWS = 100 };

static kt_gemm *product(fixture *f, kt_product kind, int n, int k, int accumulate)
{
    kt_gemm *g = &fixture_append(f, KTI_OP_GEMM)->arguments.gemm;
    *g = (kt_gemm){.product = kind,
                   .rows = fixture_count(f, ROWS),
                   .n = n,
                   .k = k,
                   .a = fixture_matrix(f, "a", ROWS, k, -1, 1),
                   .b = kind == KT_FORWARD ? fixture_matrix(f, "b", n, k, -1, 1)
                                           : fixture_matrix(f, "b", k, n, -1, 1),
                   .c = fixture_matrix(f, "c", ROWS, n, -1, 1),
                   .accumulate = accumulate};
    return g;
}

/* c before a run on some of the rows: those rows of c before the run on all. */
static void restart(const fixture *f, const kt_gemm *g, kt_real *c)
{
    memcpy(c, f->buffer[2].initial, (size_t)(ROWS * g->c.stride) * sizeof *c);
}

static int same_bits(const kt_gemm *g, const kt_real *x, const kt_real *y, int rows)
{
    return memcmp(x, y, (size_t)(rows * g->c.stride) * sizeof *x) == 0;
}

static void check(int runner, kt_product kind, int n, int k, int accumulate)
{
    static const int rows[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 31, 33, 99};
    fixture *f =
        fixture_create(NETWORK, "%s %d x %d", kind == KT_FORWARD ? "forward" : "input gradient", n, k);
    kt_gemm *g = product(f, kind, n, k, accumulate);
    const kt_gemm whole = *g;
    fixture_reset(f);
    runner_run(runner, f->operation, 1, 0, 1);
    kt_real *all = fixture_take(f, (size_t)(ROWS * whole.c.stride), sizeof *all);
    memcpy(all, whole.c.data, (size_t)(ROWS * whole.c.stride) * sizeof *all);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int first = 0; first + rows[i] <= ROWS; first += i % 2 ? 23 : 13) {
            const size_t at = (size_t)(first * whole.c.stride);
            restart(f, &whole, whole.c.data);
            g->rows = fixture_count(f, rows[i]);
            g->a.data = whole.a.data + first * whole.a.stride;
            g->c.data = whole.c.data + at;
            runner_run(runner, f->operation, 1, 0, 1);
            if (!same_bits(&whole, g->c.data, all + at, rows[i]))
                fail_msg("%s (%s): %d rows from row %d on have other bits than among %d", f->name,
                         runner_name(runner), rows[i], first, ROWS);
            const kt_real *before = f->buffer[2].initial;
            if (!same_bits(&whole, whole.c.data, before, first) ||
                !same_bits(&whole, g->c.data + rows[i] * whole.c.stride,
                           before + at + rows[i] * whole.c.stride, ROWS - first - rows[i]))
                fail_msg("%s (%s): %d rows from row %d on: a row beyond them changed", f->name,
                         runner_name(runner), rows[i], first);
            /* The comparison sees one bit. */
            unsigned char *byte = (unsigned char *)g->c.data;
            byte[0] ^= 1;
            assert_false(same_bits(&whole, g->c.data, all + at, rows[i]));
        }
    /* A row that is not a number spoils itself alone. */
    restart(f, &whole, whole.c.data);
    *g = whole;
    for (int c = 0; c < k; c++)
        whole.a.data[13 * whole.a.stride + c] = (kt_real)NAN;
    runner_run(runner, f->operation, 1, 0, 1);
    assert_true(same_bits(&whole, whole.c.data, all, 13));
    assert_true(same_bits(&whole, whole.c.data + 14 * whole.c.stride, all + 14 * whole.c.stride, ROWS - 14));
    for (int c = 0; c < n; c++)
        assert_true(isnan(whole.c.data[13 * whole.c.stride + c]));
    fixture_destroy(f);
}

static void rows_do_not_depend_on_their_company(void **state)
{
    static const int pairs[][2] = {{64, 100}, {32, 64},   {64, 32},   {1, 350},   {16, 32},
                                   {450, 16}, {350, 450}, {350, 350}, {128, 128}, {160, 32},
                                   {2, 1},    {33, 47},   {449, 97}};
    (void)state;
    for (int runner = 0; runner < runners_count(); runner++)
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                check(runner, KT_FORWARD, pairs[i][0], pairs[i][1], accumulate);
                check(runner, KT_INPUT_GRADIENT, pairs[i][0], pairs[i][1], accumulate);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_do_not_depend_on_their_company)};
    return cmocka_run_group_tests(tests, runners_setup, runners_teardown);
}
