/* Cases of chains, in which each link reads what the ones before it have made. */
#include "device/cases.h"

#include "reference/twins.h"

enum { IN = 100, WIDE = 64, NARROW = 32, LAST = 16, OTHERS = 5 };

/* ---- a chain of rows of any kind ---- */

typedef struct row_chain {
    int rows;
    kt_count count;
    bool gathers;
    kt_matrix in, weight1, bias1, gathered, hidden, weight2, bias2, out, residual, sum, coefficient, segments,
        spread, weight3, product, weight4, gradient, out_product, weight5, hidden_gradient, hidden_product,
        weight6, last;
    kt_index gather, segment;
} row_chain;

static row_chain make_rows(fixture *f, int rows, kt_row_kind kind)
{
    row_chain c = {.rows = rows, .count = fixture_rows(f, rows), .gathers = kind != KT_GRAPHS};
    c.count.kind = kind;
    c.in = fixture_matrix(f, "in", rows, IN, -1, 1);
    c.weight1 = fixture_matrix(f, "weight 1", WIDE, IN, -0.2, 0.2);
    c.bias1 = fixture_matrix(f, "bias 1", 1, WIDE, 0.1, 1);
    c.gathered = fixture_matrix(f, "gathered", OTHERS, WIDE, -1, 1);
    c.gather = fixture_index(f, rows, OTHERS);
    c.hidden = fixture_matrix(f, "hidden", rows, WIDE, 20, 30);
    c.weight2 = fixture_matrix(f, "weight 2", NARROW, WIDE, -0.2, 0.2);
    c.bias2 = fixture_matrix(f, "bias 2", 1, NARROW, 0.1, 1);
    c.out = fixture_matrix(f, "out", rows, NARROW, -1, 1);
    c.residual = fixture_matrix(f, "residual", rows, NARROW, -1, 1);
    c.sum = fixture_matrix(f, "sum", rows, NARROW, 20, 30);
    c.coefficient = fixture_matrix(f, "coefficient", rows, 1, 0.1, 1);
    c.segments = fixture_matrix(f, "segments", OTHERS, NARROW, -1, 1);
    c.segment = fixture_index(f, rows, OTHERS);
    c.spread = fixture_matrix(f, "spread", rows, NARROW, 20, 30);
    c.weight3 = fixture_matrix(f, "weight 3", WIDE, NARROW, -0.2, 0.2);
    c.product = fixture_matrix(f, "product", rows, WIDE, 20, 30);
    c.weight4 = fixture_matrix(f, "weight 4", WIDE, NARROW, -0.2, 0.2);
    c.gradient = fixture_matrix(f, "gradient", rows, NARROW, 20, 30);
    c.out_product = fixture_matrix(f, "out's product's", rows, NARROW, 20, 30);
    c.weight5 = fixture_matrix(f, "weight 5", NARROW, WIDE, -0.2, 0.2);
    c.hidden_gradient = fixture_matrix(f, "hidden's", rows, WIDE, -1, 1);
    c.hidden_product = fixture_matrix(f, "hidden's product's", rows, WIDE, 20, 30);
    c.weight6 = fixture_matrix(f, "weight 6", WIDE, LAST, -0.2, 0.2);
    c.last = fixture_matrix(f, "last", rows, LAST, 20, 30);
    return c;
}

static kt_gemm product(const row_chain *c, kt_product kind, int n, int k, kt_matrix a, kt_matrix b,
                       kt_matrix to, int accumulate)
{
    return (kt_gemm){
        .product = kind, .rows = c->count, .n = n, .k = k, .a = a, .b = b, .c = to, .accumulate = accumulate};
}

static kt_link layer(const row_chain *c, kt_gemm p, kt_matrix bias)
{
    kt_link link = {.kind = KT_LINK_LAYER_FORWARD};
    link.of.layer_forward = (kt_layer_forward){
        .product = p,
        .rest = {.rows = c->count, .channels = p.n, .out = p.c, .bias = bias, .activation = KT_SOFTPLUS}};
    return link;
}

