#include "predictor/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>

#include "base/fail.h"
#include "base/memory.h"
#include "statistics/metrics.h"

enum { FEATURES = KTI_FEATURES_OF_CRYSTAL, BLOCK = 512, HALVINGS = 60 };

static const double MIN_KAPPA = 0.01, FAR = 0.99;

/* ---- filling ---- */

/* "Na Cl" */
static kt_status mark_elements(kti_calibration *c, const char *text, kt_error *error)
{
    while (*text) {
        char symbol[8];
        const size_t length = strcspn(text, " ");
        snprintf(symbol, sizeof symbol, "%.*s", length < sizeof symbol ? (int)length : 7, text);
        const int type = kti_element_type(kti_element_number(symbol));
        if (type < 0)
            return kti_fail(error, KT_BAD_FORMAT, "'%s' is no element that a model knows", symbol);
        c->element[type] = true;
        text += length + strspn(text + length, " ");
    }
    return KT_OK;
}

kt_status kti_calibration_add(kti_calibration *c, const kti_known_crystal *crystal, const double *feature,
                              kt_error *error)
{
    const size_t before = c->capacity;
    kt_status status = mark_elements(c, crystal->elements, error);
    if (status == KT_OK && kti_grow((void **)&c->crystal, c->size, &c->capacity, sizeof *c->crystal) != 0)
        status = kti_fail_memory(error, "a calibration");
    if (status == KT_OK && c->capacity != before) {
        double *grown = realloc(c->value, c->capacity * FEATURES * sizeof *grown);
        c->value = grown ? grown : c->value;
        c->capacity = grown ? c->capacity : before;
        status = grown ? KT_OK : kti_fail_memory(error, "a calibration");
    }
    if (status != KT_OK)
        return status;
    kti_known_crystal *made = &c->crystal[c->size];
    *made = *crystal;
    made->id = kti_duplicate_text(crystal->id);
    made->elements = kti_duplicate_text(crystal->elements);
    memcpy(c->value + c->size * FEATURES, feature, FEATURES * sizeof *feature);
    c->size++;
    return made->id && made->elements ? KT_OK : kti_fail_memory(error, "a calibration");
}

kt_status kti_calibration_add_held_out(kti_calibration *c, int crystal, int fold, double value, double log_sd,
                                       kt_error *error)
{
    if (kti_grow((void **)&c->held_out, c->held_out_size, &c->held_out_capacity, sizeof *c->held_out) != 0)
        return kti_fail_memory(error, "a calibration");
    c->held_out[c->held_out_size++] = (kti_held_out){crystal, fold, value, log_sd, NAN};
    return KT_OK;
}

void kti_calibration_destroy(kti_calibration *c)
{
    for (size_t i = 0; i < c->size; i++) {
        free(c->crystal[i].id);
        free(c->crystal[i].elements);
    }
    for (int i = 0; i < c->sets; i++)
        free(c->set[i]);
    free(c->crystal);
    free(c->value);
    free(c->held_out);
    free(c->fold);
    free(c->standardised);
    *c = (kti_calibration){0};
}

/* ---- distances ---- */

/* A feature that all training crystals share is not without a scale. */
static double scale_of(double mean, double sd)
{
    return fmax(sd, fmax(0.02 * fabs(mean), 0.01));
}

static void standardise(kti_calibration *c)
{
    for (int f = 0; f < FEATURES; f++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < c->size; i++)
            sum += c->value[i * FEATURES + f];
        c->mean[f] = sum / (double)c->size;
        for (size_t i = 0; i < c->size; i++) {
            const double d = c->value[i * FEATURES + f] - c->mean[f];
            squares += d * d;
        }
        c->scale[f] = scale_of(c->mean[f], sqrt(squares / (double)c->size));
        for (size_t i = 0; i < c->size; i++)
            c->standardised[(size_t)f * c->size + i] =
                (float)((c->value[i * FEATURES + f] - c->mean[f]) / c->scale[f]);
    }
}

typedef struct neighbour {
    size_t crystal;
    float square; /* sum over the features */
} neighbour;

