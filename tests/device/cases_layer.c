/* Cases of a linear layer at once, its product and what surrounds it, and of several together. */
#include "device/cases.h"

#include "reference/twins.h"

static const kt_activation activations[] = {KT_LINEAR, KT_SOFTPLUS, KT_RELU};
static const twin_activation twins[] = {TWIN_LINEAR, TWIN_SOFTPLUS, TWIN_RELU};
static const char *const names[] = {"linear", "softplus", "relu"};

static const int others[KT_MAX_GATHERS] = {19, 1, 5};

/* ---- forward ---- */

typedef struct forward_shape {
    int rows, n, k, accumulate, gathers, activation;
} forward_shape;

static kt_layer_forward make_forward(fixture *f, const forward_shape *s)
{
    static const char *const gather_names[KT_MAX_GATHERS] = {"gather 0", "gather 1", "gather 2"};
    const kt_count count = fixture_rows(f, s->rows);
    const kt_gemm product = {.product = KT_FORWARD,
                             .rows = count,
                             .n = s->n,
                             .k = s->k,
                             .a = fixture_matrix(f, "in", s->rows, s->k, -1, 1),
                             .b = fixture_matrix(f, "weight", s->n, s->k, -1, 1),
                             .c = fixture_matrix(f, "out", s->rows, s->n, -1, 1),
                             .accumulate = s->accumulate};
    kt_linear_forward rest = {.rows = count,
                              .channels = s->n,
                              .out = product.c,
                              .bias = fixture_matrix(f, "bias", 1, s->n, 0.1, 1),
                              .gathers = s->gathers,
                              .activation = activations[s->activation]};
    for (int g = 0; g < s->gathers; g++)
        rest.gather[g] = (kt_gather){fixture_matrix(f, gather_names[g], others[g], s->n, -2, 2),
                                     fixture_index(f, s->rows, others[g])};
    return (kt_layer_forward){product, rest};
}

static void expect_forward(fixture *f, const forward_shape *s, const kt_layer_forward *a)
{
    for (int fold = 0; fold < FOLDS; fold++) {
        const int rows = fold_rows(s->rows, fold);
        double *expected = fixture_dense(f, a->product.c, fold, rows, s->n);
        twin_gather gather[KT_MAX_GATHERS];
        for (int g = 0; g < s->gathers; g++)
            gather[g] = (twin_gather){fixture_dense(f, a->rest.gather[g].data, fold, others[g], s->n),
                                      fixture_entries(a->rest.gather[g].index, fold)};
        twin_gemm_forward(rows, s->n, s->k, fixture_dense(f, a->product.a, fold, rows, s->k),
                          fixture_dense(f, a->product.b, fold, s->n, s->k), s->accumulate, expected);
        twin_linear_forward(rows, s->n, fixture_dense(f, a->rest.bias, fold, 1, s->n), s->gathers, gather,
                            twins[s->activation], expected);
        fixture_expect(f, a->product.c, fold, rows, s->n, expected, 8 + s->k / 4, 2);
    }
}

enum { ROWS = 5, SIZES = 7 };
static const int row_numbers[ROWS] = {0, 1, 8, 9, 33};
static const int sizes[SIZES][2] = {{64, 100}, {32, 64}, {64, 32}, {1, 350}, {350, 450}, {2, 1}, {450, 16}};

void cases_layer_forward(case_visitor *visit)
{
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < SIZES; k++)
            for (int gathers = 0; gathers <= KT_MAX_GATHERS; gathers++) {
                const forward_shape s = {row_numbers[i],    sizes[k][0], sizes[k][1],
                                         (i + gathers) % 2, gathers,     (i + k + gathers) % 3};
                fixture *f =
                    fixture_create(NETWORK, "layer_forward %d rows, %d x %d, %d gathers, %s%s", s.rows, s.n,
                                   s.k, gathers, names[s.activation], s.accumulate ? ", accumulate" : "");
                const kt_layer_forward a = make_forward(f, &s);
                fixture_append(f, KTI_OP_LAYER_FORWARD)->arguments.layer_forward = a;
                f->nothing_to_do = s.rows == 0;
                expect_forward(f, &s, &a);
                visit(f);
                fixture_destroy(f);
            }
}

