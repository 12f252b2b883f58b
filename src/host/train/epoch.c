#include "train/epoch.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/random.h"
#include "train/team_reports.h"

_Static_assert((int)KT_MAX_DATA_SETS == KT_DATA_SETS, "the kernels hold a transform for each data set");

enum { PURPOSE_SHUFFLE = 2, PURPOSE_NOISE = 3 };

static const double min_truth = 1.17e-6; /* that an error is divided by, as in the loss */

/* Sums over an epoch. */
typedef struct tally {
    double loss, norm, norm_max;
    int rows, steps, skipped;
} tally;

/* ---- what an epoch and a step begin with ---- */

/* Cosine from the first rate to the second over schedule_period ticks (docs/method.md, section 5), or over the run. */
static double learning_rate(const kt_train_options *o, const kti_fold *fold)
{
    const double pi = 3.14159265358979323846;
    const double angle = o->schedule_period ? pi * o->schedule_ticks * fold->epoch / o->schedule_period
                                            : pi * fold->epoch / o->epochs;
    return fold->rate_scale *
           (o->min_learning_rate + (o->learning_rate - o->min_learning_rate) * (1 + cos(angle)) / 2);
}

static void shuffle(kti_worker *w, const kti_fold *fold)
{
    memcpy(w->order, fold->order, (size_t)fold->train_rows * sizeof *w->order);
    kti_random random = kti_random_stream(fold->options->seed, PURPOSE_SHUFFLE, (uint32_t)fold->number,
                                          (uint32_t)fold->epoch);
    kti_random_shuffle(&random, w->order, fold->train_rows);
}

/* Factors on the kappa of all rows for an epoch of label noise. The noise is relative, so that a small kappa stays
 * positive; for all others it is nearly noise on log10(kappa + 1). */
static void draw_noise(kti_worker *w, const kti_fold *fold)
{
    const kti_run *run = w->team->run;
    kti_random random =
        kti_random_stream(fold->options->seed, PURPOSE_NOISE, (uint32_t)fold->number, (uint32_t)fold->epoch);
    for (int i = 0; i < run->dataset->size; i++)
        w->noise[i] =
            pow(10, run->options->label_noise * fold->part_target[run->dataset->crystals[i].part].sd *
                        kti_random_normal(&random));
}

/* The plan's next batch, with the labels that the loss compares with; `noise` is NULL or a factor for each row of the data
 * set. */
static kt_status fill_batch(const kti_worker *w, kti_plan *plan, const kti_fold *fold, const int32_t *rows,
                            int count, const double *noise, kt_error *error)
{
    const kti_dataset *dataset = w->team->run->dataset;
    const kti_batch *batch = kti_plan_batch(plan);
    if (kti_plan_pick(plan, rows, count) != 0)
        return kti_fail(error, KT_BAD_ARGUMENT, "a batch does not fit the plan");
    for (int i = 0; i < count; i++) {
        const kti_crystal *crystal = &dataset->crystals[rows[i]];
        batch->kappa[i] = (kt_real)kti_fold_scaled(fold, crystal->part,
                                                   noise ? crystal->kappa * noise[rows[i]] : crystal->kappa);
        batch->data_set[i] = crystal->part;
    }
    return KT_OK;
}

static void set_step(kti_worker *w, const kti_fold *fold, double rate)
{
    kt_real *step = kti_plan_step(w->plan);
    kti_plan_set_adam(w->plan, rate, fold->steps + 1);
    for (int i = 0; i < KT_DATA_SETS; i++) {
        const kti_transform target = fold->restored.sd == 0 ? fold->part_target[i] : fold->restored;
        step[KT_STEP_TARGET_MEAN + i] = (kt_real)target.mean;
        step[KT_STEP_TARGET_SD + i] = (kt_real)target.sd;
    }
    /* A young mean forgets faster, so that the start weights do not dominate it for long. */
    const double decay =
        fmin(w->team->run->options->weight_average, (2 + (double)fold->steps) / (11 + (double)fold->steps));
    step[KT_STEP_AVERAGE_SHARE] = (kt_real)(1 - decay);
}

