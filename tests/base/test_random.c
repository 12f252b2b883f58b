/* The generator against the published vectors of Philox 4x32-10, and the statistics of what is made of it. */
#include "support.h"

#include "base/random.h"

static void test_known_answers(void **state)
{
    (void)state;
    /* Of Random123's kat_vectors; the last is digits of pi. */
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        kti_random random = {.used = 4};
        memcpy(random.counter, vectors[i].counter, sizeof random.counter);
        memcpy(random.key, vectors[i].key, sizeof random.key);
        for (int j = 0; j < 4; j++)
            assert_int_equal(kti_random_bits(&random), vectors[i].block[j]);
    }
}

/* A stream is its name's: each part of it counts, and 64 bits of the seed. */
static void test_streams(void **state)
{
    (void)state;
    enum { STREAMS = 7, LENGTH = 1000 };
    static double x[STREAMS][LENGTH];
    kti_random streams[STREAMS] = {
        kti_random_stream(42, 1, 2, 3), kti_random_stream(43, 1, 2, 3),
        kti_random_stream(42, 2, 2, 3), kti_random_stream(42, 1, 3, 3),
        kti_random_stream(42, 1, 2, 4), kti_random_stream(42 | 1ull << 40, 1, 2, 3),
        kti_random_stream(42, 2, 1, 3)};
    for (int s = 0; s < STREAMS; s++)
        for (int i = 0; i < LENGTH; i++)
            x[s][i] = kti_random_uniform(&streams[s]) - 0.5;
    kti_random again = kti_random_stream(42, 1, 2, 3);
    for (int i = 0; i < LENGTH; i++)
        assert_true(kti_random_uniform(&again) - 0.5 == x[0][i]);
    for (int s = 0; s < STREAMS; s++)
        for (int t = 0; t < s; t++) {
            double sum = 0;
            for (int i = 0; i < LENGTH; i++)
                sum += x[s][i] * x[t][i] * 12;
            assert_true(fabs(sum) < 5 * sqrt(LENGTH)); /* uncorrelated, within five deviations */
        }
}

static void test_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 100000, BINS = 50 };
    kti_random random = kti_random_stream(1, 2, 3, 4);
    int bins[BINS] = {0};
    double sum = 0, squares = 0, chi = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = kti_random_uniform(&random);
        assert_true(x >= 0 && x < 1);
        bins[(int)(x * BINS)]++;
        sum += x;
        squares += x * x;
    }
    for (int b = 0; b < BINS; b++)
        chi += pow(bins[b] - (double)DRAWS / BINS, 2) / ((double)DRAWS / BINS);
    assert_true(is_close(sum / DRAWS, 0.5, 0, 5 * sqrt(1.0 / 12 / DRAWS)));
    assert_true(is_close(squares / DRAWS, 1.0 / 3, 0, 5 * sqrt(4.0 / 45 / DRAWS)));
    assert_true(chi > 15 && chi < 110); /* 49 degrees of freedom, one in 10^6 beyond either */
}

static void test_normal(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    kti_random random = kti_random_stream(5, 6, 7, 8);
    double moment[5] = {0}, tail = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = kti_random_normal(&random);
        assert_true(isfinite(x));
        for (int k = 1; k <= 4; k++)
            moment[k] += pow(x, k) / DRAWS;
        tail += (fabs(x) > 1.959963984540054) / (double)DRAWS;
    }
    assert_true(is_close(moment[1], 0, 0, 5 * sqrt(1.0 / DRAWS)));
    assert_true(is_close(moment[2], 1, 0, 5 * sqrt(2.0 / DRAWS)));
    assert_true(is_close(moment[3], 0, 0, 5 * sqrt(15.0 / DRAWS)));
    assert_true(is_close(moment[4], 3, 0, 5 * sqrt(96.0 / DRAWS)));
    assert_true(is_close(tail, 0.05, 0, 5 * sqrt(0.05 * 0.95 / DRAWS)));
}

/* Each of the 24 orders of four things about as often as any other. */
static void test_shuffle(void **state)
{
    (void)state;
    enum { DRAWS = 48000 };
    kti_random random = kti_random_stream(9, 9, 9, 9);
    int seen[256] = {0}, orders = 0;
    double chi = 0;
    for (int i = 0; i < DRAWS; i++) {
        int32_t list[4] = {0, 1, 2, 3};
        kti_random_shuffle(&random, list, 4);
        assert_int_equal(1 << list[0] | 1 << list[1] | 1 << list[2] | 1 << list[3], 15);
        seen[list[0] * 64 + list[1] * 16 + list[2] * 4 + list[3]]++;
    }
    for (int i = 0; i < 256; i++)
        if (seen[i]) {
            orders++;
            chi += pow(seen[i] - DRAWS / 24.0, 2) / (DRAWS / 24.0);
        }
    assert_int_equal(orders, 24);
    assert_true(chi > 3 && chi < 68); /* 23 degrees of freedom */
    int32_t one = 5;
    kti_random_shuffle(&random, &one, 1);
    kti_random_shuffle(&random, &one, 0);
    assert_int_equal(one, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_streams), cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_normal),        cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