/* 1 to KT_LAYER_GROUP layers of different sizes. */
void cases_layer_group(case_visitor *visit)
{
    for (int turn = 0; turn < 5 * KT_LAYER_GROUP; turn++) {
        fixture *f = fixture_create(NETWORK, "layer_group %d", turn);
        kt_layer_group *group = &fixture_append(f, KTI_OP_LAYER_GROUP)->arguments.layer_group;
        group->size = turn % KT_LAYER_GROUP + 1;
        f->nothing_to_do = 1;
        for (int i = 0; i < group->size; i++) {
            const int which = (turn * 3 + i) % SIZES;
            const forward_shape s = {row_numbers[(turn + i * 2) % ROWS], sizes[which][0],
                                     /* large weights, and thin ones, are not grouped */
                                     which == 3 || which == 4 ? 64 : sizes[which][1], (turn + i) % 2,
                                     (turn + i) % 3, (turn / 2 + i) % 3};
            group->layer[i] = make_forward(f, &s);
            f->nothing_to_do = f->nothing_to_do && s.rows == 0;
            expect_forward(f, &s, &group->layer[i]);
        }
        visit(f);
        fixture_destroy(f);
    }
}

/* ---- backward ---- */

typedef enum backward_kind { PLAIN, SEPARATE, IN_PLACE, BACKWARD_KINDS } backward_kind;

/* n and k are those of an input gradient. */
typedef struct backward_shape {
    kt_product product;
    int rows, n, k, accumulate, activation;
    backward_kind
        kind; /* what follows: nothing; the layer's backward, or the bias, with a matrix of its own or none */
} backward_shape;

static kt_layer_backward make_backward(fixture *f, const backward_shape *s)
{
    const kt_product product = s->product;
    kt_layer_backward a = {
        .product = {.product = product, .rows = fixture_rows(f, s->rows), .accumulate = s->accumulate}};
    if (product == KT_WEIGHT_GRADIENT) {
        a.product.m = s->k;
        a.product.n = s->n;
        a.product.a = fixture_matrix(f, "gradient", s->rows, s->k, -1, 1);
        a.product.b = fixture_matrix(f, "in", s->rows, s->n, -1, 1);
        a.product.c = fixture_matrix(f, "weight gradient", s->k, s->n, -1, 1);
        if (s->kind != PLAIN)
            a.bias_gradient = fixture_matrix(f, "bias gradient", 1, s->k, 200, 300);
        return a;
    }
    a.product.n = s->n;
    a.product.k = s->k;
    a.product.a = fixture_matrix(f, "a", s->rows, s->k, -1, 1);
    a.product.b = product == KT_FORWARD ? fixture_matrix(f, "weight", s->n, s->k, -1, 1)
                                        : fixture_matrix(f, "weight", s->k, s->n, -1, 1);
    a.product.c = fixture_matrix(f, "c", s->rows, s->n, -1, 1);
    if (product == KT_INPUT_GRADIENT && s->kind != PLAIN) {
        a.out = fixture_matrix(f, "out", s->rows, s->n, s->activation == 2 ? 0 : -0.693, 3);
        a.activation = activations[s->activation];
        a.product_gradient =
            s->kind == IN_PLACE ? a.product.c : fixture_matrix(f, "product gradient", s->rows, s->n, 20, 30);
    }
    return a;
}

