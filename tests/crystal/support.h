/* What the tests of the crystal room share. */
#ifndef TESTS_CRYSTAL_SUPPORT_H
#define TESTS_CRYSTAL_SUPPORT_H

#include <stdbool.h>

#include "../support.h"

#include "crystal/graph.h"
#include "crystal/reader.h"

/* |value - reference| <= atol + rtol |reference|, and never true of a NaN. */
bool close_to(double value, double reference, double rtol, double atol);
#define assert_close(value, reference, rtol, atol)                                                           \
    do {                                                                                                     \
        double value_ = (value), reference_ = (reference);                                                   \
        if (!close_to(value_, reference_, rtol, atol))                                                       \
            fail_msg("%s is %.17g, expected %.17g", #value, value_, reference_);                             \
    } while (0)

/* Reproducible draws (splitmix64). */
typedef struct draws {
    uint64_t state;
} draws;
uint64_t draw(draws *d);
double draw_between(draws *d, double low, double high);

/* A structure from arrays; destroy it. */
kt_structure make_structure(const double lattice[3][3], int sites, const int *atomic_number,
                            const double (*fractional)[3]);

/* Parses `text`, which must succeed. */
kt_structure parse(kti_structure_format format, const char *text);

/* Parses `text`, which must fail with `status`, at `line` (0: none), with `fragment` in the message and
 * "input" as the file. */
void expect_error(kti_structure_format format, const char *text, kt_status status, int line,
                  const char *fragment);

kti_graph make_graph(const kt_structure *structure, bool quotient);

/* Every site of a node has the edges of its node, as often as the weights say (distances within 1e-3 Å): the
 * partition is equitable. */
void check_equitable(const kti_graph *full, const kti_graph *quotient);

/* Weights and weighted sums of the quotient against the full graph. */
void check_weights(const kti_graph *full, const kti_graph *quotient);

#endif
