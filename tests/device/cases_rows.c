/* Cases of the kernels that work row by row: Gaussian expansion, embedding, segments, sum of two. */
#include "device/cases.h"

#include <string.h>

#include "reference/twins.h"

const case_shape case_shapes[CASE_SHAPES] = {{0, 7},  {1, 1},   {1, 33}, {2, 16},  {3, 100},
                                             {31, 1}, {31, 31}, {33, 5}, {37, 33}, {97, 64}};

void cases_gaussian_expansion(case_visitor *visit)
{
    for (int i = 0; i < CASE_SHAPES; i++) {
        const int rows = case_shapes[i].rows, channels = case_shapes[i].channels;
        fixture *f = fixture_create(RAGGED, "gaussian_expansion %d x %d", rows, channels);
        const kt_matrix distance = fixture_matrix(f, "distance", rows, 1, 0.5, 4.0);
        const kt_matrix out = fixture_matrix(f, "out", rows, channels, 2, 3);
        kt_real *centres = fixture_take(f, (size_t)channels, sizeof *centres);
        double *centres_twin = fixture_take(f, (size_t)channels, sizeof *centres_twin);
        for (int c = 0; c < channels; c++) {
            centres[c] = (kt_real)(5.0 * c / channels);
            centres_twin[c] = (double)centres[c];
        }
        fixture_append(f, KTI_OP_GAUSSIAN_EXPANSION)->arguments.gaussian_expansion =
            (kt_gaussian_expansion){fixture_rows(f, rows), distance, centres, channels, (kt_real)0.5, out};
        f->nothing_to_do = rows == 0;
        for (int fold = 0; fold < FOLDS; fold++) {
            const int n = fold_rows(rows, fold);
            double *expected = fixture_dense(f, out, fold, n, channels);
            twin_gaussian_expansion(n, channels, fixture_dense(f, distance, fold, n, 1), centres_twin, 0.5,
                                    expected);
            fixture_expect(f, out, fold, n, channels, expected, 8, 1);
        }
        visit(f);
        fixture_destroy(f);
    }
}

void cases_embedding(case_visitor *visit)
{
    enum { TYPES = 11 };
    for (int i = 0; i < CASE_SHAPES; i++) {
        const int rows = case_shapes[i].rows, channels = case_shapes[i].channels;
        fixture *f = fixture_create(RAGGED, "embedding %d x %d", rows, channels);
        const kt_matrix table = fixture_matrix(f, "table", TYPES, channels, -1, 1);
        const kt_matrix out = fixture_matrix(f, "out", rows, channels, 2, 3);
        const kt_index type = fixture_index(f, rows, TYPES);
        fixture_append(f, KTI_OP_EMBEDDING)->arguments.embedding =
            (kt_embedding){fixture_rows(f, rows), type, channels, table, out};
        f->nothing_to_do = rows == 0;
        for (int fold = 0; fold < FOLDS; fold++) {
            const int n = fold_rows(rows, fold);
            double *expected = fixture_dense(f, out, fold, n, channels);
            twin_embedding(n, channels, fixture_entries(type, fold),
                           fixture_dense(f, table, fold, TYPES, channels), expected);
            fixture_expect(f, out, fold, n, channels, expected, 0, 0); /* copies are exact */
        }
        visit(f);
        fixture_destroy(f);
    }
}

/* type_start and type_node from the types of `rows` nodes. */
static void sort_by_type(int rows, int types, const int32_t *type, int32_t *start, int32_t *node)
{
    int used = 0;
    for (int t = 0; t < types; t++) {
        start[t] = used;
        for (int r = 0; r < rows; r++)
            if (type[r] == t)
                node[used++] = r;
    }
    start[types] = used;
}

void cases_embedding_gradient(case_visitor *visit)
{
    static const int type_counts[] = {1, 13, 89};
    for (int i = 0; i < CASE_SHAPES; i++) {
        const int rows = case_shapes[i].rows, channels = case_shapes[i].channels, types = type_counts[i % 3];
        fixture *f = fixture_create(RAGGED, "embedding_gradient %d x %d, %d types", rows, channels, types);
        const kt_matrix gradient = fixture_matrix(f, "out_gradient", rows, channels, -1, 1);
        const kt_matrix table = fixture_matrix(f, "table_gradient", types, channels, 200, 300);
        const kt_index type = fixture_index(f, rows, types);
        const kt_index start = fixture_index(f, types + 1, 1), node = fixture_index(f, rows, 1);
        fixture_append(f, KTI_OP_EMBEDDING_GRADIENT)->arguments.embedding_gradient =
            (kt_embedding_gradient){start, node, types, channels, gradient, table};
        for (int fold = 0; fold < FOLDS; fold++) {
            const int n = fold_rows(rows, fold);
            double *expected = fixture_dense(f, table, fold, types, channels);
            sort_by_type(n, types, fixture_entries(type, fold), fixture_entries(start, fold),
                         fixture_entries(node, fold));
            twin_embedding_gradient(n, types, channels, fixture_entries(type, fold),
                                    fixture_dense(f, gradient, fold, n, channels), expected);
            fixture_expect(f, table, fold, types, channels, expected, 32, 1);
        }
        visit(f);
        fixture_destroy(f);
    }
}

