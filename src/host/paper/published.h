/* The results that the paper's authors released, for the report of a run on one of their data sets. */
#ifndef KTI_PAPER_PUBLISHED_H
#define KTI_PAPER_PUBLISHED_H

#include "report/report.h"

/* For kti_report_options.references. */
int kti_paper_references(const char *dataset, kti_reference list[KTI_MAX_REFERENCES], const char **note);

#endif
