/* The argument of every kernel: one struct each, filled by the plan.
 *
 * Shapes: F folds (blockIdx.z), G graphs, N nodes, E edges, C channels. A row
 * count is read from the batch, so that one plan serves every batch that fits.
 */
#ifndef KT_KERNELS_ARGUMENTS_H
#define KT_KERNELS_ARGUMENTS_H

#include "kernels/activation.h"

enum { KT_MAX_GATHERS = 3 };

/* The fixed shapes of blocks under KT_MANY_THREADS, where a kernel's threads share their work: KT_WARP x KT_WARPS, but for chains,
 * attention, sums over graphs and the gradient's norm. */
enum {
    KT_WARP = 32,
    KT_WARPS = 4,
    KT_THREADS = KT_WARP * KT_WARPS,
    KT_GEMM_TILE = 32,     /* columns of a block's part of a product; also rows, of a weight gradient's */
    KT_GEMM_ROWS = 8,      /* rows of it where rows are multiplied by weights */
    KT_GEMM_LARGE = 32768, /* weights beyond it go through other kernels, */
    KT_GEMM_FEW = 8,       /* and so do up to so many columns forward, where they are long */
    KT_GEMM_DOTS = 16,     /* columns of a block there, forward */
    KT_GEMM_PARTS = 16,    /* of a sum, in their input gradient */
    KT_GEMM_NARROW = 8,    /* columns of a block there */
    KT_CHAIN_WARPS = 8,    /* of chains, and of what may be a link of graphs alone */
    KT_CHAIN_THREADS = KT_WARP * KT_CHAIN_WARPS,
    KT_NORM_WARPS = 8
};

/* Row-major c (= or +=) op(a) op(b). The dimension that counts rows of the batch is read from `rows`:
 *     KT_FORWARD          c [rows, n] = a [rows, k] b[n, k]^T       (features by weights)
 *     KT_INPUT_GRADIENT   c [rows, n] = a [rows, k] b[k, n]         (gradients with respect to weights)
 *     KT_WEIGHT_GRADIENT  c [m, n]    = a [rows, m]^T b [rows, n]
 * Strides are multiples of 16 and columns up to the next multiple of 16 hold zeros. */
typedef enum kt_product { KT_FORWARD, KT_INPUT_GRADIENT, KT_WEIGHT_GRADIENT } kt_product;

typedef struct kt_gemm {
    kt_product product;
    kt_count rows;
    int m, n, k; /* the two that `product` uses; the third is unused */
    kt_matrix a, b, c;
    int accumulate;
} kt_gemm;

/* What a batch has for each node, edge and graph, with the fold's piece first. */
typedef struct kt_batch_rows {
    int32_t *node_type, *node_graph;                 /* [N] */
    int32_t *incoming_start, *outgoing_start;        /* [N + 1] */
    int32_t *edge_source, *edge_target, *edge_graph; /* [E] */
    int32_t *outgoing_edge;                          /* [E] */
    kt_real *node_weight, *node_mean_graph;          /* [N] */
    kt_real *edge_distance, *edge_weight;            /* [E] */
    kt_real *edge_mean_target, *edge_mean_graph;     /* [E] */
    kt_real *crystal_physics;                        /* [G, physics] */
} kt_batch_rows;

typedef struct kt_pick {
    kt_count graphs;
    kt_index crystal;                                 /* [G] which of the kept ones */
    kt_index node_start, edge_start;                  /* [G + 1] in the batch */
    const int32_t *kept_node_start, *kept_edge_start; /* [kept + 1] */
    kt_batch_rows kept, batch;
    int32_t *type_start, *type_node; /* [types + 1], [N] of the batch */
    int types, physics;
    int64_t fold_integers, fold_reals; /* from one fold's batch to the next one's */
} kt_pick;

typedef struct kt_gaussian_expansion {
    kt_count rows;
    kt_matrix distance;     /* [E, 1] Å */
    const kt_real *centres; /* [channels] Å */
    int channels;
    kt_real width; /* 1/Å^2 */
    kt_matrix out; /* [E, channels] */
} kt_gaussian_expansion;

