/* Calibrations: the interval is the CV+ quantile by brute force, holds as often as it says, and needs enough scores; distances, nearest
 * crystals and warnings are those of a plain search; the file gives back what was written, and what is wrong in it is named. */
#include "support.h"

#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "predictor/calibration_file.h"

enum { CRYSTALS = 400, FOLDS = 9, FEATURES = KTI_FEATURES_OF_CRYSTAL };

typedef struct world {
    kti_random random;
    kti_calibration c;
    double feature[CRYSTALS][FEATURES];
} world;

/* Crystals with kappa about exp(2), of which each fold holds out a fifth and is wrong by a factor of about exp(sd); where `log_sd`,
 * it knows by how much. */
static void make(world *w, int crystals, double sd, bool log_sd, uint64_t seed)
{
    kt_error error = KT_ERROR_NONE;
    memset(w, 0, sizeof *w);
    w->random = kti_random_stream(seed, 1, 0, 0);
    w->c.sets = 2;
    w->c.set[0] = strdup("first");
    w->c.set[1] = strdup("second, \"quoted\"");
    for (int i = 0; i < crystals; i++) {
        char id[32];
        snprintf(id, sizeof id, "crystal-%d", i);
        for (int f = 0; f < FEATURES; f++)
            w->feature[i][f] = f == 5 ? 4 : 3 * kti_random_normal(&w->random) + f;
        kti_known_crystal known = {.id = id,
                                   .elements = i % 2 ? "O Mg" : "Na Cl",
                                   .formula = "AB",
                                   .set = i % 2,
                                   .sites = 2 + i,
                                   .kappa = exp(2 + 0.7 * kti_random_normal(&w->random)),
                                   .nearest = NAN};
        assert_ok(kti_calibration_add(&w->c, &known, w->feature[i], &error), &error);
    }
    for (int fold = 1; fold <= FOLDS; fold++)
        for (int i = 0; i < crystals; i++) {
            const double own = log_sd ? 0.1 + kti_random_uniform(&w->random) : 1;
            const double centre = log(w->c.crystal[i].kappa) + own * sd * kti_random_normal(&w->random);
            if (kti_random_uniform(&w->random) < 0.2)
                assert_ok(kti_calibration_add_held_out(&w->c, i, fold,
                                                       exp(log_sd ? centre - own * own / 2 : centre),
                                                       log_sd ? own : NAN, &error),
                          &error);
        }
    assert_ok(kti_calibration_prepare(&w->c, true, &error), &error);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static kti_graph graph_of(const double *feature, int32_t *types, int nodes)
{
    kti_graph graph = {.nodes = nodes, .node_type = types};
    memcpy(graph.feature, feature, sizeof graph.feature);
    return graph;
}

static void the_interval_is_the_quantile(void **state)
{
    (void)state;
    for (int log_sd = 0; log_sd < 2; log_sd++) {
        world *w = malloc(sizeof *w);
        make(w, CRYSTALS, 0.5, log_sd, 7);
        int fold[FOLDS + 1];
        double value[FOLDS + 1], sd[FOLDS + 1];
        int32_t type = kti_element_type(11);
        kti_graph graph = graph_of(w->feature[3], &type, 1);
        kt_judgement j;
        for (int m = 0; m <= FOLDS; m++) { /* the last one is of a fold that nothing is known of */
            fold[m] = m + 1;
            value[m] = 3 + 0.5 * m;
            sd[m] = 0.2 + 0.05 * m;
        }
        kti_calibration_judge(&w->c, &graph, fold, value, sd, FOLDS + 1, &j);
        size_t n = w->c.held_out_size;
        double *all = malloc(n * sizeof *all);
        for (size_t i = 0; i < n; i++) {
            const kti_held_out *h = &w->c.held_out[i];
            const double kappa = w->c.crystal[h->crystal].kappa, s = sd[h->fold - 1], v = value[h->fold - 1];
            all[i] = log_sd ? log(v) + s * s / 2 +
                                  s * (log(kappa) - log(h->value) - h->log_sd * h->log_sd / 2) / h->log_sd
                            : log(v) + log(kappa) - log(h->value);
        }
        qsort(all, n, sizeof *all, by_value);
        const size_t low = (size_t)floor(0.05 * (double)(n + 1) + 1e-9), high = n + 1 - low;
        assert_true(n > 500 && low > 20);
        assert_true(is_close(j.low, exp(all[low - 1]), 1e-12, 0));
        assert_true(is_close(j.high, exp(all[high - 1]), 1e-12, 0));
        /* Without the standard deviations that the scores are in, there is none. */
        kti_calibration_judge(&w->c, &graph, fold, value, NULL, FOLDS, &j);
        assert_true(log_sd ? isnan(j.low) && isnan(j.high) : j.low < j.high);
        free(all);
        kti_calibration_destroy(&w->c);
        free(w);
    }
}

static void it_holds_as_often_as_it_says(void **state)
{
    (void)state;
    for (int log_sd = 0; log_sd < 2; log_sd++) {
        kti_interval_scores all, set;
        kt_error error = KT_ERROR_NONE;
        world *w = malloc(sizeof *w);
        make(w, CRYSTALS, 0.5, log_sd, 11);
        assert_ok(kti_calibration_cover(&w->c, -1, &all, &error), &error);
        assert_int_equal(all.folds, FOLDS);
        assert_int_equal(all.pairs, w->c.held_out_size);
        assert_true(all.of.coverage > 0.87 && all.of.coverage < 0.93);
        assert_true(all.of.coverage_std > 0 && all.of.coverage_std < 0.08);
        /* 5 % to 95 % of a normal distribution is 1.645 standard deviations, here 0.5, or 0.3 in the median of 0.1 to 1.1. */
        assert_true(is_close(log(all.of.factor), 1.645 * 0.5 * (log_sd ? 0.6 : 1), 0.1, 0));
        int pairs = 0;
        for (int s = 0; s < 2; s++) {
            assert_ok(kti_calibration_cover(&w->c, s, &set, &error), &error);
            assert_true(set.of.coverage > 0.85 && set.of.coverage < 0.95);
            pairs += set.pairs;
        }
        assert_int_equal(pairs, all.pairs);
        /* Of predictions that are far worse for one fold than the others tell, it does not hold. */
        for (size_t i = 0; i < w->c.held_out_size; i++)
            w->c.held_out[i].score *= w->c.held_out[i].fold == 4 ? 10 : 1;
        assert_ok(kti_calibration_cover(&w->c, -1, &set, &error), &error);
        assert_true(set.of.coverage_std > 0.15 && set.of.factor > all.of.factor);
        kti_calibration_destroy(&w->c);
        free(w);
    }
}

static void few_scores_give_none(void **state)
{
    (void)state;
    for (int crystals = 3; crystals < 40; crystals += 9) {
        kti_interval_scores s;
        kt_error error = KT_ERROR_NONE;
        world *w = malloc(sizeof *w);
        make(w, crystals, 0.5, false, 5);
        int fold = 2, scores = 0;
        for (size_t i = 0; i < w->c.held_out_size; i++)
            scores += w->c.held_out[i].fold == fold;
        const double value = 5;
        int32_t type = 0;
        const kti_graph graph = graph_of(w->feature[0], &type, 1);
        kt_judgement j;
        kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
        assert_true(scores >= 19 ? j.low < j.high : isnan(j.low) && isnan(j.high));
        assert_true(scores < 19); /* of one fold of so few */
        assert_ok(kti_calibration_cover(&w->c, -1, &s, &error), &error);
        assert_true(crystals < 4 ? s.folds == 0 : crystals < 30 || s.folds == FOLDS);
        assert_true(s.folds > 0 || isnan(s.of.coverage));
        kti_calibration_destroy(&w->c);
        free(w);
    }
}

static double distance(const world *w, const double *feature, int i)
{
    double sum = 0;
    for (int f = 0; f < FEATURES; f++) {
        const double d = (feature[f] - w->feature[i][f]) / w->c.scale[f];
        sum += d * d;
    }
    return sqrt(sum / FEATURES);
}

static void the_nearest_are_found(void **state)
{
    (void)state;
    world *w = malloc(sizeof *w);
    make(w, CRYSTALS, 0.5, false, 3);
    int fold = 1;
    const double value = 5;
    int32_t type = kti_element_type(11);
    for (int q = 0; q < 30; q++) {
        double feature[FEATURES], all[CRYSTALS];
        kt_judgement j;
        for (int f = 0; f < FEATURES; f++)
            feature[f] = q == 0 ? w->feature[77][f] : w->feature[q][f] + kti_random_normal(&w->random);
        const kti_graph graph = graph_of(feature, &type, 1);
        kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
        for (int i = 0; i < CRYSTALS; i++)
            all[i] = distance(w, feature, i);
        qsort(all, CRYSTALS, sizeof *all, by_value);
        assert_int_equal(j.nearest, KT_NEAREST);
        for (int k = 0; k < KT_NEAREST; k++) {
            assert_true(is_close(j.nearest_distance[k], all[k], 1e-5, 1e-6));
            const int known = atoi(j.nearest_id[k] + strlen("crystal-"));
            assert_true(is_close(distance(w, feature, known), all[k], 1e-5, 1e-6));
            assert_true(is_close(j.nearest_kappa[k], w->c.crystal[known].kappa, 0, 0));
        }
        assert_true(j.distance == j.nearest_distance[0]);
        if (q == 0)
            assert_string_equal(j.nearest_id[0], "crystal-77");
    }
    /* Each training crystal's own nearest leaves itself out, and one in a hundred is farther than `far`. */
    int beyond = 0;
    for (int i = 0; i < CRYSTALS; i++) {
        double min = INFINITY;
        for (int k = 0; k < CRYSTALS; k++)
            min = k == i ? min : fmin(min, distance(w, w->feature[i], k));
        assert_true(is_close(w->c.crystal[i].nearest, min, 1e-5, 0));
        beyond += w->c.crystal[i].nearest > w->c.far;
    }
    assert_true(beyond >= CRYSTALS / 100 && beyond <= CRYSTALS / 100 + 1);
    kti_calibration_destroy(&w->c);
    free(w);
}

static void warnings_are_given(void **state)
{
    (void)state;
    world *w = malloc(sizeof *w);
    make(w, CRYSTALS, 0.5, false, 3);
    const int fold = 1;
    double value = 5, far[FEATURES];
    int32_t types[3] = {kti_element_type(11), kti_element_type(8), kti_element_type(11)}, target[2] = {0, 1},
            source[2] = {1, 0};
    kti_graph graph = graph_of(w->feature[0], types, 2);
    kt_judgement j;
    graph.edges = 2;
    graph.edge_target = target;
    graph.edge_source = source;
    kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
    assert_string_equal(j.warnings, "");
    graph.nodes = 3;
    kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
    assert_string_equal(j.warnings, "isolated");
    graph.nodes = 2;
    types[0] = kti_element_type(92);
    types[1] = kti_element_type(26);
    kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
    assert_string_equal(j.warnings, "element:Fe;element:U");
    types[0] = types[1] = kti_element_type(11);
    value = w->c.max * 1.001;
    kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
    assert_string_equal(j.warnings, "range");
    value = w->c.min * 0.999;
    for (int f = 0; f < FEATURES; f++)
        far[f] = w->feature[0][f] + 12;
    memcpy(graph.feature, far, sizeof far);
    kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
    assert_string_equal(j.warnings, "range;far");
    /* More than fit are cut between two. */
    int32_t many[KTI_ELEMENT_TYPES];
    for (int i = 0; i < KTI_ELEMENT_TYPES; i++)
        many[i] = i;
    graph.nodes = KTI_ELEMENT_TYPES;
    graph.node_type = many;
    kti_calibration_judge(&w->c, &graph, &fold, &value, NULL, 1, &j);
    assert_true(strlen(j.warnings) > 200 && strncmp(j.warnings, "isolated;range;far;element:H;", 29) == 0);
    kti_calibration_destroy(&w->c);
    free(w);
}

static void the_file_gives_it_back(void **state)
{
    (void)state;
    char path[] = "/tmp/kappatune-calibration-XXXXXX";
    close(mkstemp(path));
    for (int log_sd = 0; log_sd < 2; log_sd++) {
        kt_error error = KT_ERROR_NONE;
        kti_calibration back;
        world *w = malloc(sizeof *w);
        make(w, 200, 0.5, log_sd, 9);
        assert_ok(kti_calibration_write(&w->c, path, &error), &error);
        assert_ok(kti_calibration_read(path, &back, &error), &error);
        assert_int_equal(back.size, w->c.size);
        assert_int_equal(back.sets, 2);
        assert_string_equal(back.set[1], w->c.set[1]);
        assert_int_equal(back.held_out_size, w->c.held_out_size);
        assert_true(back.has_log_sd == (log_sd == 1));
        assert_memory_equal(back.element, w->c.element, sizeof back.element);
        for (size_t i = 0; i < back.size; i++) {
            assert_string_equal(back.crystal[i].id, w->c.crystal[i].id);
            assert_int_equal(back.crystal[i].sites, w->c.crystal[i].sites);
            assert_true(is_close(back.crystal[i].kappa, w->c.crystal[i].kappa, 1e-8, 0));
            assert_true(is_close(back.crystal[i].nearest, w->c.crystal[i].nearest, 1e-5, 0));
        }
        for (size_t i = 0; i < back.held_out_size; i++) {
            assert_int_equal(back.held_out[i].fold, w->c.held_out[i].fold);
            assert_true(is_close(back.held_out[i].score, w->c.held_out[i].score, 1e-6, 1e-6));
        }
        assert_true(is_close(back.far, w->c.far, 1e-5, 0));
        kti_calibration_destroy(&back);
        kti_calibration_destroy(&w->c);
        free(w);
    }
    unlink(path);
}

/* The file with `from` replaced by `to` in its third line, or cut there where `to` is NULL. */
static void assert_refused(const char *path, const char *from, const char *to, const char *message)
{
    char *text, *changed = malloc(1 << 20);
    size_t size;
    kt_error error = KT_ERROR_NONE;
    kti_calibration c;
    assert_ok(kti_file_read(path, 1 << 20, &text, &size, &error), &error);
    char *third = strchr(strchr(text, '\n') + 1, '\n') + 1, *at = strstr(third, from);
    assert_non_null(at);
    snprintf(changed, 1 << 20, "%.*s%s%s", (int)(at - text), text, to ? to : "\n",
             to ? at + strlen(from) : "");
    char other[] = "/tmp/kappatune-calibration-XXXXXX";
    close(mkstemp(other));
    assert_ok(kti_file_write(other, changed, strlen(changed), &error), &error);
    assert_int_not_equal(kti_calibration_read(other, &c, &error), KT_OK);
    assert_null(c.crystal);
    if (!strstr(error.message, message) || error.line != 3)
        fail_msg("line %d: %s", (int)error.line, error.message);
    unlink(other);
    free(text);
    free(changed);
}

/* A crystal that hundreds of folds hold out has a long field. */
static void many_folds_are_read_back(void **state)
{
    (void)state;
    char path[] = "/tmp/kappatune-calibration-XXXXXX";
    close(mkstemp(path));
    kt_error error = KT_ERROR_NONE;
    kti_calibration back;
    world *w = malloc(sizeof *w);
    make(w, 50, 0.5, true, 9);
    for (int fold = 1000; fold < 1400; fold++)
        assert_ok(kti_calibration_add_held_out(&w->c, 7, fold, 3 + 1e-3 * fold, 0.123456789, &error), &error);
    free(w->c.standardised);
    free(w->c.fold);
    assert_ok(kti_calibration_prepare(&w->c, true, &error), &error);
    assert_ok(kti_calibration_write(&w->c, path, &error), &error);
    assert_ok(kti_calibration_read(path, &back, &error), &error);
    assert_int_equal(back.held_out_size, w->c.held_out_size);
    kti_calibration_destroy(&back);
    kti_calibration_destroy(&w->c);
    free(w);
    unlink(path);
}

/* Numbers of which each can be read, but not what is reckoned of them. */
static void what_overflows_is_refused(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        kt_error error = KT_ERROR_NONE;
        world *w = malloc(sizeof *w);
        make(w, 50, 0.5, true, 9);
        if (way == 0)
            for (size_t i = 0; i < w->c.size; i++)
                w->c.value[i * FEATURES] = 1e308;
        else
            w->c.held_out[3].log_sd = 1e-320;
        free(w->c.standardised);
        free(w->c.fold);
        assert_int_equal(kti_calibration_prepare(&w->c, true, &error), KT_NON_FINITE);
        w->c.fold = NULL;
        kti_calibration_destroy(&w->c);
        free(w);
    }
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    char path[] = "/tmp/kappatune-calibration-XXXXXX";
    close(mkstemp(path));
    kt_error error = KT_ERROR_NONE;
    kti_calibration c;
    world *w = malloc(sizeof *w);
    make(w, 50, 0.5, true, 9);
    assert_ok(kti_calibration_write(&w->c, path, &error), &error);
    assert_refused(path, "O Mg", "O Qq", "'Qq'");
    assert_refused(path, ",AB,3,", ",AB,-3,", "sites");
    assert_refused(path, ",AB,3,", ",AB,,", "sites");
    assert_refused(path, "O Mg,", "O Mg,-", "kappa");
    assert_refused(path, "O Mg,", "O Mg,nan", "kappa");
    assert_refused(path, ":", ";", "held_out");
    assert_refused(path, ":", ":inf", "held_out");
    assert_refused(path, ":", ".5:", "held_out");
    assert_refused(path, "O Mg,", "O Mg,1,", "fields");
    assert_refused(path, "O Mg,", NULL, "fields");
    assert_ok(kti_file_write(path, "id,kappa\n", 9, &error), &error);
    assert_int_equal(kti_calibration_read(path, &c, &error), KT_BAD_FORMAT);
    assert_non_null(strstr(error.message, "kappatune calibrate"));
    kti_calibration_destroy(&w->c);
    free(w);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interval_is_the_quantile), cmocka_unit_test(it_holds_as_often_as_it_says),
        cmocka_unit_test(few_scores_give_none),         cmocka_unit_test(the_nearest_are_found),
        cmocka_unit_test(warnings_are_given),           cmocka_unit_test(the_file_gives_it_back),
        cmocka_unit_test(many_folds_are_read_back),     cmocka_unit_test(what_overflows_is_refused),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