static kt_link back(kt_gemm p, kt_matrix out, kt_matrix product_gradient)
{
    kt_link link = {.kind = KT_LINK_LAYER_BACKWARD};
    link.of.layer_backward = (kt_layer_backward){
        .product = p, .out = out, .product_gradient = product_gradient, .activation = KT_SOFTPLUS};
    return link;
}

static void fill_rows(const row_chain *c, kt_chain *chain)
{
    const kt_matrix none = {0};
    kt_link *l = chain->link;
    *chain = (kt_chain){.rows = c->count, .size = 9};
    l[0] = layer(c, product(c, KT_FORWARD, WIDE, IN, c->in, c->weight1, c->hidden, 0), c->bias1);
    if (c->gathers) {
        l[0].of.layer_forward.rest.gathers = 1;
        l[0].of.layer_forward.rest.gather[0] = (kt_gather){c->gathered, c->gather};
    }
    l[1] = layer(c, product(c, KT_FORWARD, NARROW, WIDE, c->hidden, c->weight2, c->out, 1), c->bias2);
    l[2].kind = KT_LINK_ADD;
    l[2].of.add = (kt_add){c->count, NARROW, c->out, c->residual, c->sum};
    l[3].kind = KT_LINK_SEGMENT_SPREAD;
    l[3].of.segment_spread = (kt_segment_spread){.rows = c->count,
                                                 .channels = NARROW,
                                                 .segment = c->segment,
                                                 .coefficient = c->coefficient,
                                                 .in = c->segments,
                                                 .base = c->sum,
                                                 .out = c->spread};
    l[4] = back(product(c, KT_FORWARD, WIDE, NARROW, c->spread, c->weight3, c->product, 0), none, none);
    l[5] = back(product(c, KT_INPUT_GRADIENT, NARROW, WIDE, c->product, c->weight4, c->gradient, 0), c->out,
                c->out_product);
    l[6] =
        back(product(c, KT_INPUT_GRADIENT, WIDE, NARROW, c->out_product, c->weight5, c->hidden_gradient, 1),
             c->hidden, c->hidden_gradient);
    l[7].kind = KT_LINK_LINEAR_BACKWARD;
    l[7].of.linear_backward = (kt_linear_backward){.rows = c->count,
                                                   .channels = WIDE,
                                                   .out = c->hidden,
                                                   .gradient = c->hidden_gradient,
                                                   .product_gradient = c->hidden_product,
                                                   .activation = KT_SOFTPLUS};
    l[8] = back(product(c, KT_INPUT_GRADIENT, LAST, WIDE, c->hidden_product, c->weight6, c->last, 0), none,
                none);
}