typedef struct kt_embedding {
    kt_count rows;
    kt_index type; /* [N] row of the table */
    int channels;
    kt_matrix table; /* [types, channels] */
    kt_matrix out;   /* [N, channels] */
} kt_embedding;

typedef struct kt_embedding_gradient {
    kt_index type_start; /* [types + 1] */
    kt_index type_node;  /* [N] nodes sorted by type */
    int types, channels;
    kt_matrix out_gradient;   /* [N, channels] */
    kt_matrix table_gradient; /* [types, channels] */
} kt_embedding_gradient;

/* A factorised first layer: the product of another row's features with its part of the weights. */
typedef struct kt_gather {
    kt_matrix data; /* [other rows, channels] */
    kt_index index; /* [rows] */
} kt_gather;

typedef struct kt_linear_forward {
    kt_count rows;
    int channels;
    kt_matrix out;  /* [rows, channels] holds the product on entry */
    kt_matrix bias; /* [1, channels] */
    int gathers;
    kt_gather gather[KT_MAX_GATHERS];
    kt_activation activation;
} kt_linear_forward;

/* A linear layer at once: the product and its epilogue. */
typedef struct kt_layer_forward {
    kt_gemm product;        /* KT_FORWARD, into the layer's output */
    kt_linear_forward rest; /* out is the product's c */
} kt_layer_forward;

/* Layers that don't wait for each other. */
enum { KT_LAYER_GROUP = 4 };

typedef struct kt_layer_group {
    int size;
    kt_layer_forward layer[KT_LAYER_GROUP];
} kt_layer_group;

typedef struct kt_linear_backward {
    kt_count rows;
    int channels;
    kt_matrix out;              /* [rows, channels] the layer's output */
    kt_matrix gradient;         /* [rows, channels] by the output */
    kt_matrix product_gradient; /* [rows, channels] by the product; may be gradient */
    kt_matrix bias_gradient;    /* [1, channels]; NULL data: none */
    kt_activation activation;
} kt_linear_backward;

/* A product of the backward pass at once with its epilogue; a plain product where both `out` and
 * `bias_gradient` have NULL data. */
typedef struct kt_layer_backward {
    kt_gemm product;
    /* KT_INPUT_GRADIENT: c is the gradient with respect to the output of a layer, whose backward follows without its bias's. */
    kt_matrix out;              /* [rows, n] that output */
    kt_matrix product_gradient; /* [rows, n] by that layer's product; may be c, else c is kept too */
    kt_activation activation;
    /* KT_WEIGHT_GRADIENT: the gradient with respect to the bias comes with it. */
    kt_matrix bias_gradient; /* [1, m] the sum of a's rows */
} kt_layer_backward;

/* Products that don't wait for each other; as many as a kernel's argument has room for. */
enum { KT_GEMM_GROUP = 16 };

typedef struct kt_gemm_group {
    int size;
    kt_layer_backward part[KT_GEMM_GROUP];
} kt_gemm_group;

typedef struct kt_segment_sum {
    kt_count segments;
    kt_row_kind entries; /* what is summed; the kernel has no need of it */
    int channels;
    kt_index start;        /* [segments + 1] */
    kt_index order;        /* [entries] row of entry i; NULL data: row i */
    kt_matrix coefficient; /* [rows, 1]; NULL data: 1 */
    kt_matrix in;          /* [rows, channels] */
    kt_matrix out;         /* [segments, channels] */
    int accumulate;        /* += instead of = */
} kt_segment_sum;

typedef struct kt_segment_spread {
    kt_count rows;
    int channels;
    kt_index segment;      /* [rows] */
    kt_matrix coefficient; /* [rows, 1] */
    kt_matrix in;          /* [segments, channels] */
    kt_matrix base;        /* [rows, channels] */
    kt_matrix out;         /* [rows, channels]; may be base */
} kt_segment_spread;

typedef struct kt_add {
    kt_count rows;
    int channels;
    kt_matrix left, right, out; /* [rows, channels]; out may be left or right */
} kt_add;

