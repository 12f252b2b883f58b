/* An operation that stands nowhere but in its row (toy.h) runs on the CPU's backends and on the emulated CUDA device, alone and as a
 * link of a chain, and has its cost. */
#include "device/cost.h"
#include "device/fixture.h"
#include "device/launch.h"
#include "device/runners.h"
#include "support.h"
#include "train/fuse.h"

enum { ROWS = 13, CHANNELS = 20 };

typedef struct case_of {
    fixture *f;
    kt_count rows;
    kt_matrix in, squared, sum;
} case_of;

/* sum = in + 2 in^2 */
static case_of make(void)
{
    case_of c = {.f = fixture_create(RAGGED, "toy")};
    c.rows = fixture_rows(c.f, ROWS);
    c.in = fixture_matrix(c.f, "in", ROWS, CHANNELS, 0.5, 1);
    c.squared = fixture_matrix(c.f, "squared", ROWS, CHANNELS, 3, 4);
    c.sum = fixture_matrix(c.f, "sum", ROWS, CHANNELS, 3, 4);
    fixture_append(c.f, KTI_OP_TOY)->arguments.toy =
        (kt_toy){.rows = c.rows, .channels = CHANNELS, .factor = 2, .in = c.in, .out = c.squared};
    fixture_append(c.f, KTI_OP_ADD)->arguments.add = (kt_add){c.rows, CHANNELS, c.in, c.squared, c.sum};
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(ROWS, fold) * CHANNELS;
        const double *in = fixture_dense(c.f, c.in, fold, fold_rows(ROWS, fold), CHANNELS);
        double *squared = fixture_take(c.f, (size_t)n, sizeof *squared);
        double *sum = fixture_take(c.f, (size_t)n, sizeof *sum);
        for (int i = 0; i < n; i++) {
            squared[i] = 2 * in[i] * in[i];
            sum[i] = in[i] + squared[i];
        }
        fixture_expect(c.f, c.squared, fold, fold_rows(ROWS, fold), CHANNELS, squared, 2, 1);
        fixture_expect(c.f, c.sum, fold, fold_rows(ROWS, fold), CHANNELS, sum, 3, 1);
    }
    return c;
}

static void check(const case_of *c)
{
    char text[512];
    for (int runner = 0; runner < runners_count(); runner++) {
        fixture_reset(c->f);
        assert_int_not_equal(fixture_mismatches(c->f, text, sizeof text), 0);
        runner_run(runner, c->f->operation, c->f->operations, 0, FOLDS);
        if (fixture_mismatches(c->f, text, sizeof text) != 0)
            fail_msg("%s: %s", runner_name(runner), text);
    }
}

static void it_runs(void **state)
{
    (void)state;
    const case_of c = make();
    check(&c);
    fixture_destroy(c.f);
}

static int by_address(const void *left, const void *right)
{
    const char *l = *(const char *const *)left, *r = *(const char *const *)right;
    return (l > r) - (l < r);
}

/* What it reads and writes is known: the sum of its result follows it in one chain. */
static void it_is_a_link(void **state)
{
    (void)state;
    case_of c = make();
    const char *start[] = {(const char *)c.in.data, (const char *)c.squared.data, (const char *)c.sum.data};
    qsort(start, 3, sizeof *start, by_address);
    const kti_pieces pieces = {start, 3, 3, start[2] + sizeof(kt_real)};
    c.f->operations = kti_fuse(c.f->operation, c.f->operations, &pieces, true);
    assert_int_equal(c.f->operations, 1);
    assert_int_equal(c.f->operation[0].kind, KTI_OP_CHAIN);
    assert_int_equal(c.f->operation[0].arguments.chain.size, 2);
    assert_int_equal(c.f->operation[0].arguments.chain.link[0].kind, KT_LINK_TOY);
    check(&c);
    fixture_destroy(c.f);
}

static void it_has_its_row(void **state)
{
    (void)state;
    const case_of c = make();
    const double rows[KT_ROW_KINDS] = {[KT_EDGES] = 10, [KT_NODES] = 10, [KT_GRAPHS] = 10};
    const int32_t limit[KT_ROW_KINDS] = {5, 5, 5};
    kti_operation *toy = &c.f->operation[0];
    const kti_cost cost = kti_operation_cost(toy, rows);
    assert_int_equal(cost.launches, 1);
    assert_true(is_close(cost.bytes, 2 * 10 * CHANNELS * sizeof(kt_real), 0, 0));
    assert_true(is_close(cost.flops, 2 * 10 * CHANNELS, 0, 0));
    assert_int_equal(kti_operation_rows(toy)->max, ROWS);
    kti_operation_fit(toy, limit);
    assert_int_equal(kti_operation_rows(toy)->max, 5);
    fixture_destroy(c.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs),
        cmocka_unit_test(it_is_a_link),
        cmocka_unit_test(it_has_its_row),
    };
    return cmocka_run_group_tests(tests, runners_setup, runners_teardown);
}
