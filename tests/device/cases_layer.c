/* Cases of a linear layer at once: its product, and what surrounds it. */
#include "device/cases.h"

#include "reference/twins.h"

static const kt_activation activations[] = {KT_LINEAR, KT_SOFTPLUS, KT_RELU};
static const twin_activation twins[] = {TWIN_LINEAR, TWIN_SOFTPLUS, TWIN_RELU};
static const char *const names[] = {"linear", "softplus", "relu"};

static const int others[KT_MAX_GATHERS] = {19, 1, 5};

static void forward_case(case_visitor *visit, int rows, int n, int k, int accumulate, int gathers,
                         int activation)
{
    static const char *const gather_names[KT_MAX_GATHERS] = {"gather 0", "gather 1", "gather 2"};
    fixture *f = fixture_create(NETWORK, "layer_forward %d rows, %d x %d, %d gathers, %s%s", rows, n, k,
                                gathers, names[activation], accumulate ? ", accumulate" : "");
    const kt_count count = fixture_rows(f, rows);
    const kt_gemm product = {.product = KT_FORWARD,
                             .rows = count,
                             .n = n,
                             .k = k,
                             .a = fixture_matrix(f, "in", rows, k, -1, 1),
                             .b = fixture_matrix(f, "weight", n, k, -1, 1),
                             .c = fixture_matrix(f, "out", rows, n, -1, 1),
                             .accumulate = accumulate};
    kt_linear_forward rest = {.rows = count,
                              .channels = n,
                              .out = product.c,
                              .bias = fixture_matrix(f, "bias", 1, n, 0.1, 1),
                              .gathers = gathers,
                              .activation = activations[activation]};
    for (int g = 0; g < gathers; g++)
        rest.gather[g] = (kt_gather){fixture_matrix(f, gather_names[g], others[g], n, -2, 2),
                                     fixture_index(f, rows, others[g])};
    fixture_append(f, KTI_OP_LAYER_FORWARD)->arguments.layer_forward = (kt_layer_forward){product, rest};
    f->nothing_to_do = rows == 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int many = fold_rows(rows, fold);
        double *expected = fixture_dense(f, product.c, fold, many, n);
        twin_gather gather[KT_MAX_GATHERS];
        for (int g = 0; g < gathers; g++)
            gather[g] = (twin_gather){fixture_dense(f, rest.gather[g].data, fold, others[g], n),
                                      fixture_entries(rest.gather[g].index, fold)};
        twin_gemm_forward(many, n, k, fixture_dense(f, product.a, fold, many, k),
                          fixture_dense(f, product.b, fold, n, k), accumulate, expected);
        twin_linear_forward(many, n, fixture_dense(f, rest.bias, fold, 1, n), gathers, gather,
                            twins[activation], expected);
        fixture_expect(f, product.c, fold, many, n, expected, 8 + k / 4, 2);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_layer_forward(case_visitor *visit)
{
    static const int rows[] = {0, 1, 3, 8, 9, 33, 100};
    static const int sizes[][2] = {{64, 100}, {32, 64}, {64, 32}, {1, 350}, {350, 450}, {2, 1}, {450, 16}};
    enum { ROWS = sizeof rows / sizeof *rows, SIZES = sizeof sizes / sizeof *sizes };
    for (int i = 0; i < ROWS; i++)
        for (int s = 0; s < SIZES; s++)
            for (int gathers = 0; gathers <= KT_MAX_GATHERS; gathers++)
                forward_case(visit, rows[i], sizes[s][0], sizes[s][1], (i + gathers) % 2, gathers,
                             (i + s + gathers) % 3);
}