typedef struct kt_lstm_forward {
    kt_count graphs;
    int channels;
    kt_matrix gates; /* [G, 4 channels] the products on entry (unless first), activated i, f, g, o on exit */
    int first;       /* the step from zeros: there are no products and no cell yet */
    kt_matrix bias_input, bias_hidden; /* [1, 4 channels] */
    kt_matrix cell_before;             /* [G, channels]; unused if first */
    kt_matrix cell, hidden;            /* [G, channels] */
} kt_lstm_forward;

typedef struct kt_lstm_backward {
    kt_count graphs;
    int channels;
    int first;
    kt_matrix gates;           /* [G, 4 channels] activated; by the products on exit */
    kt_matrix cell_before;     /* [G, channels]; unused if first */
    kt_matrix cell;            /* [G, channels] */
    kt_matrix hidden_gradient; /* [G, channels] */
    kt_matrix cell_gradient;   /* [G, channels] by the cell; on exit by the cell before */
    int last;                  /* the cell leads to nothing later: its gradient is zero on entry */
} kt_lstm_backward;

typedef struct kt_lstm_bias_gradient {
    kt_count graphs;
    int channels;      /* 4 x hidden */
    kt_matrix step[2]; /* [G, channels] gradients with respect to the pre-activations of each Set2Set step */
    kt_matrix bias_input_gradient, bias_hidden_gradient; /* [1, channels] */
} kt_lstm_bias_gradient;

typedef struct kt_attention_forward {
    kt_count graphs;
    kt_row_kind entries; /* of which `start` says the rows; the kernel has no need of it */
    int channels;
    kt_index start;      /* [G + 1] rows of each graph */
    kt_matrix in;        /* [rows, channels] */
    kt_matrix weight;    /* [rows, 1] multiplicity */
    kt_matrix hidden;    /* [G, channels] */
    kt_matrix attention; /* [rows, 1] */
    kt_matrix out;       /* [G, channels] */
} kt_attention_forward;

typedef struct kt_attention_backward {
    kt_count graphs;
    kt_row_kind entries;
    int channels;
    kt_index start;
    kt_matrix in;              /* [rows, channels] */
    kt_matrix hidden;          /* [G, channels] */
    kt_matrix attention;       /* [rows, 1] */
    kt_matrix out_gradient;    /* [G, channels] */
    kt_matrix scratch;         /* [rows, 1] */
    kt_matrix in_gradient;     /* [rows, channels] */
    int accumulate;            /* in_gradient += instead of = */
    kt_matrix hidden_gradient; /* [G, channels] += */
} kt_attention_backward;

/* ---- what is done for the same rows one after another ---- */

#define KT_KEEP(...) __VA_ARGS__
#define KT_DROP(...)

/* KT_LINK_LAYER_FORWARD, ... */
typedef enum kt_link_kind {
#define LINK_IF(condition) KT_KEEP
#define NO_LINK KT_DROP
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) link(KT_LINK_##NAME, )
#include "kernels/operations.inc"
} kt_link_kind;

/* `layer_backward` may be a plain product, but of no weight gradient; `linear_backward` is without the gradient with respect to the bias. */
typedef struct kt_link {
    kt_link_kind kind;
    union {
#define LINK_IF(condition) KT_KEEP
#define NO_LINK KT_DROP
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) link(type member;)
#include "kernels/operations.inc"
    } of;
} kt_link;

enum {
    KT_CHAIN_LINKS = 10, /* as many as a kernel's argument has room for */
    /* Columns of a product in a chain of graphs, and of nodes or edges. */
    KT_CHAIN_WIDEST = 128,
    KT_CHAIN_WIDTH = 64,
    /* Rows of a block. */
    KT_CHAIN_GRAPHS = 1,
    KT_CHAIN_NODES = 4,
    KT_CHAIN_EDGES = 8
};

/* Operations on rows of one kind, each of which needs of what those before it made the same row alone; of graphs, what belongs to the same
 * graph. */
typedef struct kt_chain {
    kt_count rows;
    int size;
    kt_link link[KT_CHAIN_LINKS];
} kt_chain;

enum { KT_DATA_SETS = 8 }; /* that can be trained on together, each with a target transform */