/* The nearest training crystals of a point, the nearest first, at most KT_NEAREST; `but` is left out. Their number. */
static int find_nearest(const kti_calibration *c, const float *point, size_t but, neighbour *found)
{
    int size = 0;
    float square[BLOCK];
    for (size_t first = 0; first < c->size; first += BLOCK) {
        const size_t count = c->size - first < BLOCK ? c->size - first : BLOCK;
        memset(square, 0, sizeof square);
        for (int f = 0; f < FEATURES; f++) {
            const float *column = c->standardised + (size_t)f * c->size + first;
            for (size_t i = 0; i < count; i++) {
                const float d = column[i] - point[f];
                square[i] += d * d;
            }
        }
        for (size_t i = 0; i < count; i++) {
            int at = size;
            if (first + i == but || (size == KT_NEAREST && !(square[i] < found[size - 1].square)))
                continue;
            for (at = size < KT_NEAREST ? size++ : size - 1; at > 0 && square[i] < found[at - 1].square; at--)
                found[at] = found[at - 1];
            found[at] = (neighbour){first + i, square[i]};
        }
    }
    return size;
}

static double distance_of(const neighbour *n)
{
    return sqrt((double)n->square / FEATURES);
}

static void find_distances(kti_calibration *c)
{
    for (size_t i = 0; i < c->size; i++) {
        float point[FEATURES];
        neighbour found[KT_NEAREST];
        for (int f = 0; f < FEATURES; f++)
            point[f] = c->standardised[(size_t)f * c->size + i];
        c->crystal[i].nearest = find_nearest(c, point, i, found) > 0 ? distance_of(&found[0]) : 0;
    }
}

/* ---- scores ---- */

static int by_fold_and_score(const void *a, const void *b)
{
    const kti_held_out *x = a, *y = b;
    if (x->fold != y->fold)
        return (x->fold > y->fold) - (x->fold < y->fold);
    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? -1 : 1;
    return (x->crystal > y->crystal) - (x->crystal < y->crystal);
}

static double log_mean(bool has_log_sd, double value, double log_sd)
{
    return has_log_sd ? log(value) + log_sd * log_sd / 2 : log(fmax(value, MIN_KAPPA));
}

static double log_scale(bool has_log_sd, double log_sd)
{
    return has_log_sd ? log_sd : 1;
}

static kt_status list_folds(kti_calibration *c, kt_error *error)
{
    c->folds = 0;
    c->fold = kti_allocate(c->held_out_size, sizeof *c->fold);
    if (!c->fold)
        return kti_fail_memory(error, "a calibration");
    for (size_t i = 0; i < c->held_out_size; i++) {
        if (i == 0 || c->held_out[i].fold != c->held_out[i - 1].fold)
            c->fold[c->folds++] = (kti_fold_scores){.fold = c->held_out[i].fold, .first = i};
        c->fold[c->folds - 1].size++;
    }
    return KT_OK;
}

static bool is_finite(const kti_calibration *c)
{
    bool finite = isfinite(c->far);
    for (int f = 0; f < FEATURES; f++)
        finite = finite && isfinite(c->mean[f]) && isfinite(c->scale[f]);
    for (size_t i = 0; i < c->held_out_size; i++)
        finite = finite && isfinite(c->held_out[i].score);
    return finite;
}

kt_status kti_calibration_prepare(kti_calibration *c, bool distances, kt_error *error)
{
    double *nearest = kti_allocate(c->size, sizeof *nearest);
    c->standardised = kti_allocate(c->size * FEATURES, sizeof *c->standardised);
    if (!nearest || !c->standardised) {
        free(nearest);
        return kti_fail_memory(error, "a calibration");
    }
    c->has_log_sd = c->held_out_size > 0;
    c->min = INFINITY;
    c->max = -INFINITY;
    for (size_t i = 0; i < c->size; i++) {
        c->min = fmin(c->min, c->crystal[i].kappa);
        c->max = fmax(c->max, c->crystal[i].kappa);
    }
    for (size_t i = 0; i < c->held_out_size; i++)
        c->has_log_sd = c->has_log_sd && c->held_out[i].log_sd > 0 && c->held_out[i].value > 0;
    for (size_t i = 0; i < c->held_out_size; i++) {
        kti_held_out *h = &c->held_out[i];
        h->score = (log(c->crystal[h->crystal].kappa) - log_mean(c->has_log_sd, h->value, h->log_sd)) /
                   log_scale(c->has_log_sd, h->log_sd);
    }
    if (c->held_out_size > 0)
        qsort(c->held_out, c->held_out_size, sizeof *c->held_out, by_fold_and_score);
    standardise(c);
    if (distances)
        find_distances(c);
    for (size_t i = 0; i < c->size; i++)
        nearest[i] = c->crystal[i].nearest;
    if (c->size > 0) {
        gsl_sort(nearest, 1, c->size);
        c->far = nearest[(size_t)(FAR * (double)(c->size - 1))];
    }
    free(nearest);
    if (!is_finite(c))
        return kti_fail(error, KT_NON_FINITE, "a calibration's numbers are too large to reckon with");
    return list_folds(c, error);
}