/* ---- training ---- */

/* In the journal once an epoch, aloud once: a fold whose loss is no longer finite skips every step from then on. */
static void report_skip(kti_worker *w, const kti_fold *fold, int batch, const char *what)
{
    char text[160];
    const bool before =
        fold->epoch > 0 && fold->history[(int64_t)(fold->epoch - 1) * KTI_HISTORY_COLUMNS + KTI_SKIPPED] > 0;
    snprintf(text, sizeof text, "fold %d, epoch %d, batch %d: the %s is not finite; the step is skipped",
             fold->number, fold->epoch + 1, batch, what);
    kti_team_report(w->team, fold, "skipped", batch, !before, text);
}

/* Where the part of a batch begins that the given rank of those who share the fold computes. */
static int part_begin(const kti_worker *w, int rank, int count)
{
    return (int)((int64_t)count * rank / w->team->run->places.sharers);
}

/* One step on a batch of `count` rows, or on the part of it that is this worker's; result[KT_RESULT_VALUES]. */
static kt_status train_batch(kti_worker *w, const kti_fold *fold, const int32_t *rows, int count, double rate,
                             kt_real *result, kt_error *error)
{
    const int own = part_begin(w, fold->rank, count), end = part_begin(w, fold->rank + 1, count);
    const double *noise = fold->options->label_noise > 0 ? w->noise : NULL;
    kt_status status = fill_batch(w, w->plan, fold, rows + own, end - own, noise, error);
    if (status != KT_OK)
        return status;
    kti_plan_set_whole(w->plan, count);
    set_step(w, fold, rate);
    return kti_plan_train(w->plan, fold->index, result, error);
}

static void count_step(kti_worker *w, kti_fold *fold, int batch, int count, const kt_real *result, tally *sum)
{
    const double loss = (double)result[KT_RESULT_LOSS], norm = (double)result[KT_RESULT_GRADIENT_NORM];
    if (!isfinite(loss) || !isfinite(norm)) {
        if (sum->skipped == 0) /* the first one is reported; epochs.csv has their number */
            report_skip(w, fold, batch, isfinite(loss) ? "gradient" : "loss");
        sum->skipped++;
        return;
    }
    fold->steps++;
    sum->steps++;
    sum->rows += count;
    sum->loss += loss * count;
    sum->norm += norm;
    sum->norm_max = fmax(sum->norm_max, norm);
}

kt_status kti_epoch_train(kti_worker *w, kti_fold *fold, double *record, kt_error *error)
{
    const kt_train_options *o = fold->options;
    const double rate = learning_rate(o, fold);
    tally sum = {0};
    shuffle(w, fold);
    if (o->label_noise > 0)
        draw_noise(w, fold);
    for (int first = 0, batch = 1; first < fold->train_rows; first += o->batch, batch++) {
        const int count = fold->train_rows - first < o->batch ? fold->train_rows - first : o->batch;
        kt_real result[KT_RESULT_VALUES];
        kt_status status = train_batch(w, fold, w->order + first, count, rate, result, error);
        if (status != KT_OK)
            return status;
        count_step(w, fold, batch, count, result, &sum);
    }
    fold->skipped += sum.skipped;
    record[KTI_TRAIN_LOSS] = sum.rows ? sum.loss / sum.rows : -1;
    record[KTI_LEARNING_RATE] = rate;
    record[KTI_GRADIENT_NORM] = sum.steps ? sum.norm / sum.steps : -1;
    record[KTI_GRADIENT_NORM_MAX] = sum.steps ? sum.norm_max : -1;
    record[KTI_SKIPPED] = sum.skipped;
    return KT_OK;
}

/* ---- predictions ---- */

static kti_plan *predicting_plan(const kti_worker *w)
{
    return w->predict_plan ? w->predict_plan : w->plan;
}

