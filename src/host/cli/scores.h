/* The tables that `kappatune train` ends with. */
#ifndef KTI_CLI_SCORES_H
#define KTI_CLI_SCORES_H

#include <kappatune/train.h>

/* Every fold, then the summaries. */
kt_status kti_print_table(const kt_train_options *options, const kt_train_result *result, kt_error *error);

/* Means and standard deviations over the folds. */
kt_status kti_print_summaries(const kt_train_options *options, const kt_train_result *result,
                              kt_error *error);

/* The summary of each seed, from options->seed on, and how far apart they are. */
kt_status kti_print_replicas(const kt_train_options *options, const kt_train_result *results, int replicas,
                             kt_error *error);

#endif