/* What the host tells a fold's step, one float row. */
enum {
    KT_STEP_LEARNING_RATE,
    KT_STEP_CORRECTION1, /* 1 / (1 - beta1^t) */
    KT_STEP_CORRECTION2, /* 1 / sqrt(1 - beta2^t) */
    KT_STEP_TARGET_MEAN, /* of log10(kappa + 1), one for each data set */
    KT_STEP_TARGET_SD = KT_STEP_TARGET_MEAN + KT_DATA_SETS,
    KT_STEP_AVERAGE_SHARE =
        KT_STEP_TARGET_SD + KT_DATA_SETS, /* of the present weights in their running mean */
    KT_STEP_GRAPHS,                       /* of the whole batch, of which a device may have a part alone */
    KT_STEP_VALUES
};

/* What a fold's step tells the host. */
enum {
    KT_RESULT_LOSS,          /* mean of the batch */
    KT_RESULT_GRADIENT_NORM, /* of the whole model */
    KT_RESULT_VALUES
};

/* Whether a step may change anything: x - x is zero for finite x alone. */
KT_INLINE int kt_step_is_finite(const kt_real *result)
{
    return result[KT_RESULT_LOSS] - result[KT_RESULT_LOSS] == 0 &&
           result[KT_RESULT_GRADIENT_NORM] - result[KT_RESULT_GRADIENT_NORM] == 0;
}

typedef struct kt_mape_loss {
    kt_count graphs;
    kt_index data_set;    /* [G] whose target transform is the graph's */
    kt_matrix step;       /* [1, KT_STEP_VALUES] */
    kt_matrix prediction; /* [G, 1] standardised */
    kt_matrix kappa;      /* [G, 1] W/(m K) */
    kt_matrix gradient;   /* [G, 1] by the prediction */
    kt_matrix result;     /* [1, KT_RESULT_VALUES] */
} kt_mape_loss;

typedef struct kt_log_loss {
    kt_count graphs;
    kt_index data_set;    /* [G] whose target transform is the graph's */
    int absolute;         /* the mean absolute error instead of the mean squared one */
    kt_matrix step;       /* [1, KT_STEP_VALUES] */
    kt_matrix prediction; /* [G, 1] standardised */
    kt_matrix kappa;      /* [G, 1] W/(m K) */
    kt_matrix gradient;   /* [G, 1] by the prediction */
    kt_matrix result;     /* [1, KT_RESULT_VALUES] */
} kt_log_loss;

enum { KT_NORM_CHUNK = 4096 };

typedef struct kt_gradient_norm {
    int64_t size;       /* of the parameters that are trained, a multiple of 16 */
    kt_matrix gradient; /* [1, size] */
    kt_matrix partial;  /* [1, ceil(size / KT_NORM_CHUNK)] */
    kt_matrix result;   /* [1, KT_RESULT_VALUES] */
} kt_gradient_norm;

typedef struct kt_adam {
    int64_t size;
    kt_matrix step;                                  /* [1, KT_STEP_VALUES] */
    kt_matrix result;                                /* [1, KT_RESULT_VALUES] */
    kt_matrix gradient, parameter, moment1, moment2; /* [1, size] */
    kt_real beta1, beta2, epsilon;
    kt_real share1, share2; /* 1 - beta1, 1 - beta2, rounded once: in float32 1 - 0.999f is wrong by 1.3e-5 */
    kt_real rate_factor;    /* on the learning rate */
    kt_real clip_norm;      /* a gradient with a larger norm is scaled to it; 0: none is */
} kt_adam;

typedef struct kt_weight_decay {
    int64_t size;
    kt_matrix step;      /* [1, KT_STEP_VALUES] */
    kt_matrix result;    /* [1, KT_RESULT_VALUES] */
    kt_matrix decays;    /* [1, size] 1 where a parameter decays, 0 elsewhere; the same for all folds */
    kt_matrix parameter; /* [1, size] */
    kt_real amount;      /* the decay, times the factor on the learning rate */
} kt_weight_decay;

typedef struct kt_weight_average {
    int64_t size;
    kt_matrix step;               /* [1, KT_STEP_VALUES] */
    kt_matrix result;             /* [1, KT_RESULT_VALUES] */
    kt_matrix parameter, average; /* [1, size] */
} kt_weight_average;

#endif
