/* Cases of what surrounds a linear layer's product. */
#include "device/cases.h"

#include "reference/twins.h"

static const kt_activation activations[] = {KT_LINEAR, KT_SOFTPLUS, KT_RELU};
static const twin_activation twins[] = {TWIN_LINEAR, TWIN_SOFTPLUS, TWIN_RELU};
static const char *const names[] = {"linear", "softplus", "relu"};

static void forward_case(case_visitor *visit, case_shape shape, int gathers, int activation)
{
    static const int others[KT_MAX_GATHERS] = {19, 1, 5};
    static const char *const gather_names[KT_MAX_GATHERS] = {"gather 0", "gather 1", "gather 2"};
    const int rows = shape.rows, channels = shape.channels;
    fixture *f = fixture_create(RAGGED, "linear_forward %d x %d, %d gathers, %s", rows, channels, gathers,
                                names[activation]);
    kt_linear_forward a = {.rows = fixture_rows(f, rows),
                           .channels = channels,
                           .out = fixture_matrix(f, "out", rows, channels, -4, 4),
                           .bias = fixture_matrix(f, "bias", 1, channels, 0.1, 1),
                           .gathers = gathers,
                           .activation = activations[activation]};
    for (int g = 0; g < gathers; g++)
        a.gather[g] = (kt_gather){fixture_matrix(f, gather_names[g], others[g], channels, -2, 2),
                                  fixture_index(f, rows, others[g])};
    fixture_append(f, KTI_OP_LINEAR_FORWARD)->arguments.linear_forward = a;
    f->nothing_to_do = rows == 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(rows, fold);
        double *expected = fixture_dense(f, a.out, fold, n, channels);
        twin_gather gather[KT_MAX_GATHERS];
        for (int g = 0; g < gathers; g++)
            gather[g] = (twin_gather){fixture_dense(f, a.gather[g].data, fold, others[g], channels),
                                      fixture_entries(a.gather[g].index, fold)};
        twin_linear_forward(n, channels, fixture_dense(f, a.bias, fold, 1, channels), gathers, gather,
                            twins[activation], expected);
        fixture_expect(f, a.out, fold, n, channels, expected, 8, 2);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_linear_forward(case_visitor *visit)
{
    for (int i = 0; i < CASE_SHAPES; i++)
        for (int gathers = 0; gathers <= KT_MAX_GATHERS; gathers++)
            for (int activation = 0; activation < 3; activation++)
                forward_case(visit, case_shapes[i], gathers, activation);
}

static void backward_case(case_visitor *visit, case_shape shape, int in_place, int activation)
{
    const int rows = shape.rows, channels = shape.channels;
    fixture *f = fixture_create(RAGGED, "linear_backward %d x %d, %s%s", rows, channels, names[activation],
                                in_place ? ", in place" : "");
    kt_linear_backward a = {.rows = fixture_rows(f, rows),
                            .channels = channels,
                            .out = fixture_matrix(f, "out", rows, channels, -0.693, 3),
                            .gradient = fixture_matrix(f, "gradient", rows, channels, -1, 1),
                            .bias_gradient = fixture_matrix(f, "bias_gradient", 1, channels, 200, 300),
                            .activation = activations[activation]};
    a.product_gradient = in_place ? a.gradient : fixture_matrix(f, "product_gradient", rows, channels, 2, 3);
    fixture_append(f, KTI_OP_LINEAR_BACKWARD)->arguments.linear_backward = a;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(rows, fold);
        if (activations[activation] == KT_RELU) /* an output of relu is never below zero */
            for (int r = 0; r < n; r++)
                for (int c = 0; c < channels; c++)
                    if (fixture_get(f, a.out, fold, r, c) < 0)
                        fixture_set(f, a.out, fold, r, c, 0);
        double *product = fixture_dense(f, a.product_gradient, fold, n, channels);
        double *bias = fixture_dense(f, a.bias_gradient, fold, 1, channels);
        twin_linear_backward(n, channels, fixture_dense(f, a.out, fold, n, channels),
                             fixture_dense(f, a.gradient, fold, n, channels), twins[activation], product,
                             bias);
        fixture_expect(f, a.product_gradient, fold, n, channels, product, 4, 1);
        fixture_expect(f, a.bias_gradient, fold, 1, channels, bias, 32, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_linear_backward(case_visitor *visit)
{
    for (int i = 0; i < CASE_SHAPES; i++)
        for (int activation = 0; activation < 3; activation++)
            for (int in_place = 0; in_place < 2; in_place++)
                backward_case(visit, case_shapes[i], in_place, activation);
}
