/* tables.md and tables.json of a reproduction: the paper's numbers beside ours, and the ablation.
 *
 * MAPE as a fraction; means and population standard deviations over folds. Our `published` figures are held against the paper's by
 * Welch's t-test over the runs: with p >= KTI_TABLES_LEVEL they lie within the run-to-run spread.
 */
#ifndef KTI_PAPER_TABLES_H
#define KTI_PAPER_TABLES_H

#include "paper/reproduce.h"

#define KTI_TABLES_LEVEL 0.05

/* Writes both into options.out. The reproduction has been trained. */
kt_status kti_tables_write(const kti_reproduction *reproduction, kt_error *error);

/* The models in few lines, for a terminal, as Markdown's table: the caller frees *out. */
kt_status kti_tables_overview(const kti_reproduction *reproduction, char **out, kt_error *error);

#endif