/* Bit 0 of `variant`: an order with repeated rows; bit 1: coefficients; bit 2: +=; bit 3: over nodes, not graphs */
static void segment_sum_case(case_visitor *visit, int segments, int channels, int variant)
{
    enum { OTHER_ROWS = 29 };
    const int ordered = variant & 1, weighted = variant >> 1 & 1, accumulate = variant >> 2 & 1,
              nodes = variant >> 3;
    kt_count count;
    fixture *f = fixture_create(RAGGED, "segment_sum %d x %d%s%s%s%s", segments, channels,
                                nodes ? ", nodes" : "", ordered ? ", order" : "",
                                weighted ? ", coefficient" : "", accumulate ? ", accumulate" : "");
    int entries;
    const kt_index start = fixture_segments(f, segments, &entries);
    const int rows = ordered ? OTHER_ROWS : entries;
    const kt_index order = ordered ? fixture_index(f, entries, rows) : (kt_index){0};
    const kt_matrix coefficient = weighted ? fixture_matrix(f, "coefficient", rows, 1, 0, 1) : (kt_matrix){0};
    const kt_matrix in = fixture_matrix(f, "in", rows, channels, -1, 1);
    const kt_matrix out = fixture_matrix(f, "out", segments, channels, 20, 30);
    count = fixture_rows(f, segments);
    count.kind = nodes ? KT_NODES : KT_GRAPHS;
    fixture_append(f, KTI_OP_SEGMENT_SUM)->arguments.segment_sum =
        (kt_segment_sum){.segments = count,
                         .channels = channels,
                         .start = start,
                         .order = order,
                         .coefficient = coefficient,
                         .in = in,
                         .out = out,
                         .accumulate = accumulate};
    f->nothing_to_do = segments == 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = fold_rows(segments, fold);
        double *expected = fixture_dense(f, out, fold, n, channels);
        twin_segment_sum(n, channels, fixture_entries(start, fold),
                         ordered ? fixture_entries(order, fold) : NULL,
                         weighted ? fixture_dense(f, coefficient, fold, rows, 1) : NULL,
                         fixture_dense(f, in, fold, rows, channels), accumulate, expected);
        fixture_expect(f, out, fold, n, channels, expected, 32, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_segment_sum(case_visitor *visit)
{
    for (int i = 0; i < CASE_SHAPES; i++)
        for (int variant = 0; variant < 16; variant++)
            segment_sum_case(visit, case_shapes[i].rows, case_shapes[i].channels, variant);
}

void cases_segment_spread(case_visitor *visit)
{
    for (int i = 0; i < 2 * CASE_SHAPES; i++) {
        const int rows = case_shapes[i / 2].rows, channels = case_shapes[i / 2].channels, in_place = i % 2;
        const int segments = i % 3 == 0 ? 1 : 17;
        fixture *f =
            fixture_create(RAGGED, "segment_spread %d x %d%s", rows, channels, in_place ? ", in place" : "");
        const kt_matrix coefficient = fixture_matrix(f, "coefficient", rows, 1, 0.1, 1);
        const kt_matrix in = fixture_matrix(f, "in", segments, channels, -1, 1);
        const kt_matrix base = fixture_matrix(f, "base", rows, channels, -1, 1);
        const kt_matrix out = in_place ? base : fixture_matrix(f, "out", rows, channels, 2, 3);
        const kt_index segment = fixture_index(f, rows, segments);
        fixture_append(f, KTI_OP_SEGMENT_SPREAD)->arguments.segment_spread =
            (kt_segment_spread){fixture_rows(f, rows), channels, segment, coefficient, in, base, out};
        f->nothing_to_do = rows == 0;
        for (int fold = 0; fold < FOLDS; fold++) {
            const int n = fold_rows(rows, fold);
            double *expected = fixture_dense(f, out, fold, n, channels);
            twin_segment_spread(n, channels, fixture_entries(segment, fold),
                                fixture_dense(f, coefficient, fold, n, 1),
                                fixture_dense(f, in, fold, segments, channels),
                                fixture_dense(f, base, fold, n, channels), expected);
            fixture_expect(f, out, fold, n, channels, expected, 4, 1);
        }
        visit(f);
        fixture_destroy(f);
    }
}

void cases_add(case_visitor *visit)
{
    static const char *const names[] = {"", ", out is left", ", out is right"};
    for (int i = 0; i < 3 * CASE_SHAPES; i++) {
        const int rows = case_shapes[i / 3].rows, channels = case_shapes[i / 3].channels;
        fixture *f = fixture_create(RAGGED, "add %d x %d%s", rows, channels, names[i % 3]);
        const kt_matrix left = fixture_matrix(f, "left", rows, channels, 0.1, 1);
        const kt_matrix right = fixture_matrix(f, "right", rows, channels, 0.1, 1);
        const kt_matrix out = i % 3 == 0   ? fixture_matrix(f, "out", rows, channels, 2, 3)
                              : i % 3 == 1 ? left
                                           : right;
        fixture_append(f, KTI_OP_ADD)->arguments.add =
            (kt_add){fixture_rows(f, rows), channels, left, right, out};
        f->nothing_to_do = rows == 0;
        for (int fold = 0; fold < FOLDS; fold++) {
            const int n = fold_rows(rows, fold);
            double *expected = fixture_dense(f, out, fold, n, channels);
            twin_add(n, channels, fixture_dense(f, left, fold, n, channels),
                     fixture_dense(f, right, fold, n, channels), expected);
            fixture_expect(f, out, fold, n, channels, expected, 1, 1);
        }
        visit(f);
        fixture_destroy(f);
    }
}