static void expect_rows(fixture *f, const row_chain *c)
{
    for (int fold = 0; fold < FOLDS; fold++) {
        const int rows = fold_rows(c->rows, fold);
#define DENSE(matrix, lines, columns) fixture_dense(f, c->matrix, fold, lines, columns)
#define EXPECT(matrix, columns) fixture_expect(f, c->matrix, fold, rows, columns, matrix, 128, 2)
        double *hidden = DENSE(hidden, rows, WIDE), *out = DENSE(out, rows, NARROW),
               *sum = DENSE(sum, rows, NARROW), *spread = DENSE(spread, rows, NARROW),
               *product = DENSE(product, rows, WIDE), *gradient = DENSE(gradient, rows, NARROW),
               *out_product = DENSE(out_product, rows, NARROW),
               *hidden_gradient = DENSE(hidden_gradient, rows, WIDE),
               *hidden_product = DENSE(hidden_product, rows, WIDE), *last = DENSE(last, rows, LAST),
               *bias = fixture_take(f, WIDE, sizeof *bias);
        const twin_gather gather = {DENSE(gathered, OTHERS, WIDE), fixture_entries(c->gather, fold)};
        twin_gemm_forward(rows, WIDE, IN, DENSE(in, rows, IN), DENSE(weight1, WIDE, IN), 0, hidden);
        twin_linear_forward(rows, WIDE, DENSE(bias1, 1, WIDE), c->gathers, &gather, TWIN_SOFTPLUS, hidden);
        twin_gemm_forward(rows, NARROW, WIDE, hidden, DENSE(weight2, NARROW, WIDE), 1, out);
        twin_linear_forward(rows, NARROW, DENSE(bias2, 1, NARROW), 0, NULL, TWIN_SOFTPLUS, out);
        twin_add(rows, NARROW, out, DENSE(residual, rows, NARROW), sum);
        twin_segment_spread(rows, NARROW, fixture_entries(c->segment, fold), DENSE(coefficient, rows, 1),
                            DENSE(segments, OTHERS, NARROW), sum, spread);
        twin_gemm_forward(rows, WIDE, NARROW, spread, DENSE(weight3, WIDE, NARROW), 0, product);
        twin_gemm_input_gradient(rows, NARROW, WIDE, product, DENSE(weight4, WIDE, NARROW), 0, gradient);
        twin_linear_backward(rows, NARROW, out, gradient, TWIN_SOFTPLUS, out_product, bias);
        twin_gemm_input_gradient(rows, WIDE, NARROW, out_product, DENSE(weight5, NARROW, WIDE), 1,
                                 hidden_gradient);
        twin_linear_backward(rows, WIDE, hidden, hidden_gradient, TWIN_SOFTPLUS, hidden_gradient, bias);
        twin_linear_backward(rows, WIDE, hidden, hidden_gradient, TWIN_SOFTPLUS, hidden_product, bias);
        twin_gemm_input_gradient(rows, LAST, WIDE, hidden_product, DENSE(weight6, WIDE, LAST), 0, last);
        EXPECT(hidden, WIDE);
        EXPECT(out, NARROW);
        EXPECT(sum, NARROW);
        EXPECT(spread, NARROW);
        EXPECT(product, WIDE);
        EXPECT(gradient, NARROW);
        EXPECT(out_product, NARROW);
        EXPECT(hidden_gradient, WIDE);
        EXPECT(hidden_product, WIDE);
        EXPECT(last, LAST);
    }
}

/* ---- a chain of graphs, with what is theirs alone ---- */

typedef struct graph_chain {
    int graphs, entries;
    kt_count count;
    kt_index start;
    kt_matrix in, coefficient, mean, weight1, bias1, gates, bias_input, bias_hidden, cell_before, cell,
        hidden, set, multiplicity, attention, read, out_gradient, scratch, set_gradient, hidden_gradient,
        cell_gradient, weight2, last;
} graph_chain;

static graph_chain make_graphs(fixture *f, int graphs)
{
    graph_chain c = {.graphs = graphs, .count = fixture_rows(f, graphs)};
    c.count.kind = KT_GRAPHS;
    c.start = fixture_segments(f, graphs, &c.entries);
    c.in = fixture_matrix(f, "in", c.entries, NARROW, -1, 1);
    c.coefficient = fixture_matrix(f, "coefficient", c.entries, 1, 0.05, 0.2);
    c.mean = fixture_matrix(f, "mean", graphs, NARROW, 20, 30);
    c.weight1 = fixture_matrix(f, "weight 1", 4 * NARROW, NARROW, -0.5, 0.5);
    c.bias1 = fixture_matrix(f, "bias 1", 1, 4 * NARROW, 0.1, 1);
    c.gates = fixture_matrix(f, "gates", graphs, 4 * NARROW, 20, 30);
    c.bias_input = fixture_matrix(f, "bias input", 1, 4 * NARROW, -1, 1);
    c.bias_hidden = fixture_matrix(f, "bias hidden", 1, 4 * NARROW, -1, 1);
    c.cell_before = fixture_matrix(f, "cell before", graphs, NARROW, -1, 1);
    c.cell = fixture_matrix(f, "cell", graphs, NARROW, 20, 30);
    c.hidden = fixture_matrix(f, "hidden", graphs, NARROW, 20, 30);
    c.set = fixture_matrix(f, "set", c.entries, NARROW, -1, 1);
    c.multiplicity = fixture_matrix(f, "multiplicity", c.entries, 1, 1, 8);
    c.attention = fixture_matrix(f, "attention", c.entries, 1, 20, 30);
    c.read = fixture_matrix(f, "read", graphs, NARROW, 20, 30);
    c.out_gradient = fixture_matrix(f, "out gradient", graphs, NARROW, -1, 1);
    c.scratch = fixture_matrix(f, "scratch", c.entries, 1, 20, 30);
    c.set_gradient = fixture_matrix(f, "set gradient", c.entries, NARROW, -1, 1);
    c.hidden_gradient = fixture_matrix(f, "hidden gradient", graphs, NARROW, -1, 1);
    c.cell_gradient = fixture_matrix(f, "cell gradient", graphs, NARROW, 20, 30);
    c.weight2 = fixture_matrix(f, "weight 2", 4 * NARROW, WIDE, -0.5, 0.5);
    c.last = fixture_matrix(f, "last", graphs, WIDE, 20, 30);
    return c;
}

