/* The operations of a training step, for people: `kappatune bench --plan`. */
#ifndef KTI_CLI_BENCH_PLAN_H
#define KTI_CLI_BENCH_PLAN_H

#include <jansson.h>

#include <kappatune/error.h>

#include "device/operation.h"

/* An array of an object for each operation of the list: what it is, the part that it works for, the rows that it has, what it reads
 * and makes, its launches, bytes and FLOPs for a fold whose batch has so many rows of each kind, which operations it waits for (null: all
 * before it), and the operations that it stands for, if several. NULL if memory is short. */
json_t *kti_bench_plan(const kti_operation *list, int size, const double rows[KT_ROW_KINDS]);

/* The same as a table on standard output. */
void kti_bench_plan_print(const json_t *plan);

#endif
