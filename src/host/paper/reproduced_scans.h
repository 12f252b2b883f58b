/* What the paper's models say of crystals that they were not made for: its Figs. 7 to 9 and Tables 1 to 4.
 *
 * DIR/scans/<protocol>-<crystals>/<model>.csv are scans (cli/reproduce makes them) of two sources: the Togo15 set, whose crystals the
 * paper's tables are of, and many crystals, in place of its 34,000 of the Materials Project.
 */
#ifndef KTI_PAPER_REPRODUCED_SCANS_H
#define KTI_PAPER_REPRODUCED_SCANS_H

#include "paper/reproduce.h"

typedef struct kti_scan_source {
    const char *name; /* in file names */
    const char *path; /* what kappatune scan takes */
} kti_scan_source;

/* The models that are scanned with, of those that a protocol's run has; ended by NULL. */
extern const char *const kti_scanning_models[];

/* The scan's file (free()); NULL when memory is short. */
char *kti_reproduced_scan(const kti_reproduction *r, kt_protocol protocol, const kti_scan_source *source,
                          const char *model);

/* Writes DIR/scans.md and draws DIR/figures/scan-<protocol>-<crystals>/{variance,groups,correlation}. *drawn becomes false where there is no
 * gnuplot. The scans are there. */
kt_status kti_reproduced_scans_describe(const kti_reproduction *r, const kti_scan_source *sources, int size,
                                        bool *drawn, kt_error *error);

#endif