static void fill_graphs(const graph_chain *c, kt_chain *chain)
{
    const row_chain rows = {.count = c->count};
    const kt_matrix none = {0};
    kt_link *l = chain->link;
    *chain = (kt_chain){.rows = c->count, .size = 7};
    l[0].kind = KT_LINK_SEGMENT_SUM;
    l[0].of.segment_sum = (kt_segment_sum){.segments = c->count,
                                           .entries = KT_EDGES,
                                           .channels = NARROW,
                                           .start = c->start,
                                           .coefficient = c->coefficient,
                                           .in = c->in,
                                           .out = c->mean};
    l[1] = layer(&rows, product(&rows, KT_FORWARD, 4 * NARROW, NARROW, c->mean, c->weight1, c->gates, 0),
                 c->bias1);
    l[2].kind = KT_LINK_LSTM_FORWARD;
    l[2].of.lstm_forward = (kt_lstm_forward){.graphs = c->count,
                                             .channels = NARROW,
                                             .gates = c->gates,
                                             .bias_input = c->bias_input,
                                             .bias_hidden = c->bias_hidden,
                                             .cell_before = c->cell_before,
                                             .cell = c->cell,
                                             .hidden = c->hidden};
    l[3].kind = KT_LINK_ATTENTION_FORWARD;
    l[3].of.attention_forward = (kt_attention_forward){.graphs = c->count,
                                                       .entries = KT_EDGES,
                                                       .channels = NARROW,
                                                       .start = c->start,
                                                       .in = c->set,
                                                       .weight = c->multiplicity,
                                                       .hidden = c->hidden,
                                                       .attention = c->attention,
                                                       .out = c->read};
    l[4].kind = KT_LINK_ATTENTION_BACKWARD;
    l[4].of.attention_backward = (kt_attention_backward){.graphs = c->count,
                                                         .entries = KT_EDGES,
                                                         .channels = NARROW,
                                                         .start = c->start,
                                                         .in = c->set,
                                                         .hidden = c->hidden,
                                                         .attention = c->attention,
                                                         .out_gradient = c->out_gradient,
                                                         .scratch = c->scratch,
                                                         .in_gradient = c->set_gradient,
                                                         .accumulate = 1,
                                                         .hidden_gradient = c->hidden_gradient};
    l[5].kind = KT_LINK_LSTM_BACKWARD;
    l[5].of.lstm_backward = (kt_lstm_backward){.graphs = c->count,
                                               .channels = NARROW,
                                               .gates = c->gates,
                                               .cell_before = c->cell_before,
                                               .cell = c->cell,
                                               .hidden_gradient = c->hidden_gradient,
                                               .cell_gradient = c->cell_gradient,
                                               .last = 1};
    l[6] = back(product(&rows, KT_INPUT_GRADIENT, WIDE, 4 * NARROW, c->gates, c->weight2, c->last, 0), none,
                none);
}