/* ---- the interval ---- */

/* The ranks of the two bounds among n scores, counted from 1; none where the lower one is 0. */
static size_t lower_rank(size_t n)
{
    return (size_t)floor((1 - KTI_INTERVAL_LEVEL) / 2 * (double)(n + 1) + 1e-9);
}

static size_t upper_rank(size_t n)
{
    return n + 1 - lower_rank(n);
}

/* A fold's scores, and the member that they are put to. */
typedef struct shifted {
    const kti_held_out *score;
    size_t size;
    double centre, scale;
} shifted;

/* Scores that, shifted, are at most `x`. */
static size_t count_below(const shifted *list, double x)
{
    size_t low = 0, high = list->size;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (list->centre + list->scale * list->score[middle].score <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The rank-th smallest of all lists, to the last bits, by halving. */
static double find_ranked(const shifted *list, int lists, size_t rank, double low, double high)
{
    for (int h = 0; h < HALVINGS && low < high; h++) {
        const double middle = low + (high - low) / 2;
        size_t below = 0;
        for (int i = 0; i < lists; i++)
            below += count_below(&list[i], middle);
        if (below >= rank)
            high = middle;
        else
            low = middle;
    }
    return high;
}

static const kti_fold_scores *scores_of(const kti_calibration *c, int fold)
{
    for (int i = 0; i < c->folds; i++)
        if (c->fold[i].fold == fold)
            return &c->fold[i];
    return NULL;
}

enum { MAX_LISTS = 1000 }; /* as many as a model has members */

static void find_interval(const kti_calibration *c, const int *fold, const double *value,
                          const double *log_sd, int members, kt_judgement *j)
{
    shifted list[MAX_LISTS];
    int lists = 0;
    size_t scores = 0;
    double low = INFINITY, high = -INFINITY;
    for (int m = 0; m < members && lists < MAX_LISTS; m++) {
        const kti_fold_scores *own = scores_of(c, fold[m]);
        const double sd = log_sd ? log_sd[m] : NAN;
        if (!own || (c->has_log_sd && !(value[m] > 0 && sd > 0)))
            continue;
        shifted *l = &list[lists++];
        *l = (shifted){c->held_out + own->first, own->size, log_mean(c->has_log_sd, value[m], sd),
                       log_scale(c->has_log_sd, sd)};
        low = fmin(low, l->centre + l->scale * l->score[0].score);
        high = fmax(high, l->centre + l->scale * l->score[l->size - 1].score);
        scores += l->size;
    }
    j->low = j->high = NAN;
    if (scores == 0 || lower_rank(scores) < 1)
        return;
    j->low = exp(find_ranked(list, lists, lower_rank(scores), low, high));
    j->high = exp(find_ranked(list, lists, upper_rank(scores), low, high));
}

/* ---- judging ---- */

static void warn(kt_judgement *j, const char *what, const char *of)
{
    const size_t used = strlen(j->warnings), wanted = strlen(what) + strlen(of) + 1;
    if (used + wanted < sizeof j->warnings)
        snprintf(j->warnings + used, sizeof j->warnings - used, "%s%s%s", used > 0 ? ";" : "", what, of);
}

static bool has_isolated_node(const kti_graph *graph)
{
    /* Every edge is there in both directions, and they are sorted by target. */
    int reached = 0;
    for (int e = 0; e < graph->edges; e++)
        reached += e == 0 || graph->edge_target[e] != graph->edge_target[e - 1];
    return reached < graph->nodes;
}

static void find_warnings(const kti_calibration *c, const kti_graph *graph, const double *value, int members,
                          kt_judgement *j)
{
    double mean = 0;
    for (int m = 0; m < members; m++)
        mean += value[m] / members;
    if (has_isolated_node(graph))
        warn(j, "isolated", "");
    if (mean < c->min || mean > c->max)
        warn(j, "range", "");
    if (j->distance > c->far)
        warn(j, "far", "");
    /* The last, since there may be more than have room. */
    for (int z = 1; z <= KTI_ATOMIC_NUMBERS; z++) {
        const int type = kti_element_type(z);
        bool there = false;
        for (int n = 0; n < graph->nodes && type >= 0 && !c->element[type]; n++)
            there = there || graph->node_type[n] == type;
        if (there)
            warn(j, "element:", kti_element_symbol(z));
    }
}

void kti_calibration_judge(const kti_calibration *c, const kti_graph *graph, const int *fold,
                           const double *value, const double *log_sd, int members, kt_judgement *judgement)
{
    float point[FEATURES];
    neighbour found[KT_NEAREST];
    *judgement = (kt_judgement){.distance = NAN};
    for (int f = 0; f < FEATURES; f++)
        point[f] = (float)((graph->feature[f] - c->mean[f]) / c->scale[f]);
    find_interval(c, fold, value, log_sd, members, judgement);
    judgement->nearest = find_nearest(c, point, SIZE_MAX, found);
    for (int i = 0; i < judgement->nearest; i++) {
        const kti_known_crystal *known = &c->crystal[found[i].crystal];
        judgement->nearest_id[i] = known->id;
        judgement->nearest_formula[i] = known->formula;
        judgement->nearest_kappa[i] = known->kappa;
        judgement->nearest_distance[i] = distance_of(&found[i]);
    }
    if (judgement->nearest > 0)
        judgement->distance = judgement->nearest_distance[0];
    find_warnings(c, graph, value, members, judgement);
}

/* ---- coverage ---- */

/* Work space of kti_calibration_cover. */
typedef struct cover {
    double *others; /* [held_out_size] scores that judge a fold */
    bool *own;      /* [size] crystals that the fold has held out */
    double *half;   /* [held_out_size] half the width of an interval, ln kappa */
    double *part;   /* [folds] covered part of a fold's crystals */
} cover;

/* One fold, against the others. */
static void cover_fold(const kti_calibration *c, const kti_fold_scores *fold, int set, cover *w,
                       kti_interval_scores *scores)
{
    const size_t end = fold->first + fold->size;
    size_t others = 0;
    int inside = 0, judged = 0;
    memset(w->own, 0, c->size * sizeof *w->own);
    for (size_t i = fold->first; i < end; i++)
        w->own[c->held_out[i].crystal] = true;
    for (size_t i = 0; i < c->held_out_size; i++)
        if (c->held_out[i].fold != fold->fold && !w->own[c->held_out[i].crystal])
            w->others[others++] = c->held_out[i].score;
    if (others == 0 || lower_rank(others) < 1)
        return;
    gsl_sort(w->others, 1, others);
    const double low = w->others[lower_rank(others) - 1], high = w->others[upper_rank(others) - 1];
    for (size_t i = fold->first; i < end; i++) {
        const kti_held_out *h = &c->held_out[i];
        if (set >= 0 && c->crystal[h->crystal].set != set)
            continue;
        inside += h->score >= low && h->score <= high;
        w->half[scores->pairs + judged++] = (high - low) / 2 * log_scale(c->has_log_sd, h->log_sd);
    }
    if (judged > 0)
        w->part[scores->folds++] = (double)inside / judged;
    scores->pairs += judged;
}

kt_status kti_calibration_cover(const kti_calibration *c, int set, kti_interval_scores *scores,
                                kt_error *error)
{
    cover w = {.others = kti_allocate(c->held_out_size, sizeof(double)),
               .own = kti_allocate(c->size, sizeof(bool)),
               .half = kti_allocate(c->held_out_size, sizeof(double)),
               .part = kti_allocate((size_t)c->folds, sizeof(double))};
    kti_summary parts = {0}, halves = {0};
    kt_status status =
        w.others && w.own && w.half && w.part ? KT_OK : kti_fail_memory(error, "the coverage of an interval");
    *scores = (kti_interval_scores){.of = {NAN, NAN, NAN}};
    for (int f = 0; f < c->folds && status == KT_OK; f++)
        cover_fold(c, &c->fold[f], set, &w, scores);
    if (status == KT_OK)
        status = kti_summarise(w.part, scores->folds, &parts, error);
    if (status == KT_OK)
        status = kti_summarise(w.half, scores->pairs, &halves, error);
    if (status == KT_OK && scores->folds > 0)
        scores->of = (kt_interval_scores){parts.mean, parts.sd, exp(halves.median)};
    free(w.others);
    free(w.own);
    free(w.half);
    free(w.part);
    return status;
}