static void expect_backward(fixture *f, const backward_shape *s, const kt_layer_backward *a)
{
    const kt_gemm *p = &a->product;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int rows = fold_rows(s->rows, fold);
        if (s->product == KT_WEIGHT_GRADIENT) {
            double *weight = fixture_dense(f, p->c, fold, s->k, s->n);
            const double *gradient = fixture_dense(f, p->a, fold, rows, s->k);
            twin_gemm_weight_gradient(rows, s->k, s->n, gradient, fixture_dense(f, p->b, fold, rows, s->n),
                                      s->accumulate, weight);
            fixture_expect(f, p->c, fold, s->k, s->n, weight, 8 + s->rows / 4, 1);
            if (s->kind == PLAIN)
                continue;
            double *same = fixture_dense(f, p->a, fold, rows, s->k),
                   *bias = fixture_dense(f, a->bias_gradient, fold, 1, s->k);
            twin_linear_backward(rows, s->k, gradient, gradient, TWIN_LINEAR, same, bias);
            fixture_expect(f, a->bias_gradient, fold, 1, s->k, bias, 32, 1);
            continue;
        }
        double *c = fixture_dense(f, p->c, fold, rows, s->n);
        const double *in = fixture_dense(f, p->a, fold, rows, s->k);
        const double tolerance = 8 + s->k / 4;
        if (s->product == KT_FORWARD) {
            twin_gemm_forward(rows, s->n, s->k, in, fixture_dense(f, p->b, fold, s->n, s->k), s->accumulate,
                              c);
            fixture_expect(f, p->c, fold, rows, s->n, c, tolerance, 1);
            continue;
        }
        twin_gemm_input_gradient(rows, s->n, s->k, in, fixture_dense(f, p->b, fold, s->k, s->n),
                                 s->accumulate, c);
        fixture_expect(f, p->c, fold, rows, s->n, c, tolerance, 1);
        if (s->kind == PLAIN)
            continue;
        double *gradient = fixture_dense(f, a->product_gradient, fold, rows, s->n),
               *bias = fixture_take(f, (size_t)s->n, sizeof *bias);
        twin_linear_backward(rows, s->n, fixture_dense(f, a->out, fold, rows, s->n), c, twins[s->activation],
                             gradient, bias);
        fixture_expect(f, a->product_gradient, fold, rows, s->n, gradient, tolerance, 2);
    }
}

void cases_layer_backward(case_visitor *visit)
{
    static const char *const kinds[] = {"", ", followed", ", followed in place"};
    int turn = 0;
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < SIZES; k++)
            for (int product = KT_INPUT_GRADIENT; product <= KT_WEIGHT_GRADIENT; product++)
                for (int kind = 0; kind < BACKWARD_KINDS; kind++, turn++) {
                    const backward_shape s = {(kt_product)product, row_numbers[i], sizes[k][0],
                                              sizes[k][1],         turn % 2,       turn / 2 % 3,
                                              (backward_kind)kind};
                    if (product == KT_WEIGHT_GRADIENT && (kind == IN_PLACE || sizes[k][0] == 350))
                        continue; /* the bias has one way; and no other kernel for large weights */
                    fixture *f =
                        fixture_create(NETWORK, "layer_backward %s %d rows, %d x %d, %s%s%s",
                                       product == KT_INPUT_GRADIENT ? "input" : "weights", s.rows, s.n, s.k,
                                       names[s.activation], s.accumulate ? ", accumulate" : "", kinds[kind]);
                    const kt_layer_backward a = make_backward(f, &s);
                    fixture_append(f, KTI_OP_LAYER_BACKWARD)->arguments.layer_backward = a;
                    f->nothing_to_do =
                        s.rows == 0 && (product == KT_INPUT_GRADIENT || (s.accumulate && s.kind == PLAIN));
                    expect_backward(f, &s, &a);
                    visit(f);
                    fixture_destroy(f);
                }
}

/* Few or many products of all kinds. */
void cases_gemm_group(case_visitor *visit)
{
    static const int numbers[] = {1, 2, 3, 5, 4};
    for (int turn = 0; turn < 20; turn++) {
        fixture *f = fixture_create(NETWORK, "gemm_group %d", turn);
        kt_gemm_group *group = &fixture_append(f, KTI_OP_GEMM_GROUP)->arguments.gemm_group;
        group->size = numbers[turn % 5];
        f->nothing_to_do = 1;
        for (int i = 0; i < group->size; i++) {
            const int which = (turn * 2 + i) % SIZES;
            const backward_shape s = {(kt_product)((turn + i) % 3),
                                      row_numbers[(turn * 3 + i) % ROWS],
                                      sizes[which][0],
                                      which == 3 || which == 4 ? 64 : sizes[which][1],
                                      (turn + i) % 2,
                                      (turn + i) / 2 % 3,
                                      (backward_kind)((turn / 3 + i) % 3)};
            group->part[i] = make_backward(f, &s);
            f->nothing_to_do = f->nothing_to_do && s.rows == 0 &&
                               (s.product != KT_WEIGHT_GRADIENT || (s.accumulate && s.kind == PLAIN));
            expect_backward(f, &s, &group->part[i]);
        }
        visit(f);
        fixture_destroy(f);
    }
}