static void expect_graphs(fixture *f, const graph_chain *c)
{
    for (int fold = 0; fold < FOLDS; fold++) {
        const int rows = fold_rows(c->graphs, fold);
        const int32_t *start = fixture_entries(c->start, fold);
        const int used = start[rows];
        double *mean = DENSE(mean, rows, NARROW), *gates = DENSE(gates, rows, 4 * NARROW),
               *cell = DENSE(cell, rows, NARROW), *hidden = DENSE(hidden, rows, NARROW),
               *attention = DENSE(attention, used, 1), *read = DENSE(read, rows, NARROW),
               *scratch = DENSE(scratch, used, 1), *set_gradient = DENSE(set_gradient, used, NARROW),
               *hidden_gradient = DENSE(hidden_gradient, rows, NARROW),
               *cell_gradient = DENSE(cell_gradient, rows, NARROW), *last = DENSE(last, rows, WIDE);
        const double *set = DENSE(set, used, NARROW), *out_gradient = DENSE(out_gradient, rows, NARROW),
                     *before = DENSE(cell_before, rows, NARROW);
        twin_segment_sum(rows, NARROW, start, NULL, DENSE(coefficient, used, 1), DENSE(in, used, NARROW), 0,
                         mean);
        twin_gemm_forward(rows, 4 * NARROW, NARROW, mean, DENSE(weight1, 4 * NARROW, NARROW), 0, gates);
        twin_linear_forward(rows, 4 * NARROW, DENSE(bias1, 1, 4 * NARROW), 0, NULL, TWIN_SOFTPLUS, gates);
        twin_lstm_forward(rows, NARROW, 0, DENSE(bias_input, 1, 4 * NARROW),
                          DENSE(bias_hidden, 1, 4 * NARROW), before, gates, cell, hidden);
        twin_attention_forward(rows, NARROW, start, set, DENSE(multiplicity, used, 1), hidden, attention,
                               read);
        for (int g = 0; g < rows; g++) { /* what the scratch holds at the end */
            double whole = 0;
            for (int r = start[g]; r < start[g + 1]; r++) {
                scratch[r] = 0;
                for (int i = 0; i < NARROW; i++)
                    scratch[r] += set[r * NARROW + i] * out_gradient[g * NARROW + i];
                whole += attention[r] * scratch[r];
            }
            for (int r = start[g]; r < start[g + 1]; r++)
                scratch[r] = attention[r] * (scratch[r] - whole);
        }
        twin_attention_backward(rows, NARROW, start, set, hidden, attention, out_gradient, 1, set_gradient,
                                hidden_gradient);
        twin_lstm_backward(rows, NARROW, 0, 1, before, cell, hidden_gradient, gates, cell_gradient);
        twin_gemm_input_gradient(rows, WIDE, 4 * NARROW, gates, DENSE(weight2, 4 * NARROW, WIDE), 0, last);
        EXPECT(mean, NARROW);
        EXPECT(gates, 4 * NARROW);
        EXPECT(cell, NARROW);
        EXPECT(hidden, NARROW);
        EXPECT(read, NARROW);
        EXPECT(hidden_gradient, NARROW);
        EXPECT(cell_gradient, NARROW);
        EXPECT(last, WIDE);
        fixture_expect(f, c->attention, fold, used, 1, attention, 128, 1);
        fixture_expect(f, c->scratch, fold, used, 1, scratch, 128, 1);
        fixture_expect(f, c->set_gradient, fold, used, NARROW, set_gradient, 128, 2);
    }
}

void cases_chain(case_visitor *visit)
{
    static const int row_numbers[] = {0, 1, 4, 9, 33};
    static const char *const kinds[] = {"edges", "nodes", "graphs"};
    for (int i = 0; i < (int)(sizeof row_numbers / sizeof *row_numbers); i++) {
        const int rows = row_numbers[i];
        for (int kind = 0; kind < KT_ROW_KINDS; kind++) {
            fixture *f = fixture_create(NETWORK, "chain of %d %s", rows, kinds[kind]);
            const row_chain c = make_rows(f, rows, (kt_row_kind)kind);
            fill_rows(&c, &fixture_append(f, KTI_OP_CHAIN)->arguments.chain);
            f->nothing_to_do = rows == 0;
            expect_rows(f, &c);
            visit(f);
            fixture_destroy(f);
        }
        fixture *f = fixture_create(NETWORK, "chain of %d graphs with their sets", rows);
        const graph_chain c = make_graphs(f, rows);
        fill_graphs(&c, &fixture_append(f, KTI_OP_CHAIN)->arguments.chain);
        f->nothing_to_do = rows == 0;
        expect_graphs(f, &c);
        visit(f);
        fixture_destroy(f);
    }
}
