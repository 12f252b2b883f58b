/* Cases of the three matrix products: sizes of the network and ragged ones, in the network's layout. */
#include "device/cases.h"

#include "reference/twins.h"

static const char *const names[] = {"forward", "input gradient", "weight gradient"};

/* A matrix of the product: the whole of its memory, or, where `slice`, columns 16 .. 16 + columns of wider
 * memory, as the network's concatenated features are. */
static kt_matrix part(fixture *f, const char *name, int rows, int columns, int slice)
{
    if (!slice)
        return fixture_matrix(f, name, rows, columns, -1, 1);
    kt_matrix whole = fixture_matrix(f, name, rows, columns + 32, -1, 1);
    if (rows > 0)
        whole.data += 16;
    return whole;
}

/* p and q are the product's two sizes that do not count rows of the batch. */
static void product_case(case_visitor *visit, kt_product product, int rows, int p, int q, int accumulate,
                         int slices)
{
    fixture *f = fixture_create(NETWORK, "%s %d rows, %d x %d%s%s", names[product], rows, p, q,
                                accumulate ? ", accumulate" : "", slices ? ", slices" : "");
    kt_gemm g = {.product = product, .rows = fixture_rows(f, rows), .accumulate = accumulate};
    if (product == KT_WEIGHT_GRADIENT) {
        g.m = p;
        g.n = q;
        g.a = part(f, "a", rows, p, slices & 1);
        g.b = part(f, "b", rows, q, slices >> 1 & 1);
        g.c = part(f, "c", p, q, slices >> 2);
    } else {
        g.n = p;
        g.k = q;
        g.a = part(f, "a", rows, q, slices & 1);
        g.b =
            product == KT_FORWARD ? part(f, "b", p, q, slices >> 1 & 1) : part(f, "b", q, p, slices >> 1 & 1);
        g.c = part(f, "c", rows, p, slices >> 2);
    }
    fixture_append(f, KTI_OP_GEMM)->arguments.gemm = g;
    f->nothing_to_do = rows == 0 && (product != KT_WEIGHT_GRADIENT || accumulate);
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(rows, fold);
        if (product == KT_WEIGHT_GRADIENT) {
            double *c = fixture_dense(f, g.c, fold, p, q);
            twin_gemm_weight_gradient(n, p, q, fixture_dense(f, g.a, fold, n, p),
                                      fixture_dense(f, g.b, fold, n, q), accumulate, c);
            fixture_expect(f, g.c, fold, p, q, c, 8 + n / 4, 1);
            continue;
        }
        double *c = fixture_dense(f, g.c, fold, n, p);
        const double *a = fixture_dense(f, g.a, fold, n, q);
        if (product == KT_FORWARD)
            twin_gemm_forward(n, p, q, a, fixture_dense(f, g.b, fold, p, q), accumulate, c);
        else
            twin_gemm_input_gradient(n, p, q, a, fixture_dense(f, g.b, fold, q, p), accumulate, c);
        fixture_expect(f, g.c, fold, n, p, c, 8 + q / 4, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_gemm(case_visitor *visit)
{
    static const int rows[] = {0, 1, 2, 3, 5, 7, 8, 9, 13, 31, 33, 100};
    static const int sizes[] = {1, 2, 16, 32, 64, 96, 100, 128, 160, 350, 450};
    enum { ROWS = sizeof rows / sizeof *rows, SIZES = sizeof sizes / sizeof *sizes };
    int turn = 0;
    /* Every pair of sizes with some number of rows; every number of rows with the network's largest, smallest
     * and usual layers. */
    for (int product = 0; product <= KT_WEIGHT_GRADIENT; product++)
        for (int p = 0; p < SIZES; p++)
            for (int q = 0; q < SIZES; q++, turn++)
                product_case(visit, (kt_product)product, rows[turn * 5 % ROWS], sizes[p], sizes[q],
                             turn / 2 % 2, 0);
    static const int pairs[][2] = {{64, 100}, {32, 64}, {1, 350}, {450, 16}, {350, 450}, {2, 1}};
    for (int product = 0; product <= KT_WEIGHT_GRADIENT; product++)
        for (int i = 0; i < ROWS; i++)
            for (int k = 0; k < (int)(sizeof pairs / sizeof *pairs); k++)
                product_case(visit, (kt_product)product, rows[i], pairs[k][0], pairs[k][1], (i + k) % 2, 0);
    /* Columns of wider matrices, which end where the next sixteen begin. */
    for (int product = 0; product <= KT_WEIGHT_GRADIENT; product++)
        for (int slices = 1; slices < 8; slices++)
            for (int i = 0; i < ROWS; i += 2)
                product_case(visit, (kt_product)product, rows[i], i % 4 ? 32 : 160, i % 4 ? 64 : 128,
                             slices % 2, slices);
}
