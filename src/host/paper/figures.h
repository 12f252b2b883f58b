/* Figures of a reproduction, by gnuplot: DIR/figures/NAME.gp with its data, and NAME.png and NAME.svg drawn from it.
 *
 * fig5a, fig5b, mape-hh143, mape-mix: box plots of MAPE over the runs, as the paper's Fig. 5. fig6-published, fig6-sound: the error
 * that chooses the epoch, mean over folds, as its Fig. 6. ablation-step2, ablation-step3: bars.
 */
#ifndef KTI_PAPER_FIGURES_H
#define KTI_PAPER_FIGURES_H

#include "paper/reproduce.h"

/* Writes the scripts and draws them. *drawn is false where there is no gnuplot: the scripts are there all the same. */
kt_status kti_figures_draw(const kti_reproduction *reproduction, bool *drawn, kt_error *error);

#endif