/* Predicts rows [count] as one batch; the worker's `standardised` has what the network gives. */
static kt_status predict_batch(kti_worker *w, const kti_fold *fold, const int32_t *rows, int count,
                               kt_error *error)
{
    kti_plan *plan = predicting_plan(w);
    kt_status status = fill_batch(w, plan, fold, rows, count, NULL, error);
    return status == KT_OK ? kti_plan_predict(plan, fold->index, w->standardised, error) : status;
}

kt_status kti_epoch_predict(kti_worker *w, const kti_fold *fold, const int32_t *rows, int size, double *kappa,
                            kt_error *error)
{
    const int batch = w->predicted_batch;
    const kti_dataset *dataset = w->team->run->dataset;
    for (int first = 0; first < size; first += batch) {
        const int count = size - first < batch ? size - first : batch;
        kt_status status = predict_batch(w, fold, rows + first, count, error);
        if (status != KT_OK)
            return status;
        for (int i = 0; i < count; i++)
            kappa[first + i] = kti_destandardise(fold->part_target[dataset->crystals[rows[first + i]].part],
                                                 (double)w->standardised[i]);
    }
    return KT_OK;
}

kt_status kti_epoch_read_out(kti_worker *w, const kti_fold *fold, const int32_t *rows, int size,
                             kti_gp_sample *samples, kt_error *error)
{
    const int batch = w->team->run->options->batch;
    for (int first = 0; first < size; first += batch) {
        const int count = size - first < batch ? size - first : batch;
        kt_status status = predict_batch(w, fold, rows + first, count, error);
        for (int i = 0; i < count && status == KT_OK; i++)
            status = kti_plan_readout(predicting_plan(w), i, samples[first + i].readout, error);
        if (status != KT_OK)
            return status;
    }
    return KT_OK;
}

/* MAPE on the rows of the selection, of the quantity that the loss compares. */
static kt_status score_selection(kti_worker *w, const kti_fold *fold, double *record, kt_error *error)
{
    const kti_dataset *dataset = w->team->run->dataset;
    double sum = 0;
    kt_status status = kti_epoch_predict(w, fold, fold->select, fold->select_rows, w->predicted, error);
    for (int i = 0; i < fold->select_rows && status == KT_OK; i++) {
        const kti_crystal *crystal = &dataset->crystals[fold->select[i]];
        const double truth = kti_fold_scaled(fold, crystal->part, crystal->kappa);
        const double found = kti_fold_scaled(fold, crystal->part, w->predicted[i]);
        sum += fabs(found - truth) / fmax(fabs(truth), min_truth);
    }
    record[KTI_SELECT_MAPE] = fold->select_rows > 0 && isfinite(sum) ? sum / fold->select_rows : -1;
    return status;
}

/* How far apart the predictions of the watched rows are. A diverged network may predict a kappa of -1 for all of them, whose
 * logarithm is bounded here so that they count as equal. */
static kt_status measure_spread(kti_worker *w, const kti_fold *fold, double *record, kt_error *error)
{
    kt_status status = KT_OK;
    double min = INFINITY, max = -INFINITY;
    if (fold->watch != fold->select) /* else they have just been predicted */
        status = kti_epoch_predict(w, fold, fold->watch, fold->watch_rows, w->predicted, error);
    for (int i = 0; i < fold->watch_rows && status == KT_OK; i++) {
        const double above = w->predicted[i] + 1,
                     level = isnan(above) ? INFINITY : log10(fmax(above, DBL_EPSILON));
        min = fmin(min, level);
        max = fmax(max, level);
    }
    record[KTI_SPREAD] = isfinite(max - min) ? max - min : -1;
    return status;
}

kt_status kti_epoch_evaluate(kti_worker *w, const kti_fold *fold, double *record, kt_error *error)
{
    kt_status status = score_selection(w, fold, record, error);
    return status == KT_OK ? measure_spread(w, fold, record, error) : status;
}
