/* Every kernel by itself, checked and timed: `kappatune bench --kernels`. */
#ifndef KTI_CLI_BENCH_KERNELS_H
#define KTI_CLI_BENCH_KERNELS_H

#include <jansson.h>

#include "cli/bench_measure.h"

/* Of each different operation of the lane's plan, which `plan` (kti_bench_plan) describes, once: first that it gives what it should by
 * every variation of the device, KT_DEVICE where it does not, then how long it takes. *kernels is then an array of the objects of `plan`
 * with "variations", their number, and "microseconds". NULL after a failure. */
kt_status kti_bench_kernels(kti_bench_lane *l, const json_t *plan, json_t **kernels, kt_error *error);

/* As a table on standard output. */
void kti_bench_kernels_print(const json_t *kernels);

#endif
