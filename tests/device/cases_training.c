/* Cases of the end of a training step: loss, norm of the gradient, Adam. */
#include "device/cases.h"

#include <math.h>

#include "reference/twins.h"

/* A part of a batch: what is divided by is the number of graphs of the whole, here larger than the part's by the fold's
 * number. Returns what the mean over the part is to be multiplied by. */
static double set_whole(fixture *f, kt_matrix step, int fold, int graphs)
{
    fixture_set(f, step, fold, 0, KT_STEP_GRAPHS, graphs + fold);
    return (double)graphs / (graphs + fold);
}

static void scale(double *values, int size, double factor)
{
    for (int i = 0; i < size; i++)
        values[i] *= factor;
}

/* The twin differs where rounding decides on which side of kappa a prediction lies, so none lies that near,
 * but for one that hits it in every precision: its gradient is zero. */
static void mape_loss_case(case_visitor *visit, int graphs, double mean, double sd)
{
    fixture *f = fixture_create(RAGGED, "mape_loss %d graphs, mean %g", graphs, mean);
    const kt_count count = graphs == 1 ? fixture_count(f, 1) : fixture_rows(f, graphs);
    const kt_mape_loss a = {.graphs = count,
                            .data_set = fixture_index(f, graphs, KT_DATA_SETS),
                            .step = fixture_matrix(f, "step", 1, KT_STEP_VALUES, 0, 1),
                            .prediction = fixture_matrix(f, "prediction", graphs, 1, -2, 2),
                            .kappa = fixture_matrix(f, "kappa", graphs, 1, 0.1, 200),
                            .gradient = fixture_matrix(f, "gradient", graphs, 1, 200, 300),
                            .result = fixture_matrix(f, "result", 1, KT_RESULT_VALUES, 200, 300)};
    fixture_append(f, KTI_OP_MAPE_LOSS)->arguments.mape_loss = a;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = kt_number(count, fold);
        int32_t *set = fixture_entries(a.data_set, fold);
        double m[KT_DATA_SETS], s[KT_DATA_SETS];
        for (int i = 0; i < KT_DATA_SETS; i++) {
            fixture_set(f, a.step, fold, 0, KT_STEP_TARGET_MEAN + i, mean + 0.1 * i);
            fixture_set(f, a.step, fold, 0, KT_STEP_TARGET_SD + i, sd - 0.03 * i);
            m[i] = fixture_get(f, a.step, fold, 0, KT_STEP_TARGET_MEAN + i);
            s[i] = fixture_get(f, a.step, fold, 0, KT_STEP_TARGET_SD + i);
        }
        if (mean == 0)
            set[0] = 0;
        for (int g = 0; g < n; g++) {
            const double value = pow(10, fixture_get(f, a.prediction, fold, g, 0) * s[set[g]] + m[set[g]]);
            if (fabs(value - 1 - fixture_get(f, a.kappa, fold, g, 0)) < 0.01 * (value + 1))
                fixture_set(f, a.kappa, fold, g, 0, 3 * value + 3);
        }
        if (mean == 0) {
            fixture_set(f, a.prediction, fold, 0, 0, 0);
            fixture_set(f, a.kappa, fold, 0, 0, 0);
        }
        if (n > 4) { /* below what divides, and unphysical */
            fixture_set(f, a.kappa, fold, 2, 0, 1e-7);
            fixture_set(f, a.prediction, fold, 2, 0, 1);
            fixture_set(f, a.kappa, fold, 4, 0, -3);
        }
        double *gradient = fixture_dense(f, a.gradient, fold, n, 1);
        double *result = fixture_dense(f, a.result, fold, 1, KT_RESULT_VALUES);
        result[KT_RESULT_LOSS] = twin_mape_loss(n, set, m, s, fixture_dense(f, a.prediction, fold, n, 1),
                                                fixture_dense(f, a.kappa, fold, n, 1), gradient);
        const double share = set_whole(f, a.step, fold, n);
        scale(gradient, n, share);
        scale(&result[KT_RESULT_LOSS], 1, share);
        fixture_expect(f, a.gradient, fold, n, 1, gradient, 64, 1e-3);
        /* A loss is a difference of near numbers. */
        fixture_expect(f, a.result, fold, 1, KT_RESULT_VALUES, result, 64, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_mape_loss(case_visitor *visit)
{
    static const int graphs[] = {1, 2, 3, 8, 31, 67};
    for (int i = 0; i < (int)(sizeof graphs / sizeof *graphs); i++) {
        mape_loss_case(visit, graphs[i], 1.44, 0.7541);
        mape_loss_case(visit, graphs[i], 0, 0.3762);
    }
}

/* The sign of a difference is a matter of rounding where it is nearly zero, so none is, but for the squared loss. */
static void log_loss_case(case_visitor *visit, int graphs, int absolute)
{
    fixture *f = fixture_create(RAGGED, "log_loss %d graphs, absolute %d", graphs, absolute);
    const kt_count count = graphs == 1 ? fixture_count(f, 1) : fixture_rows(f, graphs);
    const kt_log_loss a = {.graphs = count,
                           .data_set = fixture_index(f, graphs, KT_DATA_SETS),
                           .absolute = absolute,
                           .step = fixture_matrix(f, "step", 1, KT_STEP_VALUES, 0.5, 1.5),
                           .prediction = fixture_matrix(f, "prediction", graphs, 1, -2, 2),
                           .kappa = fixture_matrix(f, "kappa", graphs, 1, 0.1, 200),
                           .gradient = fixture_matrix(f, "gradient", graphs, 1, 200, 300),
                           .result = fixture_matrix(f, "result", 1, KT_RESULT_VALUES, 200, 300)};
    fixture_append(f, KTI_OP_LOG_LOSS)->arguments.log_loss = a;
    for (int fold = 0; fold < FOLDS; fold++) {
        const int n = kt_number(count, fold);
        const int32_t *set = fixture_entries(a.data_set, fold);
        double m[KT_DATA_SETS], s[KT_DATA_SETS];
        for (int i = 0; i < KT_DATA_SETS; i++) {
            m[i] = fixture_get(f, a.step, fold, 0, KT_STEP_TARGET_MEAN + i);
            s[i] = fixture_get(f, a.step, fold, 0, KT_STEP_TARGET_SD + i);
        }
        for (int g = 0; g < n; g++) {
            const double truth = (log10(fixture_get(f, a.kappa, fold, g, 0) + 1) - m[set[g]]) / s[set[g]];
            if (absolute && fabs(fixture_get(f, a.prediction, fold, g, 0) - truth) < 0.01)
                fixture_set(f, a.prediction, fold, g, 0, truth + 1);
        }
        double *gradient = fixture_dense(f, a.gradient, fold, n, 1);
        double *result = fixture_dense(f, a.result, fold, 1, KT_RESULT_VALUES);
        result[KT_RESULT_LOSS] =
            twin_log_loss(n, absolute, set, m, s, fixture_dense(f, a.prediction, fold, n, 1),
                          fixture_dense(f, a.kappa, fold, n, 1), gradient);
        const double share = set_whole(f, a.step, fold, n);
        scale(gradient, n, share);
        scale(&result[KT_RESULT_LOSS], 1, share);
        fixture_expect(f, a.gradient, fold, n, 1, gradient, 64, 1);
        fixture_expect(f, a.result, fold, 1, KT_RESULT_VALUES, result, 64, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_log_loss(case_visitor *visit)
{
    static const int graphs[] = {1, 2, 3, 8, 31, 67};
    for (int i = 0; i < (int)(sizeof graphs / sizeof *graphs); i++) {
        log_loss_case(visit, graphs[i], 0);
        log_loss_case(visit, graphs[i], 1);
    }
}

/* Multiples of 16 on both sides of whole chunks. */
static const int sizes[] = {
    16, 48, KT_NORM_CHUNK - 16, KT_NORM_CHUNK, KT_NORM_CHUNK + 16, 9 * KT_NORM_CHUNK + 272};
enum { SIZES = sizeof sizes / sizeof *sizes };

void cases_gradient_norm(case_visitor *visit)
{
    for (int i = 0; i < SIZES; i++) {
        const int size = sizes[i], chunks = (size + KT_NORM_CHUNK - 1) / KT_NORM_CHUNK;
        fixture *f = fixture_create(RAGGED, "gradient_norm %d", size);
        const kt_gradient_norm a = {.size = size,
                                    .gradient = fixture_matrix(f, "gradient", 1, size, -1, 1),
                                    .partial = fixture_matrix(f, "partial", 1, chunks, -2, -1),
                                    .result = fixture_matrix(f, "result", 1, KT_RESULT_VALUES, -2, -1)};
        fixture_append(f, KTI_OP_GRADIENT_NORM)->arguments.gradient_norm = a;
        for (int fold = 0; fold < FOLDS; fold++) {
            const double *gradient = fixture_dense(f, a.gradient, fold, 1, size);
            double *partial = fixture_dense(f, a.partial, fold, 1, chunks);
            double *result = fixture_dense(f, a.result, fold, 1, KT_RESULT_VALUES);
            for (int k = 0; k < chunks; k++) {
                const int first = k * KT_NORM_CHUNK;
                const int length = size - first < KT_NORM_CHUNK ? size - first : KT_NORM_CHUNK;
                partial[k] = pow(twin_gradient_norm(length, gradient + first), 2);
            }
            result[KT_RESULT_GRADIENT_NORM] = twin_gradient_norm(size, gradient);
            fixture_expect(f, a.partial, fold, 1, chunks, partial, 64, 0);
            fixture_expect(f, a.result, fold, 1, KT_RESULT_VALUES, result, 64, 0);
        }
        visit(f);
        fixture_destroy(f);
    }
}

/* Steps one after another on the same parameters, those whose bit is set in `skipped` with a loss or norm
 * that is not finite. `scale` is the gradient's; at 1e-8 epsilon matters. The norms are between 0 and 1. */
static void adam_case(case_visitor *visit, int size, double scale, int steps, unsigned skipped, double factor,
                      double clip)
{
    static const char *const gradient_names[] = {"gradient 1", "gradient 2", "gradient 3", "gradient 4",
                                                 "gradient 5"};
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    fixture *f = fixture_create(RAGGED, "adam %d x %g, %d steps, skipped %#x, factor %g, clip %g", size,
                                scale, steps, skipped, factor, clip);
    const kt_matrix parameter = fixture_matrix(f, "parameter", 1, size, -1, 1);
    const kt_matrix moment1 = fixture_matrix(f, "moment1", 1, size, -0.1 * scale, 0.1 * scale);
    const kt_matrix moment2 = fixture_matrix(f, "moment2", 1, size, 0, 0.1 * scale * scale);
    double *parameters[FOLDS], *moments1[FOLDS], *moments2[FOLDS];
    for (int fold = 0; fold < FOLDS; fold++) {
        parameters[fold] = fixture_dense(f, parameter, fold, 1, size);
        moments1[fold] = fixture_dense(f, moment1, fold, 1, size);
        moments2[fold] = fixture_dense(f, moment2, fold, 1, size);
    }
    for (int t = 0; t < steps; t++) {
        const kt_adam a = {.size = size,
                           .step = fixture_matrix(f, "step", 1, KT_STEP_VALUES, 0, 1),
                           .result = fixture_matrix(f, "result", 1, KT_RESULT_VALUES, 0, 1),
                           .gradient = fixture_matrix(f, gradient_names[t], 1, size, -scale, scale),
                           .parameter = parameter,
                           .moment1 = moment1,
                           .moment2 = moment2,
                           .beta1 = (kt_real)0.9,
                           .beta2 = (kt_real)0.999,
                           .epsilon = (kt_real)1e-8,
                           .share1 = (kt_real)(1 - 0.9),
                           .share2 = (kt_real)(1 - 0.999),
                           .rate_factor = (kt_real)factor,
                           .clip_norm = (kt_real)clip};
        fixture_append(f, KTI_OP_ADAM)->arguments.adam = a;
        for (int fold = 0; fold < FOLDS; fold++) {
            fixture_set(f, a.step, fold, 0, KT_STEP_LEARNING_RATE, 1e-3 * (fold + 1));
            fixture_set(f, a.step, fold, 0, KT_STEP_CORRECTION1, 1 / (1 - pow(0.9, t + 1)));
            fixture_set(f, a.step, fold, 0, KT_STEP_CORRECTION2, 1 / sqrt(1 - pow(0.999, t + 1)));
            if (skipped >> t & 1)
                fixture_set(f, a.result, fold, 0, (t + fold) % KT_RESULT_VALUES, bad[(t + fold) % 3]);
            const twin_adam twin = {.rate = factor * 1e-3 * (fold + 1),
                                    .beta1 = 0.9,
                                    .beta2 = 0.999,
                                    .epsilon = 1e-8,
                                    .step = t + 1,
                                    .loss = fixture_get(f, a.result, fold, 0, KT_RESULT_LOSS),
                                    .norm = fixture_get(f, a.result, fold, 0, KT_RESULT_GRADIENT_NORM),
                                    .clip_norm = clip};
            twin_adam_step(&twin, size, fixture_dense(f, a.gradient, fold, 1, size), parameters[fold],
                           moments1[fold], moments2[fold]);
        }
    }
    f->nothing_to_do = scale == 0 || skipped == (1u << steps) - 1; /* no gradient, no step: 0 / epsilon */
    for (int fold = 0; fold < FOLDS && !f->nothing_to_do; fold++) {
        /* Parameters move by some 1e-3 a step, so a wrong step is seen only beside a tight bound. */
        fixture_expect(f, parameter, fold, 1, size, parameters[fold], 4, 0.1);
        fixture_expect(f, moment1, fold, 1, size, moments1[fold], 8, 0.1 * scale);
        fixture_expect(f, moment2, fold, 1, size, moments2[fold], 8, 1e-3 * scale * scale);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_adam(case_visitor *visit)
{
    for (int i = 0; i < SIZES; i++) {
        adam_case(visit, sizes[i], 1, 1, 0, 1, 0);
        adam_case(visit, sizes[i], 1, 5, 0, 1, 0);
        adam_case(visit, sizes[i], 1e-8, 5, 0, 1, 0);
        adam_case(visit, sizes[i], 0, 2, 0, 1, 0);
        adam_case(visit, sizes[i], 1, 5, 0x0c, 1, 0);
        adam_case(visit, sizes[i], 1, 3, 0x07, 1, 0);
        adam_case(visit, sizes[i], 1, 5, 0, 0.25, 0);
        adam_case(visit, sizes[i], 1, 5, 0, 1, 0.25);
        adam_case(visit, sizes[i], 1, 3, 0, 1, 2); /* no norm is that large */
        adam_case(visit, sizes[i], 1, 3, 0x02, 0.5, 0.5);
    }
}

/* Both: `state` changes, the other one is read alone. */
static void weights_case(case_visitor *visit, int size, int average, int skipped)
{
    fixture *f = fixture_create(RAGGED, "%s %d, skipped %d", average ? "average" : "decay", size, skipped);
    const kt_matrix step = fixture_matrix(f, "step", 1, KT_STEP_VALUES, 0.01, 0.9);
    const kt_matrix result = fixture_matrix(f, "result", 1, KT_RESULT_VALUES, 0, 1);
    const kt_matrix read = fixture_matrix(f, average ? "parameter" : "decays", 1, size, -1, 1);
    const kt_matrix state = fixture_matrix(f, average ? "average" : "parameter", 1, size, -1, 1);
    if (average)
        fixture_append(f, KTI_OP_WEIGHT_AVERAGE)->arguments.weight_average =
            (kt_weight_average){size, step, result, read, state};
    else
        fixture_append(f, KTI_OP_WEIGHT_DECAY)->arguments.weight_decay =
            (kt_weight_decay){size, step, result, read, state, (kt_real)0.3};
    f->nothing_to_do = skipped;
    for (int fold = 0; fold < FOLDS; fold++) {
        if (skipped)
            fixture_set(f, result, fold, 0, fold % KT_RESULT_VALUES, fold == 1 ? INFINITY : NAN);
        for (int i = 0; i < size && !average; i++)
            fixture_set(f, read, fold, 0, i, i % 3 != 1);
        double *expected = fixture_dense(f, state, fold, 1, size);
        if (skipped)
            continue;
        if (average)
            twin_weight_average(size, fixture_get(f, step, fold, 0, KT_STEP_AVERAGE_SHARE),
                                fixture_dense(f, read, fold, 1, size), expected);
        else
            twin_weight_decay(size, fixture_get(f, step, fold, 0, KT_STEP_LEARNING_RATE), 0.3,
                              fixture_dense(f, read, fold, 1, size), expected);
        fixture_expect(f, state, fold, 1, size, expected, 4, 1);
    }
    visit(f);
    fixture_destroy(f);
}

void cases_weight_decay(case_visitor *visit)
{
    for (int i = 0; i < SIZES; i++)
        for (int skipped = 0; skipped < 2; skipped++)
            weights_case(visit, sizes[i], 0, skipped);
}

void cases_weight_average(case_visitor *visit)
{
    for (int i = 0; i < SIZES; i++)
        for (int skipped = 0; skipped < 2; skipped++)
            weights_case(visit, sizes[i], 1, skipped);
}
